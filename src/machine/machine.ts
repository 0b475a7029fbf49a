import { FunctionRecord, PortEntry, State, StateSize } from '../../assembly/spec/state';
import { Machine as Fixed } from '../../assembly/spec/machine';
import { Pci } from '../../assembly/spec/pci';
import { Engine, type EngineOptions } from '../engine/index';
import { PortcullisError } from '../errors';
import { attach, type AttachedFunction, detach } from '../devices/attach';
import type { DeviceDefinition } from '../devices/definition';
import { hostBridge } from '../devices/host-bridge/index';
import { LinkHandle } from '../devices/links/link';
import type { DriverTimer } from '../drivers/guest';
import { vtd } from '../devices/vtd/index';
import { CONFIG_ADDRESS, CONFIG_DATA, configByEcam, configByPorts, machinePorts } from '../pci/access';
import { bdfOf, formatBdf, parseBdf, routingId } from '../pci/bdf';
import { dumpFunction } from '../pci/dump';
import { type EnumeratedFunction, enumerate } from '../pci/enumerate';
import { resetKeepingConfig } from '../pci/reset';
import type { Domain, Translation } from '../xen/hypervisor/domain';
import { Hypervisor } from '../xen/hypervisor/hypervisor';
import {
  DEVICE_MODELS, type MachineDescription, type ResolvedDescription, type ResolvedDevice, resolveDescription,
} from './description';
import { DomainGuest } from './guest';
import { parseSize } from './size';

export interface MachineHost {
  /** A memory to put the machine into; what lay there is zeroed. By default the machine makes its own. */
  memory?: WebAssembly.Memory;
  /** Device models beside the built-in ones, for the description to name. */
  models?: readonly DeviceDefinition[];
}

export interface DomainConfig {
  name: string;
  memory: string;
  type?: 'pv' | 'hvm';
}

/**
 * A machine: engine, hypervisor, devices, domains. What can happen in it happens through `engine.exports`; this
 * class only composes.
 */
export class Machine {
  readonly engine: Engine;
  readonly hypervisor: Hypervisor;
  readonly description: ResolvedDescription;
  readonly dom0: Domain;
  /** The devices of the description, a bridge before what is behind it. */
  readonly #functions = new Map<number, AttachedFunction>();
  readonly #hostBridge: AttachedFunction;
  readonly #links = new Map<number, LinkHandle>();
  readonly #guests = new Map<number, DomainGuest>();
  #enumerated: EnumeratedFunction[] = [];

  private constructor(engine: Engine, description: ResolvedDescription) {
    this.engine = engine;
    this.description = description;
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
    this.#enumerated = enumerate(machinePorts(engine));
    this.hypervisor = new Hypervisor(engine, {
      iommu: description.iommu, seed: description.seed, scattered: !description.native,
    });
    for (const [routing, { fn }] of this.#functions) this.hypervisor.deviceAdd(routing, fn);
    this.dom0 = this.hypervisor.createDomain({
      name: description.native ? 'native' : 'Domain-0', kind: description.native ? 'native' : 'pv', pages: description.dom0Pages,
    });
    this.#grantOwner();
  }

  /** Throws a PortcullisError that names the field for anything wrong in the description. */
  static async create(description: MachineDescription, host: MachineHost = {}): Promise<Machine> {
    const models = new Map([...DEVICE_MODELS, ...(host.models ?? []).map((one) => [one.model, one] as const)]);
    const resolved = resolveDescription(description, models);
    const options: EngineOptions = {
      frames: resolved.frames, tableFrames: resolved.tableFrames, heapBytes: resolved.heapBytes, caches: resolved.caches,
      ...(host.memory === undefined ? {} : { memory: host.memory }),
    };
    return new Machine(await Engine.create(options), resolved);
  }

  #attach({ definition, routing, link, parent, multiFunction }: ResolvedDevice): void {
    const above = parent === undefined ? undefined : this.#functions.get(parent);
    const attached = attach(this.engine, definition, routing, { parent: above, multiFunction });
    this.#functions.set(routing, attached);
    if (!definition.port) return;
    const handle = new LinkHandle(this.engine, attached.fn);
    if (link === 'loopback') handle.plugLoopback();
    if (link === 'capture') handle.plugCapture();
    this.#links.set(routing, handle);
    this.engine.exports.functionPowerOn(attached.fn);
  }

  /**
   * The first domain may use config ports, the enhanced config space and every BAR; Xen gives dom0 all that it does not
   * keep itself.
   */
  #grantOwner(): void {
    const { domid } = this.dom0;
    this.hypervisor.ioportPermission(domid, CONFIG_ADDRESS, 8, true);
    this.hypervisor.iomemPermission(domid, Fixed.ECAM_FIRST_MFN, Fixed.ECAM_LAST_MFN - Fixed.ECAM_FIRST_MFN + 1, true);
    for (const { routing } of this.#enumerated) this.#rights(domid, routing, true);
  }

  #rights(domid: number, routing: number, allow: boolean): void {
    for (const bar of this.#barsOf(routing)) {
      if (bar.io) this.hypervisor.ioportPermission(domid, bar.address, bar.size, allow);
      else {
        const range = [Math.floor(bar.address / 4096), Math.max(1, bar.size / 4096)] as const;
        this.hypervisor.iomemPermission(domid, ...range, allow);
        if (!allow) this.hypervisor.unmapIoMemory(domid, ...range);
      }
    }
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

  routingOf(bdf: string): number {
    return this.#routing(bdf);
  }

  /** What a NIC's port is plugged into. */
  link(bdf: string): LinkHandle {
    const link = this.#links.get(this.#routing(bdf));
    if (link === undefined) throw new PortcullisError('NO_LINK', `${bdf} is no network card`, { bdf });
    return link;
  }

  createDomain(config: DomainConfig): Domain {
    const pages = parseSize(config.memory, `memory of domain "${config.name}"`) / 4096;
    return this.hypervisor.createDomain({ name: config.name, kind: config.type ?? 'pv', pages });
  }

  /** The domain as its drivers see it. */
  guest(domain: Domain): DomainGuest {
    let guest = this.#guests.get(domain.domid);
    if (guest === undefined) {
      guest = new DomainGuest(this.hypervisor, domain, (ns) => this.run(ns));
      this.#guests.set(domain.domid, guest);
    }
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
    const pin = configByPorts(machinePorts(this.engine), routing).read(Pci.INTERRUPT_LINE, 1);
    this.hypervisor.irqPermission(domain.domid, pin, true);
  }

  /** Takes it back: reset first, so that nothing of it is under way. */
  unassign(bdf: string, domain: Domain): void {
    const routing = this.#routing(bdf);
    resetKeepingConfig(configByEcam(this.engine, routing),
      () => this.engine.exports.functionReset(this.functionOf(bdf)));
    this.hypervisor.deassignDevice(domain.domid, routing);
    if (domain === this.dom0) return;
    this.#rights(domain.domid, routing, false);
    const line = configByPorts(machinePorts(this.engine), routing).read(Pci.INTERRUPT_LINE, 1);
    this.hypervisor.irqPermission(domain.domid, line, false);
  }

  /** Removes a device while the machine runs. */
  removeDevice(bdf: string): void {
    const routing = this.#routing(bdf);
    for (const { domid } of this.hypervisor.domains) this.#rights(domid, routing, false);
    this.hypervisor.deviceRemove(routing);
    detach(this.engine, this.#functions.get(routing) as AttachedFunction);
    this.#links.get(routing)?.release();
    this.#links.delete(routing);
    this.#functions.delete(routing);
  }

  /** Timers of the drivers in the domains that there are. */
  #timers(): DriverTimer[] {
    return this.hypervisor.domains.flatMap(({ domid }) => this.#guests.get(domid)?.timers ?? []);
  }

  /** The next time at which something is due, Infinity when nothing is. */
  #nextDeadline(): number {
    const device = this.engine.exports.nextDeadline();
    return Math.min(device < 0 ? Infinity : device, ...this.#timers().map((timer) => timer.deadline()));
  }

  /** Lets `ns` of virtual time pass and does all deferred work that this brings. */
  run(ns = 0): void {
    const { engine } = this;
    const end = engine.now + ns;
    for (;;) {
      while (engine.exports.service(engine.now, 0x7fffffff) === 1) { /* more */ }
      this.hypervisor.deliverInterrupts();
      for (const timer of this.#timers()) if (timer.deadline() <= engine.now) timer.fire();
      const deadline = this.#nextDeadline();
      if (deadline > end || deadline <= engine.now) break;
      engine.exports.service(deadline, 0);
    }
    if (engine.exports.service(end, 0x7fffffff) === 1) while (engine.exports.service(end, 0x7fffffff) === 1) { /* more */ }
    this.hypervisor.deliverInterrupts();
  }

  /** The hexadecimal dump of every function, its extended config space too, as `lspci -F` reads it. */
  lspci(): string {
    const all = [this.#hostBridge, ...this.#functions.values()].sort((a, b) => a.routing - b.routing);
    return all.map(({ routing, definition, fn }) => {
      const size = this.engine.word(State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.CONFIG_SIZE);
      return dumpFunction(routing, definition.title, configByEcam(this.engine, routing), size);
    }).join('\n');
  }
}
