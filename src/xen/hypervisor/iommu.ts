import { Vtd, VtdContext, VtdFrcd, VtdGcmd, VtdInv, IommuState } from '../../../assembly/spec/vtd';
import { State } from '../../../assembly/spec/state';
import { Machine } from '../../../assembly/spec/machine';
import type { Engine } from '../../engine/index';
import { PortcullisError } from '../../errors';
import type { IommuDocument } from './document';
import { HypercallError } from './errors';

/** A fault as the unit recorded it. */
export interface FaultRecord {
  requester: number;
  /** Page address of the DMA, or undefined for an interrupt. */
  iova?: number;
  /** Index in the interrupt-remap table, for an interrupt. */
  index?: number;
  access: 'read' | 'write' | 'interrupt';
  /** Number of the reason, and what it says. */
  reason: number;
  text: string;
}

const REASONS: Record<number, string> = {
  0x01: 'root entry not present', 0x02: 'context entry not present', 0x03: 'context entry invalid',
  0x04: 'address beyond the tables\' width', 0x05: 'write without permission', 0x06: 'read without permission',
  0x07: 'table inaccessible', 0x08: 'root table inaccessible', 0x09: 'context table inaccessible',
  0x0a: 'reserved bits in root entry', 0x0b: 'reserved bits in context entry', 0x0c: 'reserved bits in table entry',
  0x0d: 'request type blocked', 0x20: 'reserved field in interrupt request', 0x21: 'interrupt index beyond the table',
  0x22: 'interrupt entry not present', 0x23: 'interrupt table inaccessible', 0x24: 'reserved field in interrupt entry',
  0x25: 'compatibility-format interrupt blocked', 0x26: 'interrupt source not the one named',
};

const VTD_FUNCTION = 0;
const BAR = 0;
/** Entries of the interrupt-remap table: one page. */
const IRT_ENTRIES = 256;

/**
 * The hypervisor's side of the remapping unit: its tables in frames of its own, its registers by MMIO, its caches by
 * the invalidation queue. Context changes go: write entry, context cache, IOTLB, each waited for.
 */
export class IommuDriver {
  readonly #engine: Engine;
  readonly #root: number;
  readonly #contexts = new Map<number, number>();
  readonly #interrupts: number;
  /** Requester that each entry of the remap table is for. */
  readonly #interruptOwners = new Map<number, number>();

  /**
   * Brings the unit up: queue, interrupt remapping, root table, fault event, translation. With `saved` it is up.
   */
  constructor(engine: Engine, saved?: IommuDocument) {
    this.#engine = engine;
    if (saved !== undefined) {
      this.#root = saved.root;
      this.#interrupts = saved.interrupts;
      for (const [bus, mfn] of saved.contexts) this.#contexts.set(bus, mfn);
      for (const [index, requester] of saved.interruptOwners) this.#interruptOwners.set(index, requester);
      return;
    }
    const queue = this.#take('the invalidation queue');
    const status = this.#take('the wait status');
    engine.setWord(State.IOMMU + IommuState.STATUS_MFN, status);
    this.#write(Vtd.IQA, queue * 4096);
    this.#write(Vtd.IQT, 0);
    this.#command(VtdGcmd.QIE);

    this.#interrupts = this.#take('the interrupt-remap table');
    this.#write(Vtd.IRTA, this.#interrupts * 4096 + Math.log2(IRT_ENTRIES) - 1);
    this.#command(VtdGcmd.SIRTP);
    this.#invalidate(VtdInv.INTERRUPT, 0);
    this.#command(VtdGcmd.IRE);

    this.#root = this.#take('the root table');
    this.#write(Vtd.RTADDR, this.#root * 4096);
    this.#command(VtdGcmd.SRTP);
    this.#invalidate(VtdInv.CONTEXT | VtdInv.G_GLOBAL << VtdInv.G_SHIFT, 0);
    this.#invalidate(VtdInv.IOTLB | VtdInv.G_GLOBAL << VtdInv.G_SHIFT | VtdInv.DR | VtdInv.DW, 0);
    this.#command(2 ** VtdGcmd.TE_BIT);
    if (this.#read(Vtd.GSTS) >>> 31 === 0) {
      throw new PortcullisError('IOMMU_SETUP', 'the remapping unit did not enable translation');
    }
  }

  /** Translation and interrupt remapping off: every requester passes, as on a machine without the unit. */
  disable(): void {
    this.#off(2 ** VtdGcmd.TE_BIT + VtdGcmd.IRE);
  }

  /** Interrupt messages go to their vector as they come. */
  disableRemapping(): void {
    this.#off(VtdGcmd.IRE);
  }

  get remapping(): boolean {
    return (this.#read(Vtd.GSTS) & VtdGcmd.IRE) !== 0;
  }

  #off(bits: number): void {
    this.#write(Vtd.GCMD, (this.#read(Vtd.GSTS) & ~bits & ~(VtdGcmd.SRTP | VtdGcmd.SIRTP | VtdGcmd.WBF)) >>> 0);
  }

  save(): IommuDocument {
    return {
      root: this.#root, interrupts: this.#interrupts,
      contexts: [...this.#contexts], interruptOwners: [...this.#interruptOwners],
    };
  }

  #take(what: string): number {
    const mfn = this.#engine.exports.tableFrameTake() >>> 0;
    if (mfn === 0) {
      throw new PortcullisError('NO_TABLE_FRAME', `no frame is left for ${what}; create the machine with more iommuFrames`);
    }
    this.#engine.frame(mfn).fill(0);
    return mfn;
  }

  #read(off: number): number {
    return this.#engine.exports.registerRead(VTD_FUNCTION, BAR, off, 4) >>> 0;
  }

  /** Writes a register of 32 bits, or the low half of 64 with a high half of 0: tables lie below 4 GiB. */
  #write(off: number, value: number): void {
    this.#engine.exports.registerWrite(VTD_FUNCTION, BAR, off, 4, value, 0);
  }

  /** One bit of GCMD beside those that are on; the status must follow. */
  #command(bit: number): void {
    const oneShot = VtdGcmd.SRTP | VtdGcmd.SIRTP | VtdGcmd.WBF;
    this.#write(Vtd.GCMD, ((this.#read(Vtd.GSTS) & ~oneShot) | bit) >>> 0);
  }

  #invalidate(lo: number, loHigh: number): void {
    if (this.#engine.exports.invalidate(lo, loHigh, 0, 0) !== 0) {
      throw new PortcullisError('IOMMU_QUEUE', 'an invalidation did not complete', { lo, loHigh });
    }
  }

  /** A frame for tables that the hypervisor fills itself, zeroed. */
  takeTable(what: string): number {
    return this.#take(what);
  }

  #entry(table: number, index: number): DataView {
    const bytes = this.#engine.frame(table);
    return new DataView(bytes.buffer, bytes.byteOffset + index * 16, 16);
  }

  #contextTable(bus: number): number {
    const known = this.#contexts.get(bus);
    if (known !== undefined) return known;
    const table = this.#take(`the context table of bus ${bus}`);
    this.#entry(this.#root, bus).setUint32(0, table * 4096 + 1, true);
    this.#contexts.set(bus, table);
    return table;
  }

  /** Takes the frame for the contexts of a bus, so that an assignment needs none. */
  prepareBus(bus: number): void {
    this.#contextTable(bus);
  }

  #flushContext(routing: number, did: number): void {
    this.#invalidate((VtdInv.CONTEXT | VtdInv.G_SELECTIVE << VtdInv.G_SHIFT | did << 16) >>> 0, routing);
    this.flushDomain(did);
  }

  flushDomain(did: number): void {
    this.#invalidate((VtdInv.IOTLB | VtdInv.G_DOMAIN << VtdInv.G_SHIFT | VtdInv.DR | VtdInv.DW | did << 16) >>> 0, 0);
  }

  /** Translates a requester through tables of four levels rooted at machine frame `root`. */
  setTables(routing: number, did: number, root: number): void {
    this.#setContext(routing, did, root * 4096 + VtdContext.P);
  }

  /** Lets a requester pass untranslated (translation type pass-through). */
  setPassThrough(routing: number, did: number): void {
    this.#setContext(routing, did, VtdContext.P | VtdContext.TT_PASS_THROUGH << VtdContext.TT_SHIFT);
  }

  /** Blocks a requester: its context entry is not present. */
  block(routing: number): void {
    this.#setContext(routing, 0, 0);
  }

  #setContext(routing: number, did: number, low: number): void {
    const entry = this.#entry(this.#contextTable(routing >> 8), routing & 0xff);
    const old = (entry.getUint32(8, true) >>> 8) & 0xffff;
    // P last on, first off: the unit must never see half an entry
    entry.setUint32(0, 0, true);
    entry.setUint32(8, low === 0 ? 0 : did << VtdContext.DID_SHIFT | VtdContext.AW_48, true);
    entry.setUint32(0, low, true);
    this.#flushContext(routing, old);
    if (did !== old) this.#flushContext(routing, did);
  }

  /** The low and high dwords of a requester's context entry, for the digest and for tests. */
  context(routing: number): [number, number, number, number] {
    const table = this.#contexts.get(routing >> 8);
    if (table === undefined) return [0, 0, 0, 0];
    const entry = this.#entry(table, routing & 0xff);
    return [0, 4, 8, 12].map((off) => entry.getUint32(off, true)) as [number, number, number, number];
  }

  /** Low qword of a bus's root entry. */
  rootEntry(bus: number): number {
    const entry = this.#entry(this.#root, bus);
    return entry.getUint32(4, true) * 2 ** 32 + entry.getUint32(0, true);
  }

  /**
   * A remap-table entry that gives `requester` one vector; answers the MSI address and data to program. Only this
   * requester may use it (SVT = 1). With remapping off the message says its vector itself. Throws ENOSPC.
   */
  remapInterrupt(requester: number, vector: number, destination: number): { address: number; data: number; index?: number } {
    if (!this.remapping) return { address: (0xfee00000 | destination << 12) >>> 0, data: vector };
    let index = 0;
    while (this.#interruptOwners.has(index)) index++;
    if (index >= IRT_ENTRIES) throw new HypercallError('ENOSPC', 'the interrupt-remap table is full (256 entries)');
    this.#interruptOwners.set(index, requester);
    const entry = this.#entry(this.#interrupts, index);
    entry.setUint32(12, 0, true);
    entry.setUint32(8, requester | 1 << 18, true);
    entry.setUint32(4, destination << 8, true);
    entry.setUint32(0, vector << 16 | 1, true);
    this.#invalidate(VtdInv.INTERRUPT | 1 << 4, index);
    // handle 14:0 in bits 19:5, bit 15 in bit 2; bit 4: remappable; no sub-handle, so the data is 0
    return { address: (0xfee00000 | (index & 0x7fff) << 5 | (index >> 15) << 2 | 0x10) >>> 0, data: 0, index };
  }

  /** Takes one remap-table entry back. */
  releaseInterrupt(index: number): void {
    if (!this.#interruptOwners.delete(index)) return;
    this.#entry(this.#interrupts, index).setUint32(0, 0, true);
    this.#invalidate(VtdInv.INTERRUPT | 1 << 4, index);
  }

  /** Takes every remap-table entry of a requester back: it can send no interrupt any more. */
  releaseInterrupts(requester: number): void {
    for (const [index, owner] of [...this.#interruptOwners]) {
      if (owner === requester) this.releaseInterrupt(index);
    }
  }

  /** Takes the fault records, oldest first, and clears them as software does: F bits, then the status. */
  takeFaults(): FaultRecord[] {
    const faults: FaultRecord[] = [];
    const first = (this.#read(Vtd.FSTS) >>> 8) & 0xff;
    for (let i = 0; i < Vtd.FRCD_COUNT; i++) {
      const off = Vtd.FRCD + ((first + i) % Vtd.FRCD_COUNT) * 16;
      const [lo, hi, requester, flags] = [0, 4, 8, 12].map((part) => this.#read(off + part)) as [number, number, number, number];
      if (flags >>> VtdFrcd.F_BIT === 0) break;
      const reason = flags & VtdFrcd.REASON_MASK;
      const text = REASONS[reason] ?? 'unknown reason';
      if (reason >= 0x20) faults.push({ requester, index: hi >>> 16, access: 'interrupt', reason, text });
      else {
        const access = (flags & VtdFrcd.T) !== 0 ? 'read' : 'write';
        faults.push({ requester, iova: hi * 2 ** 32 + lo, access, reason, text });
      }
      this.#engine.exports.registerWrite(VTD_FUNCTION, BAR, off + 12, 4, 0x80000000, 0);
    }
    this.#write(Vtd.FSTS, 0x71);
    return faults;
  }

  /** Frames that hold tables of the unit, for tests that try to reach them. */
  get tables(): { root: number; interrupts: number } {
    return { root: this.#root, interrupts: this.#interrupts };
  }
}

/** Machine frame of the unit's registers: no domain may ever map it. */
export const VTD_MFN: number = Machine.VTD_MFN;
