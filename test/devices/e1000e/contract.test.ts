import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counter } from '../../../assembly/spec/counters';
import { State } from '../../../assembly/spec/state';
import { BUFFERS, RX_RING, TX_RING, descriptorPut, frameTo, receiveStart, transmitPut, transmitStart }
  from '../../helpers/bare-nic';
import { ExpressNic, MAC } from '../../helpers/express-nic';
import { buildPacket, unchecked } from '../../helpers/packets';

// Offsets and bits as the datasheet states them (317694).
const CTRL = 0x0000, CTRL_EXT = 0x0018, MDIC = 0x0020, ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0,
  IMC = 0x00d8, EIAC = 0x00dc, IAM = 0x00e0, IVAR = 0x00e4, EITR = 0x00e8, RCTL = 0x0100, TCTL = 0x0400, RDH = 0x2810,
  RDT = 0x2818, RDTR = 0x2820, RADV = 0x282c, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, CRCERRS = 0x4000, TPT = 0x40d4,
  RXCSUM = 0x5000, RFCTL = 0x5008, SWSM = 0x5b50;
const EN = 2, UPE = 8, MPE = 0x10, LPE = 0x20, EXSTEN = 0x8000;
const EOP = 1, IFCS = 2, TSE = 4, RS = 8, DEXT = 0x20, IDE = 0x80;
const BUDGETS = [1, 7, 1000];

/** Works until nothing more can be done now. A function that never comes to an end fails the test. */
function finish(nic: ExpressNic, budget: number): void {
  for (let i = 0; i < 2_000_000; i++) if (nic.service(budget) !== 1) return;
  throw new Error('it never comes to an end');
}

function counter(nic: ExpressNic, which: number): number {
  return nic.engine.word(State.COUNTERS + 8 * which);
}

/** Everything that a guest or a host can see of the NIC, the messages that have come among it. */
function digest(nic: ExpressNic): string {
  let hash = 7;
  for (const byte of nic.ram(0, 0x60000)) hash = Math.imul(hash, 31) + byte | 0;
  const messages: number[] = [];
  for (let one = nic.engine.pollMessage(); one !== undefined; one = nic.engine.pollMessage()) messages.push(one.data);
  const counters = Array.from({ length: Counter.COUNT }, (_, i) => counter(nic, i));
  return `${hash} ${counters.join(' ')} ${nic.interrupt()} ${messages.join('.')} ${nic.pending()} ${nic.deadline()}`;
}

/** Ring heads, interrupt mask and causes, and all statistics from CRCERRS; the last line of a run. */
function registers(nic: ExpressNic): string {
  const statistics = Array.from({ length: 64 }, (_, i) => nic.read(CRCERRS + 4 * i));
  return [nic.read(RDH), nic.read(TDH), nic.read(IMS), nic.read(ICR), ...statistics].join(' ');
}

for (const kind of ['INTx', 'MSI', 'MSI-X'] as const) {
  test(`segments, extended descriptors and held interrupts by ${kind} come out alike for every budget`, async () => {
    const run = async (budget: number): Promise<string> => {
      const nic = await ExpressNic.create();
      const seen: string[] = [];
      if (kind === 'MSI') nic.msi(0x61);
      if (kind === 'MSI-X') nic.msix(0x70);
      nic.link.plugLoopback();
      nic.write(RFCTL, EXSTEN);
      nic.write(IVAR, 0x8 | 0x9 << 8 | 0xa << 16);
      nic.write(EIAC, 0x500000);
      nic.write(ITR, 100);
      nic.write(EITR, 50);
      nic.write(IMS, 0xffffffff);
      receiveStart(nic, EN | UPE | MPE | LPE, 64);
      transmitStart(nic, EN | 8, 64);
      nic.write(RDTR, 20);
      nic.write(RADV, 25);
      nic.write(TIDV, 30);
      const tcp = buildPacket({ payload: 9000 });
      const udp = buildPacket({ payload: 333, protocol: 'udp', version: 6 });
      const at = BUFFERS + 0x20000;
      nic.ram(at, tcp.bytes.length).set(unchecked(tcp, false));
      nic.ram(at + 0x4000, udp.bytes.length).set(unchecked(udp, true));
      let tail = 0;
      for (let round = 0; round < 3; round++) {
        descriptorPut(nic, tail++, [
          tcp.ip | tcp.ip + 10 << 8 | tcp.transport - 1 << 16, tcp.transport | tcp.transport + 16 << 8,
          9000 | (DEXT | TSE | RS | 3) << 24, tcp.header << 8 | 1448 << 16,
        ]);
        const rest = tcp.bytes.length;
        descriptorPut(nic, tail++, [at, 0, rest | 1 << 20 | (DEXT | TSE | EOP | IFCS | RS | IDE) << 24, 3 << 8]);
        descriptorPut(nic, tail++, [0, udp.transport | udp.transport + 6 << 8, DEXT << 24, 0]);
        const command = DEXT | EOP | IFCS | RS;
        descriptorPut(nic, tail++, [at + 0x4000, 0, udp.bytes.length | 1 << 20 | command << 24, 2 << 8]);
        nic.write(TDT, tail);
        nic.now += 3000;
        finish(nic, budget);
        seen.push(digest(nic));
        nic.write(IMS, 0xffffffff);
        nic.now += 40000;
        finish(nic, budget);
        seen.push(digest(nic));
      }
      seen.push(registers(nic));
      return seen.join('\n');
    };
    const whole = await run(0x7fffffff);
    // seven segments and one datagram in each of three rounds
    assert.is(whole.split('\n').at(-1)?.split(' ')[4 + (TPT - CRCERRS) / 4], '24');
    for (const budget of BUDGETS) assert.is(await run(budget), whole, `budget ${budget}`);
  });
}

/** A source of numbers that gives the same ones to every run. */
class Numbers {
  constructor(private seed: number) {}

  below(limit: number): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.seed / 2 ** 32 * limit);
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  word(): number {
    return this.of([0, 1, 0xff, 0xffff, 0x80000000, 0xffffffff, this.below(2 ** 32), this.below(2 ** 32)]);
  }
}

const ADDRESSES = [BUFFERS, BUFFERS + 0x8001, 0x3ffffe, 0, 0x80000000, 0xfee00000, RX_RING, TX_RING];
const WRITES = [
  CTRL_EXT, MDIC, ICR, ITR, ICS, IMS, IMC, EIAC, IAM, IVAR, EITR, EITR + 8, RDTR, RADV, TIDV, RXCSUM, SWSM, 0x14,
  0x102c, RDH, TDH, 0x2800, 0x3800, 0x2808, 0x3808,
];

function disturb(nic: ExpressNic, numbers: Numbers): void {
  const off = numbers.of(WRITES);
  if (off === 0x2800 || off === 0x3800) return nic.write(off, off === 0x2800 ? RX_RING : TX_RING);
  if (off === 0x2808 || off === 0x3808) return nic.write(off, numbers.of([0, 128, 256, 1024]));
  if (off === MDIC) return nic.write(off, 0x04000000 | 1 << 21 | numbers.of([0x1140, 0x4140, 0x0940, 0x9140]));
  nic.write(off, numbers.word());
}

test('garbage in rings, registers, vectors: no trap, an end to everything, the same for every budget', async () => {
  const run = async (budget: number, seed: number): Promise<string> => {
    const nic = await ExpressNic.create();
    const numbers = new Numbers(seed);
    let trail = 0;
    nic.link.plugLoopback();
    receiveStart(nic, EN | UPE | MPE | LPE);
    transmitStart(nic, EN | 8);
    for (let i = 0; i < 0x2000; i++) nic.ram(BUFFERS + i, 1)[0] = numbers.below(256);
    for (let step = 0; step < 1200; step++) {
      const index = numbers.below(8);
      const len = numbers.of([0, 1, 14, 60, 100, 1500, numbers.below(20000)]);
      if (numbers.below(3) === 0) descriptorPut(nic, index, [0, 0, 0, 0].map(() => numbers.word()));
      else if (numbers.below(2) === 0) transmitPut(nic, index, numbers.of(ADDRESSES), len & 0xffff, numbers.below(256));
      else {
        const command = numbers.below(256) | DEXT;
        descriptorPut(nic, index, [numbers.of(ADDRESSES), 0, len | 1 << 20 | command << 24, 3 << 8]);
      }
      nic.ramView(RX_RING + 16 * numbers.below(8)).setUint32(0, numbers.of(ADDRESSES), true);
      if (numbers.below(3) === 0) disturb(nic, numbers);
      if (numbers.below(20) === 0) nic.write(CTRL, numbers.of([0x241, 0x245, 0x40000241, 0x80000241]));
      if (numbers.below(10) === 0) nic.write(RFCTL, numbers.of([EXSTEN, EXSTEN, 0, 0xffff]));
      if (numbers.below(30) === 0) nic.configWrite(0xa2, 2, numbers.of([0, 0x8000, 0xc000]));
      if (numbers.below(30) === 0) nic.configWrite(0xd2, 2, numbers.of([0, 1]));
      const entry = numbers.of([0xfee00000, BUFFERS, numbers.word()]);
      if (numbers.below(10) === 0) nic.write(4 * numbers.below(20), entry, 3);
      if (numbers.below(2) === 0) nic.write(TDT, numbers.below(8));
      if (numbers.below(2) === 0) nic.write(RDT, numbers.below(8));
      if (numbers.below(8) === 0) nic.write(TCTL, EN | 8);
      if (numbers.below(8) === 0) nic.write(RCTL, EN | UPE | MPE | LPE);
      if (numbers.below(3) === 0) nic.now += numbers.below(30000);
      finish(nic, budget);
      trail = Math.imul(trail, 33) + counter(nic, Counter.DMA_WRITE_BYTES) + (nic.interrupt() ? 1 : 0) | 0;
      while (nic.engine.pollMessage() !== undefined) trail = trail * 7 | 0;
    }
    return `${trail} ${digest(nic)} ${registers(nic)}`;
  };
  for (const seed of [1, 2, 3]) {
    const whole = await run(0x7fffffff, seed);
    for (const budget of BUDGETS) assert.is(await run(budget, seed), whole, `seed ${seed}, budget ${budget}`);
  }
});

test('a ring where nobody answers stops and raises RXO; a write of the tail lets it go on', async () => {
  const nic = await ExpressNic.create();
  nic.write(RFCTL, EXSTEN);
  receiveStart(nic, EN | UPE);
  nic.write(0x2804, 1);
  nic.offer([frameTo(MAC, 60), frameTo(MAC, 70)]);
  nic.at(0);
  assert.is(nic.read(RDH), 0);
  assert.is(nic.read(ICR) & 0x40, 0x40);
  nic.write(0x2804, 0);
  nic.at(0);
  assert.is(nic.read(RDH), 0, 'not of itself');
  nic.write(RDT, 7);
  nic.at(0);
  assert.is(nic.read(RDH), 1);
  assert.is(nic.descriptor(RX_RING, 0)[3]! & 0xffff, 74);
});

test.run();
