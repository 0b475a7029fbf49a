// The control socket, its clients, and the commands that use them, on a machine that is only made up.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Lines } from '../../src/cli/control/lines';
import { readLine } from '../../src/cli/control/rpc';
import { ControlSocket } from '../../src/cli/control/server';
import { CommandError } from '../../src/cli/exit';
import { run } from '../../src/cli/program';
import { fakeControl, fakeMachine } from '../helpers/fake-control';
import { MachineControl } from '../../src/machine/control';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-control-'));
let count = 0;
const newPath = (): string => path.join(folder, `socket-${count++}`);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

test('lines are found in whatever pieces they come', () => {
  const text = bytesOf('one\n\ntwo\nthree');
  for (let size = 1; size <= text.length; size++) {
    const lines = new Lines(10);
    const found: string[] = [];
    for (let at = 0; at < text.length; at += size) {
      for (const line of lines.push(text.subarray(at, at + size)) ?? []) found.push(new TextDecoder().decode(line));
    }
    assert.equal(found, ['one', '', 'two']);
  }
  assert.is(new Lines(4).push(bytesOf('12345')), undefined);
  assert.is(new Lines(4).push(bytesOf('12345\n')), undefined);
  const lines = new Lines(4);
  assert.equal(lines.push(bytesOf('1234'))?.length, 0);
  assert.is(lines.push(bytesOf('5')), undefined);
});

test('JSON-RPC: what a line asks for, or what is wrong with it', () => {
  const table: Array<[line: string | Uint8Array, code: number | undefined, id: unknown]> = [
    ['{"jsonrpc":"2.0","id":1,"method":"status"}', undefined, 1],
    ['{"jsonrpc":"2.0","id":"a","method":"status","params":{}}\r', undefined, 'a'],
    ['{"jsonrpc":"2.0","id":null,"method":"status"}', undefined, null],
    ['{"jsonrpc":"2.0","method":"status"}', undefined, undefined],
    ['{"jsonrpc":"2.0","id":1,"method":"sta', -32700, null],
    ['hello', -32700, null],
    [Uint8Array.of(0x22, 0xff, 0x22), -32700, null],
    ['1', -32600, null], ['null', -32600, null], ['"x"', -32600, null],
    ['[]', -32600, null], ['[{"jsonrpc":"2.0","id":1,"method":"status"}]', -32600, null],
    ['{"id":7,"method":"status"}', -32600, 7],
    ['{"jsonrpc":"1.0","id":7,"method":"status"}', -32600, 7],
    ['{"jsonrpc":"2.0","id":{},"method":"status"}', -32600, null],
    ['{"jsonrpc":"2.0","id":7}', -32600, 7],
    ['{"jsonrpc":"2.0","id":7,"method":3}', -32600, 7],
    ['{"jsonrpc":"2.0","id":7,"method":"status","params":"x"}', -32600, 7],
  ];
  for (const [line, code, id] of table) {
    const read = readLine(typeof line === 'string' ? bytesOf(line) : line);
    if (code === undefined) {
      assert.ok('request' in read && read.request.id === id, String(line));
    } else {
      assert.ok('refusal' in read, String(line));
      const answer = JSON.parse(read.refusal);
      assert.equal([answer.jsonrpc, answer.error.code, answer.id], ['2.0', code, id], String(line));
    }
  }
});

class Client {
  readonly socket: net.Socket;
  #text = '';

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text) => { this.#text += text; });
    socket.on('error', () => undefined);
  }

  static async connect(where: string): Promise<Client> {
    const socket = net.connect(where);
    await once(socket, 'connect');
    return new Client(socket);
  }

  send(method: string, params: unknown = {}, id: unknown = 1): void {
    this.socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
  }

  async next(): Promise<any> {
    while (!this.#text.includes('\n')) await once(this.socket, 'data');
    const at = this.#text.indexOf('\n');
    const line = this.#text.slice(0, at);
    this.#text = this.#text.slice(at + 1);
    return JSON.parse(line);
  }
}

async function withServer(work: (socket: ControlSocket, control: MachineControl) => Promise<void>): Promise<void> {
  const { control } = fakeControl();
  const socket = await ControlSocket.listen(control, newPath());
  try {
    await work(socket, control);
  } finally {
    await socket.close();
    await control.close();
  }
  assert.not(fs.existsSync(socket.path), 'the file goes with the server');
}

test('several clients; one that sends garbage and one that dies are felt by no other', () => withServer(async (socket) => {
  assert.is(fs.statSync(socket.path).mode & 0o777, 0o600);
  const [one, two, garbage, dying] = await Promise.all([0, 1, 2, 3].map(() => Client.connect(socket.path))) as [Client, Client, Client, Client];
  one.send('xl', { args: ['wait', '10'] }, 'first');
  two.send('xl', { args: ['echo', 'hello'] }, 'second');
  garbage.socket.write('\x00\xff{{{\n\n}\n{"jsonrpc":"2.0","id":1,"method":"status"');
  dying.socket.write('{"jsonrpc":"2.0","id":1,"method":"xl","params":{"args":["wait"');
  dying.socket.destroy();
  assert.equal(await one.next(), { jsonrpc: '2.0', id: 'first', result: { code: 0, stdout: '10\n', stderr: '' } });
  assert.equal(await two.next(), { jsonrpc: '2.0', id: 'second', result: { code: 0, stdout: 'hello\n', stderr: '' } });
  assert.equal([(await garbage.next()).error.code, (await garbage.next()).error.code], [-32700, -32700]);
  garbage.socket.write(',"params":{}}\n');
  assert.is((await garbage.next()).result.name, 'fake');
  for (const client of [one, two, garbage]) client.socket.destroy();
}));

test('errors have their codes, notifications no answer', () => withServer(async (socket) => {
  const client = await Client.connect(socket.path);
  client.send('nothing');
  assert.is((await client.next()).error.code, -32601);
  client.send('xl', { args: 'list' });
  assert.is((await client.next()).error.code, -32602);
  client.send('sysfs.cat', { path: '/none' });
  const refused = await client.next();
  assert.is(refused.error.code, -32000);
  assert.is(refused.error.data.code, 'ENOENT');
  assert.is(refused.error.data.fields.text, 'No such file or directory');
  client.send('xl', { args: ['bug'] });
  assert.equal((await client.next()).error, { code: -32603, message: 'RangeError: out of something' });
  client.socket.write('{"jsonrpc":"2.0","method":"sysfs.write","params":{"path":"/noted","text":"1"}}\n');
  client.socket.write('{"jsonrpc":"2.0","method":"nothing"}\n');
  client.send('sysfs.cat', { path: '/noted' }, 9);
  assert.equal(await client.next(), { jsonrpc: '2.0', id: 9, result: '1' });
  client.socket.destroy();
}));

test('a line that is too long ends its connection and no other', () => withServer(async (socket) => {
  const [bad, good] = [await Client.connect(socket.path), await Client.connect(socket.path)];
  const closed = once(bad.socket, 'close');
  const piece = 'x'.repeat(1 << 20);
  for (let i = 0; i < 5; i++) bad.socket.write(piece);
  assert.is((await bad.next()).error.code, -32600);
  await closed;
  good.send('status');
  assert.is((await good.next()).result.name, 'fake');
  good.socket.destroy();
}));

test('one client cannot fill the queue, and requests that nobody waits for end', () => withServer(async (socket, control) => {
  const [greedy, other] = [await Client.connect(socket.path), await Client.connect(socket.path)];
  for (let id = 0; id < 100; id++) greedy.send('xl', { args: ['endless'] }, id);
  const busy = await greedy.next();
  assert.equal([busy.id, busy.error.data.code], [32, 'BUSY']);
  other.send('status');
  greedy.socket.destroy();
  assert.is((await other.next()).result.name, 'fake');
  assert.is(control.served, 33);
  other.socket.destroy();
}));

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
  const { control } = fakeControl();
  const used = await ControlSocket.listen(control, newPath());
  assert.match((await refusal(() => ControlSocket.listen(control, used.path))).message, 'somebody listens there already');
  await used.close();
  const file = newPath();
  fs.writeFileSync(file, 'mine');
  assert.match((await refusal(() => ControlSocket.listen(control, file))).message, 'something that is no socket');
  const left = newPath();
  spawnSync(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, 9))`]);
  assert.ok(fs.statSync(left).isSocket());
  await (await ControlSocket.listen(control, left)).close();
  const long = await refusal(() => ControlSocket.listen(control, `/${'x'.repeat(107)}`));
  assert.match(long.message, 'more than 107 bytes');
  assert.is(long.exitCode, 3);
  await control.close();
});

// ---- the commands

interface Outcome {
  code: number;
  out: string;
  err: string;
}

interface Around {
  env?: Record<string, string>;
  input?: string;
  stop?: Promise<void>;
  onOut?: (text: string) => void;
}

/** Runs a command line; its machines are made up. */
async function command(args: readonly string[], { env = {}, input = '', stop = Promise.resolve(), onOut }: Around = {}): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: '', err: '' };
  outcome.code = await run(args, {
    capture: pathToFileURL('/none'),
    out: async (text) => {
      outcome.out += text;
      onOut?.(text);
    },
    outBytes: async (bytes) => { outcome.out += Buffer.from(bytes).toString('latin1'); },
    err: (text) => { outcome.err += text; },
    colour: false, debug: false, env: { XDG_RUNTIME_DIR: folder, ...env }, input: () => Promise.resolve(input), stop: () => stop,
    progress: () => ({ update: () => undefined, stop: () => undefined }),
    machines: {
      builtIn: { memory: '16MiB' },
      xlFiles: (line) => (line[0] === 'cat' ? [line[1] as string] : []),
      start: async (description, options) => {
        const fake = fakeMachine(JSON.stringify([description, options.time, options.allowUnsafePassthrough, options.xenRevoke]));
        return { control: new MachineControl(fake.parts, options), store: fake.store };
      },
    },
  });
  return outcome;
}

/** Serves while `work` runs, then stops the server, which ends with 0. */
async function serving(args: readonly string[], work: (said: string) => Promise<void>, around: Around = {}): Promise<void> {
  let end = (): void => undefined;
  const stop = new Promise<void>((resolve) => { end = resolve; });
  let told = (_: string): void => undefined;
  const greeted = new Promise<string>((resolve) => { told = resolve; });
  const server = command(['serve', ...args], { ...around, stop, onOut: (text) => told(text) });
  const first = await Promise.race([greeted, server.then(({ err }) => { throw new Error(err); })]);
  try {
    await work(first);
  } finally {
    end();
  }
  assert.equal({ ...await server, out: '' }, { code: 0, out: '', err: '' });
}

test('serve says what to export and what to try; its sockets are the user\'s alone, and go', async () => {
  const home = path.join(folder, 'portcullis/default');
  await serving([], async (said) => {
    assert.match(said, `export XENSTORED_PATH=${home}/xenstored\n`);
    assert.is(said.split('\n').filter((line) => line.startsWith('  ')).length, 3);
    for (const name of ['control', 'xenstored']) assert.is(fs.statSync(path.join(home, name)).mode & 0o777, 0o600);
    for (const one of [home, path.dirname(home)]) assert.is(fs.statSync(one).mode & 0o777, 0o700);
    const second = await command(['serve']);
    assert.is(second.code, 3);
    assert.match(second.err, /somebody listens there already\); stop the one who does, give the machine another name with --machine/);
    assert.is((await command(['xl', 'echo', 'still'])).out, 'still\n');
  });
  assert.not(fs.existsSync(home));
});

test('the options of serve arrive', async () => {
  const file = path.join(folder, 'machine.json');
  fs.writeFileSync(file, '{"memory": "32MiB"}');
  const [control, store] = [newPath(), newPath()];
  await serving([file, '--control', control, '--xenstored', store, '--time', 'real', '--allow-unsafe-passthrough', '--xen-revoke'], async (said) => {
    assert.match(said, `export XENSTORED_PATH=${store}\n`);
    assert.match(said, `  portcullis xl --control ${control} list\n`);
    const client = await Client.connect(control);
    client.send('status');
    assert.is((await client.next()).result.name, '[{"memory":"32MiB"},"real",true,true]');
    client.socket.destroy();
    assert.is((await command(['xl', '--control', control, 'echo', 'x'])).out, 'x\n');
  });
  for (const args of [['serve', '--time', 'slow'], ['serve', '--machine', '../x'], ['serve', '--machine', '']]) {
    assert.is((await command(args)).code, 2, args.join(' '));
  }
  const long = await command(['serve', '--control', `/${'x'.repeat(200)}`]);
  assert.is(long.code, 3);
  assert.match(long.err, 'more than 107 bytes');
  assert.is((await command(['serve', path.join(folder, 'none.json')])).code, 3);
});

test('several machines, told apart by name', async () => {
  await serving(['--machine', 'one'], async () => {
    await serving([], async (said) => {
      assert.match(said, 'export PORTCULLIS_MACHINE=two\n');
      await command(['sysfs', 'write', '/which', 'one', '--machine', 'one']);
      await command(['sysfs', 'write', '/which', 'two'], { env: { PORTCULLIS_MACHINE: 'two' } });
      assert.is((await command(['sysfs', 'cat', '/which'], { env: { PORTCULLIS_MACHINE: 'one' } })).out, 'one');
      assert.is((await command(['sysfs', 'cat', '--machine', 'two', '/which'], { env: { PORTCULLIS_MACHINE: 'one' } })).out, 'two');
      assert.is((await command(['xl', 'list'])).code, 3);
    }, { env: { PORTCULLIS_MACHINE: 'two' } });
  });
});

test('without a server: how to start one, and 3', async () => {
  for (const args of [['xl', 'list'], ['sysfs', 'ls', '/sys'], ['setpci', '-s', '4', '4.w'], ['explain', '00:04.0'], ['lspci', '--domain', 'guest']]) {
    const { code, out, err } = await command(args);
    assert.equal([code, out], [3, ''], args.join(' '));
    assert.match(err, /^portcullis: no machine is being served at \S+\/default\/control; start one with: portcullis serve &\n$/);
  }
  const named = await command(['lspci', '--machine', 'mine']);
  assert.is(named.code, 3);
  assert.match(named.err, 'portcullis serve --machine mine &');
  const other = await command(['xl', '--control', '/none', 'list']);
  assert.match(other.err, 'portcullis serve --control /none &');
});

test('a folder that is not the user\'s alone is refused by server and client', async () => {
  const open = path.join(folder, 'open');
  fs.mkdirSync(path.join(open, 'portcullis'), { recursive: true });
  fs.chmodSync(path.join(open, 'portcullis'), 0o777);
  for (const args of [['serve'], ['xl', 'list']]) {
    const { code, err } = await command(args, { env: { XDG_RUNTIME_DIR: open } });
    assert.is(code, 3);
    assert.match(err, 'is writable for others');
  }
});

test('xl: everything goes through, files are read here, the code is xl\'s', () => serving([], async () => {
  assert.equal(await command(['xl', 'echo', '-f', '--machine', 'x', '--help', '-vvv']), { code: 0, out: '-f --machine x --help -vvv\n', err: '' });
  assert.equal(await command(['xl', 'fail']), { code: 6, out: 'some\n', err: 'passthrough not supported on this platform\n' });
  const file = path.join(folder, 'guest.cfg');
  fs.writeFileSync(file, 'name = "guest"\n');
  assert.is((await command(['xl', 'cat', file])).out, 'name = "guest"\n');
  const missing = await command(['xl', 'cat', 'none.cfg']);
  assert.is(missing.code, 1);
  assert.match(missing.err, 'cannot read the file none.cfg');
  assert.is((await command(['xl', 'bug'])).code, 4);
  assert.is((await command(['xl', 'forever'])).code, 1);
}));

test('sysfs', () => serving([], async () => {
  const irq = '/sys/bus/pci/devices/0000:00:04.0/irq';
  assert.equal(await command(['sysfs', 'cat', irq]), { code: 0, out: '20\n', err: '' });
  assert.equal(await command(['sysfs', 'ls', path.dirname(irq)]), { code: 0, out: 'irq\n', err: '' });
  assert.equal(await command(['sysfs', 'readlink', irq]), { code: 0, out: '20\n', err: '' });
  assert.equal(await command(['sysfs', 'write', '/b', '-'], { input: 'piped\n' }), { code: 0, out: '', err: '' });
  assert.is((await command(['sysfs', 'cat', '/b'])).out, 'piped\n');
  await command(['sysfs', 'write', '/b'], { input: 'too' });
  assert.is((await command(['sysfs', 'cat', '/b'])).out, 'too');
  await command(['sysfs', 'write', '/config', '\x86\x80\xd3\x10']);
  assert.is((await command(['sysfs', 'cat', '/config'])).out, '\x86\x80\xd3\x10', 'bytes are bytes, not UTF-8');
  assert.equal(await command(['sysfs', 'write', '/bind', '0000:00:1f.7']), { code: 1, out: '',
    err: 'portcullis: /bind: No such device (/bind: there is no device 0000:00:1f.7)\n' });
  assert.is((await command(['sysfs', 'frob'])).code, 2);
}));

test('lspci asks the machine that runs, or the default one', () => serving([], async () => {
  assert.is((await command(['lspci'])).out, '00:04.0 Ethernet controller [0200]: Intel Corporation 82574L [8086:10d3]\n');
  assert.match((await command(['lspci', '-v'])).out, '\tKernel driver in use: e1000e\n');
  assert.match((await command(['lspci', '--domain', 'guest'])).out, /^00:00\.0 Ethernet controller \[0200\]: Intel Corporation Device \[8086:10d3\]\n$/);
  assert.is((await command(['lspci', '-s', '00:04.0', '-xxxx'])).out.split('\n').filter((line) => /^[0-9a-f]+: /.test(line)).length, 256);
  assert.is((await command(['lspci', '-x'])).out.split('\n').filter((line) => /^[0-9a-f]+: /.test(line)).length, 4);
  assert.is((await command(['lspci', '-s', '05.0'])).out, '');
  assert.is((await command(['lspci', '-s', 'zz'])).code, 2);
  const nobody = await command(['lspci', '--domain', 'nobody']);
  assert.equal(nobody, { code: 1, out: '', err: 'portcullis: there is no domain "nobody"\n' });
}));

test('lspci of a machine that is only described', async () => {
  const file = path.join(folder, 'nic.json');
  fs.writeFileSync(file, '{"devices": [{"model": "e1000", "bdf": "00:05.0"}]}');
  assert.match((await command(['lspci', file])).out, /^00:00\.0 [^]*\n\n00:05\.0 Ethernet controller: .*\n00: 86 80 0e 10 /);
  assert.is((await command(['lspci', file, '-s', '5'])).out,
    '00:05.0 Ethernet controller [0200]: Intel Corporation 82540EM Gigabit Ethernet Controller [8086:100e] (rev 03)\n');
  assert.match((await command(['lspci', file, '-vv'])).out, '\tRegion 0: Memory at f0000000 (32-bit, non-prefetchable)\n');
  assert.match((await command(['lspci'])).out, /\n00:06\.0 .*\n00: 34 12 e8 11 /);
  assert.is((await command(['lspci', file, '--domain', 'guest'])).code, 2);
});

test('setpci', () => serving([], async () => {
  assert.equal(await command(['setpci', '-s', '00:04.0', 'COMMAND', 'CAP_PM+4.w', '34.b']), { code: 0, out: '0103\n0000\nc8\n', err: '' });
  assert.equal(await command(['setpci', '-s', '00:04.0', 'COMMAND=7:7', 'COMMAND']), { code: 0, out: '0107\n', err: '' });
  assert.equal(await command(['setpci', '--domain', 'guest', '-s', '00:00.0', 'CAP_MSI+2.w=81', 'CAP_MSI+2.w', '5.w']), {
    code: 1, out: '0080\n', err: 'portcullis: 0000:00:00.0: CAP_MSI+2.w=81: PCIBIOS code 0x88 (set failed)\n'
      + 'portcullis: 0000:00:00.0: 5.w: PCIBIOS code 0x87 (bad register number)\n' });
  assert.equal(await command(['setpci', '--domain', 'guest', '-s', '00:1f.0', '0.l']), {
    code: 1, out: '', err: 'portcullis: 0000:00:1f.0: 0.l: PCIBIOS code 0x86 (device not found)\n' });
  for (const [args, words] of [[['COMMAND'], 'give -s SLOT'], [['-s', '4'], 'which register'], [['-s', '4', 'FOO'], 'no register has the name "FOO"'],
    [['-s', 'zz', 'COMMAND'], 'is no choice of devices']] as const) {
    const { code, err } = await command(['setpci', ...args]);
    assert.is(code, 2, args.join(' '));
    assert.match(err, words);
  }
  assert.equal(await command(['setpci', '-s', '9', 'COMMAND']), { code: 1, out: '',
    err: 'portcullis: no device is at 9; see portcullis lspci\n' });
  assert.match((await command(['setpci', '--dumpregs'])).out, '     04 W COMMAND\n');
}));

test('dmesg', () => serving([], async () => {
  assert.equal(await command(['dmesg']), { code: 0, out: 'one\ntwo\n', err: '' });
  assert.is((await command(['dmesg', 'x'])).code, 2);
}));

test('explain', () => serving([], async () => {
  assert.equal(await command(['explain', '00:04.0', '--access', 'dma:0']), { code: 0, out: '00:04.0 --access dma:0: fine\n', err: '' });
  assert.is((await command(['explain', 'no'])).code, 1);
  const { out } = await command(['explain', '00:04.0', '--json']);
  assert.equal(JSON.parse(out), { asked: ['00:04.0'] });
}));

test('help with examples for each', async () => {
  for (const name of ['serve', 'xl', 'sysfs', 'lspci', 'setpci', 'explain', 'dmesg']) {
    const { code, out, err } = await command([name, '--help']);
    assert.equal([code, err], [0, ''], name);
    assert.match(out, `Usage: portcullis ${name}`);
    assert.match(out, '\nExamples:\n');
  }
  assert.match((await command(['sysfs', 'write', '--help'])).out, 'Usage: portcullis sysfs write');
});

test.after(() => fs.rmSync(folder, { recursive: true, force: true }));
test.run();
