import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counter } from '../../../assembly/spec/counters';
import { Service } from '../../../assembly/spec/status';
import {
  BUFFERS, BareNic, RX_RING, TX_RING, descriptorPut, receiveStart, transmitPut, transmitStart,
} from '../../helpers/bare-nic';
import { buildPacket, unchecked } from '../../helpers/packets';

// Offsets and bits as the manual states them (317453).
const CTRL = 0x0000, MDIC = 0x0020, VET = 0x0038, ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8,
  RCTL = 0x0100, TCTL = 0x0400, RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820,
  RADV = 0x282c, RSRPD = 0x2c00, TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820,
  TADV = 0x382c, CRCERRS = 0x4000, TPT = 0x40d4, RXCSUM = 0x5000, MTA = 0x5200, RAL0 = 0x5400, VFTA = 0x5600;
const EN = 2, UPE = 8, MPE = 0x10, LPE = 0x20, BAM = 0x8000, VME = 0x40000241;
const EOP = 1, IFCS = 2, TSE = 4, RS = 8, DEXT = 0x20, VLE = 0x40, IDE = 0x80;
const BUDGETS = [1, 7, 1000, 0x7fffffff];

/** Works until nothing more can be done now. A function that never comes to an end fails the test. */
function finish(nic: BareNic, budget: number): void {
  for (let i = 0; i < 2_000_000; i++) if (nic.service(budget) !== Service.MORE) return;
  throw new Error('it never comes to an end');
}

/** Everything that a guest or a host can see of the NIC. Reads no register, as some of them change by it. */
function digest(nic: BareNic): string {
  let hash = 7;
  for (const byte of nic.ram(0, 0x100000)) hash = Math.imul(hash, 31) + byte | 0;
  const counters = Array.from({ length: Counter.COUNT }, (_, i) => nic.counter(i));
  return `${hash} ${counters.join(' ')} ${nic.interrupt()} ${nic.deadline()}`;
}

/** Ring heads, interrupt causes, and all statistics from CRCERRS; the last line of a run. */
function registers(nic: BareNic): string {
  const statistics = Array.from({ length: 64 }, (_, i) => nic.read(CRCERRS + 4 * i));
  return [nic.read(RDH), nic.read(TDH), nic.read(ICR), ...statistics].join(' ');
}

test('segments, checksums, tags and delayed interrupts come out alike for every budget', () => {
  const run = (budget: number): string => {
    const nic = new BareNic();
    const seen: string[] = [];
    nic.capture(0x8000, true);
    nic.write(CTRL, VME);
    nic.write(RXCSUM, 0x700 | 14);
    nic.write(IMS, 0x1ffff);
    receiveStart(nic, EN | UPE | MPE | BAM | LPE, 64);
    transmitStart(nic, EN | 8, 64);
    nic.write(RDTR, 20);
    nic.write(RADV, 25);
    nic.write(TIDV, 30);
    nic.write(ITR, 100);
    const tcp = buildPacket({ payload: 9000 });
    const udp = buildPacket({ payload: 333, protocol: 'udp', version: 6 });
    const at = BUFFERS + 0x20000;
    nic.ram(at, tcp.bytes.length).set(unchecked(tcp, false));
    nic.ram(at + 0x4000, udp.bytes.length).set(unchecked(udp, true));
    let tail = 0;
    for (let round = 0; round < 4; round++) {
      descriptorPut(nic, tail++, [
        tcp.ip | tcp.ip + 10 << 8 | tcp.transport - 1 << 16, tcp.transport | tcp.transport + 16 << 8,
        9000 | (DEXT | TSE | RS | 3) << 24, tcp.header << 8 | 1448 << 16,
      ]);
      descriptorPut(nic, tail++, [at, 0, 3000 | 1 << 20 | (DEXT | TSE | IFCS | VLE) << 24, 3 << 8 | 0x1234 << 16]);
      const rest = tcp.bytes.length - 3000;
      descriptorPut(nic, tail++, [at + 3000, 0, rest | 1 << 20 | (DEXT | TSE | EOP | RS | IDE) << 24, 0]);
      descriptorPut(nic, tail++, [0, udp.transport | udp.transport + 6 << 8, DEXT << 24, 0]);
      descriptorPut(nic, tail++, [at + 0x4000, 0, udp.bytes.length | 1 << 20 | (DEXT | EOP | IFCS | RS) << 24, 2 << 8]);
      transmitPut(nic, tail++, at + 0x4000, 100, EOP | IFCS | RS | IDE);
      nic.write(TDT, tail);
      nic.now += 3000;
      finish(nic, budget);
      seen.push(digest(nic));
      nic.write(RDT, round * 9);
      nic.now += 40000;
      finish(nic, budget);
      seen.push(digest(nic));
    }
    seen.push(registers(nic));
    return seen.join('\n');
  };
  const whole = run(0x7fffffff);
  // seven segments and two datagrams in each of four rounds
  assert.is(whole.split('\n').at(-1)?.split(' ')[3 + (TPT - CRCERRS) / 4], '36');
  for (const budget of BUDGETS) assert.is(run(budget), whole, `budget ${budget}`);
});

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

const ADDRESSES = [BUFFERS, BUFFERS + 0x8001, 0xffffe, 0, 0x80000000, 0xfee00000, RX_RING, TX_RING];

/** Something that may pass for a descriptor of any kind. */
function garbage(nic: BareNic, numbers: Numbers): void {
  const index = numbers.below(8);
  const command = numbers.below(256);
  const len = numbers.of([0, 1, 14, 60, 100, 1500, 4000, numbers.below(20000)]);
  switch (numbers.below(5)) {
    case 0:
      return transmitPut(nic, index, numbers.of(ADDRESSES), len & 0xffff, command, numbers.below(256),
        numbers.below(256));
    case 1:
      return descriptorPut(nic, index, [numbers.word(), numbers.word(),
        numbers.of([len, 0xfffff, numbers.below(3000)]) | (command | DEXT) << 24,
        numbers.below(256) << 8 | numbers.of([0, 40, 536, 1460, 0xffff]) << 16]);
    case 2:
    case 3:
      return descriptorPut(nic, index, [numbers.of(ADDRESSES), 0, len | 1 << 20 | (command | DEXT) << 24,
        numbers.below(4) << 8 | numbers.below(65536) << 16]);
    default:
      return descriptorPut(nic, index, [numbers.word(), numbers.word(), numbers.word(), numbers.word()]);
  }
}

const WRITES = [
  CTRL, VET, ICR, ITR, ICS, IMS, IMC, RCTL, TCTL, RDBAL, RDLEN, RDH, RDT, RDTR, RADV, RSRPD, TDBAL, TDLEN, TDH, TDT,
  TIDV, TADV, RXCSUM, VFTA, RAL0, MTA, 0x10, 0x14, 0x18,
];

function disturb(nic: BareNic, numbers: Numbers): void {
  const off = numbers.of(WRITES);
  if (off === CTRL) {
    return nic.write(CTRL, numbers.of([0x241, VME, VME, 0x80000241, numbers.below(50) === 0 ? 0x04000000 : 0x241]));
  }
  if (off === RCTL) return nic.write(RCTL, EN | numbers.of([UPE | MPE, numbers.word(), UPE | MPE | LPE | BAM]));
  if (off === RDBAL || off === TDBAL) return nic.write(off, off === RDBAL ? RX_RING : TX_RING);
  if (off === RDLEN || off === TDLEN) return nic.write(off, numbers.of([0, 128, 256, 1024]));
  if (numbers.below(20) === 0) {
    return nic.write(MDIC, 0x04000000 | 1 << 21 | numbers.of([0x1140, 0x4140, 0x0940, 0x9140]));
  }
  return nic.write(off, numbers.word());
}

test('garbage in rings and registers: no trap, an end to everything, and the same for every budget', () => {
  const run = (budget: number, seed: number): string => {
    const nic = new BareNic();
    const numbers = new Numbers(seed);
    let trail = 0;
    nic.capture(0x8000, true);
    receiveStart(nic, EN | UPE | MPE | BAM | LPE);
    transmitStart(nic, EN | 8);
    for (let i = 0; i < 0x2000; i++) nic.ram(BUFFERS + i, 1)[0] = numbers.below(256);
    for (let step = 0; step < 1500; step++) {
      garbage(nic, numbers);
      if (numbers.below(3) === 0) disturb(nic, numbers);
      if (numbers.below(2) === 0) nic.write(TDT, numbers.below(8));
      if (numbers.below(2) === 0) nic.write(RDT, numbers.below(8));
      if (numbers.below(4) === 0) nic.write(TCTL, EN | 8);
      if (numbers.below(8) === 0) nic.write(RCTL, EN | UPE | MPE | BAM | LPE);
      if (numbers.below(20) === 0) receiveStart(nic, EN | UPE | MPE);
      if (numbers.below(20) === 0) transmitStart(nic, EN | 8);
      if (numbers.below(3) === 0) nic.now += numbers.below(30000);
      finish(nic, budget);
      trail = Math.imul(trail, 33) + nic.counter(Counter.DMA_WRITE_BYTES) + (nic.interrupt() ? 1 : 0) | 0;
    }
    return `${trail} ${digest(nic)} ${registers(nic)}`;
  };
  for (const seed of [1, 2, 3]) {
    const whole = run(0x7fffffff, seed);
    for (const budget of [1, 7, 1000]) assert.is(run(budget, seed), whole, `seed ${seed}, budget ${budget}`);
  }
});

test('garbage of any size costs what the budget says and no more', () => {
  const nic = new BareNic();
  const numbers = new Numbers(77);
  nic.capture(0x8000, true);
  for (let i = 0; i < 0x100000; i += 4) nic.ramView(i).setUint32(0, numbers.word(), true);
  let before = nic.counter(Counter.SERVICE_UNITS);
  for (let step = 0; step < 6000; step++) {
    if (numbers.below(4) === 0) nic.write(numbers.of(WRITES), numbers.word());
    if (numbers.below(10) === 0) {
      nic.write(TDLEN, 0xfff80);
      nic.write(TDT, numbers.below(65536));
      nic.write(TCTL, EN);
      nic.write(RCTL, EN | UPE | MPE);
      nic.write(RDLEN, 0xfff80);
      nic.write(RDT, numbers.below(65536));
    }
    nic.now += numbers.below(1000);
    nic.service(100);
    const after = nic.counter(Counter.SERVICE_UNITS);
    // one step may go over the budget, by one frame in the smallest buffers and its write-backs
    assert.ok(after - before <= 100 + 3 * 17000 / 256 + 16, `${after - before} units`);
    before = after;
  }
});

test.run();
