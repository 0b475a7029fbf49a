/** Where the sockets of a served machine are. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CommandError, EXIT, usage } from '../exit';
import { reasonOf } from '../files';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Location {
  /** Of the machine. */
  readonly name: string;
  /** Folder of the sockets whose paths are not given. */
  readonly folder: string;
  readonly control: string;
  readonly xenstored: string;
}

export interface LocationFlags {
  readonly machine?: string;
  readonly control?: string;
  readonly xenstored?: string;
}

export const DEFAULT_NAME = 'default';

/** The paths for a machine: by options, else by PORTCULLIS_MACHINE, else of the machine `default`. */
export function locate({ machine, control, xenstored }: LocationFlags, env: Environment): Location {
  const name = machine ?? (env['PORTCULLIS_MACHINE'] || DEFAULT_NAME);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name)) {
    throw usage(`the machine's name is '${name}'; a name has up to 32 letters, digits and . _ -, of which the first is a letter `
      + 'or a digit');
  }
  const folder = path.join(userFolder(env), name);
  return {
    name, folder,
    control: control ?? path.join(folder, 'control'),
    xenstored: xenstored ?? path.join(folder, 'xenstored'),
  };
}

/** $XDG_RUNTIME_DIR is the user's own by definition; a folder for temporary files is everybody's. */
function userFolder(env: Environment): string {
  const runtime = env['XDG_RUNTIME_DIR'];
  if (runtime !== undefined && path.isAbsolute(runtime) && fs.existsSync(runtime)) return path.join(runtime, 'portcullis');
  return path.join(os.tmpdir(), `portcullis-${process.getuid?.() ?? os.userInfo().username}`);
}

/** Makes the folders that are missing, for the user alone. Throws if somebody else could put a socket there. */
export function prepareFolder({ folder }: Location): void {
  for (const one of [path.dirname(folder), folder]) {
    try {
      fs.mkdirSync(one, { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
        throw new CommandError(EXIT.environment,
          `cannot make the folder ${one} (${reasonOf(error)}); give paths with --control and --xenstored`, { cause: error });
      }
    }
    checkOwner(one);
  }
}

/** Throws for a folder that is not the user's alone; one that is not there is none of a server's. */
export function checkOwner(folder: string): void {
  const status = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (status === undefined) return;
  const mine = status.isDirectory() && (process.getuid === undefined || status.uid === process.getuid());
  if (mine && (status.mode & 0o022) === 0) return;
  throw new CommandError(EXIT.environment, `${folder} is ${mine ? 'writable for others' : 'not a folder of yours'}; remove it, or `
    + 'give paths with --control and --xenstored');
}
