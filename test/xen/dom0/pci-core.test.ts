import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { KernelError } from '../../../src/xen/dom0/errors';
import { PciCore } from '../../../src/xen/dom0/pci-core';
import { DiaryDriver, FakeHostPci } from '../../helpers/fake-host-pci';

const E1000 = { 0: 0x86, 1: 0x80, 2: 0x0e, 3: 0x10 };

function rig(): { host: FakeHostPci; core: PciCore; diary: string[]; log: string[] } {
  const host = new FakeHostPci([
    { routing: 0x20, config: E1000 }, { routing: 0x30 },
    { routing: 0x58, config: { 14: 1 } }, { routing: 0x100, parent: 0x58, config: E1000 },
  ]);
  const log: string[] = [];
  return { host, core: new PciCore(host, (line) => log.push(line)), diary: [], log };
}

function code(action: () => void): string {
  try {
    action();
  } catch (error) {
    assert.instance(error, KernelError);
    return (error as KernelError).code;
  }
  return 'none';
}

const core = suite('PCI core of dom0');

core('drivers take what they match at registration, the first registered first', () => {
  const { core: pci, diary } = rig();
  pci.addDriver(new DiaryDriver('nic', diary, ({ routing }) => routing === 0x20));
  pci.addDriver(new DiaryDriver('any', diary));
  assert.equal(diary, [
    'nic probes 0000:00:04.0', 'any probes 0000:00:06.0', 'any probes 0000:00:0b.0', 'any probes 0000:01:00.0',
  ]);
  assert.is(pci.deviceNamed('0000:00:04.0')?.driver, 'nic');
});

core('a refusal at registration leaves the device free, and only an unusual one is logged', () => {
  const { core: pci, diary, log } = rig();
  const shy = new DiaryDriver('shy', diary, ({ routing }) => routing === 0x20);
  shy.refuse = new KernelError('ENODEV', 'not mine');
  pci.addDriver(shy);
  assert.is(pci.deviceNamed('0000:00:04.0')?.driver, undefined);
  assert.equal(log, []);
  const broken = new DiaryDriver('broken', diary, ({ routing }) => routing === 0x20);
  broken.refuse = new KernelError('EIO', 'no answer');
  pci.addDriver(broken);
  assert.equal(log, ['broken: probe of 0000:00:04.0 failed: no answer']);
});

core('bind and unbind give Linux\'s errors', () => {
  const { core: pci, diary } = rig();
  pci.addDriver(new DiaryDriver('nic', diary, ({ routing }) => routing === 0x20));
  pci.addDriver(new DiaryDriver('other', diary, () => false));
  assert.is(code(() => pci.bind('nic', '0000:00:1e.0')), 'ENODEV', 'no such device');
  assert.is(code(() => pci.bind('nic', '0000:00:06.0')), 'ENODEV', 'not matched');
  assert.is(code(() => pci.bind('nic', '0000:00:04.0')), 'EBUSY', 'bound already');
  assert.is(code(() => pci.unbind('other', '0000:00:04.0')), 'ENODEV', 'another has it');
  pci.unbind('nic', '0000:00:04.0');
  assert.is(code(() => pci.unbind('nic', '0000:00:04.0')), 'ENODEV', 'twice');
  pci.bind('nic', '0000:00:04.0');
  assert.equal(diary, ['nic probes 0000:00:04.0', 'nic removes 0000:00:04.0', 'nic probes 0000:00:04.0']);
});

core('a probe that throws leaves the device without a driver, and bind tells the error', () => {
  const { core: pci, diary } = rig();
  const nic = new DiaryDriver('nic', diary);
  pci.addDriver(nic);
  pci.unbind('nic', '0000:00:04.0');
  nic.refuse = new KernelError('ENOMEM', 'nothing left');
  assert.is(code(() => pci.bind('nic', '0000:00:04.0')), 'ENOMEM');
  assert.is(pci.deviceNamed('0000:00:04.0')?.driver, undefined);
});

core('driver_override lets one driver have the device and no other', () => {
  const { core: pci, diary } = rig();
  pci.addDriver(new DiaryDriver('picky', diary, () => false));
  pci.setOverride('0000:00:06.0', 'picky');
  pci.addDriver(new DiaryDriver('any', diary, ({ routing }) => routing === 0x30));
  assert.equal(diary, [], 'any did not take it');
  pci.bind('picky', '0000:00:06.0');
  pci.unbind('picky', '0000:00:06.0');
  assert.is(code(() => pci.bind('any', '0000:00:06.0')), 'ENODEV');
  pci.setOverride('0000:00:06.0', '');
  pci.probe('0000:00:06.0');
  assert.is(pci.deviceNamed('0000:00:06.0')?.driver, 'any');
});

core('added ids are taken at once, and refused twice', () => {
  const { core: pci, diary } = rig();
  pci.addDriver(new DiaryDriver('picky', diary, () => false));
  pci.addId('picky', { vendor: 0x8086, device: 0x100e });
  assert.equal(diary, ['picky probes 0000:00:04.0', 'picky probes 0000:01:00.0']);
  assert.is(code(() => pci.addId('picky', { vendor: 0x8086, device: 0x100e })), 'EEXIST');
  pci.removeId('picky', { vendor: 0x8086, device: 0x100e });
  assert.is(code(() => pci.removeId('picky', { vendor: 0x8086, device: 0x100e })), 'ENODEV');
  assert.is(pci.deviceNamed('0000:00:04.0')?.driver, 'picky', 'it keeps what it has');
});

core('a bridge goes with what is behind it, and comes back by a rescan with its drivers', () => {
  const { core: pci, diary } = rig();
  pci.addDriver(new DiaryDriver('any', diary, ({ routing }) => routing >= 0x58));
  diary.length = 0;
  pci.remove(0x58);
  assert.equal(diary, ['any removes 0000:01:00.0', 'any removes 0000:00:0b.0']);
  assert.equal(pci.devices.map(({ name }) => name), ['0000:00:04.0', '0000:00:06.0']);
  diary.length = 0;
  pci.rescan();
  assert.equal(diary, ['any probes 0000:00:0b.0', 'any probes 0000:01:00.0']);
  pci.rescan();
  assert.is(diary.length, 2, 'nothing new');
});

core('a driver that goes lets go of its devices', () => {
  const { core: pci, diary } = rig();
  pci.addDriver(new DiaryDriver('nic', diary, ({ routing }) => routing === 0x20));
  pci.removeDriver('nic');
  assert.is(diary.at(-1), 'nic removes 0000:00:04.0');
  assert.is(code(() => pci.bind('nic', '0000:00:04.0')), 'ENODEV');
});

core('enabling is counted; the last to disable takes Bus Master away and leaves decode', () => {
  const host = new FakeHostPci([{ routing: 0x20, resources: [
    { start: 0xfe640000, end: 0xfe65ffff, flags: 0x40200 }, { start: 0xd2c0, end: 0xd2ff, flags: 0x40101 },
  ] }]);
  const pci = new PciCore(host);
  const device = pci.device(0x20);
  assert.ok(device);
  pci.enable(device);
  pci.enable(device);
  assert.is(host.config(0x20).read(4, 2), 3);
  host.config(0x20).write(4, 2, 7);
  pci.disable(device);
  assert.is(host.config(0x20).read(4, 2), 7);
  pci.disable(device);
  assert.is(host.config(0x20).read(4, 2), 3);
  assert.not.ok(pci.isEnabled(device));
});

core.run();
