// How fast is XenStore over its socket, compared with the C xenstored under the same stock client library?
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ask, atLeast, bench, fail, type Variant } from './harness';

const OUT = 'build/bench/xenstore';
const KINDS = ['read', 'write', 'directory', 'transaction'] as const;
/** Requests of a batch: some milliseconds. */
const BATCH = 400;
const WARM_UP = 2000;

function compile(source: string, out: string, ...flags: string[]): string {
  const program = path.resolve(OUT, out);
  const { status, stderr } = spawnSync('cc', ['-O2', '-Wall', '-Wextra', `bench/xenstore/${source}`, '-o', program, ...flags],
    { encoding: 'utf8' });
  if (status !== 0) fail(`bench/xenstore/${source} does not compile; it needs Debian's libxen-dev:\n${stderr}`);
  return program;
}

/** The stock daemon: Debian's xen-utils has it where no PATH looks. XENSTORED names another. */
function stockDaemon(): string | undefined {
  const named = process.env['XENSTORED'];
  if (named !== undefined) return named;
  const folders = fs.existsSync('/usr/lib') ? fs.readdirSync('/usr/lib').filter((name) => name.startsWith('xen-')) : [];
  return folders.map((name) => `/usr/lib/${name}/bin/xenstored`).find((file) => fs.existsSync(file));
}

function whyNot(): string | undefined {
  if (spawnSync('cc', ['--version']).status !== 0) return 'no C compiler (cc)';
  if (!fs.existsSync('/usr/include/xenstore.h')) return 'no xenstore.h (Debian: libxen-dev)';
  return stockDaemon() === undefined ? 'no xenstored (Debian: xen-utils-4.17; XENSTORED names one elsewhere)' : undefined;
}

async function appears(file: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (fs.existsSync(file)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  fail(`nobody listens on ${file}`);
}

const children: ChildProcess[] = [];

/** A stock client on a socket: each round sends a kind and a number, and reads a time. */
function client(program: string, socket: string): (kind: string, n: number) => Promise<number> {
  const child = spawn(program, { env: { ...process.env, XENSTORED_PATH: socket }, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (kind, n) => {
    child.stdin.write(`${kind} ${n}\n`);
    const { value, done } = await lines.next();
    return done ? fail('the client has ended') : Number(value);
  };
}

await bench('How fast is XenStore over its socket?', async () => {
  const reason = whyNot();
  if (reason !== undefined) {
    console.log(`SKIP xenstore: ${reason}`);
    return;
  }
  fs.mkdirSync(OUT, { recursive: true });
  const load = compile('load.c', 'load', '-lxenstore');
  const shim = compile('no-xen.c', 'no-xen.so', '-shared', '-fPIC', '-ldl');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-bench-'));
  try {
    const [ours, stock] = [path.join(folder, 'ours'), path.join(folder, 'socket')];
    children.push(spawn(process.execPath, ['build/cli.js', 'xenstored', '--socket', ours], { stdio: 'ignore' }));
    fs.writeFileSync(path.join(folder, 'page'), new Uint8Array(4096));
    fs.writeFileSync(path.join(folder, 'port'), '1');
    children.push(spawn(stockDaemon() as string, ['-N', '-R', '-F', path.join(folder, 'pid')], { stdio: 'ignore', env: {
      ...process.env, LD_PRELOAD: shim, XENSTORED_RUNDIR: folder,
      XENSTORED_PAGE: path.join(folder, 'page'), XENSTORED_PORT: path.join(folder, 'port'),
    } }));
    await appears(ours);
    await appears(stock);
    const [mine, theirs] = [client(load, ours), client(load, stock)];
    // our daemon is compiled as it runs
    for (const kind of KINDS) for (const one of [mine, theirs]) await one(kind, WARM_UP);
    for (const kind of KINDS) {
      const one = (name: string, rounds: typeof mine): Variant => ({ name, round: (n) => rounds(kind, n) });
      await ask([{ name: kind, as: 'speed', ours: one('ours', mine), baseline: one('C xenstored', theirs),
        target: atLeast(0.5, 'C xenstored') }], { batch: BATCH });
    }
  } finally {
    for (const child of children) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
