// Seizing, handing over, taking back and letting go (xen-passthrough.md 3.4 to 3.6, xen-observed.md 4.1).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { msiCapability } from '../../../src/pci/capabilities/msi';
import { pmCapability } from '../../../src/pci/capabilities/pm';
import { field } from '../../../src/pci/fields';
import { HypercallError } from '../../../src/xen/hypervisor/errors';
import {
  BEHIND, E1000, E1000E, EDU, fakePciback, OBSERVED, PAIR_0, PAIR_1, ROOT_PORT, vpdCapability,
} from '../../helpers/fake-pciback';

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

const seizing = suite('seizing');

seizing('a listed device, or one that is meant for pciback, which is listed by that', () => {
  const { host, stub } = fakePciback();
  assert.is(stub.matches(host.device(E1000)), false);
  assert.is(codeOf(() => stub.probe(host.device(E1000))), 'ENODEV');
  assert.is(stub.matches(host.device(E1000, { override: 'e1000' })), false);
  stub.slots.add({ segment: 0, bus: 0, device: 4, func: undefined });
  assert.is(stub.matches(host.device(E1000)), true);
  stub.probe(host.device(E1000));
  stub.probe(host.device(EDU, { override: 'pciback' }));
  assert.equal(stub.seized.map(({ name, owner }) => [name, owner]), [['0000:00:04.0', undefined], ['0000:00:06.0', undefined]]);
  assert.is(stub.slots.has(EDU), true);
});

seizing('what is behind a bridge that is listed', () => {
  const { host, stub } = fakePciback({ hide: '(00:1c.0)' });
  assert.is(stub.matches(host.device(BEHIND)), true);
  assert.is(stub.matches(host.device(E1000)), false);
});

seizing('leaves IO, MEM and SERR on, Bus Master and INTx Disable off, messages off, the function reset', () => {
  const back = fakePciback();
  const config = back.host.at(E1000E);
  config.write(0x04, 2, 0x0507);
  config.write(0xd2, 2, 0x0081);
  config.write(0xa2, 2, 0xc004);
  back.seize(E1000E);
  assert.is(config.read(0x04, 2), 0x0103);
  assert.is(config.read(0xd2, 2), 0x0080);
  assert.is(config.read(0xa2, 2), 0x0004);
  assert.is(config.resets, 1);
  assert.equal([0x10, 0x30].map((off) => config.read(off, 4)), [0xfe660000, 0xfe540000], 'BARs and ROM are where they were');
  assert.equal(back.physdev.calls, ['prepare 28']);
  assert.equal(back.log.slice(-5), ['seizing device', 'enabling device', 'save state', 'resetting (FLR, D3, etc)', 'reset device']
    .map((text) => `pciback 0000:00:05.0: xen-pciback: ${text}`));
});

seizing('turns on the decode that its resources need, when firmware has not', () => {
  for (const [routing, command] of [[E1000, 0x0003], [EDU, 0x0002], [PAIR_0, 0x0002]] as const) {
    const back = fakePciback();
    back.host.at(routing).write(0x04, 2, 0);
    back.seize(routing);
    assert.is(back.host.at(routing).read(0x04, 2), command);
  }
});

seizing('without a way to reset it: config space as it was, and no reset', () => {
  const back = fakePciback();
  const config = back.host.at(E1000);
  config.write(0x04, 2, 0x0107);
  back.seize(E1000);
  assert.is(config.resets, 0);
  assert.is(config.read(0x04, 2), 0x0103);
});

seizing('a header that is neither of an endpoint nor of a bridge is refused', () => {
  const back = fakePciback();
  for (const layout of [2, 3, 0x7f, 0x82]) {
    back.host.at(E1000).bytes[0x0e] = layout;
    assert.is(codeOf(() => back.seize(E1000)), 'ENODEV');
    assert.match(back.log.at(-1) as string, 'can\'t export pci devices that don\'t have a normal (0) or bridge (1) header type!');
  }
  assert.equal(back.stub.seized, []);
  back.host.at(E1000).bytes[0x0e] = 0x80;
  back.seize(E1000);
  assert.is(back.seize(ROOT_PORT).name, '0000:00:1c.0', 'a bridge is one of the two');
});

seizing('a hypervisor that does not prepare MSI-X is told of, and the device seized', () => {
  const back = fakePciback();
  back.physdev.refuse = 'EBUSY';
  back.seize(E1000E);
  assert.ok(back.log.some((line) => line.includes('MSI-X preparation failed (-16)')));
  assert.is(back.stub.seized.length, 1);
});

seizing('the list `hide`; one that cannot be read and there is no driver', () => {
  const { stub, log } = fakePciback({ hide: '(0000:00:04.0)(00:0a.*)' });
  assert.equal(stub.slots.lines().length, 9);
  assert.is(log[0], 'xen-pciback: backend is vpci');
  assert.is(fakePciback({ passthrough: true }).log[0], 'xen-pciback: backend is passthrough');
  const lines: string[] = [];
  const { host, physdev, lines: interrupts } = fakePciback();
  const irqs = { allocate: () => 1, release: () => {} };
  const Stub = stub.constructor as typeof import('../../../src/xen/pciback/stub').PcibackStub;
  const parts = { host, physdev, lines: interrupts, irqs, kernel: { print: (line: string) => lines.push(line) } };
  assert.is(codeOf(() => new Stub(parts, { hide: '(00:04.0) (bad)' })), 'EINVAL');
  assert.equal(lines, ['xen-pciback: Error parsing pci_devs_to_hide at "(bad)"']);
  assert.is(codeOf(() => new Stub(parts, { hide: '(00:20.0)' })), 'EINVAL');
});

seizing.run();

const giving = suite('handing over and taking back');

giving('one guest at a time', () => {
  const back = fakePciback();
  assert.is(back.stub.take(E1000, 1), undefined, 'not seized');
  const device = back.take(E1000, 1);
  assert.is(device.owner, 1);
  assert.is(back.stub.take(E1000, 2), undefined, 'in use');
  assert.is(back.stub.take(E1000, 1), undefined, 'by itself, too');
  back.stub.give(device);
  assert.is(device.owner, undefined);
  back.stub.give(device);
  assert.is(back.stub.take(E1000, 2), device);
  assert.is(device.owner, 2);
});

giving('nothing of a guest is left for the next: config space, messages, line, rights, shadow', () => {
  const back = fakePciback();
  const device = back.seize(E1000E);
  const config = back.host.at(E1000E);
  const seized = Uint8Array.from(config.bytes);
  device.ownPermissive = true;
  device.interruptControl = true;
  back.stub.take(E1000E, 1);
  assert.is(device.permissive, true, 'what was set for this guest before it got the device counts');
  device.virtual.addQuirk(0x44, 4, 0);
  const resets = config.resets;
  device.configWrite(0x04, 2, 0x0507);
  device.updateIntx();
  device.configWrite(0x10, 4, 0xffffffff);
  device.configWrite(0x0c, 1, 0xff);
  for (const off of [0x40, 0xfc, 0x108]) device.configWrite(off, 4, 0x11111111);
  device.enableMsix([0, 1]);
  back.stub.give(device);
  assert.is(Buffer.compare(config.bytes, seized), 0);
  assert.is(config.resets, resets + 1);
  assert.equal([...back.lines.held.keys()], []);
  assert.equal(back.physdev.calls.slice(-2), ['unmap 55 of 1', 'unmap 54 of 1']);
  assert.equal([device.ownPermissive, device.interruptControl, device.messages.on], [false, false, undefined]);
  back.stub.take(E1000E, 2);
  assert.is(device.configRead(0x04, 2).value, 0x0103);
  assert.is(device.configRead(0x10, 4).value, 0xfe660000);
  assert.is(device.fields.some(({ off }) => off === 0x44), false);
  assert.is(device.configWrite(0x40, 4, 5).err, 0);
  assert.is(config.read(0x40, 4), 0);
});

giving('a device that has no reset is put back register by register', () => {
  const back = fakePciback();
  const device = back.seize(E1000);
  const seized = Uint8Array.from(back.host.at(E1000).bytes);
  back.stub.take(E1000, 1);
  device.ownPermissive = true;
  for (const off of [0x0c, 0x40, 0xfc]) device.configWrite(off, 4, 0x3c3c3c3c);
  device.configWrite(0x04, 2, 0xffff);
  back.host.at(E1000).write(0x10, 4, 0);
  back.stub.give(device);
  assert.is(Buffer.compare(back.host.at(E1000).bytes, seized), 0);
});

giving('what acts when written is not put back: a power state, the address of VPD, messages', () => {
  const config = {
    vendorId: 1, deviceId: 2, classCode: 0, revision: 0, interruptPin: 0, bars: [], capabilities: [
      vpdCapability(0x40), pmCapability({ off: 0x50 }), msiCapability({ off: 0xd0, vectors: 1, wide: true }),
    ],
  };
  const back = fakePciback({}, [{ routing: 8, addresses: [], resettable: false, config }]);
  const hardware = back.host.at(8);
  hardware.write(0xd2, 2, 0x0001);
  hardware.write(0x54, 2, 0x0003);
  const device = back.take(8);
  assert.is(hardware.read(0x54, 2), 0, 'a device that was asleep is woken');
  device.configWrite(0x42, 2, 0x0010);
  device.enableMsi();
  device.configWrite(0x54, 2, 0x0003);
  back.stub.give(device);
  assert.is(hardware.read(0x42, 2), 0x0010);
  assert.is(hardware.read(0xd2, 2), 0x0080);
  assert.is(hardware.read(0xd4, 4), 0xfee004b8, 'the address is the hypervisor\'s');
  assert.is(hardware.read(0x54, 2), 0);
});

giving('a guest that has died has no numbers left to unmap', () => {
  const back = fakePciback();
  const device = back.take(EDU);
  device.enableMsi();
  back.physdev.unmapPirq = () => { throw new HypercallError('ESRCH', 'no such domain'); };
  back.stub.give(device);
  assert.is(device.messages.on, undefined);
  assert.is(device.configRead(0x3c, 1).value, 0x15);
});

giving('the numbers of messages are used again', () => {
  const back = fakePciback();
  const device = back.take(EDU);
  for (let i = 0; i < 300; i++) {
    device.enableMsi();
    assert.is(device.configRead(0x3c, 1).value, 0x34);
    device.disableMsi();
  }
});

giving.run();

const release = suite('letting go');

release('a device that no guest has: reset, its MSI-X released, no word of a guest', () => {
  const back = fakePciback();
  back.seize(E1000E);
  const resets = back.host.at(E1000E).resets;
  back.stub.remove(back.host.device(E1000E));
  assert.equal(back.stub.seized, []);
  assert.is(back.host.at(E1000E).resets, resets + 1);
  assert.equal(back.physdev.calls, ['prepare 28', 'release 28']);
  assert.is(back.log.length, 6);
  back.stub.remove(back.host.device(E1000E));
});

release('a device that a guest has: four lines, the back end is told, the guest gets nothing more of it', () => {
  const back = fakePciback();
  const device = back.take(E1000E, 3);
  device.enableMsix([0]);
  const told: string[] = [];
  back.stub.onTaken = (taken) => told.push(`${taken.name} of ${taken.owner}`);
  const before = back.log.length;
  back.stub.remove(back.host.device(E1000E));
  assert.equal(told, ['0000:00:05.0 of 3']);
  const lines = back.log.slice(before);
  assert.is(lines.length, 4);
  assert.match(lines[0] as string, 'removing device 0000:00:05.0 while still in-use by domain 3!');
  assert.match(lines[1] as string, 'driver domain may still access this device\'s i/o resources!');
  assert.equal(back.stub.seized, []);
  assert.is(back.stub.take(E1000E, 4), undefined);
  assert.equal(device.configRead(0, 4), { err: -1, value: 0 });
  assert.equal(device.configWrite(4, 2, 7), { err: -1, value: 0 });
  assert.equal(device.enableMsi(), { err: -1, value: 0 });
  assert.equal(device.disableMsi(), { err: -1, value: 0 });
  assert.equal(device.enableMsix([0]), { err: -1, value: 0, pirqs: [] });
  device.updateIntx();
  assert.is(back.host.at(E1000E).read(0x04, 2), 0x0103);
  assert.is(back.host.at(E1000E).read(0xa2, 2), 0x0004);
});

release('a device that has been pulled out', () => {
  const back = fakePciback();
  const gone = back.host.device(E1000E);
  const device = back.take(E1000E);
  device.enableMsix([0, 1]);
  back.host.all.delete(E1000E);
  device.configWrite(0xcc, 2, 3);
  device.configWrite(0xcc, 2, 0);
  back.physdev.releaseMsix = () => { throw new HypercallError('ENODEV', 'no such device'); };
  back.stub.remove(gone);
  assert.equal(back.stub.seized, []);
  assert.equal(back.physdev.calls.slice(-2), ['unmap 55 of 1', 'unmap 54 of 1']);
});

release('nobody else\'s device is given or forgotten', () => {
  const [one, other] = [fakePciback(), fakePciback()];
  const device = one.take(E1000);
  other.take(E1000);
  other.stub.give(device);
  assert.is(device.owner, 1);
  assert.is(other.stub.seized[0]?.owner, 1);
});

release.run();

const virtual = suite('virtual functions');

/** A physical function at 02:00.0 with two virtual ones from 02:10.0 on, two apart. */
const sriov = fakePciback({}, [
  {
    routing: 0x0200, addresses: [],
    config: {
      vendorId: 0x8086, deviceId: 0x1521, classCode: 0x020000, revision: 0, interruptPin: 0, bars: [],
      capabilities: [
        { name: 'PCI Express', id: 0x10, off: 0x40, size: 0x3c, fields: () => [] },
        {
          name: 'SR-IOV', id: 0x0010, version: 1, off: 0x100, size: 0x40,
          fields: () => [
            ...[[0x10, 2], [0x14, 0x80], [0x16, 2], [0x1a, 0x1520]].map(([off, value]) =>
              field('', off as number, 2, '', { value: value as number })),
          ],
        },
      ],
    },
  },
  ...[0x0280, 0x0282, 0x0284].map((routing) => ({
    routing, addresses: [],
    config: { vendorId: 0xffff, deviceId: 0xffff, classCode: 0x020000, revision: 0, interruptPin: 0, bars: [] },
  })),
]);

virtual('ids are those of the physical function\'s capability, where the registers hold ones', () => {
  const read = (routing: number): number => sriov.take(routing).configRead(0, 4).value;
  assert.is(read(0x0280), 0x15208086);
  assert.is(read(0x0282), 0x15208086);
  assert.is(read(0x0284), 0xffffffff, 'one more than it says it has');
  sriov.take(0x0200);
  assert.equal([0x0280, 0x0282, 0x0284, 0x0200].map((routing) => sriov.stub.find(routing)?.virtualFunction),
    [true, true, false, false]);
});

virtual.run();

const observed = suite('the observed devices');

observed('all of them can be seized, taken and given back, and are then as they were', () => {
  const back = fakePciback();
  for (const { routing } of OBSERVED) {
    const config = back.host.at(routing);
    const device = back.seize(routing);
    const seized = Uint8Array.from(config.bytes);
    back.stub.take(routing, 1);
    for (let off = 0; off < config.bytes.length; off += 4) device.configWrite(off, 4, 0xa5a5a5a5);
    back.stub.give(device);
    assert.is(Buffer.compare(config.bytes, seized), 0, device.name);
  }
  assert.equal([PAIR_0, PAIR_1].map((routing) => back.stub.find(routing)?.name), ['0000:00:0a.0', '0000:00:0a.1']);
});

observed.run();
