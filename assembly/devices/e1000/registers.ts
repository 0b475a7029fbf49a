// Registers with side effects (chapter 13). Called by offset after the cell has stored, or instead of it where the
// cell says that the handler stores (IMS, IODATA).
import { E1000, E1000Ctrl, E1000Icr } from '../../spec/e1000';
import { CellFlag } from '../../spec/state';
import { registerGet, workRequest } from '../../bus/functions';
import { cellFlags, cellLoad, cellStore } from '../../bus/cells';
import { causesClear, causesRead, causesSet, maskClear, maskSet } from '../e1000-family/interrupts';
import { controlWrite, familyWrite, receiveWake, windowCell, windowOff } from '../e1000-family/registers';
import { statRead } from '../e1000-family/statistics';
import { eepromRead, eepromWires } from './eeprom';
import { e1000Reset } from './reset';

function memoryWrite(b: usize, fn: u32, off: u32, value: u32, lanes: u32): void {
  // what a driver writes for each packet or interrupt comes first
  if (off == E1000.TDT) return workRequest(b, fn);
  if (off == E1000.RDT) return receiveWake(b, fn);
  value &= lanes;
  if (off == E1000.IMS) return maskSet(b, fn, value & E1000Icr.ALL);
  if (off == E1000.IMC) return maskClear(b, fn, value);
  switch (off) {
    case E1000.ICR: return causesClear(b, fn, value);
    case E1000.ICS: return causesSet(b, fn, value & E1000Icr.ALL);
    case E1000.CTRL:
      if (registerGet(b, fn, 0, E1000.CTRL) & E1000Ctrl.RST) return e1000Reset(b, fn);
      return controlWrite(b, fn);
    case E1000.EECD: return eepromWires(b, fn);
    case E1000.EERD: return eepromRead(b, fn);
  }
  familyWrite(b, fn, off, value);
}

function memoryRead(b: usize, fn: u32, off: u32): u32 {
  if (off == E1000.ICR) return causesRead(b, fn);
  if (off >= <u32>E1000.STATISTICS && off < <u32>E1000.STATISTICS_END) return statRead(b, fn, off);
  return registerGet(b, fn, 0, off);
}

function windowRead(b: usize, fn: u32): u32 {
  const off = windowOff(b, fn, E1000.IO_BAR);
  const cell = windowCell(b, fn, off);
  if (cell == 0) return 0;
  return cellFlags(cell) & CellFlag.READ_EFFECT ? memoryRead(b, fn, off) : cellLoad(cell);
}

function windowWrite(b: usize, fn: u32, value: u32, lanes: u32): void {
  const off = windowOff(b, fn, E1000.IO_BAR);
  const cell = windowCell(b, fn, off);
  if (cell == 0) return;
  const flags = cellFlags(cell);
  if ((flags & CellFlag.HANDLER_STORES) == 0) cellStore(cell, value, lanes);
  if (flags & (CellFlag.WRITE_EFFECT | CellFlag.HANDLER_STORES)) memoryWrite(b, fn, off, value, lanes);
}

/** A read of a register with a read effect: ICR, a statistic, or one of them through IODATA. */
export function e1000Read(b: usize, fn: u32, bar: u32, off: u32): u32 {
  if (bar == 0) return memoryRead(b, fn, off);
  return bar == E1000.IO_BAR && off == E1000.IODATA ? windowRead(b, fn) : 0;
}

export function e1000Write(b: usize, fn: u32, bar: u32, off: u32, value: u32, lanes: u32): void {
  if (bar == 0) memoryWrite(b, fn, off, value, lanes);
  else if (bar == E1000.IO_BAR && off == E1000.IODATA) windowWrite(b, fn, value, lanes);
}
