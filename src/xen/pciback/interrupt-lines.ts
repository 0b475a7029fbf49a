import { Evtchn } from '../../../assembly/spec/xen';
import type { Kernel } from '../kernel/kernel';
import type { InterruptLines } from './parts';

/** So many interrupts in a row that no handler claims, and the line is left alone until it is asked for again. */
const UNCLAIMED_MAX = 100;

interface Line {
  readonly port: number;
  readonly handlers: Map<string, () => boolean | void>;
  unclaimed: number;
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

  request(irq: number, name: string, handler: () => boolean | void): void {
    const line = this.#lines.get(irq) ?? this.#bind(irq);
    line.handlers.set(name, handler);
  }

  #bind(irq: number): Line {
    const { hypervisor, domid } = this.#kernel;
    const port = hypervisor.events.bindPirq(domid, irq, Evtchn.WILL_SHARE);
    const line: Line = { port, handlers: new Map(), unclaimed: 0 };
    this.#lines.set(irq, line);
    this.#kernel.onEvent(port, () => this.#interrupt(irq, line));
    return line;
  }

  #interrupt(irq: number, line: Line): void {
    const claimed = [...line.handlers.values()].filter((handler) => handler() !== false).length > 0;
    // a handler may have given the line up, and with it the right to end the interrupt
    if (this.#lines.get(irq) !== line) return;
    line.unclaimed = claimed ? 0 : line.unclaimed + 1;
    if (line.unclaimed < UNCLAIMED_MAX) {
      this.#kernel.hypervisor.endInterrupt(this.#kernel.domid, irq);
      return;
    }
    this.#kernel.print(`irq ${irq}: nobody cared`);
    this.#unbind(irq, line);
  }

  /** Other domains keep the line; handlers that are left here get nothing any more. */
  #unbind(irq: number, line: Line): void {
    this.#lines.delete(irq);
    this.#kernel.offEvent(line.port);
    this.#kernel.hypervisor.events.close(this.#kernel.domid, line.port);
  }

  free(irq: number, name: string): void {
    const line = this.#lines.get(irq);
    if (line !== undefined && line.handlers.delete(name) && line.handlers.size === 0) this.#unbind(irq, line);
  }

  shared(irq: number): boolean {
    return this.#shared(irq);
  }
}
