import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FunctionRecord, State, StateSize } from '../../assembly/spec/state';
import {
  BareMachine, FAULT, NOTHING, OK, R, REFUSED, W, bytesOf, ones,
} from '../helpers/bare-machine';

const RW = R | W;

const gate = suite('DMA: the Bus Master gate');

gate('without Bus Master nothing is read or written, and it is counted', async () => {
  const m = await BareMachine.create();
  m.fill(16, 0x11);
  m.engine.exports.configWrite(m.fn, 0x04, 2, 0x0003);
  m.counted();
  const read = m.dmaRead(0x10000n, 64);
  assert.is(read.status, REFUSED);
  assert.equal(read.bytes, ones(64));
  assert.is(m.dmaWrite(0x10000n, [1, 2, 3]), REFUSED);
  assert.is(m.dmaWrite(0xfee00000n, [0x40, 0, 0, 0]), REFUSED, 'an interrupt is DMA as well');
  assert.is(m.engine.frame(16)[0], 0x11);
  const counted = m.counted();
  assert.equal([counted.dmaRefused, counted.dmaReads, counted.dmaWrites, counted.messagesSent], [3, 0, 0, 0]);
  assert.equal(m.engine.takeDirtyFrames(), []);
});

gate('a device that is not in the machine does none', async () => {
  const m = await BareMachine.create();
  assert.is(m.dmaWrite(0x10000n, [1], 40), 7);
  assert.is(m.dmaWrite(0x10000n, [1], 0xffffffff), 7);
});

gate.run();

const pieces = suite('DMA: pieces');

pieces('a fault in the second page leaves the first piece done and the second undone', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  m.map(root, 0x1000n, 0x10000n | RW);
  m.map(root, 0x3000n, 0x12000n | RW);
  m.fill(0x10, 0);
  m.fill(0x11, 0x77);
  assert.is(m.dmaWrite(0x1ff8n, bytesOf(16)), FAULT);
  assert.equal([...m.engine.frame(0x10).subarray(0xff8)], bytesOf(8));
  assert.is(m.engine.frame(0x11)[0], 0x77);
  assert.equal(m.takeFault().page, 0x2000n);
  const read = m.dmaRead(0x1ff8n, 16);
  assert.is(read.status, FAULT);
  assert.equal(read.bytes, [...bytesOf(8), ...ones(8)], 'ones, not what was there before');
  m.takeFault();
  // a fault in the first page: what lies behind it is not touched
  m.fill(0x12, 0x33);
  assert.is(m.dmaWrite(0x2ff8n, bytesOf(16)), FAULT);
  assert.is(m.engine.frame(0x12)[0], 0x33);
  assert.equal(m.dmaRead(0x2ff8n, 16).bytes, ones(16));
});

pieces('each page is translated by itself, whatever frames they are', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  [0x20, 0x12, 0x31].forEach((mfn, i) => m.map(root, BigInt(i) << 12n, BigInt(mfn) << 12n | RW));
  const data = bytesOf(4096 + 100, 7);
  m.counted();
  assert.is(m.dmaWrite(0xfcen, data), OK);
  const counted = m.counted();
  assert.equal([counted.translations, counted.dmaWrites, counted.dmaWriteBytes], [3, 1, 4196]);
  assert.equal([...m.engine.frame(0x20).subarray(0xfce)], data.slice(0, 50));
  assert.equal([...m.engine.frame(0x12)], data.slice(50, 4146));
  assert.equal([...m.engine.frame(0x31)].slice(0, 50), data.slice(4146));
  assert.equal(m.dmaRead(0xfcen, 4196).bytes, data);
  assert.equal(m.engine.takeDirtyFrames().filter((mfn) => mfn < 0x40), [0x12, 0x20, 0x31]);
});

pieces('every length and alignment copies exactly its bytes', async () => {
  const m = await BareMachine.create();
  for (const length of [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 511, 512, 513, 1500, 4096]) {
    for (const off of [0, 1, 3, 4095]) {
      m.fill(16, 0);
      m.fill(17, 0);
      const at = BigInt(0x10000 + off);
      assert.is(m.dmaWrite(at, bytesOf(length)), OK);
      const both = [...m.engine.frame(16), ...m.engine.frame(17)];
      const expected = new Array<number>(8192).fill(0);
      bytesOf(length).forEach((byte, i) => { expected[off + i] = byte; });
      assert.equal(both, expected, `${length} bytes at ${off}`);
      assert.equal(m.dmaRead(at, length).bytes, bytesOf(length));
    }
  }
});

pieces('reading marks nothing dirty', async () => {
  const m = await BareMachine.create();
  m.engine.takeDirtyFrames();
  m.dmaRead(0x10000n, 64);
  assert.equal(m.engine.takeDirtyFrames(), []);
  m.dmaWrite(0x10ffcn, bytesOf(8));
  assert.equal(m.engine.takeDirtyFrames(), [0x10, 0x11]);
  assert.equal(m.engine.takeDirtyFrames(), []);
});

pieces('transaction packets are counted by the link\'s sizes', async () => {
  const m = await BareMachine.create();
  m.counted();
  m.dmaRead(0x10000n, 1500);
  m.dmaWrite(0x10000n, bytesOf(1500));
  m.dmaWrite(0x10ff0n, bytesOf(32));
  const counted = m.counted();
  // reads of at most 512 bytes, payloads of at most 256
  assert.equal([counted.readRequestTlps, counted.completionTlps, counted.writeTlps], [3, 6, 6 + 2]);
});

pieces.run();

const edges = suite('DMA: addresses at the edges');

edges('where there is no memory a read gives ones and a write goes nowhere', async () => {
  const m = await BareMachine.create();
  for (const address of [0x1000000n, 0xdffff000n, 1n << 40n, (1n << 40n) + 0x10000n, 1n << 52n, (1n << 52n) + 0x10000n,
    0x8000000000010000n, 0xfffffffffffff000n]) {
    const read = m.dmaRead(address, 16);
    assert.is(read.status, NOTHING, address.toString(16));
    assert.equal(read.bytes, ones(16));
    assert.is(m.dmaWrite(address, bytesOf(16)), NOTHING);
  }
  assert.equal(m.engine.takeDirtyFrames(), []);
});

edges('across the end of memory only what is memory is moved', async () => {
  const m = await BareMachine.create();
  const end = 4096n << 12n;
  assert.is(m.dmaWrite(end - 4n, bytesOf(8)), NOTHING);
  assert.equal([...m.engine.frame(4095).subarray(4092)], bytesOf(4));
  assert.equal(m.dmaRead(end - 4n, 8).bytes, [...bytesOf(4), ...ones(4)]);
});

edges('behind the unit a translation of the whole 52 bits is never taken for a lower one', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  m.map(root, 0x10000n, 0x10000n | RW);
  for (const bit of [32n, 40n, 47n, 48n, 51n, 52n, 53n, 63n]) {
    assert.is(m.dmaWrite(0x10000n | 1n << bit, [0x99]), FAULT, `bit ${bit}`);
  }
  assert.is(m.engine.frame(16)[0], 0);
  assert.is(m.dmaWrite(0xfffffffffffffffcn, bytesOf(8)), FAULT);
});

edges('the unit\'s registers and the config space are never reached', async () => {
  const m = await BareMachine.create();
  m.start();
  m.context(9n, 0x0702n);
  for (const address of [0xfed90018n, 0xfed90000n, 0xe0000000n, 0xefffff00n]) {
    assert.is(m.dmaWrite(address, [0, 0, 0, 0]), NOTHING);
    assert.equal(m.dmaRead(address, 4).bytes, ones(4));
  }
  m.service();
  assert.is(m.read(0x1c) >>> 31, 1);
});

edges.run();

const foreign = suite('DMA into the memory of one domain');

/** The function acts in domain slot 2, whose guest page 5 is frame 0x20 and page 6 is I/O memory. */
async function emulated(): Promise<BareMachine> {
  const m = await BareMachine.create();
  const { exports } = m.engine;
  assert.is(exports.domainCreate(2, 9, 0), 0);
  exports.guestMapSet(2, 5, (1 << 30 | 1 << 29 | 0x20) >>> 0);
  exports.guestMapSet(2, 6, (2 << 30 | 1 << 29 | 0xf0000) >>> 0);
  const record = State.FUNCTION_TABLE + m.fn * StateSize.FUNCTION_RECORD;
  m.engine.setWord(record + FunctionRecord.SPACE, 1);
  m.engine.setWord(record + FunctionRecord.SPACE_DOMAIN, 2);
  return m;
}

foreign('takes addresses for guest addresses, and reaches RAM only', async () => {
  const m = await emulated();
  assert.is(m.dmaWrite(0x5010n, [1, 2]), OK);
  assert.equal([...m.engine.frame(0x20).subarray(0x10, 0x12)], [1, 2]);
  for (const address of [0x4000n, 0x6000n, 0x10000n, 1n << 40n, (1n << 40n) + 0x5000n, 1n << 60n]) {
    assert.is(m.dmaWrite(address, [3]), FAULT, address.toString(16));
    assert.equal(m.dmaRead(address, 2).bytes, ones(2));
  }
  assert.is(m.counted().translations, 0);
});

foreign('reaches nothing once the domain is gone', async () => {
  const m = await emulated();
  m.engine.exports.domainDestroy(2);
  assert.is(m.dmaWrite(0x5010n, [1, 2]), FAULT);
  assert.equal(m.dmaRead(0x5010n, 2).bytes, ones(2));
});

foreign.run();
