/** What every UNIX socket of ours needs: a path that fits, nobody there, and the right mode from the first moment on. */

import fs from 'node:fs';
import net from 'node:net';
import { CommandError, EXIT } from './exit';
import { reasonOf } from './files';

/** sun_path of sockaddr_un, less the NUL. */
const PATH_MAX = 107;

/** Resolves when clients can connect. A socket that is left over is replaced, one in use is not. */
export async function listenOn(server: net.Server, path: string, mode: number): Promise<void> {
  if (Buffer.byteLength(path) > PATH_MAX) throw refused(path, `its name has more than ${PATH_MAX} bytes`);
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(refused(path, reasonOf(error), error)));
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

/** A socket on which nobody listens is left over, and goes. Anything else stays. */
async function removeStale(path: string): Promise<void> {
  const status = fs.lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) throw refused(path, 'there is something that is no socket');
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = net.connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (isAlive) throw refused(path, 'somebody listens there already');
  fs.rmSync(path, { force: true });
}

function refused(path: string, why: string, cause?: unknown): CommandError {
  const sentence = `cannot listen on ${path} (${why}); name a socket in a folder that exists and that you may write to`;
  return new CommandError(EXIT.environment, sentence, { cause });
}
