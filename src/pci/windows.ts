import { Pci, PciBridge } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import type { ConfigAccess } from './access';

/** What can be asked for: addresses, addresses without read effects, ports. */
export type Space = 'memory' | 'prefetchable' | 'ports';

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
  /** Address that it has to have; undefined for any. */
  at?: number | undefined;
  place: (address: number) => void;
}

export type Needs = Record<Space, Need[]>;

export function noNeeds(): Needs {
  return { memory: [], prefetchable: [], ports: [] };
}

/**
 * Places needs from `start` on, the most aligned first, so that little is lost between them; what has an address of its
 * own is where it is, and the others go round it. Gives the end.
 */
export function stack(needs: readonly Need[], start: number, put: (need: Need, address: number) => void): number {
  const taken = needs.filter(({ at }) => at !== undefined)
    .map((need) => [need.at as number, need.at as number + need.size] as const)
    .sort((a, b) => a[0] - b[0]);
  for (const need of needs) if (need.at !== undefined) put(need, need.at);
  const sorted = needs.filter(({ at }) => at === undefined)
    .sort((a, b) => b.align - a.align || a.routing - b.routing || a.index - b.index);
  let at = start;
  for (const need of sorted) {
    let address = Math.ceil(at / need.align) * need.align;
    for (const [first, end] of taken) {
      if (address + need.size > first && address < end) address = Math.ceil(end / need.align) * need.align;
    }
    put(need, address);
    at = address + need.size;
  }
  return Math.max(at, ...taken.map(([, end]) => end));
}

const GRAIN = { memory: 1 << 20, prefetchable: 1 << 20, ports: 1 << 12 } as const;
const ORDER = { memory: 0, prefetchable: 1, ports: 2 } as const;

/** One window around everything that is needed behind a bridge; undefined, and the window closed, for nothing. */
export function windowAround(space: Space, behind: readonly Need[],
  bridge: { what: string; routing: number; config: ConfigAccess }): Need | undefined {
  closeWindow(space, bridge.config);
  if (behind.length === 0) return undefined;
  const grain = GRAIN[space];
  const given = behind.filter(({ at }) => at !== undefined);
  if (given.length > 0) return windowAtGiven(space, behind, bridge);
  const align = Math.max(grain, ...behind.map((need) => need.align));
  const size = Math.ceil(stack(behind, 0, () => {}) / grain) * grain;
  return {
    what: nameOfWindow(space, bridge.what), routing: bridge.routing,
    index: 6 + ORDER[space], size, align,
    place: (address) => {
      stack(behind, address, (need, at) => need.place(at));
      openWindow(space, bridge.config, address, size);
    },
  };
}

/** A window around addresses that are given; then all of them have to be. */
function windowAtGiven(space: Space, behind: readonly Need[],
  bridge: { what: string; routing: number; config: ConfigAccess }): Need {
  const free = behind.find(({ at }) => at === undefined);
  if (free !== undefined) {
    throw new PortcullisError('NO_ROOM_FOR_BAR', `${free.what} has no address, and others behind ${bridge.what} have one; give all `
      + 'or none', { routing: free.routing });
  }
  const grain = GRAIN[space];
  const first = Math.floor(Math.min(...behind.map(({ at }) => at as number)) / grain) * grain;
  const end = Math.ceil(Math.max(...behind.map(({ at, size }) => at as number + size)) / grain) * grain;
  return {
    what: nameOfWindow(space, bridge.what), routing: bridge.routing, index: 6 + ORDER[space], size: end - first, align: grain, at: first,
    place: () => {
      for (const need of behind) need.place(need.at as number);
      openWindow(space, bridge.config, first, end - first);
    },
  };
}

function nameOfWindow(space: Space, bridge: string): string {
  return `the ${space === 'ports' ? 'I/O' : space} window of ${bridge}`;
}

/** Registers of each window, and how wide a base is. */
const REGISTERS = {
  memory: { base: PciBridge.MEMORY_BASE, limit: PciBridge.MEMORY_LIMIT, width: 2, shift: 16 },
  prefetchable: { base: PciBridge.PREFETCH_BASE, limit: PciBridge.PREFETCH_LIMIT, width: 2, shift: 16 },
  ports: { base: PciBridge.IO_BASE, limit: PciBridge.IO_LIMIT, width: 1, shift: 8 },
} as const;

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

function openWindow(space: Space, config: ConfigAccess, address: number, size: number): void {
  const { base, limit, width, shift } = REGISTERS[space];
  const last = address + size - 1;
  if (space === 'prefetchable') {
    config.write(PciBridge.PREFETCH_BASE_HI, 4, Math.floor(address / 2 ** 32));
    config.write(PciBridge.PREFETCH_LIMIT_HI, 4, Math.floor(last / 2 ** 32));
  }
  config.write(base, width, (address >>> shift) & 0xfff0);
  config.write(limit, width, (last >>> shift) & 0xfff0);
}

/** Writes a BAR's address. */
export function placeBar(config: ConfigAccess, index: number, wide: boolean, address: number): void {
  config.write(Pci.BAR0 + 4 * index, 4, address % 2 ** 32);
  if (wide) config.write(Pci.BAR0 + 4 * index + 4, 4, Math.floor(address / 2 ** 32));
}

/** Writes the address of an expansion ROM, which stays off. */
export function placeRom(config: ConfigAccess, address: number): void {
  config.write(Pci.ROM_ADDRESS, 4, address);
}
