// The NVM command set, data by PRP entries, queues, reset in the midst of work, back ends.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DiskBackend, DiskRequest } from '../../../src/devices/nvme/disks';
import { CC, CSTS, DATA, ENABLE, NvmeHost } from '../../helpers/nvme-host';

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 0x9e3779b1) >>> 24) ^ (i >> 9));
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

test('what was written is read, wherever in a page it begins', async () => {
  const host = await NvmeHost.ready();
  for (const [offset, blocks] of [[0, 1], [0x200, 1], [0xe00, 1], [0xffc, 1], [4, 8], [0, 8], [0x800, 8]] as const) {
    const data = pattern(blocks * 512, offset + blocks);
    host.put(DATA + offset, data);
    const where = { prp1: DATA + offset, prp2: DATA + 0x1000 };
    assert.is(host.io(0x01, 17, blocks, where).status, 0);
    host.put(DATA, new Uint8Array(0x2000));
    assert.is(host.io(0x02, 17, blocks, where).status, 0);
    assert.ok(same(host.bytes(DATA + offset, data.length), data), `${offset}, ${blocks}`);
    assert.ok(host.bytes(DATA, offset).every((byte) => byte === 0), 'nothing before it');
    assert.ok(host.bytes(DATA + offset + data.length, 64).every((byte) => byte === 0), 'nor behind');
  }
});

/** Pages of a transfer, scattered, and the list that names them, from `at` on; with `chain` it goes on there. */
function list(host: NvmeHost, pages: number, at: number, chain?: number): number[] {
  const view = host.view();
  const places = Array.from({ length: pages }, (_, i) => 0x100000 + ((i * 7) % pages) * 0x2000);
  let slot = at;
  places.slice(1).forEach((place, i) => {
    const left = pages - 1 - i;
    if (chain !== undefined && (slot & 0xfff) === 0xff8 && left > 1) {
      view.setBigUint64(slot, BigInt(chain), true);
      slot = chain;
    }
    view.setBigUint64(slot, BigInt(place), true);
    slot += 8;
  });
  return places;
}

test('a list of PRP entries, from the middle of a page, and chained: 128 KiB go and come', async () => {
  for (const [at, chain] of [[0x50000, undefined], [0x50f00, undefined], [0x50fc8, 0x52000], [0x50ff8, 0x53000]] as const) {
    const host = await NvmeHost.ready();
    const places = list(host, 32, at, chain ?? 0);
    const data = pattern(131072, at);
    places.forEach((place, i) => host.put(place, data.subarray(i * 4096, (i + 1) * 4096)));
    const where = { prp1: places[0] as number, prp2: at };
    assert.is(host.io(0x01, 100, 256, where).status, 0);
    for (const place of places) host.put(place, new Uint8Array(4096));
    assert.is(host.io(0x02, 100, 256, where).status, 0);
    places.forEach((place, i) => assert.ok(same(host.bytes(place, 4096), data.subarray(i * 4096, (i + 1) * 4096)), `page ${i} of a list at ${at.toString(16)}`));
  }
});

test('more than MDTS, blocks beyond the end, unknown namespaces, PRP offsets, memory that is not there', async () => {
  const host = await NvmeHost.ready();
  assert.is(host.io(0x02, 0, 257).status, 0x02);
  assert.is(host.io(0x02, 2047, 1).status, 0);
  assert.is(host.io(0x02, 2047, 2).status, 0x80);
  assert.is(host.io(0x02, 2048, 1).status, 0x80);
  assert.is(host.run(1, { op: 2, nsid: 1, dw: [0xffffffff, 0xffffffff, 1] }).status, 0x80, 'no overflow');
  for (const nsid of [0, 2, 0xffffffff]) assert.is(host.io(0x02, 0, 1, { nsid }).status, 0x0b);
  assert.is(host.io(0x02, 0, 1, { prp1: DATA + 1 }).status, 0x13);
  assert.is(host.io(0x02, 0, 16, { prp2: DATA + 0x1004 }).status, 0x13);
  assert.is(host.io(0x02, 0, 32, { prp2: 0x50004 }).status, 0x13);
  const view = host.view();
  view.setBigUint64(0x50000, BigInt(DATA + 0x2000), true);
  view.setBigUint64(0x50008, BigInt(DATA + 0x3010), true);
  assert.is(host.io(0x02, 0, 24, { prp2: 0x50000 }).status, 0x13, 'an entry of the list with an offset');
  view.setBigUint64(0x50ff8, 0x51008n, true);
  assert.is(host.io(0x02, 0, 24, { prp2: 0x50ff8 }).status, 0x13, 'a list that goes on within a page');
  const lost = host.io(0x02, 0, 1, { prp1: 0x7f000000 });
  assert.equal([lost.status, lost.dnr], [0x04, false]);
  assert.is(host.io(0x01, 0, 24, { prp2: 0x7f000000 }).status, 0x04);
  for (const op of [0x03, 0x04, 0x0d, 0x80]) assert.is(host.io(op, 0, 1).status, 0x01);
  assert.is(host.io(0x02, 0, 1, { flags: 1 }).status, 0x02);
  assert.is(host.io(0x02, 0, 1, { flags: 0x80 }).status, 0x02);
});

test('compare, verify, write zeroes', async () => {
  const host = await NvmeHost.ready();
  const data = pattern(4096, 3);
  host.put(DATA, data);
  host.io(0x01, 8, 8);
  assert.is(host.io(0x05, 8, 8).status, 0);
  host.put(DATA + 4095, new Uint8Array([0]));
  const differs = host.io(0x05, 8, 8);
  assert.equal([differs.status, differs.dnr], [0x285, true]);
  assert.is(host.io(0x0c, 0, 2048).status, 0, 'verify has no limit');
  assert.is(host.io(0x0c, 0, 2049).status, 0x80);
  assert.is(host.io(0x08, 10, 2).status, 0);
  host.io(0x02, 8, 8);
  const expected = data.slice();
  expected.fill(0, 1024, 2048);
  assert.ok(same(host.bytes(DATA, 4096), expected));
  assert.is(host.io(0x08, 2047, 2).status, 0x80);
});

test('dataset management: ranges that are deallocated read 0; a bad one changes nothing', async () => {
  const host = await NvmeHost.ready();
  const disk = pattern(16 * 512, 5);
  host.put(DATA, disk);
  host.io(0x01, 0, 16, { prp2: DATA + 0x1000 });
  const ranges = (...rows: Array<[nlb: number, slba: number]>): void => {
    const view = host.view();
    rows.forEach(([nlb, slba], i) => {
      view.setUint32(DATA + 16 * i, 0, true);
      view.setUint32(DATA + 16 * i + 4, nlb, true);
      view.setBigUint64(DATA + 16 * i + 8, BigInt(slba), true);
    });
  };
  const dataset = (rows: number, attributes: number): number => host.run(1, { op: 9, nsid: 1, dw: [rows - 1, attributes] }).status;
  const contents = (): Uint8Array => {
    host.io(0x02, 0, 16, { prp2: DATA + 0x1000 });
    return host.bytes(DATA, 8192);
  };
  ranges([2, 1], [1, 2048]);
  assert.is(dataset(2, 4), 0x80);
  assert.ok(same(contents(), disk));
  ranges([2, 1], [0, 5], [3, 10]);
  assert.is(dataset(3, 1), 0, 'only a hint');
  assert.ok(same(contents(), disk));
  ranges([2, 1], [0, 5], [3, 10]);
  assert.is(dataset(3, 4), 0);
  const expected = disk.slice();
  expected.fill(0, 512, 1536);
  expected.fill(0, 5120, 6656);
  assert.ok(same(contents(), expected));
});

test('several namespaces are apart; one that is read-only takes no write', async () => {
  const host = await NvmeHost.ready({ namespaces: [{ size: 1 << 20 }, { size: 1 << 20, blockSize: 4096 }, { size: 65536, readOnly: true }] });
  host.put(DATA, pattern(4096, 1));
  assert.is(host.io(0x01, 1, 1, { nsid: 2 }).status, 0);
  host.io(0x02, 8, 8, { nsid: 1 });
  assert.ok(host.bytes(DATA, 4096).every((byte) => byte === 0));
  host.io(0x02, 1, 1, { nsid: 2 });
  assert.ok(same(host.bytes(DATA, 4096), pattern(4096, 1)));
  assert.is(host.io(0x02, 256, 1, { nsid: 2 }).status, 0x80);
  for (const op of [0x01, 0x08, 0x09]) assert.is(host.io(op, 0, 1, { nsid: 3 }).status, 0x20);
  assert.is(host.io(0x02, 0, 1, { nsid: 3 }).status, 0);
  assert.is(host.io(0x00, 0, 1, { nsid: 0xffffffff }).status, 0);
});

test('a full completion queue is never overwritten, and goes on with the head doorbell; others do not wait', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  host.createQueue(1, 4);
  host.createQueue(2, 4);
  // two submission queues complete to queue 1, so that it can be full
  assert.is(host.admin(0x01, [3 | 15 << 16, 1 | 1 << 16], { prp1: 0x280000 }).status, 0);
  const view = host.view();
  for (let i = 0; i < 8; i++) {
    for (let off = 0; off < 64; off += 4) view.setUint32(0x280000 + 64 * i + off, 0, true);
    view.setUint32(0x280000 + 64 * i + 2, 900 + i, true);
    view.setUint32(0x280000 + 64 * i + 4, 1, true);
  }
  host.write(0x1018, 8);
  host.settle();
  const cids: number[] = [];
  for (let round = 0; round < 3; round++) {
    const queue = host.queues.get(1) as { cq: number };
    const before = host.bytes(queue.cq, 64);
    host.settle();
    assert.ok(same(host.bytes(queue.cq, 64), before), 'it stands still');
    assert.is(host.run(2, { op: 0, nsid: 1 }).status, 0, 'another queue does not');
    for (let done = host.take(1, false); done; done = host.take(1, false)) cids.push(done.cid);
    host.write(0x100c, (host.queues.get(1) as { head: number }).head);
    host.settle();
  }
  assert.equal(cids, [900, 901, 902, 903, 904, 905, 906, 907]);
});

test('thirty-two queue pairs work at once, in turn', async () => {
  const host = await NvmeHost.ready({}, undefined, 0);
  for (let id = 1; id <= 32; id++) host.createQueue(id, 4);
  for (let id = 1; id <= 32; id++) {
    host.put(0x100000 + id * 4096, pattern(4096, id));
    for (let i = 0; i < 2; i++) host.queue(id, { op: 1, nsid: 1, prp1: 0x100000 + id * 4096, dw: [id * 16 + i * 8, 0, 7] });
  }
  for (let id = 1; id <= 32; id++) host.ring(id);
  host.settle();
  for (let id = 1; id <= 32; id++) {
    for (const sqHead of [1, 2]) {
      const done = host.take(id);
      assert.equal([done?.status, done?.sqId, done?.sqHead], [0, id, sqHead]);
    }
  }
  for (let id = 1; id <= 32; id++) {
    host.run(33 - id, { op: 2, nsid: 1, dw: [id * 16 + 8, 0, 7] });
    assert.ok(same(host.bytes(DATA, 4096), pattern(4096, id)));
  }
});

/** A back end that keeps what it is asked for until told to do it. */
class Slow implements DiskBackend {
  readonly disk = new Uint8Array(1 << 20);
  readonly asked: DiskRequest[] = [];
  #complete: ((done: boolean) => void) | undefined;
  fails = false;

  constructor(private readonly atOnce = false) {}

  submit(request: DiskRequest, complete: (done: boolean) => void): void {
    this.asked.push(request);
    this.#complete = complete;
    if (this.atOnce) this.answer();
  }

  answer(): void {
    const request = this.asked.at(-1) as DiskRequest;
    if (!this.fails) {
      if (request.op === 'read') request.bytes.set(this.disk.subarray(request.offset, request.offset + request.bytes.length));
      if (request.op === 'write') this.disk.set(request.bytes, request.offset);
      if (request.op === 'zero') this.disk.fill(0, request.offset, request.offset + request.length);
    }
    this.#complete?.(!this.fails);
  }
}

const HOSTED = { namespaces: [{ size: 1 << 20, host: true }] };

test('a back end that answers later: the command waits, and then goes on', async () => {
  const slow = new Slow();
  const host = await NvmeHost.ready(HOSTED, new Map([[1, slow]]));
  slow.disk.set(pattern(512, 9), 1024);
  const cid = host.queue(1, { op: 2, nsid: 1, dw: [2, 0, 0] });
  host.ring(1);
  host.settle();
  assert.is(host.take(1), undefined);
  assert.is(host.engine.service(host.now, 1000), 2, 'it waits');
  assert.is(slow.asked.length, 1, 'it is asked once');
  slow.answer();
  host.settle();
  assert.is(host.take(1)?.cid, cid);
  assert.ok(same(host.bytes(DATA, 512), pattern(512, 9)));
});

test('a back end that fails or throws is a medium error, by direction', async () => {
  const slow = new Slow(true);
  const host = await NvmeHost.ready(HOSTED, new Map([[1, slow]]));
  slow.fails = true;
  const read = host.io(0x02, 0, 1);
  assert.equal([read.status, read.dnr], [0x281, false]);
  for (const op of [0x01, 0x00, 0x08]) assert.is(host.io(op, 0, 1).status, 0x280);
  slow.submit = () => { throw new Error('gone'); };
  assert.is(host.io(0x02, 0, 1).status, 0x281);
});

test('flush reaches the back end; so does a write with FUA, or any without a write cache, before it is complete', async () => {
  const slow = new Slow(true);
  const host = await NvmeHost.ready(HOSTED, new Map([[1, slow]]));
  const asked = (act: () => void): string => {
    slow.asked.length = 0;
    act();
    return slow.asked.map(({ op }) => op).join(' ');
  };
  assert.is(asked(() => host.io(0x00, 0, 1)), 'flush');
  assert.is(asked(() => host.io(0x01, 0, 1)), 'write');
  assert.is(asked(() => host.run(1, { op: 1, nsid: 1, dw: [0, 0, 0x40000000] })), 'write flush');
  host.admin(0x09, [6, 0]);
  assert.is(asked(() => host.io(0x01, 0, 1)), 'write flush');
  assert.is(asked(() => host.io(0x08, 0, 1)), 'zero flush');
  assert.is(asked(() => {
    host.write(CC, ENABLE | 1 << 14);
    host.settle();
  }), 'flush');
  assert.is(host.read(CSTS) & 0xc, 8);
});

test('disabled in the midst of a write, it stays ready until the back end has answered', async () => {
  const slow = new Slow();
  const host = await NvmeHost.ready(HOSTED, new Map([[1, slow]]));
  host.put(DATA, pattern(512, 2));
  host.queue(1, { op: 1, nsid: 1, dw: [0, 0, 0] });
  host.ring(1);
  host.settle();
  host.write(CC, 0);
  host.settle();
  assert.is(host.read(CSTS), 1);
  slow.answer();
  host.settle();
  assert.is(host.read(CSTS), 0);
  assert.ok(same(slow.disk.subarray(0, 512), pattern(512, 2)));
  assert.is(host.peek(1), undefined, 'nothing of it is told');
  host.enable();
  assert.is(host.admin(0x06, [1]).status, 0);
});

test('disabled with work of its own under way, nothing more of that happens', async () => {
  const host = await NvmeHost.ready();
  host.queue(1, { op: 2, nsid: 1, dw: [0, 0, 255], prp2: 0x50000 });
  host.ring(1);
  host.engine.service(0, 3);
  host.write(CC, 0);
  assert.is(host.read(CSTS), 0);
  const before = host.bytes(0, 0x300000);
  host.settle();
  assert.ok(same(host.bytes(0, 0x300000), before));
});

test('without Bus Master it waits, and goes on with it', async () => {
  const host = await NvmeHost.ready();
  host.engine.exports.configWrite(host.fn, 4, 2, 2);
  host.queue(1, { op: 0, nsid: 1 });
  host.ring(1);
  host.settle();
  assert.is(host.peek(1), undefined);
  host.engine.exports.configWrite(host.fn, 4, 2, 6);
  host.settle();
  assert.is(host.take(1)?.status, 0);
});

test('any budget gives the same memory', async () => {
  const run = async (budget: number): Promise<string> => {
    const slow = new Slow(true);
    const host = await NvmeHost.ready({ namespaces: [{ size: 1 << 20 }, { size: 1 << 20, host: true }] }, new Map([[2, slow]]), 0);
    for (const id of [1, 2, 3]) host.createQueue(id, 16);
    const places = list(host, 32, 0x50f00, 0x52000);
    places.forEach((place, i) => host.put(place, pattern(4096, i)));
    for (const id of [1, 2, 3]) {
      for (let i = 0; i < 6; i++) {
        host.queue(id, { op: i % 2 === 0 ? 1 : 2, nsid: 1 + id % 2, prp1: places[0] as number, prp2: 0x50f00, dw: [id * 300, 0, 255] });
      }
      host.ring(id);
    }
    for (let i = 0; i < 100_000 && host.engine.service(0, budget) === 1; i++) { /* the budget was spent */ }
    let taken = 0;
    for (const id of [1, 2, 3]) while (host.take(id)) taken++;
    assert.is(taken, 18);
    return Buffer.from(host.bytes(0, 0x300000)).toString('base64');
  };
  const unlimited = await run(0x7fffffff);
  for (const budget of [1, 7, 1000]) assert.is(await run(budget), unlimited);
});

test.run();
