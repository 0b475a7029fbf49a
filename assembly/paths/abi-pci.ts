// The exports for buses, the enhanced config space and interrupts of a host's own devices; the others are in abi.ts.
import { busy, enter, leave, left } from '../memory/lock';
import { functionPresent } from '../bus/functions';
import { barsMovedClear } from '../bus/decode';
import { intxLevel } from '../irq/intx';
import { messageRequest } from '../dma/message';
import * as config from './config';
import * as filter from './config-filter';
import * as resets from './reset';

/** The enhanced config space, by offset from its first byte; the high half of an eight-byte read is in RESULT_HI. */
export function ecamRead(off: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0xffffffff : leave(b, config.ecamRead(b, off, width));
}

export function ecamWrite(off: u32, width: u32, lo: u32, hi: u32): void {
  const b = enter();
  if (busy(b)) return;
  filter.ecamWrite(b, off, width, lo, hi, false);
  left(b);
}

/** The same by the kernel of the first domain, of which the hypervisor does not let everything through. */
export function ecamWriteOwner(off: u32, width: u32, lo: u32, hi: u32): void {
  const b = enter();
  if (busy(b)) return;
  filter.ecamWrite(b, off, width, lo, hi, true);
  left(b);
}

/** Resets everything behind a bridge. `BARS_MOVED` tells which functions lost BARs, as below. */
export function busReset(bridge: u32): void {
  const b = enter();
  if (busy(b)) return;
  barsMovedClear(b);
  if (functionPresent(b, bridge)) resets.busReset(b, bridge);
  left(b);
}

/** Resets all functions, the IOMMU and the queues; memory, domains and rights stay. */
export function systemReset(): void {
  const b = enter();
  if (busy(b)) return;
  barsMovedClear(b);
  resets.systemReset(b);
  left(b);
}

/**
 * The interrupt of a device that is not one of ours: a message, MSI-X or MSI, whichever is on; 0 when neither is, and
 * INTx is the way.
 */
export function functionMessage(fn: u32, vector: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave<u32>(b, functionPresent(b, fn) && messageRequest(b, fn, vector) ? 1 : 0);
}

/** Its INTx level. */
export function functionIntx(fn: u32, level: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn)) intxLevel(b, fn, level != 0);
  left(b);
}
