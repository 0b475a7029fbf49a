// Who writes what, and in which order: xen-observed.md section 4, request by request. A line begins with the domain; what
// is in a transaction is indented. BE and FE are the folders of the back end and of the front end.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { StoreLedger } from '../../helpers/store-ledger';
import { type Story, story } from '../../helpers/story';
import { statesOf } from '../../helpers/toolstack';

const BE = '/local/domain/0/backend/pci/1/0';
const FE = '/local/domain/1/device/pci/0';
const OPTS = 'msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict';

async function ledgered(): Promise<{ one: Story; take: () => string[] }> {
  const one = await story();
  const ledger = new StoreLedger(one.machine.xen.store);
  return { one, take: () => ledger.take().map((line) => line.replaceAll(BE, 'BE').replaceAll(FE, 'FE')) };
}

/** A guest with 04.0 and 06.0, and 05.0 assignable. */
async function running(): Promise<{ one: Story; take: () => string[] }> {
  const both = await ledgered();
  both.one.assignable('00:04.0', '00:06.0', '00:05.0');
  both.one.started(['00:04.0', '00:06.0']);
  both.one.pass();
  both.take();
  both.one.trace.take();
  return both;
}

const state = (domid: number, end: string, value: number): string[] => [`${domid} start`, `  ${domid} write ${end}/state = ${value}`, `${domid} end T`];

const order = suite('the order of writes');

order('4.1 pci-assignable-add: the driver, and a name that is not there; nothing for a device without a driver', async () => {
  const { one, take } = await ledgered();
  one.assignable('00:04.0');
  assert.equal(take(), ['0 write /libxl/pci/0000-00-04-0/driver_path = /sys/bus/pci/drivers/e1000', '0 rm /libxl/pci/0000-00-04-0/name']);
  assert.equal(one.trace.take(), ['/libxl/pci/0000-00-04-0/driver_path = /sys/bus/pci/drivers/e1000']);
  const { code, stderr } = one.xl('pci-assignable-add', '00:06.0');
  assert.equal([code, stderr], [0, 'libxl: warning: 0000:00:06.0 not bound to a driver, will not be rebound.\n']);
  assert.equal(take(), ['0 rm /libxl/pci/0000-00-06-0/name']);
  assert.equal(one.trace.take(), []);
});

order('4.2 create with two devices: a transaction each, the second in conflict with pciback and done again', async () => {
  const { one, take } = await ledgered();
  one.assignable('00:04.0', '00:06.0');
  take();
  one.trace.take();
  one.started(['00:04.0', '00:06.0']);
  one.pass();
  const lines = take();
  const from = lines.indexOf('0 write /libxl/pci/0000-00-04-0/domid = 1');
  const second = [
    '  0 write BE/key-1 = 0000:00:06.0', '  0 write BE/dev-1 = 0000:00:06.0', `  0 write BE/opts-1 = ${OPTS}`,
    '  0 write BE/state-1 = 1', '  0 write BE/num_devs = 2',
  ];
  assert.equal(lines.slice(from), [
    '0 write /libxl/pci/0000-00-04-0/domid = 1',
    '0 start',
    '  0 mkdir BE', '  0 setperms BE n0,r1', '  0 write BE/frontend = FE', '  0 write BE/frontend-id = 1', '  0 write BE/online = 1',
    '  0 write BE/state = 1', '  0 write BE/domain = guest',
    '  0 mkdir FE', '  0 setperms FE n1,r0', '  0 write FE/backend = BE', '  0 write FE/backend-id = 0', '  0 write FE/state = 1',
    '  0 write BE/key-0 = 0000:00:04.0', '  0 write BE/dev-0 = 0000:00:04.0', `  0 write BE/opts-0 = ${OPTS}`,
    '  0 write BE/state-0 = 1', '  0 write BE/num_devs = 1',
    '0 end T',
    '0 write /libxl/pci/0000-00-06-0/domid = 1',
    '0 start', ...second,
    // pciback has its turn before that is over
    ...state(0, 'BE', 2),
    '0 write BE/vdev-0 = 0000:00:00.00', '0 write BE/state-0 = 3', '0 write BE/root-0 = 0000:00', '0 write BE/root_num = 1',
    ...state(0, 'BE', 3),
    '0 end T',
    '0 start', ...second, '0 end T',
    '0 write BE/vdev-1 = 0000:00:01.00', '0 write BE/state-1 = 3',
    '1 start', '  1 write FE/pci-op-ref = 8', '  1 write FE/event-channel = 8', '  1 write FE/magic = 7', '1 end T',
    ...state(1, 'FE', 3), ...state(0, 'BE', 4), ...state(1, 'FE', 4),
  ]);
  const told = one.trace.take().map((line) => line.replace(BE, 'BE').replace(FE, 'FE'));
  assert.equal(told.slice(-6), [
    'FE/pci-op-ref = 8', 'FE/event-channel = 8', 'FE/magic = 7', 'FE/state = 3', 'BE/state = 4', 'FE/state = 4',
  ]);
});

order('4.2 create: B1 F1 B2 B3 F3 B4 F4', async () => {
  const { one } = await ledgered();
  one.assignable('00:04.0', '00:06.0');
  one.trace.take();
  one.started(['00:04.0', '00:06.0']);
  one.pass();
  assert.is(one.trace.states(), 'B1 F1 B2 B3 F3 B4 F4');
});

order('4.3 pci-attach: one transaction with state 7, then B7 F7 B8 F4 B4', async () => {
  const { one, take } = await running();
  one.ok('pci-attach', 'guest', '00:05.0');
  one.pass();
  assert.equal(take(), [
    '0 write /libxl/pci/0000-00-05-0/domid = 1',
    '0 start', '  0 write BE/key-2 = 0000:00:05.0', '  0 write BE/dev-2 = 0000:00:05.0', `  0 write BE/opts-2 = ${OPTS}`,
    '  0 write BE/state-2 = 1', '  0 write BE/num_devs = 3', '  0 write BE/state = 7', '0 end T',
    ...state(1, 'FE', 7),
    '0 write BE/vdev-2 = 0000:00:02.00', '0 write BE/state-2 = 3',
    ...state(0, 'BE', 8), ...state(1, 'FE', 4), ...state(0, 'BE', 4),
  ]);
  assert.is(one.trace.states(), 'B7 F7 B8 F4 B4');
});

order('4.3 pci-attach of the first device of a running guest: the whole handshake, whoever of both is first at 3', async () => {
  const { one } = await ledgered();
  one.assignable('00:04.0');
  one.started([], 'passthrough = "enabled"');
  one.pass();
  one.trace.take();
  const { code, stderr } = one.xl('pci-attach', 'guest', '00:04.0');
  assert.is(code, 0, stderr);
  one.pass();
  const states = one.trace.states().split(' ');
  assert.equal(states.filter((at) => at.startsWith('B')), ['B1', 'B2', 'B3', 'B4']);
  assert.equal(states.filter((at) => at.startsWith('F')), ['F1', 'F3', 'F4']);
  assert.is(states.at(-1), 'F4');
});

order('4.4 pci-detach of the last of three: B7 F7 B8 F4 B4, keys and what may not be there, nothing moves', async () => {
  const { one, take } = await running();
  one.ok('pci-attach', 'guest', '00:05.0');
  one.pass();
  take();
  one.trace.take();
  one.ok('pci-detach', 'guest', '00:05.0');
  assert.equal(take(), [
    '0 start', '  0 write BE/state-2 = 5', '  0 write BE/state = 7', '0 end T',
    ...state(1, 'FE', 7), ...state(0, 'BE', 8), ...state(1, 'FE', 4), ...state(0, 'BE', 4),
    '0 start', ...['state', 'key', 'dev', 'vdev', 'opts', 'vdevfn', 'name'].map((key) => `  0 rm BE/${key}-2`),
    '  0 write BE/num_devs = 2', '0 end T',
    '0 rm /libxl/pci/0000-00-05-0/domid',
  ]);
  const told = one.trace.take();
  assert.equal(told.filter((line) => /vdevfn|name/.test(line)), [], 'nobody hears of what was not there');
  assert.is(one.driver('00:05.0'), 'pciback');
  assert.match(one.ok('pci-assignable-list'), '0000:00:05.0');
});

order('4.4 pci-detach of index 0 of two: index 1 moves down, its virtual slot does not', async () => {
  const { one, take } = await running();
  one.xl('pci-detach', 'guest', '00:04.0');
  const lines = take();
  const moved = lines.slice(lines.indexOf('  0 rm BE/state-0'));
  assert.equal(moved, [
    ...['state', 'key', 'dev', 'vdev', 'opts', 'vdevfn', 'name'].map((key) => `  0 rm BE/${key}-0`),
    '  0 write BE/num_devs = 1',
    '  0 write BE/state-0 = 3', '  0 rm BE/state-1', '  0 write BE/dev-0 = 0000:00:06.0', '  0 rm BE/dev-1',
    '  0 write BE/key-0 = 0000:00:06.0', '  0 rm BE/key-1', '  0 write BE/vdev-0 = 0000:00:01.00', '  0 rm BE/vdev-1',
    `  0 write BE/opts-0 = ${OPTS}`, '  0 rm BE/opts-1',
    '0 end T',
    '0 rm /libxl/pci/0000-00-04-0/domid',
  ]);
  assert.is(one.trace.states(), 'B7 F7 B8 F4 B4');
  assert.equal(one.kernel().front?.devices.map(({ name }) => name), ['0000:00:01.0']);
});

order('4.5 destroy: an unplug for each device, index 0 each time; then the folders, console, /vm, the domain, /libxl', async () => {
  const { one } = await running();
  const uuid = one.read('/local/domain/1/vm') as string;
  one.xl('destroy', 'guest');
  const told = one.trace.take();
  const short = told.map((line) => line.replaceAll(BE, 'BE').replaceAll(FE, 'FE'));
  assert.equal(short.filter((line) => /^rm (?!BE\/)|num_devs|state-0 = 5/.test(line)), [
    'BE/state-0 = 5', 'BE/num_devs = 1', 'rm /libxl/pci/0000-00-04-0/domid',
    'BE/state-0 = 5', 'BE/num_devs = 0',
    'rm FE', 'rm /local/domain/1/device/pci', 'rm BE', 'rm /local/domain/0/backend/pci/1', 'rm /libxl/pci/0000-00-06-0/domid',
    'rm /local/domain/1/console', 'rm /local/domain/0/backend/console/1/0', 'rm /local/domain/0/backend/console/1',
    `rm ${uuid}`, 'rm /local/domain/1', 'rm /libxl/1',
  ]);
  assert.is(statesOf(told), 'B7 F7 B8 F4 B4 B7 F7 B8 F4 B4');
});

order('4.6 poweroff: F5 B5 F6 B6, then everything is cleaned up at once', async () => {
  const { one } = await running();
  assert.is(one.xl('shutdown', 'guest').code, 0);
  one.pass();
  assert.is(one.trace.states(), 'F5 B5 F6 B6');
});

order('4.6b without a front end: the back end stays 3, the front end 1, and the devices have their places', async () => {
  const { one } = await ledgered();
  one.assignable('00:04.0', '00:06.0');
  one.trace.take();
  one.started(['00:04.0', '00:06.0'], 'pcifront = "none"');
  one.pass();
  assert.is(one.trace.states(), 'B1 F1 B2 B3');
  assert.equal(['state', 'state-0', 'state-1', 'vdev-0', 'vdev-1'].map((key) => one.read(`${BE}/${key}`)),
    ['3', '3', '3', '0000:00:00.00', '0000:00:01.00']);
  assert.is(one.read(`${FE}/state`), '1');
});

order.run();
