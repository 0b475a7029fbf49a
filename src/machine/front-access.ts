import { Pci, PciCommand } from '../../assembly/spec/pci';
import type { ConfigAccess } from '../pci/access';
import { HypercallError } from '../xen/hypervisor/errors';
import type { Kernel } from '../xen/kernel/kernel';
import type { Pcifront } from '../xen/pcifront/pcifront';
import type { GuestPci } from './direct-pci';

/** How the drivers of a guest reach a device that it has been given: through pcifront, at its virtual address. */
export class FrontAccess implements GuestPci {
  readonly #kernel: Kernel;
  readonly #front: Pcifront;
  /** Ports of the messages of each function, and of which kind they are. */
  readonly #ports = new Map<number, { kind: 'msi' | 'msix'; ports: number[] }>();

  constructor(kernel: Kernel, front: Pcifront) {
    this.#kernel = kernel;
    this.#front = front;
  }

  config(routing: number): ConfigAccess {
    return this.#front.config(routing);
  }

  line(routing: number): number {
    const device = this.#front.devices.find((one) => one.routing === routing);
    if (device === undefined || device.irq === 0) {
      throw new HypercallError('ENODEV', `domain ${this.#kernel.domid} has no interrupt line of function ${routing.toString(16)}`, { routing });
    }
    return device.irq;
  }

  #bind(routing: number, kind: 'msi' | 'msix', pirqs: readonly number[]): Array<{ vector: number; port: number }> {
    const ports: number[] = [];
    this.#ports.set(routing, { kind, ports });
    this.#disableIntx(routing, true);
    return pirqs.map((pirq) => {
      const port = this.#kernel.hypervisor.events.bindPirq(this.#kernel.domid, pirq, 0);
      ports.push(port);
      return { vector: pirq, port };
    });
  }

  /** As Linux does beside messages; the hardware's bit is the first domain's. */
  #disableIntx(routing: number, on: boolean): void {
    const config = this.config(routing);
    const command = config.read(Pci.COMMAND, 2);
    config.write(Pci.COMMAND, 2, on ? command | PciCommand.INTX_DISABLE : command & ~PciCommand.INTX_DISABLE);
  }

  enableMsi(routing: number): { vector: number; port: number } {
    return this.#bind(routing, 'msi', [this.#front.enableMsi(routing)])[0] as { vector: number; port: number };
  }

  enableMsix(routing: number, vectors: number): Array<{ vector: number; port: number }> {
    return this.#bind(routing, 'msix', this.#front.enableMsix(routing, Array.from({ length: vectors }, (_, index) => index)));
  }

  disableInterrupts(routing: number): void {
    const held = this.#ports.get(routing);
    if (held === undefined) return;
    this.#ports.delete(routing);
    const { hypervisor, domid } = this.#kernel;
    for (const port of held.ports) hypervisor.events.close(domid, port);
    if (held.kind === 'msi') this.#front.disableMsi(routing);
    else this.#front.disableMsix(routing);
    this.#disableIntx(routing, false);
  }
}
