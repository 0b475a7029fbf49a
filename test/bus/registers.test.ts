import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BareMachine, NOTHING, OK, WIDTH } from '../helpers/bare-machine';

type Row = readonly [name: string, off: number, writable: number];

const read = (m: BareMachine, fn: number, off: number, width: number): number => m.engine.exports.registerRead(fn, 0, off, width) >>> 0;
const write = (m: BareMachine, fn: number, off: number, width: number, lo: number, hi = 0): number => {
  m.engine.exports.registerWrite(fn, 0, off, width, lo, hi);
  return m.engine.status;
};

const unit = suite('registers of the remapping unit');

// offset and the bits that a write stores, by the architecture specification, as far as the unit has them
const UNIT: readonly Row[] = [
  ['VER', 0x00, 0], ['CAP', 0x08, 0], ['CAP', 0x0c, 0], ['ECAP', 0x10, 0], ['ECAP', 0x14, 0], ['GSTS', 0x1c, 0],
  ['RTADDR', 0x20, 0xfffffc00], ['RTADDR', 0x24, 0xffffffff], ['FEDATA', 0x3c, 0x0000ffff], ['FEADDR', 0x40, 0xfffffffc],
  ['FEUADDR', 0x44, 0xffffffff], ['IQH', 0x80, 0], ['IQH', 0x84, 0], ['IQA', 0x90, 0xfffff007], ['IQA', 0x94, 0xffffffff],
  ['IEDATA', 0xa4, 0x0000ffff], ['IEADDR', 0xa8, 0xfffffffc], ['IEUADDR', 0xac, 0xffffffff], ['IRTA', 0xb8, 0xfffff00f],
  ['IRTA', 0xbc, 0xffffffff], ['IVA', 0xf0, 0xfffff07f], ['IVA', 0xf4, 0xffffffff], ['FRCD', 0x100, 0], ['FRCD', 0x104, 0],
  ['FRCD', 0x108, 0], ['FRCD', 0x17c, 0],
];

unit('capabilities are those of a unit with 64 domains, 39, 48 and 57 bits, 8 fault records', async () => {
  const m = await BareMachine.create();
  assert.is(m.read(0x00), 0x10);
  const cap = BigInt(m.read(0x0c)) << 32n | BigInt(m.read(0x08));
  const field = (high: number, low: number): number => Number(cap >> BigInt(low) & (1n << BigInt(high - low + 1)) - 1n);
  assert.equal([field(2, 0), field(4, 4), field(7, 7), field(12, 8), field(21, 16), field(22, 22)], [1, 0, 0, 0x0e, 56, 1]);
  assert.equal([field(33, 24) * 16, field(37, 34), field(39, 39), field(47, 40), field(53, 48), field(54, 54), field(55, 55)],
    [0x100, 3, 1, 7, 18, 1, 1]);
  const ecap = m.read(0x10);
  assert.equal([ecap & 1, ecap >> 1 & 1, ecap >> 2 & 1, ecap >> 3 & 1, ecap >> 6 & 1, (ecap >> 8 & 0x3ff) * 16], [1, 1, 0, 1, 1, 0xf0]);
});

unit('each stores its writable bits, from one dword or from either half of eight bytes', async () => {
  for (const [name, off, writable] of UNIT) {
    const m = await BareMachine.create();
    const before = read(m, 0, off, 4);
    const expect = (value: number): number => ((before & ~writable) | (value & writable)) >>> 0;
    for (const value of [0xffffffff, 0x5a5a5a5a, 0]) {
      assert.is(write(m, 0, off, 4, value), OK);
      assert.is(read(m, 0, off, 4), expect(value), `${name} at ${off.toString(16)}`);
    }
    const other = off ^ 4;
    // the neighbours of 0x18, 0x28, 0x34, 0x9c have effects of their own
    if (UNIT.some(([, at]) => at === other)) {
      write(m, 0, off & ~7, 8, 0xa5a5a5a5, 0xa5a5a5a5);
      assert.is(read(m, 0, off, 4), expect(0xa5a5a5a5), `${name}, eight bytes`);
      const lo = read(m, 0, off & ~7, 8);
      assert.is(off & 4 ? m.engine.high : lo, expect(0xa5a5a5a5));
    }
  }
});

unit('narrow and misaligned accesses read ones and change nothing', async () => {
  const m = await BareMachine.create();
  write(m, 0, 0x20, 4, 0x12345000);
  for (const [off, width] of [[0x20, 1], [0x20, 2], [0x22, 2], [0x21, 4], [0x22, 4], [0x24, 8], [0x1c, 8]] as const) {
    assert.is(read(m, 0, off, width), 0xffffffff, `${width} at ${off.toString(16)}`);
    assert.is(m.engine.status, WIDTH);
    assert.is(write(m, 0, off, width, 0, 0), WIDTH);
  }
  assert.is(read(m, 0, 0x20, 4), 0x12345000);
});

unit('eight bytes at GCMD give the command once, and GSTS shows it', async () => {
  const m = await BareMachine.create();
  write(m, 0, 0x18, 8, 0x04000000, 0xffffffff);
  assert.is(m.read(0x1c), 0x04000000);
  assert.is(m.read(0x18), 0);
});

unit('eight bytes are the low dword, then the high one: a 64-bit command sees its low half', async () => {
  const m = await BareMachine.create();
  m.start();
  m.context(9n, 0x0702n);
  m.dmaRead(0x10000n, 4);
  m.counted();
  // CCMD: device-selective for SID 0310, ICC in the high half
  write(m, 0, 0x28, 8, 0x03100007, 0xe0000000);
  assert.is(m.counted().invalidateContext, 1);
  m.dmaRead(0x10000n, 4);
  assert.is(m.counted().contextMisses, 1);
  // IOTLB: eight bytes, one invalidation
  write(m, 0, 0xf8, 8, 0, 0x90000000);
  assert.is(m.counted().invalidateGlobal, 1);
  write(m, 0, 0xf8, 4, 0xffffffff);
  assert.is(m.counted().invalidateGlobal, 0, 'the low half triggers nothing');
});

unit('outside its registers reads give 0, beyond its page nothing', async () => {
  const m = await BareMachine.create();
  for (const off of [0x04, 0x60, 0x180, 0x800, 0xffc]) assert.is(read(m, 0, off, 4), 0);
  assert.is(read(m, 0, 0x1000, 4), 0xffffffff);
  assert.is(m.engine.status, NOTHING);
  assert.is(read(m, 0, 0xffe, 4), 0xffffffff);
});

unit('has no config space, and is not reset with one', async () => {
  const m = await BareMachine.create();
  m.start();
  const spare = m.engine.memory.buffer.byteLength;
  m.engine.memory.grow(1);
  m.engine.exports.windowMap(8192, 1, spare, 1, 0);
  assert.is(m.engine.exports.configRead(0, 0, 4) >>> 0, 0xffffffff);
  m.engine.exports.configWrite(0, 4, 2, 0xffff);
  m.engine.exports.functionReset(0);
  m.engine.exports.functionApply(0);
  assert.is(m.engine.exports.framePtr(8192), spare);
  assert.is(m.engine.exports.framePtr(0), m.engine.ram);
  assert.is(m.read(0x1c) >>> 31, 1);
});

unit.run();

const device = suite('registers of edu');

const NARROW = [0x00, 0x04, 0x08, 0x20, 0x24, 0x60, 0x64];
const WIDE = [0x80, 0x88, 0x90, 0x98];

device('only four bytes are valid below 0x80, four or eight from there on', async () => {
  const m = await BareMachine.create();
  for (const off of NARROW) {
    for (const [at, width] of [[off, 1], [off, 2], [off + 2, 2], [off + 1, 4]] as const) {
      assert.is(read(m, m.fn, at, width), 0xffffffff);
      assert.is(m.engine.status, WIDTH, `${width} at ${at.toString(16)}`);
      assert.is(write(m, m.fn, at, width, 0x80), WIDTH);
    }
    if (off % 8 === 0) assert.is(write(m, m.fn, off, 8, 0x80, 0x80), WIDTH);
  }
  assert.is(read(m, m.fn, 0x04, 4), 0);
  assert.is(read(m, m.fn, 0x20, 4), 0);
  assert.is(read(m, m.fn, 0x24, 4), 0);
  for (const off of WIDE) {
    for (const [at, width] of [[off, 1], [off, 2], [off + 2, 4], [off + 4, 8]] as const) {
      assert.is(write(m, m.fn, at, width, 0xff), WIDTH);
      assert.is(read(m, m.fn, at, width), 0xffffffff);
    }
    assert.is(read(m, m.fn, off, 4), 0);
  }
});

device('eight bytes and two times four give the same', async () => {
  const values = (m: BareMachine): number[] => [0x80, 0x84, 0x88, 0x8c, 0x90, 0x94].map((off) => read(m, m.fn, off, 4));
  const one = await BareMachine.create();
  const other = await BareMachine.create();
  for (const [i, off] of [0x80, 0x88, 0x90].entries()) {
    write(one, one.fn, off, 8, 0x11111111 * (i + 1), 0x01010101 * (i + 1));
    write(other, other.fn, off + 4, 4, 0x01010101 * (i + 1));
    write(other, other.fn, off, 4, 0x11111111 * (i + 1));
  }
  assert.equal(values(one), [0x11111111, 0x01010101, 0x22222222, 0x02020202, 0x33333333, 0x03030303]);
  assert.equal(values(other), values(one));
  read(one, one.fn, 0x88, 8);
  assert.is(one.engine.high, 0x02020202);
});

device('where there is no register a read gives ones', async () => {
  const m = await BareMachine.create();
  for (const off of [0x0c, 0x28, 0x68, 0xa0, 0xffc, 0x1000, 0x40000, 0xffffc]) {
    for (const width of [1, 2, 4]) assert.is(read(m, m.fn, off, width), [0xff, 0xffff, 0, 0xffffffff][width === 4 ? 3 : width - 1]);
    assert.is(read(m, m.fn, off + 1, 4), 0xffffffff);
    assert.is(write(m, m.fn, off, 4, 1), OK);
  }
  assert.is(read(m, m.fn, 0x100000, 4), 0xffffffff);
  assert.is(m.engine.status, NOTHING);
  for (const bar of [1, 5, 6, 0xffffffff]) {
    assert.is(m.engine.exports.registerRead(m.fn, bar, 0, 4) >>> 0, 0xffffffff);
    assert.is(m.engine.status, NOTHING);
  }
});

device.run();
