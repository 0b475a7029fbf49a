import { Pci } from '../../../assembly/spec/pci';
import type { ConfigAccess } from '../../pci/access';
import { EINVAL } from './linux-errno';
import { PCI_ERR } from './types';

/** Bytes of 1, 2 and 4 byte accesses, all ones. */
export function maskOf(size: number): number {
  return size === 4 ? 0xffffffff : (1 << (size * 8)) - 1;
}

/**
 * The real config space, as the PCI core of the first domain's kernel gives it to pciback: nothing outside 0 to FFF, and
 * nothing unaligned. What a function does not have of these 4096 bytes reads as ones.
 */
export class RawConfig {
  readonly access: ConfigAccess;
  readonly #size: number;

  /** `size`: bytes of config space that the function has. */
  constructor(access: ConfigAccess, size: number) {
    this.access = access;
    this.#size = size;
  }

  /** Whether the function has all bytes of the access. */
  has(off: number, size: number): boolean {
    return off >= 0 && off + size <= this.#size;
  }

  /** The value, or a negative error. `size`: 1, 2 or 4. */
  read(off: number, size: number): number {
    if (off % size !== 0) return PCI_ERR.INVALID_OFFSET;
    if (off < 0 || off + size > Pci.EXTENDED_CONFIG_SIZE) return -EINVAL;
    return this.has(off, size) ? this.access.read(off, size as 1 | 2 | 4) >>> 0 : maskOf(size);
  }

  /** 0, or a negative error. Bits of `value` beyond `size` do not count. */
  write(off: number, size: number, value: number): number {
    if (off % size !== 0) return PCI_ERR.INVALID_OFFSET;
    if (off < 0 || off + size > Pci.EXTENDED_CONFIG_SIZE) return -EINVAL;
    if (this.has(off, size)) this.access.write(off, size as 1 | 2 | 4, (value & maskOf(size)) >>> 0);
    return 0;
  }

  /** A register that the function surely has. */
  get(off: number, size: 1 | 2 | 4): number {
    return this.access.read(off, size) >>> 0;
  }

  set(off: number, size: 1 | 2 | 4, value: number): void {
    this.access.write(off, size, value >>> 0);
  }

  /** Changes some bits of a 16-bit register; writes nothing when they are so already. */
  change(off: number, bits: number, on: boolean): void {
    const now = this.get(off, 2);
    const next = on ? now | bits : now & ~bits;
    if (next !== now) this.set(off, 2, next);
  }
}
