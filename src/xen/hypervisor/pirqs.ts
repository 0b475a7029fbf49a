// Physical interrupts of domains. A domain has numbers of its own (pirqs) for host interrupts: INTx lines, which are
// host interrupts under their own number, and messages, which follow from a base on, one for each vector. Which vector
// leads where is in the engine's state, for the delivery and for a snapshot. Rights are kept by host interrupt (XSA-46).
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
/** Interrupts of the I/O APIC: what a GSI can be. */
export const GSIS = 24;
/** First number that is given for a line when the caller leaves it open. */
const FIRST_FREE_LINE_PIRQ = 16;

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

  /** Host interrupt of the first message. */
  msiIrqBase: number = Machine.INTX_LINES;
  /** Told when a message has been bound to a port, or is no more. */
  onBound: ((vector: number, bound: boolean) => void) | undefined;

  constructor(engine: Engine, table: DomainTable) {
    this.#engine = engine;
    this.#table = table;
  }

  // ---- numbers

  #message(domain: Domain, pirq: number): VectorTarget | undefined {
    return this.vectors.find((one) => one.domid === domain.domid && one.pirq === pirq);
  }

  irqOfVector(vector: number): number {
    return this.msiIrqBase + vector - FIRST_VECTOR;
  }

  /** The INTx line behind a domain's number. */
  lineOf(domain: Domain, pirq: number): number | undefined {
    const mapped = domain.pirqs.get(pirq);
    if (mapped !== undefined) return mapped;
    if (!domain.identityPirqs || !(pirq >= 0 && pirq < Machine.INTX_LINES)) return undefined;
    return [...domain.pirqs.values()].includes(pirq) ? undefined : pirq;
  }

  /** The host interrupt behind a domain's number. */
  irqOf(domain: Domain, pirq: number): number | undefined {
    const line = this.lineOf(domain, pirq);
    if (line !== undefined) return line;
    const message = this.#message(domain, pirq);
    return message && this.irqOfVector(message.vector);
  }

  /** A domain's number for a host interrupt. */
  pirqOf(domain: Domain, irq: number): number | undefined {
    for (const [pirq, line] of domain.pirqs) if (line === irq) return pirq;
    const message = this.vectors.find((one) => one.domid === domain.domid && this.irqOfVector(one.vector) === irq);
    if (message !== undefined) return message.pirq;
    return this.lineOf(domain, irq) === irq ? irq : undefined;
  }

  #free(domain: Domain, pirq: number): boolean {
    return !domain.pirqs.has(pirq) && this.#message(domain, pirq) === undefined;
  }

  /**
   * Maps a line under a number, or with -1 under the lowest free one from 16 on; answers the number. Throws EINVAL for a
   * number out of range, EEXIST when the line has another number already, EBUSY when the number is another's (a live
   * mapping is never replaced), ENOSPC.
   */
  mapLine(domain: Domain, line: number, pirq: number): number {
    if (pirq >= domain.nrPirqs || pirq < -1) {
      throw new HypercallError('EINVAL', `${pirq} is not within 0 to ${domain.nrPirqs - 1}`, { pirq });
    }
    for (const [number, mapped] of domain.pirqs) {
      if (mapped !== line) continue;
      if (pirq === -1 || pirq === number) return number;
      throw new HypercallError('EEXIST', `host interrupt ${line} is interrupt ${number} of domain ${domain.domid} already`,
        { pirq, line });
    }
    let number = pirq === -1 ? FIRST_FREE_LINE_PIRQ : pirq;
    while (pirq === -1 && number < domain.nrPirqs && !this.#free(domain, number)) number++;
    if (number >= domain.nrPirqs) {
      throw new HypercallError('ENOSPC', `domain ${domain.domid} has no number for an interrupt left`, { domid: domain.domid });
    }
    if (!this.#free(domain, number)) {
      throw new HypercallError('EBUSY', `interrupt ${number} of domain ${domain.domid} is another host interrupt`, { pirq });
    }
    const before = this.lineOf(domain, number);
    if (before !== line && (this.linePort(domain.slot, line) !== 0
      || (before !== undefined && this.linePort(domain.slot, before) !== 0))) {
      throw new HypercallError('EBUSY', `host interrupt ${line}, or interrupt ${number} as it was, is bound by domain `
        + `${domain.domid}`, { pirq, line });
    }
    domain.pirqs.set(number, line);
    return number;
  }

  unmapLine(domain: Domain, pirq: number): void {
    domain.pirqs.delete(pirq);
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

  /**
   * PHYSDEVOP_map_pirq of a message: a vector, and the domain's number for it; with -1 the highest free one. The right to
   * the interrupt comes with it. Throws ENOSPC when there is none, EBUSY for a number in use.
   */
  mapMessage(domain: Domain, routing: number, wanted = -1): { vector: number; pirq: number } {
    const targets = this.vectors;
    const taken = new Set(targets.map(({ vector }) => vector));
    let vector = FIRST_VECTOR;
    while (taken.has(vector)) vector++;
    if (vector > LAST_VECTOR) throw new HypercallError('ENOMEM', 'no interrupt vector is left (0x30 to 0xef)');
    let pirq = wanted === -1 ? domain.nrPirqs - 1 : wanted;
    const lowest = domain.identityPirqs ? Machine.INTX_LINES : FIRST_FREE_LINE_PIRQ;
    if (wanted === -1) {
      while (pirq >= lowest && !this.#free(domain, pirq)) pirq--;
      if (pirq < lowest) throw new HypercallError('ENOSPC', `domain ${domain.domid} has no number for an interrupt left`);
    } else if (!(pirq >= 0 && pirq < domain.nrPirqs)) {
      throw new HypercallError('EINVAL', `${pirq} is not within 0 to ${domain.nrPirqs - 1}`, { pirq });
    } else if (!this.#free(domain, pirq) || this.lineOf(domain, pirq) !== undefined) {
      throw new HypercallError('EBUSY', `interrupt ${pirq} of domain ${domain.domid} is another host interrupt`, { pirq });
    }
    const record = vectorOff(vector);
    this.#setHalf(record + VectorRecord.SLOT, domain.slot + 1);
    this.#setHalf(record + VectorRecord.PORT, 0);
    this.#setHalf(record + VectorRecord.ROUTING, routing);
    this.#setHalf(record + VectorRecord.PIRQ, pirq);
    const irq = this.irqOfVector(vector);
    domain.irq.add(irq, irq);
    return { vector, pirq };
  }

  /** Takes a vector and the right to its interrupt back. */
  unmapMessage(vector: number): void {
    const target = this.vectors.find((one) => one.vector === vector);
    const irq = this.irqOfVector(vector);
    if (target !== undefined) this.#table.domain(target.domid).irq.remove(irq, irq);
    this.#engine.setWord64(vectorOff(vector), 0);
  }

  /** Throws EPERM when the domain has no right to what is behind its number, or nothing is. */
  requireRight(domain: Domain, pirq: number): void {
    const irq = this.irqOf(domain, pirq);
    if (irq === undefined || !domain.irq.has(irq, irq)) throw refused(domain, pirq);
  }

  /** Lets a pirq that the domain has the right to arrive at a port. Throws EBUSY when it is in use and not to be shared. */
  bind(domain: Domain, pirq: number, port: number, flags: number, shared: (line: number) => boolean): void {
    const line = this.lineOf(domain, pirq);
    if (line === undefined) {
      const target = this.#message(domain, pirq);
      if (target === undefined) throw refused(domain, pirq);
      this.#setHalf(vectorOff(target.vector) + VectorRecord.PORT, port);
      this.onBound?.(target.vector, true);
      return;
    }
    const record = lineOff(line);
    const others = this.sharers(line);
    const willShare = (flags & Evtchn.WILL_SHARE) !== 0;
    if (others.length > 0 && (!willShare || !shared(line) || others.length >= MAX_SHARERS)) {
      throw new HypercallError('EBUSY', `interrupt ${pirq} is in use, and not all of its users share`, { pirq });
    }
    this.#setBit(record + LineRecord.BOUND, domain.slot, true);
    this.#setHalf(this.linePortOff(domain, line), port);
  }

  unbind(domain: Domain, pirq: number): void {
    const line = this.lineOf(domain, pirq);
    if (line === undefined) {
      const target = this.#message(domain, pirq);
      if (target === undefined) return;
      this.#setHalf(vectorOff(target.vector) + VectorRecord.PORT, 0);
      this.onBound?.(target.vector, false);
      return;
    }
    const record = lineOff(line);
    this.#setBit(record + LineRecord.BOUND, domain.slot, false);
    this.#setBit(record + LineRecord.IN_FLIGHT, domain.slot, false);
    this.#setHalf(this.linePortOff(domain, line), 0);
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
