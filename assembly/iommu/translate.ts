// iova -> machine address for one piece of at most 4 KiB: context, IOTLB, walk. The order of the checks is that of
// VT-d legacy mode; a fault is recorded here, and the answer is then NO_TRANSLATION.
import { Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import { IommuState, Vtd, VtdContext, VtdFault, VtdPte } from '../spec/vtd';
import { FunctionRecord, State } from '../spec/state';
import { count } from '../memory/state';
import { framePtr } from '../memory/windows';
import { functionRecord } from '../bus/functions';
import { cacheFill, cacheFind, cacheSizeClass, cacheStill, cacheTag, cacheTouch, cacheValue, floorOf } from './cache';
import { faultRecord } from './fault';

export const NO_TRANSLATION: u64 = u64.MAX_VALUE;

/** Address bits of a table entry that this machine has (mfn of 28 bits); the others up to 51 are reserved. */
const ADDRESS_MASK: u64 = 0x000000fffffff000;
/** TM (bit 62) is reserved too: there are no device TLBs. */
const ADDRESS_RESERVED: u64 = 0x400fff0000000000;

// a context in the cache: 63:24 root frame, 23:8 domain id, 6:4 address width, 3:2 translation type, 1 FPD, 0 valid
@inline
function contextPack(root: u64, did: u32, width: u32, type: u32, fpd: u32): u64 {
  return root << 24 | <u64>(did << 8 | width << 4 | type << 2 | fpd << 1 | 1);
}

/** Linear address of a qword of a table, 0 when the frame is not RAM. */
@inline
function tableEntryPtr(b: usize, mfn: u64, index: u32): usize {
  if (mfn >= <u64>Machine.MFN_LIMIT) return 0;
  const ptr = framePtr(b, <u32>mfn);
  return ptr == 0 ? 0 : ptr + (index << 3);
}

/** Reads root and context entry; 0 after a fault. Exported to stay out of the fast path. */
export function contextLoad(b: usize, c: usize, fn: u32, sid: u32, iova: u64, read: bool): u64 {
  count(b, Counter.CONTEXT_MISSES);
  let reason: u32 = VtdFault.NONE;
  let fpd: u32 = 0;
  const rootPtr = tableEntryPtr(b, load<u32>(b + State.IOMMU, IommuState.ROOT_MFN), sid >> 8 << 1);
  if (rootPtr == 0) reason = VtdFault.ROOT_INACCESSIBLE;
  else {
    const root = load<u64>(rootPtr);
    if ((root & 1) == 0) reason = VtdFault.ROOT_NOT_PRESENT;
    else if ((root & 0xffe) != 0 || (root & ~(ADDRESS_MASK | 0xfff)) != 0 || load<u64>(rootPtr, 8) != 0) {
      reason = VtdFault.ROOT_RESERVED;
    } else {
      const ptr = tableEntryPtr(b, root >> Machine.PAGE_SHIFT, (sid & 0xff) << 1);
      if (ptr == 0) reason = VtdFault.CONTEXT_INACCESSIBLE;
      else {
        const lo = load<u64>(ptr);
        const hi = load<u64>(ptr, 8);
        const type = (<u32>lo >> VtdContext.TT_SHIFT) & VtdContext.TT_MASK;
        const width = <u32>hi & VtdContext.AW_MASK;
        const did = <u32>(hi >> VtdContext.DID_SHIFT) & 0xffff;
        fpd = (<u32>lo >> 1) & 1;
        if ((lo & VtdContext.P) == 0) reason = VtdFault.CONTEXT_NOT_PRESENT;
        else if ((lo & (VtdContext.RESERVED_LO | ~(ADDRESS_MASK | 0xfff))) != 0 || (hi >> 24) != 0 || (hi & 0x80) != 0) {
          reason = VtdFault.CONTEXT_RESERVED;
        } else if ((type != VtdContext.TT_SECOND_LEVEL && type != VtdContext.TT_PASS_THROUGH)
          || width < <u32>VtdContext.AW_39 || width > <u32>VtdContext.AW_57 || did >= <u32>IommuState.DOMAIN_IDS) {
          reason = VtdFault.CONTEXT_INVALID;
        } else {
          const value = contextPack(lo >> Machine.PAGE_SHIFT, did, width, type, fpd);
          const entry = cacheFill(b, c, cacheTag(sid, 0, 0), sid, value, true);
          store<u32>(functionRecord(b, fn), entry, FunctionRecord.CONTEXT_HINT);
          return value;
        }
      }
    }
  }
  faultRecord(b, sid, iova, reason, read, fpd != 0);
  return 0;
}

@inline
function contextFind(b: usize, fn: u32, sid: u32, iova: u64, read: bool): u64 {
  const c = b + load<u32>(b, State.POOL_CONTEXT_CACHE);
  const tag = cacheTag(sid, 0, 0);
  const floor = load<u64>(b + State.IOMMU, IommuState.CONTEXT_FLOOR);
  let entry = load<u32>(functionRecord(b, fn), FunctionRecord.CONTEXT_HINT);
  if (!cacheStill(c, entry, tag, floor)) {
    entry = cacheFind(c, tag, floor);
    if (entry == 0) return contextLoad(b, c, fn, sid, iova, read);
    store<u32>(functionRecord(b, fn), entry, FunctionRecord.CONTEXT_HINT);
  }
  count(b, Counter.CONTEXT_HITS);
  cacheTouch(b, c, entry);
  return cacheValue(c, entry);
}

/** Walks the second-level tables and fills the caches. Exported to stay out of the fast path. */
export function walk(b: usize, context: u64, sid: u32, iova: u64, write: bool): u64 {
  count(b, Counter.IOTLB_MISSES);
  const did = <u32>(context >> 8) & 0xffff;
  const floor = floorOf(b, did);
  const pwc2m = b + load<u32>(b, State.POOL_PWC_2M);
  const pwc1g = b + load<u32>(b, State.POOL_PWC_1G);
  const pwc512g = b + load<u32>(b, State.POOL_PWC_512G);
  const levels = (<u32>(context >> 4) & 7) + 2;
  let level = levels;
  let table: u64 = context >> 24;
  let rights: u64 = VtdPte.R | VtdPte.W;
  // from the lowest cache up: each holds the table that its level's entry points to, and the rights so far
  let entry = cacheFind(pwc2m, cacheTag(iova >> 21, did, 0), floor);
  let cache = pwc2m;
  if (entry != 0) level = 1;
  else {
    count(b, Counter.PWC_2M_MISSES);
    cache = pwc1g;
    entry = cacheFind(pwc1g, cacheTag(iova >> 30, did, 0), floor);
    if (entry != 0) level = 2;
    else {
      count(b, Counter.PWC_1G_MISSES);
      if (levels > 3) {
        cache = pwc512g;
        entry = cacheFind(pwc512g, cacheTag(iova >> 39, did, 0), floor);
        if (entry != 0) level = 3;
        else count(b, Counter.PWC_512G_MISSES);
      }
    }
  }
  if (entry != 0) {
    cacheTouch(b, cache, entry);
    const value = cacheValue(cache, entry);
    table = value >> Machine.PAGE_SHIFT;
    rights = value & 3;
  }
  const needed: u64 = write ? VtdPte.W : VtdPte.R;
  let reason: u32 = write ? VtdFault.WRITE : VtdFault.READ;
  while (true) {
    const shift = <u64>(Machine.PAGE_SHIFT + 9 * (level - 1));
    const ptr = tableEntryPtr(b, table, <u32>(iova >> shift) & 511);
    if (ptr == 0) {
      reason = VtdFault.TABLE_INACCESSIBLE;
      break;
    }
    count(b, Counter.TABLE_READS);
    count(b, Counter.SERVICE_UNITS);
    if (write) count(b, Counter.TABLE_READS_FOR_WRITES);
    else count(b, Counter.TABLE_READS_FOR_READS);
    const pte = load<u64>(ptr);
    rights &= pte;
    if ((rights & needed) == 0) break;
    const superpage = (pte & VtdPte.SP) != 0;
    const leaf = level == 1 || superpage;
    // SP is reserved where there is no such page size; address bits below the size of a superpage are, too
    if ((pte & (ADDRESS_RESERVED | VtdPte.SNP)) != 0 || (superpage && (level == 1 || level > 3))
      || (superpage && (pte & ADDRESS_MASK & ((<u64>1 << shift) - 1)) != 0)) {
      reason = VtdFault.TABLE_RESERVED;
      break;
    }
    if (leaf) {
      const base = pte & ADDRESS_MASK;
      const sizeClass = level - 1;
      const sizes = load<u32>(b + State.IOMMU, IommuState.SIZES);
      store<u32>(b + State.IOMMU, sizes | (<u32>1 << sizeClass), IommuState.SIZES);
      const iotlb = b + load<u32>(b, State.POOL_IOTLB);
      cacheFill(b, iotlb, cacheTag(iova >> shift, did, sizeClass), iova >> shift, base | (rights & 3), false);
      return base | (iova & ((<u64>1 << shift) - 1));
    }
    table = (pte & ADDRESS_MASK) >> Machine.PAGE_SHIFT;
    const value = table << Machine.PAGE_SHIFT | (rights & 3);
    if (level == 2) cacheFill(b, pwc2m, cacheTag(iova >> 21, did, 0), iova >> 21, value, false);
    else if (level == 3) cacheFill(b, pwc1g, cacheTag(iova >> 30, did, 0), iova >> 30, value, false);
    else if (level == 4) cacheFill(b, pwc512g, cacheTag(iova >> 39, did, 0), iova >> 39, value, false);
    level--;
  }
  faultRecord(b, sid, iova, reason, !write, (context & 2) != 0);
  return NO_TRANSLATION;
}

/** The IOTLB entry that covers the iova, trying only page sizes that were ever filled. */
@inline
function iotlbFind(b: usize, c: usize, did: u32, iova: u64, sizes: u32): u32 {
  const floor = floorOf(b, did);
  let entry: u32 = 0;
  if (sizes & 1) entry = cacheFind(c, cacheTag(iova >> 12, did, 0), floor);
  if (entry == 0 && (sizes & 2) != 0) entry = cacheFind(c, cacheTag(iova >> 21, did, 1), floor);
  if (entry == 0 && (sizes & 4) != 0) entry = cacheFind(c, cacheTag(iova >> 30, did, 2), floor);
  return entry;
}

/** Machine address of `iova` for the function, or NO_TRANSLATION after a fault. Only with translation enabled. */
@inline
export function translate(b: usize, fn: u32, iova: u64, write: bool): u64 {
  const sid = load<u32>(functionRecord(b, fn), FunctionRecord.SID);
  const context = contextFind(b, fn, sid, iova, !write);
  if (context == 0) return NO_TRANSLATION;
  // AW 1, 2, 3: 39, 48, 57 bits
  const beyond = iova >> (30 + 9 * (context >> 4 & 7)) != 0;
  if ((context & 0xc) == (<u64>VtdContext.TT_PASS_THROUGH << 2)) {
    if (!beyond) return iova;
    faultRecord(b, sid, iova, VtdFault.BEYOND_WIDTH, !write, (context & 2) != 0);
    return NO_TRANSLATION;
  }
  count(b, Counter.TRANSLATIONS);
  if (beyond) {
    faultRecord(b, sid, iova, VtdFault.BEYOND_WIDTH, !write, (context & 2) != 0);
    return NO_TRANSLATION;
  }
  const c = b + load<u32>(b, State.POOL_IOTLB);
  const entry = iotlbFind(b, c, <u32>(context >> 8) & 0xffff, iova, load<u32>(b + State.IOMMU, IommuState.SIZES));
  if (entry == 0) return walk(b, context, sid, iova, write);
  count(b, Counter.IOTLB_HITS);
  cacheTouch(b, c, entry);
  const value = cacheValue(c, entry);
  if ((value & (write ? VtdPte.W : VtdPte.R)) == 0) {
    faultRecord(b, sid, iova, write ? VtdFault.WRITE : VtdFault.READ, !write, (context & 2) != 0);
    return NO_TRANSLATION;
  }
  const mask = (<u64>1 << (12 + 9 * <u64>cacheSizeClass(c, entry))) - 1;
  return (value & ADDRESS_MASK) | (iova & mask);
}
