// The register table of xen-observed.md section 6, row by row, and of capabilities that the observed devices have not.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Capability } from '../../../src/pci/capabilities/capability';
import { field } from '../../../src/pci/fields';
import type { PcibackDevice } from '../../../src/xen/pciback/seized-device';
import { E1000, E1000E, EDU, fakePciback, PAIR_0, ROOT_PORT, WIDE, type FakePciback } from '../../helpers/fake-pciback';

/** What the front end makes of the errors: PCIBIOS codes (xen-passthrough.md 1.3). */
const PCIBIOS: Readonly<Record<number, number>> = {
  0: 0, [-1]: 0x86, [-2]: 0x87, [-3]: 0x88, [-4]: 0x81, [-5]: 0x87, [-22]: -22,
};

interface Guest {
  readonly back: FakePciback;
  readonly device: PcibackDevice;
  hardware(off: number, width: 1 | 2 | 4): number;
  read(off: number, size: number): number;
  /** PCIBIOS code. */
  write(off: number, size: number, value: number): number;
  /** PCIBIOS code of a read. */
  code(off: number, size: number): number;
}

function guest(routing: number, permissive = false): Guest {
  const back = fakePciback();
  const device = back.take(routing);
  device.ownPermissive = permissive;
  const code = (err: number): number => PCIBIOS[err] as number;
  return {
    back, device,
    hardware: (off, width) => back.host.at(routing).read(off, width),
    read: (off, size) => device.configRead(off, size).value,
    write: (off, size, value) => code(device.configWrite(off, size, value).err),
    code: (off, size) => code(device.configRead(off, size).err),
  };
}

const observed = suite('the observed table');

for (const permissive of [false, true]) {
  const mode = permissive ? 'permissive' : 'strict';

  observed(`COMMAND, ${mode}: a value written, the hardware then, and what is read back`, () => {
    const one = guest(E1000E, permissive);
    assert.is(one.read(0x04, 2), 0x0103, 'at first what the hardware has');
    for (const [value, hardware, back] of [
      [0x0000, 0x0103, 0x0000], [0x0001, 0x0103, 0x0001], [0x0002, 0x0103, 0x0002], [0x0003, 0x0103, 0x0003],
      [0x0007, 0x0107, 0x0007], [0x0407, 0x0107, 0x0407], [0x0507, 0x0107, 0x0507], [0xffff, 0x0107, 0xfd47],
      [0x0010, 0x0103, 0x0000], [0x0103, 0x0103, 0x0103], [0x0107, 0x0107, 0x0107], [0x0100, 0x0103, 0x0100],
    ] as const) {
      const name = value.toString(16);
      assert.is(one.write(0x04, 2, value), 0, name);
      assert.is(one.hardware(0x04, 2), hardware, name);
      assert.is(one.read(0x04, 2), back, name);
    }
  });

  observed(`read-only and passed registers, ${mode}`, () => {
    const one = guest(E1000E, permissive);
    const before = one.hardware(0x06, 2);
    assert.is(one.write(0x06, 2, 0xffff), 0);
    assert.is(one.hardware(0x06, 2), before, 'STATUS');
    assert.is(one.read(0x06, 2), 0x0010);
    const readOnly = [[0x00, 2], [0x02, 2], [0x08, 4], [0x0e, 1], [0x2c, 2], [0x2e, 2], [0x34, 1], [0x3d, 1], [0xca, 2]] as const;
    for (const [off, size] of readOnly) {
      const was = one.read(off, size);
      assert.is(one.write(off, size, ~was >>> 0), 0);
      assert.is(one.read(off, size), was, off.toString(16));
      assert.is(one.hardware(off, size), was, off.toString(16));
    }
    for (const value of [0x10, 0xff, 0x00]) {
      assert.is(one.write(0x0c, 1, value), 0);
      assert.is(one.hardware(0x0c, 1), value, 'CACHE LINE SIZE');
      assert.is(one.read(0x0c, 1), value);
    }
    assert.is(one.write(0x3c, 1, 0x05), 0);
    assert.is(one.hardware(0x3c, 1), 0x0a);
    assert.is(one.read(0x3c, 1), 0x15, 'the number in the first domain');
    assert.is(guest(E1000, permissive).read(0x3c, 1), 0x14);
  });

  observed(`BARs and ROM, ${mode}: never written, sized by one write of ones`, () => {
    const one = guest(E1000E, permissive);
    const writes = one.back.host.at(E1000E).writes;
    const sized = (off: number, ones: number): number => {
      const value = one.read(off, 4);
      assert.is(one.write(off, 4, ones), 0);
      const mask = one.read(off, 4);
      assert.is(one.write(off, 4, value), 0);
      assert.is(one.read(off, 4), value);
      return mask;
    };
    const marks = writes.length;
    assert.is(sized(0x10, 0xffffffff), 0xfffe0000);
    assert.is(sized(0x10, 0xfffffff0), 0xfffe0000, 'flag bits do not count');
    assert.is(sized(0x18, 0xffffffff), 0xffffffe1);
    assert.is(sized(0x24, 0xffffffff), 0, 'unimplemented');
    assert.is(sized(0x30, 0xfffff800), 0xfffc0000);
    assert.is(sized(0x30, 0xffffffff), 0xfffc0000);
    assert.is(one.write(0x30, 4, 0xfe540001), 0);
    assert.is(one.read(0x30, 4), 0xfe540000, 'the enable bit is dropped');
    for (const value of [0, 0x12340000, 0xfe660000]) {
      one.write(0x10, 4, 0xffffffff);
      assert.is(one.write(0x10, 4, value), 0);
      assert.is(one.read(0x10, 4), 0xfe660000);
    }
    assert.is(one.write(0x10, 2, 0xffff), 0);
    assert.is(one.read(0x10, 4), 0xfe660000, 'two bytes size nothing');
    assert.equal(writes.slice(marks), []);
    const wide = guest(WIDE, permissive);
    wide.write(0x10, 4, 0xffffffff);
    assert.is(wide.read(0x10, 4), 0xffffc004);
    wide.write(0x14, 4, 0xffffffff);
    assert.is(wide.read(0x14, 4), 0xffffffff);
    wide.write(0x10, 4, 0x00000004);
    wide.write(0x14, 4, 0x00000038);
    assert.is(wide.read(0x10, 4), 0x00000004);
    assert.is(wide.read(0x14, 4), 0x00000038);
  });

  observed(`a BAR that a reset of the device has lost is put back by its own value, ${mode}`, () => {
    const one = guest(E1000E, permissive);
    const hardware = one.back.host.at(E1000E);
    hardware.write(0x10, 4, 0);
    one.write(0x10, 4, 0x12340000);
    assert.is(one.hardware(0x10, 4), 0);
    one.write(0x10, 4, 0xfe660000);
    assert.is(one.hardware(0x10, 4), 0xfe660000);
  });

  observed(`PMCSR, ${mode}: a change of the power state`, () => {
    const one = guest(E1000E, permissive);
    for (const [value, state] of [[3, 3], [0, 0], [0x8103, 3], [0, 0]] as const) {
      assert.is(one.write(0xcc, 2, value), 0);
      assert.is(one.hardware(0xcc, 2) & 0xfff7, state);
      assert.is(one.read(0xcc, 2) & 0xfff7, state);
    }
    for (const state of [1, 2]) {
      assert.is(one.write(0xcc, 2, state), 0x88, 'a state that the device does not have');
      assert.is(one.read(0xcc, 2) & 3, 0);
    }
  });

  observed(`errors, ${mode}: unaligned, odd sizes, crossing, beyond the end`, () => {
    const one = guest(E1000E, permissive);
    for (const [off, size] of [[1, 2], [1, 4], [2, 4], [3, 2], [0x102, 4], [0, 0], [0, 3], [0, 8], [4, -1], [-1, 2]] as const) {
      assert.is(one.code(off, size), 0x87, `${off} ${size}`);
      assert.is(one.read(off, size), 0);
      assert.is(one.write(off, size, 0xffffffff), 0x87, `${off} ${size}`);
    }
    assert.is(one.read(0x100, 4), 0x00020001, 'extended space');
    assert.is(one.code(0xffc, 4), 0);
    assert.is(one.code(0x1000, 4), -22);
    assert.is(one.write(0x1000, 4, 0), permissive ? -22 : 0);
  });

  observed(`the hardware's own 256 bytes: ones behind them, ${mode}`, () => {
    const one = guest(EDU, permissive);
    assert.equal(one.device.configRead(0x100, 4), { err: 0, value: 0xffffffff });
    assert.equal(one.device.configRead(0xffe, 2), { err: 0, value: 0xffff });
    assert.is(one.write(0x100, 4, 0), 0);
    assert.is(one.code(0x1000, 1), -22);
  });
}

observed('results are not cut to the size of the access', () => {
  const one = guest(E1000E);
  assert.is(one.write(0x04, 1, 0x07), 0);
  assert.is(one.read(0x04, 1), 0x107);
  assert.is(one.read(0x10, 2), 0xfe660000);
  one.write(0x10, 4, 0xffffffff);
  assert.is(one.read(0x12, 1), 0xfffe);
});

observed('strict: MSI and MSI-X control are refused unless they stay, other bytes of capabilities dropped', () => {
  const one = guest(E1000E);
  for (const [off, other] of [[0xd2, 0x0081], [0xa2, 0x8004], [0xa2, 0xc004], [0xd2, 0x0090]] as const) {
    const now = one.hardware(off, 2);
    assert.is(one.write(off, 2, other), 0x88);
    assert.is(one.hardware(off, 2), now);
    assert.is(one.read(off, 2), now);
    assert.is(one.write(off, 2, now), 0, 'what it has already');
  }
  for (const [off, size] of [[0xd4, 4], [0xdc, 2], [0xa4, 4], [0xe8, 2], [0x40, 4], [0xfc, 1], [0x104, 4], [0x108, 4]] as const) {
    const now = one.hardware(off, size);
    assert.is(one.write(off, size, ~now >>> 0), 0);
    assert.is(one.hardware(off, size), now, off.toString(16));
    assert.is(one.read(off, size), now, off.toString(16));
  }
});

observed('permissive: they are written', () => {
  const one = guest(E1000E, true);
  assert.is(one.write(0xd2, 2, 0x0081), 0);
  assert.is(one.read(0xd2, 2), 0x0081);
  for (const [value, back] of [[0x8000, 0x8004], [0xc000, 0xc004]] as const) {
    assert.is(one.write(0xa2, 2, value), 0);
    assert.is(one.hardware(0xa2, 2), back);
    assert.is(one.read(0xa2, 2), back);
  }
  assert.is(one.write(0xd4, 4, 0xfee00000), 0);
  assert.is(one.hardware(0xd4, 4), 0xfee00000);
  assert.is(one.write(0xdc, 2, 0x4321), 0);
  assert.is(one.hardware(0xdc, 2), 0x4321);
  for (const off of [0x40, 0xfc]) {
    for (const [size, value] of [[1, 0x5a], [2, 0x1234], [4, 0x89abcdef]] as const) {
      assert.is(one.write(off, size, value), 0);
      assert.is(one.hardware(off, size), value);
    }
  }
});

observed('one warning for each device that is seized, with this text; none when the guest is trusted', () => {
  const one = guest(E1000E);
  const warned = (): string[] => one.back.log.filter((line) => line.includes('Driver tried'));
  one.write(0xe8, 2, 0);
  const at = one.back.log.findIndex((line) => line.includes('Driver tried'));
  assert.is(one.back.log[at], 'pciback 0000:00:05.0: xen-pciback: Driver tried to write to a read-only configuration space field '
    + 'at offset 0xe8, size 2. This may be harmless, but if you have problems with your device:');
  assert.is(one.back.log[at + 1], '1) see permissive attribute in sysfs');
  assert.match(one.back.log[at + 2] as string, /^2\) report problems to ./);
  for (let i = 0; i < 100; i++) one.write(0x40, 4, i);
  assert.is(warned().length, 1);
  one.back.stub.give(one.device);
  one.back.take(E1000E, 2);
  one.write(0x40, 4, 0);
  assert.is(warned().length, 1, 'until it is seized again');
  one.back.stub.remove(one.back.host.device(E1000E));
  one.back.take(E1000E, 3).configWrite(0x40, 4, 0);
  assert.is(warned().length, 2);
  const trusted = guest(E1000E, true);
  trusted.write(0x40, 4, 0);
  assert.not.ok(trusted.back.log.some((line) => line.includes('Driver tried')));
});

observed('permissive for the whole module, at any time', () => {
  const one = guest(E1000E);
  one.back.stub.permissive = true;
  one.write(0x40, 4, 0x11223344);
  assert.is(one.hardware(0x40, 4), 0x11223344);
  one.back.stub.permissive = false;
  one.write(0x40, 4, 0);
  assert.is(one.hardware(0x40, 4), 0x11223344);
});

observed('bytes of a write that meets a field, and that no field has, are dropped in permissive mode too', () => {
  const one = guest(E1000E, true);
  one.back.host.at(E1000E).bytes[0x07] = 0xf9;
  assert.is(one.write(0x04, 4, 0xffff0103), 0);
  assert.is(one.hardware(0x06, 2), 0xf910, 'STATUS is not cleared');
  assert.is(one.write(0x06, 2, 0xffff), 0);
  assert.is(one.hardware(0x06, 2), 0x0010, 'by itself it is');
});

observed.run();

const vectors = suite('computed vectors');

vectors('BARs: value and size, 32 and 64 bits, I/O and none', () => {
  const fe = fakePciback({}, [{
    routing: 0x0008, addresses: [0xfeb00000, undefined, 0x3800000000, undefined, 0xe000],
    config: {
      vendorId: 1, deviceId: 2, classCode: 0x020000, revision: 0, interruptPin: 0,
      bars: [
        { kind: 'memory32', size: 0x20000 }, undefined, { kind: 'memory64', size: 0x20000000, prefetchable: true },
        undefined, { kind: 'io', size: 0x20 },
      ],
    },
  }]);
  const device = fe.take(0x0008);
  const read = (off: number): number => device.configRead(off, 4).value;
  assert.equal([0x10, 0x14, 0x18, 0x1c, 0x20, 0x24].map(read), [0xfeb00000, 0, 0x0000000c, 0x38, 0xe001, 0]);
  for (let off = 0x10; off < 0x28; off += 4) device.configWrite(off, 4, 0xffffffff);
  assert.equal([0x10, 0x14, 0x18, 0x1c, 0x20, 0x24].map(read), [0xfffe0000, 0, 0xe000000c, 0xffffffff, 0xffffffe1, 0]);
});

vectors('a 64-bit BAR of 16 GiB', async () => {
  const { barStates } = await import('../../../src/xen/pciback/bar-fields');
  const none = { start: 0, end: 0, flags: 0 };
  const [low, high] = barStates([{ start: 0x3800000000, end: 0x3bffffffff, flags: 0x14220c }, none], 6);
  assert.equal([low?.value, high?.value, low?.sizeMask, high?.sizeMask], [0x0000000c, 0x38, 0x0000000c, 0xfffffffc]);
});

vectors.run();

const capabilities = suite('capabilities and headers that the observed devices have not');

capabilities('VPD: a read cycle is let through, a write cycle refused, data ignored', () => {
  for (const permissive of [false, true]) {
    const one = guest(WIDE, permissive);
    assert.is(one.write(0x62, 2, 0x0010), 0);
    assert.is(one.hardware(0x62, 2), 0x0010);
    assert.is(one.write(0x62, 2, 0x8010), 0x88);
    assert.is(one.hardware(0x62, 2), 0x0010);
    assert.is(one.write(0x64, 4, 0), 0);
    assert.is(one.hardware(0x64, 4), 0x12345678);
    assert.is(one.write(0x60, 2, 0xffff), 0);
    assert.is(one.hardware(0x60, 2), 0x0003);
  }
});

capabilities('a refusal is not hidden by another field in the same write', () => {
  const one = guest(WIDE);
  assert.is(one.write(0x60, 4, 0x80100000), 0x88);
  const other = guest(E1000E);
  assert.is(other.write(0xcc, 4, 0x00000001), 0x88);
});

capabilities('a bridge: its BARs and ROM are its own, the windows are read only', () => {
  const one = guest(ROOT_PORT);
  const off = one.device.fields.map((field) => field.off);
  assert.equal(off, [0x00, 0x02, 0x04, 0x3c, 0x3d, 0x0c, 0x0d, 0x0f, 0x10, 0x14, 0x38]);
  for (const [at, size] of [[0x18, 1], [0x19, 1], [0x1a, 1], [0x1c, 2], [0x20, 4], [0x24, 4], [0x3e, 2]] as const) {
    const now = one.hardware(at, size);
    assert.is(one.write(at, size, ~now >>> 0), 0);
    assert.is(one.hardware(at, size), now, at.toString(16));
  }
  const trusted = guest(ROOT_PORT, true);
  trusted.write(0x19, 1, 7);
  assert.is(trusted.hardware(0x19, 1), 7);
});

capabilities('BIST: started, or written as it is; else ignored', () => {
  const one = guest(PAIR_0);
  const hardware = one.back.host.at(PAIR_0);
  const written = (value: number): boolean => {
    const mark = hardware.writes.length;
    assert.is(one.write(0x0f, 1, value), 0);
    return hardware.writes.length > mark;
  };
  assert.equal([0x40, 0x00, 0x80, 0xc0, 0x01, 0x41].map(written), [true, true, false, false, false, false]);
  hardware.bytes[0x0f] = 0x8f;
  assert.equal([0x40, 0x8f, 0xcf, 0x00, 0x80].map(written), [true, true, true, false, false]);
});

capabilities('a list of capabilities that goes in a circle ends', () => {
  const back = fakePciback();
  back.host.at(EDU).bytes[0x41] = 0x40;
  const device = back.take(EDU);
  assert.is(device.configRead(0x42, 2).value, 0x0080);
  back.host.at(PAIR_0).bytes.set([0x10], 0x06);
  back.host.at(PAIR_0).bytes.set([0x40], 0x34);
  back.host.at(PAIR_0).bytes.set([0x09, 0x40], 0x40);
  assert.is(back.take(PAIR_0).fields.some(({ off }) => off >= 0x40), false);
});

capabilities('PME is off from the start, cannot be turned on, and is not shown; its status can be cleared', () => {
  const pm: Capability = {
    name: 'PM', id: 0x01, off: 0x40, size: 8,
    fields: () => [
      field('PMC', 2, 2, '', { value: 0xfe03 }),
      field('PMCSR', 4, 2, '', { value: 0x0100, writable: 0x1f03, clearable: 0x8000 }),
    ],
  };
  const config = { vendorId: 1, deviceId: 2, classCode: 0x020000, revision: 0, interruptPin: 0, bars: [], capabilities: [pm] };
  const back = fakePciback({}, [{ routing: 0x0008, addresses: [], resettable: false, config }]);
  const hardware = back.host.at(0x0008);
  hardware.bytes[0x45] = 0x81;
  const device = back.take(0x0008);
  assert.is(device.configRead(0x42, 2).value, 0x0603);
  assert.is(hardware.read(0x44, 2), 0x8000);
  assert.is(device.configWrite(0x44, 2, 0x0900).err, 0);
  assert.is(hardware.read(0x44, 2), 0x8800, 'Data Select is the guest\'s, and the status stays');
  assert.is(device.configWrite(0x44, 2, 0x8001).err, 0, 'D1 is there');
  assert.is(hardware.read(0x44, 2), 0x0001);
});

capabilities.run();

const control = suite('allow_interrupt_control');

control('INTx Disable reaches the hardware, and nothing else of COMMAND', () => {
  const one = guest(E1000E);
  one.device.interruptControl = true;
  one.write(0x04, 2, 0x0507);
  assert.is(one.hardware(0x04, 2), 0x0507);
  one.write(0x04, 2, 0x0447);
  assert.is(one.hardware(0x04, 2), 0x0507);
  one.write(0x04, 2, 0x0003);
  assert.is(one.hardware(0x04, 2), 0x0103);
});

control('MSI and MSI-X are turned on one at a time, and only by their own bits', () => {
  const one = guest(E1000E);
  one.device.interruptControl = true;
  assert.is(one.write(0xd2, 2, 0x0091), 0x88, 'more messages than one');
  assert.is(one.write(0xa2, 2, 0x8003), 0x88, 'the size of the table');
  assert.is(one.write(0xd2, 2, 0x0081), 0);
  assert.is(one.hardware(0xd2, 2), 0x0081);
  assert.is(one.write(0xa2, 2, 0x8004), 0x88, 'MSI is on');
  assert.is(one.write(0xd2, 2, 0x0080), 0);
  assert.is(one.write(0xa2, 2, 0xc004), 0);
  assert.is(one.write(0xa2, 2, 0x8004), 0, 'the same kind, again');
  assert.is(one.write(0xd2, 2, 0x0081), 0x88, 'MSI-X is on');
  assert.is(one.write(0xa2, 2, 0x0004), 0);
  one.write(0x04, 2, 0x0503);
  assert.is(one.write(0xd2, 2, 0x0081), 0, 'with INTx off');
});

control('it goes with the guest, as do the messages that it has turned on', () => {
  const one = guest(E1000E);
  one.device.interruptControl = true;
  one.write(0xd2, 2, 0x0081);
  one.write(0x04, 2, 0x0507);
  one.back.stub.give(one.device);
  assert.is(one.device.interruptControl, false);
  assert.is(one.hardware(0xd2, 2), 0x0080);
  assert.is(one.hardware(0x04, 2), 0x0103);
});

control.run();
