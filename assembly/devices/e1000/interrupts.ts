// Interrupt causes (§13.4.17 to 13.4.21). ICR keeps what happened, IMS what of it may interrupt; the line is asserted
// while they have a bit in common, but not sooner after the last assertion than ITR says.
import { E1000, E1000Icr } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { FunctionRecord } from '../../spec/state';
import { deviceState, functionRecord } from '../../bus/functions';
import { intxLevel } from '../../irq/intx';
import { blockOf, get, set } from './block';
import { deadlineUpdate, timeNow } from './deadlines';

/** ITR counts in 256 ns (§13.4.18). */
const THROTTLE_SHIFT: u64 = 8;

/**
 * The line changes: up only when the last time it went up is long enough ago, else a timer tries again. Exported to
 * stay out of line.
 */
export function levelChange(b: usize, fn: u32, block: usize, wanted: bool): void {
  const interval = get(block, E1000.ITR);
  if (interval != 0 && wanted) {
    const device = deviceState(b, fn);
    const now = timeNow(b);
    const until = load<u64>(device, E1000State.THROTTLED_UNTIL);
    if (now < until) {
      if (load<u64>(device, E1000State.TIMER_INTERRUPT) == until) return;
      store<u64>(device, until, E1000State.TIMER_INTERRUPT);
      deadlineUpdate(b, fn);
      return;
    }
    store<u64>(device, now + (<u64>interval << THROTTLE_SHIFT), E1000State.THROTTLED_UNTIL);
  }
  intxLevel(b, fn, wanted);
}

@inline
function levelUpdate(b: usize, fn: u32, block: usize): void {
  const wanted = (get(block, E1000.ICR) & get(block, E1000.IMS)) != 0;
  if (wanted != (load<u32>(functionRecord(b, fn), FunctionRecord.INTX_LEVEL) != 0)) levelChange(b, fn, block, wanted);
}

/** Something happened. */
@inline
export function causesRaise(b: usize, fn: u32, causes: u32): void {
  const block = blockOf(b, fn, E1000.ICR);
  set(block, E1000.ICR, get(block, E1000.ICR) | causes);
  levelUpdate(b, fn, block);
}

/** Reading ICR takes all causes away. */
export function causesRead(b: usize, fn: u32): u32 {
  const block = blockOf(b, fn, E1000.ICR);
  const causes = get(block, E1000.ICR);
  set(block, E1000.ICR, 0);
  levelUpdate(b, fn, block);
  return causes;
}

/** ICR: ones clear. */
export function causesClear(b: usize, fn: u32, value: u32): void {
  const block = blockOf(b, fn, E1000.ICR);
  set(block, E1000.ICR, get(block, E1000.ICR) & ~value);
  levelUpdate(b, fn, block);
}

/** IMS: ones enable. */
export function maskSet(b: usize, fn: u32, value: u32): void {
  const block = blockOf(b, fn, E1000.IMS);
  set(block, E1000.IMS, get(block, E1000.IMS) | (value & E1000Icr.ALL));
  levelUpdate(b, fn, block);
}

/** IMC: ones disable. */
export function maskClear(b: usize, fn: u32, value: u32): void {
  const block = blockOf(b, fn, E1000.IMS);
  set(block, E1000.IMS, get(block, E1000.IMS) & ~value);
  levelUpdate(b, fn, block);
}

/** After a write of ITR. A new interval holds from the next interrupt on; 0 lets a held one go at once. */
export function throttleWrite(b: usize, fn: u32): void {
  levelUpdate(b, fn, blockOf(b, fn, E1000.ITR));
}
