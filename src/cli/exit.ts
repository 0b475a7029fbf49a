/** How the command ends: its exit codes, and the one sentence that an error gets. */

import { PortcullisError } from '../index';

export const EXIT = {
  done: 0,
  /** A run failed, or what it moved was not right. */
  failed: 1,
  usage: 2,
  /** A file, a permission, memory: what the machine lacks. */
  environment: 3,
  /** Ours. */
  bug: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An error of the command line itself: one sentence without a full stop, and the code to end with. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CommandError';
    this.exitCode = exitCode;
  }
}

export function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, message);
}

/** Codes of the library that do not stem from what the user gave; every other does. */
const FAILED = [
  'DRIVER_PROBE', 'DRIVER_TIMEOUT', 'DMA_MAP', 'GUEST_MEMORY', 'IOMMU_QUEUE', 'IOMMU_SETUP', 'NO_FRAME', 'NO_FRAMES',
  'NO_TABLE_FRAME', 'STATE_FULL',
];
const BUGS = ['COST_BAD_COUNTS', 'REPORT_NOT_FINITE', 'NO_BAR'];
const BY_CODE: ReadonlyMap<string, ExitCode> = new Map<string, ExitCode>([
  ['ENGINE_MEMORY', EXIT.environment],
  ...FAILED.map((code) => [code, EXIT.failed] as const),
  ...BUGS.map((code) => [code, EXIT.bug] as const),
]);

export interface Ending {
  readonly exitCode: ExitCode;
  /** For standard error, whole lines. */
  readonly text: string;
}

/** More names than this are no help in a sentence, if the right one can be guessed. */
const MANY = 15;

/** What to say about an error, and how to end. `debug`: with the stack of an error that is ours. */
export function endingOf(error: unknown, debug: boolean): Ending {
  if (error instanceof CommandError) return { exitCode: error.exitCode, text: line(error.message) };
  if (error instanceof PortcullisError) {
    // A refused hypercall has its number, and no code of ours.
    const exitCode = 'errno' in error ? EXIT.failed : BY_CODE.get(error.code) ?? EXIT.usage;
    if (exitCode !== EXIT.bug) return { exitCode, text: line(shortened(error)) };
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const stack = debug && error instanceof Error && error.stack !== undefined ? `${error.stack}\n` : '';
  const next = debug ? '' : '; PORTCULLIS_DEBUG=1 shows where';
  const sentence = `this is a bug of portcullis (${what}): please report it with the command that you gave${next}`;
  return { exitCode: EXIT.bug, text: line(sentence) + stack };
}

function line(message: string): string {
  return `portcullis: ${message.replace(/\s*\n\s*/g, ' ').replace(/\.$/, '')}\n`;
}

/** The parameters of a profile are too many to list to someone who mistyped one. */
function shortened(error: PortcullisError): string {
  const { parameter, allowed } = error.fields;
  if (error.code !== 'COST_UNKNOWN_PARAMETER' || typeof parameter !== 'string' || !Array.isArray(allowed)) {
    return error.message;
  }
  const near = nearest(parameter, allowed.map(String));
  return allowed.length > MANY && near !== undefined
    ? `unknown parameter '${parameter}' in --set; did you mean ${near}?`
    : error.message;
}

/** The name that `word` was most likely meant to be; undefined if none is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length * 0.4)) + 1;
  for (const name of names) {
    const isStart = word.length > 2 && name.toLowerCase().startsWith(word.toLowerCase());
    const distance = isStart ? 0 : editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

/** Letters to insert, remove or replace (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}
