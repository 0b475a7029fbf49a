// xl with the real pciback and pcifront at the other ends.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../../src/engine/index';
import { difference } from '../../../src/machine/digest';
import type { Job } from '../../../src/xen/schedule/scheduler';
import { XenstoreClient } from '../../../src/xen/xenstore/client';
import { dumpStore } from '../../../src/xen/xenstore/dump';
import { guestConfig } from '../../helpers/toolstack';
import { type XlMachine, xlMachine } from '../../helpers/xl-machine';

const test = suite('xl on a whole machine');

const BDFS = ['00:04.0', '00:05.0', '00:06.0'];
const BACK = '/local/domain/0/backend/pci/1/0';

async function assignable(...args: Parameters<typeof xlMachine>): Promise<XlMachine> {
  const one = await xlMachine(...args);
  for (const bdf of BDFS) {
    const added = one.run('pci-assignable-add', bdf);
    assert.is(added.code, 0, added.stderr);
  }
  one.trace.take();
  return one;
}

const pass = (one: XlMachine, ns: number): void => one.machine.xen.scheduler.pass(ns);
const domids = (one: XlMachine): number[] => one.machine.hypervisor.domains.map(({ domid }) => domid);
const owners = (one: XlMachine): Array<number | undefined> => one.seized().map(({ owner }) => owner);

test('create, plug, unplug, destroy: the states of both ends, and what the guest finds', async () => {
  const one = await assignable();
  assert.is(one.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:05.0 \n0000:00:06.0 \n');
  const store = new XenstoreClient(one.machine.xen.store);
  const { receive } = one.machine.xen.store;
  const ends: number[] = [];
  one.machine.xen.store.receive = function spied(connection, bytes) {
    // of those transactions that somebody gives to another process, EAGAIN comes at the end alone
    const before = connection.transactions.size;
    receive.call(this, connection, bytes);
    if (bytes[0] === 7 && connection.domid === 0) ends.push(before);
  };
  const made = one.create(guestConfig(['00:04.0', '00:06.0']));
  one.machine.xen.store.receive = receive;
  assert.is(made.code, 0, made.stderr);
  pass(one, 1e6);
  assert.is(one.trace.states(), 'B1 F1 B2 B3 F3 B4 F4');
  // the tree, the console, two devices, the second again, and pciback's 1 to 2 and 2 to 3
  assert.is(ends.length, 4 + 1 + 2);
  assert.equal(one.kernel(1)?.front?.devices.map(({ name }) => name), ['0000:00:00.0', '0000:00:01.0']);
  assert.is(store.read(`${BACK}/vdev-1`), '0000:00:01.00');
  assert.is(one.run('pci-attach', 'guest', '00:05.0').code, 0);
  pass(one, 1e6);
  assert.is(one.trace.states(), 'B7 F7 B8 F4 B4');
  assert.is(one.run('pci-detach', 'guest', '00:04.0').code, 0);
  assert.is(one.trace.states(), 'B7 F7 B8 F4 B4');
  assert.equal(one.kernel(1)?.front?.devices.map(({ name }) => name), ['0000:00:01.0', '0000:00:02.0']);
  assert.is(store.read(`${BACK}/vdev-0`), '0000:00:01.00', 'moved along');
  const destroyed = one.run('destroy', 'guest');
  assert.is(destroyed.code, 0, destroyed.stderr);
  assert.is(one.trace.states(), 'B7 F7 B8 F4 B4 B7 F7 B8 F4 B4');
  pass(one, 1e6);
  assert.equal(owners(one), [undefined, undefined, undefined]);
  assert.equal(domids(one), [0]);
});

test('without pciback nothing is assignable', async () => {
  const one = await xlMachine({}, 'none');
  const added = one.run('pci-assignable-add', '00:04.0');
  assert.is(added.code, 1);
  assert.match(added.stderr, 'Looks like pciback driver not loaded');
  assert.is(one.run('pci-assignable-list').code, 0);
});

test('without a front end, with another magic, with a back end that answers nothing: each has its end', async () => {
  for (const [front, back] of [['none', 'linux'], ['wrong-magic', 'linux'], ['linux', 'silent']] as const) {
    const one = await assignable({}, back);
    const made = one.create(guestConfig(['00:04.0', '00:06.0'], `pcifront = "${front}"`));
    assert.is(made.code, 0, made.stderr);
    pass(one, 1e9);
    const attached = one.run('pci-attach', 'guest', '00:05.0');
    const works = back === 'silent' && front === 'linux';
    assert.is(attached.code, works ? 0 : 1, `${front} ${back}: ${attached.stderr}`);
    if (!works) assert.match(attached.stderr, `Backend ${BACK} not ready`);
    const detached = one.run('pci-detach', 'guest', '00:04.0');
    assert.is(detached.code, 0, `${front} ${back}: ${detached.stderr}`);
    assert.not.ok(one.machine.hypervisor.domain(1).assigned.has(0x20));
    assert.is(one.run('destroy', 'guest').code, 0);
    pass(one, 1e9);
    assert.equal(owners(one), [undefined, undefined, undefined], `${front} ${back}`);
    assert.equal(domids(one), [0]);
    assert.is(one.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:05.0 \n0000:00:06.0 \n');
  }
});

test('poweroff: F5 B5 F6 B6, and the devices can be had again', async () => {
  const one = await assignable();
  one.create(guestConfig(['00:04.0', '00:06.0']));
  pass(one, 1e6);
  one.trace.take();
  const front = one.kernel(1)?.front;
  assert.ok(front);
  one.machine.xen.scheduler.spawn('poweroff', 1, (front as NonNullable<typeof front>).shutdown());
  pass(one, 1e6);
  assert.is(one.trace.states(), 'F5 B5 F6 B6');
  one.machine.hypervisor.shutdownDomain(1, 'poweroff');
  pass(one, 1e6);
  assert.equal(domids(one), [0]);
  assert.equal(owners(one), [undefined, undefined, undefined]);
  const again = one.create(guestConfig(['00:04.0', '00:05.0']));
  assert.is(again.code, 0, again.stderr);
  pass(one, 1e6);
  assert.is(one.machine.xenstore.state.tree.get('/local/domain/0/backend/pci/2/0/state')?.value[0], '4'.charCodeAt(0));
});

test('lives and deaths at random, with commands that are ended in the middle: nothing is left', async () => {
  const one = await assignable();
  const { xen, hypervisor } = one.machine;
  one.create(guestConfig(BDFS));
  pass(one, 1e6);
  one.run('destroy', 'guest');
  pass(one, 1e6);
  const before = one.machine.digest();
  const store = dumpStore(one.machine.xenstore.state);
  const random = new Random(11);
  const pick = <T>(all: readonly T[]): T => all[random.below(all.length)] as T;
  for (let round = 0; round < 40; round++) {
    const story: string[] = [];
    const jobs: Job[] = [];
    const command = (...args: string[]): void => {
      story.push(args.join(' '));
      const task = one.start(args);
      if (random.below(5) > 0) {
        jobs.push(xen.scheduler.spawn('xl', 0, task));
        return;
      }
      // its process is killed
      for (let left = random.below(6); left > 0 && task.next(false).done !== true; left--) xen.scheduler.settle();
      story.push('killed');
      task.return({ code: 1, stdout: '', stderr: '' });
    };
    const kind = pick(['linux', 'linux', 'linux', 'none', 'wrong-magic']);
    story.push(`create ${kind}`);
    one.create(guestConfig(BDFS.filter(() => random.below(2) === 0), `pcifront = "${kind}"\npassthrough = "enabled"\non_reboot = "destroy"`));
    for (let left = random.below(6); left > 0; left--) {
      const domid = domids(one).at(-1) as number;
      switch (random.below(7)) {
        case 0: case 1: command('pci-attach', 'guest', pick(BDFS)); break;
        case 2: case 3: command('pci-detach', ...pick([[], ['-f']]), 'guest', pick(BDFS)); break;
        case 4: command(pick(['pause', 'unpause']), 'guest'); break;
        case 5: pass(one, pick([0, 1e6, 3e9])); break;
        default:
          if (random.below(3) > 0 || domid === 0) break;
          story.push('dies');
          hypervisor.shutdownDomain(domid, pick(['poweroff', 'crash', 'reboot']));
      }
    }
    command('destroy', 'guest');
    pass(one, 60e9);
    // if it was killed or came too late
    one.run('destroy', 'guest');
    pass(one, 60e9);
    for (const job of jobs) if (job.error !== undefined) throw job.error;
    assert.equal(difference(before, one.machine.digest()), [], `round ${round}: ${story.join(', ')}`);
    assert.is(dumpStore(one.machine.xenstore.state), store, `round ${round}: ${story.join(', ')}`);
    assert.equal(owners(one), [undefined, undefined, undefined], `round ${round}: ${story.join(', ')}`);
    assert.equal(xen.scheduler.jobs(), [], `round ${round}: ${story.join(', ')}`);
  }
});

test('a create that is refused in the middle leaves no device permissive', async () => {
  const one = await assignable();
  assert.is(one.run('pci-assignable-remove', '00:06.0').code, 0);
  const refused = one.create(guestConfig(['00:05.0,permissive=1', '00:06.0']));
  assert.is(refused.code, 3);
  assert.match(refused.stderr, 'PCI device 0:0:6.0 is not assignable');
  assert.is(one.machine.sysfs.read('/sys/bus/pci/drivers/pciback/permissive'), '');
});

test.run();
