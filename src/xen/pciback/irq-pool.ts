import type { IrqNumbers } from './parts';

/** The lowest number that is free, from a first one on. */
export class IrqPool implements IrqNumbers {
  readonly #first: number;
  readonly #used = new Set<number>();

  /** `first`: above the numbers of lines. Linux 6.1 in a first domain with one vCPU came to 52. */
  constructor(first = 52) {
    this.#first = first;
  }

  /** The same numbers, looked for from another one on: what is taken of either is taken for both. */
  from(first: number): IrqNumbers {
    return { allocate: () => this.#take(first), release: (irq) => this.release(irq) };
  }

  allocate(): number {
    return this.#take(this.#first);
  }

  #take(first: number): number {
    let irq = first;
    while (this.#used.has(irq)) irq++;
    this.#used.add(irq);
    return irq;
  }

  release(irq: number): void {
    this.#used.delete(irq);
  }
}
