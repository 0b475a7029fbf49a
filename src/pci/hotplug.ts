import { Pci } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type PortAccess, configByPorts, sizeBars, sizeRom } from './access';
import { bdfOf, formatBdf } from './bdf';
import { DEFAULT_RESOURCES, type EnumeratedFunction, type GivenPlace, type Resources, decodeBits } from './enumerate';
import { interruptLine } from './interrupts';
import { type Range, placeBar, placeRom, windowsOf } from './windows';

/** What a function of the root bus decodes: its BARs, and a bridge's windows. */
function occupied(ports: PortAccess, functions: readonly EnumeratedFunction[], io: boolean): Range[] {
  return functions.flatMap(({ routing, bars, rom, secondaryBus }) => {
    const own = bars.filter((bar) => bar.io === io).map((bar): Range => [bar.address, bar.address + bar.size]);
    if (rom !== undefined && !io) own.push([rom.address, rom.address + rom.size]);
    return secondaryBus === undefined ? own : [...own, ...windowsOf(configByPorts(ports, routing), io)];
  });
}

/** Lowest address for a BAR among ranges that are taken; undefined when there is none. */
function freeAddress(size: number, [start, end]: Range, taken: readonly Range[]): number | undefined {
  let at = Math.ceil(start / size) * size;
  for (const [low, high] of [...taken].sort((a, b) => a[0] - b[0])) {
    if (at + size <= low) break;
    if (high > at) at = Math.ceil(high / size) * size;
  }
  return at + size <= end ? at : undefined;
}

/**
 * Enumerates a function of the root bus that came while the machine runs: its BARs and ROM go to the lowest addresses
 * that are free, or to those that are given, what is there already stays where it is, and decode is turned on. Throws
 * NO_ROOM_FOR_BAR, and ADDRESS_TAKEN for a given address that is not free.
 */
export function enumerateAdded(ports: PortAccess, routing: number, others: readonly EnumeratedFunction[],
  given?: GivenPlace, resources: Resources = DEFAULT_RESOURCES): EnumeratedFunction {
  const config = configByPorts(ports, routing);
  const bars = sizeBars(config);
  const rom = sizeRom(config);
  const taken = { memory: occupied(ports, others, false), ports: occupied(ports, others, true) };
  const name = formatBdf(bdfOf(routing));
  // what is given comes first, and the others go round it
  const needs = [
    ...bars.map((bar) => ({
      what: `BAR ${bar.index} of ${name}`, space: bar.io ? 'ports' as const : 'memory' as const, size: bar.size, index: bar.index,
      at: given?.bars.get(bar.index),
      place: (address: number) => {
        bar.address = address;
        placeBar(config, bar.index, bar.wide, address);
      },
    })),
    ...(rom === undefined ? [] : [{
      what: `the ROM of ${name}`, space: 'memory' as const, size: rom.size, index: 6, at: given?.rom,
      place: (address: number) => {
        rom.address = address;
        placeRom(config, address);
      },
    }]),
  ].sort((a, b) => Number(a.at === undefined) - Number(b.at === undefined) || b.size - a.size || a.index - b.index);
  for (const { what, space, size, at, place } of needs) {
    const address = at ?? freeAddress(size, resources[space], taken[space]);
    if (address === undefined) {
      throw new PortcullisError('NO_ROOM_FOR_BAR', `${what} needs ${size} bytes of ${space === 'ports' ? 'ports' : 'address space'} `
        + `below 0x${resources[space][1].toString(16)}; take a device out`, { routing, size });
    }
    if (taken[space].some(([first, end]) => address < end && address + size > first)) {
      throw new PortcullisError('ADDRESS_TAKEN', `${what} at 0x${address.toString(16)} overlaps what another device has; give it `
        + 'another address', { routing, address });
    }
    taken[space].push([address, address + size]);
    place(address);
  }
  const interruptPin = config.read(Pci.INTERRUPT_PIN, 1);
  const device = (routing >> 3) & 31;
  if (interruptPin !== 0) {
    config.write(Pci.INTERRUPT_LINE, 1, given?.interruptLine ?? interruptLine({ device, bridges: [] }, interruptPin));
  }
  config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | decodeBits(bars));
  return {
    routing, vendorId: config.read(Pci.VENDOR_ID, 2), deviceId: config.read(Pci.DEVICE_ID, 2),
    classCode: config.read(Pci.REVISION_ID, 4) >>> 8, interruptPin, bars, ...(rom && { rom }),
  };
}
