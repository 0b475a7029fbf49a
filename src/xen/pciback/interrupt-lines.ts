import { Evtchn } from '../../../assembly/spec/xen';
import type { Kernel } from '../kernel/kernel';
import type { InterruptLines } from './parts';

interface Line {
  readonly port: number;
  readonly handlers: Map<string, () => void>;
}

/** Lines of a kernel with several handlers each: one port, bound to be shared with other domains, for as long as one is there. */
export class KernelLines implements InterruptLines {
  readonly #kernel: Kernel;
  readonly #shared: (pirq: number) => boolean;
  readonly #lines = new Map<number, Line>();

  /** `shared`: PHYSDEVOP_irq_status_query, whether another domain has the interrupt, too. */
  constructor(kernel: Kernel, shared: (pirq: number) => boolean) {
    this.#kernel = kernel;
    this.#shared = shared;
  }

  request(irq: number, name: string, handler: () => void): void {
    const line = this.#lines.get(irq) ?? this.#bind(irq);
    line.handlers.set(name, handler);
  }

  #bind(irq: number): Line {
    const { hypervisor, domid } = this.#kernel;
    const port = hypervisor.events.bindPirq(domid, irq, Evtchn.WILL_SHARE);
    const line: Line = { port, handlers: new Map() };
    this.#lines.set(irq, line);
    this.#kernel.onEvent(port, () => {
      for (const handler of [...line.handlers.values()]) handler();
      // a handler may have given the line up, and with it the right to end the interrupt
      if (this.#lines.get(irq) === line) hypervisor.endInterrupt(domid, irq);
    });
    return line;
  }

  free(irq: number, name: string): void {
    const line = this.#lines.get(irq);
    if (line === undefined || !line.handlers.delete(name) || line.handlers.size > 0) return;
    this.#lines.delete(irq);
    this.#kernel.offEvent(line.port);
    this.#kernel.hypervisor.events.close(this.#kernel.domid, line.port);
  }

  shared(irq: number): boolean {
    return this.#shared(irq);
  }
}
