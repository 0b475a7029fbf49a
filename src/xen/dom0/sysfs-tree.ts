/**
 * The file tree that the first domain's kernel shows to tools: folders, files with a behaviour, links. Errors are those
 * of kernfs, for root: a file without the way that is asked for is EACCES.
 */

import { KernelError } from './errors';
import type { KernelErrno, Sysfs, SysfsFile, SysfsHost } from './types';

type Folder = { readonly kind: 'folder'; readonly entries: Map<string, Entry> };
type Entry = Folder | { readonly kind: 'file'; readonly file: SysfsFile } | { readonly kind: 'link'; readonly target: string };

const folder = (): Folder => ({ kind: 'folder', entries: new Map() });

export class SysfsTree implements Sysfs, SysfsHost {
  readonly #root: Folder = folder();

  // ---- for the kernel

  /** Adds a file, and the folders above it. A file of the same name is replaced. */
  addFile(path: string, file: SysfsFile): void {
    this.#put(path, { kind: 'file', file });
  }

  /** Adds a symbolic link to an absolute path. */
  addLink(path: string, target: string): void {
    this.#put(path, { kind: 'link', target });
  }

  addFolder(path: string): void {
    this.#folderAt(partsOf(path));
  }

  /** Removes a file, a link, or a folder with all that is in it; nothing happens when there is none. */
  remove(path: string): void {
    const parts = partsOf(path);
    const name = parts.pop();
    let at: Entry | undefined = this.#root;
    for (const part of parts) at = at?.kind === 'folder' ? at.entries.get(part) : undefined;
    if (at?.kind === 'folder' && name !== undefined) at.entries.delete(name);
  }

  removeFile(path: string): void {
    this.remove(path);
  }

  #put(path: string, entry: Entry): void {
    const parts = partsOf(path);
    const name = parts.pop() as string;
    this.#folderAt(parts).entries.set(name, entry);
  }

  #folderAt(parts: readonly string[]): Folder {
    let at = this.#root;
    for (const part of parts) {
      const next = at.entries.get(part);
      if (next?.kind === 'folder') at = next;
      else {
        const made = folder();
        at.entries.set(part, made);
        at = made;
      }
    }
    return at;
  }

  // ---- for tools

  read(path: string): string {
    const entry = this.#find(path);
    if (entry.kind === 'folder') fail('EISDIR', path, 'is a folder');
    if (entry.file.read === undefined) fail('EACCES', path, 'can only be written');
    return entry.file.read();
  }

  write(path: string, text: string): void {
    const entry = this.#find(path);
    if (entry.kind === 'folder') fail('EISDIR', path, 'is a folder');
    if (entry.file.write === undefined) fail('EACCES', path, 'can only be read');
    entry.file.write(text);
  }

  list(path: string): string[] {
    const entry = this.#find(path);
    if (entry.kind !== 'folder') fail('ENOTDIR', path, 'is no folder');
    return [...entry.entries.keys()].sort();
  }

  exists(path: string): boolean {
    return this.#walk(path, true) !== undefined;
  }

  readlink(path: string): string {
    const entry = this.#walk(path, false) ?? fail('ENOENT', path, 'is not there');
    if (entry.kind !== 'link') fail('EINVAL', path, 'is no link');
    return entry.target;
  }

  #find(path: string): Exclude<Entry, { kind: 'link' }> {
    const entry = this.#walk(path, true);
    if (entry === undefined || entry.kind === 'link') fail('ENOENT', path, 'is not there');
    return entry;
  }

  /**
   * Follows a path through links, as far as it leads. A link's target has no link in it: the kernel makes them so, and a
   * path is at an end after as many steps as it has parts.
   */
  #walk(path: string, follow: boolean): Entry | undefined {
    let above: Folder[] = [];
    let at: Entry = this.#root;
    const parts = partsOf(path);
    for (const [index, part] of parts.entries()) {
      if (at.kind !== 'folder') return undefined;
      if (part === '..') {
        at = above.pop() ?? this.#root;
        continue;
      }
      const next = at.entries.get(part);
      if (next === undefined) return undefined;
      if (next.kind !== 'link' || (index === parts.length - 1 && !follow)) {
        above.push(at);
        at = next;
        continue;
      }
      above = [];
      at = this.#root;
      for (const step of partsOf(next.target)) {
        above.push(at as Folder);
        const inner: Entry | undefined = at.kind === 'folder' ? at.entries.get(step) : undefined;
        if (inner === undefined || inner.kind === 'link') return undefined;
        at = inner;
      }
    }
    return at;
  }
}

function partsOf(path: string): string[] {
  if (!path.startsWith('/')) throw new KernelError('ENOENT', `"${path}" is no absolute path; it begins with /sys`, { path });
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function fail(code: KernelErrno, path: string, what: string): never {
  throw new KernelError(code, `${path} ${what}`, { path });
}
