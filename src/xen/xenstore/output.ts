/** What a client has not taken yet: replies and events in one queue, in order. */

/** A request with what it has caused. It is outstanding until the reply and all events have been taken. */
export interface Cause {
  /** Entries in any queue that it has caused. */
  pending: number;
  readonly owner: { outstanding: number };
}

/** One entry fewer is pending. */
export function settle(cause: Cause | undefined): void {
  if (cause && --cause.pending === 0) cause.owner.outstanding--;
}

export interface OutputEntry {
  readonly bytes: Uint8Array;
  /** Path and token of an event, which need not be queued twice. */
  readonly event: string | undefined;
  /** When an event that nobody takes is dropped. */
  readonly deadline: number | undefined;
  readonly cause: Cause | undefined;
}

export class OutputQueue {
  #entries: OutputEntry[] = [];
  /** Events in the queue, to find a second one at once. */
  readonly #events = new Set<string>();
  /** Bytes of the first entry that have been taken. */
  #taken = 0;
  #bytes = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  hasEvent(event: string): boolean {
    return this.#events.has(event);
  }

  push(entry: OutputEntry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes.length;
    if (entry.event !== undefined) this.#events.add(entry.event);
    if (entry.cause) entry.cause.pending++;
  }

  /** Up to `most` bytes, which are gone from the queue. */
  take(most: number): Uint8Array {
    const taken = new Uint8Array(Math.min(most, this.#bytes));
    let at = 0;
    let done = 0;
    for (const { bytes } of this.#entries) {
      if (at === taken.length) break;
      const part = bytes.subarray(this.#taken, this.#taken + taken.length - at);
      taken.set(part, at);
      at += part.length;
      this.#taken += part.length;
      if (this.#taken < bytes.length) break;
      this.#taken = 0;
      done++;
    }
    this.#bytes -= at;
    this.#settle(this.#entries.splice(0, done));
    return taken;
  }

  /** Drops events whose time is over, except one that is half taken. */
  expire(now: number): void {
    const isOver = ({ deadline }: OutputEntry, index: number): boolean =>
      deadline !== undefined && deadline <= now && (index > 0 || this.#taken === 0);
    const over = this.#entries.filter(isOver);
    if (over.length === 0) return;
    this.#entries = this.#entries.filter((entry) => !over.includes(entry));
    for (const { bytes } of over) this.#bytes -= bytes.length;
    this.#settle(over);
  }

  clear(): void {
    const dropped = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    this.#taken = 0;
    this.#settle(dropped);
  }

  /** What is left; the first may have been taken in part. */
  get rest(): readonly OutputEntry[] {
    return this.#entries;
  }

  /** Bytes of the first entry that have been taken already. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes up where another queue was left. */
  restore(entries: readonly OutputEntry[], taken: number): void {
    for (const entry of entries) this.push(entry);
    this.#taken = taken;
    this.#bytes -= taken;
  }

  #settle(entries: readonly OutputEntry[]): void {
    for (const { event, cause } of entries) {
      if (event !== undefined) this.#events.delete(event);
      settle(cause);
    }
  }
}
