import { PortcullisError } from '../../errors';
import { type KernelErrno, STRERROR } from './types';

/** A refused system call of the first domain: `code` is the errno's name; `text` what strerror says. */
export class KernelError extends PortcullisError {
  readonly text: string;

  constructor(code: KernelErrno, message: string, fields: Record<string, unknown> = {}) {
    super(code, message, fields);
    this.name = 'KernelError';
    this.text = STRERROR[code];
  }
}
