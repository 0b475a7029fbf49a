// What the MAC is connected to, whether there is a link, and what STATUS tells of it (§13.4.2): the link of the port,
// nothing while the PHY is powered down, or itself in loopback (§13.4.22; IEEE 802.3 §22.2.4.1.2, 22.2.4.1.5).
import { E1000, E1000Icr, E1000Phy, E1000Rctl, E1000Status } from '../../spec/e1000';
import { E1000Port, E1000State } from '../../spec/e1000-state';
import { FunctionRecord } from '../../spec/state';
import { Link, LinkSink, LinkSource } from '../../spec/link';
import { deviceState, functionRecord, registerGet, registerSet, workRequest } from '../../bus/functions';
import { causesRaise } from './interrupts';

/** Link record that the MAC is connected to, 0 when it is to none. */
@inline
export function linkOf(b: usize, device: usize): usize {
  const off = load<u32>(device, E1000State.LINK);
  return off == 0 ? 0 : b + off;
}

/** Which link that is follows from the mode, and from what the control plane has plugged in. */
export function linkSelect(b: usize, fn: u32): void {
  const record = functionRecord(b, fn);
  const off = load<u32>(record, FunctionRecord.DEVICE);
  let link = load<u32>(record, FunctionRecord.LINK);
  const port = load<u32>(b + off, E1000State.PORT);
  if (port != 0) link = port == E1000Port.LOOPBACK ? off + E1000State.LOOP_LINK : 0;
  store<u32>(b + off, link, E1000State.LINK);
}

@inline
export function linkUp(b: usize, fn: u32): bool {
  const link = linkOf(b, deviceState(b, fn));
  return link != 0 && load<u32>(link, Link.UP) != 0;
}

/** Brings STATUS into line with the link, which is 1000 Mb/s full duplex or down. */
export function statusUpdate(b: usize, fn: u32): void {
  const linked: u32 = E1000Status.FD | E1000Status.LU | E1000Status.SPEED_1000;
  const status = registerGet(b, fn, 0, E1000.STATUS) & ~linked;
  registerSet(b, fn, 0, E1000.STATUS, linkUp(b, fn) ? status | linked : status);
}

/** The cable was plugged in or pulled: the caller has changed the link record. */
export function familyLinkChanged(b: usize, fn: u32): void {
  linkSelect(b, fn);
  if (!linkUp(b, fn)) store<u32>(deviceState(b, fn), 0, E1000State.LINK_LATCH);
  statusUpdate(b, fn);
  causesRaise(b, fn, E1000Icr.LSC);
  workRequest(b, fn);
}

/** A link with nothing on it, whose frames come back. */
function loopStart(b: usize, device: usize): void {
  const link = device + E1000State.LOOP_LINK;
  memory.fill(link, 0, Link.SIZE_OF);
  store<u32>(link, LinkSource.LOOPBACK, Link.SOURCE);
  store<u32>(link, LinkSink.RING, Link.SINK);
  store<u32>(link, <u32>(device - b) + E1000State.LOOP_RING, Link.RING);
  store<u32>(link, E1000State.LOOP_RING_SIZE, Link.RING_SIZE);
  store<u32>(link, 1, Link.UP);
}

/** After a write of RCTL or of the PHY's control register. What was on its way in a loopback that ends is gone. */
export function portUpdate(b: usize, fn: u32): void {
  const device = deviceState(b, fn);
  const control = <u32>load<u16>(device, E1000State.PHY + (E1000Phy.CONTROL << 1));
  let port: u32 = 0;
  if ((registerGet(b, fn, 0, E1000.RCTL) & E1000Rctl.LBM_MASK) != 0) port = E1000Port.LOOPBACK;
  else if ((control & E1000Phy.CONTROL_POWER_DOWN) != 0) port = E1000Port.OFF;
  else if ((control & E1000Phy.CONTROL_LOOPBACK) != 0) port = E1000Port.LOOPBACK;
  if (port == load<u32>(device, E1000State.PORT)) return;
  const before = linkUp(b, fn);
  store<u32>(device, port, E1000State.PORT);
  // a frame that the old link had no room for is tried anew
  store<u32>(device, 0, E1000State.TX_WAITING);
  if (port == E1000Port.LOOPBACK) loopStart(b, device);
  linkSelect(b, fn);
  if (linkUp(b, fn) != before) familyLinkChanged(b, fn);
  else workRequest(b, fn);
}
