// Interrupts as messages (82574L, 7.4): one MSI for all causes, or MSI-X with a vector for each queue and one for all
// else, by IVAR. A message goes when a cause comes that is not masked; what is held by ITR or EITR goes later.
import { E1000, E1000Icr } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { E1000e, E1000eCtrlExt, E1000eIcr, E1000eIvar } from '../../spec/e1000e';
import { deviceState } from '../../bus/functions';
import { msiRequest, msixEnabled, msixRequest } from '../../dma/message';
import { intxLevel } from '../../irq/intx';
import { get, set } from './block';
import { throttled } from './throttle';

/** With MSI-X, what the rings report is a cause of their queue, and OTHER stands for the rest. */
export function queueCauses(b: usize, fn: u32, causes: u32): u32 {
  if (!msixEnabled(b, fn)) return causes;
  const receive: u32 = E1000Icr.RXT0 | E1000Icr.RXDMT0;
  let all = causes & ~(receive | E1000Icr.TXDW);
  if (causes & receive) all |= E1000eIcr.RXQ0;
  if (causes & E1000Icr.TXDW) all |= E1000eIcr.TXQ0;
  return causes & E1000eIcr.OTHER_CAUSES ? all | E1000eIcr.OTHER : all;
}

/** The causes that IVAR gives to a vector. */
function causesOf(ivar: u32, vector: u32): u32 {
  let causes: u32 = 0;
  for (let i: u32 = 0; i < <u32>E1000eIvar.ENTRIES; i++) {
    const entry = ivar >> (i << E1000eIvar.ENTRY_SHIFT);
    if ((entry & E1000eIvar.VALID) != 0 && (entry & E1000eIvar.VECTOR_MASK) == vector) {
      causes |= <u32>1 << (E1000eIcr.QUEUE_SHIFT + i);
    }
  }
  return causes;
}

/** Asks for the messages of these causes; gives those that are held. */
function vectorsSend(b: usize, fn: u32, block: usize, device: usize, fresh: u32): u32 {
  const ivar = get(block, E1000e.IVAR);
  let held: u32 = 0;
  for (let vector: u32 = 0; vector < <u32>E1000e.VECTORS; vector++) {
    const causes = fresh & causesOf(ivar, vector);
    if (causes == 0) continue;
    const interval = get(block, E1000e.EITR + (vector << 2));
    if (interval != 0 && throttled(b, fn, device + E1000State.VECTORS_UNTIL + (vector << 3), interval)) {
      held |= causes;
      continue;
    }
    msixRequest(b, fn, vector);
    // what is cleared and masked without software doing it
    set(block, E1000.ICR, get(block, E1000.ICR) & ~(causes & get(block, E1000e.EIAC)));
    if (get(block, E1000.CTRL_EXT) & E1000eCtrlExt.EIAME) {
      set(block, E1000.IMS, get(block, E1000.IMS) & ~(causes & get(block, E1000e.IAM)));
    }
  }
  return held;
}

@inline
function active(block: usize): u32 {
  return get(block, E1000.ICR) & get(block, E1000.IMS);
}

export function messagesUpdate(b: usize, fn: u32, block: usize): void {
  const device = deviceState(b, fn);
  const fresh = active(block) & ~load<u32>(device, E1000State.REPORTED);
  let held: u32 = 0;
  if (fresh != 0) {
    if (msixEnabled(b, fn)) held = vectorsSend(b, fn, block, device, fresh);
    else {
      const interval = get(block, E1000.ITR);
      if (interval != 0 && throttled(b, fn, device + E1000State.THROTTLED_UNTIL, interval)) held = fresh;
      else msiRequest(b, fn, 0);
    }
  }
  store<u32>(device, active(block) & ~held, E1000State.REPORTED);
  // no pin shows it before messages are turned off
  intxLevel(b, fn, active(block) != 0);
}
