// `service`: everything that was deferred. Peers' writes first, in order; then one step of each function in turn,
// until the budget is gone or nobody can go on. A unit is a descriptor fetched, a piece copied or a table read; a
// step that goes over its budget pays from the next one.
import { Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import { Service } from '../spec/status';
import { IommuState, Vtd } from '../spec/vtd';
import { PeerEntry, State } from '../spec/state';
import { traceFull } from '../memory/trace';
import { messagePush, messagesHaveRoom } from '../irq/messages';
import { peerPeek, peerPop, decodeAt } from '../dma/peer';
import { vtdGet } from '../iommu/fault';
import { deadlinesCheck, deviceStep } from './dispatch';
import { pageWrite } from './registers';

@inline
function units(b: usize): u64 {
  return load<u64>(b + State.COUNTERS + (<usize>Counter.SERVICE_UNITS << 3));
}

/** Performs one queued peer write, dword by dword; what is left over at the ends goes by byte. */
function peerServe(b: usize, entry: usize): void {
  const len = load<u32>(entry, PeerEntry.LEN);
  const mpa = load<u64>(entry, PeerEntry.MPA);
  const data = entry + PeerEntry.DATA;
  let done: u32 = 0;
  while (done < len) {
    const whole = ((<u32>mpa + done) & 3) == 0 && len - done >= 4;
    const at = decodeAt(b, mpa + done);
    const width: u32 = whole ? 4 : 1;
    // the BAR may have moved since: then the write is lost, as it is on a bus
    if (at != 0) {
      pageWrite(b, b + (<usize>(at >> 32) << 4), <u32>at, width, whole ? load<u32>(data + done) : load<u8>(data + done), 0);
    }
    done += width;
  }
}

/**
 * The unit's own interrupts: its fault and completion events are not remapped. They are sent as soon as the step that
 * brought them is over, so that their place among the devices' messages does not depend on the budget.
 */
@inline
function eventsSend(b: usize): void {
  // FAULT_EVENT and COMPLETION_EVENT
  if (load<u64>(b + State.IOMMU, IommuState.FAULT_EVENT) != 0) eventsPush(b, b + State.IOMMU);
}

function eventsPush(b: usize, iommu: usize): void {
  if (load<u32>(iommu, IommuState.FAULT_EVENT) != 0 && messagesHaveRoom(b)) {
    store<u32>(iommu, 0, IommuState.FAULT_EVENT);
    const data = vtdGet(b, Vtd.FEDATA);
    messagePush(b, 0xffffffff, data & 0x87ff, (vtdGet(b, Vtd.FEADDR) >> 12) & 0xff, data);
  }
  if (load<u32>(iommu, IommuState.COMPLETION_EVENT) != 0 && messagesHaveRoom(b)) {
    store<u32>(iommu, 0, IommuState.COMPLETION_EVENT);
    const data = vtdGet(b, Vtd.IEDATA);
    messagePush(b, 0xffffffff, data & 0x87ff, (vtdGet(b, Vtd.IEADDR) >> 12) & 0xff, data);
  }
}

/** Works for at most `budget` units at virtual time `now` (ns; it never goes back). */
export function serviceRun(b: usize, now: u64, budget: u32): Service {
  if (now > load<u64>(b, State.NOW)) store<u64>(b, now, State.NOW);
  deadlinesCheck(b);
  const debt = load<u32>(b, State.DEBT);
  if (debt >= budget) {
    store<u32>(b, debt - budget, State.DEBT);
    return Service.MORE;
  }
  store<u32>(b, 0, State.DEBT);
  const start = units(b);
  const limit = <u64>(budget - debt);
  let fn = load<u32>(b, State.NEXT_FUNCTION);
  let idle: u32 = 0;
  while (idle < <u32>Machine.FUNCTIONS) {
    eventsSend(b);
    const spent = units(b) - start;
    // a full trace ends the batch like a spent budget, and nothing is lost
    if (spent >= limit || traceFull(b)) {
      store<u32>(b, spent > limit ? <u32>(spent - limit) : 0, State.DEBT);
      store<u32>(b, fn, State.NEXT_FUNCTION);
      return Service.MORE;
    }
    const peer = peerPeek(b);
    if (peer != 0) {
      peerServe(b, peer);
      peerPop(b);
      const ptr = b + State.COUNTERS + (<usize>Counter.SERVICE_UNITS << 3);
      store<u64>(ptr, load<u64>(ptr) + 1);
      idle = 0;
      continue;
    }
    // straight to the next function that has work: stepping over 63 idle slots tripled the time of a frame
    const work = load<u64>(b, State.WORK);
    if (work == 0) break;
    const skip = <u32>ctz(rotr(work, fn));
    fn = (fn + skip) & (Machine.FUNCTIONS - 1);
    idle = deviceStep(b, fn, <u32>min<u64>(limit - spent, 0xffff)) ? 0 : idle + skip + 1;
    fn = (fn + 1) & (Machine.FUNCTIONS - 1);
  }
  store<u32>(b, fn, State.NEXT_FUNCTION);
  eventsSend(b);
  return load<u64>(b, State.WORK) != 0 ? Service.PENDING : Service.IDLE;
}
