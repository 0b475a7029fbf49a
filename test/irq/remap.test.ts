import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BareMachine, CFI, FAULT, IRE, IRTA, NOTHING, OK, PENDING, REMAP, SID, SIRTP, ones,
} from '../helpers/bare-machine';

/** Interrupt remapping on, with a table of 2^(size + 1) entries. */
async function remapping(size = 15): Promise<BareMachine> {
  const m = await BareMachine.create();
  m.write64(IRTA, BigInt(REMAP) << 12n | BigInt(size));
  m.command(SIRTP);
  m.command(IRE);
  return m;
}

function entry(m: BareMachine, index: number, lo: bigint, hi: bigint): void {
  m.setQword(REMAP + (index >> 8), (index & 255) * 16, lo);
  m.setQword(REMAP + (index >> 8), (index & 255) * 16 + 8, hi);
}

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
const send = (m: BareMachine, address: bigint, data = 0): number => m.dmaWrite(address, dword(data));

/** The published example: edge, vector 0x31, xAPIC id 3, SID 0310, SVT 1. */
const LO = 0x0000030000310001n;
const HI = 0x0000000000040310n;

function blocked(m: BareMachine, address: bigint, data: number, reason: number, index: number): void {
  assert.is(send(m, address, data), FAULT);
  const fault = m.takeFault();
  assert.equal([fault.reason, fault.sid, fault.page >> 48n, fault.page & 0xffffffffffffn], [reason, SID, BigInt(index), 0n]);
  assert.is(m.engine.pollMessage(), undefined);
}

const refused = suite('interrupt remapping: what is blocked');

refused('0x25: compatibility format, unless CFI is on', async () => {
  const m = await remapping();
  blocked(m, 0xfee03000n, 0x31, 0x25, 0);
  m.command(CFI);
  assert.is(send(m, 0xfee03000n, 0x31), OK);
  assert.equal(m.engine.pollMessage(),
    { requester: SID, handle: undefined, vector: 0x31, delivery: 0, destination: 3, data: 0x31 });
  m.command(0, CFI);
  blocked(m, 0xfee03000n, 0x31, 0x25, 0);
});

refused('0x22: the entry is not present', async () => {
  const m = await remapping();
  entry(m, 0x12, LO & ~1n, HI);
  blocked(m, 0xfee00250n, 0, 0x22, 0x12);
});

refused('0x21: the index is beyond the table, also by its sub-handle', async () => {
  const m = await remapping(3);
  entry(m, 15, LO, HI);
  entry(m, 16, LO, HI);
  assert.is(send(m, 0xfee001f0n), OK);
  m.engine.pollMessage();
  blocked(m, 0xfee00210n, 0, 0x21, 16);
  assert.is(send(m, 0xfee00018n, 15), OK);
  m.engine.pollMessage();
  blocked(m, 0xfee00018n, 16, 0x21, 16);
  assert.is(send(m, 0xfee001f8n, 0xffff), FAULT);
  assert.is(m.takeFault().reason, 0x21);
});

refused('0x20: a reserved bit of the data beside a sub-handle', async () => {
  const m = await remapping();
  entry(m, 0x12, LO, HI);
  blocked(m, 0xfee00258n, 0x10000, 0x20, 0x12);
});

refused('0x23: the table is no memory', async () => {
  const m = await remapping();
  m.write64(IRTA, 0x90000000n | 15n);
  m.command(SIRTP);
  blocked(m, 0xfee00250n, 0, 0x23, 0x12);
});

refused('0x24: a reserved bit of the entry, and posted format where there is none', async () => {
  const m = await remapping();
  for (const bit of [12n, 13n, 14n, 15n, 24n, 31n]) {
    entry(m, 0x12, LO | 1n << bit, HI);
    blocked(m, 0xfee00250n, 0, 0x24, 0x12);
  }
  for (const bit of [20n, 63n]) {
    entry(m, 0x12, LO, HI | 1n << bit);
    blocked(m, 0xfee00250n, 0, 0x24, 0x12);
  }
  entry(m, 0x12, LO, HI | 3n << 18n);
  blocked(m, 0xfee00250n, 0, 0x24, 0x12);
});

refused('0x26: another source than the entry names', async () => {
  const m = await remapping();
  const validation = (sid: number, sq: number, svt: number): bigint => BigInt(sid | sq << 16 | svt << 18);
  const expect = (hi: bigint, good: boolean): void => {
    entry(m, 0x12, LO, hi);
    if (good) {
      assert.is(send(m, 0xfee00250n), OK, hi.toString(16));
      m.engine.pollMessage();
    } else blocked(m, 0xfee00250n, 0, 0x26, 0x12);
  };
  expect(validation(0xffff, 0, 0), true);
  expect(validation(0x0310, 0, 1), true);
  expect(validation(0x0311, 0, 1), false);
  expect(validation(0x0314, 0, 1), false);
  expect(validation(0x0314, 1, 1), true);
  expect(validation(0x0312, 1, 1), false);
  expect(validation(0x0316, 2, 1), true);
  expect(validation(0x0311, 2, 1), false);
  expect(validation(0x0317, 3, 1), true);
  expect(validation(0x0318, 3, 1), false);
  // a range of buses: start in 15:8, end in 7:0
  expect(validation(0x0303, 0, 2), true);
  expect(validation(0x0205, 0, 2), true);
  expect(validation(0x0405, 0, 2), false);
  expect(validation(0x0002, 0, 2), false);
});

refused('FPD of an entry keeps the fault out of the records', async () => {
  const m = await remapping();
  entry(m, 0x12, 2n, 0n);
  m.counted();
  assert.is(send(m, 0xfee00250n), FAULT);
  const counted = m.counted();
  assert.equal([counted.faults, counted.messagesBlocked, m.read(0x34)], [1, 1, 0]);
});

refused('a read of the interrupt window, or a write that is no aligned dword', async () => {
  const m = await remapping(0);
  const read = m.dmaRead(0xfee00000n, 4);
  assert.is(read.status, FAULT);
  assert.equal(read.bytes, ones(4));
  for (const length of [1, 2, 3, 5, 8]) assert.is(m.dmaWrite(0xfee00000n, ones(length)), NOTHING);
  assert.is(m.dmaWrite(0xfee00002n, ones(4)), NOTHING);
  assert.is(m.engine.pollMessage(), undefined);
});

refused.run();

const passed = suite('interrupt remapping: what comes out');

passed('the published handles: 0x0012 with a sub-handle, 0x8123 without', async () => {
  const m = await remapping();
  entry(m, 0x12, LO, HI);
  entry(m, 0x15, LO + 0x10000n, HI);
  entry(m, 0x8123, LO + 0x20000n, HI);
  assert.is(send(m, 0xfee00258n, 0), OK);
  assert.equal(m.engine.pollMessage(), { requester: SID, handle: 0x12, vector: 0x31, delivery: 0, destination: 3, data: 0 });
  assert.is(send(m, 0xfee00258n, 3), OK);
  const second = m.engine.pollMessage();
  assert.equal([second?.handle, second?.vector], [0x15, 0x32]);
  assert.is(send(m, 0xfee02474n), OK);
  const third = m.engine.pollMessage();
  assert.equal([third?.handle, third?.vector], [0x8123, 0x33]);
});

passed('address bits 1:0 would be ignored, data without a sub-handle is', async () => {
  const m = await remapping();
  entry(m, 0x12, LO, HI);
  assert.is(send(m, 0xfee00250n, 0x00018031), OK);
  assert.is(m.engine.pollMessage()?.vector, 0x31);
});

passed('an entry counts from the moment it is in memory', async () => {
  const m = await remapping();
  entry(m, 0x12, LO, HI);
  assert.is(send(m, 0xfee00250n), OK);
  entry(m, 0x12, 0n, 0n);
  assert.is(send(m, 0xfee00250n), FAULT);
  assert.is(m.engine.pollMessage()?.vector, 0x31);
});

passed('delivery mode and vector are the entry\'s', async () => {
  const m = await remapping();
  entry(m, 0x12, LO | 4n << 5n, HI);
  send(m, 0xfee00250n);
  const message = m.engine.pollMessage();
  assert.equal([message?.vector, message?.delivery], [0x31, 4]);
});

passed('the window is known by the untranslated address, translation on or off', async () => {
  const m = await remapping();
  m.start();
  entry(m, 0x12, LO, HI);
  // no context entry, yet the message passes: it is no memory access
  assert.is(send(m, 0xfee00250n), OK);
  assert.is(m.engine.pollMessage()?.vector, 0x31);
  assert.is(send(m, 0xfedffffcn), FAULT);
  assert.is(m.takeFault().reason, 2);
  assert.is(send(m, 0xfef00000n), FAULT);
});

passed.run();

const queue = suite('the message queue');

queue('merges what is equal and pending, holds 256, and then stalls the sender', async () => {
  const m = await BareMachine.create();
  for (let i = 0; i < 256; i++) assert.is(send(m, 0xfee00000n | BigInt(i) << 12n, 0x40), OK);
  assert.is(send(m, 0xfee00000n, 0x40), OK);
  m.counted();
  assert.is(send(m, 0xfee00000n, 0x41), PENDING);
  assert.is(m.counted().messagesStalled, 1);
  assert.is(m.engine.pollMessage()?.vector, 0x40);
  assert.is(send(m, 0xfee00000n, 0x41), OK);
  let last;
  let number = 0;
  for (let message = m.engine.pollMessage(); message !== undefined; message = m.engine.pollMessage()) {
    last = message;
    number++;
  }
  assert.equal([number, last?.vector], [256, 0x41]);
});

queue.run();
