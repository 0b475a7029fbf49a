import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BareMachine, CONTEXT, FAULT, NOTHING, OK, R, ROOT, RTADDR, SID, SP, SRTP, TE, W, bytesOf, ones,
} from '../helpers/bare-machine';

const faults = suite('translation: what is refused, and with which fault reason');

/** A DMA that must be refused: read and write, with the reason of each. */
function refused(m: BareMachine, iova: bigint, reason: number, writeReason = reason): void {
  const read = m.dmaRead(iova, 8);
  assert.is(read.status, FAULT);
  assert.equal(read.bytes, ones(8), 'a faulted read gives ones');
  assert.equal(m.takeFault(), {
    index: (m.engine.counters().faults - 1) % 8, page: iova & ~0xfffn, sid: SID, reason, read: true,
  });
  const before = m.engine.frame(16).slice();
  assert.is(m.dmaWrite(iova, bytesOf(8)), FAULT);
  assert.equal(m.engine.frame(16), before, 'a faulted write changes nothing');
  const fault = m.takeFault();
  assert.equal([fault.reason, fault.read, fault.page], [writeReason, false, iova & ~0xfffn]);
}

faults('1: the root entry is not present', async () => {
  const m = await BareMachine.create();
  m.start();
  m.setQword(ROOT, 3 * 16, BigInt(CONTEXT) << 12n);
  refused(m, 0x10000n, 0x1);
});

faults('8: the root table is no memory', async () => {
  const m = await BareMachine.create();
  m.write64(RTADDR, 0x80000000n);
  m.command(SRTP);
  m.command(TE);
  refused(m, 0x10000n, 0x8);
  m.write64(RTADDR, 0xff00000000000n);
  m.command(SRTP);
  refused(m, 0x10000n, 0x8);
});

faults('A: a reserved bit of the root entry is set', async () => {
  const m = await BareMachine.create();
  m.start();
  const good = BigInt(CONTEXT) << 12n | 1n;
  for (const bit of [1n, 5n, 11n, 40n, 63n]) {
    m.setQword(ROOT, 3 * 16, good | 1n << bit);
    refused(m, 0x10000n, 0xa);
  }
  m.setQword(ROOT, 3 * 16, good);
  for (const bit of [0n, 12n, 63n]) {
    m.setQword(ROOT, 3 * 16 + 8, 1n << bit);
    refused(m, 0x10000n, 0xa);
  }
});

faults('2: the context entry is not present; 9: the context table is no memory', async () => {
  const m = await BareMachine.create();
  m.start();
  refused(m, 0x10000n, 0x2);
  m.setQword(ROOT, 3 * 16, 0x90000001n);
  refused(m, 0x10000n, 0x9);
});

faults('B: a reserved bit of the context entry is set', async () => {
  const m = await BareMachine.create();
  m.start();
  for (const bit of [4n, 11n, 40n, 51n, 52n, 63n]) {
    m.context(0x01234001n | 1n << bit, 0x0702n);
    refused(m, 0x10000n, 0xb);
  }
  for (const bit of [7n, 24n, 63n]) {
    m.context(0x01234001n, 0x0702n | 1n << bit);
    refused(m, 0x10000n, 0xb);
  }
});

faults('3: translation type 3, type 1 without device TLBs, a width that SAGAW has not, a domain id too high', async () => {
  const m = await BareMachine.create();
  m.start();
  for (const type of [1n, 3n]) {
    m.context(0x00234001n | type << 2n, 0x0702n);
    refused(m, 0x10000n, 0x3);
  }
  for (const width of [0n, 4n, 7n]) {
    m.context(0x00234001n, 0x0700n | width);
    refused(m, 0x10000n, 0x3);
  }
  m.context(0x00234001n, 64n << 8n | 2n);
  refused(m, 0x10000n, 0x3);
});

faults('4: the address is beyond the width, 39, 48 and 57 bits', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  for (const [levels, bits] of [[3, 39n], [4, 48n], [5, 57n]] as const) {
    m.tables(root, levels, levels);
    m.engine.exports.registerWrite(0, 0, 0x2c, 4, 0xa0000000, 0);
    for (const iova of [1n << bits, 1n << 58n, 1n << 63n, 0xfffffffffffff000n]) refused(m, iova, 0x4);
    refused(m, (1n << bits) - 4096n, 0x6, 0x5);
  }
});

faults('5 and 6: nothing mapped at any level, and a non-leaf without rights, for write and read', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  refused(m, 0x12345000n, 0x6, 0x5);
  for (const level of [4, 3, 2, 1]) {
    const iova = BigInt(level) << 39n;
    m.map(root, iova, 0n, level);
    refused(m, iova, 0x6, 0x5);
  }
});

faults('rights are those that all levels give', async () => {
  const m = await BareMachine.create();
  m.start();
  for (const upper of [R, W, R | W]) {
    for (const leaf of [R, W, R | W]) {
      const root = m.newTable();
      const did = Number(upper * 4n + leaf);
      m.tables(root, did);
      m.write(0x2c, 0xa0000000);
      m.map(root, 0x5000n, 16n << 12n | leaf, 1, 4, upper);
      const both = upper & leaf;
      // twice: from the tables, and from what the caches kept
      for (const time of ['walk', 'cached']) {
        const read = m.dmaRead(0x5000n, 4).status;
        assert.is(read, both & R ? OK : FAULT, `${time}: read with ${upper} above ${leaf}`);
        if (read !== OK) assert.is(m.takeFault().reason, 0x6);
        const write = m.dmaWrite(0x5000n, [1, 2, 3, 4]);
        assert.is(write, both & W ? OK : FAULT, `${time}: write with ${upper} above ${leaf}`);
        if (write !== OK) assert.is(m.takeFault().reason, 0x5);
      }
    }
  }
});

faults('7: a table is no memory', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  m.map(root, 0n, 0x90000000n | R | W, 2);
  refused(m, 0x3000n, 0x7);
  m.tables(0x90000, 8);
  m.write(0x2c, 0xa0000000);
  refused(m, 0x3000n, 0x7);
});

faults('C: a reserved bit of a table entry, leaf or not', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  const page = 16n << 12n | R | W;
  // SNP without snoop control, bits above the machine's 40, TM without device TLBs
  for (const bit of [11n, 40n, 51n, 62n]) {
    m.map(root, 0x1000n, page | 1n << bit);
    refused(m, 0x1000n, 0xc);
  }
  // SP at level 1, and at level 4
  m.map(root, 0x1000n, page | SP);
  refused(m, 0x1000n, 0xc);
  m.map(root, 5n << 39n, R | W | SP, 4);
  refused(m, 5n << 39n, 0xc);
  // address bits below the size of a superpage
  m.map(root, 1n << 21n, 0x1000n | R | W | SP, 2);
  refused(m, 1n << 21n, 0xc);
  m.map(root, 1n << 30n, 0x200000n | R | W | SP, 3);
  refused(m, 1n << 30n, 0xc);
  // not-present comes before reserved
  m.map(root, 0x2000n, 1n << 11n);
  refused(m, 0x2000n, 0x6, 0x5);
});

faults('FPD keeps a fault out of the records, and it is counted all the same', async () => {
  const m = await BareMachine.create();
  m.start();
  m.context(BigInt(m.newTable()) << 12n | 3n, 0x0702n);
  m.counted();
  assert.is(m.dmaRead(0x1000n, 4).status, FAULT);
  assert.is(m.dmaWrite(1n << 50n, [1]), FAULT);
  m.context(2n, 0n);
  m.write(0x2c, 0xa0000000);
  assert.is(m.dmaRead(0x1000n, 4).status, FAULT);
  assert.is(m.counted().faults, 3);
  for (let i = 0; i < 8; i++) assert.is(m.fault(i), undefined);
  assert.is(m.read(0x34), 0);
});

faults.run();

const walks = suite('translation: what is let through');

walks('without translation enabled a bus address is a machine address', async () => {
  const m = await BareMachine.create();
  assert.is(m.dmaWrite(0x10010n, [1, 2, 3]), OK);
  assert.equal([...m.engine.frame(16).subarray(0x10, 0x13)], [1, 2, 3]);
  assert.is(m.counted().translations, 0);
});

walks('a root table takes effect when it is latched by SRTP, not when RTADDR is written', async () => {
  const m = await BareMachine.create();
  m.start();
  m.context(9n, 0x0702n);
  assert.is(m.dmaRead(0x10000n, 4).status, OK);
  m.write64(RTADDR, 0x90000000n);
  m.write(0x2c, 0xa0000000);
  assert.is(m.dmaRead(0x10000n, 4).status, OK);
  m.command(SRTP);
  m.write(0x2c, 0xa0000000);
  assert.is(m.dmaRead(0x10000n, 4).status, FAULT);
});

walks('a walk takes the indices of the published example', async () => {
  // IOVA 0x1234_5678_9ABC: byte offsets in the tables 0x120, 0x688, 0x598, 0xC48, in the page 0xABC
  const m = await BareMachine.create();
  m.start();
  const [l4, l3, l2, l1] = [m.newTable(), m.newTable(), m.newTable(), m.newTable()];
  m.tables(l4, 7);
  m.setQword(l4, 0x120, BigInt(l3) << 12n | 3n);
  m.setQword(l3, 0x688, BigInt(l2) << 12n | 3n);
  m.setQword(l2, 0x598, BigInt(l1) << 12n | 3n);
  m.setQword(l1, 0xc48, 0x20003n);
  assert.is(m.dmaWrite(0x123456789abcn, [0xaa]), OK);
  assert.is(m.engine.frame(0x20)[0xabc], 0xaa);
});

walks('pages of 4 KiB, 2 MiB and 1 GiB, in tables of three and of four levels', async () => {
  const m = await BareMachine.create();
  m.start();
  for (const levels of [3, 4] as const) {
    const root = m.newTable();
    m.tables(root, levels, levels);
    m.write(0x2c, 0xa0000000);
    m.map(root, 0x7000n, 0x12000n | R | W, 1, levels);
    m.map(root, 0x40000000n + 0x200000n, 0x0n | R | W | SP, 2, levels);
    m.map(root, 0x80000000n, 0x0n | R | W | SP, 3, levels);
    m.fill(0x12, 0);
    for (const [iova, value] of [[0x7123n, 1], [0x40212124n, 2], [0x80012125n, 3]] as const) {
      for (let time = 0; time < 2; time++) assert.is(m.dmaWrite(iova, [value]), OK, `${levels} levels, ${iova.toString(16)}`);
    }
    assert.equal([...m.engine.frame(0x12).subarray(0x123, 0x126)], [1, 2, 3]);
  }
});

walks('the last page of the width is translated', async () => {
  const m = await BareMachine.create();
  m.start();
  for (const [levels, bits] of [[3, 39n], [4, 48n]] as const) {
    const root = m.newTable();
    m.tables(root, levels, levels);
    m.write(0x2c, 0xa0000000);
    m.map(root, (1n << bits) - 4096n, 0x14000n | R | W, 1, levels);
    assert.is(m.dmaWrite((1n << bits) - 1n, [levels]), OK);
    assert.is(m.engine.frame(0x14)[4095], levels);
  }
});

walks('ignored bits of a table entry are ignored', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  for (const bit of [8n, 9n, 10n, 52n, 61n, 63n]) {
    m.map(root, 0x3000n, 0x15000n | R | W | 1n << bit);
    m.write64(0xf0, 0x3000n);
    m.write64(0xf8, 0xb000000700000000n);
    assert.is(m.dmaRead(0x3000n, 1).status, OK, `bit ${bit}`);
  }
});

walks('pass-through uses no table and no IOTLB, and ends at its address width', async () => {
  const m = await BareMachine.create();
  m.start();
  m.context(9n, 0x0702n);
  assert.is(m.dmaWrite(0x16000n, [9]), OK);
  assert.is(m.engine.frame(0x16)[0], 9);
  const counted = m.counted();
  assert.equal([counted.translations, counted.tableReads, counted.contextMisses], [0, 0, 1]);
  assert.is(m.dmaRead((1n << 48n) - 4096n, 4).status, NOTHING);
  assert.is(m.dmaRead(1n << 48n, 4).status, FAULT);
  assert.is(m.takeFault().reason, 0x4);
  m.context(9n, 0x0701n);
  m.write(0x2c, 0xa0000000);
  assert.is(m.dmaRead(1n << 39n, 4).status, FAULT);
  assert.is(m.takeFault().reason, 0x4);
});

walks('after translation the interrupt window, the unit and the config space are no target', async () => {
  const m = await BareMachine.create();
  m.start();
  const root = m.newTable();
  m.tables(root);
  for (const [i, target] of [0xfee00000n, 0xfeeff000n, 0xfed90000n, 0xe0000000n, 0xeffff000n].entries()) {
    m.map(root, BigInt(i) << 12n, target | R | W);
    assert.is(m.dmaWrite(BigInt(i) << 12n, [0, 0, 0, 0]), NOTHING);
    const read = m.dmaRead(BigInt(i) << 12n, 4);
    assert.is(read.status, NOTHING);
    assert.equal(read.bytes, ones(4));
  }
  assert.is(m.engine.pollMessage(), undefined);
  assert.is(m.read(0x1c) >>> 31, 1, 'translation is still on');
});

walks.run();
