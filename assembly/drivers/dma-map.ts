// dma_map and dma_unmap: the only place where a driver gets a bus address. One function for each policy's way, over
// the counted hypercall iommu_op; the algorithms are Linux's.
import { Machine, MapEntry } from '../spec/machine';
import { Counter } from '../spec/counters';
import { Status } from '../spec/status';
import { DmaDirection, DmaMap, MapMode } from '../spec/driver';
import { State } from '../spec/state';
import { count, countBy } from '../memory/state';
import { frameDirty, framePtr } from '../memory/windows';
import { guestMapGet, guestRamMfn } from '../gate/domains';
import { iommuOpFlush, iommuOpMap, iommuOpUnmap } from '../iommu/hypercall';
import { NO_IOVA, iovaAlloc, iovaFree } from './iova';

/** No bus address: the frame is not the guest's, or the iova space or the tables are full. */
export const NO_BUS: u64 = u64.MAX_VALUE;

/** Linear address of guest memory that the guest's CPU may write, within one page; 0 when it may not. */
@inline
export function guestPtr(b: usize, dom: u32, va: u32): usize {
  const entry = guestMapGet(b, dom, va >> Machine.PAGE_SHIFT);
  return (entry >> MapEntry.WRITABLE_BIT & 1) == 0 ? 0 : entryPtr(b, entry, va);
}

/** The same for memory that it may read. */
function guestReadPtr(b: usize, dom: u32, va: u32): usize {
  return entryPtr(b, guestMapGet(b, dom, va >> Machine.PAGE_SHIFT), va);
}

@inline
function entryPtr(b: usize, entry: u32, va: u32): usize {
  if (entry >> MapEntry.KIND_SHIFT != MapEntry.RAM) return 0;
  const frame = framePtr(b, entry & MapEntry.MFN_MASK);
  return frame == 0 ? 0 : frame + (va & Machine.PAGE_MASK);
}

@inline
function pagesOf(va: u32, size: u32): u32 {
  return ((va & Machine.PAGE_MASK) + size + Machine.PAGE_MASK) >> Machine.PAGE_SHIFT;
}

/** Copies between a buffer of the guest and a bounce page, page by page of the buffer. */
function bounceCopy(b: usize, dom: u32, va: u32, bounceVa: u32, size: u32, toBounce: bool): void {
  for (let done: u32 = 0; done < size;) {
    const within = max<u32>((va + done) & Machine.PAGE_MASK, (bounceVa + done) & Machine.PAGE_MASK);
    const part = min<u32>(size - done, Machine.PAGE_SIZE - within);
    const buffer = toBounce ? guestReadPtr(b, dom, va + done) : guestPtr(b, dom, va + done);
    const page = guestPtr(b, dom, bounceVa + done);
    if (buffer == 0 || page == 0) return;
    memory.copy(toBounce ? page : buffer, toBounce ? buffer : page, part);
    frameDirty(b, guestRamMfn(b, dom, (toBounce ? bounceVa : va + done) >> Machine.PAGE_SHIFT));
    done += part;
  }
  countBy(b, Counter.BYTES_COPIED, size);
}

/** Bits of a run of bounce pages. */
@inline
function bounceBits(slot: u32, size: u32): u64 {
  const pages = (size + Machine.PAGE_MASK) >> Machine.PAGE_SHIFT;
  return (pages >= 64 ? u64.MAX_VALUE : (<u64>1 << pages) - 1) << slot;
}

/** First of a run of free bounce pages that lie together for the device and for the guest; `number` when there is none. */
function bounceRun(m: usize, size: u32, number: u32, used: u64): u32 {
  const pages = (size + Machine.PAGE_MASK) >> Machine.PAGE_SHIFT;
  for (let slot: u32 = 0; slot + pages <= number; slot++) {
    if ((used & bounceBits(slot, size)) != 0) continue;
    const first = m + DmaMap.BOUNCE + (slot << 4);
    let together: u32 = 1;
    while (together < pages
      && load<u64>(first + (together << 4)) == load<u64>(first) + (<u64>together << Machine.PAGE_SHIFT)
      && load<u32>(first + (together << 4), 8) == load<u32>(first, 8) + (together << Machine.PAGE_SHIFT)) together++;
    if (together == pages) return slot;
  }
  return number;
}

function bounceMap(b: usize, m: usize, dom: u32, va: u32, size: u32, direction: u32): u64 {
  const used = load<u64>(m, DmaMap.BOUNCE_USED);
  const number = load<u32>(m, DmaMap.BOUNCE_COUNT);
  if (size > number << Machine.PAGE_SHIFT) return NO_BUS;
  const slot = size <= <u32>Machine.PAGE_SIZE ? <u32>ctz(~used) : bounceRun(m, size, number, used);
  if (slot >= number) return NO_BUS;
  store<u64>(m, used | bounceBits(slot, size), DmaMap.BOUNCE_USED);
  count(b, Counter.BOUNCED);
  const entry = m + DmaMap.BOUNCE + (slot << 4);
  if (direction & DmaDirection.TO_DEVICE) bounceCopy(b, dom, va, load<u32>(entry, 8), size, true);
  return load<u64>(entry);
}

/** Whether a bus address is one of the bounce pages: then its slot plus one. */
function bounceSlot(m: usize, bus: u64): u32 {
  const number = load<u32>(m, DmaMap.BOUNCE_COUNT);
  for (let slot: u32 = 0; slot < number; slot++) {
    if (load<u64>(m + DmaMap.BOUNCE + (slot << 4)) == bus) return slot + 1;
  }
  return 0;
}

/** swiotlb-xen's way: in place when machine-contiguous and within the mask, else bounced. */
@inline
function directMap(b: usize, m: usize, dom: u32, va: u32, size: u32, direction: u32): u64 {
  const page = va >> Machine.PAGE_SHIFT;
  const mfn = guestRamMfn(b, dom, page);
  if (mfn == Machine.MFN_LIMIT) return NO_BUS;
  const bus = <u64>mfn << Machine.PAGE_SHIFT | (va & Machine.PAGE_MASK);
  const pages = pagesOf(va, size);
  let contiguous = bus + size - 1 <= load<u64>(m, DmaMap.MASK);
  for (let i: u32 = 1; i < pages; i++) {
    const other = guestRamMfn(b, dom, page + i);
    if (other == Machine.MFN_LIMIT) return NO_BUS;
    contiguous = contiguous && other == mfn + i;
  }
  return contiguous ? bus : bounceMap(b, m, dom, va, size, direction);
}

/** A new iova for every mapping; each machine-contiguous run of the buffer is one call of iommu_op. */
@inline
function iovaMap(b: usize, m: usize, dom: u32, va: u32, size: u32, direction: u32): u64 {
  const pages = pagesOf(va, size);
  const iova = iovaAlloc(b, m, pages);
  if (iova == NO_IOVA) return NO_BUS;
  const page = va >> Machine.PAGE_SHIFT;
  let done: u32 = 0;
  while (done < pages) {
    const mfn = guestRamMfn(b, dom, page + done);
    let run: u32 = 1;
    while (done + run < pages && guestRamMfn(b, dom, page + done + run) == mfn + run) run++;
    if (iommuOpMap(b, dom, iova + done, mfn, run, direction) != Status.OK) {
      if (done != 0) {
        iommuOpUnmap(b, dom, iova, done);
        iommuOpFlush(b, dom, iova, done);
      }
      iovaFree(b, m, iova, pages);
      return NO_BUS;
    }
    done += run;
  }
  return <u64>iova << Machine.PAGE_SHIFT | (va & Machine.PAGE_MASK);
}

@inline
function queueEntry(m: usize, index: u32): usize {
  return m + DmaMap.QUEUE + (index << 4);
}

/** Frees the iovas whose unmap a finished flush has covered. */
function queueRelease(b: usize, m: usize): void {
  const finished = load<u64>(m, DmaMap.QUEUE_FINISHED);
  let head = load<u32>(m, DmaMap.QUEUE_HEAD);
  const tail = load<u32>(m, DmaMap.QUEUE_TAIL);
  while (head != tail && load<u64>(queueEntry(m, head), 8) < finished) {
    iovaFree(b, m, load<u32>(queueEntry(m, head)), load<u32>(queueEntry(m, head), 4));
    head = (head + 1) & (DmaMap.QUEUE_SIZE - 1);
  }
  store<u32>(m, head, DmaMap.QUEUE_HEAD);
}

/** Flushes the whole IO domain and frees what was waiting for it. A timer that runs goes on: only it disarms itself. */
export function dmaFlush(b: usize, m: usize): void {
  store<u64>(m, load<u64>(m, DmaMap.QUEUE_STARTED) + 1, DmaMap.QUEUE_STARTED);
  iommuOpFlush(b, load<u32>(m, DmaMap.DOMAIN), 0, 0);
  count(b, Counter.DEFERRED_FLUSHES);
  store<u64>(m, load<u64>(m, DmaMap.QUEUE_FINISHED) + 1, DmaMap.QUEUE_FINISHED);
  queueRelease(b, m);
}

/** The flush queue's 10 ms timer. */
export function dmaTimer(b: usize, m: usize): void {
  const deadline = load<u64>(m, DmaMap.QUEUE_DEADLINE);
  if (deadline == 0 || deadline > load<u64>(b, State.NOW)) return;
  store<u64>(m, 0, DmaMap.QUEUE_DEADLINE);
  dmaFlush(b, m);
}

function queueAdd(b: usize, m: usize, page: u32, pages: u32): void {
  count(b, Counter.DEFERRED_UNMAPS);
  queueRelease(b, m);
  let tail = load<u32>(m, DmaMap.QUEUE_TAIL);
  if (((tail + 1) & (DmaMap.QUEUE_SIZE - 1)) == load<u32>(m, DmaMap.QUEUE_HEAD)) dmaFlush(b, m);
  tail = load<u32>(m, DmaMap.QUEUE_TAIL);
  const entry = queueEntry(m, tail);
  store<u32>(entry, page);
  store<u32>(entry, pages, 4);
  store<u64>(entry, load<u64>(m, DmaMap.QUEUE_STARTED), 8);
  store<u32>(m, (tail + 1) & (DmaMap.QUEUE_SIZE - 1), DmaMap.QUEUE_TAIL);
  if (load<u64>(m, DmaMap.QUEUE_DEADLINE) == 0) {
    store<u64>(m, load<u64>(b, State.NOW) + DmaMap.QUEUE_TIMEOUT_NS, DmaMap.QUEUE_DEADLINE);
  }
}

/** Bus address for `size` bytes (at least 1) at guest address `va`, or NO_BUS. */
export function dmaMap(b: usize, m: usize, va: u32, size: u32, direction: u32): u64 {
  const mode = load<u32>(m, DmaMap.MODE);
  const dom = load<u32>(m, DmaMap.DOMAIN);
  count(b, Counter.MAPS);
  let bus: u64;
  if (mode == MapMode.DIRECT) bus = directMap(b, m, dom, va, size, direction);
  else if (mode == MapMode.GUEST_FRAME) bus = va;
  else bus = iovaMap(b, m, dom, va, size, direction);
  if (bus == NO_BUS) count(b, Counter.MAP_FAILURES);
  return bus;
}

/** Ends a mapping: the same size, direction and guest address as it was made with. */
export function dmaUnmap(b: usize, m: usize, bus: u64, va: u32, size: u32, direction: u32): void {
  const mode = load<u32>(m, DmaMap.MODE);
  const dom = load<u32>(m, DmaMap.DOMAIN);
  count(b, Counter.UNMAPS);
  if (mode == MapMode.DIRECT || mode == MapMode.GUEST_FRAME) {
    if (load<u64>(m, DmaMap.BOUNCE_USED) == 0) return;
    const slot = bounceSlot(m, bus);
    if (slot == 0) return;
    const bounceVa = load<u32>(m + DmaMap.BOUNCE + (slot - 1 << 4), 8);
    if (direction & DmaDirection.FROM_DEVICE) bounceCopy(b, dom, va, bounceVa, size, false);
    store<u64>(m, load<u64>(m, DmaMap.BOUNCE_USED) & ~bounceBits(slot - 1, size), DmaMap.BOUNCE_USED);
    return;
  }
  const pages = pagesOf(va, size);
  // no such mapping was ever made, and the allocator must not take it in
  if ((bus >> Machine.PAGE_SHIFT) + pages > <u64>load<u32>(m, DmaMap.LIMIT)) return;
  const iova = <u32>(bus >> Machine.PAGE_SHIFT);
  iommuOpUnmap(b, dom, iova, pages);
  if (mode == MapMode.LAZY) return queueAdd(b, m, iova, pages);
  iommuOpFlush(b, dom, iova, pages);
  iovaFree(b, m, iova, pages);
}
