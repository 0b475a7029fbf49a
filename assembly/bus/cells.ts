// Data-driven register access: what a read gives and a write stores follows from the cell alone. Whether the
// register has a side effect is told to the caller, who owns the devices.
import { Cell, CellFlag } from '../spec/state';

/** Byte lanes of an access within its dword. */
@inline
export function lanesOf(off: u32, width: u32): u32 {
  return (width == 4 ? 0xffffffff : ((<u32>1 << (width << 3)) - 1)) << ((off & 3) << 3);
}

/** Whether this access is valid for the register: width listed in the flags, naturally aligned. */
@inline
export function widthValid(flags: u32, off: u32, width: u32): bool {
  return (flags & width) != 0 && (off & (width - 1)) == 0;
}

/** Stores by the cell's masks; `value` and `lanes` are in dword position. */
@inline
export function cellStore(cell: usize, value: u32, lanes: u32): void {
  const mask = load<u32>(cell, Cell.WRITE_MASK) & lanes;
  const before = load<u32>(cell, Cell.VALUE);
  const merged = (before & ~mask) | (value & mask);
  store<u32>(cell, merged & ~(value & lanes & load<u32>(cell, Cell.W1C)), Cell.VALUE);
}

@inline
export function cellFlags(cell: usize): u32 {
  return load<u32>(cell, Cell.FLAGS);
}

/** What a read of the whole dword gives, side effects apart. */
@inline
export function cellLoad(cell: usize): u32 {
  return cellFlags(cell) & CellFlag.WRITE_ONLY ? 0xffffffff : load<u32>(cell, Cell.VALUE);
}
