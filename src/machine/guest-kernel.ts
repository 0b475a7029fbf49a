import { Virq } from '../../assembly/spec/xen';
import { PortcullisError } from '../errors';
import type { Domain } from '../xen/hypervisor/domain';
import { Physdev } from '../xen/hypervisor/physdev';
import { GrantRefs } from '../xen/kernel/grant-refs';
import { Kernel, type KernelParts } from '../xen/kernel/kernel';
import { KernelLines } from '../xen/pciback/interrupt-lines';
import type { FrontDevice } from '../xen/pcifront/device';
import { Pcifront, type PcifrontKind } from '../xen/pcifront/pcifront';
import { ERS_RESULT, PCI_CHANNEL, PCI_OP } from '../xen/pciif';
import type { Task } from '../xen/schedule/scheduler';
import { XenbusBus } from '../xen/xenbus/bus';
import { XenstoreError } from '../xen/xenstore/errors';
import { EduService } from './edu-service';
import { FrontAccess } from './front-access';
import type { DomainGuest } from './guest';
import type { ModuleHost } from './module-host';
import { ModuleProgram } from './module-program';
import { type NicCounts, NicService } from './nic-service';

const PAGE = 4096;
/** Interrupts that one vCPU of Linux sends another: to reschedule, two kinds of call, deferred work. */
const IPIS = 4;

/** Drivers that a guest's kernel may have, and the vendor and device id of each. */
export const GUEST_DRIVERS = { e1000: 0x8086100e, e1000e: 0x808610d3, edu: 0x123411e8 } as const;

export type GuestDriverName = keyof typeof GUEST_DRIVERS;

export interface GuestKernelParts extends KernelParts {
  readonly domain: Domain;
  readonly guest: DomainGuest;
  readonly drivers: readonly GuestDriverName[];
  readonly pcifront: PcifrontKind;
  /** A user's module, in place of drivers. */
  readonly module?: { readonly host: ModuleHost; readonly text: string; readonly name: string; readonly commandLine: string } | undefined;
}

/** What a guest's driver has done with a device, for whoever wants to see that it works. */
export interface DeviceActivity {
  readonly name: string;
  readonly driver: GuestDriverName;
  readonly nic: NicCounts | undefined;
  /** Rounds of the educational device that came out right, and wrong. */
  readonly rounds: { readonly right: number; readonly wrong: number } | undefined;
}

/** The kernel of a guest with its front end for PCI and its drivers. It stops when the toolstack asks it to. */
export class GuestKernel {
  readonly kernel: Kernel;
  readonly front: Pcifront | undefined;
  readonly #parts: GuestKernelParts;
  readonly #lines: KernelLines;
  readonly #services = new Map<number, { device: FrontDevice; driver: GuestDriverName; service: NicService | EduService }>();
  readonly #module: ModuleProgram | undefined;
  /** Devices that had an error, which their drivers have not got over yet. */
  readonly #recovering = new Set<number>();
  /** Numbers that lines have here. */
  readonly #irqs = new Map<number, number>();
  #ending = false;
  /** Nothing of it is to run any more. */
  #dead = false;

  constructor(parts: GuestKernelParts) {
    this.#parts = parts;
    const { domain, guest, hypervisor, pcifront } = parts;
    const kernel = new Kernel(domain, parts);
    this.kernel = kernel;
    guest.pass = (ns) => { kernel.wait(() => false, ns); };
    // a program may have taken from under its kernel what that needs
    kernel.onOops = ({ message }) => this.#crash(`kernel: ${message}`);
    this.#bindProcessors();
    const physdev = new Physdev(hypervisor, domain.domid);
    this.#lines = new KernelLines(kernel, (pirq) => physdev.irqStatusQuery(pirq).shared);
    const grants = new GrantRefs(kernel);
    const front = Pcifront.create({
      kernel, grants, kind: pcifront,
      memory: {
        allocPage: () => guest.allocPages(1) / PAGE,
        freePage: (pfn) => guest.freePages(pfn * PAGE, 1),
      },
    });
    this.front = front;
    const bus = new XenbusBus(kernel, 'front');
    if (front !== undefined) {
      guest.pci = new FrontAccess(kernel, front);
      front.onDevice = (device) => this.#bind(device);
      front.onDeviceGone = ({ routing }) => this.#unbind(routing);
      front.onError = (device, cmd, channel) => this.#answerError(device, cmd, channel);
      bus.register(front);
    }
    const shutdown = `/local/domain/${domain.domid}/control/shutdown`;
    kernel.watch(shutdown, () => this.#asked(shutdown));
    const { module } = parts;
    if (module !== undefined) {
      this.#module = new ModuleProgram({ ...module, kernel, guest, grants, front, crashed: (why) => this.#crash(`module: ${why}`) });
    }
  }

  /** Ports that Linux has bound before it looks for devices; they decide which ports those get. */
  #bindProcessors(): void {
    const { hypervisor: { events }, domain } = this.#parts;
    for (let vcpu = 0; vcpu < events.vcpus(domain); vcpu++) {
      events.bindVirq(domain.domid, Virq.TIMER, vcpu);
      for (let i = 0; i < IPIS; i++) events.bindIpi(domain.domid, vcpu);
    }
  }

  get activity(): DeviceActivity[] {
    return [...this.#services.values()].map(({ device, driver, service }) => ({
      name: device.name, driver, nic: service instanceof NicService ? service.counts : undefined,
      rounds: service instanceof EduService ? { right: service.right, wrong: service.wrong } : undefined,
    }));
  }

  #bind(device: FrontDevice): void {
    const { guest, drivers } = this.#parts;
    const { kernel } = this;
    const id = device.vendor * 0x10000 + device.device;
    const driver = drivers.find((name) => GUEST_DRIVERS[name] === id);
    if (driver === undefined) return;
    this.#mapLine(device, driver);
    const parts = { kernel, lines: this.#lines, guest, routing: device.routing, name: device.name };
    try {
      const service = driver === 'edu' ? new EduService(parts) : new NicService(driver, parts);
      // the domain may have been ended while its driver came up
      if (this.#dead) service.abandon();
      else this.#services.set(device.routing, { device, driver, service });
    } catch (error) {
      if (!(error instanceof PortcullisError)) throw error;
      kernel.print(`${driver}: probe of ${device.name} failed: ${error.message}`);
    }
  }

  /** Linux numbers its interrupts as it comes to have them, one for each port; a line keeps its own from then on. */
  #mapLine({ name, pin, irq: gsi }: FrontDevice, driver: GuestDriverName): void {
    if (pin === 0 || gsi === 0) return;
    const { hypervisor: { events }, domain } = this.#parts;
    const taken = [...this.#irqs.values()];
    let irq = this.#irqs.get(gsi) ?? events.ports(domain).length;
    while (!this.#irqs.has(gsi) && taken.includes(irq)) irq++;
    this.#irqs.set(gsi, irq);
    this.kernel.print(`${driver} ${name}: Xen PCI mapped GSI${gsi} to IRQ${irq}`);
  }

  #unbind(routing: number): void {
    this.#recovering.delete(routing);
    const one = this.#services.get(routing);
    if (one === undefined) return;
    this.#services.delete(routing);
    try {
      one.service.stop();
    } catch (error) {
      if (!(error instanceof PortcullisError)) throw error;
      this.kernel.print(`${one.driver}: ${one.device.name} is not let go of in good order: ${error.message}`);
    }
  }

  /**
   * An error of a device, step by step: the driver of a network card lets go of it, wants it reset, and begins anew. edu's
   * knows nothing of errors.
   */
  #answerError(device: FrontDevice, cmd: number, channel: number): number {
    const { routing, name } = device;
    const handles = this.#services.get(routing)?.service instanceof NicService || this.#recovering.has(routing);
    if (!handles) return ERS_RESULT.NONE;
    switch (cmd) {
      case PCI_OP.AER_DETECTED:
        this.kernel.print(`${name}: an error of the device; its driver lets go of it`);
        this.#unbind(routing);
        if (channel === PCI_CHANNEL.PERMANENT_FAILURE) return ERS_RESULT.DISCONNECT;
        this.#recovering.add(routing);
        return ERS_RESULT.NEED_RESET;
      case PCI_OP.AER_RESUME:
        this.#recovering.delete(routing);
        this.kernel.print(`${name}: the device works again; its driver begins anew`);
        this.#bind(device);
        return ERS_RESULT.NONE;
      default: return ERS_RESULT.RECOVERED;
    }
  }

  /** The toolstack asks by a word in the store; taking it away says that it has been read. */
  #asked(path: string): void {
    const { store, domid, scheduler } = this.kernel;
    let word: string | undefined;
    try {
      word = store.readIfThere(path);
      if ((word !== 'poweroff' && word !== 'reboot') || this.#ending) return;
      store.write(path, '');
    } catch (error) {
      // taken from it, or its folder is gone: nobody asks
      if (!(error instanceof XenstoreError)) throw error;
      return;
    }
    this.#ending = true;
    this.kernel.print(word === 'poweroff' ? 'reboot: Power down' : 'reboot: Restarting system');
    scheduler.spawn(`${word} of domain ${domid}`, domid, this.#end(word));
  }

  *#end(reason: 'poweroff' | 'reboot'): Task {
    this.#module?.stop();
    yield* this.front?.shutdown() ?? [];
    this.#over(reason);
  }

  #crash(why: string): void {
    const { hypervisor, domain } = this.#parts;
    this.kernel.print(`the domain crashes: ${why}`);
    hypervisor.print(`d${domain.domid} crashes: ${why}`);
    this.#over('crash');
  }

  #over(reason: 'poweroff' | 'reboot' | 'crash'): void {
    this.#abandon();
    this.kernel.stop();
    this.#parts.hypervisor.shutdownDomain(this.kernel.domid, reason);
  }

  #abandon(): void {
    this.#dead = true;
    this.#module?.stop();
    for (const { service } of this.#services.values()) service.abandon();
    this.#services.clear();
  }

  /** Ends at once what runs here. */
  kill(): void {
    this.kernel.stop();
    this.kernel.scheduler.kill(this.kernel.domid);
    this.#abandon();
  }
}
