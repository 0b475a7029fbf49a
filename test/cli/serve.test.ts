// `portcullis serve` and its clients as processes, with the stock clients of XenStore where they are.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findProgram } from '../../scripts/debian.mjs';
import { root } from '../../scripts/files.mjs';
import { skipTest } from '../helpers/skip';

const cli = path.join(root, 'build/cli.js');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-serve-'));
const { PORTCULLIS_MACHINE: _, ...own } = process.env;
const env = { ...own, XDG_RUNTIME_DIR: folder };

interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

function portcullis(...args: string[]): Outcome {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', cwd: folder, env, timeout: 60_000 });
  if (error) throw error;
  return { code: status, out: stdout, err: stderr };
}

interface Server {
  readonly child: ChildProcess;
  readonly said: string;
  /** Exit code and signal. */
  readonly ended: Promise<unknown[]>;
}

async function serve(...args: string[]): Promise<Server> {
  const child = spawn(process.execPath, [cli, 'serve', ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const said = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended]);
  return { child, said: String(said[0]), ended };
}

const socketsOf = (name: string): string[] => ['control', 'xenstored'].map((one) => path.join(folder, 'portcullis', name, one));

test('a NIC goes to a guest and comes back, from the command line', async () => {
  const server = await serve();
  try {
    assert.match(server.said, `export XENSTORED_PATH=${socketsOf('default')[1]}\n`);
    const done = (...args: string[]): string => {
      const { code, out, err } = portcullis(...args);
      assert.is(code, 0, `${args.join(' ')}: ${err}`);
      return out;
    };
    assert.match(done('lspci', '-v', '-s', '00:04.0'), '\tKernel driver in use: e1000\n');
    assert.is(portcullis('explain', '00:04.0').code, 1);
    done('xl', 'pci-assignable-add', '00:04.0');
    assert.match(done('lspci', '-v', '-s', '00:04.0'), '\tKernel driver in use: pciback\n');
    assert.match(done('explain', '00:04.0'), 'Can 0000:00:04.0 be given to a guest?');
    assert.match(done('sysfs', 'cat', '/sys/bus/pci/drivers/pciback/slots'), '0000:00:04.0');
    fs.writeFileSync(path.join(folder, 'guest.cfg'), 'name = "guest"\nmemory = 16\nkernel = "builtin:e1000"\npci = ["00:04.0"]\n');
    done('xl', 'create', 'guest.cfg');
    assert.match(done('lspci', '--domain', 'guest'), /^00:00\.0 Ethernet controller \[0200\]: Intel Corporation 82540EM Gigabit Ethernet Controller \[8086:100e\]/);
    assert.is(done('setpci', '--domain', 'guest', '-s', '00:00.0', 'VENDOR_ID'), '8086\n');
    assert.match(portcullis('setpci', '--domain', 'guest', '-s', '00:1e.0', 'VENDOR_ID').err, 'PCIBIOS code 0x86');
    assert.is(portcullis('xl', 'pci-attach', 'guest', '00:04.0').code, 1);
    done('xl', 'destroy', 'guest');
    done('xl', 'pci-assignable-remove', '-r', '00:04.0');
    assert.match(done('lspci', '-v', '-s', '00:04.0'), '\tKernel driver in use: e1000\n');
    assert.is(portcullis('xl', 'frob').code, 2);
    assert.match(portcullis('sysfs', 'cat', '/sys/none').err, 'No such file or directory');
  } finally {
    server.child.kill('SIGTERM');
  }
  assert.equal(await server.ended, [0, null]);
});

test('a guest of one\'s own runs, and one that runs in circles crashes and leaves the server to others', async () => {
  const server = await serve('--machine', 'own');
  const own = (...args: string[]): Outcome => portcullis('xl', '--machine', 'own', ...args);
  try {
    fs.copyFileSync(path.join(root, 'examples/my-guest.mjs'), path.join(folder, 'my-guest.mjs'));
    fs.writeFileSync(path.join(folder, 'mine.cfg'), 'name = "mine"\nmemory = 4\nkernel = "./my-guest.mjs"\npci = ["00:06.0"]\n');
    own('pci-assignable-add', '00:06.0');
    const { code, err } = own('create', 'mine.cfg');
    assert.is(code, 0, err);
    let console_ = '';
    // each command lets the guest go on
    for (let i = 0; i < 50 && !console_.includes('done'); i++) console_ = own('console', 'mine').out;
    assert.match(console_, '10! = 3628800\na page to the device and back: the same\nmodule: done\n');
    fs.writeFileSync(path.join(folder, 'circles.mjs'), 'export default () => { for (;;); };\n');
    assert.is(own('create', '/dev/null', 'name="circles"', 'memory=4', 'kernel="circles.mjs"', 'on_crash="preserve"').code, 0);
    assert.match(own('list', 'mine').out, 'mine');
    let console2 = '';
    for (let i = 0; i < 50 && console2 === ''; i++) console2 = own('console', 'circles').out;
    assert.match(console2, 'the domain crashes: module: it made no call for 5000 ms');
    assert.is(own('destroy', 'circles').code, 0);
    assert.is(own('destroy', 'mine').code, 0);
    const missing = own('create', '/dev/null', 'name="none"', 'kernel="none.mjs"');
    assert.is(missing.code, 1);
    assert.match(missing.err, 'cannot read the file none.mjs');
  } finally {
    server.child.kill('SIGTERM');
  }
  assert.equal(await server.ended, [0, null]);
});

test('SIGINT and SIGTERM end it cleanly; what a killed one leaves is taken, what a live one has is not', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const server = await serve('--machine', 'one');
    assert.ok(socketsOf('one').every((one) => fs.statSync(one).isSocket() && (fs.statSync(one).mode & 0o777) === 0o600));
    const second = portcullis('serve', '--machine', 'one');
    assert.equal([second.code, second.out], [3, '']);
    assert.match(second.err, 'somebody listens there already');
    server.child.kill(signal);
    assert.equal(await server.ended, [0, null], signal);
    assert.not(socketsOf('one').some((one) => fs.existsSync(one)));
  }
  const killed = await serve('--machine', 'one');
  killed.child.kill('SIGKILL');
  await killed.ended;
  assert.ok(socketsOf('one').every((one) => fs.existsSync(one)));
  assert.is(portcullis('lspci', '--machine', 'one').code, 3);
  const next = await serve('--machine', 'one', '--time', 'real');
  assert.is(portcullis('xl', '--machine', 'one', 'list').code, 0);
  next.child.kill('SIGTERM');
  assert.equal(await next.ended, [0, null]);
});

if (findProgram('xenstore-ls') === undefined) {
  skipTest('the stock clients of XenStore see what xl does', 'no xenstore-ls here (Debian\'s package xenstore-utils)');
} else {
  test('the stock clients of XenStore see what xl does', async () => {
    const server = await serve('--machine', 'stock');
    try {
      const stock = (name: string, ...args: string[]): string => spawnSync(findProgram(`xenstore-${name}`) as string, args,
        { encoding: 'utf8', env: { ...env, XENSTORED_PATH: socketsOf('stock')[1] } }).stdout;
      stock('write', '/tool/mine', 'hello');
      assert.is(stock('read', '/tool/mine'), 'hello\n');
      assert.not.match(stock('ls', '-fp'), '/libxl/pci/0000-00-04-0/driver_path');
      portcullis('xl', '--machine', 'stock', 'pci-assignable-add', '00:04.0');
      assert.match(stock('ls', '-fp'), '/libxl/pci/0000-00-04-0/driver_path = "/sys/bus/pci/drivers/e1000"   (n0)\n');
    } finally {
      server.child.kill('SIGTERM');
    }
    assert.equal(await server.ended, [0, null]);
  });
}

test.after(() => fs.rmSync(folder, { recursive: true, force: true }));
test.run();
