import { type Counters, engineBytes } from '../engine/index';
import { PortcullisError } from '../errors';
import packageJson from '../../package.json';
import { attackAll } from './attack';
import { Cell, type CellOptions } from './cell';
import { FRAME_OVERHEAD, MODELLED_POLICIES, NOT_IN_CLOSED_FORMS, type PolicyName, type Profile, type RunCounts, modelRun, resolveProfile } from './cost/index';
import { OWNERS, absentReason, checkNames, setupOf } from './matrix';
import type { AbsentResult, CompareDocument, CompareOptions, CompareResult, Owner } from './result';
import { quartiles } from './statistics';
import { DEFAULT_WORKLOADS, type Workload, buildWorkload } from './workload';

/** A round of the emulator's own speed takes this long at least. */
const ROUND_MS = 20;

type Resolved = Required<Omit<CompareOptions, 'pcap' | 'inject' | 'onProgress' | 'host'>> & CompareOptions;

function requireRange(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new PortcullisError('BAD_OPTION', `${name} is ${value}; it must be a whole number from ${low} to ${high}`,
    { name, value, low, high });
}

function resolve(options: CompareOptions): Resolved {
  const resolved: Resolved = {
    ...options,
    owners: options.owners ?? [...OWNERS],
    policies: options.policies ?? [...MODELLED_POLICIES],
    workloads: options.workloads ?? [...DEFAULT_WORKLOADS],
    packets: options.packets ?? 8192,
    profile: options.profile ?? 'rio2014',
    parameters: options.parameters ?? {},
    allocator: options.allocator ?? 'magazine',
    batch: options.batch ?? 64,
    rounds: options.rounds ?? 5,
    seed: options.seed ?? 1,
  };
  checkNames(resolved.owners, resolved.policies);
  requireRange('packets', resolved.packets, 1, 10_000_000);
  requireRange('batch', resolved.batch, 1, 255);
  requireRange('rounds', resolved.rounds, 0, 1000);
  requireRange('seed', resolved.seed, 0, 0xffffffff);
  for (const name of Object.keys(resolved.parameters)) {
    if (!NOT_IN_CLOSED_FORMS.includes(name)) continue;
    throw new PortcullisError('PARAMETER_NOT_READ', `parameter "${name}" cannot be set: the closed forms do not read it, as what `
      + 'it describes is counted in the run itself', { name });
  }
  if (resolved.workloads.length === 0) throw new PortcullisError('NOTHING_TO_COMPARE', 'name at least one workload', {});
  return resolved;
}

/** The counters as the cost model wants them. Descriptors that only wait are no invalidations. */
export function runCounts(counters: Counters, packets: number, bytes: number): RunCounts {
  return {
    packets, payloadBytes: bytes,
    dmaReads: counters.dmaReads, dmaReadBytes: counters.dmaReadBytes,
    dmaWrites: counters.dmaWrites, dmaWriteBytes: counters.dmaWriteBytes,
    readRequestTlps: counters.readRequestTlps, completionTlps: counters.completionTlps, writeTlps: counters.writeTlps,
    translations: counters.translations, iotlbHits: counters.iotlbHits, iotlbMisses: counters.iotlbMisses,
    tableReads: counters.tableReads, tableReadsForReads: counters.tableReadsForReads,
    tableReadsForWrites: counters.tableReadsForWrites, contextMisses: counters.contextMisses,
    maps: counters.maps, unmaps: counters.unmaps,
    iovaAllocsFast: counters.iovaAllocsFast, iovaAllocsTree: counters.iovaAllocsTree,
    iovaFreesFast: counters.iovaFreesFast, iovaFreesTree: counters.iovaFreesTree, ptesWritten: counters.ptesWritten,
    invalidationSubmissions: counters.invalidationSubmissions,
    invalidationDescriptors: counters.invalidations - counters.waits, deferredUnmaps: counters.deferredUnmaps,
    bytesCopied: counters.bytesCopied, copies: counters.bounced, interrupts: counters.driverInterrupts,
    mmioReads: counters.mmioReads, mmioWrites: counters.mmioWrites, hypercalls: counters.hypercalls,
  };
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as BufferSource));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function timed(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

/** A measured cell before it is attacked. */
interface Measured {
  cell: Cell;
  counters: Counters;
  bytes: number;
  wall: CompareResult['wall'];
}

class Comparison {
  readonly #options: Resolved;
  readonly #profile: Profile;
  readonly results: CompareResult[] = [];
  readonly absent: AbsentResult[] = [];
  /** Two memories for all machines: the one that is measured, and the one it is measured against. */
  readonly #memories = [new WebAssembly.Memory({ initial: 1 }), new WebAssembly.Memory({ initial: 1 })] as const;
  #done = 0;
  readonly #total: number;

  constructor(options: Resolved) {
    this.#options = options;
    // a packet here is a frame with its header: the wire adds FCS, preamble and gap
    this.#profile = resolveProfile(options.profile, { wireOverhead: FRAME_OVERHEAD, ...options.parameters });
    this.#total = options.owners.length * options.policies.length * options.workloads.length;
  }

  #progress(what: string, step: number): void {
    this.#done += step;
    this.#options.onProgress?.({ done: this.#done, total: this.#total, what });
  }

  async run(workloads: readonly Workload[]): Promise<void> {
    for (const owner of this.#options.owners) {
      for (const workload of workloads) await this.#group(owner, workload);
    }
    // as they were asked for: by workload within policy within owner
    const order = (result: { owner: Owner; policy: PolicyName; workload: string }): number =>
      (this.#options.owners.indexOf(result.owner) * 64 + this.#options.policies.indexOf(result.policy)) * 64
      + this.#options.workloads.indexOf(result.workload);
    this.results.sort((a, b) => order(a) - order(b));
    this.absent.sort((a, b) => order(a) - order(b));
  }

  /** All policies of one owner on one workload; `none` stays alive beside the others, to alternate with. */
  async #group(owner: Owner, workload: Workload): Promise<void> {
    const { policies } = this.#options;
    const here = policies.filter((policy) => absentReason(owner, policy) === undefined);
    for (const policy of policies) {
      const reason = absentReason(owner, policy);
      if (reason === undefined) continue;
      this.absent.push({ path: 'passthrough', owner, policy, device: 'e1000', workload: workload.name, absent: reason });
      this.#progress(`${owner}/${policy}`, 1);
    }
    if (here.length === 0) return;
    const wanted = here.includes('none');
    // the baseline of pv-iommu is the same guest under Xen without an IOMMU
    const timedRounds = this.#options.rounds > 0;
    const base = wanted || timedRounds ? await this.#measure(owner === 'pv-iommu' ? 'xen' : owner, 'none', workload, 0) : undefined;
    for (const policy of here) {
      if (policy === 'none') continue;
      this.#progress(`${owner}/${policy}, ${workload.name}`, 0);
      const measured = await this.#measure(owner, policy, workload, 1);
      if (timedRounds && base !== undefined) this.#alternate(measured, base.cell);
      this.#finish(owner, policy, measured);
    }
    if (!wanted || base === undefined) return;
    if (timedRounds) this.#alone(base);
    this.#finish(owner, 'none', base);
  }

  async #measure(owner: Owner, policy: PolicyName, workload: Workload, memory: 0 | 1): Promise<Measured> {
    const { seed, batch, allocator, inject } = this.#options;
    const options: CellOptions = { seed, batch, allocator, memory: this.#memories[memory] };
    const cell = await Cell.create(setupOf(owner, policy), workload, options);
    cell.warmUp();
    if (inject === 'corrupt') {
      const { taken } = cell.machine.link('0000:00:04.0').status();
      cell.machine.link('0000:00:04.0').corrupt(taken + Math.floor(workload.packets / 2), 40);
    }
    return { cell, ...cell.measure(), wall: { packetsPerSecond: null } };
  }

  /** How often a run is repeated so that a round is long enough for the clock. */
  #repeats(cell: Cell): number {
    const { packets } = cell.workload;
    return Math.max(1, Math.ceil(ROUND_MS / timed(() => cell.forward(packets))));
  }

  /** Rounds of this policy and of `none` in turn, the order changing, and the quartiles of their ratios. */
  #alternate(measured: Measured, base: Cell): void {
    const packets = measured.cell.workload.packets * this.#repeats(measured.cell);
    const times: number[] = [];
    const ratios: number[] = [];
    for (let round = 0; round < this.#options.rounds; round++) {
      const own = (): number => timed(() => measured.cell.forward(packets));
      const none = (): number => timed(() => base.forward(packets));
      let [a, b] = [0, 0];
      if (round % 2 === 0) [a, b] = [own(), none()];
      else {
        b = none();
        a = own();
      }
      times.push(a);
      ratios.push(b / a);
    }
    measured.wall = { packetsPerSecond: packets / quartiles(times).median * 1000, ratioToNone: quartiles(ratios) };
  }

  #alone(measured: Measured): void {
    const packets = measured.cell.workload.packets * this.#repeats(measured.cell);
    const times = Array.from({ length: this.#options.rounds }, () => timed(() => measured.cell.forward(packets)));
    measured.wall = { packetsPerSecond: packets / quartiles(times).median * 1000, ratioToNone: { low: 1, median: 1, high: 1 } };
  }

  #finish(owner: Owner, policy: PolicyName, measured: Measured): void {
    const { cell, counters, bytes, wall } = measured;
    const { workload } = cell;
    const problem = cell.problem();
    const modelled = modelRun(this.#profile, runCounts(counters, workload.packets, bytes),
      { owner, policy, allocator: this.#options.allocator });
    this.results.push({
      path: 'passthrough', owner, policy, device: 'e1000', workload: workload.name, packets: workload.packets, bytes,
      verified: problem === undefined, ...(problem === undefined ? {} : { problem }),
      modelled: {
        profile: modelled.profile, gbps: modelled.gbps, cyclesPerPacket: modelled.cyclesPerPacket,
        bottleneck: modelled.bottleneck, cycles: modelled.cycles, bounds: modelled.bounds,
      },
      wall, counters, isolation: attackAll(cell, this.#options.seed),
    });
    this.#progress(`${owner}/${policy}, ${workload.name}`, 1);
  }
}

/**
 * Compares what DMA costs a NIC, and what it can reach, under each owner and policy: real packets through a real
 * driver, verified byte by byte, with the attacks run on the same machines. Modelled results and counters depend on
 * the options alone; only `wall` is a clock's.
 */
export async function compare(options: CompareOptions = {}): Promise<CompareDocument> {
  const resolved = resolve(options);
  const comparison = new Comparison(resolved);
  const workloads: Workload[] = [];
  for (const name of resolved.workloads) {
    workloads.push(await buildWorkload(name, { packets: resolved.packets, seed: resolved.seed, pcap: options.pcap }));
  }
  await comparison.run(workloads);
  const { owners, policies, packets, profile, parameters, allocator, batch, rounds, seed } = resolved;
  return {
    schemaVersion: 1,
    manifest: {
      version: packageJson.version, wasmSha256: await sha256(engineBytes()),
      node: options.host?.node ?? 'unknown', cpu: options.host?.cpu ?? 'unknown', seed,
      options: {
        owners, policies, workloads: resolved.workloads, pcap: options.pcap?.name ?? null, packets, profile, parameters,
        allocator, batch, rounds, inject: options.inject ?? null, wireOverhead: parameters['wireOverhead'] ?? FRAME_OVERHEAD,
      },
    },
    results: comparison.results,
    absent: comparison.absent,
    verified: comparison.results.every((result) => result.verified),
  };
}
