/** Bytes of a config space, and words for its bits. */

export class ConfigBytes {
  readonly size: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.size = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** What is behind the end reads as 0. */
  u8(off: number): number {
    return off < this.size ? this.#view.getUint8(off) : 0;
  }

  u16(off: number): number {
    return this.u8(off) | this.u8(off + 1) << 8;
  }

  u32(off: number): number {
    return (this.u16(off) | this.u16(off + 2) << 16) >>> 0;
  }
}

/** Names of bits, in the order in which they are printed. */
export type Bits = ReadonlyArray<readonly [name: string, mask: number]>;

/** `Name+` for a bit that is set, `Name-` for one that is not. */
export function flags(value: number, bits: Bits): string {
  return bits.map(([name, mask]) => `${name}${sign((value & mask) !== 0)}`).join(' ');
}

export function sign(isSet: boolean): string {
  return isSet ? '+' : '-';
}

export function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** Bits `low` to `low + count - 1`. */
export function bitsOf(value: number, low: number, count: number): number {
  return (value >>> low) & (2 ** count - 1);
}
