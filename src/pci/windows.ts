import { Pci, PciBridge } from '../../assembly/spec/pci';
import { type BarSize, type ConfigAccess, ROM_INDEX } from './access';

/** What can be asked for: addresses, addresses without read effects, ports. */
export type Space = 'memory' | 'prefetchable' | 'ports';

/** Addresses, the end not among them. */
export type Range = readonly [start: number, end: number];

/** Something that needs addresses: a BAR, or a bridge's window with all that is in it. */
export interface Need {
  /** For messages, such as `BAR 0 of 0000:00:04.0`. */
  what: string;
  routing: number;
  /** Orders needs of one function. */
  index: number;
  /** Bytes, and the alignment of the first. */
  size: number;
  align: number;
  /** Whether it may lie above 4 GiB. */
  high: boolean;
  place: (address: number) => void;
}

export type Needs = Record<Space, Need[]>;

export function noNeeds(): Needs {
  return { memory: [], prefetchable: [], ports: [] };
}

/** Needs in the order in which they are placed: the most aligned first, so that little is lost between them. */
export function inOrder(needs: readonly Need[]): Need[] {
  return [...needs].sort((a, b) => b.align - a.align || a.routing - b.routing || a.index - b.index);
}

/** The lowest aligned address from `start` on where `size` bytes are in none of the ranges. */
export function freeFrom(start: number, size: number, align: number, taken: readonly Range[]): number {
  let at = Math.ceil(start / align) * align;
  for (;;) {
    const hit = taken.find(([low, high]) => at < high && at + size > low);
    if (hit === undefined) return at;
    at = Math.ceil(hit[1] / align) * align;
  }
}

/** Places needs one behind the other from `start` on. Gives the end. */
function stack(needs: readonly Need[], start: number, put: (need: Need, address: number) => void): number {
  let at = start;
  for (const need of inOrder(needs)) {
    const address = freeFrom(at, need.size, need.align, []);
    put(need, address);
    at = address + need.size;
  }
  return at;
}

/** What a window begins and ends at multiples of. */
export const GRAIN = { memory: 1 << 20, prefetchable: 1 << 20, ports: 1 << 12 } as const;
const ORDER = { memory: 0, prefetchable: 1, ports: 2 } as const;

/** One window around everything that is needed behind a bridge; none, and the window closed, for nothing. */
export function windowAround(space: Space, behind: readonly Need[],
  bridge: { what: string; routing: number; config: ConfigAccess }): Need[] {
  closeWindow(space, bridge.config);
  if (behind.length === 0) return [];
  const grain = GRAIN[space];
  const align = Math.max(grain, ...behind.map((need) => need.align));
  const size = Math.ceil(stack(behind, 0, () => {}) / grain) * grain;
  return [{
    what: `the ${space === 'ports' ? 'I/O' : space} window of ${bridge.what}`, routing: bridge.routing,
    index: 6 + ORDER[space], size, align, high: space === 'prefetchable' && behind.every(({ high }) => high),
    place: (address) => {
      stack(behind, address, (need, at) => need.place(at));
      openWindow(space, bridge.config, address, size);
    },
  }];
}

/** Registers of each window, and how wide a base is. */
const REGISTERS = {
  memory: { base: PciBridge.MEMORY_BASE, limit: PciBridge.MEMORY_LIMIT, width: 2, shift: 16 },
  prefetchable: { base: PciBridge.PREFETCH_BASE, limit: PciBridge.PREFETCH_LIMIT, width: 2, shift: 16 },
  ports: { base: PciBridge.IO_BASE, limit: PciBridge.IO_LIMIT, width: 1, shift: 8 },
} as const;

/** Whether the bridge has a prefetchable window: if not, its registers read as 0 whatever is written. */
export function hasPrefetchable(config: ConfigAccess): boolean {
  config.write(PciBridge.PREFETCH_BASE, 2, 0xfff0);
  return (config.read(PciBridge.PREFETCH_BASE, 2) & 0xfff0) !== 0;
}

/** What a bridge forwards: its I/O window, or its two of memory. A closed one is none. */
export function windowsOf(config: ConfigAccess, io: boolean): Range[] {
  const window = (space: Space): Range => {
    const { base, limit, width, shift } = REGISTERS[space];
    // the low four bits are the register's own
    const [first, last] = [config.read(base, width) & ~0xf, (config.read(limit, width) & ~0xf) + 0x10];
    const high = space === 'prefetchable' && (config.read(base, width) & PciBridge.PREFETCH_64) !== 0;
    const [low, end] = high ? [config.read(PciBridge.PREFETCH_BASE_HI, 4), config.read(PciBridge.PREFETCH_LIMIT_HI, 4)] : [0, 0];
    return [(low >>> 0) * 2 ** 32 + first * 2 ** shift, (end >>> 0) * 2 ** 32 + last * 2 ** shift];
  };
  const all = io ? [window('ports')] : [window('memory'), window('prefetchable')];
  // a base and a limit of 0 may be an open window at 0, or none at all
  return all.filter(([start, end]) => end > start && start > 0);
}

/** A base above the limit: the bridge forwards nothing. */
function closeWindow(space: Space, config: ConfigAccess): void {
  const { base, limit, width } = REGISTERS[space];
  config.write(base, width, width === 2 ? 0xfff0 : 0xf0);
  config.write(limit, width, 0);
  if (space === 'prefetchable') {
    config.write(PciBridge.PREFETCH_BASE_HI, 4, 0xffffffff);
    config.write(PciBridge.PREFETCH_LIMIT_HI, 4, 0);
  }
}

/** Lets a bridge forward `size` bytes from an address on, both multiples of the register's grain. */
export function openWindow(space: Space, config: ConfigAccess, address: number, size: number): void {
  const { base, limit, width, shift } = REGISTERS[space];
  const last = address + size - 1;
  if (space === 'prefetchable') {
    config.write(PciBridge.PREFETCH_BASE_HI, 4, Math.floor(address / 2 ** 32));
    config.write(PciBridge.PREFETCH_LIMIT_HI, 4, Math.floor(last / 2 ** 32));
  }
  config.write(base, width, (address >>> shift) & 0xfff0);
  config.write(limit, width, (last >>> shift) & 0xfff0);
}

export function barName({ index }: Pick<BarSize, 'index'>): string {
  return index === ROM_INDEX ? 'the ROM' : `BAR ${index}`;
}

/** Writes the address of a BAR, or of the ROM, which stays off. */
export function placeBar(config: ConfigAccess, { index, wide }: Pick<BarSize, 'index' | 'wide'>, address: number): void {
  const off = index === ROM_INDEX ? Pci.ROM_ADDRESS : Pci.BAR0 + 4 * index;
  config.write(off, 4, address % 2 ** 32);
  if (wide) config.write(off + 4, 4, Math.floor(address / 2 ** 32));
}
