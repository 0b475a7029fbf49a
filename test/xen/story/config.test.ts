// The register table of xen-observed.md section 6 through the whole chain: the guest's pcifront, the shared page, pciback,
// the device at 00:05.0.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PCIBACK, type Story, story } from '../../helpers/story';

interface Guest {
  readonly one: Story;
  read(off: number, size: number): { code: number; value: number };
  write(off: number, size: number, value: number): number;
  hardware(off: number, width: 1 | 2 | 4): number;
}

const cut = (value: number, size: number): number => (size === 4 ? value : value & (1 << 8 * size) - 1) >>> 0;

/** A guest whose kernel has no driver, with a device that is as pcifront has left it. */
async function guest(bdf = '00:05.0', permissive = false): Promise<Guest> {
  const one = await story();
  one.assignable(bdf);
  one.started([`${bdf}${permissive ? ',permissive=1' : ''}`], 'kernel = "builtin:idle"');
  one.pass();
  const front = one.kernel().front;
  assert.ok(front);
  return {
    one,
    read: (off, size) => front?.readConfig(0, off, size) ?? { code: -1, value: 0 },
    write: (off, size, value) => front?.writeConfig(0, off, size, value).code ?? -1,
    hardware: (off, width) => one.hardware(bdf, off, width),
  };
}

const config = suite('config space through the chain');

for (const permissive of [false, true]) {
  const mode = permissive ? 'permissive' : 'strict';

  config(`header, ${mode}`, async () => {
    const { one, read, write, hardware } = await guest('00:05.0', permissive);
    assert.is(one.sysfs(`${PCIBACK}/permissive`), permissive ? '0000:00:05.0\n' : '');
    for (const [value, back] of [
      [0x0000, 0x0000], [0x0001, 0x0001], [0x0002, 0x0002], [0x0003, 0x0003], [0x0007, 0x0007], [0x0407, 0x0407], [0x0507, 0x0507],
    ] as const) {
      assert.is(write(4, 2, value), 0);
      assert.is(hardware(4, 2), value & 4 ? 0x0107 : 0x0103, value.toString(16));
      assert.is(cut(read(4, 2).value, 2), back);
    }
    write(4, 2, 0x0103);
    for (const [off, size] of [[0x00, 2], [0x02, 2], [0x08, 4], [0x0e, 1], [0x2c, 2], [0x2e, 2], [0x34, 1], [0x3d, 1]] as const) {
      const before = read(off, size).value;
      assert.is(write(off, size, ~before >>> 0), 0);
      assert.is(read(off, size).value, before, off.toString(16));
    }
    for (const value of [0x10, 0xff, 0x00]) {
      assert.is(write(0x0c, 1, value), 0);
      assert.equal([hardware(0x0c, 1), cut(read(0x0c, 1).value, 1)], [value, value]);
    }
    assert.is(write(0x3c, 1, 0x05), 0);
    assert.is(hardware(0x3c, 1), 0x0a);
    assert.is(cut(read(0x3c, 1).value, 1), 0x15);
  });

  config(`BARs and ROM, ${mode}`, async () => {
    const { read, write, hardware } = await guest('00:05.0', permissive);
    for (const [off, ones, mask, original] of [
      [0x10, 0xffffffff, 0xfffe0000, 0xfe660000], [0x18, 0xffffffff, 0xffffffe1, 0xd341],
      [0x30, 0xfffff800, 0xfffc0000, 0xfe540000], [0x30, 0xffffffff, 0xfffc0000, 0xfe540000],
    ] as const) {
      assert.is(read(off, 4).value >>> 0, original);
      assert.is(write(off, 4, ones), 0);
      assert.equal([read(off, 4).value >>> 0, hardware(off, 4)], [mask, original]);
      assert.is(write(off, 4, original), 0);
      assert.is(read(off, 4).value >>> 0, original);
    }
    for (const value of [0, 0x12340000]) {
      write(0x10, 4, 0xffffffff);
      assert.is(write(0x10, 4, value), 0);
      assert.equal([read(0x10, 4).value >>> 0, hardware(0x10, 4)], [0xfe660000, 0xfe660000]);
    }
    write(0x10, 2, 0xffff);
    assert.is(read(0x10, 4).value >>> 0, 0xfe660000);
    write(0x24, 4, 0xffffffff);
    assert.is(read(0x24, 4).value, 0);
    write(0x30, 4, 0xfe540001);
    assert.is(read(0x30, 4).value >>> 0, 0xfe540000, 'the enable bit is dropped');
    // answers are not cut to the size of the access
    assert.is(read(0x10, 2).value >>> 0, 0xfe660000);
    write(0x10, 4, 0xffffffff);
    assert.is(read(0x12, 1).value >>> 0, 0xfffe);
    write(0x10, 4, 0xfe660000);
    write(4, 1, 0x07);
    assert.is(read(4, 1).value, 0x107);
  });

  config(`power, ${mode}`, async () => {
    const { read, write, hardware } = await guest('00:05.0', permissive);
    for (const [value, state] of [[3, 3], [0, 0], [0x8103, 3], [0, 0]] as const) {
      assert.is(write(0xcc, 2, value), 0);
      assert.equal([hardware(0xcc, 2) & 3, read(0xcc, 2).value & 3], [state, state]);
    }
  });

  config(`codes, ${mode}`, async () => {
    const { one, read, write } = await guest('00:05.0', permissive);
    for (const [off, size] of [[1, 2], [2, 4], [3, 2], [4, 0], [4, 3], [0, 8]] as const) {
      assert.is(read(off, size).code, 0x87, `${off} ${size}`);
      assert.is(write(off, size, 0), 0x87, `${off} ${size}`);
    }
    assert.is(one.kernel().front?.readConfig(0x48, 0, 4).code, 0x86);
    assert.is(one.kernel().front?.writeConfig(0x48, 4, 2, 0).code, 0x86);
    assert.is(read(0x100, 4).value >>> 16 !== 0, true, 'extended space can be read');
    assert.is(read(0x1000, 4).code, -22);
    assert.is(write(0x1000, 4, 0), permissive ? -22 : 0);
  });
}

config('what strict mode drops, and says once', async () => {
  const { one, read, write, hardware } = await guest();
  const msi = 0xd0, msix = 0xa0;
  const warned = (): string[] => one.machine.xen.kernel.log.filter((line) => line.includes('Driver tried to write'));
  assert.equal(warned(), ['pciback 0000:00:05.0: xen-pciback: Driver tried to write to a read-only configuration space field at '
    + 'offset 0xe8, size 2. This may be harmless, but if you have problems with your device:'], 'the scan did');
  for (const [off, value] of [[msi + 2, 0x81], [msix + 2, 0x8004], [msix + 2, 0xc004]] as const) {
    const before = hardware(off, 2);
    assert.is(write(off, 2, value), 0x88, off.toString(16));
    assert.equal([hardware(off, 2), cut(read(off, 2).value, 2)], [before, before]);
  }
  for (const [off, size] of [[msi + 4, 4], [msi + 12, 2], [msix + 4, 4], [0xe8, 2], [0x40, 4], [0xfc, 4], [0x104, 4]] as const) {
    const before = hardware(off, size);
    assert.is(write(off, size, ~before >>> 0), 0, off.toString(16));
    assert.equal([hardware(off, size), cut(read(off, size).value, size)], [before, before], off.toString(16));
  }
  assert.is(warned().length, 1);
});

config('what permissive mode lets through', async () => {
  const { read, write, hardware } = await guest('00:05.0', true);
  assert.is(write(0xd4, 4, 0xfee00000), 0);
  assert.equal([hardware(0xd4, 4), read(0xd4, 4).value >>> 0], [0xfee00000, 0xfee00000]);
  assert.is(write(0xa2, 2, 0xc004), 0);
  assert.equal([hardware(0xa2, 2), cut(read(0xa2, 2).value, 2)], [0xc004, 0xc004]);
  assert.is(write(0xa2, 2, 0x0004), 0);
});

config('byte 3C of the NIC at 00:04.0 is 14', async () => {
  const { read } = await guest('00:04.0');
  assert.is(cut(read(0x3c, 1).value, 1), 0x14);
});

config('the fields of each device in `quirks`: those of its header and of its capabilities', async () => {
  const { one } = await guest();
  const offs = [...one.sysfs(`${PCIBACK}/quirks`).matchAll(/^\t\t0*([0-9a-f]+):(\d):/gm)].map(([, off, size]) => `${off}/${size}`);
  assert.equal(offs.slice(0, 15).join(' '), '0/2 2/2 4/2 3c/1 3d/1 c/1 d/1 f/1 10/4 14/4 18/4 1c/4 20/4 24/4 30/4');
  for (const off of ['a0/2', 'a2/2', 'c8/2', 'cc/2', 'd0/2', 'd2/2']) assert.ok(offs.includes(off), off);
});

config('the scan of the two devices: 385 reads, 60 writes', async () => {
  const one = await story();
  one.assignable('00:04.0', '00:06.0');
  one.started(['00:04.0', '00:06.0'], 'kernel = "builtin:idle"');
  one.pass();
  assert.equal([one.kernel().front?.reads, one.kernel().front?.writes], [385, 60]);
});

config.run();
