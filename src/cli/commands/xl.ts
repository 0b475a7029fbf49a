/** `portcullis xl`: the command line goes to the machine as it is, with the files that it names. */

import { ask } from '../control/client';
import type { Location } from '../control/location';
import { CommandError } from '../exit';
import { readFile } from '../files';

/** What xl ends with for a file that it cannot read; our 3 is for a machine that is not there. */
const UNREADABLE = 1;

export interface XlContext {
  readonly out: (text: string) => Promise<void>;
  readonly err: (text: string) => void;
  /** The files that a command line of xl names, and those that they name. */
  readonly xlFiles: (args: readonly string[], texts: ReadonlyMap<string, string>) => readonly string[];
}

/** Resolves with xl's own exit code. */
export async function runXl(where: Location, args: readonly string[], { out, err, xlFiles }: XlContext): Promise<number> {
  const texts = new Map<string, string>();
  const next = (): string | undefined => xlFiles(args, texts).find((file) => !texts.has(file));
  try {
    for (let file = next(); file !== undefined; file = next()) {
      texts.set(file, new TextDecoder().decode(readFile(file, 'the file', 'name one that is there')));
    }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    err(`${error.message}\n`);
    return UNREADABLE;
  }
  const files = Object.fromEntries(texts);
  const { code, stdout, stderr } = await ask(where, 'xl', { args, files }) as { code: number; stdout: string; stderr: string };
  await out(stdout);
  err(stderr);
  return code;
}
