/** Files and standard output, with errors that a user can act on. */

import fs from 'node:fs';
import path from 'node:path';
import { CommandError, EXIT } from './exit';

/** `what` names the file's part ("the capture"), `next` what to do. */
export function readFile(file: string | URL, what: string, next: string): Uint8Array {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    const name = typeof file === 'string' ? file : decodeURIComponent(file.pathname);
    const sentence = `cannot read ${what} ${name} (${reasonOf(error)}); ${next}`;
    throw new CommandError(EXIT.environment, sentence, { cause: error });
  }
}

/** Refuses a file that could not be written later, before the work that it is to hold is done. */
export function checkWritable(file: string): void {
  try {
    const folder = path.dirname(file);
    if (fs.existsSync(file)) {
      if (fs.statSync(file).isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
      fs.accessSync(file, fs.constants.W_OK);
    } else {
      fs.accessSync(folder, fs.constants.W_OK);
    }
  } catch (error) {
    throw cannotWrite(file, error);
  }
}

export function writeFile(file: string, text: string): void {
  try {
    fs.writeFileSync(file, text);
  } catch (error) {
    throw cannotWrite(file, error);
  }
}

/** Resolves when `what` is written. A reader that has gone away, such as `head`, is no error. */
export function writeOut(stream: NodeJS.WritableStream, what: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null | undefined): void => {
      if (!error || codeOf(error) === 'EPIPE') resolve();
      else reject(new CommandError(EXIT.environment, `cannot write the output (${reasonOf(error)})`, { cause: error }));
    };
    // The stream also emits what it tells the callback; without a listener that would end the process.
    stream.once('error', settle);
    stream.write(what, (error) => {
      settle(error);
      if (!error) stream.removeListener('error', settle);
    });
  });
}

function cannotWrite(file: string, error: unknown): CommandError {
  return new CommandError(EXIT.environment,
    `cannot write ${file} (${reasonOf(error)}); name a file in a folder that exists and that you may write to`,
    { cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder', EACCES: 'permission denied', EISDIR: 'it is a folder', ENOTDIR: 'not a folder',
  ENOSPC: 'no space left on the device', EROFS: 'the file system is read-only',
};

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

export function reasonOf(error: unknown): string {
  return REASONS[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
}
