/** The nodes, as committed. A node is never changed, only replaced, so whoever holds one holds it as it was. */

import { ownerOf } from './permissions';
import type { Permissions } from './permissions';
import { nodeSize } from './quotas';

export interface NodeContent {
  readonly value: Uint8Array;
  /** In order of creation. */
  readonly children: readonly string[];
  readonly permissions: Permissions;
}

export interface StoreNode extends NodeContent {
  /** A new one at each change of the node, which tells a transaction that somebody else was here. */
  readonly generation: number;
}

export interface Usage {
  readonly nodes: number;
  readonly bytes: number;
}

const NOTHING: Usage = { nodes: 0, bytes: 0 };

export class Tree {
  readonly #nodes = new Map<string, StoreNode>();
  /** What each domain owns. */
  readonly #usage = new Map<number, Usage>();
  generation: number;

  constructor(generation = 0) {
    this.generation = generation;
  }

  get(path: string): StoreNode | undefined {
    return this.#nodes.get(path);
  }

  put(path: string, { value, children, permissions }: NodeContent): void {
    this.restore(path, { value, children, permissions, generation: ++this.generation });
  }

  /** Puts a node with its generation. */
  restore(path: string, node: StoreNode): void {
    this.#count(path, -1);
    this.#nodes.set(path, node);
    this.#count(path, 1);
  }

  delete(path: string): void {
    this.#count(path, -1);
    this.#nodes.delete(path);
    this.generation++;
  }

  usage(domid: number): Usage {
    return this.#usage.get(domid) ?? NOTHING;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Every node with its path, in no order. */
  entries(): IterableIterator<[string, StoreNode]> {
    return this.#nodes.entries();
  }

  #count(path: string, sign: 1 | -1): void {
    const node = this.#nodes.get(path);
    if (node === undefined) return;
    const owner = ownerOf(node.permissions);
    const { nodes, bytes } = this.usage(owner);
    const after = { nodes: nodes + sign, bytes: bytes + sign * (nodeSize(node) + path.length) };
    if (after.nodes === 0) this.#usage.delete(owner);
    else this.#usage.set(owner, after);
  }
}
