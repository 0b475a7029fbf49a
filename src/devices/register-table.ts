/** One row of a register map, in the order of its specification. */
export interface RegisterRow {
  /** The specification's name. */
  name: string;
  /** Byte offset in the BAR, a multiple of 4. */
  off: number;
  /** 8 for a register of two dwords with the same masks. */
  bytes: 4 | 8;
  /** Value after reset (the low dword of eight bytes; the high one is 0). */
  reset: number;
  writeMask: number;
  /** Bits that a written 1 clears. */
  w1c: number;
  /** CellFlag: valid widths, side effects. */
  flags: number;
  meaning: string;
}
