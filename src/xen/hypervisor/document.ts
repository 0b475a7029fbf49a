// What the hypervisor knows beside the engine's state, as plain data for a snapshot.
import type { Shape } from '../../engine/index';
import type { XenOptions } from './command-line';
import type { Domain, DomainKind, ShutdownReason, Translation } from './domain';
import { RangeSet } from './rangeset';
import type { ReservedRegion } from './reserved';

type Ranges = Array<[first: number, last: number]>;

export interface DomainDocument {
  slot: number;
  domid: number;
  name: string;
  kind: DomainKind;
  p2m: number[];
  iomem: Ranges;
  ioport: Ranges;
  irq: Ranges;
  io?: { slot: number; did: number; translation: Translation; root?: number };
  assigned: number[];
  ioMapped: Array<[page: number, mfn: number]>;
  nextMapPage: number;
  iommu: boolean;
  nrPirqs: number;
  identityPirqs: boolean;
  pirqs: Array<[pirq: number, line: number]>;
  pauses: number;
  shutdown?: ShutdownReason;
}

export interface IommuDocument {
  root: number;
  interrupts: number;
  /** Context table of each bus, and requester of each entry of the remap table. */
  contexts: Array<[bus: number, mfn: number]>;
  interruptOwners: Array<[index: number, requester: number]>;
}

export interface DevicesDocument {
  functions: Array<[routing: number, fn: number]>;
  /** Functions that the quarantine has, and those that go there from a guest. */
  inQuarantine: number[];
  marked: number[];
  /** Scratch pages: domain id in the unit and frames, of each function that has had one. */
  scratch: Array<{ routing: number; did: number; frames: number[] }>;
  /** Whether the first domain's devices have been set up. */
  dom0Devices: boolean;
  reserved: ReservedRegion[];
}

/** A message that map_pirq has made. */
export interface Message {
  vector: number;
  /** Entry of the MSI-X table; undefined for MSI. */
  entry?: number;
  /** Entry of the interrupt-remap table. */
  index?: number;
  address: number;
  data: number;
}

/** MSI-X of a function, as it was recorded. */
export interface MsixRecord {
  /** prepare_msix has been called, and release_msix not since. */
  prepared: boolean;
  /** Entries of the table; BAR and offset of it. */
  size: number;
  bar: number;
  off: number;
  /** Machine frames of table and pending bits. */
  frames: number[];
}

export interface MessagesDocument {
  messages: Message[];
  msix: Array<MsixRecord & { routing: number }>;
}

/** Faults of a function. */
export interface FaultCount {
  routing: number;
  count: number;
  /** Of the last one, ns. */
  time: number;
}

export interface HypervisorDocument {
  domains: DomainDocument[];
  /** Frames that are free, in the order of the list. */
  free: number[];
  /** Frames given back that somebody still held. */
  held: number[];
  nextDomid: number;
  devices: DevicesDocument;
  messages: MessagesDocument;
  faults: FaultCount[];
  options: XenOptions;
  unsafePassthrough: boolean;
  msiIrqBase: number;
  console: string[];
  iommu?: IommuDocument;
}

const PAIRS: Shape = { each: { tuple: ['whole', 'whole'] } };

export const HYPERVISOR_SHAPE: Shape = { fields: {
  domains: { each: { fields: {
    slot: 'whole', domid: 'whole', name: 'text', kind: 'text', p2m: { each: 'whole' },
    iomem: PAIRS, ioport: PAIRS, irq: PAIRS,
    io: { optional: { fields: { slot: 'whole', did: 'whole', translation: 'text', root: { optional: 'whole' } } } },
    assigned: { each: 'whole' }, ioMapped: PAIRS, nextMapPage: 'whole', iommu: 'flag', nrPirqs: 'whole',
    identityPirqs: 'flag', pirqs: PAIRS, pauses: 'whole', shutdown: { optional: 'text' },
  } } },
  free: { each: 'whole' },
  held: { each: 'whole' },
  nextDomid: 'whole',
  devices: { fields: {
    functions: PAIRS, inQuarantine: { each: 'whole' }, marked: { each: 'whole' },
    scratch: { each: { fields: { routing: 'whole', did: 'whole', frames: { each: 'whole' } } } }, dom0Devices: 'flag',
    reserved: { each: { fields: { firstMfn: 'whole', count: 'whole', routings: { each: 'whole' } } } },
  } },
  messages: { fields: {
    messages: { each: { fields: {
      vector: 'whole', entry: { optional: 'whole' }, index: { optional: 'whole' }, address: 'whole', data: 'whole',
    } } },
    msix: { each: { fields: {
      routing: 'whole', prepared: 'flag', size: 'whole', bar: 'whole', off: 'whole', frames: { each: 'whole' },
    } } },
  } },
  faults: { each: { fields: { routing: 'whole', count: 'whole', time: 'whole' } } },
  options: { fields: {
    iommu: 'flag', required: 'flag', interruptRemapping: 'flag', quarantine: 'text', dom0Mode: 'text',
  } },
  unsafePassthrough: 'flag', msiIrqBase: 'whole', console: { each: 'text' },
  iommu: { optional: { fields: { root: 'whole', interrupts: 'whole', contexts: PAIRS, interruptOwners: PAIRS } } },
} };

export function domainDocument(domain: Domain): DomainDocument {
  const ranges = (set: RangeSet): Ranges => set.ranges.map(([first, last]) => [first, last]);
  const { slot, domid, name, kind, io, nextMapPage, iommu, nrPirqs, identityPirqs, pauses, shutdown } = domain;
  return {
    slot, domid, name, kind, p2m: [...domain.p2m], iommu, nrPirqs, identityPirqs, pirqs: [...domain.pirqs], pauses,
    ...(shutdown && { shutdown }),
    iomem: ranges(domain.iomem), ioport: ranges(domain.ioport), irq: ranges(domain.irq),
    ...(io && { io: { ...io } }), assigned: [...domain.assigned], ioMapped: [...domain.ioMapped], nextMapPage,
  };
}

export function domainFrom(saved: DomainDocument): Domain {
  return {
    ...saved, io: saved.io && { ...saved.io }, p2m: Uint32Array.from(saved.p2m), assigned: new Set(saved.assigned),
    ioMapped: new Map(saved.ioMapped), pirqs: new Map(saved.pirqs), shutdown: saved.shutdown, dying: false,
    iomem: new RangeSet(saved.iomem), ioport: new RangeSet(saved.ioport), irq: new RangeSet(saved.irq),
  };
}
