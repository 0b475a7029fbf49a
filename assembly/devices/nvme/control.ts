// Enable, disable, shutdown and reset (7.3, 7.6).
import {
  Nvme, NvmeCc, NvmeCq, NvmeCsts, NvmeRequest, NvmeSq, NvmeState,
} from '../../spec/nvme';
import {
  cellsReset, deadlineClear, deviceState, registerGet, registerSet, workDone, workRequest,
} from '../../bus/functions';
import { intxLevel } from '../../irq/intx';
import { vectorsForget } from '../../irq/vectors';
import { journalClear } from '../../dma/journal';
import { featuresReset } from './features';
import { ask, storageForget, storageWaits } from './storage';
import { cqPtr, get, set, sqPtr, statusSet } from './words';

/** States of SHUTDOWN. */
const ASKED: u32 = 1;
const OVER: u32 = 2;
const ABRUPT: u32 = 2;

/** Queues, features, the command under way and what was to be told: all gone, and no interrupt left. */
function clear(b: usize, fn: u32, s: usize): void {
  memory.fill(s, 0, NvmeState.RESET_END);
  memory.fill(s + NvmeState.UNTIL, 0xff, Nvme.VECTORS << 3);
  registerSet(b, fn, 0, Nvme.INTMS, 0);
  registerSet(b, fn, 0, Nvme.INTMC, 0);
  featuresReset(s);
  journalClear(b, fn);
  vectorsForget(b, fn);
  intxLevel(b, fn, false);
  deadlineClear(b, fn);
  workDone(b, fn);
}

function queueWrong(b: usize, fn: u32, base: u32, entries: u32): bool {
  return entries == 0 || (registerGet(b, fn, 0, base) & (Nvme.PAGE - 1)) != 0;
}

/** Ready at once; what cannot be is a fatal status. */
function enable(b: usize, fn: u32, s: usize, cc: u32): void {
  const aqa = registerGet(b, fn, 0, Nvme.AQA);
  const submission = aqa & 0xfff;
  const completion = aqa >> 16 & 0xfff;
  const unknown = (cc >> NvmeCc.CSS_SHIFT & 7) | (cc >> NvmeCc.MPS_SHIFT & 15) | (cc >> NvmeCc.AMS_SHIFT & 7);
  if (unknown != 0 || queueWrong(b, fn, Nvme.ASQ, submission) || queueWrong(b, fn, Nvme.ACQ, completion)) {
    return statusSet(b, fn, 0, NvmeCsts.CFS);
  }
  const sq = sqPtr(s, 0);
  store<u64>(sq, <u64>registerGet(b, fn, 0, Nvme.ASQ + 4) << 32 | registerGet(b, fn, 0, Nvme.ASQ), NvmeSq.BASE);
  store<u32>(sq, submission + 1, NvmeSq.ENTRIES);
  const cq = cqPtr(s, 0);
  store<u64>(cq, <u64>registerGet(b, fn, 0, Nvme.ACQ + 4) << 32 | registerGet(b, fn, 0, Nvme.ACQ), NvmeCq.BASE);
  store<u32>(cq, completion + 1, NvmeCq.ENTRIES);
  store<u32>(cq, 1, NvmeCq.PHASE);
  store<u32>(cq, 1, NvmeCq.INTERRUPTS);
  store<u32>(cq, 1, NvmeCq.USERS);
  set(s, NvmeState.RUNNING, 1);
  statusSet(b, fn, 0, NvmeCsts.RDY);
}

/** Nothing is under way any more: not ready. If the host has not waited for that, it is enabled again now. */
export function stopped(b: usize, fn: u32, s: usize): void {
  clear(b, fn, s);
  storageForget(s);
  statusSet(b, fn, NvmeCsts.RDY | NvmeCsts.CFS | NvmeCsts.SHST_MASK, 0);
  const cc = registerGet(b, fn, 0, Nvme.CC);
  if (cc & NvmeCc.EN) enable(b, fn, s, cc);
}

/** A back end cannot be called back: until it has answered, the controller stays ready. */
function disable(b: usize, fn: u32, s: usize): void {
  if (!storageWaits(s)) return stopped(b, fn, s);
  clear(b, fn, s);
  set(s, NvmeState.STOPPING, 1);
  workRequest(b, fn);
}

export function configurationChanged(b: usize, fn: u32, before: u32, cc: u32): void {
  const s = deviceState(b, fn);
  if (get(s, NvmeState.STOPPING) != 0) return;
  const shutdown = cc >> NvmeCc.SHN_SHIFT & 3;
  if (shutdown != 0 && get(s, NvmeState.SHUTDOWN) == 0) {
    set(s, NvmeState.SHUTDOWN, ASKED);
    // an abrupt one flushes nothing
    if (shutdown == ABRUPT) set(s, NvmeState.FLUSHED, get(s, NvmeState.NAMESPACE_COUNT));
    statusSet(b, fn, NvmeCsts.SHST_MASK, NvmeCsts.SHST_OCCURRING);
    workRequest(b, fn);
  }
  if (((before ^ cc) & NvmeCc.EN) == 0) return;
  if (cc & NvmeCc.EN) enable(b, fn, s, cc);
  else disable(b, fn, s);
}

@inline
export function shuttingDown(s: usize): bool {
  return get(s, NvmeState.SHUTDOWN) != 0;
}

/** One step of a shutdown, no command being under way: each namespace is flushed. */
export function shutdownStep(b: usize, fn: u32, s: usize): bool {
  if (get(s, NvmeState.SHUTDOWN) == OVER) {
    workDone(b, fn);
    return false;
  }
  if (storageWaits(s)) return false;
  const next = get(s, NvmeState.FLUSHED);
  if (next < get(s, NvmeState.NAMESPACE_COUNT)) {
    set(s, NvmeState.FLUSHED, next + 1);
    ask(b, s, NvmeRequest.FLUSH, next + 1, 0, 0, 0);
    return true;
  }
  set(s, NvmeState.SHUTDOWN, OVER);
  statusSet(b, fn, NvmeCsts.SHST_MASK, NvmeCsts.SHST_COMPLETE);
  return true;
}

/** Reset of the function: also the registers that a disabled controller keeps. */
export function nvmeReset(b: usize, fn: u32): void {
  const s = deviceState(b, fn);
  cellsReset(b, fn, 0);
  clear(b, fn, s);
  storageForget(s);
}
