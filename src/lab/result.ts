import type { Counters } from '../engine/index';
import type { CycleSplit } from './cost/index';
import type { Bound, Resource } from './cost/index';
import type { PolicyName, ProfileName } from './cost/index';

/** Whose tables the IOMMU walks. */
export type Owner = 'native' | 'xen' | 'pv-iommu';

/** The attacks of a comparison, in the order of its table. */
export const ATTACKS = [
  'otherDomain', 'neverMapped', 'pageNeighbour', 'afterUnmap', 'afterFlush', 'forgedMsi', 'peer',
] as const;

export type Attack = (typeof ATTACKS)[number];

export interface IsolationFault {
  requester: string;
  /** Page address of the DMA; `none` for an interrupt. */
  iova: string;
  /** For an interrupt: index in the remap table; 0 for one in the old format. */
  index?: number;
  access: string;
  reason: string;
}

/** What an attack came to, judged by the victim's bytes before and after. */
export interface Isolation {
  verdict: 'reached' | 'blocked' | 'n/a';
  /** For n/a: why. */
  reason?: string;
  /** The first fault that the IOMMU recorded when it blocked the attack. */
  fault?: IsolationFault;
  /** Every fault that belongs to the attack: one at least for each way that was tried. */
  faults?: IsolationFault[];
  /** For attacks on memory, each direction by itself. */
  read?: 'reached' | 'blocked';
  write?: 'reached' | 'blocked';
}

/** One cell of the comparison: a workload under a policy. */
export interface CompareResult {
  path: 'passthrough';
  owner: Owner;
  policy: PolicyName;
  device: 'e1000';
  workload: string;
  /** Packets in the measured part: each came in, and went out again. */
  packets: number;
  /** Their bytes, one direction, without FCS. */
  bytes: number;
  /** Every byte of every packet was the right one, in the guest and at the sink, warm-up and timed rounds included. */
  verified: boolean;
  /** When not verified: what differed. */
  problem?: string;
  /** By the closed forms, from this run's counters. */
  modelled: {
    profile: ProfileName;
    gbps: number;
    cyclesPerPacket: number | null;
    bottleneck: Resource;
    cycles: CycleSplit | null;
    bounds: readonly Bound[];
  };
  /** How fast the emulator itself was: says nothing about hardware. */
  wall: {
    /** Null when no rounds were timed. */
    packetsPerSecond: number | null;
    /** This policy's speed by that of `none` in rounds that alternate; 1 for `none` itself, absent without rounds. */
    ratioToNone?: { low: number; median: number; high: number };
  };
  counters: Counters;
  isolation: Record<Attack, Isolation>;
}

/** A cell that cannot exist. */
export interface AbsentResult {
  path: 'passthrough';
  owner: Owner;
  policy: PolicyName;
  device: 'e1000';
  workload: string;
  absent: string;
}

export interface Manifest {
  version: string;
  wasmSha256: string;
  /** Version of Node, or the browser's name. */
  node: string;
  cpu: string;
  seed: number;
  options: Record<string, unknown>;
}

export interface CompareDocument {
  schemaVersion: 1;
  manifest: Manifest;
  results: CompareResult[];
  /** Combinations that were asked for and cannot exist, with the reason. */
  absent: AbsentResult[];
  /** All packets of all runs were right. */
  verified: boolean;
}

export interface CompareOptions {
  owners?: Owner[];
  policies?: PolicyName[];
  /** `pcap`, `imix`, or the size of a frame in bytes without FCS, 60 to 1514. */
  workloads?: string[];
  /** The capture's name and bytes, for the workload `pcap`. */
  pcap?: { name: string; bytes: Uint8Array };
  /** Packets of each generated stream that are measured (default 8192). A pcap has its own number. */
  packets?: number;
  profile?: string;
  /** Parameters of the profile that are set otherwise. */
  parameters?: Record<string, number>;
  allocator?: 'magazine' | 'tree';
  /** Packets of one poll (default 64). */
  batch?: number;
  /** Timed rounds for the emulator's own speed (default 5; 0: none). */
  rounds?: number;
  seed?: number;
  /** `corrupt`: one byte of one packet is flipped on the wire; the run must then end unverified. */
  inject?: 'corrupt';
  /** What the manifest is to say of the machine that ran it. */
  host?: { node: string; cpu: string };
  onProgress?: (progress: { done: number; total: number; what: string }) => void;
}
