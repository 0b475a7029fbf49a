/**
 * The error classes of the project.
 *
 * An error that a caller may meet is a `PortcullisError` or a subclass: a sentence for people, and a code and fields
 * for programs. The code of a condition does not change between versions; the sentence may.
 */

/** Plain data that goes with an error: what was found, where, and what would have been allowed. */
export type ErrorFields = Readonly<Record<string, unknown>>;

export class PortcullisError extends Error {
  /** Stable, in upper snake case, such as `PCAP_FRAME_TOO_LONG`. */
  readonly code: string;
  readonly fields: ErrorFields;

  /**
   * @param code stable name of the condition
   * @param message one sentence or two: where, what was found, what is allowed, what to do
   * @param fields the same facts as plain data; copied (shallow) and frozen
   * @param options `cause`: the error behind this one, if any
   */
  constructor(code: string, message: string, fields: Record<string, unknown> = {}, options?: { cause?: unknown }) {
    super(message, options);
    // A literal, not `new.target.name`, which a minifier changes; a subclass sets its own.
    this.name = 'PortcullisError';
    this.code = code;
    this.fields = Object.freeze({ ...fields });
  }
}
