/** What the cost model knows of a run: the run's own counters, nothing else. */

import { PortcullisError } from '../../errors';

/** Totals over the measured part of a run (not its set-up). */
export interface RunCounts {
  /** Frames received and sent on again: the NIC writes each once by DMA, and reads it once. */
  readonly packets: number;
  /** Bytes of these packets, in one direction. */
  readonly payloadBytes: number;

  /** DMA requests of the device, of any kind (packets, descriptors, write-backs), and their bytes. */
  readonly dmaReads: number;
  readonly dmaReadBytes: number;
  readonly dmaWrites: number;
  readonly dmaWriteBytes: number;

  /** TLPs of these requests: split at 4 KiB, then at the link's MPS (256) or MRRS (512). Messages are writes. */
  readonly readRequestTlps: number;
  readonly completionTlps: number;
  readonly writeTlps: number;

  /** Lookups in the IOTLB, one per piece of at most 4 KiB, and how they ended. */
  readonly translations: number;
  readonly iotlbHits: number;
  readonly iotlbMisses: number;
  /** Page-table entries read by all walks, and those of walks for DMA reads and for DMA writes. */
  readonly tableReads: number;
  readonly tableReadsForReads: number;
  readonly tableReadsForWrites: number;
  /** Misses of the context (device) cache. Their reads are not in tableReads. */
  readonly contextMisses: number;

  /** Calls of map and unmap for I/O (streaming) buffers, whatever their length. */
  readonly maps: number;
  readonly unmaps: number;
  /** I/O virtual addresses allocated and freed: from a CPU's magazine, and through the tree. */
  readonly iovaAllocsFast: number;
  readonly iovaAllocsTree: number;
  readonly iovaFreesFast: number;
  readonly iovaFreesTree: number;
  /** Page-table entries written: leaves set and cleared, and tables hung in, which in a steady state are none. */
  readonly ptesWritten: number;

  /** Submissions to the invalidation queue, each with a wait that a core spins for. */
  readonly invalidationSubmissions: number;
  /** Invalidation descriptors in these submissions, the wait descriptors not counted. */
  readonly invalidationDescriptors: number;
  /** Unmaps that were put in the flush queue. */
  readonly deferredUnmaps: number;

  /** Bytes that the CPU copied to or from bounce buffers. */
  readonly bytesCopied: number;
  /** Copies that made up bytesCopied; without it their fixed cost is left out. */
  readonly copies?: number;

  /** Interrupts taken. */
  readonly interrupts: number;
  /** Register accesses of the driver that reach the device. */
  readonly mmioReads: number;
  readonly mmioWrites: number;
  /** Hypercalls of a guest for map, unmap and flush. */
  readonly hypercalls: number;
}

/** Counts of a run in which nothing happened; a base for tests and for partial runs. */
export const NO_COUNTS: RunCounts = {
  packets: 0, payloadBytes: 0,
  dmaReads: 0, dmaReadBytes: 0, dmaWrites: 0, dmaWriteBytes: 0,
  readRequestTlps: 0, completionTlps: 0, writeTlps: 0,
  translations: 0, iotlbHits: 0, iotlbMisses: 0,
  tableReads: 0, tableReadsForReads: 0, tableReadsForWrites: 0, contextMisses: 0,
  maps: 0, unmaps: 0,
  iovaAllocsFast: 0, iovaAllocsTree: 0, iovaFreesFast: 0, iovaFreesTree: 0, ptesWritten: 0,
  invalidationSubmissions: 0, invalidationDescriptors: 0, deferredUnmaps: 0,
  bytesCopied: 0, interrupts: 0, mmioReads: 0, mmioWrites: 0, hypercalls: 0,
};

/** Throws if a count is not a count, if there is no packet to divide by, or if the parts exceed their total. */
export function checkCounts(counts: RunCounts): void {
  for (const [name, value] of Object.entries(counts)) {
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
      throw new PortcullisError('COST_BAD_COUNTS', `count '${name}' cannot be ${String(value)}`, {
        count: name, value,
      });
    }
  }
  for (const name of Object.keys(NO_COUNTS) as (keyof typeof NO_COUNTS)[]) {
    if (counts[name] === undefined) {
      throw new PortcullisError('COST_BAD_COUNTS', `count '${name}' is missing`, { count: name });
    }
  }
  if (counts.packets === 0) {
    throw new PortcullisError('COST_BAD_COUNTS', 'the run moved no packets: there is no cost per packet', {
      count: 'packets', value: 0,
    });
  }
  if (counts.tableReadsForReads + counts.tableReadsForWrites > counts.tableReads) {
    throw new PortcullisError('COST_BAD_COUNTS',
      'tableReadsForReads and tableReadsForWrites together are more than tableReads', {
        tableReads: counts.tableReads,
        tableReadsForReads: counts.tableReadsForReads,
        tableReadsForWrites: counts.tableReadsForWrites,
      });
  }
}
