// ICR of the 82574L (7.4.3, 7.4.4, 10.2.4.1): what a read or a write of it does beyond its own bits depends on the
// kind of interrupt and on automatic masking.
import { E1000 } from '../../spec/e1000';
import { E1000e, E1000eCtrlExt, E1000eIcr } from '../../spec/e1000e';
import { msixEnabled } from '../../dma/message';
import { blockOf, get, set } from '../e1000-family/block';
import { interruptUpdate } from '../e1000-family/interrupts';

/** With IAME, looking at ICR masks what IAM names. */
@inline
function autoMask(block: usize): void {
  set(block, E1000.IMS, get(block, E1000.IMS) & ~get(block, E1000e.IAM));
}

/**
 * A read clears all causes when nothing is enabled, and when an interrupt is asserted: without MSI-X always, with
 * it under automatic masking. Otherwise it changes nothing.
 */
export function icrRead(b: usize, fn: u32): u32 {
  const block = blockOf(b, fn, E1000.ICR);
  const causes = get(block, E1000.ICR);
  const mask = get(block, E1000.IMS);
  const asserted = (causes & mask) != 0;
  const iame = (get(block, E1000.CTRL_EXT) & E1000eCtrlExt.IAME) != 0;
  if (mask == 0 || (asserted && (iame || !msixEnabled(b, fn)))) {
    set(block, E1000.ICR, 0);
    if (asserted && iame) autoMask(block);
    interruptUpdate(b, fn, block);
  }
  return asserted ? causes | <u32>1 << E1000eIcr.INT_ASSERTED_BIT : causes;
}

/** Ones clear; the cell has done that already. */
export function icrWrite(b: usize, fn: u32): void {
  const block = blockOf(b, fn, E1000.ICR);
  if (get(block, E1000.CTRL_EXT) & E1000eCtrlExt.IAME) autoMask(block);
  interruptUpdate(b, fn, block);
}
