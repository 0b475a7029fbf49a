import { DomId } from '../../../assembly/spec/machine';
import { FrameKind } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';

/**
 * Frames that belong to no domain. Domains take theirs from one end, in the order that the seed has shuffled; tables of
 * the hypervisor's come from the other, so that they do not change which frames a domain gets.
 */
export class FrameStock {
  readonly #engine: Engine;
  readonly #free: number[];
  /** Given back while somebody still held them; they are reachable, and so out of use until that ends. */
  readonly #held: Set<number>;

  constructor(engine: Engine, free: number[], held: readonly number[] = []) {
    this.#engine = engine;
    this.#free = free;
    this.#held = new Set(held);
  }

  save(): { free: number[]; held: number[] } {
    return { free: [...this.#free], held: [...this.#held] };
  }

  get size(): number {
    return this.#free.length;
  }

  get held(): number {
    return this.#held.size;
  }

  take(): number | undefined {
    return this.#free.pop();
  }

  /**
   * Runs of `size` frames (a power of two) that lie together, aligned to that, all below `limit`: the first frame of each,
   * the highest first, `count` of them or as many as there are.
   */
  takeRuns(count: number, size: number, limit: number): number[] {
    const free = new Set(this.#free);
    const runs: number[] = [];
    const whole = (first: number): boolean => {
      for (let mfn = first; mfn < first + size; mfn++) if (!free.has(mfn)) return false;
      return true;
    };
    let first = (Math.floor(Math.min(limit, this.#engine.frames) / size) - 1) * size;
    for (; first >= 0 && runs.length < count; first -= size) if (whole(first)) runs.push(first);
    for (const run of runs) for (let mfn = run; mfn < run + size; mfn++) free.delete(mfn);
    let kept = 0;
    for (const mfn of this.#free) if (free.has(mfn)) this.#free[kept++] = mfn;
    this.#free.length = kept;
    return runs;
  }

  takeForXen(): number | undefined {
    return this.#free.shift();
  }

  give(mfn: number): void {
    if (this.#engine.exports.frameAssign(mfn, DomId.NONE, FrameKind.RAM) === 0) this.#free.push(mfn);
    else this.#held.add(mfn);
  }

  giveFromXen(mfn: number): void {
    this.#engine.exports.frameAssign(mfn, DomId.NONE, FrameKind.RAM);
    this.#free.unshift(mfn);
  }

  /** Looks which of the frames that were held are held no more. */
  reap(): void {
    for (const mfn of [...this.#held]) {
      if (this.#engine.exports.frameRefs(mfn) !== 0) continue;
      this.#held.delete(mfn);
      this.give(mfn);
    }
  }
}
