// The internal PHY behind MDIC (§13.4.6, chapter 11): an M88E1000, or the BME1000 of the 82574L, which has its
// registers from 16 on in pages, of which only page 0 is there. Its link, when there is one, is 1000 Mb/s full duplex,
// negotiated. A management frame takes no time.
import { E1000, E1000Icr, E1000Mdic, E1000Phy } from '../../spec/e1000';
import { E1000Part, E1000State } from '../../spec/e1000-state';
import { E1000ePhy } from '../../spec/e1000e';
import { deviceState, registerGet, registerSet } from '../../bus/functions';
import { causesRaise } from './interrupts';
import { linkUp, portUpdate } from './link-state';

// IEEE 802.3 §22.2.4.1 and 28.2.4.1: auto-negotiation on, full duplex, 1000 Mb/s
const CONTROL_RESET_VALUE: u16 = 0x1140;
// all of 10 and 100 Mb/s, extended status, preamble suppression, able to negotiate, extended registers
const STATUS_ABILITIES: u32 = 0x7949;
// 10 and 100 Mb/s, both duplexes, symmetric and asymmetric pause
const ADVERTISEMENT: u16 = 0x0de1;
const PARTNER_ABILITY: u32 = 0x4de1;
const PARTNER_NEGOTIATES: u32 = 0x0005;
// 1000BASE-T, both duplexes; then both receivers fine and the partner able to do the same
const GIGABIT_ADVERTISEMENT: u16 = 0x0300;
const GIGABIT_FINE: u32 = 0x3c00;
const GIGABIT_ABILITIES: u32 = 0x3000;
const M88_CONTROL: u16 = 0x0360;
const M88_EXTENDED_CONTROL: u16 = 0x0d60;
// speed 1000, full duplex, resolved, link
const M88_LINKED: u32 = 0xac00;

@inline
function phyPtr(device: usize, register: u32): usize {
  return device + E1000State.PHY + (register << 1);
}

@inline
function partOf(device: usize): u32 {
  return load<u32>(device, E1000State.PART);
}

/** Whether the register is one of a page that is not there: it reads 0 and keeps nothing. */
function elsewhere(device: usize, register: u32): bool {
  return partOf(device) == E1000Part.M82574 && register >= <u32>E1000ePhy.PAGED_FIRST
    && register != <u32>E1000ePhy.PAGE_SELECT && load<u16>(phyPtr(device, E1000ePhy.PAGE_SELECT)) != 0;
}

/** Registers after a reset of the PHY. */
export function phyReset(b: usize, fn: u32): void {
  const device = deviceState(b, fn);
  memory.fill(device + E1000State.PHY, 0, E1000Phy.COUNT << 1);
  store<u16>(phyPtr(device, E1000Phy.CONTROL), CONTROL_RESET_VALUE);
  store<u16>(phyPtr(device, E1000Phy.AUTONEG_ADVERTISEMENT), ADVERTISEMENT);
  store<u16>(phyPtr(device, E1000Phy.GIGABIT_CONTROL), GIGABIT_ADVERTISEMENT);
  store<u16>(phyPtr(device, E1000Phy.M88_SPECIFIC_CONTROL), M88_CONTROL);
  store<u16>(phyPtr(device, E1000Phy.M88_EXTENDED_CONTROL), M88_EXTENDED_CONTROL);
  portUpdate(b, fn);
}

/** A reset or a new negotiation drops the link; it is back before anyone looks, but the loss is seen. */
export function phyRenegotiate(b: usize, fn: u32): void {
  store<u32>(deviceState(b, fn), 0, E1000State.LINK_LATCH);
  if (linkUp(b, fn)) causesRaise(b, fn, E1000Icr.LSC);
}

function phyRead(b: usize, fn: u32, register: u32): u32 {
  const device = deviceState(b, fn);
  const up = linkUp(b, fn);
  switch (register) {
    case E1000Phy.STATUS: {
      // the link bit latches low: after a loss it reads 0 once, whatever the link has done since (§22.2.4.2.13)
      const held = load<u32>(device, E1000State.LINK_LATCH) != 0;
      store<u32>(device, up ? 1 : 0, E1000State.LINK_LATCH);
      return STATUS_ABILITIES | (up ? E1000Phy.STATUS_AUTONEG_COMPLETE : 0) | (held && up ? E1000Phy.STATUS_LINK : 0);
    }
    case E1000Phy.ID1: return E1000Phy.ID1_VALUE;
    case E1000Phy.ID2: return partOf(device) == E1000Part.M82574 ? <u32>E1000ePhy.ID2_VALUE : <u32>E1000Phy.ID2_VALUE;
    case E1000Phy.LINK_PARTNER_ABILITY: return up ? PARTNER_ABILITY : 0;
    case E1000Phy.AUTONEG_EXPANSION: return up ? PARTNER_NEGOTIATES : 4;
    case E1000Phy.GIGABIT_STATUS: return up ? GIGABIT_FINE : 0;
    case E1000Phy.EXTENDED_STATUS: return GIGABIT_ABILITIES;
    case E1000Phy.M88_SPECIFIC_STATUS: return up ? M88_LINKED : 0;
  }
  return load<u16>(phyPtr(device, register));
}

function phyWrite(b: usize, fn: u32, register: u32, value: u32): void {
  switch (register) {
    case E1000Phy.STATUS:
    case E1000Phy.ID1:
    case E1000Phy.ID2:
    case E1000Phy.LINK_PARTNER_ABILITY:
    case E1000Phy.AUTONEG_EXPANSION:
    case E1000Phy.GIGABIT_STATUS:
    case E1000Phy.EXTENDED_STATUS:
    case E1000Phy.M88_SPECIFIC_STATUS:
      return;
    case E1000Phy.CONTROL:
      if (value & E1000Phy.CONTROL_RESET) {
        phyReset(b, fn);
        phyRenegotiate(b, fn);
        return;
      }
      if (value & E1000Phy.CONTROL_RESTART_AUTONEG) {
        phyRenegotiate(b, fn);
        value &= ~(<u32>E1000Phy.CONTROL_RESTART_AUTONEG);
      }
  }
  store<u16>(phyPtr(deviceState(b, fn), register), <u16>value);
  if (register == E1000Phy.CONTROL) portUpdate(b, fn);
}

/** After a write of MDIC: the management frame has been sent and answered. */
export function phyManage(b: usize, fn: u32): void {
  let mdic = registerGet(b, fn, 0, E1000.MDIC) & ~(<u32>(E1000Mdic.READY | E1000Mdic.ERROR));
  const register = (mdic >> E1000Mdic.REGISTER_SHIFT) & (E1000Phy.COUNT - 1);
  if (((mdic >> E1000Mdic.PHY_SHIFT) & 0x1f) != E1000Mdic.PHY) mdic |= E1000Mdic.ERROR;
  else if (elsewhere(deviceState(b, fn), register)) {
    if (mdic & E1000Mdic.OP_READ) mdic &= ~(<u32>E1000Mdic.DATA_MASK);
  }
  else if (mdic & E1000Mdic.OP_READ) mdic = (mdic & ~(<u32>E1000Mdic.DATA_MASK)) | phyRead(b, fn, register);
  else if (mdic & E1000Mdic.OP_WRITE) phyWrite(b, fn, register, mdic & E1000Mdic.DATA_MASK);
  registerSet(b, fn, 0, E1000.MDIC, mdic | E1000Mdic.READY);
  if (mdic & E1000Mdic.INTERRUPT) causesRaise(b, fn, E1000Icr.MDAC);
}
