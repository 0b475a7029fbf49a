import type { DumpFacts } from '../devices/dump/facts';
import { parseBdf, routingId } from '../pci/bdf';
import { PciCore } from '../xen/dom0/pci-core';
import { showPci } from '../xen/dom0/pci-sysfs';
import { SysfsTree } from '../xen/dom0/sysfs-tree';
import type { HostPci, PciDevice, Sysfs } from '../xen/dom0/types';
import type { ExplainFacts } from '../xen/explain/types';
import type { Domain } from '../xen/hypervisor/domain';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import { Physdev } from '../xen/hypervisor/physdev';
import { GSIS } from '../xen/hypervisor/pirqs';
import { Kernel } from '../xen/kernel/kernel';
import { pcibackDriver } from '../xen/pciback/backend';
import { KernelLines } from '../xen/pciback/interrupt-lines';
import { IrqPool } from '../xen/pciback/irq-pool';
import type { InterruptLines } from '../xen/pciback/parts';
import { PcibackStub } from '../xen/pciback/stub';
import { PcibackFiles } from '../xen/pciback/sysfs-files';
import type { Pcifront } from '../xen/pcifront/pcifront';
import { type Job, Scheduler } from '../xen/schedule/scheduler';
import { Xl } from '../xen/toolstack/xl';
import { XenbusBus, type XenbusDriver } from '../xen/xenbus/bus';
import { Xenstored } from '../xen/xenstore/daemon';
import type { MachineClock } from './clock';
import type { ResolvedDescription } from './description';
import { Dom0Drivers } from './dom0-drivers';
import { ErrorRecovery, type ErrorOutcome, type ErrorSeverity } from './error-recovery';
import { explainFacts } from './explain-facts';
import type { DomainGuest } from './guest';
import type { GuestKernel } from './guest-kernel';
import { HostAccess } from './host-access';
import type { ModuleHost } from './module-host';
import type { NicCounts, ServiceParts } from './nic-service';
import { DomainPrograms } from './programs';
import { StoreHost } from './store-host';

export interface XenParts {
  readonly hypervisor: Hypervisor;
  readonly dom0: Domain;
  readonly clock: MachineClock;
  readonly pci: HostPci;
  readonly description: ResolvedDescription;
  /** The domain as its drivers see it. */
  guest(domain: Domain): DomainGuest;
  forget(domid: number): void;
  readonly modules: ModuleHost | undefined;
  /** What a dump says of a device; undefined for one with a model. */
  dumped(routing: number): DumpFacts | undefined;
}

/** Failures that are kept. */
const FAILURES_MAX = 64;

/**
 * The Xen control plane of a machine: the scheduler that runs kernels and tools on the machine's clock, the store, the
 * first domain's kernel with its PCI core, sysfs, pciback and drivers, the toolstack, and the programs of the others.
 */
export class XenSystem {
  readonly hypervisor: Hypervisor;
  readonly scheduler: Scheduler;
  readonly store: Xenstored;
  /** The first domain's kernel. */
  readonly kernel: Kernel;
  readonly pci: HostPci;
  readonly core: PciCore;
  /** The first domain's pciback; undefined when it is not loaded. */
  readonly stub: PcibackStub | undefined;
  /** Its back end; undefined when there is none. */
  readonly pciback: XenbusDriver | undefined;
  readonly xl: Xl;
  readonly programs: DomainPrograms;
  /** Tasks that nobody waits for and that threw: each is a fault of ours. */
  readonly failures: string[] = [];
  readonly #tree = new SysfsTree();
  readonly #lines: InterruptLines;
  readonly #drivers: Dom0Drivers;
  readonly #errors: ErrorRecovery;
  readonly #dumped: XenParts['dumped'];

  /** Boots. Throws what Xen or pciback finds wrong with their parameters. */
  constructor(parts: XenParts) {
    const { hypervisor, dom0, clock, pci, description } = parts;
    this.#dumped = (routing) => parts.dumped(routing);
    this.hypervisor = hypervisor;
    this.pci = pci;
    const { xen: commandLine, allowUnsafePassthrough: unsafePassthrough, reserved } = description;
    hypervisor.bootDom0Devices({ commandLine, unsafePassthrough, reserved });
    const isHeld = (domid: number): boolean => hypervisor.domains.some((domain) =>
      domain.domid === domid && (domain.pauses > 0 || domain.shutdown !== undefined));
    this.scheduler = new Scheduler(clock, isHeld, ({ name, error }) => {
      this.failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      this.kernel.print(`task failed: ${this.failures.at(-1)}`);
      if (this.failures.length > FAILURES_MAX) this.failures.shift();
    });
    const host = new StoreHost(hypervisor);
    this.store = new Xenstored({ host });
    const kernelParts = { hypervisor, scheduler: this.scheduler, store: this.store };
    this.kernel = new Kernel(dom0, kernelParts);
    this.kernel.store.write('/local/domain/0/name', dom0.name);
    this.kernel.store.write('/local/domain/0/domid', '0');
    // what one handler is refused ends no other's work
    this.kernel.onOops = ({ message }) => this.kernel.print(`handler failed: ${message}`);
    host.start(this.kernel, this.store);
    this.core = new PciCore(pci, (line) => this.kernel.print(line));
    showPci(this.core, this.#tree);
    const physdev = new Physdev(hypervisor, dom0.domid);
    this.#lines = this.#makeLines(physdev);
    const irqs = new IrqPool();
    this.stub = this.#loadPciback(description, physdev, irqs);
    this.pciback = this.#startBackEnd(description);
    this.#errors = new ErrorRecovery({ kernel: this.kernel, core: this.core, stub: this.stub, pciback: this.pciback });
    const guest = parts.guest(dom0);
    // its own messages had their numbers before pciback came, right above the lines
    guest.pci = new HostAccess({ kernel: this.kernel, core: this.core, physdev, irqs: irqs.from(GSIS) });
    this.#drivers = new Dom0Drivers({
      core: this.core,
      dumped: (routing) => {
        const dump = parts.dumped(routing);
        return dump === undefined ? undefined : dump.driver ?? '';
      },
      service: ({ routing, name }: PciDevice): ServiceParts => ({ kernel: this.kernel, lines: this.#lines, guest, routing, name }),
    });
    this.programs = new DomainPrograms({ ...kernelParts, guest: parts.guest, forget: parts.forget, modules: parts.modules });
    this.xl = new Xl({
      ...kernelParts, sysfs: this.#tree, programs: this.programs, seed: description.seed,
      allowUnsafePassthrough: description.allowUnsafePassthrough, xenRevoke: description.xenRevoke,
    });
    this.scheduler.settle();
  }

  /** Its kernel asks for the lines by their GSI, and has a number of its own for some of them. */
  #makeLines(physdev: Physdev): InterruptLines {
    const numbers = new Map<number, number>();
    for (const { gsi, irq } of this.pci.functions()) {
      if (gsi === 0 || numbers.has(gsi)) continue;
      numbers.set(gsi, irq);
      if (irq !== gsi) physdev.mapPirq({ domid: this.kernel.domid, type: 'gsi', index: gsi, pirq: irq });
    }
    const own = new KernelLines(this.kernel, (pirq) => physdev.irqStatusQuery(pirq).shared);
    const numberOf = (gsi: number): number => numbers.get(gsi) ?? gsi;
    return {
      request: (gsi, name, handler) => own.request(numberOf(gsi), name, handler),
      free: (gsi, name) => own.free(numberOf(gsi), name),
      shared: (gsi) => own.shared(numberOf(gsi)),
    };
  }

  /** It comes before all other drivers, so that it has the devices that it is to hide. */
  #loadPciback({ pciback }: ResolvedDescription, physdev: Physdev, irqs: IrqPool): PcibackStub | undefined {
    const { kind, hide, passthrough, permissive } = pciback;
    if (kind === 'none') return undefined;
    const stub = new PcibackStub({ host: this.pci, kernel: this.kernel, physdev, lines: this.#lines, irqs }, { hide, passthrough, permissive });
    this.core.addDriver(stub);
    new PcibackFiles(stub).addTo(this.#tree);
    return stub;
  }

  #startBackEnd({ pciback: { kind } }: ResolvedDescription): XenbusDriver | undefined {
    if (this.stub === undefined) return undefined;
    const parts = { kernel: this.kernel, stub: this.stub, config: (routing: number) => this.pci.config(routing) };
    const driver = pcibackDriver(kind, parts);
    if (driver !== undefined) new XenbusBus(this.kernel, 'back').register(driver);
    return driver;
  }

  get sysfs(): Sysfs {
    return this.#tree;
  }

  domains(): readonly Domain[] {
    return this.hypervisor.domains;
  }

  /** The kernel that runs in a domain. */
  guestKernel(domid: number): GuestKernel | undefined {
    return this.programs.kernels.get(domid);
  }

  /** The front end for PCI in a domain's kernel. */
  pcifront(domid: number): Pcifront | undefined {
    return this.guestKernel(domid)?.front;
  }

  /** The function at an address reports an error: see ErrorRecovery.report. */
  reportError(bdf: string, severity: ErrorSeverity): Job<ErrorOutcome> {
    return this.#errors.report(routingId(parseBdf(bdf)), severity);
  }

  /** What `explain` knows at this moment. */
  explainFacts(): ExplainFacts {
    const { hypervisor, store, pci, core, stub } = this;
    return explainFacts({
      hypervisor, store, pci, core, stub, dumped: this.#dumped,
      // one that has not been started will have its front end
      pcifront: (domid) => domid === 0 || this.guestKernel(domid) === undefined || this.pcifront(domid) !== undefined,
    });
  }

  /** What the first domain's own driver has done with a network card; undefined when it has none. */
  nic(routing: number): NicCounts | undefined {
    return this.#drivers.nic(routing)?.counts;
  }
}
