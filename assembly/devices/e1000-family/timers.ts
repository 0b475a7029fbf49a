// Delayed interrupts (§3.2.7.1, 3.2.7.2, 13.4.30, 13.4.31, 13.4.41, 13.4.44): a packet timer that each frame winds up
// anew, and an absolute one from the first frame on; the earlier of them raises the cause and stops both. The first
// always runs when the second does.
import { E1000, E1000Icr, E1000Rdtr } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { deviceState } from '../../bus/functions';
import { blockOf, get } from './block';
import { deadlineUpdate, timeNow, timerDue } from './deadlines';
import { causesRaise } from './interrupts';

/** Delays count in 1.024 µs. */
const DELAY_SHIFT: u64 = 10;

/** Winds up the packet timer at `timer`, and starts the absolute one behind it unless it runs or is off. */
function delayStart(b: usize, fn: u32, timer: usize, delay: u32, absolute: u32): void {
  const ptr = deviceState(b, fn) + timer;
  const now = timeNow(b);
  store<u64>(ptr, now + (<u64>delay << DELAY_SHIFT));
  if (absolute != 0 && load<u64>(ptr, 8) == 0) store<u64>(ptr, now + (<u64>absolute << DELAY_SHIFT), 8);
  deadlineUpdate(b, fn);
}

function delayStop(b: usize, fn: u32, timer: usize): void {
  const ptr = deviceState(b, fn) + timer;
  if (load<u64>(ptr) == 0) return;
  store<u64>(ptr, 0);
  store<u64>(ptr, 0, 8);
  deadlineUpdate(b, fn);
}

/** A frame of `size` bytes has been stored: the causes to raise now. */
export function receiveDelayed(b: usize, fn: u32, block: usize, size: u32): u32 {
  const small = get(block, E1000.RSRPD);
  const delay = get(block, E1000.RDTR);
  if (small != 0 && size <= small) {
    delayStop(b, fn, E1000State.TIMER_RX);
    return E1000Icr.RXT0 | E1000Icr.SRPD;
  }
  if (delay == 0) return E1000Icr.RXT0;
  delayStart(b, fn, E1000State.TIMER_RX, delay, get(block, E1000.RADV));
  return 0;
}

/** A descriptor with RS has been written back, with IDE or while a timer runs: the causes to raise now. */
export function transmitDelayed(b: usize, fn: u32, block: usize, delayed: bool): u32 {
  const delay = get(block, E1000.TIDV);
  if (delayed && delay != 0) {
    delayStart(b, fn, E1000State.TIMER_TX, delay, get(block, E1000.TADV));
    return 0;
  }
  delayStop(b, fn, E1000State.TIMER_TX);
  return E1000Icr.TXDW;
}

/** After a write of RDTR: FPD ends the delay at once, and so does a delay of 0 when there was one. */
export function receiveDelayWrite(b: usize, fn: u32, value: u32): void {
  const running = load<u64>(deviceState(b, fn), E1000State.TIMER_RX) != 0;
  const flush = value >> E1000Rdtr.FPD_BIT != 0;
  if (!flush && !(running && get(blockOf(b, fn, E1000.RDTR), E1000.RDTR) == 0)) return;
  delayStop(b, fn, E1000State.TIMER_RX);
  causesRaise(b, fn, E1000Icr.RXT0);
}

export function transmitDelayWrite(b: usize, fn: u32): void {
  if (get(blockOf(b, fn, E1000.TIDV), E1000.TIDV) != 0) return;
  if (load<u64>(deviceState(b, fn), E1000State.TIMER_TX) == 0) return;
  delayStop(b, fn, E1000State.TIMER_TX);
  causesRaise(b, fn, E1000Icr.TXDW);
}

/** The function's deadline has come. Afterwards it lies in the future, or there is none. */
export function familyDeadline(b: usize, fn: u32): void {
  const device = deviceState(b, fn);
  let causes: u32 = 0;
  if (timerDue(b, device, E1000State.TIMER_RX) || timerDue(b, device, E1000State.TIMER_RX_ABSOLUTE)) {
    delayStop(b, fn, E1000State.TIMER_RX);
    causes |= E1000Icr.RXT0;
  }
  if (timerDue(b, device, E1000State.TIMER_TX) || timerDue(b, device, E1000State.TIMER_TX_ABSOLUTE)) {
    delayStop(b, fn, E1000State.TIMER_TX);
    causes |= E1000Icr.TXDW;
  }
  // a held interrupt may have been acknowledged meanwhile: then this finds nothing to do
  if (timerDue(b, device, E1000State.TIMER_INTERRUPT)) store<u64>(device, 0, E1000State.TIMER_INTERRUPT);
  causesRaise(b, fn, causes);
  deadlineUpdate(b, fn);
}
