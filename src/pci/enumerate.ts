import { Machine } from '../../assembly/spec/machine';
import { Pci, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type BarSize, type PortAccess, type RomSize, sizeBars, sizeRom } from './access';
import { bdfOf, formatBdf } from './bdf';
import { interruptLine } from './interrupts';
import { type Address, type InPlace, findInPlace } from './in-place';
import { type Found, flatten, scanTree } from './tree';
import {
  type Need, type Needs, type Range, type Space, freeFrom, hasPrefetchable, inOrder, noNeeds, placeBar, placeRom, windowAround,
} from './windows';

export interface EnumeratedFunction {
  routing: number;
  vendorId: number;
  deviceId: number;
  classCode: number;
  interruptPin: number;
  bars: BarSize[];
  /** Expansion ROM. */
  rom?: RomSize;
  /** Bus behind it, for a bridge. */
  secondaryBus?: number;
}

export interface Resources {
  /** First machine address and end of what memory BARs get, and the same for ports. */
  memory: [number, number];
  ports: [number, number];
  /** What wide BARs get that find no room there. */
  high: [number, number];
}

/** What firmware is told of a function, in place of what it would choose. */
export interface GivenPlace {
  /** Address of each BAR, by number. */
  readonly bars: ReadonlyMap<number, number>;
  readonly rom?: number | undefined;
  /** Byte 3C. */
  readonly interruptLine?: number | undefined;
}

/** By routing id. */
export type GivenPlaces = ReadonlyMap<number, GivenPlace>;

/** The hole of a PC above the enhanced config space, ports above the legacy ones, and 64 GiB to 1 TiB. */
export const DEFAULT_RESOURCES: Resources = {
  memory: [0xf0000000, 0xfec00000], ports: [0xc000, 0x10000], high: [2 ** 36, Machine.MFN_LIMIT * Machine.PAGE_SIZE],
};

function describe({ routing, config, secondaryBus }: Found): EnumeratedFunction {
  const rom = sizeRom(config);
  return {
    routing,
    vendorId: config.read(Pci.VENDOR_ID, 2),
    deviceId: config.read(Pci.DEVICE_ID, 2),
    classCode: config.read(Pci.REVISION_ID, 4) >>> 8,
    interruptPin: config.read(Pci.INTERRUPT_PIN, 1),
    bars: sizeBars(config),
    ...(rom === undefined ? {} : { rom }),
    ...(secondaryBus === undefined ? {} : { secondaryBus }),
  };
}

/** Orders a function's ROM behind its BARs and before a bridge's windows. */
const ROM_INDEX = 6;

/** What a bus needs: its functions' BARs, and around what is behind each bridge a window. What is in place needs nothing. */
function collect(found: readonly Found[], known: ReadonlyMap<number, EnumeratedFunction>, given: GivenPlaces,
  inPlace: InPlace): Needs {
  const needs = noNeeds();
  for (const { routing, config, behind, secondaryBus } of found) {
    const name = formatBdf(bdfOf(routing));
    const { bars, rom } = known.get(routing) as EnumeratedFunction;
    for (const bar of bars) {
      if (inPlace.addresses.has(bar)) continue;
      const space: Space = bar.io ? 'ports' : bar.prefetchable ? 'prefetchable' : 'memory';
      needs[space].push({
        what: `BAR ${bar.index} of ${name}`, routing, index: bar.index, size: bar.size, align: bar.size, high: bar.wide,
        at: given.get(routing)?.bars.get(bar.index),
        place: (address) => {
          bar.address = address;
          placeBar(config, bar.index, bar.wide, address);
        },
      });
    }
    if (rom !== undefined && !inPlace.addresses.has(rom)) {
      needs.memory.push({
        what: `the ROM of ${name}`, routing, index: ROM_INDEX, size: rom.size, align: rom.size, high: false, at: given.get(routing)?.rom,
        place: (address) => {
          rom.address = address;
          placeRom(config, address);
        },
      });
    }
    if (secondaryBus === undefined) continue;
    const inner = collect(behind, known, given, inPlace);
    if (!inPlace.memoryBehind.has(routing)) {
      const prefetchable = hasPrefetchable(config);
      const memory = prefetchable ? inner.memory : [...inner.memory, ...inner.prefetchable];
      needs.memory.push(...windowAround('memory', memory, { what: name, routing, config }));
      needs.prefetchable.push(...windowAround('prefetchable', prefetchable ? inner.prefetchable : [], { what: name, routing, config }));
    }
    if (!inPlace.portsBehind.has(routing)) needs.ports.push(...windowAround('ports', inner.ports, { what: name, routing, config }));
  }
  return needs;
}

/**
 * Places what has an address of its own there, and all else from the start of a range on, around what is taken; wide ones
 * that find no room get the other range.
 */
function allocate(needs: readonly Need[], inPlace: readonly Range[], kind: string, range: Range, other?: Range): void {
  const taken = [...inPlace, ...placeGiven(needs)];
  let [at, end] = range;
  let [above, top] = other ?? [0, 0];
  for (const need of inOrder(needs.filter((one) => one.at === undefined))) {
    const { size, align } = need;
    const address = freeFrom(at, size, align, taken);
    if (address + size <= end) {
      need.place(address);
      at = address + size;
      continue;
    }
    const instead = freeFrom(above, size, align, taken);
    if (!need.high || instead + size > top) {
      throw new PortcullisError('NO_ROOM_FOR_BAR', `${need.what} needs ${size} bytes of ${kind} below `
        + `0x${end.toString(16)}; take a device out`, { routing: need.routing, size });
    }
    need.place(instead);
    above = instead + size;
  }
}

/** Two that were given addresses by hand, or a window around such, do not overlap. */
function placeGiven(needs: readonly Need[]): Range[] {
  const fixed = needs.flatMap((need) => (need.at === undefined ? [] : [{ need, start: need.at, end: need.at + need.size }]))
    .sort((a, b) => a.start - b.start);
  fixed.forEach(({ need, start, end }, index) => {
    const next = fixed[index + 1];
    if (next !== undefined && end > next.start) {
      throw new PortcullisError('ADDRESS_TAKEN', `${need.what} at 0x${start.toString(16)} to 0x${(end - 1).toString(16)} `
        + `overlaps ${next.need.what} at 0x${next.start.toString(16)}; give one of them another address`, { routing: next.need.routing });
    }
    need.place(start);
  });
  return fixed.map(({ start, end }) => [start, end]);
}

/** Command bits by which a function answers at its BARs. */
export function decodeBits(bars: readonly BarSize[]): number {
  return (bars.some((bar) => bar.io) ? PciCommand.IO : 0) | (bars.some((bar) => !bar.io) ? PciCommand.MEMORY : 0);
}

/**
 * Interrupt line as it is given, as it comes, or from the swizzled pin; decode on. Bridges pass DMA on; a device's Bus
 * Master is its driver's to set.
 */
function enable(found: readonly Found[], known: ReadonlyMap<number, EnumeratedFunction>, given: GivenPlaces,
  bridges: readonly number[]): void {
  for (const { routing, config, behind, secondaryBus } of found) {
    const { bars, interruptPin } = known.get(routing) as EnumeratedFunction;
    const device = (routing >> 3) & 31;
    const line = given.get(routing)?.interruptLine;
    if (interruptPin !== 0 && (line !== undefined || config.read(Pci.INTERRUPT_LINE, 1) === 0)) {
      config.write(Pci.INTERRUPT_LINE, 1, line ?? interruptLine({ device, bridges }, interruptPin));
    }
    const decode = decodeBits(bars);
    const forward = secondaryBus === undefined ? 0 : PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER;
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | decode | forward);
    enable(behind, known, given, [device, ...bridges]);
  }
}

export interface EnumerateOptions extends Partial<Resources> {
  given?: GivenPlaces;
  /** End of memory. */
  ram?: number;
}

/**
 * Enumerates all buses as firmware does: numbers them, sizes every BAR, places the largest first so that all are
 * aligned, and what is behind a bridge within its windows, sets the interrupt lines and turns decode on. What comes with
 * an address, as a device from a dump does, stays there if it can. Throws NO_ROOM_FOR_BAR, and ADDRESS_TAKEN where
 * places that are given overlap.
 */
export function enumerate(ports: PortAccess, { given = new Map(), ram = 0, ...resources }: EnumerateOptions = {}): EnumeratedFunction[] {
  const { memory, high, ports: portRange } = { ...DEFAULT_RESOURCES, ...resources };
  const tree = scanTree(ports);
  const functions = flatten(tree).map(describe);
  const known = new Map(functions.map((one) => [one.routing, one]));
  const inPlace = findInPlace(tree, (routing) => addressesOf(known.get(routing) as EnumeratedFunction, given.get(routing)), ram);
  const needs = collect(tree, known, given, inPlace);
  allocate([...needs.memory, ...needs.prefetchable], inPlace.memory, 'address space', memory, high);
  allocate(needs.ports, inPlace.ports, 'ports', portRange);
  enable(tree, known, given, []);
  return functions;
}

function addressesOf({ bars, rom }: EnumeratedFunction, given: GivenPlace | undefined): Address[] {
  return [
    ...bars.map((where) => ({ where, io: where.io, given: given?.bars.get(where.index) })),
    ...(rom === undefined ? [] : [{ where: rom, io: false, given: given?.rom }]),
  ];
}
