import { PortcullisError } from '../../errors';
import type { Field } from '../fields';
import type { Place } from '../header';

/** A capability at a place in config space, made by the builders beside this file. */
export interface Capability {
  /** Name for messages, such as `MSI-X`. */
  readonly name: string;
  readonly id: number;
  /** Config offset: 0x40 to 0xfc; an extended capability's is 0x100 to 0xffc. */
  readonly off: number;
  /** Bytes. */
  readonly size: number;
  /** Version of an extended capability; absent for others. */
  readonly version?: number;
  /** Fields behind id and link, which are the list's. */
  readonly fields: (place: Place) => Field[];
  /** For MSI-X: where its table and its pending bits are. */
  readonly msix?: { vectors: number; table: BarRange; pending: BarRange };
}

/** Bytes within a BAR. */
export interface BarRange {
  bar: number;
  off: number;
  size: number;
}

/** Refuses a number that a builder cannot use. Throws BAD_CAPABILITY. */
export function refuse(name: string, why: string, fields: Record<string, unknown> = {}): never {
  throw new PortcullisError('BAD_CAPABILITY', `the ${name} capability ${why}`, fields);
}
