/**
 * Who may do what to a node. A node has a list: the first entry names the owner, who may do everything, and what all
 * those may do whom no later entry names.
 */

import { XenstoreError } from './errors';

/** none, read, write, both */
export type Letter = 'n' | 'r' | 'w' | 'b';

export interface Permission {
  readonly letter: Letter;
  readonly domid: number;
  /** There was no such domain when the entry was made: it gives nothing to one that later gets the number. */
  readonly stale?: true;
}

export type Permissions = readonly Permission[];

export interface Caller {
  readonly domid: number;
  /** Domain 0 and whoever came in by the socket. */
  readonly privileged: boolean;
  /** The domain that this one serves (SET_TARGET): it may do what that one may. */
  readonly target: number | undefined;
}

export type Right = 'read' | 'write' | 'own';

export const STORE_DOMAIN = 0;
export const DEFAULT_PERMISSIONS: Permissions = [{ letter: 'n', domid: STORE_DOMAIN }];

const GIVES: Readonly<Record<Letter, readonly Right[]>> = { n: [], r: ['read'], w: ['write'], b: ['read', 'write'] };

export function may(caller: Caller, permissions: Permissions, right: Right): boolean {
  const isCaller = ({ domid }: Permission): boolean => domid === caller.domid || domid === caller.target;
  const [owner, ...others] = permissions as readonly [Permission, ...Permission[]];
  if (caller.privileged || isCaller(owner)) return true;
  // The first entry that names the caller decides, even if a later one gives more.
  const entry = others.find((one) => one.stale === undefined && isCaller(one)) ?? owner;
  return GIVES[entry.letter].includes(right);
}

/** What a new node gets: its parent's list; a domain owns what it creates. */
export function inherit(caller: Caller, parent: Permissions): Permissions {
  const [owner, ...others] = parent as readonly [Permission, ...Permission[]];
  return caller.privileged ? parent : [{ letter: owner.letter, domid: caller.domid }, ...others];
}

export function ownerOf(permissions: Permissions): number {
  return (permissions[0] as Permission).domid;
}

export function formatPermission({ letter, domid }: Permission): string {
  return `${letter}${domid}`;
}

/** `exists` tells whether there is such a domain; an owner must exist. */
export function parsePermissions(texts: readonly string[], exists: (domid: number) => boolean): Permissions {
  return texts.map((text, index) => {
    const [, letter, digits] = /^([nrwb])(\d{1,5})$/.exec(text) ?? [];
    const domid = Number(digits);
    if (letter === undefined || domid > 0xffff) {
      throw new XenstoreError('EINVAL', `'${text}' is no permission; write n, r, w or b and a domain id`, { text });
    }
    if (exists(domid)) return { letter: letter as Letter, domid };
    if (index === 0) throw new XenstoreError('ENOENT', `no domain ${domid} to own a node`, { domid });
    return { letter: letter as Letter, domid, stale: true };
  });
}

/** The list without a domain that is gone; what it owned is the store's. */
export function withoutDomain(permissions: Permissions, domid: number): Permissions {
  return permissions
    .filter((entry, index) => index === 0 || entry.domid !== domid)
    .map((entry) => (entry.domid === domid ? { ...entry, domid: STORE_DOMAIN } : entry));
}
