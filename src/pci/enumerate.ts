import { Pci, PciBridge, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import {
  type BarSize, type ConfigAccess, type PortAccess, type RomSize, configByPorts, isBridge, sizeBars, sizeRom,
} from './access';
import { bdfOf, formatBdf } from './bdf';
import { interruptLine } from './interrupts';
import { type Need, type Needs, type Space, noNeeds, placeBar, placeRom, stack, windowAround } from './windows';

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

/** The hole of a PC below the enhanced config space's upper end, and the ports above the legacy ones. */
export const DEFAULT_RESOURCES: Resources = { memory: [0xf0000000, 0xfec00000], ports: [0xc000, 0x10000] };

/** A function that was found, and what is behind it. */
interface Found {
  routing: number;
  config: ConfigAccess;
  behind: Found[];
  secondaryBus?: number;
}

function present(ports: PortAccess, routing: number): boolean {
  return configByPorts(ports, routing).read(Pci.VENDOR_ID, 2) !== 0xffff;
}

/** Every function of a bus that answers: function 0 first, the others only of a multi-function device. */
export function scanBus(ports: PortAccess, bus = 0): number[] {
  const found: number[] = [];
  for (let device = 0; device < 32; device++) {
    const first = bus << 8 | device << 3;
    if (!present(ports, first)) continue;
    found.push(first);
    if ((configByPorts(ports, first).read(Pci.HEADER_TYPE, 1) & Pci.HEADER_MULTI_FUNCTION) === 0) continue;
    for (let fn = 1; fn < 8; fn++) if (present(ports, first | fn)) found.push(first | fn);
  }
  return found;
}

/**
 * Depth first: a bridge gets the next number for the bus behind it, and all that is behind comes before its neighbour.
 */
function scanTree(ports: PortAccess, bus: number, last: { bus: number }): Found[] {
  return scanBus(ports, bus).map((routing) => {
    const config = configByPorts(ports, routing);
    const found: Found = { routing, config, behind: [] };
    if (!isBridge(config)) return found;
    if (last.bus === 255) {
      throw new PortcullisError('NO_BUS_NUMBER',
        `no bus number is left for what is behind ${formatBdf(bdfOf(routing))}; `
        + 'there are 256 buses', { routing });
    }
    const secondary = ++last.bus;
    found.secondaryBus = secondary;
    config.write(PciBridge.PRIMARY_BUS, 1, bus);
    config.write(PciBridge.SECONDARY_BUS, 1, secondary);
    config.write(PciBridge.SUBORDINATE_BUS, 1, 0xff);
    found.behind = scanTree(ports, secondary, last);
    config.write(PciBridge.SUBORDINATE_BUS, 1, last.bus);
    return found;
  });
}

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

/** What a bus needs: its functions' BARs, and around what is behind each bridge a window. */
function collect(found: readonly Found[], known: ReadonlyMap<number, EnumeratedFunction>, given: GivenPlaces): Needs {
  const needs = noNeeds();
  for (const { routing, config, behind, secondaryBus } of found) {
    const name = formatBdf(bdfOf(routing));
    const { bars, rom } = known.get(routing) as EnumeratedFunction;
    for (const bar of bars) {
      const space: Space = bar.io ? 'ports' : bar.prefetchable ? 'prefetchable' : 'memory';
      needs[space].push({
        what: `BAR ${bar.index} of ${name}`, routing, index: bar.index, size: bar.size, align: bar.size,
        at: given.get(routing)?.bars.get(bar.index),
        place: (address) => {
          bar.address = address;
          placeBar(config, bar.index, bar.wide, address);
        },
      });
    }
    if (rom !== undefined) {
      needs.memory.push({
        what: `the ROM of ${name}`, routing, index: ROM_INDEX, size: rom.size, align: rom.size, at: given.get(routing)?.rom,
        place: (address) => {
          rom.address = address;
          placeRom(config, address);
        },
      });
    }
    if (secondaryBus === undefined) continue;
    const inner = collect(behind, known, given);
    for (const space of ['memory', 'prefetchable', 'ports'] as const) {
      const window = windowAround(space, inner[space], { what: name, routing, config });
      if (window !== undefined) needs[space].push(window);
    }
  }
  return needs;
}

function allocate(needs: readonly Need[], [start, end]: [number, number], kind: string): void {
  checkGiven(needs);
  stack(needs, start, (need, address) => {
    if (need.at === undefined && address + need.size > end) {
      throw new PortcullisError('NO_ROOM_FOR_BAR', `${need.what} needs ${need.size} bytes of ${kind} below `
        + `0x${end.toString(16)}; take a device out`, { routing: need.routing, size: need.size });
    }
    need.place(address);
  });
}

/** Two that were given addresses by hand, or a window around such, do not overlap. */
function checkGiven(needs: readonly Need[]): void {
  const fixed = needs.filter(({ at }) => at !== undefined).sort((a, b) => (a.at as number) - (b.at as number));
  fixed.forEach((need, index) => {
    const next = fixed[index + 1];
    const end = need.at as number + need.size;
    if (next === undefined || end <= (next.at as number)) return;
    throw new PortcullisError('ADDRESS_TAKEN', `${need.what} at 0x${(need.at as number).toString(16)} to 0x${(end - 1).toString(16)} `
      + `overlaps ${next.what} at 0x${(next.at as number).toString(16)}; give one of them another address`, { routing: next.routing });
  });
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
    if (interruptPin !== 0) config.write(Pci.INTERRUPT_LINE, 1, line ?? interruptLine({ device, bridges }, interruptPin));
    const decode = decodeBits(bars);
    const forward = secondaryBus === undefined ? 0 : PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER;
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | decode | forward);
    enable(behind, known, given, [device, ...bridges]);
  }
}

function flatten(found: readonly Found[]): Found[] {
  return found.flatMap((one) => [one, ...flatten(one.behind)]);
}

/**
 * Enumerates all buses as firmware does: numbers them, sizes every BAR, places the largest first so that all are
 * aligned, and what is behind a bridge within its windows, sets the interrupt lines and turns decode on. Throws
 * NO_ROOM_FOR_BAR, and ADDRESS_TAKEN where places that are given overlap.
 */
export function enumerate(ports: PortAccess, given: GivenPlaces = new Map(),
  resources: Resources = DEFAULT_RESOURCES): EnumeratedFunction[] {
  const tree = scanTree(ports, 0, { bus: 0 });
  const functions = flatten(tree).map(describe);
  const known = new Map(functions.map((one) => [one.routing, one]));
  const needs = collect(tree, known, given);
  allocate([...needs.memory, ...needs.prefetchable], resources.memory, 'address space');
  allocate(needs.ports, resources.ports, 'ports');
  enable(tree, known, given, []);
  return functions;
}
