// Interrupt causes (§13.4.17 to 13.4.21). ICR keeps what happened, IMS what of it may interrupt. With INTx the line is
// asserted while they have a bit in common, but not sooner after the last assertion than ITR says; with messages see
// messages.ts.
import { E1000 } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { FunctionFlag, FunctionRecord } from '../../spec/state';
import { deviceState, functionFlags, functionRecord } from '../../bus/functions';
import { intxLevel } from '../../irq/intx';
import { blockOf, get, set } from './block';
import { queueCauses, messagesUpdate } from './messages';
import { throttled } from './throttle';

const MESSAGES: u32 = FunctionFlag.MSI_ENABLE | FunctionFlag.MSIX_ENABLE;

/**
 * The line changes: up only when the last time it went up is long enough ago, else a timer tries again. Exported to
 * stay out of line.
 */
export function levelChange(b: usize, fn: u32, block: usize, wanted: bool): void {
  const interval = get(block, E1000.ITR);
  const device = deviceState(b, fn);
  if (interval != 0 && wanted && throttled(b, fn, device + E1000State.THROTTLED_UNTIL, interval)) return;
  store<u32>(device, 0, E1000State.REPORTED);
  intxLevel(b, fn, wanted);
}

@inline
function levelUpdate(b: usize, fn: u32, block: usize): void {
  const wanted = (get(block, E1000.ICR) & get(block, E1000.IMS)) != 0;
  if (wanted != (load<u32>(functionRecord(b, fn), FunctionRecord.INTX_LEVEL) != 0)) levelChange(b, fn, block, wanted);
}

/** ICR, IMS or what throttles interrupts has changed. */
@inline
export function interruptUpdate(b: usize, fn: u32, block: usize): void {
  if (functionFlags(b, fn) & MESSAGES) messagesUpdate(b, fn, block);
  else levelUpdate(b, fn, block);
}

/** Something happened. */
@inline
export function causesRaise(b: usize, fn: u32, causes: u32): void {
  const block = blockOf(b, fn, E1000.ICR);
  if (functionFlags(b, fn) & MESSAGES) {
    set(block, E1000.ICR, get(block, E1000.ICR) | queueCauses(b, fn, causes));
    return messagesUpdate(b, fn, block);
  }
  set(block, E1000.ICR, get(block, E1000.ICR) | causes);
  levelUpdate(b, fn, block);
}

/** Reading ICR takes all causes away. */
export function causesRead(b: usize, fn: u32): u32 {
  const block = blockOf(b, fn, E1000.ICR);
  const causes = get(block, E1000.ICR);
  set(block, E1000.ICR, 0);
  interruptUpdate(b, fn, block);
  return causes;
}

/** ICS: ones happen. */
export function causesSet(b: usize, fn: u32, value: u32): void {
  const block = blockOf(b, fn, E1000.ICR);
  set(block, E1000.ICR, get(block, E1000.ICR) | value);
  interruptUpdate(b, fn, block);
}

/** ICR: ones clear. */
export function causesClear(b: usize, fn: u32, value: u32): void {
  const block = blockOf(b, fn, E1000.ICR);
  set(block, E1000.ICR, get(block, E1000.ICR) & ~value);
  interruptUpdate(b, fn, block);
}

/** IMS: ones enable. */
export function maskSet(b: usize, fn: u32, value: u32): void {
  const block = blockOf(b, fn, E1000.IMS);
  set(block, E1000.IMS, get(block, E1000.IMS) | value);
  interruptUpdate(b, fn, block);
}

/** IMC: ones disable. */
export function maskClear(b: usize, fn: u32, value: u32): void {
  const block = blockOf(b, fn, E1000.IMS);
  set(block, E1000.IMS, get(block, E1000.IMS) & ~value);
  interruptUpdate(b, fn, block);
}

/** After a write of a throttling register. A new interval holds from the next interrupt on; 0 lets a held one go. */
export function throttleWrite(b: usize, fn: u32): void {
  interruptUpdate(b, fn, blockOf(b, fn, E1000.ITR));
}
