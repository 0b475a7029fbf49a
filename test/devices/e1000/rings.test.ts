import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counter } from '../../../assembly/spec/counters';
import { Link, LinkSink } from '../../../assembly/spec/link';
import { Service } from '../../../assembly/spec/status';
import {
  BUFFERS, BareNic, MAC, RX_RING, TX_RING, frameTo, receiveStart, transmitPut, transmitStart,
} from '../../helpers/bare-nic';

// Offsets and bits as the manual states them (317453).
const ICR = 0x00c0, IMS = 0x00d0, RCTL = 0x0100, RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818,
  TCTL = 0x0400, TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, MTA = 0x5200, VFTA = 0x5600,
  MPC = 0x4010, RLEC = 0x4040, PRC64 = 0x405c, PRC1522 = 0x4070, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407c,
  GPTC = 0x4080, GORCL = 0x4088, GORCH = 0x408c, GOTCL = 0x4090, ROC = 0x40ac, TORL = 0x40c0, TORH = 0x40c4,
  TPR = 0x40d0, TPT = 0x40d4;
const EN = 2, UPE = 8, MPE = 0x10, LPE = 0x20, BAM = 0x8000, BSIZE_256 = 0x30000, BSEX_16K = 0x2010000, VFE = 0x40000,
  SECRC = 0x4000000, PSP = 8;
const EOP = 1, IFCS = 2, IC = 4, RS = 8, DEXT = 0x20;
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const OTHER = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
const GROUP = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x05];
const FCS = [0xf1, 0xf2, 0xf3, 0xf4];

function received(nic: BareNic, index: number): { length: number; status: number } {
  const descriptor = nic.ramView(RX_RING + 16 * index);
  return { length: descriptor.getUint16(8, true), status: descriptor.getUint8(12) };
}

test('a frame lands with its FCS, then its descriptor, RDH, cause and counters', () => {
  const nic = new BareNic();
  const frame = frameTo(MAC, 100);
  receiveStart(nic, EN);
  nic.write(IMS, 0x80);
  nic.offer([frame]);
  assert.is(nic.service(), Service.IDLE);
  assert.equal([...nic.ram(BUFFERS, 104)], [...frame, ...FCS]);
  assert.equal(received(nic, 0), { length: 104, status: 7 });
  assert.is(nic.read(RDH), 1);
  assert.ok(nic.interrupt());
  assert.is(nic.read(ICR), 0x80);
  assert.is(nic.read(GPRC), 1);
  assert.is(nic.read(GPRC), 0, 'reading clears');
  assert.is(nic.read(GORCL), 104);
  assert.is(nic.read(GORCL), 104, 'the low half does not clear');
  assert.is(nic.read(GORCH), 0);
  assert.is(nic.read(GORCL), 0, 'the high half clears both');
  assert.is(nic.counter(Counter.RX_FRAMES), 1);
  assert.is(nic.counter(Counter.RX_BYTES), 100);
  assert.is(nic.counter(Counter.DESCRIPTOR_FETCHES), 1);
  assert.is(nic.counter(Counter.DESCRIPTOR_WRITEBACKS), 1);
});

test('SECRC strips the FCS', () => {
  const nic = new BareNic();
  receiveStart(nic, EN | SECRC);
  nic.offer([frameTo(MAC, 100)]);
  nic.service();
  assert.equal(received(nic, 0), { length: 100, status: 7 });
  assert.equal([...nic.ram(BUFFERS + 100, 4)], [0, 0, 0, 0]);
});

test('a frame longer than a buffer takes several, EOP in the last; all of them must be there', () => {
  const nic = new BareNic();
  const frame = frameTo(MAC, 1000);
  receiveStart(nic, EN | BSIZE_256);
  nic.write(RDT, 3);
  nic.offer([frame]);
  assert.is(nic.service(), Service.IDLE, 'three are not enough');
  assert.is(nic.read(RDH), 0);
  assert.is(nic.counter(Counter.DESCRIPTOR_FETCHES), 0);
  nic.write(RDT, 4);
  nic.service();
  assert.equal([0, 1, 2, 3].map((i) => received(nic, i)), [
    { length: 256, status: 5 }, { length: 256, status: 5 }, { length: 256, status: 5 }, { length: 236, status: 7 },
  ]);
  const whole = [0, 1, 2, 3].flatMap((i) => [...nic.ram(BUFFERS + 2048 * i, i < 3 ? 256 : 236)]);
  assert.equal(whole, [...frame, ...FCS]);
  assert.is(nic.read(RDH), 4);
  assert.is(nic.read(GPRC), 1);
});

test('frames wait on the link while there is no descriptor; indices wrap', () => {
  const nic = new BareNic();
  const frames = Array.from({ length: 20 }, (_, i) => frameTo(MAC, 60 + i));
  receiveStart(nic, EN);
  nic.offer(frames);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(RDH), 7);
  assert.is(nic.get(nic.link + Link.NEXT), 7);
  nic.write(RDT, 6);
  nic.service();
  assert.is(nic.read(RDH), 6);
  nic.write(RDT, 5);
  nic.service();
  assert.is(nic.read(RDH), 4);
  assert.equal(received(nic, 3), { length: 83, status: 7 });
  assert.is(nic.read(GPRC), 20);
  assert.is(nic.read(MPC), 0);
});

test('the address filter', () => {
  const cases: [string, number[], number, boolean][] = [
    ['own', MAC, 0, true],
    ['other', OTHER, 0, false],
    ['other, promiscuous', OTHER, UPE, true],
    ['other, multicast promiscuous', OTHER, MPE, false],
    ['broadcast', BROADCAST, 0, false],
    ['broadcast accepted', BROADCAST, BAM, true],
    ['group', GROUP, UPE, false],
    ['group, multicast promiscuous', GROUP, MPE, true],
  ];
  for (const [name, destination, bits, passes] of cases) {
    const nic = new BareNic();
    receiveStart(nic, EN | bits);
    nic.offer([frameTo(destination, 60)]);
    assert.is(nic.service(), Service.IDLE);
    assert.is(nic.read(RDH), passes ? 1 : 0, name);
    assert.is(nic.read(TPR), 1, name);
    assert.is(nic.read(TORL), 64, name);
    assert.is(nic.read(TORH), 0);
    assert.is(nic.read(PRC64), passes ? 1 : 0);
    assert.is(nic.read(BPRC), passes && destination === BROADCAST ? 1 : 0, name);
    assert.is(nic.read(MPRC), passes && destination === GROUP ? 1 : 0, name);
    assert.is(nic.get(nic.link + Link.NEXT), 1, 'it has left the link');
  }
});

test('the multicast table, for each offset', () => {
  // last bytes 0x12, 0x34: the address' bits 47:32 are 0x3412
  const group = [0x01, 0, 0, 0, 0x12, 0x34];
  for (const [offset, bit] of [[0, 0x341], [1, 0x682], [2, 0xd04], [3, 0x412]] as const) {
    const nic = new BareNic();
    receiveStart(nic, EN | offset << 12);
    nic.write(MTA + 4 * (bit >> 5), 1 << (bit & 31));
    nic.offer([group, GROUP].map((destination) => frameTo(destination, 60)));
    nic.service();
    assert.is(nic.read(RDH), 1, `offset ${offset}`);
    assert.is(nic.read(TPR), 2);
  }
});

test('exact addresses beyond the first need their valid bit', () => {
  const nic = new BareNic();
  receiveStart(nic, EN);
  nic.write(0x5478, 0x12005452);
  nic.write(0x547c, 0x00005734);
  nic.offer([frameTo(OTHER, 60)]);
  nic.service();
  assert.is(nic.read(RDH), 0);
  nic.write(0x547c, 0x80005734);
  nic.offer([frameTo(OTHER, 60)]);
  nic.service();
  assert.is(nic.read(RDH), 1);
});

test('the VLAN table', () => {
  const nic = new BareNic();
  const tagged = (id: number): Uint8Array => {
    const frame = frameTo(MAC, 64);
    frame.set([0x81, 0x00, 0xe0 | id >> 8, id & 0xff], 12);
    return frame;
  };
  receiveStart(nic, EN | VFE);
  nic.write(VFTA + 4 * (0x123 >> 5), 1 << (0x123 & 31));
  nic.offer([tagged(0x124), tagged(0x123), frameTo(MAC, 60)]);
  nic.service();
  assert.is(nic.read(RDH), 2);
  assert.equal(received(nic, 0).length, 68);
});

test('too long: 1522 bytes with FCS are the most without LPE, 16384 with it', () => {
  const nic = new BareNic();
  receiveStart(nic, EN);
  nic.offer([frameTo(MAC, 1518), frameTo(MAC, 1519)]);
  nic.service();
  assert.is(nic.read(RDH), 1);
  assert.is(nic.read(ROC), 1);
  assert.is(nic.read(RLEC), 1);
  assert.is(nic.read(PRC1522), 1);
  assert.is(nic.read(TPR), 2);
  receiveStart(nic, EN | LPE | BSEX_16K, 8, 16384);
  nic.offer([frameTo(MAC, 16380), frameTo(MAC, 16381)]);
  nic.service();
  assert.equal(received(nic, 0), { length: 16384, status: 7 });
  assert.is(nic.read(ROC), 1);
});

test('the minimum threshold is reported when it is reached, not after', () => {
  const nic = new BareNic();
  receiveStart(nic, EN | 1 << 8);
  const causes: number[] = [];
  for (let i = 0; i < 7; i++) {
    nic.offer([frameTo(MAC, 60)]);
    nic.service();
    causes.push(nic.read(ICR));
  }
  // of 8 descriptors a quarter are 2: left after each frame are 6, 5, 4, 3, 2, 1, 0
  assert.equal(causes, [0x80, 0x80, 0x80, 0x80, 0x90, 0x80, 0x80]);
});

test('refused DMA stops the ring: frame missed, nothing written; RDT starts it again', () => {
  const nic = new BareNic();
  receiveStart(nic, EN);
  nic.busMaster(false);
  nic.offer([frameTo(MAC, 60), frameTo(MAC, 61), frameTo(MAC, 62)]);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(RDH), 0);
  assert.is(nic.get(nic.link + Link.NEXT), 1);
  assert.is(nic.read(ICR), 0x40, 'overrun');
  nic.busMaster(true);
  nic.service();
  assert.is(nic.read(RDH), 0, 'it stands still');
  nic.write(RDT, 7);
  nic.service();
  assert.is(nic.read(RDH), 2);
  assert.equal(received(nic, 0), { length: 65, status: 7 });
  assert.is(nic.read(MPC), 1);
  assert.is(nic.read(TPR), 3);
  assert.is(nic.read(GPRC), 2);
});

test('a buffer where nothing answers swallows the data; a ring there stops', () => {
  const nic = new BareNic();
  receiveStart(nic, EN);
  nic.ramView(RX_RING).setUint32(0, 0x80000000, true);
  nic.offer([frameTo(MAC, 60)]);
  nic.service();
  assert.equal(received(nic, 0), { length: 64, status: 7 });
  nic.write(RDBAL, 0x80000000);
  nic.offer([frameTo(MAC, 60)]);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(RDH), 1);
  assert.is(nic.read(MPC), 1);
});

test('a frame for a peer that is longer than the queue of peer writes goes through it piece by piece, and each once', () => {
  const PEER_WRITES = 0x1400 + 64 * 8;
  const nic = new BareNic();
  nic.peer(0x80000000);
  receiveStart(nic, EN | LPE | BSEX_16K, 8, 16384);
  nic.ramView(RX_RING).setUint32(0, 0x80000000, true);
  nic.offer([frameTo(MAC, 10000)]);
  // a small budget, so that nothing is visible before the last piece is queued
  for (let i = 0; i < 1000 && nic.service(7) !== Service.IDLE; i++) {
    if (nic.read(RDH) === 0) assert.equal([nic.read(TPR), received(nic, 0).status, nic.get(nic.link + Link.NEXT)], [0, 0, 0]);
  }
  // 10,004 bytes with the FCS: two whole pages and the rest
  assert.is(nic.get(PEER_WRITES), 3);
  assert.is(nic.read(RDH), 1);
  assert.equal(received(nic, 0), { length: 10004, status: 7 });
  assert.is(nic.read(TPR), 1);
});

test('a packet goes out padded; DD only where RS asks', () => {
  const nic = new BareNic();
  const frame = frameTo(OTHER, 42);
  nic.ram(BUFFERS, 42).set(frame);
  nic.capture(0x10000);
  transmitStart(nic, EN | PSP);
  transmitPut(nic, 0, BUFFERS, 42, EOP | IFCS | RS);
  transmitPut(nic, 1, BUFFERS, 42, EOP | IFCS);
  nic.write(TDT, 1);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(ICR), 3, 'written back, and queue empty');
  assert.is(nic.read(TDH), 1);
  nic.write(TDT, 2);
  nic.service();
  assert.is(nic.read(ICR), 2);
  const sent = nic.captured();
  assert.equal(sent.map(({ length }) => length), [60, 60]);
  assert.equal([...sent[0]!], [...frame, ...new Array<number>(18).fill(0)]);
  assert.equal([0, 1].map((i) => nic.ram(TX_RING + 16 * i + 12, 1)[0]), [1, 0]);
  assert.is(nic.read(GPTC), 2);
  assert.is(nic.read(TPT), 2);
  assert.is(nic.read(GOTCL), 128);
  assert.is(nic.counter(Counter.TX_BYTES), 120);
  assert.is(nic.counter(Counter.DESCRIPTOR_WRITEBACKS), 1);
});

test('a packet is gathered; null descriptors add nothing; the software may bring its own FCS', () => {
  const nic = new BareNic();
  const frame = frameTo(OTHER, 204);
  nic.ram(BUFFERS, 204).set(frame);
  nic.capture(0x10000);
  transmitStart(nic, EN);
  transmitPut(nic, 0, BUFFERS, 100, RS);
  transmitPut(nic, 1, 0, 50, RS);
  transmitPut(nic, 2, BUFFERS + 100, 1, 0);
  transmitPut(nic, 3, BUFFERS + 101, 103, EOP | RS);
  transmitPut(nic, 4, BUFFERS, 0, EOP | IFCS | RS);
  nic.write(TDT, 5);
  nic.service();
  assert.is(nic.read(TDH), 5);
  assert.equal(nic.captured().map((sent) => [...sent]), [[...frame.subarray(0, 200)]]);
  assert.equal([0, 1, 2, 3, 4].map((i) => nic.ram(TX_RING + 16 * i + 12, 1)[0]), [1, 1, 0, 1, 1]);
});

test('a packet beyond 16288 bytes is dropped as a whole, the next one is not', () => {
  const nic = new BareNic();
  nic.capture(0x10000);
  transmitStart(nic, EN);
  transmitPut(nic, 0, BUFFERS, 16000, 0);
  transmitPut(nic, 1, BUFFERS, 289, EOP | IFCS | RS);
  transmitPut(nic, 2, BUFFERS, 16000, 0);
  transmitPut(nic, 3, BUFFERS, 288, EOP | IFCS | RS);
  nic.write(TDT, 4);
  nic.service();
  assert.equal(nic.captured().map(({ length }) => length), [16288]);
  assert.is(nic.read(TDH), 4);
});

// RFC 1071, byte pair by byte pair.
function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  bytes.forEach((byte, i) => {
    sum += i % 2 === 0 ? byte << 8 : byte;
  });
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

test('checksum insertion, from odd and even places, over odd and even lengths, once per packet', () => {
  for (const [len, css, cso] of [[100, 34, 50], [101, 34, 40], [99, 33, 40], [70, 0, 14], [101, 14, 98]] as const) {
    const nic = new BareNic();
    const frame = frameTo(OTHER, len);
    nic.ram(BUFFERS, len).set(frame);
    nic.capture(0x10000);
    transmitStart(nic, EN);
    transmitPut(nic, 0, BUFFERS, 60, 0, cso, css);
    transmitPut(nic, 1, BUFFERS + 60, len - 60, EOP | IFCS | IC | RS);
    nic.write(TDT, 2);
    nic.service();
    const checksum = internetChecksum(frame.subarray(css));
    frame.set([checksum >> 8, checksum & 0xff], cso);
    assert.equal([...nic.captured()[0]!], [...frame], `${len} ${css} ${cso}`);
  }
  const nic = new BareNic();
  const frame = frameTo(OTHER, 60);
  nic.ram(BUFFERS, 60).set(frame);
  nic.capture(0x10000);
  transmitStart(nic, EN);
  transmitPut(nic, 0, BUFFERS, 60, EOP | IFCS | IC, 59, 0);
  transmitPut(nic, 1, BUFFERS, 60, EOP | IFCS | IC, 0, 60);
  nic.write(TDT, 2);
  nic.service();
  assert.equal(nic.captured().map((sent) => [...sent]), [[...frame], [...frame]], 'out of the packet: ignored');
});

test('contexts are taken off the ring, with DD where RS asks, and send nothing', () => {
  const nic = new BareNic();
  nic.capture(0x10000);
  transmitStart(nic, EN);
  transmitPut(nic, 0, BUFFERS, 60, EOP | IFCS | RS | DEXT);
  transmitPut(nic, 1, BUFFERS, 60, EOP | IFCS | DEXT);
  nic.write(TDT, 2);
  nic.service();
  assert.is(nic.read(TDH), 2);
  assert.equal([0, 1].map((i) => nic.ram(TX_RING + 16 * i + 12, 1)[0]), [1, 0]);
  assert.equal(nic.captured(), []);
  assert.is(nic.read(TPT), 0);
});

test('a full link holds the ring back before anything is visible, and without fetching again', () => {
  const nic = new BareNic();
  nic.capture(256);
  transmitStart(nic, EN);
  for (let i = 0; i < 5; i++) transmitPut(nic, i, BUFFERS, 100, EOP | IFCS | RS);
  nic.write(TDT, 5);
  assert.is(nic.service(), Service.PENDING);
  assert.is(nic.read(TDH), 2);
  assert.is(nic.ram(TX_RING + 16 * 2 + 12, 1)[0], 0);
  const fetches = nic.counter(Counter.DESCRIPTOR_FETCHES);
  assert.is(nic.service(), Service.PENDING);
  assert.is(nic.counter(Counter.DESCRIPTOR_FETCHES), fetches);
  assert.is(nic.captured().length, 2);
  assert.is(nic.service(), Service.PENDING);
  assert.is(nic.captured().length, 2);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.captured().length, 1);
  assert.is(nic.read(TDH), 5);
  assert.is(nic.read(GPTC), 5);
});

test('a refused fetch stops the transmit ring until TCTL is written', () => {
  const nic = new BareNic();
  nic.capture(0x10000);
  transmitStart(nic, EN);
  transmitPut(nic, 0, BUFFERS, 100, EOP | IFCS | RS);
  nic.busMaster(false);
  nic.write(TDT, 1);
  assert.is(nic.service(), Service.IDLE);
  nic.busMaster(true);
  nic.service();
  assert.is(nic.read(TDH), 0);
  nic.write(TCTL, EN);
  nic.service();
  assert.is(nic.read(TDH), 1);
  assert.is(nic.captured().length, 1);
});

test('a faulted buffer sends nothing and writes nothing back', () => {
  const nic = new BareNic();
  nic.capture(0x10000);
  transmitStart(nic, EN);
  transmitPut(nic, 0, 0xfee00000, 100, EOP | IFCS | RS);
  nic.write(TDT, 1);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(TDH), 0);
  assert.is(nic.ram(TX_RING + 12, 1)[0], 0);
  assert.equal(nic.captured(), []);
});

test('without a link nothing is sent; without a plug nothing is received', () => {
  const nic = new BareNic();
  nic.set(nic.link + Link.UP, 0);
  transmitStart(nic, EN);
  transmitPut(nic, 0, BUFFERS, 100, EOP | IFCS | RS);
  nic.write(TDT, 1);
  receiveStart(nic, EN);
  nic.offer([frameTo(MAC, 60)]);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(TDH), 0);
  assert.is(nic.read(RDH), 0);
});

test('the directions take turns', () => {
  const nic = new BareNic();
  receiveStart(nic, EN);
  transmitStart(nic, EN);
  for (let i = 0; i < 6; i++) transmitPut(nic, i, BUFFERS, 100, EOP | IFCS | RS);
  nic.write(TDT, 6);
  nic.offer(Array.from({ length: 6 }, () => frameTo(MAC, 60)));
  let last = '';
  for (let i = 0; i < 12; i++) {
    nic.service(3);
    const now = `${nic.read(RDH)} ${nic.read(TDH)}`;
    assert.ok(Math.abs(nic.read(RDH) - nic.read(TDH)) <= 1, now);
    last = now;
  }
  assert.is(last, '6 6');
});

test('own frames come back in loopback, any number of times, equal for every budget', () => {
  const run = (budget: number): string => {
    const nic = new BareNic();
    nic.capture(0x1000, true);
    receiveStart(nic, EN | UPE);
    transmitStart(nic, EN | PSP);
    for (let i = 0; i < 7; i++) transmitPut(nic, i, BUFFERS + 0x8000, 60 + 100 * i, EOP | IFCS | RS);
    nic.ram(BUFFERS + 0x8000, 2000).set(frameTo(OTHER, 2000));
    nic.write(TDT, 7);
    let rounds = 0;
    while (nic.service(budget) === Service.MORE && rounds < 10000) rounds++;
    assert.is(nic.read(RDH), 7);
    const hash = nic.ram(0, 0x40000).reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 7);
    const counters = Array.from({ length: Counter.COUNT }, (_, i) => nic.counter(i));
    return `${hash} ${counters.join(' ')} ${nic.read(ICR)} ${nic.read(GPRC)}`;
  };
  const whole = run(100000);
  for (const budget of [1, 7, 1000]) assert.is(run(budget), whole, `budget ${budget}`);
});

test('received frames can be compared by the link when sent back', () => {
  const nic = new BareNic();
  const frames = Array.from({ length: 5 }, (_, i) => frameTo(MAC, 60 + 200 * i));
  receiveStart(nic, EN);
  transmitStart(nic, EN);
  nic.offer(frames, LinkSink.CHECK);
  nic.service();
  for (let i = 0; i < 5; i++) transmitPut(nic, i, BUFFERS + 2048 * i, received(nic, i).length - 4, EOP | IFCS | RS);
  nic.write(TDT, 5);
  nic.service();
  assert.is(nic.get(nic.link + Link.CHECKED), 5);
  assert.is(nic.get(nic.link + Link.MISMATCHES), 0);
});

test('nothing that software writes makes it trap or run on', () => {
  const nic = new BareNic();
  nic.capture(0x8000, true);
  let seed = 12345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
  const offs = [RCTL, TCTL, RDBAL, RDBAL + 4, RDLEN, RDH, RDT, TDBAL, TDBAL + 4, TDLEN, TDH, TDT, 0x0000, 0x0010,
    0x0014, 0x0018, 0x0020, 0x00c0, 0x00c8, 0x00d0, 0x00d8, MTA, 0x5400];
  const values = [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0x1000, 0x2000, 0xffff, 0x3fffe, 0x0600803e, 0xfee00000, 0xffffffff];
  for (let i = 0; i < 20000; i++) {
    if (random(10) === 0) nic.ramView(random(0x4000) & ~7).setUint32(0, values[random(values.length)]!, true);
    const value = random(2) === 0 ? values[random(values.length)]! : random(2 ** 32);
    if (random(4) === 0) nic.write(0, offs[random(offs.length)]!, 2);
    if (random(8) === 0) nic.write(4, value, 2);
    else if (random(8) === 0) nic.read(random(2) === 0 ? 0x4000 + 4 * random(64) : offs[random(offs.length)]!);
    else nic.write(offs[random(offs.length)]!, value);
    if (random(3) === 0) nic.service(500);
    if (random(50) === 0) nic.captured();
  }
  for (let i = 0; i < 100000 && nic.service(1000) === Service.MORE; i++);
  assert.is.not(nic.service(), Service.MORE);
});

test.run();
