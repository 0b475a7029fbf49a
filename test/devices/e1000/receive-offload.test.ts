import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Service } from '../../../assembly/spec/status';
import {
  BUFFERS, BareNic, MAC, RX_RING, frameTo, receiveStart, transmitPut, transmitStart,
} from '../../helpers/bare-nic';
import { type PacketOptions, buildPacket, checksumAt, onesSum } from '../../helpers/packets';

// Offsets and bits as the manual states them (317453, §3.2.3, 3.2.9, chapter 9, 13.4.22).
const CTRL = 0x0000, VET = 0x0038, RCTL = 0x0100, RDH = 0x2810, RDT = 0x2818, TDT = 0x3818, RXCSUM = 0x5000,
  VFTA = 0x5600, MTA = 0x5200, RLEC = 0x4040, GPRC = 0x4074, GORCL = 0x4088, RUC = 0x40a4, ROC = 0x40ac;
const EN = 2, SBP = 4, UPE = 8, MPE = 0x10, VFE = 0x40000, CFIEN = 0x80000, CFI = 0x100000, SECRC = 0x4000000,
  BSIZE_256 = 0x30000, VME = 0x40000241, IPOFL = 0x100, TUOFL = 0x200, IPV6OFL = 0x400;
const DD = 1, EOP = 2, IXSM = 4, VP = 8, TCPCS = 0x20, IPCS = 0x40, PIF = 0x80, TCPE = 0x20, IPE = 0x40;
const FCS = [0xf1, 0xf2, 0xf3, 0xf4];

interface Descriptor { length: number; checksum: number; status: number; errors: number; special: number }

function descriptor(nic: BareNic, index: number): Descriptor {
  const view = nic.ramView(RX_RING + 16 * index);
  return {
    length: view.getUint16(8, true), checksum: view.getUint16(10, true), status: view.getUint8(12),
    errors: view.getUint8(13), special: view.getUint16(14, true),
  };
}

/** What the descriptor says of one frame. */
function report(bytes: Uint8Array, rxcsum: number, ctrl = 0x241): Descriptor {
  const nic = new BareNic();
  nic.write(CTRL, ctrl);
  nic.write(RXCSUM, rxcsum);
  receiveStart(nic, EN);
  nic.offer([bytes]);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(RDH), 1);
  return descriptor(nic, 0);
}

function flags(options: PacketOptions, rxcsum: number, change?: (bytes: Uint8Array, at: number) => void): number[] {
  const packet = buildPacket(options);
  change?.(packet.bytes, packet.ip);
  const { status, errors } = report(packet.bytes, rxcsum);
  return [status & ~(DD | EOP), errors];
}

const NONE = [IXSM, 0];
const ALL = IPOFL | TUOFL | IPV6OFL;

test('IPv4: header and TCP or UDP checksum, each by its own enable', () => {
  const packet = { payload: 100 };
  assert.equal(flags(packet, 0), NONE);
  assert.equal(flags(packet, IPOFL), [IPCS, 0]);
  assert.equal(flags(packet, TUOFL), [TCPCS, 0]);
  assert.equal(flags(packet, IPOFL | TUOFL), [IPCS | TCPCS, 0]);
  assert.equal(flags({ ...packet, protocol: 'udp' }, ALL), [IPCS | TCPCS, 0]);
  assert.equal(flags({ payload: 101, ipOptions: 40 }, ALL), [IPCS | TCPCS, 0], 'options, odd length');
  assert.equal(flags({ payload: 0 }, ALL), [IPCS | TCPCS, 0], 'the padding of a short frame does not count');
  assert.equal(flags({ ...packet, protocol: 1 }, ALL), [IPCS, 0], 'neither TCP nor UDP');
});

test('IPv4: wrong checksums', () => {
  const flip = (off: number) => (bytes: Uint8Array, ip: number): void => { bytes[ip + off]! ^= 1; };
  assert.equal(flags({ payload: 100 }, ALL, flip(8)), [IPCS | TCPCS, IPE]);
  assert.equal(flags({ payload: 100 }, ALL, flip(60)), [IPCS | TCPCS, TCPE]);
  assert.equal(flags({ payload: 100, protocol: 'udp' }, ALL, flip(12)), [IPCS | TCPCS, IPE | TCPE]);
  assert.equal(flags({ payload: 100 }, IPOFL, flip(60)), [IPCS, 0]);
  assert.equal(flags({ payload: 100 }, TUOFL, flip(8)), [TCPCS, 0]);
});

test('IPv4: what has no checksum to look at', () => {
  const set = (off: number, ...values: number[]) => (bytes: Uint8Array, ip: number): void => {
    bytes.set(values, ip + off);
  };
  assert.equal(flags({ payload: 100, fragment: 0x2000 }, ALL), [IPCS, 0], 'first fragment');
  assert.equal(flags({ payload: 100, fragment: 0x0010 }, ALL), [IPCS, 0], 'last fragment');
  assert.equal(flags({ payload: 100, fragment: 0x4000 }, ALL), [IPCS | TCPCS, 0], 'do not fragment');
  assert.equal(flags({ payload: 100, protocol: 'udp' }, ALL, set(26, 0, 0)), [IPCS, 0], 'UDP without a checksum');
  assert.equal(flags({ payload: 100 }, ALL, set(0, 0x55)), NONE, 'version 5');
  assert.equal(flags({ payload: 100 }, ALL, set(0, 0x44)), NONE, 'a header of 16 bytes');
  assert.equal(flags({ payload: 100 }, ALL, set(2, 0x01, 0x00)), NONE, 'longer than the frame');
  assert.equal(flags({ payload: 100 }, ALL, set(2, 0x00, 0x0f)), NONE, 'shorter than its header');
  assert.equal(flags({ payload: 100 }, TUOFL, set(2, 0x00, 0x20)), NONE, 'too short for TCP');
});

test('IPv6: TCP and UDP behind the extension headers that the device knows', () => {
  const six = { payload: 100, version: 6 as const };
  const options = (size: number, next: number, ...first: number[]): number[] =>
    [next, size / 8 - 1, ...first, ...new Array<number>(size - 2 - first.length).fill(0)];
  const behind = (first: number, bytes: number[]): number[] => flags({ ...six, extensions: { first, bytes } }, ALL);
  assert.equal(flags(six, ALL), [TCPCS, 0]);
  assert.equal(flags({ ...six, protocol: 'udp' }, ALL), [TCPCS, 0]);
  assert.equal(flags(six, TUOFL), NONE, 'IPV6OFL has to be set');
  assert.equal(flags(six, IPV6OFL), NONE);
  assert.equal(flags(six, ALL, (bytes, ip) => { bytes[ip + 70]! ^= 4; }), [TCPCS, TCPE]);
  assert.equal(behind(0, options(16, 6)), [TCPCS, 0], 'hop by hop');
  assert.equal(behind(60, options(64, 6)), [TCPCS, 0], 'destination');
  assert.equal(behind(60, options(72, 6)), NONE, 'longer than 64 bytes');
  assert.equal(behind(60, options(24, 6, 0, 0xc9, 16)), NONE, 'home address');
  assert.equal(behind(43, options(24, 6, 0, 0)), [TCPCS, 0], 'routing, done');
  assert.equal(behind(43, options(24, 6, 0, 1)), NONE, 'routing, not done');
  assert.equal(behind(44, options(8, 6)), NONE, 'fragment');
  assert.equal(behind(0, [...options(8, 43), ...options(8, 60), ...options(8, 6)]), [TCPCS, 0], 'three of them');
  assert.equal(behind(0, Array.from({ length: 9 }, () => options(8, 0)).flat()), NONE, 'more than anybody sends');
});

test('SNAP and tagged frames; other types', () => {
  assert.equal(flags({ payload: 100, snap: true }, ALL), [IPCS | TCPCS, 0]);
  assert.equal(flags({ payload: 100, tag: 7 }, ALL), [IPCS | TCPCS, 0]);
  assert.equal(flags({ payload: 100, tag: 7, snap: true, version: 6 }, ALL), [TCPCS, 0]);
  assert.equal(flags({ payload: 100, snap: true }, ALL, (bytes, ip) => { bytes[ip - 5] = 1; }), NONE,
    'another organization');
  const { status } = report(frameTo(MAC, 100), ALL);
  assert.is(status, DD | EOP | IXSM);
});

test('the packet checksum: from PCSS on, with the FCS unless it is stripped, without a stripped tag', () => {
  const bytes = frameTo(MAC, 101);
  const sum = (part: Uint8Array): number => onesSum(part);
  const received = Uint8Array.from([...bytes, ...FCS]);
  assert.is(report(bytes, TUOFL).checksum, sum(received));
  assert.is(report(bytes, TUOFL | 14).checksum, sum(received.subarray(14)));
  assert.is(report(bytes, TUOFL | 33).checksum, sum(received.subarray(33)), 'from an odd byte');
  assert.is(report(bytes, 104).checksum, sum(received.subarray(104)));
  assert.is(report(bytes, 200).checksum, 0, 'beyond its end');
  const nic = new BareNic();
  nic.write(RXCSUM, 14);
  receiveStart(nic, EN | SECRC);
  nic.offer([bytes]);
  nic.service();
  assert.is(descriptor(nic, 0).checksum, sum(bytes.subarray(14)));
  const tagged = buildPacket({ payload: 100, tag: 5 });
  assert.is(report(tagged.bytes, 14, VME).checksum, sum(Uint8Array.from([...tagged.bytes.subarray(18), ...FCS])));
});

test('stripping: the tag goes to the special field, the rest moves up, the FCS stays; only with VME and VET', () => {
  const nic = new BareNic();
  const packet = buildPacket({ payload: 80, tag: 0xe123 });
  nic.write(CTRL, VME);
  receiveStart(nic, EN);
  nic.offer([packet.bytes, frameTo(MAC, 70), packet.bytes]);
  nic.service();
  const { length, status, special } = descriptor(nic, 0);
  assert.equal([length, status, special], [packet.bytes.length, DD | EOP | IXSM | VP, 0xe123]);
  assert.equal([...nic.ram(BUFFERS, length)], [...packet.bytes.subarray(0, 12), ...packet.bytes.subarray(16), ...FCS]);
  assert.equal([descriptor(nic, 1).length, descriptor(nic, 1).status], [74, DD | EOP | IXSM]);
  assert.is(nic.read(GORCL), 2 * (packet.bytes.length + 4) + 74, 'counted as it was on the wire');
  nic.write(VET, 0x9100);
  nic.offer([packet.bytes]);
  nic.service();
  assert.equal([descriptor(nic, 3).length, descriptor(nic, 3).status], [packet.bytes.length + 4, DD | EOP | IXSM]);
});

test('stripping into several buffers; checksums of what is inside', () => {
  const nic = new BareNic();
  const packet = buildPacket({ payload: 700, tag: 9 });
  nic.write(CTRL, VME);
  nic.write(RXCSUM, ALL);
  receiveStart(nic, EN | BSIZE_256 | SECRC);
  nic.offer([packet.bytes]);
  nic.service();
  assert.equal([0, 1, 2].map((i) => descriptor(nic, i).length), [256, 256, 754 - 512]);
  assert.is(descriptor(nic, 2).status, DD | EOP | VP | IPCS | TCPCS);
  const whole = [0, 1, 2].flatMap((i) => [...nic.ram(BUFFERS + 2048 * i, descriptor(nic, i).length)]);
  assert.equal(whole, [...packet.bytes.subarray(0, 12), ...packet.bytes.subarray(16)]);
});

test('the VLAN filter with CFIEN compares the CFI', () => {
  for (const [rctl, tag, passes] of [
    [VFE, 0x1005, true], [VFE | CFIEN, 0x1005, false], [VFE | CFIEN | CFI, 0x1005, true],
    [VFE | CFIEN | CFI, 0x0005, false], [VFE | CFIEN, 0x0005, true], [CFIEN, 0x1005, true],
  ] as const) {
    const nic = new BareNic();
    receiveStart(nic, EN | rctl);
    nic.write(VFTA, 1 << 5);
    nic.offer([buildPacket({ payload: 60, tag }).bytes]);
    nic.service();
    assert.is(nic.read(RDH), passes ? 1 : 0, `${rctl.toString(16)} ${tag.toString(16)}`);
  }
});

test('a multicast frame that only the table let pass is marked', () => {
  const nic = new BareNic();
  const group = [0x01, 0, 0, 0, 0x12, 0x34];
  receiveStart(nic, EN);
  nic.write(MTA + 4 * (0x341 >> 5), 1 << (0x341 & 31));
  nic.offer([frameTo(group, 60)]);
  nic.service();
  nic.write(RCTL, EN | MPE);
  nic.offer([frameTo(group, 60)]);
  nic.service();
  nic.write(RCTL, EN);
  nic.write(0x5408, 0x00000001);
  nic.write(0x540c, 0x80003412);
  nic.offer([frameTo(group, 60)]);
  nic.service();
  const plain = DD | EOP | IXSM;
  assert.equal([0, 1, 2].map((i) => descriptor(nic, i).status), [plain | PIF, plain, plain]);
});

test('SBP stores frames of a wrong length, which count as such', () => {
  const nic = new BareNic();
  receiveStart(nic, EN | SBP);
  nic.offer([frameTo(MAC, 1600), frameTo(MAC, 100)]);
  nic.service();
  assert.equal([0, 1].map((i) => descriptor(nic, i).length), [1604, 104]);
  assert.equal([ROC, RLEC, GPRC, RUC].map((off) => nic.read(off)), [1, 1, 1, 0]);
  const loop = new BareNic();
  loop.capture(0x1000, true);
  receiveStart(loop, EN | SBP | UPE);
  transmitStart(loop, EN);
  transmitPut(loop, 0, BUFFERS + 0x8000, 30, 1 | 2);
  loop.write(TDT, 1);
  loop.service();
  assert.is(descriptor(loop, 0).length, 34);
  assert.equal([RUC, RLEC, GPRC].map((off) => loop.read(off)), [1, 1, 0]);
});

test('an offloaded frame for a peer is written to it piece by piece, and reported once', () => {
  const nic = new BareNic();
  nic.peer(0x80000000);
  nic.write(CTRL, VME);
  nic.write(RXCSUM, ALL);
  receiveStart(nic, EN | 0x20 | 0x2010000, 8, 16384);
  nic.ramView(RX_RING).setUint32(0, 0x80000000, true);
  nic.offer([buildPacket({ payload: 10000, tag: 3 }).bytes]);
  for (let i = 0; i < 1000 && nic.service(7) !== Service.IDLE; i++) { /* more */ }
  assert.is(descriptor(nic, 0).status, DD | EOP | VP | IPCS | TCPCS);
  assert.is(nic.get(0x1400 + 64 * 8), 3);
  nic.write(RDT, 0);
});

test.run();
