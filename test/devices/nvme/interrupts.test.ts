// Interrupts: pin, MSI, MSI-X, masks, coalescing (Base Specification 1.4, 7.5 and 5.21.1.8).
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NvmeHost } from '../../helpers/nvme-host';

const LINE = 16 + 4;

function pin(host: NvmeHost): number {
  return host.engine.exports.intxLine(LINE);
}

/** Vectors of the messages that have gone: their data. */
function messages(host: NvmeHost): number[] {
  const data: number[] = [];
  for (let one = host.engine.pollMessage(); one; one = host.engine.pollMessage()) data.push(one.data);
  return data;
}

function msixOn(host: NvmeHost): void {
  const { exports } = host.engine;
  for (let vector = 0; vector < 33; vector++) {
    const entry = 0x2000 + 16 * vector;
    host.write(entry, 0xfee00000);
    host.write(entry + 4, 0);
    host.write(entry + 8, 0x40 + vector);
    host.write(entry + 12, 0);
  }
  exports.configWrite(host.fn, 0x42, 2, 0x8000);
}

function msiOn(host: NvmeHost, log2: number): void {
  const { exports } = host.engine;
  exports.configWrite(host.fn, 0x54, 4, 0xfee00000);
  exports.configWrite(host.fn, 0x5c, 2, 0x60);
  exports.configWrite(host.fn, 0x52, 2, 1 | log2 << 4);
}

function submit(host: NvmeHost, id: number, count = 1): void {
  for (let i = 0; i < count; i++) host.queue(id, { op: 0, nsid: 1 });
  host.ring(id);
  host.settle();
}

test('the pin is asserted until all queues are drained', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  host.createQueue(1, 16, 0);
  host.createQueue(2, 16, 0);
  assert.is(pin(host), 0, 'the admin queue has been drained');
  submit(host, 1, 2);
  submit(host, 2);
  assert.is(pin(host), 1);
  host.take(1);
  assert.is(pin(host), 1);
  host.take(1);
  assert.is(pin(host), 1, 'the other queue has an entry');
  host.take(2);
  assert.is(pin(host), 0);
});

test('a queue without interrupts never interrupts: a host may poll', async () => {
  const host = await NvmeHost.ready();
  submit(host, 1);
  assert.is(pin(host), 0);
  assert.is(host.take(1)?.status, 0);
});

test('INTMS and INTMC mask the pin; both read as the mask', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  host.createQueue(1, 16, 0);
  host.write(0x0c, 1);
  assert.equal([host.read(0x0c), host.read(0x10)], [1, 1]);
  submit(host, 1);
  assert.is(pin(host), 0);
  host.write(0x10, 1);
  assert.is(host.read(0x0c), 0);
  assert.is(pin(host), 1);
  host.write(0x0c, 0x80000001);
  assert.is(pin(host), 0);
  assert.is(host.read(0x10), 0x80000001);
});

test('MSI-X: a message for each completion, by the vector of its queue', async () => {
  const host = await NvmeHost.create();
  msixOn(host);
  host.enable();
  host.createQueue(1, 16, 32);
  host.createQueue(2, 16, 5);
  messages(host);
  submit(host, 1);
  submit(host, 2);
  assert.equal(messages(host), [0x60, 0x45]);
  assert.is(pin(host), 0);
  host.admin(0x06, [1]);
  assert.equal(messages(host), [0x40]);
  assert.is(host.admin(0x05, [3 | 15 << 16, 3 | 33 << 16], { prp1: 0x300000 }).status, 0x108);
});

test('a message comes after the entry that it reports', async () => {
  const host = await NvmeHost.create();
  msixOn(host);
  host.enable();
  host.createQueue(1, 16, 1);
  messages(host);
  host.queue(1, { op: 0, nsid: 1 });
  host.ring(1);
  for (let i = 0; i < 20; i++) {
    host.engine.service(0, 1);
    if (host.engine.pollMessage()) return assert.ok(host.peek(1));
  }
  assert.unreachable('no message');
});

test('a vector that the MSI-X table masks is pending, and goes when it is free', async () => {
  const host = await NvmeHost.create();
  msixOn(host);
  host.enable();
  host.createQueue(1, 16, 3);
  messages(host);
  host.write(0x2000 + 16 * 3 + 12, 1);
  submit(host, 1);
  assert.equal(messages(host), []);
  assert.is(host.read(0x3000), 1 << 3);
  host.write(0x2000 + 16 * 3 + 12, 0);
  host.settle();
  assert.equal(messages(host), [0x43]);
  assert.is(host.read(0x3000), 0);
});

test('MSI: the vectors that software has given, and INTMS holds them', async () => {
  const host = await NvmeHost.create();
  msiOn(host, 2);
  host.enable();
  host.createQueue(1, 16, 3);
  assert.is(host.admin(0x05, [2 | 15 << 16, 3 | 4 << 16], { prp1: 0x300000 }).status, 0x108, 'four were given');
  messages(host);
  submit(host, 1);
  assert.equal(messages(host), [0x63]);
  host.write(0x0c, 8);
  submit(host, 1, 2);
  assert.equal(messages(host), []);
  host.write(0x10, 8);
  host.settle();
  assert.equal(messages(host), [0x63], 'merged into one');
});

test('coalescing by count and by time, for each vector, and never on the admin queue', async () => {
  const host = await NvmeHost.create();
  msixOn(host);
  host.enable();
  host.createQueue(1, 16, 1);
  host.createQueue(2, 16, 2);
  assert.is(host.admin(0x09, [8, 3 | 5 << 8]).status, 0);
  host.admin(0x09, [9, 2 | 1 << 16]);
  messages(host);
  submit(host, 1, 3);
  assert.equal(messages(host), []);
  submit(host, 1);
  assert.equal(messages(host), [0x41], 'four (three, counted from 0)');
  submit(host, 1);
  host.pass(499_999);
  assert.equal(messages(host), []);
  host.pass(1);
  assert.equal(messages(host), [0x41], 'five times 100 µs');
  submit(host, 2);
  assert.equal(messages(host), [0x42], 'this vector does not coalesce');
  host.admin(0x06, [1]);
  assert.equal(messages(host), [0x40]);
});

test('coalescing holds the pin too, and to drain a queue ends what waits', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  host.createQueue(1, 16, 0);
  host.admin(0x09, [8, 7 | 1 << 8]);
  submit(host, 1);
  assert.is(pin(host), 0);
  host.pass(100_000);
  assert.is(pin(host), 1);
  host.take(1);
  assert.is(pin(host), 0);
  submit(host, 1);
  host.take(1);
  host.pass(100_000);
  assert.is(pin(host), 0);
});

test('disabled, it interrupts no more', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  host.createQueue(1, 16, 0);
  submit(host, 1);
  assert.is(pin(host), 1);
  host.write(0x0c, 2);
  host.write(0x14, 0);
  assert.is(pin(host), 0);
  assert.is(host.read(0x0c), 0);
});

test.run();
