// Addresses that a description gives by hand are in the registers before firmware looks: what has an address and can
// keep it stays there (pci/in-place.ts).
import { Pci } from '../../assembly/spec/pci';
import type { AttachedFunction } from '../devices/attach';
import type { Engine } from '../engine/index';
import { PortcullisError } from '../errors';
import { type BarSize, type ConfigAccess, ROM_INDEX } from '../pci/access';
import { bdfOf, formatBdf } from '../pci/bdf';
import type { EnumeratedFunction } from '../pci/enumerate';
import { GRAIN, type Space, barName, openWindow, placeBar } from '../pci/windows';
import type { ResolvedDevice } from './description';

interface Given {
  readonly space: Space;
  readonly start: number;
  readonly end: number;
}

type Bar = Pick<BarSize, 'index' | 'wide'>;

/** Config space of a slot of the engine: bus numbers are not there yet. */
function configOf({ exports }: Engine, fn: number): ConfigAccess {
  return {
    read: (off, width) => exports.configRead(fn, off, width) >>> 0,
    write: (off, width, value) => exports.configWrite(fn, off, width, value),
  };
}

/** What of a device has an address by hand: register, and the range that it is to have. */
function givenOf({ definition, place }: ResolvedDevice): Array<Given & { bar: Bar }> {
  const bars = [...place.bars].map(([index, start]) => {
    const bar = definition.config?.bars[index];
    const size = bar?.size ?? 0;
    const space: Space = bar?.kind === 'io' ? 'ports' : bar?.prefetchable ? 'prefetchable' : 'memory';
    return { space, start, end: start + size, bar: { index, wide: bar?.kind === 'memory64' } };
  });
  if (place.rom === undefined) return bars;
  return [...bars, { space: 'memory', start: place.rom, end: place.rom + (place.romSize ?? 0), bar: { index: ROM_INDEX, wide: false } }];
}

/** Writes them, with the interrupt lines, and opens the windows of the bridges that lead there. */
export function placeByHand(engine: Engine, devices: readonly ResolvedDevice[], functions: ReadonlyMap<number, AttachedFunction>): void {
  const behind = new Map<AttachedFunction, Given[]>();
  for (const device of devices) {
    const attached = functions.get(device.routing) as AttachedFunction;
    placeDevice(engine, device, attached.fn);
    for (let bridge = attached.parent; bridge !== undefined; bridge = bridge.parent) {
      behind.set(bridge, [...behind.get(bridge) ?? [], ...givenOf(device)]);
    }
  }
  for (const [bridge, given] of behind) {
    for (const space of ['memory', 'prefetchable', 'ports'] as const) {
      const own = given.filter((one) => one.space === space);
      // a bridge from a dump has its windows
      if (own.length === 0 || bridge.definition.config?.image !== undefined) continue;
      const first = Math.floor(Math.min(...own.map(({ start }) => start)) / GRAIN[space]) * GRAIN[space];
      const end = Math.ceil(Math.max(...own.map((one) => one.end)) / GRAIN[space]) * GRAIN[space];
      openWindow(space, configOf(engine, bridge.fn), first, end - first);
    }
  }
}

/** One device: one that comes while the machine runs is enumerated by itself. */
export function placeDevice(engine: Engine, device: ResolvedDevice, fn: number): void {
  const config = configOf(engine, fn);
  for (const { bar, start } of givenOf(device)) placeBar(config, bar, start);
  const { interruptLine } = device.place;
  if (interruptLine !== undefined) config.write(Pci.INTERRUPT_LINE, 1, interruptLine);
}

/** Throws ADDRESS_TAKEN for the first that could not stay where the description has it. */
export function checkPlaced(devices: readonly ResolvedDevice[], enumerated: readonly EnumeratedFunction[]): void {
  for (const device of devices) {
    const found = enumerated.find(({ routing }) => routing === device.routing);
    for (const { bar, start, end } of givenOf(device)) {
      const placed = bar.index === ROM_INDEX ? found?.rom : found?.bars.find(({ index }) => index === bar.index);
      if (placed?.address === start) continue;
      const bdf = formatBdf(bdfOf(device.routing));
      const other = whoIsAt(start, end, bar.index, device.routing, enumerated);
      throw new PortcullisError('ADDRESS_TAKEN', `${barName(bar)} of ${bdf} cannot be at 0x${start.toString(16)} to `
        + `0x${(end - 1).toString(16)}: ${other === undefined ? 'memory or the board is there, or behind its bridge not all have an '
          + 'address' : `${other} is there`}; give it another one`, { bdf, index: bar.index, address: start });
    }
  }
}

function whoIsAt(start: number, end: number, index: number, routing: number, enumerated: readonly EnumeratedFunction[]): string | undefined {
  const own = enumerated.find((one) => one.routing === routing);
  const io = own?.bars.find((bar) => bar.index === index)?.io ?? false;
  for (const one of enumerated) {
    const decoded = [...one.bars, ...(one.rom === undefined ? [] : [one.rom])];
    const hit = decoded.find((bar) => bar.io === io && bar.address < end && start < bar.address + bar.size);
    if (hit !== undefined && one !== own) return `${barName(hit)} of ${formatBdf(bdfOf(one.routing))}`;
  }
  return undefined;
}
