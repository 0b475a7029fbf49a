import { Msi, Msix, Pci, PciBridge, PciCap, PciCommand, Pm } from '../../../assembly/spec/pci';
import { findCapability } from '../../pci/find-capability';
import type { HostFunction, PciDevice } from '../dom0/types';
import { barStates } from './bar-fields';
import { capabilityFields } from './capability-fields';
import { decodeBits } from './command-field';
import { CommandState, type ConfigField, type FieldDevice } from './config-field';
import { ConfigState } from './config-state';
import { FakeInterrupt } from './fake-interrupt';
import { TYPE_0, TYPE_1 } from './header-fields';
import { EINVAL } from './linux-errno';
import { Messages } from './messages';
import type { PcibackParts } from './parts';
import { RawConfig } from './raw-config';
import { type Identity, identify } from './virtual-function';
import { type OpResult, PCI_ERR, type SeizedDevice } from './types';
import { VirtualConfig } from './virtual-config';

/** What MSI-X of one operation may ask for (SH_INFO_MAX_VEC). */
const VECTORS_PER_OP = 128;
/** Lines that one guest can cause in the log for one device (XSA-43). */
const WARNINGS_PER_GUEST = 10;

/** A function that pciback has: what it is for its guest, and what of the hardware is set for it. */
export class PcibackDevice implements SeizedDevice, FieldDevice {
  readonly name: string;
  readonly routing: number;
  readonly host: HostFunction;
  readonly raw: RawConfig;
  readonly identity: Identity;
  readonly command = new CommandState();
  readonly bars;
  readonly virtual: VirtualConfig;
  readonly messages: Messages;
  readonly interrupt: FakeInterrupt;
  /** sysfs `permissive` and `allow_interrupt_control`. */
  ownPermissive = false;
  interruptControl = false;

  readonly #parts: PcibackParts;
  readonly #module: { readonly permissive: boolean };
  /** Bytes of config space. */
  readonly #size: number;
  readonly #saved: ConfigState;
  readonly #bridge: boolean;
  #owner: number | undefined;
  #released = false;
  #warningsLeft = WARNINGS_PER_GUEST;
  /** What `updateIntx` has last acted upon. */
  #intxSeen = false;

  /** Seizes it: from here on the hardware decodes, cannot be a bus master, and signals nothing. */
  constructor({ name, host }: PciDevice, parts: PcibackParts, module: { readonly permissive: boolean }) {
    this.name = name;
    this.routing = host.routing;
    this.host = host;
    this.#parts = parts;
    this.#module = module;
    this.#size = parts.host.configSize(host.routing);
    const raw = new RawConfig(parts.host.config(host.routing), this.#size);
    this.raw = raw;
    this.#bridge = (raw.get(Pci.HEADER_TYPE, 1) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT;
    this.identity = identify(parts.host, host.routing);
    this.bars = barStates(host.resources, this.#bridge ? PciBridge.BARS : 6);
    this.virtual = new VirtualConfig(this, [...(this.#bridge ? TYPE_1 : TYPE_0), ...capabilityFields(raw)]);
    this.messages = new Messages(raw, host, parts.physdev, parts.irqs);
    this.interrupt = new FakeInterrupt(parts.lines, this.#bridge ? 0 : host.irq, name);
    this.print('enabling device');
    raw.change(Pci.COMMAND, decodeBits(host), true);
    this.print('save state');
    this.#saved = new ConfigState(raw, this.#size);
    this.print('resetting (FLR, D3, etc)');
    this.#settle();
    this.print('reset device');
  }

  get owner(): number | undefined {
    return this.#owner;
  }

  get virtualFunction(): boolean {
    return this.identity.physical !== undefined;
  }

  get irq(): number {
    return this.messages.msiIrq ?? this.host.irq;
  }

  get permissive(): boolean {
    return this.ownPermissive || this.#module.permissive;
  }

  get fields(): readonly ConfigField[] {
    return this.virtual.fields;
  }

  print(text: string): void {
    for (const line of `pciback ${this.name}: xen-pciback: ${text}`.split('\n')) this.#parts.kernel.print(line);
  }

  /** For what a guest can cause: after some lines there are no more. */
  warn(text: string): void {
    if (this.#warningsLeft === 0) return;
    this.#warningsLeft--;
    this.print(text);
  }

  /** Gives it to a guest. */
  take(domid: number): void {
    this.#settle();
    this.#owner = domid;
    this.#warningsLeft = WARNINGS_PER_GUEST;
    this.command.start(this.raw.get(Pci.COMMAND, 2));
    this.#intxSeen = false;
  }

  /** Takes it back: nothing that its guest was allowed or has set is left for the next. */
  give(): void {
    this.#settle();
    this.virtual.dropQuirks();
    this.ownPermissive = false;
    this.interruptControl = false;
    this.#owner = undefined;
  }

  /** pciback has it no longer: whoever still knows it gets nothing any more. */
  release(): void {
    this.give();
    this.#released = true;
  }

  /** The hardware as it was when it was seized: no messages, no bus master, INTx on, decode as it was then. */
  #settle(): void {
    this.interrupt.remove();
    this.messages.disable('msi');
    this.messages.disable('msix');
    this.#messagesOff();
    this.#powerOn();
    if (this.host.resettable && this.#present()) this.#parts.host.reset(this.routing);
    this.#saved.restore();
    this.raw.change(Pci.COMMAND, PciCommand.MASTER | PciCommand.INTX_DISABLE, false);
    for (const bar of this.bars) bar.sizing = false;
  }

  /** It may have been pulled out. */
  #present(): boolean {
    return this.#parts.host.functions().some(({ routing }) => routing === this.routing);
  }

  #powerOn(): void {
    const pm = findCapability(this.raw.access, PciCap.PM);
    if (pm === 0) return;
    const now = this.raw.get(pm + Pm.PMCSR, 2);
    if ((now & Pm.PMCSR_STATE_MASK) !== 0) this.raw.set(pm + Pm.PMCSR, 2, now & ~Pm.PMCSR_STATE_MASK & ~Pm.PMCSR_PME_STATUS);
  }

  /** Of the hardware: a guest with allow_interrupt_control or permissive mode, or an earlier driver, may have them on. */
  #messagesOff(): void {
    const msi = findCapability(this.raw.access, PciCap.MSI);
    const msix = findCapability(this.raw.access, PciCap.MSIX);
    if (msi !== 0) this.raw.change(msi + Msi.CONTROL, Msi.CONTROL_ENABLE, false);
    if (msix !== 0) this.raw.change(msix + Msix.CONTROL, Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK, false);
  }

  readonly keepState = (change: () => void): void => {
    const state = new ConfigState(this.raw, this.#size);
    change();
    state.restore();
    this.messages.restore();
  };

  /** Whether its memory can be reached: of a virtual function, the physical one's bit tells. */
  #memoryDecodes(): boolean {
    const { physical } = this.identity;
    const config = physical === undefined ? this.raw.access : this.#parts.host.config(physical);
    return (config.read(Pci.COMMAND, 2) & PciCommand.MEMORY) !== 0;
  }

  configRead(off: number, size: number): OpResult {
    return this.#released ? GONE : this.virtual.read(off, size);
  }

  configWrite(off: number, size: number, value: number): OpResult {
    return this.#released ? GONE : this.virtual.write(off, size, value);
  }

  enableMsi(): OpResult {
    if (this.#released || this.#owner === undefined) return GONE;
    const pirq = this.messages.enableMsi(this.#owner);
    if (pirq < 0) {
      this.warn(`error enabling MSI for guest ${this.#owner}: err ${pirq}`);
      return { err: PCI_ERR.OP_FAILED, value: 0 };
    }
    this.interrupt.acknowledges = false;
    return { err: 0, value: pirq };
  }

  disableMsi(): OpResult {
    return this.#disable('msi');
  }

  enableMsix(entries: readonly number[]): OpResult & { readonly pirqs: readonly number[] } {
    if (this.#released || this.#owner === undefined) return { ...GONE, pirqs: [] };
    const refusal = entries.length > VECTORS_PER_OP ? -EINVAL : this.messages.msixRefusal(this.#memoryDecodes());
    const pirqs = refusal < 0 ? refusal : this.messages.enableMsix(this.#owner, entries);
    if (typeof pirqs === 'number') {
      this.warn(`error enabling MSI-X for guest ${this.#owner}: err ${pirqs}`);
      // refused before it is tried, the request's own value stays
      return { err: pirqs, value: refusal < 0 ? entries.length : pirqs >>> 0, pirqs: [] };
    }
    this.interrupt.acknowledges = false;
    return { err: 0, value: 0, pirqs };
  }

  disableMsix(): OpResult {
    return this.#disable('msix');
  }

  /** Always well: the number of the line that it signals by again. */
  #disable(kind: 'msi' | 'msix'): OpResult {
    if (this.#released) return GONE;
    if (this.messages.disable(kind) && this.interrupt.on) this.interrupt.acknowledges = true;
    return { err: 0, value: this.irq };
  }

  updateIntx(): void {
    const { enabled } = this.command;
    if (this.#released || enabled === this.#intxSeen) return;
    this.#intxSeen = enabled;
    if (!enabled) this.interrupt.remove();
    else if (this.messages.on === undefined && !this.interrupt.install()) {
      this.warn(`could not install a handler for interrupt ${this.host.irq}: the line is not shared`);
    }
  }
}

const GONE: OpResult = { err: PCI_ERR.DEV_NOT_FOUND, value: 0 };
