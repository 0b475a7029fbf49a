/** Asks the machine that is being served. */

import net from 'node:net';
import path from 'node:path';
import { CommandError, EXIT } from '../exit';
import type { ExitCode } from '../exit';
import { reasonOf } from '../files';
import { Lines } from './lines';
import type { Location } from './location';
import { checkOwner, DEFAULT_NAME } from './location';
import { type RpcError, requestLine, RPC } from './rpc';

/** Bytes of an answer. */
const LINE_MAX = 64 << 20;

/** What the machine answered that it would not do; `code` and `fields` are those of its error. */
export class RefusedError extends CommandError {
  readonly code: string;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor({ code, message, data }: RpcError) {
    super(exitCodeOf(code, data?.code), code === RPC.internal ? `the machine has a bug (${message}): please report it` : message);
    this.code = data?.code ?? '';
    this.fields = (data?.fields ?? {}) as Readonly<Record<string, unknown>>;
  }
}

function exitCodeOf(code: number, reason: string | undefined): ExitCode {
  if (code === RPC.internal || code === RPC.parseError || code === RPC.invalidRequest || code === RPC.unknownMethod) return EXIT.bug;
  return code === RPC.invalidParams || reason === 'USAGE' || reason?.startsWith('BAD_') === true ? EXIT.usage : EXIT.failed;
}

/** Resolves with the result. Throws a RefusedError, and a CommandError when no machine is served there. */
export async function ask(where: Location, method: string, params: unknown): Promise<unknown> {
  // What we ask of goes to whoever listens: it must be ours.
  if (where.control === path.join(where.folder, 'control')) checkOwner(path.dirname(where.folder));
  const socket = net.connect(where.control);
  try {
    const answer = await exchange(socket, requestLine(1, method, params), where);
    const { result, error } = JSON.parse(answer) as { result?: unknown; error?: RpcError };
    if (error !== undefined) throw new RefusedError(error);
    return result;
  } finally {
    socket.destroy();
  }
}

function exchange(socket: net.Socket, line: string, where: Location): Promise<string> {
  const lines = new Lines(LINE_MAX);
  return new Promise((resolve, reject) => {
    socket.on('connect', () => socket.write(line));
    socket.on('data', (piece) => {
      const found = lines.push(piece as Buffer);
      if (found === undefined) reject(new CommandError(EXIT.bug, 'the machine\'s answer is too long'));
      else if (found[0] !== undefined) resolve(new TextDecoder().decode(found[0]));
    });
    socket.on('error', (error) => reject(isAbsent(error) ? noServer(where) : new CommandError(EXIT.environment,
      `cannot ask the machine at ${where.control} (${reasonOf(error)})`, { cause: error })));
    socket.on('close', () => reject(new CommandError(EXIT.failed, `the machine at ${where.control} has been stopped`)));
  });
}

function isAbsent(error: Error): boolean {
  return 'code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED');
}

/** How the same choice of a machine is written for `serve`. */
function noServer(where: Location): CommandError {
  const standard = where.control === path.join(where.folder, 'control');
  const options = `${where.name === DEFAULT_NAME ? '' : ` --machine ${where.name}`}${standard ? '' : ` --control ${where.control}`}`;
  return new NoServerError(`no machine is being served at ${where.control}; start one with: portcullis serve${options} &`);
}

export class NoServerError extends CommandError {
  constructor(message: string) {
    super(EXIT.environment, message);
  }
}

