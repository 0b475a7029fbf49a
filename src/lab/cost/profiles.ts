/**
 * The machines that the cost model knows: for each, the value of every parameter that it has, and where it is from.
 * [R] in a source means recalled, not read again. What a machine does not have is left out, and bounds nothing.
 */

import { PortcullisError } from '../../errors';
import { OPERATIONS_2014, OPERATIONS_MODERN } from './operations';
import { COLUMNS, PARAMETER_NAMES, describeParameter, isParameterName, refuseValue } from './parameters';
import type { Certainty, Parameter, ParameterName, Unit } from './parameters';
import { tlpBandwidth } from './pcie';
import type { Link } from './pcie';

export const PROFILE_NAMES = ['rio2014', 'bdw2018', 'clx2024', 'icx2023'] as const;

export type ProfileName = (typeof PROFILE_NAMES)[number];

export type Parameters = Readonly<Partial<Record<ParameterName, Parameter>>>;

export interface Profile {
  readonly name: ProfileName;
  readonly title: string;
  /** `cStack` contains interrupts and the driver's register accesses: they are not charged again. */
  readonly stackIncludesIrq: boolean;
  readonly parameters: Parameters;
}

function p(value: number, unit: Unit, certainty: Certainty, source: string): Parameter {
  return { value, unit, source, certainty };
}

const RIO = 'Malka et al., ASPLOS\'15 [R]';
const PCIE_BENCH = 'Neugebauer et al., SIGCOMM\'18';
const FAST_SAFE = 'Rubin et al., SOSP\'24';
const FARSHIN = 'Farshin et al., PeerJ CS 2023';
const LINUX_IOVA = 'Linux drivers/iommu/iova.c';

function link(generation: number, lanes: number, source: string): Parameters {
  return {
    'pcie.generation': p(generation, 'count', 'sourced', source),
    'pcie.lanes': p(lanes, 'count', 'sourced', source),
    'pcie.mps': p(256, 'bytes', 'sourced', PCIE_BENCH),
    'pcie.mrrs': p(512, 'bytes', 'sourced', PCIE_BENCH),
  };
}

/** Root complex and translator: what the sources that measured them gave, the same in all profiles but for the rest. */
const TRANSLATOR: Parameters = {
  tInvService: p(350, 'ns', 'inferred', `${FAST_SAFE}: 5 flows need at least 2.4 M/s`),
  tInvExtra: p(50, 'ns', 'inferred', 'each further descriptor is only fetched and done'),
  tRead0: p(550, 'ns', 'figure', `${PCIE_BENCH}: 64-byte reads, Xeon E5`),
  tWriteCommit: p(100, 'ns', 'inferred', 'about one memory access'),
  postedLines: p(100, 'count', 'sourced', FAST_SAFE),
  iotlb: p(64, 'count', 'figure', `${PCIE_BENCH}: knee at a window of 256 KiB`),
  pwc2M: p(64, 'count', 'sourced', `${FAST_SAFE}: 64-128 likely`),
  pwc1G: p(32, 'count', 'assumed', `${FAST_SAFE} calls it not critical`),
  pwc512G: p(32, 'count', 'assumed', `${FAST_SAFE} calls it not critical`),
  devcache: p(64, 'count', 'inferred', 'not published'),
  devcacheMissReads: p(2, 'count', 'inferred', 'root entry and context entry'),
  tHit: p(0, 'ns', 'inferred', `${PCIE_BENCH}: hidden in the read latency`),
  wFixed: p(230, 'ns', 'inferred', `${PCIE_BENCH}: a miss of one read adds 330 ns; the split is ours`),
  wStep: p(100, 'ns', 'inferred', `${PCIE_BENCH}: 330 ns for one read; ${RIO}: about 0.5 us cold`),
  occNonposted: p(51, 'ns', 'inferred', `fitted to ${PCIE_BENCH}: 64-byte reads`),
  walkersShared: p(0, 'flag', 'assumed', 'not published'),
};

/** Costs of any CPU, in its cycles or in time. */
const CPU: Parameters = {
  cIrq: p(3000, 'cycles', 'recalled', 'interrupt and NAPI entry, bare metal [R]'),
  cExit: p(2000, 'cycles', 'sourced', 'Landau et al., "SplitX" (WIOV\'11)'),
  cHypercall: p(2000, 'cycles', 'assumed', 'no source; set equal to a VM exit (cExit)'),
  tMmioRead: p(900, 'ns', 'recalled', 'round trip 0.8-1 us [R]'),
  cMmioWrite: p(100, 'cycles', 'assumed', 'no source; posted: the core does not wait for the 100-200 ns to the device'),
  tInvLat: p(690, 'ns', 'recalled', `${RIO}: 2127-2135 cycles at 3.1 GHz; 0.3-1 us on later machines [R]`),
  tInvVirtual: p(7500, 'ns', 'sourced', 'Linux mailing list, nested VT-d, uncontended'),
  fqSize: p(256, 'count', 'sourced', LINUX_IOVA),
  fqTimeout: p(10_000_000, 'ns', 'sourced', `${LINUX_IOVA}: 10 ms`),
  copyNsPerByte: p(0.075, 'ns/B', 'recalled', 'memcpy in cache, 0.07-0.1 ns/B [R]'),
  copyNsFixed: p(30, 'ns', 'recalled', 'each memcpy [R]'),
  irqN: p(64, 'count', 'recalled', 'interrupt moderation [R]'),
  irqT: p(20_000, 'ns', 'recalled', 'interrupt moderation [R]'),
  wireOverhead: p(38, 'bytes', 'inferred', 'IEEE 802.3: 14 header, 4 FCS, 8 preamble, 12 gap'),
};

/** A kernel of the 2020s, on an IOMMU that snoops. */
const MODERN: Parameters = {
  ...OPERATIONS_MODERN,
  pteExtra: p(1.2, 'ns', 'inferred',
    'Linux generic page-table series (2024-25): (391-55)/255 ns VT-d map, (353-69)/255 ns AMDv1 unmap'),
};

const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  rio2014: {
    name: 'rio2014',
    title: 'Xeon 3.1 GHz, one core, IOMMU that does not snoop, 40 Gb/s NIC on gen3 x8 (2014)',
    // c_stack is by definition everything but DMA mapping.
    stackIncludesIrq: true,
    parameters: {
      ...TRANSLATOR, ...CPU, ...OPERATIONS_2014, ...link(3, 8, PCIE_BENCH),
      cpuHz: p(3.1e9, 'Hz', 'recalled', RIO),
      cores: p(1, 'count', 'recalled', RIO),
      cStack: p(1816, 'cycles', 'recalled', `${RIO}: netperf stream, 1500 B, one core`),
      mapsPerPacket: p(2, 'count', 'recalled', `${RIO}: header and data, or receive and transmit`),
      cClflush: p(590, 'cycles', 'inferred', 'Linux generic page-table series: 250 - 60 ns per operation'),
      pteExtra: p(590 / 8, 'cycles', 'inferred', 'one flush of a line (590 cycles) for its eight entries'),
      lineRate: p(40e9, 'bit/s', 'recalled', RIO),
      readTags: p(64, 'count', 'recalled', 'NIC below 100 Gb/s [R]'),
      occPosted: p(229, 'ns', 'assumed', `fitted to a later machine (${FAST_SAFE})`),
    },
  },
  bdw2018: {
    name: 'bdw2018',
    title: 'Xeon E5 v4, DMA traffic generator on gen3 x8, no CPU at work (2018)',
    stackIncludesIrq: false,
    parameters: {
      ...TRANSLATOR, ...link(3, 8, PCIE_BENCH),
      readTags: p(34, 'count', 'inferred', `${PCIE_BENCH}: gives the observed 62.5 M reads/s at 550 ns`),
    },
  },
  clx2024: {
    name: 'clx2024',
    title: 'Xeon Gold 6234 3.3 GHz, 5 cores, DDIO off, 100 Gb/s NIC on gen3 x16 (2024)',
    stackIncludesIrq: false,
    parameters: {
      ...TRANSLATOR, ...CPU, ...MODERN, ...link(3, 16, FAST_SAFE),
      cpuHz: p(3.3e9, 'Hz', 'sourced', FAST_SAFE),
      cores: p(5, 'count', 'sourced', FAST_SAFE),
      cStack: p(1816, 'cycles', 'assumed',
        `not given; as in 2014. ${FAST_SAFE} only bounds it: at most 5410 (97.6 Gb/s of 4000 B without IOMMU is line `
        + 'rate), at most about 4000 (77.8 Gb/s strict with this mapping cost, not bound by the CPU)'),
      mapsPerPacket: p(1, 'count', 'sourced', `${FAST_SAFE}: one page per packet of 4 KiB`),
      lineRate: p(100e9, 'bit/s', 'sourced', FAST_SAFE),
      readTags: p(256, 'count', 'recalled', 'NIC of 100 Gb/s or more [R]'),
      occPosted: p(229, 'ns', 'inferred', `fitted to ${FAST_SAFE}: 5 and 10 flows`),
    },
  },
  icx2023: {
    name: 'icx2023',
    title: 'Xeon Gold 6346, 200 Gb/s NIC on gen4 x16 (2023)',
    stackIncludesIrq: false,
    parameters: {
      ...TRANSLATOR, ...CPU, ...MODERN, ...link(4, 16, FARSHIN),
      cpuHz: p(3.1e9, 'Hz', 'recalled', 'Xeon Gold 6346, base clock [R]'),
      cores: p(16, 'count', 'recalled', 'Xeon Gold 6346 [R]'),
      cStack: p(1600, 'cycles', 'assumed',
        `not given; ${FARSHIN}: about half of the cores busy, taken as 8 of 16 at 185 Gb/s of 1500 B without IOMMU`),
      mapsPerPacket: p(1, 'count', 'inferred', 'one page per packet of 1500 B'),
      lineRate: p(200e9, 'bit/s', 'sourced', FARSHIN),
      readTags: p(256, 'count', 'recalled', 'NIC of 100 Gb/s or more [R]'),
      postedLines: p(200, 'count', 'assumed', 'gen4 host; not published'),
      occPosted: p(115, 'ns', 'inferred', `fitted to ${FARSHIN}: 1500 B at the wall, 1.0-1.1 reads per miss`),
    },
  },
};

function isProfileName(name: string): name is ProfileName {
  return (PROFILE_NAMES as readonly string[]).includes(name);
}

/**
 * The profile `name` with `overrides` in place. A value is in the unit that the profile has the parameter in, or in
 * the one of describeParameter if the profile lacks it.
 */
export function resolveProfile(name: string, overrides: Readonly<Record<string, number>> = {}): Profile {
  if (!isProfileName(name)) {
    throw new PortcullisError('COST_UNKNOWN_PROFILE',
      `unknown profile '${name}'; there are ${PROFILE_NAMES.join(', ')}`, { profile: name, allowed: PROFILE_NAMES });
  }
  const profile = PROFILES[name];
  const parameters: Partial<Record<ParameterName, Parameter>> = { ...profile.parameters };
  for (const [key, value] of Object.entries(overrides)) {
    if (!isParameterName(key)) {
      throw new PortcullisError('COST_UNKNOWN_PARAMETER',
        `unknown parameter '${key}'; there are ${PARAMETER_NAMES.join(', ')}`,
        { profile: name, parameter: key, allowed: PARAMETER_NAMES });
    }
    const unit = parameters[key]?.unit ?? describeParameter(key).unit;
    const refusal = refuseValue(unit, value);
    if (refusal !== undefined) {
      throw new PortcullisError('COST_BAD_PARAMETER', `parameter '${key}' (${unit}) cannot be ${value}: ${refusal}`,
        { profile: name, parameter: key, value, unit });
    }
    parameters[key] = { value, unit, source: 'given by the caller', certainty: 'assumed' };
  }
  if (Object.hasOwn(overrides, 'tInvLat')) {
    dropInvalidationCells(parameters, overrides);
  }
  const resolved = { ...profile, parameters };
  const resolvedLink = linkOf(resolved);
  if (resolvedLink !== undefined) {
    tlpBandwidth(resolvedLink);
  }
  return resolved;
}

/** The invalidation cells say the same as tInvLat, column by column; who gives a tInvLat means it for all of them. */
function dropInvalidationCells(
  parameters: Partial<Record<ParameterName, Parameter>>, overrides: Readonly<Record<string, number>>,
): void {
  for (const column of COLUMNS) {
    if (!Object.hasOwn(overrides, `cInvalidate.${column}`)) {
      delete parameters[`cInvalidate.${column}`];
    }
  }
}

/** The bare value of a parameter, in its own unit; undefined if the profile lacks it. */
export function valueOf(profile: Profile, name: ParameterName): number | undefined {
  return profile.parameters[name]?.value;
}

/** The value of a parameter that a computation cannot do without. */
export function needValue(profile: Profile, name: ParameterName): number {
  const value = valueOf(profile, name);
  if (value === undefined) {
    throw new PortcullisError('COST_MISSING_PARAMETER',
      `profile '${profile.name}' has no '${name}' (${describeParameter(name).meaning}), which this run needs; `
        + 'give it as an override', { profile: profile.name, parameter: name });
  }
  return value;
}

/** The value of a parameter of CPU cost in cycles (per byte, for ns/B), whatever its unit. */
export function cyclesOf(profile: Profile, name: ParameterName): number {
  const value = needValue(profile, name);
  return profile.parameters[name]?.unit === 'cycles' ? value : (value * needValue(profile, 'cpuHz')) / 1e9;
}

/** The link of a profile; undefined if it has none. */
export function linkOf(profile: Profile): Link | undefined {
  const generation = valueOf(profile, 'pcie.generation');
  const lanes = valueOf(profile, 'pcie.lanes');
  const mps = valueOf(profile, 'pcie.mps');
  const mrrs = valueOf(profile, 'pcie.mrrs');
  if (generation === undefined || lanes === undefined || mps === undefined || mrrs === undefined) {
    return undefined;
  }
  return { generation, lanes, mps, mrrs };
}
