// The timers of the device in virtual time. The function has one deadline: that of the earliest of them.
import { E1000State } from '../../spec/e1000-state';
import { State } from '../../spec/state';
import { deadlineSet, deviceState } from '../../bus/functions';

@inline
export function timeNow(b: usize): u64 {
  return load<u64>(b, State.NOW);
}

/** Whether a timer runs and its time has come; `timer` is one of E1000State.TIMER_*. */
@inline
export function timerDue(b: usize, device: usize, timer: usize): bool {
  const time = load<u64>(device + timer);
  return time != 0 && time <= timeNow(b);
}

/** After timers have been set or stopped. */
export function deadlineUpdate(b: usize, fn: u32): void {
  const timers = deviceState(b, fn) + E1000State.TIMER_RX;
  let earliest = u64.MAX_VALUE;
  for (let i: u32 = 0; i < <u32>E1000State.TIMERS; i++) {
    const time = load<u64>(timers + (i << 3));
    if (time != 0 && time < earliest) earliest = time;
  }
  deadlineSet(b, fn, earliest);
}
