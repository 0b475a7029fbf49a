import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { edu } from '../../src/devices/edu/index';
import {
  BareMachine, FAULT, FEADDR, FECTL, FEDATA, FRCD, FSTS, QUEUE, SID, bytesOf, iotlbGlobal,
} from '../helpers/bare-machine';

const records = suite('fault records');

const W1C = 0x80000000;

/** A machine whose function has tables with nothing in them: every DMA faults. */
async function faulty(): Promise<BareMachine> {
  const m = await BareMachine.create();
  m.start();
  m.tables(m.newTable());
  return m;
}

records('the bits of a record: page address, requester, reason, type, F', async () => {
  const m = await faulty();
  m.dmaRead(0x00001234567f9abcn, 4);
  assert.equal([0, 4, 8, 12].map((off) => m.read(FRCD + off)), [0x567f9000, 0x1234, 0x0310, 0xc0000006]);
  m.dmaWrite(0x2004n, [1]);
  assert.equal([16, 20, 24, 28].map((off) => m.read(FRCD + off)), [0x2000, 0, 0x0310, 0x80000005]);
  // only F can be written, and only cleared
  m.write(FRCD, 0);
  m.write(FRCD + 8, 0xffff);
  m.write(FRCD + 12, 0x7fffffff);
  assert.equal([0, 4, 8, 12].map((off) => m.read(FRCD + off)), [0x567f9000, 0x1234, 0x0310, 0xc0000006]);
  m.write(FRCD + 12, W1C);
  assert.is(m.read(FRCD + 12), 0x40000006);
});

records('they are written round robin, and FRI names the oldest that is left', async () => {
  const m = await faulty();
  assert.is(m.read(FSTS), 0);
  for (let i = 0; i < 6; i++) m.dmaRead(BigInt(i) << 12n, 4);
  assert.is(m.read(FSTS), 0x002);
  for (let i = 0; i < 5; i++) m.write(FRCD + 16 * i + 12, W1C);
  assert.is(m.read(FSTS), 0x502);
  for (let i = 6; i < 10; i++) m.dmaRead(BigInt(i) << 12n, 4);
  // records 5, 6, 7, 0, 1 are full: 5 is the oldest
  assert.is(m.read(FSTS), 0x502);
  assert.is(m.fault(0)?.page, 0x8000n);
  assert.is(m.fault(1)?.page, 0x9000n);
  for (const i of [5, 6, 7]) m.write(FRCD + 16 * i + 12, W1C);
  assert.is(m.read(FSTS), 0x002);
  m.write(FRCD + 12, W1C);
  assert.is(m.read(FSTS), 0x102);
  m.write(FRCD + 28, W1C);
  assert.is(m.read(FSTS) & 0xff, 0);
});

records('with the next record full PFO is set and no more is recorded until it is cleared', async () => {
  const m = await faulty();
  for (let i = 0; i < 8; i++) m.dmaRead(BigInt(i) << 12n, 4);
  assert.is(m.read(FSTS), 0x002);
  m.dmaRead(0x8000n, 4);
  assert.is(m.read(FSTS), 0x003);
  assert.is(m.fault(0)?.page, 0n, 'nothing is overwritten');
  // a free record alone does not restart recording
  m.write(FRCD + 12, W1C);
  m.dmaRead(0x9000n, 4);
  assert.is(m.fault(0), undefined);
  assert.is(m.read(FSTS), 0x103);
  const counted = m.counted();
  assert.equal([counted.faults, counted.faultsDropped], [10, 2]);
  // PPF is read-only, PFO write-1-clear
  m.write(FSTS, 0x02);
  assert.is(m.read(FSTS), 0x103);
  m.write(FSTS, 0x01);
  assert.is(m.read(FSTS), 0x102);
  m.dmaRead(0xa000n, 4);
  assert.is(m.fault(0)?.page, 0xa000n);
});

records.run();

const event = suite('the fault event');

function eventOn(m: BareMachine): void {
  m.write(FEDATA, 0x4041);
  m.write(FEADDR, 0xfee05000);
  m.write(FECTL, 0);
}

event('is masked after reset: then only IP is set', async () => {
  const m = await faulty();
  assert.is(m.read(FECTL), 0x80000000);
  m.dmaRead(0n, 4);
  m.service();
  assert.is(m.engine.pollMessage(), undefined);
  assert.is(m.read(FECTL), 0xc0000000);
  m.write(FECTL, 0xffffffff);
  assert.is(m.read(FECTL), 0xc0000000);
});

event('is sent once for the first fault, not for those that follow', async () => {
  const m = await faulty();
  eventOn(m);
  m.dmaRead(0n, 4);
  m.dmaRead(0x1000n, 4);
  m.service();
  const message = m.engine.pollMessage();
  assert.equal([message?.vector, message?.destination, message?.handle], [0x41, 5, undefined]);
  assert.is(m.engine.pollMessage(), undefined);
  m.dmaRead(0x2000n, 4);
  m.service();
  assert.is(m.engine.pollMessage(), undefined);
  for (let i = 0; i < 3; i++) m.write(FRCD + 16 * i + 12, W1C);
  m.dmaRead(0x3000n, 4);
  m.service();
  assert.is(m.engine.pollMessage()?.vector, 0x41);
});

event('that was masked is sent when the mask goes, and then is pending no more', async () => {
  const m = await faulty();
  m.dmaRead(0n, 4);
  eventOn(m);
  assert.is(m.read(FECTL), 0);
  m.service();
  assert.is(m.engine.pollMessage()?.vector, 0x41);
  m.write(FECTL, 0x80000000);
  m.write(FECTL, 0);
  m.service();
  assert.is(m.engine.pollMessage(), undefined);
});

event('that was served before the mask went is not sent', async () => {
  const m = await faulty();
  m.dmaRead(0n, 4);
  m.write(FRCD + 12, W1C);
  assert.is(m.read(FECTL), 0x80000000);
  m.write(FECTL, 0);
  m.service();
  assert.is(m.engine.pollMessage(), undefined);
});

event('stays pending while a queue error stands beside the faults that were cleared', async () => {
  const m = await faulty();
  m.startQueue();
  m.submit([0xfn, 0n]);
  m.dmaRead(0n, 4);
  m.write(FRCD + 12, W1C);
  assert.is(m.read(FSTS) & 0xff, 0x10);
  assert.is(m.read(FECTL), 0xc0000000);
  m.setQword(QUEUE, 0, iotlbGlobal()[0]);
  m.write(FSTS, 0x10);
  assert.is(m.read(FSTS) & 0xff, 0);
  assert.is(m.read(FECTL), 0x80000000);
});

event('of a full message queue waits and is not lost', async () => {
  const m = await faulty();
  // fill the queue with distinct messages, remapping off
  for (let i = 0; i < 256; i++) assert.is(m.dmaWrite(0xfee00000n + BigInt(i << 12), [0x50, 0, 0, 0]), 0);
  assert.is(m.dmaWrite(0xfee00000n, [0x51, 0, 0, 0]), 4);
  assert.is(m.dmaWrite(0xfee00000n, [0x50, 0, 0, 0]), 0, 'an equal one merges');
  eventOn(m);
  m.dmaWrite(0n, bytesOf(4));
  m.service();
  for (let i = 0; i < 256; i++) assert.is(m.engine.pollMessage()?.destination, i);
  assert.is(m.engine.pollMessage(), undefined);
  m.service();
  assert.is(m.engine.pollMessage()?.vector, 0x41);
});

event.run();

const other = suite('faults of several requesters');

other('each record names its own', async () => {
  const m = await faulty();
  const second = m.add(edu, 0x0318);
  assert.is(m.dmaRead(0n, 4).status, FAULT);
  assert.is(m.dmaRead(0n, 4, second.fn).status, FAULT);
  assert.equal([m.fault(0)?.sid, m.fault(0)?.reason], [SID, 6]);
  assert.equal([m.fault(1)?.sid, m.fault(1)?.reason], [0x0318, 2]);
});

other.run();
