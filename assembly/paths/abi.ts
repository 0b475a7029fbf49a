// The exports. Each takes the state base into a local, once, and hands it on. Integers in, integers out: a 64-bit
// address comes as two halves, a time as a whole number of ns in an f64.
import { Abi, BarRecord, FrameRecord, FunctionRecord, State, StateSize } from '../spec/state';
import { Machine } from '../spec/machine';
import { Status } from '../spec/status';
import { IommuState } from '../spec/vtd';
import { setBase, stateBase } from '../memory/state';
import * as windows from '../memory/windows';
import * as frames from '../memory/frames';
import * as domains from '../gate/domains';
import { barRecord, functionPresent, functionRecord, workRequest } from '../bus/functions';
import { barMap } from '../bus/decode';
import { cacheBytes as cacheBytesOf, cacheSetup } from '../iommu/cache';
import * as tables from '../iommu/tables';
import * as hypercall from '../iommu/hypercall';
import { intxAsserted } from '../irq/intx';
import { messagePop as messagePopAt } from '../irq/messages';
import { dmaRead, dmaWrite } from '../dma/dma';
import { crcSetup } from '../ring/link';
import { iovaAlloc, iovaFree, iovaSetup } from '../drivers/iova';
import { dmaFlush as flush, dmaMap as map, dmaTimer as timer, dmaUnmap as unmap } from '../drivers/dma-map';
import * as driver from '../drivers/e1000';
import * as config from './config';
import { deadlineNext, deviceLinkChanged, deviceReset } from './dispatch';
import * as forward from './forward';
import * as guest from './guest';
import * as registers from './registers';
import { serviceRun } from './service';

@inline
function join(lo: u32, hi: u32): u64 {
  return <u64>hi << 32 | lo;
}

// ---- life cycle

/** Bytes of state that a cache of so many entries takes; the only export that needs no state. */
export function cacheBytes(entries: u32): u32 {
  return cacheBytesOf(entries);
}

/** Uses the state at `base`, whose header the host has laid out. RANGE when it is not this version's. */
export function init(base: u32): Status {
  if ((base & 15) != 0 || <u64>base + State.POOLS > <u64>memory.size() << 16) return Status.RANGE;
  if (load<u32>(base, State.MAGIC) != Abi.MAGIC || load<u32>(base, State.ABI_VERSION) != Abi.VERSION) return Status.RANGE;
  if (<u64>base + load<u32>(base, State.SIZE) > <u64>memory.size() << 16) return Status.RANGE;
  setBase(base);
  return Status.OK;
}

/** First use of zeroed state: free lists, CRC table, empty caches of the geometry given. */
export function setup(iotlbEntries: u32, iotlbWays: u32, pwc2m: u32, pwc1g: u32, pwc512g: u32, contexts: u32): void {
  const b = stateBase();
  crcSetup(b);
  const pages = load<u32>(b, State.PAGES_COUNT);
  for (let i: u32 = 0; i < pages; i++) {
    store<u32>(b + load<u32>(b, State.POOL_PAGES) + i * StateSize.RADIX_PAGE, i + 1 < pages ? i + 2 : 0);
  }
  store<u32>(b, pages != 0 ? 1 : 0, State.PAGES_HEAD);
  store<u32>(b, pages, State.PAGES_FREE);
  cacheSetup(b + load<u32>(b, State.POOL_IOTLB), iotlbEntries, iotlbWays);
  cacheSetup(b + load<u32>(b, State.POOL_PWC_2M), pwc2m, pwc2m);
  cacheSetup(b + load<u32>(b, State.POOL_PWC_1G), pwc1g, pwc1g);
  cacheSetup(b + load<u32>(b, State.POOL_PWC_512G), pwc512g, pwc512g);
  cacheSetup(b + load<u32>(b, State.POOL_CONTEXT_CACHE), contexts, contexts);
  store<u64>(b + State.IOMMU, 1, IommuState.CLOCK);
}

// ---- machine memory

export function windowMap(firstMfn: u32, number: u32, ptr: u32): Status {
  return windows.windowMap(stateBase(), firstMfn, number, ptr);
}

export function windowUnmap(firstMfn: u32): Status {
  return windows.windowUnmap(stateBase(), firstMfn);
}

/** Linear address of a frame of RAM, 0 when there is none. */
export function framePtr(mfn: u32): u32 {
  return mfn < <u32>Machine.MFN_LIMIT ? <u32>windows.framePtr(stateBase(), mfn) : 0;
}

export function frameAssign(mfn: u32, domid: u32, kind: u32): Status {
  return frames.frameAssign(stateBase(), mfn, domid, kind);
}

export function frameOwner(mfn: u32): u32 {
  return frames.frameOwner(stateBase(), mfn);
}

/** IOMMU mappings that hold a frame. */
export function frameRefs(mfn: u32): u32 {
  const record = frames.frameRecord(stateBase(), mfn);
  return record == 0 ? 0 : load<u32>(record, FrameRecord.REFS);
}

/** Puts a frame of the hypervisor on the stack that IOMMU tables are taken from. */
export function tableFrameGive(mfn: u32): void {
  frames.tableFrameGive(stateBase(), mfn);
}

/** Takes one off it, for the hypervisor's root table, queue and status word; 0 when there is none. */
export function tableFrameTake(): u32 {
  return frames.tableFrameTake(stateBase());
}

// ---- domains and rights

export function domainCreate(slot: u32, domid: u32, flags: u32): Status {
  return domains.domainCreate(stateBase(), slot, domid, flags);
}

export function domainDestroy(slot: u32): Status {
  return domains.domainDestroy(stateBase(), slot);
}

export function guestMapSet(slot: u32, page: u32, entry: u32): Status {
  return domains.guestMapSet(stateBase(), slot, page, entry);
}

export function guestMapGet(slot: u32, page: u32): u32 {
  return domains.domainPresent(stateBase(), slot) ? domains.guestMapGet(stateBase(), slot, page) : 0;
}

export function portsSet(slot: u32, first: u32, number: u32, allow: u32): Status {
  return domains.portsSet(stateBase(), slot, first, number, allow != 0);
}

// ---- functions

/** The IOMMU is present, but no PCI function: it has no config space. */
@inline
function hasConfig(b: usize, fn: u32): bool {
  return functionPresent(b, fn) && load<u32>(functionRecord(b, fn), FunctionRecord.CONFIG_SIZE) != 0;
}

/** Index of a page of a BAR, for the control plane that fills it: offset of its record, 0 when there is none. */
export function barPageOff(fn: u32, bar: u32, page: u32): u32 {
  const b = stateBase();
  if (!functionPresent(b, fn) || bar >= <u32>Machine.BARS) return 0;
  const record = barRecord(b, fn, bar);
  if (page << Machine.PAGE_SHIFT >= load<u32>(record, BarRecord.SIZE)) return 0;
  return load<u32>(record, BarRecord.PAGES) + page * StateSize.DEVICE_PAGE;
}

/** After the control plane has filled a function's record and config space: derive the rest. */
export function functionApply(fn: u32): void {
  if (hasConfig(stateBase(), fn)) config.configApply(stateBase(), fn);
}

/** Maps a BAR without config space (the IOMMU's register page), or takes it out of decode. */
export function barPlace(fn: u32, bar: u32, place: u32, lo: u32, hi: u32): void {
  if (functionPresent(stateBase(), fn) && bar < <u32>Machine.BARS) barMap(stateBase(), fn, bar, place != 0, join(lo, hi));
}

export function functionReset(fn: u32): void {
  if (hasConfig(stateBase(), fn)) config.functionReset(stateBase(), fn);
}

/** Power-on state of the device behind the registers; its config space stays. */
export function functionPowerOn(fn: u32): void {
  if (functionPresent(stateBase(), fn)) deviceReset(stateBase(), fn);
}

/** A back end has something for the function (frames on a link): `service` shall look. */
export function requestService(fn: u32): void {
  if (functionPresent(stateBase(), fn)) workRequest(stateBase(), fn);
}

/** The host has plugged a NIC's cable in or pulled it. */
export function linkChanged(fn: u32): void {
  if (functionPresent(stateBase(), fn)) deviceLinkChanged(stateBase(), fn);
}

export function registerRead(fn: u32, bar: u32, off: u32, width: u32): u32 {
  return registers.registerRead(stateBase(), fn, bar, off, width);
}

export function registerWrite(fn: u32, bar: u32, off: u32, width: u32, lo: u32, hi: u32): void {
  registers.registerWrite(stateBase(), fn, bar, off, width, lo, hi);
}

export function configRead(fn: u32, off: u32, width: u32): u32 {
  return hasConfig(stateBase(), fn) ? config.configRead(stateBase(), fn, off, width) : 0xffffffff;
}

export function configWrite(fn: u32, off: u32, width: u32, value: u32): void {
  if (hasConfig(stateBase(), fn)) config.configWrite(stateBase(), fn, off, width, value);
}

export function portRead(port: u32, width: u32): u32 {
  return guest.portRead(stateBase(), port, width);
}

export function portWrite(port: u32, width: u32, value: u32): void {
  guest.portWrite(stateBase(), port, width, value);
}

// ---- what a guest does

export function guestLoad(dom: u32, lo: u32, hi: u32, width: u32): u32 {
  return guest.guestLoad(stateBase(), dom, join(lo, hi), width);
}

export function guestStore(dom: u32, lo: u32, hi: u32, width: u32, valueLo: u32, valueHi: u32): void {
  guest.guestStore(stateBase(), dom, join(lo, hi), width, valueLo, valueHi);
}

export function guestIn(dom: u32, port: u32, width: u32): u32 {
  return guest.guestIn(stateBase(), dom, port, width);
}

export function guestOut(dom: u32, port: u32, width: u32, value: u32): void {
  guest.guestOut(stateBase(), dom, port, width, value);
}

// ---- deferred work and interrupts

export function service(now: f64, budget: u32): u32 {
  return serviceRun(stateBase(), <u64>now, budget);
}

/** Virtual time in ns at which something is due, negative when nothing is. */
export function nextDeadline(): f64 {
  const deadline = deadlineNext(stateBase());
  return deadline == u64.MAX_VALUE ? -1 : <f64>deadline;
}

export function intxLine(line: u32): u32 {
  return intxAsserted(stateBase(), line) ? 1 : 0;
}

/** Offset of the oldest message from the state base, 0 when there is none. It stays there until the next call. */
export function messagePop(): u32 {
  return messagePopAt(stateBase());
}

// ---- IOMMU, the hypervisor's side

export function ioDomainCreate(slot: u32, did: u32, owner: u32, levels: u32): Status {
  return tables.ioDomainCreate(stateBase(), slot, did, owner, levels);
}

export function ioDomainDestroy(slot: u32): Status {
  return tables.ioDomainDestroy(stateBase(), slot);
}

export function ioMap(slot: u32, dfn: u32, mfn: u32, pages: u32, rights: u32): Status {
  return tables.ioMap(stateBase(), slot, dfn, mfn, pages, rights);
}

export function ioUnmap(slot: u32, dfn: u32, pages: u32): Status {
  return tables.ioUnmap(stateBase(), slot, dfn, pages);
}

export function ioPageMapped(slot: u32, dfn: u32): u32 {
  return tables.ioPageMapped(stateBase(), slot, dfn) ? 1 : 0;
}

/** One invalidation descriptor and a wait. */
export function invalidate(lo0: u32, lo1: u32, hi0: u32, hi1: u32): Status {
  return hypercall.invalidateSync(stateBase(), join(lo0, lo1), join(hi0, hi1));
}

// ---- hypercalls and DMA mapping, the guest's side

export function iommuOpMap(dom: u32, dfn: u32, mfn: u32, pages: u32, rights: u32): Status {
  return hypercall.iommuOpMap(stateBase(), dom, dfn, mfn, pages, rights);
}

export function iommuOpUnmap(dom: u32, dfn: u32, pages: u32): Status {
  return hypercall.iommuOpUnmap(stateBase(), dom, dfn, pages);
}

export function iommuOpFlush(dom: u32, dfn: u32, pages: u32): Status {
  return hypercall.iommuOpFlush(stateBase(), dom, dfn, pages);
}

/** An empty iova allocator in the DmaMap at `mapOff`, whose MODE, DOMAIN, MASK, ALLOCATOR and LIMIT are set. */
export function dmaMapSetup(mapOff: u32): void {
  iovaSetup(stateBase() + mapOff);
}

/** The allocator alone, for ageing it: first page of a run, 0 when there is none. `pages` is 1 to 32. */
export function iovaTake(mapOff: u32, pages: u32): u32 {
  return iovaAlloc(stateBase(), stateBase() + mapOff, pages);
}

export function iovaGive(mapOff: u32, page: u32, pages: u32): void {
  iovaFree(stateBase(), stateBase() + mapOff, page, pages);
}

/** Low half of the bus address; the high half is in RESULT_HI, and RESULT_STATUS tells whether there is one. */
export function dmaMap(mapOff: u32, va: u32, size: u32, direction: u32): u32 {
  const b = stateBase();
  const bus = size == 0 || <u64>va + size > 0x100000000 ? u64.MAX_VALUE : map(b, b + mapOff, va, size, direction);
  store<u32>(b, <u32>(bus >> 32), State.RESULT_HI);
  store<u32>(b, bus == u64.MAX_VALUE ? Status.REFUSED : Status.OK, State.RESULT_STATUS);
  return <u32>bus;
}

export function dmaUnmap(mapOff: u32, lo: u32, hi: u32, va: u32, size: u32, direction: u32): void {
  const b = stateBase();
  if (size != 0) unmap(b, b + mapOff, join(lo, hi), va, size, direction);
}

export function dmaFlush(mapOff: u32): void {
  flush(stateBase(), stateBase() + mapOff);
}

/** The flush queue's timer: flushes when its time has come. */
export function dmaTimer(mapOff: u32): void {
  timer(stateBase(), stateBase() + mapOff);
}

// ---- DMA by a device that is not one of ours: `src` and `dst` are offsets in the state's heap

export function functionDmaRead(fn: u32, lo: u32, hi: u32, len: u32, dst: u32): Status {
  const b = stateBase();
  if (!heapRange(b, fn, len, dst)) return Status.RANGE;
  return dmaRead(b, fn, join(lo, hi), len, b + dst);
}

export function functionDmaWrite(fn: u32, lo: u32, hi: u32, len: u32, src: u32): Status {
  const b = stateBase();
  if (!heapRange(b, fn, len, src)) return Status.RANGE;
  return dmaWrite(b, fn, join(lo, hi), len, b + src);
}

@inline
function heapRange(b: usize, fn: u32, len: u32, off: u32): bool {
  const heap = load<u32>(b, State.POOL_HEAP);
  const size = load<u32>(b, State.HEAP_SIZE);
  return functionPresent(b, fn) && off >= heap && len <= size && off - heap <= size - len;
}

/** The same DMA `number` times, `step` bytes apart within a range of `span` bytes: what a benchmark needs. */
export function functionDmaRepeat(fn: u32, lo: u32, hi: u32, len: u32, off: u32, write: u32, number: u32, step: u32, span: u32): Status {
  const b = stateBase();
  if (!heapRange(b, fn, len, off) || span == 0) return Status.RANGE;
  const start = join(lo, hi);
  let at: u32 = 0;
  let worst: Status = Status.OK;
  for (let i: u32 = 0; i < number; i++) {
    const status = write != 0 ? dmaWrite(b, fn, start + at, len, b + off) : dmaRead(b, fn, start + at, len, b + off);
    if (status != Status.OK) worst = status;
    at += step;
    if (at >= span) at = 0;
  }
  return worst;
}

/** `number` loads of a guest, cycling over registers listed as {lo u32} at heap offset `list`: sum of the values. */
export function guestLoadRepeat(dom: u32, list: u32, entries: u32, number: u32): u32 {
  const b = stateBase();
  let sum: u32 = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < number; i++) {
    sum += guest.guestLoad(b, dom, load<u32>(b + list + (at << 2)), 4);
    at = at + 1 == entries ? 0 : at + 1;
  }
  return sum;
}

export function guestStoreRepeat(dom: u32, list: u32, entries: u32, number: u32): void {
  const b = stateBase();
  let at: u32 = 0;
  for (let i: u32 = 0; i < number; i++) {
    guest.guestStore(b, dom, load<u32>(b + list + (at << 2)), 4, i, 0);
    at = at + 1 == entries ? 0 : at + 1;
  }
}

// ---- the e1000 driver's loop

export function driverBufferGive(driverOff: u32, va: u32): void {
  driver.bufferGive(stateBase() + driverOff, va);
}

export function forwardStart(runOff: u32): u32 {
  return forward.forwardStart(stateBase(), runOff);
}

export function forwardRun(runOff: u32, packets: u32): u32 {
  return forward.forwardRun(stateBase(), runOff, packets);
}
