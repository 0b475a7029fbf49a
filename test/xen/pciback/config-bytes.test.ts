// Every byte of config space: what a guest reads, what its writes do to the hardware, what it reads back, by the table
// of registers below and nothing of src/. The device is an 82574L as it was observed on a real Xen.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { PcibackDevice } from '../../../src/xen/pciback/seized-device';
import { E1000E, fakePciback, type FakeFunction, type FakePciback, OBSERVED } from '../../helpers/fake-pciback';

/** How a register is treated. What is in no row is raw for reading; writing it is dropped, or raw in permissive mode. */
type Policy = 'ignored' | 'raw' | 'command' | 'line' | 'bist' | 'bar' | 'pmcsr' | 'control';

const TABLE: ReadonlyArray<readonly [off: number, size: 1 | 2 | 4, policy: Policy]> = [
  [0x00, 2, 'ignored'], [0x02, 2, 'ignored'], [0x04, 2, 'command'], [0x3c, 1, 'line'], [0x3d, 1, 'ignored'],
  [0x0c, 1, 'raw'], [0x0d, 1, 'raw'], [0x0f, 1, 'bist'],
  [0x10, 4, 'bar'], [0x14, 4, 'bar'], [0x18, 4, 'bar'], [0x1c, 4, 'bar'], [0x20, 4, 'bar'], [0x24, 4, 'bar'], [0x30, 4, 'bar'],
  [0xc8, 2, 'ignored'], [0xca, 2, 'ignored'], [0xcc, 2, 'pmcsr'], [0xce, 1, 'ignored'], [0xcf, 1, 'ignored'],
  [0xd0, 2, 'ignored'], [0xd2, 2, 'control'],
  [0xa0, 2, 'ignored'], [0xa2, 2, 'control'],
];

/** Value and size mask of each BAR and of the ROM; a mask of those of unimplemented ones is 0. */
const BARS: Readonly<Record<number, readonly [value: number, sizes: number, ignored: number]>> = {
  0x10: [0xfe660000, 0xfffe0000, 0xf], 0x14: [0xfe680000, 0xfffe0000, 0xf], 0x18: [0x0000d301, 0xffffffe1, 0x3],
  0x1c: [0xfe6c0000, 0xffffc000, 0xf], 0x20: [0, 0, 0xf], 0x24: [0, 0, 0xf], 0x30: [0xfe540000, 0xfffc0000, 0x7ff],
};

const INVALID = -2;
const DENIED = -3;
const EINVAL = -22;

const meeting = (off: number, size: number): typeof TABLE =>
  off > 0xff ? [] : TABLE.filter(([at, bytes]) => at < off + size && off < at + bytes);

/** The guest's device as the table has it: the hardware is a twin of the real one, written as the table says. */
class Expected {
  shadow = 0x0103;
  sizing = new Set<number>();
  warnings = 0;

  constructor(readonly twin: FakeFunction, readonly permissive: boolean) {}

  /** What a guest reads in one row, as a number. */
  row(off: number, size: 1 | 2 | 4, policy: Policy): number {
    if (policy === 'command') return (this.twin.read(4, 2) & 0x02bc) | (this.shadow & 0xfd43);
    if (policy === 'line') return 0x15;
    if (policy === 'bar') return (BARS[off] as readonly number[])[this.sizing.has(off) ? 1 : 0] as number;
    return this.twin.read(off, size);
  }

  /**
   * Bytes of every row that the access meets are given in full, also those beyond its end; the others up to its end, as
   * the hardware has them.
   */
  read(off: number, size: number): { err: number; value: number } {
    if (![1, 2, 4].includes(size) || off % size !== 0) return { err: INVALID, value: 0 };
    if (off < 0 || off + size > 4096) return { err: EINVAL, value: 0 };
    const met = meeting(off, size);
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const row = met.find(([at, bytes]) => off + i >= at && off + i < at + bytes);
      const byte = row !== undefined ? Math.floor(this.row(...row) / 2 ** (8 * (off + i - row[0]))) & 0xff
        : i < size ? this.twin.read(off + i, 1) : 0;
      value += byte * 2 ** (8 * i);
    }
    return { err: 0, value };
  }

  write(off: number, size: number, value: number): number {
    if (![1, 2, 4].includes(size) || off % size !== 0) return INVALID;
    const met = meeting(off, size);
    if (met.length === 0) {
      if (!this.permissive) this.warnings = 1;
      else if (off < 0 || off + size > 4096) return EINVAL;
      else this.twin.write(off, size as 1 | 2 | 4, value);
      return 0;
    }
    let err = 0;
    for (const [at, bytes, policy] of met) {
      let whole = 0;
      for (let i = 0; i < bytes; i++) {
        const byte = at + i >= off && at + i < off + size ? Math.floor(value / 2 ** (8 * (at + i - off))) & 0xff
          : Math.floor(this.row(at, bytes, policy) / 2 ** (8 * i)) & 0xff;
        whole += byte * 2 ** (8 * i);
      }
      err = err !== 0 ? err : this.writeRow(at, bytes, policy, whole);
    }
    return err;
  }

  writeRow(at: number, bytes: 1 | 2 | 4, policy: Policy, value: number): number {
    const { twin } = this;
    switch (policy) {
      case 'raw': twin.write(at, bytes, value); return 0;
      case 'bist': if (value === 0x40 || (value & 0xbf) === (twin.read(at, 1) & 0xbf)) twin.write(at, 1, value); return 0;
      // IO, MEM and SERR stay, Bus Master follows. Memory Write and Invalidate, which the device does not have, is
      // tried, after the cache line size has been set to one that fits 64 bytes.
      case 'command': {
        if ((value & 0x10) !== 0 && (this.shadow & 0x10) === 0 && (twin.read(0xc, 1) === 0 || twin.read(0xc, 1) % 16 !== 0)) {
          twin.write(0xc, 1, 0x10);
        }
        twin.write(4, 2, (twin.read(4, 2) & ~4) | (value & 4));
        this.shadow = value;
        return 0;
      }
      case 'bar': {
        const [, , ignored] = BARS[at] as readonly [number, number, number];
        if (((value | ignored) >>> 0) === 0xffffffff) this.sizing.add(at);
        else this.sizing.delete(at);
        return 0;
      }
      case 'pmcsr': {
        // D1 and D2 are not there; then a state is refused and nothing changes
        if ((value & 3) === 1 || (value & 3) === 2) return (twin.read(at, 2) & 3) === (value & 3) ? 0 : DENIED;
        twin.write(at, 2, (twin.read(at, 2) & ~3) | (value & 3));
        return 0;
      }
      case 'control': {
        if (this.permissive) twin.write(at, 2, value);
        else return value === twin.read(at, 2) ? 0 : DENIED;
        return 0;
      }
      default: return 0;
    }
  }
}

interface Pair {
  readonly device: PcibackDevice;
  readonly back: FakePciback;
  readonly expected: Expected;
}

const DEVICE = OBSERVED.filter(({ routing }) => routing === E1000E);

function pair(permissive: boolean): Pair {
  const [back, other] = [fakePciback({}, DEVICE), fakePciback({}, DEVICE)];
  const device = back.take(E1000E);
  other.take(E1000E);
  device.ownPermissive = permissive;
  return { device, back, expected: new Expected(other.host.at(E1000E), permissive) };
}

const bytes = suite('each byte of config space');
const hex = (value: number): string => value.toString(16);

for (const mode of ['strict', 'permissive'] as const) {
  bytes(`${mode}: reads, of all sizes, aligned and not`, () => {
    const { device, expected } = pair(mode === 'permissive');
    for (let off = 0; off < 4100; off++) {
      for (const size of [0, 1, 2, 3, 4, 8]) {
        assert.equal(device.configRead(off, size), expected.read(off, size), `${hex(off)} ${size}`);
      }
    }
    for (const off of [-4, -1, 0x7ffffffc, -0x80000000]) assert.equal(device.configRead(off, 1), expected.read(off, 1), hex(off));
  });

  for (const [name, pattern] of [
    ['ones', () => 0xffffffff], ['zeros', () => 0], ['the complement', (value: number) => ~value >>> 0],
    ['the same', (value: number) => value], ['5a', () => 0x5a5a5a5a],
  ] as const) {
    bytes(`${mode}: a write of ${name}, of all sizes, aligned and not`, () => {
      for (const size of [1, 2, 4, 0, 3, 8]) {
        let at = pair(mode === 'permissive');
        for (let off = 0; off < 0x1004; off++) {
          // a new device for each write to a register of the table, where one write changes what the next one meets
          if (off % size === 0 && size % 3 !== 0 && meeting(off, size).length > 0) at = pair(mode === 'permissive');
          const { device, back, expected } = at;
          const where = `${hex(off)} ${size}`;
          const before = back.log.length;
          const value = pattern(expected.read(off, size).value);
          const warned = expected.warnings;
          assert.equal(device.configWrite(off, size, value), { err: expected.write(off, size, value), value: 0 }, where);
          assert.is(Buffer.compare(back.host.at(E1000E).bytes, expected.twin.bytes), 0, `the hardware after ${where}`);
          const told = back.log.slice(before).filter((line) => line.includes('Driver tried to write')).length;
          assert.is(told, expected.warnings - warned, `warnings at ${where}`);
          for (const [at4, width] of [[off & ~3, 4], [off & ~1, 2], [off, 1]] as const) {
            const [got, want] = [device.configRead(at4, width), expected.read(at4, width)];
            assert.ok(got.err === want.err && got.value === want.value,
              `read back after ${where}: ${hex(got.value)}, not ${hex(want.value)}`);
          }
        }
      }
    });
  }
}

bytes.run();
