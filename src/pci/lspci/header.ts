/** The header in words (PCI Local Bus 3.0 §6.1 and §6.2, PCI-to-PCI Bridge 1.2 §3.2), from its first register to its last. */

import { Pci, PciBar, PciBridge, PciCommand, PciStatus } from '../../../assembly/spec/pci';
import { type Bits, bitsOf, type ConfigBytes, flags, hex, sign } from './image';
import { vendorName } from './names';
import type { ListedFunction, Verbosity } from './types';

const COMMAND: Bits = [
  ['I/O', PciCommand.IO], ['Mem', PciCommand.MEMORY], ['BusMaster', PciCommand.MASTER], ['SpecCycle', 0x0008],
  ['MemWINV', 0x0010], ['VGASnoop', 0x0020], ['ParErr', PciCommand.PARITY], ['Stepping', 0x0080], ['SERR', PciCommand.SERR],
  ['FastB2B', 0x0200], ['DisINTx', PciCommand.INTX_DISABLE],
];
const STATUS_BEFORE: Bits = [
  ['Cap', PciStatus.CAPABILITIES], ['66MHz', 0x0020], ['UDF', 0x0040], ['FastB2B', 0x0080], ['ParErr', 0x0100],
];
const STATUS_AFTER: Bits = [['>TAbort', 0x0800], ['<TAbort', 0x1000], ['<MAbort', 0x2000]];
const BRIDGE_CONTROL: Bits = [['Parity', 0x0001], ['SERR', 0x0002], ['NoISA', 0x0004], ['VGA', 0x0008], ['VGA16', 0x0010],
  ['MAbort', 0x0020], ['>Reset', 0x0040], ['FastB2B', 0x0080]];
const BRIDGE_TIMERS: Bits = [['PriDiscTmr', 0x0100], ['SecDiscTmr', 0x0200], ['DiscTmrStat', 0x0400], ['DiscTmrSERREn', 0x0800]];
const DEVSEL = ['fast', 'medium', 'slow', '??'];

export function headerLines(one: ListedFunction, bytes: ConfigBytes, verbose: Verbosity): string[] {
  const bridge = (bytes.u8(Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT;
  return [
    ...(bridge ? [] : subsystemLines(bytes)),
    ...(verbose > 1 ? statusLines(one, bytes, bridge) : [flagsLine(one, bytes)]),
    ...barLines(one, bytes, verbose, bridge),
    ...(bridge ? bridgeLines(bytes, verbose) : []),
    ...romLines(one, bytes, bridge),
  ];
}

export function subsystem(vendor: number, device: number): string {
  return `${[vendorName(vendor), 'Device'].filter(Boolean).join(' ')} [${hex(vendor, 4)}:${hex(device, 4)}]`;
}

function subsystemLines(bytes: ConfigBytes): string[] {
  const [vendor, device] = [bytes.u16(Pci.SUBSYSTEM_VENDOR_ID), bytes.u16(Pci.SUBSYSTEM_ID)];
  return vendor === 0 || vendor === 0xffff ? [] : [`Subsystem: ${subsystem(vendor, device)}`];
}

function interruptOf({ irq }: ListedFunction, bytes: ConfigBytes): number {
  return irq ?? bytes.u8(Pci.INTERRUPT_LINE);
}

function statusLines(one: ListedFunction, bytes: ConfigBytes, bridge: boolean): string[] {
  const [command, status] = [bytes.u16(Pci.COMMAND), bytes.u16(Pci.STATUS)];
  const lines = [
    `Control: ${flags(command, COMMAND)}`,
    `Status: ${flags(status, STATUS_BEFORE)} DEVSEL=${DEVSEL[bitsOf(status, 9, 2)]} ${flags(status, STATUS_AFTER)} `
      + flags(status, [['>SERR', 0x4000], ['<PERR', 0x8000], ['INTx', PciStatus.INTERRUPT]]),
  ];
  if ((command & PciCommand.MASTER) !== 0) lines.push(latency(bytes, bridge));
  const [pin, irq] = [bytes.u8(Pci.INTERRUPT_PIN), interruptOf(one, bytes)];
  if (pin !== 0 || (irq !== 0 && irq !== 0xff)) {
    lines.push(`Interrupt: pin ${pin === 0 ? '?' : String.fromCharCode(64 + pin)} routed to IRQ ${irq}`);
  }
  return lines;
}

/** MIN_GNT and MAX_LAT count quarters of a microsecond, the cache line dwords. */
function latency(bytes: ConfigBytes, bridge: boolean): string {
  const [min, max] = bridge ? [0, 0] : [bytes.u8(Pci.MIN_GNT), bytes.u8(Pci.MAX_LAT)];
  const times = [...(min === 0 ? [] : [`${min * 250}ns min`]), ...(max === 0 ? [] : [`${max * 250}ns max`])];
  const line = bytes.u8(Pci.CACHE_LINE_SIZE);
  return `Latency: ${bytes.u8(Pci.LATENCY_TIMER)}${times.length === 0 ? '' : ` (${times.join(', ')})`}`
    + (line === 0 ? '' : `, Cache Line Size: ${line * 4} bytes`);
}

function flagsLine(one: ListedFunction, bytes: ConfigBytes): string {
  const [command, status] = [bytes.u16(Pci.COMMAND), bytes.u16(Pci.STATUS)];
  const master = (command & PciCommand.MASTER) !== 0;
  const irq = interruptOf(one, bytes);
  return `Flags: ${[
    ...(master ? ['bus master'] : []), ...((command & 0x0020) === 0 ? [] : ['VGA palette snoop']),
    ...((command & 0x0080) === 0 ? [] : ['stepping']), ...((command & 0x0200) === 0 ? [] : ['fast Back2Back']),
    ...((status & 0x0020) === 0 ? [] : ['66MHz']), ...((status & 0x0040) === 0 ? [] : ['user-definable features']),
    `${DEVSEL[bitsOf(status, 9, 2)]} devsel`, ...(master ? [`latency ${bytes.u8(Pci.LATENCY_TIMER)}`] : []),
    ...(irq === 0 || irq === 0xff ? [] : [`IRQ ${irq}`]),
  ].join(', ')}`;
}

function sizeText(bytes: number | undefined): string {
  if (bytes === undefined || bytes === 0) return '';
  const units = ['', 'K', 'M', 'G', 'T'];
  let [value, unit] = [bytes, 0];
  while (value % 1024 === 0 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return ` [size=${value}${units[unit]}]`;
}

function barLines({ sizes }: ListedFunction, bytes: ConfigBytes, verbose: Verbosity, bridge: boolean): string[] {
  const command = bytes.u16(Pci.COMMAND);
  const lines: string[] = [];
  for (let index = 0; index < (bridge ? PciBridge.BARS : 6); index++) {
    const region = verbose > 1 ? `Region ${index}: ` : '';
    const size = sizes?.[index];
    const low = bytes.u32(Pci.BAR0 + 4 * index);
    if (low === 0xffffffff || (low === 0 && !size)) continue;
    if ((low & PciBar.SPACE_IO) !== 0) {
      const port = (low & ~PciBar.IO_FLAGS) >>> 0;
      lines.push(`${region}I/O ports at ${port === 0 ? '<unassigned>' : hex(port, 4)}`
        + `${(command & PciCommand.IO) === 0 ? ' [disabled]' : ''}${sizeText(size)}`);
      continue;
    }
    const wide = (low & PciBar.MEMORY_TYPE_64) !== 0;
    const high = wide ? bytes.u32(Pci.BAR0 + 4 * index + 4) : 0;
    const address = high * 2 ** 32 + ((low & ~PciBar.MEMORY_FLAGS) >>> 0);
    lines.push(`${region}Memory at ${address === 0 ? '<unassigned>' : hex(address, 8)} (${wide ? '64' : '32'}-bit, `
      + `${(low & PciBar.PREFETCHABLE) === 0 ? 'non-' : ''}prefetchable)`
      + `${(command & PciCommand.MEMORY) === 0 ? ' [disabled]' : ''}${sizeText(size)}`);
    if (wide) index++;
  }
  return lines;
}

function romLines({ sizes }: ListedFunction, bytes: ConfigBytes, bridge: boolean): string[] {
  const rom = bytes.u32(bridge ? PciBridge.ROM_ADDRESS : Pci.ROM_ADDRESS);
  const size = sizes?.[6];
  const address = (rom & 0xfffff800) >>> 0;
  if (rom === 0xffffffff || (address === 0 && !size)) return [];
  const off = (rom & 1) === 0 || (bytes.u16(Pci.COMMAND) & PciCommand.MEMORY) === 0;
  return [`Expansion ROM at ${address === 0 ? '<unassigned>' : hex(address, 8)}${off ? ' [disabled]' : ''}${sizeText(size)}`];
}

function windowText(name: string, base: number, limit: number, digits: number, bits: number): string {
  const range = base > limit ? ' [disabled]' : ` ${hex(base, digits)}-${hex(limit, digits)}${sizeText(limit - base + 1)}`;
  return `${name} behind bridge:${range} [${bits}-bit]`;
}

/** Bits 15:12 of an I/O address are bits 7:4 of its register, bits 31:20 of a memory address bits 15:4. */
function bridgeLines(bytes: ConfigBytes, verbose: Verbosity): string[] {
  const number = (off: number): string => hex(bytes.u8(off), 2);
  const io = (off: number, high: number): number => (bytes.u8(off) & 0xf0) * 256 + ((bytes.u8(off) & 1) === 0 ? 0 : bytes.u16(high) * 65536);
  const memory = (off: number): number => (bytes.u16(off) & 0xfff0) * 65536;
  const wide = (bytes.u16(PciBridge.PREFETCH_BASE) & 0xf) === PciBridge.PREFETCH_64;
  const high = (off: number): number => (wide ? bytes.u32(off) * 2 ** 32 : 0);
  const lines = [
    `Bus: primary=${number(PciBridge.PRIMARY_BUS)}, secondary=${number(PciBridge.SECONDARY_BUS)}, `
      + `subordinate=${number(PciBridge.SUBORDINATE_BUS)}, sec-latency=${bytes.u8(PciBridge.SECONDARY_LATENCY_TIMER)}`,
    windowText('I/O', io(PciBridge.IO_BASE, PciBridge.IO_BASE_HI), io(PciBridge.IO_LIMIT, PciBridge.IO_LIMIT_HI) + 0xfff,
      (bytes.u8(PciBridge.IO_BASE) & 1) === 0 ? 4 : 8, (bytes.u8(PciBridge.IO_BASE) & 1) === 0 ? 16 : 32),
    windowText('Memory', memory(PciBridge.MEMORY_BASE), memory(PciBridge.MEMORY_LIMIT) + 0xfffff, 8, 32),
    windowText('Prefetchable memory', memory(PciBridge.PREFETCH_BASE) + high(PciBridge.PREFETCH_BASE_HI),
      memory(PciBridge.PREFETCH_LIMIT) + high(PciBridge.PREFETCH_LIMIT_HI) + 0xfffff, wide ? 16 : 8, wide ? 64 : 32),
  ];
  if (verbose < 2) return lines;
  const [status, control] = [bytes.u16(PciBridge.SECONDARY_STATUS), bytes.u16(PciBridge.CONTROL)];
  lines.push(
    `Secondary status: ${flags(status, STATUS_BEFORE.slice(1).filter(([name]) => name !== 'UDF'))} `
      + `DEVSEL=${DEVSEL[bitsOf(status, 9, 2)]} ${flags(status, STATUS_AFTER)} <SERR${sign((status & 0x4000) !== 0)} `
      + `<PERR${sign((status & 0x8000) !== 0)}`,
    `BridgeCtl: ${flags(control, BRIDGE_CONTROL)}`,
    `\t${flags(control, BRIDGE_TIMERS)}`,
  );
  return lines;
}
