/** A client in the same process: what libxenstore is to a tool. It speaks the wire protocol like everyone else. */

import { bytesOf, concat, textOf } from './bytes';
import type { Connection } from './connection';
import type { Xenstored } from './daemon';
import { ERROR_NAMES, XenstoreError } from './errors';
import type { ErrorName } from './errors';
import { decodeStrings, encodeMessage, encodeStrings, MessageReader, XS } from './wire';
import type { Message } from './wire';

export interface WatchEvent {
  readonly path: string;
  readonly token: string;
}

/** Attempts at a transaction that others keep getting in the way of. */
const ATTEMPTS = 100;

/** Reads and writes, inside a transaction or outside. */
export class StoreAccess {
  readonly #ask: (type: number, payload: Uint8Array) => Uint8Array;

  constructor(ask: (type: number, payload: Uint8Array) => Uint8Array) {
    this.#ask = ask;
  }

  /** The value, one character a byte. */
  read(path: string): string {
    return textOf(this.readBytes(path));
  }

  readBytes(path: string): Uint8Array {
    return this.#ask(XS.READ, encodeStrings(path));
  }

  /** The value, or undefined if there is no such node. */
  readIfThere(path: string): string | undefined {
    try {
      return this.read(path);
    } catch (error) {
      if (error instanceof XenstoreError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  write(path: string, value: string | Uint8Array): void {
    this.#ask(XS.WRITE, concat(encodeStrings(path), typeof value === 'string' ? bytesOf(value) : value));
  }

  mkdir(path: string): void {
    this.#ask(XS.MKDIR, encodeStrings(path));
  }

  rm(path: string): void {
    this.#ask(XS.RM, encodeStrings(path));
  }

  /** Names of the children, piece by piece if there are too many for one message. */
  directory(path: string): string[] {
    try {
      return decodeStrings(this.#ask(XS.DIRECTORY, encodeStrings(path))) ?? [];
    } catch (error) {
      if (!(error instanceof XenstoreError) || error.code !== 'E2BIG') throw error;
    }
    let names: string[] = [];
    let offset = 0;
    let generation: string | undefined;
    for (;;) {
      const part = decodeStrings(this.#ask(XS.DIRECTORY_PART, encodeStrings(path, String(offset)))) ?? [];
      const [current, ...found] = part;
      if (generation !== undefined && current !== generation) {
        // Somebody changed it meanwhile: from the start.
        [names, offset] = [[], 0];
        generation = undefined;
        continue;
      }
      generation = current;
      const isLast = found.at(-1) === '';
      if (isLast) found.pop();
      names = names.concat(found);
      offset += found.reduce((sum, name) => sum + name.length + 1, 0);
      if (isLast) return names;
    }
  }

  getPermissions(path: string): string[] {
    return decodeStrings(this.#ask(XS.GET_PERMS, encodeStrings(path))) ?? [];
  }

  setPermissions(path: string, ...permissions: readonly string[]): void {
    this.#ask(XS.SET_PERMS, encodeStrings(path, ...permissions));
  }
}

export class XenstoreClient extends StoreAccess {
  readonly connection: Connection;
  /** Called for each event; without it events wait in `takeEvents`. */
  onEvent: ((event: WatchEvent) => void) | undefined;
  readonly #store: Xenstored;
  readonly #reader = new MessageReader();
  /** Replies by request id: another client that hears of a request may use this one before it returns. */
  readonly #replies = new Map<number, Message>();
  #nextId = 1;
  /** Requests under way. */
  #asking = 0;
  #events: WatchEvent[] = [];
  #telling = false;

  constructor(store: Xenstored, domid = 0, connection = store.connect(domid)) {
    super((type, payload) => this.request(type, payload));
    this.#store = store;
    this.connection = connection;
    connection.onOutput = () => {
      this.#drain();
      // Not in the middle of a request, which whoever is told might make another.
      if (this.#asking === 0) this.#tell();
    };
  }

  /** One request and its reply; throws what the store answers. */
  request(type: number, payload: Uint8Array, transactionId = 0): Uint8Array {
    const requestId = this.#nextId;
    this.#nextId = (requestId + 1) >>> 0;
    this.#asking++;
    try {
      this.#store.receive(this.connection, encodeMessage({ type, requestId, transactionId, payload }));
    } finally {
      this.#asking--;
    }
    this.#drain();
    const reply = this.#replies.get(requestId);
    if (reply === undefined) throw new XenstoreError('EIO', 'the store does not answer on this connection');
    this.#replies.delete(requestId);
    if (this.#asking === 0) this.#tell();
    if (reply.type !== XS.ERROR) return reply.payload;
    const name = decodeStrings(reply.payload)?.[0];
    const path = textOf(payload).split('\0')[0];
    const sentence = `the store refuses request ${type} for '${path}': ${name}`;
    throw new XenstoreError(isErrorName(name) ? name : 'EINVAL', sentence, { type, path });
  }

  watch(path: string, token: string): void {
    this.request(XS.WATCH, encodeStrings(path, token));
  }

  unwatch(path: string, token: string): void {
    this.request(XS.UNWATCH, encodeStrings(path, token));
  }

  takeEvents(): WatchEvent[] {
    this.#drain();
    const events = this.#events;
    this.#events = [];
    return events;
  }

  begin(): number {
    return Number(decodeStrings(this.request(XS.TRANSACTION_START, encodeStrings('')))?.[0]);
  }

  /** What a transaction with that id sees and does. */
  within(transactionId: number): StoreAccess {
    return new StoreAccess((type, payload) => this.request(type, payload, transactionId));
  }

  end(transactionId: number, commit: boolean): void {
    this.request(XS.TRANSACTION_END, encodeStrings(commit ? 'T' : 'F'), transactionId);
  }

  /** Does all of `work` at once, again if somebody else was in the way; nothing of it if it throws. */
  transaction<T>(work: (inside: StoreAccess) => T): T {
    for (let attempt = 1; ; attempt++) {
      const id = this.begin();
      let result: T;
      try {
        result = work(this.within(id));
      } catch (error) {
        this.end(id, false);
        throw error;
      }
      try {
        this.end(id, true);
        return result;
      } catch (error) {
        if (!(error instanceof XenstoreError) || error.code !== 'EAGAIN' || attempt === ATTEMPTS) throw error;
      }
    }
  }

  close(): void {
    this.#store.disconnect(this.connection);
  }

  #drain(): void {
    const { output } = this.connection;
    this.#reader.push(output.take(output.bytes));
    for (let message = this.#reader.next(); message !== undefined; message = this.#reader.next()) {
      const [path = '', token = ''] = message.type === XS.WATCH_EVENT ? decodeStrings(message.payload) ?? [] : [];
      if (message.type === XS.WATCH_EVENT) this.#events.push({ path, token });
      else this.#replies.set(message.requestId, message);
    }
  }

  /** One event after the other, though the receiver of one may cause more. */
  #tell(): void {
    if (this.onEvent === undefined || this.#telling) return;
    this.#telling = true;
    try {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) this.onEvent?.(event);
    } finally {
      this.#telling = false;
    }
  }
}

function isErrorName(name: string | undefined): name is ErrorName {
  return ERROR_NAMES.some((one) => one === name);
}
