// The receive ring as one would first write it well in JavaScript: classes, Maps, a DataView for the descriptors,
// `set` for the copies, an object of counters. It does what the engine does per packet: the guest's map and frame
// owners, translation through an IOTLB with LRU, tables, iova allocator, invalidation queue, and every counter.
import type { PolicyName } from '../../src/lab/cost/index';
import { Random } from '../../src/engine/index';
import { BUFFERS, BUFFER_SIZE, RING, bufferOffset, bufferSum } from '../machines';

const PAGE = 4096;
const GUEST = 1;
const IOTLB_ENTRIES = 64;
const FLUSH_QUEUE = 256;
const DESCRIPTOR_DONE = 0x03;
const READ = 1;
const WRITE = 2;

interface Frame {
  owner: number;
  refs: number;
  dirty: boolean;
}

interface Mapping {
  mfn: number;
  rights: number;
}

interface Invalidation {
  kind: 'page' | 'domain' | 'wait';
  page?: number;
  value?: number;
}

const newCounters = () => ({
  dmaReads: 0, dmaReadBytes: 0, dmaWrites: 0, dmaWriteBytes: 0, readRequestTlps: 0, completionTlps: 0, writeTlps: 0,
  translations: 0, iotlbHits: 0, iotlbMisses: 0, hypercalls: 0, iommuOpMaps: 0, iommuOpUnmaps: 0, iommuOpFlushes: 0,
  maps: 0, unmaps: 0, deferredUnmaps: 0, deferredFlushes: 0, invalidations: 0, waits: 0, invalidationSubmissions: 0,
  invalidatePage: 0,
});

/** A least-recently-used cache on the insertion order of a Map. */
class Iotlb {
  readonly #entries = new Map<number, Mapping>();

  find(page: number): Mapping | undefined {
    const entry = this.#entries.get(page);
    if (entry !== undefined) {
      this.#entries.delete(page);
      this.#entries.set(page, entry);
    }
    return entry;
  }

  fill(page: number, mapping: Mapping): void {
    if (this.#entries.size >= IOTLB_ENTRIES) this.#entries.delete(this.#entries.keys().next().value as number);
    this.#entries.set(page, mapping);
  }

  drop(page: number): void {
    this.#entries.delete(page);
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** Tables of four levels, 512 entries each. */
class Tables {
  readonly #root: unknown[] = [];

  #leaves(page: number): Array<Mapping | undefined> {
    let table = this.#root;
    for (const shift of [27, 18, 9]) table = (table[(page >>> shift) & 511] ??= []) as unknown[];
    return table as Array<Mapping | undefined>;
  }

  get(page: number): Mapping | undefined {
    return this.#leaves(page)[page & 511];
  }

  set(page: number, mapping: Mapping | undefined): void {
    this.#leaves(page)[page & 511] = mapping;
  }
}

class Iommu {
  readonly tables = new Tables();
  readonly iotlb = new Iotlb();
  readonly queue: Invalidation[] = [];
  status = 0;
  #waits = 0;

  constructor(readonly counters: ReturnType<typeof newCounters>) {}

  /** One invalidation and a wait, done before it returns. */
  invalidate(invalidation: Invalidation): void {
    this.queue.push(invalidation, { kind: 'wait', value: ++this.#waits });
    this.counters.invalidationSubmissions++;
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      this.counters.invalidations++;
      if (next.kind === 'page') {
        this.counters.invalidatePage++;
        this.iotlb.drop(next.page as number);
      } else if (next.kind === 'domain') this.iotlb.clear();
      else {
        this.counters.waits++;
        this.status = next.value as number;
      }
    }
  }
}

export class ReceiveRing {
  readonly #ram: Uint8Array;
  readonly #view: DataView;
  readonly #guestMap = new Map<number, number>();
  readonly #frames = new Map<number, Frame>();
  readonly #counters = newCounters();
  readonly #iommu: Iommu | undefined;
  readonly #mode: 'direct' | 'strict' | 'lazy';
  readonly #passThrough: boolean;
  readonly #store: readonly Uint8Array[];
  readonly #ringVa: number;
  readonly #ringBus: number;
  readonly #pool: number[] = [];
  readonly #buffers: number[] = [];
  readonly #slots: Array<{ va: number; bus: number } | undefined> = new Array(RING).fill(undefined);
  readonly #freeIovas: number[] = [];
  readonly #deferred: number[] = [];
  readonly #busMaster = true;
  #nextIova = 0xfffff;
  #clean = 0;
  #use = 0;
  #head = 0;
  #frame = 0;

  constructor(policy: PolicyName, frames: readonly Uint8Array[]) {
    const pages = 1 + Math.ceil(BUFFERS / 2);
    this.#ram = new Uint8Array(2 * pages * PAGE);
    this.#view = new DataView(this.#ram.buffer);
    this.#store = frames;
    this.#mode = policy === 'strict' || policy === 'lazy' ? policy : 'direct';
    this.#passThrough = policy === 'bypass';
    this.#iommu = policy === 'none' ? undefined : new Iommu(this.#counters);
    const mfns = new Random(1).shuffle(Array.from({ length: 2 * pages }, (_, i) => i));
    for (let page = 0; page < pages; page++) {
      const mfn = mfns[page] as number;
      this.#guestMap.set(page, mfn);
      this.#frames.set(mfn, { owner: GUEST, refs: 0, dirty: false });
      if (policy === 'static') this.#iommu?.tables.set(mfn, { mfn, rights: READ | WRITE });
    }
    this.#ringVa = 0;
    for (let i = 0; i < BUFFERS; i++) {
      this.#buffers.push((1 + (i >> 1)) * PAGE + bufferOffset(i));
      this.#pool.push(this.#buffers[i] as number);
    }
    this.#ringBus = this.#map(this.#ringVa, RING * 16, READ | WRITE);
  }

  counters(): Record<string, number> {
    return { ...this.#counters };
  }

  sum(len: number): number {
    return this.#buffers.reduce((total, va) => {
      const at = this.#guestAddress(va);
      return (total + bufferSum(this.#ram.subarray(at, at + len), len)) >>> 0;
    }, 0);
  }

  /** Where a guest address lies in RAM; throws where the guest has nothing. */
  #guestAddress(va: number): number {
    const mfn = this.#guestMap.get(va >>> 12);
    if (mfn === undefined) throw new Error(`no page at ${va}`);
    return mfn * PAGE + (va & (PAGE - 1));
  }

  // ---- what the device does

  #translate(bus: number, right: number): number {
    if (this.#iommu === undefined || this.#passThrough) return bus;
    const page = Math.floor(bus / PAGE);
    this.#counters.translations++;
    let mapping = this.#iommu.iotlb.find(page);
    if (mapping !== undefined) this.#counters.iotlbHits++;
    else {
      this.#counters.iotlbMisses++;
      mapping = this.#iommu.tables.get(page);
      if (mapping === undefined) throw new Error(`fault at ${bus}`);
      this.#iommu.iotlb.fill(page, mapping);
    }
    if ((mapping.rights & right) === 0) throw new Error(`fault at ${bus}`);
    return mapping.mfn * PAGE + (bus % PAGE);
  }

  #dmaRead(bus: number, target: Uint8Array): void {
    if (!this.#busMaster) return;
    this.#counters.dmaReads++;
    this.#counters.dmaReadBytes += target.length;
    for (let done = 0; done < target.length;) {
      const part = Math.min(target.length - done, PAGE - ((bus + done) % PAGE));
      this.#counters.readRequestTlps += Math.ceil(part / 512);
      this.#counters.completionTlps += Math.ceil(part / 256);
      const at = this.#translate(bus + done, READ);
      target.set(this.#ram.subarray(at, at + part), done);
      done += part;
    }
  }

  #dmaWrite(bus: number, source: Uint8Array): void {
    if (!this.#busMaster) return;
    this.#counters.dmaWrites++;
    this.#counters.dmaWriteBytes += source.length;
    for (let done = 0; done < source.length;) {
      const part = Math.min(source.length - done, PAGE - ((bus + done) % PAGE));
      this.#counters.writeTlps += Math.ceil(part / 256);
      const at = this.#translate(bus + done, WRITE);
      this.#ram.set(part === source.length ? source : source.subarray(done, done + part), at);
      const frame = this.#frames.get(Math.floor(at / PAGE));
      if (frame !== undefined) frame.dirty = true;
      done += part;
    }
  }

  #deviceReceive(descriptor: DataView, frame: Uint8Array): void {
    const at = this.#ringBus + this.#head * 16;
    const bytes = new Uint8Array(descriptor.buffer);
    this.#dmaRead(at, bytes);
    const buffer = descriptor.getUint32(4, true) * 2 ** 32 + descriptor.getUint32(0, true);
    this.#dmaWrite(buffer, frame);
    descriptor.setUint32(8, frame.length, true);
    descriptor.setUint32(12, DESCRIPTOR_DONE, true);
    this.#dmaWrite(at + 8, bytes.subarray(8));
    this.#head = (this.#head + 1) % RING;
  }

  // ---- hypercalls

  #iommuMap(dfn: number, mfn: number, rights: number): void {
    this.#counters.hypercalls++;
    this.#counters.iommuOpMaps++;
    const frame = this.#frames.get(mfn);
    if (frame?.owner !== GUEST) throw new Error(`frame ${mfn} is not the guest's`);
    const { tables } = this.#iommu as Iommu;
    if (tables.get(dfn) !== undefined) throw new Error(`${dfn} is mapped`);
    tables.set(dfn, { mfn, rights });
    frame.refs++;
  }

  #iommuUnmap(dfn: number): void {
    this.#counters.hypercalls++;
    this.#counters.iommuOpUnmaps++;
    const { tables } = this.#iommu as Iommu;
    const mapping = tables.get(dfn);
    if (mapping === undefined) return;
    tables.set(dfn, undefined);
    (this.#frames.get(mapping.mfn) as Frame).refs--;
  }

  #iommuFlush(dfn: number | undefined): void {
    this.#counters.hypercalls++;
    this.#counters.iommuOpFlushes++;
    this.#iommu?.invalidate(dfn === undefined ? { kind: 'domain' } : { kind: 'page', page: dfn });
  }

  // ---- what the driver does

  #map(va: number, size: number, rights: number): number {
    this.#counters.maps++;
    const mfn = this.#guestMap.get(va >>> 12);
    if (mfn === undefined || (va & (PAGE - 1)) + size > PAGE) throw new Error(`${va} cannot be mapped`);
    if (this.#mode === 'direct') return mfn * PAGE + (va & (PAGE - 1));
    const iova = this.#freeIovas.pop() ?? this.#nextIova--;
    this.#iommuMap(iova, mfn, rights);
    return iova * PAGE + (va & (PAGE - 1));
  }

  #unmap(bus: number): void {
    this.#counters.unmaps++;
    if (this.#mode === 'direct') return;
    const iova = Math.floor(bus / PAGE);
    this.#iommuUnmap(iova);
    if (this.#mode === 'strict') {
      this.#iommuFlush(iova);
      this.#freeIovas.push(iova);
      return;
    }
    this.#counters.deferredUnmaps++;
    if (this.#deferred.length === FLUSH_QUEUE - 1) {
      this.#iommuFlush(undefined);
      this.#counters.deferredFlushes++;
      this.#freeIovas.push(...this.#deferred.splice(0));
    }
    this.#deferred.push(iova);
  }

  #refill(): void {
    while ((this.#use + 1) % RING !== this.#clean) {
      const va = this.#pool.pop();
      if (va === undefined) return;
      const bus = this.#map(va, BUFFER_SIZE, WRITE);
      const descriptor = this.#guestAddress(this.#ringVa + this.#use * 16);
      this.#view.setUint32(descriptor, bus % 2 ** 32, true);
      this.#view.setUint32(descriptor + 4, Math.floor(bus / 2 ** 32), true);
      this.#view.setUint32(descriptor + 8, 0, true);
      this.#view.setUint32(descriptor + 12, 0, true);
      this.#slots[this.#use] = { va, bus };
      this.#use = (this.#use + 1) % RING;
    }
  }

  #receive(): { va: number; len: number } | undefined {
    if (this.#clean === this.#use) return undefined;
    const descriptor = this.#guestAddress(this.#ringVa + this.#clean * 16);
    if ((this.#view.getUint8(descriptor + 12) & 1) === 0) return undefined;
    const slot = this.#slots[this.#clean] as { va: number; bus: number };
    this.#unmap(slot.bus);
    this.#clean = (this.#clean + 1) % RING;
    const len = this.#view.getUint16(descriptor + 8, true);
    return { va: slot.va, len: len > 18 && len <= BUFFER_SIZE ? len - 4 : 0 };
  }

  /** Receives so many packets, in batches of 32; the sum of the first dwords as the guest reads them. */
  run(packets: number): number {
    let sum = 0;
    const descriptor = new DataView(new ArrayBuffer(16));
    this.#frame = 0;
    for (let done = 0; done < packets;) {
      this.#refill();
      const batch = Math.min(32, packets - done);
      for (let i = 0; i < batch; i++) {
        this.#deviceReceive(descriptor, this.#store[this.#frame] as Uint8Array);
        this.#frame = (this.#frame + 1) % this.#store.length;
      }
      for (let i = 0; i < batch; i++) {
        const packet = this.#receive();
        if (packet === undefined) throw new Error('no packet');
        sum = (sum + this.#view.getUint32(this.#guestAddress(packet.va), true)) | 0;
        this.#pool.push(packet.va);
      }
      done += batch;
    }
    return sum;
  }
}
