import { PortcullisError } from '../../errors';

/** The names that cross the wire in an ERROR reply (xsd_errors of public/io/xs_wire.h), in its order. */
export const ERROR_NAMES = [
  'EINVAL', 'EACCES', 'EEXIST', 'EISDIR', 'ENOENT', 'ENOMEM', 'ENOSPC', 'EIO', 'ENOTEMPTY', 'ENOSYS', 'EROFS', 'EBUSY',
  'EAGAIN', 'EISCONN', 'E2BIG', 'EPERM',
] as const;

export type ErrorName = (typeof ERROR_NAMES)[number];

/** A request that was refused: `code` is the name that the client gets, the sentence is for people only. */
export class XenstoreError extends PortcullisError {
  declare readonly code: ErrorName;

  constructor(name: ErrorName, message: string, fields: Record<string, unknown> = {}) {
    super(name, message, fields);
    this.name = 'XenstoreError';
  }
}

/** A peer that left the protocol: its connection cannot be used any more. */
export class XenstoreProtocolError extends PortcullisError {
  constructor(message: string, fields: Record<string, unknown> = {}) {
    super('XENSTORE_PROTOCOL', message, fields);
    this.name = 'XenstoreProtocolError';
  }
}

/** Saved data that is no store. */
export class XenstoreSnapshotError extends PortcullisError {
  constructor(message: string, fields: Record<string, unknown> = {}) {
    super('XENSTORE_SNAPSHOT', message, fields);
    this.name = 'XenstoreSnapshotError';
  }
}
