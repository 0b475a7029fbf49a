// Function records, and the work bits by which a register handler asks for `service`.
import { Machine } from '../spec/machine';
import { BarRecord, DevicePage, FunctionRecord, State, StateSize } from '../spec/state';

@inline
export function functionRecord(b: usize, fn: u32): usize {
  return b + State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
}

@inline
export function functionPresent(b: usize, fn: u32): bool {
  return fn < <u32>Machine.FUNCTIONS && load<u32>(functionRecord(b, fn), FunctionRecord.MODEL) != 0;
}

@inline
export function functionFlags(b: usize, fn: u32): u32 {
  return load<u32>(functionRecord(b, fn), FunctionRecord.FLAGS);
}

/** Linear address of the device's own state. */
@inline
export function deviceState(b: usize, fn: u32): usize {
  return b + load<u32>(functionRecord(b, fn), FunctionRecord.DEVICE);
}

@inline
export function barRecord(b: usize, fn: u32, bar: u32): usize {
  return functionRecord(b, fn) + FunctionRecord.BARS + bar * BarRecord.SIZE_OF;
}

/** Device page record of a byte of a BAR; the caller has checked the offset against the BAR's size. */
@inline
export function barPage(b: usize, fn: u32, bar: u32, off: u32): usize {
  return b + load<u32>(barRecord(b, fn, bar), BarRecord.PAGES) + (off >> Machine.PAGE_SHIFT) * StateSize.DEVICE_PAGE;
}

/** Cell of the register at `off` of a BAR, or 0. */
@inline
export function cellAt(b: usize, page: usize, off: u32): usize {
  // FIRST and COUNT in one load
  const range = load<u32>(page, DevicePage.FIRST);
  const index = ((off & Machine.PAGE_MASK) >> 2) - (range & 0xffff);
  return index < range >> 16
    ? b + load<u32>(page, DevicePage.CELLS) + index * StateSize.CELL
    : 0;
}

/** Value of a register that certainly has a cell: for a device that looks at its own registers. */
@inline
export function registerGet(b: usize, fn: u32, bar: u32, off: u32): u32 {
  return load<u32>(cellAt(b, barPage(b, fn, bar, off), off));
}

@inline
export function registerSet(b: usize, fn: u32, bar: u32, off: u32, value: u32): void {
  store<u32>(cellAt(b, barPage(b, fn, bar, off), off), value);
}

@inline
export function workRequest(b: usize, fn: u32): void {
  store<u64>(b, load<u64>(b, State.WORK) | (<u64>1 << fn), State.WORK);
}

@inline
export function workDone(b: usize, fn: u32): void {
  store<u64>(b, load<u64>(b, State.WORK) & ~(<u64>1 << fn), State.WORK);
}

/** Virtual time in ns at which the device wants `service`; all ones: never. */
@inline
export function deadlineOf(b: usize, fn: u32): u64 {
  return load<u64>(functionRecord(b, fn), FunctionRecord.DEADLINE);
}

@inline
export function deadlineSet(b: usize, fn: u32, time: u64): void {
  store<u64>(functionRecord(b, fn), time, FunctionRecord.DEADLINE);
}

@inline
export function deadlineClear(b: usize, fn: u32): void {
  deadlineSet(b, fn, u64.MAX_VALUE);
}

/** Gives every cell of a BAR the value it has after reset. */
export function cellsReset(b: usize, fn: u32, bar: u32): void {
  const record = barRecord(b, fn, bar);
  const pages = load<u32>(record, BarRecord.SIZE) > <u32>Machine.PAGE_SIZE
    ? load<u32>(record, BarRecord.SIZE) >> Machine.PAGE_SHIFT : 1;
  for (let i: u32 = 0; i < pages; i++) {
    const page = b + load<u32>(record, BarRecord.PAGES) + i * StateSize.DEVICE_PAGE;
    const number = <u32>load<u16>(page, DevicePage.COUNT);
    const cells = b + load<u32>(page, DevicePage.CELLS);
    for (let c: u32 = 0; c < number; c++) {
      store<u32>(cells + c * StateSize.CELL, load<u32>(cells + number * StateSize.CELL + (c << 2)));
    }
  }
}
