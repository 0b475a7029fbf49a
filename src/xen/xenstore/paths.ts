/** Rules for the names of nodes (docs/misc/xenstore.txt). */

import { XenstoreError } from './errors';

/** XENSTORE_ABS_PATH_MAX and XENSTORE_REL_PATH_MAX of public/io/xs_wire.h, in bytes. */
export const ABSOLUTE_MAX = 3072;
export const RELATIVE_MAX = 2048;

const ALLOWED = /^[A-Za-z0-9\-/_@]*$/;
const DOMAIN = /^\/local\/domain\/\d{1,5}\//;

/** Where the relative paths of a domain start. */
export function domainPath(domid: number): string {
  return `/local/domain/${domid}`;
}

/** `@introduceDomain` and the like name events, not nodes. */
export function isSpecial(path: string): boolean {
  return path.startsWith('@');
}

export function isRelative(path: string): boolean {
  return !path.startsWith('/') && !isSpecial(path);
}

/** The absolute name of what a client of that domain calls `path`. Does not check it. */
export function absolute(path: string, domid: number): string {
  return isRelative(path) ? `${domainPath(domid)}/${path}` : path;
}

/**
 * Checks what a client gave and returns its absolute name. `localMax` is the quota `path-max`, which does not count
 * a domain's own prefix; those who have no quota are bound by the protocol's lengths.
 */
export function checkPath(path: string, domid: number, localMax: number): string {
  const name = absolute(path, domid);
  const refuse = (why: string): never => {
    throw new XenstoreError('EINVAL', `the path '${path.slice(0, 80)}' ${why}`, { path });
  };
  if (path === '') refuse('is empty');
  if (!name.startsWith('/')) refuse('is no node');
  if (path.length > (isRelative(path) ? RELATIVE_MAX : ABSOLUTE_MAX)) refuse(`has ${path.length} bytes`);
  if (name.length - (DOMAIN.exec(name)?.[0].length ?? 0) > localMax) refuse(`has more than ${localMax} bytes`);
  if (!ALLOWED.test(name)) refuse('has a character other than A-Z a-z 0-9 - / _ @');
  if (name.includes('//')) refuse('has an empty name in it');
  if (name.endsWith('/') && name !== '/') refuse('ends in a slash');
  return name;
}

/** The parent of a node other than the root. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

export function leafOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function childOf(path: string, leaf: string): string {
  return path === '/' ? `/${leaf}` : `${path}/${leaf}`;
}

/** Whether `path` is `ancestor` or lies below it. */
export function isWithin(path: string, ancestor: string): boolean {
  return path === ancestor || ancestor === '/' || path.startsWith(`${ancestor}/`);
}
