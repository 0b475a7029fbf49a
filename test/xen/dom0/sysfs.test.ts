import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { KernelError } from '../../../src/xen/dom0/errors';
import { PciCore } from '../../../src/xen/dom0/pci-core';
import { showPci } from '../../../src/xen/dom0/pci-sysfs';
import { SysfsTree } from '../../../src/xen/dom0/sysfs-tree';
import { DiaryDriver, FakeHostPci } from '../../helpers/fake-host-pci';

const D = '/sys/bus/pci/devices';
const NIC = `${D}/0000:00:04.0`;

function rig(): { host: FakeHostPci; core: PciCore; tree: SysfsTree; diary: string[] } {
  const host = new FakeHostPci([
    { routing: 0x20, irq: 21, gsi: 20, config: {
      0: 0x86, 1: 0x80, 2: 0x0e, 3: 0x10, 4: 7, 8: 3, 9: 0, 10: 0, 11: 2, 0x2c: 0xf4, 0x2d: 0x1a, 0x2e: 0x00, 0x2f: 0x11,
    }, resources: [
      { start: 0xfe640000, end: 0xfe65ffff, flags: 0x40200 }, { start: 0xd2c0, end: 0xd2ff, flags: 0x40101 },
    ] },
    { routing: 0x58, resettable: false, config: { 0: 0x36, 1: 0x1b, 2: 0x0c, 10: 4, 11: 6, 14: 1 }, resources: [
      ...Array.from({ length: 7 }, () => ({ start: 0, end: 0, flags: 0 })),
      { start: 0xc000, end: 0xcfff, flags: 0x101 }, { start: 0xfe400000, end: 0xfe5fffff, flags: 0x200 },
    ] },
    { routing: 0x100, parent: 0x58, size: 4096 },
  ]);
  const core = new PciCore(host);
  const tree = new SysfsTree();
  showPci(core, tree);
  return { host, core, tree, diary: [] };
}

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.instance(error, KernelError);
    return (error as KernelError).code;
  }
  return 'none';
}

const files = suite('sysfs of PCI devices');

files('devices are links to their folders, one behind a bridge within the bridge\'s', () => {
  const { tree } = rig();
  assert.equal(tree.list(D), ['0000:00:04.0', '0000:00:0b.0', '0000:01:00.0']);
  assert.is(tree.readlink(NIC), '/sys/devices/pci0000:00/0000:00:04.0');
  assert.is(tree.readlink(`${D}/0000:01:00.0`), '/sys/devices/pci0000:00/0000:00:0b.0/0000:01:00.0');
  assert.ok(tree.list(`${D}/0000:00:0b.0`).includes('0000:01:00.0'));
});

files('what a device is, in Linux\'s formats', () => {
  const { tree } = rig();
  const text = (name: string): string => tree.read(`${NIC}/${name}`);
  assert.is(text('vendor'), '0x8086\n');
  assert.is(text('device'), '0x100e\n');
  assert.is(text('subsystem_vendor'), '0x1af4\n');
  assert.is(text('subsystem_device'), '0x1100\n');
  assert.is(text('class'), '0x020000\n');
  assert.is(text('revision'), '0x03\n');
  assert.is(text('irq'), '21\n');
  assert.is(text('enable'), '0\n');
  assert.is(text('driver_override'), '(null)\n');
  assert.is(text('modalias'), 'pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n');
  assert.is(text('uevent'), 'PCI_CLASS=20000\nPCI_ID=8086:100E\nPCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=0000:00:04.0\n'
    + 'MODALIAS=pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n');
});

files('resource has seven lines, of a bridge eleven', () => {
  const { tree } = rig();
  const none = '0x0000000000000000 0x0000000000000000 0x0000000000000000\n';
  assert.is(tree.read(`${NIC}/resource`), '0x00000000fe640000 0x00000000fe65ffff 0x0000000000040200\n'
    + '0x000000000000d2c0 0x000000000000d2ff 0x0000000000040101\n' + none.repeat(5));
  assert.is(tree.read(`${D}/0000:00:0b.0/resource`), none.repeat(7)
    + '0x000000000000c000 0x000000000000cfff 0x0000000000000101\n'
    + '0x00000000fe400000 0x00000000fe5fffff 0x0000000000000200\n' + none.repeat(2));
});

files('config has all bytes, and takes a write from its start', () => {
  const { tree, host } = rig();
  assert.is(tree.read(`${NIC}/config`).length, 256);
  assert.is(tree.read(`${NIC}/config`).slice(0, 4), '\x86\x80\x0e\x10');
  assert.is(tree.read(`${D}/0000:01:00.0/config`).length, 4096);
  tree.write(`${NIC}/config`, '\x86\x80\x0e\x10\x03\x01\xff');
  assert.equal([...(host.bytes.get(0x20) as Uint8Array).slice(0, 8)], [0x86, 0x80, 0x0e, 0x10, 3, 1, 0xff, 0]);
});

files('reset is there where the device has one, wants a 1, and keeps the Command register', () => {
  const { tree, host } = rig();
  assert.not.ok(tree.exists(`${D}/0000:00:0b.0/reset`));
  assert.is(code(() => tree.write(`${NIC}/reset`, '0\n')), 'EINVAL');
  assert.is(code(() => tree.write(`${NIC}/reset`, 'yes\n')), 'EINVAL');
  assert.is(code(() => tree.read(`${NIC}/reset`)), 'EACCES');
  assert.equal(host.resets, []);
  tree.write(`${NIC}/reset`, '1\n');
  assert.equal(host.resets, [0x20]);
  assert.is(host.config(0x20).read(4, 2), 7);
});

files('the driver\'s folder has bind and unbind, and links to what it has', () => {
  const { core, tree, diary } = rig();
  core.addDriver(new DiaryDriver('nic', diary, ({ routing }) => routing === 0x20));
  const folder = '/sys/bus/pci/drivers/nic';
  assert.equal(tree.list(folder), ['0000:00:04.0', 'bind', 'new_id', 'remove_id', 'unbind']);
  assert.is(tree.readlink(`${folder}/0000:00:04.0`), '/sys/devices/pci0000:00/0000:00:04.0');
  assert.is(tree.readlink(`${NIC}/driver`), folder);
  assert.is(code(() => tree.write(`${NIC}/enable`, '1\n')), 'EBUSY');
  assert.ok(tree.read(`${NIC}/uevent`).startsWith('DRIVER=nic\n'));
  tree.write(`${NIC}/driver/unbind`, '0000:00:04.0\n');
  assert.not.ok(tree.exists(`${NIC}/driver`));
  assert.is(code(() => tree.write(`${folder}/unbind`, '0000:00:04.0')), 'ENODEV');
  assert.is(code(() => tree.write(`${folder}/bind`, '0000:00:1e.0')), 'ENODEV');
  assert.is(code(() => tree.write(`${folder}/bind`, '00:04.0')), 'ENODEV', 'the short form is no name');
  tree.write(`${folder}/bind`, '0000:00:04.0');
  assert.ok(tree.exists(`${folder}/0000:00:04.0`));
  assert.equal(diary, ['nic probes 0000:00:04.0', 'nic removes 0000:00:04.0', 'nic probes 0000:00:04.0']);
});

files('new_id takes vendor and device id in hexadecimal', () => {
  const { core, tree, diary } = rig();
  core.addDriver(new DiaryDriver('nic', diary, () => false));
  assert.is(code(() => tree.write('/sys/bus/pci/drivers/nic/new_id', '8086')), 'EINVAL');
  tree.write('/sys/bus/pci/drivers/nic/new_id', '8086 100e\n');
  assert.equal(diary, ['nic probes 0000:00:04.0']);
  assert.is(code(() => tree.write('/sys/bus/pci/drivers/nic/new_id', '8086 100e\n')), 'EEXIST');
});

files('enable turns decode on; off twice is EIO', () => {
  const { tree, host } = rig();
  host.config(0x20).write(4, 2, 0);
  tree.write(`${NIC}/enable`, '1');
  assert.is(tree.read(`${NIC}/enable`), '1\n');
  assert.is(host.config(0x20).read(4, 2), 3);
  tree.write(`${NIC}/enable`, '0');
  assert.is(code(() => tree.write(`${NIC}/enable`, '0')), 'EIO');
});

files('driver_override and drivers_probe', () => {
  const { core, tree, diary } = rig();
  core.addDriver(new DiaryDriver('picky', diary, () => false));
  tree.write(`${NIC}/driver_override`, 'picky\n');
  assert.is(tree.read(`${NIC}/driver_override`), 'picky\n');
  tree.write('/sys/bus/pci/drivers_probe', '0000:00:04.0\n');
  assert.equal(diary, ['picky probes 0000:00:04.0']);
  tree.write(`${NIC}/driver_override`, '\n');
  assert.is(tree.read(`${NIC}/driver_override`), '(null)\n');
  assert.is(code(() => tree.write('/sys/bus/pci/drivers_probe', '0000:00:1e.0')), 'ENODEV');
});

files('remove takes the device out, rescan brings it back', () => {
  const { tree } = rig();
  tree.write(`${D}/0000:00:0b.0/remove`, '1\n');
  assert.equal(tree.list(D), ['0000:00:04.0']);
  assert.is(code(() => tree.read(`${D}/0000:01:00.0/vendor`)), 'ENOENT');
  tree.write('/sys/bus/pci/rescan', '1\n');
  assert.equal(tree.list(D), ['0000:00:04.0', '0000:00:0b.0', '0000:01:00.0']);
});

files('errors are those of kernfs', () => {
  const { tree } = rig();
  assert.is(code(() => tree.read(`${D}/0000:00:1e.0/vendor`)), 'ENOENT');
  assert.is(code(() => tree.write(`${NIC}/vendor`, '0x1234')), 'EACCES');
  assert.is(code(() => tree.read(NIC)), 'EISDIR');
  assert.is(code(() => tree.write(NIC, 'x')), 'EISDIR');
  assert.is(code(() => tree.list(`${NIC}/vendor`)), 'ENOTDIR');
  assert.is(code(() => tree.readlink(`${NIC}/vendor`)), 'EINVAL');
  assert.is(code(() => tree.readlink(`${NIC}/driver`)), 'ENOENT');
  assert.is(code(() => tree.read(`${NIC}/vendor/x`)), 'ENOENT');
  assert.is(code(() => tree.read('vendor')), 'ENOENT');
  assert.is(tree.read(`${NIC}/../0000:00:04.0/vendor`), '0x8086\n');
});

files('a driver\'s own files come and go', () => {
  const { tree } = rig();
  let written = '';
  tree.addFile('/sys/bus/pci/drivers/pciback/new_slot', { write: (text) => { written = text; } });
  tree.write('/sys/bus/pci/drivers/pciback/new_slot', '0000:00:04.0');
  assert.is(written, '0000:00:04.0');
  tree.removeFile('/sys/bus/pci/drivers/pciback/new_slot');
  assert.is(code(() => tree.write('/sys/bus/pci/drivers/pciback/new_slot', '')), 'ENOENT');
});

files.run();
