// Receive (§3.2): one frame from the link through the filter into as many buffers as it needs. The data of all of
// them first, then the write-backs, then everything else that software can see; so a step that memory cannot take
// now has changed nothing but bytes that will be written again.
import { E1000, E1000Ctrl, E1000Frame, E1000Icr, E1000Rctl, E1000Rxd } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { E1000e, E1000eRfctl } from '../../spec/e1000e';
import { LinkLimit } from '../../spec/link';
import { Counter } from '../../spec/counters';
import { Status } from '../../spec/status';
import { count, countBy } from '../../memory/state';
import { deviceState } from '../../bus/functions';
import { dmaRead, dmaWrite } from '../../dma/dma';
import { linkFrameLen, linkFramePtr, linkFrameTaken, linkWaiting } from '../../ring/link';
import { blockOf, get, set } from './block';
import { Destination, destinationOf, filterPasses } from './filter';
import { causesRaise } from './interrupts';
import { linkOf } from './link-state';
import { extendedFirst, extendedSecond } from './receive-extended';
import { REPORT_PLAIN, frameReport, reportStripped } from './receive-offload';
import { descriptorAt, ringBase, ringIndex, ringNext, ringNumber } from './ring';
import { statAdd64, statCount, statistics, statSize } from './statistics';
import { Outcome } from './step';
import { receiveDelayed } from './timers';

const BUFFER_MAX: u32 = 16384;

/** Bytes of each receive buffer (§13.4.22). */
@inline
function bufferSize(rctl: u32): u32 {
  const code = (rctl & E1000Rctl.BSIZE_MASK) >> E1000Rctl.BSIZE_SHIFT;
  // 00 is reserved with BSEX; it stands for the largest size here
  return rctl & E1000Rctl.BSEX ? min<u32>(2 * BUFFER_MAX >> code, BUFFER_MAX) : <u32>2048 >> code;
}

@inline
function lengthWrong(rctl: u32, wire: u32): bool {
  return wire > <u32>(rctl & E1000Rctl.LPE ? E1000Frame.MAX_LONG : E1000Frame.MAX) || wire < <u32>E1000Frame.MIN;
}

@inline
function freeDescriptors(head: u32, tail: u32, number: u32): u32 {
  return tail >= head ? tail - head : tail + number - head;
}

/** The frame leaves the link and is counted; `wire` is its length with FCS. */
@inline
function taken(b: usize, link: usize, stats: usize, wire: u32): void {
  linkFrameTaken(b, link);
  statCount(stats, E1000.TPR);
  statAdd64(stats, E1000.TORL, wire);
}

/**
 * A frame that nobody gets: not for this port, or too long or too short. Costs a unit of the budget, as no
 * descriptor does it. Exported to stay out of line.
 */
export function frameDrop(b: usize, fn: u32, link: usize, wire: u32, passed: bool): Outcome {
  const stats = statistics(b, fn);
  taken(b, link, stats, wire);
  if (passed) lengthError(stats, wire);
  count(b, Counter.SERVICE_UNITS);
  return Outcome.DONE;
}

export function lengthError(stats: usize, wire: u32): void {
  statCount(stats, E1000.RLEC);
  statCount(stats, wire < <u32>E1000Frame.MIN ? E1000.RUC : E1000.ROC);
}

/**
 * A transfer of the ring faulted: the frame is lost, and the ring stands still until software looks after it.
 * Exported to stay out of line.
 */
export function receiveStop(b: usize, fn: u32, link: usize, stats: usize, wire: u32): Outcome {
  const device = deviceState(b, fn);
  store<u32>(device, 1, E1000State.RX_STOPPED);
  store<u32>(device, load<u32>(device, E1000State.DMA_FAULTS) + 1, E1000State.DMA_FAULTS);
  taken(b, link, stats, wire);
  statCount(stats, E1000.MPC);
  // what counts in MPC sets RXO (§13.7.5)
  causesRaise(b, fn, E1000Icr.RXO);
  return Outcome.DONE;
}

/** Whether the free descriptors have just come down to the threshold (§3.2.7.3). */
@inline
function thresholdReached(rctl: u32, number: u32, before: u32, after: u32): bool {
  const threshold = number >> (((rctl >> E1000Rctl.RDMTS_SHIFT) & 3) + 1);
  return before > threshold && after <= threshold;
}

/**
 * Stores the frame of `total` bytes at `frame` in the buffers from `head` on. `plain` and `extended` are constants: a
 * good frame that is no multicast, whose interrupt is not delayed; descriptors of the 82574L, whose first half is
 * written back too and is `first` then.
 */
@inline
function frameStore(
  b: usize, fn: u32, device: usize, link: usize, block: usize, number: u32, head: u32, tail: u32, rctl: u32,
  frame: usize, len: u32, total: u32, report: u64, first: u64, kind: Destination,
  plain: bool, extended: bool,
): Outcome {
  const stats = statistics(b, fn);
  const wire = len + LinkLimit.FCS;
  const base = ringBase(block, E1000.RDBAL);
  const free = freeDescriptors(head, tail, number);
  const size = bufferSize(rctl);
  if (free * size < total) return Outcome.IDLE;

  const descriptor = device + E1000State.DESCRIPTOR;
  let index = head;
  let done: u32 = 0;
  while (done < total) {
    let status = dmaRead(b, fn, descriptorAt(base, index), E1000Rxd.SIZE_OF, descriptor);
    if (status == Status.PENDING) return Outcome.PENDING;
    // where nothing answers there is no descriptor to go by
    if (status != Status.OK) return receiveStop(b, fn, link, stats, wire);
    count(b, Counter.DESCRIPTOR_FETCHES);
    const part = min<u32>(total - done, size);
    status = dmaWrite(b, fn, load<u64>(descriptor, E1000Rxd.BUFFER), part, frame + done);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (status == Status.FAULT || status == Status.REFUSED) return receiveStop(b, fn, link, stats, wire);
    done += part;
    index = ringNext(index, number);
  }

  index = head;
  done = 0;
  while (done < total) {
    const part = min<u32>(total - done, size);
    done += part;
    const bits = <u64>(E1000Rxd.STATUS_DD | (done == total ? E1000Rxd.STATUS_EOP : 0));
    let status: Status;
    if (extended) {
      store<u64>(descriptor, first >> 32 << 32);
      store<u64>(descriptor, extendedSecond(report, first, part, bits), E1000Rxd.LENGTH);
      status = dmaWrite(b, fn, descriptorAt(base, index), E1000Rxd.SIZE_OF, descriptor);
    } else {
      store<u64>(descriptor, part | report | bits << (E1000Rxd.STATUS - E1000Rxd.LENGTH << 3), E1000Rxd.LENGTH);
      status = dmaWrite(b, fn, descriptorAt(base, index) + E1000Rxd.LENGTH, 8, descriptor + E1000Rxd.LENGTH);
    }
    if (status == Status.PENDING) return Outcome.PENDING;
    if (status == Status.FAULT || status == Status.REFUSED) return receiveStop(b, fn, link, stats, wire);
    count(b, Counter.DESCRIPTOR_WRITEBACKS);
    index = ringNext(index, number);
  }

  set(block, E1000.RDH, index);
  taken(b, link, stats, wire);
  if (!plain && lengthWrong(rctl, wire)) lengthError(stats, wire);
  else {
    statCount(stats, E1000.GPRC);
    statAdd64(stats, E1000.GORCL, wire);
    statSize(stats, E1000.PRC64, wire);
    if (kind == Destination.BROADCAST) statCount(stats, E1000.BPRC);
    else if (!plain && kind == Destination.MULTICAST) statCount(stats, E1000.MPRC);
  }
  count(b, Counter.RX_FRAMES);
  countBy(b, Counter.RX_BYTES, len);
  const left = freeDescriptors(index, tail, number);
  let causes: u32 = plain ? E1000Icr.RXT0 : receiveDelayed(b, fn, block, total);
  if (thresholdReached(rctl, number, free, left)) causes |= E1000Icr.RXDMT0;
  if (causes != 0) causesRaise(b, fn, causes);
  return Outcome.DONE;
}

/** Any other frame. Exported to stay out of line. */
export function frameStoreOther(
  b: usize, fn: u32, link: usize, block: usize, rctl: u32, frame: usize, len: u32, kind: Destination,
): Outcome {
  const wire = len + LinkLimit.FCS;
  const device = deviceState(b, fn);
  const number = ringNumber(block, E1000.RDBAL);
  const head = ringIndex(block, E1000.RDH, number);
  const tail = ringIndex(block, E1000.RDT, number);
  const report = frameReport(b, fn, rctl, frame, wire, kind);
  let total = rctl & E1000Rctl.SECRC ? len : wire;
  if (reportStripped(report)) {
    frame = device + E1000State.RX_BUFFER;
    total -= E1000Frame.TAG_SIZE;
  }
  const rfctl = get(blockOf(b, fn, E1000e.RFCTL), E1000e.RFCTL);
  if (rfctl & E1000eRfctl.EXSTEN) {
    const first = extendedFirst(b, fn, frame, total, report);
    return frameStore(b, fn, device, link, block, number, head, tail, rctl, frame, len, total, report, first, kind,
      false, true);
  }
  return frameStore(b, fn, device, link, block, number, head, tail, rctl, frame, len, total, report, 0, kind,
    false, false);
}

/** Takes one frame off the link. */
export function receiveStep(b: usize, fn: u32): Outcome {
  const device = deviceState(b, fn);
  const link = linkOf(b, device);
  if (link == 0 || !linkWaiting(b, link)) return Outcome.IDLE;
  const control = blockOf(b, fn, E1000.RCTL);
  const rctl = get(control, E1000.RCTL);
  if ((rctl & E1000Rctl.EN) == 0 || load<u32>(device, E1000State.RX_STOPPED) != 0) return Outcome.IDLE;

  const frame = linkFramePtr(b, link);
  const len = linkFrameLen(link);
  const kind = destinationOf(frame);
  const filter = blockOf(b, fn, E1000.RA);
  const passes = filterPasses(b, fn, filter, rctl, frame, kind);
  const wrong = lengthWrong(rctl, len + LinkLimit.FCS);
  // SBP stores what is wrong with its length, as everything else that passes the filter (§13.4.22)
  if (!passes || (wrong && (rctl & E1000Rctl.SBP) == 0)) return frameDrop(b, fn, link, len + LinkLimit.FCS, passes);

  const block = blockOf(b, fn, E1000.RDBAL);
  const number = ringNumber(block, E1000.RDBAL);
  if (number == 0) return Outcome.IDLE;
  const head = ringIndex(block, E1000.RDH, number);
  const tail = ringIndex(block, E1000.RDT, number);
  if (head == tail) return Outcome.IDLE;
  const special = (get(control, E1000.CTRL) & E1000Ctrl.VME) | get(filter, E1000.RXCSUM) | get(block, E1000.RDTR)
    | get(block, E1000.RSRPD) | (get(filter, E1000e.RFCTL) & E1000eRfctl.EXSTEN);
  if (special != 0 || wrong || kind == Destination.MULTICAST) {
    return frameStoreOther(b, fn, link, block, rctl, frame, len, kind);
  }
  const total = rctl & E1000Rctl.SECRC ? len : len + LinkLimit.FCS;
  return frameStore(b, fn, device, link, block, number, head, tail, rctl, frame, len, total, REPORT_PLAIN, 0, kind,
    true, false);
}
