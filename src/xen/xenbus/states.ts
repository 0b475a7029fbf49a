/** States of an end of a split driver, as they stand in its key `state` (public/io/xenbus.h). */
export const XENBUS = {
  /** No node, or nothing that is a state. */
  UNKNOWN: 0,
  INITIALISING: 1,
  INIT_WAIT: 2,
  INITIALISED: 3,
  CONNECTED: 4,
  CLOSING: 5,
  CLOSED: 6,
  RECONFIGURING: 7,
  RECONFIGURED: 8,
} as const;

export type XenbusState = (typeof XENBUS)[keyof typeof XENBUS];

/** What a node's text says; UNKNOWN for all that is no state. */
export function parseState(text: string | undefined): XenbusState {
  return text !== undefined && /^[0-8]$/.test(text) ? Number(text) as XenbusState : XENBUS.UNKNOWN;
}
