import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { edu } from '../../src/devices/edu/index';
import {
  BareMachine, CCMD, FAULT, IOTLB, IVA, OK, R, SP, W, contextDevice, contextDomain, contextGlobal,
  iotlbDomain, iotlbGlobal, iotlbPages,
} from '../helpers/bare-machine';

const RW = R | W;
const page = (n: number): bigint => BigInt(n) << 12n;

/** Tables of four levels for domain id 7, `pages` pages mapped from iova 0 to frames from 16 on. */
async function mapped(pages: number, caches: Partial<Record<'entries' | 'ways' | 'pwc2m' | 'pwc1g' | 'pwc512g' | 'contexts', number>> = {}):
Promise<{ m: BareMachine; root: number }> {
  const m = await BareMachine.create({ caches });
  m.start();
  m.startQueue();
  const root = m.newTable();
  m.tables(root);
  for (let i = 0; i < pages; i++) m.map(root, page(i), page(16 + i) | RW);
  return { m, root };
}

/** Whether a DMA at this iova was a hit. */
function hit(m: BareMachine, iova: bigint, fn = m.fn): boolean {
  m.counted();
  assert.is(m.dmaRead(iova, 4, fn).status, OK);
  const counted = m.counted();
  assert.is(counted.translations, 1);
  assert.is(counted.iotlbHits + counted.iotlbMisses, 1);
  return counted.iotlbHits === 1;
}

function touch(m: BareMachine, ...pages: number[]): string {
  return pages.map((n) => (hit(m, page(n)) ? 'h' : 'm')).join('');
}

const iotlb = suite('IOTLB: geometry and replacement');

iotlb('holds as many pages as it has entries, and no more', async () => {
  for (const entries of [1, 2, 4, 64]) {
    const { m } = await mapped(80, { entries });
    const all = Array.from({ length: entries }, (_, i) => i);
    assert.is(touch(m, ...all), 'm'.repeat(entries));
    assert.is(touch(m, ...all), 'h'.repeat(entries), `${entries} entries`);
    assert.is(touch(m, entries), 'm');
    assert.is(touch(m, 0), 'm', 'the one used longest ago went');
  }
});

iotlb('replaces the entry used longest ago', async () => {
  const { m } = await mapped(16, { entries: 4 });
  assert.is(touch(m, 0, 1, 2, 3, 0, 4), 'mmmmhm');
  assert.is(touch(m, 1), 'm', '1 was the oldest, not 0');
  assert.is(touch(m, 0, 3, 4, 1), 'hhhh');
  assert.is(touch(m, 2), 'm');
  assert.is(touch(m, 0), 'm');
});

iotlb('a cyclic run over one page more than there are entries never hits', async () => {
  const { m } = await mapped(16, { entries: 8 });
  for (let round = 0; round < 4; round++) assert.is(touch(m, 0, 1, 2, 3, 4, 5, 6, 7, 8), 'mmmmmmmmm');
});

iotlb('pages fall into sets by their low bits', async () => {
  const { m } = await mapped(64, { entries: 8, ways: 2 });
  // four sets: pages 0, 4, 8 are of one, 1 of another
  assert.is(touch(m, 0, 4, 1, 0, 4), 'mmmhh');
  assert.is(touch(m, 8), 'm');
  assert.is(touch(m, 0), 'm');
  assert.is(touch(m, 8, 1), 'hh');
});

iotlb('agrees with a plain model of LRU on a long run', async () => {
  const { m } = await mapped(64, { entries: 16, ways: 4 });
  const sets: number[][] = [[], [], [], []];
  let x = 12345;
  for (let i = 0; i < 4000; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    const n = x % 40;
    const set = sets[n & 3] as number[];
    const at = set.indexOf(n);
    if (at >= 0) set.splice(at, 1);
    set.push(n);
    if (set.length > 4) set.shift();
    assert.is(hit(m, page(n)), at >= 0, `step ${i}`);
  }
});

iotlb('an entry that was invalidated is replaced before one that is alive', async () => {
  const { m } = await mapped(16, { entries: 4 });
  touch(m, 0, 1, 2, 3);
  m.submit(iotlbPages(7, page(3), 0, true));
  assert.is(touch(m, 4, 0, 1, 2), 'mhhh');
});

iotlb('a page of 2 MiB and one of 1 GiB take one entry each', async () => {
  const { m, root } = await mapped(1, { entries: 4 });
  m.map(root, 1n << 21n, RW | SP, 2);
  m.map(root, 1n << 30n, RW | SP, 3);
  assert.is(hit(m, 1n << 21n), false);
  assert.is(hit(m, (1n << 21n) + 0x123000n), true);
  assert.is(hit(m, 1n << 30n), false);
  assert.is(hit(m, (1n << 30n) + 0xabc000n), true);
  assert.is(touch(m, 0, 0), 'mh');
});

iotlb('two domain ids never share an entry; two requesters of one domain id do', async () => {
  const { m, root } = await mapped(4);
  const other = m.add(edu, 0x0318);
  const third = m.add(edu, 0x0320);
  m.tables(root, 8, 4, 0x0318);
  m.tables(root, 7, 4, 0x0320);
  assert.is(hit(m, page(1)), false);
  assert.is(hit(m, page(1), other.fn), false);
  assert.is(hit(m, page(1), third.fn), true);
  // the same iova in different tables goes to different frames
  const second = m.newTable();
  m.map(second, page(2), page(100) | RW);
  m.tables(second, 9, 4, 0x0318);
  m.submit(contextDevice(8, 0x0318));
  m.dmaWrite(page(2), [1]);
  m.dmaWrite(page(2), [2], other.fn);
  assert.equal([m.engine.frame(18)[0], m.engine.frame(100)[0]], [1, 2]);
});

iotlb.run();

const invalidation = suite('IOTLB: what an invalidation drops, and what it leaves');

function present(m: BareMachine, first: number, last: number): string {
  let text = '';
  for (let n = first; n <= last; n++) text += hit(m, page(n)) ? '#' : '.';
  return text;
}

function load(m: BareMachine, pages: number): void {
  for (let n = 0; n < pages; n++) m.dmaRead(page(n), 4);
}

invalidation('one page', async () => {
  const { m } = await mapped(8);
  load(m, 8);
  m.submit(iotlbPages(7, page(3)));
  assert.is(present(m, 0, 7), '###.####');
});

invalidation('2^AM pages, aligned to it, whatever the low bits of the address', async () => {
  for (const order of [1, 2, 3, 4, 5]) {
    const { m } = await mapped(48);
    load(m, 48);
    m.submit(iotlbPages(7, page(7), order));
    const first = 7 >> order << order;
    const expected = Array.from({ length: 48 }, (_, n) => (n >= first && n < first + (1 << order) ? '.' : '#')).join('');
    assert.is(present(m, 0, 47), expected, `AM ${order}`);
  }
});

invalidation('only of the domain id that is named', async () => {
  const { m } = await mapped(4);
  load(m, 4);
  m.submit(iotlbPages(8, page(1)), iotlbPages(6, page(1), 2), iotlbDomain(8));
  assert.is(present(m, 0, 3), '####');
  m.submit(iotlbDomain(7));
  assert.is(present(m, 0, 3), '....');
  m.submit(iotlbGlobal());
  assert.is(present(m, 0, 3), '....');
});

invalidation('a superpage goes by an invalidation of one 4 KiB page in it', async () => {
  for (const [bits, level] of [[21n, 2], [30n, 3]] as const) {
    for (const inside of [0n, 0x1000n, (1n << bits) - 4096n]) {
      for (const order of [0, 4]) {
        const { m, root } = await mapped(1);
        m.map(root, 1n << bits, RW | SP, level);
        assert.is(hit(m, 1n << bits), false);
        m.submit(iotlbPages(7, (1n << bits) - 4096n));
        assert.is(hit(m, 1n << bits), true);
        m.submit(iotlbPages(7, (1n << bits) + inside, order));
        assert.is(hit(m, 1n << bits), false, `2^${bits}, ${inside.toString(16)}, AM ${order}`);
      }
    }
  }
});

invalidation('an entry stays as it was cached until it is invalidated', async () => {
  const { m, root } = await mapped(4);
  load(m, 4);
  m.map(root, page(1), 0n);
  m.map(root, page(2), page(40) | R);
  assert.is(m.dmaWrite(page(1), [1]), OK);
  assert.is(m.dmaWrite(page(2), [1]), OK);
  m.submit(iotlbPages(7, page(0), 2));
  assert.is(m.dmaWrite(page(1), [1]), FAULT);
  assert.is(m.dmaWrite(page(2), [1]), FAULT);
  assert.is(m.dmaRead(page(2), 1).status, OK);
});

invalidation('not-present is not cached: a map needs no invalidation', async () => {
  const { m, root } = await mapped(1);
  assert.is(m.dmaRead(page(9), 4).status, FAULT);
  m.map(root, page(9), page(30) | RW);
  assert.is(m.dmaRead(page(9), 4).status, OK);
});

invalidation.run();

const upper = suite('paging-structure caches');

/** Table reads and misses of each level that one DMA makes. */
function cost(m: BareMachine, iova: bigint): number[] {
  m.counted();
  assert.is(m.dmaRead(iova, 4).status, OK);
  const counted = m.counted();
  return [counted.tableReads, counted.pwc2mMisses, counted.pwc1gMisses, counted.pwc512gMisses];
}

upper('a walk begins at the lowest level that is cached', async () => {
  const { m, root } = await mapped(4);
  for (const iova of [1n << 21n, 1n << 30n, 1n << 39n]) m.map(root, iova, page(60) | RW);
  assert.equal(cost(m, 0n), [4, 1, 1, 1]);
  assert.equal(cost(m, 0x1000n), [1, 0, 0, 0]);
  assert.equal(cost(m, 1n << 21n), [2, 1, 0, 0]);
  assert.equal(cost(m, 1n << 30n), [3, 1, 1, 0]);
  assert.equal(cost(m, 1n << 39n), [4, 1, 1, 1]);
  assert.equal(cost(m, 1n << 39n), [0, 0, 0, 0], 'an IOTLB hit reads nothing');
});

upper('tables of three levels have no 512 GiB level', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root, 7, 3);
  for (const iova of [0n, 1n << 30n]) m.map(root, iova, page(20) | RW, 1, 3);
  assert.equal(cost(m, 0n), [3, 1, 1, 0]);
  assert.equal(cost(m, 1n << 30n), [3, 1, 1, 0]);
});

upper('a superpage takes one read less for each level', async () => {
  const { m, root } = await mapped(1);
  m.map(root, 1n << 39n, RW | SP, 3);
  m.map(root, 1n << 40n, RW | SP, 2);
  assert.equal(cost(m, 1n << 39n), [2, 1, 1, 1]);
  assert.equal(cost(m, 1n << 40n), [3, 1, 1, 1]);
});

upper('IH keeps the upper levels; without it those of the path go', async () => {
  const { m, root } = await mapped(4);
  m.map(root, 1n << 21n, page(60) | RW);
  cost(m, 0n);
  cost(m, 1n << 21n);
  m.submit(iotlbPages(7, 0n, 0, true));
  assert.equal(cost(m, 0n), [1, 0, 0, 0]);
  m.submit(iotlbPages(7, 0n));
  // all levels of the path: also the shared ones
  assert.equal(cost(m, 0n), [4, 1, 1, 1]);
  m.submit(iotlbPages(7, 1n << 21n, 0, true));
  assert.equal(cost(m, 1n << 21n), [1, 0, 0, 0], 'another 2 MiB region keeps its own entry');
});

upper('an invalidation of many pages drops every entry on the way', async () => {
  const { m, root } = await mapped(1);
  const regions = [0n, 1n << 21n, 2n << 21n, 3n << 21n, 4n << 21n];
  for (const iova of regions) {
    m.map(root, iova, page(60) | RW);
    m.dmaRead(iova, 4);
  }
  m.submit(iotlbPages(7, 0n, 11));
  assert.equal(cost(m, 4n << 21n), [0, 0, 0, 0]);
  m.submit(iotlbPages(7, 4n << 21n, 0, true));
  // its own 2 MiB entry is there, those of the range are not
  assert.equal(cost(m, 4n << 21n), [1, 0, 0, 0]);
  for (const iova of regions.slice(0, 4)) assert.ok((cost(m, iova)[1] as number) === 1);
});

upper('domain and global invalidation drop all levels', async () => {
  for (const descriptor of [iotlbDomain(7), iotlbGlobal()]) {
    const { m } = await mapped(2);
    cost(m, 0n);
    m.submit(descriptor);
    assert.equal(cost(m, 0n), [4, 1, 1, 1]);
  }
});

upper('they have the sizes asked for', async () => {
  const { m, root } = await mapped(1, { pwc2m: 2, pwc1g: 1, pwc512g: 1 });
  for (const n of [0n, 1n, 2n]) m.map(root, n << 21n, page(60) | RW);
  for (const n of [0n, 1n, 2n]) m.dmaRead(n << 21n, 4);
  m.submit(...[0n, 1n, 2n].map((n) => iotlbPages(7, n << 21n, 0, true)));
  assert.equal(cost(m, 2n << 21n), [1, 0, 0, 0]);
  assert.equal(cost(m, 1n << 21n), [1, 0, 0, 0]);
  assert.equal(cost(m, 0n), [2, 1, 0, 0]);
});

upper('rights of an upper level hold for what is found through the cache', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  m.map(root, 0n, page(20) | RW, 1, 4, R);
  m.map(root, 0x1000n, page(21) | RW, 1, 4, R);
  assert.is(m.dmaRead(0n, 4).status, OK);
  assert.is(m.dmaWrite(0x1000n, [1]), FAULT);
  assert.is(m.takeFault().reason, 5);
});

upper.run();

const contexts = suite('context cache');

function contextMiss(m: BareMachine, fn = m.fn): boolean {
  m.counted();
  m.dmaRead(0n, 4, fn);
  const counted = m.counted();
  assert.is(counted.contextHits + counted.contextMisses, 1);
  return counted.contextMisses === 1;
}

contexts('an entry stays until it is invalidated; not-present is not kept', async () => {
  const { m, root } = await mapped(1);
  assert.is(contextMiss(m), true);
  assert.is(contextMiss(m), false);
  m.context(0n, 0n);
  assert.is(m.dmaRead(0n, 4).status, OK, 'still cached');
  m.submit(contextGlobal());
  assert.is(m.dmaRead(0n, 4).status, FAULT);
  m.tables(root);
  assert.is(m.dmaRead(0n, 4).status, OK, 'no invalidation is needed for what was not present');
});

contexts('are dropped globally, by domain, by device, by device with a function mask', async () => {
  const { m, root } = await mapped(1);
  const sids = [0x0310, 0x0311, 0x0312, 0x0314, 0x0318];
  const fns = [m.fn, ...sids.slice(1).map((sid) => m.add(edu, sid).fn)];
  sids.forEach((sid, i) => m.tables(root, i < 2 ? 7 : 8, 4, sid));
  const dropped = (descriptor: [bigint, bigint]): string => {
    for (const fn of fns) m.dmaRead(0n, 4, fn);
    m.submit(descriptor);
    return fns.map((fn) => (contextMiss(m, fn) ? '.' : '#')).join('');
  };
  assert.is(dropped(contextGlobal()), '.....');
  assert.is(dropped(contextDomain(7)), '..###');
  assert.is(dropped(contextDomain(8)), '##...');
  assert.is(dropped(contextDomain(9)), '#####');
  assert.is(dropped(contextDevice(7, 0x0311)), '#.###');
  assert.is(dropped(contextDevice(7, 0x0310, 1)), '.##.#', 'bit 2 of the function ignored');
  assert.is(dropped(contextDevice(7, 0x0310, 2)), '.#..#', 'bits 2 and 1 ignored');
  assert.is(dropped(contextDevice(7, 0x0310, 3)), '....#', 'the function ignored');
});

contexts('hold as many requesters as there are entries', async () => {
  const { m, root } = await mapped(1, { contexts: 2 });
  const fns = [m.fn, m.add(edu, 0x0318).fn, m.add(edu, 0x0320).fn];
  m.tables(root, 7, 4, 0x0318);
  m.tables(root, 7, 4, 0x0320);
  assert.equal(fns.map((fn) => contextMiss(m, fn)), [true, true, true]);
  assert.equal([2, 1, 0].map((i) => contextMiss(m, fns[i])), [false, false, true]);
});

contexts.run();

const byRegister = suite('register-based invalidation');

byRegister('works while the queue is off, and reports what it did', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  for (let i = 0; i < 4; i++) m.map(root, page(i), page(16 + i) | RW);
  load(m, 4);
  m.write64(IVA, page(1));
  m.write64(IOTLB, 0xb003000700000000n);
  assert.is(m.read(IOTLB + 4), 0x36030007, 'IVT clear, IAIG = 3');
  assert.is(present(m, 0, 3), '#.##');
  m.write64(IVA, page(2) | 1n);
  m.write64(IOTLB, 0xb000000700000000n);
  assert.is(present(m, 0, 3), '##..');
  m.write64(IOTLB, 0xa000000700000000n);
  assert.is(m.read(IOTLB + 4), 0x24000007);
  assert.is(present(m, 0, 3), '....');
  m.write64(IOTLB, 0x9000000000000000n);
  assert.is(present(m, 0, 3), '....');
  m.write64(CCMD, 0xe000000003100007n);
  assert.is(m.read(CCMD + 4), 0x78000000, 'ICC clear, CAIG = 3');
  assert.is(contextMiss(m), true);
  m.write64(CCMD, 0xa000000000000000n);
  assert.is(contextMiss(m), true);
});

byRegister('a request that makes no sense does nothing, and says so', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  m.map(root, 0n, page(16) | RW);
  m.dmaRead(0n, 4);
  m.write64(IVA, 19n);
  m.write64(IOTLB, 0xb000000700000000n);
  assert.is(m.read(IOTLB + 4), 0x30000007, 'AM 19 is above MAMV');
  m.write64(IOTLB, 0x8000000700000000n);
  m.write64(CCMD, 0x8000000000000000n);
  assert.equal([hit(m, 0n), contextMiss(m)], [true, false]);
});

byRegister('is ignored while the queue is on', async () => {
  const { m } = await mapped(2);
  load(m, 2);
  m.write64(IOTLB, 0x9000000000000000n);
  m.write64(CCMD, 0xa000000000000000n);
  assert.is(m.read(IOTLB + 4) >>> 31, 0);
  assert.is(present(m, 0, 1), '##');
  assert.is(contextMiss(m), false);
});

byRegister.run();
