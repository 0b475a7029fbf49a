import { PortcullisError } from '../../errors';
import { HypercallError } from '../hypervisor/errors';
import { XenstoreError } from '../xenstore/errors';

/** Linux's numbers of the errors that the store answers with. */
const STORE_ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1, ENOENT: 2, EIO: 5, E2BIG: 7, EAGAIN: 11, ENOMEM: 12, EACCES: 13, EBUSY: 16, EEXIST: 17, EISDIR: 21, EINVAL: 22,
  ENOSPC: 28, EROFS: 30, ENOSYS: 38, ENOTEMPTY: 39, EISCONN: 106,
};

/**
 * Why an end of a split driver cannot go on: it becomes the text of its error node, and the state Closing. `errno` is
 * positive.
 */
export class XenbusFailure extends Error {
  readonly errno: number;

  constructor(errno: number, message: string) {
    super(message);
    this.name = 'XenbusFailure';
    this.errno = errno;
  }
}

/** Errors of a scheduler that cannot go on: no driver's to deal with. */
const STANDSTILL: readonly string[] = ['LIVELOCK', 'DEADLOCK'];

/**
 * The number of an error that a driver may meet because of what others do, or because something is used up: the
 * store's, a hypercall's, one that carries an `errno` of its own, EIO for others with a code. Undefined for a bug.
 */
export function errnoOf(error: unknown): number | undefined {
  if (error instanceof XenstoreError) return STORE_ERRNO[error.code] ?? 5;
  if (error instanceof HypercallError || error instanceof XenbusFailure) return error.errno;
  const { errno } = error as { errno?: unknown };
  if (error instanceof Error && typeof errno === 'number') return errno;
  return error instanceof PortcullisError && !STANDSTILL.includes(error.code) ? STORE_ERRNO.EIO : undefined;
}

/** Does `work`; what goes wrong there becomes a failure with `message`, or with its own when it has one. */
export function orFail<T>(message: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof XenbusFailure) throw error;
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    throw new XenbusFailure(errno, message);
  }
}
