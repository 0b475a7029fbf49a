import { Pci, PciCommand } from '../../assembly/spec/pci';
import type { ConfigAccess } from '../pci/access';
import { KernelError } from '../xen/dom0/errors';
import type { PciCore } from '../xen/dom0/pci-core';
import type { PciDevice } from '../xen/dom0/types';
import type { Kernel } from '../xen/kernel/kernel';
import { Messages } from '../xen/pciback/messages';
import type { IrqNumbers, PcibackPhysdev } from '../xen/pciback/parts';
import { RawConfig } from '../xen/pciback/raw-config';
import type { GuestPci } from './direct-pci';

export interface HostAccessParts {
  readonly kernel: Kernel;
  readonly core: PciCore;
  readonly physdev: PcibackPhysdev;
  readonly irqs: IrqNumbers;
}

/** How the first domain's own drivers reach a device. What pciback has, they cannot. */
export class HostAccess implements GuestPci {
  readonly #parts: HostAccessParts;
  readonly #messages = new Map<number, { messages: Messages; ports: number[] }>();

  constructor(parts: HostAccessParts) {
    this.#parts = parts;
  }

  #device(routing: number): PciDevice {
    const device = this.#parts.core.device(routing);
    if (device === undefined) throw new KernelError('ENODEV', `there is no device ${routing.toString(16)} in domain 0`, { routing });
    if (device.driver === 'pciback') throw new KernelError('EBUSY', `pciback has ${device.name}`, { device: device.name });
    return device;
  }

  config(routing: number): ConfigAccess {
    this.#device(routing);
    return this.#parts.core.host.config(routing);
  }

  /** By which the first domain's kernel asks for it, whatever its own number is. */
  line(routing: number): number {
    return this.#device(routing).host.gsi;
  }

  #messagesOf(routing: number): { messages: Messages; ports: number[] } {
    const known = this.#messages.get(routing);
    if (known !== undefined) return known;
    const { core, physdev, irqs } = this.#parts;
    const messages = new Messages(new RawConfig(core.host.config(routing), core.host.configSize(routing)),
      this.#device(routing).host, physdev, irqs);
    const made = { messages, ports: [] };
    this.#messages.set(routing, made);
    return made;
  }

  #bind(routing: number, pirqs: readonly number[] | number): Array<{ vector: number; port: number }> {
    if (typeof pirqs === 'number' && pirqs < 0) {
      throw new KernelError('EIO', `messages of ${this.#device(routing).name} cannot be turned on: ${pirqs}`, { routing, pirqs });
    }
    const { kernel } = this.#parts;
    const { ports } = this.#messagesOf(routing);
    return (typeof pirqs === 'number' ? [pirqs] : pirqs).map((pirq) => {
      const port = kernel.hypervisor.events.bindPirq(kernel.domid, pirq, 0);
      ports.push(port);
      return { vector: pirq, port };
    });
  }

  enableMsi(routing: number): { vector: number; port: number } {
    const { messages } = this.#messagesOf(routing);
    return this.#bind(routing, messages.enableMsi(this.#parts.kernel.domid))[0] as { vector: number; port: number };
  }

  enableMsix(routing: number, vectors: number): Array<{ vector: number; port: number }> {
    const { messages } = this.#messagesOf(routing);
    const memory = (this.config(routing).read(Pci.COMMAND, 2) & PciCommand.MEMORY) !== 0;
    const refusal = messages.msixRefusal(memory);
    const entries = Array.from({ length: vectors }, (_, index) => index);
    return this.#bind(routing, refusal < 0 ? refusal : messages.enableMsix(this.#parts.kernel.domid, entries));
  }

  disableInterrupts(routing: number): void {
    const held = this.#messages.get(routing);
    if (held === undefined) return;
    this.#messages.delete(routing);
    const { kernel } = this.#parts;
    for (const port of held.ports) kernel.hypervisor.events.close(kernel.domid, port);
    held.messages.disable('msi');
    held.messages.disable('msix');
  }
}
