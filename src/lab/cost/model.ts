/**
 * The modelled cost of a run: what its counters would mean for throughput and CPU on a machine of a profile. It is
 * independent of how fast the emulation itself runs; the two are never mixed.
 */

import { PortcullisError } from '../../errors';
import { boundsOf } from './bounds';
import type { Bound, Resource } from './bounds';
import { gbps, tightest } from './closed-forms';
import { checkCounts } from './counts';
import type { RunCounts } from './counts';
import { cyclesPerPacket, totalCycles } from './cycles';
import type { CycleSplit } from './cycles';
import { checkPolicy } from './policy';
import type { How } from './policy';
import { valueOf } from './profiles';
import type { Profile, ProfileName } from './profiles';

export interface Modelled {
  readonly profile: ProfileName;
  /** Throughput of packet bytes in one direction, Gb/s. */
  readonly gbps: number;
  readonly packetsPerSecond: number;
  /** Null for a profile without a CPU, as are the next and the last. */
  readonly cyclesPerPacket: number | null;
  readonly cycles: CycleSplit | null;
  /** What each resource allows; those that the profile lacks or the run does not use are not there. */
  readonly bounds: readonly Bound[];
  /** The resource that binds: the lowest of the bounds. */
  readonly bottleneck: Resource;
  /** 0 to 1 of all cores, spinning counted as busy. */
  readonly cpuUtilisation: number | null;
}

/** The cost of a run by the closed forms. */
export function modelRun(profile: Profile, counts: RunCounts, how: How): Modelled {
  checkPolicy(how.policy);
  checkCounts(counts);
  const cycles = cyclesPerPacket(profile, counts, how);
  const perPacket = cycles === undefined ? undefined : totalCycles(cycles);
  const bounds = boundsOf(profile, counts, perPacket);
  const binding = tightest(bounds);
  if (binding === undefined) {
    throw new PortcullisError('COST_UNBOUNDED',
      `nothing that profile '${profile.name}' has bounds this run: it has no CPU and no line, and the run no DMA`,
      { profile: profile.name });
  }
  const rate = binding.packetsPerSecond;
  const capacity = (valueOf(profile, 'cores') ?? 1) * (valueOf(profile, 'cpuHz') ?? 0);
  return {
    profile: profile.name,
    gbps: gbps(rate, counts.payloadBytes / counts.packets),
    packetsPerSecond: rate,
    cyclesPerPacket: perPacket ?? null,
    cycles: cycles ?? null,
    bounds,
    bottleneck: binding.resource,
    cpuUtilisation: perPacket === undefined ? null : (rate * perPacket) / capacity,
  };
}
