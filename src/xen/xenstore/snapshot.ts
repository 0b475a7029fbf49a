/**
 * The whole store as plain data that JSON can hold. Connections without a key, such as sockets, are not part of it:
 * whoever is behind one has to come again. Bytes are strings of characters from 0 to 255.
 */

import { bytesOf, textOf } from './bytes';
import type { Connection } from './connection';
import { Xenstored } from './daemon';
import { byPath } from './dump';
import { XenstoreError, XenstoreProtocolError, XenstoreSnapshotError } from './errors';
import type { Cause, OutputEntry } from './output';
import { checkPath, childOf, leafOf, parentOf } from './paths';
import { formatPermission, parsePermissions, STORE_DOMAIN } from './permissions';
import type { Permissions } from './permissions';
import { QUOTA_NAMES } from './quotas';
import type { Quotas } from './quotas';
import { limitsFor } from './requests';
import { NO_HOST, SPECIAL, StoreState } from './state';
import type { DomainHost } from './state';
import { Transaction } from './transactions';
import type { Accessed } from './transactions';
import { Tree } from './tree';
import type { StoreNode } from './tree';

const VERSION = 1;

interface SavedNode {
  readonly value: string;
  readonly children: readonly string[];
  readonly permissions: readonly string[];
  readonly generation: number;
}

interface SavedAccess {
  readonly path: string;
  readonly seen: number | null;
  readonly before: readonly string[] | null;
  readonly node: SavedNode | null;
  readonly modified: boolean;
  readonly fire: Accessed['fire'];
}

interface SavedConnection {
  readonly key: string;
  readonly domid: number;
  readonly privileged: boolean;
  readonly target: number | null;
  readonly ignored: boolean;
  readonly nextTransaction: number;
  readonly watches: ReadonlyArray<{
    readonly path: string; readonly token: string; readonly relativeTo: string | null;
  }>;
  readonly transactions: ReadonlyArray<{
    readonly id: number; readonly began: number; readonly poisoned: boolean; readonly accessed: readonly SavedAccess[];
  }>;
  readonly input: string;
  readonly taken: number;
  /** `cause` is an index in `causes`. */
  readonly output: ReadonlyArray<{
    readonly bytes: string; readonly event: string | null; readonly deadline: number | null;
    readonly cause: number | null;
  }>;
}

export interface SavedStore {
  readonly version: number;
  readonly generation: number;
  readonly now: number;
  readonly quotas: Quotas;
  readonly nodes: ReadonlyArray<readonly [string, SavedNode]>;
  readonly special: ReadonlyArray<readonly [string, readonly string[]]>;
  readonly gone: ReadonlyArray<readonly [number, number]>;
  readonly domains: ReadonlyArray<{
    readonly domid: number; readonly gfn: number; readonly port: number; readonly shutdown: boolean;
  }>;
  readonly connections: readonly SavedConnection[];
  /** For each request that is outstanding, the key of its connection. */
  readonly causes: readonly string[];
}

export function saveStore({ state }: Xenstored): SavedStore {
  const causes: Cause[] = [];
  const kept = [...state.connections].filter(({ key }) => key !== undefined);
  const connections = kept.map((connection) => saveConnection(connection, causes));
  return {
    version: VERSION,
    generation: state.tree.generation,
    now: state.now,
    quotas: { ...state.quotas },
    nodes: [...state.tree.entries()].sort(byPath).map(([path, node]) => [path, saveNode(node)] as const),
    special: [...state.special].map(([name, permissions]) => [name, savePermissions(permissions)] as const),
    gone: [...state.goneAt],
    domains: [...state.domains].map(([domid, { gfn, port, shutdown }]) => ({ domid, gfn, port, shutdown })),
    connections,
    causes: causes.map(({ owner }) => (owner as Connection).key as string),
  };
}

function savePermissions(permissions: Permissions): string[] {
  return permissions.map((entry) => formatPermission(entry) + (entry.stale ? '!' : ''));
}

function saveNode({ value, children, permissions, generation }: StoreNode): SavedNode {
  return { value: textOf(value), children: [...children], permissions: savePermissions(permissions), generation };
}

function saveConnection(connection: Connection, causes: Cause[]): SavedConnection {
  const { domid, privileged, ignored, nextTransaction, reader, output } = connection;
  const indexOf = (cause: Cause | undefined): number | null => {
    if (cause === undefined || (cause.owner as Connection).key === undefined) return null;
    const known = causes.indexOf(cause);
    return known >= 0 ? known : causes.push(cause) - 1;
  };
  return {
    key: connection.key as string, domid, privileged, target: connection.target ?? null, ignored, nextTransaction,
    watches: connection.watches.map(({ path, token, relativeTo }) => ({ path, token, relativeTo: relativeTo ?? null })),
    transactions: [...connection.transactions.values()].map(({ id, began, poisoned, accessed }) => ({
      id, began, poisoned, accessed: [...accessed].map(([path, access]) => saveAccess(path, access)),
    })),
    input: textOf(reader.rest),
    taken: output.taken,
    output: output.rest.map(({ bytes, event, deadline, cause }) => ({
      bytes: textOf(bytes), event: event ?? null, deadline: deadline ?? null, cause: indexOf(cause),
    })),
  };
}

function saveAccess(path: string, { seen, before, node, modified, fire }: Accessed): SavedAccess {
  return {
    path, seen: seen ?? null, before: before ? savePermissions(before) : null, node: node ? saveNode(node) : null,
    modified, fire,
  };
}

/** A store as it was. Throws a XenstoreSnapshotError if the data is none; nothing outside has changed then. */
export function loadStore(saved: SavedStore, host: DomainHost = NO_HOST): Xenstored {
  let state: StoreState;
  try {
    if (saved.version !== VERSION) throw new XenstoreSnapshotError(`version ${saved.version} is not ${VERSION}`);
    state = loadState(saved, host);
  } catch (error) {
    if (error instanceof XenstoreSnapshotError) throw error;
    // What is missing or of another kind shows where it is used.
    const isKnown = error instanceof TypeError || error instanceof XenstoreError
      || error instanceof XenstoreProtocolError;
    if (!isKnown) throw error;
    throw new XenstoreSnapshotError(`the data is no saved store: ${error.message}`);
  }
  // Only now, when all is well, is the hypervisor asked for pages; the rings go on where they were.
  for (const [domid, { connection, gfn, port }] of state.domains) {
    const wasThere = domid !== STORE_DOMAIN || port !== 0;
    if (wasThere) connection.link = host.connect(domid, gfn, port);
  }
  return new Xenstored({}, state);
}

function ensure(condition: boolean, what: string): void {
  if (!condition) throw new XenstoreSnapshotError(`the data is no saved store: ${what}`);
}

function whole(value: number, what: string): number {
  ensure(Number.isSafeInteger(value) && value >= 0, `${what} is ${value}`);
  return value;
}

function savedBytes(text: string): Uint8Array {
  ensure(typeof text === 'string' && /^[\0-\xff]*$/.test(text), 'bytes are a string of characters up to 255');
  return bytesOf(text);
}

function loadState(saved: SavedStore, host: DomainHost): StoreState {
  for (const name of QUOTA_NAMES) whole(saved.quotas[name], `the quota ${name}`);
  const tree = new Tree(whole(saved.generation, 'the generation'));
  for (const [path, node] of saved.nodes) {
    ensure(checkPath(path, STORE_DOMAIN, Infinity) === path && tree.get(path) === undefined, `node ${path}`);
    tree.restore(path, loadNode(node, saved.generation));
  }
  checkTree(tree);
  const state = new StoreState(host, saved.quotas, tree);
  state.now = whole(saved.now, 'the time');
  for (const [name, permissions] of saved.special) {
    ensure(SPECIAL.some((one) => one === name), `event ${name}`);
    state.special.set(name, loadPermissions(permissions));
  }
  for (const [domid, at] of saved.gone) state.goneAt.set(whole(domid, 'a domain id'), whole(at, 'a generation'));
  loadConnections(state, saved);
  for (const { domid, gfn, port, shutdown } of saved.domains) {
    const connection = [...state.connections].find(({ key }) => key === `domain ${domid}`);
    ensure(connection?.domid === domid, `domain ${domid} has no connection`);
    state.domains.set(domid, {
      connection: connection as Connection, gfn: whole(gfn, 'gfn'), port: whole(port, 'port'),
      shutdown: shutdown === true,
    });
  }
  return state;
}

/** Every node is named by its parent, and every name is a node. */
function checkTree(tree: Tree): void {
  ensure(tree.get('/') !== undefined, 'there is no root');
  for (const [path, { children }] of tree.entries()) {
    ensure(new Set(children).size === children.length, `a child of ${path} is named twice`);
    for (const leaf of children) ensure(tree.get(childOf(path, leaf)) !== undefined, `${path} has no ${leaf}`);
    const isNamed = path === '/' || (tree.get(parentOf(path))?.children.includes(leafOf(path)) ?? false);
    ensure(isNamed, `nobody names ${path}`);
  }
}

function loadPermissions(texts: readonly string[]): Permissions {
  ensure(Array.isArray(texts) && texts.length > 0, 'a node has no owner');
  return texts.flatMap((text) => {
    const isStale = text.endsWith('!');
    const entries = parsePermissions([isStale ? text.slice(0, -1) : text], () => true);
    return isStale ? entries.map((entry) => ({ ...entry, stale: true as const })) : entries;
  });
}

function loadNode({ value, children, permissions, generation }: SavedNode, latest: number): StoreNode {
  ensure(whole(generation, 'a generation') <= latest, 'a node is newer than the store');
  return { value: savedBytes(value), children: [...children], permissions: loadPermissions(permissions), generation };
}

function loadConnections(state: StoreState, saved: SavedStore): void {
  const byKey = new Map<string, Connection>();
  for (const { key, domid, privileged } of saved.connections) {
    ensure(typeof key === 'string' && !byKey.has(key), `connection ${key}`);
    ensure(privileged === (domid === STORE_DOMAIN), `the privilege of ${key}`);
    byKey.set(key, state.connect(whole(domid, 'a domain id'), privileged, key));
  }
  const causes = saved.causes.map((key): Cause => {
    const owner = byKey.get(key);
    ensure(owner !== undefined, `an outstanding request of ${key}`);
    (owner as Connection).outstanding++;
    return { pending: 0, owner: owner as Connection };
  });
  for (const one of saved.connections) {
    loadConnection(state, byKey.get(one.key) as Connection, one, causes, saved.generation);
  }
  ensure(causes.every(({ pending }) => pending > 0), 'nothing came of an outstanding request');
}

function loadConnection(
  state: StoreState, connection: Connection, saved: SavedConnection, causes: readonly Cause[], latest: number,
): void {
  connection.target = saved.target ?? undefined;
  connection.ignored = saved.ignored === true;
  connection.nextTransaction = whole(saved.nextTransaction, 'a transaction id');
  for (const { path, token, relativeTo } of saved.watches) {
    connection.watches.push({ path, token, relativeTo: relativeTo ?? undefined });
  }
  for (const { id, began, poisoned, accessed } of saved.transactions) {
    const limits = limitsFor(state, connection);
    const transaction = new Transaction(whole(id, 'an id'), state.tree, limits, whole(began, 'a generation'));
    transaction.poisoned = poisoned === true;
    for (const { path, seen, before, node, modified, fire } of accessed) {
      ensure(['no', 'exact', 'all'].includes(fire), `an event for ${path}`);
      transaction.accessed.set(checkPath(path, STORE_DOMAIN, Infinity), {
        seen: seen ?? undefined, before: before ? loadPermissions(before) : undefined,
        node: node ? loadNode(node, latest) : undefined, modified: modified === true, fire,
      });
    }
    connection.transactions.set(id, transaction);
  }
  connection.reader.push(savedBytes(saved.input));
  ensure(connection.reader.next() === undefined, 'a request waits that should have been served');
  const entries = saved.output.map(({ bytes, event, deadline, cause }): OutputEntry => {
    ensure(cause === null || causes[cause] !== undefined, 'an entry without its request');
    return {
      bytes: savedBytes(bytes), event: event ?? undefined, deadline: deadline ?? undefined,
      cause: cause === null ? undefined : causes[cause],
    };
  });
  ensure(whole(saved.taken, 'taken') < (entries[0]?.bytes.length ?? 1), 'more is taken than there was');
  connection.output.restore(entries, saved.taken);
}
