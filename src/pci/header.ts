import { Pci, PciBar, PciBridge, PciCommand, PciStatus } from '../../assembly/spec/pci';
import { type Field, field } from './fields';

export interface BarDefinition {
  kind: 'memory32' | 'memory64' | 'io';
  /** Bytes, a power of two: memory 16 to 2 GiB, I/O 4 to 256. */
  size: number;
  prefetchable?: boolean;
}

/** What the two layouts have in common. */
export interface HeaderDefinition {
  vendorId: number;
  deviceId: number;
  /** Class code, 24 bits: base class, subclass, programming interface. */
  classCode: number;
  revision: number;
  /** By register number; a 64-bit BAR takes the next one, too. */
  bars: ReadonlyArray<BarDefinition | undefined>;
  /** 1 to 4 for INTA# to INTD#, 0 for none. */
  interruptPin: number;
  /** Bytes of the expansion ROM of a type 0 header, a power of two from 2 KiB to 16 MiB. Nothing answers at its address. */
  rom?: number;
}

/** Where a function is, as far as its config space shows it. */
export interface Place {
  /** On bus 0, where an endpoint is integrated in the root complex. */
  rootBus: boolean;
  /** Its device has more functions than one. */
  multiFunction: boolean;
  /** Routing id, for what is to be unique in a machine. */
  routing?: number;
}

const COMMAND_WRITABLE = PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER | PciCommand.PARITY | PciCommand.SERR
  | PciCommand.INTX_DISABLE;
// parity response, SERR, ISA, VGA, VGA 16-bit, secondary bus reset (PCI Express 6.0 §7.5.1.3.13)
const BRIDGE_CONTROL_WRITABLE = 0x005f;

/**
 * Bytes 00 to 0F of both layouts (PCI Express 6.0 §7.5.1.1):
 *
 *        31            16 15             0
 *   00  | Device ID      | Vendor ID      |
 *   04  | Status         | Command        |
 *   08  | Class code             | Rev. ID|
 *   0C  | BIST  | Layout | Latency| Cache  |
 */
function commonFields(header: HeaderDefinition, layout: number, place: Place, capabilities: boolean): Field[] {
  return [
    field('Vendor ID', Pci.VENDOR_ID, 2, '', { value: header.vendorId }),
    field('Device ID', Pci.DEVICE_ID, 2, '', { value: header.deviceId }),
    field('Command', Pci.COMMAND, 2, 'decode, Bus Master and INTx Disable take effect at once',
      { writable: COMMAND_WRITABLE }),
    field('Status', Pci.STATUS, 2, 'error bits RW1C; bit 3 shows the INTx level',
      { value: capabilities ? PciStatus.CAPABILITIES : 0, clearable: PciStatus.RW1C }),
    field('Revision ID', Pci.REVISION_ID, 1, '', { value: header.revision }),
    field('Programming Interface', Pci.PROG_IF, 1, '', { value: header.classCode & 0xff }),
    field('Class Code', Pci.SUBCLASS, 2, 'subclass and base class', { value: header.classCode >>> 8 }),
    field('Cache Line Size', Pci.CACHE_LINE_SIZE, 1, 'no effect', { writable: 0xff }),
    field('Latency Timer', Pci.LATENCY_TIMER, 1, 'no effect', { writable: 0xff }),
    field('Header Type', Pci.HEADER_TYPE, 1, 'layout, bit 7 multi-function',
      { value: layout | (place.multiFunction ? Pci.HEADER_MULTI_FUNCTION : 0) }),
    field('BIST', Pci.BIST, 1, 'none'),
    field('Interrupt Line', Pci.INTERRUPT_LINE, 1, 'written by firmware, no effect', { writable: 0xff }),
    field('Interrupt Pin', Pci.INTERRUPT_PIN, 1, '', { value: header.interruptPin }),
    field('Capabilities Pointer', Pci.CAPABILITY_POINTER, 1, 'set when the capabilities are linked'),
  ];
}

/**
 * A BAR's address bits below its size are read-only zero: that is how its size is found (PCI Local Bus 3.0 §6.2.5.1).
 */
function barFields(bars: HeaderDefinition['bars']): Field[] {
  return bars.flatMap((bar, index) => {
    if (bar === undefined) return [];
    const off = Pci.BAR0 + 4 * index;
    const value = bar.kind === 'io' ? PciBar.SPACE_IO
      : (bar.kind === 'memory64' ? PciBar.MEMORY_TYPE_64 : 0) | (bar.prefetchable ? PciBar.PREFETCHABLE : 0);
    const low = field(`BAR ${index}`, off, 4, 'a write moves it', { value, writable: -bar.size });
    return bar.kind === 'memory64'
      ? [low, field(`BAR ${index + 1}`, off + 4, 4, `high half of BAR ${index}`, { writable: -1 })] : [low];
  });
}

/**
 * Header type 0 (PCI Express 6.0 §7.5.1.2), from 10 on:
 *
 *   10  | Base Address Registers 0 to 5    |
 *   28  | Cardbus CIS Pointer (0)          |
 *   2C  | Subsystem ID   | Subsystem Vendor|
 *   30  | Expansion ROM: address  | enable |
 *   34  | reserved              | Cap. ptr |
 *   38  | reserved                         |
 *   3C  | MaxLat | MinGnt | Int pin | line |
 */
export function typeZeroFields(header: HeaderDefinition & { subsystemVendorId: number; subsystemId: number },
  place: Place, capabilities: boolean): Field[] {
  return [
    ...commonFields(header, 0, place, capabilities), ...barFields(header.bars),
    field('Subsystem Vendor ID', Pci.SUBSYSTEM_VENDOR_ID, 2, '', { value: header.subsystemVendorId }),
    field('Subsystem ID', Pci.SUBSYSTEM_ID, 2, '', { value: header.subsystemId }),
    ...(header.rom === undefined ? [] : [field('Expansion ROM Base Address', Pci.ROM_ADDRESS, 4, 'bit 0 enables it',
      { writable: -header.rom | PciBar.ROM_ENABLE })]),
  ];
}

/**
 * Header type 1 (PCI Express 6.0 §7.5.1.3), from 10 on:
 *
 *   10  | Base Address Registers 0 and 1   |
 *   18  | Lat.2 | Subord.| Second.| Primary|   bus numbers
 *   1C  | Secondary status | I/O lim | base|
 *   20  | Memory limit     | Memory base   |
 *   24  | Prefetch. limit  | Prefetch. base|
 *   28  | Prefetchable base, high half     |
 *   2C  | Prefetchable limit, high half    |
 *   30  | I/O limit, high  | I/O base, high|   (0: 16-bit I/O)
 *   34  | reserved              | Cap. ptr |
 *   38  | Expansion ROM (none)             |
 *   3C  | Bridge control | Int pin  | line |
 */
export function typeOneFields(header: HeaderDefinition, place: Place, capabilities: boolean): Field[] {
  const busNumber = { writable: 0xff };
  const window = { writable: 0xfff0 };
  const wide = { value: PciBridge.PREFETCH_64, writable: 0xfff0 };
  return [
    ...commonFields(header, PciBridge.LAYOUT, place, capabilities), ...barFields(header.bars),
    field('Primary Bus Number', PciBridge.PRIMARY_BUS, 1, 'no effect', busNumber),
    field('Secondary Bus Number', PciBridge.SECONDARY_BUS, 1, 'numbers what is behind the bridge', busNumber),
    field('Subordinate Bus Number', PciBridge.SUBORDINATE_BUS, 1, 'last bus that config cycles are let through to',
      busNumber),
    field('Secondary Latency Timer', PciBridge.SECONDARY_LATENCY_TIMER, 1, 'none'),
    field('I/O Base', PciBridge.IO_BASE, 1, 'bits 15:12 in 7:4', { writable: 0xf0 }),
    field('I/O Limit', PciBridge.IO_LIMIT, 1, 'bits 15:12 in 7:4', { writable: 0xf0 }),
    field('Secondary Status', PciBridge.SECONDARY_STATUS, 2, 'error bits RW1C', { clearable: PciStatus.RW1C }),
    field('Memory Base', PciBridge.MEMORY_BASE, 2, 'bits 31:20 in 15:4', window),
    field('Memory Limit', PciBridge.MEMORY_LIMIT, 2, 'bits 31:20 in 15:4', window),
    field('Prefetchable Memory Base', PciBridge.PREFETCH_BASE, 2, 'bits 31:20 in 15:4', wide),
    field('Prefetchable Memory Limit', PciBridge.PREFETCH_LIMIT, 2, 'bits 31:20 in 15:4', wide),
    field('Prefetchable Base Upper 32 Bits', PciBridge.PREFETCH_BASE_HI, 4, '', { writable: -1 }),
    field('Prefetchable Limit Upper 32 Bits', PciBridge.PREFETCH_LIMIT_HI, 4, '', { writable: -1 }),
    field('Bridge Control', PciBridge.CONTROL, 2, 'bit 6 resets what is behind the bridge',
      { writable: BRIDGE_CONTROL_WRITABLE }),
  ];
}
