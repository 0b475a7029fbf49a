// INTx: a level for each function, a line for each swizzled pin, and on each line the set of functions that assert
// it (wired OR). Nothing is sent; the host polls the lines.
import { Machine } from '../spec/machine';
import { PciStatus, Pci } from '../spec/pci';
import { Counter } from '../spec/counters';
import { FunctionFlag, FunctionRecord, State } from '../spec/state';
import { TraceCategory } from '../spec/trace';
import { count } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';
import { functionRecord } from '../bus/functions';
import { configPtr } from '../bus/config';

@inline
function linePtr(b: usize, line: u32): usize {
  return b + State.INTX + ((line & (Machine.INTX_LINES - 1)) << 3);
}

// disabled, or replaced by messages; a function that is off or cut off asserts nothing
const SILENT: u32 = FunctionFlag.INTX_DISABLE | FunctionFlag.MSI_ENABLE | FunctionFlag.MSIX_ENABLE
  | FunctionFlag.POWERED_DOWN | FunctionFlag.LINK_DOWN;

/** Brings the line into line with the function's level and its flags. */
export function intxUpdate(b: usize, fn: u32): void {
  const record = functionRecord(b, fn);
  if (load<u32>(record, FunctionRecord.INTX_PIN) == 0) return;
  const level = load<u32>(record, FunctionRecord.INTX_LEVEL) != 0;
  const config = configPtr(b, fn);
  // the Interrupt Status bit shows the level even when the pin is disabled (PCI Local Bus 3.0 §6.2.3)
  const status = load<u16>(config + Pci.STATUS);
  store<u16>(config + Pci.STATUS, level ? status | PciStatus.INTERRUPT : status & ~(<u16>PciStatus.INTERRUPT));
  const flags = load<u32>(record, FunctionRecord.FLAGS);
  const asserted = level && (flags & SILENT) == 0;
  const ptr = linePtr(b, load<u32>(record, FunctionRecord.INTX_LINE));
  const before = load<u64>(ptr);
  const after = asserted ? before | (<u64>1 << fn) : before & ~(<u64>1 << fn);
  store<u64>(ptr, after);
  if (before == 0 && after != 0) count(b, Counter.INTX_ASSERTS);
  if (before != after) {
    const line = load<u32>(record, FunctionRecord.INTX_LINE);
    trace(b, TraceCategory.INTX, fn, line, asserted ? 1 : 0, traceDetail(0, false, 0));
  }
}

/** The device's own interrupt level. */
@inline
export function intxLevel(b: usize, fn: u32, level: bool): void {
  const ptr = functionRecord(b, fn);
  if ((load<u32>(ptr, FunctionRecord.INTX_LEVEL) != 0) == level) return;
  store<u32>(ptr, level ? 1 : 0, FunctionRecord.INTX_LEVEL);
  intxUpdate(b, fn);
}

/** Whether anything asserts the line. */
export function intxAsserted(b: usize, line: u32): bool {
  return load<u64>(linePtr(b, line)) != 0;
}
