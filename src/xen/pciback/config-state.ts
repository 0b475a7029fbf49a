import { Msi, Msix, Pci, PciCap, PciExp, Pm } from '../../../assembly/spec/pci';
import { findCapability } from '../../pci/find-capability';
import type { RawConfig } from './raw-config';

/** Words that are not put back: ids, status, class, header type and BIST, the capability pointer. Command comes last. */
const HEADER_WORDS = [0x00, 0x02, Pci.COMMAND, Pci.STATUS, 0x08, 0x0a, 0x0e, 0x34];

/** Bytes of an MSI capability, by its control word. */
function msiSize(control: number): number {
  const wide = (control & Msi.CONTROL_64BIT) !== 0;
  if ((control & Msi.CONTROL_PER_VECTOR_MASKING) !== 0) return (wide ? Msi.PENDING_64 : Msi.PENDING_32) + 4;
  return (wide ? Msi.DATA_64 : Msi.DATA_32) + 2;
}

/** Words of capabilities that are not put back: what acts when it is written, what only tells, what the hypervisor writes. */
function keptWords(raw: RawConfig): number[] {
  const at = (id: number, words: (at: number) => readonly number[]): number[] => {
    const off = findCapability(raw.access, id);
    return off === 0 ? [] : words(off).map((word) => off + word);
  };
  return [
    ...at(PciCap.PM, () => [Pm.PMCSR, Pm.PMCSR + 2]),
    ...at(PciCap.VPD, () => [2, 4, 6]),
    ...at(PciCap.MSI, (off) => Array.from({ length: msiSize(raw.get(off + Msi.CONTROL, 2)) / 2 }, (_, index) => 2 * index)),
    ...at(PciCap.MSIX, () => [Msix.CONTROL]),
    ...at(PciCap.EXP, () => [PciExp.DEVSTA, PciExp.LNKSTA, PciExp.SLTSTA, PciExp.ROOTSTA, PciExp.ROOTSTA + 2, PciExp.LNKSTA2]),
  ];
}

/** A function's config space as it was when it was seized. */
export class ConfigState {
  readonly #raw: RawConfig;
  readonly #words: readonly number[];
  readonly #kept: ReadonlySet<number>;

  /** `size`: bytes of config space. */
  constructor(raw: RawConfig, size: number) {
    this.#raw = raw;
    this.#words = Array.from({ length: size / 2 }, (_, index) => raw.get(2 * index, 2));
    this.#kept = new Set([...HEADER_WORDS, ...keptWords(raw)]);
  }

  /** Writes what is no longer so; a BAR as a whole, and decode last. */
  restore(): void {
    const raw = this.#raw;
    for (let off = 0; off < 2 * this.#words.length; off += 4) {
      const [low, high] = [this.#words[off / 2] as number, this.#words[off / 2 + 1] as number];
      if (!this.#kept.has(off) && !this.#kept.has(off + 2)) {
        const value = (high << 16 | low) >>> 0;
        if (raw.get(off, 4) !== value) raw.set(off, 4, value);
        continue;
      }
      if (!this.#kept.has(off) && raw.get(off, 2) !== low) raw.set(off, 2, low);
      if (!this.#kept.has(off + 2) && raw.get(off + 2, 2) !== high) raw.set(off + 2, 2, high);
    }
    const command = this.#words[Pci.COMMAND / 2] as number;
    if (raw.get(Pci.COMMAND, 2) !== command) raw.set(Pci.COMMAND, 2, command);
  }
}
