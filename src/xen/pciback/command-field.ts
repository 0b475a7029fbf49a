import { Pci, PciCommand } from '../../../assembly/spec/pci';
import { IORESOURCE, type HostFunction } from '../dom0/types';
import { type ConfigField, configField, type FieldDevice } from './config-field';
import type { RawConfig } from './raw-config';

/** Command bits that the engine has no use for (PCI Local Bus 3.0 §6.2.2). */
const SPECIAL = 0x0008;
const MWI = 0x0010;
const VGA_SNOOP = 0x0020;
const WAIT = 0x0080;
const FAST_BACK = 0x0200;

const DECODE = PciCommand.IO | PciCommand.MEMORY;
/** What a guest reads of the hardware, and may turn on and off: 02BC. Of the others it reads what it wrote last. */
const GUEST = PciCommand.MASTER | SPECIAL | MWI | VGA_SNOOP | WAIT | FAST_BACK;
/** Index of the ROM among the resources. */
const ROM = 6;
/** Cache line of the processor, in dwords: what a function is told before it may write and invalidate. */
const CACHE_LINE = 16;

/** The decode bits that a function's resources need, and of a bridge its windows; the ROM does without. */
export function decodeBits({ resources }: HostFunction): number {
  return resources.reduce((bits, { flags }, index) => index === ROM ? bits : bits
    | (flags & IORESOURCE.IO ? PciCommand.IO : 0) | (flags & IORESOURCE.MEM ? PciCommand.MEMORY : 0), 0);
}

/** Memory Write and Invalidate wants a cache line size that fits the processor's. */
function setMwi(raw: RawConfig): boolean {
  const now = raw.get(Pci.CACHE_LINE_SIZE, 1);
  if (now === 0 || now % CACHE_LINE !== 0) {
    raw.set(Pci.CACHE_LINE_SIZE, 1, CACHE_LINE);
    if (raw.get(Pci.CACHE_LINE_SIZE, 1) !== CACHE_LINE) return false;
  }
  raw.change(Pci.COMMAND, MWI, true);
  return true;
}

/** Decode, PARITY, SERR and INTx Disable of the hardware are the first domain's (XSA-120): a guest changes a shadow. */
function writeCommand(device: FieldDevice, value: number): number {
  const { raw, command } = device;
  let wanted = value;
  if (!command.enabled && (value & DECODE) !== 0) {
    raw.change(Pci.COMMAND, decodeBits(device.host), true);
    command.enabled = true;
  } else if (command.enabled && (value & DECODE) === 0) {
    raw.change(Pci.COMMAND, PciCommand.MASTER, false);
    command.enabled = false;
  }
  raw.change(Pci.COMMAND, PciCommand.MASTER, (value & PciCommand.MASTER) !== 0);
  if ((value & MWI) !== 0 && (command.shadow & MWI) === 0) {
    if (!setMwi(raw)) {
      device.warn('cannot enable memory-write-invalidate');
      wanted &= ~MWI;
    }
  } else if ((value & MWI) === 0 && (command.shadow & MWI) !== 0) {
    raw.change(Pci.COMMAND, MWI, false);
  }
  if (device.interruptControl && ((command.shadow ^ value) & PciCommand.INTX_DISABLE) !== 0) {
    raw.change(Pci.COMMAND, PciCommand.INTX_DISABLE, (value & PciCommand.INTX_DISABLE) !== 0);
  }
  command.shadow = wanted;
  if (device.permissive) {
    const now = raw.get(Pci.COMMAND, 2);
    const next = (now & ~GUEST) | (wanted & GUEST);
    if (next !== now) raw.set(Pci.COMMAND, 2, next);
  }
  return 0;
}

export const COMMAND: ConfigField = configField('Command', Pci.COMMAND, 2, {
  read: ({ raw, command }) => (raw.get(Pci.COMMAND, 2) & GUEST) | (command.shadow & ~GUEST & 0xffff),
  write: writeCommand,
});
