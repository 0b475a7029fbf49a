import { DomId, Machine, MapEntry } from '../../../assembly/spec/machine';
import { DomainFlag, DomainRecord, FrameKind, IomemBlock, State, StateSize } from '../../../assembly/spec/state';
import { Evtchn, Virq } from '../../../assembly/spec/xen';
import { type Engine, Random } from '../../engine/index';
import { PortcullisError } from '../../errors';
import { bdfOf, formatBdf } from '../../pci/bdf';
import { XEN_DEFAULTS, type XenOptions, parseXenCommandLine } from './command-line';
import { Console } from './console';
import { debugText } from './debug-keys';
import { Devices } from './devices';
import { CONTROL_DOMAIN, type Domain, NO_FRAME, type ShutdownReason, type Translation, guestPage } from './domain';
import { type HypervisorDocument, domainDocument, domainFrom } from './document';
import { HypercallError } from './errors';
import { EventChannels } from './event-channels';
import { type ExchangeRequest, type ExchangeResult, exchangeMemory, memoryOp } from './exchange';
import { Faults } from './faults';
import { FrameStock } from './frame-stock';
import { grantTableOp } from './grant-op';
import { GrantTables } from './grant-table';
import { type FaultRecord, IommuDriver } from './iommu';
import { DomainMemory } from './memory';
import { Messages } from './messages';
import { type DomainOptions, checkDomainOptions } from './options';
import { Pirqs, type VectorTarget } from './pirqs';
import { RangeSet } from './rangeset';
import { type ReservedRegion, ReservedRegions } from './reserved';
import { type Neighbour, Rights } from './rights';

/** Frames at the bottom of RAM that belong to no domain: 2 MiB. */
export const FIRMWARE_FRAMES = 512;

export interface HypervisorOptions {
  iommu: boolean;
  seed: number;
  scattered: boolean;
}

export interface BootOptions {
  /** Xen's command line: iommu= and dom0-iommu= of it count. */
  commandLine?: string;
  /** Devices may be given away without an IOMMU: they then reach all memory. */
  unsafePassthrough?: boolean;
  /** Host interrupt of the first message (default 32). */
  msiIrqBase?: number;
  /** What firmware has reserved for the DMA of devices (default nothing). */
  reserved?: readonly ReservedRegion[];
}

/**
 * Domains, frames and rights. Rights decide when a mapping is made; the engine checks mappings at each access.
 * Frames of a domain are scattered over the machine by the seed, unless it is the machine's one OS.
 */
export class Hypervisor {
  readonly engine: Engine;
  #iommu: IommuDriver | undefined;
  readonly #domains = new Map<number, Domain>();
  readonly events: EventChannels;
  readonly grants: GrantTables;
  readonly rights: Rights;
  readonly devices: Devices;
  readonly messages: Messages;
  readonly pirqs: Pirqs;
  readonly #stock: FrameStock;
  readonly #memory: DomainMemory;
  readonly #console = new Console();
  readonly #faults: Faults;
  #options: XenOptions = XEN_DEFAULTS;
  #unsafePassthrough = false;
  #nextDomid = 0;

  /**
   * With `iommu`, the unit is brought up: its register page must be in place. With `saved`, the engine's state is that
   * of a snapshot, and nothing is touched.
   */
  constructor(engine: Engine, options: HypervisorOptions, saved?: HypervisorDocument) {
    this.engine = engine;
    const free = saved === undefined ? this.#unowned(options) : [...saved.free];
    this.#stock = new FrameStock(engine, free, saved?.held);
    this.pirqs = new Pirqs(engine, this);
    this.events = new EventChannels(engine, this, this.pirqs);
    this.#memory = new DomainMemory(engine, this.#stock, (did) => this.iommu?.flushDomain(did));
    this.grants = new GrantTables(engine, this, this.#stock, this.#memory);
    const { events, grants, pirqs } = this;
    const iommu = (): IommuDriver | undefined => this.#iommu;
    const functionOf = (routing: number): number => this.devices.functionOf(routing);
    this.messages = new Messages({ engine, pirqs, iommu, functionOf, readOnlyChanged: () => this.rights.refresh() }, saved?.messages);
    this.rights = new Rights({ engine, table: this, events, pirqs, messages: this.messages });
    this.devices = new Devices({
      engine, table: this, iommu, pirqs, events, grants, messages: this.messages, options: () => this.#options,
      moved: (routing) => this.#faults.forget(routing),
    }, saved?.devices);
    this.#faults = new Faults({ engine, console: this.#console, slotOf: (routing) => this.devices.slotOf(routing) }, saved?.faults);
    if (saved !== undefined) {
      for (const domain of saved.domains) this.#domains.set(domain.domid, domainFrom(domain));
      this.#nextDomid = saved.nextDomid;
      this.#iommu = saved.iommu && new IommuDriver(engine, saved.iommu);
      this.#options = { ...saved.options };
      this.#unsafePassthrough = saved.unsafePassthrough;
      pirqs.msiIrqBase = saved.msiIrqBase;
      this.#console.lines.push(...saved.console);
      return;
    }
    this.#iommu = options.iommu ? new IommuDriver(engine) : undefined;
  }

  /** The remapping unit, when there is one and it is used. */
  get iommu(): IommuDriver | undefined {
    return this.#iommu;
  }

  get options(): Readonly<XenOptions> {
    return this.#options;
  }

  get unsafePassthrough(): boolean {
    return this.#unsafePassthrough;
  }

  /** The hypervisor's log: `xl dmesg`. */
  get console(): string[] {
    return this.#console.lines;
  }

  print(text: string): void {
    this.#console.print(text);
  }

  /** Says that something was refused, unless it has said it too often. */
  printRefusal(text: string): void {
    if (this.#console.allows('refused', this.engine.now)) this.#console.print(text);
  }

  /**
   * Xen's part of the boot that concerns devices: options, the first domain's rights to all that Xen does not keep, and
   * the context entries of its devices. It happens once: of a machine that goes on from a snapshot it has happened. Throws IOMMU_REQUIRED for iommu=force without a unit, BAD_OPTION.
   */
  bootDom0Devices(
    { commandLine = '', unsafePassthrough = false, msiIrqBase = Machine.INTX_LINES, reserved = [] }: BootOptions = {},
  ): void {
    if (!Number.isInteger(msiIrqBase) || msiIrqBase < Machine.INTX_LINES || msiIrqBase > 1024) {
      throw new PortcullisError('BAD_OPTION', `msiIrqBase is ${msiIrqBase}; it must be a whole number from ${Machine.INTX_LINES} to 1024`,
        { msiIrqBase });
    }
    if (this.devices.dom0Devices) return;
    const { options, problems } = parseXenCommandLine(commandLine);
    if (options.required && (!options.iommu || this.#iommu === undefined)) {
      throw new PortcullisError('IOMMU_REQUIRED', 'the command line says iommu=force, and there is no IOMMU to be used; '
        + 'give the machine "iommu": "vtd" or leave the word out', { commandLine });
    }
    const regions = new ReservedRegions(reserved, (mfn) => mfn >= FIRMWARE_FRAMES && mfn < this.engine.frames);
    for (const problem of problems) this.print(problem);
    this.#options = options;
    this.#unsafePassthrough = unsafePassthrough;
    this.pirqs.msiIrqBase = msiIrqBase;
    if (!options.iommu) {
      this.#iommu?.disable();
      this.#iommu = undefined;
    }
    this.print(`I/O virtualisation ${this.#iommu === undefined ? 'disabled' : 'enabled'}`);
    if (this.#iommu !== undefined) {
      this.print(` - Dom0 mode: ${{ passthrough: 'Passthrough', relaxed: 'Relaxed', strict: 'Strict' }[options.dom0Mode]}`);
      if (!options.interruptRemapping) this.#iommu.disableRemapping();
      this.print(`Interrupt remapping ${this.#iommu.remapping ? 'enabled' : 'disabled'}`);
    }
    this.rights.giveAllTo(this.domain(CONTROL_DOMAIN));
    this.devices.bootDom0(regions);
    this.engine.setWord(State.CONFIG_FILTER, 1);
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
      domains: this.domains.map(domainDocument), ...this.#stock.save(), nextDomid: this.#nextDomid,
      devices: this.devices.save(), messages: this.messages.save(), faults: this.#faults.save(),
      options: { ...this.#options }, unsafePassthrough: this.#unsafePassthrough, msiIrqBase: this.pirqs.msiIrqBase,
      console: [...this.#console.lines],
      ...(this.#iommu && { iommu: this.#iommu.save() }),
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

  /** Pages that a domain has. */
  pagesOf(domid: number): number {
    return this.domain(domid).p2m.reduce((count, mfn) => count + (mfn === NO_FRAME ? 0 : 1), 0);
  }

  /** Hypercalls of a domain that the engine has served (event channels, grants, iommu_op), and events raised for it. */
  countsOf(domid: number): { hypercalls: number; events: number } {
    const record = State.DOMAIN_TABLE + this.domain(domid).slot * StateSize.DOMAIN_RECORD;
    return {
      hypercalls: this.engine.word64(record + DomainRecord.HYPERCALLS), events: this.engine.word64(record + DomainRecord.EVENTS),
    };
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
    const domid = this.#freeDomid();
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
      iommu: options.iommu ?? false, nrPirqs: options.nrPirqs ?? Evtchn.PIRQS, identityPirqs: options.identityPirqs ?? true,
      pirqs: new Map(), pauses: 0, shutdown: undefined, dying: false,
    };
    for (let pfn = 0; pfn < options.pages; pfn++) {
      const mfn = this.#stock.take() as number;
      domain.p2m[pfn] = mfn;
      exports.frameAssign(mfn, domid, FrameKind.RAM);
      this.engine.setWord(this.engine.word(State.POOL_M2P) + mfn * 4, pfn);
      this.engine.frame(mfn).fill(0);
      this.rights.map(domain, guestPage(domain, pfn), MapEntry.RAM, mfn, true);
    }
    this.#domains.set(domid, domain);
    this.#nextDomid = domid + 1;
    this.events.create(domain, options.vcpus ?? 1, options.maxEventPort);
    if (domain.kind !== 'native') this.grants.create(domain, options.maxGrantFrames, options.maxGrantMappings);
    return domain;
  }

  /** Ids are given in turn, as in Xen: after the last before the reserved ones comes 1, and those in use are left out. */
  #freeDomid(): number {
    let domid = this.#nextDomid;
    while (domid >= DomId.SELF || this.#domains.has(domid)) domid = domid >= DomId.SELF ? CONTROL_DOMAIN + 1 : domid + 1;
    return domid;
  }

  /** Takes everything back: devices, mappings, rights, frames, whatever state the domain is in. */
  destroyDomain(domid: number): void {
    const domain = this.domain(domid);
    domain.dying = true;
    for (const routing of [...domain.assigned]) this.deassignDevice(domid, routing);
    this.devices.dropIoDomain(domain);
    for (const { vector, domid: of } of this.vectors) if (of === domid) this.messages.unmap(vector);
    this.events.destroy(domain);
    if (domain.kind !== 'native') this.grants.destroy(domain);
    this.engine.setWord(this.rights.iomemOff(domain) + IomemBlock.COUNT, 0);
    this.engine.exports.domainDestroy(domain.slot);
    for (const mfn of domain.p2m) if (mfn !== NO_FRAME) this.#stock.give(mfn);
    this.#domains.delete(domid);
    // what the domain held of others' that are no more
    this.#stock.reap();
    this.#tellControlDomain();
  }

  /** SCHEDOP_shutdown, or the toolstack's: the domain runs no more, and stays until it is destroyed. */
  shutdownDomain(domid: number, reason: ShutdownReason): void {
    const domain = this.domain(domid);
    if (domain.shutdown !== undefined) return;
    domain.shutdown = reason;
    this.#tellControlDomain();
  }

  /** VIRQ_DOM_EXC: a domain has shut down or is gone. */
  #tellControlDomain(): void {
    if (this.#domains.has(CONTROL_DOMAIN)) this.events.raiseVirq(CONTROL_DOMAIN, Virq.DOM_EXC);
  }

  /** XENMEM_decrease_reservation: pages of a domain go back; answers how many, up to the first that is in use. */
  decreaseReservation(domid: number, pages: readonly number[]): number {
    return this.#memory.decrease(this.domain(domid), pages);
  }

  /** XENMEM_exchange: see exchange.ts. */
  exchange(domid: number, request: ExchangeRequest): ExchangeResult {
    return exchangeMemory(this.engine, this.domain(domid), this.#stock, this.#memory, request);
  }

  /** Hypercall 12, for the operations that there are: 0 or a negative errno; ENOSYS for others. */
  memoryOp(domid: number, cmd: number, address: number): number {
    return memoryOp(this.engine, this.domain(domid), cmd, address, (request) => this.exchange(domid, request));
  }

  // ---- rights, without the question who asks: domctl.ts is in front of them

  /** XEN_DOMCTL_iomem_permission: machine frames of I/O memory. Nothing is mapped or unmapped by it. */
  iomemPermission(domid: number, firstMfn: number, count: number, allow: boolean): void {
    this.rights.iomem(this.domain(domid), firstMfn, count, allow);
  }

  /** XEN_DOMCTL_ioport_permission: takes effect at the next access. */
  ioportPermission(domid: number, first: number, count: number, allow: boolean): void {
    this.rights.ioport(this.domain(domid), first, count, allow);
  }

  /** XEN_DOMCTL_irq_permission, by host interrupt. */
  irqPermission(domid: number, irq: number, allow: boolean): void {
    this.rights.irq(this.domain(domid), irq, allow);
  }

  /** XEN_DOMCTL_memory_mapping: I/O memory into an HVM guest's map; the domain must have the right to it. */
  memoryMapping(domid: number, firstGfn: number, firstMfn: number, count: number, add: boolean): void {
    this.rights.memoryMapping(this.domain(domid), firstGfn, firstMfn, count, add);
  }

  /**
   * A leaf of a PV guest's page tables (update_va_mapping): its own RAM, or I/O memory that it has the right to. Where a
   * function has its MSI-X table the page is mapped for reading only, and nothing is said. Throws EPERM for a foreign
   * frame, for the hypervisor's tables, and always for the IOMMU's registers; EINVAL for the frame that is all ones.
   */
  updateVaMapping(domid: number, page: number, mfn: number, writable: boolean): void {
    this.rights.updateVaMapping(this.domain(domid), page, mfn, writable);
  }

  /**
   * The same with the domain whose frame it is (update_va_mapping_otherdomain): DOMID_SELF, DOMID_IO for I/O memory, or
   * another's id, for the control domain. One's own id is ESRCH, RAM under DOMID_IO is EPERM.
   */
  updateVaMappingOther(domid: number, page: number, mfn: number, writable: boolean, foreign: number): void {
    const domain = this.domain(domid);
    if (foreign === domid) throw new HypercallError('ESRCH', 'a domain names itself by DOMID_SELF', { domid });
    if (foreign === DomId.SELF || (foreign === DomId.IO && mfn >= this.engine.frames)) {
      this.rights.updateVaMapping(domain, page, mfn, writable);
      return;
    }
    if (foreign === DomId.IO || domid !== CONTROL_DOMAIN) {
      throw new HypercallError('EPERM', `domain ${domid} may not map frame 0x${mfn.toString(16)} as domain ${foreign}'s`, { domid, mfn });
    }
    this.rights.updateVaMapping(domain, page, mfn, writable, this.domain(foreign));
  }

  unmapVa(domid: number, page: number): void {
    this.rights.unmap(this.domain(domid), page);
  }

  /**
   * Takes I/O memory out of a domain's map wherever it is mapped: what the toolstack does when a device leaves. Answers
   * how many pages were.
   */
  unmapIoMemory(domid: number, firstMfn: number, count: number): number {
    return this.rights.unmapIoMemory(this.domain(domid), firstMfn, count);
  }

  /** BARs of functions that the domain does not have, in a page that it has the right to: what it can reach besides. */
  neighbours(domid: number, mfn: number): Neighbour[] {
    const domain = this.domain(domid);
    return domain.iomem.has(mfn, mfn) ? this.rights.neighbours(mfn, this.devices.functions, domain.assigned) : [];
  }

  // ---- devices

  /** Tells the hypervisor which slot of the engine a function has (PHYSDEVOP_pci_device_add). */
  deviceAdd(routing: number, fn: number): void {
    this.engine.host.requireOutside('call the hypervisor');
    this.devices.add(routing, fn);
  }

  deviceRemove(routing: number): void {
    this.engine.host.requireOutside('call the hypervisor');
    this.devices.remove(routing);
  }

  deviceOwner(routing: number): Domain | undefined {
    return this.devices.assignedTo(routing);
  }

  /** Domain id of a function's one owner: DomId.IO in quarantine. Throws ENODEV. */
  ownerOf(routing: number): number {
    return this.devices.ownerOf(routing);
  }

  /** Throws as an assignment would, and changes nothing. */
  testAssignDevice(routing: number): void {
    this.devices.test(routing);
  }

  /**
   * An assignment with the way its DMA is translated. Without a unit only `none` is possible: every frame of the machine
   * is then within the device's reach.
   */
  assignDevice(domid: number, routing: number, translation: Translation): void {
    this.devices.assign(this.domain(domid), routing, translation);
  }

  /** XEN_DOMCTL_deassign_device: the requester is blocked before anything of the domain is given back. */
  deassignDevice(domid: number, routing: number): void {
    this.devices.deassign(this.domain(domid), routing);
  }

  // ---- interrupts

  /** Vectors that domains have for the messages of their devices. */
  get vectors(): VectorTarget[] {
    return this.pirqs.vectors;
  }

  /**
   * PHYSDEVOP_map_pirq for a message: a vector and the domain's number for it, which the guest binds to an event
   * channel, and what to write into the function's MSI address and data. With an IOMMU the message is remapped and only
   * this function may send it.
   */
  mapMsi(domid: number, routing: number): { vector: number; pirq: number; address: number; data: number; index?: number } {
    const domain = this.domain(domid);
    if (!domain.assigned.has(routing)) {
      throw new HypercallError('ENODEV', `${formatBdf(bdfOf(routing))} is not assigned to domain ${domid}`, { domid, routing });
    }
    const { vector, pirq } = this.pirqs.mapMessage(domain, routing);
    if (this.iommu === undefined) return { vector, pirq, address: 0xfee00000, data: vector };
    try {
      return { vector, pirq, ...this.iommu.remapInterrupt(routing, vector, 0) };
    } catch (error) {
      this.pirqs.unmapMessage(vector);
      throw error;
    }
  }

  /** `mapMsi`, and an event channel of the domain bound to it; both go with the device. */
  bindMsi(domid: number, routing: number): { vector: number; port: number; address: number; data: number } {
    const { vector, pirq, address, data, index } = this.mapMsi(domid, routing);
    try {
      return { vector, port: this.events.bindPirq(domid, pirq, 0, true), address, data };
    } catch (error) {
      if (index !== undefined) this.iommu?.releaseInterrupt(index);
      this.pirqs.unmapMessage(vector);
      throw error;
    }
  }

  /** PHYSDEVOP_eoi: an INTx line that is still asserted comes again; a message needs no end. */
  endInterrupt(domid: number, pirq: number): void {
    const domain = this.domain(domid);
    const line = this.pirqs.lineOf(domain, pirq);
    const known = line === undefined ? this.pirqs.irqOf(domain, pirq) !== undefined
      : this.engine.exports.lineEnd(domain.slot, line) === 0;
    if (!known) throw new HypercallError('EINVAL', `domain ${domid} has no interrupt ${pirq}`, { domid, pirq });
  }

  /** Messages that have come and lines that are asserted become events; a vector that nobody has is counted. */
  deliverInterrupts(): { delivered: number; spurious: number } {
    this.engine.host.requireOutside('call the hypervisor');
    if (this.devices.dom0Devices) this.collectFaults();
    const counts = this.engine.exports.interruptsDeliver() >>> 0;
    return { delivered: counts & 0xffff, spurious: counts >>> 16 };
  }

  /** Takes the faults that the unit has recorded, tells of them, and stops a device that has too many. */
  collectFaults(): FaultRecord[] {
    return this.#iommu === undefined ? [] : this.#faults.collect(this.#iommu);
  }

  /** `xl debug-keys`: the lines that the key has printed, which are on the console too. */
  debugKeys(key: string): string[] {
    const lines = debugText(this, key);
    for (const line of lines) this.print(line);
    return lines.map((line) => `(XEN) ${line}`);
  }

  /** Hypercall 20: 0 or a negative errno. */
  grantTableOp(domid: number, cmd: number, address: number, count: number): number {
    return grantTableOp(this.engine, this, this.grants, { domid, cmd, address, count });
  }
}
