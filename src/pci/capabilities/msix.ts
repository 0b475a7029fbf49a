import { Msix, PciCap } from '../../../assembly/spec/pci';
import { field } from '../fields';
import { type Capability, refuse } from './capability';

export interface MsixOptions {
  off: number;
  /** 1 to 64: as many as the engine keeps pending. The specification's limit is 2048. */
  vectors: number;
  /** BAR and offset (a multiple of 8) of the table: 16 bytes for each vector. */
  table: { bar: number; off: number };
  /** BAR and offset (a multiple of 8) of the pending bits: 8 bytes for each 64 vectors. */
  pending: { bar: number; off: number };
}

/**
 * MSI-X (PCI Local Bus 3.0 §6.8.2).
 *
 *       31             16 15      8 7        0
 *   00 | Control         | Next    | ID = 11 |
 *   04 | Table offset (31:3)       | BAR 2:0 |
 *   08 | PBA offset (31:3)         | BAR 2:0 |
 *
 *   Control  15 enable: replaces INTx   14 function mask   10:0 size of the table minus one (RO)
 *
 *   An entry of the table, and the pending bits:
 *   00 | Address                   |         00 | Pending bits 31:0  (RO) |
 *   04 | Address, high             |         04 | Pending bits 63:32 (RO) |
 *   08 | Data                      |
 *   0C | Vector control: 0 mask    |
 */
export function msixCapability({ off, vectors, table, pending }: MsixOptions): Capability {
  if (!Number.isInteger(vectors) || vectors < 1 || vectors > Msix.VECTORS_MAX) {
    refuse('MSI-X', `has ${vectors} vectors; it has 1 to ${Msix.VECTORS_MAX}`, { vectors });
  }
  for (const [what, place] of [['table', table], ['pending bits', pending]] as const) {
    if (!Number.isInteger(place.off) || place.off < 0 || place.off % 8 !== 0 || !Number.isInteger(place.bar)
      || place.bar < 0 || place.bar > 5) {
      refuse('MSI-X', `has its ${what} at offset ${place.off} of BAR ${place.bar}; the offset is a multiple of 8, the `
        + 'BAR 0 to 5', { ...place });
    }
  }
  return {
    name: 'MSI-X', id: PciCap.MSIX, off, size: Msix.SIZE,
    fields: () => [
      field('Message Control', Msix.CONTROL, 2, 'enable, function mask, size of the table',
        { value: vectors - 1, writable: Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK }),
      field('Table Offset', Msix.TABLE, 4, '', { value: table.off | table.bar }),
      field('PBA Offset', Msix.PBA, 4, '', { value: pending.off | pending.bar }),
    ],
    msix: {
      vectors,
      table: { ...table, size: vectors * Msix.ENTRY_SIZE },
      pending: { ...pending, size: 8 * Math.ceil(vectors / 64) },
    },
  };
}
