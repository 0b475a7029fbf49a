// Registers and the admin command set, with the specification's values (NVM Express Base Specification 1.4).
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ADMIN_CQ, ADMIN_ENTRIES, ADMIN_SQ, CC, CSTS, DATA, ENABLE, NvmeHost } from '../../helpers/nvme-host';

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes).replace(/\0+$/, '').trimEnd();
const word = (bytes: Uint8Array, off: number, width: 1 | 2 | 4 | 8): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (width === 1) return view.getUint8(off);
  if (width === 2) return view.getUint16(off, true);
  return width === 4 ? view.getUint32(off, true) : Number(view.getBigUint64(off, true));
};

test('config space, and the registers after reset', async () => {
  const host = await NvmeHost.create();
  const { exports } = host.engine;
  assert.is(exports.configRead(host.fn, 0, 4) >>> 0, 0x00101b36);
  assert.is(exports.configRead(host.fn, 8, 4) >>> 0, 0x01080202);
  assert.is(host.read(0), 0x0f0107ff);
  assert.is(host.read(4), 0x20);
  assert.is(host.read(8), 0x00010400);
  for (const off of [0x0c, 0x10, CC, CSTS, 0x24, 0x28, 0x2c, 0x30, 0x34]) assert.is(host.read(off), 0);
});

test('a register of eight bytes is read and written whole or as two dwords', async () => {
  const host = await NvmeHost.create();
  const { exports } = host.engine;
  assert.is(exports.registerRead(host.fn, 0, 0, 8) >>> 0, 0x0f0107ff);
  assert.is(exports.resultHigh() >>> 0, 0x20);
  exports.registerWrite(host.fn, 0, 0x28, 8, 0x12345fff, 0x9);
  assert.is(host.read(0x28), 0x12345000, 'a page');
  assert.is(host.read(0x2c), 9);
  host.write(0x34, 7);
  host.write(0x30, 0x5000);
  assert.is(exports.registerRead(host.fn, 0, 0x30, 8) >>> 0, 0x5000);
  assert.is(exports.resultHigh(), 7);
});

test('enable makes it ready at once; what it cannot do is a fatal status, and a reset ends that', async () => {
  for (const [aqa, asq, cc] of [
    [0, 0x10000, ENABLE], [0x1f0000, 0x10000, ENABLE], [0x1f001f, 0x10000, ENABLE | 1 << 7],
    [0x1f001f, 0x10000, ENABLE | 1 << 4], [0x1f001f, 0x10000, ENABLE | 1 << 11],
  ] as const) {
    const host = await NvmeHost.create();
    host.write(0x24, aqa);
    host.write(0x28, asq);
    host.write(0x30, ADMIN_CQ);
    host.write(CC, cc);
    assert.is(host.read(CSTS), 2);
    host.write(CC, 0);
    assert.is(host.read(CSTS), 0);
    host.enable();
  }
});

test('identify controller: what Linux, firmware and nvme-cli look at', async () => {
  const host = await NvmeHost.ready({ namespaces: [{ size: 1 << 20 }, { size: 1 << 19, blockSize: 4096 }] });
  assert.is(host.admin(0x06, [1]).status, 0);
  const id = host.bytes(DATA, 4096);
  assert.equal([word(id, 0, 2), word(id, 2, 2)], [0x1b36, 0x1af4]);
  assert.is(text(id.subarray(4, 24)), 'PCLS00000020');
  assert.is(text(id.subarray(24, 64)), 'Portcullis NVMe Controller');
  assert.is(text(id.subarray(64, 72)), '1.0');
  assert.is(word(id, 77, 1), 5, 'MDTS: 128 KiB');
  assert.is(word(id, 80, 4), 0x10400);
  assert.is(word(id, 111, 1), 1, 'an I/O controller');
  assert.is(word(id, 259, 1), 3, 'AERL');
  assert.is(word(id, 261, 1), 6);
  assert.equal([word(id, 512, 1), word(id, 513, 1)], [0x66, 0x44]);
  assert.is(word(id, 516, 4), 2, 'NN');
  assert.is(word(id, 520, 2), 0x9d, 'ONCS');
  assert.is(word(id, 525, 1), 7, 'VWC');
  assert.match(text(id.subarray(768, 1024)), /^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('identify namespace, active list, descriptors, and the I/O command set', async () => {
  const host = await NvmeHost.ready({ namespaces: [{ size: 1 << 20 }, { size: 1 << 19, blockSize: 4096, readOnly: true }] });
  assert.is(host.admin(0x06, [0], { nsid: 1 }).status, 0);
  const first = host.bytes(DATA, 4096);
  assert.equal([0, 8, 16].map((off) => word(first, off, 8)), [2048, 2048, 2048]);
  assert.equal([word(first, 25, 1), word(first, 26, 1), word(first, 128, 4)], [0, 0, 9 << 16]);
  host.admin(0x06, [0], { nsid: 2 });
  const second = host.bytes(DATA, 4096);
  assert.equal([word(second, 0, 8), word(second, 128, 4), word(second, 99, 1)], [128, 12 << 16, 1]);
  assert.not.equal([...first.subarray(104, 120)], [...second.subarray(104, 120)], 'NGUID');
  assert.ok(first.subarray(104, 120).some((byte) => byte !== 0));

  host.admin(0x06, [3], { nsid: 1 });
  const descriptors = host.bytes(DATA, 64);
  assert.equal([...descriptors.subarray(0, 4)], [1, 8, 0, 0]);
  assert.equal([...descriptors.subarray(12, 16)], [2, 16, 0, 0]);
  assert.equal([...descriptors.subarray(16, 32)], [...first.subarray(104, 120)]);
  assert.is(descriptors[32], 0);

  for (const [nsid, list] of [[0, [1, 2, 0]], [1, [2, 0, 0]], [2, [0, 0, 0]]] as const) {
    host.admin(0x06, [2], { nsid });
    assert.equal([0, 4, 8].map((off) => word(host.bytes(DATA, 12), off, 4)), list);
  }
  assert.is(host.admin(0x06, [6, 0]).status, 0);
  assert.ok(host.bytes(DATA, 4096).every((byte) => byte === 0));

  for (const nsid of [0, 3, 0xffffffff]) assert.is(host.admin(0x06, [0], { nsid }).status, 0x0b);
  assert.is(host.admin(0x06, [3], { nsid: 9 }).status, 0x0b);
  assert.is(host.admin(0x06, [2], { nsid: 0xfffffffe }).status, 0x0b);
  assert.is(host.admin(0x06, [6, 1 << 24]).status, 0x02);
  assert.is(host.admin(0x06, [0x1f]).status, 0x02);
});

test('two controllers differ in serial number, NQN and NGUID', async () => {
  const seen = await Promise.all(['A1', undefined].map(async (serial) => {
    const host = await NvmeHost.ready(serial === undefined ? {} : { serial });
    host.admin(0x06, [1]);
    const id = host.bytes(DATA, 4096);
    host.admin(0x06, [0], { nsid: 1 });
    return [text(id.subarray(4, 24)), text(id.subarray(768, 1024)), [...host.bytes(DATA + 104, 16)].join()];
  }));
  const [one, other] = seen as [string[], string[]];
  one.forEach((value, i) => assert.is.not(value, other[i]));
});

test('number of queues: what is asked for and there is, and only before there are any', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  assert.is(host.admin(0x09, [7, 0xffff]).status, 0x02);
  assert.is(host.admin(0x09, [7, 99 << 16 | 63]).result, 31 << 16 | 31);
  assert.is(host.admin(0x09, [7, 3 << 16 | 1]).result, 3 << 16 | 1);
  assert.is(host.admin(0x0a, [7]).result, 3 << 16 | 1);
  host.createQueue(1);
  assert.is(host.admin(0x09, [7, 0]).status, 0x0c);
});

test('queues: every malformed creation and deletion has its status', async () => {
  const host = await NvmeHost.ready();
  const cq = (id: number, size: number, dw11: number, prp1 = 0x300000): number => host.admin(0x05, [id | size << 16, dw11], { prp1 }).status;
  const sq = (id: number, size: number, dw11: number, prp1 = 0x300000): number => host.admin(0x01, [id | size << 16, dw11], { prp1 }).status;
  assert.is(cq(0, 15, 1), 0x101);
  assert.is(cq(33, 15, 1), 0x101);
  assert.is(cq(1, 15, 1), 0x101, 'there is one');
  assert.is(cq(2, 0, 1), 0x102);
  assert.is(cq(2, 2048, 1), 0x102);
  assert.is(cq(2, 15, 0), 0x02, 'not contiguous');
  assert.is(cq(2, 15, 1, 0x300010), 0x13);
  assert.is(cq(2, 15, 3 | 1 << 16), 0x108, 'by pin there is one vector');
  assert.is(sq(2, 15, 1 | 2 << 16), 0x100);
  assert.is(sq(2, 15, 1 | 0 << 16), 0x100);
  assert.is(sq(0, 15, 1 | 1 << 16), 0x101);
  assert.is(sq(1, 15, 1 | 1 << 16), 0x101);
  assert.is(sq(2, 0, 1 | 1 << 16), 0x102);
  assert.is(sq(2, 15, 0 | 1 << 16), 0x02);
  assert.is(sq(2, 15, 1 | 1 << 16, 0x300800), 0x13);
  assert.is(sq(2, 15, 1 | 1 << 16), 0, 'two may complete to one');
  assert.is(host.admin(0x04, [1]).status, 0x10c);
  assert.is(host.admin(0x04, [0]).status, 0x101);
  assert.is(host.admin(0x04, [7]).status, 0x101);
  assert.is(host.admin(0x00, [0]).status, 0x101);
  assert.is(host.admin(0x00, [7]).status, 0x101);
  for (const [op, id] of [[0x00, 1], [0x00, 2], [0x04, 1]] as const) assert.is(host.admin(op, [id]).status, 0);
  host.createQueue(1);
});

test('an unknown command, fused ones and SGLs, each by its status, and none is to be tried again', async () => {
  const host = await NvmeHost.ready();
  for (const [op, flags, status] of [[0x80, 0, 0x01], [0x11, 0, 0x01], [0x18, 0, 0x01], [0x06, 1, 0x02], [0x06, 0x40, 0x02]] as const) {
    const done = host.admin(op, [1], { flags });
    assert.is(done.status, status);
    assert.is(done.dnr, true);
  }
});

test('features: current, default, what can be done; each unknown one refused', async () => {
  const host = await NvmeHost.ready();
  assert.is(host.admin(0x09, [1, 0x05040302]).status, 0);
  assert.is(host.admin(0x0a, [1]).result, 0x05040302);
  assert.is(host.admin(0x0a, [1 | 1 << 8]).result, 7);
  assert.is(host.admin(0x0a, [1 | 3 << 8]).result, 4);
  assert.is(host.admin(0x0a, [6]).result, 1);
  host.admin(0x09, [6, 0]);
  assert.is(host.admin(0x0a, [6]).result, 0);
  assert.is(host.admin(0x0a, [4]).result, 343);
  host.admin(0x09, [4, 1 << 20 | 250]);
  assert.is(host.admin(0x0a, [4, 1 << 20]).result, 250);
  assert.is(host.admin(0x0a, [4]).result, 343);
  assert.is(host.admin(0x09, [9, 3 | 1 << 16]).status, 0);
  assert.is(host.admin(0x0a, [9, 3]).result, 3 | 1 << 16);
  assert.is(host.admin(0x0a, [9, 4]).result, 4);
  assert.is(host.admin(0x09, [9, 33]).status, 0x02);
  assert.is(host.admin(0x09, [2, 1]).status, 0x02, 'one power state');
  assert.is(host.admin(0x09, [4, 3 << 16]).status, 0x02);
  assert.is(host.admin(0x09, [0x0b | 1 << 31, 0]).status, 0x10d);
  assert.is(host.admin(0x09, [6, 1], { nsid: 1 }).status, 0x10f);
  assert.is(host.admin(0x09, [6, 1], { nsid: 9 }).status, 0x0b);
  for (const id of [0, 3, 0x0c, 0x80]) {
    assert.is(host.admin(0x09, [id]).status, 0x02);
    assert.is(host.admin(0x0a, [id]).status, 0x02);
  }
});

const logPage = (host: NvmeHost, log: number, dwords: number, offset = 0, more = 0): number =>
  host.admin(0x02, [log | more | (dwords - 1) << 16, 0, offset], { nsid: 0xffffffff }).status;

test('SMART counts, and tells of a temperature beyond its threshold', async () => {
  const host = await NvmeHost.ready();
  for (let i = 0; i < 3; i++) host.io(0x02, 0, 8);
  host.io(0x01, 0, 8);
  assert.is(logPage(host, 2, 128), 0);
  const log = host.bytes(DATA, 512);
  assert.equal([word(log, 0, 1), word(log, 1, 2), word(log, 3, 1)], [0, 310, 100]);
  assert.equal([32, 48, 64, 80, 112, 176].map((off) => word(log, off, 8)), [1, 1, 3, 1, 1, 0]);
  host.admin(0x09, [4, 300]);
  logPage(host, 2, 128);
  assert.is(word(host.bytes(DATA, 1), 0, 1), 2);
  assert.is(host.admin(0x02, [2 | 127 << 16], { nsid: 1 }).status, 0x02);
});

test('the error log has the newest first, and what was wrong with which command', async () => {
  const host = await NvmeHost.ready();
  for (let i = 0; i < 20; i++) host.io(0x02, 0x900 + i, 1, { cid: 100 + i });
  assert.is(logPage(host, 1, 256), 0);
  const log = host.bytes(DATA, 1024);
  for (const [entry, count] of [[0, 20], [1, 19], [15, 5]] as const) {
    const at = entry * 64;
    assert.equal([word(log, at, 8), word(log, at + 8, 2), word(log, at + 10, 2)], [count, 1, 99 + count]);
    assert.is(word(log, at + 12, 2) >>> 1 & 0x7ff, 0x80);
    assert.equal([word(log, at + 16, 8), word(log, at + 24, 4)], [0x8ff + count, 1]);
  }
});

test('firmware slot and effects log; offsets; logs that there are not', async () => {
  const host = await NvmeHost.ready();
  assert.is(logPage(host, 3, 128), 0);
  assert.is(host.bytes(DATA, 1)[0], 1);
  assert.is(text(host.bytes(DATA + 8, 8)), '1.0');
  assert.is(logPage(host, 5, 1024), 0);
  const effects = host.bytes(DATA, 4096);
  assert.equal([0, 1, 2, 4, 5, 6, 8, 9, 10, 12].map((op) => word(effects, 4 * op, 4)), new Array(10).fill(1));
  assert.equal([0, 1, 2, 4, 5, 8, 9, 12].map((op) => word(effects, 1024 + 4 * op, 4)), [1, 3, 1, 0, 1, 3, 3, 1]);
  assert.is(logPage(host, 5, 2, 1024), 0);
  assert.equal([word(host.bytes(DATA, 8), 0, 4), word(host.bytes(DATA, 8), 4, 4)], [1, 3]);
  assert.is(logPage(host, 5, 2, 1026), 0x02);
  assert.is(logPage(host, 5, 1, 4096), 0x02);
  for (const log of [0, 4, 6, 0x70, 0xc0]) assert.is(logPage(host, log, 4), 0x109);
  assert.is(host.admin(0x02, [5 | 0xffff << 16, 0]).status, 0x02, 'more than MDTS');
});

test('event requests are held up to the limit, and one more is refused', async () => {
  const host = await NvmeHost.ready();
  for (let i = 0; i < 4; i++) host.queue(0, { op: 0x0c, cid: 500 + i });
  host.queue(0, { op: 0x0c, cid: 504 });
  host.ring(0);
  host.settle();
  const done = host.take(0);
  assert.equal([done?.cid, done?.status], [504, 0x105]);
  assert.is(host.take(0), undefined);
});

test('a doorbell that is none, or a value that cannot be, is told once until the log is read', async () => {
  const host = await NvmeHost.ready();
  for (let i = 0; i < 3; i++) host.queue(0, { op: 0x0c, cid: 600 + i });
  host.ring(0);
  host.settle();
  host.write(0x1000 + 8 * 7, 1);
  host.settle();
  let event = host.take(0);
  assert.equal([event?.cid, event?.result], [600, 0x010000]);
  host.write(0x1008, 16);
  host.settle();
  assert.is(host.take(0), undefined, 'masked');
  logPage(host, 1, 16, 0, 1 << 15);
  assert.is(host.take(0), undefined, 'the event is to be retained');
  // the answer to the log page comes first, then the event
  assert.is(logPage(host, 1, 16), 0);
  event = host.take(0);
  assert.equal([event?.cid, event?.result], [601, 0x010100]);
  assert.is(host.io(0x00, 0, 1).status, 0, 'the queue still works');
});

test('doorbell values are checked in the write, and a bad one changes nothing', async () => {
  const host = await NvmeHost.ready();
  host.queue(0, { op: 0x0c, cid: 600 });
  host.ring(0);
  host.settle();
  // head of the completion queue beyond what was posted
  host.write(0x100c, 3);
  host.settle();
  assert.is(host.take(0)?.result, 0x010100);
  // fifteen commands are the most that a ring of sixteen holds
  for (let i = 0; i < 15; i++) host.queue(1, { op: 0x00, nsid: 1 });
  host.ring(1);
  host.write(0x1008, 1);
  host.settle();
  let taken = 0;
  while (host.take(1)) taken++;
  assert.is(taken, 15);
});

test('abort ends a held event request, and nothing else', async () => {
  const host = await NvmeHost.ready();
  host.queue(0, { op: 0x0c, cid: 700 });
  host.ring(0);
  host.settle();
  assert.is(host.admin(0x08, [0 | 701 << 16]).result, 1);
  const cid = host.queue(0, { op: 0x08, dw: [0 | 700 << 16] });
  host.ring(0);
  host.settle();
  const [first, second] = [host.take(0), host.take(0)];
  assert.equal([first?.cid, first?.status, second?.cid, second?.result], [700, 0x07, cid, 0]);
});

test('a temperature beyond the threshold is an event, when it is to be told', async () => {
  const host = await NvmeHost.ready();
  host.queue(0, { op: 0x0c, cid: 800 });
  host.ring(0);
  host.settle();
  host.admin(0x09, [4, 300]);
  assert.is(host.peek(0), undefined);
  assert.is(host.admin(0x09, [0x0b, 2]).status, 0);
  const event = host.take(0);
  assert.equal([event?.cid, event?.result], [800, 0x020101]);
});

test('the admin queue wraps: phase and submission head', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  for (let i = 0; i < 3 * ADMIN_ENTRIES; i++) {
    const done = host.admin(0x0a, [7]);
    assert.is(done.sqHead, (i + 1) % ADMIN_ENTRIES);
    assert.is(done.phase, Math.floor(i / ADMIN_ENTRIES) % 2 === 0 ? 1 : 0);
  }
});

test('a queue where nobody answers is a fatal status', async () => {
  const host = await NvmeHost.create();
  host.write(0x24, 0x1f001f);
  host.write(0x28, 0x7f000000);
  host.write(0x30, ADMIN_CQ);
  host.write(CC, ENABLE);
  host.write(0x1000, 1);
  host.settle();
  assert.is(host.read(CSTS), 3);
  host.write(CC, 0);
  assert.is(host.read(CSTS), 0);
  host.write(0x28, ADMIN_SQ);
  host.enable();
  assert.is(host.admin(0x06, [1]).status, 0);
});

test('shutdown is told when it is complete, and nothing is fetched after that', async () => {
  for (const notify of [1, 2]) {
    const host = await NvmeHost.ready();
    host.write(CC, ENABLE | notify << 14);
    assert.is(host.read(CSTS), 1 | 1 << 2);
    host.settle();
    assert.is(host.read(CSTS), 1 | 2 << 2);
    host.queue(0, { op: 0x06, dw: [1] });
    host.ring(0);
    host.settle();
    assert.is(host.peek(0), undefined);
    host.write(CC, 0);
    assert.is(host.read(CSTS), 0);
    host.enable();
    assert.is(host.admin(0x06, [1]).status, 0);
  }
});

test('a reset of the function gives the registers back, and the disk keeps its bytes', async () => {
  const host = await NvmeHost.ready();
  host.put(DATA, new Uint8Array(512).fill(0x5a));
  host.io(0x01, 3, 1);
  host.engine.exports.functionReset(host.fn);
  for (const off of [CC, CSTS, 0x24, 0x28, 0x30]) assert.is(host.read(off), 0);
  host.engine.exports.configWrite(host.fn, 4, 2, 6);
  host.enable();
  host.createQueue(1);
  host.put(DATA, new Uint8Array(512));
  host.io(0x02, 3, 1);
  assert.ok(host.bytes(DATA, 512).every((byte) => byte === 0x5a));
});

test.run();
