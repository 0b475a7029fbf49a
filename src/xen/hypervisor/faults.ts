// What the unit has recorded, told on the hypervisor's console as Xen does it, and what follows for a device that goes
// on: it loses Bus Master.
import { Pci, PciCommand } from '../../../assembly/spec/pci';
import { VtdContext, VtdPte } from '../../../assembly/spec/vtd';
import type { Engine } from '../../engine/index';
import { bdfOf, formatBdf } from '../../pci/bdf';
import type { Console } from './console';
import type { FaultCount } from './document';
import type { FaultRecord, IommuDriver } from './iommu';

/** Faults after which a device may not go on (PT_FAULT_THRESHOLD), and the pause after which the count halves. */
const THRESHOLD = 10;
const PAUSE_NS = 10e6;

const TEXTS: Readonly<Record<number, string>> = {
  0x05: 'PTE Write access is not set', 0x06: 'PTE Read access is not set',
};

interface Parts {
  readonly engine: Engine;
  readonly console: Console;
  /** Slot of a function in the engine, undefined when there is none. */
  readonly slotOf: (routing: number) => number | undefined;
}

export class Faults {
  readonly #parts: Parts;
  readonly #counts = new Map<number, FaultCount>();

  constructor(parts: Parts, saved: readonly FaultCount[] = []) {
    this.#parts = parts;
    for (const one of saved) this.#counts.set(one.routing, { ...one });
  }

  save(): FaultCount[] {
    return [...this.#counts.values()].map((one) => ({ ...one }));
  }

  /** A device that has a new owner begins anew. */
  forget(routing: number): void {
    this.#counts.delete(routing);
  }

  /** Takes what the unit has recorded; answers it. */
  collect(iommu: IommuDriver): FaultRecord[] {
    const faults = iommu.takeFaults();
    for (const fault of faults) {
      this.#print(iommu, fault);
      this.#count(fault.requester);
    }
    return faults;
  }

  #count(routing: number): void {
    const { engine, slotOf } = this.#parts;
    const fn = slotOf(routing);
    if (fn === undefined) return;
    const entry = this.#counts.get(routing) ?? { routing, count: 0, time: engine.now };
    if (engine.now - entry.time > PAUSE_NS) entry.count >>= 1;
    entry.time = engine.now;
    entry.count++;
    this.#counts.set(routing, entry);
    if (entry.count < THRESHOLD) return;
    const command = engine.exports.configRead(fn, Pci.COMMAND, 2);
    if ((command & PciCommand.MASTER) === 0) return;
    engine.exports.configWrite(fn, Pci.COMMAND, 2, command & ~PciCommand.MASTER);
    if (this.#parts.console.allows('bus master cleared', engine.now)) {
      this.#parts.console.print(`${formatBdf(bdfOf(routing))}: ${THRESHOLD} faults; its Bus Master bit has been cleared`);
    }
  }

  #print(iommu: IommuDriver, { requester, iova, index, access, reason, text }: FaultRecord): void {
    const { console, engine } = this.#parts;
    if (!console.allows('DMA faults', engine.now)) return;
    const name = formatBdf(bdfOf(requester));
    const why = `reason ${reason.toString(16).padStart(2, '0')} - ${TEXTS[reason] ?? text}`;
    if (access === 'interrupt' || iova === undefined) {
      console.print(`[VT-D]INTR-REMAP: Request device ${name} fault index ${(index ?? 0).toString(16)}`);
      console.print(`[VT-D]INTR-REMAP: ${why}`);
      return;
    }
    const gmfn = Math.floor(iova / 4096);
    console.print(`[VT-D]DMAR:[DMA ${access === 'read' ? 'Read' : 'Write'}] Request device fault addr ${iova.toString(16)}`);
    console.print(`[VT-D]DMAR: ${why}`);
    console.print(`print_vtd_entries: iommu #0 dev ${name} gmfn ${gmfn.toString(16)}`);
    console.print(`    ${this.#entries(iommu, requester, gmfn)}`);
  }

  /** The way from the root entry to where the page is not mapped. */
  #entries(iommu: IommuDriver, requester: number, gmfn: number): string {
    const { engine } = this.#parts;
    const [low, lowHi, high, highHi] = iommu.context(requester);
    const hex = (value: number): string => value.toString(16);
    const parts = [`root_entry = ${hex(iommu.rootEntry(requester >> 8))}`, `context = ${hex(highHi * 2 ** 32 + high)}_${hex(lowHi * 2 ** 32 + low)}`];
    let level = (high & VtdContext.AW_MASK) + 2;
    let table = lowHi * 2 ** 20 + (low >>> 12);
    const passes = (low >>> VtdContext.TT_SHIFT & VtdContext.TT_MASK) === VtdContext.TT_PASS_THROUGH;
    if ((low & VtdContext.P) === 0 || passes) return parts.join(' / ');
    for (; level >= 1 && engine.exports.framePtr(table) !== 0; level--) {
      const slot = Math.floor(gmfn / 512 ** (level - 1)) % 512;
      const bytes = engine.frame(table);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const [entry, entryHi] = [view.getUint32(slot * 8, true), view.getUint32(slot * 8 + 4, true)];
      const rights = `${(entry & VtdPte.R) !== 0 ? 'r' : '-'}${(entry & VtdPte.W) !== 0 ? 'w' : '-'}`;
      const leaf = (entry & 3) === 0 || level === 1 || (entry & VtdPte.SP) !== 0;
      parts.push(`l${level}${leaf ? `[${hex(slot).padStart(3, '0')}]` : ''} = ${hex(entryHi * 2 ** 32 + entry)} ${rights}`);
      if (leaf) break;
      table = (entryHi & 0xff) * 2 ** 20 + (entry >>> 12);
    }
    return parts.join(' / ');
  }
}
