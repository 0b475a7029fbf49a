// Registers with side effects (3.1): the interrupt masks, the configuration, the doorbells. A doorbell's value is checked
// in the write; a bad one changes nothing and is told by an asynchronous event.
import { Nvme, NvmeCc, NvmeCq, NvmeSq, NvmeState } from '../../spec/nvme';
import { deviceState, registerGet, registerSet, workRequest } from '../../bus/functions';
import { configurationChanged } from './control';
import { DOORBELL_REGISTER, DOORBELL_VALUE, doorbellError } from './events';
import { interruptTaken, maskSet } from './interrupts';
import { cqPtr, cqThere, get, sqPtr, sqThere } from './words';

/** How far it is from one place in a ring to another. */
@inline
function distance(from: u32, to: u32, entries: u32): u32 {
  return to >= from ? to - from : to + entries - from;
}

/** New tail: not beyond the ring, and no more entries than are free. */
function submissionDoorbell(s: usize, id: u32, value: u32): u32 {
  if (!sqThere(s, id)) return DOORBELL_REGISTER;
  const sq = sqPtr(s, id);
  const entries = load<u32>(sq, NvmeSq.ENTRIES);
  if (value >= entries) return DOORBELL_VALUE;
  const tail = load<u32>(sq, NvmeSq.TAIL);
  const used = distance(load<u32>(sq, NvmeSq.HEAD), tail, entries);
  if (used + distance(tail, value, entries) >= entries) return DOORBELL_VALUE;
  store<u32>(sq, value, NvmeSq.TAIL);
  return 0;
}

/** New head: not beyond what was posted. */
function completionDoorbell(b: usize, fn: u32, s: usize, id: u32, value: u32): u32 {
  if (!cqThere(s, id)) return DOORBELL_REGISTER;
  const cq = cqPtr(s, id);
  const entries = load<u32>(cq, NvmeCq.ENTRIES);
  if (value >= entries) return DOORBELL_VALUE;
  const head = load<u32>(cq, NvmeCq.HEAD);
  if (distance(head, value, entries) > distance(head, load<u32>(cq, NvmeCq.TAIL), entries)) return DOORBELL_VALUE;
  store<u32>(cq, value, NvmeCq.HEAD);
  interruptTaken(b, fn, s, cq);
  return 0;
}

function doorbell(b: usize, fn: u32, s: usize, index: u32, value: u32): void {
  if (get(s, NvmeState.RUNNING) == 0) return;
  value &= 0xffff;
  const error = index & 1 ? completionDoorbell(b, fn, s, index >> 1, value) : submissionDoorbell(s, index >> 1, value);
  if (error != 0) doorbellError(s, error);
  workRequest(b, fn);
}

function interruptMask(b: usize, fn: u32, s: usize, mask: u32): void {
  registerSet(b, fn, 0, Nvme.INTMS, mask);
  registerSet(b, fn, 0, Nvme.INTMC, mask);
  maskSet(b, fn, s, mask);
}

export function nvmeWrite(b: usize, fn: u32, off: u32, value: u32): void {
  const s = deviceState(b, fn);
  if (off >= <u32>Nvme.DOORBELLS) return doorbell(b, fn, s, (off - Nvme.DOORBELLS) >> 2, value);
  if (off == Nvme.INTMS) interruptMask(b, fn, s, get(s, NvmeState.MASK) | value);
  else if (off == Nvme.INTMC) interruptMask(b, fn, s, get(s, NvmeState.MASK) & ~value);
  else if (off == Nvme.CC) {
    const before = registerGet(b, fn, 0, Nvme.CC);
    registerSet(b, fn, 0, Nvme.CC, value & NvmeCc.WRITABLE);
    configurationChanged(b, fn, before, value & NvmeCc.WRITABLE);
  }
}
