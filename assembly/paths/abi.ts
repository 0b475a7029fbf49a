// The exports. Each takes the engine (see memory/lock.ts) and with it the state base into a local, once, and hands it
// on; those that read a word or two need not. Integers in, integers out: a 64-bit address comes as two halves, a time
// as a whole number of ns in an f64.
import { Abi, BarRecord, FrameRecord, FunctionRecord, State, StateSize } from '../spec/state';
import { Machine } from '../spec/machine';
import { Service, Status } from '../spec/status';
import { IommuState } from '../spec/vtd';
import { stateBase } from '../memory/state';
import { busy, enter, lastHigh, lastStatus, leave, left, openAt } from '../memory/lock';
import * as windows from '../memory/windows';
import * as frames from '../memory/frames';
import * as domains from '../gate/domains';
import { barRecord, functionPresent, functionRecord, workRequest } from '../bus/functions';
import { barMap, barsMovedClear } from '../bus/decode';
import { cacheBytes as cacheBytesOf, cacheSetup } from '../iommu/cache';
import * as tables from '../iommu/tables';
import * as hypercall from '../iommu/hypercall';
import { intxAsserted } from '../irq/intx';
import { messagePop as messagePopAt } from '../irq/messages';
import { dmaRead, dmaWrite } from '../dma/dma';
import * as journal from '../dma/journal';
import { crcSetup } from '../ring/link';
import { iovaAlloc, iovaFree, iovaSetup } from '../drivers/iova';
import { dmaFlush as flush, dmaMap as map, dmaTimer as timer, dmaUnmap as unmap } from '../drivers/dma-map';
import * as driver from '../drivers/e1000';
import * as apply from './apply';
import * as config from './config';
import { deadlineNext, deviceLinkChanged, deviceReset } from './dispatch';
import * as forward from './forward';
import * as guest from './guest';
import * as registers from './registers';
import * as resets from './reset';
import { serviceRun } from './service';

/** What a read gives that was not done. */
const ONES: u32 = 0xffffffff;

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
  openAt(base);
  return Status.OK;
}

/** Status of this instance's last call, and the high half of its last eight-byte read. */
export function resultStatus(): u32 {
  return lastStatus();
}

export function resultHigh(): u32 {
  return lastHigh();
}

/** First use of zeroed state: free lists, CRC table, empty caches of the geometry given. */
export function setup(iotlbEntries: u32, iotlbWays: u32, pwc2m: u32, pwc1g: u32, pwc512g: u32, contexts: u32): void {
  const b = enter();
  if (busy(b)) return;
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
  left(b);
}

// ---- machine memory

/** `kind` is WindowKind, `readOnly` 0 or 1; `ptr` counts for linear windows only. */
export function windowMap(firstMfn: u32, number: u32, ptr: u32, kind: u32, readOnly: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, windows.windowMap(b, firstMfn, number, ptr, kind, readOnly != 0));
}

export function windowUnmap(firstMfn: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, windows.windowUnmap(b, firstMfn));
}

/** Linear address of a frame of RAM, 0 when there is none. */
export function framePtr(mfn: u32): u32 {
  return mfn < <u32>Machine.MFN_LIMIT ? <u32>windows.framePtr(stateBase(), mfn) : 0;
}

export function frameAssign(mfn: u32, domid: u32, kind: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, frames.frameAssign(b, mfn, domid, kind));
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
  const b = enter();
  if (busy(b)) return;
  frames.tableFrameGive(b, mfn);
  left(b);
}

/** Takes one off it, for the hypervisor's root table, queue and status word; 0 when there is none. */
export function tableFrameTake(): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, frames.tableFrameTake(b));
}

// ---- domains and rights

export function domainCreate(slot: u32, domid: u32, flags: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, domains.domainCreate(b, slot, domid, flags));
}

export function domainDestroy(slot: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, domains.domainDestroy(b, slot));
}

export function guestMapSet(slot: u32, page: u32, entry: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, domains.guestMapSet(b, slot, page, entry));
}

export function guestMapGet(slot: u32, page: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, domains.domainPresent(b, slot) ? domains.guestMapGet(b, slot, page) : 0);
}

export function portsSet(slot: u32, first: u32, number: u32, allow: u32): Status {
  const b = enter();
  return busy(b) ? Status.BUSY : leave(b, domains.portsSet(b, slot, first, number, allow != 0));
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
  const b = enter();
  if (busy(b)) return;
  if (hasConfig(b, fn)) apply.configApply(b, fn);
  left(b);
}

/** Maps a BAR without config space (the IOMMU's register page), or takes it out of decode. */
export function barPlace(fn: u32, bar: u32, place: u32, lo: u32, hi: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn) && bar < <u32>Machine.BARS) barMap(b, fn, bar, place != 0, join(lo, hi));
  left(b);
}

/** Function-level reset. `BARS_MOVED` tells whether it lost BARs. */
export function functionReset(fn: u32): void {
  const b = enter();
  if (busy(b)) return;
  barsMovedClear(b);
  if (hasConfig(b, fn)) resets.functionReset(b, fn);
  left(b);
}

/** Power-on state of the device behind the registers; its config space stays. */
export function functionPowerOn(fn: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn)) deviceReset(b, fn);
  left(b);
}

/** A back end has something for the function (frames on a link): `service` shall look. */
export function requestService(fn: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn)) workRequest(b, fn);
  left(b);
}

/** The host has plugged a NIC's cable in or pulled it. */
export function linkChanged(fn: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn)) deviceLinkChanged(b, fn);
  left(b);
}

export function registerRead(fn: u32, bar: u32, off: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? ONES : leave(b, registers.registerRead(b, fn, bar, off, width));
}

export function registerWrite(fn: u32, bar: u32, off: u32, width: u32, lo: u32, hi: u32): void {
  const b = enter();
  if (busy(b)) return;
  registers.registerWrite(b, fn, bar, off, width, lo, hi);
  left(b);
}

export function configRead(fn: u32, off: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? ONES : leave(b, hasConfig(b, fn) ? config.configRead(b, fn, off, width) : 0xffffffff);
}

export function configWrite(fn: u32, off: u32, width: u32, value: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (hasConfig(b, fn)) config.configWrite(b, fn, off, width, value);
  left(b);
}

export function portRead(port: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? ONES : leave(b, guest.portRead(b, port, width));
}

export function portWrite(port: u32, width: u32, value: u32): void {
  const b = enter();
  if (busy(b)) return;
  guest.portWrite(b, port, width, value);
  left(b);
}

// ---- what a guest does

export function guestLoad(dom: u32, lo: u32, hi: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? ONES : leave(b, guest.guestLoad(b, dom, join(lo, hi), width));
}

export function guestStore(dom: u32, lo: u32, hi: u32, width: u32, valueLo: u32, valueHi: u32): void {
  const b = enter();
  if (busy(b)) return;
  guest.guestStore(b, dom, join(lo, hi), width, valueLo, valueHi);
  left(b);
}

export function guestIn(dom: u32, port: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? ONES : leave(b, guest.guestIn(b, dom, port, width));
}

export function guestOut(dom: u32, port: u32, width: u32, value: u32): void {
  const b = enter();
  if (busy(b)) return;
  guest.guestOut(b, dom, port, width, value);
  left(b);
}

// ---- deferred work and interrupts

/** Offset of the request that a function has made to a message window and that waits for the host, 0 when none does. */
export function windowRequest(fn: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, functionPresent(b, fn) ? journal.journalPoll(b, fn) : 0);
}

/** Number of that request, to answer it by. */
export function windowRequestSerial(fn: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, functionPresent(b, fn) ? journal.journalSerial(b, fn) : 0);
}

/**
 * The host has answered: a read's bytes are in the request's data. `answer` 0 done, 1 refused. ABSENT when the device
 * has given the request up, by a reset say.
 */
export function windowAnswer(fn: u32, serial: u32, answer: u32): Status {
  const b = enter();
  if (busy(b)) return Status.BUSY;
  if (!functionPresent(b, fn)) return leave<Status>(b, Status.ABSENT);
  const status = journal.journalAnswer(b, fn, serial, answer);
  if (status == Status.OK) workRequest(b, fn);
  return leave(b, status);
}

export function service(now: f64, budget: u32): u32 {
  const b = enter();
  return busy(b) ? Service.BUSY : leave(b, serviceRun(b, <u64>now, budget));
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
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, messagePopAt(b));
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
  const bus = size == 0 || <u64>va + size > 0x100000000 ? u64.MAX_VALUE : map(b, b + mapOff, va, size, direction);
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
  return leave(b, heapRange(b, fn, len, dst) ? dmaRead(b, fn, join(lo, hi), len, b + dst) : Status.RANGE);
}

export function functionDmaWrite(fn: u32, lo: u32, hi: u32, len: u32, src: u32): Status {
  const b = enter();
  if (busy(b)) return Status.BUSY;
  return leave(b, heapRange(b, fn, len, src) ? dmaWrite(b, fn, join(lo, hi), len, b + src) : Status.RANGE);
}

@inline
function heapRange(b: usize, fn: u32, len: u32, off: u32): bool {
  const heap = load<u32>(b, State.POOL_HEAP);
  const size = load<u32>(b, State.HEAP_SIZE);
  return functionPresent(b, fn) && off >= heap && len <= size && off - heap <= size - len;
}

/** The same DMA `number` times, `step` bytes apart within a range of `span` bytes: what a benchmark needs. */
export function functionDmaRepeat(fn: u32, lo: u32, hi: u32, len: u32, off: u32, write: u32, number: u32, step: u32, span: u32): Status {
  const b = enter();
  if (busy(b)) return Status.BUSY;
  if (!heapRange(b, fn, len, off) || span == 0) return leave<Status>(b, Status.RANGE);
  const start = join(lo, hi);
  let at: u32 = 0;
  let worst: Status = Status.OK;
  for (let i: u32 = 0; i < number; i++) {
    const status = write != 0 ? dmaWrite(b, fn, start + at, len, b + off) : dmaRead(b, fn, start + at, len, b + off);
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
  let sum: u32 = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < number; i++) {
    sum += guest.guestLoad(b, dom, load<u32>(b + list + (at << 2)), 4);
    at = at + 1 == entries ? 0 : at + 1;
  }
  return leave(b, sum);
}

export function guestStoreRepeat(dom: u32, list: u32, entries: u32, number: u32): void {
  const b = enter();
  if (busy(b)) return;
  let at: u32 = 0;
  for (let i: u32 = 0; i < number; i++) {
    guest.guestStore(b, dom, load<u32>(b + list + (at << 2)), 4, i, 0);
    at = at + 1 == entries ? 0 : at + 1;
  }
  left(b);
}

// ---- the e1000 driver's loop

export function driverBufferGive(driverOff: u32, va: u32): void {
  const b = enter();
  if (busy(b)) return;
  driver.bufferGive(b + driverOff, va);
  left(b);
}

export function forwardStart(runOff: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, forward.forwardStart(b, runOff));
}

export function forwardRun(runOff: u32, packets: u32): u32 {
  const b = enter();
  return busy(b) ? <u32>0 : leave(b, forward.forwardRun(b, runOff, packets));
}
