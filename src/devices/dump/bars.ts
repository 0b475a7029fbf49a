// BARs of a dumped function. A register's bytes say where a BAR is and of which kind, only the text says how large.
import { Msix, Pci, PciBar, PciBridge, PciCap } from '../../../assembly/spec/pci';
import type { BarRange } from '../../pci/capabilities/capability';
import type { FoundCapability } from '../../pci/capability-list';
import type { BarDefinition } from '../../pci/header';
import type { DumpedFunction, DumpedRegion } from '../../pci/lspci-dump';
import { refuse } from './refuse';

export interface DumpedBar {
  /** Register number; 6 is the expansion ROM. */
  readonly index: number;
  readonly kind: BarDefinition['kind'];
  readonly prefetchable: boolean;
  /** Bytes. */
  readonly size: number;
  /** The text does not say how large it is; `size` is the least that can be. */
  readonly guessed: boolean;
}

export const ROM = 6;

/** Without a size in the text: one page, or what the address is aligned to; four ports; the ROM's least. */
const LEAST = { memory: 4096, io: 4, rom: 2048 } as const;
/** Least of any memory BAR (PCI Local Bus 3.0 §6.2.5.1). */
const MEMORY_MIN = 16;

/** Bytes of what the capability says lies in a BAR, beginning with 0: the MSI-X table and its pending bits. */
export function msixRanges(view: DataView, capabilities: readonly FoundCapability[]):
{ vectors: number; table: BarRange; pending: BarRange } | undefined {
  const cap = capabilities.find(({ id, version }) => id === PciCap.MSIX && version === undefined);
  if (cap === undefined || cap.off + Msix.SIZE > view.byteLength) return undefined;
  const vectors = (view.getUint16(cap.off + Msix.CONTROL, true) & Msix.CONTROL_SIZE_MASK) + 1;
  const range = (register: number, size: number): BarRange => {
    const value = view.getUint32(cap.off + register, true);
    return { bar: value & Msix.BIR_MASK, off: (value & ~Msix.BIR_MASK) >>> 0, size };
  };
  return {
    vectors, table: range(Msix.TABLE, vectors * Msix.ENTRY_SIZE), pending: range(Msix.PBA, 8 * Math.ceil(vectors / 64)),
  };
}

function powerFrom(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(bytes));
}

/** Largest power of two that divides an address. */
function alignmentOf(address: number): number {
  const low = address % 2 ** 32;
  if (low !== 0) return (low & -low) >>> 0;
  const high = Math.floor(address / 2 ** 32);
  return high === 0 ? Infinity : ((high & -high) >>> 0) * 2 ** 32;
}

function checkSize(dumped: DumpedFunction, name: string, what: string, size: number, address: number, least: number): void {
  if (size >= least && Math.log2(size) % 1 === 0 && address % size === 0) return;
  refuse(dumped, name, `${what} has ${size} bytes at 0x${address.toString(16)}; a size is a power of two from ${least} on, and the `
    + 'address a multiple of it');
}

/** BAR registers as they are used: a 64-bit one takes two. Text and bytes may each lack what the other has. */
export function barsIn(dumped: DumpedFunction, name: string, capabilities: readonly FoundCapability[]): DumpedBar[] {
  const view = new DataView(dumped.bytes.buffer);
  const bridge = (view.getUint8(Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT;
  const registers = bridge ? PciBridge.BARS : 6;
  const msix = msixRanges(view, capabilities);
  const found: DumpedBar[] = [];
  for (let index = 0; index < registers; index++) {
    const value = view.getUint32(Pci.BAR0 + 4 * index, true);
    const text = dumped.regions.get(index);
    const region = text?.virtual ? undefined : text;
    if (value === 0 && region === undefined) continue;
    const io = value === 0 ? region?.io === true : (value & PciBar.SPACE_IO) !== 0;
    const wide = !io && (value === 0 ? region?.wide === true : (value & PciBar.MEMORY_TYPE_64) !== 0);
    if (wide && index + 1 === registers) refuse(dumped, name, `BAR ${index} has 64 bits and is the last register`);
    const high = wide ? view.getUint32(Pci.BAR0 + 4 * index + 4, true) : 0;
    const address = high * 2 ** 32 + ((value & ~(io ? PciBar.IO_FLAGS : PciBar.MEMORY_FLAGS)) >>> 0);
    const inside = [msix?.table, msix?.pending].filter((range) => range?.bar === index) as BarRange[];
    const size = region?.size ?? leastSize(io, address, inside);
    checkSize(dumped, name, `BAR ${index}`, size, address, io ? 4 : MEMORY_MIN);
    found.push({
      index, size, guessed: region?.size === undefined, kind: io ? 'io' : wide ? 'memory64' : 'memory32',
      prefetchable: !io && (value === 0 ? region?.prefetchable === true : (value & PciBar.PREFETCHABLE) !== 0),
    });
    if (wide) index++;
  }
  const rom = romIn(dumped, name, view.getUint32(bridge ? PciBridge.ROM_ADDRESS : Pci.ROM_ADDRESS, true));
  return rom === undefined ? found : [...found, rom];
}

/** The least size, no more than the alignment allows, that has room for the ranges. */
function leastSize(io: boolean, address: number, inside: readonly BarRange[]): number {
  const aligned = alignmentOf(address);
  if (io) return Math.min(aligned, LEAST.io);
  return Math.min(aligned, Math.max(LEAST.memory, ...inside.map(({ off, size }) => powerFrom(off + size))));
}

function romIn(dumped: DumpedFunction, name: string, value: number): DumpedBar | undefined {
  const text: DumpedRegion | undefined = dumped.rom?.virtual ? undefined : dumped.rom;
  // bits 31:11 are the address, bit 0 turns it on (PCI Local Bus 3.0 §6.2.5.2)
  const address = (value & ~0x7ff) >>> 0;
  if (address === 0 && text?.size === undefined) return undefined;
  const size = text?.size ?? Math.min(alignmentOf(address), LEAST.rom);
  checkSize(dumped, name, 'the expansion ROM', size, address, LEAST.rom);
  return { index: ROM, kind: 'memory32', prefetchable: false, size, guessed: text?.size === undefined };
}
