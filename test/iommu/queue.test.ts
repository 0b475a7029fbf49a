import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BareMachine, FECTL, FSTS, GSTS, ICS, IECTL, IEDATA, IQH, IQT, OK, QIE, QUEUE, R, STATUS_FRAME, W,
  iotlbGlobal, iotlbPages, wait, waitInterrupt,
} from '../helpers/bare-machine';

const STATUS = BigInt(STATUS_FRAME) << 12n;
const RW = R | W;

async function started(): Promise<{ m: BareMachine; root: number }> {
  const m = await BareMachine.create();
  m.start();
  m.startQueue();
  const root = m.newTable();
  m.tables(root, 5);
  m.setQword(STATUS_FRAME, 0, 0n);
  return { m, root };
}

const refused = suite('invalidation queue: what stops it');

const BAD: ReadonlyArray<readonly [string, bigint, bigint]> = [
  ['type 0', 0x0n, 0n], ['device IOTLB on a unit without', 0x0000031000000003n, 0x12343001n], ['PASID cache', 0x7n, 0n],
  ['type 15', 0xfn, 0n], ['context granularity 0', 0x1n, 0n], ['IOTLB granularity 0', 0x2n, 0n],
  ['IOTLB reserved low bits', 0xd2n | 1n << 8n, 0n], ['IOTLB reserved high bits', 0xd2n | 1n << 32n, 0n],
  ['IOTLB reserved address bits', 0x500f2n, 0x12345080n], ['AM above MAMV', 0x500f2n, 19n],
  ['context reserved bits', 0x11n | 1n << 6n, 0n], ['context high qword', 0x11n, 1n],
  ['interrupt cache reserved bits', 0x4n | 1n << 5n, 0n], ['wait reserved bits', 0x25n | 1n << 8n, STATUS],
  ['wait address not aligned', 0x25n, STATUS | 2n], ['wait address no memory', 0x25n, 0x90000000n],
];

refused('each bad descriptor sets IQE, keeps the head, and goes on when mended and cleared', async () => {
  for (const [name, lo, hi] of BAD) {
    const { m } = await started();
    m.submit(iotlbGlobal(), [lo, hi], wait(77, STATUS));
    assert.is(m.read(FSTS), 0x10, name);
    assert.is(m.read(IQH), 0x10, name);
    assert.is(m.qword(STATUS_FRAME, 0), 0n, name);
    // a further tail write changes nothing
    m.submit(wait(78, STATUS));
    assert.is(m.read(IQH), 0x10, name);
    // cleared without being mended: it stops there again
    m.write(FSTS, 0x10);
    assert.is(m.read(FSTS), 0x10, name);
    m.setQword(QUEUE, 0x10, iotlbGlobal()[0]);
    m.setQword(QUEUE, 0x18, 0n);
    m.write(FSTS, 0x10);
    assert.is(m.read(FSTS), 0, name);
    assert.is(m.read(IQH), 0x40, name);
    assert.is(m.qword(STATUS_FRAME, 0), 78n, name);
  }
});

refused('a queue that is no memory stops at once; nothing happens while it is off', async () => {
  const m = await BareMachine.create();
  m.start();
  m.write64(0x90, 0x90000000n);
  m.write(IQT, 0x10);
  assert.equal([m.read(IQH), m.read(FSTS)], [0, 0]);
  m.write(IQT, 0);
  m.command(QIE);
  m.write(IQT, 0x10);
  assert.equal([m.read(IQH), m.read(FSTS)], [0, 0x10]);
  assert.is(m.read(FECTL), 0xc0000000);
});

refused('a tail write with nothing new counts no submission', async () => {
  const { m } = await started();
  m.submit(iotlbGlobal());
  m.counted();
  m.write(IQT, 0x10);
  m.write(FSTS, 0xff);
  const counted = m.counted();
  assert.equal([counted.invalidations, counted.invalidationSubmissions], [0, 0]);
});

refused.run();

const queue = suite('invalidation queue: descriptors');

// low and high qword as published
const VECTORS: ReadonlyArray<readonly [string, bigint, bigint, string]> = [
  ['PSI, DID 5, one page, drains', 0x00000000000500f2n, 0x0000000012345000n, 'invalidatePage'],
  ['PSI, 8 pages with IH', 0x00000000000500f2n, 0x0000000012340043n, 'invalidatePage'],
  ['DSI DID 5', 0x00000000000500e2n, 0n, 'invalidateDomain'],
  ['global', 0x00000000000000d2n, 0n, 'invalidateGlobal'],
  ['context of device 0310, DID 5', 0x0000031000050031n, 0n, 'invalidateContext'],
  ['context of domain 5', 0x0000000000050021n, 0n, 'invalidateContext'],
  ['context global', 0x11n, 0n, 'invalidateContext'],
  ['interrupt entries global', 0x4n, 0n, 'invalidateInterrupt'],
  ['interrupt entries from 0x20, four', 0x0000002010000014n, 0n, 'invalidateInterrupt'],
  ['wait SW and FN', 0x0000000100000065n, 0x00000000000ff000n, 'waits'],
  ['wait, interrupt only', 0x15n, 0n, 'waits'],
];

queue('the published ones are taken, each counted once as what it is', async () => {
  for (const [name, lo, hi, counter] of VECTORS) {
    const { m } = await started();
    m.counted();
    m.submit([lo, hi]);
    const counted = m.counted() as unknown as Record<string, number>;
    assert.equal([m.read(FSTS), m.read(IQH)], [0, 0x10], name);
    assert.equal([counted[counter], counted['invalidations'], counted['invalidationSubmissions']], [1, 1, 1], name);
  }
});

queue('the published page invalidations drop the pages that they name', async () => {
  const { m, root } = await started();
  const pages = [0x12340000n, 0x12345000n, 0x12347000n, 0x12348000n];
  for (const iova of pages) m.map(root, iova, 0x10000n | RW);
  const hits = (): boolean[] => pages.map((iova) => {
    m.counted();
    assert.is(m.dmaRead(iova, 4).status, OK);
    return m.counted().iotlbHits === 1;
  });
  hits();
  m.submit([0x500f2n, 0x12345000n]);
  assert.equal(hits(), [true, false, true, true]);
  m.submit([0x500f2n, 0x12340043n]);
  assert.equal(hits(), [false, false, false, true]);
});

queue('a wait writes four bytes, after all that came before it', async () => {
  const { m, root } = await started();
  m.fill(STATUS_FRAME, 0xee);
  m.map(root, 0x1000n, 0x10000n | RW);
  m.dmaRead(0x1000n, 4);
  m.map(root, 0x1000n, 0n);
  m.engine.takeDirtyFrames();
  m.submit(iotlbPages(5, 0x1000n), wait(0x11223344, STATUS | 0x7f4n));
  assert.is(m.qword(STATUS_FRAME, 0x7f0), 0x11223344eeeeeeeen);
  assert.is(m.qword(STATUS_FRAME, 0x7f8), 0xeeeeeeeeeeeeeeeen);
  assert.equal(m.engine.takeDirtyFrames(), [STATUS_FRAME]);
  assert.is(m.dmaRead(0x1000n, 4).status, 3);
  // what stops the queue stops the wait behind it
  m.submit([0xfn, 0n], wait(1, STATUS | 0x7f4n));
  assert.is(m.qword(STATUS_FRAME, 0x7f0), 0x11223344eeeeeeeen);
});

queue('goes round its end, also with two pages', async () => {
  for (const size of [0, 1]) {
    const { m } = await started();
    m.command(0, QIE);
    assert.is(m.read(GSTS) & QIE, 0);
    m.startQueue(size);
    const entries = 256 << size;
    for (let i = 1; i <= 3 * entries; i++) {
      m.submit(wait(i, STATUS));
      assert.is(m.qword(STATUS_FRAME, 0), BigInt(i));
      assert.is(m.read(IQH), (i % entries) * 16);
    }
  }
});

queue('a long batch is taken up to a limit at once, the rest by service, within its budget', async () => {
  const { m } = await started();
  m.command(0, QIE);
  m.startQueue(3);
  m.enqueue(...Array.from({ length: 1000 }, () => iotlbGlobal()), wait(5, STATUS));
  m.ring();
  const head = m.read(IQH) / 16;
  assert.ok(head > 0 && head < 1000, String(head));
  assert.is(m.service(0, 100), 1);
  assert.is(m.read(IQH) / 16, head + 100);
  assert.is(m.qword(STATUS_FRAME, 0), 0n);
  while (m.service(0, 100) === 1) { /* more */ }
  assert.is(m.read(IQH) / 16, 1001);
  assert.is(m.qword(STATUS_FRAME, 0), 5n);
});

queue('is empty when it is turned on: the head is 0', async () => {
  const { m } = await started();
  m.submit(iotlbGlobal(), iotlbGlobal());
  m.command(0, QIE);
  m.write(IQT, 0);
  m.command(QIE);
  assert.equal([m.read(IQH), m.read(IQT)], [0, 0]);
});

queue.run();

const completion = suite('the completion event');

completion('sets IWC, and is masked after reset', async () => {
  const { m } = await started();
  assert.is(m.read(IECTL), 0x80000000);
  m.submit(waitInterrupt());
  assert.equal([m.read(ICS), m.read(IECTL)], [1, 0xc0000000]);
  m.service();
  assert.is(m.engine.pollMessage(), undefined);
  m.write(ICS, 1);
  assert.equal([m.read(ICS), m.read(IECTL)], [0, 0x80000000], 'served');
});

completion('is sent once until software has cleared IWC', async () => {
  const { m } = await started();
  m.write(IEDATA, 0x42);
  m.write(IECTL, 0);
  m.submit(waitInterrupt());
  m.service();
  assert.is(m.engine.pollMessage()?.vector, 0x42);
  m.submit(waitInterrupt());
  m.service();
  assert.is(m.engine.pollMessage(), undefined);
  m.write(ICS, 1);
  m.submit(waitInterrupt());
  m.service();
  assert.is(m.engine.pollMessage()?.vector, 0x42);
});

completion('that was masked is sent when the mask goes', async () => {
  const { m } = await started();
  m.submit(waitInterrupt());
  m.write(IECTL, 0);
  m.service();
  assert.is(m.engine.pollMessage()?.vector, 0);
  assert.is(m.read(IECTL), 0);
});

completion.run();
