// Frames of RAM: owner, kind, and how many IOMMU mappings hold one. A frame that is held is not given away.
import { DomId } from '../spec/machine';
import { Status } from '../spec/status';
import { FrameKind, FrameRecord, State, StateSize } from '../spec/state';

/** Record of a frame, or 0 when the table does not cover it. */
@inline
export function frameRecord(b: usize, mfn: u32): usize {
  return mfn < load<u32>(b, State.FRAMES)
    ? b + load<u32>(b, State.POOL_FRAMES) + <usize>mfn * StateSize.FRAME_RECORD
    : 0;
}

/** Whether `domid` owns this frame as plain RAM: what a guest may map for itself or for its device. */
@inline
export function frameIsOwnRam(b: usize, mfn: u32, domid: u32): bool {
  const record = frameRecord(b, mfn);
  return record != 0 && load<u16>(record, FrameRecord.OWNER) == domid
    && load<u16>(record, FrameRecord.KIND) == FrameKind.RAM;
}

@inline
export function frameHold(b: usize, mfn: u32): void {
  const record = frameRecord(b, mfn);
  if (record != 0) store<u32>(record, load<u32>(record, FrameRecord.REFS) + 1, FrameRecord.REFS);
}

@inline
export function frameRelease(b: usize, mfn: u32): void {
  const record = frameRecord(b, mfn);
  if (record != 0 && load<u32>(record, FrameRecord.REFS) != 0) {
    store<u32>(record, load<u32>(record, FrameRecord.REFS) - 1, FrameRecord.REFS);
  }
}

/** Gives a frame to `domid` (DomId.NONE: to nobody). IN_USE while an IOMMU mapping holds it. */
export function frameAssign(b: usize, mfn: u32, domid: u32, kind: u32): Status {
  const record = frameRecord(b, mfn);
  if (record == 0 || domid > 0xffff) return Status.RANGE;
  if (load<u32>(record, FrameRecord.REFS) != 0) return Status.IN_USE;
  store<u16>(record, <u16>domid, FrameRecord.OWNER);
  store<u16>(record, <u16>kind, FrameRecord.KIND);
  return Status.OK;
}

/** Owner of a frame, DomId.INVALID when the table does not cover it. */
export function frameOwner(b: usize, mfn: u32): u32 {
  const record = frameRecord(b, mfn);
  return record == 0 ? DomId.INVALID : load<u16>(record, FrameRecord.OWNER);
}

/** Takes a zeroed frame for an IOMMU table off the hypervisor's stack; 0 when there is none left. */
export function tableFrameTake(b: usize): u32 {
  const free = load<u32>(b, State.TABLE_FRAMES_FREE);
  if (free == 0) return 0;
  store<u32>(b, free - 1, State.TABLE_FRAMES_FREE);
  return load<u32>(b + load<u32>(b, State.POOL_TABLE_FRAMES) + (<usize>(free - 1) << 2));
}

export function tableFrameGive(b: usize, mfn: u32): void {
  const free = load<u32>(b, State.TABLE_FRAMES_FREE);
  if (free >= load<u32>(b, State.TABLE_FRAMES_COUNT)) return;
  store<u32>(b + load<u32>(b, State.POOL_TABLE_FRAMES) + (<usize>free << 2), mfn);
  store<u32>(b, free + 1, State.TABLE_FRAMES_FREE);
}
