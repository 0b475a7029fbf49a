import { PortcullisError } from '../errors';

/** A run of the heap that is free: offset from the state base, and bytes. */
export interface FreeRun { off: number; size: number }

/** Throws SNAPSHOT_FORMAT unless the runs are in order, apart from each other, and inside the heap. */
export function checkFreeRuns(runs: readonly FreeRun[], heap: number, bytes: number): void {
  let end = heap;
  for (const [i, { off, size }] of runs.entries()) {
    if (off < end || (i > 0 && off === end) || size < 1 || (off - heap) % 64 !== 0 || off + size > heap + bytes) {
      throw new PortcullisError('SNAPSHOT_FORMAT',
        `the snapshot's free run of ${size} bytes at 0x${off.toString(16)} cannot be`, { off, size });
    }
    end = off + size;
  }
}

/** Hands out parts of the state's heap: first fit, 64-byte grain, neighbours that are free again are joined. */
export class Heap {
  #free: FreeRun[];

  /** All of it is free, or the runs given are: those that a heap like this one had. */
  constructor(off: number, readonly size: number, free: readonly FreeRun[] = [{ off, size }]) {
    this.#free = free.map((run) => ({ ...run }));
  }

  /** A copy of the list of what is free, ascending. */
  get free(): FreeRun[] {
    return this.#free.map((run) => ({ ...run }));
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
