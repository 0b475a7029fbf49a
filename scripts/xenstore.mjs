// What stock clients of XenStore make of our store, on a UNIX socket.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './files.mjs';
import { run } from './run.mjs';

const TIMEOUT = 20;
/** Where Debian's python3-pyxs puts its module; /usr/bin/python3 finds it there. */
export const PYXS = '/usr/lib/python3/dist-packages/pyxs/__init__.py';

/** Gives `work` the path of a socket with an empty store behind it. */
async function withStore(work) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-xs-'));
  const socket = path.join(folder, 'socket');
  const server = spawn(process.execPath, [path.join(root, 'build/cli.js'), 'xenstored', '--socket', socket]);
  const ended = once(server, 'exit');
  try {
    let said = '';
    server.stderr.on('data', (text) => { said += text; });
    const isUp = await Promise.race([once(server.stdout, 'data').then(() => true), ended.then(() => false)]);
    if (!isUp) throw new Error(`the store does not start: ${said}`);
    await work(socket, folder);
    server.kill('SIGTERM');
    const [code] = await ended;
    if (code !== 0) throw new Error(`the store ended with exit code ${code}: ${said}`);
  } finally {
    server.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function compare(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: it says\n${found}\nand not\n${wanted}`);
}

/** `program` is xenstore-read; the others lie beside it. */
export function checkTools(program) {
  return withStore(async (socket, folder) => {
    const tool = async (name, args, code = 0, env = { XENSTORED_PATH: socket }) => {
      const command = path.join(path.dirname(program), `xenstore-${name}`);
      const result = await run(command, args, { timeout: TIMEOUT, env });
      if (result.code !== code) {
        throw new Error(`xenstore-${name} ${args.join(' ')}: exit code ${result.code}, not ${code}\n${result.output}`);
      }
      return result.output;
    };
    const expect = async (name, args, wanted, code, env) =>
      compare(`xenstore-${name} ${args.join(' ')}`, await tool(name, args, code, env), wanted);

    await expect('write', ['/hello', 'world'], '');
    await expect('read', ['/hello'], 'world\n');
    await expect('read', ['hello'], "xenstore-read: couldn't read path hello\n", 1);
    // Two at once go by a transaction; a relative path is domain 0's.
    await expect('write', ['name', 'Domain-0', 'a/b', 'deep'], '');
    await expect('read', ['name', '/local/domain/0/a/b'], 'Domain-0\ndeep\n');
    await expect('read', ['/hello'], 'world\n', 0, { XENSTORED_RUNDIR: folder });
    await expect('exists', ['/hello'], '');
    await expect('exists', ['/goodbye'], '', 1);
    await expect('chmod', ['/hello', 'n0', 'r1', 'b2'], '');
    await expect('chmod', ['-r', '/local', 'r0'], '');
    await expect('list', ['/'], 'tool\nhello\nlocal\n');
    await expect('list', ['/hello'], '');
    await expect('ls', ['-f', '-p', '/'], [
      '/tool = ""   (n0)', '/tool/xenstored = ""   (n0)', '/hello = "world"   (n0,r1,b2)', '/local = ""   (r0)',
      '/local/domain = ""   (r0)', '/local/domain/0 = ""   (r0)', '/local/domain/0/name = "Domain-0"   (r0)',
      '/local/domain/0/a = ""   (r0)', '/local/domain/0/a/b = "deep"   (r0)', '',
    ].join('\n'));
    await expect('rm', ['/hello'], '');
    await expect('rm', ['/hello'], '');
    await expect('rm', ['-t', '/local/domain/0/a/b'], '');
    await expect('exists', ['/local/domain/0/a'], '', 1);
    await expect('rm', ['/no/such'], 'xenstore-rm: could not remove path /no/such\n', 1);

    // More children than one message holds.
    const names = Array.from({ length: 700 }, (_, i) => `child-${i}`);
    for (let at = 0; at < names.length; at += 100) {
      await tool('write', names.slice(at, at + 100).flatMap((name) => [`/many/${name}`, name]));
    }
    await expect('list', ['/many'], `${names.join('\n')}\n`);

    // A watch while others write, several at once; each pair is a transaction that may have to be done again.
    const watching = tool('watch', ['-n', '9', '/shared']);
    // The first event says that the watch is set, but where it is printed only to us: others see the connection only.
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    const ids = Array.from({ length: 8 }, (_, i) => i);
    await Promise.all(ids.map((i) => tool('write', [`/shared/${i}`, 'one', `/shared/${i}/x`, 'two'])));
    const events = (await watching).trimEnd().split('\n');
    if (events[0] !== '/shared' || events.length !== 9 || !events.every((event) => event.startsWith('/shared'))) {
      throw new Error(`xenstore-watch prints\n${events.join('\n')}`);
    }
    await expect('read', ids.map((i) => `/shared/${i}/x`), 'two\n'.repeat(8));
  });
}

const SCRIPT = `
import sys, pyxs
def same(a, b):
    if a != b: sys.exit('%r is not %r' % (a, b))
one = pyxs.Client(unix_socket_path=sys.argv[1]); one.connect()
two = pyxs.Client(unix_socket_path=sys.argv[1]); two.connect()
one[b'/py'] = b'1'
same(two[b'/py'], b'1')
same(two.list(b'/'), [b'tool', b'py'])
same(two.get_perms(b'/py'), [b'n0'])
two.set_perms(b'/py', [b'b0', b'r7'])
same(one.get_perms(b'/py'), [b'b0', b'r7'])
same(one.get_domain_path(7), b'/local/domain/7')
same(one.is_domain_introduced(7), False)
one.introduce_domain(7, 1, 1)
same(two.is_domain_introduced(7), True)
# release_domain() itself only asks on a Xen host.
one.ack(pyxs._internal.Op.RELEASE, b'7\\0')
same(two.is_domain_introduced(7), False)
monitor = one.monitor()
monitor.watch(b'/py', b'token')
events = monitor.wait()
same(tuple(next(events)), (b'/py', b'token'))
two.transaction()
two[b'/py/a'] = b'2'
same(one.exists(b'/py/a'), False)
two.commit()
same(tuple(next(events)), (b'/py/a', b'token'))
two.transaction()
two.read(b'/py')
one[b'/py'] = b'3'
same(two.commit(), False)
for path, number in ((b'/none', 2), (b'/py/', 22)):
    try:
        one.read(path)
        sys.exit('%r can be read' % path)
    except (pyxs.PyXSError, pyxs.exceptions.InvalidPath) as error:
        if error.args[0] not in (number, path): raise
same(one[b'/py/a'], b'2')
one.delete(b'/py')
same(two.exists(b'/py'), False)
one.close(); two.close()
`;

/** `python` is one that has the module pyxs. */
export function checkPyxs(python) {
  return withStore(async (socket) => {
    const { code, output } = await run(python, ['-c', SCRIPT, socket], { timeout: TIMEOUT });
    if (code !== 0) throw new Error(`pyxs ends with exit code ${code}:\n${output.slice(-2000)}`);
  });
}
