// Devices in TypeScript: the one call from the engine to their handlers, and what follows from it here. A handler runs
// inside a guest's access, so it leaves its wishes in words (cells, INTx level, deadline, work bit) and calls nothing;
// DMA is done by its `service`, which the host calls between two calls of the engine.
import { HostCall, HostDevice } from '../spec/host';
import { Machine } from '../spec/machine';
import { BarKind, BarRecord, DevicePage, PageKind, State, StateSize } from '../spec/state';
import { barRecord, cellsReset, deadlineClear, deviceState, workDone } from '../bus/functions';
import { intxLevel } from '../irq/intx';
import { vectorsForget } from '../irq/vectors';
import { callBack, callOut } from '../memory/lock';
import { journalClear } from '../dma/journal';

/** For WRITE and RESET the answer means nothing; RESET has no BAR, offset and lanes. It never throws. */
@external("env", "hostAccess")
declare function hostAccess(fn: u32, call: u32, bar: u32, off: u32, value: u32, lanes: u32): u32;

@inline
function failed(b: usize, fn: u32): bool {
  return load<u32>(deviceState(b, fn), HostDevice.FAILED) != 0;
}

function hostWork(b: usize, fn: u32, wanted: bool): void {
  const bit = <u64>1 << fn;
  const work = load<u64>(b, State.HOST_WORK);
  store<u64>(b, wanted ? work | bit : work & ~bit, State.HOST_WORK);
}

/** Nothing is left under way, and no interrupt asserted. */
function quiet(b: usize, fn: u32): void {
  journalClear(b, fn);
  deadlineClear(b, fn);
  workDone(b, fn);
  hostWork(b, fn, false);
  vectorsForget(b, fn);
  store<u32>(deviceState(b, fn), 0, HostDevice.INTX);
  store<u32>(deviceState(b, fn), 0, HostDevice.REQUESTED);
  store<u32>(deviceState(b, fn), 0, HostDevice.MASTER);
  intxLevel(b, fn, false);
}

/** The device is as good as gone: every register reads as ones and takes no write. */
function fail(b: usize, fn: u32): void {
  for (let bar: u32 = 0; bar < <u32>Machine.BARS; bar++) {
    const record = barRecord(b, fn, bar);
    if (load<u32>(record, BarRecord.KIND) == BarKind.NONE) continue;
    const pages = (load<u32>(record, BarRecord.SIZE) + Machine.PAGE_MASK) >> Machine.PAGE_SHIFT;
    for (let i: u32 = 0; i < pages; i++) {
      const page = b + load<u32>(record, BarRecord.PAGES) + i * StateSize.DEVICE_PAGE;
      store<u8>(page, PageKind.CONSTANT, DevicePage.KIND);
      store<u32>(page, 0xffffffff, DevicePage.CONSTANT);
    }
  }
  quiet(b, fn);
}

function call(b: usize, fn: u32, what: HostCall, bar: u32, off: u32, value: u32, lanes: u32): u32 {
  // a handler that calls the engine is told BUSY; that is its own status, not the guest's
  const results = callOut();
  const answer = hostAccess(fn, what, bar, off, value, lanes);
  callBack(results);
  if (failed(b, fn)) {
    fail(b, fn);
    return 0xffffffff;
  }
  intxLevel(b, fn, load<u32>(deviceState(b, fn), HostDevice.INTX) != 0);
  return answer;
}

/** A read of a register whose read effect is the host's: gives the dword. */
export function hostRead(b: usize, fn: u32, bar: u32, off: u32): u32 {
  return call(b, fn, HostCall.READ, bar, off, 0, 0);
}

export function hostWrite(b: usize, fn: u32, bar: u32, off: u32, value: u32, lanes: u32): void {
  call(b, fn, HostCall.WRITE, bar, off, value, lanes);
}

export function hostReset(b: usize, fn: u32, kind: u32): void {
  if (failed(b, fn)) return;
  for (let bar: u32 = 0; bar < <u32>Machine.BARS; bar++) {
    if (load<u32>(barRecord(b, fn, bar), BarRecord.KIND) != BarKind.NONE) cellsReset(b, fn, bar);
  }
  quiet(b, fn);
  call(b, fn, HostCall.RESET, 0, 0, kind, 0);
}

/** The function has work: told to the host, who does it after this call. */
export function hostStep(b: usize, fn: u32): bool {
  workDone(b, fn);
  if (!failed(b, fn)) hostWork(b, fn, true);
  return false;
}

/** Somebody outside asks for the device's `service`. */
export function hostRequest(b: usize, fn: u32): void {
  if (!failed(b, fn)) store<u32>(deviceState(b, fn), 1, HostDevice.REQUESTED);
}

/** Marks a device in TypeScript as failed. */
export function hostFail(b: usize, fn: u32): void {
  store<u32>(deviceState(b, fn), 1, HostDevice.FAILED);
  fail(b, fn);
}
