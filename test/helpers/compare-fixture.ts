/** A made-up comparison, for the reports: numbers of the right size, not of any run. */
import { COUNTER_NAMES } from '../../src/engine/index';
import type { CounterName, Counters } from '../../src/engine/index';
import type { PolicyName, Resource } from '../../src/lab/cost/index';
import { ATTACKS } from '../../src/lab/result';
import type {
  AbsentResult, Attack, CompareDocument, CompareResult, Isolation, Owner,
} from '../../src/lab/result';

const HZ = 3.1e9;
const LINE = 40e9;
const PACKETS = 8192;
const SIZES: Record<string, number> = { pcap: 608, imix: 353, '64': 64, '1500': 1500 };
export const WORKLOADS = ['64', '1500', 'imix', 'pcap'];

interface Case {
  owner: Owner;
  policy: PolicyName;
  /** Cycles per packet: I/O addresses, page tables, invalidation, hypercalls, other. */
  cycles: [iova: number, pageTable: number, invalidate: number, hypercall: number, other: number];
  /** Per packet. */
  counts: Partial<Record<CounterName, number>>;
  ratio?: number;
  /** One letter for each attack: reached, blocked, or not applicable (`-`). */
  attacks: string;
}

const ALWAYS = {
  dmaReads: 1.25, dmaWrites: 1.25, mmioWrites: 2 / 64, mmioReads: 1 / 64, driverInterrupts: 1 / 64,
} as const;
const MAPPED = { maps: 2, unmaps: 2, ptesWritten: 4 } as const;

const CASES: Case[] = [
  { owner: 'native', policy: 'none', cycles: [0, 0, 0, 0, 0], counts: {}, attacks: '-rr--rr' },
  { owner: 'native', policy: 'bypass', cycles: [0, 0, 0, 0, 0], ratio: 0.98, counts: {}, attacks: '-rr--rr' },
  { owner: 'native', policy: 'static', cycles: [0, 0, 0, 0, 0], ratio: 0.85, attacks: '-rr--bb',
    counts: { translations: 2.5, iotlbMisses: 0.0039, tableReads: 0.0042 } },
  { owner: 'native', policy: 'strict', cycles: [340, 1180, 4270, 0, 96], ratio: 0.41, attacks: '-brbbbb',
    counts: { ...MAPPED, translations: 2.5, iotlbMisses: 2.02, tableReads: 8.08, invalidationSubmissions: 2 } },
  { owner: 'native', policy: 'lazy', cycles: [320, 1180, 17, 0, 180], ratio: 0.55, attacks: '-brrbbb',
    counts: { ...MAPPED, translations: 2.5, iotlbMisses: 2.01, tableReads: 2.4, invalidationSubmissions: 2 / 255 } },
  { owner: 'xen', policy: 'none', cycles: [0, 0, 0, 0, 0], counts: {}, attacks: 'rrr--rr' },
  { owner: 'xen', policy: 'bypass', cycles: [0, 0, 0, 0, 0], ratio: 0.98, counts: {}, attacks: 'rrr--rr' },
  { owner: 'xen', policy: 'static', cycles: [0, 0, 0, 0, 0], ratio: 0.84, attacks: 'brr--bb',
    counts: { translations: 2.5, iotlbMisses: 0.0041, tableReads: 0.0044 } },
  { owner: 'pv-iommu', policy: 'strict', cycles: [340, 1180, 4270, 8000, 96], ratio: 0.38, attacks: 'bbrbbbb',
    counts: { ...MAPPED, translations: 2.5, iotlbMisses: 2.02, tableReads: 8.08, invalidationSubmissions: 2,
      hypercalls: 4 } },
  { owner: 'pv-iommu', policy: 'lazy', cycles: [320, 1180, 17, 8016, 180], ratio: 0.5, attacks: 'bbrrbbb',
    counts: { ...MAPPED, translations: 2.5, iotlbMisses: 2.01, tableReads: 2.4, invalidationSubmissions: 2 / 255,
      hypercalls: 4 + 2 / 255 } },
];

const NO_OTHER_DOMAIN = 'a native machine has one OS and no other domain';
const NO_UNMAP = 'this policy never unmaps';
const STOCK_XEN = 'stock Xen gives a guest no call to map DMA with; the owner pv-iommu has one';

const FAULTS: Record<Attack, [iova: string, access: string, reason: string]> = {
  otherDomain: ['0x2c41000', 'write', 'write without permission'],
  neverMapped: ['0x1f3000', 'write', 'write without permission'],
  pageNeighbour: ['0xfffff800', 'write', 'write without permission'],
  afterUnmap: ['0xffffe000', 'write', 'write without permission'],
  afterFlush: ['0xffffe000', 'write', 'write without permission'],
  forgedMsi: ['0xfee00000', 'interrupt', 'compatibility-format interrupt blocked'],
  peer: ['0xfeb80000', 'write', 'write without permission'],
};

function isolationOf({ attacks, owner }: Case): Record<Attack, Isolation> {
  return Object.fromEntries(ATTACKS.map((attack, index): [Attack, Isolation] => {
    const letter = attacks[index];
    if (letter === 'r') return [attack, { verdict: 'reached' }];
    if (letter === '-') {
      const noOther = attack === 'otherDomain' && owner === 'native';
      return [attack, { verdict: 'n/a', reason: noOther ? NO_OTHER_DOMAIN : NO_UNMAP }];
    }
    const [iova, access, reason] = FAULTS[attack];
    return [attack, { verdict: 'blocked', fault: { requester: '0000:00:04.0', iova, access, reason } }];
  })) as Record<Attack, Isolation>;
}

function countersOf(one: Case, bytes: number): Counters {
  const counters = Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Counters;
  for (const [name, value] of Object.entries({ ...ALWAYS, ...one.counts })) {
    counters[name as CounterName] = Math.round(value * PACKETS);
  }
  return { ...counters, rxFrames: PACKETS, rxBytes: bytes, txFrames: PACKETS, txBytes: bytes };
}

function resultOf(one: Case, workload: string): CompareResult {
  const size = SIZES[workload] as number;
  const [iova, pageTable, invalidate, hypercall, other] = one.cycles;
  const cycles = { stack: 1816, iova, pageTable, invalidate, copy: 0, irq: 0, hypercall, other };
  const cyclesPerPacket = Object.values(cycles).reduce((sum, part) => sum + part, 0);
  const rates: Array<[Resource, number, number]> = [
    ['cpu', HZ / cyclesPerPacket, 1], ['line', LINE / 8 / (size + 38), 9],
  ];
  const bounds = rates.map(([resource, packetsPerSecond, form]) => (
    { resource, packetsPerSecond, gbps: packetsPerSecond * size * 8 / 1e9, form }
  ));
  const tightest = bounds.reduce((a, b) => (b.gbps < a.gbps ? b : a));
  const ratio = one.ratio;
  return {
    path: 'passthrough', owner: one.owner, policy: one.policy, device: 'e1000', workload,
    packets: PACKETS, bytes: PACKETS * size, verified: true,
    modelled: {
      profile: 'rio2014', gbps: tightest.gbps, cyclesPerPacket, bottleneck: tightest.resource, cycles, bounds,
    },
    wall: {
      packetsPerSecond: 2.4e6 / (1 + size / 900) * (ratio ?? 1),
      ...(ratio === undefined ? {} : { ratioToNone: { low: ratio * 0.96, median: ratio, high: ratio * 1.03 } }),
    },
    counters: countersOf(one, PACKETS * size),
    isolation: isolationOf(one),
  };
}

function absentOf(workload: string): AbsentResult[] {
  return (['strict', 'lazy'] as const).map((policy) => (
    { path: 'passthrough', owner: 'xen', policy, device: 'e1000', workload, absent: STOCK_XEN }
  ));
}

/** All rows under each of `workloads`; a new document each time, so that a test may change it. */
export function compareFixture(workloads: readonly string[] = WORKLOADS): CompareDocument {
  return {
    schemaVersion: 1,
    manifest: {
      version: '0.1.0', wasmSha256: '9f2c'.repeat(16), node: 'v20.11.0', cpu: 'A Processor @ 3.00GHz', seed: 1,
      options: { workloads: [...workloads], packets: PACKETS },
    },
    results: CASES.flatMap((one) => workloads.map((workload) => resultOf(one, workload))),
    absent: workloads.flatMap(absentOf),
    verified: true,
  };
}
