/** What one domain may use up. Domain 0 and clients of the socket have no quota. */

import { XenstoreError } from './errors';
import type { Permissions } from './permissions';

/** Names as in CONTROL `quota`; defaults of xenstored. */
export const DEFAULT_QUOTAS = {
  nodes: 1000,
  watches: 128,
  transactions: 10,
  /** Requests whose replies, or whose events at others, have not been taken yet. */
  outstanding: 20,
  'transaction-nodes': 1024,
  /** Bytes, of everything that the store keeps for a domain. */
  memory: 2.5 * 1024 * 1024,
  'node-size': 2048,
  'path-max': 2048,
  permissions: 5,
} as const;

export type QuotaName = keyof typeof DEFAULT_QUOTAS;
export type Quotas = Record<QuotaName, number>;

export const QUOTA_NAMES = Object.keys(DEFAULT_QUOTAS) as readonly QuotaName[];

/** As xenstored counts: its record header, eight bytes an entry, value, and children's names with a NUL each. */
export function nodeSize(node: {
  readonly permissions: Permissions; readonly value: Uint8Array; readonly children: readonly string[];
}): number {
  const names = node.children.reduce((sum, name) => sum + name.length + 1, 0);
  return 24 + 8 * node.permissions.length + node.value.length + names;
}

export function refuse(quota: QuotaName, error: 'ENOSPC' | 'ENOMEM' | 'E2BIG', limit: number): XenstoreError {
  return new XenstoreError(error, `the quota ${quota} of ${limit} is used up`, { quota, limit });
}
