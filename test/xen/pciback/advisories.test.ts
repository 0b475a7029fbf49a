// What Xen's security advisories teach about pciback: one test for each, named after it, with the invariant that a
// guest must not be able to break whatever it writes.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../../src/engine/random';
import { E1000, E1000E, EDU, fakePciback, WIDE } from '../../helpers/fake-pciback';

const advisories = suite('advisories');

advisories('XSA-43: what a guest can have logged is bounded', () => {
  const back = fakePciback();
  const device = back.take(E1000E);
  const before = back.log.length;
  const storm = (): void => {
    for (let i = 0; i < 1000; i++) {
      device.enableMsi();
      device.enableMsi();
      device.enableMsix([0]);
      device.enableMsix([]);
      device.configWrite(0x40, 4, i);
      device.configWrite(0xa2, 2, 0x8004);
      device.configWrite(1, 4, i);
      device.configWrite(0x04, 2, i % 2 === 0 ? 0x10 : 0);
      device.disableMsix();
      device.updateIntx();
    }
  };
  storm();
  const lines = back.log.length - before;
  assert.ok(lines > 0 && lines <= 12, `${lines} lines, of which one has three`);
  storm();
  assert.is(back.log.length - before, lines);
});

advisories('XSA-120: decode stays on whatever a guest does; so do SERR, PARITY and INTx Disable', () => {
  for (const permissive of [false, true]) {
    const back = fakePciback();
    const device = back.take(E1000E);
    device.ownPermissive = permissive;
    for (let value = 0; value < 0x10000; value += 1) {
      device.configWrite(0x04, 2, value);
      const command = back.host.at(E1000E).read(0x04, 2);
      if ((command & ~0x0004) !== 0x0103) assert.unreachable(`${value.toString(16)}: hardware ${command.toString(16)}`);
    }
    for (const [off, size] of [[0x04, 1], [0x05, 1], [0x04, 4]] as const) {
      for (const value of [0, 0xff, 0xffffffff, 0x5a5a5a5a]) {
        device.configWrite(off, size, value);
        assert.is(back.host.at(E1000E).read(0x04, 2) & ~0x0004, 0x0103);
      }
    }
    device.configWrite(0xcc, 2, 3);
    device.configWrite(0xcc, 2, 0);
    assert.is(back.host.at(E1000E).read(0x04, 2) & ~0x0004, 0x0103);
  }
});

advisories('XSA-120: at hand-over decode is on, also when it was turned off in between', () => {
  const back = fakePciback();
  const device = back.take(E1000E, 1);
  back.host.at(E1000E).write(0x04, 2, 0);
  back.stub.give(device);
  assert.is(back.host.at(E1000E).read(0x04, 2), 0x0103);
  back.host.at(E1000E).write(0x04, 2, 0);
  back.take(E1000E, 2);
  assert.is(back.host.at(E1000E).read(0x04, 2), 0x0103);
  assert.is(device.configRead(0x04, 2).value, 0x0103);
});

advisories('XSA-128: a write touches the bytes that it may, and no neighbour of them', () => {
  const back = fakePciback();
  const device = back.take(E1000E);
  device.enableMsi();
  const config = back.host.at(E1000E);
  const bytes = Uint8Array.from(config.bytes);
  config.writes.length = 0;
  for (const [off, size] of [[0xd0, 4], [0xd2, 2], [0xd4, 4], [0xd8, 4], [0xdc, 4], [0xdc, 2], [0xde, 2], [0xd4, 1]] as const) {
    device.configWrite(off, size, 0xffffffff);
  }
  assert.is(Buffer.compare(config.bytes, bytes), 0, 'address and data are the host\'s');
  assert.equal(config.writes, [], 'nothing is even written back as it was');
  device.configWrite(0x0c, 1, 0x10);
  assert.equal(config.writes, ['c:1=10'], 'one byte, as one byte');
});

advisories('XSA-129: the mask bits of MSI are the host\'s', () => {
  const masked = {
    name: 'MSI', id: 0x05, off: 0x40, size: 0x18,
    fields: () => [
      { name: 'control', off: 2, bytes: 2 as const, value: 0x0180, writable: 0x0001, clearable: 0, meaning: '' },
      { name: 'mask', off: 0x10, bytes: 4 as const, value: 1, writable: -1, clearable: 0, meaning: '' },
    ],
  };
  const config = {
    vendorId: 1, deviceId: 2, classCode: 0x020000, revision: 0, interruptPin: 1, bars: [], capabilities: [masked],
  };
  const back = fakePciback({}, [{ routing: 8, addresses: [], config }]);
  const device = back.take(8);
  for (const [off, size] of [[0x50, 1], [0x50, 2], [0x50, 4], [0x53, 1]] as const) {
    assert.is(device.configWrite(off, size, 0).err, 0);
    assert.is(back.host.at(8).read(0x50, 4), 1);
  }
});

advisories('XSA-131: a register that nobody has listed is not written, and the guest is told that all is well', () => {
  for (const routing of [E1000, E1000E, EDU, WIDE]) {
    const back = fakePciback();
    const device = back.take(routing);
    const config = back.host.at(routing);
    const listed = device.fields;
    for (let off = 0; off < 4096; off += 4) {
      if (listed.some((field) => field.off < off + 4 && off < field.off + field.size)) continue;
      const before = Uint8Array.from(config.bytes);
      for (const value of [0, 0xffffffff]) assert.is(device.configWrite(off, 4, value).err, 0);
      if (Buffer.compare(config.bytes, before) !== 0) assert.unreachable(`${routing.toString(16)} at ${off.toString(16)}`);
    }
  }
});

advisories('XSA-157: MSI operations in every order look at the state first, and leave none behind', () => {
  const source = new Random(157);
  const random = (): number => source.next();
  const back = fakePciback();
  const device = back.take(E1000E);
  const config = back.host.at(E1000E);
  let on: 'msi' | 'msix' | undefined;
  for (let i = 0; i < 5000; i++) {
    switch (random() % 6) {
      case 0: {
        const { err } = device.enableMsi();
        assert.is(err, on === undefined ? 0 : -5);
        on ??= 'msi';
        break;
      }
      case 1: {
        const { err } = device.enableMsix([random() % 5]);
        assert.is(err, on === undefined ? 0 : on === 'msi' ? -6 : -114);
        on ??= 'msix';
        break;
      }
      case 2: assert.is(device.disableMsi().err, 0); if (on === 'msi') on = undefined; break;
      case 3: assert.is(device.disableMsix().err, 0); if (on === 'msix') on = undefined; break;
      case 4: device.configWrite(0x04, 2, random() & 0xffff); break;
      default: device.updateIntx();
    }
    assert.is(config.read(0xd2, 2) & 1, on === 'msi' ? 1 : 0);
    assert.is(config.read(0xa2, 2) & 0xc000, on === 'msix' ? 0x8000 : 0);
    assert.is(config.read(0x04, 2) & 0x0400, on === undefined ? 0 : 0x0400);
  }
});

advisories('any guest at all: nothing is thrown, and what is the host\'s stays', () => {
  for (const routing of [E1000, E1000E, EDU, WIDE]) {
    const source = new Random(routing);
    const random = (): number => source.next();
    const back = fakePciback();
    const device = back.seize(routing);
    const config = back.host.at(routing);
    const seized = Uint8Array.from(config.bytes);
    back.stub.take(routing, 1);
    const host = new Set([0x0c, 0x0d, 0x0f]);
    for (const { name, off, size } of device.fields) {
      if (name === 'PMCSR' || name === 'Command' || name === 'VPD Address') for (let i = 0; i < size; i++) host.add(off + i);
    }
    for (let i = 0; i < 20000; i++) {
      const off = random() % 4 === 0 ? random() | 0 : random() % 0x110;
      const size = [1, 2, 4, 4, random() | 0][random() % 5] as number;
      const aligned = size > 0 && size <= 4 ? off - (((off % size) + size) % size) : off;
      if (random() % 2 === 0) device.configRead(aligned, size);
      else device.configWrite(aligned, size, random());
      if (random() % 16 === 0) device.updateIntx();
    }
    for (let at = 0; at < config.bytes.length; at++) {
      if (!host.has(at) && config.bytes[at] !== seized[at]) assert.unreachable(`${device.name}: byte ${at.toString(16)}`);
    }
    assert.is(config.read(0x04, 2) & ~0x0004, 0x0103);
    back.stub.give(device);
    assert.is(Buffer.compare(config.bytes.subarray(0, 0x40), seized.subarray(0, 0x40)), 0);
  }
});

advisories.run();
