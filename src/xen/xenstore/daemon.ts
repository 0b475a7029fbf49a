/**
 * XenStore as Xen 4.17's C xenstored has it: a tree of small values by which domain 0, its tools and the guests agree
 * on devices. Clients are domains by a shared page, and tools by a stream of bytes; both speak public/io/xs_wire.h.
 *
 * Not modelled: the limit on writes per second while others hold transactions, live update, and what came after 4.17
 * (watches with a depth, messages 23 to 26, entries for any domain).
 */

import type { Connection } from './connection';
import { XenstoreProtocolError } from './errors';
import { DEFAULT_PERMISSIONS, STORE_DOMAIN } from './permissions';
import type { Quotas } from './quotas';
import { serve } from './requests';
import { readRing, RING, RING_ERROR, RingIndexError, setWord, writeRing } from './ring';
import { NO_HOST, StoreState } from './state';
import type { DomainHost } from './state';

/** Turns of reading and writing in one go; a domain that goes on producing meanwhile does not hold up the others. */
const TURNS = 64;

export interface XenstoredOptions {
  readonly host?: DomainHost;
  readonly quotas?: Partial<Quotas>;
}

export class Xenstored {
  readonly state: StoreState;
  #flushing = false;
  #again = false;

  /** `state`: from saved data. */
  constructor({ host = NO_HOST, quotas = {} }: XenstoredOptions = {}, state?: StoreState) {
    this.state = state ?? newState(host, quotas);
  }

  /**
   * A client that is no domain with a page: a tool, which may do everything, or the code of a domain in this very
   * process. It is fed by `receive`; `onOutput` tells that `output` has something for it. One with a key is saved.
   */
  connect(domid = STORE_DOMAIN, key?: string): Connection {
    return this.state.connect(domid, domid === STORE_DOMAIN, key);
  }

  /** The client is gone: so are its watches and transactions. */
  disconnect(connection: Connection): void {
    this.state.disconnect(connection);
    this.flush();
  }

  /** Takes bytes from a client and serves every message that is complete. */
  receive(connection: Connection, bytes: Uint8Array): void {
    connection.reader.push(bytes);
    while (this.step(connection));
  }

  /** Serves one message, if there is a whole one. One that is too long ends the connection. */
  step(connection: Connection): boolean {
    if (!this.state.connections.has(connection) || connection.ignored) return false;
    try {
      const message = connection.reader.next();
      if (message === undefined) return false;
      serve(this.state, connection, message);
    } catch (error) {
      if (!(error instanceof XenstoreProtocolError)) throw error;
      this.#giveUp(connection, RING_ERROR.PROTO);
      return false;
    }
    this.flush();
    return true;
  }

  /** As INTRODUCE does; for a toolstack in this process. */
  introduce(domid: number, gfn: number, port: number): void {
    this.state.introduce(domid, gfn, port);
    this.flush();
  }

  /** The domain is gone, whether it was introduced or not. */
  release(domid: number): void {
    this.state.release(domid);
    this.flush();
  }

  /** The domain has stopped, and is still there. */
  shutdown(domid: number): void {
    this.state.shutdown(domid);
    this.flush();
  }

  /** The domain has signalled its event channel. */
  signal(domid: number): void {
    const connection = this.state.domains.get(domid)?.connection;
    if (connection === undefined) return;
    this.#pump(connection, true);
    this.flush();
  }

  /** Lets time pass, to `now` in milliseconds: events that a domain leaves lying are dropped after 20 s. */
  advance(now: number): void {
    this.state.now = now;
    for (const { output } of this.state.connections) output.expire(now);
  }

  /** Hands output on. A client that sends requests when it gets something is served at once, and told later. */
  flush(): void {
    if (this.#flushing) {
      this.#again = true;
      return;
    }
    this.#flushing = true;
    try {
      do {
        this.#again = false;
        for (const connection of [...this.state.connections]) {
          if (connection.output.isEmpty) continue;
          if (connection.link) this.#pump(connection, false);
          else connection.onOutput?.();
        }
      } while (this.#again);
    } finally {
      this.#flushing = false;
    }
  }

  /** Moves bytes between a page and its connection, both ways or only out. */
  #pump(connection: Connection, both: boolean): void {
    const { link, epoch, reader } = connection;
    if (link === undefined || connection.ignored) return;
    let moved = false;
    try {
      const accept = (available: number): number =>
        (connection.epoch === epoch && this.#mayRead(connection) ? Math.min(reader.missing, available) : 0);
      const give = (bytes: Uint8Array): void => {
        reader.push(bytes);
        const message = reader.next();
        if (message) serve(this.state, connection, message);
      };
      for (let turn = 0; turn < TURNS; turn++) {
        const read = both && this.#mayRead(connection) ? readRing(link, accept, give) : 0;
        const written = writeRing(link, (room) => connection.output.take(room));
        if (read + written === 0) break;
        moved = true;
      }
    } catch (error) {
      if (error instanceof RingIndexError) this.#giveUp(connection, RING_ERROR.RINGIDX);
      else if (error instanceof XenstoreProtocolError) this.#giveUp(connection, RING_ERROR.PROTO);
      else throw error;
      moved = true;
    }
    // Once for all: a signal that is pending already is not signalled again.
    if (moved) link.notify();
  }

  /** A domain at its quota is not read from until it has taken what waits for it. */
  #mayRead(connection: Connection): boolean {
    return !connection.ignored && (connection.privileged
      || (connection.outstanding < this.state.quotas.outstanding && this.state.room(connection) > 0));
  }

  /** A stream ends. A domain stays known, says why in its page, and may be introduced again. */
  #giveUp(connection: Connection, error: number): void {
    if (connection.link === undefined && connection.onEnd !== undefined) {
      this.disconnect(connection);
      return;
    }
    connection.reset();
    connection.ignored = true;
    if (connection.link) setWord(connection.link, RING.ERROR, error);
  }
}

function newState(host: DomainHost, quotas: Partial<Quotas>): StoreState {
  const state = new StoreState(host, quotas);
  const node = { value: new Uint8Array(0), permissions: DEFAULT_PERMISSIONS };
  state.tree.put('/', { ...node, children: ['tool'] });
  state.tree.put('/tool', { ...node, children: ['xenstored'] });
  state.tree.put('/tool/xenstored', { ...node, children: [] });
  // Domain 0 has no page until its kernel is introduced by one.
  const connection = state.connect(STORE_DOMAIN, true, `domain ${STORE_DOMAIN}`);
  state.domains.set(STORE_DOMAIN, { connection, gfn: 0, port: 0, shutdown: false });
  return state;
}
