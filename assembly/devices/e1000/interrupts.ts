// Interrupt causes (§13.4.17 to 13.4.21). ICR keeps what happened, IMS what of it may interrupt; the line is asserted
// while they have a bit in common.
import { E1000, E1000Icr } from '../../spec/e1000';
import { intxLevel } from '../../irq/intx';
import { blockOf, get, set } from './block';

@inline
function levelUpdate(b: usize, fn: u32, block: usize): void {
  intxLevel(b, fn, (get(block, E1000.ICR) & get(block, E1000.IMS)) != 0);
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
