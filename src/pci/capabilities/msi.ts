import { Msi, PciCap } from '../../../assembly/spec/pci';
import { type Field, field } from '../fields';
import { type Capability, refuse } from './capability';

export interface MsiOptions {
  off: number;
  /** 1, 2, 4, 8, 16 or 32. */
  vectors: number;
  /** 64-bit addresses. */
  wide: boolean;
  /** Mask and pending bits for each vector. */
  masking?: boolean;
}

/**
 * MSI (PCI Local Bus 3.0 §6.8.1).
 *
 *   32 bits                    64 bits                    with per-vector masking
 *       31      16 15 8 7  0       31      16 15 8 7  0       32 bits    64 bits
 *   00 | Control | Next| 05|   00 | Control | Next| 05|   00 | as left  | as left |
 *   04 | Address           |   04 | Address           |   0C | Mask     |         |
 *   08 | (0)     | Data    |   08 | Address, high     |   10 | Pending  | Mask    |
 *                              0C | (0)     | Data    |   14 |          | Pending |
 *
 *   Control  0 enable: replaces INTx   3:1 vectors that the function has, log2 (RO)
 *            6:4 vectors that it may use, log2   7 64 bits (RO)   8 per-vector masking (RO)
 *   A masked vector stays pending, shows it, and is sent when its mask bit goes.
 */
export function msiCapability({ off, vectors, wide, masking = false }: MsiOptions): Capability {
  const capable = Math.log2(vectors);
  if (!Number.isInteger(capable) || vectors < 1 || vectors > 32) {
    refuse('MSI', `has ${vectors} vectors; it has 1, 2, 4, 8, 16 or 32`, { vectors });
  }
  const data = wide ? Msi.DATA_64 : Msi.DATA_32;
  const [mask, pending] = wide ? [Msi.MASK_64, Msi.PENDING_64] : [Msi.MASK_32, Msi.PENDING_32];
  const control = capable << Msi.CONTROL_MMC_SHIFT | (wide ? Msi.CONTROL_64BIT : 0)
    | (masking ? Msi.CONTROL_PER_VECTOR_MASKING : 0);
  const fields: Field[] = [
    field('Message Control', Msi.CONTROL, 2, 'enable, number of vectors',
      { value: control, writable: Msi.CONTROL_ENABLE | Msi.CONTROL_MME_MASK }),
    field('Message Address', Msi.ADDRESS, 4, 'where the message is written', { writable: 0xfffffffc }),
    field('Message Data', data, 2, 'what is written; the low bits are the vector', { writable: 0xffff }),
  ];
  if (wide) fields.push(field('Message Upper Address', Msi.ADDRESS_HI, 4, '', { writable: -1 }));
  if (masking) {
    fields.push(
      field('Mask Bits', mask, 4, 'one for each vector', { writable: vectors === 32 ? -1 : (1 << vectors) - 1 }),
      field('Pending Bits', pending, 4, 'asked for and not sent'),
    );
  }
  return { name: 'MSI', id: PciCap.MSI, off, size: masking ? pending + 4 : data + 2, fields: () => fields };
}
