// What a domain has the right to: I/O memory by machine frame, ports, host interrupts; and the mappings of I/O memory
// that are made by these rights. A right that goes takes no mapping with it: see unmapIoMemory.
import { Machine, MapEntry } from '../../../assembly/spec/machine';
import { BarKind, BarRecord, FrameKind, FunctionRecord, IomemBlock, State, StateSize } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';
import { PortcullisError } from '../../errors';
import { CONTROL_DOMAIN, type Domain, type DomainTable } from './domain';
import { HypercallError } from './errors';
import type { EventChannels } from './event-channels';
import { VTD_MFN } from './iommu';
import type { Messages } from './messages';
import { GSIS, type Pirqs } from './pirqs';
import { RangeSet } from './rangeset';

interface Parts {
  readonly engine: Engine;
  readonly table: DomainTable;
  readonly events: EventChannels;
  readonly pirqs: Pirqs;
  readonly messages: Messages;
}

/** Another function's BAR in a page that a right was given for. */
export interface Neighbour {
  routing: number;
  bar: number;
  /** Machine address of the first byte of it in this page, and bytes. */
  address: number;
  size: number;
}

/** Ports of Xen's own: PIC, ELCR, PIT, NMI status, A20, FPU, reset, config data (config address is emulated). */
const XEN_PORTS: ReadonlyArray<readonly [first: number, last: number]> = [
  [0x20, 0x21], [0x40, 0x43], [0x61, 0x61], [0x92, 0x92], [0xa0, 0xa1], [0xf0, 0xf0], [0x4d0, 0x4d1], [0xcf9, 0xcf9], [0xcfc, 0xcff],
];
/** Frames of Xen's own: I/O APIC, HPET, the unit's registers, local APIC. */
const XEN_FRAMES: ReadonlyArray<readonly [first: number, last: number]> = [
  [0xfec00, 0xfec00], [0xfed00, 0xfed00], [Machine.VTD_MFN, Machine.VTD_MFN], [0xfee00, 0xfee00],
];
const CONFIG_PORTS = [0xcf8, 0xcff] as const;

export class Rights {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  // ---- the sets

  iomem(domain: Domain, firstMfn: number, count: number, allow: boolean): void {
    if (!(count >= 1) || !(firstMfn >= 0) || firstMfn + count > Machine.MFN_LIMIT) {
      throw new HypercallError('EINVAL', `frames ${firstMfn} and ${count - 1} more are beyond ${Machine.MFN_LIMIT - 1}`, { firstMfn, count });
    }
    if (allow && domain.domid !== CONTROL_DOMAIN && firstMfn <= Machine.ECAM_LAST_MFN && firstMfn + count > Machine.ECAM_FIRST_MFN) {
      throw new HypercallError('EPERM',
        `frames 0x${firstMfn.toString(16)} and ${count - 1} more hold the enhanced config space, `
        + 'through which any device could be reached; only the first domain may have it', { domid: domain.domid, firstMfn, count });
    }
    const last = firstMfn + count - 1;
    const next = new RangeSet(domain.iomem.ranges);
    if (allow) next.add(firstMfn, last);
    else next.remove(firstMfn, last);
    if (next.ranges.length > IomemBlock.LIMIT) {
      throw new HypercallError('ENOMEM', `domain ${domain.domid} would have ${next.ranges.length} ranges of I/O memory; `
        + `${IomemBlock.LIMIT} are possible`, { domid: domain.domid });
    }
    this.#publish(domain, next);
    if (allow) domain.iomem.add(firstMfn, last);
    else domain.iomem.remove(firstMfn, last);
  }

  /**
   * For the data plane, which asks when I/O memory is granted on: not pages that are mapped for reading only, for a grant
   * could be mapped for writing. While the list changes nobody looks at it (XSA-491): throws ENGINE_BUSY when another
   * thread is in the engine.
   */
  #publish(domain: Domain, iomem: RangeSet): void {
    const { engine, messages } = this.#parts;
    const shown = new RangeSet(iomem.ranges);
    for (const mfn of messages.readOnlyFrames()) shown.remove(mfn, mfn);
    const block = this.iomemOff(domain);
    const ranges = shown.ranges.slice(0, IomemBlock.LIMIT);
    engine.hold(() => {
      ranges.forEach(([low, high], i) => {
        engine.setWord(block + IomemBlock.RANGES + i * 8, low);
        engine.setWord(block + IomemBlock.RANGES + i * 8 + 4, high);
      });
      engine.setWord(block + IomemBlock.COUNT, ranges.length);
    });
  }

  /** Which pages are mapped for reading only has changed. */
  refresh(): void {
    for (const domain of this.#parts.table.domains) this.#publish(domain, domain.iomem);
  }

  iomemOff(domain: Domain): number {
    return this.#parts.engine.word(State.POOL_IOMEM) + domain.slot * StateSize.IOMEM_BLOCK;
  }

  ioport(domain: Domain, first: number, count: number, allow: boolean): void {
    if (!(count >= 1) || !(first >= 0) || first + count > 0x10000) {
      throw new HypercallError('EINVAL', `ports ${first} to ${first + count - 1} are not within 0 to 65535`, { first, count });
    }
    if (this.#parts.engine.exports.portsSet(domain.slot, first, count, allow ? 1 : 0) !== 0) {
      throw new PortcullisError('ENGINE_BUSY', `another thread is in the engine; the ports of domain ${domain.domid} are as they were, `
        + 'try again when its call has returned', { domid: domain.domid, first, count });
    }
    if (allow) domain.ioport.add(first, first + count - 1);
    else domain.ioport.remove(first, first + count - 1);
  }

  irq(domain: Domain, irq: number, allow: boolean): void {
    if (allow) {
      domain.irq.add(irq, irq);
      return;
    }
    domain.irq.remove(irq, irq);
    // a right that is gone delivers nothing more (XSA-46)
    const pirq = this.#parts.pirqs.pirqOf(domain, irq);
    if (pirq !== undefined) this.#parts.events.releasePirq(domain, pirq);
  }

  /** All that Xen does not keep itself: what the first domain has from the start. */
  giveAllTo(domain: Domain): void {
    this.iomem(domain, 0, Machine.MFN_LIMIT, true);
    for (const [first, last] of XEN_FRAMES) this.iomem(domain, first, last - first + 1, false);
    this.ioport(domain, 0, 0x10000, true);
    for (const [first, last] of XEN_PORTS) {
      // config accesses of the first domain go on: the hypervisor does them for it
      if (first >= CONFIG_PORTS[0] && last <= CONFIG_PORTS[1]) domain.ioport.remove(first, last);
      else this.ioport(domain, first, last - first + 1, false);
    }
    domain.irq.add(1, GSIS - 1);
  }

  // ---- mappings of I/O memory

  /** Whether a page of I/O memory may be mapped for writing: not where a function has its MSI-X table. */
  #writable(mfn: number, wanted: boolean): boolean {
    return wanted && !this.#parts.messages.readOnlyFrames().has(mfn);
  }

  memoryMapping(domain: Domain, firstGfn: number, firstMfn: number, count: number, add: boolean): void {
    const { domid } = domain;
    if (firstMfn <= VTD_MFN && VTD_MFN < firstMfn + count) {
      throw new HypercallError('EPERM', 'the registers of the IOMMU are mapped for no domain', { domid, firstMfn, count });
    }
    if (!domain.iomem.has(firstMfn, firstMfn + count - 1)) {
      throw new HypercallError('EPERM', `domain ${domid} has no right to I/O memory frames ${firstMfn} to `
        + `${firstMfn + count - 1}; give it by iomem_permission first`, { domid, firstMfn, count });
    }
    for (let i = 0; i < count; i++) {
      if (!add) {
        this.unmap(domain, firstGfn + i);
        continue;
      }
      try {
        this.map(domain, firstGfn + i, MapEntry.MMIO, firstMfn + i, this.#writable(firstMfn + i, true));
      } catch (error) {
        // all of it or nothing (XSA-389)
        for (let done = 0; done < i; done++) this.unmap(domain, firstGfn + done);
        throw error;
      }
    }
  }

  /** See Hypervisor.updateVaMapping. `foreign`: whose rights count, when not the domain's own alone. */
  updateVaMapping(domain: Domain, page: number, mfn: number, writable: boolean, foreign: Domain = domain): void {
    const { engine } = this.#parts;
    const { domid } = domain;
    if (mfn < engine.frames) {
      const record = engine.word(State.POOL_FRAMES) + mfn * StateSize.FRAME_RECORD;
      const word = engine.word(record);
      const kind = word >>> 16;
      // its grant table is a domain's to map, the status of it for reading
      const own = kind === FrameKind.RAM || kind === FrameKind.XEN_SHARED || (kind === FrameKind.XEN_STATUS && !writable);
      if ((word & 0xffff) !== domid || !own) {
        throw new HypercallError('EPERM', `machine frame ${mfn} is not domain ${domid}'s: owner ${word & 0xffff}`, { domid, mfn });
      }
      this.map(domain, page, MapEntry.RAM, mfn, writable);
      return;
    }
    // all ones in the address bits of an entry (52 minus 12), or in those that this machine has
    if (mfn === Machine.MFN_LIMIT - 1 || mfn >= 2 ** 40 - 1) {
      throw new HypercallError('EINVAL', `0x${mfn.toString(16)} is no machine frame`, { domid, mfn });
    }
    for (const one of new Set([foreign, domain])) {
      if (mfn !== VTD_MFN && one.iomem.has(mfn, mfn)) continue;
      throw new HypercallError('EPERM', `domain ${one.domid} has no right to I/O memory frame 0x${mfn.toString(16)}`, { domid, mfn });
    }
    this.map(domain, page, MapEntry.MMIO, mfn, this.#writable(mfn, writable));
  }

  map(domain: Domain, page: number, kind: MapEntry, mfn: number, writable: boolean): void {
    const entry = ((kind << MapEntry.KIND_SHIFT) | ((writable ? 1 : 0) << MapEntry.WRITABLE_BIT) | mfn) >>> 0;
    if (this.#parts.engine.exports.guestMapSet(domain.slot, page, entry) !== 0) {
      throw new HypercallError('ENOMEM', `the map of domain ${domain.domid} is full`, { page });
    }
    if (kind === MapEntry.MMIO) domain.ioMapped.set(page, mfn);
    else domain.ioMapped.delete(page);
  }

  unmap(domain: Domain, page: number): void {
    this.#parts.engine.exports.guestMapSet(domain.slot, page, 0);
    domain.ioMapped.delete(page);
  }

  /** Answers how many pages it has unmapped, those of grants that were mapped on not counted. */
  unmapIoMemory(domain: Domain, firstMfn: number, count: number): number {
    const { exports } = this.#parts.engine;
    let unmapped = 0;
    for (const [page, mfn] of [...domain.ioMapped]) {
      if (mfn < firstMfn || mfn >= firstMfn + count) continue;
      // a grant may have been mapped over it since
      const entry = exports.guestMapGet(domain.slot, page) >>> 0;
      if (entry >>> MapEntry.KIND_SHIFT === MapEntry.MMIO && (entry & MapEntry.MFN_MASK) === mfn) {
        this.unmap(domain, page);
        unmapped++;
      } else domain.ioMapped.delete(page);
    }
    exports.grantsWithdraw(domain.slot, firstMfn, firstMfn + count - 1);
    return unmapped;
  }

  // ---- what else lies in a page

  /** BARs in a page that belong to functions which are not `own`. */
  neighbours(mfn: number, functions: ReadonlyMap<number, number>, own: ReadonlySet<number>): Neighbour[] {
    const { engine } = this.#parts;
    const found: Neighbour[] = [];
    for (const [routing, fn] of functions) {
      if (own.has(routing)) continue;
      for (let bar = 0; bar < Machine.BARS; bar++) {
        const record = State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.BARS + bar * BarRecord.SIZE_OF;
        const kind = engine.word(record + BarRecord.KIND);
        if ((kind !== BarKind.MEMORY_32 && kind !== BarKind.MEMORY_64) || engine.word(record + BarRecord.MAPPED) === 0) continue;
        const base = engine.word(record + BarRecord.MAPPED_HI) * 2 ** 32 + engine.word(record + BarRecord.MAPPED_LO);
        const [first, end] = [Math.max(base, mfn * 4096), Math.min(base + engine.word(record + BarRecord.SIZE), (mfn + 1) * 4096)];
        if (first < end) found.push({ routing, bar, address: first, size: end - first });
      }
    }
    return found;
  }
}
