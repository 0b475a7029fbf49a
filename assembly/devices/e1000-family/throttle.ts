// Throttling (§13.4.18; 82574L: ITR, EITR): a least distance between two interrupts, in virtual time.
import { E1000State } from '../../spec/e1000-state';
import { deviceState } from '../../bus/functions';
import { deadlineUpdate, timeNow } from './deadlines';

/** Intervals count in 256 ns. */
const THROTTLE_SHIFT: u64 = 8;

/**
 * Whether an interrupt has to wait for the time at `until`: then a timer tries again. One that may go starts the next
 * interval.
 */
export function throttled(b: usize, fn: u32, until: usize, interval: u32): bool {
  const now = timeNow(b);
  const time = load<u64>(until);
  if (now < time) {
    const device = deviceState(b, fn);
    const timer = load<u64>(device, E1000State.TIMER_INTERRUPT);
    if (timer != 0 && timer <= time) return true;
    store<u64>(device, time, E1000State.TIMER_INTERRUPT);
    deadlineUpdate(b, fn);
    return true;
  }
  store<u64>(until, now + (<u64>interval << THROTTLE_SHIFT));
  return false;
}
