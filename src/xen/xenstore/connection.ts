/** One client: who it is, what it watches, its transactions, and its bytes in both directions. */

import { textOf } from './bytes';
import { OutputQueue } from './output';
import type { Cause } from './output';
import type { Caller } from './permissions';
import type { Link } from './ring';
import type { Transaction } from './transactions';
import { encodeMessage, encodeStrings, MessageReader, PAYLOAD_MAX, XS } from './wire';
import type { Message } from './wire';

/** How long a domain may leave an event lie, in milliseconds. */
const EVENT_TIMEOUT = 20_000;

export interface Watch {
  /** Absolute, or the name of an event. */
  readonly path: string;
  readonly token: string;
  /** The watch was set by a relative path, and its events have relative paths. */
  readonly relativeTo: string | undefined;
}

export class Connection implements Caller {
  /** Name by which a connection is found again in saved data; one without is not saved. */
  readonly key: string | undefined;
  readonly domid: number;
  readonly privileged: boolean;
  target: number | undefined;
  readonly watches: Watch[] = [];
  readonly transactions = new Map<number, Transaction>();
  nextTransaction = 1;
  readonly reader = new MessageReader();
  readonly output = new OutputQueue();
  /** The shared page, if the client comes by one. */
  link: Link | undefined;
  /** Left the protocol: nothing it says is heard, nothing is said to it. */
  ignored = false;
  /** Requests not settled. */
  outstanding = 0;
  /** How often it has been reset. */
  epoch = 0;
  /** Called when there is output. Not while a request is at work. */
  onOutput: (() => void) | undefined;
  /** Called when the store gives the connection up. */
  onEnd: (() => void) | undefined;

  constructor(domid: number, privileged: boolean, key?: string) {
    this.domid = domid;
    this.privileged = privileged;
    this.key = key;
  }

  reply(request: Message, type: number, payload: Uint8Array, cause: Cause | undefined): void {
    const { requestId, transactionId } = request;
    const bytes = encodeMessage({ type, requestId, transactionId, payload });
    this.output.push({ bytes, event: undefined, deadline: undefined, cause });
  }

  /** Queues an event unless it is too long, or just this one waits already. */
  sendEvent(watch: Watch, path: string, now: number, cause: Cause | undefined): void {
    if (this.ignored) return;
    const shown = watch.relativeTo === undefined ? path : path.slice(watch.relativeTo.length + 1);
    const payload = encodeStrings(shown, watch.token);
    if (payload.length > PAYLOAD_MAX) return;
    // A second @releaseDomain may be about another domain.
    const event = path.startsWith('@') ? undefined : textOf(payload);
    if (event !== undefined && this.output.hasEvent(event)) return;
    const bytes = encodeMessage({ type: XS.WATCH_EVENT, requestId: 0, transactionId: 0, payload });
    this.output.push({ bytes, event, deadline: this.privileged ? undefined : now + EVENT_TIMEOUT, cause });
  }

  /** Bytes that are kept for this client beside the nodes it owns. */
  get memory(): number {
    return this.watches.reduce((sum, { path, token }) => sum + path.length + token.length, this.output.bytes);
  }

  /** An id that is not 0 and not in use; ids count up, in 32 bits. */
  takeTransactionId(): number {
    let id = this.nextTransaction;
    while (id === 0 || this.transactions.has(id)) id = (id + 1) >>> 0;
    this.nextTransaction = (id + 1) >>> 0;
    return id;
  }

  forget(): void {
    this.watches.length = 0;
    this.transactions.clear();
  }

  /** Back to the start. */
  reset(): void {
    this.forget();
    this.reader.clear();
    this.output.clear();
    this.ignored = false;
    this.epoch++;
  }
}
