// Who has each function, and how its DMA is translated. A function has one owner at any time: the first domain, the
// quarantine (DOMID_IO), or a guest; it changes in one step, after everything that could fail.
import { DomId } from '../../../assembly/spec/machine';
import { Pci, PciCommand } from '../../../assembly/spec/pci';
import { DomainRecord, FunctionFlag, FunctionRecord, IoDomainRecord, State, StateSize } from '../../../assembly/spec/state';
import { IommuState } from '../../../assembly/spec/vtd';
import type { Engine } from '../../engine/index';
import { bdfOf, formatBdf } from '../../pci/bdf';
import type { XenOptions } from './command-line';
import type { DevicesDocument } from './document';
import { CONTROL_DOMAIN, type Domain, type DomainTable, NO_FRAME, type Translation } from './domain';
import { HypercallError } from './errors';
import type { EventChannels } from './event-channels';
import type { GrantTables } from './grant-table';
import type { IommuDriver } from './iommu';
import type { Messages } from './messages';
import type { Pirqs } from './pirqs';
import { ReservedRegions } from './reserved';
import { SCRATCH_FRAMES, allFrameTables, identityTableFrames, identityTables, scratchTables } from './xen-tables';

interface Parts {
  readonly engine: Engine;
  readonly table: DomainTable;
  readonly iommu: () => IommuDriver | undefined;
  /** Told of each function that has a new owner. */
  readonly moved: (routing: number) => void;
  readonly pirqs: Pirqs;
  readonly events: EventChannels;
  readonly grants: GrantTables;
  readonly messages: Messages;
  readonly options: () => XenOptions;
}

/** Whom a function goes to. */
type Target = { domain: Domain; translation: Translation } | 'quarantine' | 'nobody';

export class Devices {
  readonly #parts: Parts;
  readonly #functions: Map<number, number>;
  readonly #inQuarantine: Set<number>;
  readonly #marked: Set<number>;
  readonly #scratch = new Map<number, { did: number; frames: number[] }>();
  #dom0Devices: boolean;
  #reserved: ReservedRegions;

  constructor(parts: Parts, saved?: DevicesDocument) {
    this.#parts = parts;
    this.#functions = new Map(saved?.functions);
    this.#inQuarantine = new Set(saved?.inQuarantine);
    this.#marked = new Set(saved?.marked);
    for (const { routing, did, frames } of saved?.scratch ?? []) this.#scratch.set(routing, { did, frames: [...frames] });
    this.#dom0Devices = saved?.dom0Devices ?? false;
    this.#reserved = new ReservedRegions(saved?.reserved ?? []);
  }

  save(): DevicesDocument {
    return {
      functions: [...this.#functions], inQuarantine: [...this.#inQuarantine], marked: [...this.#marked],
      scratch: [...this.#scratch].map(([routing, { did, frames }]) => ({ routing, did, frames: [...frames] })),
      dom0Devices: this.#dom0Devices, reserved: this.#reserved.save(),
    };
  }

  // ---- functions and owners

  /** Routing ids of the functions that there are. */
  get all(): number[] {
    return [...this.#functions.keys()];
  }

  /** Slot in the engine of each. */
  get functions(): ReadonlyMap<number, number> {
    return this.#functions;
  }

  slotOf(routing: number): number | undefined {
    return this.#functions.get(routing);
  }

  /** Slot of a function in the engine. Throws ENODEV. */
  functionOf(routing: number): number {
    const fn = this.#functions.get(routing);
    if (fn === undefined) throw new HypercallError('ENODEV', `there is no device ${formatBdf(bdfOf(routing))}`, { routing });
    return fn;
  }

  #record(routing: number): number {
    return State.FUNCTION_TABLE + this.functionOf(routing) * StateSize.FUNCTION_RECORD;
  }

  isBridge(routing: number): boolean {
    return (this.#parts.engine.word(this.#record(routing) + FunctionRecord.FLAGS) & FunctionFlag.BRIDGE) !== 0;
  }

  add(routing: number, fn: number): void {
    this.#functions.set(routing, fn);
    // a bus's context table comes with its first device, and stays
    this.#parts.iommu()?.prepareBus(routing >> 8);
    if (this.#dom0Devices) this.#move(routing, this.#home());
  }

  remove(routing: number): void {
    if (this.#functions.has(routing)) this.#move(routing, 'nobody');
    this.#functions.delete(routing);
    this.#marked.delete(routing);
    this.#parts.messages.forget(routing);
  }

  /** The domain that it is assigned to. */
  assignedTo(routing: number): Domain | undefined {
    return this.#parts.table.domains.find((domain) => domain.assigned.has(routing));
  }

  /** Domain id of the owner: DomId.IO for the quarantine. What is assigned to nobody is the first domain's. */
  ownerOf(routing: number): number {
    this.functionOf(routing);
    if (this.#inQuarantine.has(routing)) return DomId.IO;
    return this.assignedTo(routing)?.domid ?? CONTROL_DOMAIN;
  }

  isMarked(routing: number): boolean {
    return this.#marked.has(routing);
  }

  // ---- what Machine and lab do: the way of the DMA is theirs to choose

  /** Throws as an assignment would, and changes nothing. */
  test(routing: number): void {
    this.functionOf(routing);
    const owner = this.#inQuarantine.has(routing) ? undefined : this.assignedTo(routing);
    if (owner !== undefined && !(this.#dom0Devices && owner.domid === CONTROL_DOMAIN)) {
      throw new HypercallError('EBUSY', `${formatBdf(bdfOf(routing))} is assigned to domain ${owner.domid} already`, { routing });
    }
  }

  assign(domain: Domain, routing: number, translation: Translation): void {
    this.test(routing);
    const iommu = this.#parts.iommu();
    if ((translation === 'none') !== (iommu === undefined)) {
      throw new HypercallError('EINVAL', iommu === undefined
        ? `translation "${translation}" needs an IOMMU, and this machine has none`
        : 'a machine with an IOMMU has no way round it; use "pass-through"', { translation });
    }
    this.#move(routing, { domain, translation });
  }

  /** From a guest to the quarantine or home; to nobody as long as the first domain's devices are not set up. */
  deassign(domain: Domain, routing: number): void {
    if (!domain.assigned.has(routing)) {
      throw new HypercallError('ENODEV', `${formatBdf(bdfOf(routing))} is not assigned to domain ${domain.domid}`,
        { domid: domain.domid, routing });
    }
    const { quarantine } = this.#parts.options();
    const keep = this.#marked.has(routing) || (this.#dom0Devices && quarantine !== 'off');
    this.#move(routing, domain.domid !== CONTROL_DOMAIN && keep ? 'quarantine' : this.#home());
  }

  // ---- the quarantine

  /** Takes it there, from wherever it is, and marks it to come back there. */
  quarantine(routing: number): void {
    if (!this.#inQuarantine.has(routing)) this.#move(routing, 'quarantine');
    this.#marked.add(routing);
  }

  /** Out of the quarantine, to the first domain. */
  release(routing: number): void {
    if (!this.#inQuarantine.has(routing)) {
      throw new HypercallError('ENODEV', `${formatBdf(bdfOf(routing))} is not in quarantine`, { routing });
    }
    this.#move(routing, this.#home());
    this.#marked.delete(routing);
  }

  /** Where a function goes that no guest has. */
  #home(): Target {
    const iommu = this.#parts.iommu();
    if (!this.#dom0Devices) return 'nobody';
    const mode = this.#parts.options().dom0Mode;
    const translation: Translation = iommu === undefined ? 'none'
      : mode === 'passthrough' ? 'pass-through' : mode === 'strict' ? 'own-frames' : 'all-frames';
    return { domain: this.#parts.table.domain(CONTROL_DOMAIN), translation };
  }

  /** The first domain's devices get their context entries, by dom0-iommu=, and what firmware reserves for any. */
  bootDom0(reserved: ReservedRegions): void {
    if (this.#dom0Devices) return;
    this.#dom0Devices = true;
    this.#reserved = reserved;
    for (const routing of this.all) if (this.assignedTo(routing) === undefined) this.#move(routing, this.#home());
  }

  get dom0Devices(): boolean {
    return this.#dom0Devices;
  }

  /** Memory that firmware has reserved for devices. */
  get reserved(): ReservedRegions {
    return this.#reserved;
  }

  // ---- the step

  #move(routing: number, target: Target): void {
    const { engine, messages } = this.#parts;
    const iommu = this.#parts.iommu();
    const record = this.#record(routing);
    const from = this.assignedTo(routing);
    // what can fail
    const context = iommu === undefined ? undefined : this.#context(routing, iommu, target);
    // what cannot
    if (from !== undefined) {
      from.assigned.delete(routing);
      // a device that changes hands must not go on with what the domain left it to do
      if (from.domid !== CONTROL_DOMAIN || !this.#dom0Devices) {
        const fn = this.functionOf(routing);
        engine.exports.configWrite(fn, Pci.COMMAND, 2, engine.exports.configRead(fn, Pci.COMMAND, 2) & ~PciCommand.MASTER);
      }
    }
    this.#inQuarantine.delete(routing);
    if (context === undefined) iommu?.block(routing);
    else context();
    if (from !== undefined) this.#unmapReserved(from, routing);
    iommu?.releaseInterrupts(routing);
    for (const { routing: of, domid, pirq, vector } of this.#parts.pirqs.vectors) {
      if (of !== routing) continue;
      this.#parts.events.releasePirq(this.#parts.table.domain(domid), pirq);
      messages.unmap(vector);
    }
    let assigned = 0;
    if (target === 'quarantine') this.#inQuarantine.add(routing);
    else if (target !== 'nobody') {
      target.domain.assigned.add(routing);
      assigned = target.domain.slot + 1;
    }
    engine.setWord(record + FunctionRecord.ASSIGNED, assigned);
    this.#parts.moved(routing);
    const stays = from === undefined || from.assigned.size > 0 || (from.domid === CONTROL_DOMAIN && this.#dom0Devices);
    if (!stays) this.dropIoDomain(from);
  }

  /** Gets all that a context entry needs; the result writes it. */
  #context(routing: number, iommu: IommuDriver, target: Target): (() => void) | undefined {
    // a bridge does no DMA of its own
    if (target === 'nobody' || (target !== 'quarantine' && target.domain.domid === CONTROL_DOMAIN && this.isBridge(routing))) return undefined;
    const reserved = this.#reserved.framesOf(routing);
    if (target === 'quarantine') {
      if (reserved.length === 0 && this.#parts.options().quarantine !== 'scratch-page') return undefined;
      const { did, frames } = this.#scratchOf(routing, iommu, reserved);
      return () => {
        if (reserved.length === 0) this.#parts.engine.frame(frames.at(-1) as number).fill(0);
        iommu.setTables(routing, did, frames[0] as number);
      };
    }
    const { domain, translation } = target;
    // what firmware needs there, the guest could take out of tables that are its to fill (XSA-378)
    if (translation === 'guest-mapped' && reserved.length > 0) {
      throw new HypercallError('EPERM', `firmware has reserved memory for ${formatBdf(bdfOf(routing))}; it cannot have tables that `
        + 'a guest fills', { routing });
    }
    const io = domain.io ?? this.#makeIoDomain(domain, translation);
    if (io.translation !== translation) {
      throw new HypercallError('EINVAL', `domain ${domain.domid}'s devices are translated as "${io.translation}"; `
        + `"${translation}" cannot stand beside it`, { translation });
    }
    if (translation === 'pass-through') return () => { iommu.setPassThrough(routing, io.did); };
    if (translation === 'own-frames') this.#mapReserved(domain, io.slot, routing);
    const { engine } = this.#parts;
    const root = io.root ?? engine.word(State.IO_DOMAIN_TABLE + io.slot * StateSize.IO_DOMAIN_RECORD + IoDomainRecord.ROOT_MFN);
    return () => { iommu.setTables(routing, io.did, root); };
  }

  /** Maps what firmware has reserved for a function and no other of the domain's devices needs: all of it or nothing. */
  #mapReserved(domain: Domain, slot: number, routing: number): void {
    const { exports } = this.#parts.engine;
    const frames = this.#reserved.framesOf(routing, domain.assigned);
    for (const [done, mfn] of frames.entries()) {
      const status = exports.ioMap(slot, mfn, mfn, 1, 3);
      if (status === 0) continue;
      for (const one of frames.slice(0, done)) exports.ioUnmap(slot, one, 1);
      if (domain.assigned.size === 0) this.dropIoDomain(domain);
      throw new HypercallError('ENOMEM', `reserved frame 0x${mfn.toString(16)} of ${formatBdf(bdfOf(routing))} cannot be mapped for domain `
        + `${domain.domid}: its tables are full, or it has a page of its own there`, { routing, mfn, status });
    }
  }

  /** After the requester has gone: what no other of the domain's devices needs goes, too. */
  #unmapReserved(domain: Domain, routing: number): void {
    const { io } = domain;
    if (io?.translation !== 'own-frames') return;
    const frames = this.#reserved.framesOf(routing, domain.assigned);
    for (const mfn of frames) this.#parts.engine.exports.ioUnmap(io.slot, mfn, 1);
    if (frames.length > 0) this.#parts.iommu()?.flushDomain(io.did);
  }

  /**
   * Each function that comes into quarantine has a domain id of its own and a page to reach, or the frames that firmware
   * has reserved for it, and keeps them.
   */
  #scratchOf(routing: number, iommu: IommuDriver, reserved: readonly number[]): { did: number; frames: number[] } {
    const known = this.#scratch.get(routing);
    if (known !== undefined) return known;
    const did = IommuState.DOMAIN_IDS - 1 - this.#scratch.size;
    if (did <= this.#parts.engine.word(State.DOMAIN_LIMIT)) {
      throw new HypercallError('ENOMEM', 'the unit has no domain id left for another quarantine', { routing });
    }
    const needed = reserved.length === 0 ? SCRATCH_FRAMES : identityTableFrames(reserved);
    if (this.#parts.engine.word(State.TABLE_FRAMES_FREE) < needed) {
      throw new HypercallError('ENOMEM', 'no frames are left for another quarantine; create the machine with more iommuFrames',
        { routing });
    }
    const { engine } = this.#parts;
    const made = { did, frames: reserved.length === 0 ? scratchTables(engine, iommu) : [identityTables(engine, iommu, reserved)] };
    this.#scratch.set(routing, made);
    return made;
  }

  // ---- IO domains

  #makeIoDomain(domain: Domain, translation: Translation): NonNullable<Domain['io']> {
    const { engine, grants } = this.#parts;
    const { exports } = engine;
    // domain id 0 is left out: with caching mode it tags entries that are not present
    const io = { slot: domain.slot, did: domain.slot + 1, translation };
    if (translation === 'all-frames') {
      domain.io = { ...io, root: allFrameTables(engine, this.#parts.iommu() as IommuDriver) };
      return domain.io;
    }
    // a device that passes needs no tables, and could write any that there were
    const status = translation === 'pass-through' ? 0 : exports.ioDomainCreate(io.slot, io.did, domain.domid, 4);
    if (status !== 0) throw new HypercallError('ENOMEM', `no frame is left for the IOMMU tables of domain ${domain.domid}`, { status });
    if (translation !== 'pass-through') this.#tableShare(io.slot, domain, translation);
    if (translation === 'own-frames') this.#mapOwnFrames(domain, io.slot);
    if (translation === 'own-frames' && domain.kind === 'pv') {
      try {
        grants.setIoDomain(domain, io.slot);
      } catch (error) {
        grants.setIoDomain(domain, undefined);
        exports.ioDomainDestroy(io.slot);
        throw error;
      }
    }
    domain.io = io;
    // iommu_op is for tables that are the guest's to fill: what Xen maps for it, it cannot unmap
    engine.setWord(State.DOMAIN_TABLE + domain.slot * StateSize.DOMAIN_RECORD + DomainRecord.IO_DOMAIN,
      translation === 'guest-mapped' ? io.slot + 1 : 0);
    return io;
  }

  #mapOwnFrames(domain: Domain, slot: number): void {
    const { exports } = this.#parts.engine;
    for (let pfn = 0; pfn < domain.p2m.length;) {
      const mfn = domain.p2m[pfn] as number;
      let run = 1;
      if (mfn === NO_FRAME) {
        pfn++;
        continue;
      }
      while (pfn + run < domain.p2m.length && domain.p2m[pfn + run] === mfn + run) run++;
      const done = exports.ioMap(slot, domain.kind === 'hvm' ? pfn : mfn, mfn, run, 3);
      if (done !== 0) {
        exports.ioDomainDestroy(slot);
        throw new HypercallError('ENOMEM', `the frames for IOMMU tables ran out while mapping domain ${domain.domid}; `
          + 'create the machine with more iommuFrames', { status: done });
      }
      pfn += run;
    }
  }

  /**
   * The domain's share of the table frames: what its own frames can need at most, or what its drivers' mappings do. It
   * is kept from the others, and half of what is left is left.
   */
  #tableShare(slot: number, domain: Domain, translation: Translation): void {
    const { engine } = this.#parts;
    const record = (one: number): number => State.IO_DOMAIN_TABLE + one * StateSize.IO_DOMAIN_RECORD;
    const promised = this.#parts.table.domains.filter(({ io }) => io !== undefined)
      .reduce((sum, { io }) => sum + engine.word(record((io as NonNullable<Domain['io']>).slot) + IoDomainRecord.QUOTA), 0);
    const left = engine.word(State.TABLE_FRAMES_COUNT) - promised;
    const regions = Math.ceil(engine.frames / 512) + 8;
    const wanted = translation === 'own-frames' ? Math.min(domain.p2m.length, regions) + 8 : 256 + Math.ceil(domain.p2m.length / 128);
    engine.setWord(record(slot) + IoDomainRecord.QUOTA, Math.max(8, Math.min(wanted, Math.floor(left / 2))));
  }

  dropIoDomain(domain: Domain): void {
    if (domain.io === undefined) return;
    const { engine, grants } = this.#parts;
    grants.setIoDomain(domain, undefined);
    this.#parts.iommu()?.flushDomain(domain.io.did);
    engine.exports.ioDomainDestroy(domain.io.slot);
    engine.setWord(State.DOMAIN_TABLE + domain.slot * StateSize.DOMAIN_RECORD + DomainRecord.IO_DOMAIN, 0);
    domain.io = undefined;
  }
}
