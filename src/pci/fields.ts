import { PortcullisError } from '../errors';

/** A field of config space: what it holds after reset, what a write stores, which ones clear. */
export interface Field {
  /** As the specification names it. */
  readonly name: string;
  /** Offset from where the structure begins (the header, a capability). */
  readonly off: number;
  readonly bytes: 1 | 2 | 4;
  readonly value: number;
  readonly writable: number;
  readonly clearable: number;
  readonly meaning: string;
}

/** A read-only field that is 0 is the default. */
export function field(name: string, off: number, bytes: 1 | 2 | 4, meaning: string,
  options: Partial<Pick<Field, 'value' | 'writable' | 'clearable'>> = {}): Field {
  return { name, off, bytes, value: 0, writable: 0, clearable: 0, meaning, ...options };
}

/** The planes that the engine keeps of a config space: value, write mask, write-1-clear mask. */
export class ConfigPlanes {
  readonly value: Uint8Array;
  readonly writable: Uint8Array;
  readonly clearable: Uint8Array;
  /** Which field each byte belongs to. */
  readonly #owner: Array<string | undefined>;

  constructor(readonly size: number) {
    this.value = new Uint8Array(size);
    this.writable = new Uint8Array(size);
    this.clearable = new Uint8Array(size);
    this.#owner = new Array(size).fill(undefined);
  }

  /** Adds fields at `base`. Throws CONFIG_OVERLAP for a byte that another field has. */
  add(base: number, owner: string, fields: readonly Field[]): void {
    for (const { name, off, bytes, value, writable, clearable } of fields) {
      const first = base + off;
      for (let i = 0; i < bytes; i++) {
        const other = first + i < this.size ? this.#owner[first + i] : 'the end of config space';
        if (other !== undefined) {
          throw new PortcullisError('CONFIG_OVERLAP',
            `${name} of ${owner} at 0x${first.toString(16)} overlaps ${other}; `
            + 'move one of them', { name, owner, off: first });
        }
        this.#owner[first + i] = `${name} of ${owner}`;
        this.value[first + i] = (value >>> (8 * i)) & 0xff;
        this.writable[first + i] = (writable >>> (8 * i)) & 0xff;
        this.clearable[first + i] = (clearable >>> (8 * i)) & 0xff;
      }
    }
  }
}
