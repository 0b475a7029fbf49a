/** The store as text and as numbers, to compare one state with another. */

import { bytesOf, textOf } from './bytes';
import { formatPermission } from './permissions';
import type { Permissions } from './permissions';
import type { StoreState } from './state';

/** Quotes and what is not printable, as two hexadecimal digits. */
function quoted(value: Uint8Array): string {
  const escape = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return `"${textOf(value).replace(/[^ !#-[\]-~]/g, escape)}"`;
}

function listed(permissions: Permissions): string {
  return permissions.map((entry) => formatPermission(entry) + (entry.stale ? '!' : '')).join(',');
}

/** By the bytes of the path, whatever the language of the place. */
export function byPath(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : Number(a[0] > b[0]);
}

/**
 * Every node with value and permissions, a line each, sorted by path: `/tool = ""   (n0)`. Two stores with the same
 * text are the same to every client, but for the order of children and generations. An entry that no longer counts
 * has a `!`.
 */
export function dumpStore({ tree, special }: StoreState): string {
  const nodes = [...tree.entries()].sort(byPath)
    .map(([path, { value, permissions }]) => `${path} = ${quoted(value)}   (${listed(permissions)})\n`);
  const events = [...special].map(([name, permissions]) => `${name}   (${listed(permissions)})\n`);
  return [...nodes, ...events].join('');
}

/** The same as bytes: input of a digest. */
export function digestInput(state: StoreState): Uint8Array {
  return bytesOf(dumpStore(state));
}

export interface StoreCounts {
  readonly nodes: number;
  readonly domains: number;
  readonly connections: number;
  readonly watches: number;
  readonly transactions: number;
  /** Bytes that clients have not taken. */
  readonly waiting: number;
}

/** What may leak beside nodes. */
export function countStore({ tree, domains, connections }: StoreState): StoreCounts {
  const all = [...connections];
  const sum = (count: (connection: (typeof all)[number]) => number): number =>
    all.reduce((total, connection) => total + count(connection), 0);
  return {
    nodes: tree.size,
    domains: domains.size,
    connections: all.length,
    watches: sum(({ watches }) => watches.length),
    transactions: sum(({ transactions }) => transactions.size),
    waiting: sum(({ output }) => output.bytes),
  };
}
