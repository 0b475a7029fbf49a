import { Pci } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type BarSize, type ConfigAccess, type PortAccess, configByPorts, sizeBars, sizeRom } from './access';
import { bdfOf, formatBdf } from './bdf';
import { DEFAULT_RESOURCES, type EnumeratedFunction, type Resources, FIRMWARE_COMMAND } from './enumerate';
import { interruptLine } from './interrupts';
import { type Range, barName, placeBar, windowsOf } from './windows';

/** What a function of the root bus decodes: its BARs, and a bridge's windows. */
function occupied(ports: PortAccess, functions: readonly EnumeratedFunction[], io: boolean): Range[] {
  return functions.flatMap(({ routing, bars, rom, secondaryBus }) => {
    const own = [...bars, ...(rom === undefined ? [] : [rom])].filter((bar) => bar.io === io)
      .map((bar): Range => [bar.address, bar.address + bar.size]);
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
 * that are free, or stay where they are if that is free; what is there already stays, too. Decode is turned on. Throws
 * NO_ROOM_FOR_BAR.
 */
export function enumerateAdded(ports: PortAccess, routing: number, others: readonly EnumeratedFunction[],
  resources: Resources = DEFAULT_RESOURCES): EnumeratedFunction {
  const config = configByPorts(ports, routing);
  const bars = sizeBars(config);
  const taken = { memory: occupied(ports, others, false), ports: occupied(ports, others, true) };
  const rom = sizeRom(config);
  // what has an address comes first
  const ordered = [...bars, ...(rom === undefined ? [] : [rom])].sort((a, b) =>
    Number(a.address === 0) - Number(b.address === 0) || b.size - a.size || a.index - b.index);
  for (const bar of ordered) {
    const space = bar.io ? 'ports' : 'memory';
    place(bar, config, routing, taken[space], resources[space]);
  }
  const interruptPin = config.read(Pci.INTERRUPT_PIN, 1);
  const device = (routing >> 3) & 31;
  if (interruptPin !== 0 && config.read(Pci.INTERRUPT_LINE, 1) === 0) {
    config.write(Pci.INTERRUPT_LINE, 1, interruptLine({ device, bridges: [] }, interruptPin));
  }
  config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | FIRMWARE_COMMAND);
  return {
    routing, vendorId: config.read(Pci.VENDOR_ID, 2), deviceId: config.read(Pci.DEVICE_ID, 2),
    classCode: config.read(Pci.REVISION_ID, 4) >>> 8, interruptPin, bars, ...(rom && { rom }),
  };
}

function place(bar: BarSize, config: ConfigAccess, routing: number, taken: Range[], within: Range): void {
  const free = bar.address !== 0 && !taken.some(([start, end]) => bar.address < end && bar.address + bar.size > start);
  const address = free ? bar.address : freeAddress(bar.size, within, taken);
  if (address === undefined) {
    throw new PortcullisError('NO_ROOM_FOR_BAR', `${barName(bar)} of ${formatBdf(bdfOf(routing))} needs ${bar.size} `
      + `bytes of ${bar.io ? 'ports' : 'address space'} below 0x${within[1].toString(16)}; take a device out`,
    { routing, size: bar.size });
  }
  bar.address = address;
  taken.push([address, address + bar.size]);
  placeBar(config, bar, address);
}
