// Users' modules as guests: what they can do, and that what they must not do ends their domain and nothing else.
import fs from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../scripts/files.mjs';
import { difference, Machine, xlFiles } from '../../src/index';
import type { MachineHost } from '../../src/index';
import { threadHost } from '../../src/cli/modules/thread-host';

// long: no judge of a module that means well; short: for those that never call again
const [PATIENT, IMPATIENT] = [threadHost({ budget: 100_000, startUp: 100_000 }), threadHost({ budget: 400, startUp: 100_000 })];

async function machineFor(modules: MachineHost['modules']): Promise<Machine> {
  return Machine.create({
    memory: '64MiB', dom0: { memory: '8MiB' }, iommu: 'vtd',
    devices: [{ model: 'edu', bdf: '0000:00:06.0' }, { model: 'e1000', bdf: '0000:00:04.0' }],
  }, modules === undefined ? {} : { modules });
}

/** Creates a domain that runs a module; `more`: further settings. */
function create(machine: Machine, name: string, text: string, ...more: string[]): void {
  const settings = [`name = "${name}"`, 'memory = 4', 'kernel = "./it.mjs"', ...more];
  const { code, stderr } = machine.xl(['create', '-q', 'it.cfg'], new Map([['it.cfg', settings.join('\n')], ['./it.mjs', text]]));
  assert.is(code, 0, stderr);
}

const linesOf = (machine: Machine, name: string): string[] => machine.xl(['console', name]).stdout.split('\n').filter((line) => line !== '');

const api = suite('the API of a guest\'s module');

api('the example finds edu, computes and sends a page through it', async () => {
  const machine = await machineFor(PATIENT);
  machine.xl(['pci-assignable-add', '00:06.0']);
  create(machine, 'mine', fs.readFileSync(path.join(root, 'examples/my-guest.mjs'), 'utf8'), 'pci = ["00:06.0"]');
  machine.run(3e9);
  const lines = linesOf(machine, 'mine').slice(-4);
  assert.equal(lines, ['edu is at 0000:00:00.0', '10! = 3628800', 'a page to the device and back: the same', 'module: done']);
  assert.is(machine.xl(['shutdown', '-w', 'mine']).code, 0);
  assert.not.match(machine.xl(['list']).stdout, 'mine');
});

api('two of them talk: a page granted, an event channel, the store between them', async () => {
  const machine = await machineFor(PATIENT);
  create(machine, 'giver', `export default async function* main(guest) {
    guest.xenstore.watch('data/answer');
    guest.wait(1e9);
    const page = guest.allocPages(1);
    guest.write(page, Uint8Array.of(1, 2, 3));
    const ref = guest.grants.grant(page, guest.domid + 1);
    const port = guest.events.allocUnbound(guest.domid + 1);
    guest.xenstore.transaction((inside) => { inside.write('data/ref', ref); inside.write('data/port', port); });
    yield;
    const woken = guest.wait(60e9, [port]);
    guest.log(JSON.stringify([woken.port === port, [...guest.read(page, 4)]]));
    guest.events.close(port);
    guest.grants.end(ref);
    guest.freePage(page);
  }`);
  const giver = machine.xen.domains().find(({ name }) => name === 'giver')?.domid as number;
  machine.run(1e9);
  const of = (leaf: string): string => machine.xl(['list']).code === 0 ? new TextDecoder().decode(machine.xen.kernel.store.readBytes(`/local/domain/${giver}/data/${leaf}`)) : '';
  create(machine, 'taker', `export default (guest) => {
    const [domid, ref, port] = guest.commandLine.split(' ').map(Number);
    const va = guest.grants.map(domid, ref);
    guest.log(String([...guest.read(va, 4)]));
    guest.store(va + 3, 1, 4);
    guest.grants.unmap(va);
    guest.log(String(guest.load(va, 1)));
    guest.events.send(guest.events.bind(domid, port));
  };`, `extra = "${giver} ${of('ref')} ${of('port')}"`);
  machine.run(1e9);
  assert.equal(linesOf(machine, 'taker'), ['1,2,3,0', '255', 'module: done']);
  assert.equal(linesOf(machine, 'giver'), ['[true,[1,2,3,4]]', 'module: done']);
});

api('what is refused has a code, and calls that none could make are refused', async () => {
  const machine = await machineFor(PATIENT);
  create(machine, 'odd', `export default (guest) => {
    const code = (work) => { try { work(); return 'done'; } catch (error) { return error.code ?? error.name; } };
    guest.log([
      () => guest.xenstore.read('data/nothing'), () => guest.xenstore.write('/local/domain/0/name', 'x'),
      () => guest.xenstore.read('a\\0b'), () => guest.load(-1, 4), () => guest.load(0, 3), () => guest.load('0', 4), () => guest.store(0, 4, 2 ** 40),
      () => guest.read(0, 1e9), () => guest.write(0, { length: 5000 }), () => guest.allocPages(1e6), () => guest.allocPages(512) && guest.allocPages(512),
      () => guest.freePage(0x3ff000), () => guest.iounmap(0), () => guest.ioremap(0xfeb00000, 4096), () => guest.events.send(4000),
      () => guest.events.bind(0, 1), () => guest.grants.map(0, 8), () => guest.grants.grant(0, 0), () => guest.grants.end(1),
      () => guest.pci.read(0, 0, 4), () => guest.pci.enableMsi(7), () => guest.wait(-1), () => guest.wait(NaN), () => guest.wait(0, ['x']),
      () => guest.xenstore.transaction(() => { throw new TypeError('mine'); }), () => guest.xenstore.unwatch('a'), () => guest.machineAddress(2 ** 39),
    ].map(code).join(' '));
    guest.log(String([guest.in(0xcfc, 4), guest.load(0xfffff000, 4)]));
  };`);
  machine.run(1e9);
  assert.equal(linesOf(machine, 'odd'), ['ENOENT EACCES BAD_CALL BAD_CALL BAD_CALL BAD_CALL BAD_CALL BAD_CALL BAD_CALL BAD_CALL GUEST_MEMORY '
    + 'BAD_CALL BAD_CALL EPERM EINVAL EINVAL GRANT BAD_CALL BAD_CALL ENODEV ENODEV BAD_CALL BAD_CALL BAD_CALL '
    + 'TypeError BAD_CALL GUEST_MEMORY', '4294967295,4294967295', 'module: done']);
});

api('two runs are equal, however fast the thread is', async () => {
  const text = `export default (guest) => {
    for (let i = 0; i < 100; i++) { if (i % 10 === 0) for (let n = 0; n < Math.random() * 1e7; n++); guest.store(guest.allocPages(1), 4, i); }
    guest.log(String(guest.now()));
    guest.wait(12345);
    guest.log(String(guest.now()));
  };`;
  const runs = [];
  for (let run = 0; run < 2; run++) {
    const machine = await machineFor(PATIENT);
    create(machine, 'timed', text);
    machine.run(1e9);
    runs.push([...linesOf(machine, 'timed'), machine.digest()]);
  }
  assert.equal(runs[0], runs[1]);
});

api.run();

const hostile = suite('a module that does what it must not');

/** It crashes for the reason, its domain goes, and everything else is as it was. */
async function crashes(text: string, why: RegExp, modules = PATIENT): Promise<void> {
  const machine = await machineFor(modules);
  create(machine, 'other', 'export default (guest) => { for (;;) guest.wait(1e8); };');
  machine.run(1e9);
  const before = JSON.stringify(machine.digest());
  create(machine, 'bad', text, 'on_crash = "preserve"');
  machine.run(5e9);
  assert.match(machine.xl(['list', 'bad']).stdout, /bad +2 +4 +1     ---sc-|bad +2 +4 +1     r--sc-|sc-/);
  assert.match(linesOf(machine, 'bad').at(-1) as string, why);
  assert.match(machine.xl(['dmesg']).stdout, /d2 crashes: module: /);
  assert.match(machine.xl(['list', 'other']).stdout, / r-----  | -----  /);
  assert.is(machine.xl(['destroy', 'bad']).code, 0);
  machine.run(1e9);
  assert.is(JSON.stringify(machine.digest()), before, 'nothing of it is left');
  machine.xl(['destroy', 'other']);
}

const silent = /^the domain crashes: module: it made no call for 400 ms/;

for (const [what, text, why, host] of [
  ['throws', 'export default () => { throw new RangeError("mine"); };', /it threw RangeError: mine$/, PATIENT],
  ['throws later', 'export default async (guest) => { guest.wait(1e9); await null; throw "a word"; };', /it threw a word$/, PATIENT],
  ['throws what has no words', 'export default () => { throw { toString() { throw 1; } }; };', silent, IMPATIENT],
  ['has no main', 'export const x = 1;', /it threw TypeError: the module has no function as its default export$/, PATIENT],
  ['is no module', 'export default {', /it threw SyntaxError: /, PATIENT],
  ['imports what is not there', 'import "./else.mjs"; export default () => {};', /it threw TypeError: /, PATIENT],
  ['runs in circles', 'export default () => { for (;;); };', silent, IMPATIENT],
  ['runs in circles as it is loaded', 'for (;;);', silent, IMPATIENT],
  ['waits for nothing', 'export default () => new Promise(() => {});', silent, IMPATIENT],
  ['exits', 'export default () => process.exit(0);', silent, IMPATIENT],
  ['takes all memory', 'export default () => { const all = []; for (;;) all.push(new Array(100000).fill(all.length)); };', silent, IMPATIENT],
  ['sends calls that are none', `import { workerData } from 'node:worker_threads'; export default () => {
    const words = new Int32Array(workerData.shared); words[1] = 9; new Uint8Array(workerData.shared).fill(255, 8, 17);
    Atomics.store(words, 0, 1); Atomics.notify(words, 0); for (;;); };`, /what it sends is no call$/, PATIENT],
  ['sends calls of impossible length', `import { workerData } from 'node:worker_threads'; export default () => {
    const words = new Int32Array(workerData.shared); words[1] = -5; Atomics.store(words, 0, 1); Atomics.notify(words, 0); for (;;); };`,
  /what it sends is no call$/, PATIENT],
  ['floods its parent', `import { parentPort } from 'node:worker_threads'; export default () => {
    for (let i = 0; i < 1000; i++) { parentPort.postMessage({ i }); console.log(i); } for (;;); };`, silent, IMPATIENT],
] as const) hostile(what, () => crashes(text, why, host));

/** With edu assigned; whatever it does to itself, its device comes back and nothing is left. */
async function ruins(text: string): Promise<void> {
  const machine = await machineFor(PATIENT);
  machine.xl(['pci-assignable-add', '00:06.0']);
  // where a message went stays in the device, as on hardware
  create(machine, 'first', 'export default (guest) => { guest.wait(1e9); guest.pci.enableMsi(0); };', 'pci = ["00:06.0"]');
  machine.run(2e9);
  machine.xl(['destroy', 'first']);
  machine.run(60e9);
  const before = machine.digest();
  create(machine, 'ruin', text, 'pci = ["00:06.0"]', 'on_crash = "preserve"');
  machine.run(20e9);
  machine.xl(['pci-detach', 'ruin', '00:06.0']);
  machine.xl(['destroy', 'ruin']);
  machine.run(60e9);
  assert.equal(difference(before, machine.digest()), []);
  create(machine, 'next', 'export default (guest) => { while (guest.pci.devices().length === 0) guest.wait(1e8); };', 'pci = ["00:06.0"]');
  machine.run(3e9);
  assert.is(linesOf(machine, 'next').at(-1), 'module: done');
}

hostile('closes every event channel, its kernel\'s too', () => ruins(`export default (guest) => {
  guest.wait(1e9);
  for (let port = 1; port < 64; port++) { try { guest.events.close(port); } catch { } }
  try { guest.pci.read(0, 0, 4); } catch { }
}`));

hostile('writes over all its memory', () => ruins(`export default (guest) => {
  guest.wait(1e9);
  for (let page = 0; page < 1024; page++) guest.write(page * 4096, new Uint8Array(4096).fill(255));
  try { guest.pci.read(0, 0, 4); guest.pci.enableMsi(0); } catch { }
}`));

hostile('takes its front end\'s nodes away', () => ruins(`export default (guest) => {
  guest.wait(1e9);
  guest.xenstore.watch('device');
  for (const path of ['device/pci/0/state', 'device/pci/0', 'device', 'control', 'memory']) { try { guest.xenstore.remove(path); } catch { } }
  for (let i = 0; i < 10; i++) { try { guest.xenstore.write('device/pci/0/state', String(i)); } catch { } guest.wait(1e6); }
}`));

for (const seed of [1, 2, 3]) {
  hostile(`calls everything with anything, ${seed}`, () => ruins(`export default (guest) => {
    let state = ${seed};
    const below = (n) => { state = Math.imul(state, 1664525) + 1013904223 >>> 0; return Math.floor(state / 2 ** 32 * n); };
    const all = [];
    const gather = (object) => { for (const [name, one] of Object.entries(object)) {
      if (typeof one === 'function') { if (name !== 'wait') all.push(one); } else if (typeof one === 'object') gather(one); } };
    gather(guest);
    const given = [0, 1, 2, 4];
    const anything = () => [
      () => below(16), () => below(2 ** 32), () => -below(9), () => given[below(given.length)], () => given[below(given.length)], () => [1, 2, 4][below(3)],
      () => 'device/pci/0/state', () => 'data', () => ({}), () => null, () => Uint8Array.of(1, 2, 3), () => 2 ** 50, () => NaN, () => 4096 * below(1100),
    ][below(14)]();
    for (let i = 0; i < 3000; i++) {
      try {
        const result = all[below(all.length)](anything(), anything(), anything(), anything());
        if (typeof result === 'number') given.push(result);
        if (given.length > 64) given.splice(4, 1);
      } catch { }
      if (i % 100 === 0) guest.wait(below(1e7));
    }
  }`));
}

hostile('only calls, for ever: time passes for all the others, and it is ended as any domain', async () => {
  const machine = await machineFor(PATIENT);
  create(machine, 'flood', 'export default (guest) => { for (;;) guest.log("x".repeat(5000)); };');
  const from = machine.xen.scheduler.now;
  machine.run(1e8);
  assert.ok(machine.xen.scheduler.now >= from + 1e8);
  assert.ok(linesOf(machine, 'flood').length <= 4096);
  assert.is(machine.xl(['pause', 'flood']).code, 0);
  machine.run(10e9);
  assert.is(machine.xl(['destroy', 'flood']).code, 0);
  assert.equal(machine.xen.scheduler.jobs().filter(({ domid }) => domid !== 0), []);
});

hostile('that is restarted when it crashes does not keep the machine from anything', async () => {
  const machine = await machineFor(PATIENT);
  create(machine, 'again', 'export default () => { throw 1; };', 'on_crash = "restart"');
  machine.run(20e9);
  const lives = machine.xen.xl.log.filter((line) => line.endsWith('has shut down, reason code crash')).length;
  assert.ok(lives >= 5 && lives <= 11, `${lives} lives in 20 s, each 2 s after the last`);
  assert.match(machine.xl(['list']).stdout, 'Domain-0');
});

hostile.run();

const files = suite('where the text comes from');

files('xlFiles names the file that a config has as its kernel, once it has the config', () => {
  const texts = new Map([['a.cfg', 'name = "a"\nkernel = "./my.mjs"\n'], ['b.cfg', 'kernel = "builtin:edu"'], ['c.cfg', 'kernel = [']]);
  assert.equal(xlFiles(['create', 'a.cfg']), ['a.cfg']);
  assert.equal(xlFiles(['create', 'a.cfg'], texts), ['a.cfg', './my.mjs']);
  assert.equal(xlFiles(['create', 'a.cfg', 'kernel="other.js"'], texts), ['a.cfg', 'other.js']);
  assert.equal(xlFiles(['create', 'b.cfg'], texts), ['b.cfg']);
  assert.equal(xlFiles(['create', 'c.cfg'], texts), ['c.cfg']);
  assert.equal(xlFiles(['create', 'name="a"', 'kernel="x.mjs"']), ['x.mjs']);
});

files('a machine without threads, a text that did not come, one that is too long, and what is no module are refused', async () => {
  const refusal = (machine: Machine, kernel: string, texts: Array<[string, string]> = []): string => {
    const { code, stderr } = machine.xl(['create', '-q', 'name="a"', 'memory=4', `kernel="${kernel}"`], new Map(texts));
    assert.is(code, 6, stderr);
    return stderr;
  };
  assert.match(refusal(await machineFor(undefined), './a.mjs', [['./a.mjs', '']]), 'gave it nothing to run modules with');
  const machine = await machineFor(PATIENT);
  assert.match(refusal(machine, './a.mjs'), 'the text of the module "./a.mjs" did not come with the command');
  assert.match(refusal(machine, './a.mjs', [['./a.mjs', ' '.repeat((1 << 20) + 1)]]), '1048576 are taken');
  assert.match(refusal(machine, 'vmlinuz', [['vmlinuz', '']]), 'modules of yours, in files that end in .mjs or .js');
});

files.run();
