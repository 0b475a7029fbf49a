import { Msix } from '../../assembly/spec/pci';
import { CellFlag } from '../../assembly/spec/state';
import type { BarRange, Capability } from '../pci/capabilities/capability';
import { PortcullisError } from '../errors';
import { ALL_BITS, type RegisterRow, type RegisterTable, register, registerArray } from './register-table';

// dwords or aligned qwords (PCI Local Bus 3.0 §6.8.2)
const BOTH = CellFlag.WIDTH_4 | CellFlag.WIDTH_8;

/** Rows of the table: every vector is masked after reset. */
function tableRows({ off }: BarRange, vectors: number): RegisterRow[] {
  return Array.from({ length: vectors }, (_, vector) => {
    const entry = off + vector * Msix.ENTRY_SIZE;
    return [
      register(`MSIX_ADDRESS[${vector}]`, entry + Msix.ENTRY_ADDRESS, 'message address',
        { writeMask: 0xfffffffc, flags: BOTH }),
      register(`MSIX_ADDRESS_HI[${vector}]`, entry + Msix.ENTRY_ADDRESS_HI, '', { writeMask: ALL_BITS, flags: BOTH }),
      register(`MSIX_DATA[${vector}]`, entry + Msix.ENTRY_DATA, 'message data', { writeMask: ALL_BITS, flags: BOTH }),
      register(`MSIX_CONTROL[${vector}]`, entry + Msix.ENTRY_CONTROL, 'bit 0: masked',
        { reset: Msix.ENTRY_MASKED, writeMask: Msix.ENTRY_MASKED, flags: BOTH | CellFlag.VECTOR_CONTROL }),
    ];
  }).flat();
}

function pendingRows({ off, size }: BarRange): RegisterRow[] {
  return registerArray('MSIX_PENDING', off, size / 4, 'pending bits', { flags: BOTH });
}

/** A device's registers with those that its MSI-X capability brings along. Throws BAD_REGISTERS where two meet. */
export function withMsix(tables: readonly RegisterTable[], msix: Capability['msix'],
  model: string): readonly RegisterTable[] {
  if (msix === undefined) return tables;
  let all = [...tables];
  const { table, pending, vectors } = msix;
  for (const [range, rows] of [[table, tableRows(table, vectors)], [pending, pendingRows(pending)]] as const) {
    const { bar } = range;
    const own = all.find((one) => one.bar === bar) ?? { bar, size: range.off + range.size, constant: 0, rows: [] };
    const merged = [...own.rows, ...rows].sort((a, b) => a.off - b.off);
    merged.forEach((row, i) => {
      const next = merged[i + 1];
      if (next === undefined || row.off + row.bytes <= next.off) return;
      throw new PortcullisError('BAD_REGISTERS',
        `${row.name} and ${next.name} of ${model} overlap in BAR ${bar}; move `
        + 'the MSI-X table or the pending bits', { model, bar, off: next.off });
    });
    all = [...all.filter((one) => one.bar !== bar), { ...own, rows: merged }];
  }
  return all;
}
