import { Trace, TraceCategory, TraceRecord } from '../../assembly/spec/trace';
import { State } from '../../assembly/spec/state';
import { PortcullisError } from '../errors';
import type { Heap } from './heap';

/** Kinds of event, in the order of their bits. */
export const TRACE_CATEGORIES = [
  'mmio', 'port', 'config', 'dma', 'fault', 'invalidation', 'message', 'intx', 'hypercall', 'bar',
] as const;

export type TraceKind = (typeof TRACE_CATEGORIES)[number];

export interface TraceEvent {
  /** Virtual time, ns. */
  timeNs: number;
  kind: TraceKind;
  /** Domain slot (mmio, port, hypercall), requester id (fault, message) or function slot (the others). */
  who: number;
  /** Guest address, port, config offset, bus address, iova; the high qword of an invalidation descriptor; a line. */
  address: number;
  /** Value, length, machine frame; the low dword of an invalidation descriptor; a level. */
  value: number;
  write: boolean;
  /** Bytes of an access, which iommu_op (1 map, 2 unmap, 3 flush), or an interrupt's vector. */
  width: number;
  /** Status of an access, reason of a fault, pages of an iommu_op. */
  status: number;
}

export interface TraceOptions {
  /** Kinds to record (default: all). */
  kinds?: readonly TraceKind[];
  /** Records, a power of two from 4096 (default 16384). */
  capacity?: number;
  /** Ends a batch when there is no room, rather than losing events: `service` then answers MORE until `drain`. */
  lossless?: boolean;
}

interface TraceEngine {
  readonly heap: Heap;
  word(off: number): number;
  word64(off: number): number;
  setWord(off: number, value: number): void;
  stateBytes(off: number, length: number): Uint8Array;
}

/** The engine's event trace. Off, it costs next to nothing; on, events are records in memory until they are drained. */
export class EventTrace {
  readonly #engine: TraceEngine;
  #records: number;
  #capacity: number;

  /** The trace that the state has, if it comes from a snapshot. */
  constructor(engine: TraceEngine) {
    this.#engine = engine;
    this.#records = engine.word(State.TRACE + Trace.RECORDS);
    this.#capacity = engine.word(State.TRACE + Trace.CAPACITY);
  }

  start(options: TraceOptions = {}): void {
    const capacity = options.capacity ?? 16384;
    if (!Number.isInteger(capacity) || capacity < 4096 || capacity > 2 ** 24 || (capacity & (capacity - 1)) !== 0) {
      throw new PortcullisError('BAD_TRACE', `a trace of ${capacity} records; it must be a power of two from 4096 to 16777216`, { capacity });
    }
    this.stop();
    this.#records = this.#engine.heap.take(capacity * TraceRecord.SIZE_OF, 'the event trace');
    this.#capacity = capacity;
    const set = (word: Trace, value: number): void => this.#engine.setWord(State.TRACE + word, value);
    set(Trace.RECORDS, this.#records);
    set(Trace.CAPACITY, capacity);
    set(Trace.LOSSLESS, options.lossless ? 1 : 0);
    for (const word of [Trace.HEAD, Trace.TAIL, Trace.LOST, Trace.LOST + 4]) set(word, 0);
    set(Trace.MASK, options.kinds === undefined ? TraceCategory.ALL
      : options.kinds.reduce((mask, kind) => mask | 1 << TRACE_CATEGORIES.indexOf(kind), 0));
  }

  /** Events that found no room; never any in lossless mode. */
  get lost(): number {
    return this.#engine.word64(State.TRACE + Trace.LOST);
  }

  /** Lossless, and without room for another step: nothing goes on before `drain`. */
  get full(): boolean {
    const word = (at: Trace): number => this.#engine.word(State.TRACE + at);
    if (word(Trace.LOSSLESS) === 0) return false;
    return word(Trace.CAPACITY) - ((word(Trace.TAIL) - word(Trace.HEAD)) >>> 0) < Trace.RESERVE;
  }

  /** Takes the events recorded so far, oldest first. */
  drain(): TraceEvent[] {
    const engine = this.#engine;
    const events: TraceEvent[] = [];
    const tail = engine.word(State.TRACE + Trace.TAIL);
    let head = engine.word(State.TRACE + Trace.HEAD);
    for (; head !== tail; head = (head + 1) >>> 0) {
      const off = this.#records + (head & (this.#capacity - 1)) * TraceRecord.SIZE_OF;
      const detail = engine.word(off + TraceRecord.DETAIL);
      events.push({
        timeNs: engine.word64(off + TraceRecord.TIME),
        kind: TRACE_CATEGORIES[31 - Math.clz32(engine.word(off + TraceRecord.CATEGORY))] as TraceKind,
        who: engine.word(off + TraceRecord.WHO), address: engine.word64(off + TraceRecord.ADDRESS),
        value: engine.word(off + TraceRecord.VALUE), write: (detail & 0x100) !== 0, width: detail & 0xff, status: detail >>> 16,
      });
    }
    engine.setWord(State.TRACE + Trace.HEAD, tail);
    return events;
  }

  /** Ends it and gives its memory back; what was not drained is gone. */
  stop(): void {
    if (this.#capacity === 0) return;
    for (const word of [Trace.MASK, Trace.LOSSLESS, Trace.CAPACITY, Trace.HEAD, Trace.TAIL]) this.#engine.setWord(State.TRACE + word, 0);
    this.#engine.heap.give(this.#records, this.#capacity * TraceRecord.SIZE_OF);
    this.#capacity = 0;
  }
}
