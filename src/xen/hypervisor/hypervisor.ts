import { DomId, Machine, MapEntry } from '../../../assembly/spec/machine';
import {
  DomainFlag, DomainRecord, FrameKind, FunctionRecord, IoDomainRecord, IomemBlock, State, StateSize,
} from '../../../assembly/spec/state';
import { Pci, PciCommand } from '../../../assembly/spec/pci';
import { type Engine, Random } from '../../engine/index';
import { PortcullisError } from '../../errors';
import { bdfOf, formatBdf } from '../../pci/bdf';
import { type Domain, type DomainKind, NO_FRAME, type Translation, guestPage } from './domain';
import { type HypervisorDocument, domainDocument, domainFrom } from './document';
import { HypercallError } from './errors';
import { EventChannels } from './event-channels';
import { FrameStock } from './frame-stock';
import { grantTableOp } from './grant-op';
import { GrantTables } from './grant-table';
import { IommuDriver, VTD_MFN } from './iommu';
import { DomainMemory } from './memory';
import { type DomainOptions, checkDomainOptions } from './options';
import { Pirqs, type VectorTarget } from './pirqs';
import { RangeSet } from './rangeset';

/** Frames at the bottom of RAM that belong to no domain: 2 MiB. */
export const FIRMWARE_FRAMES = 512;

/**
 * Domains, frames and rights. Rights decide when a mapping is made; the engine checks mappings at each access.
 * Frames of a domain are scattered over the machine by the seed, unless it is the machine's one OS.
 */
export class Hypervisor {
  readonly engine: Engine;
  readonly iommu: IommuDriver | undefined;
  readonly #domains = new Map<number, Domain>();
  readonly events: EventChannels;
  readonly grants: GrantTables;
  readonly #stock: FrameStock;
  readonly #memory: DomainMemory;
  readonly #pirqs: Pirqs;
  readonly #functions = new Map<number, number>();
  #nextDomid = 0;

  /**
   * With `iommu`, the unit is brought up: its register page must be in place. With `saved`, the engine's state is that
   * of a snapshot, and nothing is touched.
   */
  constructor(engine: Engine, options: { iommu: boolean; seed: number; scattered: boolean },
    saved?: HypervisorDocument) {
    this.engine = engine;
    const free = saved === undefined ? this.#unowned(options) : [...saved.free];
    this.#stock = new FrameStock(engine, free, saved?.held);
    this.#pirqs = new Pirqs(engine, this);
    this.events = new EventChannels(engine, this, this.#pirqs);
    this.#memory = new DomainMemory(engine, this.#stock, (did) => this.iommu?.flushDomain(did));
    this.grants = new GrantTables(engine, this, this.#stock, this.#memory);
    if (saved !== undefined) {
      for (const domain of saved.domains) this.#domains.set(domain.domid, domainFrom(domain));
      for (const [routing, fn] of saved.functions) this.#functions.set(routing, fn);
      this.#nextDomid = saved.nextDomid;
      this.iommu = saved.iommu && new IommuDriver(engine, saved.iommu);
      return;
    }
    this.iommu = options.iommu ? new IommuDriver(engine) : undefined;
  }

  #unowned({ seed, scattered }: { seed: number; scattered: boolean }): number[] {
    const free: number[] = [];
    // the first frames stay nobody's, as firmware keeps them: a zero descriptor hits nothing of a domain, and the
    // machine's one OS begins at a superpage
    for (let mfn = this.engine.frames - 1; mfn >= FIRMWARE_FRAMES; mfn--) {
      if (this.engine.exports.frameOwner(mfn) === DomId.NONE) free.push(mfn);
    }
    if (scattered) new Random(seed).shuffle(free);
    return free;
  }

  /** What is known here and not in the engine's state, as plain data. */
  save(): HypervisorDocument {
    return {
      domains: this.domains.map(domainDocument), ...this.#stock.save(),
      functions: [...this.#functions], nextDomid: this.#nextDomid,
      ...(this.iommu && { iommu: this.iommu.save() }),
    };
  }

  get domains(): Domain[] {
    return [...this.#domains.values()];
  }

  /** Throws ESRCH for an id that no domain has; BUSY, as every hypercall, within a device's handler. */
  domain(domid: number): Domain {
    this.engine.host.requireOutside('call the hypervisor');
    const domain = this.#domains.get(domid);
    if (domain === undefined) throw new HypercallError('ESRCH', `there is no domain ${domid}`, { domid });
    return domain;
  }

  get freePages(): number {
    this.#stock.reap();
    return this.#stock.size;
  }

  /** Frames of domains that are no more, which others still hold. */
  get heldPages(): number {
    this.#stock.reap();
    return this.#stock.held;
  }

  createDomain(options: DomainOptions): Domain {
    this.engine.host.requireOutside('call the hypervisor');
    const { exports } = this.engine;
    const free = this.freePages;
    // one more is the first frame of its grant table
    const besides = options.kind === 'native' || options.maxGrantFrames === 0 ? 0 : 1;
    if (!Number.isInteger(options.pages) || options.pages < 1 || options.pages + besides > free) {
      throw new HypercallError('ENOMEM', `domain "${options.name}" wants ${options.pages} pages of 4 KiB`
        + `${besides === 0 ? '' : ' and one for its grant table'}; ${free} are free`, { pages: options.pages, free });
    }
    checkDomainOptions(this.engine, options);
    const domid = this.#nextDomid;
    let slot = 0;
    while (this.domains.some((domain) => domain.slot === slot)) slot++;
    const flags = options.kind === 'native' ? DomainFlag.NATIVE : options.kind === 'hvm' ? DomainFlag.HVM : 0;
    if (exports.domainCreate(slot, domid, flags) !== 0) {
      throw new HypercallError('ENOMEM', `no slot is left for domain "${options.name}"; `
        + `${this.#domains.size} domains exist`, { name: options.name });
    }
    const domain: Domain = {
      slot, domid, name: options.name, kind: options.kind, p2m: new Uint32Array(options.pages),
      iomem: new RangeSet(), ioport: new RangeSet(), irq: new RangeSet(), io: undefined, assigned: new Set(),
      ioMapped: new Map(), nextMapPage: 0xf0000,
    };
    for (let pfn = 0; pfn < options.pages; pfn++) {
      const mfn = this.#stock.take() as number;
      domain.p2m[pfn] = mfn;
      exports.frameAssign(mfn, domid, FrameKind.RAM);
      this.engine.setWord(this.engine.word(State.POOL_M2P) + mfn * 4, pfn);
      this.engine.frame(mfn).fill(0);
      this.#map(domain, guestPage(domain, pfn), MapEntry.RAM, mfn, true);
    }
    this.#domains.set(domid, domain);
    this.#nextDomid++;
    this.events.create(domain, options.vcpus ?? 1, options.maxEventPort);
    if (domain.kind !== 'native') this.grants.create(domain, options.maxGrantFrames, options.maxGrantMappings);
    return domain;
  }

  /** Takes everything back: devices, mappings, rights, frames. */
  destroyDomain(domid: number): void {
    const domain = this.domain(domid);
    for (const routing of [...domain.assigned]) this.deassignDevice(domid, routing);
    this.#dropIoDomain(domain);
    this.events.destroy(domain);
    if (domain.kind !== 'native') this.grants.destroy(domain);
    this.engine.setWord(this.#iomemOff(domain) + IomemBlock.COUNT, 0);
    this.engine.exports.domainDestroy(domain.slot);
    for (const mfn of domain.p2m) if (mfn !== NO_FRAME) this.#stock.give(mfn);
    this.#domains.delete(domid);
    // what the domain held of others' that are no more
    this.#stock.reap();
  }

  /** XENMEM_decrease_reservation: pages of a domain go back; answers how many, up to the first that is in use. */
  decreaseReservation(domid: number, pages: readonly number[]): number {
    return this.#memory.decrease(this.domain(domid), pages);
  }

  #map(domain: Domain, page: number, kind: MapEntry, mfn: number, writable: boolean): void {
    const entry = ((kind << MapEntry.KIND_SHIFT) | ((writable ? 1 : 0) << MapEntry.WRITABLE_BIT) | mfn) >>> 0;
    if (this.engine.exports.guestMapSet(domain.slot, page, entry) !== 0) {
      throw new HypercallError('ENOMEM', `the map of domain ${domain.domid} is full`, { page });
    }
    if (kind === MapEntry.MMIO) domain.ioMapped.set(page, mfn);
    else domain.ioMapped.delete(page);
  }

  // ---- domctl: rights

  /** XEN_DOMCTL_iomem_permission: machine frames of I/O memory. Nothing is mapped or unmapped by it. */
  iomemPermission(domid: number, firstMfn: number, count: number, allow: boolean): void {
    const domain = this.domain(domid);
    if (count < 1 || firstMfn + count > Machine.MFN_LIMIT) {
      throw new HypercallError('EINVAL', `frames ${firstMfn} and ${count - 1} more are beyond ${Machine.MFN_LIMIT - 1}`, { firstMfn, count });
    }
    if (allow && domid !== 0 && firstMfn <= Machine.ECAM_LAST_MFN && firstMfn + count > Machine.ECAM_FIRST_MFN) {
      throw new HypercallError('EPERM',
        `frames 0x${firstMfn.toString(16)} and ${count - 1} more hold the enhanced config space, `
        + 'through which any device could be reached; only the first domain may have it', { domid, firstMfn, count });
    }
    const last = firstMfn + count - 1;
    const next = new RangeSet(domain.iomem.ranges);
    if (allow) next.add(firstMfn, last);
    else next.remove(firstMfn, last);
    if (next.ranges.length > IomemBlock.LIMIT) {
      throw new HypercallError('ENOMEM', `domain ${domid} would have ${next.ranges.length} ranges of I/O memory; `
        + `${IomemBlock.LIMIT} are possible`, { domid });
    }
    if (allow) domain.iomem.add(firstMfn, last);
    else domain.iomem.remove(firstMfn, last);
    // for the data plane, which asks when I/O memory is granted on
    const block = this.#iomemOff(domain);
    domain.iomem.ranges.forEach(([low, high], i) => {
      this.engine.setWord(block + IomemBlock.RANGES + i * 8, low);
      this.engine.setWord(block + IomemBlock.RANGES + i * 8 + 4, high);
    });
    this.engine.setWord(block + IomemBlock.COUNT, domain.iomem.ranges.length);
  }

  #iomemOff(domain: Domain): number {
    return this.engine.word(State.POOL_IOMEM) + domain.slot * StateSize.IOMEM_BLOCK;
  }

  /** XEN_DOMCTL_ioport_permission: takes effect at the next access. */
  ioportPermission(domid: number, first: number, count: number, allow: boolean): void {
    const domain = this.domain(domid);
    if (count < 1 || first < 0 || first + count > 0x10000) {
      throw new HypercallError('EINVAL', `ports ${first} to ${first + count - 1} are not within 0 to 65535`, { first, count });
    }
    if (allow) domain.ioport.add(first, first + count - 1);
    else domain.ioport.remove(first, first + count - 1);
    this.engine.exports.portsSet(domain.slot, first, count, allow ? 1 : 0);
  }

  /** XEN_DOMCTL_irq_permission. */
  irqPermission(domid: number, irq: number, allow: boolean): void {
    const domain = this.domain(domid);
    if (allow) domain.irq.add(irq, irq);
    else {
      domain.irq.remove(irq, irq);
      // a right that is gone delivers nothing more (XSA-46)
      if (irq < Machine.INTX_LINES) this.events.releasePirq(domain, irq);
    }
  }

  /** XEN_DOMCTL_memory_mapping: I/O memory into an HVM guest's map; the domain must have the right to it. */
  memoryMapping(domid: number, firstGfn: number, firstMfn: number, count: number, add: boolean): void {
    const domain = this.domain(domid);
    if (firstMfn <= VTD_MFN && VTD_MFN < firstMfn + count) {
      throw new HypercallError('EPERM', 'the registers of the IOMMU are mapped for no domain', { domid, firstMfn, count });
    }
    if (!domain.iomem.has(firstMfn, firstMfn + count - 1)) {
      throw new HypercallError('EPERM', `domain ${domid} has no right to I/O memory frames ${firstMfn} to `
        + `${firstMfn + count - 1}; give it by iomem_permission first`, { domid, firstMfn, count });
    }
    for (let i = 0; i < count; i++) {
      if (add) this.#map(domain, firstGfn + i, MapEntry.MMIO, firstMfn + i, true);
      else this.#unmap(domain, firstGfn + i);
    }
  }

  // ---- what a PV guest asks for

  /**
   * A leaf of a PV guest's page tables (update_va_mapping): its own RAM, or I/O memory that it has the right to.
   * Throws EPERM for a foreign frame, for the hypervisor's tables, and always for the IOMMU's registers.
   */
  updateVaMapping(domid: number, page: number, mfn: number, writable: boolean): void {
    const domain = this.domain(domid);
    if (mfn < this.engine.frames) {
      const record = this.engine.word(State.POOL_FRAMES) + mfn * StateSize.FRAME_RECORD;
      const word = this.engine.word(record);
      const kind = word >>> 16;
      // its grant table is a domain's to map, the status of it for reading
      const own = kind === FrameKind.RAM || kind === FrameKind.XEN_SHARED || (kind === FrameKind.XEN_STATUS && !writable);
      if ((word & 0xffff) !== domid || !own) {
        throw new HypercallError('EPERM', `machine frame ${mfn} is not domain ${domid}'s: owner ${word & 0xffff}`, { domid, mfn });
      }
      this.#map(domain, page, MapEntry.RAM, mfn, writable);
      return;
    }
    if (mfn === VTD_MFN || !domain.iomem.has(mfn, mfn)) {
      throw new HypercallError('EPERM', `domain ${domid} has no right to I/O memory frame 0x${mfn.toString(16)}`, { domid, mfn });
    }
    this.#map(domain, page, MapEntry.MMIO, mfn, writable);
  }

  unmapVa(domid: number, page: number): void {
    this.#unmap(this.domain(domid), page);
  }

  #unmap(domain: Domain, page: number): void {
    this.engine.exports.guestMapSet(domain.slot, page, 0);
    domain.ioMapped.delete(page);
  }

  /** Takes I/O memory out of a domain's map wherever it is mapped: what the toolstack does when a device leaves. */
  unmapIoMemory(domid: number, firstMfn: number, count: number): void {
    const domain = this.domain(domid);
    for (const [page, mfn] of [...domain.ioMapped]) {
      if (mfn < firstMfn || mfn >= firstMfn + count) continue;
      // a grant may have been mapped over it since
      const entry = this.engine.exports.guestMapGet(domain.slot, page) >>> 0;
      if (entry >>> MapEntry.KIND_SHIFT === MapEntry.MMIO && (entry & MapEntry.MFN_MASK) === mfn) this.#unmap(domain, page);
      else domain.ioMapped.delete(page);
    }
    this.engine.exports.grantsWithdraw(domain.slot, firstMfn, firstMfn + count - 1);
  }

  // ---- devices

  /** Tells the hypervisor which slot of the engine a function has (PHYSDEVOP_pci_device_add). */
  deviceAdd(routing: number, fn: number): void {
    this.engine.host.requireOutside('call the hypervisor');
    this.#functions.set(routing, fn);
    // a bus's context table comes with its first device, and stays
    this.iommu?.prepareBus(routing >> 8);
  }

  deviceRemove(routing: number): void {
    this.engine.host.requireOutside('call the hypervisor');
    const owner = this.deviceOwner(routing);
    if (owner !== undefined) this.deassignDevice(owner.domid, routing);
    this.#functions.delete(routing);
  }

  deviceOwner(routing: number): Domain | undefined {
    return this.domains.find((domain) => domain.assigned.has(routing));
  }

  /** XEN_DOMCTL_test_assign_device: throws as an assignment would, and changes nothing. */
  testAssignDevice(routing: number): void {
    if (!this.#functions.has(routing)) {
      throw new HypercallError('ENODEV', `there is no device ${formatBdf(bdfOf(routing))}`, { routing });
    }
    const owner = this.deviceOwner(routing);
    if (owner !== undefined) {
      throw new HypercallError('EBUSY', `${formatBdf(bdfOf(routing))} is assigned to domain ${owner.domid} already`, { routing });
    }
  }

  /**
   * XEN_DOMCTL_assign_device, with the way its DMA is translated. Without a unit only `none` is possible: every
   * frame of the machine is then within the device's reach.
   */
  assignDevice(domid: number, routing: number, translation: Translation): void {
    const domain = this.domain(domid);
    this.testAssignDevice(routing);
    if ((translation === 'none') !== (this.iommu === undefined)) {
      throw new HypercallError('EINVAL', this.iommu === undefined
        ? `translation "${translation}" needs an IOMMU, and this machine has none`
        : 'a machine with an IOMMU has no way round it; use "pass-through"', { translation });
    }
    if (this.iommu !== undefined) this.#translate(domain, routing, translation);
    domain.assigned.add(routing);
    const fn = this.#functions.get(routing) as number;
    this.engine.setWord(State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.ASSIGNED, domain.slot + 1);
  }

  #translate(domain: Domain, routing: number, translation: Translation): void {
    const iommu = this.iommu as IommuDriver;
    const io = domain.io ?? this.#makeIoDomain(domain, translation);
    if (io.translation !== translation) {
      throw new HypercallError('EINVAL', `domain ${domain.domid}'s devices are translated as "${io.translation}"; `
        + `"${translation}" cannot stand beside it`, { translation });
    }
    if (translation === 'pass-through') iommu.setPassThrough(routing, io.did);
    else {
      const root = this.engine.word(State.IO_DOMAIN_TABLE + io.slot * StateSize.IO_DOMAIN_RECORD + IoDomainRecord.ROOT_MFN);
      iommu.setTables(routing, io.did, root);
    }
  }

  #makeIoDomain(domain: Domain, translation: Translation): NonNullable<Domain['io']> {
    const { exports } = this.engine;
    // domain id 0 is left out: with caching mode it tags entries that are not present
    const io = { slot: domain.slot, did: domain.slot + 1, translation };
    // a device that passes needs no tables, and could write any that there were
    const status = translation === 'pass-through' ? 0 : exports.ioDomainCreate(io.slot, io.did, domain.domid, 4);
    if (status !== 0) throw new HypercallError('ENOMEM', `no frame is left for the IOMMU tables of domain ${domain.domid}`, { status });
    if (translation !== 'pass-through') this.#tableShare(io.slot, domain, translation);
    if (translation === 'own-frames') {
      for (let pfn = 0; pfn < domain.p2m.length;) {
        const mfn = domain.p2m[pfn] as number;
        let run = 1;
        if (mfn === NO_FRAME) {
          pfn++;
          continue;
        }
        while (pfn + run < domain.p2m.length && domain.p2m[pfn + run] === mfn + run) run++;
        const first = domain.kind === 'hvm' ? pfn : mfn;
        const done = exports.ioMap(io.slot, first, mfn, run, 3);
        if (done !== 0) {
          exports.ioDomainDestroy(io.slot);
          throw new HypercallError('ENOMEM', `the frames for IOMMU tables ran out while mapping domain ${domain.domid}; `
            + 'create the machine with more iommuFrames', { status: done });
        }
        pfn += run;
      }
    }
    if (translation === 'own-frames' && domain.kind === 'pv') {
      try {
        this.grants.setIoDomain(domain, io.slot);
      } catch (error) {
        this.grants.setIoDomain(domain, undefined);
        exports.ioDomainDestroy(io.slot);
        throw error;
      }
    }
    domain.io = io;
    // iommu_op is for tables that are the guest's to fill: what Xen maps for it, it cannot unmap
    this.engine.setWord(State.DOMAIN_TABLE + domain.slot * StateSize.DOMAIN_RECORD + DomainRecord.IO_DOMAIN,
      translation === 'guest-mapped' ? io.slot + 1 : 0);
    return io;
  }

  /**
   * The domain's share of the table frames: what its own frames can need at most, or what its drivers' mappings do. It
   * is kept from the others, and half of what is left is left.
   */
  #tableShare(slot: number, domain: Domain, translation: Translation): void {
    const { engine } = this;
    const record = (one: number): number => State.IO_DOMAIN_TABLE + one * StateSize.IO_DOMAIN_RECORD;
    const promised = this.domains.filter(({ io }) => io !== undefined)
      .reduce((sum, { io }) => sum + engine.word(record((io as NonNullable<Domain['io']>).slot) + IoDomainRecord.QUOTA), 0);
    const left = engine.word(State.TABLE_FRAMES_COUNT) - promised;
    const regions = Math.ceil(engine.frames / 512) + 8;
    const wanted = translation === 'own-frames' ? Math.min(domain.p2m.length, regions) + 8 : 256 + Math.ceil(domain.p2m.length / 128);
    engine.setWord(record(slot) + IoDomainRecord.QUOTA, Math.max(8, Math.min(wanted, Math.floor(left / 2))));
  }

  #dropIoDomain(domain: Domain): void {
    if (domain.io === undefined) return;
    this.grants.setIoDomain(domain, undefined);
    this.iommu?.flushDomain(domain.io.did);
    this.engine.exports.ioDomainDestroy(domain.io.slot);
    this.engine.setWord(State.DOMAIN_TABLE + domain.slot * StateSize.DOMAIN_RECORD + DomainRecord.IO_DOMAIN, 0);
    domain.io = undefined;
  }

  /** XEN_DOMCTL_deassign_device: the requester is blocked before anything of the domain is given back. */
  deassignDevice(domid: number, routing: number): void {
    const domain = this.domain(domid);
    if (!domain.assigned.delete(routing)) {
      throw new HypercallError('ENODEV', `${formatBdf(bdfOf(routing))} is not assigned to domain ${domid}`, { domid, routing });
    }
    const fn = this.#functions.get(routing) as number;
    this.engine.setWord(State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.ASSIGNED, 0);
    // a device that nobody has must not go on with what the domain left it to do
    this.engine.exports.configWrite(fn, Pci.COMMAND, 2, this.engine.exports.configRead(fn, Pci.COMMAND, 2) & ~PciCommand.MASTER);
    this.iommu?.block(routing);
    this.iommu?.releaseInterrupts(routing);
    for (const target of this.vectors) {
      if (target.routing !== routing || target.domid !== domid) continue;
      this.events.releasePirq(domain, target.pirq);
      this.#pirqs.unmapMessage(target.vector);
    }
    if (domain.assigned.size === 0) this.#dropIoDomain(domain);
  }

  // ---- interrupts

  /** Vectors that domains have for the messages of their devices. */
  get vectors(): VectorTarget[] {
    return this.#pirqs.vectors;
  }

  /**
   * PHYSDEVOP_map_pirq for a message: a vector and the domain's number for it, which the guest binds to an event
   * channel, and what to write into the function's MSI address and data. With an IOMMU the message is remapped and only
   * this function may send it.
   */
  mapMsi(domid: number, routing: number): { vector: number; pirq: number; address: number; data: number } {
    const domain = this.domain(domid);
    if (!domain.assigned.has(routing)) {
      throw new HypercallError('ENODEV', `${formatBdf(bdfOf(routing))} is not assigned to domain ${domid}`, { domid, routing });
    }
    const { vector, pirq } = this.#pirqs.mapMessage(domain, routing);
    if (this.iommu === undefined) return { vector, pirq, address: 0xfee00000, data: vector };
    try {
      return { vector, pirq, ...this.iommu.remapInterrupt(routing, vector, 0) };
    } catch (error) {
      this.#pirqs.unmapMessage(vector);
      throw error;
    }
  }

  /** `mapMsi`, and an event channel of the domain bound to it; both go with the device. */
  bindMsi(domid: number, routing: number): { vector: number; port: number; address: number; data: number } {
    const { vector, pirq, address, data } = this.mapMsi(domid, routing);
    try {
      return { vector, port: this.events.bindPirq(domid, pirq, 0, true), address, data };
    } catch (error) {
      this.#pirqs.unmapMessage(vector);
      throw error;
    }
  }

  /** PHYSDEVOP_eoi: an INTx line that is still asserted comes again; a message needs no end. */
  endInterrupt(domid: number, pirq: number): void {
    const domain = this.domain(domid);
    const known = pirq >= Machine.INTX_LINES
      ? this.vectors.some((target) => target.domid === domid && target.pirq === pirq)
      : this.engine.exports.lineEnd(domain.slot, pirq) === 0;
    if (!known) throw new HypercallError('EINVAL', `domain ${domid} has no interrupt ${pirq}`, { domid, pirq });
  }

  /** Messages that have come and lines that are asserted become events; a vector that nobody has is counted. */
  deliverInterrupts(): { delivered: number; spurious: number } {
    this.engine.host.requireOutside('call the hypervisor');
    const counts = this.engine.exports.interruptsDeliver() >>> 0;
    return { delivered: counts & 0xffff, spurious: counts >>> 16 };
  }

  /** Hypercall 20: 0 or a negative errno. */
  grantTableOp(domid: number, cmd: number, address: number, count: number): number {
    return grantTableOp(this.engine, this, this.grants, { domid, cmd, address, count });
  }
}

/** Bytes as pages, rounded up; throws for what is no size. */
export function pagesFor(bytes: number, name: string): number {
  if (!Number.isFinite(bytes) || bytes <= 0) {
    throw new PortcullisError('BAD_SIZE', `${name} is ${bytes} bytes; it must be positive`, { name, bytes });
  }
  return Math.ceil(bytes / 4096);
}
