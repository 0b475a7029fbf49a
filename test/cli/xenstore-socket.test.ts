// The store on a real UNIX socket: clients that come, go, stand still and die.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../scripts/files.mjs';
import { readMode } from '../../src/cli/commands/xenstored';
import { CommandError } from '../../src/cli/exit';
import { XenstoreSocket } from '../../src/cli/xenstore-socket';
import { Xenstored } from '../../src/xen/xenstore/daemon';
import { countStore } from '../../src/xen/xenstore/dump';
import { encodeMessage, encodeStrings, MessageReader, XS } from '../../src/xen/xenstore/wire';
import type { Message } from '../../src/xen/xenstore/wire';
import { bytesOf, textOf } from '../../src/xen/xenstore/bytes';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-xs-'));
let count = 0;
const newPath = (): string => path.join(folder, `socket-${count++}`);

class Client {
  readonly socket: net.Socket;
  readonly #reader = new MessageReader();
  readonly #messages: Message[] = [];

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#reader.push(bytes as Buffer);
      for (let message = this.#reader.next(); message; message = this.#reader.next()) this.#messages.push(message);
      socket.emit('message');
    });
    socket.on('error', () => undefined);
  }

  static async connect(where: string): Promise<Client> {
    const socket = net.connect(where);
    await once(socket, 'connect');
    return new Client(socket);
  }

  send(type: number, payload: Uint8Array, requestId = 0): void {
    this.socket.write(encodeMessage({ type, requestId, transactionId: 0, payload }));
  }

  async next(): Promise<Message> {
    while (this.#messages.length === 0) await once(this.socket, 'message');
    return this.#messages.shift() as Message;
  }

  async ask(type: number, payload: Uint8Array): Promise<string> {
    this.send(type, payload);
    return textOf((await this.next()).payload);
  }
}

const write = (name: string, value: string): Uint8Array => bytesOf(`${name}\0${value}`);

type Work = (store: Xenstored, socket: XenstoreSocket) => Promise<void>;

async function withStore(work: Work, waitingMax?: number): Promise<void> {
  const store = new Xenstored();
  const socket = await XenstoreSocket.listen(store, newPath(), waitingMax === undefined ? {} : { waitingMax });
  try {
    await work(store, socket);
  } finally {
    await socket.close();
  }
  assert.not(fs.existsSync(socket.path), 'the file goes with the server');
}

/** Waits until something is so; the test's own time limit ends it otherwise. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => { setTimeout(resolve, 5); });
}

test('several clients, watches across them, and one that dies in a message', () => withStore(async (store, socket) => {
  assert.is(fs.statSync(socket.path).mode & 0o777, 0o600);
  const [one, two] = [await Client.connect(socket.path), await Client.connect(socket.path)];
  const dying = await Client.connect(socket.path);
  assert.is(await two.ask(XS.WATCH, encodeStrings('/a', 'token')), 'OK\0');
  assert.is(textOf((await two.next()).payload), '/a\0token\0');
  const whole = encodeMessage({ type: XS.WRITE, requestId: 0, transactionId: 0, payload: write('/dead', 'value') });
  dying.socket.write(whole.subarray(0, 20));
  dying.socket.destroy();
  assert.is(await one.ask(XS.WRITE, write('/a/b', '1')), 'OK\0');
  assert.is(textOf((await two.next()).payload), '/a/b\0token\0');
  await until(() => countStore(store.state).connections === 3);
  assert.is(store.state.tree.get('/dead'), undefined);
  one.socket.end();
  two.socket.end();
  await until(() => countStore(store.state).connections === 1);
  assert.is(countStore(store.state).watches, 0);
}));

test('a message that is too long ends its connection and no other', () => withStore(async (_, socket) => {
  const [bad, good] = [await Client.connect(socket.path), await Client.connect(socket.path)];
  const closed = once(bad.socket, 'close');
  bad.socket.write(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0));
  await closed;
  assert.is(await good.ask(XS.DIRECTORY, encodeStrings('/')), 'tool\0');
  good.socket.destroy();
}));

test('ten thousand requests at once are answered in order', () => withStore(async (_, socket) => {
  const client = await Client.connect(socket.path);
  await client.ask(XS.WRITE, write('/v', 'x'.repeat(1000)));
  for (let id = 0; id < 10_000; id++) client.send(XS.READ, encodeStrings('/v'), id);
  for (let id = 0; id < 10_000; id++) {
    const { requestId, payload } = await client.next();
    if (requestId !== id || payload.length !== 1000) assert.unreachable(`answer ${id}: ${requestId}`);
  }
  client.socket.destroy();
}));

test('a client that does not read is dropped once too many events wait', () => withStore(async (store, socket) => {
  const [stuck, writer] = [await Client.connect(socket.path), await Client.connect(socket.path)];
  await stuck.ask(XS.WATCH, encodeStrings('/', 't'.repeat(2000)));
  stuck.socket.pause();
  const before = countStore(store.state).connections;
  for (let i = 0; i < 3000 && countStore(store.state).connections === before; i++) {
    assert.is(await writer.ask(XS.WRITE, write(`/n${i}`, '')), 'OK\0');
  }
  assert.is(countStore(store.state).connections, before - 1);
  assert.is(await writer.ask(XS.READ, encodeStrings('/n1')), '');
  for (const one of [stuck, writer]) one.socket.destroy();
}, 100_000));

async function refusal(work: () => Promise<unknown>): Promise<CommandError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('a socket left over is taken, one in use and other files are not', async () => {
  const store = new Xenstored();
  const used = await XenstoreSocket.listen(store, newPath());
  const inUse = await refusal(() => XenstoreSocket.listen(store, used.path));
  assert.match(inUse.message, 'somebody listens there already');
  await used.close();
  const file = newPath();
  fs.writeFileSync(file, 'mine');
  assert.match((await refusal(() => XenstoreSocket.listen(store, file))).message, 'something that is no socket');
  assert.is(fs.readFileSync(file, 'utf8'), 'mine');
  const left = newPath();
  const dies = `.listen(${JSON.stringify(left)}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ['-e', `require('net').createServer()${dies}`]);
  assert.ok(fs.statSync(left).isSocket());
  const taken = await XenstoreSocket.listen(store, left, { mode: 0o660 });
  assert.is(fs.statSync(left).mode & 0o777, 0o660);
  await taken.close();
  const missing = await refusal(() => XenstoreSocket.listen(store, path.join(folder, 'no', 'socket')));
  assert.is(missing.exitCode, 3);
  const long = await refusal(() => XenstoreSocket.listen(store, `/${'x'.repeat(107)}`));
  assert.match(long.message, 'more than 107 bytes');
});

test('modes', () => {
  assert.equal([readMode('0600'), readMode('660'), readMode('0777')], [0o600, 0o660, 0o777]);
  for (const text of ['', '6', '0800', '0x600', '-600', '06000', 'rw']) {
    assert.throws(() => readMode(text), /give an octal mode/);
  }
});

test('the command serves until it is told to stop', async () => {
  const where = newPath();
  const cli = path.join(root, 'build/cli.js');
  const child = spawn(process.execPath, [cli, 'xenstored', '--socket', where, '--perm', '0660']);
  const exited = once(child, 'exit');
  try {
    const [said] = await once(child.stdout, 'data') as [Buffer];
    assert.is(said.toString(), `listening on ${where}\n`);
    assert.is(fs.statSync(where).mode & 0o777, 0o660);
    const client = await Client.connect(where);
    assert.is(await client.ask(XS.DIRECTORY, encodeStrings('/')), 'tool\0');
    child.kill('SIGTERM');
    assert.equal(await exited, [0, null]);
    assert.not(fs.existsSync(where));
    client.socket.destroy();
  } finally {
    child.kill('SIGKILL');
  }
});

test.after(() => fs.rmSync(folder, { recursive: true, force: true }));
test.run();
