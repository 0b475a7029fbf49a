import { KernelError } from '../dom0/errors';
import type { SysfsFile, SysfsHost } from '../dom0/types';
import type { PcibackDevice } from './seized-device';
import { parseFunction, parseSlot } from './slots';
import type { PcibackStub } from './stub';

const FOLDER = '/sys/bus/pci/drivers/pciback';
const PARAMETERS = '/sys/module/xen_pciback/parameters';
const hex = (value: number, digits: number): string => (value >>> 0).toString(16).padStart(digits, '0');
const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');

/** `REG:SIZE:MASK` behind an address and a dash. */
const QUIRK = /^\s*(.+)-([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9a-f]{1,8})\s*$/i;
const REGISTER_MAX = 0xfff;

/** Files of the driver in sysfs, beside those that every driver has, and of the module. */
export class PcibackFiles {
  readonly #stub: PcibackStub;

  constructor(stub: PcibackStub) {
    this.#stub = stub;
  }

  /** By name. */
  get files(): Readonly<Record<string, SysfsFile>> {
    const stub = this.#stub;
    return {
      new_slot: { write: (text) => stub.slots.add(parseSlot(text)) },
      remove_slot: { write: (text) => this.#removeSlot(text) },
      slots: { read: () => lines(stub.slots.lines()) },
      quirks: { read: () => stub.seized.map(quirksOf).join(''), write: (text) => this.#addQuirk(text) },
      permissive: {
        read: () => lines(stub.seized.filter(({ ownPermissive }) => ownPermissive).map(({ name }) => name)),
        write: (text) => { this.#seized(text, 'ENODEV').ownPermissive = true; },
      },
      allow_interrupt_control: {
        read: () => lines(stub.seized.filter(({ interruptControl }) => interruptControl).map(({ name }) => name)),
        write: (text) => { this.#seized(text, 'ENODEV').interruptControl = true; },
      },
      irq_handlers: {
        read: () => lines(stub.seized.map(({ name, interrupt: { on, acknowledges, handled } }) =>
          `${name}:${on ? 'on' : 'off'}:${acknowledges ? 'acking' : 'not acking'}:${handled}`)),
      },
      irq_handler_state: { write: (text) => this.#seized(text, 'ENOENT').interrupt.toggle() },
    };
  }

  /** Parameters of the module, by name: `permissive` is of all devices, and can be changed. */
  get parameters(): Readonly<Record<string, SysfsFile>> {
    const stub = this.#stub;
    return {
      hide: { read: () => `${stub.hide}\n` },
      passthrough: { read: () => flag(stub.passthrough) },
      permissive: { read: () => flag(stub.permissive), write: (text) => { stub.permissive = parseFlag(text); } },
    };
  }

  addTo(sysfs: SysfsHost): void {
    for (const [path, file] of this.#all()) sysfs.addFile(path, file);
  }

  removeFrom(sysfs: SysfsHost): void {
    for (const [path] of this.#all()) sysfs.removeFile(path);
  }

  #all(): Array<[path: string, file: SysfsFile]> {
    return [
      ...Object.entries(this.files).map(([name, file]): [string, SysfsFile] => [`${FOLDER}/${name}`, file]),
      ...Object.entries(this.parameters).map(([name, file]): [string, SysfsFile] => [`${PARAMETERS}/${name}`, file]),
    ];
  }

  #removeSlot(text: string): void {
    if (this.#stub.slots.remove(parseSlot(text)) > 0) return;
    throw new KernelError('ENOENT', `"${text.trim()}" is not in the list of slots`, { text });
  }

  #seized(text: string, code: 'ENODEV' | 'ENOENT'): PcibackDevice {
    const device = this.#stub.find(parseFunction(text));
    if (device === undefined) throw new KernelError(code, `pciback has no device ${text.trim()}`, { text });
    return device;
  }

  #addQuirk(text: string): void {
    const match = QUIRK.exec(text);
    if (match === null) {
      throw new KernelError('EINVAL', `"${text.trim()}" is no quirk; write DDDD:BB:SS.F-REG:SIZE:MASK in hexadecimal`, { text });
    }
    const [off, size, mask] = match.slice(2).map((digits) => parseInt(digits, 16)) as [number, number, number];
    if (off > REGISTER_MAX || (size !== 1 && size !== 2 && size !== 4) || (size < 4 && mask >= 2 ** (8 * size))) {
      throw new KernelError('EINVAL',
        `"${text.trim()}": the register is 0 to fff, the size 1, 2 or 4, the mask no wider than that`, { text });
    }
    this.#seized(match[1] as string, 'ENODEV').virtual.addQuirk(off, size, mask);
  }
}

function flag(on: boolean): string {
  return on ? 'Y\n' : 'N\n';
}

function parseFlag(text: string): boolean {
  if (/^[yY1]\n?$/.test(text)) return true;
  if (/^[nN0]\n?$/.test(text)) return false;
  throw new KernelError('EINVAL', `"${text.trim()}" is neither Y nor N`, { text });
}

function quirksOf({ name, raw, identity, fields }: PcibackDevice): string {
  const ids = [identity.vendor, identity.device, raw.get(0x2c, 2), raw.get(0x2e, 2)].map((id) => hex(id, 4)).join(':');
  const rows = fields.map(({ off, size, mask }) => `\t\t${hex(off, 8)}:${size}:${hex(mask, 8)}\n`);
  return `${name.slice(5)}\n\t${ids}\n${rows.join('')}`;
}
