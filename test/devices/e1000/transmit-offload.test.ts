import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Service } from '../../../assembly/spec/status';
import { BUFFERS, BareNic, TX_RING, descriptorPut, frameTo, transmitPut, transmitStart } from '../../helpers/bare-nic';
import { type Packet, buildPacket, checksumAt, protocolOf, segmentsOf, unchecked } from '../../helpers/packets';

// Offsets and bits as the manual states them (317453, §3.3.3, 3.3.6, 3.3.7, 3.5).
const CTRL = 0x0000, VET = 0x0038, ICR = 0x00c0, TCTL = 0x0400, TDH = 0x3810, TDT = 0x3818, TPT = 0x40d4,
  TSCTC = 0x40f8, TSCTFC = 0x40fc, GOTCL = 0x4090;
const EN = 2, PSP = 8, VME = 0x40000000;
const EOP = 1, IFCS = 2, TSE = 4, RS = 8, DEXT = 0x20, VLE = 0x40, TCP = 1, IP = 2, IXSM = 1, TXSM = 2;
const DATA = 1;

interface Context {
  packet: Packet;
  tse?: boolean;
  rs?: boolean;
  mss?: number;
  ipEnd?: number;
  transportEnd?: number;
  payload?: number;
  header?: number;
}

function contextPut(nic: BareNic, index: number, context: Context): void {
  const { packet, tse = false, rs = false, mss = 0, ipEnd = packet.transport - 1, transportEnd = 0 } = context;
  const four = packet.bytes[packet.ip]! >> 4 === 4;
  const command = DEXT | (tse ? TSE : 0) | (rs ? RS : 0) | (four ? IP : 0) | (protocolOf(packet) === 6 ? TCP : 0);
  const payload = context.payload ?? packet.bytes.length - packet.header;
  descriptorPut(nic, index, [
    packet.ip | packet.ip + 10 << 8 | ipEnd << 16, packet.transport | checksumAt(packet) << 8 | transportEnd << 16,
    payload | command << 24, (context.header ?? packet.header) << 8 | mss << 16,
  ]);
}

function dataPut(
  nic: BareNic, index: number, at: number, len: number, command: number, options = 0, special = 0,
): void {
  descriptorPut(nic, index, [at, 0, len | DATA << 20 | (command | DEXT) << 24, options << 8 | special << 16]);
}

function start(number = 32): BareNic {
  const nic = new BareNic();
  nic.capture(0x40000);
  transmitStart(nic, EN | PSP, number);
  return nic;
}

function done(nic: BareNic, index: number): number {
  return nic.ram(TX_RING + 16 * index + 12, 1)[0]! & 1;
}

/** As on a wire: no frame is shorter than 60 bytes. */
function padded(frame: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.max(60, frame.length));
  whole.set(frame);
  return whole;
}

const list = (frames: readonly Uint8Array[]): string[] => frames.map((frame) => Buffer.from(frame).toString('hex'));

test('checksums of IPv4 and IPv6, TCP and UDP, of whole and odd lengths; the context stays', () => {
  const nic = start(64);
  const packets = [
    buildPacket({ payload: 100 }), buildPacket({ payload: 101, ipOptions: 8 }),
    buildPacket({ payload: 33, protocol: 'udp' }), buildPacket({ payload: 64, version: 6 }),
    buildPacket({ payload: 65, version: 6, protocol: 'udp' }),
  ];
  let index = 0;
  packets.forEach((packet, i) => {
    const at = BUFFERS + 2048 * i;
    nic.ram(at, packet.bytes.length).set(unchecked(packet, true));
    const options = TXSM | (packet.bytes[packet.ip]! >> 4 === 4 ? IXSM : 0);
    contextPut(nic, index++, { packet });
    for (let n = 0; n < 2; n++) dataPut(nic, index++, at, packet.bytes.length, EOP | IFCS, options);
  });
  nic.write(TDT, index);
  assert.is(nic.service(), Service.IDLE);
  assert.equal(list(nic.captured()), list(packets.flatMap(({ bytes }) => [bytes, bytes])));
  assert.is(nic.read(TDH), index);
});

test('options count in the first descriptor of a packet only; without them nothing is touched', () => {
  const nic = start();
  const packet = buildPacket({ payload: 200 });
  const bytes = unchecked(packet, true);
  nic.ram(BUFFERS, bytes.length).set(bytes);
  contextPut(nic, 0, { packet });
  dataPut(nic, 1, BUFFERS, 40, IFCS, IXSM | TXSM);
  dataPut(nic, 2, BUFFERS + 40, 1, IFCS);
  dataPut(nic, 3, 0, 77, IFCS);
  dataPut(nic, 4, BUFFERS + 41, bytes.length - 41, EOP | IFCS | RS);
  dataPut(nic, 5, BUFFERS, 40, IFCS | RS);
  dataPut(nic, 6, BUFFERS + 40, bytes.length - 40, EOP | IFCS, IXSM | TXSM);
  nic.write(TDT, 7);
  nic.service();
  assert.equal(list(nic.captured()), list([packet.bytes, bytes]));
  assert.equal([0, 1, 2, 3, 4, 5, 6].map((i) => done(nic, i)), [0, 0, 0, 0, 1, 1, 0], 'DD only with RS');
});

test('ranges of a context: an end inside the packet, and fields outside of it', () => {
  const nic = start();
  const packet = buildPacket({ payload: 50 });
  nic.ram(BUFFERS, packet.bytes.length).set(unchecked(packet, true));
  // the last byte that counts is the header's last: as if there were no payload
  contextPut(nic, 0, { packet, transportEnd: packet.header - 1 });
  dataPut(nic, 1, BUFFERS, packet.bytes.length, EOP | IFCS, TXSM);
  descriptorPut(nic, 2, [0xff | 0xff << 8, 0xff | 0xff << 8, DEXT << 24, 0]);
  dataPut(nic, 3, BUFFERS, packet.bytes.length, EOP | IFCS, IXSM | TXSM);
  nic.write(TDT, 4);
  nic.service();
  const [short, untouched] = nic.captured();
  const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte, i) => total + (i % 2 ? byte : byte << 8), 0);
  const bytes = unchecked(packet, true);
  let expected = sum(bytes.subarray(packet.transport, packet.header));
  while (expected > 0xffff) expected = (expected & 0xffff) + (expected >>> 16);
  assert.is(new DataView(short!.buffer).getUint16(checksumAt(packet)), ~expected & 0xffff);
  assert.equal([...untouched!], [...bytes]);
});

test('a UDP checksum that comes out as 0 is sent as ones', () => {
  const nic = start();
  const payload = Uint8Array.from({ length: 4 }, () => 0);
  const zero = buildPacket({ payload, protocol: 'udp' });
  // the checksum of the same packet with its own checksum as payload is 0
  const view = new DataView(zero.bytes.buffer);
  view.setUint16(zero.header, view.getUint16(checksumAt(zero)));
  nic.ram(BUFFERS, zero.bytes.length).set(unchecked(zero, true));
  contextPut(nic, 0, { packet: zero });
  dataPut(nic, 1, BUFFERS, zero.bytes.length, EOP | IFCS, TXSM);
  nic.write(TDT, 2);
  nic.service();
  assert.is(new DataView(nic.captured()[0]!.buffer).getUint16(checksumAt(zero)), 0xffff);
});

test('segmentation: lengths, identification, sequence, FIN and PSH, checksums, over IPv4 and IPv6, TCP and UDP', () => {
  for (const options of [
    { payload: 4000, tcpFlags: 0x19 }, { payload: 4380, ipOptions: 12 }, { payload: 1000, version: 6 as const },
    { payload: 2921, protocol: 'udp' as const }, { payload: 5000, version: 6 as const, protocol: 'udp' as const },
  ]) {
    for (const mss of [1460, 536, 999]) {
      const nic = start();
      const packet = buildPacket(options);
      const bytes = unchecked(packet, false);
      nic.ram(BUFFERS, bytes.length).set(bytes);
      contextPut(nic, 0, { packet, tse: true, mss });
      const checks = TXSM | (options.version === 6 ? 0 : IXSM);
      // header and some payload, a part that ends in the middle of a segment, a single byte, the rest
      dataPut(nic, 1, BUFFERS, packet.header + 100, TSE | IFCS | RS, checks);
      dataPut(nic, 2, BUFFERS + packet.header + 100, 700, TSE | IFCS);
      dataPut(nic, 3, BUFFERS + packet.header + 800, 1, TSE | IFCS);
      dataPut(nic, 4, BUFFERS + packet.header + 801, options.payload - 801, TSE | IFCS | EOP | RS);
      nic.write(TDT, 5);
      assert.is(nic.service(), Service.IDLE);
      const expected = segmentsOf(packet, mss).map(padded);
      assert.equal(list(nic.captured()), list(expected), JSON.stringify({ options, mss }));
      assert.is(nic.read(TDH), 5);
      assert.is(nic.read(TPT), expected.length);
      assert.is(nic.read(GOTCL), expected.reduce((sum, frame) => sum + frame.length + 4, 0));
      assert.is(nic.read(TSCTC), 1);
      assert.is(nic.read(TSCTFC), 0);
      assert.equal([1, 2, 3, 4].map((i) => done(nic, i)), [1, 0, 0, 1]);
      assert.is(nic.read(ICR), 3);
    }
  }
});

test('the header may come in pieces, and 64 KiB in one descriptor', () => {
  const nic = start();
  const packet = buildPacket({ payload: 65000 });
  const bytes = unchecked(packet, false);
  nic.ram(BUFFERS, bytes.length).set(bytes);
  contextPut(nic, 0, { packet, tse: true, mss: 1448 });
  dataPut(nic, 1, BUFFERS, 14, TSE | IFCS, IXSM | TXSM);
  dataPut(nic, 2, BUFFERS + 14, 20, TSE | IFCS);
  dataPut(nic, 3, BUFFERS + 34, 20, TSE | IFCS);
  dataPut(nic, 4, BUFFERS + 54, 65000, TSE | IFCS | EOP | RS);
  nic.write(TDT, 5);
  nic.service();
  assert.equal(list(nic.captured()), list(segmentsOf(packet, 1448)));
});

test('two contexts are kept apart: segmentation between packets that only have checksums', () => {
  const nic = start();
  const small = buildPacket({ payload: 20, protocol: 'udp' });
  const large = buildPacket({ payload: 3000 });
  nic.ram(BUFFERS, small.bytes.length).set(unchecked(small, true));
  nic.ram(BUFFERS + 2048, large.bytes.length).set(unchecked(large, false));
  contextPut(nic, 0, { packet: small });
  contextPut(nic, 1, { packet: large, tse: true, mss: 1000, rs: true });
  dataPut(nic, 2, BUFFERS, small.bytes.length, EOP | IFCS, IXSM | TXSM);
  dataPut(nic, 3, BUFFERS + 2048, large.bytes.length, TSE | EOP | IFCS, IXSM | TXSM);
  dataPut(nic, 4, BUFFERS, small.bytes.length, EOP | IFCS, IXSM | TXSM);
  transmitPut(nic, 5, BUFFERS, small.bytes.length, EOP | IFCS);
  nic.write(TDT, 6);
  nic.service();
  const expected = [small.bytes, ...segmentsOf(large, 1000), small.bytes, unchecked(small, true)];
  assert.equal(list(nic.captured()), list(expected.map(padded)));
  assert.is(done(nic, 1), 1);
});

test('a segmentation that does not add up: what there is goes out, and counts as failed', () => {
  const packet = buildPacket({ payload: 1500 });
  const send = (context: Partial<Context>, len = packet.bytes.length): unknown[] => {
    const nic = start();
    nic.ram(BUFFERS, packet.bytes.length).set(unchecked(packet, false));
    contextPut(nic, 0, { packet, tse: true, mss: 1000, ...context });
    dataPut(nic, 1, BUFFERS, len, TSE | EOP | IFCS | RS, IXSM | TXSM);
    transmitPut(nic, 2, BUFFERS, 60, EOP | IFCS);
    nic.write(TDT, 3);
    assert.is(nic.service(), Service.IDLE);
    assert.is(nic.read(TDH), 3);
    assert.is(done(nic, 1), 1);
    const frames = nic.captured();
    assert.is(frames.pop()?.length, 60, 'the next packet is not affected');
    return [frames.map((frame) => frame.length), nic.read(TSCTC), nic.read(TSCTFC)];
  };
  assert.equal(send({}), [[1054, 554], 1, 0]);
  assert.equal(send({ payload: 1400 }), [[1054, 454], 1, 0], 'bytes beyond PAYLEN belong to nothing');
  assert.equal(send({ payload: 5000 }), [[1054, 554], 0, 1], 'fewer than PAYLEN');
  assert.equal(send({}, 40), [[], 0, 1], 'not even a header');
  assert.equal(send({ mss: 0 }), [[], 0, 1]);
  assert.equal(send({ payload: 0 }), [[], 0, 1]);
  assert.equal(send({ header: 0 }), [[], 0, 1]);
  assert.equal(send({ mss: 65535, payload: 0xfffff }), [[], 0, 1], 'larger than the packet buffer');
});

test('tags: VLE puts VET and the special field in when CTRL.VME is set, behind the checksums', () => {
  const nic = start();
  const packet = buildPacket({ payload: 100 });
  nic.ram(BUFFERS, packet.bytes.length).set(unchecked(packet, true));
  const tagOf = (bytes: Uint8Array, type: number, special: number): Uint8Array => Uint8Array.from([
    ...bytes.subarray(0, 12), type >> 8, type & 0xff, special >> 8, special & 0xff, ...bytes.subarray(12),
  ]);
  const legacy = (index: number, command: number): void => {
    transmitPut(nic, index, BUFFERS, packet.bytes.length, command);
    nic.ramView(TX_RING + 16 * index + 14).setUint16(0, 0xe123, true);
  };
  contextPut(nic, 0, { packet });
  dataPut(nic, 1, BUFFERS, packet.bytes.length, EOP | IFCS | VLE, IXSM | TXSM, 0x2abc);
  nic.write(CTRL, VME | 0x241);
  nic.write(TDT, 2);
  nic.service();
  assert.equal(list(nic.captured()), list([tagOf(packet.bytes, 0x8100, 0x2abc)]));
  nic.write(VET, 0x88a8);
  legacy(2, EOP | IFCS | VLE);
  legacy(3, EOP | VLE);
  legacy(4, EOP | IFCS);
  nic.write(TDT, 5);
  nic.service();
  const bytes = unchecked(packet, true);
  assert.equal(list(nic.captured()), list([tagOf(bytes, 0x88a8, 0xe123), tagOf(bytes, 0x88a8, 0xe123), bytes]),
    'with a tag the device appends the FCS, IFCS or not');
  nic.write(CTRL, 0x241);
  legacy(5, EOP | IFCS | VLE);
  nic.write(TDT, 6);
  nic.service();
  assert.equal(list(nic.captured()), list([bytes]), 'without VME nothing is put in');
});

test('tags of segments come from the first data descriptor', () => {
  const nic = start();
  const packet = buildPacket({ payload: 2000 });
  nic.ram(BUFFERS, packet.bytes.length).set(unchecked(packet, false));
  nic.write(CTRL, VME | 0x241);
  contextPut(nic, 0, { packet, tse: true, mss: 900 });
  dataPut(nic, 1, BUFFERS, 100, TSE | IFCS | VLE, IXSM | TXSM, 0x0007);
  dataPut(nic, 2, BUFFERS + 100, packet.bytes.length - 100, TSE | IFCS | EOP, 0, 0x0fff);
  nic.write(TDT, 3);
  nic.service();
  const frames = nic.captured();
  assert.equal(frames.map((frame) => [...frame.subarray(12, 18)]), Array(3).fill([0x81, 0, 0, 7, 0x08, 0]));
  const without = frames.map((frame) => Uint8Array.from([...frame.subarray(0, 12), ...frame.subarray(16)]));
  assert.equal(list(without), list(segmentsOf(packet, 900)));
});

test('a full link stops between two segments, and no descriptor is fetched again', () => {
  const nic = new BareNic();
  nic.capture(0x1000);
  transmitStart(nic, EN, 32);
  const packet = buildPacket({ payload: 9000 });
  nic.ram(BUFFERS, packet.bytes.length).set(unchecked(packet, false));
  contextPut(nic, 0, { packet, tse: true, mss: 1000 });
  dataPut(nic, 1, BUFFERS, packet.bytes.length, TSE | IFCS | EOP | RS, IXSM | TXSM);
  nic.write(TDT, 2);
  const frames: Uint8Array[] = [];
  for (let i = 0; i < 2; i++) {
    assert.is(nic.service(), Service.PENDING);
    assert.is(nic.read(TDH), 1);
    assert.is(done(nic, 1), 0);
    frames.push(...nic.captured());
  }
  // what is in memory now does not matter any more: the descriptor is the device's
  descriptorPut(nic, 1, [0, 0, 0, 0]);
  while (nic.service() === Service.PENDING) frames.push(...nic.captured());
  frames.push(...nic.captured());
  assert.equal(list(frames), list(segmentsOf(packet, 1000)));
  assert.is(nic.read(TDH), 2);
});

test('refused DMA in the middle of a segmentation stops the ring; TDH gives the packet up', () => {
  const nic = start();
  const packet = buildPacket({ payload: 3000 });
  nic.ram(BUFFERS, packet.bytes.length).set(unchecked(packet, false));
  contextPut(nic, 0, { packet, tse: true, mss: 1000 });
  dataPut(nic, 1, BUFFERS, 1500, TSE | IFCS, IXSM | TXSM);
  dataPut(nic, 2, 0xfee00000, packet.bytes.length - 1500, TSE | IFCS | EOP | RS);
  nic.write(TDT, 3);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(TDH), 2);
  assert.is(done(nic, 2), 0);
  assert.is(nic.captured().length, 1);
  nic.write(TDH, 3);
  transmitPut(nic, 3, BUFFERS, 80, EOP | IFCS);
  nic.write(TDT, 4);
  nic.service();
  assert.equal(nic.captured().map((frame) => frame.length), [80]);
  nic.write(TCTL, 0);
});

test('types that do not exist are taken off the ring; what kind a packet is says its first descriptor', () => {
  const nic = start();
  const frame = frameTo([0x52, 0x54, 0, 0, 0, 1], 200);
  nic.ram(BUFFERS, 200).set(frame);
  descriptorPut(nic, 0, [BUFFERS, 0, 60 | 2 << 20 | (DEXT | EOP | IFCS | RS) << 24, 0]);
  transmitPut(nic, 1, BUFFERS, 100, IFCS);
  dataPut(nic, 2, BUFFERS + 100, 100, EOP | IFCS | TSE, IXSM | TXSM);
  nic.write(TDT, 3);
  nic.service();
  assert.is(done(nic, 0), 1);
  assert.equal(list(nic.captured()), list([frame]));
});

test.run();
