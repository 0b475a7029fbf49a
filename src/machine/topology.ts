import { PortcullisError } from '../errors';
import { PciBridge, PciExp } from '../../assembly/spec/pci';
import type { DeviceDefinition } from '../devices/definition';
import { bdfOf, formatBdf } from '../pci/bdf';
import { expressType } from '../pci/config-space';

interface Placed {
  definition: DeviceDefinition;
  routing: number;
}

/** What a device has to know of the others. */
interface Neighbours {
  /** Routing id of the bridge that leads to it; undefined on bus 0. */
  parent: number | undefined;
  multiFunction: boolean;
}

const hex = (bus: number): string => bus.toString(16).padStart(2, '0');

/** Root ports are on the root bus: their capability says so. */
function isRootPort({ config }: DeviceDefinition): boolean {
  return config?.bridge === true && expressType(config) === PciExp.TYPE_ROOT_PORT;
}

/** Bus numbers that a bridge comes with, as pci/enumerate.ts keeps them: one from a dump. */
function numbersOf({ config }: DeviceDefinition, bus: number): { secondary: number; subordinate: number } | undefined {
  const value = config?.bridge ? config.image?.value : undefined;
  if (value === undefined) return undefined;
  const [secondary, subordinate] = [value[PciBridge.SECONDARY_BUS] as number, value[PciBridge.SUBORDINATE_BUS] as number];
  return secondary > bus && subordinate >= secondary ? { secondary, subordinate } : undefined;
}

/**
 * Finds the bridge above each device by numbering the buses as firmware will (pci/enumerate.ts), and orders them so that a
 * bridge comes before what is behind it. Throws NO_BRIDGE for a bus that no bridge leads to, NO_FUNCTION_0 for a device
 * that no OS would find, ROOT_PORT_PLACE for a root port that is not on bus 0, ONE_DEVICE for a second device on a
 * link.
 */
export function busesOf<T extends Placed>(devices: readonly T[]): Array<T & Neighbours> {
  const ordered: Array<T & Neighbours> = [];
  const leads = new Map<number, number | undefined>();
  const visit = (bus: number, parent: number | undefined, link: boolean, last: { bus: number }): void => {
    leads.set(bus, parent);
    const here = devices.filter(({ routing }) => routing >> 8 === bus).sort((a, b) => a.routing - b.routing);
    last.bus = Math.max(last.bus, ...here.map(({ definition }) => numbersOf(definition, bus)?.subordinate ?? 0));
    for (const device of here) {
      const number = device.routing & ~7;
      if (link && (device.routing & 0xf8) !== 0) {
        throw new PortcullisError('ONE_DEVICE',
          `${formatBdf(bdfOf(device.routing))} is behind a root port, whose link leads to one `
          + `device, number 00; use ${hex(bus)}:00.0 to ${hex(bus)}:00.7, or another root-port`,
          { routing: device.routing });
      }
      // function 0 of device 0 is the host bridge
      if (number !== 0 && !here.some(({ routing }) => routing === number)) {
        throw new PortcullisError('NO_FUNCTION_0',
          `${formatBdf(bdfOf(device.routing))} has no function 0 beside it, without `
          + `which nobody looks for it; put one at ${formatBdf(bdfOf(number))}`, { routing: device.routing });
      }
      const multiFunction = here.filter(({ routing }) => (routing & ~7) === number).length > 1;
      ordered.push({ ...device, parent, multiFunction });
      if (!device.definition.config?.bridge) continue;
      if (bus !== 0 && isRootPort(device.definition)) {
        throw new PortcullisError('ROOT_PORT_PLACE',
          `${formatBdf(bdfOf(device.routing))} is a root port; root ports are on bus 00`,
          { routing: device.routing });
      }
      const own = numbersOf(device.definition, bus)?.secondary;
      visit(own ?? ++last.bus, device.routing, isRootPort(device.definition), own === undefined ? last : { bus: own });
    }
  };
  visit(0, undefined, false, { bus: 0 });
  for (const { routing } of devices) {
    if (leads.has(routing >> 8)) continue;
    const buses = [...leads].map(([bus, parent]) =>
      (parent === undefined ? hex(bus) : `${hex(bus)} behind ${formatBdf(bdfOf(parent))}`));
    throw new PortcullisError('NO_BRIDGE',
      `${formatBdf(bdfOf(routing))}: no bridge leads to bus ${hex(routing >> 8)}; there `
      + `${buses.length === 1 ? 'is bus' : 'are buses'} ${buses.join(', ')}; add a root-port or move the device`,
    { routing, bus: routing >> 8 });
  }
  return ordered;
}
