// Memory that firmware has reserved for the DMA of devices (VT-d 8.4, RMRR): whoever has such a device, its tables lead to
// these frames one to one, from before the device gets there until after it has gone.
import { Machine } from '../../../assembly/spec/machine';
import { PortcullisError } from '../../errors';

export interface ReservedRegion {
  /** Machine frames. */
  readonly firstMfn: number;
  readonly count: number;
  /** Routing ids of the functions that it is for. */
  readonly routings: readonly number[];
}

/** Frames of all regions together: what an assignment maps is bounded. */
const FRAMES_MAX = 4096;

export class ReservedRegions {
  readonly #regions: readonly ReservedRegion[];

  /** Throws BAD_OPTION for frames that there cannot be, or that `taken` says are in use as memory. */
  constructor(regions: readonly ReservedRegion[], taken: (mfn: number) => boolean = () => false) {
    let frames = 0;
    for (const { firstMfn, count } of regions) {
      const fits = Number.isInteger(firstMfn) && Number.isInteger(count) && firstMfn >= 1 && count >= 1
        && firstMfn + count <= Machine.MFN_LIMIT && (frames += count) <= FRAMES_MAX;
      if (!fits || Array.from({ length: count }, (_, i) => firstMfn + i).some(taken)) {
        throw new PortcullisError('BAD_OPTION', `a reserved region begins at frame ${firstMfn} and has ${count}; it must lie in memory `
          + `that firmware keeps, and all of them together have at most ${FRAMES_MAX} frames`, { firstMfn, count });
      }
    }
    this.#regions = regions.map(({ routings, ...rest }) => ({ ...rest, routings: [...routings] }));
  }

  save(): ReservedRegion[] {
    return this.#regions.map(({ routings, ...rest }) => ({ ...rest, routings: [...routings] }));
  }

  of(routing: number): ReservedRegion[] {
    return this.#regions.filter(({ routings }) => routings.includes(routing));
  }

  /** Whether a region of the function is for another, too. */
  shared(routing: number): boolean {
    return this.of(routing).some(({ routings }) => routings.some((one) => one !== routing));
  }

  /** Frames that the function needs, each once and in order, but for those that `others` need as well. */
  framesOf(routing: number, others: Iterable<number> = []): number[] {
    const needed = (one: number): number[] =>
      this.of(one).flatMap(({ firstMfn, count }) => Array.from({ length: count }, (_, i) => firstMfn + i));
    const kept = new Set([...others].flatMap((one) => (one === routing ? [] : needed(one))));
    return [...new Set(needed(routing))].filter((mfn) => !kept.has(mfn)).sort((a, b) => a - b);
  }
}
