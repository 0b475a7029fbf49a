/** What can be done to nodes, under the permissions and quotas of who asks. Paths are absolute and checked. */

import { XenstoreError } from './errors';
import { childOf, leafOf, parentOf } from './paths';
import { inherit, may, ownerOf } from './permissions';
import type { Caller, Permissions, Right } from './permissions';
import { nodeSize, refuse } from './quotas';
import type { Quotas } from './quotas';
import type { NodeContent, StoreNode } from './tree';
import type { View } from './view';

const EMPTY = new Uint8Array(0);

export class Operations {
  readonly #caller: Caller;
  readonly #view: View;
  readonly #quotas: Quotas;
  /** Bytes that the caller may still use up. */
  readonly #room: number;

  constructor(caller: Caller, view: View, quotas: Quotas, room: number) {
    this.#caller = caller;
    this.#view = view;
    this.#quotas = quotas;
    this.#room = room;
  }

  /** The node, for someone who has these rights. */
  get(path: string, ...rights: readonly Right[]): StoreNode {
    const node = this.#find(path, rights);
    if (node === undefined) throw new XenstoreError('ENOENT', `there is no ${path}`, { path });
    return node;
  }

  write(path: string, value: Uint8Array): void {
    const node = this.#find(path, ['write']);
    if (node === undefined) this.#create(path, value);
    else this.#put(path, { ...node, value }, value.length - node.value.length);
    this.#view.changed({ path, exact: false, before: undefined });
  }

  /** Leaves a node alone that is there already. */
  makeDirectory(path: string): void {
    if (this.#find(path, ['write']) !== undefined) return;
    this.#create(path, EMPTY);
    this.#view.changed({ path, exact: false, before: undefined });
  }

  /** A node that is not there is as good as removed, if its parent is there. */
  remove(path: string): void {
    if (this.#find(path, ['write']) === undefined) {
      if (this.#view.get(parentOf(path)) === undefined) {
        throw new XenstoreError('ENOENT', `there is no ${parentOf(path)}`, { path });
      }
      return;
    }
    if (path === '/') throw new XenstoreError('EINVAL', 'the root cannot be removed');
    this.removeTree(path);
  }

  /** Without asking for rights. */
  removeTree(path: string): void {
    // Looked at first, and so the first for which a transaction fires.
    const node = this.#view.get(path) as StoreNode;
    const parentPath = parentOf(path);
    const parent = this.#view.get(parentPath) as StoreNode;
    this.#removeNodes(path, node, false);
    const leaf = leafOf(path);
    this.#view.put(parentPath, { ...parent, children: parent.children.filter((name) => name !== leaf) });
  }

  setPermissions(path: string, permissions: Permissions): void {
    const node = this.get(path, 'write', 'own');
    if (!this.#caller.privileged && ownerOf(permissions) !== ownerOf(node.permissions)) {
      throw new XenstoreError('EPERM', `only a privileged domain may give ${path} away`, { path });
    }
    this.#put(path, { ...node, permissions }, 0);
    this.#view.changed({ path, exact: false, before: node.permissions });
  }

  /**
   * The node, or undefined if there is none and the caller may know that: what is missing is asked of the nearest node
   * above that is there, so that nobody can probe for names where they may not look.
   */
  #find(path: string, rights: readonly Right[]): StoreNode | undefined {
    const node = this.#view.get(path);
    let above = node;
    for (let at = path; above === undefined; above = this.#view.get(at)) at = parentOf(at);
    const { permissions } = above;
    const has = (right: Right): boolean => may(this.#caller, permissions, right);
    if (node === undefined ? rights.some(has) : rights.every(has)) return node;
    throw new XenstoreError('EACCES', `domain ${this.#caller.domid} may not ${rights.join(' and ')} ${path}`, { path });
  }

  /** With all that is missing above. Either all of them or none. */
  #create(path: string, value: Uint8Array): void {
    const missing = [path];
    let parentPath = parentOf(path);
    let parent = this.#view.get(parentPath);
    while (parent === undefined) {
      missing.unshift(parentPath);
      parentPath = parentOf(parentPath);
      parent = this.#view.get(parentPath);
    }
    let { permissions } = parent;
    const changes: Array<readonly [string, NodeContent]> = [
      [parentPath, { ...parent, children: [...parent.children, leafOf(missing[0] as string)] }],
    ];
    for (const [index, name] of missing.entries()) {
      permissions = inherit(this.#caller, permissions);
      const below = missing[index + 1];
      const children = below === undefined ? [] : [leafOf(below)];
      changes.push([name, { value: below === undefined ? value : EMPTY, children, permissions }]);
    }
    this.#limited(() => {
      if (!this.#caller.privileged) {
        const owned = this.#view.owned(this.#caller.domid);
        if (owned + missing.length > this.#quotas.nodes) throw refuse('nodes', 'ENOSPC', this.#quotas.nodes);
      }
      for (const [, content] of changes) this.#checkSize(content);
      // The first is the parent, of which the name of the new child is all that is new.
      const grown = changes.slice(1).reduce((sum, [name, node]) => sum + nodeSize(node) + name.length, 0);
      this.#checkRoom(grown);
    });
    for (const [name, content] of changes) this.#view.put(name, content);
  }

  #put(path: string, content: NodeContent, growth: number): void {
    this.#limited(() => {
      this.#checkSize(content);
      this.#checkRoom(growth);
    });
    this.#view.put(path, content);
  }

  /** What a quota refuses spoils a transaction: it would be committed without. */
  #limited(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#view.poison();
      throw error;
    }
  }

  #checkSize(content: NodeContent): void {
    const limit = this.#quotas['node-size'];
    if (!this.#caller.privileged && nodeSize(content) >= limit) throw refuse('node-size', 'ENOSPC', limit);
  }

  #checkRoom(growth: number): void {
    if (growth > 0 && growth > this.#room) throw refuse('memory', 'ENOMEM', this.#quotas.memory);
  }

  /** Children before their parents, as xenstored walks. A path is too short for the depth to matter. */
  #removeNodes(path: string, { children }: StoreNode, exact: boolean): void {
    for (const leaf of children) {
      const child = childOf(path, leaf);
      this.#removeNodes(child, this.#view.get(child) as StoreNode, true);
    }
    this.#view.changed({ path, exact, before: undefined });
    this.#view.delete(path);
  }
}
