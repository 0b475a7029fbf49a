/** What the names in a comparison mean, in the words of its report. */

import type { PolicyName, Resource } from '../lab/cost/index';
import type { CycleSplit } from '../lab/cost/index';
import type { Attack, Owner } from '../lab/result';

export interface OwnerWording {
  /** How a row or a group of rows is titled. */
  readonly title: string;
  readonly meaning: string;
}

export const OWNER_WORDING: Readonly<Record<Owner, OwnerWording>> = {
  native: { title: 'native', meaning: 'bare metal: the machine\'s one OS owns the device and drives the IOMMU itself' },
  xen: {
    title: 'xen',
    meaning: 'a guest owns the device; Xen drives the IOMMU and has all of the guest\'s memory mapped',
  },
  'pv-iommu': {
    title: 'pv-iommu (not in stock Xen)',
    meaning: 'a guest owns the device, and maps and unmaps each buffer by hypercall',
  },
};

export const OWNER_NAMES = Object.keys(OWNER_WORDING) as Owner[];

export const POLICY_MEANING: Readonly<Record<PolicyName, string>> = {
  none: 'no IOMMU: the device reaches all memory',
  bypass: 'IOMMU on, but the device\'s addresses pass through it as they are',
  identity: 'the owner\'s own memory is mapped once, each address to itself',
  static: 'all of the owner\'s memory is mapped once, at the start',
  strict: 'each buffer is mapped for its packet, then unmapped and the IOTLB entry invalidated at once',
  lazy: 'as strict, but invalidations are put off and done for many buffers together',
  pool: 'buffers are mapped once and used again for other packets',
  bounce: 'packets are copied through a few buffers that stay mapped',
  copy: 'packets are copied through shadow buffers that stay mapped',
  hugepage: 'buffers lie in pages of 2 MiB that stay mapped',
  riommu: 'flat tables in ring order, a translation prefetched for each',
  fns: 'strict, with contiguous addresses and the upper levels of the tables kept cached',
};

export const RESOURCE_WORDING: Readonly<Record<Resource, string>> = {
  cpu: 'CPU',
  line: 'Ethernet line rate',
  'pcie-tx': 'PCIe to host',
  'pcie-rx': 'PCIe to device',
  'walker-reads': 'page walks, reads',
  'walker-writes': 'page walks, writes',
  'posted-window': 'writes in flight',
  'read-window': 'reads in flight',
  'invalidation-unit': 'invalidation unit',
};

/** Where cycles go: column head (at most two lines) and the key in the split, in the order of the table. */
export const CYCLE_COLUMNS: ReadonlyArray<readonly [head: string, key: keyof CycleSplit]> = [
  ['network\nstack', 'stack'], ['I/O\naddresses', 'iova'], ['page\ntables', 'pageTable'],
  ['wait for\ninvalidation', 'invalidate'], ['copies', 'copy'], ['inter-\nrupts', 'irq'],
  ['hyper-\ncalls', 'hypercall'], ['other', 'other'],
];

export interface AttackWording {
  /** At most two lines. */
  readonly head: string;
  readonly meaning: string;
}

export const ATTACK_WORDING: Readonly<Record<Attack, AttackWording>> = {
  otherDomain: { head: 'another\ndomain', meaning: 'memory of another domain, which the device was never given' },
  neverMapped: {
    head: 'never\nmapped',
    meaning: 'memory of the device\'s own owner that was never mapped for the device',
  },
  pageNeighbour: { head: 'page\nneighbour', meaning: 'bytes beside a mapped buffer, in the same page of 4 KiB' },
  afterUnmap: {
    head: 'after\nunmap',
    meaning: 'a buffer that the driver has unmapped and taken back, at once after that',
  },
  afterFlush: {
    head: 'after\nflush',
    meaning: 'the same buffer, once all invalidations that were put off have been done',
  },
  forgedMsi: { head: 'forged\nMSI', meaning: 'an interrupt that is not the device\'s own, raised by a DMA write' },
  peer: { head: 'peer\ndevice', meaning: 'registers of another device, written past the CPU' },
};
