// The exports for event channels and grant tables; the others are in abi.ts. What answers with an i32 answers as a
// hypercall does: 0, a negative errno, or a negative GNTST_* for the operations on one grant.
import { Status } from '../spec/status';
import { XenErrno } from '../spec/xen';
import { busy, enter, leave, left } from '../memory/lock';
import * as domains from '../gate/domains';
import * as events from '../ring/events';
import * as copies from '../ring/grant-copy';
import * as grants from '../ring/grant-map';

@inline
function join(lo: u32, hi: u32): u64 {
  return <u64>hi << 32 | lo;
}

// ---- event channels

export function evtchnSend(dom: u32, port: u32): i32 {
  const b = enter();
  return busy(b) ? -<i32>XenErrno.EBUSY : leave<i32>(b, events.evtchnSend(b, dom, port));
}

export function evtchnUnmask(dom: u32, port: u32): i32 {
  const b = enter();
  return busy(b) ? -<i32>XenErrno.EBUSY : leave<i32>(b, events.evtchnUnmask(b, dom, port));
}

/** The hypervisor sends on a port of its own. */
export function eventFromXen(slot: u32, port: u32): i32 {
  const b = enter();
  return busy(b) ? -<i32>XenErrno.EBUSY : leave<i32>(b, events.eventFromXen(b, slot, port));
}

/** Sets a port pending, for the control plane that has just bound it: 1 when it was not. */
export function eventSet(slot: u32, port: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave<u32>(b, domains.domainPresent(b, slot) && events.eventSetPending(b, slot, port & 4095) ? 1 : 0);
}

/** 1 when a virtual interrupt was bound and not pending yet. */
export function eventVirq(slot: u32, virq: u32, vcpu: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave<u32>(b, events.eventVirq(b, slot, virq, vcpu) ? 1 : 0);
}

/** Takes a port's pending bit, as the guest's handler does: 1 when it was set. */
export function eventTake(dom: u32, port: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave<u32>(b, events.eventTake(b, dom, port) ? 1 : 0);
}

/** PHYSDEVOP_eoi of an INTx line. */
export function lineEnd(dom: u32, line: u32): i32 {
  const b = enter();
  return busy(b) ? -<i32>XenErrno.EBUSY : leave<i32>(b, events.lineEnd(b, dom, line));
}

/** Devices' messages and lines become events: 15:0 how many, 31:16 messages whose vector nobody has. */
export function interruptsDeliver(): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave<u32>(b, events.interruptsDeliver(b));
}

// ---- grant tables

/** Gives a domain an empty grant table, with bounds of its own. */
export function grantsCreate(slot: u32, maxFrames: u32, maxHandles: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, grants.grantsCreate(b, slot, maxFrames, maxHandles));
}

export function grantsDestroy(slot: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (domains.domainPresent(b, slot)) grants.grantsDestroy(b, slot);
  left(b);
}

/** A PV domain has IO tables now: what it has mapped of others goes in. */
export function grantsIoFill(slot: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, domains.domainPresent(b, slot) ? grants.grantsIoFill(b, slot) : Status.ABSENT);
}

/** 1 when a grant from reference `first` on is in use. */
export function grantsPinned(slot: u32, first: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>1 : leave<u32>(b, domains.domainPresent(b, slot) && grants.grantsPinned(b, slot, first) ? 1 : 0);
}

/** I/O memory that the domain has lost leaves the maps of those it was granted to. */
export function grantsWithdraw(slot: u32, first: u32, last: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (domains.domainPresent(b, slot)) grants.grantsWithdraw(b, slot, first, last);
  left(b);
}

/** One map_grant_ref: handle and machine frame in GRANT_HANDLE and GRANT_MFN. */
export function grantMap(dom: u32, lo: u32, hi: u32, flags: u32, ref: u32, domid: u32): i32 {
  const b = enter();
  return busy(b) ? -<i32>XenErrno.EBUSY : leave<i32>(b, copies.grantMapOne(b, dom, join(lo, hi), flags, ref, domid));
}

export function grantUnmap(dom: u32, lo: u32, hi: u32, busLo: u32, busHi: u32, handle: u32): i32 {
  const b = enter();
  return busy(b) ? -<i32>XenErrno.EBUSY : leave<i32>(b, copies.grantUnmapOne(b, dom, join(lo, hi), join(busLo, busHi), handle));
}

/** Batches of map_grant_ref, unmap_grant_ref, unmap_and_replace and copy, at a guest address. */
export function grantTableOp(dom: u32, cmd: u32, lo: u32, hi: u32, count: u32): i32 {
  const b = enter();
  return busy(b) ? -<i32>XenErrno.EBUSY : leave<i32>(b, copies.grantTableOp(b, dom, cmd, join(lo, hi), count));
}

/** Takes a frame of RAM out of a domain's map, wherever it is mapped. */
export function guestMapForget(slot: u32, mfn: u32): void {
  const b = enter();
  if (busy(b)) return;
  domains.guestMapForget(b, slot, mfn);
  left(b);
}
