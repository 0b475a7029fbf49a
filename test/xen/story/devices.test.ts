// The same story for other devices: a 64-bit BAR, two functions, behind a root port, and at their own addresses
// (xen-observed.md 4.7).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Story, story } from '../../helpers/story';

const BE = '/local/domain/0/backend/pci/1/0';

const devices = suite('devices of other kinds');

const names = (one: Story): string[] => (one.kernel().front?.devices ?? []).map(({ name }) => name);
const read = (one: Story, routing: number, off: number): number => (one.kernel().front?.readConfig(routing, off, 4).value ?? 0) >>> 0;

/** Plugged out and in again, destroyed, back at its driver. */
function rest(one: Story, bdfs: readonly string[], driver: string | undefined): void {
  one.trace.take();
  for (const bdf of bdfs) {
    assert.is(one.xl('pci-detach', 'guest', bdf).code, 0);
    assert.is(one.trace.states(), 'B7 F7 B8 F4 B4', bdf);
  }
  assert.equal(names(one), []);
  assert.equal(one.rights(1), { irq: '', iomem: '', ioport: '' });
  for (const bdf of bdfs) {
    assert.is(one.xl('pci-attach', 'guest', bdf).code, 0);
    one.pass();
  }
  assert.is(names(one).length, bdfs.length);
  assert.is(one.xl('destroy', 'guest').code, 0);
  for (const bdf of bdfs) {
    assert.is(one.xl('pci-assignable-remove', '-r', bdf).code, 0);
    assert.is(one.driver(bdf), driver, bdf);
  }
}

devices('a 64-bit BAR: the guest sees both halves and their size as the machine has them', async () => {
  const one = await story();
  one.assignable('00:08.0');
  one.started(['00:08.0']);
  one.pass();
  assert.equal(names(one), ['0000:00:00.0']);
  const [bar] = one.kernel().front?.devices[0]?.resources ?? [];
  assert.equal(bar, { start: 0xfe6c0000, end: 0xfe6c3fff, flags: 0x140204 });
  const front = one.kernel().front;
  assert.equal([read(one, 0, 0x10), read(one, 0, 0x14)], [0xfe6c0004, 0]);
  for (const [off, mask, back] of [[0x10, 0xffffc004, 0xfe6c0004], [0x14, 0xffffffff, 0]] as const) {
    front?.writeConfig(0, off, 4, 0xffffffff);
    assert.is(read(one, 0, off), mask);
    front?.writeConfig(0, off, 4, back);
    assert.is(read(one, 0, off), back);
  }
  assert.is(one.hardware('00:08.0', 0x10, 4), 0xfe6c0004);
  assert.is(one.rights(1).iomem, 'fe6c0-fe6c3');
  rest(one, ['00:08.0'], 'nvme');
});

devices('two functions: one virtual slot, each by a transaction of its own', async () => {
  const one = await story();
  one.assignable('00:0a.0', '00:0a.1');
  one.trace.take();
  one.started(['00:0a.0', '00:0a.1']);
  one.pass();
  assert.is(one.trace.states(), 'B1 F1 B2 B3 F3 B4 F4');
  assert.equal(['vdev-0', 'vdev-1', 'root-0', 'root_num', 'num_devs'].map((key) => one.read(`${BE}/${key}`)),
    ['0000:00:00.00', '0000:00:00.01', '0000:00', '1', '2']);
  assert.equal(names(one), ['0000:00:00.0', '0000:00:00.1']);
  assert.ok((one.kernel().front?.devices[0]?.headerType ?? 0) & 0x80, 'says that it has several functions');
  rest(one, ['00:0a.1', '00:0a.0'], 'serial');
});

devices('function 1 joins the slot of function 0 at hot-plug, and a device between them has another', async () => {
  const one = await story();
  one.assignable('00:0a.0', '00:0a.1', '01:00.0', '00:09.0');
  one.started(['00:0a.0', '01:00.0']);
  one.pass();
  assert.is(one.xl('pci-attach', 'guest', '00:0a.1').code, 0);
  assert.is(one.xl('pci-attach', 'guest', '00:09.0').code, 0);
  one.pass();
  assert.equal([0, 1, 2, 3].map((index) => [one.read(`${BE}/dev-${index}`), one.read(`${BE}/vdev-${index}`)]), [
    ['0000:00:0a.0', '0000:00:00.00'], ['0000:01:00.0', '0000:00:01.00'], ['0000:00:0a.1', '0000:00:00.01'],
    ['0000:00:09.0', '0000:00:02.00'],
  ]);
  assert.equal(names(one), ['0000:00:00.0', '0000:00:00.1', '0000:00:01.0', '0000:00:02.0']);
});

devices('behind a root port: on the guest\'s one bus, with traffic', async () => {
  const one = await story();
  one.assignable('00:0a.0', '01:00.0');
  one.started(['00:0a.0', '01:00.0']);
  one.pass(2000);
  assert.is(one.read(`${BE}/vdev-1`), '0000:00:01.00');
  assert.is(one.read(`${BE}/root_num`), '1');
  const [nic] = one.kernel().activity;
  assert.equal([nic?.name, nic?.driver, nic?.nic?.returned], ['0000:00:01.0', 'e1000e', 4]);
  assert.is(read(one, 8, 0x10), 0xfe200000);
  assert.is(one.hardware('01:00.0', 4, 2), 0x0507);
  assert.is(one.xl('pci-detach', 'guest', '00:0a.0').code, 0);
  rest(one, ['01:00.0'], 'e1000e');
});

devices('@vslot is kept and listed, and has no effect', async () => {
  const one = await story();
  one.assignable('00:04.0');
  one.started(['00:04.0@1d']);
  one.pass();
  assert.is(one.read(`${BE}/vdevfn-0`), 'e8');
  assert.is(one.read(`${BE}/vdev-0`), '0000:00:00.00');
  assert.is(one.ok('pci-list', 'guest'), 'Vdev Device\n1d.0 0000:00:04.0\n');
});

devices('passthrough topology: own addresses, a root for each bus', async () => {
  const one = await story((description) => {
    description.dom0 = { ...description.dom0, pciback: { passthrough: true } };
  });
  assert.is(one.sysfs('/sys/module/xen_pciback/parameters/passthrough'), 'Y\n');
  assert.ok(one.machine.xen.kernel.log.includes('xen-pciback: backend is passthrough'));
  one.assignable('00:04.0', '01:00.0');
  one.trace.take();
  one.started(['00:04.0', '01:00.0']);
  one.pass(2000);
  assert.is(one.trace.states(), 'B1 F1 B2 B3 F3 B4 F4');
  assert.equal(['vdev-0', 'vdev-1', 'root-0', 'root-1', 'root_num'].map((key) => one.read(`${BE}/${key}`)),
    ['0000:00:04.00', '0000:01:00.00', '0000:00', '0000:01', '2']);
  assert.equal(names(one), ['0000:00:04.0', '0000:01:00.0']);
  assert.equal(one.kernel().activity.map(({ name, driver, nic }) => [name, driver, nic?.returned]),
    [['0000:00:04.0', 'e1000', 4], ['0000:01:00.0', 'e1000e', 4]]);
  const log = one.kernel().kernel.log;
  for (const bus of ['0000:00', '0000:01']) assert.ok(log.includes(`pcifront pci-0: Creating PCI Frontend Bus ${bus}`));
  assert.is(one.ok('pci-list', 'guest'), 'Vdev Device\n00.0 0000:00:04.0\n00.0 0000:01:00.0\n');
  one.trace.take();
  assert.is(one.xl('pci-detach', 'guest', '00:04.0').code, 0);
  assert.is(one.trace.states(), 'B7 F7 B8 F4 B4');
  assert.is(one.read(`${BE}/vdev-0`), '0000:01:00.00');
  assert.equal(names(one), ['0000:01:00.0']);
  rest(one, ['01:00.0'], 'e1000e');
});

devices.run();
