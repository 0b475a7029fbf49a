/** Messages as bytes (public/io/xs_wire.h): a header of four little-endian words, and a payload of up to 4096 bytes. */

import { bytesOf, concat, textOf } from './bytes';
import { XenstoreProtocolError } from './errors';

/** enum xsd_sockmsg_type, as of Xen 4.17. */
export const XS = {
  CONTROL: 0, DIRECTORY: 1, READ: 2, GET_PERMS: 3, WATCH: 4, UNWATCH: 5, TRANSACTION_START: 6, TRANSACTION_END: 7,
  INTRODUCE: 8, RELEASE: 9, GET_DOMAIN_PATH: 10, WRITE: 11, MKDIR: 12, RM: 13, SET_PERMS: 14, WATCH_EVENT: 15,
  ERROR: 16, IS_DOMAIN_INTRODUCED: 17, RESUME: 18, SET_TARGET: 19, RESET_WATCHES: 21, DIRECTORY_PART: 22,
} as const;

export const HEADER_BYTES = 16;
/** XENSTORE_PAYLOAD_MAX, both ways. */
export const PAYLOAD_MAX = 4096;

export interface Message {
  readonly type: number;
  /** Whatever the client likes; its reply has the same. */
  readonly requestId: number;
  /** 0: none. */
  readonly transactionId: number;
  readonly payload: Uint8Array;
}

export function encodeMessage({ type, requestId, transactionId, payload }: Message): Uint8Array {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  [type, requestId, transactionId, payload.length].forEach((word, index) => header.setUint32(4 * index, word, true));
  return concat(new Uint8Array(header.buffer), payload);
}

/** Strings with a NUL behind each, which is how nearly every payload looks. */
export function encodeStrings(...strings: readonly string[]): Uint8Array {
  return bytesOf(strings.map((string) => `${string}\0`).join(''));
}

/** The strings of a payload, or undefined if something follows the last NUL. An empty payload has none. */
export function decodeStrings(payload: Uint8Array): string[] | undefined {
  const strings = textOf(payload).split('\0');
  return strings.pop() === '' ? strings : undefined;
}

/** Puts messages together from a stream of bytes that may break anywhere. */
export class MessageReader {
  readonly #header = new Uint8Array(HEADER_BYTES);
  #payload: Uint8Array | undefined;
  /** Bytes of the current part, header or payload, that are there. */
  #have = 0;
  /** Arrived, and not looked at yet. */
  #waiting: Uint8Array[] = [];

  /** Bytes to keep for later; nothing is looked at yet. */
  push(bytes: Uint8Array): void {
    // The caller's buffer may be guest memory, or used again.
    if (bytes.length > 0) this.#waiting.push(bytes.slice());
  }

  /** How many bytes the current message still needs, as far as is known: its header's rest, then its payload's. */
  get missing(): number {
    const part = this.#payload ?? this.#header;
    this.#fill(part);
    return part.length - this.#have;
  }

  /** The next whole message. Throws if a header announces more than is allowed: there is no way to go on from there. */
  next(): Message | undefined {
    for (;;) {
      this.#fill(this.#payload ?? this.#header);
      if (this.missing > 0) return undefined;
      if (this.#payload === undefined) {
        const length = this.#word(3);
        if (length > PAYLOAD_MAX) {
          throw new XenstoreProtocolError(`a message of ${length} bytes; ${PAYLOAD_MAX} is the most`, { length });
        }
        this.#payload = new Uint8Array(length);
        this.#have = 0;
        continue;
      }
      const payload = this.#payload;
      this.#payload = undefined;
      this.#have = 0;
      return { type: this.#word(0), requestId: this.#word(1), transactionId: this.#word(2), payload };
    }
  }

  /** Bytes of a message that is not complete, and what waits behind it. */
  get rest(): Uint8Array {
    const begun = this.#payload === undefined ? this.#header.subarray(0, this.#have)
      : concat(this.#header, this.#payload.subarray(0, this.#have));
    return concat(begun, ...this.#waiting);
  }

  clear(): void {
    this.#payload = undefined;
    this.#have = 0;
    this.#waiting = [];
  }

  #fill(part: Uint8Array): void {
    while (this.#have < part.length) {
      const first = this.#waiting[0];
      if (first === undefined) return;
      const taken = first.subarray(0, part.length - this.#have);
      part.set(taken, this.#have);
      this.#have += taken.length;
      if (taken.length === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(taken.length);
    }
  }

  #word(index: number): number {
    return new DataView(this.#header.buffer).getUint32(4 * index, true);
  }
}
