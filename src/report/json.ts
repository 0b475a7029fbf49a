/** A comparison as one JSON document, for programs: keys in the order of the types, numbers as they are. */

import { COUNTER_NAMES } from '../engine/index';
import { PortcullisError } from '../errors';
import { ATTACKS } from '../lab/result';
import type { AbsentResult, CompareDocument, CompareResult, Isolation, Manifest } from '../lab/result';
import type { Bound, CycleSplit } from '../lab/cost/index';

/** The keys of `T` in the order to write them: the compiler refuses a list that lacks one. */
type Order<T> = { readonly [K in keyof T]-?: true };

const CELL = { path: true, owner: true, policy: true, device: true, workload: true } as const;
const DOCUMENT: Order<CompareDocument> = {
  schemaVersion: true, manifest: true, results: true, absent: true, verified: true,
};
const MANIFEST: Order<Manifest> = { version: true, wasmSha256: true, node: true, cpu: true, seed: true, options: true };
const RESULT: Order<CompareResult> = {
  ...CELL, packets: true, bytes: true, verified: true, problem: true, modelled: true, wall: true, counters: true,
  isolation: true,
};
const ABSENT: Order<AbsentResult> = { ...CELL, absent: true };
const MODELLED: Order<CompareResult['modelled']> = {
  profile: true, gbps: true, cyclesPerPacket: true, bottleneck: true, cycles: true, bounds: true,
};
const CYCLES: Order<CycleSplit> = {
  stack: true, iova: true, pageTable: true, invalidate: true, copy: true, irq: true, hypercall: true, other: true,
};
const BOUND: Order<Bound> = { resource: true, packetsPerSecond: true, gbps: true, form: true };
const WALL: Order<CompareResult['wall']> = { packetsPerSecond: true, ratioToNone: true };
const RATIO: Order<NonNullable<CompareResult['wall']['ratioToNone']>> = { low: true, median: true, high: true };
const ISOLATION: Order<Isolation> = { verdict: true, reason: true, fault: true, faults: true, read: true, write: true };
const FAULT: Order<NonNullable<Isolation['fault']>> = { requester: true, iova: true, index: true, access: true, reason: true };

/** The values of `value` in the order of `names`, then whatever else it has; `change` may order those in turn. */
function inOrder<T extends object>(
  value: T, names: readonly string[], change: { [K in keyof T]?: (inner: NonNullable<T[K]>) => unknown } = {},
): Record<string, unknown> {
  const given = value as Record<string, unknown>;
  const ordered: Record<string, unknown> = {};
  for (const name of new Set([...names, ...Object.keys(given)])) {
    const inner = given[name];
    if (inner === undefined) continue;
    const step = (change as Record<string, ((inner: unknown) => unknown) | undefined>)[name];
    ordered[name] = step === undefined || inner === null ? inner : step(inner);
  }
  return ordered;
}

function keys(order: object): string[] {
  return Object.keys(order);
}

function isolation(one: Isolation): Record<string, unknown> {
  return inOrder(one, keys(ISOLATION), { fault: (fault) => inOrder(fault, keys(FAULT)) });
}

function result(one: CompareResult): Record<string, unknown> {
  return inOrder(one, keys(RESULT), {
    modelled: (modelled) => inOrder(modelled, keys(MODELLED), {
      cycles: (cycles) => inOrder(cycles, keys(CYCLES)),
      bounds: (bounds) => bounds.map((bound) => inOrder(bound, keys(BOUND))),
    }),
    wall: (wall) => inOrder(wall, keys(WALL), { ratioToNone: (ratio) => inOrder(ratio, keys(RATIO)) }),
    counters: (counters) => inOrder(counters, COUNTER_NAMES),
    isolation: (attacks) => inOrder(attacks, ATTACKS, Object.fromEntries(ATTACKS.map((name) => [name, isolation]))),
  });
}

/** Two spaces, a newline at the end. Equal documents give equal bytes, in whatever order their keys were set. */
export function toJson(document: CompareDocument): string {
  const ordered = inOrder(document, keys(DOCUMENT), {
    manifest: (manifest) => inOrder(manifest, keys(MANIFEST)),
    results: (results) => results.map(result),
    absent: (absent) => absent.map((one) => inOrder(one, keys(ABSENT))),
  });
  return `${JSON.stringify(ordered, refuseNonFinite, 2)}\n`;
}

/** JSON has no NaN and no infinity, and would say null. */
function refuseNonFinite(key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new PortcullisError('REPORT_NOT_FINITE', `'${key}' is ${value}, which a report cannot hold`, { key });
  }
  return value;
}
