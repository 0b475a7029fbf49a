// What config space means for the rest: Command bits, power state, messages, bridges. Derived here and nowhere else,
// whenever a config byte has changed.
import { Machine } from '../spec/machine';
import { Msi, Msix, Pci, PciCommand, Pm } from '../spec/pci';
import { FunctionFlag, FunctionRecord } from '../spec/state';
import { functionPresent, functionRecord, workRequest } from '../bus/functions';
import { configWord } from '../bus/config';
import { busNumberApply, isBridge, parentOf, upstreamFlags } from '../bus/bridges';
import { barsUpdate } from '../bus/decode';
import { intxUpdate } from '../irq/intx';
import { vectorsForget, vectorsPending } from '../irq/vectors';

const MESSAGES: u32 = FunctionFlag.MSI_ENABLE | FunctionFlag.MSIX_ENABLE;

function ownFlags(b: usize, fn: u32): u32 {
  const record = functionRecord(b, fn);
  const command = configWord(b, fn, Pci.COMMAND);
  let flags: u32 = 0;
  if (command & PciCommand.IO) flags |= FunctionFlag.IO_DECODE;
  if (command & PciCommand.MEMORY) flags |= FunctionFlag.MEMORY_DECODE;
  if (command & PciCommand.MASTER) flags |= FunctionFlag.BUS_MASTER;
  if (command & PciCommand.INTX_DISABLE) flags |= FunctionFlag.INTX_DISABLE;
  const msi = load<u32>(record, FunctionRecord.MSI_CAP);
  if (msi != 0 && (configWord(b, fn, msi + Msi.CONTROL) & Msi.CONTROL_ENABLE) != 0) flags |= FunctionFlag.MSI_ENABLE;
  const msix = load<u32>(record, FunctionRecord.MSIX_CAP);
  if (msix != 0 && (configWord(b, fn, msix + Msix.CONTROL) & Msix.CONTROL_ENABLE) != 0) {
    flags |= FunctionFlag.MSIX_ENABLE;
  }
  const pm = load<u32>(record, FunctionRecord.PM_CAP);
  if (pm != 0 && (configWord(b, fn, pm + Pm.PMCSR) & Pm.PMCSR_STATE_MASK) != 0) flags |= FunctionFlag.POWERED_DOWN;
  if (isBridge(b, fn)) flags |= FunctionFlag.BRIDGE;
  return flags;
}

function applyOne(b: usize, fn: u32): void {
  const record = functionRecord(b, fn);
  const before = load<u32>(record, FunctionRecord.FLAGS);
  busNumberApply(b, fn);
  const flags = upstreamFlags(b, fn, ownFlags(b, fn));
  store<u32>(record, flags, FunctionRecord.FLAGS);
  barsUpdate(b, fn);
  intxUpdate(b, fn);
  // what was asked for as one kind of message is not sent as another
  if ((before ^ flags) & MESSAGES) vectorsForget(b, fn);
  // Bus Master came on, or a mask may have gone: what waited for it goes on
  if (((before ^ flags) & flags & FunctionFlag.BUS_MASTER) != 0 || vectorsPending(b, fn) != 0) workRequest(b, fn);
}

// bridges are no circle, so this ends; a bridge comes before what is behind it
function applyBehind(b: usize, bridge: u32): void {
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    if (!functionPresent(b, fn) || parentOf(b, fn) != bridge + 1) continue;
    applyOne(b, fn);
    if (isBridge(b, fn)) applyBehind(b, fn);
  }
}

/** Brings flags, decode, INTx and work of a function, and of all behind it, into line with the config bytes. */
export function configApply(b: usize, fn: u32): void {
  if (load<u32>(functionRecord(b, fn), FunctionRecord.CONFIG_SIZE) == 0) return;
  applyOne(b, fn);
  if (isBridge(b, fn)) applyBehind(b, fn);
}
