// Registers with side effects (chapter 13). Called by offset after the cell has stored, or instead of it where the
// cell says that the handler stores (IMS, IODATA).
import { E1000, E1000Ctrl, E1000CtrlExt, E1000Icr, E1000Tctl } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { BarRecord, CellFlag, DevicePage, PageKind } from '../../spec/state';
import {
  barPage, barRecord, cellAt, deviceState, registerGet, registerSet, workRequest,
} from '../../bus/functions';
import { cellFlags, cellLoad, cellStore, widthValid } from '../../bus/cells';
import { eepromLoad, eepromRead, eepromWires } from './eeprom';
import { causesClear, causesRaise, causesRead, maskClear, maskSet, throttleWrite } from './interrupts';
import { portUpdate } from './link-state';
import { phyManage, phyRenegotiate, phyReset } from './phy';
import { e1000Reset } from './reset';
import { statRead } from './statistics';
import { receiveDelayWrite, transmitDelayWrite } from './timers';
import { packetForget } from './transmit-ring';

function controlWrite(b: usize, fn: u32): void {
  const ctrl = registerGet(b, fn, 0, E1000.CTRL);
  if (ctrl & E1000Ctrl.RST) return e1000Reset(b, fn);
  const phyRst = <u32>1 << E1000Ctrl.PHY_RST_BIT;
  if ((ctrl & phyRst) == 0) return;
  registerSet(b, fn, 0, E1000.CTRL, ctrl & ~phyRst);
  phyReset(b, fn);
  phyRenegotiate(b, fn);
}

function extendedControlWrite(b: usize, fn: u32): void {
  const value = registerGet(b, fn, 0, E1000.CTRL_EXT);
  if ((value & E1000CtrlExt.EE_RST) == 0) return;
  registerSet(b, fn, 0, E1000.CTRL_EXT, value & ~(<u32>E1000CtrlExt.EE_RST));
  eepromLoad(b, fn);
}

/** The receive ring may have become able to go on. */
@inline
function receiveWake(b: usize, fn: u32): void {
  store<u32>(deviceState(b, fn), 0, E1000State.RX_STOPPED);
  workRequest(b, fn);
}

@inline
function transmitWake(b: usize, fn: u32): void {
  store<u32>(deviceState(b, fn), 0, E1000State.TX_STOPPED);
  workRequest(b, fn);
}

function memoryWrite(b: usize, fn: u32, off: u32, value: u32, lanes: u32): void {
  // what a driver writes for each packet or interrupt comes first
  if (off == E1000.TDT) return workRequest(b, fn);
  if (off == E1000.RDT) return receiveWake(b, fn);
  value &= lanes;
  if (off == E1000.IMS) return maskSet(b, fn, value);
  if (off == E1000.IMC) return maskClear(b, fn, value);
  switch (off) {
    case E1000.ICR: return causesClear(b, fn, value);
    case E1000.ICS: return causesRaise(b, fn, value & E1000Icr.ALL);
    case E1000.CTRL: return controlWrite(b, fn);
    case E1000.CTRL_EXT: return extendedControlWrite(b, fn);
    case E1000.EECD: return eepromWires(b, fn);
    case E1000.EERD: return eepromRead(b, fn);
    case E1000.MDIC: return phyManage(b, fn);
    case E1000.ITR: return throttleWrite(b, fn);
    case E1000.RDTR: return receiveDelayWrite(b, fn, value);
    case E1000.TIDV: return transmitDelayWrite(b, fn);
    case E1000.RCTL:
      portUpdate(b, fn);
      return receiveWake(b, fn);
    case E1000.TCTL:
      // a packet begun before the transmitter went off is not continued after
      if ((registerGet(b, fn, 0, E1000.TCTL) & E1000Tctl.EN) == 0) packetForget(deviceState(b, fn));
      return transmitWake(b, fn);
    case E1000.TDH:
      packetForget(deviceState(b, fn));
      return transmitWake(b, fn);
    case E1000.RDH:
    case E1000.RDLEN:
    case E1000.TDLEN:
      workRequest(b, fn);
  }
}

function memoryRead(b: usize, fn: u32, off: u32): u32 {
  if (off == E1000.ICR) return causesRead(b, fn);
  if (off >= <u32>E1000.STATISTICS && off < <u32>E1000.STATISTICS_END) return statRead(b, fn, off);
  return registerGet(b, fn, 0, off);
}

/** Cell of the register that IOADDR names, 0 where there is none. */
@inline
function windowCell(b: usize, fn: u32, off: u32): usize {
  const size = load<u32>(barRecord(b, fn, 0), BarRecord.SIZE);
  // beyond the registers lie the Flash and addresses without meaning (§13.2.2.1)
  if (off >= size) return 0;
  const page = barPage(b, fn, 0, off);
  if (load<u8>(page, DevicePage.KIND) != PageKind.CELLS) return 0;
  const cell = cellAt(b, page, off);
  return cell != 0 && widthValid(cellFlags(cell), off, 4) ? cell : 0;
}

@inline
function windowOff(b: usize, fn: u32): u32 {
  return registerGet(b, fn, E1000.IO_BAR, E1000.IOADDR) & ~3;
}

function windowRead(b: usize, fn: u32): u32 {
  const off = windowOff(b, fn);
  const cell = windowCell(b, fn, off);
  if (cell == 0) return 0;
  return cellFlags(cell) & CellFlag.READ_EFFECT ? memoryRead(b, fn, off) : cellLoad(cell);
}

function windowWrite(b: usize, fn: u32, value: u32, lanes: u32): void {
  const off = windowOff(b, fn);
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
