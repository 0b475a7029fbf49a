import { PortcullisError } from '../errors';

/** Hands out parts of the state's heap: first fit, 64-byte grain, neighbours that are free again are joined. */
export class Heap {
  #free: Array<{ off: number; size: number }>;

  constructor(off: number, readonly size: number) {
    this.#free = [{ off, size }];
  }

  /** Offset from the state base. Throws STATE_FULL when no run is long enough. */
  take(bytes: number, what: string): number {
    const size = Math.max(64, (bytes + 63) & ~63);
    const index = this.#free.findIndex((run) => run.size >= size);
    const run = this.#free[index];
    if (run === undefined) {
      throw new PortcullisError('STATE_FULL', `no room in the engine's state for ${what} (${bytes} bytes of the `
        + `${this.size} given); create the machine or engine with a larger heapBytes`, { what, bytes, heap: this.size });
    }
    const off = run.off;
    run.off += size;
    run.size -= size;
    if (run.size === 0) this.#free.splice(index, 1);
    return off;
  }

  give(off: number, bytes: number): void {
    const size = Math.max(64, (bytes + 63) & ~63);
    let index = this.#free.findIndex((run) => run.off > off);
    if (index < 0) index = this.#free.length;
    this.#free.splice(index, 0, { off, size });
    for (const i of [index, index - 1]) {
      const [a, b] = [this.#free[i], this.#free[i + 1]];
      if (a === undefined || b === undefined || a.off + a.size !== b.off) continue;
      a.size += b.size;
      this.#free.splice(i + 1, 1);
    }
  }
}
