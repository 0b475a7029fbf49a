// Second-level tables, as the hypervisor writes them: IO domains, map with the largest page that fits, unmap with
// the split of a superpage. Every leaf holds the frames it maps, so that none of them changes hands while a device
// can reach it. Whether a mapping may be made is the hypercall's question, not answered here.
import { DomId, Machine } from '../spec/machine';
import { Status } from '../spec/status';
import { Counter } from '../spec/counters';
import { IommuState, VtdPte } from '../spec/vtd';
import { FrameKind, FrameRecord, IoDomainRecord, State, StateSize } from '../spec/state';
import { count, countBy } from '../memory/state';
import { framePtr } from '../memory/windows';
import { frameHold, frameRecord, frameRelease, tableFrameGive, tableFrameTake } from '../memory/frames';

const TABLE_ADDRESS: u64 = 0x000000fffffff000;

@inline
export function ioDomainRecord(b: usize, slot: u32): usize {
  return b + State.IO_DOMAIN_TABLE + slot * StateSize.IO_DOMAIN_RECORD;
}

@inline
export function ioDomainPresent(b: usize, slot: u32): bool {
  return slot < <u32>Machine.IO_DOMAINS && load<u32>(ioDomainRecord(b, slot), IoDomainRecord.PRESENT) != 0;
}

/** Linear address of an entry of a table; 0 when the frame is not RAM (a device in bypass may have written it). */
@inline
function slotPtr(b: usize, table: u32, dfn: u64, level: u32): usize {
  const ptr = framePtr(b, table);
  return ptr == 0 ? 0 : ptr + ((<u32>(dfn >> <u64>(9 * (level - 1))) & 511) << 3);
}

function tableTake(b: usize): u32 {
  const mfn = tableFrameTake(b);
  if (mfn == 0) return 0;
  const ptr = framePtr(b, mfn);
  if (ptr == 0) return 0;
  memory.fill(ptr, 0, Machine.PAGE_SIZE);
  return mfn;
}

/** An IO domain with an empty root table of 3 to 5 levels; only frames of domain `owner` may be mapped in it. */
export function ioDomainCreate(b: usize, slot: u32, did: u32, owner: u32, levels: u32): Status {
  if (slot >= <u32>Machine.IO_DOMAINS || did >= <u32>IommuState.DOMAIN_IDS || owner > <u32>DomId.NONE) return Status.RANGE;
  if (levels < 3 || levels > 5) return Status.RANGE;
  if (ioDomainPresent(b, slot)) return Status.IN_USE;
  const root = tableTake(b);
  if (root == 0) return Status.FULL;
  const record = ioDomainRecord(b, slot);
  memory.fill(record, 0, StateSize.IO_DOMAIN_RECORD);
  store<u32>(record, 1, IoDomainRecord.PRESENT);
  store<u32>(record, did, IoDomainRecord.DID);
  store<u32>(record, root, IoDomainRecord.ROOT_MFN);
  store<u32>(record, levels, IoDomainRecord.LEVELS);
  store<u32>(record, owner, IoDomainRecord.OWNER);
  return Status.OK;
}

/** Linear address of the entry for a page at `level`, making tables on the way; 0 when none are left. */
function entryFor(b: usize, record: usize, dfn: u64, level: u32, make: bool): usize {
  let table = load<u32>(record, IoDomainRecord.ROOT_MFN);
  let at = load<u32>(record, IoDomainRecord.LEVELS);
  while (true) {
    const ptr = slotPtr(b, table, dfn, at);
    if (ptr == 0 || at == level) return ptr;
    let pte = load<u64>(ptr);
    if ((pte & 3) == 0) {
      if (!make) return 0;
      const next = tableTake(b);
      if (next == 0) return 0;
      pte = <u64>next << Machine.PAGE_SHIFT | VtdPte.R | VtdPte.W;
      store<u64>(ptr, pte);
      count(b, Counter.PTES_WRITTEN);
    } else if ((pte & VtdPte.SP) != 0) {
      if (!make) return 0;
      if (!superpageSplit(b, ptr, at)) return 0;
      pte = load<u64>(ptr);
    }
    table = <u32>((pte & TABLE_ADDRESS) >> Machine.PAGE_SHIFT);
    at--;
  }
}

/** Replaces the superpage leaf at `ptr` by a table of 512 smaller leaves with the same rights. */
function superpageSplit(b: usize, ptr: usize, level: u32): bool {
  const pte = load<u64>(ptr);
  const table = tableTake(b);
  if (table == 0) return false;
  const step = <u64>1 << <u64>(Machine.PAGE_SHIFT + 9 * (level - 2));
  const flags = (pte & 3) | (level > 2 ? VtdPte.SP : 0);
  const entries = framePtr(b, table);
  for (let i: u64 = 0; i < 512; i++) store<u64>(entries + (<usize>i << 3), ((pte & TABLE_ADDRESS) + i * step) | flags);
  store<u64>(ptr, <u64>table << Machine.PAGE_SHIFT | VtdPte.R | VtdPte.W);
  countBy(b, Counter.PTES_WRITTEN, 513);
  return true;
}

/**
 * The entry that decides about a page: walks down until a leaf or a gap. Linear address in the low half (0 when a
 * table is not RAM), level in the high half.
 */
function entryFind(b: usize, record: usize, dfn: u64): u64 {
  let table = load<u32>(record, IoDomainRecord.ROOT_MFN);
  let at = load<u32>(record, IoDomainRecord.LEVELS);
  while (true) {
    const ptr = slotPtr(b, table, dfn, at);
    const pte = ptr == 0 ? 0 : load<u64>(ptr);
    if ((pte & 3) == 0 || at == 1 || (pte & VtdPte.SP) != 0) return <u64>at << 32 | ptr;
    table = <u32>((pte & TABLE_ADDRESS) >> Machine.PAGE_SHIFT);
    at--;
  }
}

@inline
function entryIsLeaf(found: u64): bool {
  return <u32>found != 0 && (load<u64>(<usize><u32>found) & 3) != 0;
}

/** Whether a page is mapped in the IO domain. */
export function ioPageMapped(b: usize, slot: u32, dfn: u32): bool {
  return ioDomainPresent(b, slot) && entryIsLeaf(entryFind(b, ioDomainRecord(b, slot), dfn));
}

/** Maps one leaf of `level` (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). */
function leafMap(b: usize, record: usize, dfn: u64, mfn: u32, rights: u32, level: u32): Status {
  return leafFill(b, record, entryFor(b, record, dfn, level, true), mfn, rights, level);
}

@inline
function leafFill(b: usize, record: usize, ptr: usize, mfn: u32, rights: u32, level: u32): Status {
  if (ptr == 0) return Status.FULL;
  const pages: u32 = 1 << (9 * (level - 1));
  store<u64>(ptr, <u64>mfn << Machine.PAGE_SHIFT | rights | (level > 1 ? VtdPte.SP : 0));
  count(b, Counter.PTES_WRITTEN);
  for (let i: u32 = 0; i < pages; i++) frameHold(b, mfn + i);
  store<u64>(record, load<u64>(record, IoDomainRecord.LEAVES) + 1, IoDomainRecord.LEAVES);
  return Status.OK;
}

/**
 * Maps `pages` pages from device frame `dfn` on to machine frames from `mfn` on; `rights` 1 read, 2 write.
 * IN_USE when one of them is mapped already (nothing is changed then), FULL when tables run out: then what was
 * mapped by this call is unmapped again.
 */
export function ioMap(b: usize, slot: u32, dfn: u32, mfn: u32, pages: u32, rights: u32): Status {
  if (!ioDomainPresent(b, slot)) return Status.ABSENT;
  if ((rights & 3) == 0 || <u64>dfn + pages > 0x100000000 || <u64>mfn + pages > <u64>Machine.MFN_LIMIT) return Status.RANGE;
  const record = ioDomainRecord(b, slot);
  if (pages == 1) {
    // one walk finds out whether the page is free and where it goes: with the same in ioUnmap two walks less for a
    // packet that is mapped and unmapped
    const found = entryFind(b, record, dfn);
    if (entryIsLeaf(found)) return Status.IN_USE;
    if (<u32>(found >> 32) == 1) return leafFill(b, record, <usize><u32>found, mfn, rights & 3, 1);
    return leafMap(b, record, dfn, mfn, rights & 3, 1);
  }
  for (let i: u32 = 0; i < pages; i++) if (entryIsLeaf(entryFind(b, record, dfn + i))) return Status.IN_USE;
  let done: u32 = 0;
  while (done < pages) {
    const level = largestLeaf(b, record, dfn + done, mfn + done, pages - done);
    const status = leafMap(b, record, dfn + done, mfn + done, rights & 3, level);
    if (status != Status.OK) {
      ioUnmap(b, slot, dfn, done);
      return status;
    }
    done += 1 << (9 * (level - 1));
  }
  return Status.OK;
}

/** Level of the largest leaf that alignment, length and the tables that are there allow. */
function largestLeaf(b: usize, record: usize, dfn: u32, mfn: u32, pages: u32): u32 {
  for (let level: u32 = 3; level > 1; level--) {
    const whole = <u32>1 << (9 * (level - 1));
    if (((dfn | mfn) & (whole - 1)) != 0 || pages < whole) continue;
    // only where no table hangs: one may be there, empty, from smaller pages
    const ptr = entryFor(b, record, dfn, level, true);
    if (ptr != 0 && load<u64>(ptr) == 0) return level;
  }
  return 1;
}

/** Unmaps `pages` pages; pages that are not mapped are passed over. No cache is touched here. */
export function ioUnmap(b: usize, slot: u32, dfn: u32, pages: u32): Status {
  if (!ioDomainPresent(b, slot)) return Status.ABSENT;
  if (<u64>dfn + pages > 0x100000000) return Status.RANGE;
  const record = ioDomainRecord(b, slot);
  const end = <u64>dfn + pages;
  let at = <u64>dfn;
  while (at < end) {
    const found = entryFind(b, record, at);
    let level = <u32>(found >> 32);
    let ptr = <usize><u32>found;
    const whole = <u64>1 << <u64>(9 * (level - 1));
    if (!entryIsLeaf(found)) {
      // past the whole gap at once: a guest may name all of 2^32 pages
      at = (at & ~(whole - 1)) + whole;
      continue;
    }
    if ((at & (whole - 1)) != 0 || end - at < whole) {
      level = 1;
      ptr = entryFor(b, record, at, 1, true);
      if (ptr == 0) return Status.FULL;
    }
    const size: u32 = 1 << (9 * (level - 1));
    const mfn = <u32>((load<u64>(ptr) & TABLE_ADDRESS) >> Machine.PAGE_SHIFT);
    store<u64>(ptr, 0);
    count(b, Counter.PTES_WRITTEN);
    for (let i: u32 = 0; i < size; i++) frameRelease(b, mfn + i);
    store<u64>(record, load<u64>(record, IoDomainRecord.LEAVES) - 1, IoDomainRecord.LEAVES);
    at += size;
  }
  return Status.OK;
}

/**
 * Gives the tables under one back. A device in pass-through may have written them, so only table frames are followed,
 * superpages are believed only where there can be any, and no more frames are released than the domain holds leaves.
 */
function tableFree(b: usize, record: usize, mfn: u32, level: u32): void {
  const ptr = framePtr(b, mfn);
  const owner = frameRecord(b, mfn);
  if (ptr == 0 || owner == 0 || load<u16>(owner, FrameRecord.KIND) != FrameKind.XEN_TABLE) return;
  for (let i: u32 = 0; i < 512; i++) {
    const pte = load<u64>(ptr + (i << 3));
    if ((pte & 3) == 0) continue;
    // a table that leads back to itself ends here
    store<u64>(ptr + (i << 3), 0);
    const next = <u32>((pte & TABLE_ADDRESS) >> Machine.PAGE_SHIFT);
    if (level > 1 && (pte & VtdPte.SP) == 0) {
      tableFree(b, record, next, level - 1);
      continue;
    }
    const leaves = load<u64>(record, IoDomainRecord.LEAVES);
    if (level > 3 || leaves == 0) continue;
    store<u64>(record, leaves - 1, IoDomainRecord.LEAVES);
    const pages: u32 = 1 << (9 * (level - 1));
    for (let j: u32 = 0; j < pages; j++) frameRelease(b, next + j);
  }
  tableFrameGive(b, mfn);
}

/** Releases every mapping and gives the tables back. The caller flushes the domain's id first. */
export function ioDomainDestroy(b: usize, slot: u32): Status {
  if (!ioDomainPresent(b, slot)) return Status.ABSENT;
  const record = ioDomainRecord(b, slot);
  tableFree(b, record, load<u32>(record, IoDomainRecord.ROOT_MFN), load<u32>(record, IoDomainRecord.LEVELS));
  memory.fill(record, 0, StateSize.IO_DOMAIN_RECORD);
  return Status.OK;
}
