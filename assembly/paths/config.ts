// Configuration accesses, by slot, through ports 0xCF8 and 0xCFC, or through the enhanced config space: one way in
// for all of them. What a write brings about happens in the same call.
//
//   offset in the enhanced config space   27:20 bus  19:15 device  14:12 function  11:0 register   (PCIe 6.0 §7.2.2)
import { Pci, PciBridge, PciExp, Pm } from '../spec/pci';
import { Counter } from '../spec/counters';
import { Status } from '../spec/status';
import { FunctionFlag, FunctionRecord, Model, State } from '../spec/state';
import { Machine } from '../spec/machine';
import { TraceCategory } from '../spec/trace';
import { count, onesOf } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';
import { functionFlags, functionRecord } from '../bus/functions';
import { configDword, configLoad, configPtr, configStore, configWord } from '../bus/config';
import { secondaryReset } from '../bus/bridges';
import { barsMovedClear } from '../bus/decode';
import { configApply } from './apply';
import { busReset, functionReset, powerReset } from './reset';

/**
 * Function slot that a config cycle to this bus/device/function gets to, or -1. The unit in slot 0 has no config space.
 */
export function functionFind(b: usize, bdf: u32): i32 {
  for (let fn: u32 = 1; fn < <u32>Machine.FUNCTIONS; fn++) {
    const record = functionRecord(b, fn);
    if (load<u32>(record, FunctionRecord.BDF) != bdf || load<u32>(record, FunctionRecord.MODEL) == Model.NONE) continue;
    if ((load<u32>(record, FunctionRecord.FLAGS) & FunctionFlag.HIDDEN) == 0) return fn;
  }
  return -1;
}

/** Reads 1, 2 or 4 bytes of a function's config space, naturally aligned; others give ones. */
export function configRead(b: usize, fn: u32, off: u32, width: u32): u32 {
  count(b, Counter.CONFIG_READS);
  if (off & (width - 1)) return onesOf(width);
  const value = configLoad(b, fn, off, width);
  trace(b, TraceCategory.CONFIG, fn, off, value, traceDetail(width, false, 0));
  return value;
}

/** Whether a write of `width` bytes at `off` sets bit `bit` of the byte at `at`. */
@inline
function writesBit(off: u32, width: u32, value: u32, at: u32, bit: u32): bool {
  return at >= off && at - off < width && (value >> ((at - off) << 3) >> bit & 1) != 0;
}

/** A power state that the function does not have is not entered (PCI PM 1.2 §3.2.4). */
function powerStateCheck(b: usize, fn: u32, pm: u32, before: u32): void {
  const now = configWord(b, fn, pm + Pm.PMCSR);
  const state = now & Pm.PMCSR_STATE_MASK;
  const capable = configWord(b, fn, pm + Pm.PMC);
  const lacking = (state == Pm.STATE_D1 && (capable & Pm.PMC_D1) == 0)
    || (state == Pm.STATE_D2 && (capable & Pm.PMC_D2) == 0);
  if (lacking) {
    store<u16>(configPtr(b, fn) + pm + Pm.PMCSR,
      <u16>((now & ~(<u32>Pm.PMCSR_STATE_MASK)) | (before & Pm.PMCSR_STATE_MASK)));
  }
}

export function configWrite(b: usize, fn: u32, off: u32, width: u32, value: u32): void {
  count(b, Counter.CONFIG_WRITES);
  const record = functionRecord(b, fn);
  if ((off & (width - 1)) != 0 || load<u32>(record, FunctionRecord.CONFIG_SIZE) == 0) return;
  trace(b, TraceCategory.CONFIG, fn, off, value, traceDetail(width, true, 0));
  barsMovedClear(b);
  const flags = functionFlags(b, fn);
  const bridge = (flags & FunctionFlag.BRIDGE) != 0;
  const inReset = bridge && secondaryReset(b, fn);
  const pm = load<u32>(record, FunctionRecord.PM_CAP);
  const power: u32 = pm != 0 ? configWord(b, fn, pm + Pm.PMCSR) : 0;
  configStore(b, fn, off, width, value);
  if (pm != 0) powerStateCheck(b, fn, pm, power);

  // Initiate Function Level Reset reads as 0 (PCI Express 6.0 §7.5.3.4)
  const express = load<u32>(record, FunctionRecord.EXP_CAP);
  if (express != 0 && writesBit(off, width, value, express + PciExp.DEVCTL + 1, 7)
    && (configDword(b, fn, express + PciExp.DEVCAP) & PciExp.DEVCAP_FLR) != 0) return functionReset(b, fn);
  configApply(b, fn);
  if (bridge && !inReset && secondaryReset(b, fn)) busReset(b, fn);
  // D3hot to D0 without No_Soft_Reset is a reset of the function (PCI PM 1.2 §5.4)
  if ((flags & FunctionFlag.POWERED_DOWN) != 0 && (functionFlags(b, fn) & FunctionFlag.POWERED_DOWN) == 0
    && (power & Pm.PMCSR_NO_SOFT_RESET) == 0) powerReset(b, fn);
}

@inline
export function ecamTarget(b: usize, off: u32): i32 {
  return off >> 28 != 0 ? -1 : functionFind(b, off >> Machine.PAGE_SHIFT);
}

@inline
function unanswered(b: usize, status: Status, width: u32): u32 {
  store<u32>(b, status, State.RESULT_STATUS);
  store<u32>(b, 0xffffffff, State.RESULT_HI);
  return onesOf(width);
}

/** Reads 1, 2, 4 or 8 bytes of the enhanced config space, naturally aligned; eight are two dwords. */
export function ecamRead(b: usize, off: u32, width: u32): u32 {
  store<u32>(b, Status.OK, State.RESULT_STATUS);
  if (off & (width - 1)) return unanswered(b, Status.WIDTH, width);
  const fn = ecamTarget(b, off);
  if (fn < 0) return unanswered(b, Status.NOTHING, width);
  const register = off & (Pci.EXTENDED_CONFIG_SIZE - 1);
  if (width != 8) return configRead(b, fn, register, width);
  const lo = configRead(b, fn, register, 4);
  store<u32>(b, configRead(b, fn, register + 4, 4), State.RESULT_HI);
  return lo;
}
