// Which devices the IOMMU cannot keep apart: those that share a requester id, and those between which DMA passes without
// it. As Linux groups devices: by the bridges above, and by access control services (PCI Express 6.0 §6.12, §7.7.11).
import { PciCap, PciExp } from '../../assembly/spec/pci';
import type { DumpFacts } from '../devices/dump/facts';
import type { FoundCapability } from '../pci/capability-list';
import type { PciDevice } from '../xen/dom0/types';
import type { Known } from '../xen/explain/types';

/** A device, and what is read of it once. */
export interface Looked {
  readonly device: PciDevice;
  readonly view: DataView;
  readonly capabilities: readonly FoundCapability[];
  readonly dump: DumpFacts | undefined;
  readonly bridge: boolean;
  /** Bridges above, nearest first. */
  readonly above: readonly number[];
}

export interface Isolation {
  readonly aliases: Known<readonly string[]>;
  readonly peers: Known<readonly string[]>;
}

const ACS = 0x000d;
const ACS_CONTROL = 6;
/** Source validation, request redirect, completion redirect, upstream forwarding. */
const ACS_NEEDED = 0x1d;
/** A bridge from PCI Express to conventional PCI. */
const TYPE_PCI_BRIDGE = 0x7;
const FLAGS_TYPE_MASK = 0xf;

function expressType({ view, capabilities }: Looked): number | undefined {
  const at = capabilities.find(({ id, version }) => id === PciCap.EXP && version === undefined)?.off;
  return at === undefined ? undefined : view.getUint16(at + PciExp.FLAGS, true) >> PciExp.FLAGS_TYPE_SHIFT & FLAGS_TYPE_MASK;
}

/** Behind it there are no requester ids: it puts its own. */
const isConventional = (bridge: Looked): boolean => [undefined, TYPE_PCI_BRIDGE].includes(expressType(bridge));

function controlsAccess({ view, capabilities }: Looked): boolean {
  const at = capabilities.find(({ id, version }) => id === ACS && version !== undefined)?.off;
  return at !== undefined && at + ACS_CONTROL + 2 <= view.byteLength && (view.getUint16(at + ACS_CONTROL,
    true) & ACS_NEEDED) === ACS_NEEDED;
}

const isUnknown = ({ dump }: Looked): boolean => dump?.extendedUnknown === true;

/** Of one device among all. */
export function isolationOf(one: Looked, all: readonly Looked[]): Isolation {
  const ends = all.filter((other) => other !== one && !other.bridge);
  const names = (found: readonly Looked[]): string[] => found.map(({ device }) => device.name);
  const group = one.dump?.iommuGroup;
  // the kernel of the machine that the dump is of has done it
  if (group !== undefined) return { aliases: [], peers: names(ends.filter(({ dump }) => dump?.iommuGroup === group)) };
  const above = one.above.flatMap((routing) => all.filter(({ device }) => device.routing === routing));
  const behind = (bridge: Looked): Looked[] => ends.filter((other) => other.above.includes(bridge.device.routing));
  const siblings = ends.filter(({ device }) => device.routing >> 3 === one.device.routing >> 3);
  if (above.some(isUnknown) || (siblings.length > 0 && isUnknown(one))) return { aliases: 'unknown', peers: 'unknown' };
  const alias = above.filter(isConventional).at(-1);
  const open = above.filter((bridge) => !isConventional(bridge) && !controlsAccess(bridge)).at(-1);
  const peers = [...(open === undefined ? [] : behind(open)), ...(controlsAccess(one) ? [] : siblings)];
  return { aliases: alias === undefined ? [] : names(behind(alias)), peers: [...new Set(names(peers))] };
}
