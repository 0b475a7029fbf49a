import { type ConfigField, type FieldDevice, rawField } from './config-field';
import { maskOf } from './raw-config';
import { type OpResult, PCI_ERR } from './types';

/**
 * Puts the bytes of `part`, which has `bytes` bytes and begins `distance` bytes behind `whole` (or before it), over those of
 * `whole`. Bytes beyond the fourth are lost; nothing is cut to the size of an access.
 */
function merge(whole: number, part: number, bytes: number, distance: number): number {
  const shift = Math.abs(distance) * 8;
  const mask = distance >= 0 ? maskOf(bytes) << shift : maskOf(bytes) >>> shift;
  const moved = distance >= 0 ? part << shift : part >>> shift;
  return ((whole & ~mask) | (moved & mask)) >>> 0;
}

/** The config space of one device as its guest has it. */
export class VirtualConfig {
  readonly #device: FieldDevice;
  readonly #fixed: readonly ConfigField[];
  #quirks: ConfigField[] = [];
  #warned = false;

  /** `fields`: in the order in which a write that meets several is given to them. */
  constructor(device: FieldDevice, fields: readonly ConfigField[]) {
    this.#device = device;
    this.#fixed = fields;
  }

  get fields(): readonly ConfigField[] {
    return [...this.#fixed, ...this.#quirks];
  }

  /** One that begins where another does changes nothing. */
  addQuirk(off: number, size: 1 | 2 | 4, mask: number): void {
    if (this.fields.some((field) => field.off === off)) return;
    this.#quirks.push(rawField('quirk', off, size, mask));
  }

  dropQuirks(): void {
    this.#quirks = [];
  }

  #overlapping(off: number, size: number): ConfigField[] {
    return this.fields.filter((field) => field.off < off + size && off < field.off + field.size);
  }

  /** The hardware's bytes, and over them those of each field. The value is not cut to the size of the access. */
  read(off: number, size: number): OpResult {
    if (!valid(off, size)) return { err: PCI_ERR.INVALID_OFFSET, value: 0 };
    let value = this.#device.raw.read(off, size);
    if (value < 0) return { err: value, value: 0 };
    for (const field of this.#overlapping(off, size)) {
      const own = field.read(this.#device);
      if (own < 0) return { err: own, value };
      value = merge(value, own, field.size, field.off - off);
    }
    return { err: 0, value };
  }

  /**
   * Each field gets its own value with the written bytes over it; bytes that no field has are dropped then. A write that
   * meets no field goes to the hardware when the guest is trusted with that, and else nowhere, which is no error: there
   * is one warning.
   */
  write(off: number, size: number, value: number): OpResult {
    if (!valid(off, size)) return { err: PCI_ERR.INVALID_OFFSET, value: 0 };
    const fields = this.#overlapping(off, size);
    if (fields.length === 0) return { err: this.#writeUnlisted(off, size, value), value: 0 };
    let first = 0;
    for (const field of fields) {
      const now = field.read(this.#device);
      if (now < 0) return { err: first < 0 ? first : now, value: 0 };
      // Linux keeps the last field's result, so that a refusal is lost when another field follows; here the first counts
      const err = field.write?.(this.#device, (merge(now, value, size, off - field.off) & maskOf(field.size)) >>> 0) ?? 0;
      if (first === 0) first = err;
    }
    return { err: first, value: 0 };
  }

  #writeUnlisted(off: number, size: number, value: number): number {
    const device = this.#device;
    if (device.permissive) return device.raw.write(off, size, value);
    if (!this.#warned) {
      this.#warned = true;
      device.warn(`Driver tried to write to a read-only configuration space field at offset 0x${off.toString(16)}, size ${size}. `
        + 'This may be harmless, but if you have problems with your device:\n1) see permissive attribute in sysfs\n'
        + '2) report problems to whoever keeps this machine.');
    }
    return 0;
  }
}

function valid(off: number, size: number): boolean {
  return (size === 1 || size === 2 || size === 4) && off % size === 0;
}
