/** What every UNIX socket of ours needs: a path that fits, nobody there, and the right mode from the first moment on. */

import fs from 'node:fs';
import net from 'node:net';
import { CommandError, EXIT } from './exit';
import { reasonOf } from './files';

/** sun_path of sockaddr_un, less the NUL. */
const PATH_MAX = 107;
const NEXT = 'name a socket in a folder that exists and that you may write to';

/** Resolves when clients can connect; `next` tells what to do when it is taken. A socket that is left over is replaced, one in use is not. */
export async function listenOn(server: net.Server, path: string, mode: number, next = NEXT): Promise<void> {
  const refused = (why: string, todo = next, cause?: unknown): CommandError =>
    new CommandError(EXIT.environment, `cannot listen on ${path} (${why}); ${todo}`, { cause });
  if (Buffer.byteLength(path) > PATH_MAX) throw refused(`its name has more than ${PATH_MAX} bytes`, 'give a shorter one');
  const taken = await removeStale(path);
  if (taken !== undefined) throw refused(taken);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(refused(reasonOf(error), NEXT, error)));
    server.once('listening', () => resolve());
    // The file is made within `listen`, and must not be open to more people for a moment.
    const before = process.umask(0o777 & ~mode);
    try {
      server.listen(path);
    } finally {
      process.umask(before);
    }
  });
}

/** A socket on which nobody listens is left over, and goes. Anything else stays: tells what it is. */
async function removeStale(path: string): Promise<string | undefined> {
  const status = fs.lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return undefined;
  if (!status.isSocket()) return 'there is something that is no socket';
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = net.connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (isAlive) return 'somebody listens there already';
  fs.rmSync(path, { force: true });
  return undefined;
}
