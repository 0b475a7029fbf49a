// What the stock clients of XenStore make of a machine that is being served, at every stage of a device's life in a guest.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { root } from './files.mjs';
import { run } from './run.mjs';

const TIMEOUT = 20;
const CLI = path.join(root, 'build/cli.js');

/** A served machine: `socket` of its store, and `portcullis(...args)`, which throws if the exit code is another than 0. */
async function withMachine(work) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-xs-'));
  const env = { XDG_RUNTIME_DIR: folder, PORTCULLIS_MACHINE: '' };
  const server = spawn(process.execPath, [CLI, 'serve'], { env: { ...process.env, ...env } });
  const ended = once(server, 'exit');
  try {
    let said = '';
    server.stderr.on('data', (text) => { said += text; });
    const isUp = await Promise.race([once(server.stdout, 'data').then(() => true), ended.then(() => false)]);
    if (!isUp) throw new Error(`the machine does not start: ${said}`);
    const portcullis = async (...args) => {
      const { code, output } = await run(process.execPath, [CLI, ...args], { timeout: TIMEOUT, env });
      if (code !== 0) throw new Error(`portcullis ${args.join(' ')}: exit code ${code}\n${output}`);
    };
    await work({ socket: path.join(folder, 'portcullis/default/xenstored'), portcullis });
    server.kill('SIGTERM');
    const [code] = await ended;
    if (code !== 0 || said !== '') throw new Error(`the server ended with exit code ${code}: ${said}`);
  } finally {
    server.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const BACK = '/local/domain/0/backend/pci/1/0';
const FRONT = '/local/domain/1/device/pci/0';
const LIBXL = '/libxl/pci/0000-00-04-0';
const CONFIG = ['name="guest"', 'memory=16', 'kernel="builtin:e1000"', 'pci=["00:04.0"]'];
/**
 * What is there of the device and the guest at each stage (`there`: values and rights; `absent`: paths), how to get there,
 * and a node that changes on the way.
 */
const STAGES = [
  {
    name: 'before', steps: [], watched: '/tool/of-mine/before', there: { '/local/domain/0/name': ['Domain-0', 'n0'] }, absent: [LIBXL, '/local/domain/1'],
  },
  {
    name: 'assignable', steps: [['xl', 'pci-assignable-add', '00:04.0']], watched: LIBXL,
    there: { [`${LIBXL}/driver_path`]: ['/sys/bus/pci/drivers/e1000', 'n0'] }, absent: [`${LIBXL}/domid`, '/local/domain/1'],
  },
  {
    name: 'created', steps: [['xl', 'create', '/dev/null', ...CONFIG]], watched: FRONT,
    there: {
      [`${LIBXL}/domid`]: ['1', 'n0'], [`${BACK}/state`]: ['4', 'n0,r1'], [`${BACK}/dev-0`]: ['0000:00:04.0', 'n0,r1'],
      [`${BACK}/vdev-0`]: ['0000:00:00.00', 'n0,r1'], [`${BACK}/num_devs`]: ['1', 'n0,r1'], [`${FRONT}/state`]: ['4', 'n1,r0'],
      [`${FRONT}/magic`]: ['7', 'n1,r0'],
    },
    absent: [`${BACK}/dev-1`],
  },
  {
    name: 'attached', steps: [['xl', 'pci-assignable-add', '00:06.0'], ['xl', 'pci-attach', 'guest', '00:06.0']], watched: BACK,
    there: {
      [`${BACK}/state`]: ['4', 'n0,r1'], [`${BACK}/dev-1`]: ['0000:00:06.0', 'n0,r1'], [`${BACK}/num_devs`]: ['2', 'n0,r1'],
    },
    absent: [`${BACK}/dev-2`],
  },
  {
    name: 'detached', steps: [['xl', 'pci-detach', 'guest', '00:04.0']], watched: BACK,
    there: {
      [`${BACK}/dev-0`]: ['0000:00:06.0', 'n0,r1'], [`${BACK}/vdev-0`]: ['0000:00:01.00', 'n0,r1'],
      [`${BACK}/num_devs`]: ['1', 'n0,r1'],
    },
    absent: [`${BACK}/dev-1`, `${LIBXL}/domid`],
  },
  {
    name: 'destroyed', steps: [['xl', 'destroy', 'guest']], watched: '/libxl/pci/0000-00-06-0',
    there: { '/local/domain/0/domid': ['0', 'n0'] },
    absent: ['/local/domain/1', BACK, '/libxl/1', `${LIBXL}/domid`],
  },
];

function same(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: it says\n${found}\nand not\n${wanted}`);
}

/** The tools as functions: `tool('read', [path])` gives what it prints; another exit code than `code` throws. */
function toolsOf(program, socket) {
  return async (name, args, code = 0) => {
    const command = path.join(path.dirname(program), `xenstore-${name}`);
    const result = await run(command, args, { timeout: TIMEOUT, env: { XENSTORED_PATH: socket } });
    if (result.code === code) return result.output;
    throw new Error(`xenstore-${name} ${args.join(' ')}: exit code ${result.code}, not ${code}\n${result.output}`);
  };
}

/** What the stage has made, as reading tools see it. */
async function checkTree(tool, { there, absent }) {
  const tree = new Set((await tool('ls', ['-fp'])).split('\n'));
  for (const [node, [value, rights]] of Object.entries(there)) {
    const line = `${node} = "${value}"   (${rights})`;
    if (!tree.has(line)) throw new Error(`xenstore-ls -fp has no line ${line}`);
    same(`xenstore-read ${node}`, await tool('read', [node]), `${value}\n`);
    await tool('exists', [node]);
    const names = (await tool('list', [path.dirname(node)])).split('\n');
    if (!names.includes(path.basename(node))) throw new Error(`xenstore-list does not list ${node}`);
  }
  for (const node of absent) {
    await tool('exists', [node], 1);
    if ([...tree].some((line) => line.startsWith(`${node} `))) throw new Error(`xenstore-ls -fp has ${node}`);
  }
}

/** Those that write, beside what the machine does. */
async function checkChanges(tool, stage) {
  const node = `/tool/of-mine/${stage}`;
  await tool('write', [node, 'one', `${node}/below`, 'two']);
  same(`xenstore-read ${node}`, await tool('read', [node, `${node}/below`]), 'one\ntwo\n');
  await tool('chmod', [node, 'n0', 'r1']);
  const line = `${node} = "one"   (n0,r1)\n`;
  if (!(await tool('ls', ['-fp', '/tool'])).includes(line)) throw new Error(`xenstore-ls -fp /tool has no line ${line}`);
  await tool('rm', [node]);
  await tool('exists', [`${node}/below`], 1);
}

/** `program` is xenstore-read; the others lie beside it. */
export function checkServedTools(program) {
  return withMachine(async ({ socket, portcullis }) => {
    const tool = toolsOf(program, socket);
    for (const { name, steps, watched, ...stage } of STAGES) {
      const watching = tool('watch', ['-n', '2', watched]);
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      for (const step of steps) await portcullis(...step);
      try {
        await checkTree(tool, stage);
        await Promise.all([checkChanges(tool, name), ...[1, 2, 3].map((i) => checkChanges(tool, `${name}-${i}`))]);
        const events = (await watching).trimEnd().split('\n');
        if (events[0] !== watched || !events.every((event) => event.startsWith(watched))) {
          throw new Error(`xenstore-watch prints\n${events.join('\n')}`);
        }
      } catch (error) {
        throw new Error(`${name}: ${error.message}`, { cause: error });
      }
    }
  });
}

/** Sends the bytes, and ends the connection without a word when they are on their way. */
function dieAfter(socket, bytes) {
  return new Promise((resolve) => {
    const client = net.connect(socket, () => client.write(bytes, () => client.destroy()));
    client.on('error', () => undefined);
    client.on('close', resolve);
  });
}

/** A message of the store: type, request, transaction, payload. */
function message(type, tx, payload, length = payload.length) {
  const header = Buffer.alloc(16);
  [type, 1, tx, length].forEach((word, i) => header.writeUInt32LE(word >>> 0, 4 * i));
  return Buffer.concat([header, Buffer.from(payload)]);
}

/** Clients that die in the middle of everything, and send what is no message: a guest and another client notice nothing. */
export function checkBadClients(program) {
  return withMachine(async ({ socket, portcullis }) => {
    const tool = toolsOf(program, socket);
    await portcullis('xl', 'pci-assignable-add', '00:04.0');
    const garbage = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919 + (i >> 3)) & 0xff));
    const bad = [
      Buffer.alloc(7), message(2, 0, '/local\0').subarray(0, 20), message(11, 0, '/tool/half\0val', 4000),
      message(2, 0, 'x', 0xffffffff), garbage, message(6, 0, '\0'), message(4, 0, '/tool\0token\0'),
      Buffer.concat([message(6, 0, '\0'), message(11, 1, '/tool/never\0seen')]), message(250, 0, '\0'), message(11, 0, '\0\0\0'),
    ];
    const all = async () => { for (const bytes of bad) await dieAfter(socket, bytes); };
    await Promise.all([
      all(), all(),
      checkChanges(tool, 'meanwhile'),
      portcullis('xl', 'create', '/dev/null', ...CONFIG).then(() => all())
        .then(() => portcullis('xl', 'pci-detach', 'guest', '00:04.0')),
    ]);
    await tool('exists', ['/tool/never'], 1);
    await tool('exists', ['/tool/half'], 1);
    await portcullis('xl', 'pci-attach', 'guest', '00:04.0');
    await checkTree(tool, STAGES.find(({ name }) => name === 'created'));
  });
}

const SCRIPT = `
import sys, pyxs
with pyxs.Client(unix_socket_path=sys.argv[1]) as one:
    tree = dict((part.split('=', 1) for part in sys.argv[3:]))
    for path, value in tree.items():
        found = one.read(path.encode()).decode()
        if found != value: sys.exit('%s is %r, not %r' % (path, found, value))
        if path.rsplit('/', 1)[1].encode() not in one.list(path.rsplit('/', 1)[0].encode()): sys.exit('%s is not listed' % path)
    mine = b'/tool/py-' + sys.argv[2].encode()
    monitor = one.monitor()
    monitor.watch(mine, b'token')
    events = monitor.wait()
    next(events)
    one[mine] = b'1'
    if tuple(next(events)) != (mine, b'token'): sys.exit('no event')
    one.transaction()
    one[mine] = b'2'
    one.commit()
    if one[mine] != b'2': sys.exit('the transaction is lost')
    one.set_perms(mine, [b'n0', b'r1'])
    if one.get_perms(mine) != [b'n0', b'r1']: sys.exit('other rights')
    one.delete(mine)
    if one.exists(mine): sys.exit('it is still there')
`;

/** `python` is one that has the module pyxs. */
export function checkServedPyxs(python) {
  return withMachine(async ({ socket, portcullis }) => {
    for (const { name, steps, there } of STAGES) {
      for (const step of steps) await portcullis(...step);
      const nodes = Object.entries(there).map(([node, [value]]) => `${node}=${value}`);
      const { code, output } = await run(python, ['-c', SCRIPT, socket, name, ...nodes], { timeout: TIMEOUT });
      if (code !== 0) throw new Error(`${name}: pyxs ends with exit code ${code}:\n${output.slice(-2000)}`);
    }
  });
}
