// How a check says what it has found.
import type { ReasonCode } from './reasons';
import type { Check, Known, Remedy } from './types';

export const ok = (reason: ReasonCode, sentence: string): Check => ({ reason, outcome: 'ok', sentence, remedies: [] });

export const refused = (reason: ReasonCode, sentence: string, ...remedies: Remedy[]): Check =>
  ({ reason, outcome: 'refused', sentence, remedies });

export const warning = (reason: ReasonCode, sentence: string, ...remedies: Remedy[]): Check =>
  ({ reason, outcome: 'warning', sentence, remedies });

export const unknown = (reason: ReasonCode, sentence: string, ...remedies: Remedy[]): Check =>
  ({ reason, outcome: 'unknown', sentence, remedies });

/** A command line as it is typed. */
export const command = (line: string): Remedy => ({ command: `portcullis ${line}`, executable: true });

export const edit = (text: string, patch?: Readonly<Record<string, unknown>>): Remedy =>
  ({ edit: text, ...(patch === undefined ? {} : { patch }), executable: false });

export function isKnown<T>(value: Known<T>): value is Exclude<T, 'unknown'> & T {
  return value !== 'unknown';
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
