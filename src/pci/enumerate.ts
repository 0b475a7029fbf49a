import { Machine } from '../../assembly/spec/machine';
import { Pci, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type BarSize, type PortAccess, type RomSize, sizeBars, sizeRom } from './access';
import { bdfOf, formatBdf } from './bdf';
import { interruptLine } from './interrupts';
import { type InPlace, findInPlace } from './in-place';
import { type Found, flatten, scanTree } from './tree';
import {
  type Need, type Needs, type Range, type Space, freeFrom, hasPrefetchable, inOrder, noNeeds, openAround, placeBar, placeRom,
  windowAround,
} from './windows';

export interface EnumeratedFunction {
  routing: number;
  vendorId: number;
  deviceId: number;
  classCode: number;
  interruptPin: number;
  bars: BarSize[];
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
    ...(rom && { rom }),
    ...(secondaryBus === undefined ? {} : { secondaryBus }),
  };
}

/** Orders a function's ROM behind its BARs and before a bridge's windows. */
const ROM_INDEX = 6;

/** Something that decodes addresses: a BAR, or a ROM, which is memory. */
interface Decoder {
  readonly what: string;
  readonly bar: BarSize;
  readonly space: Space;
  place(address: number): void;
}

/** All that a function decodes. A ROM is seen as a BAR that comes after the others. */
function decodersOf({ routing, config }: Found, { bars, rom }: EnumeratedFunction, seen: Map<RomSize, BarSize>): Decoder[] {
  const name = formatBdf(bdfOf(routing));
  const found: Decoder[] = bars.map((bar) => ({
    what: `BAR ${bar.index} of ${name}`, bar, space: bar.io ? 'ports' : bar.prefetchable ? 'prefetchable' : 'memory',
    place: (address) => {
      bar.address = address;
      placeBar(config, bar.index, bar.wide, address);
    },
  }));
  if (rom === undefined) return found;
  const bar = seen.get(rom) ?? { ...rom, index: ROM_INDEX, io: false, wide: false, prefetchable: false };
  seen.set(rom, bar);
  found.push({ what: `the ROM of ${name}`, bar, space: 'memory', place: (address) => {
    rom.address = address;
    bar.address = address;
    placeRom(config, address);
  } });
  return found;
}

type DecodersOf = (one: Found) => Decoder[];

/** Puts what is given where it is given, and opens the windows of the bridges on the way. */
function placeGiven(found: readonly Found[], given: GivenPlaces, decodersOfOne: DecodersOf): void {
  for (const one of found) {
    const place = given.get(one.routing);
    for (const { bar, place: put } of decodersOfOne(one)) {
      const address = bar.index === ROM_INDEX ? place?.rom : place?.bars.get(bar.index);
      if (address !== undefined) put(address);
    }
    if (one.secondaryBus === undefined) continue;
    placeGiven(one.behind, given, decodersOfOne);
    openGiven(one, given, decodersOfOne);
  }
}

/** A window around addresses that are given; then all of them have to be. */
function openGiven(bridge: Found, given: GivenPlaces, decodersOfOne: DecodersOf): void {
  const inner = flatten(bridge.behind).flatMap((one) => decodersOfOne(one).map((decoder) => ({ one, decoder })));
  const spaces: Space[] = hasPrefetchable(bridge.config) ? ['memory', 'prefetchable', 'ports'] : ['memory', 'ports'];
  for (const space of spaces) {
    const here = inner.filter(({ decoder }) => decoder.space === space
      || (space === 'memory' && decoder.space === 'prefetchable' && !spaces.includes('prefetchable')));
    const isGiven = ({ one, decoder: { bar } }: typeof inner[number]): boolean =>
      (bar.index === ROM_INDEX ? given.get(one.routing)?.rom !== undefined : given.get(one.routing)?.bars.has(bar.index) ?? false);
    if (!here.some(isGiven)) continue;
    const free = here.find((entry) => !isGiven(entry));
    if (free !== undefined) {
      throw new PortcullisError('NO_ROOM_FOR_BAR', `${free.decoder.what} has no address, and others behind `
        + `${formatBdf(bdfOf(bridge.routing))} have one; give all or none`, { routing: free.one.routing });
    }
    openAround(space, bridge.config, here.map(({ decoder: { bar } }): Range => [bar.address, bar.address + bar.size]));
  }
}

/** Whatever is given by hand is where it was given; another is there first, or the address is no device's. */
function checkGiven(found: readonly Found[], given: GivenPlaces, decodersOfOne: DecodersOf, inPlace: InPlace): void {
  const all = flatten(found).flatMap((one) => decodersOfOne(one).map((decoder) => ({ routing: one.routing, ...decoder })));
  const hex = (address: number): string => `0x${address.toString(16)}`;
  for (const { routing, what, bar } of all) {
    const wanted = bar.index === ROM_INDEX ? given.get(routing)?.rom : given.get(routing)?.bars.get(bar.index);
    if (wanted === undefined || inPlace.bars.has(bar)) continue;
    const other = all.find((one) => one.bar !== bar && one.bar.io === bar.io && inPlace.bars.has(one.bar)
      && one.bar.address < bar.address + bar.size && bar.address < one.bar.address + one.bar.size);
    throw new PortcullisError('ADDRESS_TAKEN', `${what} at ${hex(bar.address)} to ${hex(bar.address + bar.size - 1)} overlaps `
      + `${other === undefined ? 'what is no device\'s' : `${other.what} at ${hex(other.bar.address)}`}; give one of them another address`,
    { routing });
  }
}

/** What a bus needs: its functions' BARs, and around what is behind each bridge a window. What is in place needs nothing. */
function collect(found: readonly Found[], decodersOfOne: DecodersOf, inPlace: InPlace): Needs {
  const needs = noNeeds();
  for (const one of found) {
    const { routing, config, behind, secondaryBus } = one;
    const name = formatBdf(bdfOf(routing));
    for (const { what, bar, space, place } of decodersOfOne(one)) {
      if (inPlace.bars.has(bar)) continue;
      needs[space].push({ what, routing, index: bar.index, size: bar.size, align: bar.size, high: bar.wide, place });
    }
    if (secondaryBus === undefined) continue;
    const inner = collect(behind, decodersOfOne, inPlace);
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

/** Places needs from the start of a range on, around what is taken; wide ones that find no room get the other range. */
function allocate(needs: readonly Need[], taken: readonly Range[], kind: string, range: Range, other?: Range): void {
  let [at, end] = range;
  let [above, top] = other ?? [0, 0];
  for (const need of inOrder(needs)) {
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

/** Command bits by which a function answers at its BARs. */
export function decodeBits(bars: readonly BarSize[]): number {
  return (bars.some((bar) => bar.io) ? PciCommand.IO : 0) | (bars.some((bar) => !bar.io) ? PciCommand.MEMORY : 0);
}

/**
 * Interrupt line from the swizzled pin; decode on. Bridges pass DMA on; a device's Bus Master is its driver's to set.
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

/**
 * Enumerates all buses as firmware does: numbers them, sizes every BAR, places the largest first so that all are
 * aligned, and what is behind a bridge within its windows, sets the interrupt lines and turns decode on. What comes with
 * an address, as a device from a dump does, stays there if it can; what is given has to. `ram` is the end of memory.
 * Throws NO_ROOM_FOR_BAR, and ADDRESS_TAKEN where places that are given overlap.
 */
export function enumerate(ports: PortAccess, given: GivenPlaces = new Map(),
  { ram = 0, ...resources }: Partial<Resources> & { ram?: number } = {}): EnumeratedFunction[] {
  const { memory, high, ports: portRange } = { ...DEFAULT_RESOURCES, ...resources };
  const tree = scanTree(ports);
  const functions = flatten(tree).map(describe);
  const known = new Map(functions.map((one) => [one.routing, one]));
  const roms = new Map<RomSize, BarSize>();
  const decodersOfOne: DecodersOf = (one) => decodersOf(one, known.get(one.routing) as EnumeratedFunction, roms);
  placeGiven(tree, given, decodersOfOne);
  const inPlace = findInPlace(tree, (one) => decodersOfOne(one).map(({ bar }) => bar), ram);
  checkGiven(tree, given, decodersOfOne, inPlace);
  const needs = collect(tree, decodersOfOne, inPlace);
  allocate([...needs.memory, ...needs.prefetchable], inPlace.memory, 'address space', memory, high);
  allocate(needs.ports, inPlace.ports, 'ports', portRange);
  enable(tree, known, given, []);
  return functions;
}
