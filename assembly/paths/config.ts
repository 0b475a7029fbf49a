// Configuration accesses and what they bring about, in the same call: Command bits, power state, MSI, moved BARs.
import { Msi, Pci, PciCommand, Pm } from '../spec/pci';
import { Counter } from '../spec/counters';
import { FunctionFlag, FunctionRecord, Model, State } from '../spec/state';
import { Machine } from '../spec/machine';
import { TraceCategory } from '../spec/trace';
import { count } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';
import { functionRecord, workRequest } from '../bus/functions';
import { configLoad, configPtr, configStore, configWord } from '../bus/config';
import { barsUpdate } from '../bus/decode';
import { intxUpdate } from '../irq/intx';
import { deviceReset } from './dispatch';

/** Function slot of a bus/device/function, or -1. The unit in slot 0 has no config space. */
export function functionFind(b: usize, bdf: u32): i32 {
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    const record = functionRecord(b, fn);
    if (load<u32>(record, FunctionRecord.MODEL) != Model.NONE && load<u32>(record, FunctionRecord.BDF) == bdf) return fn;
  }
  return -1;
}

/** Derives the flags from the config bytes and brings decode, INTx and work into line with them. */
export function configApply(b: usize, fn: u32): void {
  const record = functionRecord(b, fn);
  const before = load<u32>(record, FunctionRecord.FLAGS);
  const command = configWord(b, fn, Pci.COMMAND);
  let flags: u32 = 0;
  if (command & PciCommand.IO) flags |= FunctionFlag.IO_DECODE;
  if (command & PciCommand.MEMORY) flags |= FunctionFlag.MEMORY_DECODE;
  if (command & PciCommand.MASTER) flags |= FunctionFlag.BUS_MASTER;
  if (command & PciCommand.INTX_DISABLE) flags |= FunctionFlag.INTX_DISABLE;
  const msi = load<u32>(record, FunctionRecord.MSI_CAP);
  if (msi != 0 && (configWord(b, fn, msi + Msi.CONTROL) & Msi.CONTROL_ENABLE) != 0) flags |= FunctionFlag.MSI_ENABLE;
  const pm = load<u32>(record, FunctionRecord.PM_CAP);
  if (pm != 0 && (configWord(b, fn, pm + Pm.PMCSR) & Pm.PMCSR_STATE_MASK) != 0) flags |= FunctionFlag.POWERED_DOWN;
  store<u32>(record, flags, FunctionRecord.FLAGS);
  barsUpdate(b, fn);
  intxUpdate(b, fn);
  // D3hot to D0 without No_Soft_Reset is a reset of the device (PCI PM 1.2 §5.4)
  if ((before & FunctionFlag.POWERED_DOWN) != 0 && (flags & FunctionFlag.POWERED_DOWN) == 0
    && (configWord(b, fn, pm + Pm.PMCSR) & Pm.PMCSR_NO_SOFT_RESET) == 0) deviceReset(b, fn);
  // Bus Master came on: what waited for it goes on
  if ((before ^ flags) & flags & FunctionFlag.BUS_MASTER) workRequest(b, fn);
}

/** Reads 1, 2 or 4 bytes of a function's config space, naturally aligned; others give ones. */
export function configRead(b: usize, fn: u32, off: u32, width: u32): u32 {
  count(b, Counter.CONFIG_READS);
  if (off & (width - 1)) return 0xffffffff;
  const value = configLoad(b, fn, off, width);
  trace(b, TraceCategory.CONFIG, fn, off, value, traceDetail(width, false, 0));
  return value;
}

export function configWrite(b: usize, fn: u32, off: u32, width: u32, value: u32): void {
  count(b, Counter.CONFIG_WRITES);
  if (off & (width - 1)) return;
  trace(b, TraceCategory.CONFIG, fn, off, value, traceDetail(width, true, 0));
  store<u32>(b, 0, State.BAR_MOVED);
  configStore(b, fn, off, width, value);
  configApply(b, fn);
}

/** Function-level reset: device, interrupts, and the Command register as after power-on. */
export function functionReset(b: usize, fn: u32): void {
  const config = configPtr(b, fn);
  store<u16>(config + Pci.COMMAND, 0);
  const msi = load<u32>(functionRecord(b, fn), FunctionRecord.MSI_CAP);
  if (msi != 0) store<u16>(config + msi + Msi.CONTROL, load<u16>(config + msi + Msi.CONTROL) & ~(<u16>(Msi.CONTROL_ENABLE | Msi.CONTROL_MME_MASK)));
  const pm = load<u32>(functionRecord(b, fn), FunctionRecord.PM_CAP);
  if (pm != 0) store<u16>(config + pm + Pm.PMCSR, load<u16>(config + pm + Pm.PMCSR) & ~(<u16>Pm.PMCSR_STATE_MASK));
  deviceReset(b, fn);
  configApply(b, fn);
}
