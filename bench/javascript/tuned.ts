// The same receive ring, tuned: typed arrays throughout, no allocation, numbers that stay small integers, copies by
// dword up to 256 bytes and by copyWithin above. The frames lie in the same buffer as RAM, so that copies need no view.
import type { PolicyName } from '../../src/lab/cost/index';
import { Random } from '../../src/engine/index';
import { BUFFERS, BUFFER_SIZE, RING, bufferOffset, bufferSum } from '../machines';

const PAGE = 4096;
const GUEST = 1;
const ENTRIES = 64;
const BUCKETS = 256;
const FLUSH_QUEUE = 256;
const QUEUE = 256;
const DONE = 0x03;
const READ = 1;
const WRITE = 2;
const IOVAS = 1024;
/** A table of 512 entries of 8 bytes, as the unit reads it: 51:12 frame, 1 write, 0 read. */
const TABLE_WORDS = 1024;
const LEVELS = 4;

const enum C {
  DMA_READS, DMA_READ_BYTES, DMA_WRITES, DMA_WRITE_BYTES, READ_REQUEST_TLPS, COMPLETION_TLPS, WRITE_TLPS, TRANSLATIONS,
  IOTLB_HITS, IOTLB_MISSES, HYPERCALLS, IOMMU_OP_MAPS, IOMMU_OP_UNMAPS, IOMMU_OP_FLUSHES, MAPS, UNMAPS,
  DEFERRED_UNMAPS, DEFERRED_FLUSHES, INVALIDATIONS, WAITS, INVALIDATION_SUBMISSIONS, INVALIDATE_PAGE, COUNT,
}

const NAMES = [
  'dmaReads', 'dmaReadBytes', 'dmaWrites', 'dmaWriteBytes', 'readRequestTlps', 'completionTlps', 'writeTlps',
  'translations', 'iotlbHits', 'iotlbMisses', 'hypercalls', 'iommuOpMaps', 'iommuOpUnmaps', 'iommuOpFlushes', 'maps',
  'unmaps', 'deferredUnmaps', 'deferredFlushes', 'invalidations', 'waits', 'invalidationSubmissions', 'invalidatePage',
];

export class ReceiveRing {
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #pages: number;
  readonly #counters = new Float64Array(C.COUNT);
  readonly #guestMap: Int32Array;
  readonly #owners: Uint16Array;
  readonly #refs: Int32Array;
  readonly #dirty: Int32Array;
  readonly #iommu: boolean;
  readonly #mapped: boolean;
  readonly #strict: boolean;
  /** Tables of four levels, each a page, the root first. */
  readonly #tables = new Int32Array(16 * TABLE_WORDS);
  #tableCount = 1;
  // IOTLB: hash chains of at most 64 entries, in a list from the one used last to the one used longest ago
  readonly #buckets = new Int32Array(BUCKETS).fill(-1);
  readonly #chain = new Int32Array(ENTRIES).fill(-1);
  readonly #tags = new Int32Array(ENTRIES).fill(-1);
  readonly #values = new Int32Array(ENTRIES);
  readonly #newer = new Int32Array(ENTRIES + 1);
  readonly #older = new Int32Array(ENTRIES + 1);
  // invalidation queue of {kind, page or value}: 0 page, 1 domain, 2 wait
  readonly #queue = new Int32Array(2 * QUEUE);
  #queueHead = 0;
  #queueTail = 0;
  #status = 0;
  #waits = 0;
  readonly #stride: number;
  readonly #store: number;
  readonly #frames: number;
  readonly #len: number;
  readonly #scratch: number;
  readonly #ringBus: number;
  readonly #pool = new Int32Array(BUFFERS);
  #pooled = 0;
  readonly #slotVa = new Int32Array(RING);
  readonly #slotPage = new Int32Array(RING);
  readonly #freeIovas = new Int32Array(IOVAS);
  #freed = 0;
  #nextIova = 0xfffff;
  readonly #deferred = new Int32Array(FLUSH_QUEUE);
  #deferredCount = 0;
  #clean = 0;
  #use = 0;
  #head = 0;
  readonly #busMaster = true;

  constructor(policy: PolicyName, frames: readonly Uint8Array[]) {
    this.#pages = 2 * (1 + Math.ceil(BUFFERS / 2));
    this.#len = frames[0]?.length ?? 0;
    this.#stride = (this.#len + 63) & ~63;
    this.#frames = frames.length;
    this.#store = this.#pages * PAGE;
    this.#scratch = this.#store + frames.length * this.#stride;
    this.#bytes = new Uint8Array(this.#scratch + 64);
    this.#words = new Int32Array(this.#bytes.buffer);
    frames.forEach((frame, i) => this.#bytes.set(frame, this.#store + i * this.#stride));
    this.#guestMap = new Int32Array(this.#pages).fill(-1);
    this.#owners = new Uint16Array(this.#pages);
    this.#refs = new Int32Array(this.#pages);
    this.#dirty = new Int32Array((this.#pages + 31) >> 5);
    this.#mapped = policy === 'strict' || policy === 'lazy';
    this.#strict = policy === 'strict';
    this.#iommu = this.#mapped || policy === 'static';
    for (let i = 0; i <= ENTRIES; i++) {
      this.#older[i] = (i + 1) % (ENTRIES + 1);
      this.#newer[i] = (i + ENTRIES) % (ENTRIES + 1);
    }
    const mfns = new Random(1).shuffle(Array.from({ length: this.#pages }, (_, i) => i));
    for (let page = 0; page < this.#pages / 2; page++) {
      const mfn = mfns[page] as number;
      this.#guestMap[page] = mfn;
      this.#owners[mfn] = GUEST;
      if (policy === 'static') this.#tables[this.#entry(mfn, true)] = mfn << 12 | READ | WRITE;
    }
    for (let i = 0; i < BUFFERS; i++) this.#pool[this.#pooled++] = (1 + (i >> 1)) * PAGE + bufferOffset(i);
    this.#ringBus = this.#map(0, RING * 16, READ | WRITE);
  }

  counters(): Record<string, number> {
    return Object.fromEntries(NAMES.map((name, i) => [name, this.#counters[i] as number]));
  }

  sum(len: number): number {
    let total = 0;
    for (let i = 0; i < BUFFERS; i++) {
      const at = this.#guestAddress((1 + (i >> 1)) * PAGE + bufferOffset(i));
      total = (total + bufferSum(this.#bytes.subarray(at, at + len), len)) >>> 0;
    }
    return total;
  }

  #guestAddress(va: number): number {
    const mfn = this.#guestMap[va >>> 12] as number;
    if (!(mfn >= 0)) throw new Error('no page');
    return mfn << 12 | va & 0xfff;
  }

  #count(counter: C, by = 1): void {
    this.#counters[counter] = (this.#counters[counter] as number) + by;
  }

  // ---- IOTLB

  #touch(entry: number): void {
    const newer = this.#newer;
    const older = this.#older;
    older[newer[entry] as number] = older[entry] as number;
    newer[older[entry] as number] = newer[entry] as number;
    const first = older[ENTRIES] as number;
    older[ENTRIES] = entry;
    newer[entry] = ENTRIES;
    older[entry] = first;
    newer[first] = entry;
  }

  #find(page: number): number {
    let entry = this.#buckets[page & (BUCKETS - 1)] as number;
    while (entry >= 0 && this.#tags[entry] !== page) entry = this.#chain[entry] as number;
    return entry;
  }

  #unlink(entry: number): void {
    const page = this.#tags[entry] as number;
    if (page < 0) return;
    const bucket = page & (BUCKETS - 1);
    let at = this.#buckets[bucket] as number;
    if (at === entry) this.#buckets[bucket] = this.#chain[entry] as number;
    else {
      while (this.#chain[at] !== entry) at = this.#chain[at] as number;
      this.#chain[at] = this.#chain[entry] as number;
    }
    this.#tags[entry] = -1;
  }

  #drop(page: number): void {
    const entry = this.#find(page);
    if (entry >= 0) this.#unlink(entry);
  }

  #clear(): void {
    this.#tags.fill(-1);
    this.#buckets.fill(-1);
  }

  #translate(bus: number, right: number): number {
    if (!this.#iommu) return bus | 0;
    const page = bus >>> 12;
    this.#count(C.TRANSLATIONS);
    let entry = this.#find(page);
    if (entry >= 0) this.#count(C.IOTLB_HITS);
    else {
      this.#count(C.IOTLB_MISSES);
      const at = this.#entry(page, false);
      const pte = at < 0 ? 0 : this.#tables[at] as number;
      if ((pte & right) === 0) throw new Error('fault');
      entry = this.#newer[ENTRIES] as number;
      this.#unlink(entry);
      this.#tags[entry] = page;
      this.#values[entry] = pte;
      this.#chain[entry] = this.#buckets[page & (BUCKETS - 1)] as number;
      this.#buckets[page & (BUCKETS - 1)] = entry;
    }
    this.#touch(entry);
    const value = this.#values[entry] as number;
    if ((value & right) === 0) throw new Error('fault');
    return value & ~0xfff | bus & 0xfff;
  }

  /** Word of the leaf's entry, -1 where a table is missing and none is to be made. */
  #entry(page: number, make: boolean): number {
    const tables = this.#tables;
    let table = 0;
    for (let level = LEVELS; ; level--) {
      const index = page >>> 9 * (level - 1) & 511;
      const at = table * TABLE_WORDS + 2 * index;
      if (level === 1) return at;
      let pte = tables[at] as number;
      if (pte === 0) {
        if (!make) return -1;
        pte = this.#tableCount++ << 12 | READ | WRITE;
        tables[at] = pte;
      }
      table = pte >>> 12;
    }
  }

  // ---- DMA between RAM and the other parts of the same buffer

  #copy(to: number, from: number, len: number): void {
    if (len > 256) {
      this.#bytes.copyWithin(to, from, from + len);
      return;
    }
    const words = this.#words;
    const first = to >> 2;
    const source = from >> 2;
    for (let i = 0; i < len >> 2; i++) words[first + i] = words[source + i] as number;
  }

  #dmaRead(bus: number, to: number, len: number): void {
    if (!this.#busMaster) return;
    this.#count(C.DMA_READS);
    this.#count(C.DMA_READ_BYTES, len);
    for (let done = 0; done < len;) {
      const part = Math.min(len - done, PAGE - ((bus + done) & 0xfff));
      this.#count(C.READ_REQUEST_TLPS, (part + 511) >> 9);
      this.#count(C.COMPLETION_TLPS, (part + 255) >> 8);
      this.#copy(to + done, this.#translate(bus + done, READ), part);
      done += part;
    }
  }

  #dmaWrite(bus: number, from: number, len: number): void {
    if (!this.#busMaster) return;
    this.#count(C.DMA_WRITES);
    this.#count(C.DMA_WRITE_BYTES, len);
    for (let done = 0; done < len;) {
      const part = Math.min(len - done, PAGE - ((bus + done) & 0xfff));
      this.#count(C.WRITE_TLPS, (part + 255) >> 8);
      const at = this.#translate(bus + done, WRITE);
      this.#copy(at, from + done, part);
      const mfn = at >>> 12;
      this.#dirty[mfn >> 5] = (this.#dirty[mfn >> 5] as number) | 1 << (mfn & 31);
      done += part;
    }
  }

  // ---- hypercalls

  #iommuMap(dfn: number, mfn: number, rights: number): void {
    this.#count(C.HYPERCALLS);
    this.#count(C.IOMMU_OP_MAPS);
    const at = this.#entry(dfn, true);
    if (this.#owners[mfn] !== GUEST || this.#tables[at] !== 0) throw new Error('refused');
    this.#tables[at] = mfn << 12 | rights;
    this.#refs[mfn] = (this.#refs[mfn] as number) + 1;
  }

  #iommuUnmap(dfn: number): void {
    this.#count(C.HYPERCALLS);
    this.#count(C.IOMMU_OP_UNMAPS);
    const at = this.#entry(dfn, false);
    const pte = at < 0 ? 0 : this.#tables[at] as number;
    if (pte === 0) return;
    this.#tables[at] = 0;
    this.#refs[pte >>> 12] = (this.#refs[pte >>> 12] as number) - 1;
  }

  #enqueue(kind: number, value: number): void {
    this.#queue[2 * this.#queueTail] = kind;
    this.#queue[2 * this.#queueTail + 1] = value;
    this.#queueTail = (this.#queueTail + 1) & (QUEUE - 1);
  }

  #iommuFlush(kind: number, dfn: number): void {
    this.#count(C.HYPERCALLS);
    this.#count(C.IOMMU_OP_FLUSHES);
    this.#enqueue(kind, dfn);
    this.#enqueue(2, ++this.#waits);
    this.#count(C.INVALIDATION_SUBMISSIONS);
    while (this.#queueHead !== this.#queueTail) {
      const next = this.#queue[2 * this.#queueHead];
      const value = this.#queue[2 * this.#queueHead + 1] as number;
      this.#count(C.INVALIDATIONS);
      if (next === 0) {
        this.#count(C.INVALIDATE_PAGE);
        this.#drop(value);
      } else if (next === 1) this.#clear();
      else {
        this.#count(C.WAITS);
        this.#status = value;
      }
      this.#queueHead = (this.#queueHead + 1) & (QUEUE - 1);
    }
    if (this.#status !== this.#waits) throw new Error('not done');
  }

  // ---- the driver

  #map(va: number, size: number, rights: number): number {
    this.#count(C.MAPS);
    const mfn = this.#guestMap[va >>> 12] as number;
    if (!(mfn >= 0) || (va & 0xfff) + size > PAGE) throw new Error('cannot be mapped');
    if (!this.#mapped) return mfn << 12 | va & 0xfff;
    const iova = this.#freed > 0 ? this.#freeIovas[--this.#freed] as number : this.#nextIova--;
    this.#iommuMap(iova, mfn, rights);
    return (iova << 12 | va & 0xfff) >>> 0;
  }

  #unmap(page: number): void {
    this.#count(C.UNMAPS);
    if (!this.#mapped) return;
    this.#iommuUnmap(page);
    if (this.#strict) {
      this.#iommuFlush(0, page);
      this.#freeIovas[this.#freed++] = page;
      return;
    }
    this.#count(C.DEFERRED_UNMAPS);
    if (this.#deferredCount === FLUSH_QUEUE - 1) {
      this.#iommuFlush(1, 0);
      this.#count(C.DEFERRED_FLUSHES);
      for (let i = 0; i < this.#deferredCount; i++) this.#freeIovas[this.#freed++] = this.#deferred[i] as number;
      this.#deferredCount = 0;
    }
    this.#deferred[this.#deferredCount++] = page;
  }

  #refill(): void {
    const words = this.#words;
    while (((this.#use + 1) & (RING - 1)) !== this.#clean && this.#pooled > 0) {
      const va = this.#pool[--this.#pooled] as number;
      const bus = this.#map(va, BUFFER_SIZE, WRITE);
      const descriptor = this.#guestAddress(this.#use << 4) >> 2;
      words[descriptor] = bus;
      words[descriptor + 1] = 0;
      words[descriptor + 2] = 0;
      words[descriptor + 3] = 0;
      this.#slotVa[this.#use] = va;
      this.#slotPage[this.#use] = bus >>> 12;
      this.#use = (this.#use + 1) & (RING - 1);
    }
  }

  /** Guest address of the packet, -1 when there is none. */
  #receive(): number {
    if (this.#clean === this.#use) return -1;
    const descriptor = this.#guestAddress(this.#clean << 4) >> 2;
    if (((this.#words[descriptor + 3] as number) & 1) === 0) return -1;
    this.#unmap(this.#slotPage[this.#clean] as number);
    const va = this.#slotVa[this.#clean] as number;
    this.#clean = (this.#clean + 1) & (RING - 1);
    const len = (this.#words[descriptor + 2] as number) & 0xffff;
    if (len <= 18 || len > BUFFER_SIZE) throw new Error('bad packet');
    return va;
  }

  run(packets: number): number {
    const words = this.#words;
    const descriptor = this.#scratch >> 2;
    let sum = 0;
    let frame = 0;
    for (let done = 0; done < packets;) {
      this.#refill();
      const batch = Math.min(32, packets - done);
      for (let i = 0; i < batch; i++) {
        const at = this.#ringBus + (this.#head << 4);
        this.#dmaRead(at, this.#scratch, 16);
        this.#dmaWrite((words[descriptor] as number) >>> 0, this.#store + frame * this.#stride, this.#len);
        words[descriptor + 2] = this.#len;
        words[descriptor + 3] = DONE;
        this.#dmaWrite(at + 8, this.#scratch + 8, 8);
        this.#head = (this.#head + 1) & (RING - 1);
        frame = frame + 1 === this.#frames ? 0 : frame + 1;
      }
      for (let i = 0; i < batch; i++) {
        const va = this.#receive();
        if (va < 0) throw new Error('no packet');
        sum = (sum + (words[this.#guestAddress(va) >> 2] as number)) | 0;
        this.#pool[this.#pooled++] = va;
      }
      done += batch;
    }
    return sum;
  }
}
