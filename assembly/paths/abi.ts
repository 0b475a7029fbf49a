// The exports. Each takes the engine (see memory/lock.ts) and with it the state base into a local, once, and hands it
// on; those that read a word or two need not. Integers in, integers out: a 64-bit address comes as two halves, a time
// as a whole number of ns in an f64.
import { Abi, BarRecord, FrameRecord, FunctionRecord, Model, State, StateSize } from '../spec/state';
import { HostReset } from '../spec/host';
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
import { intxAsserted } from '../irq/intx';
import { messagePop as messagePopAt } from '../irq/messages';
import * as journal from '../dma/journal';
import { grantsSetup } from '../ring/grant-map';
import { crcSetup } from '../ring/link';
import * as apply from './apply';
import * as config from './config';
import { deadlineNext, deviceLinkChanged, deviceReset } from './dispatch';
import * as guest from './guest';
import { hostRequest } from './host';
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
  grantsSetup(b, load<u32>(b, State.DOMAIN_LIMIT));
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
  if (functionPresent(b, fn)) deviceReset(b, fn, HostReset.POWER_ON);
  left(b);
}

/** A back end has something for the function (frames on a link): `service` shall look. */
export function requestService(fn: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn)) {
    if (load<u32>(functionRecord(b, fn), FunctionRecord.MODEL) == Model.HOST) hostRequest(b, fn);
    workRequest(b, fn);
  }
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
  guest.portWrite(b, port, width, value, false);
  left(b);
}

// ---- what a guest does

export function guestLoad(dom: u32, lo: u32, hi: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? ONES : leave(b, guest.guestLoadFast(b, dom, join(lo, hi), width));
}

export function guestStore(dom: u32, lo: u32, hi: u32, width: u32, valueLo: u32, valueHi: u32): void {
  const b = enter();
  if (busy(b)) return;
  guest.guestStoreFast(b, dom, join(lo, hi), width, valueLo, valueHi);
  left(b);
}

export function guestIn(dom: u32, port: u32, width: u32): u32 {
  const b = enter();
  return busy(b) ? ONES : leave(b, guest.guestInFast(b, dom, port, width));
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
