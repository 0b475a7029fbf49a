// Clients of a store for its tests: one by a stream of bytes, one by the ring page.
import { bytesOf, textOf } from '../../src/xen/xenstore/bytes';
import type { Connection } from '../../src/xen/xenstore/connection';
import { Xenstored } from '../../src/xen/xenstore/daemon';
import type { DomainHost } from '../../src/xen/xenstore/state';
import { encodeMessage, MessageReader } from '../../src/xen/xenstore/wire';

/** Message types, restated from public/io/xs_wire.h. */
export const TYPE = {
  CONTROL: 0, DIRECTORY: 1, READ: 2, GET_PERMS: 3, WATCH: 4, UNWATCH: 5, START: 6, END: 7, INTRODUCE: 8, RELEASE: 9,
  GET_DOMAIN_PATH: 10, WRITE: 11, MKDIR: 12, RM: 13, SET_PERMS: 14, WATCH_EVENT: 15, ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17, RESUME: 18, SET_TARGET: 19, RESET_WATCHES: 21, DIRECTORY_PART: 22,
} as const;

/** Hexadecimal digits to bytes; blanks do not count. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/\s/g, '').match(/../g) ?? [], (digits) => parseInt(digits, 16));
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A client that sends what it is told to, sound or not. Strings are bytes; `|` stands for NUL. */
export class RawClient {
  readonly store: Xenstored;
  readonly connection: Connection;
  readonly #reader = new MessageReader();
  /** `path token` of each event. */
  readonly #events: string[] = [];

  constructor(store: Xenstored, domid = 0, key?: string) {
    this.store = store;
    this.connection = store.connect(domid, key);
  }

  /** The payload of the reply with `|` for NUL, or `!` and the name of the error. */
  ask(type: number, payload: string, transactionId = 0): string {
    const bytes = bytesOf(payload.replaceAll('|', '\0'));
    this.store.receive(this.connection, encodeMessage({ type, requestId: 7, transactionId, payload: bytes }));
    const replies = this.#take();
    if (replies.length !== 1) throw new Error(`${replies.length} replies to one request`);
    return replies[0] as string;
  }

  read(path: string, transactionId = 0): string {
    return this.ask(TYPE.READ, `${path}|`, transactionId);
  }

  write(path: string, value: string, transactionId = 0): string {
    return this.ask(TYPE.WRITE, `${path}|${value}`, transactionId);
  }

  rm(path: string, transactionId = 0): string {
    return this.ask(TYPE.RM, `${path}|`, transactionId);
  }

  perms(path: string, ...permissions: string[]): string {
    return this.ask(TYPE.SET_PERMS, [path, ...permissions].map((text) => `${text}|`).join(''));
  }

  watch(path: string, token = 't'): string {
    const answer = this.ask(TYPE.WATCH, `${path}|${token}|`);
    // The first event comes with the watch; most tests are about those that follow.
    const first = this.#events.pop();
    if (answer === 'OK|' && first !== `${path} ${token}`) throw new Error(`a watch began with ${first}`);
    return answer;
  }

  start(): number {
    return Number(this.ask(TYPE.START, '|').slice(0, -1));
  }

  end(transactionId: number, how: 'T' | 'F' = 'T'): string {
    return this.ask(TYPE.END, `${how}|`, transactionId);
  }

  events(): string[] {
    this.#take();
    return this.#events.splice(0);
  }

  /** Everything that waits, as bytes. */
  raw(): Uint8Array {
    const { output } = this.connection;
    return output.take(output.bytes);
  }

  #take(): string[] {
    this.#reader.push(this.raw());
    const replies: string[] = [];
    for (let message = this.#reader.next(); message; message = this.#reader.next()) {
      const text = textOf(message.payload).replaceAll('\0', '|');
      if (message.type === TYPE.WATCH_EVENT) this.#events.push(text.slice(0, -1).replace('|', ' '));
      else replies.push(message.type === TYPE.ERROR ? `!${text.slice(0, -1)}` : text);
    }
    return replies;
  }
}

/** Offsets in struct xenstore_domain_interface, restated. */
export const PAGE = {
  reqCons: 2048, reqProd: 2052, rspCons: 2056, rspProd: 2060, features: 2064, connection: 2068, error: 2072,
};

/** A guest's end of the page. */
export class RingGuest {
  readonly page = new Uint8Array(4096);
  readonly view = new DataView(this.page.buffer);
  readonly reader = new MessageReader();
  signals = 0;

  word(offset: number): number {
    return this.view.getUint32(offset, true);
  }

  set(offset: number, value: number): void {
    this.view.setUint32(offset, value, true);
  }

  /** Puts as many bytes as there is room for, and returns how many. */
  put(bytes: Uint8Array): number {
    const prod = this.word(PAGE.reqProd);
    const room = 1024 - ((prod - this.word(PAGE.reqCons)) >>> 0);
    const count = Math.min(room, bytes.length);
    for (let at = 0; at < count; at++) this.page[(prod + at) % 1024] = bytes[at] as number;
    this.set(PAGE.reqProd, prod + count);
    return count;
  }

  /** Takes up to `most` bytes of what the store has written. */
  get(most = 1024): Uint8Array {
    const cons = this.word(PAGE.rspCons);
    const count = Math.min(most, (this.word(PAGE.rspProd) - cons) >>> 0);
    const bytes = Uint8Array.from({ length: count }, (_, at) => this.page[1024 + (cons + at) % 1024] as number);
    this.set(PAGE.rspCons, cons + count);
    return bytes;
  }

  /** Sends one request by the ring, in pieces if it must, and returns all that comes back meanwhile. */
  talk(store: Xenstored, domid: number, type: number, payload: string, requestId = 0): string[] {
    let bytes = encodeMessage({ type, requestId, transactionId: 0, payload: bytesOf(payload.replaceAll('|', '\0')) });
    const found: string[] = [];
    for (let turn = 0; turn < 64; turn++) {
      bytes = bytes.subarray(this.put(bytes));
      store.signal(domid);
      const got = this.get();
      this.reader.push(got);
      for (let message = this.reader.next(); message; message = this.reader.next()) {
        found.push(`${message.type} ${textOf(message.payload).replaceAll('\0', '|')}`);
      }
      if (bytes.length === 0 && got.length === 0) return found;
    }
    throw new Error('the ring stands still');
  }
}

export interface RingStore {
  readonly store: Xenstored;
  readonly guest: RingGuest;
  readonly host: DomainHost;
}

/** A store with a domain that comes by a page. */
export function ringStore(domid = 3, quotas = {}): RingStore {
  const guest = new RingGuest();
  const host: DomainHost = {
    exists: (id) => id < 100,
    connect: (id) => (id === domid ? { page: () => guest.page, notify: () => { guest.signals++; } } : undefined),
  };
  const store = new Xenstored({ host, quotas });
  store.introduce(domid, 0x1234, 9);
  guest.signals = 0;
  return { store, guest, host };
}
