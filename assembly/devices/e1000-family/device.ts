import { E1000State } from '../../spec/e1000-state';
import { deviceState, workDone } from '../../bus/functions';
import { receiveStep } from './receive';
import { Outcome } from './step';
import { transmitStep } from './transmit';

/**
 * One step of deferred work. The directions take turns; one that has nothing to do, or has to wait, leaves the step to
 * the other and keeps its turn.
 */
export function familyStep(b: usize, fn: u32): bool {
  const device = deviceState(b, fn);
  const turn = load<u32>(device, E1000State.TURN);
  const first = turn == 0 ? receiveStep(b, fn) : transmitStep(b, fn);
  if (first == Outcome.DONE) {
    store<u32>(device, turn ^ 1, E1000State.TURN);
    return true;
  }
  const second = turn == 0 ? transmitStep(b, fn) : receiveStep(b, fn);
  if (second == Outcome.DONE) return true;
  if (first == Outcome.IDLE && second == Outcome.IDLE) workDone(b, fn);
  return false;
}
