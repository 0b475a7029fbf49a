// Registers with side effects (chapter 10), beside those that the family has in common.
import { E1000, E1000Ctrl } from '../../spec/e1000';
import { E1000e, E1000eIcr, E1000eSwsm } from '../../spec/e1000e';
import { CellFlag } from '../../spec/state';
import { registerGet, registerSet, workRequest } from '../../bus/functions';
import { cellFlags, cellLoad, cellStore } from '../../bus/cells';
import { causesSet, maskClear, maskSet, throttleWrite } from '../e1000-family/interrupts';
import { controlWrite, familyWrite, receiveWake, windowCell, windowOff } from '../e1000-family/registers';
import { statRead } from '../e1000-family/statistics';
import { icrRead, icrWrite } from './causes';
import { masterUpdate } from './device';
import { nvmRead, nvmWrite } from './nvm';
import { e1000eReset } from './reset';

function memoryWrite(b: usize, fn: u32, off: u32, value: u32, lanes: u32): void {
  // what a driver writes for each packet or interrupt comes first
  if (off == E1000.TDT) return workRequest(b, fn);
  if (off == E1000.RDT) return receiveWake(b, fn);
  value &= lanes;
  if (off == E1000.IMS) return maskSet(b, fn, value & E1000eIcr.ALL);
  if (off == E1000.IMC) return maskClear(b, fn, value);
  switch (off) {
    case E1000.ICR: return icrWrite(b, fn);
    case E1000.ICS: return causesSet(b, fn, value & E1000eIcr.ALL);
    case E1000.CTRL:
      if (registerGet(b, fn, 0, E1000.CTRL) & E1000Ctrl.RST) return e1000eReset(b, fn);
      masterUpdate(b, fn);
      return controlWrite(b, fn);
    case E1000.EERD: return nvmRead(b, fn);
    case E1000e.EEWR: return nvmWrite(b, fn);
  }
  if (off >= <u32>E1000e.EITR && off < <u32>E1000e.EITR_END) return throttleWrite(b, fn);
  familyWrite(b, fn, off, value);
}

/** The software semaphore: who reads it as 0 has it from then on. */
function semaphoreRead(b: usize, fn: u32): u32 {
  const swsm = registerGet(b, fn, 0, E1000e.SWSM);
  registerSet(b, fn, 0, E1000e.SWSM, swsm | E1000eSwsm.SMBI);
  return swsm;
}

function memoryRead(b: usize, fn: u32, off: u32): u32 {
  if (off == E1000.ICR) return icrRead(b, fn);
  if (off >= <u32>E1000.STATISTICS && off < <u32>E1000.STATISTICS_END) return statRead(b, fn, off);
  return off == E1000e.SWSM ? semaphoreRead(b, fn) : registerGet(b, fn, 0, off);
}

function windowRead(b: usize, fn: u32): u32 {
  const off = windowOff(b, fn, E1000e.IO_BAR);
  const cell = windowCell(b, fn, off);
  if (cell == 0) return 0;
  return cellFlags(cell) & CellFlag.READ_EFFECT ? memoryRead(b, fn, off) : cellLoad(cell);
}

function windowWrite(b: usize, fn: u32, value: u32, lanes: u32): void {
  const off = windowOff(b, fn, E1000e.IO_BAR);
  const cell = windowCell(b, fn, off);
  if (cell == 0) return;
  const flags = cellFlags(cell);
  if ((flags & CellFlag.HANDLER_STORES) == 0) cellStore(cell, value, lanes);
  if (flags & (CellFlag.WRITE_EFFECT | CellFlag.HANDLER_STORES)) memoryWrite(b, fn, off, value, lanes);
}

/** A read of a register with a read effect: ICR, SWSM, a statistic, or one of them through IODATA. */
export function e1000eRead(b: usize, fn: u32, bar: u32, off: u32): u32 {
  if (bar == 0) return memoryRead(b, fn, off);
  return bar == E1000e.IO_BAR && off == E1000.IODATA ? windowRead(b, fn) : 0;
}

export function e1000eWrite(b: usize, fn: u32, bar: u32, off: u32, value: u32, lanes: u32): void {
  if (bar == 0) memoryWrite(b, fn, off, value, lanes);
  else if (bar == E1000e.IO_BAR && off == E1000.IODATA) windowWrite(b, fn, value, lanes);
}
