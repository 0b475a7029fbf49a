/** The CPU's share of the cost model: cycles per packet, as counts times parameters, never as a percentage. */

import type { RunCounts } from './counts';
import type { How } from './policy';
import type { CellName, Column, ParameterName } from './parameters';
import { cyclesOf, valueOf } from './profiles';
import type { Profile } from './profiles';

/** Cycles per packet by what they are spent on. */
export interface CycleSplit {
  readonly stack: number;
  /** Allocation, finding and freeing of I/O virtual addresses. */
  readonly iova: number;
  readonly pageTable: number;
  /** Waiting for invalidations, spinning. */
  readonly invalidate: number;
  readonly copy: number;
  readonly irq: number;
  readonly hypercall: number;
  /** The rest of map and unmap (with the flush-queue work of deferred unmaps), and the driver's register accesses. */
  readonly other: number;
}

interface Mapping {
  readonly iova: number;
  readonly pageTable: number;
  readonly invalidate: number;
  readonly other: number;
}

const NO_MAPPING: Mapping = { iova: 0, pageTable: 0, invalidate: 0, other: 0 };

/** count x parameter in cycles. A parameter that nothing needs may be absent. */
function charge(profile: Profile, count: number, name: ParameterName): number {
  return count > 0 ? count * cyclesOf(profile, name) : 0;
}

/** Where table A of Malka et al. (ASPLOS'15) has the costs of this policy: `+` is the allocator in constant time. */
function columnsOf(how: How): { readonly fast: Column; readonly tree: Column; readonly own: Column } {
  const deferred = how.policy === 'lazy';
  const fast = deferred ? 'defer+' : 'strict+';
  const tree = deferred ? 'defer' : 'strict';
  return { fast, tree, own: how.allocator === 'magazine' ? fast : tree };
}

/**
 * Spinning for the counted submissions. A deferred flush costs a submission like any other, and is charged when it
 * happens: the 9 cycles per unmap of the defer columns are the same flush spread over a full ring, so they are not
 * charged beside it.
 */
function invalidation(profile: Profile, counts: RunCounts, how: How): number {
  const cell: `${CellName}.${Column}` = how.allocator === 'magazine' ? 'cInvalidate.strict+' : 'cInvalidate.strict';
  const name = valueOf(profile, cell) === undefined ? 'tInvLat' : cell;
  const further = Math.max(0, counts.invalidationDescriptors - counts.invalidationSubmissions);
  return charge(profile, counts.invalidationSubmissions, name) + charge(profile, further, 'tInvExtra');
}

/** Cycles of all maps and unmaps of a run. */
function mapping(profile: Profile, counts: RunCounts, how: How): Mapping {
  if (how.policy === 'none' || how.policy === 'bypass' || how.policy === 'static') {
    // The driver's calls to map and unmap are there, and do nothing.
    return NO_MAPPING;
  }
  const { fast, tree, own } = columnsOf(how);
  const deferred = Math.min(counts.deferredUnmaps, counts.unmaps);
  const atOnce = how.allocator === 'magazine' ? 'strict+' : 'strict';
  // A map or unmap contains its first entry.
  const furtherEntries = Math.max(0, counts.ptesWritten - counts.maps - counts.unmaps);
  return {
    iova: charge(profile, counts.iovaAllocsFast, `cAlloc.${fast}`)
      + charge(profile, counts.iovaAllocsTree, `cAlloc.${tree}`)
      + charge(profile, counts.unmaps, `cFind.${own}`)
      + charge(profile, counts.iovaFreesFast, `cFree.${fast}`)
      + charge(profile, counts.iovaFreesTree, `cFree.${tree}`),
    pageTable: charge(profile, counts.maps, `cMapPt.${own}`)
      + charge(profile, counts.unmaps, `cUnmapPt.${own}`)
      + charge(profile, furtherEntries, 'pteExtra'),
    invalidate: invalidation(profile, counts, how),
    other: charge(profile, counts.maps, `cMapOther.${own}`)
      + charge(profile, deferred, `cUnmapOther.${own}`)
      + charge(profile, counts.unmaps - deferred, `cUnmapOther.${atOnce}`),
  };
}

/** Cycles per packet; undefined for a profile without a CPU. */
export function cyclesPerPacket(profile: Profile, counts: RunCounts, how: How): CycleSplit | undefined {
  if (valueOf(profile, 'cpuHz') === undefined || valueOf(profile, 'cStack') === undefined) {
    return undefined;
  }
  const n = counts.packets;
  const mapped = mapping(profile, counts, how);
  // What cStack contains is not charged again.
  const apart = profile.stackIncludesIrq ? 0 : 1;
  const copying = charge(profile, counts.bytesCopied, 'copyNsPerByte')
    + charge(profile, counts.copies ?? 0, 'copyNsFixed');
  return {
    stack: cyclesOf(profile, 'cStack'),
    iova: mapped.iova / n,
    pageTable: mapped.pageTable / n,
    invalidate: mapped.invalidate / n,
    copy: copying / n,
    irq: charge(profile, apart * counts.interrupts, 'cIrq') / n,
    hypercall: how.owner === 'native' ? 0 : charge(profile, counts.hypercalls, 'cHypercall') / n,
    other: (mapped.other
      + charge(profile, apart * counts.mmioReads, 'tMmioRead')
      + charge(profile, apart * counts.mmioWrites, 'cMmioWrite')) / n,
  };
}

export function totalCycles(split: CycleSplit): number {
  return split.stack + split.iova + split.pageTable + split.invalidate + split.copy + split.irq + split.hypercall
    + split.other;
}
