/** `portcullis sysfs`: files of the first domain's kernel, as a shell there has them. */

import { ask, RefusedError } from '../control/client';
import type { Location } from '../control/location';
import { CommandError, EXIT } from '../exit';
import type { ExitCode } from '../exit';

type Out = (text: string) => Promise<void>;

export async function runSysfsLs(where: Location, path: string, out: Out): Promise<ExitCode> {
  const names = await askSysfs(where, 'ls', path, {}) as string[];
  await out(names.map((name) => `${name}\n`).join(''));
  return EXIT.done;
}

/** Files of bytes, such as `config`, come as characters up to ff: on standard output they are bytes again. */
export async function runSysfsCat(where: Location, path: string, out: (bytes: Uint8Array) => Promise<void>): Promise<ExitCode> {
  const text = await askSysfs(where, 'cat', path, {}) as string;
  // what somebody has written into a file may have other characters, and is text
  await out(Buffer.from(text, /^[\0-\xff]*$/.test(text) ? 'latin1' : 'utf8'));
  return EXIT.done;
}

export async function runSysfsReadlink(where: Location, path: string, out: Out): Promise<ExitCode> {
  await out(`${await askSysfs(where, 'readlink', path, {}) as string}\n`);
  return EXIT.done;
}

export async function runSysfsWrite(where: Location, path: string, text: string): Promise<ExitCode> {
  await askSysfs(where, 'write', path, { text });
  return EXIT.done;
}

/** What the kernel refuses is said as a shell says it, then why. */
async function askSysfs(where: Location, what: string, path: string, more: object): Promise<unknown> {
  try {
    return await ask(where, `sysfs.${what}`, { path, ...more });
  } catch (error) {
    if (!(error instanceof RefusedError) || typeof error.fields['text'] !== 'string') throw error;
    const { text } = error.fields;
    const why = error.message.includes(text) ? error.message : `${text} (${error.message})`;
    throw new CommandError(EXIT.failed, `${path}: ${why}`, { cause: error });
  }
}
