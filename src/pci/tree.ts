// Which functions there are, and the bus numbers of the bridges on the way.
import { Pci, PciBridge } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type ConfigAccess, type PortAccess, configByPorts, isBridge } from './access';
import { bdfOf, formatBdf } from './bdf';

/** A function that was found, and what is behind it. */
export interface Found {
  routing: number;
  config: ConfigAccess;
  behind: Found[];
  secondaryBus?: number;
}

function present(ports: PortAccess, routing: number): boolean {
  return configByPorts(ports, routing).read(Pci.VENDOR_ID, 2) !== 0xffff;
}

/** Every function of a bus that answers: function 0 first, the others only of a multi-function device. */
function scanBus(ports: PortAccess, bus = 0): number[] {
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

/** Bus numbers that a bridge comes with, as one from a dump does; undefined when firmware is to give them. */
function numbersOf(config: ConfigAccess, bus: number): { secondary: number; subordinate: number } | undefined {
  const secondary = config.read(PciBridge.SECONDARY_BUS, 1);
  const subordinate = config.read(PciBridge.SUBORDINATE_BUS, 1);
  return isBridge(config) && secondary > bus && subordinate >= secondary ? { secondary, subordinate } : undefined;
}

function nextBus(last: { bus: number }, end: number, routing: number): number {
  if (last.bus >= end) {
    throw new PortcullisError('NO_BUS_NUMBER',
      `no bus number is left for what is behind ${formatBdf(bdfOf(routing))}; `
      + (end === 255 ? 'there are 256 buses' : `the bridge above has those to ${end.toString(16)}`), { routing });
  }
  return ++last.bus;
}

/**
 * Depth first: a bridge gets the next number for the bus behind it, and all that is behind comes before its neighbour.
 * A bridge that comes with numbers keeps them, and what is beside it gets those above. Numbers go up to `end`.
 */
export function scanTree(ports: PortAccess, bus = 0, last = { bus: 0 }, end = 255): Found[] {
  const here = scanBus(ports, bus).map((routing) => ({ routing, config: configByPorts(ports, routing) }));
  last.bus = Math.max(last.bus, ...here.map(({ config }) => numbersOf(config, bus)?.subordinate ?? 0));
  return here.map(({ routing, config }) => {
    const found: Found = { routing, config, behind: [] };
    if (!isBridge(config)) return found;
    const own = numbersOf(config, bus);
    const secondary = own?.secondary ?? nextBus(last, end, routing);
    found.secondaryBus = secondary;
    config.write(PciBridge.PRIMARY_BUS, 1, bus);
    if (own !== undefined) {
      found.behind = scanTree(ports, secondary, { bus: secondary }, own.subordinate);
      return found;
    }
    config.write(PciBridge.SECONDARY_BUS, 1, secondary);
    config.write(PciBridge.SUBORDINATE_BUS, 1, end);
    found.behind = scanTree(ports, secondary, last, end);
    config.write(PciBridge.SUBORDINATE_BUS, 1, last.bus);
    return found;
  });
}

/** A function before what is behind it. */
export function flatten(found: readonly Found[]): Found[] {
  return found.flatMap((one) => [one, ...flatten(one.behind)]);
}
