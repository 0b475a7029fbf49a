// Which functions of a dump become devices.
import { Pci, PciBridge } from '../../../assembly/spec/pci';
import { PortcullisError } from '../../errors';
import { type Bdf, formatBdf, parseBdf, routingId } from '../../pci/bdf';
import type { DumpedFunction } from '../../pci/lspci-dump';

const HOST_BRIDGE = 0x0600;

function isHostBridge({ bdf, bytes }: DumpedFunction): boolean {
  return bdf.segment === 0 && routingId(bdf) === 0 && bytes.length > 0
    && ((bytes[Pci.CLASS] as number) << 8 | (bytes[Pci.SUBCLASS] as number)) === HOST_BRIDGE;
}

/** Whether config cycles to the function go through the bridge. */
function leadsTo({ bdf, bytes }: DumpedFunction, to: Bdf): boolean {
  if (bytes.length === 0 || bdf.segment !== to.segment) return false;
  if (((bytes[Pci.HEADER_TYPE] as number) & Pci.HEADER_LAYOUT_MASK) !== PciBridge.LAYOUT) return false;
  const [secondary, subordinate] = [bytes[PciBridge.SECONDARY_BUS] as number, bytes[PciBridge.SUBORDINATE_BUS] as number];
  return secondary !== 0 && to.bus >= secondary && to.bus <= subordinate;
}

/** With a function come the bridges above, and function 0, without which nobody looks for the others. */
function withWhatLeads(functions: readonly DumpedFunction[], wanted: ReadonlySet<DumpedFunction>): DumpedFunction[] {
  const sameDevice = (a: Bdf, b: Bdf): boolean => a.segment === b.segment && routingId(a) >> 3 === routingId(b) >> 3;
  const leads = new Set(wanted);
  // a bridge may itself need function 0 of its device
  for (const one of leads) {
    for (const other of functions) {
      if (leadsTo(other, one.bdf) || (other.bdf.function === 0 && sameDevice(other.bdf, one.bdf))) leads.add(other);
    }
  }
  return functions.filter((one) => leads.has(one));
}

/** See `dumpDevices`. Throws NOT_IN_DUMP for an address that the dump does not have. */
export function chosen(functions: readonly DumpedFunction[], name: string, only?: readonly string[]): DumpedFunction[] {
  if (only === undefined) return functions.filter((one) => !isHostBridge(one));
  const wanted = new Set<DumpedFunction>();
  for (const text of only) {
    const key = formatBdf(parseBdf(text));
    const found = functions.find(({ bdf }) => formatBdf(bdf) === key);
    if (found === undefined) {
      const have = functions.map(({ bdf }) => formatBdf(bdf));
      throw new PortcullisError('NOT_IN_DUMP', `${name} has no ${key}; it has ${have.slice(0, 20).join(', ')}`
        + `${have.length > 20 ? `, and ${have.length - 20} others` : ''}`, { name, bdf: key });
    }
    wanted.add(found);
  }
  return withWhatLeads(functions, wanted).filter((one) => !isHostBridge(one));
}
