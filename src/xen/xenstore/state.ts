/** All that the store knows, and what happens to it from outside: clients come and go, domains live and die. */

import { Connection } from './connection';
import type { Watch } from './connection';
import { XenstoreError } from './errors';
import { Operations } from './operations';
import type { Cause } from './output';
import { domainPath, isRelative, isSpecial, isWithin, parentOf } from './paths';
import { DEFAULT_PERMISSIONS, may, ownerOf, STORE_DOMAIN, withoutDomain } from './permissions';
import type { Caller, Permissions } from './permissions';
import { DEFAULT_QUOTAS } from './quotas';
import type { Quotas } from './quotas';
import { resetRing } from './ring';
import type { Link } from './ring';
import { Tree } from './tree';
import { DirectView } from './view';
import type { Change, View } from './view';

/** DOMID_FIRST_RESERVED of public/xen.h: no domain has this number or a higher one. */
export const FIRST_RESERVED = 0x7ff0;

/** What the store asks of the hypervisor. */
export interface DomainHost {
  exists(domid: number): boolean;
  /**
   * Maps the page of a domain (its grant reference 1) and binds its port. Undefined: the domain has no page, and may
   * be introduced nevertheless. Called again if the domain is introduced again, and when a store is loaded.
   */
  connect(domid: number, gfn: number, port: number): Link | undefined;
  disconnect?(domid: number): void;
}

/** For a store without a hypervisor: every domain exists, none has a page. */
export const NO_HOST: DomainHost = {
  exists: (domid) => domid < FIRST_RESERVED,
  connect: () => undefined,
};

export interface IntroducedDomain {
  readonly connection: Connection;
  gfn: number;
  port: number;
  /** Its end has been told of already, until RESUME. */
  shutdown: boolean;
}

/** Events that are not about nodes, and who may watch them. */
export const SPECIAL = ['@introduceDomain', '@releaseDomain'] as const;

export class StoreState {
  readonly tree: Tree;
  readonly host: DomainHost;
  readonly quotas: Quotas;
  readonly special = new Map<string, Permissions>(SPECIAL.map((name) => [name, DEFAULT_PERMISSIONS]));
  /** In the order in which they came, which is the order in which they are told. */
  readonly connections = new Set<Connection>();
  readonly domains = new Map<number, IntroducedDomain>();
  /** Generation at which a domain with that id was removed. */
  readonly goneAt = new Map<number, number>();
  /** Virtual time in milliseconds. */
  now = 0;

  constructor(host: DomainHost, quotas: Partial<Quotas>, tree = new Tree()) {
    this.host = host;
    this.quotas = { ...DEFAULT_QUOTAS, ...quotas };
    this.tree = tree;
  }

  connect(domid: number, privileged: boolean, key?: string): Connection {
    const connection = new Connection(domid, privileged, key);
    this.connections.add(connection);
    return connection;
  }

  disconnect(connection: Connection): void {
    connection.reset();
    connection.ignored = true;
    connection.link = undefined;
    this.connections.delete(connection);
    connection.onEnd?.();
  }

  /** Where a request without a transaction works. */
  directView(cause?: Cause): View {
    return new DirectView(this.tree, (change) => this.fire(change, cause));
  }

  /** Bytes that count against a domain's quota. */
  memory(connection: Connection): number {
    return this.tree.usage(connection.domid).bytes + connection.memory;
  }

  room(connection: Connection): number {
    if (connection.privileged || this.quotas.memory === 0) return Infinity;
    return Math.max(0, this.quotas.memory - this.memory(connection));
  }

  /** Tells all who watch and may know. */
  fire(change: Change, cause?: Cause): void {
    for (const connection of this.connections) {
      if (connection.watches.length === 0 || !this.#mayHear(connection, change)) continue;
      for (const watch of connection.watches) {
        const matches = change.exact ? watch.path === change.path : isWithin(change.path, watch.path);
        if (matches) this.sendEvent(connection, change.path, watch, cause);
      }
    }
  }

  /** A domain that takes nothing loses events, rather than use up memory. */
  sendEvent(connection: Connection, path: string, watch: Watch, cause?: Cause): void {
    if (this.room(connection) > 0) connection.sendEvent(watch, path, this.now, cause);
  }

  fireSpecial(name: (typeof SPECIAL)[number], cause?: Cause): void {
    this.fire({ path: name, exact: true, before: undefined }, cause);
  }

  /** Makes a domain known and starts its connection anew. */
  introduce(domid: number, gfn: number, port: number, cause?: Cause): Connection {
    if (domid >= FIRST_RESERVED || !this.host.exists(domid)) {
      throw new XenstoreError('ENOENT', `there is no domain ${domid} to introduce`, { domid });
    }
    const link = this.host.connect(domid, gfn, port);
    const known = this.domains.get(domid);
    const connection = known?.connection ?? this.connect(domid, domid === STORE_DOMAIN, `domain ${domid}`);
    connection.reset();
    connection.link = link;
    if (link !== undefined) resetRing(link);
    if (known !== undefined) {
      Object.assign(known, { gfn, port });
    } else {
      this.domains.set(domid, { connection, gfn, port, shutdown: false });
      if (domid !== STORE_DOMAIN) this.fireSpecial('@introduceDomain', cause);
    }
    return connection;
  }

  /** A domain has stopped (poweroff, crash): told once, until RESUME. */
  shutdown(domid: number): void {
    const domain = this.domains.get(domid);
    if (domain === undefined || domain.shutdown) return;
    domain.shutdown = true;
    this.fireSpecial('@releaseDomain');
  }

  /** Forgets a domain: connection, nodes with all below them, and rights; the next with this id gets nothing of it. */
  release(domid: number, cause?: Cause): void {
    if (domid === STORE_DOMAIN) throw new XenstoreError('EINVAL', 'domain 0 has the store, and cannot be released');
    const domain = this.domains.get(domid);
    this.domains.delete(domid);
    // With those of the domain's code that have no page.
    for (const connection of [...this.connections]) {
      if (connection.domid === domid) this.disconnect(connection);
    }
    if (domain !== undefined) this.host.disconnect?.(domid);
    for (const { connection } of this.domains.values()) {
      if (connection.target === domid) connection.target = undefined;
    }
    this.#removeOwned(domid, cause);
    for (const [name, permissions] of this.special) this.special.set(name, withoutDomain(permissions, domid));
    this.goneAt.set(domid, ++this.tree.generation);
    if (domain !== undefined) this.fireSpecial('@releaseDomain', cause);
  }

  #removeOwned(domid: number, cause: Cause | undefined): void {
    const view = this.directView(cause);
    const itself: Caller = { domid: STORE_DOMAIN, privileged: true, target: undefined };
    const store = new Operations(itself, view, this.quotas, Infinity);
    // The root is never removed, whoever owns it.
    const paths = [...this.tree.entries()]
      .filter(([path, { permissions }]) => path !== '/' && ownerOf(permissions) === domid)
      .map(([path]) => path)
      .sort();
    for (const path of paths) if (this.tree.get(path) !== undefined) store.removeTree(path);
    for (const [path, node] of [...this.tree.entries()]) {
      if (!node.permissions.some((entry) => entry.domid === domid)) continue;
      this.tree.put(path, { ...node, permissions: withoutDomain(node.permissions, domid) });
    }
  }

  /** Of a change, a domain hears if it may read the node, could read it before, or may read the node above. */
  #mayHear(connection: Connection, { path, before }: Change): boolean {
    if (connection.privileged) return true;
    const can = (permissions: Permissions | undefined): boolean =>
      permissions !== undefined && may(connection, permissions, 'read');
    if (isSpecial(path)) return can(this.special.get(path));
    return can(before) || can(this.tree.get(path)?.permissions)
      || (path !== '/' && can(this.tree.get(parentOf(path))?.permissions));
  }
}

/** The base of the paths in a watch's events, if it was set by a relative path. */
export function eventBase(connection: Connection, path: string): string | undefined {
  return isRelative(path) ? domainPath(connection.domid) : undefined;
}
