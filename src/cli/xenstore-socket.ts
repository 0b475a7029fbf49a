/**
 * The store on a UNIX socket, where the stock tools look for it: XENSTORED_PATH names the socket, or XENSTORED_RUNDIR
 * a folder with a `socket` in it. There is no handshake; whoever can connect is privileged, so the file's mode is the
 * only guard.
 */

import fs from 'node:fs';
import net from 'node:net';
import type { Connection, Xenstored } from '../index';
import { CommandError, EXIT } from './exit';
import { reasonOf } from './files';

/** sun_path of sockaddr_un, less the NUL. */
const PATH_MAX = 107;
/** What may wait for a client that does not read, before it is dropped. */
const WAITING_MAX = 4 << 20;

export interface XenstoreSocketOptions {
  /** Who may connect; 0600 unless told. */
  readonly mode?: number;
  /** Bytes; 4 MiB unless told. */
  readonly waitingMax?: number;
}

export class XenstoreSocket {
  readonly path: string;
  readonly #store: Xenstored;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #waitingMax: number;

  private constructor(store: Xenstored, path: string, waitingMax: number) {
    this.#store = store;
    this.path = path;
    this.#waitingMax = waitingMax;
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  /** Resolves when clients can connect. */
  static async listen(store: Xenstored, path: string, options: XenstoreSocketOptions = {}): Promise<XenstoreSocket> {
    if (Buffer.byteLength(path) > PATH_MAX) {
      throw refused(path, `its name has more than ${PATH_MAX} bytes`);
    }
    await removeStale(path);
    const { mode = 0o600, waitingMax = WAITING_MAX } = options;
    const socket = new XenstoreSocket(store, path, waitingMax);
    await socket.#listen(mode);
    return socket;
  }

  /** Ends every connection, and removes the file. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => { this.#server.close(() => resolve()); });
  }

  #listen(mode: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(refused(this.path, reasonOf(error), error)));
      this.#server.once('listening', () => resolve());
      // The file is made within `listen`, and must not be open to more people for a moment.
      const before = process.umask(0o777 & ~mode);
      try {
        this.#server.listen(this.path);
      } finally {
        process.umask(before);
      }
    });
  }

  #serve(socket: net.Socket): void {
    const store = this.#store;
    const connection: Connection = store.connect();
    this.#sockets.add(socket);
    // Requests wait in the reader while replies cannot be written: who does not read is not served.
    const pump = (): void => {
      for (;;) {
        while (!socket.writableNeedDrain && !connection.output.isEmpty) socket.write(connection.output.take(1 << 16));
        if (connection.output.bytes > this.#waitingMax) {
          socket.destroy();
          return;
        }
        if (socket.destroyed || socket.writableNeedDrain || !store.step(connection)) break;
      }
      if (socket.writableNeedDrain) socket.pause();
      else socket.resume();
    };
    let pumping = false;
    const guarded = (): void => {
      // Served requests call `onOutput`, and what they cause elsewhere may come back here.
      if (pumping) return;
      pumping = true;
      try {
        pump();
      } finally {
        pumping = false;
      }
    };
    connection.onOutput = guarded;
    connection.onEnd = () => socket.destroy();
    socket.on('data', (bytes) => {
      connection.reader.push(bytes as Buffer);
      guarded();
    });
    socket.on('drain', guarded);
    // A client that dies: `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      connection.onEnd = undefined;
      connection.onOutput = undefined;
      store.disconnect(connection);
    });
  }
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
