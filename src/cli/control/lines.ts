/** Bytes that come in pieces, cut at the ends of lines. */

const NEWLINE = 0x0a;

export class Lines {
  readonly #most: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /** `most`: bytes of a line. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The lines that end in this piece, without their newlines; undefined once a line is too long. */
  push(piece: Uint8Array): Uint8Array[] | undefined {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, from)) {
      if (!this.#keep(piece.subarray(from, at))) return undefined;
      lines.push(Buffer.concat(this.#pieces));
      this.#pieces = [];
      this.#bytes = 0;
      from = at + 1;
    }
    return this.#keep(piece.subarray(from)) ? lines : undefined;
  }

  #keep(part: Uint8Array): boolean {
    this.#bytes += part.length;
    if (part.length > 0) this.#pieces.push(part);
    return this.#bytes <= this.#most;
  }
}
