/**
 * The store on a UNIX socket, where the stock tools look for it: XENSTORED_PATH names the socket, or XENSTORED_RUNDIR
 * a folder with a `socket` in it. There is no handshake; whoever can connect is privileged, so the file's mode is the
 * only guard.
 */

import net from 'node:net';
import type { Connection, Xenstored } from '../index';
import { listenOn } from './unix-socket';

/** What may wait for a client that does not read, before it is dropped. */
const WAITING_MAX = 4 << 20;

export interface XenstoreSocketOptions {
  /** Who may connect; 0600 unless told. */
  readonly mode?: number;
  /** Bytes; 4 MiB unless told. */
  readonly waitingMax?: number;
  /** Called when requests have been served: who watches the store may have something to do. */
  readonly onServed?: () => void;
  /** What to do when nobody can listen there. */
  readonly next?: string;
}

export class XenstoreSocket {
  readonly path: string;
  readonly #store: Xenstored;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #waitingMax: number;
  readonly #onServed: () => void;

  private constructor(store: Xenstored, path: string, options: XenstoreSocketOptions) {
    this.#store = store;
    this.path = path;
    this.#waitingMax = options.waitingMax ?? WAITING_MAX;
    this.#onServed = options.onServed ?? (() => undefined);
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  /** Resolves when clients can connect. */
  static async listen(store: Xenstored, path: string, options: XenstoreSocketOptions = {}): Promise<XenstoreSocket> {
    const socket = new XenstoreSocket(store, path, options);
    await listenOn(socket.#server, path, options.mode ?? 0o600, options.next);
    return socket;
  }

  /** Ends every connection, and removes the file. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => { this.#server.close(() => resolve()); });
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
      this.#onServed();
    });
    socket.on('drain', () => {
      guarded();
      this.#onServed();
    });
    // A client that dies: `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      connection.onEnd = undefined;
      connection.onOutput = undefined;
      store.disconnect(connection);
      this.#onServed();
    });
  }
}
