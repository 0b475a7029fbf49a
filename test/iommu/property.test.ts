// Random sequences of map, unmap, DMA and invalidation against a model. The model keeps two views of each page: what
// the tables say now ("never cache"), and everything that a cache may still hold ("cache as long as allowed"). What
// the unit does must be possible under one of them, whatever it caches.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';
import { edu } from '../../src/devices/edu/index';
import {
  BareMachine, FAULT, OK, STATUS_FRAME, iotlbDomain, iotlbGlobal, iotlbPages, wait,
} from '../helpers/bare-machine';

const PAGES = 12;
const FRAMES = 12;
const FIRST_FRAME = 16;
const DEVICES = [{ sid: 0x0310, did: 3 }, { sid: 0x0318, did: 4 }, { sid: 0x0320, did: 3 }] as const;
const DIDS = [3, 4] as const;

/** A leaf as it is or was: frame and rights; frame -1 for none. */
interface Leaf {
  frame: number;
  rights: number;
}
const NONE: Leaf = { frame: -1, rights: 0 };

type Step =
  | { kind: 'map'; did: number; page: number; frame: number; rights: number }
  | { kind: 'unmap'; did: number; page: number }
  | { kind: 'read' | 'write'; device: number; page: number; value: number; crossing: boolean }
  | { kind: 'pages'; did: number; page: number; order: number; leafOnly: boolean }
  | { kind: 'domain'; did: number }
  | { kind: 'global' };

const did = fc.constantFrom(...DIDS);
const page = fc.nat(PAGES - 1);
const dma = (kind: 'read' | 'write'): fc.Arbitrary<Step> =>
  fc.record({ kind: fc.constant(kind), device: fc.nat(DEVICES.length - 1), page, value: fc.integer({ min: 1, max: 254 }), crossing: fc.boolean() });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('map' as const), did, page, frame: fc.nat(FRAMES - 1), rights: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('unmap' as const), did, page }) },
  { weight: 9, arbitrary: dma('read') },
  { weight: 9, arbitrary: dma('write') },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pages' as const), did, page, order: fc.nat(4), leafOnly: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('domain' as const), did }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('global' as const) }) },
);

/** Pages lie close together, in another 2 MiB and in another 1 GiB region. */
function iovaOf(n: number): bigint {
  const region = n < 6 ? 0n : n < 9 ? 1n << 21n : 1n << 30n;
  return region + (BigInt(n < 6 ? n : n < 9 ? n - 6 : n - 9) << 12n);
}

/** Pages of the model that an invalidation of 2^order pages from this one on covers. */
function covered(n: number, order: number): number[] {
  const first = iovaOf(n) >> 12n >> BigInt(order) << BigInt(order);
  return Array.from({ length: PAGES }, (_, i) => i).filter((i) => {
    const at = iovaOf(i) >> 12n;
    return at >= first && at < first + (1n << BigInt(order));
  });
}

const follows = (n: number): boolean => n + 1 < PAGES && iovaOf(n + 1) === iovaOf(n) + 4096n;

class Run {
  readonly roots = new Map<number, number>();
  readonly now = new Map<string, Leaf>();
  /** What else may be cached: every leaf since the last invalidation of the page. */
  readonly stale = new Map<string, Leaf[]>();
  readonly memory = Array.from({ length: FRAMES }, () => new Array<number>(4096).fill(0));
  #waits = 0;

  constructor(readonly m: BareMachine, readonly fns: readonly number[]) {
    for (const id of DIDS) this.roots.set(id, m.newTable());
    for (const { sid, did: id } of DEVICES) m.tables(this.roots.get(id) as number, id, 4, sid);
    for (let i = 0; i < FRAMES; i++) m.fill(FIRST_FRAME + i, 0);
    for (const id of DIDS) for (let n = 0; n < PAGES; n += 2) this.setLeaf(id, n, { frame: n, rights: 3 });
  }

  leaf(id: number, n: number): Leaf {
    return this.now.get(`${id}/${n}`) ?? NONE;
  }

  possible(id: number, n: number): Leaf[] {
    return [this.leaf(id, n), ...this.stale.get(`${id}/${n}`) ?? []];
  }

  setLeaf(id: number, n: number, leaf: Leaf): void {
    const key = `${id}/${n}`;
    const before = this.leaf(id, n);
    // what was not present is never cached
    if (before !== NONE) this.stale.set(key, [...this.stale.get(key) ?? [], before]);
    this.now.set(key, leaf);
    const entry = leaf === NONE ? 0n : BigInt(FIRST_FRAME + leaf.frame) << 12n | BigInt(leaf.rights);
    this.m.map(this.roots.get(id) as number, iovaOf(n), entry);
  }

  invalidate(ids: readonly number[], pages: readonly number[], descriptor: [bigint, bigint]): void {
    this.m.submit(descriptor, wait(++this.#waits, BigInt(STATUS_FRAME) << 12n));
    assert.is(this.m.qword(STATUS_FRAME, 0), BigInt(this.#waits));
    for (const id of ids) for (const n of pages) this.stale.delete(`${id}/${n}`);
  }

  /** One piece of DMA: what the unit did must follow from one of the possible leaves. */
  piece(id: number, n: number, off: number, bytes: number[], write: boolean, seen: number[] | undefined): void {
    const need = write ? 2 : 1;
    const fits = this.possible(id, n).some((leaf) => {
      if ((leaf.rights & need) === 0) return seen === undefined;
      if (seen === undefined) return false;
      const memory = this.memory[leaf.frame] as number[];
      return write ? this.#written(leaf.frame, off, bytes) : seen.every((byte, i) => byte === memory[off + i]);
    });
    assert.ok(fits, `${write ? 'write' : 'read'} of page ${n}, domain id ${id}`);
  }

  /** Whether a write landed in this frame; then the model's memory follows. */
  #written(frame: number, off: number, bytes: number[]): boolean {
    const real = this.m.engine.frame(FIRST_FRAME + frame);
    const memory = this.memory[frame] as number[];
    if (!bytes.every((byte, i) => real[off + i] === byte)) return false;
    bytes.forEach((byte, i) => { memory[off + i] = byte; });
    return true;
  }

  check(): void {
    this.memory.forEach((memory, i) => {
      assert.ok(Buffer.from(memory).equals(this.m.engine.frame(FIRST_FRAME + i)), `frame ${i} has changed otherwise`);
    });
  }

  dma(one: Extract<Step, { kind: 'read' | 'write' }>): void {
    const id = (DEVICES[one.device] as typeof DEVICES[number]).did;
    const crossing = one.crossing && follows(one.page);
    const [off, first] = crossing ? [4092, 4] : [16 * one.value, 8];
    const at = iovaOf(one.page) + BigInt(off);
    const fn = this.fns[one.device] as number;
    if (one.kind === 'read') {
      const { status, bytes } = this.m.dmaRead(at, 8, fn);
      const good = status === OK ? 2 : bytes.slice(0, first).every((byte) => byte === 0xff) ? 0 : 1;
      this.piece(id, one.page, off, [], false, good > 0 ? bytes.slice(0, first) : undefined);
      if (crossing && good > 0) this.piece(id, one.page + 1, 0, [], false, good > 1 ? bytes.slice(4) : undefined);
      if (status !== OK) assert.ok(bytes.slice(good > 0 ? first : 0).every((byte) => byte === 0xff), 'ones, not stale bytes');
    } else {
      // bytes that are nowhere yet, so that it is seen where they land
      this.#serial += 8;
      const bytes = Array.from({ length: 8 }, (_, i) => (i % 4 === 0 ? one.value : (this.#serial + i) >> (8 * (i % 4 - 1)) & 0xff));
      const before = this.m.counted().dmaWrites;
      const status = this.m.dmaWrite(at, bytes, fn);
      assert.ok(status === OK || status === FAULT, String(before));
      const fault = status === OK ? undefined : this.m.takeFault();
      const faultPage = fault?.page === iovaOf(one.page) ? 0 : 1;
      this.piece(id, one.page, off, bytes.slice(0, first), true, fault === undefined || faultPage === 1 ? [] : undefined);
      if (crossing && faultPage === 1) this.piece(id, one.page + 1, 0, bytes.slice(4), true, fault === undefined ? [] : undefined);
    }
    this.m.write(0x34, 0xff);
    for (let i = 0; i < 8; i++) this.m.write(0x100 + 16 * i + 12, 0x80000000);
    this.check();
  }

  #serial = 0;

  step(one: Step): void {
    if (one.kind === 'map') this.setLeaf(one.did, one.page, { frame: one.frame, rights: one.rights });
    else if (one.kind === 'unmap') this.setLeaf(one.did, one.page, NONE);
    else if (one.kind === 'pages') {
      this.invalidate([one.did], covered(one.page, one.order), iotlbPages(one.did, iovaOf(one.page), one.order, one.leafOnly));
    } else if (one.kind === 'domain') this.invalidate([one.did], Array.from({ length: PAGES }, (_, i) => i), iotlbDomain(one.did));
    else if (one.kind === 'global') this.invalidate(DIDS, Array.from({ length: PAGES }, (_, i) => i), iotlbGlobal());
    else this.dma(one);
  }
}

const property = suite('random use of tables, caches and DMA');

for (const caches of [{ entries: 64 }, { entries: 4, ways: 2, pwc2m: 1, pwc1g: 1, pwc512g: 1, contexts: 1 }]) {
  property(`gives what a cache may give, and nothing else: ${JSON.stringify(caches)}`, async () => {
    const m = await BareMachine.create({ caches });
    m.start();
    m.startQueue();
    const fns = DEVICES.map(({ sid }, i) => (i === 0 ? m.fn : m.add(edu, sid).fn));
    const engineState = m.engine.slice();
    const ram = m.engine.bytes.slice(m.engine.ram, m.engine.ram + 4096 * 4096);
    let [hits, faults] = [0, 0];
    fc.assert(fc.property(fc.array(step, { minLength: 80, maxLength: 160, size: 'max' }), (steps) => {
      const fresh = new Run(m, fns);
      fresh.invalidate(DIDS, [], iotlbGlobal());
      for (const one of steps) fresh.step(one);
      hits += m.engine.counters().iotlbHits;
      faults += m.engine.counters().faults;
    }).beforeEach(() => {
      m.engine.bytes.set(engineState, m.engine.base + 0x1000);
      m.engine.bytes.set(ram, m.engine.ram);
      m.rewind();
    }), { numRuns: 120, seed: 20 });
    assert.ok(hits > 300 && faults > 300, `${hits} hits and ${faults} faults: the sequences say little`);
  });
}

property.run();
