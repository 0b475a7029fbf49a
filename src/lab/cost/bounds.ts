/**
 * What each resource allows, in packets per second, from a run's counters. A resource that the profile lacks, or that
 * the run does not use, bounds nothing and is left out.
 */

import {
  cpuPacketRate, gbps, invalidationRate, meanPostedTime, missLatency, postedWindowThroughput, readLatency,
  readWindowThroughput,
} from './closed-forms';
import type { RunCounts } from './counts';
import { linePacketRate } from './ethernet';
import { countedBytes, tlpBandwidth } from './pcie';
import { linkOf, valueOf } from './profiles';
import type { Profile } from './profiles';

export type Resource =
  | 'cpu' | 'line' | 'pcie-tx' | 'pcie-rx' | 'walker-reads' | 'walker-writes' | 'posted-window' | 'read-window'
  | 'invalidation-unit';

export interface Bound {
  readonly resource: Resource;
  readonly packetsPerSecond: number;
  readonly gbps: number;
  /** Number of the closed form (closed-forms.ts); 9 for the line and the link, which have no form of their own. */
  readonly form: number;
}

type Rate = number | undefined;

/** A cache line, the unit in which the root complex tracks posted data. */
const LINE_BYTES = 64;

/** Rate in packets per second of a resource that each packet takes `ns` of; nothing taken bounds nothing. */
function rateOf(ns: number): Rate {
  return ns > 0 ? 1e9 / ns : undefined;
}

function lineRate(profile: Profile, counts: RunCounts): Rate {
  const rate = valueOf(profile, 'lineRate');
  return rate === undefined
    ? undefined
    : linePacketRate(rate, counts.payloadBytes / counts.packets, valueOf(profile, 'wireOverhead'));
}

function linkRates(profile: Profile, counts: RunCounts): { readonly tx: Rate; readonly rx: Rate } {
  const link = linkOf(profile);
  if (link === undefined) {
    return { tx: undefined, rx: undefined };
  }
  const bandwidth = tlpBandwidth(link);
  const bytes = countedBytes(counts);
  return {
    tx: rateOf((bytes.tx * 8) / bandwidth / counts.packets),
    rx: rateOf((bytes.rx * 8) / bandwidth / counts.packets),
  };
}

interface Walks {
  /** Share of the table reads of this class in all, by which misses are shared out too. */
  readonly misses: number;
  /** Reads that the walker does: page tables, and context entries that were not cached. */
  readonly reads: number;
}

/** The walks of DMA reads and of DMA writes. Misses are counted together, so each class has its share by reads. */
function walksOf(profile: Profile, counts: RunCounts): { readonly forReads: Walks; readonly forWrites: Walks } {
  const missesPerRead = counts.tableReads > 0 ? counts.iotlbMisses / counts.tableReads : 0;
  const requests = counts.dmaReads + counts.dmaWrites;
  const readShare = requests > 0 ? counts.dmaReads / requests : 0;
  const contextReads = counts.contextMisses * (valueOf(profile, 'devcacheMissReads') ?? 0);
  return {
    forReads: {
      misses: counts.tableReadsForReads * missesPerRead,
      reads: counts.tableReadsForReads + contextReads * readShare,
    },
    forWrites: {
      misses: counts.tableReadsForWrites * missesPerRead,
      reads: counts.tableReadsForWrites + contextReads * (requests > 0 ? 1 - readShare : 0),
    },
  };
}

/** Forms 2 and 3: the walker is taken for `occ` per read. One pool for both classes: each waits for the other too. */
function walkerRates(profile: Profile, counts: RunCounts): { readonly reads: Rate; readonly writes: Rate } {
  const { forReads, forWrites } = walksOf(profile, counts);
  const taken = (occ: number | undefined, walks: Walks): number => ((occ ?? 0) * walks.reads) / counts.packets;
  const byReads = taken(valueOf(profile, 'occNonposted'), forReads);
  const byWrites = taken(valueOf(profile, 'occPosted'), forWrites);
  if (valueOf(profile, 'walkersShared') === 1) {
    const joint = rateOf(byReads + byWrites);
    return { reads: byReads > 0 ? joint : undefined, writes: byWrites > 0 ? joint : undefined };
  }
  return { reads: rateOf(byReads), writes: rateOf(byWrites) };
}

/** What a miss of this run costs in latency; 0 where the profile does not say. */
function missTime(profile: Profile, counts: RunCounts): number {
  if (counts.iotlbMisses === 0) {
    return 0;
  }
  const readsPerMiss = counts.tableReads / counts.iotlbMisses;
  return missLatency(valueOf(profile, 'wFixed') ?? 0, valueOf(profile, 'wStep') ?? 0, readsPerMiss);
}

/** Form 5. A TLP takes whole lines: w bytes in n TLPs are at least max(n, w / 64) of them. */
function postedWindowRate(profile: Profile, counts: RunCounts): Rate {
  const window = valueOf(profile, 'postedLines');
  const commit = valueOf(profile, 'tWriteCommit');
  const lines = Math.max(counts.writeTlps, counts.dmaWriteBytes / LINE_BYTES);
  if (window === undefined || commit === undefined || lines === 0) {
    return undefined;
  }
  const missesPerLine = walksOf(profile, counts).forWrites.misses / lines;
  const mean = meanPostedTime(window, missesPerLine, commit, missTime(profile, counts));
  const bitsPerNs = postedWindowThroughput(window, mean);
  return rateOf((lines * LINE_BYTES * 8) / bitsPerNs / counts.packets);
}

/** Form 6 with the mean latency of form 10, per read request. */
function readWindowRate(profile: Profile, counts: RunCounts): Rate {
  const tags = valueOf(profile, 'readTags');
  const base = valueOf(profile, 'tRead0');
  const requests = counts.readRequestTlps;
  if (tags === undefined || base === undefined || requests === 0 || counts.dmaReadBytes === 0) {
    return undefined;
  }
  const missShare = walksOf(profile, counts).forReads.misses / requests;
  const readsPerMiss = counts.iotlbMisses > 0 ? counts.tableReads / counts.iotlbMisses : 0;
  const latency = readLatency(base + (valueOf(profile, 'tHit') ?? 0), missShare,
    valueOf(profile, 'wFixed') ?? 0, valueOf(profile, 'wStep') ?? 0, readsPerMiss);
  const bitsPerNs = readWindowThroughput(tags, counts.dmaReadBytes / requests, latency);
  return rateOf((counts.dmaReadBytes * 8) / bitsPerNs / counts.packets);
}

/** Form 7. */
function invalidationUnitRate(profile: Profile, counts: RunCounts): Rate {
  const service = valueOf(profile, 'tInvService');
  const submissions = counts.invalidationSubmissions;
  if (service === undefined || submissions === 0) {
    return undefined;
  }
  const further = Math.max(0, counts.invalidationDescriptors - submissions) / submissions;
  const rate = invalidationRate(service, valueOf(profile, 'tInvExtra') ?? 0, further);
  return (rate * counts.packets) / submissions;
}

function cpuRate(profile: Profile, cycles: number | undefined): Rate {
  const cpuHz = valueOf(profile, 'cpuHz');
  return cpuHz === undefined || cycles === undefined
    ? undefined
    : cpuPacketRate(cpuHz, cycles, valueOf(profile, 'cores') ?? 1);
}

/** All bounds of a run, in a fixed order. `cycles` per packet; undefined without a CPU. */
export function boundsOf(profile: Profile, counts: RunCounts, cycles: number | undefined): Bound[] {
  const link = linkRates(profile, counts);
  const walker = walkerRates(profile, counts);
  const rates: readonly (readonly [Resource, Rate, number])[] = [
    ['cpu', cpuRate(profile, cycles), 1],
    ['line', lineRate(profile, counts), 9],
    ['pcie-tx', link.tx, 9],
    ['pcie-rx', link.rx, 9],
    ['walker-reads', walker.reads, 2],
    ['walker-writes', walker.writes, 3],
    ['posted-window', postedWindowRate(profile, counts), 5],
    ['read-window', readWindowRate(profile, counts), 6],
    ['invalidation-unit', invalidationUnitRate(profile, counts), 7],
  ];
  const packetBytes = counts.payloadBytes / counts.packets;
  return rates.flatMap(([resource, rate, form]) => (
    rate === undefined || !Number.isFinite(rate)
      ? []
      : [{ resource, packetsPerSecond: rate, gbps: gbps(rate, packetBytes), form }]
  ));
}

