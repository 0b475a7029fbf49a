// MSI and MSI-X by operation (xen-passthrough.md 1.5), with what the observed system then had in its hardware; the
// handler that keeps the first domain's end of a line (3.7).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { PcibackDevice } from '../../../src/xen/pciback/seized-device';
import { BEHIND, E1000, E1000E, EDU, fakePciback, type FakePciback } from '../../helpers/fake-pciback';

const OP_FAILED = -5;
const ENXIO = -6;
const EINVAL = -22;
const ENODEV = -19;
const ENOSPC = -28;
const EALREADY = -114;

/** Command and the two control words of the 82574L. */
function registers(back: FakePciback): number[] {
  return [0x04, 0xd2, 0xa2].map((off) => back.host.at(E1000E).read(off, 2));
}

function taken(routing: number): { back: FakePciback; device: PcibackDevice } {
  const back = fakePciback();
  return { back, device: back.take(routing) };
}

const msi = suite('MSI');

msi('on: the guest\'s number; then really enabled, INTx off; byte 3C is the first domain\'s number for it', () => {
  const { back, device } = taken(EDU);
  const config = back.host.at(EDU);
  device.configWrite(0x04, 2, 0x0507);
  device.updateIntx();
  assert.equal(device.enableMsi(), { err: 0, value: 55 });
  assert.is(back.physdev.calls.at(-1), 'map 30 for 1');
  assert.is(config.read(0x42, 2), 0x0081);
  assert.is(config.read(0x04, 2), 0x0507);
  assert.is(device.configRead(0x3c, 1).value, 0x34);
  assert.is(device.configRead(0x44, 4).value, 0xfee004b8, 'the guest sees the host\'s address');
  assert.is(device.configRead(0x4c, 2).value, 0);
  assert.is(device.configRead(0x42, 2).value, 0x0081);
  assert.equal(device.disableMsi(), { err: 0, value: 0x15 });
  assert.is(back.physdev.calls.at(-1), 'unmap 55 of 1');
  assert.is(config.read(0x42, 2), 0x0080);
  assert.is(config.read(0x04, 2), 0x0107);
  assert.is(config.read(0x44, 4), 0xfee004b8, 'the address stays');
  assert.is(device.configRead(0x3c, 1).value, 0x15);
});

msi('one message, whatever the function was set to', () => {
  const { back, device } = taken(E1000E);
  back.host.at(E1000E).bytes[0xd2] = 0xb0;
  assert.is(device.enableMsi().err, 0);
  assert.is(back.host.at(E1000E).read(0xd2, 2), 0x0081);
});

msi('failures: on already, MSI-X on, no capability, refused by the hypervisor', () => {
  const { back, device } = taken(E1000E);
  device.enableMsi();
  const calls = back.physdev.calls.length;
  assert.equal(device.enableMsi(), { err: OP_FAILED, value: 0 });
  assert.is(back.log.at(-1), 'pciback 0000:00:05.0: xen-pciback: error enabling MSI for guest 1: err -114');
  device.disableMsi();
  assert.is(device.enableMsix([0]).err, 0);
  assert.equal(device.enableMsi(), { err: OP_FAILED, value: 0 });
  assert.is(back.log.at(-1), 'pciback 0000:00:05.0: xen-pciback: error enabling MSI for guest 1: err -6');
  device.disableMsix();
  const before = registers(back);
  back.physdev.refuse = 'ENODEV';
  assert.equal(device.enableMsi(), { err: OP_FAILED, value: 0 });
  assert.is(back.log.at(-1), 'pciback 0000:00:05.0: xen-pciback: error enabling MSI for guest 1: err -19');
  assert.equal(registers(back), before);
  assert.is(back.physdev.calls.length, calls + 4, 'unmap, map, unmap, and the one that was refused');
  assert.equal(taken(BEHIND).device.enableMsi(), { err: OP_FAILED, value: 0 });
});

msi('off when it is not on: the line\'s number, or 0; MSI-X stays on', () => {
  const { back, device } = taken(E1000E);
  assert.equal(device.disableMsi(), { err: 0, value: 0x15 });
  device.enableMsix([0]);
  assert.equal(device.disableMsi(), { err: 0, value: 0x15 });
  assert.equal(registers(back), [0x0503, 0x0080, 0x8004]);
  assert.equal(back.physdev.calls.filter((call) => call.startsWith('unmap')), []);
});

msi.run();

const msix = suite('MSI-X');

msix('on: a number for each entry, in the order asked for; then enabled, unmasked, INTx off', () => {
  const { back, device } = taken(E1000E);
  const { writes } = back.host.at(E1000E);
  assert.is(device.configWrite(0xa2, 2, 0xc004).err, -3, 'the guest\'s own write is refused');
  writes.length = 0;
  assert.equal(device.enableMsix([0, 1, 2]), { err: 0, value: 0, pirqs: [55, 54, 53] });
  assert.equal(back.physdev.calls.slice(1), [0, 1, 2].map((entry) => `map 28 for 1 entry ${entry} of fe6c0000`));
  assert.equal(writes, ['a2:2=c004', '4:2=503', 'a2:2=8004'], 'masked until the table is complete');
  assert.equal(registers(back), [0x0503, 0x0080, 0x8004]);
  device.configWrite(0x04, 2, 0x0507);
  assert.is(device.configWrite(0xa2, 2, 0x8004).err, 0, 'as it is already');
  assert.is(device.configRead(0xa2, 2).value, 0x8004);
  assert.is(back.host.at(E1000E).read(0x04, 2), 0x0507);
  assert.is(device.configRead(0x3c, 1).value, 0x15, 'the number of the line stays');
  assert.equal(device.disableMsix(), { err: 0, value: 0x15 });
  assert.equal(back.physdev.calls.slice(4), ['unmap 55 of 1', 'unmap 54 of 1', 'unmap 53 of 1']);
  assert.equal(registers(back), [0x0107, 0x0080, 0x0004]);
});

msix('failures, each with errno and value; nothing is left behind', () => {
  const { back, device } = taken(E1000E);
  const before = registers(back);
  const fails = (entries: readonly number[], err: number, value: number): void => {
    const mapped = back.physdev.calls.filter((call) => call.startsWith('map')).length;
    assert.equal(device.enableMsix(entries), { err, value: value >>> 0, pirqs: [] }, String(err));
    assert.is(back.physdev.calls.filter((call) => call.startsWith('map')).length, mapped);
  };
  fails(Array.from({ length: 129 }, (_, index) => index), EINVAL, 129);
  fails([], EINVAL, EINVAL);
  fails([5], EINVAL, EINVAL);
  fails([1, 1], EINVAL, EINVAL);
  fails([0, 1, 2, 3, 4, 5], ENOSPC, ENOSPC);
  back.host.at(E1000E).bytes[0x04] = 0x01;
  fails([0], ENXIO, 1);
  back.host.at(E1000E).bytes[0x04] = 0x03;
  device.enableMsi();
  fails([0, 1], ENXIO, 2);
  device.disableMsi();
  assert.is(device.enableMsix([0]).err, 0);
  fails([1, 2, 3], EALREADY, 3);
  device.disableMsix();
  back.physdev.left = 2;
  assert.equal(device.enableMsix([0, 1, 2, 3]), { err: ENOSPC, value: ENOSPC >>> 0, pirqs: [] });
  assert.equal(back.physdev.calls.slice(-5).map((call) => call.split(' ')[0]), ['map', 'map', 'map', 'unmap', 'unmap']);
  assert.equal(registers(back), before);
  back.physdev.refuse = 'ENODEV';
  assert.is(device.enableMsix([0]).err, ENODEV);
  assert.equal(registers(back), before);
  assert.equal(taken(EDU).device.enableMsix([0]), { err: EINVAL, value: EINVAL >>> 0, pirqs: [] });
});

msix('128 entries may be asked for', () => {
  const { device } = taken(E1000E);
  assert.is(device.enableMsix(Array.from({ length: 128 }, (_, index) => index)).err, ENOSPC, 'the device has five');
});

msix.run();

const power = suite('power states');

power('a function that loses its registers on the way to D0 gets back what the host has set', () => {
  const { back, device } = taken(E1000E);
  const config = back.host.at(E1000E);
  device.configWrite(0x04, 2, 0x0107);
  device.configWrite(0x0c, 1, 0x10);
  device.enableMsix([0, 1]);
  device.configWrite(0xcc, 2, 3);
  config.onD0 = () => config.bytes.fill(0, 0x10, 0x18).fill(0, 0x19, 0x34).fill(0, 0x04, 0x06).fill(0, 0xa3, 0xa4);
  assert.is(device.configWrite(0xcc, 2, 0).err, 0);
  assert.equal(registers(back), [0x0507, 0x0080, 0x8004]);
  assert.equal([0x10, 0x14, 0x18, 0x1c, 0x30].map((off) => config.read(off, 4)),
    [0xfe660000, 0xfe680000, 0xd301, 0xfe6c0000, 0xfe540000]);
  assert.is(back.physdev.calls.at(-1), 'restore 28');
});

power('a device given back in D3hot is on for the next guest', () => {
  const { back, device } = taken(E1000E);
  device.configWrite(0xcc, 2, 3);
  back.stub.give(device);
  assert.is(back.host.at(E1000E).read(0xcc, 2) & 3, 0);
});

power.run();

const line = suite('the first domain\'s end of the line');
const state = (device: PcibackDevice): string => {
  const { on, acknowledges, handled } = device.interrupt;
  return `${on ? 'on' : 'off'}:${acknowledges ? 'acking' : 'not acking'}:${handled}`;
};

line('held while decode is on: `on:acking`, counted; off after a disable', () => {
  const { back, device } = taken(E1000);
  device.updateIntx();
  assert.is(state(device), 'off:not acking:0');
  assert.equal([...back.lines.held.keys()], []);
  device.configWrite(0x04, 2, 0x0503);
  assert.equal([...back.lines.held.keys()], [], 'only after the operation');
  device.updateIntx();
  assert.equal([...back.lines.held.keys()], ['20 xen-pciback[0000:00:04.0]']);
  back.lines.fire(20, 26);
  assert.is(state(device), 'on:acking:26');
  device.configWrite(0x04, 2, 0x0100);
  device.updateIntx();
  assert.is(state(device), 'off:not acking:26');
  assert.equal([...back.lines.held.keys()], []);
});

line('with MSI on `on:not acking`, after that acknowledging again', () => {
  for (const [on, off] of [['enableMsi', 'disableMsi'], ['enableMsix', 'disableMsix']] as const) {
    const { back, device } = taken(E1000E);
    device.configWrite(0x04, 2, 0x0003);
    device.updateIntx();
    assert.is(on === 'enableMsi' ? device.enableMsi().err : device.enableMsix([0]).err, 0);
    device.updateIntx();
    assert.is(state(device), 'on:not acking:0');
    back.lines.fire(0x15, 5);
    assert.is(state(device), 'on:not acking:0');
    device[off]();
    assert.is(state(device), 'on:acking:0');
  }
});

line('not held when decode comes on with MSI on; not for a device without a line', () => {
  const { back, device } = taken(EDU);
  assert.is(device.enableMsi().err, 0);
  device.configWrite(0x04, 2, 0x0002);
  device.updateIntx();
  assert.equal([...back.lines.held.keys()], []);
  const without = fakePciback({}, [{
    routing: 8, addresses: [], config: { vendorId: 1, deviceId: 2, classCode: 0, revision: 0, interruptPin: 0, bars: [] },
  }]);
  const plain = without.take(8);
  plain.configWrite(0x04, 2, 0x0003);
  plain.updateIntx();
  assert.equal([...without.lines.held.keys()], []);
  assert.is(plain.disableMsi().value, 0);
});

line('each 1000th interrupt: acknowledges no longer when nobody shares the line', () => {
  const { back, device } = taken(E1000);
  device.configWrite(0x04, 2, 0x0002);
  device.updateIntx();
  back.lines.fire(20, 1000);
  assert.is(state(device), 'on:acking:1000');
  back.lines.sharedWithOther = false;
  back.lines.fire(20, 999);
  assert.is(state(device), 'on:acking:1999');
  back.lines.fire(20, 10);
  assert.is(state(device), 'on:not acking:2000');
});

line('a guest that has the line for itself gets its way, and a word in the log', () => {
  const { back, device } = taken(E1000);
  back.lines.taken = true;
  for (let i = 0; i < 50; i++) {
    device.configWrite(0x04, 2, i % 2 === 0 ? 0x0003 : 0);
    device.updateIntx();
  }
  assert.is(state(device), 'off:not acking:0');
  const told = back.log.filter((text) => text.includes('interrupt 20'));
  assert.is(told.length, 10);
});

line('given up when the guest goes', () => {
  const { back, device } = taken(E1000);
  device.configWrite(0x04, 2, 0x0003);
  device.updateIntx();
  back.stub.give(device);
  assert.equal([...back.lines.held.keys()], []);
  back.take(E1000, 2);
  device.configWrite(0x04, 2, 0x0003);
  device.updateIntx();
  assert.is(back.lines.held.size, 1, 'and installed again for the next');
});

line.run();
