import type { HostFunction } from '../dom0/types';
import type { RawConfig } from './raw-config';

/** What a guest has made of the command register. */
export class CommandState {
  /** What was written last. */
  shadow = 0;
  /** Whether the guest has turned decode on: the first domain's kernel has the device enabled for it. */
  enabled = false;

  /** A new guest: it sees what the hardware has. */
  start(hardware: number): void {
    this.shadow = hardware;
    this.enabled = false;
  }
}

/** What a guest reads of a BAR. It is a machine address; neither it nor the ROM's decode is the guest's to change. */
export interface BarState {
  readonly value: number;
  /** The mask that tells its size. */
  readonly sizeMask: number;
  /** Low bits that the guest need not write as ones. */
  readonly ignored: number;
  sizing: boolean;
}

/** What the fields of a device need of it. */
export interface FieldDevice {
  readonly host: HostFunction;
  readonly raw: RawConfig;
  /** Vendor and device id as the first domain's kernel knows them: of a virtual function, the registers hold ones. */
  readonly identity: { readonly vendor: number; readonly device: number };
  /** Number of its interrupt in the first domain: of the INTx line, or of its message. */
  readonly irq: number;
  /** Of the device or of the whole module. */
  readonly permissive: boolean;
  /** Whether the guest may turn INTx, MSI and MSI-X on and off by itself. */
  readonly interruptControl: boolean;
  readonly command: CommandState;
  /** BAR 0 to 5 (a bridge: 0 and 1), and the ROM's last. */
  readonly bars: readonly BarState[];
  /** Makes a change by which the function may lose its registers (it leaves D3hot), and puts back what the host has set. */
  readonly keepState: (change: () => void) => void;
  /** A line in the first domain's log; of those that a guest can cause, some are printed and no more. */
  warn(text: string): void;
}

/** A register that a guest sees otherwise than the hardware has it, or may write. */
export interface ConfigField {
  readonly name: string;
  readonly off: number;
  readonly size: 1 | 2 | 4;
  /** Of a quirk; shown, and not applied, as in Linux. */
  readonly mask: number;
  /** The value, or a negative error. */
  readonly read: (device: FieldDevice) => number;
  /** 0 or a negative error. Without it a write is ignored. */
  readonly write: ((device: FieldDevice, value: number) => number) | undefined;
}

type Access = Partial<Pick<ConfigField, 'read' | 'write'>>;

/** A field that reads as the hardware does and ignores writes, unless told otherwise. */
export function configField(name: string, off: number, size: 1 | 2 | 4, access: Access = {}, mask = 0): ConfigField {
  return { name, off, size, mask, read: access.read ?? (({ raw }) => raw.read(off, size)), write: access.write };
}

/** A field that is the hardware's register, both ways. */
export function rawField(name: string, off: number, size: 1 | 2 | 4, mask = 0): ConfigField {
  return configField(name, off, size, { write: ({ raw }, value) => raw.write(off, size, value) }, mask);
}
