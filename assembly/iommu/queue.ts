// Invalidation: what each request does to the caches, the queue that carries the requests, and the register-based
// form. The queue drains at once on a tail write, up to the budget; the rest is left to `service`.
import { Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import { IommuState, Vtd, VtdFsts, VtdInv } from '../spec/vtd';
import { State } from '../spec/state';
import { TraceCategory } from '../spec/trace';
import { count } from '../memory/state';
import { trace, traceDetail, traceFull } from '../memory/trace';
import { frameDirty, framePtr } from '../memory/windows';
import { workDone, workRequest } from '../bus/functions';
import { cacheKill, cacheKillContexts, cacheKillRange, cacheTag } from './cache';
import { VTD_FUNCTION, faultStatus, vtdGet, vtdSet } from './fault';

/** Descriptors that one tail write may process. */
const DRAIN_AT_ONCE: u32 = 512;
const IECTL_IM: u32 = 0x80000000;
const IECTL_IP: u32 = 0x40000000;

function floorsRaise(b: usize, did: u32): void {
  const iommu = b + State.IOMMU;
  const clock = load<u64>(iommu, IommuState.CLOCK);
  store<u64>(iommu, clock, IommuState.FLOOR_MAX);
  store<u64>(iommu + IommuState.FLOORS + (did << 3), clock);
}

// a floor for each of the 64 domain ids
function allFloorsRaise(b: usize): void {
  for (let did: u32 = 0; did < <u32>IommuState.DOMAIN_IDS; did++) floorsRaise(b, did);
}

/** Everything of every domain. */
export function invalidateGlobal(b: usize): void {
  count(b, Counter.INVALIDATE_GLOBAL);
  allFloorsRaise(b);
}

/** Every cache of the unit is empty, without an invalidation: a reset. */
export function cachesReset(b: usize): void {
  allFloorsRaise(b);
  const iommu = b + State.IOMMU;
  store<u64>(iommu, load<u64>(iommu, IommuState.CLOCK), IommuState.CONTEXT_FLOOR);
}

export function invalidateDomain(b: usize, did: u32): void {
  count(b, Counter.INVALIDATE_DOMAIN);
  if (did < <u32>IommuState.DOMAIN_IDS) floorsRaise(b, did);
}

/** `pages` is a power of two, `page` aligned to it. Without the hint, the upper levels of the path go too. */
export function invalidatePages(b: usize, did: u32, page: u64, pages: u64, leafOnly: bool): void {
  count(b, Counter.INVALIDATE_PAGE);
  const iotlb = b + load<u32>(b, State.POOL_IOTLB);
  if (pages <= 8) {
    const sizes = load<u32>(b + State.IOMMU, IommuState.SIZES);
    for (let i: u64 = 0; i < pages; i++) cacheKill(iotlb, cacheTag(page + i, did, 0));
    if (sizes & 2) cacheKill(iotlb, cacheTag(page >> 9, did, 1));
    if (sizes & 4) cacheKill(iotlb, cacheTag(page >> 18, did, 2));
  } else cacheKillRange(iotlb, did, page, page + pages - 1, 0);
  if (leafOnly) return;
  const pwc2m = b + load<u32>(b, State.POOL_PWC_2M);
  const pwc1g = b + load<u32>(b, State.POOL_PWC_1G);
  const pwc512g = b + load<u32>(b, State.POOL_PWC_512G);
  if (pages <= 512) {
    cacheKill(pwc2m, cacheTag(page >> 9, did, 0));
    cacheKill(pwc1g, cacheTag(page >> 18, did, 0));
    cacheKill(pwc512g, cacheTag(page >> 27, did, 0));
  } else {
    cacheKillRange(pwc2m, did, page, page + pages - 1, 9);
    cacheKillRange(pwc1g, did, page, page + pages - 1, 18);
    cacheKillRange(pwc512g, did, page, page + pages - 1, 27);
  }
}

/** Context cache: global, of one domain, or of one requester with the function bits that `mask` ignores. */
export function invalidateContexts(b: usize, granularity: u32, did: u32, sid: u32, mask: u32): bool {
  count(b, Counter.INVALIDATE_CONTEXT);
  const c = b + load<u32>(b, State.POOL_CONTEXT_CACHE);
  if (granularity == VtdInv.G_GLOBAL) {
    const iommu = b + State.IOMMU;
    store<u64>(iommu, load<u64>(iommu, IommuState.CLOCK), IommuState.CONTEXT_FLOOR);
  } else if (granularity == VtdInv.G_DOMAIN) cacheKillContexts(c, did);
  else if (granularity == VtdInv.G_SELECTIVE) {
    const ignored: u32 = mask == 0 ? 0 : mask == 1 ? 4 : mask == 2 ? 6 : 7;
    for (let other: u32 = 0; other < 8; other++) {
      if (((other ^ sid) & ~ignored & 7) == 0) cacheKill(c, cacheTag((sid & ~7) | other, 0, 0));
    }
  } else return false;
  return true;
}

/** IOTLB request; false when the granularity or the address mask is illegal. */
function invalidateIotlb(b: usize, granularity: u32, did: u32, page: u64, addressMask: u32, leafOnly: bool): bool {
  if (granularity == VtdInv.G_GLOBAL) invalidateGlobal(b);
  else if (granularity == VtdInv.G_DOMAIN) invalidateDomain(b, did);
  else if (granularity == VtdInv.G_SELECTIVE && addressMask <= <u32>Vtd.MAMV) {
    const pages = <u64>1 << <u64>addressMask;
    invalidatePages(b, did, page & ~(pages - 1), pages, leafOnly);
  } else return false;
  return true;
}

/** IWC that is set already makes no new event. */
function completionEvent(b: usize): void {
  if (vtdGet(b, Vtd.ICS) != 0) return;
  vtdSet(b, Vtd.ICS, 1);
  const control = vtdGet(b, Vtd.IECTL);
  if (control & IECTL_IM) vtdSet(b, Vtd.IECTL, control | IECTL_IP);
  else store<u32>(b + State.IOMMU, 1, IommuState.COMPLETION_EVENT);
}

function wait(b: usize, lo: u64, hi: u64): bool {
  count(b, Counter.WAITS);
  if (lo & VtdInv.WAIT_SW) {
    const mfn = hi >> Machine.PAGE_SHIFT;
    const ptr = mfn < <u64>Machine.MFN_LIMIT ? framePtr(b, <u32>mfn) : 0;
    if (ptr == 0) return false;
    store<u32>(ptr + (<u32>hi & Machine.PAGE_MASK & ~3), <u32>(lo >> 32));
    frameDirty(b, <u32>mfn);
  }
  if (lo & VtdInv.WAIT_IF) completionEvent(b);
  return true;
}

/** One descriptor; false when its type is unknown or reserved bits are set. */
function descriptor(b: usize, lo: u64, hi: u64): bool {
  const type = <u32>lo & 0xf;
  const granularity = (<u32>lo >> VtdInv.G_SHIFT) & 3;
  const did = <u32>lo >> 16;
  switch (type) {
    case VtdInv.CONTEXT:
      if (hi != 0 || (lo & 0xfffc00000000ffc0) != 0) return false;
      return invalidateContexts(b, granularity, did, <u32>(lo >> 32) & 0xffff, <u32>(lo >> 48) & 3);
    case VtdInv.IOTLB:
      if ((lo & 0xffffffff0000ff00) != 0 || (hi & 0xf80) != 0) return false;
      return invalidateIotlb(b, granularity, did, hi >> 12, <u32>hi & VtdInv.AM_MASK, (hi & VtdInv.IH) != 0);
    case VtdInv.INTERRUPT:
      // interrupt entries are not cached: there is nothing to drop
      if (hi != 0 || (lo & 0xffff000007ffffe0) != 0) return false;
      count(b, Counter.INVALIDATE_INTERRUPT);
      return true;
    case VtdInv.WAIT:
      if ((hi & 3) != 0 || (lo & 0xffffff00) != 0) return false;
      return wait(b, lo, hi);
    default:
      return false;
  }
}

/** Processes up to `budget` descriptors from head to tail; false when some are left. */
export function queueDrain(b: usize, budget: u32): bool {
  const iommu = b + State.IOMMU;
  const base = (<u64>vtdGet(b, Vtd.IQA + 4) << 32 | vtdGet(b, Vtd.IQA)) >> Machine.PAGE_SHIFT;
  const entries: u32 = 256 << (vtdGet(b, Vtd.IQA) & 7);
  const tail = (vtdGet(b, Vtd.IQT) >> 4) & (entries - 1);
  let head = (vtdGet(b, Vtd.IQH) >> 4) & (entries - 1);
  workDone(b, VTD_FUNCTION);
  while (head != tail && load<u32>(iommu, IommuState.QUEUE_ENABLED) != 0
    && (vtdGet(b, Vtd.FSTS) & (VtdFsts.IQE | VtdFsts.ITE)) == 0) {
    if (budget == 0 || traceFull(b)) {
      workRequest(b, VTD_FUNCTION);
      vtdSet(b, Vtd.IQH, head << 4);
      return false;
    }
    budget--;
    count(b, Counter.SERVICE_UNITS);
    const mfn = base + (head >> 8);
    const frame = mfn < <u64>Machine.MFN_LIMIT ? framePtr(b, <u32>mfn) : 0;
    const entry = frame + ((head & 255) << 4);
    if (frame == 0 || !descriptor(b, load<u64>(entry), load<u64>(entry, 8))) {
      vtdSet(b, Vtd.IQH, head << 4);
      faultStatus(b, VtdFsts.IQE);
      return true;
    }
    count(b, Counter.INVALIDATIONS);
    trace(b, TraceCategory.INVALIDATION, VTD_FUNCTION, load<u64>(entry, 8), load<u32>(entry), traceDetail(0, false, 0));
    head = (head + 1) & (entries - 1);
  }
  vtdSet(b, Vtd.IQH, head << 4);
  return true;
}

/** A write of IQT. */
export function queueTail(b: usize, value: u32): void {
  vtdSet(b, Vtd.IQT, value & 0x7fff0);
  if (load<u32>(b + State.IOMMU, IommuState.QUEUE_ENABLED) == 0) return;
  if (vtdGet(b, Vtd.IQT) != vtdGet(b, Vtd.IQH)) count(b, Counter.INVALIDATION_SUBMISSIONS);
  queueDrain(b, DRAIN_AT_ONCE);
}

/** A cleared IQE: the queue goes on from the descriptor that stopped it. */
export function queueResume(b: usize): void {
  if (load<u32>(b + State.IOMMU, IommuState.QUEUE_ENABLED) != 0) queueDrain(b, DRAIN_AT_ONCE);
}

/**
 * CCMD with ICC set: done at once, granularity as asked. Illegal while the queue is on: ignored, and the actual
 * granularity is then 0, as it is for a request that makes no sense.
 */
export function contextCommand(b: usize): void {
  const hi = vtdGet(b, Vtd.CCMD + 4);
  const lo = vtdGet(b, Vtd.CCMD);
  const granularity = (hi >> 29) & 3;
  const done = load<u32>(b + State.IOMMU, IommuState.QUEUE_ENABLED) == 0
    && invalidateContexts(b, granularity, lo & 0xffff, lo >> 16, hi & 3);
  vtdSet(b, Vtd.CCMD + 4, (hi & 0x67ffffff) | (done ? granularity << 27 : 0));
}

/** IOTLB with IVT set. */
export function iotlbCommand(b: usize): void {
  const hi = vtdGet(b, Vtd.IOTLB + 4);
  const granularity = (hi >> 28) & 3;
  const iva = <u64>vtdGet(b, Vtd.IVA + 4) << 32 | vtdGet(b, Vtd.IVA);
  const done = load<u32>(b + State.IOMMU, IommuState.QUEUE_ENABLED) == 0
    && invalidateIotlb(b, granularity, hi & 0xffff, iva >> 12, <u32>iva & VtdInv.AM_MASK, (iva & VtdInv.IH) != 0);
  vtdSet(b, Vtd.IOTLB + 4, (hi & 0x79ffffff) | (done ? granularity << 25 : 0));
}
