// Pages of domains that change hands: given back, given away, taken in. A page that anything holds stays where it is.
import { DomId, MapEntry } from '../../../assembly/spec/machine';
import { FrameKind, State } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';
import { type Domain, NO_FRAME, SHARED_INFO_PFN, guestPage } from './domain';
import type { FrameStock } from './frame-stock';
import type { GrantMemory } from './grant-table';

export class DomainMemory implements GrantMemory {
  readonly #engine: Engine;
  readonly #stock: FrameStock;
  readonly #flush: (did: number) => void;

  /** `flush` drops what the IOMMU has cached of an IO domain. */
  constructor(engine: Engine, stock: FrameStock, flush: (did: number) => void) {
    this.#engine = engine;
    this.#stock = stock;
    this.#flush = flush;
  }

  /** Gives pages of a domain back; answers how many, up to the first that is in use. */
  decrease(domain: Domain, pages: readonly number[]): number {
    for (const [done, pfn] of pages.entries()) {
      const mfn = this.#remove(domain, pfn);
      if (mfn === undefined) return done;
      this.#stock.give(mfn);
    }
    return pages.length;
  }

  /** Takes a page out of a domain's P2M, map and IO tables; undefined when it is not to be had, or held. */
  #remove(domain: Domain, pfn: number): number | undefined {
    const { exports } = this.#engine;
    const mfn = domain.p2m[pfn];
    if (mfn === undefined || mfn === NO_FRAME || pfn === SHARED_INFO_PFN || domain.kind === 'native') return undefined;
    const io = domain.io?.translation === 'own-frames' ? domain.io : undefined;
    const dfn = domain.kind === 'hvm' ? pfn : mfn;
    if (io !== undefined) {
      exports.ioUnmap(io.slot, dfn, 1);
      this.#flush(io.did);
    }
    if (exports.frameAssign(mfn, DomId.NONE, FrameKind.RAM) !== 0) {
      if (io !== undefined) exports.ioMap(io.slot, dfn, mfn, 1, 3);
      return undefined;
    }
    exports.guestMapForget(domain.slot, mfn);
    domain.p2m[pfn] = NO_FRAME;
    this.#engine.setWord(this.#engine.word(State.POOL_M2P) + mfn * 4, NO_FRAME);
    return mfn;
  }

  steal(domain: Domain, mfn: number): boolean {
    if (domain.kind !== 'pv' || mfn >= this.#engine.frames || this.#engine.exports.frameOwner(mfn) !== domain.domid) return false;
    const pfn = this.#engine.word(this.#engine.word(State.POOL_M2P) + mfn * 4);
    return domain.p2m[pfn] === mfn && this.#remove(domain, pfn) === mfn;
  }

  insert(domain: Domain, wanted: number, mfn: number): boolean {
    const { exports } = this.#engine;
    const pfn = domain.p2m[wanted] === NO_FRAME ? wanted : domain.p2m.indexOf(NO_FRAME);
    if (pfn < 0 || exports.frameAssign(mfn, domain.domid, FrameKind.RAM) !== 0) return false;
    const entry = ramEntry(mfn);
    const io = domain.io?.translation === 'own-frames' ? domain.io : undefined;
    const mapped = exports.guestMapSet(domain.slot, guestPage(domain, pfn), entry) === 0;
    if (!mapped || (io !== undefined && exports.ioMap(io.slot, mfn, mfn, 1, 3) !== 0)) {
      exports.guestMapForget(domain.slot, mfn);
      exports.frameAssign(mfn, DomId.NONE, FrameKind.RAM);
      return false;
    }
    domain.ioMapped.delete(pfn);
    domain.p2m[pfn] = mfn;
    this.#engine.setWord(this.#engine.word(State.POOL_M2P) + mfn * 4, pfn);
    return true;
  }

  /**
   * Gives pages of a PV domain up for frames that lie together: `frames[i]` comes to page `pages[i]`, zeroed, and `old` go.
   * All or nothing: false when one of them is not to be had, or held, or the tables of the domain's devices are full.
   */
  replace(domain: Domain, old: readonly number[], frames: readonly number[], pages: readonly number[]): boolean {
    const removed: Array<[pfn: number, mfn: number]> = [];
    const inserted: number[] = [];
    const done = old.every((mfn) => {
      const pfn = this.#engine.word(this.#engine.word(State.POOL_M2P) + mfn * 4);
      if (!this.steal(domain, mfn)) return false;
      removed.push([pfn, mfn]);
      return true;
    }) && frames.every((mfn, i) => {
      const pfn = pages[i] as number;
      if (domain.p2m[pfn] !== NO_FRAME) return false;
      this.#engine.frame(mfn).fill(0);
      if (!this.insert(domain, pfn, mfn)) return false;
      inserted.push(mfn);
      return true;
    });
    if (!done) {
      // the tables that the old frames were in are there still
      for (const mfn of inserted) this.steal(domain, mfn);
      for (const [pfn, mfn] of removed) this.insert(domain, pfn, mfn);
    }
    return done;
  }

  hasHole(domain: Domain): boolean {
    return domain.kind === 'pv' && domain.p2m.includes(NO_FRAME);
  }

  free(mfn: number): void {
    this.#stock.give(mfn);
  }
}

function ramEntry(mfn: number): number {
  return (MapEntry.RAM << MapEntry.KIND_SHIFT | 1 << MapEntry.WRITABLE_BIT | mfn) >>> 0;
}
