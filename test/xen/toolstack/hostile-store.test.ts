// A client of the store that writes what no tool writes: nothing is thrown, nothing goes on for ever, and the end is the same.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { XenstoreClient } from '../../../src/xen/xenstore/client';
import { guestConfig } from '../../helpers/toolstack';
import { type XlMachine, xlMachine } from '../../helpers/xl-machine';

const test = suite('a hostile client of the store');

const BACK = '/local/domain/0/backend/pci/1/0';

async function withGuest(): Promise<{ one: XlMachine; store: XenstoreClient; free: number }> {
  const one = await xlMachine();
  for (const bdf of ['00:04.0', '00:06.0']) one.run('pci-assignable-add', bdf);
  const free = one.machine.hypervisor.freePages;
  const made = one.create(guestConfig(['00:04.0', '00:06.0']));
  assert.is(made.code, 0, made.stderr);
  one.machine.run(1e8);
  return { one, store: new XenstoreClient(one.machine.xen.store), free };
}

function requireGone(one: XlMachine, free: number): void {
  one.machine.run(1e9);
  assert.is(one.machine.hypervisor.domains.length, 1);
  assert.is(one.machine.hypervisor.freePages, free);
  assert.equal(one.seized().map(({ owner }) => owner), [undefined, undefined]);
}

for (const count of ['Infinity', '1e9', '-1', 'x', '1025', '']) {
  test(`num_devs = "${count}": nothing is counted, and destroy takes it all`, async () => {
    const { one, store, free } = await withGuest();
    store.write(`${BACK}/num_devs`, count);
    assert.is(one.run('pci-list', '1').code, 0);
    const { code, stderr } = one.run('pci-attach', '1', '00:05.0');
    assert.is(code, 1, stderr);
    assert.is(one.run('destroy', '1').code, 0);
    requireGone(one, free);
  });
}

test('an entry that is no address is nobody\'s device', async () => {
  const { one, store, free } = await withGuest();
  store.write(`${BACK}/dev-0`, 'ga:rb.age');
  const { code, stdout } = one.run('pci-list', '1');
  assert.is(code, 0);
  assert.not.match(stdout, '0000:00:04.0');
  assert.match(stdout, '0000:00:06.0');
  assert.is(one.run('destroy', '1').code, 0);
  requireGone(one, free);
});

test('a front end whose path leaves no room for the key below it ends that device alone', async () => {
  const { one, store } = await withGuest();
  // 3072 bytes is the longest absolute path
  const frontend = `${`/${'x'.repeat(250)}`.repeat(12)}/${'y'.repeat(54)}`;
  store.write(frontend, '');
  for (const [key, value] of [['frontend-id', '1'], ['frontend', frontend], ['num_devs', '0'], ['state', '1']] as const) {
    store.write(`/local/domain/0/backend/pci/1/9/${key}`, value);
  }
  one.machine.run(1e9);
  assert.is(store.read('/local/domain/0/backend/pci/1/9/state'), '5');
  assert.is(store.read(`${BACK}/state`), '4');
});

test('a guest\'s kernel outlives its folder, and takes no order from below the key', async () => {
  const { one, store, free } = await withGuest();
  store.write('/local/domain/1/control/shutdown/x', 'poweroff');
  one.machine.run(20e9);
  assert.is(one.machine.hypervisor.domain(1).shutdown, undefined);
  store.rm('/local/domain/1');
  one.machine.run(20e9);
  assert.is(one.machine.hypervisor.domain(1).shutdown, undefined);
  assert.is(one.run('destroy', '1').code, 0);
  requireGone(one, free);
});

test.run();
