// Which of a function's interrupt messages have been asked for and not yet sent: a bit per vector, at most 64. A
// vector that is masked stays pending, as one does that found the queue full. What software reads as pending bits
// (PBA of MSI-X, pending bits of MSI) is written here and nowhere else.
import { Machine } from '../spec/machine';
import { Msi, Msix } from '../spec/pci';
import { BarKind, BarRecord, FunctionFlag, FunctionRecord } from '../spec/state';
import { barPage, barRecord, cellAt, functionFlags, functionRecord, workRequest } from '../bus/functions';
import { configDword, configPtr, configWord } from '../bus/config';

@inline
export function vectorsPending(b: usize, fn: u32): u64 {
  return load<u64>(functionRecord(b, fn), FunctionRecord.PENDING);
}

/** Cell `off` bytes into the table or PBA that a dword of the capability points to; 0 when there is none. */
function msixCell(b: usize, fn: u32, pointer: u32, off: u32): usize {
  const bar = pointer & Msix.BIR_MASK;
  if (bar >= <u32>Machine.BARS) return 0;
  const record = barRecord(b, fn, bar);
  const at = (pointer & ~(<u32>Msix.BIR_MASK)) + off;
  if (load<u32>(record, BarRecord.KIND) == BarKind.NONE || at >= load<u32>(record, BarRecord.SIZE)) return 0;
  return cellAt(b, barPage(b, fn, bar, at), at);
}

/** A dword of an entry of the MSI-X table. */
export function msixEntry(b: usize, fn: u32, vector: u32, off: u32): u32 {
  const cap = load<u32>(functionRecord(b, fn), FunctionRecord.MSIX_CAP);
  const cell = msixCell(b, fn, configDword(b, fn, cap + Msix.TABLE), vector * Msix.ENTRY_SIZE + off);
  return cell == 0 ? 0xffffffff : load<u32>(cell);
}

function pendingSet(b: usize, fn: u32, pending: u64): void {
  const record = functionRecord(b, fn);
  store<u64>(record, pending, FunctionRecord.PENDING);
  const msix = load<u32>(record, FunctionRecord.MSIX_CAP);
  if (msix != 0) {
    const pba = configDword(b, fn, msix + Msix.PBA);
    const on = (functionFlags(b, fn) & FunctionFlag.MSIX_ENABLE) != 0;
    const low = msixCell(b, fn, pba, 0);
    const high = msixCell(b, fn, pba, 4);
    if (low != 0) store<u32>(low, on ? <u32>pending : <u32>0);
    if (high != 0) store<u32>(high, on ? <u32>(pending >> 32) : <u32>0);
  }
  const msi = load<u32>(record, FunctionRecord.MSI_CAP);
  if (msi == 0) return;
  const control = configWord(b, fn, msi + Msi.CONTROL);
  if ((control & Msi.CONTROL_PER_VECTOR_MASKING) == 0) return;
  const off: u32 = control & Msi.CONTROL_64BIT ? Msi.PENDING_64 : Msi.PENDING_32;
  store<u32>(configPtr(b, fn) + msi + off, control & Msi.CONTROL_ENABLE ? <u32>pending : <u32>0);
}

/** Vectors that software has given an MSI function, minus one: a power of two, never more than the function has. */
export function msiVectorMask(b: usize, fn: u32): u32 {
  const control = configWord(b, fn, load<u32>(functionRecord(b, fn), FunctionRecord.MSI_CAP) + Msi.CONTROL);
  const capable = (control >> Msi.CONTROL_MMC_SHIFT) & 7;
  const given = (control & Msi.CONTROL_MME_MASK) >> Msi.CONTROL_MME_SHIFT;
  return (<u32>1 << min<u32>(min<u32>(given, capable), 5)) - 1;
}

/** Number of entries of the function's MSI-X table; 0 when it has none. */
export function msixVectors(b: usize, fn: u32): u32 {
  const cap = load<u32>(functionRecord(b, fn), FunctionRecord.MSIX_CAP);
  if (cap == 0) return 0;
  return min<u32>((configWord(b, fn, cap + Msix.CONTROL) & Msix.CONTROL_SIZE_MASK) + 1, Msix.VECTORS_MAX);
}

/** Makes a vector pending; `service` sends it. A second request before that is the same message and merges. */
export function vectorRequest(b: usize, fn: u32, vector: u32): void {
  if (vector >= <u32>Msix.VECTORS_MAX) return;
  pendingSet(b, fn, vectorsPending(b, fn) | (<u64>1 << vector));
  workRequest(b, fn);
}

export function vectorDone(b: usize, fn: u32, vector: u32): void {
  pendingSet(b, fn, vectorsPending(b, fn) & ~(<u64>1 << vector));
}

/** Drops what is pending: a reset, or messages turned off. */
export function vectorsForget(b: usize, fn: u32): void {
  if (vectorsPending(b, fn) != 0) pendingSet(b, fn, 0);
}

/** Lowest vector that is pending and not masked; -1 when there is none. */
export function vectorReady(b: usize, fn: u32): i32 {
  let pending = vectorsPending(b, fn);
  if (pending == 0) return -1;
  const record = functionRecord(b, fn);
  const flags = functionFlags(b, fn);
  if (flags & FunctionFlag.MSIX_ENABLE) {
    const control = configWord(b, fn, load<u32>(record, FunctionRecord.MSIX_CAP) + Msix.CONTROL);
    if (control & Msix.CONTROL_FUNCTION_MASK) return -1;
    while (pending != 0) {
      const vector = <u32>ctz(pending);
      if ((msixEntry(b, fn, vector, Msix.ENTRY_CONTROL) & Msix.ENTRY_MASKED) == 0) return vector;
      pending &= pending - 1;
    }
    return -1;
  }
  if ((flags & FunctionFlag.MSI_ENABLE) == 0) return -1;
  const cap = load<u32>(record, FunctionRecord.MSI_CAP);
  const control = configWord(b, fn, cap + Msi.CONTROL);
  if (control & Msi.CONTROL_PER_VECTOR_MASKING) {
    pending &= ~(<u64>configDword(b, fn, cap + (control & Msi.CONTROL_64BIT ? Msi.MASK_64 : Msi.MASK_32)));
  }
  return pending == 0 ? -1 : <i32>ctz(pending);
}
