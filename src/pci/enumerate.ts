import { Machine } from '../../assembly/spec/machine';
import { Pci, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type BarSize, type PortAccess, sizeBars, sizeRom } from './access';
import { bdfOf, formatBdf } from './bdf';
import { interruptLine } from './interrupts';
import { type InPlace, findInPlace } from './in-place';
import { type Found, flatten, scanTree } from './tree';
import {
  type Need, type Needs, type Range, type Space, barName, freeFrom, hasPrefetchable, inOrder, noNeeds, placeBar, windowAround,
} from './windows';

export interface EnumeratedFunction {
  routing: number;
  vendorId: number;
  deviceId: number;
  classCode: number;
  interruptPin: number;
  bars: BarSize[];
  /** Expansion ROM; nothing answers at its address. */
  rom?: BarSize;
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

function barsAndRom({ bars, rom }: EnumeratedFunction): BarSize[] {
  return rom === undefined ? bars : [...bars, rom];
}

/** What a bus needs: its functions' BARs, and around what is behind each bridge a window. What is in place needs nothing. */
function collect(found: readonly Found[], known: ReadonlyMap<number, EnumeratedFunction>, inPlace: InPlace): Needs {
  const needs = noNeeds();
  for (const { routing, config, behind, secondaryBus } of found) {
    const name = formatBdf(bdfOf(routing));
    for (const bar of barsAndRom(known.get(routing) as EnumeratedFunction)) {
      if (inPlace.bars.has(bar)) continue;
      const space: Space = bar.io ? 'ports' : bar.prefetchable ? 'prefetchable' : 'memory';
      needs[space].push({
        what: `${barName(bar)} of ${name}`, routing, index: bar.index, size: bar.size, align: bar.size, high: bar.wide,
        place: (address) => {
          bar.address = address;
          placeBar(config, bar, address);
        },
      });
    }
    if (secondaryBus === undefined) continue;
    const inner = collect(behind, known, inPlace);
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

/** What a PC's firmware turns on in every function, whatever BARs it has. */
export const FIRMWARE_COMMAND: number = PciCommand.IO | PciCommand.MEMORY | PciCommand.SERR;

/**
 * Interrupt line from the swizzled pin; decode on. Bridges pass DMA on; a device's Bus Master is its driver's to set.
 */
function enable(found: readonly Found[], known: ReadonlyMap<number, EnumeratedFunction>,
  bridges: readonly number[]): void {
  for (const { routing, config, behind, secondaryBus } of found) {
    const { interruptPin } = known.get(routing) as EnumeratedFunction;
    const device = (routing >> 3) & 31;
    if (interruptPin !== 0 && config.read(Pci.INTERRUPT_LINE, 1) === 0) {
      config.write(Pci.INTERRUPT_LINE, 1, interruptLine({ device, bridges }, interruptPin));
    }
    const forward = secondaryBus === undefined ? 0 : PciCommand.MASTER;
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | FIRMWARE_COMMAND | forward);
    enable(behind, known, [device, ...bridges]);
  }
}

/**
 * Enumerates all buses as firmware does: numbers them, sizes every BAR, places the largest first so that all are
 * aligned, and what is behind a bridge within its windows, sets the interrupt lines and turns decode on. What comes with
 * an address, as a device from a dump does, stays there if it can; `ram` is the end of memory.
 */
export function enumerate(ports: PortAccess, { ram = 0, ...resources }: Partial<Resources> & { ram?: number } = {}): EnumeratedFunction[] {
  const { memory, high, ports: portRange } = { ...DEFAULT_RESOURCES, ...resources };
  const tree = scanTree(ports);
  const functions = flatten(tree).map(describe);
  const known = new Map(functions.map((one) => [one.routing, one]));
  const inPlace = findInPlace(tree, (routing) => barsAndRom(known.get(routing) as EnumeratedFunction), ram);
  const needs = collect(tree, known, inPlace);
  allocate([...needs.memory, ...needs.prefetchable], inPlace.memory, 'address space', memory, high);
  allocate(needs.ports, inPlace.ports, 'ports', portRange);
  enable(tree, known, []);
  return functions;
}
