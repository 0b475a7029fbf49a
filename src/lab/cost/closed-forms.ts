/**
 * The closed forms of the cost model: what bounds the rate of a NIC, each as one formula of its own. They predict
 * quickly, and they test an event model. The numbers 1 to 10 are those that a bound carries as `form`.
 *
 * Units: time in ns, rates per second, throughput in Gb/s (10^9 bits per second), sizes in bytes.
 * "Reads" of a walk are the reads of page-table entries that it makes.
 */

const NS_PER_SECOND = 1e9;

/** Throughput in Gb/s of `perSecond` packets (or DMAs, or pages) of `bytes` each. */
export function gbps(perSecond: number, bytes: number): number {
  return (perSecond * bytes * 8) / 1e9;
}

/**
 * Form 1, CPU: packets per second of `cores` cores of `cpuHz` that spend `cyclesPerPacket` on each;
 * T = 8 * bytes * f / c. Source: Malka et al., "rIOMMU" (ASPLOS'15), table 1 and its model of netperf.
 */
export function cpuPacketRate(cpuHz: number, cyclesPerPacket: number, cores = 1): number {
  return (cores * cpuHz) / cyclesPerPacket;
}

/**
 * The share of accesses that miss an IOTLB of `entries` entries, for pages of `pageBytes` hit uniformly at random in
 * a window of `windowBytes`: max(0, 1 - reach / window). Part of form 2.
 */
export function randomMissShare(entries: number, pageBytes: number, windowBytes: number): number {
  return Math.max(0, 1 - (entries * pageBytes) / windowBytes);
}

/**
 * Form 2, walk rate on reads: reads per second, min(R0, 1 / (occ * n * p)).
 * `baseRate` R0 per second without a translation; `occNs` ns the walker is taken per read; `readsPerWalk` n;
 * `missShare` p. Fitted to Neugebauer et al. (SIGCOMM'18), figure 9: 64-byte reads, no more than 19.5 M/s missing.
 */
export function readWalkRate(baseRate: number, occNs: number, readsPerWalk: number, missShare: number): number {
  const perAccess = occNs * readsPerWalk * missShare;
  return perAccess > 0 ? Math.min(baseRate, NS_PER_SECOND / perAccess) : baseRate;
}

/**
 * Form 3, walk rate on posted writes: Gb/s, 8 * p / (M * occ).
 * `bytesPerPage` p payload per page; `readsPerPage` M reads per page; `occNs` ns the walker is taken per read.
 * Fitted to Rubin et al., "Fast & Safe IO Memory Protection" (SOSP'24): 4000-byte packets, 5 and 10 flows.
 */
export function writeWalkThroughput(bytesPerPage: number, readsPerPage: number, occNs: number): number {
  return (8 * bytesPerPage) / (readsPerPage * occNs);
}

/**
 * Form 4, misses per second: T * m <= 1 / (occ * n), here solved for the throughput T in Gb/s.
 * `missesPerByte` m; `readsPerMiss` n; `occNs` ns the walker is taken per read.
 * Checked against Farshin et al., "Overcoming the IOTLB wall" (PeerJ CS 2023): about 500 misses per MiB at the wall.
 */
export function missThroughput(missesPerByte: number, occNs: number, readsPerMiss: number): number {
  return 8 / (missesPerByte * occNs * readsPerMiss);
}

/**
 * Form 5, posted window: Gb/s, lines * 64 bytes / mean time that a line stays in the window.
 * `lines` cache lines of posted data that the root complex tracks (about 100: Rubin et al., SOSP'24).
 */
export function postedWindowThroughput(lines: number, meanNs: number): number {
  return (lines * 64 * 8) / meanNs;
}

/**
 * The mean time in ns of a line in the posted window, for form 5. Writes commit in order, so every line behind a miss
 * waits for that miss, and its own commit passes meanwhile: with a miss in each window the mean is the time of a
 * miss, with none the time of a commit. `missesPerLine` is the counted share. Own derivation.
 */
export function meanPostedTime(lines: number, missesPerLine: number, commitNs: number, missNs: number): number {
  const waiting = Math.min(1, missesPerLine * lines);
  return (1 - waiting) * commitNs + waiting * Math.max(commitNs, missNs);
}

/**
 * Form 6, read window: Gb/s, tags * size / latency, by Little's law.
 * `tags` reads in flight; `bytes` of each; `latencyNs` of each. See Neugebauer et al. (SIGCOMM'18).
 */
export function readWindowThroughput(tags: number, bytes: number, latencyNs: number): number {
  return (tags * bytes * 8) / latencyNs;
}

/**
 * Form 7, invalidation unit: submissions per second of one IOMMU, 1 / (t_inv_service + further * t_inv_extra).
 * `furtherDescriptors`: invalidation descriptors beyond the first, per submission. Rubin et al. (SOSP'24) needs at
 * least 2.4 M/s.
 */
export function invalidationRate(serviceNs: number, extraNs = 0, furtherDescriptors = 0): number {
  return NS_PER_SECOND / (serviceNs + furtherDescriptors * extraNs);
}

/**
 * Form 7 seen from one core, which spins until its invalidation is done: unmaps per second, 1 / (t_inv_lat + rest).
 * `restNs`: everything else the core does per unmap.
 */
export function invalidationRatePerCore(latencyNs: number, restNs: number): number {
  return NS_PER_SECOND / (latencyNs + restNs);
}

export interface LazyFlushes {
  /** Domain-selective invalidations per second. */
  readonly flushesPerSecond: number;
  /** Page-table reads per second that refill what they emptied. */
  readonly refillReadsPerSecond: number;
}

/**
 * Form 8, deferred invalidation: a flush when a CPU's ring is full, and every `timeoutNs` if anything is unmapped.
 * `unmapsPerSecond` over all CPUs; `usableEntries` of a ring (255 of 256); `liveEntries` of IOTLB and walk caches
 * that a flush empties. Source: Linux, drivers/iommu/iova.c.
 */
export function lazyFlushes(
  unmapsPerSecond: number, usableEntries: number, timeoutNs: number, liveEntries: number,
): LazyFlushes {
  const flushesPerSecond = unmapsPerSecond > 0
    ? Math.max(unmapsPerSecond / usableEntries, NS_PER_SECOND / timeoutNs)
    : 0;
  return { flushesPerSecond, refillReadsPerSecond: flushesPerSecond * liveEntries };
}

/** Form 9: the bound that binds, the one with the lowest rate; the first of equals. Nothing binds: undefined. */
export function tightest<B extends { readonly packetsPerSecond: number }>(bounds: readonly B[]): B | undefined {
  let best: B | undefined;
  for (const bound of bounds) {
    if (best === undefined || bound.packetsPerSecond < best.packetsPerSecond) {
      best = bound;
    }
  }
  return best;
}

/** What a miss adds to the latency of a DMA, ns: w_fixed + n * w_step. Neugebauer et al.: about 330 ns for one read. */
export function missLatency(fixedNs: number, stepNs: number, reads: number): number {
  return fixedNs + reads * stepNs;
}

/**
 * Form 10, latency of one DMA read, ns: t_read0 + [miss] * (w_fixed + n * w_step).
 * `missShare` is 1 or 0 for one DMA, the counted share for a mean.
 */
export function readLatency(
  baseNs: number, missShare: number, fixedNs: number, stepNs: number, readsPerMiss: number,
): number {
  return baseNs + missShare * missLatency(fixedNs, stepNs, readsPerMiss);
}

/**
 * The second half of form 10: what mapping adds to a ping-pong, per direction, ns. On the critical path lie the map
 * before the transmit doorbell and the unmap of the received buffer; the unmap of the last transmission is not.
 */
export function pingPongAddition(mapCycles: number, receiveUnmapCycles: number, cpuHz: number): number {
  return ((mapCycles + receiveUnmapCycles) / cpuHz) * NS_PER_SECOND;
}
