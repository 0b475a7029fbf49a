import { PortcullisError } from '../../errors';

/** Error numbers of Xen's hypercalls (public/errno.h), as negative results of a hypercall. */
export const ERRNO = {
  EPERM: 1, ENOENT: 2, ESRCH: 3, EIO: 5, ENXIO: 6, E2BIG: 7, EBADF: 9, ENOMEM: 12, EACCES: 13, EFAULT: 14, EBUSY: 16,
  EEXIST: 17, EXDEV: 18, ENODEV: 19, EINVAL: 22, ENOSPC: 28, ERANGE: 34, ENOSYS: 38, ENODATA: 61, EOPNOTSUPP: 95,
} as const;

export type Errno = keyof typeof ERRNO;

/** A hypercall that was refused: which, by whom, why. `errno` is Xen's number. */
export class HypercallError extends PortcullisError {
  readonly errno: number;

  constructor(errno: Errno, message: string, fields: Record<string, unknown> = {}) {
    super(errno, message, { ...fields, errno: ERRNO[errno] });
    this.name = 'HypercallError';
    this.errno = ERRNO[errno];
  }
}

/** What a hypercall gives: the call's own result, or minus the number of the error that refused it. */
export function resultOf(call: () => number | void): number {
  try {
    return call() ?? 0;
  } catch (error) {
    if (error instanceof HypercallError) return -error.errno;
    throw error;
  }
}
