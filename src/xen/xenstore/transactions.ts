/**
 * Transactions as the C xenstored has them: a node is copied when it is first looked at, and the end compares the
 * generation of each with what it is by then. Finer than docs/misc/xenstore.txt, which speaks of the whole store.
 */

import { XenstoreError } from './errors';
import { ownerOf } from './permissions';
import type { Permissions } from './permissions';
import { refuse } from './quotas';
import type { NodeContent, StoreNode, Tree } from './tree';
import type { Change, View } from './view';

export interface Accessed {
  /** Generation at first sight; undefined: there was no such node, which counts as having seen something. */
  readonly seen: number | undefined;
  /** Permissions at first sight. */
  readonly before: Permissions | undefined;
  /** As it is inside. */
  node: StoreNode | undefined;
  modified: boolean;
  /** Whether watches are to fire, and which. */
  fire: 'no' | 'exact' | 'all';
}

export interface TransactionLimits {
  readonly nodesPerDomain: number;
  readonly nodesAccessed: number;
}

export class Transaction implements View {
  readonly id: number;
  /** Generation of the tree when it began. */
  readonly began: number;
  /** In order of first access, which is also the order of the events. */
  readonly accessed = new Map<string, Accessed>();
  /** A quota was hit on the way: it cannot be committed. */
  poisoned = false;
  readonly #tree: Tree;
  readonly #limits: TransactionLimits;

  constructor(id: number, tree: Tree, limits: TransactionLimits, began = tree.generation) {
    this.id = id;
    this.#tree = tree;
    this.#limits = limits;
    this.began = began;
  }

  get(path: string): StoreNode | undefined {
    return this.#access(path).node;
  }

  put(path: string, { value, children, permissions }: NodeContent): void {
    const entry = this.#access(path);
    entry.node = { value, children, permissions, generation: ++this.#tree.generation };
    entry.modified = true;
  }

  delete(path: string): void {
    const entry = this.#access(path);
    entry.node = undefined;
    entry.modified = true;
  }

  changed({ path, exact }: Change): void {
    const entry = this.#access(path);
    if (!exact) entry.fire = 'all';
    else if (entry.fire === 'no') entry.fire = 'exact';
  }

  owned(domid: number): number {
    return this.#tree.usage(domid).nodes + (this.#growth().get(domid) ?? 0);
  }

  poison(): void {
    this.poisoned = true;
  }

  /**
   * Puts everything into the tree, or throws and changes nothing: ENOMEM if poisoned, ENOSPC if a domain would own too
   * much, EAGAIN if somebody else was here. `goneAt` tells when a domain with that id was last removed.
   */
  commit(goneAt: ReadonlyMap<number, number>): readonly Change[] {
    if (this.poisoned) {
      throw new XenstoreError('ENOMEM', `transaction ${this.id} has run into a quota`, { id: this.id });
    }
    // Checked against the limit itself, though xenstored 4.17 is off by one here.
    for (const [domid, growth] of this.#growth()) {
      if (domid === 0 || growth <= 0 || this.owned(domid) <= this.#limits.nodesPerDomain) continue;
      throw refuse('nodes', 'ENOSPC', this.#limits.nodesPerDomain);
    }
    for (const [path, { seen, node, modified }] of this.accessed) {
      const stale = modified && node?.permissions.some(({ domid }) => (goneAt.get(domid) ?? 0) > this.began);
      if (this.#tree.get(path)?.generation === seen && !stale) continue;
      throw new XenstoreError('EAGAIN', `${path} has been changed by another since it was looked at`, { path });
    }
    for (const [path, { seen, node, modified }] of this.accessed) {
      if (!modified) continue;
      if (node !== undefined) this.#tree.put(path, node);
      else if (seen !== undefined) this.#tree.delete(path);
    }
    return [...this.accessed]
      .filter(([, { fire }]) => fire !== 'no')
      .map(([path, { fire, before }]) => ({ path, exact: fire === 'exact', before }));
  }

  #access(path: string): Accessed {
    const known = this.accessed.get(path);
    if (known !== undefined) return known;
    if (this.accessed.size >= this.#limits.nodesAccessed) {
      this.poison();
      throw refuse('transaction-nodes', 'ENOSPC', this.#limits.nodesAccessed);
    }
    const node = this.#tree.get(path);
    const entry: Accessed = {
      seen: node?.generation, before: node?.permissions, node, modified: false, fire: 'no',
    };
    this.accessed.set(path, entry);
    return entry;
  }

  /** How many nodes more each domain would own. */
  #growth(): Map<number, number> {
    const growth = new Map<number, number>();
    const add = (permissions: Permissions | undefined, by: number): void => {
      if (permissions === undefined) return;
      const owner = ownerOf(permissions);
      growth.set(owner, (growth.get(owner) ?? 0) + by);
    };
    for (const { before, node, modified } of this.accessed.values()) {
      if (!modified) continue;
      add(before, -1);
      add(node?.permissions, 1);
    }
    return growth;
  }
}
