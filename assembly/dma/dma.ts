// The one way from a device to memory: Bus Master gate, split at 4 KiB, translate, copy. What may be reached is
// decided by the function's context, which the control plane sets and the device cannot name.
//
// A faulted read gives ones, never stale bytes; a faulted write changes nothing. The pieces before the fault are
// done, those after it are not. PENDING: something further on cannot take the bytes now; the device leaves its step
// as it was and does it again later, which repeats writes to memory with equal bytes, and those to peers not at all.
import { Machine, WindowKind } from '../spec/machine';
import { Counter } from '../spec/counters';
import { Status } from '../spec/status';
import { IommuState } from '../spec/vtd';
import { DmaSpace, FunctionFlag, FunctionRecord, State, StateSize, WindowRecord } from '../spec/state';
import { TraceCategory } from '../spec/trace';
import { count, countBy, fillOnes } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';
import { windowRead as hostRead, windowWrite as hostWrite } from '../memory/host';
import {
  frameDirty, framePtr, windowBytePtr, windowKind, windowOf, windowOffset, windowReadOnly,
} from '../memory/windows';
import { guestRamMfn } from '../gate/domains';
import { functionRecord } from '../bus/functions';
import { NO_TRANSLATION, translate } from '../iommu/translate';
import { interruptRequest } from '../irq/remap';
import { journalRequest } from './journal';
import { decodeAt, peerEntries, peerHasRoom, peerRead, peerWrite } from './peer';

const PAGE: u32 = Machine.PAGE_SIZE;
/** DMA in flight of one request at most: a device asks for less. */
export const DMA_MAX: u32 = 0x20000;

@inline
function copySmall(dst: usize, src: usize, len: u32): void {
  // memory.copy leaves Wasm: below about 600 bytes a vector loop is ahead of it (1.7 to 2.5 times at 8 to 128 bytes)
  if (len == 8) store<u64>(dst, load<u64>(src));
  else if (len == 16) v128.store(dst, v128.load(src));
  else if (len > 16 && len <= 512) {
    let i: u32 = 0;
    // source and target never overlap: one is engine state, the other RAM
    for (; i + 64 <= len; i += 64) {
      const v0 = v128.load(src + i);
      const v1 = v128.load(src + i, 16);
      const v2 = v128.load(src + i, 32);
      const v3 = v128.load(src + i, 48);
      v128.store(dst + i, v0);
      v128.store(dst + i, v1, 16);
      v128.store(dst + i, v2, 32);
      v128.store(dst + i, v3, 48);
    }
    for (; i + 16 <= len; i += 16) v128.store(dst + i, v128.load(src + i));
    if (i < len) v128.store(dst + len - 16, v128.load(src + len - 16));
  } else if (len == 4) store<u32>(dst, load<u32>(src));
  else memory.copy(dst, src, len);
}

@inline
function inInterruptWindow(address: u64): bool {
  return address >> 20 == 0xfee;
}

/** The unit's registers and the enhanced config space are reached by the CPU only. */
@inline
function neverTarget(mpa: u64): bool {
  const mfn = mpa >> Machine.PAGE_SHIFT;
  return mfn == Machine.VTD_MFN || (mfn >= <u64>Machine.ECAM_FIRST_MFN && mfn <= <u64>Machine.ECAM_LAST_MFN)
    || (mfn >= <u64>Machine.MSI_FIRST_MFN && mfn <= <u64>Machine.MSI_LAST_MFN);
}

/** Machine address of one piece, NO_TRANSLATION when the IOMMU or the foreign domain's map has none. */
@inline
function pieceMpa(b: usize, fn: u32, busAddr: u64, write: bool): u64 {
  const record = functionRecord(b, fn);
  if (load<u32>(record, FunctionRecord.SPACE) == DmaSpace.FOREIGN) {
    if (busAddr >> 40 != 0) return NO_TRANSLATION;
    const slot = load<u32>(record, FunctionRecord.SPACE_DOMAIN);
    const mfn = guestRamMfn(b, slot, <u32>(busAddr >> Machine.PAGE_SHIFT));
    return mfn == Machine.MFN_LIMIT ? NO_TRANSLATION : <u64>mfn << Machine.PAGE_SHIFT | (busAddr & Machine.PAGE_MASK);
  }
  if (load<u32>(b + State.IOMMU, IommuState.ENABLED) == 0) return busAddr;
  return translate(b, fn, busAddr, write);
}

export function dmaRefused(b: usize, fn: u32): Status {
  const record = functionRecord(b, fn);
  store<u32>(record, load<u32>(record, FunctionRecord.REFUSED_DMA) + 1, FunctionRecord.REFUSED_DMA);
  count(b, Counter.DMA_REFUSED);
  return Status.REFUSED;
}

@inline
function busMaster(b: usize, fn: u32): bool {
  const flags = load<u32>(functionRecord(b, fn), FunctionRecord.FLAGS);
  return (flags & (FunctionFlag.BUS_MASTER | FunctionFlag.POWERED_DOWN)) == FunctionFlag.BUS_MASTER;
}

/** RAM that is not linear and writable: a file, a message window, or read-only. */
function windowRead(b: usize, fn: u32, window: usize, mpa: u64, len: u32, dst: usize): Status {
  const kind = windowKind(window);
  const first = load<u32>(window, WindowRecord.FIRST_MFN);
  const off = windowOffset(window, mpa);
  if (kind == WindowKind.MESSAGE) return journalRequest(b, fn, first, off, len, dst, false);
  if (kind == WindowKind.LINEAR) memory.copy(dst, windowBytePtr(b, window, mpa), len);
  else if (hostRead(first, <u32>off, <u32>(off >> 32), dst, len) != 0) {
    fillOnes(dst, len);
    return Status.FAULT;
  }
  return Status.OK;
}

function windowWrite(b: usize, fn: u32, window: usize, mpa: u64, len: u32, src: usize): Status {
  // as on a bus: the write is taken, and goes nowhere
  if (windowReadOnly(window)) return Status.NOTHING;
  const first = load<u32>(window, WindowRecord.FIRST_MFN);
  const off = windowOffset(window, mpa);
  if (windowKind(window) == WindowKind.MESSAGE) return journalRequest(b, fn, first, off, len, src, true);
  if (hostWrite(first, <u32>off, <u32>(off >> 32), src, len) != 0) return Status.FAULT;
  frameDirty(b, <u32>(mpa >> Machine.PAGE_SHIFT));
  return Status.OK;
}

/** Not linear RAM: another window, a peer's BAR, or nothing. Exported to stay out of the fast path. */
export function dmaReadElsewhere(b: usize, fn: u32, mpa: u64, len: u32, dst: usize): Status {
  const window = mpa >> 40 != 0 ? <usize>0 : windowOf(b, <u32>(mpa >> Machine.PAGE_SHIFT));
  if (window != 0) return windowRead(b, fn, window, mpa, len, dst);
  if (!neverTarget(mpa) && decodeAt(b, mpa) != 0) {
    peerRead(b, mpa, len, dst);
    return Status.OK;
  }
  fillOnes(dst, len);
  count(b, Counter.DMA_NOTHING);
  return Status.NOTHING;
}

export function dmaWriteElsewhere(b: usize, fn: u32, mpa: u64, len: u32, src: usize): Status {
  const window = mpa >> 40 != 0 ? <usize>0 : windowOf(b, <u32>(mpa >> Machine.PAGE_SHIFT));
  if (window != 0) return windowWrite(b, fn, window, mpa, len, src);
  if (!neverTarget(mpa) && decodeAt(b, mpa) != 0) return peerWrite(b, fn, mpa, len, src);
  count(b, Counter.DMA_NOTHING);
  return Status.NOTHING;
}

/** An MSI or any four-byte write into the interrupt window; other lengths are no interrupt request. */
export function dmaInterrupt(b: usize, fn: u32, busAddr: u64, len: u32, src: usize): Status {
  if (len != 4 || (<u32>busAddr & 3) != 0) {
    count(b, Counter.DMA_NOTHING);
    return Status.NOTHING;
  }
  const status = interruptRequest(b, load<u32>(functionRecord(b, fn), FunctionRecord.SID), <u32>busAddr, load<u32>(src));
  if (status == Status.PENDING) count(b, Counter.MESSAGES_STALLED);
  return status;
}

/**
 * Whether all of it lies in one page, and is anything at all. That is the rule, and goes without a loop: 64 bytes took
 * 1.36 of C instead of 1.48.
 */
@inline
function isOnePiece(busAddr: u64, len: u32): bool {
  return len - 1 < PAGE - (<u32>busAddr & Machine.PAGE_MASK);
}

/** FAULT when the IOMMU has no translation: then nothing was read. */
@inline
function readPiece(b: usize, fn: u32, at: u64, len: u32, dst: usize): Status {
  const mps = load<u32>(b, State.MPS_SHIFT);
  const mrrs = load<u32>(b, State.MRRS_SHIFT);
  countBy(b, Counter.READ_REQUEST_TLPS, (len + (1 << mrrs) - 1) >> mrrs);
  countBy(b, Counter.COMPLETION_TLPS, (len + (1 << mps) - 1) >> mps);
  count(b, Counter.SERVICE_UNITS);
  const mpa = inInterruptWindow(at) ? NO_TRANSLATION : pieceMpa(b, fn, at, false);
  if (mpa == NO_TRANSLATION) return Status.FAULT;
  const frame = mpa >> 40 != 0 ? <usize>0 : framePtr(b, <u32>(mpa >> Machine.PAGE_SHIFT));
  if (frame == 0) return dmaReadElsewhere(b, fn, mpa, len, dst);
  copySmall(dst, frame + (<u32>mpa & Machine.PAGE_MASK), len);
  return Status.OK;
}

@inline
function writePiece(b: usize, fn: u32, at: u64, len: u32, src: usize): Status {
  const mps = load<u32>(b, State.MPS_SHIFT);
  countBy(b, Counter.WRITE_TLPS, (len + (1 << mps) - 1) >> mps);
  count(b, Counter.SERVICE_UNITS);
  if (inInterruptWindow(at)) return dmaInterrupt(b, fn, at, len, src);
  const mpa = pieceMpa(b, fn, at, true);
  if (mpa == NO_TRANSLATION) return Status.FAULT;
  const mfn = <u32>(mpa >> Machine.PAGE_SHIFT);
  const frame = mpa >> 40 != 0 ? <usize>0 : framePtr(b, mfn);
  if (frame == 0) return dmaWriteElsewhere(b, fn, mpa, len, src);
  copySmall(frame + (<u32>mpa & Machine.PAGE_MASK), src, len);
  frameDirty(b, mfn);
  return Status.OK;
}

/** Page by page. */
function readPieces(b: usize, fn: u32, busAddr: u64, len: u32, dst: usize): Status {
  let worst: Status = Status.OK;
  let done: u32 = 0;
  while (done < len) {
    const at = busAddr + done;
    const part = min<u32>(len - done, PAGE - (<u32>at & Machine.PAGE_MASK));
    const status = readPiece(b, fn, at, part, dst + done);
    if (status == Status.PENDING) return status;
    if (status == Status.FAULT) {
      fillOnes(dst + done, len - done);
      return status;
    }
    if (status != Status.OK) worst = status;
    done += part;
  }
  return worst;
}

function writePieces(b: usize, fn: u32, busAddr: u64, len: u32, src: usize): Status {
  // outside a step nobody remembers what was queued, so it must be possible to queue all of it at once
  if (load<u32>(functionRecord(b, fn), FunctionRecord.IN_STEP) == 0) {
    const entries = peerEntries(len) + (len >> Machine.PAGE_SHIFT) + 2;
    if (entries <= <u32>StateSize.PEERS && !peerHasRoom(b, entries)) return Status.PENDING;
  }
  let worst: Status = Status.OK;
  let done: u32 = 0;
  while (done < len) {
    const at = busAddr + done;
    const part = min<u32>(len - done, PAGE - (<u32>at & Machine.PAGE_MASK));
    const status = writePiece(b, fn, at, part, src + done);
    if (status == Status.PENDING) return status;
    // a blocked interrupt is a fault too, and does not end the write
    if (status == Status.FAULT && !inInterruptWindow(at)) return status;
    if (status != Status.OK) worst = status;
    done += part;
  }
  return worst;
}

// exported to stay out of the fast path
export function stepWaits(b: usize, fn: u32): void {
  store<u32>(functionRecord(b, fn), 1, FunctionRecord.STEP_WAITS);
}

/** Reads `len` bytes (at most DMA_MAX) at a bus address into `dst`, which is engine state. */
@inline
export function dmaRead(b: usize, fn: u32, busAddr: u64, len: u32, dst: usize): Status {
  if (!busMaster(b, fn)) {
    fillOnes(dst, len);
    return dmaRefused(b, fn);
  }
  count(b, Counter.DMA_READS);
  countBy(b, Counter.DMA_READ_BYTES, len);
  let status: Status;
  if (isOnePiece(busAddr, len)) {
    status = readPiece(b, fn, busAddr, len, dst);
    if (status == Status.FAULT) fillOnes(dst, len);
  } else status = readPieces(b, fn, busAddr, len, dst);
  if (status == Status.PENDING) stepWaits(b, fn);
  else trace(b, TraceCategory.DMA, fn, busAddr, len, traceDetail(0, false, status));
  return status;
}

/** Writes `len` bytes (at most DMA_MAX) from `src`, which is engine state, to a bus address. */
@inline
export function dmaWrite(b: usize, fn: u32, busAddr: u64, len: u32, src: usize): Status {
  if (!busMaster(b, fn)) return dmaRefused(b, fn);
  count(b, Counter.DMA_WRITES);
  countBy(b, Counter.DMA_WRITE_BYTES, len);
  const status = isOnePiece(busAddr, len)
    ? writePiece(b, fn, busAddr, len, src) : writePieces(b, fn, busAddr, len, src);
  if (status == Status.PENDING) stepWaits(b, fn);
  else trace(b, TraceCategory.DMA, fn, busAddr, len, traceDetail(0, true, status));
  return status;
}
