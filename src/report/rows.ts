/** A comparison as rows of owner and policy, whatever order its results came in. */

import { POLICY_NAMES } from '../lab/cost/index';
import type { PolicyName } from '../lab/cost/index';
import type { Attack, CompareDocument, CompareResult, Isolation, Owner } from '../lab/result';
import { OWNER_NAMES } from './wording';

export interface Row {
  readonly owner: Owner;
  readonly policy: PolicyName;
  readonly results: ReadonlyMap<string, CompareResult>;
  /** Why there is no result, by workload. */
  readonly absent: ReadonlyMap<string, string>;
}

export interface View {
  readonly rows: readonly Row[];
  /** In the order in which they were run. */
  readonly workloads: readonly string[];
  /** The workload whose details are shown: `1500` if there is one. */
  readonly shown: string;
}

export function viewOf(document: CompareDocument): View {
  const cells = [...document.results, ...document.absent];
  const workloads = [...new Set(cells.map(({ workload }) => workload))];
  const rows = OWNER_NAMES.flatMap((owner) => POLICY_NAMES.flatMap((policy): Row[] => {
    const isHere = (cell: { owner: Owner; policy: PolicyName }): boolean => (
      cell.owner === owner && cell.policy === policy
    );
    const results = new Map(document.results.filter(isHere).map((result) => [result.workload, result]));
    const absent = new Map(document.absent.filter(isHere).map((cell) => [cell.workload, cell.absent]));
    return results.size + absent.size > 0 ? [{ owner, policy, results, absent }] : [];
  }));
  const shown = workloads.includes('1500') ? '1500' : workloads[0] ?? '';
  return { rows, workloads, shown };
}

/** `none` of the same owner. With pv-iommu it is the guest's of Xen: the same guest, without an IOMMU. */
export function baseOf(view: View, row: Row, workload: string): CompareResult | undefined {
  const owner = row.owner === 'pv-iommu' ? 'xen' : row.owner;
  return view.rows.find((one) => one.owner === owner && one.policy === 'none')?.results.get(workload);
}

const SEVERITY: Readonly<Record<Isolation['verdict'], number>> = { 'n/a': 0, blocked: 1, reached: 2 };

/** The worst that an attack came to under any workload. */
export function worst(row: Row, attack: Attack): Isolation | undefined {
  let found: Isolation | undefined;
  for (const { isolation } of row.results.values()) {
    const one = isolation[attack];
    if (found === undefined || SEVERITY[one.verdict] > SEVERITY[found.verdict]) found = one;
  }
  return found;
}

/** `1500` as `1500 B`; other workloads have names. */
export function workloadTitle(workload: string): string {
  return /^\d+$/.test(workload) ? `${workload} B` : workload;
}

/** Numbers each reason once, over the whole report; `taken` gives those not printed yet. */
export class Footnotes {
  readonly #reasons: string[] = [];
  #printed = 0;

  mark(reason: string): string {
    if (!this.#reasons.includes(reason)) this.#reasons.push(reason);
    return `[${this.#reasons.indexOf(reason) + 1}]`;
  }

  take(): Array<readonly [mark: string, reason: string]> {
    const fresh = this.#reasons.slice(this.#printed);
    this.#printed = this.#reasons.length;
    return fresh.map((reason) => [this.mark(reason), reason]);
  }
}
