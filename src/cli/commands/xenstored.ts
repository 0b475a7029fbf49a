import { Xenstored } from '../../index';
import { EXIT, usage } from '../exit';
import type { ExitCode } from '../exit';
import { XenstoreSocket } from '../xenstore-socket';

export interface XenstoredFlags {
  readonly socket: string;
  readonly perm?: number;
}

/** Reads a mode of a file as chmod does: octal, with or without a 0 in front. */
export function readMode(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw usage(`--perm is '${text}'; give an octal mode, as in 0600`);
  return parseInt(text, 8);
}

/** Serves an empty store until it is told to stop. */
export async function runXenstored(
  { socket: path, perm }: XenstoredFlags, out: (text: string) => Promise<void>, stop: Promise<void>,
): Promise<ExitCode> {
  const socket = await XenstoreSocket.listen(new Xenstored(), path, perm === undefined ? {} : { mode: perm });
  try {
    await out(`listening on ${path}\n`);
    await stop;
  } finally {
    await socket.close();
  }
  return EXIT.done;
}
