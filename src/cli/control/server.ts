/**
 * The control socket: JSON-RPC 2.0, a request a line. Whoever can connect may do everything, so the file's mode is the
 * only guard. A client that sends garbage, too much or nothing, or dies, is felt by no other.
 */

import net from 'node:net';
import type { MachineControl, Pending } from '../../index';
import { listenOn } from '../unix-socket';
import { Lines } from './lines';
import { errorLine, errorOf, readLine, resultLine, RPC } from './rpc';

/** A request with the files that it brings. */
const LINE_MAX = 4 << 20;
/** Requests of one client that may be under way. */
const CLIENT_MAX = 32;
/** What may wait for a client that does not read, before it is dropped; less than the answers to `CLIENT_MAX` requests. */
const WAITING_MAX = 64 << 20;
const CLIENTS_MAX = 64;

export class ControlSocket {
  readonly path: string;
  readonly #control: MachineControl;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(control: MachineControl, path: string) {
    this.path = path;
    this.#control = control;
    this.#server = net.createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = CLIENTS_MAX;
  }

  /** Resolves when clients can connect. */
  static async listen(control: MachineControl, path: string, next?: string): Promise<ControlSocket> {
    const socket = new ControlSocket(control, path);
    await listenOn(socket.#server, path, 0o600, next);
    return socket;
  }

  /** Ends every connection, and removes the file. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => { this.#server.close(() => resolve()); });
  }

  #serve(socket: net.Socket): void {
    const lines = new Lines(LINE_MAX);
    const pending = new Set<Pending>();
    this.#sockets.add(socket);
    const answer = (line: string): void => {
      if (socket.destroyed) return;
      if (socket.writableLength > WAITING_MAX) socket.destroy();
      else socket.write(line);
    };
    socket.on('data', (piece) => {
      const found = lines.push(piece as Buffer);
      for (const line of found ?? []) this.#take(line, pending, answer);
      if (found !== undefined) return;
      answer(errorLine(null, { code: RPC.invalidRequest, message: `a line has at most ${LINE_MAX} bytes` }));
      socket.end();
      socket.removeAllListeners('data');
      socket.resume();
    });
    // A client that dies: `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      for (const one of pending) one.abandon();
    });
  }

  #take(line: Uint8Array, pending: Set<Pending>, answer: (line: string) => void): void {
    if (line.length === 0) return;
    const read = readLine(line);
    if ('refusal' in read) {
      answer(read.refusal);
      return;
    }
    const { id, method, params } = read.request;
    const reply = (text: string): void => {
      if (id !== undefined) answer(text);
    };
    if (pending.size >= CLIENT_MAX) {
      const message = `${CLIENT_MAX} requests of this client are under way already; wait for their answers`;
      reply(errorLine(id ?? null, { code: RPC.refused, message, data: { code: 'BUSY' } }));
      return;
    }
    const one = this.#control.request(method, params);
    pending.add(one);
    void one.result
      .then((result) => resultLine(id ?? null, result), (error: unknown) => errorLine(id ?? null, errorOf(error)))
      .then((text) => {
        pending.delete(one);
        reply(text);
      });
  }
}
