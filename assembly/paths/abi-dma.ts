// The exports for the IOMMU, DMA mapping, DMA by a host's own devices, and what benchmarks repeat; the others are in
// abi.ts, with what is said there of all.
import { State } from '../spec/state';
import { Status } from '../spec/status';
import { busy, enter, leave, left } from '../memory/lock';
import { functionPresent } from '../bus/functions';
import * as tables from '../iommu/tables';
import * as hypercall from '../iommu/hypercall';
import { DMA_MAX, dmaRead, dmaWrite } from '../dma/dma';
import { SCATTER_ENTRY, dmaScatter, scatterLength } from '../dma/scatter';
import { iovaAlloc, iovaFree, iovaSetup } from '../drivers/iova';
import { dmaFlush as flush, dmaMap as map, dmaTimer as timer, dmaUnmap as unmap } from '../drivers/dma-map';
import * as driver from '../drivers/e1000';
import * as forward from './forward';
import * as guest from './guest';
import * as poll from './poll';
import { receiveRun as receive } from './receive';

/** What a read gives that was not done. */
const ONES: u32 = 0xffffffff;

@inline
function join(lo: u32, hi: u32): u64 {
  return <u64>hi << 32 | lo;
}

// ---- IOMMU, the hypervisor's side

export function ioDomainCreate(slot: u32, did: u32, owner: u32, levels: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, tables.ioDomainCreate(b, slot, did, owner, levels));
}

export function ioDomainDestroy(slot: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, tables.ioDomainDestroy(b, slot));
}

export function ioMap(slot: u32, dfn: u32, mfn: u32, pages: u32, rights: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, tables.ioMap(b, slot, dfn, mfn, pages, rights));
}

export function ioUnmap(slot: u32, dfn: u32, pages: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, tables.ioUnmap(b, slot, dfn, pages));
}

export function ioPageMapped(slot: u32, dfn: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave<u32>(b, tables.ioPageMapped(b, slot, dfn) ? 1 : 0);
}

/** One invalidation descriptor and a wait. */
export function invalidate(lo0: u32, lo1: u32, hi0: u32, hi1: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, hypercall.invalidateSync(b, join(lo0, lo1), join(hi0, hi1)));
}

// ---- hypercalls and DMA mapping, the guest's side

export function iommuOpMap(dom: u32, dfn: u32, mfn: u32, pages: u32, rights: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, hypercall.iommuOpMap(b, dom, dfn, mfn, pages, rights));
}

export function iommuOpUnmap(dom: u32, dfn: u32, pages: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, hypercall.iommuOpUnmap(b, dom, dfn, pages));
}

export function iommuOpFlush(dom: u32, dfn: u32, pages: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, hypercall.iommuOpFlush(b, dom, dfn, pages));
}

/** An empty iova allocator in the DmaMap at `mapOff`, whose MODE, DOMAIN, MASK, ALLOCATOR and LIMIT are set. */
export function dmaMapSetup(mapOff: u32): void {
  const b = enter();
  if (busy(b)) return;
  iovaSetup(b + mapOff);
  left(b);
}

/** The allocator alone, for ageing it: first page of a run, 0 when there is none. `pages` is 1 to 32. */
export function iovaTake(mapOff: u32, pages: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, iovaAlloc(b, b + mapOff, pages));
}

export function iovaGive(mapOff: u32, page: u32, pages: u32): void {
  const b = enter();
  if (busy(b)) return;
  iovaFree(b, b + mapOff, page, pages);
  left(b);
}

/** Low half of the bus address; the high half is in RESULT_HI, and RESULT_STATUS tells whether there is one. */
export function dmaMap(mapOff: u32, va: u32, size: u32, direction: u32): u32 {
  const b = enter();
  if (busy(b)) return ONES;
  const bus = size == 0 || size > 0x40000000 || <u64>va + size > 0x100000000 ? u64.MAX_VALUE : map(b, b + mapOff, va, size, direction);
  store<u32>(b, <u32>(bus >> 32), State.RESULT_HI);
  store<u32>(b, bus == u64.MAX_VALUE ? Status.REFUSED : Status.OK, State.RESULT_STATUS);
  return leave(b, <u32>bus);
}

export function dmaUnmap(mapOff: u32, lo: u32, hi: u32, va: u32, size: u32, direction: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (size != 0) unmap(b, b + mapOff, join(lo, hi), va, size, direction);
  left(b);
}

export function dmaFlush(mapOff: u32): void {
  const b = enter();
  if (busy(b)) return;
  flush(b, b + mapOff);
  left(b);
}

/** The flush queue's timer: flushes when its time has come. */
export function dmaTimer(mapOff: u32): void {
  const b = enter();
  if (busy(b)) return;
  timer(b, b + mapOff);
  left(b);
}

// ---- DMA by a device that is not one of ours: `src` and `dst` are offsets in the state's heap

export function functionDmaRead(fn: u32, lo: u32, hi: u32, len: u32, dst: u32): Status {
  const b = enter();
  if (busy(b)) return Status.BUSY;
  return leave(b, heapRange(b, fn, len, dst) ? readOnce(b, fn, join(lo, hi), len, b + dst) : Status.RANGE);
}

export function functionDmaWrite(fn: u32, lo: u32, hi: u32, len: u32, src: u32): Status {
  const b = enter();
  if (busy(b)) return Status.BUSY;
  return leave(b, heapRange(b, fn, len, src) ? writeOnce(b, fn, join(lo, hi), len, b + src) : Status.RANGE);
}

/**
 * Gathers (`write` 0) or scatters (1): `list` is the heap offset of {bus address u64, length u32, 0} entries, at most
 * 4096; their bytes lie one after the other at heap offset `off`.
 */
export function functionDmaScatter(fn: u32, list: u32, entries: u32, off: u32, write: u32): Status {
  const b = enter();
  if (busy(b)) return Status.BUSY;
  let status: Status = Status.RANGE;
  if (entries <= 4096 && heapRange(b, fn, entries * SCATTER_ENTRY, list)) {
    const len = scatterLength(b + list, entries, DMA_MAX);
    if (len <= DMA_MAX && heapRange(b, fn, len, off)) status = dmaScatter(b, fn, b + list, entries, b + off, write != 0);
  }
  return leave(b, status);
}

// one copy of the DMA's code for the entries above and below
function readOnce(b: usize, fn: u32, address: u64, len: u32, dst: usize): Status {
  return dmaRead(b, fn, address, len, dst);
}

function writeOnce(b: usize, fn: u32, address: u64, len: u32, src: usize): Status {
  return dmaWrite(b, fn, address, len, src);
}

@inline
function heapRange(b: usize, fn: u32, len: u32, off: u32): bool {
  const heap = load<u32>(b, State.POOL_HEAP);
  const size = load<u32>(b, State.HEAP_SIZE);
  return functionPresent(b, fn) && off >= heap && len <= size && off - heap <= size - len;
}

/** The same DMA `number` times, `step` bytes apart within a range of `span` bytes: what a benchmark needs. */
export function functionDmaRepeat(fn: u32, lo: u32, hi: u32, len: u32, off: u32, write: u32, number: u32, step: u32,
  span: u32): Status {
  const b = enter();
  if (busy(b)) return Status.BUSY;
  if (!heapRange(b, fn, len, off) || span == 0) return leave<Status>(b, Status.RANGE);
  const start = join(lo, hi);
  let at: u32 = 0;
  let worst: Status = Status.OK;
  for (let i: u32 = 0; i < number; i++) {
    const status = write != 0 ? writeOnce(b, fn, start + at, len, b + off) : readOnce(b, fn, start + at, len, b + off);
    if (status != Status.OK) worst = status;
    at += step;
    if (at >= span) at = 0;
  }
  return leave(b, worst);
}

/** `number` loads of a guest, cycling over registers listed as {lo u32} at heap offset `list`: sum of the values. */
export function guestLoadRepeat(dom: u32, list: u32, entries: u32, number: u32): u32 {
  const b = enter();
  if (busy(b)) return 0;
  const first = b + list;
  let sum: u32 = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < number; i++) {
    sum += guest.guestLoadFast(b, dom, load<u32>(first + (at << 2)), 4);
    at = at + 1 == entries ? 0 : at + 1;
  }
  return leave(b, sum);
}

export function guestStoreRepeat(dom: u32, list: u32, entries: u32, number: u32): void {
  const b = enter();
  if (busy(b)) return;
  const first = b + list;
  let at: u32 = 0;
  for (let i: u32 = 0; i < number; i++) {
    guest.guestStoreFast(b, dom, load<u32>(first + (at << 2)), 4, i, 0);
    at = at + 1 == entries ? 0 : at + 1;
  }
  left(b);
}

/** `number` reads of four bytes by a guest, cycling over ports listed as u32 at heap offset `list`. */
export function guestInRepeat(dom: u32, list: u32, entries: u32, number: u32): u32 {
  const b = enter();
  if (busy(b)) return 0;
  const first = b + list;
  let sum: u32 = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < number; i++) {
    sum += guest.guestInFast(b, dom, load<u32>(first + (at << 2)), 4);
    at = at + 1 == entries ? 0 : at + 1;
  }
  return leave(b, sum);
}

// ---- the e1000 driver's loop

export function driverBufferGive(driverOff: u32, va: u32): void {
  const b = enter();
  if (busy(b)) return;
  driver.bufferGive(b + driverOff, va);
  left(b);
}

/** See paths/poll.ts; `src` is an offset in the state. */
export function driverPoll(driverOff: u32, budget: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, poll.driverPoll(b, b + driverOff, budget));
}

export function driverSend(driverOff: u32, src: u32, len: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, poll.driverSend(b, b + driverOff, b + src, len));
}

export function forwardStart(runOff: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, forward.forwardStart(b, runOff));
}

export function forwardRun(runOff: u32, packets: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, forward.forwardRun(b, runOff, packets));
}

export function receiveRun(driverOff: u32, fn: u32, ring: u32, store: u32, frames: u32, len: u32, packets: u32): u32 {
  const b = enter();
  if (busy(b)) return 0;
  const done = functionPresent(b, fn) ? receive(b, b + driverOff, fn, ring, b + store, frames, len, packets) : 0;
  return leave<u32>(b, done);
}
