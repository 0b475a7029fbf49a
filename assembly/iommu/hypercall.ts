// iommu_op(map, unmap, flush): how a guest changes what its devices can reach. It checks that every frame is the
// caller's own RAM; the tables themselves are never the guest's. The machine's one OS (owner `native`) runs the
// same code, but then there is no hypercall to count.
import { Machine } from '../spec/machine';
import { Status } from '../spec/status';
import { Counter } from '../spec/counters';
import { IommuState, Vtd, VtdInv } from '../spec/vtd';
import { DomainRecord, IoDomainRecord, State } from '../spec/state';
import { IommuOp, TraceCategory } from '../spec/trace';
import { count } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';
import { framePtr } from '../memory/windows';
import { frameIsOwnRam } from '../memory/frames';
import { domainPresent, domainRecord, hypercallCount } from '../gate/domains';
import { ioDomainRecord, ioMap, ioUnmap } from './tables';
import { queueTail } from './queue';
import { vtdGet } from './fault';

/** Slot of the caller's IO domain plus one; 0 when it has none. */
@inline
function enter(b: usize, dom: u32): u32 {
  if (!domainPresent(b, dom)) return 0;
  hypercallCount(b, dom);
  return load<u32>(domainRecord(b, dom), DomainRecord.IO_DOMAIN);
}

function refused(b: usize, status: Status): Status {
  count(b, Counter.IOMMU_OP_REFUSED);
  return status;
}

/** REFUSED when a frame is not the caller's own RAM; else as `ioMap`. */
export function iommuOpMap(b: usize, dom: u32, dfn: u32, mfn: u32, pages: u32, rights: u32): Status {
  const slot = enter(b, dom);
  count(b, Counter.IOMMU_OP_MAPS);
  trace(b, TraceCategory.HYPERCALL, dom, <u64>dfn << 12, mfn, traceDetail(IommuOp.MAP, false, pages));
  if (slot == 0) return refused(b, Status.ABSENT);
  const owner = load<u32>(ioDomainRecord(b, slot - 1), IoDomainRecord.OWNER);
  if (owner != load<u32>(domainRecord(b, dom), DomainRecord.DOMID)) return refused(b, Status.REFUSED);
  if (pages == 0 || <u64>mfn + pages > <u64>Machine.MFN_LIMIT) return refused(b, Status.RANGE);
  for (let i: u32 = 0; i < pages; i++) {
    if (!frameIsOwnRam(b, mfn + i, owner)) return refused(b, Status.REFUSED);
  }
  const status = ioMap(b, slot - 1, dfn, mfn, pages, rights);
  return status == Status.OK ? status : refused(b, status);
}

export function iommuOpUnmap(b: usize, dom: u32, dfn: u32, pages: u32): Status {
  const slot = enter(b, dom);
  count(b, Counter.IOMMU_OP_UNMAPS);
  trace(b, TraceCategory.HYPERCALL, dom, <u64>dfn << 12, 0, traceDetail(IommuOp.UNMAP, false, pages));
  if (slot == 0) return refused(b, Status.ABSENT);
  const status = ioUnmap(b, slot - 1, dfn, pages);
  return status == Status.OK ? status : refused(b, status);
}

/**
 * Puts one descriptor and a wait into the invalidation queue, and does not return before the wait has written its
 * status: a synchronous invalidation, as Xen and Linux do it. OK without a queue, as then nothing is cached.
 */
export function invalidateSync(b: usize, lo: u64, hi: u64): Status {
  const iommu = b + State.IOMMU;
  if (load<u32>(iommu, IommuState.QUEUE_ENABLED) == 0) return Status.OK;
  const queue = vtdGet(b, Vtd.IQA);
  const entries: u32 = 256 << (queue & 7);
  const base = queue >> Machine.PAGE_SHIFT | vtdGet(b, Vtd.IQA + 4) << 20;
  let tail = (vtdGet(b, Vtd.IQT) >> 4) & (entries - 1);
  const status = framePtr(b, load<u32>(iommu, IommuState.STATUS_MFN));
  const first = framePtr(b, base + (tail >> 8));
  const second = framePtr(b, base + (((tail + 1) & (entries - 1)) >> 8));
  if (status == 0 || first == 0 || second == 0) return Status.ABSENT;
  const value = load<u32>(iommu, IommuState.STATUS_VALUE) + 1;
  store<u32>(iommu, value, IommuState.STATUS_VALUE);
  store<u64>(first + ((tail & 255) << 4), lo);
  store<u64>(first + ((tail & 255) << 4), hi, 8);
  tail = (tail + 1) & (entries - 1);
  store<u64>(second + ((tail & 255) << 4), <u64>value << 32 | VtdInv.WAIT_SW | VtdInv.WAIT);
  store<u64>(second + ((tail & 255) << 4), <u64>load<u32>(iommu, IommuState.STATUS_MFN) << Machine.PAGE_SHIFT, 8);
  tail = (tail + 1) & (entries - 1);
  queueTail(b, tail << 4);
  return load<u32>(status) == value ? Status.OK : Status.PENDING;
}

/** Invalidates the smallest aligned power of two of pages that covers the range; `pages` 0: the whole IO domain. */
export function iommuOpFlush(b: usize, dom: u32, dfn: u32, pages: u32): Status {
  const slot = enter(b, dom);
  count(b, Counter.IOMMU_OP_FLUSHES);
  trace(b, TraceCategory.HYPERCALL, dom, <u64>dfn << 12, 0, traceDetail(IommuOp.FLUSH, false, pages));
  if (slot == 0) return refused(b, Status.ABSENT);
  if (<u64>dfn + pages > 0x100000000) return refused(b, Status.RANGE);
  const did = <u64>load<u32>(ioDomainRecord(b, slot - 1), IoDomainRecord.DID) << 16;
  const kind = did | VtdInv.DR | VtdInv.DW | VtdInv.IOTLB;
  let order: u32 = 0;
  if (pages != 0) {
    const last = dfn + pages - 1;
    while (order <= <u32>Vtd.MAMV && dfn >> order != last >> order) order++;
  }
  if (pages == 0 || order > <u32>Vtd.MAMV) return invalidateSync(b, kind | VtdInv.G_DOMAIN << VtdInv.G_SHIFT, 0);
  const page = <u64>(dfn >> order << order) << Machine.PAGE_SHIFT;
  return invalidateSync(b, kind | VtdInv.G_SELECTIVE << VtdInv.G_SHIFT, page | order);
}
