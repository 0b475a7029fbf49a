import { PortcullisError } from '../../errors';
import { STRERROR } from '../dom0/types';

/** libxl's results (libxl error enumeration); a command's own exit code is 1 unless it says otherwise. */
export const RC = {
  FAIL: -3, NI: -4, NOMEM: -5, INVAL: -6, TIMEDOUT: -9, NOT_READY: -11, LOCK_FAIL: -15, NOTFOUND: -23,
} as const;

/** A step of the toolstack that failed. What there is to say has been said on stderr. */
export class LibxlError extends PortcullisError {
  readonly rc: number;

  constructor(rc: number, message: string) {
    super('LIBXL', message, { rc });
    this.name = 'LibxlError';
    this.rc = rc;
  }
}

/** A command line that cannot be taken: exit code 2. */
export class UsageError extends PortcullisError {
  /** The command whose usage is shown; undefined: the message says it all. */
  readonly command: string | undefined;

  constructor(message: string, command?: string) {
    super('XL_USAGE', message);
    this.name = 'UsageError';
    this.command = command;
  }
}

const TEXTS: Readonly<Record<string, string>> = { ...STRERROR, ESRCH: 'No such process', EXDEV: 'Invalid cross-device link' };

/** What strerror says of a refused hypercall or system call; the message of any other error. */
export function strerror(error: unknown): string {
  if (error instanceof PortcullisError) return TEXTS[error.code] ?? error.message;
  throw error;
}
