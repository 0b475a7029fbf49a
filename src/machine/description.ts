import type { CacheGeometry } from '../engine/index';
import { FRAMES_MAX } from '../engine/index';
import { PortcullisError } from '../errors';
import { bdfOf, formatBdf, parseBdf, routingId } from '../pci/bdf';
import { edu } from '../devices/edu/index';
import { e1000 } from '../devices/e1000/index';
import { e1000e } from '../devices/e1000e/index';
import { serial } from '../devices/serial/index';
import { rootPort } from '../devices/root-port/index';
import type { DeviceDefinition } from '../devices/definition';
import { KernelError } from '../xen/dom0/errors';
import { FIRMWARE_FRAMES } from '../xen/hypervisor/hypervisor';
import type { ReservedRegion } from '../xen/hypervisor/reserved';
import { parseHideList } from '../xen/pciback/slots';
import {
  FIRMWARE_PLACE, PLACE_FIELDS, type PlaceDescription, type ResolvedPlace, placeOfDump, resolvePlace,
} from './addresses';
import { DISK_FIELDS, type DiskDescription, defaultNvme, diskBytes, withDisk } from './disks';
import { type DumpDescription, devicesOfDump, isDump } from './dumps';
import { busesOf } from './topology';
import { RESERVED_FIELDS, type ReservedDescription, resolveReserved } from './reserved';
import { parseSize } from './size';

export interface IommuDescription {
  kind: 'vtd';
  iotlb?: { entries?: number; ways?: number };
}

export interface DeviceDescription extends PlaceDescription, DiskDescription {
  model: string;
  /** `DDDD:BB:DD.F` or `BB:DD.F`, on bus 0 or on a bus that a bridge leads to: bridges are numbered depth first. */
  bdf: string;
  /** For a NIC: what its port is plugged into (default: nothing); a wire is named at one of its ends or at both. */
  link?: 'none' | 'loopback' | 'capture' | { wire: string };
}

/** What pciback of the first domain is loaded with. */
export interface PcibackDescription {
  /** Slots that it takes from the start, as in "(00:04.0)(01:00.*)". */
  hide?: string;
  /** Guests see devices at their own addresses (default: on one virtual bus). */
  passthrough?: boolean;
  /** Guests may write any register (default false). */
  permissive?: boolean;
  /** Which one it is: Linux's; NetBSD's, which filters nothing; one that connects and answers nothing; none (default linux). */
  kind?: (typeof PCIBACK_KINDS)[number];
}

export interface Dom0Description {
  /** Default 8MiB. */
  memory?: string;
  pciback?: PcibackDescription;
}

/** A machine, as its JSON document describes it. */
export interface MachineDescription {
  /** RAM, up to 3584 MiB (default 64MiB). */
  memory?: string;
  /** The first domain. A native machine's OS has all of the memory instead. */
  dom0?: Dom0Description;
  iommu?: 'none' | 'vtd' | IommuDescription;
  devices?: Array<DeviceDescription | DumpDescription>;
  /** Scatters frames; equal seeds give equal machines (default 1). */
  seed?: number;
  /** Whether a hypervisor owns the machine, or its one OS (default xen). */
  owner?: 'xen' | 'native';
  /** Frames for IOMMU tables (default 1024 with an IOMMU). */
  iommuFrames?: number;
  /** Bytes for devices, links and drivers (default 4 MiB). */
  heapBytes?: number;
  /** Xen's command line, as in "iommu=no dom0-iommu=passthrough" (default empty). */
  xen?: string;
  /** Lets devices be given away without an IOMMU, which Xen refuses; they then reach all memory (default false). */
  allowUnsafePassthrough?: boolean;
  /** Takes devices from a guest in Xen's order, which leaves what it has mapped (default false). */
  xenRevoke?: boolean;
  /** What firmware has reserved for the DMA of devices (default nothing). */
  reserved?: ReservedDescription[];
}

/** What a NIC is plugged into; a wire has the routing id of its other end. */
export type ResolvedLink = (typeof LINKS)[number] | { wire: number };

interface PlacedDevice {
  definition: DeviceDefinition;
  routing: number;
  link: ResolvedLink;
  place: ResolvedPlace;
}

export interface ResolvedDevice extends PlacedDevice {
  /** Routing id of the bridge that leads to it; undefined on bus 0. */
  parent: number | undefined;
  multiFunction: boolean;
}

/** A description with every default filled in and every name looked up. */
export interface ResolvedDescription {
  frames: number;
  dom0Pages: number;
  iommu: boolean;
  caches: Partial<CacheGeometry>;
  /** A bridge comes before what is behind it. */
  devices: ResolvedDevice[];
  seed: number;
  native: boolean;
  tableFrames: number;
  heapBytes: number;
  /** Xen's command line. */
  xen: string;
  allowUnsafePassthrough: boolean;
  xenRevoke: boolean;
  pciback: Required<PcibackDescription>;
  reserved: ReservedRegion[];
}

/** The devices that a description can name. */
export const DEVICE_MODELS: ReadonlyMap<string, DeviceDefinition> = new Map(
  [edu, e1000, e1000e, serial, defaultNvme, rootPort].map((one) => [one.model, one]),
);

/** What a host adds to the models that there are. */
export type Models = ReadonlyMap<string, DeviceDefinition>;

const LINKS = ['none', 'loopback', 'capture'] as const;
const PCIBACK_KINDS = ['linux', 'netbsd', 'silent', 'none'] as const;

/** Fields of a machine, and of what is in it. */
export const DESCRIPTION_FIELDS = {
  machine: ['memory', 'dom0', 'iommu', 'devices', 'seed', 'owner', 'iommuFrames', 'heapBytes', 'xen', 'allowUnsafePassthrough',
    'xenRevoke', 'reserved'],
  dom0: ['memory', 'pciback'],
  pciback: ['hide', 'passthrough', 'permissive', 'kind'],
  reserved: RESERVED_FIELDS,
  device: ['model', 'bdf', 'link', ...DISK_FIELDS, ...PLACE_FIELDS],
  dump: ['model', 'file', 'only', 'keep', 'text'],
} as const;

function fail(code: string, message: string, fields: Record<string, unknown>): never {
  throw new PortcullisError(code, message, fields);
}

function knownKeys(what: string, value: object, keys: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (!keys.includes(key)) fail('UNKNOWN_FIELD', `${what} has no field "${key}"; it has ${keys.join(', ')}`, { key });
  }
}

/** The functions of a dump. */
function resolveDump(dump: DumpDescription, taken: Set<number>): PlacedDevice[] {
  knownKeys('a dump', dump, DESCRIPTION_FIELDS.dump);
  flag(`"keep" of ${dump.file}`, dump.keep);
  return devicesOfDump(dump).map(({ definition, routing }) => {
    const bdf = formatBdf(bdfOf(routing));
    if (taken.has(routing)) {
      fail('ADDRESS_TAKEN', `${dump.file} has a device at ${bdf}, where another is; name those that you want with "only", or give the `
        + 'other one another address', { bdf });
    }
    taken.add(routing);
    return { definition, routing, link: 'none', place: dump.keep ? placeOfDump(definition, routing) : FIRMWARE_PLACE };
  });
}

function resolveDevice(device: DeviceDescription, taken: Set<number>, models: Models): PlacedDevice {
  knownKeys('a device', device, DESCRIPTION_FIELDS.device);
  const model = models.get(device.model);
  if (model === undefined) {
    fail('UNKNOWN_DEVICE', `there is no device model "${device.model}"; there are ${[...models.keys(), 'dump'].join(', ')}`,
      { model: device.model });
  }
  const definition = withDisk(model, device);
  const bdf = parseBdf(device.bdf);
  const routing = routingId(bdf);
  if (bdf.segment !== 0) fail('BAD_BDF', `${device.bdf}: this machine has segment 0000 only`, { bdf: device.bdf });
  if (routing === 0) fail('ADDRESS_TAKEN', '0000:00:00.0 is the host bridge; give the device another address', { bdf: device.bdf });
  if (taken.has(routing)) fail('ADDRESS_TAKEN', `two devices are at ${device.bdf}; give one another address`, { bdf: device.bdf });
  taken.add(routing);
  return { definition, routing, link: resolveLink(device), place: resolvePlace(device, definition, routing) };
}

function resolveLink({ bdf, link = 'none' }: DeviceDescription): ResolvedLink {
  if (typeof link === 'object' && typeof link.wire === 'string') {
    knownKeys(`the link of ${bdf}`, link, ['wire']);
    return { wire: routingId(parseBdf(link.wire)) };
  }
  if (typeof link === 'object' || !LINKS.includes(link)) {
    fail('UNKNOWN_LINK', `${bdf} has link "${String(link)}"; there are ${LINKS.join(', ')} and {"wire": "BDF"}`, { link });
  }
  return link;
}

/** Every wire ends at another NIC, whose port has no other use. */
function checkWires(devices: readonly PlacedDevice[]): void {
  for (const { routing, link } of devices) {
    if (typeof link === 'string') continue;
    const bdf = formatBdf(bdfOf(routing));
    const end = devices.find((device) => device.routing === link.wire);
    if (end === undefined || !end.definition.port || end.routing === routing) {
      fail('BAD_WIRE', `${bdf} has a wire to ${formatBdf(bdfOf(link.wire))}, where no other network card is`, { bdf });
    }
    const taken = devices.some((device) => device.routing !== routing && typeof device.link === 'object'
      && device.link.wire === link.wire);
    const other = end.link === 'none' || (typeof end.link === 'object' && end.link.wire === routing);
    if (taken || !other) {
      fail('BAD_WIRE', `${bdf} has a wire to ${formatBdf(bdfOf(link.wire))}, whose port has another link`, { bdf });
    }
  }
}

/** A device that comes while the machine runs: on the root bus, function 0. `taken` is where there are others. */
export function resolveAdded(device: DeviceDescription, taken: Iterable<number>, models: Models): ResolvedDevice {
  const resolved = resolveDevice(device, new Set(taken), models);
  if (resolved.routing >> 8 !== 0 || (resolved.routing & 7) !== 0 || resolved.definition.config?.bridge) {
    fail('NO_HOTPLUG', `${device.model} at ${device.bdf}: only a device that is no bridge, as function 0 on bus 00, `
      + 'can come while the machine runs', { ...device });
  }
  return { ...resolved, parent: undefined, multiFunction: false };
}

function flag(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return;
  fail('BAD_FLAG', `${name} is ${JSON.stringify(value)}; it is true or false`, { name, value });
}

function xenLine(line: unknown = ''): string {
  if (typeof line !== 'string') {
    fail('BAD_COMMAND_LINE', `xen is ${JSON.stringify(line)}; it is Xen's command line, as in "iommu=no"`, { line });
  }
  return line;
}

function resolvePciback(pciback: PcibackDescription = {}): Required<PcibackDescription> {
  knownKeys('dom0.pciback', pciback, DESCRIPTION_FIELDS.pciback);
  const { hide = '', passthrough = false, permissive = false, kind = 'linux' } = pciback;
  if (typeof hide !== 'string') {
    fail('BAD_HIDE', `dom0.pciback.hide is ${JSON.stringify(hide)}; it is a list, as in "(00:04.0)(01:00.*)"`, { hide });
  }
  try {
    parseHideList(hide);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    fail('BAD_HIDE', `dom0.pciback.hide is "${hide}": ${error.message}`, { hide });
  }
  flag('dom0.pciback.passthrough', passthrough);
  flag('dom0.pciback.permissive', permissive);
  if (!PCIBACK_KINDS.includes(kind)) {
    fail('UNKNOWN_PCIBACK', `dom0.pciback.kind is "${String(kind)}"; there are ${PCIBACK_KINDS.join(', ')}`, { kind });
  }
  return { hide, passthrough, permissive, kind };
}

/** Checks a description and fills in its defaults; nothing is created. */
export function resolveDescription(description: MachineDescription,
  models: Models = DEVICE_MODELS): ResolvedDescription {
  knownKeys('a machine', description, DESCRIPTION_FIELDS.machine);
  knownKeys('dom0', description.dom0 ?? {}, DESCRIPTION_FIELDS.dom0);
  for (const name of ['allowUnsafePassthrough', 'xenRevoke'] as const) flag(name, description[name]);
  const bytes = parseSize(description.memory ?? '64MiB', 'memory');
  const frames = bytes / 4096;
  if (frames < 1024 || frames > FRAMES_MAX) {
    fail('MEMORY_SIZE', `memory is ${description.memory}; a machine has from 4MiB to ${FRAMES_MAX / 256}MiB`, { bytes });
  }
  const owner = description.owner ?? 'xen';
  if (owner !== 'xen' && owner !== 'native') {
    fail('UNKNOWN_OWNER', `owner is "${String(owner)}"; it is xen or native`, { owner });
  }
  const iommu = description.iommu ?? 'none';
  const kind = typeof iommu === 'string' ? iommu : iommu.kind;
  if (kind !== 'none' && kind !== 'vtd') {
    fail('UNKNOWN_IOMMU', `iommu is "${String(kind)}"; it is none or vtd`, { kind });
  }
  const seed = description.seed ?? 1;
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    fail('BAD_SEED', `seed is ${seed}; it must be a whole number from 0 to 4294967295`, { seed });
  }
  const tableFrames = kind === 'none' ? 0 : description.iommuFrames ?? Math.min(1024, Math.floor(frames / 8));
  const dom0Pages = owner === 'native' ? frames - tableFrames - FIRMWARE_FRAMES
    : parseSize(description.dom0?.memory ?? '8MiB', 'dom0.memory') / 4096;
  if (dom0Pages > frames - tableFrames - FIRMWARE_FRAMES) {
    fail('MEMORY_SIZE', `dom0 has ${description.dom0?.memory}, the machine only ${description.memory ?? '64MiB'} `
      + `less 2 MiB for firmware${tableFrames > 0 ? ` and ${tableFrames} frames for IOMMU tables` : ''}`, { dom0Pages, frames });
  }
  const taken = new Set<number>();
  const devices = (description.devices ?? []).flatMap((device) =>
    (isDump(device) ? resolveDump(device, taken) : [resolveDevice(device, taken, models)]));
  checkWires(devices);
  const reserved = (description.reserved ?? []).map((one, index) => {
    knownKeys(`reserved region ${index}`, one, DESCRIPTION_FIELDS.reserved);
    return resolveReserved(one, index, frames, new Set(devices.map(({ routing }) => routing)));
  });
  return {
    reserved, frames, dom0Pages, iommu: kind === 'vtd', caches: typeof iommu === 'string' ? {} : iommu.iotlb ?? {},
    devices: busesOf(devices),
    seed, native: owner === 'native', tableFrames, heapBytes: (description.heapBytes ?? 4 << 20) + diskBytes(devices.map(({ definition }) => definition)),
    xen: xenLine(description.xen), allowUnsafePassthrough: description.allowUnsafePassthrough ?? false,
    xenRevoke: description.xenRevoke ?? false, pciback: resolvePciback(description.dom0?.pciback),
  };
}
