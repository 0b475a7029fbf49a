// Physical interrupts of domains: INTx lines under their own number, messages under numbers from the top down. Which
// vector leads where is in the engine's state, for the delivery and for a snapshot.
import { Machine } from '../../../assembly/spec/machine';
import { EventBlock, LineRecord, PortRecord, State, StateSize, VectorRecord } from '../../../assembly/spec/state';
import { Evtchn } from '../../../assembly/spec/xen';
import type { Engine } from '../../engine/index';
import type { Domain, DomainTable } from './domain';
import { HypercallError } from './errors';

const FIRST_VECTOR = 0x30;
const LAST_VECTOR = 0xef;
/** Guests that may share a line (Xen's irq-max-guests). */
const MAX_SHARERS = 32;

/** A message's vector, and whose it is. `port` is 0 while the guest has not bound it. */
export interface VectorTarget {
  vector: number;
  domid: number;
  port: number;
  routing: number;
  pirq: number;
}

export class Pirqs {
  readonly #engine: Engine;
  readonly #table: DomainTable;

  constructor(engine: Engine, table: DomainTable) {
    this.#engine = engine;
    this.#table = table;
  }

  #half(off: number): number {
    return this.#engine.word(off & ~3) >>> ((off & 2) * 8) & 0xffff;
  }

  #setHalf(off: number, value: number): void {
    const word = this.#engine.word(off & ~3);
    const shift = (off & 2) * 8;
    this.#engine.setWord(off & ~3, (word & ~(0xffff << shift)) | value << shift);
  }

  /** Every vector that a domain has. */
  get vectors(): VectorTarget[] {
    const domids = new Map(this.#table.domains.map(({ slot, domid }) => [slot, domid]));
    const targets: VectorTarget[] = [];
    for (let vector = FIRST_VECTOR; vector <= LAST_VECTOR; vector++) {
      const record = vectorOff(vector);
      const domid = domids.get(this.#half(record + VectorRecord.SLOT) - 1);
      if (domid === undefined) continue;
      targets.push({
        vector, domid, port: this.#half(record + VectorRecord.PORT), routing: this.#half(record + VectorRecord.ROUTING),
        pirq: this.#half(record + VectorRecord.PIRQ),
      });
    }
    return targets;
  }

  /** PHYSDEVOP_map_pirq of a message: a vector, and the domain's number for it. Throws ENOSPC when there is none. */
  mapMessage(domain: Domain, routing: number): { vector: number; pirq: number } {
    const targets = this.vectors;
    const taken = new Set(targets.map(({ vector }) => vector));
    let vector = FIRST_VECTOR;
    while (taken.has(vector)) vector++;
    if (vector > LAST_VECTOR) throw new HypercallError('ENOMEM', 'no interrupt vector is left (0x30 to 0xef)');
    const own = new Set(targets.filter(({ domid }) => domid === domain.domid).map(({ pirq }) => pirq));
    let pirq = Evtchn.PIRQS - 1;
    while (own.has(pirq)) pirq--;
    if (pirq < Machine.INTX_LINES) throw new HypercallError('ENOSPC', `domain ${domain.domid} has no number for an interrupt left`);
    const record = vectorOff(vector);
    this.#setHalf(record + VectorRecord.SLOT, domain.slot + 1);
    this.#setHalf(record + VectorRecord.PORT, 0);
    this.#setHalf(record + VectorRecord.ROUTING, routing);
    this.#setHalf(record + VectorRecord.PIRQ, pirq);
    return { vector, pirq };
  }

  unmapMessage(vector: number): void {
    this.#engine.setWord64(vectorOff(vector), 0);
  }

  /** Lets a pirq arrive at a port. Throws as EVTCHNOP_bind_pirq: EPERM without the interrupt, EBUSY when not to share. */
  bind(domain: Domain, pirq: number, port: number, flags: number, shared: (line: number) => boolean): void {
    if (pirq >= Machine.INTX_LINES) {
      const target = this.vectors.find((one) => one.domid === domain.domid && one.pirq === pirq);
      if (target === undefined) throw refused(domain, pirq);
      this.#setHalf(vectorOff(target.vector) + VectorRecord.PORT, port);
      return;
    }
    if (!domain.irq.has(pirq, pirq)) throw refused(domain, pirq);
    const record = lineOff(pirq);
    const others = this.sharers(pirq);
    const willShare = (flags & Evtchn.WILL_SHARE) !== 0;
    if (others.length > 0 && (!willShare || !shared(pirq) || others.length >= MAX_SHARERS)) {
      throw new HypercallError('EBUSY', `interrupt ${pirq} is in use, and not all of its users share`, { pirq });
    }
    this.#setBit(record + LineRecord.BOUND, domain.slot, true);
    this.#setHalf(this.linePortOff(domain, pirq), port);
  }

  unbind(domain: Domain, pirq: number): void {
    if (pirq >= Machine.INTX_LINES) {
      const target = this.vectors.find((one) => one.domid === domain.domid && one.pirq === pirq);
      if (target !== undefined) this.#setHalf(vectorOff(target.vector) + VectorRecord.PORT, 0);
      return;
    }
    const record = lineOff(pirq);
    this.#setBit(record + LineRecord.BOUND, domain.slot, false);
    this.#setBit(record + LineRecord.IN_FLIGHT, domain.slot, false);
    this.#setHalf(this.linePortOff(domain, pirq), 0);
  }

  /** Slots of the domains that have a line bound. */
  sharers(line: number): number[] {
    const record = lineOff(line) + LineRecord.BOUND;
    const bit = (slot: number): number => this.#engine.word(record + (slot >> 5) * 4) >>> (slot & 31) & 1;
    return Array.from({ length: Machine.DOMAINS }, (_, slot) => slot).filter((slot) => bit(slot) === 1);
  }

  /** Port of a domain that a line arrives at, 0 when there is none. */
  linePort(slot: number, line: number): number {
    return this.#half(this.#block(slot) + EventBlock.LINES + line * 2);
  }

  linePortOff(domain: Domain, line: number): number {
    return this.#block(domain.slot) + EventBlock.LINES + line * 2;
  }

  #block(slot: number): number {
    return this.#engine.word(State.POOL_EVENTS) + slot * StateSize.EVENT_BLOCK;
  }

  #setBit(off: number, slot: number, on: boolean): void {
    const word = off + (slot >> 5) * 4;
    const bit = 1 << (slot & 31);
    this.#engine.setWord(word, on ? this.#engine.word(word) | bit : this.#engine.word(word) & ~bit);
  }
}

function vectorOff(vector: number): number {
  return State.VECTORS + vector * StateSize.VECTOR_RECORD;
}

function lineOff(line: number): number {
  return State.LINES + line * StateSize.LINE_RECORD;
}

function refused(domain: Domain, pirq: number): HypercallError {
  return new HypercallError('EPERM', `domain ${domain.domid} has no right to interrupt ${pirq}`, { domid: domain.domid, pirq });
}

/** Whether a pirq's port was bound by one that shares. */
export function sharesPirq(data: number): boolean {
  return (data >>> PortRecord.WILL_SHARE_BIT) === 1;
}
