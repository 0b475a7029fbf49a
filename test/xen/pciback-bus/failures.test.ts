// Ends that do not fit or do not answer, and what each of them comes to (xen-passthrough.md 2.6, 9; xen-observed.md 10).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FakeSpec, PciSplit, RTL } from '../../helpers/pci-split';

const errorNode = (split: PciSplit): string | undefined => split.read(`/local/domain/0/error/backend/pci/${split.domid}/0/error`);

const fatal = suite('fatal errors of the back end');

fatal('another magic: both ends close', async () => {
  const split = await PciSplit.create({ front: 'wrong-magic' });
  split.connect();
  assert.is(split.states, 'B1 F1 B2 B3 F3 B5 F6 B6');
  assert.is(errorNode(split), '14 version mismatch (6/7) with pcifront - halting xen-pciback');
  assert.equal(split.machine.hypervisor.grants.mapped(split.machine.dom0), []);
  assert.equal([split.pages.length, split.grants.used.length], [0, 0]);
});

/** What a front end may publish, and what comes of it. */
const NO_CONFIG = 'Error reading configuration from frontend';
const NO_MAP = '22 Error mapping other domain page in ours.';
const rest = { 'event-channel': '1', magic: '7' };
const PUBLISHED: Array<[name: string, keys: Record<string, string>, error: string]> = [
  ['no magic', { 'pci-op-ref': '8', 'event-channel': '1' }, '14 version mismatch ((null)/7) with pcifront - halting xen-pciback'],
  ['a magic that is no text', { 'pci-op-ref': '8', 'event-channel': '1', magic: '\x1b[2J7' },
    '14 version mismatch (?[2J7/7) with pcifront - halting xen-pciback'],
  ['no reference', rest, `2 ${NO_CONFIG}`],
  ['a reference that is no number', { 'pci-op-ref': '-1', ...rest }, `22 ${NO_CONFIG}`],
  ['a reference beyond 32 bits', { 'pci-op-ref': '4294967296', ...rest }, `22 ${NO_CONFIG}`],
  ['a reference that grants nothing', { 'pci-op-ref': '77', ...rest }, NO_MAP],
  ['a reference beyond the table', { 'pci-op-ref': '4294967295', ...rest }, NO_MAP],
];

for (const [name, keys, error] of PUBLISHED) {
  fatal(`a front end that publishes ${name}`, async () => {
    const split = await PciSplit.create({ front: 'none' });
    split.connect();
    split.domU.store.transaction((store) => {
      for (const [key, value] of Object.entries(keys)) store.write(`${split.front}/${key}`, value);
    });
    split.domU.store.write(`${split.front}/state`, '3');
    split.scheduler.settle();
    assert.equal([split.state('B'), errorNode(split)], ['5', error]);
    assert.equal(split.machine.hypervisor.grants.mapped(split.machine.dom0), []);
  });
}

fatal('a port that is not for us: the page that was mapped is let go', async () => {
  const split = await PciSplit.create();
  split.connect();
  const other = await PciSplit.create({ front: 'none' });
  other.connect();
  const { hypervisor } = other.machine;
  const table = other.machine.engine.frame(hypervisor.grants.frames(other.domain)[0] as number);
  const entry = new DataView(table.buffer, table.byteOffset + 9 * 8, 8);
  entry.setUint32(4, other.domain.p2m[20] as number, true);
  entry.setUint32(0, 1, true);
  for (const port of ['0', '5', '4095', '4294967295']) {
    other.domU.store.write(`${other.front}/pci-op-ref`, '9');
    other.domU.store.write(`${other.front}/event-channel`, port);
    other.domU.store.write(`${other.front}/magic`, '7');
    other.domU.store.write(`${other.front}/state`, '3');
    other.scheduler.settle();
    assert.equal([other.state('B'), errorNode(other)], ['5', '22 Error binding event channel to IRQ']);
    assert.equal(hypervisor.grants.mapped(other.machine.dom0), []);
    other.removeDirectories();
    other.scheduler.settle();
    other.tool.rm(`/local/domain/0/error`);
    other.addFirst('0000:00:04.0');
    other.scheduler.settle();
  }
});

fatal('a page that is I/O memory, which the guest has the right to grant', async () => {
  const split = await PciSplit.create({ front: 'none' });
  split.connect();
  const { hypervisor } = split.machine;
  const mfn = split.machine.barAddress('0000:00:06.0', 0) / 4096;
  hypervisor.iomemPermission(split.domid, mfn, 1, true);
  const table = split.machine.engine.frame(hypervisor.grants.frames(split.domain)[0] as number);
  const entry = new DataView(table.buffer, table.byteOffset + 9 * 8, 8);
  entry.setUint32(4, mfn, true);
  entry.setUint32(0, 1, true);
  const port = hypervisor.events.allocUnbound(split.domid, { remoteDom: 0 });
  split.domU.store.write(`${split.front}/pci-op-ref`, '9');
  split.domU.store.write(`${split.front}/event-channel`, String(port));
  split.domU.store.write(`${split.front}/magic`, '7');
  split.domU.store.write(`${split.front}/state`, '3');
  split.scheduler.settle();
  assert.equal([split.state('B'), errorNode(split)], ['5', '22 Error mapping other domain page in ours.']);
  assert.equal(hypervisor.grants.mapped(split.machine.dom0), []);
});

const LISTS: Array<[name: string, key: string, value: string | undefined, error: string]> = [
  ['no number of devices', 'num_devs', undefined, '2 Error reading number of devices'],
  ['a number that is none', 'num_devs', 'many', '22 Error reading number of devices'],
  ['too many devices', 'num_devs', '9999', '22 Error reading number of devices'],
  ['a device that is not there', 'dev-0', undefined, '2 Error reading device configuration'],
  ['a device without a function', 'dev-0', '0000:00:04', '22 Error parsing pci device configuration'],
  ['a device that is not seized', 'dev-0', '0000:00:1e.0',
    '22 Couldn\'t locate PCI device (0000:00:1e.0)! perhaps already in-use?'],
  ['a device of another segment', 'dev-0', '0001:00:04.0',
    '22 Couldn\'t locate PCI device (0001:00:04.0)! perhaps already in-use?'],
];

for (const [name, key, value, error] of LISTS) {
  fatal(`a list with ${name}`, async () => {
    const split = await PciSplit.create({ back: 'none' });
    split.record();
    split.addFirst('0000:00:04.0');
    if (value === undefined) split.tool.rm(`${split.back}/${key}`);
    else split.tool.write(`${split.back}/${key}`, value);
    const { PcibackBackend } = await import('../../../src/xen/pciback/backend');
    split.backBus.register(new PcibackBackend(split.dom0, split.stub));
    split.scheduler.settle();
    assert.is(split.states, 'B1 F1 B2 B5');
    assert.is(errorNode(split), error);
    split.removeDirectories();
    split.scheduler.settle();
    assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, undefined]);
  });
}

fatal('a device that another front end has', async () => {
  const split = await PciSplit.create();
  split.stub.take(0x20, 77);
  split.connect();
  assert.is(split.states, 'B1 F1 B2 B5 F3 F6 B6');
  assert.is(errorNode(split), '22 Couldn\'t locate PCI device (0000:00:04.0)! perhaps already in-use?');
  assert.is(split.stub.seized[0]?.owner, 77);
});

fatal('no slot is left on the virtual bus: those before stay until the directory goes', async () => {
  const devices: FakeSpec[] = Array.from({ length: 33 }, (_, slot) => ({ ...RTL, routing: slot < 32 ? slot << 3 : 0x100 }));
  const split = await PciSplit.create({ devices });
  split.record();
  split.addFirst('0000:00:00.0');
  for (let slot = 1; slot < 33; slot++) {
    split.addBeforeStart(slot, slot < 32 ? `0000:00:${slot.toString(16).padStart(2, '0')}.0` : '0000:01:00.0');
    split.scheduler.settle();
  }
  assert.equal([split.state('B'), errorNode(split)], ['5', '12 No more space on root virtual PCI bus']);
  assert.equal(split.stub.seized.filter(({ owner }) => owner !== undefined).length, 32);
  split.removeDirectories();
  split.scheduler.settle();
  assert.equal(split.stub.seized.filter(({ owner }) => owner !== undefined).length, 0);
});

fatal.run();

const guests = suite('what a guest can write');

guests('no state that it writes moves the back end where it has not been asked to go', async () => {
  for (const state of ['0', '1', '2', '4', '7', '8', '9', '-1', 'x', '', '44', '4\x00']) {
    const split = await PciSplit.create({ front: 'none' });
    split.connect();
    split.domU.store.write(`${split.front}/state`, state);
    split.scheduler.settle();
    // nothing that is a state is as good as no front end at all
    const unknown = ['0', '9', '-1', 'x', '', '44', '4\x00'].includes(state);
    assert.is(split.state('B'), unknown ? '6' : '3', `front end in "${state}"`);
    assert.equal(split.stub.seized.map(({ owner }) => owner === undefined), unknown ? [true, true, true] : [false, false, true]);
  }
});

guests('reconfiguring and connected, again and again, unasked', async () => {
  const split = await PciSplit.create();
  split.connect();
  for (let i = 0; i < 200; i++) {
    split.domU.store.write(`${split.front}/state`, i % 2 === 0 ? '7' : '4');
    split.scheduler.settle();
    assert.is(split.state('B'), '4');
  }
  assert.is(split.dom0.log.length <= 4096, true);
});

guests('the front end removes its own directory', async () => {
  const split = await PciSplit.create();
  split.connect();
  split.domU.store.rm(split.front);
  split.scheduler.settle();
  assert.is(split.state('B'), '6');
  assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, undefined]);
  assert.equal([split.pages.length, split.grants.used.length], [0, 0]);
  assert.equal(split.machine.hypervisor.grants.mapped(split.machine.dom0), []);
});

guests('directories that go and come before anybody has looked', async () => {
  const split = await PciSplit.create();
  split.connect();
  const grant = split.read(`${split.front}/pci-op-ref`);
  split.removeDirectories();
  split.addFirst('0000:00:07.0');
  split.scheduler.settle();
  assert.is(`${split.state('B')}${split.state('F')}`, '44');
  assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, split.domid]);
  assert.equal(split.pcifront?.devices.map(({ device }) => device), [0x8139]);
  assert.equal([split.pages.length, split.grants.used.length, grant !== undefined], [1, 1, true]);
});

guests('spurious events: everything is written anew with what it was', async () => {
  const split = await PciSplit.create();
  split.connect();
  split.trace.length = 0;
  for (const path of [split.back, split.front]) {
    for (const key of split.tool.directory(path)) split.tool.write(`${path}/${key}`, split.tool.read(`${path}/${key}`));
  }
  split.trace.length = 0;
  split.scheduler.settle();
  assert.equal(split.trace, []);
  assert.equal(split.pcifront?.reads, 385);
});

guests.run();

const kinds = suite('other back ends');

kinds('one that answers nothing: each operation takes two seconds and finds nobody', async () => {
  const split = await PciSplit.create({ back: 'silent' });
  split.record();
  split.addFirst('0000:00:04.0');
  split.boot();
  const start = split.scheduler.now;
  split.scheduler.wait(() => split.state('F') === '4');
  assert.is(split.states, 'B1 F1 B2 B3 F3 B4 F4');
  // 32 slots, then all 256 functions
  assert.is(split.scheduler.now - start, 288 * 2e9);
  assert.equal(split.pcifront?.devices, []);
  assert.is(split.domU.log.filter((line) => line === 'pcifront pci-0: pciback not responding!!!').length, 288);
});

kinds('a front end that waits for ever hangs, and nobody else', async () => {
  const split = await PciSplit.create({ back: 'silent', front: 'no-timeout' });
  split.record();
  split.addFirst('0000:00:04.0');
  split.boot();
  split.scheduler.wait(() => split.pcifront?.hung === true);
  split.scheduler.settle();
  assert.is(split.states, 'B1 F1 B2 B3 F3 B4');
  assert.equal(split.pcifront?.readConfig(0, 0, 4), { code: 0x86, value: 0xffffffff });
  split.destroy();
  split.scheduler.settle();
  assert.is(split.state('B'), '6');
});

kinds('NetBSD\'s: host addresses, everything raw, no state of devices, no hot-plug', async () => {
  const split = await PciSplit.create({ back: 'netbsd' });
  split.connect();
  assert.is(split.states, 'B1 F1 B3 F3 B4 F4');
  assert.is(split.trace.some((line) => /vdev|state-0=3/.test(line)), false);
  assert.equal(split.pcifront?.devices.map(({ name }) => name), ['0000:00:04.0']);
  const [e1000] = split.stub.seized;
  // an address register takes what is written
  assert.equal(split.pcifront?.writeConfig(0x20, 0x10, 4, 0x12345678).code, 0);
  assert.is(e1000?.config.getUint32(0x10, true), 0x12345678);
  assert.equal(e1000?.ops, []);
  assert.equal(split.pcifront?.writeConfig(0x20, 0x10, 3, 0).code, 0x87);
  assert.equal(split.pcifront?.readConfig(0x20, 0x10, 3).code, 0);
  assert.throws(() => split.pcifront?.enableMsi(0x20), /refuses operation 2/);
  split.plug(1, '0000:00:06.0');
  split.scheduler.settle();
  assert.is(`${split.state('B')}${split.state('F')}`, '77');
  split.removeDirectories();
  split.scheduler.settle();
  assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, undefined]);
});

kinds('a back end that goes while the guest works: two seconds, then nobody is there', async () => {
  const split = await PciSplit.create();
  split.connect();
  const link = split.backend?.exports[0]?.link;
  split.dom0.offEvent(link?.port ?? 0);
  const start = split.scheduler.now;
  assert.equal(split.pcifront?.readConfig(0, 0, 2), { code: 0x86, value: 0xffff });
  assert.is(split.scheduler.now - start, 2e9);
  assert.is(split.pcifront?.config(0).read(0, 1), 0xff);
  // the flag that it set itself is not left behind
  assert.is(split.domU.page(split.pages[0] as number).getUint32(0, true), 2);
});

kinds.run();
