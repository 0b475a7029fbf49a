/** How a guest's PCI core makes itself acquainted with a function: the accesses of Linux 6.1, in its order. */

import { Pci, PciBar, PciBridge, PciCap, PciCommand, PciStatus } from '../../../assembly/spec/pci';
import type { ConfigAccess } from '../../pci/access';
import { IORESOURCE, type Resource } from '../dom0/types';
import { formatDev } from '../pciback/addresses';
import type { FrontDevice } from './device';

const DECODE = PciCommand.IO | PciCommand.MEMORY;
const ROM_MASK = 0xfffff800;
/** BARs and place of the ROM's of each header layout. */
const LAYOUTS = {
  device: { bars: 6, rom: Pci.ROM_ADDRESS as number }, bridge: { bars: PciBridge.BARS as number, rom: 0x38 },
} as const;
/** Ids that are looked for and are of no other use here. */
const ENHANCED_ALLOCATION = 0x14;
const ADVANCED_FEATURES = 0x13;
/** Most entries that a chain of capabilities in 256 bytes can have. */
const CHAIN = 48;
const EXPRESS_FLAGS = 2;
const EXPRESS_DEVICE_CAPABILITIES = 4;
const EXPRESS_DEVICE_CONTROL = 8;
const CONTROL = 2;
const EXTENDED = 0x100;

const NOTHING: Resource = { start: 0, end: 0, flags: 0 };

/** The identity that nothing has: no function is there. */
export function isAbsent(identity: number): boolean {
  return [0xffffffff, 0, 0x0000ffff, 0xffff0000].includes(identity >>> 0);
}

/** `identity` is the dword at 0, which has been read. */
export function probeFunction(config: ConfigAccess, identity: number, { segment, bus, devfn }:
{ segment: number; bus: number; devfn: number }): FrontDevice {
  const capabilities = new Map<number, number>();
  const find = (id: number): number => {
    const at = findCapability(config, id);
    if (at !== 0) capabilities.set(id, at);
    return at;
  };
  const headerType = config.read(Pci.HEADER_TYPE, 1);
  const express = find(PciCap.EXP);
  if (express !== 0) {
    config.read(express + EXPRESS_FLAGS, 2);
    config.read(express + EXPRESS_DEVICE_CAPABILITIES, 4);
  }
  const classAndRevision = config.read(Pci.REVISION_ID, 4) >>> 0;
  // how large its config space is
  if (express !== 0 || find(PciCap.PCIX) !== 0) config.read(EXTENDED, 4);
  probeIntxDisable(config);
  const pin = config.read(Pci.INTERRUPT_PIN, 1);
  const irq = pin === 0 ? 0 : config.read(Pci.INTERRUPT_LINE, 1);
  const layout = (headerType & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT ? LAYOUTS.bridge : LAYOUTS.device;
  const resources = readResources(config, layout);
  const [subsystemVendor, subsystemDevice] = layout === LAYOUTS.device
    ? [config.read(Pci.SUBSYSTEM_VENDOR_ID, 2), config.read(Pci.SUBSYSTEM_ID, 2)] : [0, 0];
  if (express !== 0) {
    config.read(express + EXPRESS_DEVICE_CONTROL, 2);
    config.write(express + EXPRESS_DEVICE_CONTROL, 2, 0);
  }
  find(ENHANCED_ALLOCATION);
  for (const id of [PciCap.MSI, PciCap.MSIX]) {
    const at = find(id);
    if (at !== 0) config.read(at + CONTROL, 2);
  }
  find(PciCap.EXP);
  find(PciCap.PCIX);
  const power = find(PciCap.PM);
  if (power !== 0) config.read(power + CONTROL, 2);
  find(PciCap.VPD);
  find(ADVANCED_FEATURES);
  return {
    segment, bus, devfn, routing: bus << 8 | devfn, name: formatDev({ segment, bus, devfn }),
    vendor: identity & 0xffff, device: identity >>> 16, classCode: classAndRevision >>> 8, revision: classAndRevision & 0xff,
    headerType, subsystemVendor, subsystemDevice, pin, irq, resources, capabilities,
  };
}

/** Offset, or 0; status and pointer are read anew each time. */
function findCapability(config: ConfigAccess, id: number): number {
  if ((config.read(Pci.STATUS, 2) & PciStatus.CAPABILITIES) === 0) return 0;
  let at = config.read(Pci.CAPABILITY_POINTER, 1);
  for (let hop = 0; hop < CHAIN && at >= PciCap.FIRST_OFF; hop++) {
    at &= 0xfc;
    const entry = config.read(at, 2);
    if ((entry & 0xff) === 0xff) return 0;
    if ((entry & 0xff) === id) return at;
    at = entry >>> 8;
  }
  return 0;
}

/** Whether the function can have its INTx disabled: the bit is turned over and back. */
function probeIntxDisable(config: ConfigAccess): void {
  const command = config.read(Pci.COMMAND, 2);
  config.write(Pci.COMMAND, 2, command ^ PciCommand.INTX_DISABLE);
  config.read(Pci.COMMAND, 2);
  config.write(Pci.COMMAND, 2, command);
}

function readResources(config: ConfigAccess, { bars, rom }: { bars: number; rom: number }): Resource[] {
  const found: Resource[] = Array.from({ length: 7 }, () => NOTHING);
  for (let index = 0; index < bars; index++) {
    const { resource, wide } = readBar(config, Pci.BAR0 + 4 * index);
    found[index] = resource;
    if (wide) index++;
  }
  found[6] = readRom(config, rom);
  return found;
}

/** With decode off, so that the register points nowhere meanwhile. */
function sizing<T>(config: ConfigAccess, work: () => T): T {
  const command = config.read(Pci.COMMAND, 2);
  if ((command & DECODE) === 0) return work();
  config.write(Pci.COMMAND, 2, command & ~DECODE);
  const result = work();
  config.write(Pci.COMMAND, 2, command);
  return result;
}

function measure(config: ConfigAccess, off: number, ones: number): { value: number; mask: number } {
  const value = config.read(off, 4) >>> 0;
  config.write(off, 4, ones);
  const mask = config.read(off, 4) >>> 0;
  config.write(off, 4, value);
  // an access that fails looks like this, and like no BAR
  return { value: value === 0xffffffff ? 0 : value, mask: mask === 0xffffffff ? 0 : mask };
}

function readBar(config: ConfigAccess, off: number): { resource: Resource; wide: boolean } {
  return sizing(config, () => {
    const low = measure(config, off, 0xffffffff);
    const io = (low.value & PciBar.SPACE_IO) !== 0;
    const wide = !io && (low.value & PciBar.MEMORY_TYPE_64) !== 0;
    const high = wide ? measureHigh(config, off + 4) : { value: 0, mask: 0xffffffff };
    if (low.mask === 0) return { resource: NOTHING, wide };
    const flagBits = io ? PciBar.IO_FLAGS : PciBar.MEMORY_FLAGS;
    // a port's upper half may be wired to 0
    const lowMask = (low.mask & ~flagBits | (io ? 0xffff0000 : 0)) >>> 0;
    const size = sizeOf(lowMask, high.mask);
    const start = high.value * 2 ** 32 + ((low.value & ~flagBits) >>> 0);
    const kind = io ? IORESOURCE.IO
      : IORESOURCE.MEM | (wide ? IORESOURCE.MEM_64 : 0) | ((low.value & PciBar.PREFETCHABLE) !== 0 ? IORESOURCE.PREFETCH : 0);
    const flags = kind | IORESOURCE.SIZEALIGN | (low.value & flagBits);
    return { resource: size === 0 ? NOTHING : { start, end: start + size - 1, flags }, wide };
  });
}

function measureHigh(config: ConfigAccess, off: number): { value: number; mask: number } {
  const value = config.read(off, 4) >>> 0;
  config.write(off, 4, 0xffffffff);
  const mask = config.read(off, 4) >>> 0;
  config.write(off, 4, value);
  return { value, mask };
}

/** Lowest bit that is set, over both halves. */
function sizeOf(low: number, high: number): number {
  if (low !== 0) return (low & -low) >>> 0;
  return ((high & -high) >>> 0) * 2 ** 32;
}

function readRom(config: ConfigAccess, off: number): Resource {
  return sizing(config, () => {
    const { value, mask } = measure(config, off, ROM_MASK);
    const size = sizeOf((mask & ROM_MASK) >>> 0, 0);
    if (size === 0) return NOTHING;
    const start = (value & ROM_MASK) >>> 0;
    const kind = IORESOURCE.MEM | IORESOURCE.PREFETCH | IORESOURCE.READONLY | IORESOURCE.SIZEALIGN;
    const flags = kind | (value & IORESOURCE.ROM_ENABLE);
    return { start, end: start + size - 1, flags };
  });
}
