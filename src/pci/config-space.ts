import { Msi, Pci, PciBar, PciCap, PciCommand, PciStatus, Pm } from '../../assembly/spec/pci';
import { BarKind } from '../../assembly/spec/state';
import { PortcullisError } from '../errors';

export interface BarDefinition {
  kind: 'memory32' | 'memory64' | 'io';
  /** Bytes, a power of two: memory 16 to 2 GiB, I/O 4 to 256. */
  size: number;
  prefetchable?: boolean;
}

/** A type 0 header and its capabilities, by named fields. */
export interface ConfigDefinition {
  vendorId: number;
  deviceId: number;
  /** Class code, 24 bits: base class, subclass, programming interface. */
  classCode: number;
  revision: number;
  subsystemVendorId: number;
  subsystemId: number;
  /** By register number; a 64-bit BAR takes the next one, too. */
  bars: Array<BarDefinition | undefined>;
  /** 1 to 4 for INTA# to INTD#, 0 for none. */
  interruptPin: number;
  msi?: { off: number; vectors: number; wide: boolean };
  powerManagement?: { off: number; noSoftReset?: boolean };
}

/** The three bytes for each byte of config space that the engine keeps: value, write mask, write-1-clear mask. */
export interface ConfigImage {
  value: Uint8Array;
  writable: Uint8Array;
  clearable: Uint8Array;
  msiCap: number;
  pmCap: number;
}

const COMMAND_WRITABLE = PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER | PciCommand.PARITY | PciCommand.SERR
  | PciCommand.INTX_DISABLE;

export function barKind(bar: BarDefinition): BarKind {
  return bar.kind === 'io' ? BarKind.IO : bar.kind === 'memory64' ? BarKind.MEMORY_64 : BarKind.MEMORY_32;
}

function checkBars(bars: ReadonlyArray<BarDefinition | undefined>): void {
  bars.forEach((bar, index) => {
    if (bar === undefined) return;
    const [low, high] = bar.kind === 'io' ? [4, 256] : [16, 0x80000000];
    const bad = (why: string): never => {
      throw new PortcullisError('BAD_BAR', `BAR ${index} ${why}`, { index, ...bar });
    };
    if (!Number.isInteger(bar.size) || bar.size < low || bar.size > high || Math.log2(bar.size) % 1 !== 0) {
      bad(`has ${bar.size} bytes; an ${bar.kind === 'io' ? 'I/O' : 'memory'} BAR has a power of two from ${low} to ${high}`);
    }
    if (index > 5 || (bar.kind === 'memory64' && index > 4)) bad('is beyond the six registers of a type 0 header');
    if (bar.kind === 'memory64' && bars[index + 1] !== undefined) bad(`is 64 bits wide, so BAR ${index + 1} must be left out`);
  });
}

/** Builds the image; the capabilities are linked in the order of their offsets (PCI Local Bus 3.0 §6.7). */
export function buildConfig(definition: ConfigDefinition): ConfigImage {
  checkBars(definition.bars);
  const value = new Uint8Array(Pci.CONFIG_SIZE);
  const writable = new Uint8Array(Pci.CONFIG_SIZE);
  const clearable = new Uint8Array(Pci.CONFIG_SIZE);
  const put = (bytes: Uint8Array, off: number, width: 1 | 2 | 4, number: number): void => {
    for (let i = 0; i < width; i++) bytes[off + i] = (number >>> (8 * i)) & 0xff;
  };
  put(value, Pci.VENDOR_ID, 2, definition.vendorId);
  put(value, Pci.DEVICE_ID, 2, definition.deviceId);
  put(writable, Pci.COMMAND, 2, COMMAND_WRITABLE);
  put(clearable, Pci.STATUS, 2, PciStatus.RW1C);
  put(value, Pci.REVISION_ID, 1, definition.revision);
  put(value, Pci.PROG_IF, 1, definition.classCode);
  put(value, Pci.SUBCLASS, 2, definition.classCode >>> 8);
  put(writable, Pci.CACHE_LINE_SIZE, 2, 0xffff);
  put(value, Pci.SUBSYSTEM_VENDOR_ID, 2, definition.subsystemVendorId);
  put(value, Pci.SUBSYSTEM_ID, 2, definition.subsystemId);
  put(writable, Pci.INTERRUPT_LINE, 1, 0xff);
  put(value, Pci.INTERRUPT_PIN, 1, definition.interruptPin);

  // a BAR's address bits below its size are read-only zero: that is how its size is found
  definition.bars.forEach((bar, index) => {
    if (bar === undefined) return;
    const off = Pci.BAR0 + 4 * index;
    const flags = bar.kind === 'io' ? PciBar.SPACE_IO
      : (bar.kind === 'memory64' ? PciBar.MEMORY_TYPE_64 : 0) | (bar.prefetchable ? PciBar.PREFETCHABLE : 0);
    put(value, off, 4, flags);
    put(writable, off, 4, -bar.size);
    if (bar.kind === 'memory64') put(writable, off + 4, 4, -1);
  });

  const capabilities: Array<{ off: number; id: PciCap; fill: (off: number) => void }> = [];
  const { msi, powerManagement } = definition;
  if (powerManagement) {
    capabilities.push({ off: powerManagement.off, id: PciCap.PM, fill: (off) => {
      // version 2, D1 and D2 not supported, no PME
      put(value, off + Pm.PMC, 2, 0x0002);
      put(value, off + Pm.PMCSR, 2, powerManagement.noSoftReset ? Pm.PMCSR_NO_SOFT_RESET : 0);
      put(writable, off + Pm.PMCSR, 2, Pm.PMCSR_STATE_MASK);
    } });
  }
  if (msi) {
    capabilities.push({ off: msi.off, id: PciCap.MSI, fill: (off) => {
      const capable = Math.log2(msi.vectors) << Msi.CONTROL_MMC_SHIFT;
      put(value, off + Msi.CONTROL, 2, capable | (msi.wide ? Msi.CONTROL_64BIT : 0));
      put(writable, off + Msi.CONTROL, 2, Msi.CONTROL_ENABLE | Msi.CONTROL_MME_MASK);
      put(writable, off + Msi.ADDRESS, 4, 0xfffffffc);
      if (msi.wide) put(writable, off + Msi.ADDRESS_HI, 4, -1);
      put(writable, off + (msi.wide ? Msi.DATA_64 : Msi.DATA_32), 2, 0xffff);
    } });
  }
  capabilities.sort((a, b) => a.off - b.off);
  let link = Pci.CAPABILITY_POINTER as number;
  for (const { off, id, fill } of capabilities) {
    put(value, link, 1, off);
    put(value, off, 1, id);
    fill(off);
    link = off + 1;
  }
  if (capabilities.length > 0) put(value, Pci.STATUS, 2, PciStatus.CAPABILITIES);
  return { value, writable, clearable, msiCap: msi?.off ?? 0, pmCap: powerManagement?.off ?? 0 };
}
