// Files of pciback in sysfs: formats and errors of xen-passthrough.md 3.2 and 3.3, as xen-observed.md has them.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SysfsTree } from '../../../src/xen/dom0/sysfs-tree';
import { parseHideList } from '../../../src/xen/pciback/slots';
import { PcibackFiles } from '../../../src/xen/pciback/sysfs-files';
import { E1000, E1000E, EDU, fakePciback, type FakePciback } from '../../helpers/fake-pciback';

const FOLDER = '/sys/bus/pci/drivers/pciback';

interface Files extends FakePciback {
  read(name: string): string;
  /** Code of the error, or `ok`. */
  write(name: string, text: string): string;
  readonly tree: SysfsTree;
  readonly pcibackFiles: PcibackFiles;
}

function files(): Files {
  const back = fakePciback();
  const tree = new SysfsTree();
  const pcibackFiles = new PcibackFiles(back.stub);
  pcibackFiles.addTo(tree);
  return {
    ...back, tree, pcibackFiles,
    read: (name) => tree.read(`${FOLDER}/${name}`),
    write: (name, text) => {
      try {
        tree.write(`${FOLDER}/${name}`, text);
        return 'ok';
      } catch (error) {
        return (error as { code: string }).code;
      }
    },
  };
}

const slots = suite('new_slot, remove_slot, slots');

slots('functions, with and without segment, in the order in which they came; again is nothing', () => {
  const one = files();
  assert.is(one.read('slots'), '');
  for (const text of ['0000:00:06.0\n', '00:04.0', '1:2:3.4', 'FFFF:ff:1F.7', '0000:00:06.0', ' 00:05.0 \n']) {
    assert.is(one.write('new_slot', text), 'ok', text);
  }
  assert.is(one.read('slots'), '0000:00:06.0\n0000:00:04.0\n0001:02:03.4\nffff:ff:1f.7\n0000:00:05.0\n');
  assert.is(one.write('remove_slot', '0000:00:04.0'), 'ok');
  assert.is(one.write('remove_slot', '0000:00:04.0'), 'ENOENT');
  assert.is(one.write('remove_slot', '1:0:4.0'), 'ENOENT');
  assert.is(one.read('slots'), '0000:00:06.0\n0001:02:03.4\nffff:ff:1f.7\n0000:00:05.0\n');
});

slots('all functions of a slot, all of a bus', () => {
  const one = files();
  assert.is(one.write('new_slot', '0000:00:0a.*'), 'ok');
  assert.is(one.read('slots'), [0, 1, 2, 3, 4, 5, 6, 7].map((func) => `0000:00:0a.${func}\n`).join(''));
  assert.is(one.write('new_slot', '01:*.*'), 'ok');
  assert.is(one.read('slots').split('\n').length - 1, 8 + 256);
  assert.is(one.write('remove_slot', '00:0a.3'), 'ok');
  assert.is(one.write('remove_slot', '00:0a.*'), 'ok', 'those that are left');
  assert.is(one.write('remove_slot', '0000:01:*.*'), 'ok');
  assert.is(one.read('slots'), '');
});

slots('what is no address, and what is out of range', () => {
  const one = files();
  for (const text of ['', '\n', 'zz', '00:04', '0000:00:04', '00:04.', '(00:04.0)', '00:*.0', '*:04.0', '00:04.0 x',
    '00:04.0,00:05.0', '-1:04.0', '10000:00:04.0', '100:04.0', '00:20.0', '00:04.8', '00:04.10', '0000:00:ffffffffff.0', '0:0:0:4.0']) {
    for (const name of ['new_slot', 'remove_slot']) assert.is(one.write(name, text), 'EINVAL', text);
  }
  assert.is(one.read('slots'), '');
});

slots('only writable, only readable', () => {
  const one = files();
  for (const name of ['new_slot', 'remove_slot', 'irq_handler_state']) assert.throws(() => one.read(name));
  for (const name of ['slots', 'irq_handlers']) assert.is(one.write(name, '00:04.0'), 'EACCES');
});

slots('the files go with the driver', () => {
  const one = files();
  assert.equal(one.tree.list(FOLDER), ['allow_interrupt_control', 'irq_handler_state', 'irq_handlers', 'new_slot', 'permissive',
    'quirks', 'remove_slot', 'slots']);
  one.pcibackFiles.removeFrom(one.tree);
  assert.equal(one.tree.list(FOLDER), []);
});

slots.run();

const hide = suite('the list `hide`');
const address = (segment: number, bus: number, device?: number, func?: number): unknown => ({ segment, bus, device, func });

hide('every form, with blanks between them', () => {
  assert.equal(parseHideList('(0000:00:04.0)'), [address(0, 0, 4, 0)]);
  assert.equal(parseHideList(' (1:02:1f.*)  (0001:02:*.*)(00:04.7)\t(01:00.*)(3:*.*)\n'), [
    address(1, 2, 31), address(1, 2), address(0, 0, 4, 7), address(0, 1, 0), address(0, 3),
  ]);
  assert.equal(parseHideList(''), []);
});

hide('what cannot be read is told from there on', () => {
  for (const [text, rest] of [
    ['(00:04.0', '(00:04.0'], ['00:04.0', '00:04.0'], ['(00:04.0)x', 'x'], ['(00:04.0),(00:05.0)', ',(00:05.0)'],
    ['(00:04.0) (zz)', '(zz)'], ['(00:*.3)', '(00:*.3)'], ['()', '()'], ['((00:04.0))', '((00:04.0))'],
  ] as const) {
    assert.throws(() => parseHideList(text), (error: Error & { code: string }) => error.code === 'EINVAL'
      && error.message === `Error parsing pci_devs_to_hide at "${rest}"`, text);
  }
});

hide('what is out of range', () => {
  for (const text of ['(10000:00:04.0)', '(100:04.0)', '(00:20.0)', '(00:04.8)', '(00:20.*)', '(100:*.*)']) {
    assert.throws(() => parseHideList(text), (error: { code: string }) => error.code === 'EINVAL', text);
  }
});

hide.run();

const lists = suite('permissive, allow_interrupt_control');

for (const name of ['permissive', 'allow_interrupt_control']) {
  lists(`${name}: set, shown, and gone with the guest`, () => {
    const one = files();
    assert.is(one.read(name), '');
    assert.is(one.write(name, '0000:00:05.0'), 'ENODEV', 'not seized');
    const device = one.take(E1000E);
    one.seize(EDU);
    assert.is(one.write(name, '0000:00:05.0\n'), 'ok');
    assert.is(one.write(name, '00:06.0'), 'ok');
    assert.is(one.read(name), '0000:00:05.0\n0000:00:06.0\n');
    assert.is(one.write(name, '0000:00:04.0'), 'ENODEV');
    assert.is(one.write(name, '0001:00:05.0'), 'ENODEV');
    for (const text of ['', 'zz', '00:05.*', '00:*.*', '00:05.8']) assert.is(one.write(name, text), 'EINVAL', text);
    one.stub.give(device);
    assert.is(one.read(name), '0000:00:06.0\n');
    one.take(E1000E, 2);
    assert.is(one.read(name), '0000:00:06.0\n');
  });
}

lists('permissive before the guest has the device counts for it', () => {
  const one = files();
  one.seize(E1000E);
  one.write('permissive', '0000:00:05.0');
  one.take(E1000E).configWrite(0x40, 4, 0x12345678);
  assert.is(one.host.at(E1000E).read(0x40, 4), 0x12345678);
});

lists('the parameters of the module: permissive can be changed', () => {
  const one = files();
  const read = (name: string): string => one.tree.read(`/sys/module/xen_pciback/parameters/${name}`);
  const write = (name: string, text: string): string => one.write(`../../../../module/xen_pciback/parameters/${name}`, text);
  assert.equal(['hide', 'passthrough', 'permissive'].map(read), ['\n', 'N\n', 'N\n']);
  const device = one.take(E1000E);
  assert.is(write('permissive', 'Y\n'), 'ok');
  assert.is(read('permissive'), 'Y\n');
  assert.is(one.read('permissive'), '', 'the list is of devices');
  device.configWrite(0x40, 4, 0x12345678);
  assert.is(one.host.at(E1000E).read(0x40, 4), 0x12345678);
  for (const text of ['', 'x', 'YY', '2']) assert.is(write('permissive', text), 'EINVAL');
  assert.is(write('permissive', '0'), 'ok');
  assert.is(device.permissive, false);
  for (const name of ['hide', 'passthrough']) assert.is(write(name, 'Y'), 'EACCES');
});

lists.run();

const quirks = suite('quirks');

quirks('the fields of each device, as observed', () => {
  const one = files();
  one.seize(EDU);
  one.seize(E1000E);
  const header = ['00000000:2', '00000002:2', '00000004:2', '0000003c:1', '0000003d:1', '0000000c:1', '0000000d:1', '0000000f:1',
    '00000010:4', '00000014:4', '00000018:4', '0000001c:4', '00000020:4', '00000024:4', '00000030:4'];
  const shown = (fields: readonly string[]): string => fields.map((field) => `\t\t${field}:00000000\n`).join('');
  assert.is(one.read('quirks'), `00:06.0\n\t1234:11e8:1af4:1100\n${shown([...header, '00000040:2', '00000042:2'])}`
    + `00:05.0\n\t8086:10d3:1af4:1100\n${shown([...header, '000000c8:2', '000000ca:2', '000000cc:2', '000000ce:1', '000000cf:1',
      '000000d0:2', '000000d2:2', '000000a0:2', '000000a2:2'])}`);
});

quirks('one that is added can be read and written by a guest that is not trusted, and goes with it', () => {
  const one = files();
  const device = one.take(E1000E);
  assert.is(one.write('quirks', '0000:00:05.0-40:2:ffff\n'), 'ok');
  assert.is(one.write('quirks', '00:05.0-fc:4:0'), 'ok');
  assert.match(one.read('quirks'), '\t\t00000040:2:0000ffff\n\t\t000000fc:4:00000000\n');
  assert.is(device.configWrite(0x40, 2, 0x1234).err, 0);
  assert.is(one.host.at(E1000E).read(0x40, 4), 0x00001234);
  device.configWrite(0x40, 4, 0x55556666);
  assert.is(one.host.at(E1000E).read(0x40, 4), 0x00006666, 'only its own bytes');
  device.configWrite(0x42, 2, 0x7777);
  assert.is(one.host.at(E1000E).read(0x40, 4), 0x00006666);
  one.stub.give(device);
  assert.is(one.read('quirks').includes('00000040:2'), false);
});

quirks('one where a field begins already changes nothing', () => {
  const one = files();
  const device = one.take(E1000E);
  const before = one.read('quirks');
  assert.is(one.write('quirks', '00:05.0-04:2:ffff'), 'ok');
  assert.is(one.read('quirks'), before);
  device.configWrite(0x04, 2, 0);
  assert.is(one.host.at(E1000E).read(0x04, 2), 0x0103);
});

quirks('one that no access can reach answers so, and nothing is thrown', () => {
  const one = files();
  const device = one.take(E1000E);
  assert.is(one.write('quirks', '00:05.0-41:2:ffff'), 'ok');
  assert.is(device.configRead(0x40, 4).err, -2);
  assert.is(device.configWrite(0x40, 4, 0).err, -2);
  assert.is(one.write('quirks', '00:05.0-fff:4:ffffffff'), 'ok');
  assert.is(device.configRead(0xffc, 4).err, -2);
});

quirks('errors', () => {
  const one = files();
  one.seize(E1000E);
  for (const text of ['', '00:05.0', '00:05.0-40', '00:05.0-40:2', '00:05.0-40:2:', '00:05.0-1000:1:0', '00:05.0-40:3:0',
    '00:05.0-40:0:0', '00:05.0-40:8:0', '00:05.0-40:1:100', '00:05.0-40:2:10000', '00:05.0-40:4:100000000', 'zz-40:1:0',
    '00:05.*-40:1:0', '00:05.0-zz:1:0']) {
    assert.is(one.write('quirks', text), 'EINVAL', text);
  }
  assert.is(one.write('quirks', '00:06.0-40:1:ff'), 'ENODEV');
  assert.is(one.write('quirks', '00:05.0-fff:1:ff'), 'ok');
});

quirks.run();

const handlers = suite('irq_handlers, irq_handler_state');

handlers('each device that is seized, with what was observed', () => {
  const one = files();
  assert.is(one.read('irq_handlers'), '');
  const device = one.take(E1000);
  one.seize(EDU);
  assert.is(one.read('irq_handlers'), '0000:00:04.0:off:not acking:0\n0000:00:06.0:off:not acking:0\n');
  device.configWrite(0x04, 2, 0x0103);
  device.updateIntx();
  one.lines.fire(20, 26);
  assert.is(one.read('irq_handlers'), '0000:00:04.0:on:acking:26\n0000:00:06.0:off:not acking:0\n');
});

handlers('the state is turned over; on also acknowledges', () => {
  const one = files();
  const device = one.take(E1000);
  device.configWrite(0x04, 2, 0x0103);
  device.updateIntx();
  assert.is(one.write('irq_handler_state', '0000:00:04.0'), 'ok');
  assert.is(one.read('irq_handlers'), '0000:00:04.0:off:acking:0\n');
  one.lines.fire(20);
  assert.is(one.read('irq_handlers'), '0000:00:04.0:off:acking:0\n');
  device.interrupt.acknowledges = false;
  assert.is(one.write('irq_handler_state', '0000:00:04.0'), 'ok');
  assert.is(one.read('irq_handlers'), '0000:00:04.0:on:acking:0\n');
  for (const text of ['', 'zz', '00:04.*']) assert.is(one.write('irq_handler_state', text), 'EINVAL');
  assert.is(one.write('irq_handler_state', '00:06.0'), 'ENOENT');
});

handlers.run();
