// Grant copy and the batches of grant_table_op (public/grant_table.h). A copy works within one page on either side;
// each entry is read once, marked for as long as the copy takes, and the window that was read is the one that holds.
import { DomId, Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import { ActiveGrant, DomainFlag, DomainRecord, GrantBlock, State } from '../spec/state';
import { GrantArg, GrantEntry, GrantOp, GrantStatus, Gtf, XenErrno } from '../spec/xen';
import { count, countBy } from '../memory/state';
import { frameDirty, framePtr } from '../memory/windows';
import { domainPresent, domainRecord, hypercallCount } from '../gate/domains';
import { BAD_FRAME, MMIO_FRAME, domainFind, grantBlock, grantEntries, grantEntryPtr, grantFrame, grantMark, grantUnmark } from './grant-entries';
import { activeAdmits, activeOf, activeWritten, domainNamed, grantMap, grantUnmap } from './grant-map';
import { guestCopy, guestReaches } from './guest-memory';

/** What a side of a copy comes to: frame in 27:0, first byte in 43:32, number of bytes in 60:48; or this. */
const CLAIM_FAILED: u64 = 1 << 63;

@inline
function claimFailed(status: i32): u64 {
  return CLAIM_FAILED | <u64>status;
}

@inline
function claim(mfn: u32, start: u32, length: u32): u64 {
  return <u64>length << 48 | <u64>start << 32 | mfn;
}

/** Takes the marks off that no mapping needs. */
function unmark(b: usize, slot: u32, ref: u32): void {
  const active = activeOf(b, slot, ref);
  if (active == 0) grantUnmark(b, slot, ref, Gtf.READING | Gtf.WRITING);
  else if (!activeWritten(active)) grantUnmark(b, slot, ref, Gtf.WRITING);
}

/**
 * Reads and marks the entry for a copy on behalf of `domid`. When it is mapped, the frame is the one that was mapped.
 * A transitive entry leads to another domain's entry, granted to this one's domain, once.
 */
function claimRef(b: usize, slot: u32, ref: u32, domid: u32, write: bool, transitive: bool): u64 {
  if (ref >= grantEntries(b, slot)) return claimFailed(GrantStatus.BAD_GNTREF);
  const active = activeOf(b, slot, ref);
  if (active != 0 && !activeAdmits(active, domid)) return claimFailed(GrantStatus.GENERAL_ERROR);
  if (active == 0 || (write && !activeWritten(active))) {
    const status = grantMark(b, slot, ref, domid, active != 0, write, false);
    if (status != 0) return claimFailed(-status);
  }
  const got = active != 0 ? claimActive(active) : claimEntry(b, slot, ref, write, transitive);
  if (got & CLAIM_FAILED) unmark(b, slot, ref);
  return got;
}

@inline
function claimActive(active: usize): u64 {
  if (load<u8>(active, ActiveGrant.MMIO) != 0) return claimFailed(GrantStatus.BAD_PAGE);
  return claim(load<u32>(active, ActiveGrant.MFN), 0, Machine.PAGE_SIZE);
}

function claimEntry(b: usize, slot: u32, ref: u32, write: bool, transitive: bool): u64 {
  const entry = grantEntryPtr(b, slot, ref);
  let frame: u64 = 0;
  let start: u32 = 0;
  let length: u32 = Machine.PAGE_SIZE;
  if (load<u32>(grantBlock(b, slot), GrantBlock.VERSION) == 1) frame = load<u32>(entry, GrantEntry.V1_FRAME);
  else {
    // what was checked, not what stands there by now
    const head = load<u32>(b, State.GRANT_HEAD);
    const part = load<u32>(entry, GrantEntry.V2_PAGE_OFF);
    frame = load<u64>(entry, GrantEntry.V2_FRAME);
    if ((head & Gtf.TYPE_MASK) == Gtf.TRANSITIVE) return claimOther(b, slot, part & 0xffff, <u32>frame, write, transitive);
    if (head & Gtf.SUB_PAGE) {
      start = part & 0xffff;
      length = part >> 16;
      // a window out of the page holds no byte
      if (start + length > <u32>Machine.PAGE_SIZE) return claimFailed(GrantStatus.GENERAL_ERROR);
    }
  }
  const mfn = grantFrame(b, slot, frame, write);
  if (mfn == BAD_FRAME || (mfn & MMIO_FRAME) != 0) return claimFailed(GrantStatus.BAD_PAGE);
  return claim(mfn, start, length);
}

function claimOther(b: usize, slot: u32, domid: u32, ref: u32, write: bool, allowed: bool): u64 {
  const other = domainFind(b, domid);
  if (!allowed || other < 0 || <u32>other == slot) return claimFailed(GrantStatus.GENERAL_ERROR);
  const got = claimRef(b, other, ref, load<u32>(domainRecord(b, slot), DomainRecord.DOMID), write, false);
  // found through the entry, it is unmarked at once: between here and the copy nothing else runs
  if ((got & CLAIM_FAILED) == 0) unmark(b, other, ref);
  return got;
}

function claimSide(b: usize, dom: u32, side: usize, byRef: bool, write: bool): u64 {
  const domid = <u32>load<u16>(side, GrantArg.COPY_DOMID);
  if (!byRef) {
    const mfn = grantFrame(b, dom, load<u64>(side, GrantArg.COPY_FRAME), write);
    return mfn == BAD_FRAME || (mfn & MMIO_FRAME) != 0 ? claimFailed(GrantStatus.BAD_PAGE) : claim(mfn, 0, Machine.PAGE_SIZE);
  }
  const slot = domainNamed(b, dom, domid);
  return claimRef(b, slot, load<u32>(side, GrantArg.COPY_FRAME), load<u32>(domainRecord(b, dom), DomainRecord.DOMID), write, true);
}

/** Only the caller itself may be named without a grant. 0, or what is wrong with the domain of a side. */
function sideDomain(b: usize, dom: u32, side: usize, byRef: bool): i32 {
  const domid = <u32>load<u16>(side, GrantArg.COPY_DOMID);
  if (!byRef && domid != <u32>DomId.SELF) return -GrantStatus.PERMISSION_DENIED;
  return domainNamed(b, dom, domid) < 0 ? -GrantStatus.BAD_DOMAIN : 0;
}

@inline
function sideEnd(b: usize, dom: u32, side: usize, byRef: bool, taken: bool): void {
  if (byRef && taken) unmark(b, domainNamed(b, dom, load<u16>(side, GrantArg.COPY_DOMID)), load<u32>(side, GrantArg.COPY_FRAME));
}

/** One struct gnttab_copy, in the hypervisor's own memory: GNTST_okay or a negative GNTST_*. */
export function grantCopy(b: usize, dom: u32, op: usize): i32 {
  const flags = <u32>load<u16>(op, GrantArg.COPY_FLAGS);
  const byRef = (flags & GrantArg.SOURCE_GREF) != 0;
  const toRef = (flags & GrantArg.DEST_GREF) != 0;
  const source = op + GrantArg.COPY_SOURCE;
  const dest = op + GrantArg.COPY_DEST;
  let status = sideDomain(b, dom, source, byRef);
  if (status == 0) status = sideDomain(b, dom, dest, toRef);
  if (status != 0) return status;
  const from = claimSide(b, dom, source, byRef, false);
  if (from & CLAIM_FAILED) return -<i32>from;
  const to = claimSide(b, dom, dest, toRef, true);
  status = to & CLAIM_FAILED ? -<i32>to : copyBetween(b, op, from, to);
  sideEnd(b, dom, dest, toRef, (to & CLAIM_FAILED) == 0);
  sideEnd(b, dom, source, byRef, true);
  return status;
}

@inline
function outside(at: u64, offset: u32, len: u32): bool {
  const start = <u32>(at >> 32) & 0xffff;
  return offset < start || offset + len > start + <u32>(at >> 48);
}

function copyBetween(b: usize, op: usize, from: u64, to: u64): i32 {
  const len = <u32>load<u16>(op, GrantArg.COPY_LEN);
  const source = <u32>load<u16>(op + GrantArg.COPY_SOURCE, GrantArg.COPY_OFFSET);
  const dest = <u32>load<u16>(op + GrantArg.COPY_DEST, GrantArg.COPY_OFFSET);
  if (source + len > <u32>Machine.PAGE_SIZE || dest + len > <u32>Machine.PAGE_SIZE) return -GrantStatus.BAD_COPY_ARG;
  if (outside(from, source, len) || outside(to, dest, len)) return -GrantStatus.GENERAL_ERROR;
  const mfn = <u32>to & (Machine.MFN_LIMIT - 1);
  const src = framePtr(b, <u32>from & (Machine.MFN_LIMIT - 1));
  const dst = framePtr(b, mfn);
  if (src == 0 || dst == 0) return -GrantStatus.BAD_PAGE;
  memory.copy(dst + dest, src + source, len);
  frameDirty(b, mfn);
  count(b, Counter.GRANT_COPIES);
  countBy(b, Counter.GRANT_COPY_BYTES, len);
  return 0;
}

/** Whether a domain may make grant hypercalls: the machine's one OS has nobody to make them to. */
@inline
function mayCall(b: usize, dom: u32): bool {
  return domainPresent(b, dom) && (load<u32>(domainRecord(b, dom), DomainRecord.FLAGS) & DomainFlag.NATIVE) == 0;
}

function counted(b: usize, status: i32): i32 {
  if (status != 0) count(b, Counter.GRANT_REFUSED);
  return status;
}

/** map_grant_ref and unmap_grant_ref with one element, as registers. */
export function grantMapOne(b: usize, dom: u32, address: u64, flags: u32, ref: u32, domid: u32): i32 {
  if (!mayCall(b, dom)) return -GrantStatus.BAD_DOMAIN;
  hypercallCount(b, dom);
  return counted(b, grantMap(b, dom, address, flags, ref, domid));
}

export function grantUnmapOne(b: usize, dom: u32, address: u64, bus: u64, handle: u32): i32 {
  if (!mayCall(b, dom)) return -GrantStatus.BAD_DOMAIN;
  hypercallCount(b, dom);
  return counted(b, grantUnmap(b, dom, address, bus, handle, false));
}

/** One element in the scratch: its status, and what else it gives, is stored there. */
function element(b: usize, dom: u32, cmd: u32): void {
  const op = b + State.GRANT_SCRATCH;
  let status: i32 = 0;
  if (cmd == GrantOp.MAP_GRANT_REF) {
    status = grantMap(b, dom, load<u64>(op, GrantArg.MAP_HOST_ADDR), load<u32>(op, GrantArg.MAP_FLAGS),
      load<u32>(op, GrantArg.MAP_REF), load<u16>(op, GrantArg.MAP_DOM));
    if (status == 0) {
      store<u32>(op, load<u32>(b, State.GRANT_HANDLE), GrantArg.MAP_HANDLE);
      store<u64>(op, <u64>load<u32>(b, State.GRANT_MFN) << Machine.PAGE_SHIFT, GrantArg.MAP_DEV_BUS_ADDR);
    }
    store<i16>(op, <i16>status, GrantArg.MAP_STATUS);
  } else if (cmd == GrantOp.COPY) {
    status = grantCopy(b, dom, op);
    store<i16>(op, <i16>status, GrantArg.COPY_STATUS);
  } else {
    status = grantUnmap(b, dom, load<u64>(op, GrantArg.UNMAP_HOST_ADDR), load<u64>(op, GrantArg.UNMAP_DEV_BUS_ADDR),
      load<u32>(op, GrantArg.UNMAP_HANDLE), cmd == GrantOp.UNMAP_AND_REPLACE);
    store<i16>(op, <i16>status, GrantArg.UNMAP_STATUS);
  }
  counted(b, status);
}

/**
 * grant_table_op with map_grant_ref, unmap_grant_ref, unmap_and_replace or copy: `number` elements at a guest address,
 * in order; an element's error stands in its status and stops nothing. 0, -EINVAL, -ENOSYS, or -EFAULT where the array
 * runs out of the guest's writable memory: what came before is done.
 */
export function grantTableOp(b: usize, dom: u32, cmd: u32, address: u64, number: u32): i32 {
  if (!mayCall(b, dom)) return domainPresent(b, dom) ? -XenErrno.ENOSYS : -XenErrno.ESRCH;
  hypercallCount(b, dom);
  if (<i32>number < 0) return -XenErrno.EINVAL;
  let size: u32 = 0;
  if (cmd == GrantOp.MAP_GRANT_REF) size = GrantArg.MAP_SIZE;
  else if (cmd == GrantOp.UNMAP_GRANT_REF || cmd == GrantOp.UNMAP_AND_REPLACE) size = GrantArg.UNMAP_SIZE;
  else if (cmd == GrantOp.COPY) size = GrantArg.COPY_SIZE;
  else return -XenErrno.ENOSYS;
  const scratch = b + State.GRANT_SCRATCH;
  for (let i: u32 = 0; i < number; i++) {
    const at = address + <u64>i * size;
    if (!guestReaches(b, dom, at, size, true)) return -XenErrno.EFAULT;
    guestCopy(b, dom, at, scratch, size, false);
    element(b, dom, cmd);
    // a mapping may have taken the array's own page away
    if (!guestReaches(b, dom, at, size, true)) return -XenErrno.EFAULT;
    guestCopy(b, dom, at, scratch, size, true);
  }
  return 0;
}
