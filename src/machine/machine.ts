import { FunctionRecord, PortEntry, State, StateSize } from '../../assembly/spec/state';
import { Machine as Fixed } from '../../assembly/spec/machine';
import { Pci } from '../../assembly/spec/pci';
import { Engine, type EngineHost, type EngineOptions, SNAPSHOT_SCHEMA } from '../engine/index';
import { PortcullisError } from '../errors';
import { attach, type AttachedFunction, detach } from '../devices/attach';
import type { DeviceDefinition } from '../devices/definition';
import { hostBridge } from '../devices/host-bridge/index';
import { type DefinedDevice, isDefinedDevice } from '../devices/host/define';
import { type DeviceFailure, type HostDeviceHandle, HostInstance } from '../devices/host/device';
import type { SavedDevice } from '../devices/host/types';
import { LinkHandle } from '../devices/links/link';
import { SerialLink } from '../devices/serial/link';
import { vtd } from '../devices/vtd/index';
import { CONFIG_ADDRESS, CONFIG_DATA, configByEcam, machinePorts } from '../pci/access';
import { bdfOf, formatBdf, parseBdf, routingId } from '../pci/bdf';
import { deviceName, dumpFunction } from '../pci/dump';
import { type EnumeratedFunction, FIRMWARE_COMMAND, enumerate } from '../pci/enumerate';
import { enumerateAdded } from '../pci/hotplug';
import type { ListedFunction } from '../pci/lspci/types';
import { resetKeepingConfig } from '../pci/reset';
import type { Domain, Translation } from '../xen/hypervisor/domain';
import type { Sysfs } from '../xen/dom0/types';
import { Hypervisor } from '../xen/hypervisor/hypervisor';
import type { XlResult } from '../xen/toolstack/types';
import type { Xenstored } from '../xen/xenstore/daemon';
import {
  DEVICE_MODELS, type DeviceDescription, type MachineDescription, type Models, type ResolvedDescription,
  type ResolvedDevice, resolveAdded, resolveDescription,
} from './description';
import { MachineClock } from './clock';
import { type Digest, machineDigest } from './digest';
import { DirectPci, intxLineOf } from './direct-pci';
import { type ReadFile, withDumps } from './dumps';
import { checkPlaced, placeByHand, placeDevice } from './given-places';
import { DomainGuest, type GuestDocument } from './guest';
import type { ModuleHost } from './module-host';
import { MachinePci } from './host-pci';
import { parseSize } from './size';
import {
  type MachineDocument, type MachineSnapshot, attachedFrom, checkAgainstState, checkMachine, functionDocument,
} from './snapshot';
import { XenSystem } from './xen-system';

export interface MachineHost {
  /** A memory to put the machine into, shared or not; what lay there is zeroed. By default it makes its own. */
  memory?: WebAssembly.Memory;
  /** Byte offsets in that memory of the engine's state and of RAM. By default the state is at 64 KiB, RAM behind it. */
  state?: number;
  ram?: number;
  /** Device models beside the built-in ones, for the description to name. */
  models?: readonly DeviceDefinition[];
  /** Devices in TypeScript (`defineDevice`) that the description can name beside the built-in models. */
  devices?: readonly DefinedDevice[];
  /** Reads the file of a dump that the description names, as text. */
  readFile?: ReadFile;
  /** Runs modules that a domain config names as its kernel; without it such a domain is refused. */
  modules?: ModuleHost;
  /** Called when one of them has failed, in the midst of what it did: it cannot call the machine back. */
  onDeviceFailed?: (failure: DeviceFailure) => void;
}

/** The built-in models, and what a host adds; only `models` may stand in for one that is there. */
function modelsOf({ models = [], devices = [] }: MachineHost): Map<string, DeviceDefinition> {
  const all = new Map([...DEVICE_MODELS, ...models.map((one) => [one.model, one] as const)]);
  for (const definition of devices) {
    const { model } = definition;
    if (all.has(model)) {
      throw new PortcullisError('DEVICE_DEFINITION', `there is a device model "${model}" already; give the one in `
        + '`devices` another name', { model });
    }
    all.set(model, definition);
  }
  return all;
}

function copyOf(found: EnumeratedFunction): EnumeratedFunction {
  return { ...found, bars: found.bars.map((bar) => ({ ...bar })), ...(found.rom && { rom: { ...found.rom } }) };
}

/** The models with what a dump has made of its functions, each a model of its own. */
function withDumped(models: Models, { devices }: ResolvedDescription): Models {
  const dumped = devices.map(({ definition }) => definition).filter(({ dump }) => dump !== undefined);
  return new Map([...models, ...dumped.map((one) => [one.model, one] as const)]);
}

export interface DomainConfig {
  name: string;
  memory: string;
  type?: 'pv' | 'hvm';
}

/** Interrupts that PCI devices can have: see pci/interrupts.ts. */
const FIRST_LINE = 16;
const LINES = 8;

/**
 * A machine: engine, hypervisor, devices, domains. What can happen in it happens through `engine.exports`; this
 * class only composes.
 */
export class Machine {
  readonly engine: Engine;
  readonly hypervisor: Hypervisor;
  readonly description: ResolvedDescription;
  readonly #source: MachineDescription;
  readonly #models: Models;
  readonly dom0: Domain;
  /** The devices of the description, a bridge before what is behind it. */
  readonly #functions = new Map<number, AttachedFunction>();
  readonly #hostBridge: AttachedFunction;
  readonly #links = new Map<number, LinkHandle>();
  readonly #guests = new Map<number, DomainGuest>();
  /** The first domain's numbers for interrupts, where they are given. */
  readonly #irqs = new Map<number, number>();
  readonly #hosts = new Map<number, HostInstance>();
  readonly #failures: DeviceFailure[] = [];
  readonly #onDeviceFailed: MachineHost['onDeviceFailed'];
  readonly #modules: ModuleHost | undefined;
  readonly #clock: MachineClock;
  #enumerated: EnumeratedFunction[] = [];
  #xen: XenSystem | undefined;

  private constructor(engine: Engine, models: Models, source: MachineDescription, description: ResolvedDescription,
    host: MachineHost, saved?: MachineDocument) {
    this.engine = engine;
    this.#models = models;
    this.#source = source;
    this.#onDeviceFailed = host.onDeviceFailed;
    this.#modules = host.modules;
    this.description = description;
    if (saved !== undefined) {
      this.hypervisor = new Hypervisor(engine, { iommu: description.iommu, seed: description.seed, scattered: false },
        saved.hypervisor);
      this.#hostBridge = attachedFrom(saved.hostBridge, hostBridge, undefined);
      this.dom0 = this.hypervisor.domain(0);
      this.#clock = this.#makeClock();
      this.#resume(saved);
      return;
    }
    const ports = engine.word(State.POOL_PORTS);
    engine.view.setUint16(engine.base + ports + (CONFIG_ADDRESS >> 2) * 2, PortEntry.CONFIG_ADDRESS, true);
    engine.view.setUint16(engine.base + ports + (CONFIG_DATA >> 2) * 2, PortEntry.CONFIG_DATA, true);
    if (description.iommu) {
      attach(engine, vtd, 0, { slot: 0 });
      engine.exports.barPlace(0, 0, 1, Fixed.VTD_MFN * 4096, 0);
      engine.setWord(State.IOMMU, 1);
    }
    for (const device of description.devices) this.#attach(device);
    for (const { routing, link } of description.devices) {
      const end = typeof link === 'object' ? this.#links.get(link.wire) : undefined;
      if (end !== undefined && end.peer === undefined) this.#links.get(routing)?.connect(end);
    }
    const besides = [...this.#functions.keys()].some((routing) => routing < 8);
    this.#hostBridge = attach(engine, hostBridge, 0, { multiFunction: besides });
    placeByHand(engine, description.devices, this.#functions);
    this.#enumerated = enumerate(machinePorts(engine), { ram: description.frames * 4096 });
    checkPlaced(description.devices, this.#enumerated);
    this.hypervisor = new Hypervisor(engine, {
      iommu: description.iommu, seed: description.seed, scattered: !description.native,
    });
    for (const [routing, { fn }] of this.#functions) this.hypervisor.deviceAdd(routing, fn);
    this.dom0 = this.hypervisor.createDomain({
      name: description.native ? 'native' : 'Domain-0', kind: description.native ? 'native' : 'pv', pages: description.dom0Pages,
    });
    this.#clock = this.#makeClock();
    this.#grantOwner();
  }

  /** With the timers of the drivers in the domains that there are. */
  #makeClock(): MachineClock {
    return new MachineClock(this.engine, this.hypervisor, () =>
      this.hypervisor.domains.flatMap(({ domid, pauses, shutdown }) => (pauses > 0 || shutdown !== undefined ? [] : this.#guests.get(domid)?.timers ?? [])));
  }

  /** The Xen control plane. It boots when it is first asked for; without it, a machine is engine, devices and domains. */
  get xen(): XenSystem {
    this.engine.host.requireOutside('boot the control plane');
    if (this.description.native) {
      throw new PortcullisError('NO_XEN', 'the machine\'s owner is "native": there is no Xen on it; leave "owner" out');
    }
    return this.#xen ??= new XenSystem({
      hypervisor: this.hypervisor, dom0: this.dom0, clock: this.#clock, description: this.description,
      pci: new MachinePci(this.engine, {
        attached: () => [this.#hostBridge, ...this.#functions.values()],
        enumerated: (routing) => this.#enumerated.find((one) => one.routing === routing),
        irq: (routing) => this.#irqs.get(routing),
      }),
      guest: (domain) => this.guest(domain), forget: (domid) => { this.#guests.delete(domid); },
      modules: this.#modules,
      dumped: (routing) => this.#functions.get(routing)?.definition.dump,
    });
  }

  /**
   * Runs a command of the toolstack to its end, in virtual time; never throws for what somebody has typed. `files`: texts
   * of the files that the command line names.
   */
  xl(args: readonly string[], files?: ReadonlyMap<string, string>): XlResult {
    const { scheduler, xl } = this.xen;
    return scheduler.run(`xl ${args.join(' ')}`, 0, xl.run(args, files));
  }

  /** Files of the first domain's kernel. */
  get sysfs(): Sysfs {
    return this.xen.sysfs;
  }

  get xenstore(): Xenstored {
    return this.xen.store;
  }

  /** Throws a PortcullisError that names the field for anything wrong in the description. */
  static async create(source: MachineDescription, host: MachineHost = {}): Promise<Machine> {
    const description = await withDumps(source, host.readFile);
    const models = modelsOf(host);
    const resolved = resolveDescription(description, models);
    const known = withDumped(models, resolved);
    const options: EngineOptions = {
      frames: resolved.frames, tableFrames: resolved.tableFrames, heapBytes: resolved.heapBytes, caches: resolved.caches,
      // Xen's default of a table, and persistent grants of a few disks
      grantFrames: 64, grantMappings: 2048,
      ...(host.memory === undefined ? {} : { memory: host.memory }),
      ...(host.state === undefined ? {} : { state: host.state }),
      ...(host.ram === undefined ? {} : { ram: host.ram }),
    };
    return new Machine(await Engine.create(options), known, description, resolved, host);
  }

  /**
   * The whole machine at a safe point, between two calls. Not in it: bytes of windows that the host has lent, frame
   * stores and drivers as objects (a driver's `save` gives what its `resume` takes).
   */
  save(): MachineSnapshot {
    if (this.#xen !== undefined) {
      throw new PortcullisError('NO_SNAPSHOT', 'the Xen control plane runs, and its kernels and tools are in no snapshot; '
        + 'save a machine before `xen`, `xl`, `sysfs` or `xenstore` is first used');
    }
    const { state, ram, document } = this.engine.save();
    const guests = [...this.#guests.values()].filter(({ domain }) => this.hypervisor.domains.includes(domain));
    return { state, ram, document: {
      schemaVersion: SNAPSHOT_SCHEMA, engine: document, description: this.#source,
      hostBridge: functionDocument(this.#hostBridge),
      functions: [...this.#functions.values()].map((one) => functionDocument(one, this.#links.get(one.routing))),
      enumerated: this.#enumerated.map(copyOf), irqs: [...this.#irqs],
      guests: guests.map((guest) => guest.save()),
      hypervisor: this.hypervisor.save(),
      devices: this.saveDevices(),
    } };
  }

  /**
   * Goes on from a snapshot, at any place in any memory. Throws a PortcullisError that says what does not fit, before
   * anything has been changed. A snapshot is trusted as a program is: its hashes find accidents, not malice.
   */
  static async restore(snapshot: MachineSnapshot, host: MachineHost & EngineHost = {}): Promise<Machine> {
    const known = modelsOf(host);
    const resolved = checkMachine(snapshot, known);
    const models = withDumped(known, resolved);
    const { state, ram, document } = snapshot;
    const check = (): void => checkAgainstState(snapshot, models);
    const engine = await Engine.restore({ state, ram, document: document.engine }, host, check);
    return new Machine(engine, models, document.description, resolved, host, document);
  }

  #resume(saved: MachineDocument): void {
    for (const one of saved.functions) {
      const parent = one.parent === undefined ? undefined : this.#functions.get(one.parent);
      this.#functions.set(one.routing, attachedFrom(one, this.#models.get(one.model) as DeviceDefinition, parent));
      if (one.link !== undefined) this.#links.set(one.routing, new LinkHandle(this.engine, one.fn, one.link));
      this.#instance(this.#functions.get(one.routing) as AttachedFunction);
    }
    this.loadDevices(saved.devices);
    LinkHandle.rejoin([...this.#links.values()]);
    this.#enumerated = saved.enumerated.map(copyOf);
    for (const [routing, irq] of saved.irqs) this.#irqs.set(routing, irq);
    for (const guest of saved.guests) this.#addGuest(this.hypervisor.domain(guest.domid), guest);
  }

  /** What is behind the registers of a device in TypeScript. */
  #instance(attached: AttachedFunction): void {
    const { definition, routing } = attached;
    if (!isDefinedDevice(definition)) return;
    const onFailed = (failure: DeviceFailure): void => {
      this.#failures.push(failure);
      this.#onDeviceFailed?.(failure);
    };
    this.#hosts.set(routing, new HostInstance(this.engine, attached, definition, { seed: this.description.seed, onFailed }));
  }

  #attach({ definition, routing, link, parent, multiFunction, place }: ResolvedDevice): void {
    const above = parent === undefined ? undefined : this.#functions.get(parent);
    const attached = attach(this.engine, definition, routing, {
      parent: above, multiFunction, rom: place.romSize, gsi: place.gsi,
    });
    this.#functions.set(routing, attached);
    if (place.irq !== undefined) this.#irqs.set(routing, place.irq);
    this.#instance(attached);
    if (!definition.port) return;
    const handle = new LinkHandle(this.engine, attached.fn);
    if (link === 'loopback') handle.plugLoopback();
    if (link === 'capture') handle.plugCapture();
    this.#links.set(routing, handle);
    this.engine.exports.functionPowerOn(attached.fn);
  }

  /**
   * The first domain may use config ports, the enhanced config space, every BAR and every PCI interrupt; Xen gives dom0
   * all that it does not keep itself.
   */
  #grantOwner(): void {
    const { domid } = this.dom0;
    this.hypervisor.ioportPermission(domid, CONFIG_ADDRESS, 8, true);
    this.hypervisor.iomemPermission(domid, Fixed.ECAM_FIRST_MFN, Fixed.ECAM_LAST_MFN - Fixed.ECAM_FIRST_MFN + 1, true);
    for (let line = FIRST_LINE; line < FIRST_LINE + LINES; line++) this.hypervisor.irqPermission(domid, line, true);
    for (const { routing } of this.#enumerated) this.#rights(domid, routing, true);
  }

  #rights(domid: number, routing: number, allow: boolean): void {
    const memory = (address: number, size: number): void => {
      const range = [Math.floor(address / 4096), Math.max(1, size / 4096)] as const;
      this.hypervisor.iomemPermission(domid, ...range, allow);
      if (!allow) this.hypervisor.unmapIoMemory(domid, ...range);
    };
    for (const bar of this.#barsOf(routing)) {
      if (bar.io) this.hypervisor.ioportPermission(domid, bar.address, bar.size, allow);
      else memory(bar.address, bar.size);
    }
    const rom = this.#enumerated.find((found) => found.routing === routing)?.rom;
    if (rom !== undefined) memory(rom.address, rom.size);
  }

  #barsOf(routing: number): EnumeratedFunction['bars'] {
    return this.#enumerated.find((found) => found.routing === routing)?.bars ?? [];
  }

  /** Where a function's BAR was placed by the enumeration. */
  barAddress(bdf: string, index: number): number {
    const routing = this.#routing(bdf);
    const bar = this.#barsOf(routing).find((one) => one.index === index);
    if (bar === undefined) throw new PortcullisError('NO_BAR', `${bdf} has no BAR ${index}`, { bdf, index });
    return bar.address;
  }

  #routing(bdf: string): number {
    const routing = routingId(parseBdf(bdf));
    if (this.#functions.has(routing)) return routing;
    const have = [...this.#functions.keys()].map((one) => formatBdf(bdfOf(one)));
    throw new PortcullisError('NO_DEVICE', `there is no device ${bdf}; there ${have.length === 1 ? 'is' : 'are'} `
      + `${have.join(', ') || 'none'}`, { bdf });
  }

  /** Engine slot of a device. */
  functionOf(bdf: string): number {
    return (this.#functions.get(this.#routing(bdf)) as AttachedFunction).fn;
  }

  /** Addresses of the devices, ascending. */
  get addresses(): string[] {
    return [...this.#functions.keys()].sort((a, b) => a - b).map((routing) => formatBdf(bdfOf(routing)));
  }

  routingOf(bdf: string): number {
    return this.#routing(bdf);
  }

  /** What a NIC's port is plugged into. */
  link(bdf: string): LinkHandle {
    const link = this.#links.get(this.#routing(bdf));
    if (link === undefined) throw new PortcullisError('NO_LINK', `${bdf} is no network card`, { bdf });
    return link;
  }

  /** The other end of a serial controller's line. Throws NO_SERIAL. */
  serial(bdf: string): SerialLink {
    return new SerialLink(this.engine, this.functionOf(bdf));
  }

  /** A device in TypeScript: its state, its failure, a way for a back end to ask for service. Throws NO_HOST_DEVICE. */
  hostDevice(bdf: string): HostDeviceHandle {
    const device = this.#hosts.get(this.#routing(bdf));
    if (device === undefined) throw new PortcullisError('NO_HOST_DEVICE', `${bdf} is not in TypeScript`, { bdf });
    return device;
  }

  /** Devices in TypeScript that have failed, in that order. */
  get failures(): readonly DeviceFailure[] {
    return this.#failures;
  }

  /** The devices in TypeScript as plain data, by address: what a snapshot holds beside the engine's memory. */
  saveDevices(): Record<string, SavedDevice> {
    this.engine.host.requireOutside('save devices');
    return Object.fromEntries([...this.#hosts.values()].map((device) => [device.bdf, device.save()]));
  }

  /** Puts saved devices back. Throws DEVICE_STATE, having changed nothing, when they are not those of this machine. */
  loadDevices(saved: Readonly<Record<string, SavedDevice>>): void {
    this.engine.host.requireOutside('load devices');
    const devices = [...this.#hosts.values()];
    const there = devices.map(({ bdf }) => bdf).sort().join(', ');
    const given = Object.keys(saved).sort().join(', ');
    if (there !== given) {
      throw new PortcullisError('DEVICE_STATE', `the devices in TypeScript are at ${there || 'no address'}, those saved at `
        + (given || 'none'), { there, given });
    }
    const loads = devices.map((device) => device.prepareLoad(saved[device.bdf] as SavedDevice));
    for (const load of loads) load();
  }

  createDomain(config: DomainConfig): Domain {
    const pages = parseSize(config.memory, `memory of domain "${config.name}"`) / 4096;
    return this.hypervisor.createDomain({ name: config.name, kind: config.type ?? 'pv', pages });
  }

  /** Ends a domain: its devices are reset and taken back first, then everything else of it. */
  destroyDomain(domain: Domain): void {
    for (const routing of [...domain.assigned]) this.unassign(formatBdf(bdfOf(routing)), domain);
    this.hypervisor.destroyDomain(domain.domid);
    this.#guests.delete(domain.domid);
  }

  /** The domain as its drivers see it. */
  guest(domain: Domain): DomainGuest {
    return this.#guests.get(domain.domid) ?? this.#addGuest(domain);
  }

  #addGuest(domain: Domain, saved?: GuestDocument): DomainGuest {
    const pci = new DirectPci(this.hypervisor, domain, (routing) =>
      intxLineOf(this.hypervisor, (this.#functions.get(routing) as AttachedFunction).fn));
    // a domain of the toolstack's shares its last two pages with the first domain: store and console
    const shared = this.#xen !== undefined && domain !== this.dom0 ? 2 : 0;
    const guest = new DomainGuest(this.hypervisor, domain, { pci, wait: (ns) => this.run(ns), shared }, saved);
    this.#guests.set(domain.domid, guest);
    return guest;
  }

  /** Gives a device to a domain: rights to its BARs and interrupt, and its DMA. */
  assign(bdf: string, domain: Domain, translation: Translation): void {
    const routing = this.#routing(bdf);
    if (this.#functions.get(routing)?.definition.config?.bridge) {
      throw new PortcullisError('NOT_ASSIGNABLE',
        `${bdf} is a bridge; what is behind it can be given to a domain, it cannot`, { bdf });
    }
    this.hypervisor.assignDevice(domain.domid, routing, translation);
    this.#rights(domain.domid, routing, true);
    this.hypervisor.irqPermission(domain.domid, intxLineOf(this.hypervisor, this.functionOf(bdf)), true);
  }

  /** Takes it back, reset so that nothing of it is under way, and then as firmware had left it: decode on. */
  unassign(bdf: string, domain: Domain): void {
    const routing = this.#routing(bdf);
    const config = configByEcam(this.engine, routing);
    resetKeepingConfig(config, () => this.engine.exports.functionReset(this.functionOf(bdf)));
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | FIRMWARE_COMMAND);
    this.hypervisor.deassignDevice(domain.domid, routing);
    if (domain === this.dom0) return;
    this.#rights(domain.domid, routing, false);
    this.hypervisor.irqPermission(domain.domid, intxLineOf(this.hypervisor, this.functionOf(bdf)), false);
  }

  /**
   * Adds a device while the machine runs; it is the first domain's until it is assigned. Throws what is wrong with its
   * description, and NO_HOTPLUG for a bridge, a bus behind one, or a function other than 0.
   */
  addDevice(device: DeviceDescription): void {
    const resolved = resolveAdded(device, this.#functions.keys(), this.#models);
    const { routing } = resolved;
    this.#attach(resolved);
    try {
      placeDevice(this.engine, resolved, this.functionOf(device.bdf));
      const found = enumerateAdded(machinePorts(this.engine), routing, this.#enumerated);
      checkPlaced([resolved], [found]);
      this.#enumerated.push(found);
    } catch (error) {
      this.#detach(routing);
      throw error;
    }
    this.hypervisor.deviceAdd(routing, this.functionOf(device.bdf));
    this.#rights(this.dom0.domid, routing, true);
    this.#xen?.core.rescan();
  }

  /** Removes a device while the machine runs. */
  removeDevice(bdf: string): void {
    this.engine.host.requireOutside('remove a device');
    const routing = this.#routing(bdf);
    this.#xen?.core.remove(routing);
    this.engine.host.remove(this.functionOf(bdf));
    this.#hosts.delete(routing);
    for (const { domid } of this.hypervisor.domains) this.#rights(domid, routing, false);
    this.hypervisor.deviceRemove(routing);
    this.#detach(routing);
  }

  #detach(routing: number): void {
    const attached = this.#functions.get(routing) as AttachedFunction;
    this.engine.backends.remove(attached.fn);
    detach(this.engine, attached);
    this.#links.get(routing)?.release();
    this.#links.delete(routing);
    this.#irqs.delete(routing);
    this.#functions.delete(routing);
    this.#enumerated = this.#enumerated.filter((one) => one.routing !== routing);
  }

  /** Everything that can leak, in a form that can be compared: see `difference`. */
  digest(): Digest {
    return machineDigest(this.engine, this.hypervisor, this.#xen);
  }

  /**
   * Lets `ns` of virtual time pass and does all deferred work that this brings; when the control plane runs, so do the
   * kernels and tools in it.
   */
  run(ns = 0): void {
    this.engine.host.requireOutside('run the machine');
    if (this.#xen === undefined) this.#clock.advance(this.engine.now + ns);
    else this.#xen.scheduler.pass(ns);
  }

  /** Every function by address, as `lspci` lists them. */
  listed(): ListedFunction[] {
    return this.#all().map(({ routing, definition, size }) => {
      const config = configByEcam(this.engine, routing);
      const read = (off: number, width: 4): { code: number; value: number } => ({ code: 0, value: config.read(off, width) });
      return { routing, name: deviceName(definition.title), config: { size, read } };
    });
  }

  #all(): Array<{ routing: number; definition: DeviceDefinition; size: number }> {
    const all = [this.#hostBridge, ...this.#functions.values()].sort((a, b) => a.routing - b.routing);
    return all.map(({ routing, definition, fn }) => {
      const record = State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
      return { routing, definition, size: this.engine.word(record + FunctionRecord.CONFIG_SIZE) };
    });
  }

  /** The hexadecimal dump of every function, its extended config space too, as `lspci -F` reads it. */
  lspci(): string {
    return this.#all()
      .map(({ routing, definition, size }) => dumpFunction(routing, definition.title, configByEcam(this.engine, routing), size))
      .join('\n');
  }
}
