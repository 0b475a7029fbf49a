// Registers with side effects that are the same for all of the family (chapter 13), and the I/O window onto them.
import { E1000, E1000Ctrl, E1000CtrlExt, E1000Tctl } from '../../spec/e1000';
import { BarRecord, DevicePage, PageKind } from '../../spec/state';
import { barPage, barRecord, cellAt, deviceState, registerGet, registerSet, workRequest } from '../../bus/functions';
import { cellFlags, widthValid } from '../../bus/cells';
import { E1000State } from '../../spec/e1000-state';
import { eepromLoad } from './eeprom';
import { throttleWrite } from './interrupts';
import { portUpdate } from './link-state';
import { phyManage, phyRenegotiate, phyReset } from './phy';
import { receiveDelayWrite, transmitDelayWrite } from './timers';
import { packetForget } from './transmit-ring';

/** CTRL without RST, which is the device's own to see. */
export function controlWrite(b: usize, fn: u32): void {
  const ctrl = registerGet(b, fn, 0, E1000.CTRL);
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
export function receiveWake(b: usize, fn: u32): void {
  store<u32>(deviceState(b, fn), 0, E1000State.RX_STOPPED);
  workRequest(b, fn);
}

@inline
function transmitWake(b: usize, fn: u32): void {
  store<u32>(deviceState(b, fn), 0, E1000State.TX_STOPPED);
  workRequest(b, fn);
}

export function familyWrite(b: usize, fn: u32, off: u32, value: u32): void {
  switch (off) {
    case E1000.CTRL_EXT: return extendedControlWrite(b, fn);
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

/** The register that IOADDR names, in the I/O BAR `bar`. */
@inline
export function windowOff(b: usize, fn: u32, bar: u32): u32 {
  return registerGet(b, fn, bar, E1000.IOADDR) & ~3;
}

/** Cell of that register, 0 where there is none. */
export function windowCell(b: usize, fn: u32, off: u32): usize {
  const size = load<u32>(barRecord(b, fn, 0), BarRecord.SIZE);
  // beyond the registers lie the Flash and addresses without meaning (§13.2.2.1)
  if (off >= size) return 0;
  const page = barPage(b, fn, 0, off);
  if (load<u8>(page, DevicePage.KIND) != PageKind.CELLS) return 0;
  const cell = cellAt(b, page, off);
  return cell != 0 && widthValid(cellFlags(cell), off, 4) ? cell : 0;
}
