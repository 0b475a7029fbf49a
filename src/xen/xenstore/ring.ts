/**
 * The page that a domain shares with the store: struct xenstore_domain_interface of public/io/xs_wire.h. Two rings of
 * 1024 bytes with free-running indices. All of the page is the domain's to write at any time, so each index is read
 * once, checked, and then only the copy is used.
 */

/** The page and the way to signal its domain. */
export interface Link {
  /** The bytes of the page. Asked for anew each time: a view may not outlive a growing memory. */
  page(): Uint8Array;
  /** Signals the event channel: after producing, and after consuming. */
  notify(): void;
}

export const RING_BYTES = 1024;

export const RING = {
  REQ: 0, RSP: 1024, REQ_CONS: 2048, REQ_PROD: 2052, RSP_CONS: 2056, RSP_PROD: 2060, SERVER_FEATURES: 2064,
  CONNECTION: 2068, ERROR: 2072,
} as const;

/** XENSTORE_SERVER_FEATURE_ERROR: the word `error` means something. Reconnection and later ones are not offered. */
export const FEATURE_ERROR = 2;
export const CONNECTED = 0;
export const RECONNECT = 1;
export const RING_ERROR = { NONE: 0, COMM: 1, RINGIDX: 2, PROTO: 3 } as const;

/** An index from the domain that no sound domain would write. */
export class RingIndexError extends Error {}

function words(page: Uint8Array): DataView {
  return new DataView(page.buffer, page.byteOffset, page.byteLength);
}

export function setWord(link: Link, offset: number, value: number): void {
  words(link.page()).setUint32(offset, value, true);
}

/** Both rings empty, both parties connected. The domain waits for that if it asked for it. */
export function resetRing(link: Link): void {
  const view = words(link.page());
  for (const index of [RING.REQ_CONS, RING.REQ_PROD, RING.RSP_CONS, RING.RSP_PROD]) view.setUint32(index, 0, true);
  view.setUint32(RING.SERVER_FEATURES, FEATURE_ERROR, true);
  view.setUint32(RING.ERROR, RING_ERROR.NONE, true);
  const waits = view.getUint32(RING.CONNECTION, true) === RECONNECT;
  view.setUint32(RING.CONNECTION, CONNECTED, true);
  if (waits) link.notify();
}

/** What the domain has sent, for `accept` to take piece by piece; returns how many bytes were taken. */
export function readRing(link: Link, accept: (available: number) => number, give: (bytes: Uint8Array) => void): number {
  const page = link.page();
  const view = words(page);
  const first = view.getUint32(RING.REQ_CONS, true);
  const available = (view.getUint32(RING.REQ_PROD, true) - first) >>> 0;
  if (available > RING_BYTES) throw new RingIndexError();
  let taken = 0;
  while (taken < available) {
    const wanted = accept(available - taken);
    if (wanted === 0) break;
    const bytes = new Uint8Array(wanted);
    // A handler may make memory grow, so the page is asked for again.
    const now = link.page();
    for (let at = 0; at < wanted; at++) bytes[at] = now[RING.REQ + (first + taken + at) % RING_BYTES] as number;
    taken += wanted;
    // Before the message is handled, which may reset the ring.
    setWord(link, RING.REQ_CONS, first + taken);
    give(bytes);
  }
  return taken;
}

/** Puts as much as there is room for; `take` gets the room and returns at most so many bytes. */
export function writeRing(link: Link, take: (room: number) => Uint8Array): number {
  const page = link.page();
  const view = words(page);
  const first = view.getUint32(RING.RSP_PROD, true);
  const used = (first - view.getUint32(RING.RSP_CONS, true)) >>> 0;
  if (used > RING_BYTES) throw new RingIndexError();
  const bytes = take(RING_BYTES - used);
  for (let at = 0; at < bytes.length; at++) page[RING.RSP + (first + at) % RING_BYTES] = bytes[at] as number;
  if (bytes.length > 0) view.setUint32(RING.RSP_PROD, first + bytes.length, true);
  return bytes.length;
}
