// An engine with a remapping unit and one edu function on it, no hypervisor and no domain: what the hypervisor would
// do is done by hand. RAM is frames 0 to 4095; frames from 256 on are used for tables by the tests, those from 16 to
// 255 for data. The function's requester id is 03:02.0.
import { State } from '../../assembly/spec/state';
import { attach, type AttachedFunction } from '../../src/devices/attach';
import type { DeviceDefinition } from '../../src/devices/definition';
import { edu } from '../../src/devices/edu/index';
import { vtd } from '../../src/devices/vtd/index';
import { type Counters, Engine, type EngineOptions, countersBetween } from '../../src/engine/index';

export const OK = 0;
export const REFUSED = 1;
export const NOTHING = 2;
export const FAULT = 3;
export const PENDING = 4;
export const WIDTH = 5;
export const FULL = 6;
export const RANGE = 7;
export const IN_USE = 9;
export const ABSENT = 10;

export const SID = 0x0310;
export const FRAMES = 4096;
/** Where the tests put their tables. */
export const ROOT = 256;
export const CONTEXT = 257;
export const QUEUE = 258;
export const STATUS_FRAME = 300;
export const REMAP = 301;
const FIRST_FREE_TABLE = 320;

// registers of the unit, by their offsets in the architecture specification
export const GCMD = 0x18;
export const GSTS = 0x1c;
export const RTADDR = 0x20;
export const CCMD = 0x28;
export const FSTS = 0x34;
export const FECTL = 0x38;
export const FEDATA = 0x3c;
export const FEADDR = 0x40;
export const IQH = 0x80;
export const IQT = 0x88;
export const IQA = 0x90;
export const ICS = 0x9c;
export const IECTL = 0xa0;
export const IEDATA = 0xa4;
export const IRTA = 0xb8;
export const IVA = 0xf0;
export const IOTLB = 0xf8;
export const FRCD = 0x100;

export const TE = 0x80000000;
export const SRTP = 0x40000000;
export const QIE = 0x04000000;
export const IRE = 0x02000000;
export const SIRTP = 0x01000000;
export const CFI = 0x00800000;

export const R = 1n;
export const W = 2n;
export const SP = 0x80n;

export interface FaultInRegisters {
  index: number;
  page: bigint;
  sid: number;
  reason: number;
  read: boolean;
}

export class BareMachine {
  readonly engine: Engine;
  readonly fn: number;
  readonly scratch: number;
  #nextTable = FIRST_FREE_TABLE;
  #tail = 0;
  #mark: Counters;

  private constructor(engine: Engine) {
    this.engine = engine;
    attach(engine, vtd, 0, { slot: 0 });
    engine.exports.barPlace(0, 0, 1, 0xfed90000, 0);
    engine.setWord(State.IOMMU, 1);
    this.fn = this.add(edu, SID).fn;
    this.scratch = engine.heap.take(0x4000, 'the test');
    this.#mark = engine.counters();
  }

  static async create(options: Partial<EngineOptions> = {}): Promise<BareMachine> {
    return new BareMachine(await Engine.create({ frames: FRAMES, tableFrames: 64, heapBytes: 1 << 20, ...options }));
  }

  /** Attaches one more function, with decode and Bus Master on. */
  add(definition: DeviceDefinition, routing: number): AttachedFunction {
    const attached = attach(this.engine, definition, routing);
    this.engine.exports.configWrite(attached.fn, 0x04, 2, 0x0007);
    return attached;
  }

  // ---- memory

  setQword(mfn: number, off: number, value: bigint): void {
    const bytes = this.engine.frame(mfn);
    new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(off, value, true);
  }

  qword(mfn: number, off: number): bigint {
    const bytes = this.engine.frame(mfn);
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(off, true);
  }

  fill(mfn: number, value: number): void {
    this.engine.frame(mfn).fill(value);
  }

  // ---- registers of the unit

  read(off: number): number {
    return this.engine.exports.registerRead(0, 0, off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.engine.exports.registerWrite(0, 0, off, 4, value, 0);
  }

  write64(off: number, value: bigint): void {
    this.engine.exports.registerWrite(0, 0, off, 8, Number(value & 0xffffffffn), Number(value >> 32n));
  }

  /** Sets or clears bits of GCMD, the others as they are. */
  command(set: number, clear = 0): void {
    const levels = (this.read(GSTS) & ~(SRTP | SIRTP) & ~clear) >>> 0;
    this.write(GCMD, (levels | set) >>> 0);
  }

  // ---- tables

  /** Latches an empty root table with one context table for bus 3, and turns translation on. */
  start(): void {
    this.setQword(ROOT, 3 * 16, BigInt(CONTEXT) << 12n | 1n);
    this.write64(RTADDR, BigInt(ROOT) << 12n);
    this.command(SRTP);
    this.command(TE);
  }

  startQueue(size = 0, base = QUEUE): void {
    this.write64(IQA, BigInt(base) << 12n | BigInt(size));
    this.write(IQT, 0);
    this.#tail = 0;
    this.command(QIE);
  }

  /** The context entry of a requester on bus 3. */
  context(lo: bigint, hi: bigint, sid = SID): void {
    this.setQword(CONTEXT, (sid & 0xff) * 16 + 8, hi);
    this.setQword(CONTEXT, (sid & 0xff) * 16, lo);
  }

  /** A context entry of translation type 0 whose tables begin at `root`. */
  tables(root: number, did = 7, levels: 3 | 4 | 5 = 4, sid = SID): void {
    this.context(BigInt(root) << 12n | 1n, BigInt(did << 8 | (levels - 2)), sid);
  }

  newTable(): number {
    const mfn = this.#nextTable++;
    this.fill(mfn, 0);
    return mfn;
  }

  /**
   * Writes the entry for `iova` at `level`; makes the tables above it, with `upper` as their rights. No cache is
   * invalidated.
   */
  map(root: number, iova: bigint, entry: bigint, level = 1, levels = 4, upper = R | W): void {
    let table = root;
    for (let at = levels; at > level; at--) {
      const off = Number(iova >> BigInt(12 + 9 * (at - 1)) & 511n) * 8;
      let pte = this.qword(table, off);
      if ((pte & 3n) === 0n) {
        pte = BigInt(this.newTable()) << 12n | upper;
        this.setQword(table, off, pte);
      }
      table = Number(pte >> 12n & 0xfffffffn);
    }
    this.setQword(table, Number(iova >> BigInt(12 + 9 * (level - 1)) & 511n) * 8, entry);
  }

  /** After the state has been put back to where it was before the first table and descriptor were made. */
  rewind(): void {
    this.#nextTable = FIRST_FREE_TABLE;
    this.#tail = 0;
    this.#mark = this.engine.counters();
  }

  // ---- DMA of the function

  dmaRead(iova: bigint, length: number, fn = this.fn): { status: number; bytes: number[] } {
    this.engine.stateBytes(this.scratch, length).fill(0x5a);
    const status = this.engine.exports.functionDmaRead(fn, Number(iova & 0xffffffffn), Number(iova >> 32n), length, this.scratch);
    return { status, bytes: [...this.engine.stateBytes(this.scratch, length)] };
  }

  dmaWrite(iova: bigint, bytes: readonly number[], fn = this.fn): number {
    this.engine.stateBytes(this.scratch, bytes.length).set(bytes);
    return this.engine.exports.functionDmaWrite(fn, Number(iova & 0xffffffffn), Number(iova >> 32n), bytes.length, this.scratch);
  }

  // ---- invalidation queue

  /** Writes descriptors behind the last ones, without telling the unit. */
  enqueue(...descriptors: ReadonlyArray<readonly [bigint, bigint]>): void {
    const pages = 1 << (this.read(IQA) & 7);
    for (const [lo, hi] of descriptors) {
      this.setQword(QUEUE + (this.#tail >> 8), (this.#tail & 255) * 16, lo);
      this.setQword(QUEUE + (this.#tail >> 8), (this.#tail & 255) * 16 + 8, hi);
      this.#tail = (this.#tail + 1) % (256 * pages);
    }
  }

  ring(): void {
    this.write(IQT, this.#tail * 16);
  }

  submit(...descriptors: ReadonlyArray<readonly [bigint, bigint]>): void {
    this.enqueue(...descriptors);
    this.ring();
  }

  // ---- faults

  fault(index: number): FaultInRegisters | undefined {
    const [lo, hi, sid, flags] = [0, 4, 8, 12].map((part) => this.read(FRCD + 16 * index + part)) as [number, number, number, number];
    if (flags >>> 31 === 0) return undefined;
    return {
      index, page: BigInt(hi) << 32n | BigInt(lo), sid: sid & 0xffff, reason: flags & 0xff, read: (flags & 0x40000000) !== 0,
    };
  }

  /** The only fault that is recorded, which is cleared; throws when there is none or another one. */
  takeFault(): FaultInRegisters {
    const faults = Array.from({ length: 8 }, (_, index) => this.fault(index)).filter((one) => one !== undefined);
    if (faults.length !== 1) throw new Error(`${faults.length} faults are recorded, not one`);
    const fault = faults[0] as FaultInRegisters;
    this.write(FRCD + 16 * fault.index + 12, 0x80000000);
    return fault;
  }

  /** What was counted since the last call. */
  counted(): Counters {
    const now = this.engine.counters();
    const difference = countersBetween(this.#mark, now);
    this.#mark = now;
    return difference;
  }

  service(now = 0, budget = 0x7fffffff): number {
    return this.engine.exports.service(now, budget);
  }
}

/** Descriptors of the invalidation queue, from the fields of the specification. */
export const contextGlobal = (): [bigint, bigint] => [0x11n, 0n];
export const contextDomain = (did: number): [bigint, bigint] => [0x21n | BigInt(did) << 16n, 0n];
export const contextDevice = (did: number, sid: number, mask = 0): [bigint, bigint] =>
  [0x31n | BigInt(did) << 16n | BigInt(sid) << 32n | BigInt(mask) << 48n, 0n];
export const iotlbGlobal = (): [bigint, bigint] => [0xd2n, 0n];
export const iotlbDomain = (did: number): [bigint, bigint] => [0xe2n | BigInt(did) << 16n, 0n];
export const iotlbPages = (did: number, iova: bigint, order = 0, leafOnly = false): [bigint, bigint] =>
  [0xf2n | BigInt(did) << 16n, iova & ~0xfffn | (leafOnly ? 0x40n : 0n) | BigInt(order)];
export const wait = (value: number, address: bigint): [bigint, bigint] => [BigInt(value) << 32n | 0x25n, address];
export const waitInterrupt = (): [bigint, bigint] => [0x15n, 0n];

export function bytesOf(length: number, first = 1): number[] {
  return Array.from({ length }, (_, i) => (first + i) & 0xff);
}

export function ones(length: number): number[] {
  return new Array<number>(length).fill(0xff);
}
