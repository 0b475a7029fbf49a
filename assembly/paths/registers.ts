// Access to a register of a function, by BAR and offset: cell first, device only where the cell says so.
import { Status } from '../spec/status';
import { BarKind, BarRecord, CellFlag, DevicePage, PageKind, State } from '../spec/state';
import { Machine } from '../spec/machine';
import { barPage, barRecord, cellAt, functionPresent, workRequest } from '../bus/functions';
import { cellFlags, cellLoad, cellStore, lanesOf, widthValid } from '../bus/cells';
import { deviceRead, deviceWrite } from './dispatch';
import { hostRead, hostWrite } from './host';

@inline
function statusSet(b: usize, status: Status): void {
  store<u32>(b, status, State.RESULT_STATUS);
}

@inline
export function narrow(value: u32, off: u32, width: u32): u32 {
  value >>= (off & 3) << 3;
  return width == 4 ? value : value & ((<u32>1 << (width << 3)) - 1);
}

/** Cell of a register that may be accessed so and has none of these flags; 0 for everything that is not so plain. */
@inline
export function plainCell(b: usize, page: usize, off: u32, width: u32, effects: u32): usize {
  if (load<u8>(page, DevicePage.KIND) != PageKind.CELLS || width > 4) return 0;
  const cell = cellAt(b, page, off);
  if (cell == 0) return 0;
  const flags = cellFlags(cell);
  return (flags & (width | effects)) == width && (off & (width - 1)) == 0 ? cell : 0;
}

// one dword at most; `flag` is the width that the register must allow (8 for the halves of an eight-byte access)
@inline
function dwordRead(b: usize, page: usize, off: u32, width: u32, flag: u32): u32 {
  if (load<u8>(page, DevicePage.KIND) == PageKind.CELLS) {
    const cell = cellAt(b, page, off);
    if (cell != 0) {
      const flags = cellFlags(cell);
      if (!widthValid(flags, off, flag == 8 ? 4 : width) && flag != 8) {
        statusSet(b, Status.WIDTH);
        return 0xffffffff;
      }
      if (flag == 8 && (flags & CellFlag.WIDTH_8) == 0) {
        statusSet(b, Status.WIDTH);
        return 0xffffffff;
      }
      if (flags & CellFlag.READ_EFFECT) {
        const barOff = offsetInBar(b, page, off);
        const fn = <u32>load<u16>(page, DevicePage.FUNCTION);
        const bar = <u32>load<u8>(page, DevicePage.BAR);
        const value = flags & CellFlag.HOST ? hostRead(b, fn, bar, barOff) : deviceRead(b, fn, bar, barOff, lanesOf(off, width));
        return narrow(value, off, width);
      }
      return narrow(cellLoad(cell), off, width);
    }
  }
  if (flag != 8 && (off & (width - 1)) != 0) {
    statusSet(b, Status.WIDTH);
    return 0xffffffff;
  }
  return narrow(load<u32>(page, DevicePage.CONSTANT), off, width);
}

@inline
function dwordWrite(b: usize, page: usize, off: u32, width: u32, value: u32, flag: u32): void {
  if (load<u8>(page, DevicePage.KIND) != PageKind.CELLS) return;
  const cell = cellAt(b, page, off);
  if (cell == 0) return;
  const flags = cellFlags(cell);
  if (flag == 8 ? (flags & CellFlag.WIDTH_8) == 0 : !widthValid(flags, off, width)) {
    statusSet(b, Status.WIDTH);
    return;
  }
  const lanes = lanesOf(off, width);
  const placed = value << ((off & 3) << 3);
  if ((flags & CellFlag.HANDLER_STORES) == 0) cellStore(cell, placed, lanes);
  if (flags & (CellFlag.WRITE_EFFECT | CellFlag.HANDLER_STORES | CellFlag.VECTOR_CONTROL)) {
    const fn = <u32>load<u16>(page, DevicePage.FUNCTION);
    // a message that was masked may go now
    if (flags & CellFlag.VECTOR_CONTROL) return workRequest(b, fn);
    const bar = <u32>load<u8>(page, DevicePage.BAR);
    const barOff = offsetInBar(b, page, off);
    if (flags & CellFlag.HOST) hostWrite(b, fn, bar, barOff, placed, lanes);
    else deviceWrite(b, fn, bar, barOff, placed, lanes);
  }
}

/** Offset of the dword in its BAR: which page of the BAR this is follows from where its record lies. */
@inline
function offsetInBar(b: usize, page: usize, off: u32): u32 {
  const first = b + load<u32>(barRecord(b, load<u16>(page, DevicePage.FUNCTION), load<u8>(page, DevicePage.BAR)), BarRecord.PAGES);
  return (<u32>(page - first) >> 4 << Machine.PAGE_SHIFT) | (off & Machine.PAGE_MASK & ~3);
}

/** Reads 1, 2, 4 or 8 bytes within one page of a device; the high half of eight goes to RESULT_HI. */
@inline
export function pageRead(b: usize, page: usize, off: u32, width: u32): u32 {
  if (width == 8) {
    if (off & 7) {
      statusSet(b, Status.WIDTH);
      store<u32>(b, 0xffffffff, State.RESULT_HI);
      return 0xffffffff;
    }
    // low dword, then high
    const lo = dwordRead(b, page, off, 4, 8);
    store<u32>(b, dwordRead(b, page, off + 4, 4, 8), State.RESULT_HI);
    return lo;
  }
  return dwordRead(b, page, off, width, width);
}

@inline
export function pageWrite(b: usize, page: usize, off: u32, width: u32, lo: u32, hi: u32): void {
  if (width == 8) {
    if (off & 7) {
      statusSet(b, Status.WIDTH);
      return;
    }
    dwordWrite(b, page, off, 4, lo, 8);
    dwordWrite(b, page, off + 4, 4, hi, 8);
    return;
  }
  dwordWrite(b, page, off, width, lo, width);
}

@inline
function barAccess(b: usize, fn: u32, bar: u32, off: u32, width: u32): usize {
  if (!functionPresent(b, fn) || bar >= <u32>Machine.BARS) return 0;
  const record = barRecord(b, fn, bar);
  const size = load<u32>(record, BarRecord.SIZE);
  if (load<u32>(record, BarRecord.KIND) == BarKind.NONE || width > size || off > size - width) return 0;
  return barPage(b, fn, bar, off);
}

/** A register by function, BAR and offset, whether the BAR is mapped or not: the host's own access. */
export function registerRead(b: usize, fn: u32, bar: u32, off: u32, width: u32): u32 {
  statusSet(b, Status.OK);
  const page = barAccess(b, fn, bar, off, width);
  if (page == 0) {
    statusSet(b, Status.NOTHING);
    store<u32>(b, 0xffffffff, State.RESULT_HI);
    return 0xffffffff;
  }
  return pageRead(b, page, off, width);
}

export function registerWrite(b: usize, fn: u32, bar: u32, off: u32, width: u32, lo: u32, hi: u32): void {
  statusSet(b, Status.OK);
  const page = barAccess(b, fn, bar, off, width);
  if (page == 0) statusSet(b, Status.NOTHING);
  else pageWrite(b, page, off, width, lo, hi);
}
