// Interrupts (chapter 7.5). A completion queue is signaled when its interrupt is due, and stays so until it is empty: the
// pin is asserted while any such queue is not masked. A message goes each time an interrupt becomes due. Coalescing
// holds that back by count and time (5.21.1.8), for each vector; never on the admin queue.
import { Nvme, NvmeCq, NvmeFeature, NvmeState } from '../../spec/nvme';
import { State } from '../../spec/state';
import { deadlineSet, deviceState } from '../../bus/functions';
import { intxLevel } from '../../irq/intx';
import { msiEnabled, msiRequest, msixEnabled, msixRequest } from '../../dma/message';
import { cqPtr, get, set } from './words';

const COALESCING_OFF: u32 = 1 << 16;
const UNIT_NS: u64 = 100000;

@inline
export function cqEmpty(cq: usize): bool {
  return load<u32>(cq, NvmeCq.HEAD) == load<u32>(cq, NvmeCq.TAIL);
}

/** Level of the pin: whatever the queues and the mask say. */
export function pinUpdate(b: usize, fn: u32, s: usize): void {
  let level = false;
  for (let id: u32 = 0; id < <u32>Nvme.QUEUES; id++) {
    const cq = cqPtr(s, id);
    if (load<u32>(cq, NvmeCq.SIGNALED) == 0) continue;
    // vectors above 31 have no bit, and no interrupt by pin
    if ((get(s, NvmeState.MASK) >> load<u32>(cq, NvmeCq.VECTOR) & 1) == 0) level = true;
  }
  intxLevel(b, fn, level);
}

function fire(b: usize, fn: u32, s: usize, vector: u32): void {
  set(s, NvmeState.WAITING + (vector << 2), 0);
  store<u64>(s + NvmeState.UNTIL + (vector << 3), u64.MAX_VALUE);
  for (let id: u32 = 0; id < <u32>Nvme.QUEUES; id++) {
    const cq = cqPtr(s, id);
    if (load<u32>(cq, NvmeCq.ENTRIES) == 0 || load<u32>(cq, NvmeCq.VECTOR) != vector) continue;
    if (load<u32>(cq, NvmeCq.INTERRUPTS) != 0 && !cqEmpty(cq)) store<u32>(cq, 1, NvmeCq.SIGNALED);
  }
  if (msixEnabled(b, fn)) msixRequest(b, fn, vector);
  else if (msiEnabled(b, fn)) {
    if (get(s, NvmeState.MASK) >> vector & 1) set(s, NvmeState.HELD, get(s, NvmeState.HELD) | <u32>1 << vector);
    else msiRequest(b, fn, vector);
  }
}

/** The earliest vector whose time is not up yet. */
function deadlineUpdate(b: usize, fn: u32, s: usize): void {
  let earliest = u64.MAX_VALUE;
  for (let v: u32 = 0; v < <u32>Nvme.VECTORS; v++) earliest = min(earliest, load<u64>(s + NvmeState.UNTIL + (v << 3)));
  deadlineSet(b, fn, earliest);
}

/** An entry was posted. */
export function interruptPosted(b: usize, fn: u32, s: usize, id: u32): void {
  const cq = cqPtr(s, id);
  if (load<u32>(cq, NvmeCq.INTERRUPTS) == 0) return;
  const vector = load<u32>(cq, NvmeCq.VECTOR);
  const coalescing = get(s, NvmeState.FEATURES + (NvmeFeature.COALESCING << 2));
  const time = coalescing >> 8 & 0xff;
  const waiting = get(s, NvmeState.WAITING + (vector << 2)) + 1;
  const off = id == 0 || time == 0 || (coalescing & 0xff) == 0
    || (get(s, NvmeState.VECTOR_CONFIG + (vector << 2)) & COALESCING_OFF) != 0;
  if (off || waiting > (coalescing & 0xff)) fire(b, fn, s, vector);
  else {
    set(s, NvmeState.WAITING + (vector << 2), waiting);
    const until = s + NvmeState.UNTIL + (vector << 3);
    if (load<u64>(until) == u64.MAX_VALUE) store<u64>(until, load<u64>(b, State.NOW) + <u64>time * UNIT_NS);
  }
  deadlineUpdate(b, fn, s);
  pinUpdate(b, fn, s);
}

/** Vectors whose time is up. */
export function nvmeDeadline(b: usize, fn: u32): void {
  const s = deviceState(b, fn);
  const now = load<u64>(b, State.NOW);
  for (let v: u32 = 0; v < <u32>Nvme.VECTORS; v++) if (load<u64>(s + NvmeState.UNTIL + (v << 3)) <= now) fire(b, fn, s, v);
  deadlineUpdate(b, fn, s);
  pinUpdate(b, fn, s);
}

/** The host has taken entries. */
export function interruptTaken(b: usize, fn: u32, s: usize, cq: usize): void {
  if (cqEmpty(cq)) store<u32>(cq, 0, NvmeCq.SIGNALED);
  pinUpdate(b, fn, s);
}

/** INTMS or INTMC: messages that the mask has held go now. */
export function maskSet(b: usize, fn: u32, s: usize, mask: u32): void {
  set(s, NvmeState.MASK, mask);
  let free = get(s, NvmeState.HELD) & ~mask;
  set(s, NvmeState.HELD, get(s, NvmeState.HELD) & mask);
  for (; free != 0; free &= free - 1) msiRequest(b, fn, <u32>ctz(free));
  pinUpdate(b, fn, s);
}
