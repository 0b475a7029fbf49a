import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DomainRecord, State, StateSize } from '../../assembly/spec/state';
import { ABSENT, BareMachine, NOTHING, OK, RANGE, REFUSED, WIDTH } from '../helpers/bare-machine';

const DOM = 1;
const RAM = 1;
const MMIO = 2;
const entry = (kind: number, mfn: number, writable = true): number => (kind << 30 | (writable ? 1 << 29 : 0) | mfn) >>> 0;

/** A domain with frames 16, 17 at guest pages 4, 5, a read-only page 6, and edu's registers at page 9. */
async function guest(): Promise<BareMachine> {
  const m = await BareMachine.create();
  const { exports } = m.engine;
  assert.is(exports.domainCreate(DOM, 7, 0), OK);
  exports.guestMapSet(DOM, 4, entry(RAM, 16));
  exports.guestMapSet(DOM, 5, entry(RAM, 17));
  exports.guestMapSet(DOM, 6, entry(RAM, 18, false));
  exports.configWrite(m.fn, 0x10, 4, 0xf0000000);
  exports.guestMapSet(DOM, 9, entry(MMIO, 0xf0000));
  exports.guestMapSet(DOM, 10, entry(MMIO, 0xf0000, false));
  return m;
}

const load = (m: BareMachine, address: number, width: number, hi = 0): number => m.engine.exports.guestLoad(DOM, address, hi, width) >>> 0;
const store = (m: BareMachine, address: number, width: number, lo: number, hi = 0): number => {
  m.engine.exports.guestStore(DOM, address, 0, width, lo, hi);
  return m.engine.status;
};
const last = (m: BareMachine): number[] => [DomainRecord.REFUSED, DomainRecord.LAST_REFUSED_LO, DomainRecord.LAST_REFUSED_HI,
  DomainRecord.LAST_REFUSED_KIND].map((off) => m.engine.word(State.DOMAIN_TABLE + DOM * StateSize.DOMAIN_RECORD + off));

const memory = suite('what a guest may load and store');

memory('an address that is not mapped is refused: ones, counted, recorded', async () => {
  const m = await guest();
  let refusals = 0;
  for (const [address, hi] of [[0, 0], [0x7000, 0], [0xfffffff0, 0], [0x4000, 0x100], [0x4000, 0x80000000]] as const) {
    for (const width of [1, 2, 4, 8]) {
      assert.is(load(m, address, width, hi), width === 8 ? 0xffffffff : 2 ** (8 * width) - 1);
      assert.equal([m.engine.status, m.engine.high], [REFUSED, 0xffffffff]);
      assert.equal(last(m), [++refusals, address, hi, 1]);
      m.engine.exports.guestStore(DOM, address, hi, width, 0, 0);
      assert.equal(last(m), [++refusals, address, hi, 2]);
    }
  }
  assert.is(m.counted().guestRefused, refusals);
  assert.equal(m.engine.takeDirtyFrames(), []);
});

memory('a read-only page can be read only', async () => {
  const m = await guest();
  m.fill(18, 0x42);
  assert.is(load(m, 0x6000, 4), 0x42424242);
  assert.is(store(m, 0x6000, 4, 1), REFUSED);
  assert.is(m.engine.frame(18)[0], 0x42);
  assert.is(store(m, 0xa004, 4, 1), REFUSED, 'registers as well');
  assert.is(load(m, 0xa000, 4), 0x010000ed);
});

memory('a domain that is not there has nothing', async () => {
  const m = await guest();
  for (const dom of [0, 63, 64, 0xffffffff]) {
    assert.is(m.engine.exports.guestLoad(dom, 0x4000, 0, 4) >>> 0, 0xffffffff);
    assert.is(m.engine.status, ABSENT);
    m.engine.exports.guestStore(dom, 0x4000, 0, 4, 1, 0);
    assert.is(m.engine.status, ABSENT);
    assert.is(m.engine.exports.guestIn(dom, 0xcf8, 4) >>> 0, 0xffffffff);
  }
  assert.is(m.engine.exports.domainCreate(DOM, 8, 0), 9);
  assert.is(m.engine.exports.domainCreate(8, 8, 0), RANGE, 'eight slots by default');
  assert.is(m.engine.exports.domainCreate(2, 0x7ff1, 0), RANGE, 'an id that is reserved');
});

memory('one, two, four and eight bytes, also across two pages', async () => {
  const m = await guest();
  for (const address of [0x4000, 0x4008, 0x4ffd, 0x4ffe, 0x4fff]) {
    for (const [width, lo, hi] of [[1, 0xa1, 0], [2, 0xb2b1, 0], [4, 0xc4c3c2c1, 0], [8, 0xd4d3d2d1, 0xd8d7d6d5]] as const) {
      m.fill(16, 0);
      m.fill(17, 0);
      assert.is(store(m, address, width, lo, hi), OK);
      assert.is(load(m, address, width), lo);
      if (width === 8) assert.is(m.engine.high, hi);
      const both = [...m.engine.frame(16), ...m.engine.frame(17)];
      const at = address - 0x4000;
      const bytes = [0, 1, 2, 3].map((i) => (lo >>> (8 * i)) & 0xff).concat([0, 1, 2, 3].map((i) => (hi >>> (8 * i)) & 0xff));
      assert.equal(both.slice(at, at + width), bytes.slice(0, width));
      assert.is(both.filter((byte) => byte !== 0).length, width, 'nothing beside it');
    }
  }
  assert.equal(m.engine.takeDirtyFrames(), [16, 17]);
});

memory('an access over two pages is refused as a whole, once', async () => {
  const m = await guest();
  m.fill(17, 0x55);
  m.counted();
  assert.is(store(m, 0x5ffe, 4, 0), REFUSED, 'the second page is read-only');
  assert.is(store(m, 0x3ffe, 4, 0), REFUSED, 'the first is not there');
  assert.is(m.engine.frame(17)[0xffe], 0x55);
  assert.is(m.engine.frame(16)[0], 0);
  assert.is(load(m, 0x6ffe, 4), 0xffffffff, 'the second is not there');
  assert.is(load(m, 0x6ffc, 8), 0xffffffff);
  assert.is(m.engine.high, 0xffffffff);
  assert.is(m.counted().guestRefused, 4);
  assert.is(load(m, 0x5ffe, 4), 0x00005555);
});

memory('registers through a mapping: counted, and no effect where nothing is decoded', async () => {
  const m = await guest();
  m.counted();
  assert.is(load(m, 0x9000, 4), 0x010000ed);
  assert.is(store(m, 0x9004, 4, 1), OK);
  assert.is(load(m, 0x9004, 4), 0xfffffffe);
  assert.is(load(m, 0x9001, 4), 0xffffffff);
  assert.is(m.engine.status, WIDTH);
  m.engine.exports.configWrite(m.fn, 0x04, 2, 0);
  assert.is(load(m, 0x9000, 4), 0xffffffff);
  assert.is(m.engine.status, NOTHING);
  assert.is(store(m, 0x9004, 4, 1), NOTHING);
  const counted = m.counted();
  assert.equal([counted.mmioReads, counted.mmioWrites, counted.guestRefused], [4, 2, 0]);
});

memory.run();

const ports = suite('which ports a guest may use');

const input = (m: BareMachine, port: number, width: number): number => m.engine.exports.guestIn(DOM, port, width) >>> 0;

ports('none, at first', async () => {
  const m = await guest();
  let refusals = 0;
  for (const port of [0, 0xcf8, 0xcfc, 0xfff8, 0xffff]) {
    assert.is(input(m, port, 1), 0xff);
    assert.is(m.engine.status, REFUSED);
    assert.equal(last(m), [++refusals, port, 0, 3]);
    m.engine.exports.guestOut(DOM, port, 1, 0);
    assert.equal(last(m), [++refusals, port, 0, 4]);
  }
  const counted = m.counted();
  assert.equal([counted.guestRefused, counted.portReads, counted.portWrites], [10, 0, 0]);
});

ports('an access of two or four bytes needs all of its ports, also over a byte of the bitmap', async () => {
  const m = await guest();
  for (const first of [0x100, 0x105, 0x107, 0xfff8, 0xfffc]) {
    for (const width of [1, 2, 4]) {
      m.engine.exports.portsSet(DOM, 0, 0x10000, 0);
      m.engine.exports.portsSet(DOM, first, width, 1);
      const allowed = (at: number, bytes: number): boolean => {
        input(m, at, bytes);
        return m.engine.status !== REFUSED;
      };
      assert.is(allowed(first, width), true, `${first.toString(16)}, ${width}`);
      assert.is(allowed(first - 1, width), false);
      assert.is(allowed(first + 1, width), false);
      if (width > 1) {
        for (let missing = first; missing < first + width; missing++) {
          m.engine.exports.portsSet(DOM, missing, 1, 0);
          assert.is(allowed(first, width), false);
          m.engine.exports.portsSet(DOM, missing, 1, 1);
        }
      }
    }
  }
});

ports('beyond 0xFFFF there are none, however the number is written', async () => {
  const m = await guest();
  m.engine.exports.portsSet(DOM, 0, 0x10000, 1);
  for (const [port, width] of [[0xffff, 2], [0xfffd, 4], [0x10000, 1], [0x10cf8, 4], [0xffffffff, 1], [0xffffffff, 2], [0xfffffffc, 4]] as const) {
    assert.is(input(m, port, width), 2 ** (8 * width) - 1);
    assert.is(m.engine.status, REFUSED, port.toString(16));
    assert.is(m.engine.exports.portRead(port, width) >>> 0, 2 ** (8 * width) - 1);
    assert.is(m.engine.status, NOTHING);
    m.engine.exports.portWrite(port, width, 0);
    assert.is(m.engine.status, NOTHING);
  }
  assert.is(input(m, 0xffff, 1), 0xff);
  assert.is(m.engine.status, NOTHING);
  assert.is(m.engine.exports.portsSet(DOM, 0xffff, 2, 1), RANGE);
  assert.is(m.engine.exports.portsSet(DOM, 0xffffffff, 1, 1), RANGE);
  assert.is(m.engine.exports.portsSet(5, 0, 1, 1), ABSENT);
});

ports('taking a right away works from the next access on', async () => {
  const m = await guest();
  m.engine.exports.portsSet(DOM, 0x200, 8, 1);
  input(m, 0x204, 4);
  assert.is(m.engine.status, NOTHING);
  m.engine.exports.portsSet(DOM, 0x207, 1, 0);
  input(m, 0x204, 4);
  assert.is(m.engine.status, REFUSED);
  input(m, 0x204, 2);
  assert.is(m.engine.status, NOTHING);
});

ports('another domain in the same slot begins without', async () => {
  const m = await guest();
  m.engine.exports.portsSet(DOM, 0x200, 8, 1);
  m.engine.exports.domainDestroy(DOM);
  m.engine.exports.domainCreate(DOM, 8, 0);
  input(m, 0x204, 4);
  assert.is(m.engine.status, REFUSED);
  assert.is(load(m, 0x4000, 4), 0xffffffff);
});

ports.run();
