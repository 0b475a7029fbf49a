import type { DriverTimer } from '../drivers/guest';
import { PciCore } from '../xen/dom0/pci-core';
import { showPci } from '../xen/dom0/pci-sysfs';
import { SysfsTree } from '../xen/dom0/sysfs-tree';
import type { HostPci, Sysfs } from '../xen/dom0/types';
import type { Domain } from '../xen/hypervisor/domain';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import { Kernel } from '../xen/kernel/kernel';
import { Scheduler } from '../xen/schedule/scheduler';
import { Xenstored } from '../xen/xenstore/daemon';
import type { MachineClock } from './clock';
import type { ResolvedDescription } from './description';
import { StoreHost } from './store-host';

export interface XenParts {
  readonly hypervisor: Hypervisor;
  readonly dom0: Domain;
  readonly clock: MachineClock;
  readonly pci: HostPci;
  readonly description: ResolvedDescription;
}

/**
 * The Xen control plane of a machine: the scheduler that runs kernels and tools on the machine's clock, the store, the
 * first domain's kernel with its PCI core and sysfs, and the programs of the other domains.
 */
export class XenSystem {
  readonly hypervisor: Hypervisor;
  readonly scheduler: Scheduler;
  readonly store: Xenstored;
  /** The first domain's kernel. */
  readonly kernel: Kernel;
  readonly pci: HostPci;
  readonly core: PciCore;
  readonly #tree = new SysfsTree();

  constructor({ hypervisor, dom0, clock, pci }: XenParts) {
    this.hypervisor = hypervisor;
    this.pci = pci;
    this.scheduler = new Scheduler(clock);
    const host = new StoreHost(hypervisor);
    this.store = new Xenstored({ host });
    this.kernel = new Kernel(dom0, { hypervisor, scheduler: this.scheduler, store: this.store });
    host.start(this.kernel, this.store);
    this.core = new PciCore(pci, (line) => this.kernel.print(line));
    showPci(this.core, this.#tree);
    this.scheduler.settle();
  }

  get sysfs(): Sysfs {
    return this.#tree;
  }

  /** Timers of the drivers that run in a domain. */
  timers(_domid: number): readonly DriverTimer[] {
    return [];
  }
}
