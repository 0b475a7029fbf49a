// Which device a register with side effects, a reset or a step of work belongs to. The only place that knows all
// models.
import { Machine } from '../spec/machine';
import { Status } from '../spec/status';
import { Model, FunctionRecord, State } from '../spec/state';
import { VTD_FUNCTION } from '../iommu/fault';
import { queueDrain } from '../iommu/queue';
import { vtdWrite } from '../iommu/registers';
import { deadlineClear, deadlineOf, functionRecord, workDone, workRequest } from '../bus/functions';
import { intxLevel } from '../irq/intx';
import { vectorReady, vectorsPending } from '../irq/vectors';
import { journalClear, journalStart, journalWaits } from '../dma/journal';
import { messageSend } from '../dma/message';
import { peerStepEnd, peerStepStart } from '../dma/peer';
import { eduRead, eduReset, eduStep, eduWrite } from '../devices/edu/index';
import { hostReset, hostStep } from './host';
import {
  e1000Deadline, e1000LinkChanged, e1000Read, e1000Reset, e1000Step, e1000Write,
} from '../devices/e1000/index';
import {
  e1000eDeadline, e1000eLinkChanged, e1000eRead, e1000eReset, e1000eStep, e1000eWrite,
} from '../devices/e1000e/index';
import { nvmeDeadline, nvmeReset, nvmeStep, nvmeWrite } from '../devices/nvme/index';
import { serialDeadline, serialRead, serialReset, serialStep, serialWrite } from '../devices/serial/index';

@inline
function modelOf(b: usize, fn: u32): u32 {
  return load<u32>(functionRecord(b, fn), FunctionRecord.MODEL);
}

/** A read of a register with a read effect: gives the dword, of which `lanes` is asked for. */
export function deviceRead(b: usize, fn: u32, bar: u32, off: u32, lanes: u32): u32 {
  const model = modelOf(b, fn);
  if (model == Model.E1000) return e1000Read(b, fn, bar, off);
  if (model == Model.E1000E) return e1000eRead(b, fn, bar, off);
  if (model == Model.EDU) return eduRead(b, fn, off);
  if (model == Model.SERIAL) return serialRead(b, fn, off, lanes);
  return 0xffffffff;
}

/** A write of a register with a write effect; `value` and `lanes` in dword position, as the guest wrote them. */
export function deviceWrite(b: usize, fn: u32, bar: u32, off: u32, value: u32, lanes: u32): void {
  const model = modelOf(b, fn);
  if (model == Model.E1000) e1000Write(b, fn, bar, off, value, lanes);
  else if (model == Model.E1000E) e1000eWrite(b, fn, bar, off, value, lanes);
  else if (model == Model.EDU) eduWrite(b, fn, off, value);
  else if (model == Model.SERIAL) serialWrite(b, fn, off, value, lanes);
  else if (model == Model.NVME) nvmeWrite(b, fn, off, value);
  else if (model == Model.VTD) vtdWrite(b, off, value);
}

/** Reset of the device behind the registers; its config space is the caller's. `kind` is a HostReset. */
export function deviceReset(b: usize, fn: u32, kind: u32): void {
  const model = modelOf(b, fn);
  journalClear(b, fn);
  if (model == Model.E1000) e1000Reset(b, fn);
  else if (model == Model.E1000E) e1000eReset(b, fn);
  else if (model == Model.EDU) eduReset(b, fn);
  else if (model == Model.SERIAL) serialReset(b, fn);
  else if (model == Model.NVME) nvmeReset(b, fn);
  else if (model == Model.HOST) hostReset(b, fn, kind);
  else if (model == Model.PASSIVE) {
    deadlineClear(b, fn);
    workDone(b, fn);
    intxLevel(b, fn, false);
  }
}

/** The link of a NIC went up or down. */
export function deviceLinkChanged(b: usize, fn: u32): void {
  const model = modelOf(b, fn);
  if (model == Model.E1000) e1000LinkChanged(b, fn);
  else if (model == Model.E1000E) e1000eLinkChanged(b, fn);
}

/** After a step that needs no more of the host's answers, they are forgotten. */
export function stepDone(b: usize, fn: u32): void {
  if (!journalWaits(b, fn)) journalClear(b, fn);
}

function modelStep(b: usize, fn: u32, budget: u32): bool {
  const model = modelOf(b, fn);
  if (model == Model.E1000) return e1000Step(b, fn);
  if (model == Model.E1000E) return e1000eStep(b, fn);
  if (model == Model.EDU) return eduStep(b, fn);
  if (model == Model.SERIAL) return serialStep(b, fn);
  if (model == Model.NVME) return nvmeStep(b, fn);
  if (model == Model.HOST) return hostStep(b, fn);
  if (fn == VTD_FUNCTION) {
    // a queue that is not empty after this has used up the budget: it can go on
    queueDrain(b, budget);
    return true;
  }
  workDone(b, fn);
  return false;
}

/**
 * One step of deferred work: one interrupt message, one descriptor with its data, one transfer, one batch of
 * invalidations. False when the function cannot go on now (nothing left, or PENDING); it has then cleared its work
 * bit or left it set.
 */
export function deviceStep(b: usize, fn: u32, budget: u32): bool {
  // nothing can be new before the host has answered what the last try asked for
  if (journalWaits(b, fn)) return false;
  journalStart(b, fn);
  peerStepStart(b, fn);
  const moved = messageOrModelStep(b, fn, budget);
  peerStepEnd(b, fn);
  // a device in TypeScript takes its step later, and then says that it is done
  if (modelOf(b, fn) != Model.HOST) stepDone(b, fn);
  return moved;
}

function messageOrModelStep(b: usize, fn: u32, budget: u32): bool {
  if (vectorsPending(b, fn) != 0) {
    const status = messageSend(b, fn);
    // a message that finds no room holds up what comes after it
    if (status != Status.NOTHING) {
      stepDone(b, fn);
      return status != Status.PENDING;
    }
  }
  const more = modelStep(b, fn, budget);
  if (vectorsPending(b, fn) == 0 || vectorReady(b, fn) < 0) return more;
  workRequest(b, fn);
  return true;
}

/** Every function whose deadline has come: what it does then needs no DMA and is done at once, or is requested. */
export function deadlinesCheck(b: usize): void {
  const now = load<u64>(b, State.NOW);
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    const model = modelOf(b, fn);
    if (model == Model.NONE || deadlineOf(b, fn) > now) continue;
    if (model == Model.E1000) e1000Deadline(b, fn);
    else if (model == Model.E1000E) e1000eDeadline(b, fn);
    else if (model == Model.SERIAL) serialDeadline(b, fn);
    else if (model == Model.NVME) nvmeDeadline(b, fn);
    else workRequest(b, fn);
  }
}

/** Earliest deadline of all functions, all ones when there is none. */
export function deadlineNext(b: usize): u64 {
  let earliest = u64.MAX_VALUE;
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    if (modelOf(b, fn) != Model.NONE) earliest = min(earliest, deadlineOf(b, fn));
  }
  return earliest;
}
