// RAM windows: where a machine frame lies in the linear memory. Window 0 is looked at first; a machine with one
// window, the usual one, never gets further.
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

/**
 * Maps `frames` frames of RAM from `firstMfn` on at linear address `ptr`. Refused (RANGE) when it runs out of the
 * memory, over 28 bits of mfn, over another window, or over what is never RAM (ECAM, the unit's registers, the
 * interrupt window); FULL when all 16 windows are taken.
 */
export function windowMap(b: usize, firstMfn: u32, frames: u32, ptr: u32): Status {
  if (frames == 0 || <u64>firstMfn + frames > <u64>Machine.MFN_LIMIT || ptr == 0) return Status.RANGE;
  if (<u64>ptr + (<u64>frames << Machine.PAGE_SHIFT) > <u64>memory.size() << 16) return Status.RANGE;
  if (overlaps(firstMfn, frames, Machine.ECAM_FIRST_MFN, Machine.ECAM_LAST_MFN)
    || overlaps(firstMfn, frames, Machine.VTD_MFN, Machine.VTD_MFN)
    || overlaps(firstMfn, frames, Machine.MSI_FIRST_MFN, Machine.MSI_LAST_MFN)) return Status.RANGE;
  let free: i32 = -1;
  for (let i: i32 = 0; i < Machine.WINDOWS; i++) {
    const record = b + State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
    const first = load<u32>(record, WindowRecord.FIRST_MFN);
    const size = load<u32>(record, WindowRecord.FRAMES);
    if (size == 0) {
      if (free < 0) free = i;
    } else if (<u64>firstMfn < <u64>first + size && <u64>first < <u64>firstMfn + frames) return Status.RANGE;
  }
  if (free < 0) return Status.FULL;
  const record = b + State.WINDOW_TABLE + free * StateSize.WINDOW_RECORD;
  store<u32>(record, firstMfn, WindowRecord.FIRST_MFN);
  store<u32>(record, frames, WindowRecord.FRAMES);
  store<u32>(record, WindowKind.LINEAR, WindowRecord.KIND);
  store<u32>(b + State.PLACEMENT + (free << 2), ptr);
  return Status.OK;
}

/** Takes away the window that begins at `firstMfn`. */
export function windowUnmap(b: usize, firstMfn: u32): Status {
  for (let i: u32 = 0; i < <u32>Machine.WINDOWS; i++) {
    const record = b + State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
    if (load<u32>(record, WindowRecord.FRAMES) == 0 || load<u32>(record, WindowRecord.FIRST_MFN) != firstMfn) continue;
    memory.fill(record, 0, StateSize.WINDOW_RECORD);
    store<u32>(b + State.PLACEMENT + (i << 2), 0);
    return Status.OK;
  }
  return Status.ABSENT;
}
