// The orders of xen-observed.md section 4: every node that changes, in its order, and the states of both ends.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { guestConfig, type Rig, type RigOptions, toolstackRig } from '../../helpers/toolstack';

const test = suite('life cycle');

const BACK = '/local/domain/0/backend/pci/1/0';
const FRONT = '/local/domain/1/device/pci/0';
const OPTS = 'msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict';

/** A machine with 04.0 and 06.0 given to domain 1, both ends connected. */
async function withGuest(options: RigOptions = {}, more = ''): Promise<Rig> {
  const rig = await toolstackRig(options);
  for (const bdf of ['00:04.0', '00:06.0', '00:07.0']) assert.is(rig.run('pci-assignable-add', bdf).code, 0);
  const made = rig.create(guestConfig(['00:04.0', '00:06.0'], more));
  assert.is(made.code, 0, made.stderr);
  rig.pass(1);
  rig.trace.take();
  return rig;
}

test('assignable-add: one node for the driver it had, none for a device without', async () => {
  const rig = await toolstackRig();
  assert.is(rig.run('pci-assignable-add', '00:04.0').code, 0);
  assert.equal(rig.trace.take(), ['/libxl/pci/0000-00-04-0/driver_path = /sys/bus/pci/drivers/e1000']);
  assert.equal(rig.sysfs.writes, [
    'drivers/e1000/unbind 0000:00:04.0', 'drivers/pciback/new_slot 0000:00:04.0', 'drivers/pciback/bind 0000:00:04.0',
  ]);
  assert.is(rig.machine.hypervisor.ownerOf(0x20), 0x7ff1, 'in quarantine');
  assert.is(rig.run('pci-assignable-add', '00:06.0').code, 0);
  assert.equal(rig.trace.take(), []);
  assert.equal(rig.client.getPermissions('/libxl/pci/0000-00-04-0/driver_path'), ['n0']);
});

test('create with two devices', async () => {
  const rig = await toolstackRig();
  for (const bdf of ['00:04.0', '00:06.0']) rig.run('pci-assignable-add', bdf);
  rig.trace.take();
  let transactions = 0;
  const { store } = rig;
  const receive = store.receive.bind(store);
  store.receive = (connection, bytes) => {
    if (bytes[0] === 6 && connection.domid === 0) transactions++;
    receive(connection, bytes);
  };
  assert.is(rig.create(guestConfig(['00:04.0', '00:06.0'])).code, 0);
  rig.pass(1);
  assert.equal(rig.trace.take(/\/pci\//).filter((line) => !line.startsWith('rm ')), [
    '/libxl/pci/0000-00-04-0/domid = 1',
    `${BACK} = `, `${BACK}/frontend = ${FRONT}`, `${BACK}/frontend-id = 1`, `${BACK}/online = 1`, `${BACK}/state = 1`,
    `${BACK}/domain = guest`,
    `${FRONT} = `, `${FRONT}/backend = ${BACK}`, `${FRONT}/backend-id = 0`, `${FRONT}/state = 1`,
    `${BACK}/key-0 = 0000:00:04.0`, `${BACK}/dev-0 = 0000:00:04.0`, `${BACK}/opts-0 = ${OPTS}`, `${BACK}/state-0 = 1`,
    `${BACK}/num_devs = 1`,
    '/libxl/pci/0000-00-06-0/domid = 1',
    `${BACK}/state = 2`, `${BACK}/vdev-0 = 0000:00:00.00`, `${BACK}/state-0 = 3`, `${BACK}/root-0 = 0000:00`,
    `${BACK}/root_num = 1`, `${BACK}/state = 3`,
    `${BACK}/key-1 = 0000:00:06.0`, `${BACK}/dev-1 = 0000:00:06.0`, `${BACK}/opts-1 = ${OPTS}`, `${BACK}/state-1 = 1`,
    `${BACK}/num_devs = 2`,
    `${BACK}/vdev-1 = 0000:00:01.00`, `${BACK}/state-1 = 3`,
    `${FRONT}/pci-op-ref = 8`, `${FRONT}/event-channel = 8`, `${FRONT}/magic = 7`, `${FRONT}/state = 3`,
    `${BACK}/state = 4`, `${FRONT}/state = 4`,
  ]);
  // the tree, the console, the two devices; the second again, as pciback was in the way once; and pciback's own three
  assert.is(transactions, 4 + 1 + 3);
});

test('who may read and write what', async () => {
  const rig = await withGuest();
  const permissions = (path: string): string => rig.client.getPermissions(path).join(',');
  for (const path of [BACK, `${BACK}/key-1`, `${BACK}/num_devs`, `${BACK}/state`]) assert.is(permissions(path), 'n0,r1', path);
  for (const path of [FRONT, `${FRONT}/backend`, `${FRONT}/state`]) assert.is(permissions(path), 'n1,r0', path);
  assert.is(permissions('/local/domain/1/device/pci'), 'n0,r1');
  assert.is(permissions('/libxl/pci/0000-00-04-0/domid'), 'n0');
  for (const folder of ['', '/cpu', '/memory', '/device', '/control', '/name']) assert.is(permissions(`/local/domain/1${folder}`), 'n0,r1', folder);
  for (const own of ['device/suspend/event-channel', 'control/shutdown', 'control/sysrq', 'data', 'drivers', 'feature', 'attr', 'error']) {
    assert.is(permissions(`/local/domain/1/${own}`), 'n1', own);
  }
  assert.is(rig.client.read('/local/domain/1/store/port'), '1');
  assert.is(rig.client.read('/local/domain/1/console/port'), '2');
  assert.is(rig.client.readIfThere('/libxl/1/device/pci'), undefined);
  assert.equal(rig.rights(1), { iomem: 'fe400-fe53f, fe640-fe65f', ioport: 'd2c0-d2ff', irq: '20, 22', devices: ['0000:00:04.0', '0000:00:06.0'] });
});

test('plug: B7 F7 B8 F4 B4', async () => {
  const rig = await withGuest();
  const attached = rig.run('pci-attach', 'guest', '00:07.0');
  assert.is(attached.code, 0, attached.stderr);
  rig.pass(1);
  assert.equal(rig.trace.take(), [
    '/libxl/pci/0000-00-07-0/domid = 1',
    `${BACK}/key-2 = 0000:00:07.0`, `${BACK}/dev-2 = 0000:00:07.0`, `${BACK}/opts-2 = ${OPTS}`, `${BACK}/state-2 = 1`,
    `${BACK}/num_devs = 3`, `${BACK}/state = 7`,
    `${FRONT}/state = 7`, `${BACK}/vdev-2 = 0000:00:02.00`, `${BACK}/state-2 = 3`, `${BACK}/state = 8`, `${FRONT}/state = 4`, `${BACK}/state = 4`,
  ]);
  assert.is(rig.run('pci-list', 'guest').stdout, 'Vdev Device\n00.0 0000:00:04.0\n00.0 0000:00:06.0\n00.0 0000:00:07.0\n');
  assert.is(rig.rights(1).iomem, 'fe400-fe53f, fe640-fe65f, fe6ca', 'a page for a BAR of 256 bytes');
});

test('unplug of the last one: its keys go, the device is assignable', async () => {
  const rig = await withGuest();
  rig.run('pci-attach', 'guest', '00:07.0');
  rig.pass(1);
  rig.trace.take();
  assert.is(rig.run('pci-detach', 'guest', '00:07.0').code, 0);
  assert.equal(rig.trace.take(), [
    `${BACK}/state-2 = 5`, `${BACK}/state = 7`, `${FRONT}/state = 7`, `${BACK}/state = 8`, `${FRONT}/state = 4`, `${BACK}/state = 4`,
    `rm ${BACK}/state-2`, `rm ${BACK}/key-2`, `rm ${BACK}/dev-2`, `rm ${BACK}/vdev-2`, `rm ${BACK}/opts-2`, `${BACK}/num_devs = 2`,
    'rm /libxl/pci/0000-00-07-0/domid',
  ]);
  assert.equal(rig.rights(1), { iomem: 'fe400-fe53f, fe640-fe65f', ioport: 'd2c0-d2ff', irq: '20, 22', devices: ['0000:00:04.0', '0000:00:06.0'] });
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:07.0 \n');
});

test('unplug of index 0: the gap is closed, the virtual address moves along', async () => {
  const rig = await withGuest();
  assert.is(rig.run('pci-detach', 'guest', '00:04.0').code, 0);
  const keys = rig.client.directory(BACK).sort().map((key) => `${key} = ${rig.client.read(`${BACK}/${key}`)}`);
  assert.equal(keys, [
    'dev-0 = 0000:00:06.0', 'domain = guest', `frontend = ${FRONT}`, 'frontend-id = 1', 'key-0 = 0000:00:06.0', 'num_devs = 1',
    'online = 1', `opts-0 = ${OPTS}`, 'root-0 = 0000:00', 'root_num = 1', 'state = 4', 'state-0 = 3', 'vdev-0 = 0000:00:01.00',
  ]);
  assert.equal(rig.trace.take(/^rm /), [
    `rm ${BACK}/state-1`, `rm ${BACK}/dev-1`, `rm ${BACK}/key-1`, `rm ${BACK}/vdev-1`, `rm ${BACK}/opts-1`, 'rm /libxl/pci/0000-00-04-0/domid',
  ]);
  assert.equal(rig.rights(1), { iomem: 'fe400-fe4ff', ioport: '', irq: '22', devices: ['0000:00:06.0'] });
});

test('destroy of a live domain: one unplug after the other, then the folders, the console and the rest', async () => {
  const rig = await withGuest();
  const uuid = rig.client.read('/local/domain/1/vm');
  assert.equal(rig.run('destroy', 'guest'), { code: 0, stdout: '', stderr: '' });
  const lines = rig.trace.take();
  const states = lines.flatMap((line) => /\/(b)ackend\/pci\/1\/0\/state = (.)|\/(d)evice\/pci\/0\/state = (.)/.exec(line)?.slice(1).filter(Boolean).join('') ?? []);
  assert.is(states.join(' '), 'b7 d7 b8 d4 b4 b7 d7 b8 d4 b4');
  const last = lines.indexOf(`${BACK}/num_devs = 0`);
  assert.equal(lines.slice(last + 1), [
    `rm ${FRONT}`, 'rm /local/domain/1/device/pci', `rm ${BACK}`, 'rm /local/domain/0/backend/pci/1', 'rm /libxl/pci/0000-00-06-0/domid',
    'rm /local/domain/1/console', 'rm /local/domain/0/backend/console/1/0', 'rm /local/domain/0/backend/console/1', `rm ${uuid}`,
    'rm /local/domain/1', 'rm /libxl/1', '@releaseDomain',
  ]);
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:06.0 \n0000:00:07.0 \n');
  assert.equal(rig.machine.hypervisor.domains.map(({ domid }) => domid), [0]);
});

test('poweroff: F5 B5 F6 B6, then keys and rights are gone at once', async () => {
  const rig = await withGuest();
  const before = rig.scheduler.now;
  rig.fronts.get(1)?.close();
  rig.pass(0);
  assert.is(rig.trace.states(), 'F5 B5 F6 B6');
  rig.machine.hypervisor.shutdownDomain(1, 'poweroff');
  rig.pass(1);
  assert.is(rig.scheduler.now - before, 1e6, 'without waiting for anyone');
  assert.equal(rig.machine.hypervisor.domains.map(({ domid }) => domid), [0]);
  assert.equal(rig.trace.take(/pci\/1|device\/pci|libxl\/pci/), [
    `rm ${FRONT}`, 'rm /local/domain/1/device/pci', `rm ${BACK}`, 'rm /local/domain/0/backend/pci/1',
    'rm /libxl/pci/0000-00-04-0/domid', 'rm /libxl/pci/0000-00-06-0/domid',
  ]);
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:06.0 \n0000:00:07.0 \n');
  const again = rig.create(guestConfig(['00:04.0']));
  assert.is(again.code, 0, 'the device can be given again');
  assert.match(rig.xl.log.join('\n'), /guest: Domain 1 has shut down, reason code poweroff/);
});

test('a domain that dies while connected leaves nothing behind', async () => {
  const rig = await toolstackRig();
  for (const bdf of ['00:04.0', '00:06.0']) rig.run('pci-assignable-add', bdf);
  rig.create(guestConfig(['00:04.0', '00:06.0']));
  rig.run('destroy', 'guest');
  const before = rig.state();
  rig.create(guestConfig(['00:04.0', '00:06.0']));
  rig.pass(1);
  rig.machine.hypervisor.shutdownDomain(2, 'crash');
  rig.pass(1);
  assert.is(rig.state(), before);
});

test('reboot: a new domain with the same config after two seconds, on_reboot = "destroy" ends it', async () => {
  const rig = await withGuest();
  rig.machine.hypervisor.shutdownDomain(1, 'reboot');
  rig.pass(1999);
  assert.equal(rig.machine.hypervisor.domains.map(({ domid }) => domid), [0]);
  rig.pass(10);
  assert.equal(rig.rights(2).devices, ['0000:00:04.0', '0000:00:06.0']);
  assert.is(rig.client.read('/local/domain/0/backend/pci/2/0/state'), '4');
  const other = await withGuest({}, 'on_reboot = "destroy"');
  other.machine.hypervisor.shutdownDomain(1, 'reboot');
  other.pass(3000);
  assert.equal(other.machine.hypervisor.domains.map(({ domid }) => domid), [0]);
});

test('on_crash = "preserve" keeps the domain and its devices; "rename-restart" keeps it by another name', async () => {
  const rig = await withGuest({}, 'on_crash = "preserve"');
  rig.machine.hypervisor.shutdownDomain(1, 'crash');
  rig.pass(5000);
  assert.equal(rig.rights(1).devices, ['0000:00:04.0', '0000:00:06.0']);
  assert.is(rig.run('destroy', 'guest').code, 0);
  const other = await toolstackRig();
  other.create(guestConfig([], 'on_crash = "rename-restart"'));
  other.machine.hypervisor.shutdownDomain(1, 'crash');
  other.pass(3000);
  assert.is(other.run('domname', '1').stdout, 'guest-1\n');
  assert.is(other.run('domid', 'guest').stdout, '2\n');
});

test('a domain that somebody else ends: what xl has of it goes', async () => {
  const rig = await withGuest();
  rig.machine.hypervisor.destroyDomain(1);
  rig.pass(1);
  assert.is(rig.client.readIfThere('/local/domain/1'), undefined);
  assert.is(rig.client.readIfThere(BACK), undefined);
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:06.0 \n0000:00:07.0 \n');
  assert.equal(rig.scheduler.jobs(), []);
});

test('paused: nothing runs until it is unpaused, and destroy waits for nobody', async () => {
  const rig = await toolstackRig();
  rig.run('pci-assignable-add', '00:04.0');
  assert.is(rig.create(guestConfig(['00:04.0']), '-p').code, 0);
  assert.is(rig.running.size, 0);
  assert.match(rig.run('list', 'guest').stdout, /--p---/);
  rig.pass(1);
  assert.is(rig.client.read(`${BACK}/state`), '3');
  assert.is(rig.run('unpause', 'guest').code, 0);
  rig.pass(1);
  assert.is(rig.client.read(`${BACK}/state`), '4');
  rig.run('pause', 'guest');
  const before = rig.scheduler.now;
  assert.is(rig.run('destroy', 'guest').code, 0);
  assert.ok(rig.scheduler.now - before < 1e6, 'a paused guest is not asked');
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n');
});

test('shutdown -w: asks by the store and waits; a guest that does not stop is told of', async () => {
  const rig = await withGuest();
  const stubborn = rig.run('shutdown', '-w', 'guest');
  assert.is(stubborn.code, 1);
  assert.is(rig.client.read('/local/domain/1/control/shutdown'), 'poweroff');
  assert.match(stubborn.stderr, /Shutting down domain 1\nWaiting for 1 domain\n.*has not stopped within 300 s/);
  rig.scheduler.spawn('the guest', 1, (function* () {
    yield { timeout: 1e9 };
    rig.machine.hypervisor.shutdownDomain(1, 'poweroff');
  })());
  assert.is(rig.run('shutdown', '-a', '-w').code, 0);
  assert.equal(rig.machine.hypervisor.domains.map(({ domid }) => domid), [0]);
});

test.run();
