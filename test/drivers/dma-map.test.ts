import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf, guestMachine, mapper } from '../helpers/guest-machine';

const TO_DEVICE = 1;
const FROM_DEVICE = 2;
const BOTH = 3;
const OK = 0;
const FAULT = 3;
const MS = 1_000_000;

const strict = suite('dma_map, strict');

strict('what is not the guest\'s memory cannot be mapped', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(1);
  assert.is(codeOf(() => dma.map(0x40000000, 16, BOTH)), 'DMA_MAP');
  assert.is(codeOf(() => dma.map(va, 0, BOTH)), 'DMA_MAP');
  assert.is(codeOf(() => dma.map(0xfffff000, 8192, BOTH)), 'DMA_MAP');
  one.machine.hypervisor.unmapVa(one.domain.domid, va / 4096 + 1);
  assert.is(codeOf(() => dma.map(va + 4000, 200, BOTH)), 'DMA_MAP', 'the second page is missing');
  assert.is(one.machine.engine.exports.frameRefs(one.domain.p2m[va / 4096] as number), 0, 'and nothing stays mapped');
});

strict('an unmap ends the device\'s reach before it returns', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(3);
  for (const [off, size] of [[0, 4096], [100, 1500], [4000, 200], [0, 12288], [4095, 4098]] as const) {
    const bus = dma.map(va + off, size, BOTH);
    assert.is(bus % 4096, (va + off) % 4096);
    assert.is(one.write(bus, new Array<number>(size).fill(0xab)), OK);
    assert.is(one.guest.load(va + off + size - 1, 1), 0xab);
    dma.unmap(bus, va + off, size, BOTH);
    assert.is(one.write(bus, [1]), FAULT);
    assert.is(one.write(bus + size - 1, [1]), FAULT);
    assert.is(one.read(bus, 1).status, FAULT);
  }
  assert.is(one.machine.engine.exports.frameRefs(one.domain.p2m[va / 4096] as number), 0);
});

strict('the direction is the right', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(1);
  const out = dma.map(va, 64, TO_DEVICE);
  const back = dma.map(va, 64, FROM_DEVICE);
  assert.equal([one.read(out, 4).status, one.write(out, [1]), one.read(back, 4).status, one.write(back, [1])], [OK, FAULT, FAULT, OK]);
});

strict('one map is one hypercall for each contiguous run, one unmap is one invalidation', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(1);
  one.counted();
  const bus = dma.map(va, 100, BOTH);
  const mapped = one.counted();
  assert.equal([mapped.hypercalls, mapped.iommuOpMaps, mapped.invalidations], [1, 1, 0]);
  dma.unmap(bus, va, 100, BOTH);
  const unmapped = one.counted();
  assert.equal([unmapped.iommuOpUnmaps, unmapped.iommuOpFlushes, unmapped.invalidatePage, unmapped.waits, unmapped.invalidationSubmissions],
    [1, 1, 1, 1, 1]);
});

strict('an unmap of what was never mapped harms nothing', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(1);
  const before = one.machine.engine.slice().length;
  dma.unmap(0xffffffff000, va, 4096, BOTH);
  dma.unmap(0xfffff000, va, 0xfffff000, BOTH);
  dma.unmap(2 ** 52, va, 4096, BOTH);
  assert.is(one.machine.engine.slice().length, before);
  const bus = dma.map(va, 4096, BOTH);
  assert.is(one.write(bus, [1]), OK);
});

strict.run();

const lazy = suite('dma_map, lazy');

lazy('an unmapped address stays within reach until the flush, never after, and is not used again before', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'lazy');
  const va = one.guest.allocPages(1);
  const bus = dma.map(va, 100, BOTH);
  assert.is(one.write(bus, [1]), OK);
  dma.unmap(bus, va, 100, BOTH);
  assert.is(one.write(bus, [2]), OK, 'still cached');
  for (let i = 0; i < 200; i++) {
    const other = dma.map(va, 100, BOTH);
    assert.is.not(other, bus);
    dma.unmap(other, va, 100, BOTH);
  }
  dma.flush();
  assert.is(one.write(bus, [3]), FAULT);
});

lazy('255 unmaps are held; the next one flushes the domain, once', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'lazy');
  const va = one.guest.allocPages(1);
  one.counted();
  const cycle = (): void => dma.unmap(dma.map(va, 100, BOTH), va, 100, BOTH);
  for (let i = 0; i < 255; i++) cycle();
  let counted = one.counted();
  assert.equal([counted.deferredUnmaps, counted.deferredFlushes, counted.invalidations], [255, 0, 0]);
  cycle();
  counted = one.counted();
  assert.equal([counted.deferredFlushes, counted.invalidateDomain, counted.invalidatePage, counted.waits], [1, 1, 0, 1]);
  for (let i = 0; i < 254; i++) cycle();
  assert.is(one.counted().deferredFlushes, 0);
  cycle();
  assert.is(one.counted().deferredFlushes, 1);
});

lazy('the timer flushes 10 ms after the first unmap, as time passes', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'lazy');
  const va = one.guest.allocPages(1);
  one.machine.run(5 * MS);
  const bus = dma.map(va, 100, BOTH);
  one.write(bus, [1]);
  dma.unmap(bus, va, 100, BOTH);
  one.machine.run(10 * MS - 1);
  assert.is(one.write(bus, [2]), OK);
  one.machine.run(1);
  assert.is(one.write(bus, [3]), FAULT);
  assert.is(one.counted().deferredFlushes, 1);
  one.machine.run(100 * MS);
  assert.is(one.counted().deferredFlushes, 0, 'nothing waits, nothing is flushed');
});

lazy('addresses come back after the flush', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'lazy');
  const va = one.guest.allocPages(1);
  const used = new Set<number>();
  for (let i = 0; i < 5000; i++) {
    const bus = dma.map(va, 100, BOTH);
    used.add(bus);
    dma.unmap(bus, va, 100, BOTH);
  }
  assert.ok(used.size <= 512, `${used.size} addresses`);
});

lazy.run();

const allocator = suite('the iova allocator');

for (const kind of ['magazine', 'tree'] as const) {
  allocator(`${kind}: no two ranges overlap, all are aligned to their size, none is page 0 or in the interrupt window`, async () => {
    const one = await guestMachine('guest-mapped');
    const dma = mapper(one, 'strict', { allocator: kind });
    const va = one.guest.allocPages(64);
    const live: Array<{ bus: number; pages: number }> = [];
    const taken = new Set<number>();
    let x = 7;
    const random = (limit: number): number => {
      x = (Math.imul(x, 1103515245) + 12345) >>> 0;
      return (x >>> 8) % limit;
    };
    for (let i = 0; i < 4000; i++) {
      if (live.length > 0 && (live.length > 300 || random(2) === 0)) {
        const [gone] = live.splice(random(live.length), 1) as [{ bus: number; pages: number }];
        dma.unmap(gone.bus, va, gone.pages * 4096, BOTH);
        for (let p = 0; p < gone.pages; p++) taken.delete(gone.bus / 4096 + p);
        continue;
      }
      const pages = random(20) === 0 ? 33 + random(20) : 1 + random(8);
      const bus = dma.map(va, pages * 4096, BOTH);
      const order = 2 ** Math.ceil(Math.log2(pages));
      assert.is(bus / 4096 % order, 0, `${pages} pages at ${bus.toString(16)}`);
      for (let p = 0; p < pages; p++) {
        const page = bus / 4096 + p;
        assert.ok(page > 0 && page < 0x100000 && (page < 0xfee00 || page > 0xfeeff), page.toString(16));
        assert.not(taken.has(page), 'taken already');
        taken.add(page);
      }
      live.push({ bus, pages });
    }
  });
}

allocator('goes from the top down, first fit', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict', { allocator: 'tree' });
  const va = one.guest.allocPages(8);
  const pages = [1, 1, 2, 1, 4].map((n) => dma.map(va, n * 4096, BOTH) / 4096);
  assert.equal(pages, [0xfffff, 0xffffe, 0xffffc, 0xffffb, 0xffff4]);
  dma.unmap((pages[1] as number) * 4096, va, 4096, BOTH);
  assert.is(dma.map(va, 4096, BOTH) / 4096, 0xffffe);
});

allocator('magazines give back what was freed last, and never go to the tree once filled', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(1);
  const buses = [1, 2, 3].map(() => dma.map(va, 4096, BOTH));
  for (const bus of buses) dma.unmap(bus, va, 4096, BOTH);
  one.counted();
  assert.equal([1, 2, 3].map(() => dma.map(va, 4096, BOTH)), [...buses].reverse());
  const counted = one.counted();
  assert.equal([counted.iovaAllocsFast, counted.iovaAllocsTree], [3, 0]);
});

allocator('magazines conserve the number of pages', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(1);
  let buses = Array.from({ length: 3000 }, () => dma.map(va, 4096, BOTH));
  for (let round = 0; round < 3; round++) {
    const before = new Set(buses);
    for (const bus of buses) dma.unmap(bus, va, 4096, BOTH);
    one.counted();
    buses = Array.from({ length: 3000 }, () => dma.map(va, 4096, BOTH));
    assert.equal([one.counted().iovaAllocsTree, new Set(buses).size], [0, 3000]);
    assert.ok(buses.every((bus) => before.has(bus)));
  }
});

allocator('sizes above 32 pages always go to the tree', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(33);
  for (let i = 0; i < 3; i++) {
    one.counted();
    dma.unmap(dma.map(va, 33 * 4096, BOTH), va, 33 * 4096, BOTH);
    const counted = one.counted();
    assert.equal([counted.iovaAllocsTree, counted.iovaFreesTree, counted.iovaFreesFast], [1, 1, 0]);
  }
});

allocator('keeps to the device\'s mask, and when it is full empties the magazines before it gives up', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict', { mask: 0xfffff });
  const va = one.guest.allocPages(32);
  // 256 pages of address space, page 0 never
  const single = Array.from({ length: 255 }, () => dma.map(va, 4096, BOTH));
  assert.ok(single.every((bus) => bus > 0 && bus <= 0xfffff));
  assert.is(codeOf(() => dma.map(va, 4096, BOTH)), 'DMA_MAP');
  for (const bus of single) dma.unmap(bus, va, 4096, BOTH);
  const large = dma.map(va, 32 * 4096, BOTH);
  assert.is(large / 4096 % 32, 0);
  assert.is(one.write(large + 31 * 4096, [1]), OK);
});

allocator.run();

const direct = suite('dma_map, direct');

direct('a contiguous buffer within the mask is used in place', async () => {
  const one = await guestMachine('pass-through');
  const dma = mapper(one, 'direct');
  const va = one.guest.allocPages(1);
  const bus = dma.map(va + 8, 100, BOTH);
  assert.is(bus, one.guest.machineAddress(va + 8));
  assert.is(one.counted().bounced, 0);
  one.write(bus, [0x42]);
  assert.is(one.guest.load(va + 8, 1), 0x42);
});

direct('one that is not is bounced: copied in, copied out, counted, and given back', async () => {
  const one = await guestMachine('pass-through');
  const dma = mapper(one, 'direct', { bouncePages: 2 });
  const va = one.guest.allocPages(2);
  const at = va + 4096 - 50;
  for (let i = 0; i < 100; i++) one.guest.store(at + i, 1, i);
  one.counted();
  const bus = dma.map(at, 100, BOTH);
  let counted = one.counted();
  assert.equal([counted.bounced, counted.bytesCopied], [1, 100]);
  assert.equal(one.read(bus, 100).bytes, Array.from({ length: 100 }, (_, i) => i));
  one.write(bus, new Array<number>(100).fill(0x99));
  assert.is(one.guest.load(at, 1), 0, 'not before the unmap');
  dma.unmap(bus, at, 100, BOTH);
  counted = one.counted();
  assert.is(counted.bytesCopied, 100);
  assert.equal([one.guest.load(at, 1), one.guest.load(at + 99, 1)], [0x99, 0x99]);
  // only one way: to the device nothing is copied back, from it nothing in
  const out = dma.map(at, 100, TO_DEVICE);
  one.write(out, [1]);
  dma.unmap(out, at, 100, TO_DEVICE);
  assert.is(one.guest.load(at, 1), 0x99);
  one.counted();
  const back = dma.map(at, 100, FROM_DEVICE);
  assert.is(one.counted().bytesCopied, 0);
  const second = dma.map(at, 100, FROM_DEVICE);
  assert.is(codeOf(() => dma.map(at, 100, FROM_DEVICE)), 'DMA_MAP', 'both pages are in use');
  dma.unmap(back, at, 100, FROM_DEVICE);
  assert.is(dma.map(at, 100, FROM_DEVICE), back);
  assert.ok(second !== back);
});

direct('a buffer beyond the device\'s mask is bounced below it', async () => {
  const one = await guestMachine('pass-through');
  const low = Math.max(...one.domain.p2m) * 4096 - 1;
  const dma = mapper(one, 'direct', { mask: low, bouncePages: 1 });
  const pfn = one.domain.p2m.indexOf(Math.max(...one.domain.p2m));
  const va = pfn * 4096;
  one.guest.store(va, 4, 0x12345678);
  const bus = dma.map(va, 4, TO_DEVICE);
  assert.ok(bus + 3 <= low);
  assert.equal(one.read(bus, 4).bytes, [0x78, 0x56, 0x34, 0x12]);
});

direct('several pages: in place when they lie together, else bounced together, one beside the other', async () => {
  const one = await guestMachine('pass-through');
  const { hypervisor } = one.machine;
  const dma = mapper(one, 'direct', { bouncePages: 8 });
  const scattered = one.guest.allocPages(3);
  const bytes = Array.from({ length: 9000 }, (_, i) => i * 7 & 0xff);
  bytes.forEach((byte, i) => { one.guest.store(scattered + 300 + i, 1, byte); });
  one.counted();
  const first = dma.map(scattered + 300, 9000, BOTH);
  const second = dma.map(scattered + 300, 9000, BOTH);
  assert.equal([one.counted().bounced, Math.abs(second - first)], [2, 3 * 4096]);
  assert.equal(one.read(first, 9000).bytes, bytes);
  assert.is(codeOf(() => dma.map(scattered, 9000, BOTH)), 'DMA_MAP', 'two pages are left of eight');
  const small = dma.map(scattered + 4000, 200, BOTH);
  one.write(second, new Array<number>(9000).fill(0x66));
  dma.unmap(second, scattered + 300, 9000, BOTH);
  assert.equal([0, 299, 300, 9299, 9300].map((off) => one.guest.load(scattered + off, 1)), [0, 0, 0x66, 0x66, 0]);
  dma.unmap(small, scattered + 4000, 200, TO_DEVICE);
  dma.unmap(first, scattered + 300, 9000, TO_DEVICE);
  assert.is(dma.map(scattered, 3 * 4096, BOTH), first, 'all free again');
  assert.is(codeOf(() => dma.map(scattered, 8 * 4096 + 1, BOTH)), 'DMA_MAP', 'more than the pool');
  // made to lie together, nothing is copied
  const before = one.domain.p2m.slice();
  const whole = one.guest.allocContiguous(4, 0xffffffff) as number;
  assert.is.not(before[whole / 4096], one.domain.p2m[whole / 4096], 'exchanged');
  one.counted();
  assert.is(dma.map(whole + 8, 4 * 4096 - 8, BOTH), one.guest.machineAddress(whole) + 8);
  assert.is(one.counted().bounced, 0);
  assert.is(one.write(one.guest.machineAddress(whole + 8193), [0x42]), OK);
  assert.is(one.guest.load(whole + 8193, 1), 0x42);
  assert.is(one.guest.allocContiguous(512, 0x300000), undefined, 'nothing so large so low');
  assert.is(hypervisor.pagesOf(one.domain.domid), 2048);
});

direct('a read-only buffer is bounced too, one with a hole is refused', async () => {
  const one = await guestMachine('pass-through');
  const dma = mapper(one, 'direct', { bouncePages: 1 });
  const va = one.guest.allocPages(2);
  const page = va / 4096;
  const { hypervisor } = one.machine;
  one.guest.store(va + 4092, 4, 0x11111111);
  one.guest.store(va + 4096, 4, 0x22222222);
  hypervisor.updateVaMapping(one.domain.domid, page, one.domain.p2m[page] as number, false);
  const bus = dma.map(va + 4092, 8, TO_DEVICE);
  assert.equal(one.read(bus, 8).bytes, [0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22]);
  dma.unmap(bus, va + 4092, 8, TO_DEVICE);
  hypervisor.unmapVa(one.domain.domid, page + 1);
  assert.is(codeOf(() => dma.map(va + 4092, 8, TO_DEVICE)), 'DMA_MAP');
  assert.is(codeOf(() => dma.map(va + 8192, 0x7fffffff, TO_DEVICE)), 'DMA_MAP');
});

direct.run();

const operations = suite('iommu_op');

const RANGE = 7;
const REFUSED = 1;
const IN_USE = 9;
const ABSENT = 10;

operations('frames that are not the caller\'s own memory are refused, and nothing is mapped', async () => {
  const one = await guestMachine('guest-mapped');
  const { exports, frames } = one.machine.engine;
  const own = one.domain.p2m[3] as number;
  const foreign = one.machine.dom0.p2m[3] as number;
  const { root, interrupts } = (one.machine.hypervisor.iommu as unknown as { tables: { root: number; interrupts: number } }).tables;
  for (const mfn of [foreign, root, interrupts, frames - 1, frames, 0, 0xf0000, 0xfed90, 0xfee00, 0x0ffffffe]) {
    assert.is(exports.iommuOpMap(one.domain.slot, 5, mfn, 1, 3), REFUSED, mfn.toString(16));
  }
  assert.is(exports.iommuOpMap(one.domain.slot, 5, own, 0, 3), RANGE);
  assert.is(exports.iommuOpMap(one.domain.slot, 5, own, 0xffffffff, 3), RANGE);
  assert.is(exports.iommuOpMap(one.domain.slot, 5, own, 1, 0), RANGE, 'no right at all');
  assert.is(exports.iommuOpMap(one.machine.dom0.slot, 5, foreign, 1, 3), ABSENT, 'a domain without a device');
  assert.is(exports.iommuOpMap(60, 5, own, 1, 3), ABSENT);
  assert.is(exports.ioPageMapped(one.domain.slot, 5), 0);
  assert.is(one.counted().iommuOpRefused, 15);
});

operations('a range with one foreign frame in it is refused as a whole', async () => {
  const one = await guestMachine('guest-mapped');
  const { exports } = one.machine.engine;
  const set = new Set(one.domain.p2m);
  const last = one.domain.p2m.find((mfn) => !set.has(mfn + 1)) as number;
  assert.is(exports.iommuOpMap(one.domain.slot, 100, last, 2, 3), REFUSED);
  assert.equal([exports.ioPageMapped(one.domain.slot, 100), exports.frameRefs(last)], [0, 0]);
  assert.is(exports.iommuOpMap(one.domain.slot, 100, last, 1, 3), OK);
  assert.is(exports.iommuOpMap(one.domain.slot, 100, last, 1, 3), IN_USE);
  assert.is(exports.frameAssign(last, 0xffff, 0), IN_USE);
});

operations('unmap and flush of everything are quick, and their ends are checked', async () => {
  const one = await guestMachine('guest-mapped');
  const { exports } = one.machine.engine;
  const { slot } = one.domain;
  exports.iommuOpMap(slot, 0, one.domain.p2m[1] as number, 1, 3);
  exports.iommuOpMap(slot, 0xffffffff, one.domain.p2m[2] as number, 1, 3);
  assert.is(exports.iommuOpUnmap(slot, 1, 0xffffffff), OK);
  assert.equal([exports.ioPageMapped(slot, 0), exports.ioPageMapped(slot, 0xffffffff)], [1, 0]);
  assert.is(exports.iommuOpUnmap(slot, 0, 0xffffffff), OK);
  assert.is(exports.ioPageMapped(slot, 0), 0);
  assert.is(exports.iommuOpUnmap(slot, 2, 0xffffffff), RANGE);
  assert.is(exports.iommuOpFlush(slot, 2, 0xffffffff), RANGE);
  one.counted();
  for (const [dfn, pages, kind] of [[0, 0, 'invalidateDomain'], [7, 1, 'invalidatePage'], [7, 2, 'invalidatePage'], [0, 0x40000, 'invalidatePage'],
    [0, 0x40001, 'invalidateDomain'], [0, 0xffffffff, 'invalidateDomain']] as const) {
    assert.is(exports.iommuOpFlush(slot, dfn, pages), OK);
    assert.is(one.counted()[kind], 1, `${pages} pages at ${dfn}`);
  }
});

operations('large runs become pages of 2 MiB, and a hole in one splits it', async () => {
  const one = await guestMachine('guest-mapped');
  const { exports } = one.machine.engine;
  // as the hypervisor itself: frames of the whole machine
  assert.is(exports.ioMap(one.domain.slot, 0x200, 0x400, 1024, 3), OK);
  assert.is(one.read(0x200000, 4).status, OK);
  one.counted();
  one.read(0x3ff000, 4);
  assert.is(one.counted().iotlbHits, 1);
  assert.is(exports.frameRefs(0x5ff), 1);
  assert.is(exports.ioUnmap(one.domain.slot, 0x300, 1), OK);
  exports.iommuOpFlush(one.domain.slot, 0x300, 1);
  assert.equal([one.read(0x300000, 4).status, one.read(0x2ff000, 4).status, one.read(0x301000, 4).status], [FAULT, OK, OK]);
  assert.equal([exports.frameRefs(0x500), exports.frameRefs(0x501)], [0, 1]);
  assert.is(exports.ioUnmap(one.domain.slot, 0, 0x1000), OK);
  for (let mfn = 0x400; mfn < 0x800; mfn++) assert.is(exports.frameRefs(mfn), 0);
});

operations('when the tables run out a map undoes what it began', async () => {
  const one = await guestMachine('guest-mapped');
  const { exports } = one.machine.engine;
  const taken: number[] = [];
  for (let mfn = exports.tableFrameTake(); mfn !== 0; mfn = exports.tableFrameTake()) taken.push(mfn);
  assert.is(exports.iommuOpMap(one.domain.slot, 5, one.domain.p2m[1] as number, 1, 3), 6);
  taken.splice(0, 3).forEach((mfn) => exports.tableFrameGive(mfn));
  // 511 pages fit into the last table, the 512th needs another one
  assert.is(exports.ioMap(one.domain.slot, 1, 0x400, 600, 3), 6);
  for (let mfn = 0x400; mfn < 0x400 + 600; mfn++) assert.is(exports.frameRefs(mfn), 0);
  assert.is(exports.ioPageMapped(one.domain.slot, 1), 0);
});

operations.run();
