// Entries of a domain's grant table (public/grant_table.h), as the hypervisor reads and marks them. The table lies in
// frames that the guest writes at any time: each entry is read once per question, and what was read is what counts.
//
//   v1   flags u16, domid u16, frame u32
//   v2   flags u16, domid u16, then pad, frame u64 | page_off u16, length u16, frame u64 | trans_domid u16, pad, ref u32;
//        the marks of what is in use stand in status frames, a u16 for each entry
import { DomId, Machine, MapEntry } from '../spec/machine';
import { DomainFlag, DomainRecord, GrantBlock, IomemBlock, State, StateSize } from '../spec/state';
import { GrantEntry, GrantStatus, Gtf } from '../spec/xen';
import { frameIsOwnRam, frameRecord } from '../memory/frames';
import { frameDirty, framePtr, windowOf } from '../memory/windows';
import { domainRecord, guestMapGet } from '../gate/domains';

/** What `grantFrame` answers for a frame that may not be granted, and the bit that says I/O memory. */
export const BAD_FRAME: u32 = 0xffffffff;
export const MMIO_FRAME: u32 = 0x80000000;
/** A compare-and-swap on a guest's word is tried so many times: a guest that keeps changing it must not hold us. */
const ATTEMPTS: u32 = 5;

@inline
export function grantBlock(b: usize, slot: u32): usize {
  const limit = load<u32>(b, State.GRANT_FRAMES_LIMIT);
  const words = limit + ((limit + 7) >> 3) + limit * GrantEntry.V1_PER_PAGE;
  return b + load<u32>(b, State.POOL_GRANTS) + <usize>slot * (GrantBlock.FRAME_LIST + (words << 2));
}

/** Word of a reference: index plus one of its active grant. */
@inline
export function grantIndexPtr(b: usize, slot: u32, ref: u32): usize {
  const limit = load<u32>(b, State.GRANT_FRAMES_LIMIT);
  return grantBlock(b, slot) + GrantBlock.FRAME_LIST + (<usize>(limit + ((limit + 7) >> 3) + ref) << 2);
}

/** References of the table as it is now. */
export function grantEntries(b: usize, slot: u32): u32 {
  const block = grantBlock(b, slot);
  const version = load<u32>(block, GrantBlock.VERSION);
  const frames = min<u32>(load<u32>(block, GrantBlock.FRAMES), load<u32>(b, State.GRANT_FRAMES_LIMIT));
  return version == 2 ? frames * GrantEntry.V2_PER_PAGE : version == 1 ? frames * GrantEntry.V1_PER_PAGE : 0;
}

@inline
function isV2(b: usize, slot: u32): bool {
  return load<u32>(grantBlock(b, slot), GrantBlock.VERSION) == 2;
}

@inline
function tableMfn(b: usize, slot: u32, index: u32): u32 {
  return load<u32>(grantBlock(b, slot) + GrantBlock.FRAME_LIST + (<usize>index << 2));
}

/** Linear address of an entry; the reference is within the table. */
export function grantEntryPtr(b: usize, slot: u32, ref: u32): usize {
  if (isV2(b, slot)) {
    return framePtr(b, tableMfn(b, slot, ref / GrantEntry.V2_PER_PAGE)) + ref % GrantEntry.V2_PER_PAGE * GrantEntry.V2_SIZE;
  }
  return framePtr(b, tableMfn(b, slot, ref / GrantEntry.V1_PER_PAGE)) + ref % GrantEntry.V1_PER_PAGE * GrantEntry.V1_SIZE;
}

function markMfn(b: usize, slot: u32, ref: u32): u32 {
  if (!isV2(b, slot)) return tableMfn(b, slot, ref / GrantEntry.V1_PER_PAGE);
  return tableMfn(b, slot, load<u32>(b, State.GRANT_FRAMES_LIMIT) + ref / GrantEntry.STATUS_PER_PAGE);
}

/** Where the marks of an entry stand: its own flags, or its status word. */
function markPtr(b: usize, slot: u32, ref: u32): usize {
  if (!isV2(b, slot)) return grantEntryPtr(b, slot, ref);
  return framePtr(b, markMfn(b, slot, ref)) + (ref % GrantEntry.STATUS_PER_PAGE << 1);
}

function compareExchange(ptr: usize, expected: u32, next: u32): u32 {
  if ((ptr & 3) == 0) return atomic.cmpxchg<u32>(ptr, expected, next);
  const seen = load<u32>(ptr);
  if (seen == expected) store<u32>(ptr, next);
  return seen;
}

/** Takes marks off an entry. */
export function grantUnmark(b: usize, slot: u32, ref: u32, marks: u32): void {
  const ptr = markPtr(b, slot, ref);
  if ((ptr & 1) == 0) atomic.and<u16>(ptr, <u16>~marks);
  else store<u16>(ptr, load<u16>(ptr) & <u16>~marks);
  frameDirty(b, markMfn(b, slot, ref));
}

/** Whether an entry, as read, lets `domid` in. Transitive entries serve copies only. */
@inline
function permits(head: u32, domid: u32, mapping: bool): bool {
  const type = head & Gtf.TYPE_MASK;
  if (mapping && (head & Gtf.SUB_PAGE) != 0) return false;
  return (type == Gtf.PERMIT_ACCESS || (!mapping && type == Gtf.TRANSITIVE)) && head >> 16 == domid;
}

/**
 * Marks an entry as in use: the entry is checked in the same step that marks it. One that is `pinned` was checked when
 * it was pinned; of it only the right to write is asked. GRANT_HEAD has what was checked.
 */
export function grantMark(b: usize, slot: u32, ref: u32, domid: u32, pinned: bool, write: bool, mapping: bool): i32 {
  const marks: u32 = write ? Gtf.READING | Gtf.WRITING : Gtf.READING;
  const entry = grantEntryPtr(b, slot, ref);
  let head = load<u32>(entry);
  const second = isV2(b, slot);
  if (!second) {
    for (let i: u32 = 0; i < ATTEMPTS; i++) {
      // version 1 knows no transitive entries
      if (!pinned && (!permits(head, domid, mapping) || (head & Gtf.TYPE_MASK) == Gtf.TRANSITIVE)) return -GrantStatus.GENERAL_ERROR;
      if (write && (head & Gtf.READONLY) != 0) return -GrantStatus.GENERAL_ERROR;
      const seen = compareExchange(entry, head, head | marks);
      if (seen == head) {
        store<u32>(b, head, State.GRANT_HEAD);
        frameDirty(b, markMfn(b, slot, ref));
        return 0;
      }
      head = seen;
    }
    return -GrantStatus.GENERAL_ERROR;
  }
  if (!pinned && !permits(head, domid, mapping)) return -GrantStatus.GENERAL_ERROR;
  if (write && (head & Gtf.READONLY) != 0) return -GrantStatus.GENERAL_ERROR;
  const status = markPtr(b, slot, ref);
  if ((status & 1) == 0) atomic.or<u16>(status, <u16>marks);
  else store<u16>(status, load<u16>(status) | <u16>marks);
  frameDirty(b, markMfn(b, slot, ref));
  // the guest revokes by clearing the flags and then looking at the status: so look at the flags again after marking
  const again = (entry & 3) == 0 ? atomic.load<u32>(entry) : load<u32>(entry);
  store<u32>(b, again, State.GRANT_HEAD);
  const lost = (!pinned && !permits(again, domid, mapping)) || (write && (again & Gtf.READONLY) != 0);
  if (!lost) return 0;
  grantUnmark(b, slot, ref, pinned ? Gtf.WRITING : marks);
  return -GrantStatus.GENERAL_ERROR;
}

/** Whether a domain has I/O memory frame `mfn`. */
function iomemHas(b: usize, slot: u32, mfn: u32): bool {
  const block = b + load<u32>(b, State.POOL_IOMEM) + <usize>slot * StateSize.IOMEM_BLOCK;
  const ranges = min<u32>(load<u32>(block, IomemBlock.COUNT), IomemBlock.LIMIT);
  for (let i: u32 = 0; i < ranges; i++) {
    const range = block + IomemBlock.RANGES + (<usize>i << 3);
    if (mfn >= load<u32>(range) && mfn <= load<u32>(range, 4)) return true;
  }
  return false;
}

/** I/O memory that is never anybody's to hand on: enhanced config space, the unit's registers, the interrupt window. */
@inline
function withheld(mfn: u32): bool {
  return (mfn >= <u32>Machine.ECAM_FIRST_MFN && mfn <= <u32>Machine.ECAM_LAST_MFN) || mfn == <u32>Machine.VTD_MFN
    || (mfn >= <u32>Machine.MSI_FIRST_MFN && mfn <= <u32>Machine.MSI_LAST_MFN);
}

/** Whether the domain may hand on this frame of I/O memory, now. */
export function grantIomem(b: usize, slot: u32, mfn: u32): bool {
  return !withheld(mfn) && iomemHas(b, slot, mfn);
}

/**
 * Machine frame that a frame number of the domain means: the number itself for PV, through its map for HVM. The
 * domain's own plain RAM, or I/O memory (with MMIO_FRAME; the right is the caller's to ask); else BAD_FRAME.
 */
export function grantFrame(b: usize, slot: u32, frame: u64, write: bool): u32 {
  if (frame >= <u64>Machine.MFN_LIMIT) return BAD_FRAME;
  const record = domainRecord(b, slot);
  let mfn = <u32>frame;
  if ((load<u32>(record, DomainRecord.FLAGS) & DomainFlag.HVM) != 0) {
    const entry = guestMapGet(b, slot, mfn);
    const kind = entry >> MapEntry.KIND_SHIFT;
    mfn = entry & MapEntry.MFN_MASK;
    if (kind == MapEntry.NONE || (write && (entry >> MapEntry.WRITABLE_BIT & 1) == 0)) return BAD_FRAME;
    if (kind == MapEntry.MMIO) return mfn | MMIO_FRAME;
  } else if (frameRecord(b, mfn) == 0) return windowOf(b, mfn) == 0 ? mfn | MMIO_FRAME : BAD_FRAME;
  return frameIsOwnRam(b, mfn, load<u32>(record, DomainRecord.DOMID)) && framePtr(b, mfn) != 0 ? mfn : BAD_FRAME;
}

/** Slot of a living domain by its id, -1 when there is none. */
export function domainFind(b: usize, domid: u32): i32 {
  if (domid >= <u32>DomId.SELF) return -1;
  for (let slot: i32 = 0; slot < Machine.DOMAINS; slot++) {
    const record = domainRecord(b, slot);
    if (load<u32>(record, DomainRecord.PRESENT) != 0 && load<u32>(record, DomainRecord.DOMID) == domid) return slot;
  }
  return -1;
}
