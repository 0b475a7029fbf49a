// Whether there is a link, and what STATUS tells of it (§13.4.2).
import { E1000, E1000Icr, E1000State, E1000Status } from '../../spec/e1000';
import { FunctionRecord } from '../../spec/state';
import { Link } from '../../spec/link';
import { deviceState, functionRecord, registerSet, workRequest } from '../../bus/functions';
import { causesRaise } from './interrupts';

/** Link record that the port is plugged into, 0 when it is into none. */
@inline
export function linkOf(b: usize, fn: u32): usize {
  const off = load<u32>(functionRecord(b, fn), FunctionRecord.LINK);
  return off == 0 ? 0 : b + off;
}

@inline
export function linkUp(b: usize, fn: u32): bool {
  const link = linkOf(b, fn);
  return link != 0 && load<u32>(link, Link.UP) != 0;
}

/** Brings STATUS into line with the link, which is 1000 Mb/s full duplex or down. */
export function statusUpdate(b: usize, fn: u32): void {
  const status = linkUp(b, fn) ? E1000Status.FD | E1000Status.LU | E1000Status.SPEED_1000 : 0;
  registerSet(b, fn, 0, E1000.STATUS, status);
}

/** The cable was plugged in or pulled: the caller has changed the link record. */
export function e1000LinkChanged(b: usize, fn: u32): void {
  if (!linkUp(b, fn)) store<u32>(deviceState(b, fn), 0, E1000State.LINK_LATCH);
  statusUpdate(b, fn);
  causesRaise(b, fn, E1000Icr.LSC);
  workRequest(b, fn);
}
