// RAM windows: where a machine frame lies. Linear windows that may be written are the fast path: window 0 is looked at
// first, and a machine with one window, the usual one, never gets further. The others (read-only, file, message) have
// no address here; whoever gets none asks `windowOf` and goes the long way.
import { Machine, WindowKind } from '../spec/machine';
import { Status } from '../spec/status';
import { State, StateSize, WindowRecord } from '../spec/state';

@inline
function windowTry(b: usize, index: u32, mfn: u32): usize {
  const record = b + State.WINDOW_TABLE + index * StateSize.WINDOW_RECORD;
  const within = mfn - load<u32>(record, WindowRecord.FIRST_MFN);
  if (within >= load<u32>(record, WindowRecord.FRAMES)) return 0;
  return <usize>load<u32>(b + State.PLACEMENT + (index << 2)) + (<usize>within << Machine.PAGE_SHIFT);
}

// exported so that it is not inlined into the fast path
export function windowSearch(b: usize, mfn: u32): usize {
  for (let i: u32 = 1; i < <u32>Machine.WINDOWS; i++) {
    const ptr = windowTry(b, i, mfn);
    if (ptr != 0) return ptr;
  }
  return 0;
}

/** Linear address of a frame of RAM, or 0 when no window holds it. */
@inline
export function framePtr(b: usize, mfn: u32): usize {
  const ptr = windowTry(b, 0, mfn);
  return ptr != 0 ? ptr : windowSearch(b, mfn);
}

/** Marks a frame dirty. Frames beyond the table have no bit. */
@inline
export function frameDirty(b: usize, mfn: u32): void {
  if (mfn >= load<u32>(b, State.FRAMES)) return;
  const ptr = b + load<u32>(b, State.POOL_DIRTY) + (<usize>(mfn >> 5) << 2);
  store<u32>(ptr, load<u32>(ptr) | (<u32>1 << (mfn & 31)));
}

@inline
function overlaps(first: u32, frames: u32, low: u32, high: u32): bool {
  return first <= high && <u64>first + frames > <u64>low;
}

/** Record of the window that holds a frame, of any kind; 0 when none does. */
export function windowOf(b: usize, mfn: u32): usize {
  for (let i: u32 = 0; i < <u32>Machine.WINDOWS; i++) {
    const record = b + State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
    if (mfn - load<u32>(record, WindowRecord.FIRST_MFN) < load<u32>(record, WindowRecord.REACH)) return record;
  }
  return 0;
}

@inline
export function windowKind(record: usize): u32 {
  return load<u32>(record, WindowRecord.KIND) & 0xff;
}

@inline
export function windowReadOnly(record: usize): bool {
  return (load<u32>(record, WindowRecord.KIND) & WindowRecord.READ_ONLY) != 0;
}

/** Linear address of a byte of a read-only linear window. */
export function windowBytePtr(b: usize, record: usize, mpa: u64): usize {
  const index = <u32>(record - b - State.WINDOW_TABLE) / StateSize.WINDOW_RECORD;
  return <usize>load<u32>(b + State.PLACEMENT + (index << 2)) + <usize>windowOffset(record, mpa);
}

/** Byte in the window of a machine address that lies in it. */
@inline
export function windowOffset(record: usize, mpa: u64): u64 {
  return mpa - (<u64>load<u32>(record, WindowRecord.FIRST_MFN) << Machine.PAGE_SHIFT);
}

/** Whether a stretch of linear memory is neither the engine's state nor another window's. */
export function placeFree(b: usize, ptr: u32, frames: u32): bool {
  const end = <u64>ptr + (<u64>frames << Machine.PAGE_SHIFT);
  if (<u64>ptr < <u64>b + load<u32>(b, State.SIZE) && end > <u64>b) return false;
  for (let i: u32 = 0; i < <u32>Machine.WINDOWS; i++) {
    const record = b + State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
    const other = <u64>load<u32>(b + State.PLACEMENT + (i << 2));
    const reach = <u64>load<u32>(record, WindowRecord.REACH) << Machine.PAGE_SHIFT;
    if (other != 0 && <u64>ptr < other + reach && end > other) return false;
  }
  return true;
}

/**
 * Maps `frames` frames of RAM from `firstMfn` on: linear ones at linear address `ptr`, the other kinds at nothing of
 * this memory. Refused (RANGE) when it runs out of the memory, over 28 bits of mfn, over another window, or over what
 * is never RAM (ECAM, the unit's registers, the interrupt window); FULL when all 16 windows are taken.
 */
export function windowMap(b: usize, firstMfn: u32, frames: u32, ptr: u32, kind: u32, readOnly: bool): Status {
  if (frames == 0 || <u64>firstMfn + frames > <u64>Machine.MFN_LIMIT) return Status.RANGE;
  if (kind < <u32>WindowKind.LINEAR || kind > <u32>WindowKind.MESSAGE) return Status.RANGE;
  const linear = kind == WindowKind.LINEAR;
  if (linear && (ptr == 0 || <u64>ptr + (<u64>frames << Machine.PAGE_SHIFT) > <u64>memory.size() << 16)) return Status.RANGE;
  if (overlaps(firstMfn, frames, Machine.ECAM_FIRST_MFN, Machine.ECAM_LAST_MFN)
    || overlaps(firstMfn, frames, Machine.VTD_MFN, Machine.VTD_MFN)
    || overlaps(firstMfn, frames, Machine.MSI_FIRST_MFN, Machine.MSI_LAST_MFN)) return Status.RANGE;
  if (linear && !placeFree(b, ptr, frames)) return Status.RANGE;
  let free: i32 = -1;
  for (let i: i32 = 0; i < Machine.WINDOWS; i++) {
    const record = b + State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
    const first = load<u32>(record, WindowRecord.FIRST_MFN);
    const reach = load<u32>(record, WindowRecord.REACH);
    if (reach == 0) {
      if (free < 0) free = i;
    } else if (<u64>firstMfn < <u64>first + reach && <u64>first < <u64>firstMfn + frames) return Status.RANGE;
  }
  if (free < 0) return Status.FULL;
  const record = b + State.WINDOW_TABLE + free * StateSize.WINDOW_RECORD;
  store<u32>(record, firstMfn, WindowRecord.FIRST_MFN);
  store<u32>(record, linear && !readOnly ? frames : 0, WindowRecord.FRAMES);
  store<u32>(record, kind | (readOnly ? WindowRecord.READ_ONLY : 0), WindowRecord.KIND);
  store<u32>(record, frames, WindowRecord.REACH);
  store<u32>(b + State.PLACEMENT + (free << 2), linear ? ptr : 0);
  return Status.OK;
}

/** Takes away the window that begins at `firstMfn`. */
export function windowUnmap(b: usize, firstMfn: u32): Status {
  for (let i: u32 = 0; i < <u32>Machine.WINDOWS; i++) {
    const record = b + State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
    if (load<u32>(record, WindowRecord.REACH) == 0 || load<u32>(record, WindowRecord.FIRST_MFN) != firstMfn) continue;
    memory.fill(record, 0, StateSize.WINDOW_RECORD);
    store<u32>(b + State.PLACEMENT + (i << 2), 0);
    return Status.OK;
  }
  return Status.ABSENT;
}
