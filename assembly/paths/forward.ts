// The workload of the comparison, one guest that forwards: every frame that comes in is taken, looked at by the
// guest's CPU, and sent out again from the same buffer. A round is one interrupt with one poll, as NAPI does it.
import { Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import { Service } from '../spec/status';
import { E1000, E1000Icr } from '../spec/e1000';
import { E1000eIcr } from '../spec/e1000e';
import { E1000Driver, E1000Format, ForwardRun } from '../spec/driver';
import { Link } from '../spec/link';
import { FunctionRecord, State } from '../spec/state';
import { count, countBy } from '../memory/state';
import { traceFull } from '../memory/trace';
import { functionRecord, workRequest } from '../bus/functions';
import { intxAsserted } from '../irq/intx';
import { messagesTake } from '../irq/messages';
import { storeMatches } from '../ring/link';
import { dmaTimer, guestPtr } from '../drivers/dma-map';
import { bufferGive, e1000Clean, e1000Receive, e1000Refill, e1000Send, e1000eReceive } from '../drivers/e1000';
import { guestLoad, guestStore } from './guest';
import { serviceRun } from './service';

const UNLIMITED: u32 = 0x7fffffff;
/** Rounds without progress after which the ring is taken to stand still. */
const PATIENCE: u32 = 4;

/** All that is due now, `budget` units at a time. */
@inline
function serviceAll(b: usize, now: u64, budget: u32): void {
  while (serviceRun(b, now, budget) == Service.MORE && !traceFull(b)) {}
}

@inline
function register(b: usize, d: usize, off: u32, value: u32): void {
  guestStore(b, load<u32>(d, E1000Driver.DOMAIN), load<u32>(d, E1000Driver.BAR_VA) + off, 4, value, 0);
}

/** The guest's CPU compares what it received with what was sent; `va` lies within one page. */
@inline
function guestCheck(b: usize, run: usize, d: usize, link: usize, va: u32, len: u32): void {
  const k = load<u64>(run, ForwardRun.RECEIVED);
  store<u64>(run, k + 1, ForwardRun.RECEIVED);
  const ptr = guestPtr(b, load<u32>(d, E1000Driver.DOMAIN), va);
  if (ptr == 0 || (va & Machine.PAGE_MASK) + len > <u32>Machine.PAGE_SIZE || !storeMatches(b, link, k, ptr, len)) {
    store<u64>(run, load<u64>(run, ForwardRun.RECEIVED_MISMATCHES) + 1, ForwardRun.RECEIVED_MISMATCHES);
  }
}

/** The run's own seeded generator: xorshift32 (Marsaglia, 2003). */
@inline
function random(run: usize): u32 {
  let x = load<u32>(run, ForwardRun.ARRIVALS);
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  store<u32>(run, x, ForwardRun.ARRIVALS);
  return x;
}

/** Packets of the next burst on the wire: any number up to a batch. */
@inline
function burst(run: usize, batch: u32): u32 {
  return 1 + random(run) % batch;
}

/** Puts the first buffers on the receive ring and rings its doorbell. */
export function forwardStart(b: usize, runOff: u32): u32 {
  const d = b + load<u32>(b + runOff, ForwardRun.DRIVER);
  const filled = e1000Refill(b, d);
  register(b, d, E1000.RDT, load<u32>(d, E1000Driver.RX_USE));
  return filled;
}

/**
 * Forwards `packets` packets in rounds of at most BATCH. Gives the number done: fewer when nothing moved for some
 * rounds, because the device or the driver has met a fault.
 */
export function forwardRun(b: usize, runOff: u32, packets: u32): u32 {
  const run = b + runOff;
  const d = b + load<u32>(run, ForwardRun.DRIVER);
  const m = b + load<u32>(d, E1000Driver.MAP);
  const link = b + load<u32>(run, ForwardRun.LINK);
  const fn = load<u32>(run, ForwardRun.FUNCTION);
  const dom = load<u32>(d, E1000Driver.DOMAIN);
  const bar = load<u32>(d, E1000Driver.BAR_VA);
  const line = load<u32>(functionRecord(b, fn), FunctionRecord.INTX_LINE);
  // the driver of the 82574L has MSI-X: its messages are taken here, where its handlers would be called
  const extended = load<u32>(d, E1000Driver.FORMAT) == E1000Format.EXTENDED;
  const requester = load<u32>(functionRecord(b, fn), FunctionRecord.SID);
  const batch = load<u32>(run, ForwardRun.BATCH);
  const budget = load<u32>(run, ForwardRun.BUDGET) == 0 ? UNLIMITED : load<u32>(run, ForwardRun.BUDGET);
  let done: u32 = 0;
  let offered: u32 = 0;
  let idle: u32 = 0;
  while (done < packets && idle < PATIENCE) {
    // more than was offered when frames had been under way before the run
    if (offered <= done) {
      if (traceFull(b)) break;
      const more = min<u32>(burst(run, batch), packets - done);
      store<u64>(link, load<u64>(link, Link.LIMIT) + more, Link.LIMIT);
      offered = done + more;
      workRequest(b, fn);
    }
    serviceAll(b, load<u64>(b, State.NOW), budget);
    if (extended) countBy(b, Counter.DRIVER_INTERRUPTS, messagesTake(b, requester));
    else if (intxAsserted(b, line)) {
      count(b, Counter.DRIVER_INTERRUPTS);
      guestLoad(b, dom, bar + E1000.ICR, 4);
      register(b, d, E1000.IMC, E1000Icr.ALL);
    }
    let taken: u32 = 0;
    let wire: u64 = 0;
    e1000Clean(b, d);
    // a lossless trace that is full ends the round: what has come stays on the ring for the next call
    while (taken < batch && done + taken < packets && !traceFull(b)) {
      const va = extended ? e1000eReceive(b, d) : e1000Receive(b, d);
      if (va == 0) break;
      const len = load<u32>(d, E1000Driver.RECEIVED_LEN);
      guestCheck(b, run, d, link, va, len);
      if (len != 0 && e1000Send(b, d, va, len)) store<u64>(run, load<u64>(run, ForwardRun.SENT) + 1, ForwardRun.SENT);
      else bufferGive(d, va);
      // the stack tells the driver when more is coming; where it does not, the doorbell rings at once
      if ((random(run) & 7) == 0) register(b, d, E1000.TDT, load<u32>(d, E1000Driver.TX_USE));
      // preamble, FCS and gap: 24 bytes beside the frame
      wire += len + 24;
      taken++;
    }
    e1000Refill(b, d);
    if (taken != 0) {
      register(b, d, E1000.RDT, load<u32>(d, E1000Driver.RX_USE));
      register(b, d, E1000.TDT, load<u32>(d, E1000Driver.TX_USE));
    }
    register(b, d, E1000.IMS,
      extended ? E1000eIcr.RXQ0 | E1000eIcr.TXQ0 : E1000Icr.RXT0 | E1000Icr.TXDW | E1000Icr.LSC);
    const rate = load<u32>(link, Link.RATE_MBPS);
    const now = load<u64>(b, State.NOW) + (rate == 0 ? 0 : wire * 8000 / rate);
    serviceAll(b, now, budget);
    dmaTimer(b, m);
    done += taken;
    idle = taken == 0 ? idle + 1 : 0;
  }
  // the last frames go out, and their buffers come back
  serviceAll(b, load<u64>(b, State.NOW), budget);
  e1000Clean(b, d);
  return done;
}
