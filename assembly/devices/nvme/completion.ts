// Completion queues (4.6), and the error log that goes with them (5.14.1.1).
import { Nvme, NvmeCq, NvmeCsts, NvmePhase, NvmeSq, NvmeState, NvmeStatus } from '../../spec/nvme';
import { Status } from '../../spec/status';
import { dmaWrite } from '../../dma/dma';
import { interruptPosted } from './interrupts';
import { cdw, cdw64, cqPtr, get, set, sqPtr, statusSet } from './words';

const ERROR_SIZE: u32 = 64;

/** Whether an entry more would leave the queue not quite full: a full one looks like an empty one. */
@inline
export function cqHasRoom(s: usize, id: u32): bool {
  const cq = cqPtr(s, id);
  const next = load<u32>(cq, NvmeCq.TAIL) + 1;
  return (next == load<u32>(cq, NvmeCq.ENTRIES) ? 0 : next) != load<u32>(cq, NvmeCq.HEAD);
}

/** Posts an entry; the caller has made sure of room. PENDING leaves everything as it was. */
export function post(b: usize, fn: u32, s: usize, sqId: u32, cid: u32, status: u32, result: u32): Status {
  const sq = sqPtr(s, sqId);
  const id = load<u32>(sq, NvmeSq.CQ);
  const cq = cqPtr(s, id);
  const entry = s + NvmeState.SCRATCH;
  store<u32>(entry, result);
  store<u32>(entry, 0, 4);
  store<u32>(entry, load<u32>(sq, NvmeSq.HEAD) | sqId << 16, 8);
  store<u32>(entry, cid | load<u32>(cq, NvmeCq.PHASE) << 16 | status << 17, 12);
  const tail = load<u32>(cq, NvmeCq.TAIL);
  const done = dmaWrite(b, fn, load<u64>(cq, NvmeCq.BASE) + <u64>tail * Nvme.CQE_SIZE, Nvme.CQE_SIZE, entry);
  if (done == Status.PENDING) return done;
  if (done != Status.OK) {
    // the host cannot be told in any other way
    statusSet(b, fn, 0, NvmeCsts.CFS);
    return done;
  }
  const wraps = tail + 1 == load<u32>(cq, NvmeCq.ENTRIES);
  store<u32>(cq, wraps ? 0 : tail + 1, NvmeCq.TAIL);
  if (wraps) store<u32>(cq, load<u32>(cq, NvmeCq.PHASE) ^ 1, NvmeCq.PHASE);
  interruptPosted(b, fn, s, id);
  return Status.OK;
}

/** An entry of the error log: newest first when it is read, in a ring here. `at` is the byte of the command that is wrong. */
export function errorLog(s: usize, sqId: u32, cid: u32, status: u32, at: u32): void {
  const count = load<u64>(s + NvmeState.ERROR_COUNT) + 1;
  store<u64>(s + NvmeState.ERROR_COUNT, count);
  const entry = s + NvmeState.ERROR_LOG + (<u32>(count - 1) % <u32>Nvme.ERRORS) * ERROR_SIZE;
  memory.fill(entry, 0, ERROR_SIZE);
  store<u64>(entry, count);
  store<u16>(entry, <u16>sqId, 8);
  store<u16>(entry, <u16>cid, 10);
  store<u16>(entry, <u16>(status << 1), 12);
  store<u16>(entry, <u16>at, 14);
  // a doorbell belongs to no command
  if (sqId == 0 || sqId == 0xffff) return;
  store<u64>(entry, cdw64(s, 10), 16);
  store<u32>(entry, cdw(s, 1), 24);
}

/** The command under way is over. Statuses that a retry would not change say so. */
export function finish(s: usize, status: u32): void {
  const again = status == NvmeStatus.DATA_TRANSFER || status == NvmeStatus.ABORTED || status == NvmeStatus.WRITE_FAULT
    || status == NvmeStatus.READ_ERROR || status == NvmeStatus.EVENT_LIMIT;
  if (status != 0) {
    status |= NvmeStatus.MORE | (again ? 0 : NvmeStatus.DNR);
    errorLog(s, get(s, NvmeState.SQ), cdw(s, 0) >> 16, status, 0xffff);
  }
  set(s, NvmeState.STATUS, status);
  set(s, NvmeState.PHASE, NvmePhase.COMPLETE);
}

/** One step: the entry of the command. */
export function complete(b: usize, fn: u32, s: usize): bool {
  const status = post(b, fn, s, get(s, NvmeState.SQ), cdw(s, 0) >> 16, get(s, NvmeState.STATUS), get(s, NvmeState.RESULT));
  if (status == Status.PENDING) return false;
  set(s, NvmeState.PHASE, NvmePhase.NONE);
  return true;
}
