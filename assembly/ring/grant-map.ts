// Mapping another domain's grants (public/grant_table.h): map_grant_ref, unmap_grant_ref, unmap_and_replace.
//
// A grant that is mapped is *active*: the hypervisor keeps its frame and four counters of what it is pinned for, and
// goes by that, whatever the guest writes into the entry meanwhile. Each mapping holds the frame, so it does not change
// hands; each has a handle in the mapper's maptrack. All of it lies in fixed pools: a mapper can use up its own only.
import { DomId, Machine, MapEntry } from '../spec/machine';
import { Counter } from '../spec/counters';
import { Status } from '../spec/status';
import { VtdInv } from '../spec/vtd';
import {
  ActiveGrant, DomainFlag, DomainRecord, GrantBlock, GrantPin, IoDomainRecord, Maptrack, State, StateSize,
} from '../spec/state';
import { GntMap, GrantEntry, GrantStatus, Gtf } from '../spec/xen';
import { count } from '../memory/state';
import { frameHold, frameOwner, frameRelease } from '../memory/frames';
import { domainPresent, domainRecord, guestMapGet, guestMapSet } from '../gate/domains';
import { ioDomainRecord, ioMap, ioUnmap } from '../iommu/tables';
import { invalidateSync } from '../iommu/hypercall';
import {
  BAD_FRAME, MMIO_FRAME, domainFind, grantBlock, grantEntries, grantEntryPtr, grantFrame, grantIndexPtr, grantIomem,
  grantMark, grantUnmark,
} from './grant-entries';

/** Top bits of the four pin counters: one more of a kind could run over. */
const PIN_FULL: u32 = 0x80808080;
const PIN_WRITES: u32 = 0xff00ff00;

@inline
function activePtr(b: usize, index: u32): usize {
  return b + load<u32>(b, State.POOL_ACTIVE) + <usize>index * StateSize.ACTIVE_GRANT;
}

@inline
function trackPtr(b: usize, dom: u32, handle: u32): usize {
  return b + load<u32>(b, State.POOL_MAPTRACK)
    + (<usize>dom * load<u32>(b, State.MAPTRACK_LIMIT) + handle) * StateSize.MAPTRACK_ENTRY;
}

/** Record of the active grant of a reference within the table, 0 when it is not in use. */
export function activeOf(b: usize, slot: u32, ref: u32): usize {
  const index = load<u32>(grantIndexPtr(b, slot, ref));
  return index == 0 ? 0 : activePtr(b, index - 1);
}

/** Whether an active grant may be used once more by `domid`. */
@inline
export function activeAdmits(active: usize, domid: u32): bool {
  return load<u16>(active, ActiveGrant.DOMID) == domid && (load<u32>(active, ActiveGrant.PIN) & PIN_FULL) == 0;
}

@inline
export function activeWritten(active: usize): bool {
  return (load<u32>(active, ActiveGrant.PIN) & PIN_WRITES) != 0;
}

/** All pools of grants, empty: the first use of a state. */
export function grantsSetup(b: usize, domains: u32): void {
  const all = domains * load<u32>(b, State.MAPTRACK_LIMIT);
  for (let i: u32 = 0; i < all; i++) store<u32>(activePtr(b, i), i + 1 < all ? i + 2 : 0, ActiveGrant.REF);
  store<u32>(b, all != 0 ? 1 : 0, State.ACTIVE_HEAD);
}

/** An empty table for a domain: no frame, all handles free. */
export function grantsCreate(b: usize, slot: u32, maxFrames: u32, maxHandles: u32): Status {
  if (!domainPresent(b, slot)) return Status.ABSENT;
  if (maxFrames > load<u32>(b, State.GRANT_FRAMES_LIMIT) || maxHandles > load<u32>(b, State.MAPTRACK_LIMIT)) return Status.RANGE;
  const block = grantBlock(b, slot);
  memory.fill(block, 0, GrantBlock.FRAME_LIST);
  store<u32>(block, 1, GrantBlock.VERSION);
  store<u32>(block, maxFrames, GrantBlock.MAX_FRAMES);
  store<u32>(block, maxHandles, GrantBlock.MAX_HANDLES);
  for (let i: u32 = 0; i < maxHandles; i++) {
    const track = trackPtr(b, slot, i);
    store<u32>(track, 0, Maptrack.ACTIVE);
    store<u32>(track, i + 1 < maxHandles ? i + 2 : 0, Maptrack.FLAGS);
  }
  store<u32>(block, maxHandles != 0 ? 1 : 0, GrantBlock.HANDLE_HEAD);
  return Status.OK;
}

/** Takes a grant into use, or finds it in use; 0 when the pool is empty, which handles prevent. */
function activeTake(b: usize, slot: u32, ref: u32, domid: u32, mfn: u32, mmio: bool): usize {
  const found = activeOf(b, slot, ref);
  if (found != 0) return found;
  const head = load<u32>(b, State.ACTIVE_HEAD);
  if (head == 0) return 0;
  const active = activePtr(b, head - 1);
  store<u32>(b, load<u32>(active, ActiveGrant.REF), State.ACTIVE_HEAD);
  store<u32>(active, mfn, ActiveGrant.MFN);
  store<u32>(active, ref, ActiveGrant.REF);
  store<u16>(active, <u16>domid, ActiveGrant.DOMID);
  store<u8>(active, <u8>slot, ActiveGrant.GRANTER);
  store<u8>(active, mmio ? 1 : 0, ActiveGrant.MMIO);
  store<u32>(grantIndexPtr(b, slot, ref), head);
  return active;
}

/** Takes one pin off an active grant: marks that nothing needs any more go, and with the last pin the record. */
function activeUnpin(b: usize, index: u32, pin: u32): void {
  const active = activePtr(b, index);
  const left = load<u32>(active, ActiveGrant.PIN) - pin;
  store<u32>(active, left, ActiveGrant.PIN);
  if (load<u8>(active, ActiveGrant.MMIO) == 0) frameRelease(b, load<u32>(active, ActiveGrant.MFN));
  const slot = <u32>load<u8>(active, ActiveGrant.GRANTER);
  const ref = load<u32>(active, ActiveGrant.REF);
  if (slot != <u32>ActiveGrant.GONE) {
    const marks: u32 = (left & PIN_WRITES ? <u32>0 : <u32>Gtf.WRITING) | (left ? <u32>0 : <u32>Gtf.READING);
    if (marks != 0) grantUnmark(b, slot, ref, marks);
    if (left == 0) store<u32>(grantIndexPtr(b, slot, ref), 0);
  }
  if (left != 0) return;
  store<u32>(active, load<u32>(b, State.ACTIVE_HEAD), ActiveGrant.REF);
  store<u32>(b, index + 1, State.ACTIVE_HEAD);
}

/** Rights (1 read, 2 write) that the mappings of `dom` give its devices to a foreign frame. */
function mappedRights(b: usize, dom: u32, mfn: u32): u32 {
  const handles = load<u32>(grantBlock(b, dom), GrantBlock.MAX_HANDLES);
  let rights: u32 = 0;
  for (let i: u32 = 0; i < handles && rights != 3; i++) {
    const track = trackPtr(b, dom, i);
    const index = load<u32>(track, Maptrack.ACTIVE);
    if (index == 0 || load<u32>(activePtr(b, index - 1), ActiveGrant.MFN) != mfn) continue;
    rights |= load<u32>(track, Maptrack.FLAGS) & GntMap.READONLY ? <u32>1 : <u32>3;
  }
  return rights;
}

/**
 * Brings a PV domain's IO tables into line with what it has mapped: a granted frame is there, at its machine address,
 * from the first mapping to the last, for writing as long as one of them is.
 */
function ioFollow(b: usize, dom: u32, mfn: u32, mmio: bool, before: u32): Status {
  const io = load<u32>(grantBlock(b, dom), GrantBlock.IO_DOMAIN);
  if (io == 0 || mmio || frameOwner(b, mfn) == load<u32>(domainRecord(b, dom), DomainRecord.DOMID)) return Status.OK;
  const after = mappedRights(b, dom, mfn);
  if (after == before) return Status.OK;
  if (before != 0) {
    ioUnmap(b, io - 1, mfn, 1);
    const did = <u64>load<u32>(ioDomainRecord(b, io - 1), IoDomainRecord.DID) << 16;
    invalidateSync(b, did | VtdInv.DR | VtdInv.DW | VtdInv.IOTLB | VtdInv.G_SELECTIVE << VtdInv.G_SHIFT,
      <u64>mfn << Machine.PAGE_SHIFT);
  }
  return after == 0 ? Status.OK : ioMap(b, io - 1, mfn, mfn, 1, after);
}

@inline
function ioRights(b: usize, dom: u32, mfn: u32): u32 {
  return load<u32>(grantBlock(b, dom), GrantBlock.IO_DOMAIN) == 0 ? 0 : mappedRights(b, dom, mfn);
}

/** The domain's IO tables have been made: what it has mapped goes in. */
export function grantsIoFill(b: usize, dom: u32): Status {
  const handles = load<u32>(grantBlock(b, dom), GrantBlock.MAX_HANDLES);
  for (let i: u32 = 0; i < handles; i++) {
    const index = load<u32>(trackPtr(b, dom, i), Maptrack.ACTIVE);
    if (index == 0) continue;
    const active = activePtr(b, index - 1);
    const mfn = load<u32>(active, ActiveGrant.MFN);
    const status = ioFollow(b, dom, mfn, load<u8>(active, ActiveGrant.MMIO) != 0, 0);
    // the frame of an earlier handle is there already
    if (status != Status.OK && status != Status.IN_USE) return status;
  }
  return Status.OK;
}

@inline
function mapEntryOf(mfn: u32, mmio: bool, write: bool): u32 {
  return <u32>(mmio ? MapEntry.MMIO : MapEntry.RAM) << MapEntry.KIND_SHIFT | <u32>(write ? 1 : 0) << MapEntry.WRITABLE_BIT | mfn;
}

/** map_grant_ref: GNTST_okay with handle and machine frame in the state, or a negative GNTST_*; then nothing has changed. */
export function grantMap(b: usize, dom: u32, address: u64, flags: u32, ref: u32, domid: u32): i32 {
  const own = domainRecord(b, dom);
  if ((flags & (GntMap.DEVICE_MAP | GntMap.HOST_MAP)) == 0) return -GrantStatus.BAD_GNTREF;
  const hvm = (load<u32>(own, DomainRecord.FLAGS) & DomainFlag.HVM) != 0;
  // a page table entry by its machine address: guests here have no page tables of their own
  if ((flags & GntMap.CONTAINS_PTE) != 0) return -GrantStatus.GENERAL_ERROR;
  if (hvm && (flags & (GntMap.DEVICE_MAP | GntMap.APPLICATION_MAP)) != 0) return -GrantStatus.GENERAL_ERROR;
  const found = domainFind(b, domid);
  if (found < 0) return -GrantStatus.BAD_DOMAIN;
  const slot = <u32>found;
  const block = grantBlock(b, dom);
  const handle = load<u32>(block, GrantBlock.HANDLE_HEAD);
  if (handle == 0) return -GrantStatus.NO_SPACE;
  if (ref >= grantEntries(b, slot)) return -GrantStatus.BAD_GNTREF;
  const me = load<u32>(own, DomainRecord.DOMID);
  const write = (flags & GntMap.READONLY) == 0;
  let active = activeOf(b, slot, ref);
  const pinned = active != 0;
  if (pinned && !activeAdmits(active, me)) return -GrantStatus.GENERAL_ERROR;
  if (!pinned || (write && !activeWritten(active))) {
    const status = grantMark(b, slot, ref, me, pinned, write, true);
    if (status != 0) return status;
  }
  const status = mapMarked(b, dom, slot, ref, address, flags, hvm, me, handle);
  if (status == 0) return 0;
  active = activeOf(b, slot, ref);
  if (active == 0) grantUnmark(b, slot, ref, Gtf.READING | Gtf.WRITING);
  else if (!activeWritten(active)) grantUnmark(b, slot, ref, Gtf.WRITING);
  return status;
}

/** The rest, once the entry is marked: frame, host mapping, pins. */
function mapMarked(
  b: usize, dom: u32, slot: u32, ref: u32, address: u64, flags: u32, hvm: bool, me: u32, handle: u32,
): i32 {
  const write = (flags & GntMap.READONLY) == 0;
  const known = activeOf(b, slot, ref);
  let mfn: u32 = 0;
  let mmio = false;
  if (known != 0) {
    mfn = load<u32>(known, ActiveGrant.MFN);
    mmio = load<u8>(known, ActiveGrant.MMIO) != 0;
  } else {
    const entry = grantEntryPtr(b, slot, ref);
    const frame: u64 = load<u32>(grantBlock(b, slot), GrantBlock.VERSION) == 2
      ? load<u64>(entry, GrantEntry.V2_FRAME)
      : <u64>load<u32>(entry, GrantEntry.V1_FRAME);
    const got = grantFrame(b, slot, frame, write);
    if (got == BAD_FRAME) return -GrantStatus.BAD_PAGE;
    mmio = (got & MMIO_FRAME) != 0;
    mfn = got & ~MMIO_FRAME;
  }
  if (mmio && (hvm || !grantIomem(b, slot, mfn))) return -GrantStatus.GENERAL_ERROR;
  const host = (flags & GntMap.HOST_MAP) != 0;
  const page = <u32>(address >> Machine.PAGE_SHIFT);
  const before = ioRights(b, dom, mfn);
  if (host) {
    if (address >> 40 != 0) return -GrantStatus.BAD_VIRT_ADDR;
    const old = guestMapGet(b, dom, page);
    if (guestMapSet(b, dom, page, mapEntryOf(mfn, mmio, write)) != Status.OK) return -GrantStatus.BAD_VIRT_ADDR;
    store<u32>(b + State.GRANT_SCRATCH, old, 60);
  }
  const active = activeTake(b, slot, ref, me, mfn, mmio);
  if (active == 0) {
    if (host) guestMapSet(b, dom, page, load<u32>(b + State.GRANT_SCRATCH, 60));
    return -GrantStatus.NO_SPACE;
  }
  const index = load<u32>(grantIndexPtr(b, slot, ref));
  const block = grantBlock(b, dom);
  const track = trackPtr(b, dom, handle - 1);
  const next = load<u32>(track, Maptrack.FLAGS);
  store<u32>(track, index, Maptrack.ACTIVE);
  store<u32>(track, flags & (GntMap.DEVICE_MAP | GntMap.HOST_MAP | GntMap.READONLY), Maptrack.FLAGS);
  store<u32>(track, page, Maptrack.PAGE);
  store<u32>(track, ref, Maptrack.REF);
  const hostPin: u32 = host ? (write ? <u32>GrantPin.HOST_WRITE : <u32>GrantPin.HOST_READ) : 0;
  const device = (flags & GntMap.DEVICE_MAP) != 0;
  const devicePin: u32 = device ? (write ? <u32>GrantPin.DEVICE_WRITE : <u32>GrantPin.DEVICE_READ) : 0;
  store<u32>(active, load<u32>(active, ActiveGrant.PIN) + hostPin + devicePin, ActiveGrant.PIN);
  if (!mmio) {
    if (host) frameHold(b, mfn);
    if (device) frameHold(b, mfn);
  }
  store<u32>(block, next, GrantBlock.HANDLE_HEAD);
  store<u32>(block, load<u32>(block, GrantBlock.HANDLES_USED) + 1, GrantBlock.HANDLES_USED);
  if (ioFollow(b, dom, mfn, mmio, before) != Status.OK) {
    if (host) guestMapSet(b, dom, page, load<u32>(b + State.GRANT_SCRATCH, 60));
    handleRelease(b, dom, handle - 1, GntMap.HOST_MAP | GntMap.DEVICE_MAP);
    if (before != 0) ioFollow(b, dom, mfn, mmio, 0);
    return -GrantStatus.NO_DEVICE_SPACE;
  }
  store<u32>(b, handle - 1, State.GRANT_HANDLE);
  store<u32>(b, mfn, State.GRANT_MFN);
  count(b, Counter.GRANT_MAPS);
  return 0;
}

/** Gives up parts of a mapping, whose guest map entry the caller has dealt with; with the last the handle is free. */
function handleRelease(b: usize, dom: u32, handle: u32, parts: u32): void {
  const track = trackPtr(b, dom, handle);
  const flags = load<u32>(track, Maptrack.FLAGS);
  const index = load<u32>(track, Maptrack.ACTIVE) - 1;
  const readonly = (flags & GntMap.READONLY) != 0;
  const left = flags & ~(parts & (GntMap.HOST_MAP | GntMap.DEVICE_MAP));
  store<u32>(track, left, Maptrack.FLAGS);
  if (flags & parts & GntMap.HOST_MAP) activeUnpin(b, index, readonly ? <u32>GrantPin.HOST_READ : <u32>GrantPin.HOST_WRITE);
  if (flags & parts & GntMap.DEVICE_MAP) activeUnpin(b, index, readonly ? <u32>GrantPin.DEVICE_READ : <u32>GrantPin.DEVICE_WRITE);
  if (left & (GntMap.HOST_MAP | GntMap.DEVICE_MAP)) return;
  const block = grantBlock(b, dom);
  store<u32>(track, 0, Maptrack.ACTIVE);
  store<u32>(track, load<u32>(block, GrantBlock.HANDLE_HEAD), Maptrack.FLAGS);
  store<u32>(block, handle + 1, GrantBlock.HANDLE_HEAD);
  store<u32>(block, load<u32>(block, GrantBlock.HANDLES_USED) - 1, GrantBlock.HANDLES_USED);
}

/**
 * unmap_grant_ref; with `replace` unmap_and_replace, where the page at `second` takes the mapping's place. `second` is
 * else the bus address, 0 for none. The guest's map must show this very mapping at `address`.
 */
export function grantUnmap(b: usize, dom: u32, address: u64, second: u64, handle: u32, replace: bool): i32 {
  if (handle >= load<u32>(grantBlock(b, dom), GrantBlock.MAX_HANDLES)) return -GrantStatus.BAD_HANDLE;
  const track = trackPtr(b, dom, handle);
  const index = load<u32>(track, Maptrack.ACTIVE);
  if (index == 0) return -GrantStatus.BAD_HANDLE;
  const active = activePtr(b, index - 1);
  const mfn = load<u32>(active, ActiveGrant.MFN);
  const mmio = load<u8>(active, ActiveGrant.MMIO) != 0;
  const bus: u64 = replace ? 0 : second;
  if (bus != 0 && bus != <u64>mfn << Machine.PAGE_SHIFT) return -GrantStatus.BAD_DEV_ADDR;
  const flags = load<u32>(track, Maptrack.FLAGS);
  let parts: u32 = 0;
  if (replace && (load<u32>(domainRecord(b, dom), DomainRecord.FLAGS) & DomainFlag.HVM) != 0) return -GrantStatus.GENERAL_ERROR;
  const before = ioRights(b, dom, mfn);
  if (address != 0 && (flags & GntMap.HOST_MAP) != 0) {
    if (address >> 40 != 0 || second >> 40 != 0 && replace) return -GrantStatus.BAD_VIRT_ADDR;
    const page = <u32>(address >> Machine.PAGE_SHIFT);
    const entry = guestMapGet(b, dom, page);
    // I/O memory that the granter has lost is out of the map already
    const withdrawn = mmio && entry == 0;
    if (!withdrawn && entry != mapEntryOf(mfn, mmio, (flags & GntMap.READONLY) == 0)) return -GrantStatus.GENERAL_ERROR;
    let next: u32 = 0;
    if (replace) {
      const other = <u32>(second >> Machine.PAGE_SHIFT);
      next = guestMapGet(b, dom, other);
      if (next == 0 || other == page) return -GrantStatus.GENERAL_ERROR;
      guestMapSet(b, dom, other, 0);
    }
    guestMapSet(b, dom, page, next);
    parts = GntMap.HOST_MAP;
  }
  if (bus != 0) parts |= flags & GntMap.DEVICE_MAP;
  if (parts == 0) return 0;
  handleRelease(b, dom, handle, parts);
  ioFollow(b, dom, mfn, mmio, before);
  count(b, Counter.GRANT_UNMAPS);
  return 0;
}

/** Takes I/O memory that a granter has lost out of the maps of those it was granted to; their handles stay. */
export function grantsWithdraw(b: usize, slot: u32, first: u32, last: u32): void {
  for (let dom: u32 = 0; dom < load<u32>(b, State.DOMAIN_LIMIT); dom++) {
    if (!domainPresent(b, dom)) continue;
    const handles = load<u32>(grantBlock(b, dom), GrantBlock.MAX_HANDLES);
    for (let i: u32 = 0; i < handles; i++) {
      const track = trackPtr(b, dom, i);
      const index = load<u32>(track, Maptrack.ACTIVE);
      if (index == 0) continue;
      const active = activePtr(b, index - 1);
      const mfn = load<u32>(active, ActiveGrant.MFN);
      if (load<u8>(active, ActiveGrant.MMIO) == 0 || load<u8>(active, ActiveGrant.GRANTER) != slot) continue;
      if (mfn < first || mfn > last) continue;
      guestForget(b, dom, load<u32>(track, Maptrack.PAGE), mfn);
    }
  }
}

function guestForget(b: usize, dom: u32, page: u32, mfn: u32): void {
  const entry = guestMapGet(b, dom, page);
  if (entry >> MapEntry.KIND_SHIFT == MapEntry.MMIO && (entry & MapEntry.MFN_MASK) == mfn) guestMapSet(b, dom, page, 0);
}

/**
 * A domain ends: its mappings of others' grants are released; what others have mapped of it stays theirs until they
 * unmap it, with nothing left to mark. Its map and IO tables are the caller's to take down.
 */
export function grantsDestroy(b: usize, dom: u32): void {
  const block = grantBlock(b, dom);
  const handles = load<u32>(block, GrantBlock.MAX_HANDLES);
  store<u32>(block, 0, GrantBlock.IO_DOMAIN);
  for (let i: u32 = 0; i < handles; i++) {
    if (load<u32>(trackPtr(b, dom, i), Maptrack.ACTIVE) != 0) handleRelease(b, dom, i, GntMap.HOST_MAP | GntMap.DEVICE_MAP);
  }
  const refs = load<u32>(b, State.GRANT_FRAMES_LIMIT) * GrantEntry.V1_PER_PAGE;
  for (let ref: u32 = 0; ref < refs; ref++) {
    const active = activeOf(b, dom, ref);
    if (active == 0) continue;
    store<u8>(active, ActiveGrant.GONE, ActiveGrant.GRANTER);
    store<u32>(grantIndexPtr(b, dom, ref), 0);
  }
  memory.fill(block, 0, GrantBlock.FRAME_LIST);
}

/** Whether any grant from reference `first` on is in use. */
export function grantsPinned(b: usize, slot: u32, first: u32): bool {
  const refs = grantEntries(b, slot);
  for (let ref = first; ref < refs; ref++) if (load<u32>(grantIndexPtr(b, slot, ref)) != 0) return true;
  return false;
}

/** The domain id that DOMID_SELF or a number means for `dom`: a slot, or -1. */
export function domainNamed(b: usize, dom: u32, domid: u32): i32 {
  return domid == <u32>DomId.SELF ? <i32>dom : domainFind(b, domid);
}
