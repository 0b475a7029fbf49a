import { HypercallError } from '../hypervisor/errors';
import type { InterruptLines } from './parts';

/** Every so many interrupts it is looked up whether another domain has the line. */
const LOOK_UP_EVERY = 1000;

/**
 * The first domain's end of a line that a guest uses: it claims interrupts, so that the kernel does not switch a shared
 * line off because nobody does.
 */
export class FakeInterrupt {
  readonly #lines: InterruptLines;
  /** 0: the device has no line. */
  readonly #irq: number;
  readonly #name: string;
  #held = false;
  #handled = 0;
  on = false;
  acknowledges = false;

  constructor(lines: InterruptLines, irq: number, device: string) {
    this.#lines = lines;
    this.#irq = irq;
    this.#name = `xen-pciback[${device}]`;
  }

  get handled(): number {
    return this.#handled;
  }

  /** Whether it could: a guest may have bound the line for itself alone. */
  install(): boolean {
    if (this.#irq === 0) return true;
    try {
      if (!this.#held) this.#lines.request(this.#irq, this.#name, () => this.#interrupt());
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
      return false;
    }
    this.#held = true;
    this.on = true;
    this.acknowledges = true;
    return true;
  }

  remove(): void {
    if (this.#held) this.#lines.free(this.#irq, this.#name);
    this.#held = false;
    this.on = false;
    this.acknowledges = false;
  }

  /** Whether it claims it. */
  #interrupt(): boolean {
    if (!this.on || !this.acknowledges) return false;
    this.#handled++;
    if (this.#handled % LOOK_UP_EVERY === 0 && !this.#lines.shared(this.#irq)) this.acknowledges = false;
    return true;
  }

  /** sysfs `irq_handler_state`. */
  toggle(): void {
    this.on = !this.on;
    if (this.on) this.acknowledges = true;
  }
}
