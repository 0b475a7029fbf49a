import { Msi, Msix, Pci, PciCap, PciCommand } from '../../../assembly/spec/pci';
import { findCapability } from '../../pci/find-capability';
import type { HostFunction } from '../dom0/types';
import { HypercallError } from '../hypervisor/errors';
import { EALREADY, EINVAL, ENOSPC, ENXIO } from './linux-errno';
import type { IrqNumbers, PcibackPhysdev } from './parts';
import type { RawConfig } from './raw-config';

interface Enabled {
  readonly kind: 'msi' | 'msix';
  readonly domid: number;
  /** The domain's numbers, and the first domain's. */
  readonly pirqs: readonly number[];
  readonly irqs: readonly number[];
}

/** MSI and MSI-X of one device, as the first domain's kernel does them for a guest. At most one of the two is on. */
export class Messages {
  readonly #raw: RawConfig;
  readonly #host: HostFunction;
  readonly #physdev: PcibackPhysdev;
  readonly #irqs: IrqNumbers;
  readonly #msi: number;
  readonly #msix: number;
  #on: Enabled | undefined;

  constructor(raw: RawConfig, host: HostFunction, physdev: PcibackPhysdev, irqs: IrqNumbers) {
    this.#raw = raw;
    this.#host = host;
    this.#physdev = physdev;
    this.#irqs = irqs;
    this.#msi = findCapability(raw.access, PciCap.MSI);
    this.#msix = findCapability(raw.access, PciCap.MSIX);
  }

  get on(): 'msi' | 'msix' | undefined {
    return this.#on?.kind;
  }

  get hasMsix(): boolean {
    return this.#msix !== 0;
  }

  /** The first domain's number for the message of MSI; MSI-X leaves the number of the device alone. */
  get msiIrq(): number | undefined {
    return this.#on?.kind === 'msi' ? this.#on.irqs[0] : undefined;
  }

  /** The guest's number for the message, or a negative errno. */
  enableMsi(domid: number): number {
    if (this.#on?.kind === 'msi') return -EALREADY;
    if (this.#on?.kind === 'msix') return -ENXIO;
    if (this.#msi === 0) return -EINVAL;
    const mapped = this.#map(domid, [{}]);
    if (typeof mapped === 'number') return mapped;
    const control = this.#msi + Msi.CONTROL;
    // one message, however many the function has
    this.#raw.change(control, Msi.CONTROL_MME_MASK, false);
    this.#intxDisable(true);
    this.#raw.change(control, Msi.CONTROL_ENABLE, true);
    this.#hold('msi', domid, mapped);
    return mapped[0] as number;
  }

  /** Why MSI-X is not even tried: a negative errno, or 0. `memory`: the function's memory decode is on. */
  msixRefusal(memory: boolean): number {
    if (this.#on?.kind === 'msix') return -EALREADY;
    return this.#on?.kind === 'msi' || !memory ? -ENXIO : 0;
  }

  /** The guest's numbers, one for each entry; or a negative errno. */
  enableMsix(domid: number, entries: readonly number[]): readonly number[] | number {
    if (this.#msix === 0 || entries.length === 0 || new Set(entries).size !== entries.length) return -EINVAL;
    const control = this.#msix + Msix.CONTROL;
    const size = (this.#raw.get(control, 2) & Msix.CONTROL_SIZE_MASK) + 1;
    if (entries.length > size) return -ENOSPC;
    if (entries.some((entry) => entry >= size)) return -EINVAL;
    const table = this.#raw.get(this.#msix + Msix.TABLE, 4) & Msix.BIR_MASK;
    const tableBase = this.#host.resources[table]?.start ?? 0;
    // on, but nothing is sent until the table is complete
    this.#raw.change(control, Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK, true);
    const mapped = this.#map(domid, entries.map((entry) => ({ entry, tableBase })));
    if (typeof mapped === 'number') {
      this.#raw.change(control, Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK, false);
      return mapped;
    }
    this.#intxDisable(true);
    this.#raw.change(control, Msix.CONTROL_FUNCTION_MASK, false);
    this.#hold('msix', domid, mapped);
    return mapped;
  }

  /** Whether it was on. */
  disable(kind: 'msi' | 'msix'): boolean {
    const was = this.#on;
    if (was?.kind !== kind) return false;
    if (kind === 'msi') this.#raw.change(this.#msi + Msi.CONTROL, Msi.CONTROL_ENABLE, false);
    else this.#raw.change(this.#msix + Msix.CONTROL, Msix.CONTROL_ENABLE, false);
    this.#intxDisable(false);
    this.#on = undefined;
    this.#unmap(was.domid, was.pirqs);
    for (const irq of was.irqs) this.#irqs.release(irq);
    return true;
  }

  /** The function has lost its registers: addresses and data again, then on as before. */
  restore(): void {
    if (this.#on === undefined) return;
    const [control, enable] = this.#on.kind === 'msi' ? [this.#msi + Msi.CONTROL, Msi.CONTROL_ENABLE]
      : [this.#msix + Msix.CONTROL, Msix.CONTROL_ENABLE];
    if ((this.#raw.get(control, 2) & enable) !== 0) return;
    this.#try(() => this.#physdev.restoreMsi(this.#host.routing));
    this.#raw.change(control, enable, true);
  }

  #hold(kind: 'msi' | 'msix', domid: number, pirqs: readonly number[]): void {
    this.#on = { kind, domid, pirqs, irqs: pirqs.map(() => this.#irqs.allocate()) };
  }

  #intxDisable(on: boolean): void {
    this.#raw.change(Pci.COMMAND, PciCommand.INTX_DISABLE, on);
  }

  /** All of them, or none and the errno. */
  #map(domid: number, wanted: ReadonlyArray<{ entry?: number; tableBase?: number }>): number[] | number {
    const pirqs: number[] = [];
    try {
      for (const one of wanted) {
        pirqs.push(this.#physdev.mapPirq({ domid, type: 'msi', index: -1, pirq: -1, routing: this.#host.routing, ...one }));
      }
      return pirqs;
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
      this.#unmap(domid, pirqs);
      return -error.errno;
    }
  }

  #unmap(domid: number, pirqs: readonly number[]): void {
    for (const pirq of pirqs) this.#try(() => this.#physdev.unmapPirq(domid, pirq));
  }

  /** A domain that has died has no interrupts left: then there is nothing to do. */
  #try(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
    }
  }
}
