// What the controller does in `service`: one DMA, or one request to a back end, in a step. Commands are fetched from the
// submission queues in turn (4.13.1) and done one after the other, each to its completion. A queue whose completion queue
// is full is left alone until the host has taken entries from that.
import { Nvme, NvmeCsts, NvmePhase, NvmeSq, NvmeState, NvmeStatus } from '../../spec/nvme';
import { FunctionFlag } from '../../spec/state';
import { Status } from '../../spec/status';
import { deviceState, functionFlags, registerGet, workDone } from '../../bus/functions';
import { dmaRead } from '../../dma/dma';
import { adminStart } from './admin';
import { complete, cqHasRoom, finish } from './completion';
import { shutdownStep, shuttingDown, stopped } from './control';
import { eventReady, eventTell } from './events';
import { ioAct, ioStart, storageStep } from './io';
import { storageWaits } from './storage';
import { transferStep } from './transfer';
import { cdw, get, set, sqPtr, statusSet } from './words';

/** Fused operation 9:8, SGL instead of PRP 15:14: neither is there. */
const UNSUPPORTED: u32 = 0xc300;

/** Queue whose turn it is, QUEUES when there is nothing to fetch. */
function nextQueue(s: usize): u32 {
  const first = get(s, NvmeState.NEXT_SQ);
  for (let i: u32 = 0; i < <u32>Nvme.QUEUES; i++) {
    const id = (first + i) % Nvme.QUEUES;
    const sq = sqPtr(s, id);
    if (load<u32>(sq, NvmeSq.HEAD) == load<u32>(sq, NvmeSq.TAIL)) continue;
    if (cqHasRoom(s, load<u32>(sq, NvmeSq.CQ))) return id;
  }
  return Nvme.QUEUES;
}

function fetch(b: usize, fn: u32, s: usize): bool {
  const id = nextQueue(s);
  if (id == Nvme.QUEUES) {
    workDone(b, fn);
    return false;
  }
  const sq = sqPtr(s, id);
  const head = load<u32>(sq, NvmeSq.HEAD);
  const at = load<u64>(sq, NvmeSq.BASE) + <u64>head * Nvme.SQE_SIZE;
  const status = dmaRead(b, fn, at, Nvme.SQE_SIZE, s + NvmeState.COMMAND);
  if (status == Status.PENDING) return false;
  if (status != Status.OK) {
    // whose command it was nobody knows
    statusSet(b, fn, 0, NvmeCsts.CFS);
    return true;
  }
  store<u32>(sq, head + 1 == load<u32>(sq, NvmeSq.ENTRIES) ? 0 : head + 1, NvmeSq.HEAD);
  set(s, NvmeState.NEXT_SQ, id + 1);
  set(s, NvmeState.SQ, id);
  set(s, NvmeState.RESULT, 0);
  set(s, NvmeState.STAGE, 0);
  set(s, NvmeState.RANGE, 0);
  set(s, NvmeState.PHASE, NvmePhase.START);
  return true;
}

function start(b: usize, fn: u32, s: usize): bool {
  if (cdw(s, 0) & UNSUPPORTED) finish(s, NvmeStatus.INVALID_FIELD);
  else if (get(s, NvmeState.SQ) == 0) return adminStart(b, fn, s);
  else ioStart(b, s);
  return true;
}

function idle(b: usize, fn: u32, s: usize): bool {
  if (shuttingDown(s)) return shutdownStep(b, fn, s);
  const event = eventReady(s);
  return event != 0 ? eventTell(b, fn, s, event) : fetch(b, fn, s);
}

export function nvmeStep(b: usize, fn: u32): bool {
  const s = deviceState(b, fn);
  if (get(s, NvmeState.STOPPING) != 0) {
    if (storageWaits(s)) return false;
    stopped(b, fn, s);
    return true;
  }
  const working = get(s, NvmeState.RUNNING) != 0 && (registerGet(b, fn, 0, Nvme.CSTS) & NvmeCsts.CFS) == 0;
  if (!working && shuttingDown(s)) return shutdownStep(b, fn, s);
  // without Bus Master it waits for that
  if (!working || (functionFlags(b, fn) & FunctionFlag.BUS_MASTER) == 0) {
    workDone(b, fn);
    return false;
  }
  switch (get(s, NvmeState.PHASE)) {
    case NvmePhase.NONE: return idle(b, fn, s);
    case NvmePhase.START: return start(b, fn, s);
    case NvmePhase.FROM_HOST: return transferStep(b, fn, s, false);
    case NvmePhase.TO_HOST: return transferStep(b, fn, s, true);
    case NvmePhase.ACT:
      ioAct(b, s);
      return true;
    case NvmePhase.STORAGE: return storageStep(s);
    default: return complete(b, fn, s);
  }
}
