// Registers of one 4 KiB page of BAR 0, by a pointer that is worked out once: what a path that touches a dozen of
// them uses instead of finding each cell anew.
import { DevicePage, StateSize } from '../../spec/state';
import { barPage } from '../../bus/functions';

const CELL_SHIFT: u32 = 4;

/** Pointer for the registers that share a page with `off`; none of them may be without a cell. */
@inline
export function blockOf(b: usize, fn: u32, off: u32): usize {
  const page = barPage(b, fn, 0, off);
  return b + load<u32>(page, DevicePage.CELLS) - <usize>load<u16>(page, DevicePage.FIRST) * StateSize.CELL;
}

/** Linear address of a register's value. */
@inline
export function cellIn(block: usize, off: u32): usize {
  return block + <usize>((off & 0xffc) >> 2 << CELL_SHIFT);
}

@inline
export function get(block: usize, off: u32): u32 {
  return load<u32>(cellIn(block, off));
}

@inline
export function set(block: usize, off: u32, value: u32): void {
  store<u32>(cellIn(block, off), value);
}
