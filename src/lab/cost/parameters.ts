/** The names of the cost model's parameters, their units, and what each means. Values are in profiles.ts. */

export type Unit = 'Hz' | 'bit/s' | 'cycles' | 'ns' | 'ns/B' | 'bytes' | 'count' | 'flag';

/**
 * How far a value can be trusted: `sourced` was read in the named source, `recalled` is general knowledge not read
 * again, `figure` was read off a figure, `inferred` was derived or fitted, `assumed` is ours for want of a better.
 */
export type Certainty = 'sourced' | 'recalled' | 'figure' | 'inferred' | 'assumed';

export interface Parameter {
  readonly value: number;
  readonly unit: Unit;
  readonly source: string;
  readonly certainty: Certainty;
}

/** The parameters that every profile may have. The unit is the one an override is in if the profile lacks it. */
const GENERAL = {
  cpuHz: ['Hz', 'core clock'],
  cores: ['count', 'cores that the workload may use'],
  cStack: ['cycles', 'per packet: everything but DMA mapping'],
  mapsPerPacket: ['count', 'maps per packet, for predictions without a run; a run counts its own'],
  pteExtra: ['cycles', 'each page-table entry beyond the first of a map or unmap'],
  cClflush: ['cycles', 'flush of a page-table line, tables not coherent; contained in the cells of such a profile'],
  tInvLat: ['ns', 'one invalidation and its wait, seen by a spinning core'],
  tInvService: ['ns', 'time that a submission occupies the invalidation unit'],
  tInvExtra: ['ns', 'each further descriptor in the same submission'],
  tInvVirtual: ['ns', 'an invalidation through a queue that is emulated for a guest; for an event model'],
  fqSize: ['count', 'entries of a flush queue per CPU, one of them unusable'],
  fqTimeout: ['ns', 'longest time that an entry stays in the flush queue'],
  copyNsPerByte: ['ns/B', 'memcpy in cache'],
  copyNsFixed: ['ns', 'each memcpy'],
  cIrq: ['cycles', 'interrupt and entry of the polling loop, bare metal'],
  cExit: ['cycles', 'one VM exit: trapped register access, end of interrupt, injection'],
  cHypercall: ['cycles', 'one hypercall of a guest to map or unmap'],
  tMmioRead: ['ns', 'register read of the CPU, which waits for it'],
  cMmioWrite: ['cycles', 'register write of the CPU, which is posted'],
  irqN: ['count', 'packets after which the moderator fires'],
  irqT: ['ns', 'time after which the moderator fires'],
  lineRate: ['bit/s', 'Ethernet line rate, each way'],
  wireOverhead: ['bytes', 'on the wire beside a packet: 38 for IP packets, 24 for frames with their header'],
  'pcie.generation': ['count', 'generation of the link'],
  'pcie.lanes': ['count', 'lanes of the link'],
  'pcie.mps': ['bytes', 'maximum payload size'],
  'pcie.mrrs': ['bytes', 'maximum read request size'],
  tRead0: ['ns', 'latency of a 64-byte DMA read without a miss, seen by the device'],
  tWriteCommit: ['ns', 'posted write, from root complex to globally visible'],
  readTags: ['count', 'reads in flight per device'],
  postedLines: ['count', 'cache lines of posted writes not yet committed'],
  iotlb: ['count', 'IOTLB entries, fully associative, LRU, any page size'],
  pwc2M: ['count', 'walk-cache entries that cover 2 MiB each'],
  pwc1G: ['count', 'walk-cache entries that cover 1 GiB each'],
  pwc512G: ['count', 'walk-cache entries that cover 512 GiB each'],
  devcache: ['count', 'context (device) cache entries'],
  devcacheMissReads: ['count', 'reads of a context-cache miss: root entry, context entry'],
  tHit: ['ns', 'an IOTLB hit, beyond what tRead0 contains'],
  wFixed: ['ns', 'latency of any miss'],
  wStep: ['ns', 'latency of each page-table read of a miss'],
  occNonposted: ['ns', 'time that a page-table read for a DMA read keeps the walker from the next'],
  occPosted: ['ns', 'the same for a posted write; commits in order, so fewer walks overlap'],
  walkersShared: ['flag', '1: reads and posted writes share one walker pool; 0: each class its own'],
} as const satisfies Record<string, readonly [Unit, string]>;

/** The parts of a map and of an unmap that cost CPU time (Malka et al., "rIOMMU", ASPLOS'15, table 1). */
const CELLS = {
  cAlloc: 'map: allocate the I/O virtual address',
  cMapPt: 'map: write the page table',
  cMapOther: 'map: the rest',
  cFind: 'unmap: find the I/O virtual address',
  cFree: 'unmap: free the I/O virtual address',
  cUnmapPt: 'unmap: clear the page table',
  cInvalidate: 'unmap: invalidate the IOTLB, and wait',
  cUnmapOther: 'unmap: the rest; in the defer columns it contains the flush-queue work',
} as const satisfies Record<string, string>;

/** The columns of that table: strict or deferred invalidation; `+` with an allocator in constant time. */
export const COLUMNS = ['strict', 'strict+', 'defer', 'defer+'] as const;

export type Column = (typeof COLUMNS)[number];
export type CellName = keyof typeof CELLS;
export type GeneralName = keyof typeof GENERAL;
export type ParameterName = GeneralName | `${CellName}.${Column}`;

export const CELL_NAMES = Object.keys(CELLS) as CellName[];
export const GENERAL_NAMES = Object.keys(GENERAL) as GeneralName[];

/** Every parameter name, in the order in which to print them. */
export const PARAMETER_NAMES: readonly ParameterName[] = [
  ...GENERAL_NAMES,
  ...CELL_NAMES.flatMap((cell) => COLUMNS.map((column): ParameterName => `${cell}.${column}`)),
];

export function isParameterName(name: string): name is ParameterName {
  return (PARAMETER_NAMES as readonly string[]).includes(name);
}

/** What a parameter means, and the unit of an override where a profile does not have it. */
export function describeParameter(name: ParameterName): { readonly unit: Unit; readonly meaning: string } {
  if (name in GENERAL) {
    const [unit, meaning] = GENERAL[name as GeneralName];
    return { unit, meaning };
  }
  const [cell, column] = name.split('.') as [CellName, Column];
  return { unit: 'cycles', meaning: `${CELLS[cell]} (${column})` };
}

/** Why `value` cannot be a value in `unit`; undefined if it can. */
export function refuseValue(unit: Unit, value: number): string | undefined {
  if (!Number.isFinite(value) || value < 0) {
    return 'it must be a finite number, not negative';
  }
  if (unit === 'flag' && value !== 0 && value !== 1) {
    return 'it must be 0 or 1';
  }
  if ((unit === 'Hz' || unit === 'bit/s' || unit === 'count') && value === 0) {
    return 'it must be more than zero';
  }
  if ((unit === 'count' || unit === 'bytes') && !Number.isInteger(value)) {
    return 'it must be a whole number';
  }
  return undefined;
}

/**
 * Parameters that no closed form reads: what they describe is counted in a run, or waits for the event model. To set one
 * would change nothing, so whoever models a run refuses it.
 */
export const NOT_IN_CLOSED_FORMS: readonly string[] = [
  'mapsPerPacket', 'cClflush', 'tInvVirtual', 'fqSize', 'fqTimeout', 'cExit', 'irqN', 'irqT', 'pcie.mrrs', 'iotlb', 'pwc2M',
  'pwc1G', 'pwc512G', 'devcache', 'cInvalidate.defer', 'cInvalidate.defer+',
];
