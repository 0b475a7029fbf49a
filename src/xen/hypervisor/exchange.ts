// XENMEM_exchange (memory_op 11): a PV guest gives frames up for others that lie together, or below a limit, for its
// devices. Frames that anybody holds stay where they are.
import { DomId } from '../../../assembly/spec/machine';
import { FrameKind, State, StateSize } from '../../../assembly/spec/state';
import { MemoryOp } from '../../../assembly/spec/xen';
import type { Engine } from '../../engine/index';
import { CONTROL_DOMAIN, type Domain } from './domain';
import { HypercallError, resultOf } from './errors';
import type { FrameStock } from './frame-stock';
import { readGuest, writeGuest } from './guest-memory';
import type { DomainMemory } from './memory';

/** Largest extents: a guest's 2 MiB, the first domain's 16 MiB. */
const [GUEST_ORDER, CONTROL_ORDER] = [9, 12];
/** A call does this much at most; Xen would go on after an interruption. */
const PAGES_AT_ONCE = 4096;

export interface ExchangeRequest {
  /** First machine frame of each extent that is given up, and its size as a power of two of pages. */
  readonly frames: readonly number[];
  readonly order: number;
  /** First page of each extent that is got, and its size. */
  readonly pages: readonly number[];
  readonly newOrder: number;
  /** Bits of an address that the new frames may have; 0: any. */
  readonly addressBits: number;
}

export interface ExchangeResult {
  /** Extents given up, and the first machine frame of each that was got. */
  readonly exchanged: number;
  readonly frames: number[];
  /** Why it ended before all were exchanged. */
  readonly error: HypercallError | undefined;
}

function bad(errno: 'EINVAL' | 'EPERM', message: string, fields: Record<string, unknown>): never {
  throw new HypercallError(errno, `exchange of memory: ${message}`, fields);
}

/**
 * Throws before anything is done E2BIG for too much at once, EPERM for an order beyond the domain's, EINVAL for sizes that do not fit together or a
 * domain that is not PV. What comes up later ends it: see `error`, ENOMEM without frames, EINVAL for one that is held or not
 * the domain's.
 */
export function exchangeMemory(engine: Engine, domain: Domain, stock: FrameStock, memory: DomainMemory,
  { frames, order, pages, newOrder, addressBits }: ExchangeRequest): ExchangeResult {
  const limit = domain.domid === CONTROL_DOMAIN ? CONTROL_ORDER : GUEST_ORDER;
  if (domain.kind !== 'pv') bad('EINVAL', `domain ${domain.domid} is not PV`, { domid: domain.domid });
  for (const one of [order, newOrder]) {
    if (!Number.isInteger(one) || one < 0 || one > limit) bad('EPERM', `extents of order ${one}; at most ${limit}`, { order, newOrder });
  }
  if (frames.length * 2 ** order !== pages.length * 2 ** newOrder) {
    bad('EINVAL', `${frames.length} extents of order ${order} for ${pages.length} of order ${newOrder}`, { order, newOrder });
  }
  const below = addressBits === 0 || addressBits > 40 ? engine.frames : Math.max(0, 2 ** (addressBits - 12));
  if (frames.length * 2 ** order > PAGES_AT_ONCE) {
    throw new HypercallError('E2BIG', `exchange of memory: more than ${PAGES_AT_ONCE} pages in one call`, { pages: frames.length * 2 ** order });
  }
  const chunk = Math.max(order, newOrder);
  const [give, get, size] = [2 ** (chunk - order), 2 ** (chunk - newOrder), 2 ** newOrder];
  const runs = stock.takeRuns(pages.length, size, Math.floor(below));
  const got: number[] = [];
  let exchanged = 0;
  let error: HypercallError | undefined;
  while (exchanged < frames.length) {
    const next = runs.slice(got.length, got.length + get);
    const old = extents(frames.slice(exchanged, exchanged + give), order);
    error = next.length < get
      ? new HypercallError('ENOMEM', `exchange of memory: no ${size} free frames lie together below frame 0x${below.toString(16)}`, { size, below })
      : exchangeChunk(engine, domain, memory, old, extents(pages.slice(got.length, got.length + get), newOrder), extents(next, newOrder));
    if (error !== undefined) break;
    got.push(...next);
    for (const mfn of old) stock.give(mfn);
    exchanged += give;
  }
  for (const mfn of extents(runs.slice(got.length), newOrder)) stock.give(mfn);
  return { exchanged, frames: got, error };
}

function extents(firsts: readonly number[], order: number): number[] {
  return firsts.flatMap((first) => Array.from({ length: 2 ** order }, (_, i) => first + i));
}

/** Undefined when it is done. */
function exchangeChunk(engine: Engine, domain: Domain, memory: DomainMemory, old: readonly number[], pages: readonly number[],
  fresh: readonly number[]): HypercallError | undefined {
  const own = (mfn: number): boolean => Number.isInteger(mfn) && mfn >= 0 && mfn < engine.frames
    && engine.word(engine.word(State.POOL_FRAMES) + mfn * StateSize.FRAME_RECORD) === (domain.domid | FrameKind.RAM << 16);
  if (new Set(old).size !== old.length || new Set(pages).size !== pages.length || !old.every(own)
    || !pages.every((pfn) => pfn < domain.p2m.length)) {
    return new HypercallError('EINVAL', `exchange of memory: frames that are not domain ${domain.domid}'s, or pages beyond its memory`,
      { domid: domain.domid });
  }
  if (memory.replace(domain, old, fresh, pages)) return undefined;
  return new HypercallError('EINVAL', 'exchange of memory: a frame is held by a mapping, or a page has a frame that is not given up',
    { domid: domain.domid });
}

/** struct xen_memory_exchange of 72 bytes: two reservations of 32, nr_exchanged. */
const [SIZE, OUT, EXCHANGED] = [72, 32, 64];

/** memory_op: 0 or a negative errno. */
export function memoryOp(engine: Engine, domain: Domain, cmd: number, address: number,
  exchange: (request: ExchangeRequest) => ExchangeResult): number {
  return resultOf(() => {
    if (cmd !== MemoryOp.EXCHANGE) throw new HypercallError('ENOSYS', `there is no memory operation ${cmd} here`, { cmd });
    const view = new DataView(readGuest(engine, domain.slot, address, SIZE).buffer);
    const u64 = (off: number): number => view.getUint32(off + 4, true) * 2 ** 32 + view.getUint32(off, true);
    const reservation = (off: number): { list: number; count: number; order: number; flags: number; domid: number } => ({
      list: u64(off), count: u64(off + 8), order: view.getUint32(off + 16, true), flags: view.getUint32(off + 20, true),
      domid: view.getUint16(off + 24, true),
    });
    const [given, wanted] = [reservation(0), reservation(OUT)];
    const done = u64(EXCHANGED);
    if (given.domid !== wanted.domid || done > given.count || Math.max(given.count, wanted.count) > domain.p2m.length) {
      bad('EINVAL', 'the two sides do not fit together', { given, wanted, done });
    }
    if (given.domid !== DomId.SELF && given.domid !== domain.domid) {
      bad('EPERM', `domain ${domain.domid} may not exchange memory of domain ${given.domid}`, { domid: given.domid });
    }
    if (given.count * 2 ** given.order !== wanted.count * 2 ** wanted.order) {
      bad('EINVAL', `${given.count} extents of order ${given.order} for ${wanted.count} of order ${wanted.order}`, { given, wanted });
    }
    const lists = (list: number, count: number): number[] => {
      const bytes = new DataView(readGuest(engine, domain.slot, list, count * 8).buffer);
      return Array.from({ length: count }, (_, i) => bytes.getUint32(i * 8 + 4, true) * 2 ** 32 + bytes.getUint32(i * 8, true));
    };
    // what was exchanged before a call that is taken up again, on both sides
    const doneWanted = Math.floor(done * 2 ** given.order / 2 ** wanted.order);
    const result = exchange({
      frames: lists(given.list, given.count).slice(done), order: given.order,
      pages: lists(wanted.list, wanted.count).slice(doneWanted), newOrder: wanted.order, addressBits: wanted.flags & 0xff,
    });
    const bytes = new DataView(new ArrayBuffer(result.frames.length * 8));
    result.frames.forEach((mfn, i) => { bytes.setUint32(i * 8, mfn, true); });
    if (result.frames.length > 0) writeGuest(engine, domain.slot, wanted.list + doneWanted * 8, new Uint8Array(bytes.buffer));
    const count = new DataView(new ArrayBuffer(8));
    count.setUint32(0, done + result.exchanged, true);
    writeGuest(engine, domain.slot, address + EXCHANGED, new Uint8Array(count.buffer));
    if (result.error !== undefined) throw result.error;
  });
}
