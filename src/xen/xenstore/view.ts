/** What an operation works on: the tree itself, or what a transaction makes of it. */

import type { Permissions } from './permissions';
import type { NodeContent, StoreNode, Tree } from './tree';

/** Something happened to a node, of which those who watch it are to hear. */
export interface Change {
  readonly path: string;
  /** Only for watches of this very node: it went with one above it. */
  readonly exact: boolean;
  /** From before the change: who could read the node then is told. */
  readonly before: Permissions | undefined;
}

export interface View {
  get(path: string): StoreNode | undefined;
  put(path: string, node: NodeContent): void;
  delete(path: string): void;
  /** Called while a node that goes is still there. */
  changed(change: Change): void;
  /** Nodes that a domain owns. */
  owned(domid: number): number;
  /** An operation was refused for want of a quota. */
  poison(): void;
}

/** Everything takes effect at once. */
export class DirectView implements View {
  readonly #tree: Tree;
  readonly #fire: (change: Change) => void;

  constructor(tree: Tree, fire: (change: Change) => void) {
    this.#tree = tree;
    this.#fire = fire;
  }

  get(path: string): StoreNode | undefined {
    return this.#tree.get(path);
  }

  put(path: string, node: NodeContent): void {
    this.#tree.put(path, node);
  }

  delete(path: string): void {
    this.#tree.delete(path);
  }

  changed(change: Change): void {
    this.#fire(change);
  }

  owned(domid: number): number {
    return this.#tree.usage(domid).nodes;
  }

  poison(): void {
    // What was refused has changed nothing.
  }
}
