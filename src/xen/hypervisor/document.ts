// What the hypervisor knows beside the engine's state, as plain data for a snapshot.
import type { Shape } from '../../engine/index';
import type { Domain, DomainKind, Translation } from './domain';
import { RangeSet } from './rangeset';

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
  io?: { slot: number; did: number; translation: Translation };
  assigned: number[];
  ioMapped: Array<[page: number, mfn: number]>;
  nextMapPage: number;
}

export interface IommuDocument {
  root: number;
  interrupts: number;
  /** Context table of each bus, and requester of each entry of the remap table. */
  contexts: Array<[bus: number, mfn: number]>;
  interruptOwners: Array<[index: number, requester: number]>;
}

export interface HypervisorDocument {
  domains: DomainDocument[];
  /** Frames that are free, in the order of the list. */
  free: number[];
  /** Frames given back that somebody still held. */
  held: number[];
  functions: Array<[routing: number, fn: number]>;
  nextDomid: number;
  iommu?: IommuDocument;
}

const PAIRS: Shape = { each: { tuple: ['whole', 'whole'] } };

export const HYPERVISOR_SHAPE: Shape = { fields: {
  domains: { each: { fields: {
    slot: 'whole', domid: 'whole', name: 'text', kind: 'text', p2m: { each: 'whole' },
    iomem: PAIRS, ioport: PAIRS, irq: PAIRS,
    io: { optional: { fields: { slot: 'whole', did: 'whole', translation: 'text' } } },
    assigned: { each: 'whole' }, ioMapped: PAIRS, nextMapPage: 'whole',
  } } },
  free: { each: 'whole' },
  held: { each: 'whole' },
  functions: PAIRS,
  nextDomid: 'whole',
  iommu: { optional: { fields: { root: 'whole', interrupts: 'whole', contexts: PAIRS, interruptOwners: PAIRS } } },
} };

export function domainDocument(domain: Domain): DomainDocument {
  const ranges = (set: RangeSet): Ranges => set.ranges.map(([first, last]) => [first, last]);
  const { slot, domid, name, kind, io, nextMapPage } = domain;
  return {
    slot, domid, name, kind, p2m: [...domain.p2m],
    iomem: ranges(domain.iomem), ioport: ranges(domain.ioport), irq: ranges(domain.irq),
    ...(io && { io: { ...io } }), assigned: [...domain.assigned], ioMapped: [...domain.ioMapped], nextMapPage,
  };
}

export function domainFrom(saved: DomainDocument): Domain {
  return {
    ...saved, io: saved.io && { ...saved.io }, p2m: Uint32Array.from(saved.p2m), assigned: new Set(saved.assigned),
    ioMapped: new Map(saved.ioMapped),
    iomem: new RangeSet(saved.iomem), ioport: new RangeSet(saved.ioport), irq: new RangeSet(saved.irq),
  };
}
