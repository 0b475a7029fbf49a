import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BUFFERS, RX_RING, frameTo, receiveStart } from '../../helpers/bare-nic';
import { ExpressNic, MAC } from '../../helpers/express-nic';
import { buildPacket, onesSum } from '../../helpers/packets';

// Registers and the extended write-back format as the datasheet states them (317694, 7.1.5.1, 10.2.5):
// dword 0 MRQ, 1 IP id and checksum, 2 errors 31:24 and status, 3 VLAN tag and length.
const CTRL = 0x0000, RCTL = 0x0100, RDH = 0x2810, RXCSUM = 0x5000, RFCTL = 0x5008, MTA = 0x5200, VFTA = 0x5600;
const EN = 2, UPE = 8, MPE = 0x10, LPE = 0x20, BSIZE_256 = 0x30000, VFE = 0x40000, SECRC = 0x4000000;
const EXSTEN = 0x8000, IPV6_DIS = 0x400, PCSD = 0x2000, VME = 0x40000241;
const DD = 1, EOP = 2, IXSM = 4, VP = 8, UDPCS = 0x10, L4CS = 0x20, IPCS = 0x40, PIF = 0x80, IPIDV = 0x200;
const TCPE = 0x20000000, IPE = 0x40000000;

async function receiver(rctl = EN | UPE | MPE | SECRC, number = 8): Promise<ExpressNic> {
  const nic = await ExpressNic.create();
  nic.write(RFCTL, EXSTEN);
  receiveStart(nic, rctl, number);
  return nic;
}

/** What the next descriptor says of a frame: status, and the other dwords on demand. */
function take(nic: ExpressNic, frame: Uint8Array): number[] {
  const index = nic.read(RDH);
  nic.offer([frame]);
  nic.at(nic.now);
  nic.write(0x2818, index);
  return nic.descriptor(RX_RING, index);
}

test('a frame without offloads: all four dwords are written, the FCS counts unless it is stripped', async () => {
  const nic = await receiver(EN | UPE);
  nic.write(RXCSUM, 0);
  const frame = frameTo(MAC, 100);
  assert.equal(take(nic, frame), [0, 0, DD | EOP | IXSM, 104]);
  assert.equal(nic.ram(BUFFERS, 100), frame);
  nic.write(RCTL, EN | UPE | SECRC);
  assert.equal(take(nic, frame), [0, 0, DD | EOP | IXSM, 100]);
});

test('without EXSTEN descriptors have the legacy format', async () => {
  const nic = await receiver();
  nic.write(RFCTL, 0);
  nic.write(RXCSUM, 0);
  assert.equal(take(nic, frameTo(MAC, 100)), [BUFFERS, 0, 100, DD | EOP | IXSM]);
});

test('checksums of TCP and UDP over both versions of IP, good and bad', async () => {
  const nic = await receiver();
  for (const version of [4, 6] as const) {
    for (const protocol of ['tcp', 'udp'] as const) {
      const packet = buildPacket({ version, protocol, payload: 101 });
      const good = DD | EOP | L4CS | (version === 4 ? IPCS : 0) | (protocol === 'udp' ? UDPCS : 0);
      assert.is(take(nic, packet.bytes)[2], good, `${protocol} over IPv${version}`);
      const bad = packet.bytes.slice();
      bad[bad.length - 1]! ^= 1;
      assert.is(take(nic, bad)[2], good | TCPE, `bad ${protocol} over IPv${version}`);
    }
  }
  const broken = buildPacket({ payload: 10 }).bytes;
  broken[24]! ^= 0x55;
  assert.is(take(nic, broken)[2]! & (IPCS | IPE), IPCS | IPE);
  nic.write(RFCTL, EXSTEN | IPV6_DIS);
  assert.is(take(nic, buildPacket({ version: 6, payload: 10 }).bytes)[2], DD | EOP | IXSM);
});

test('the packet checksum, and the identification of a fragment; nothing of either with PCSD', async () => {
  const nic = await receiver();
  nic.write(RXCSUM, 0x300 | 14);
  const whole = buildPacket({ payload: 50 });
  const sum = onesSum(whole.bytes.subarray(14));
  assert.equal(take(nic, whole.bytes).slice(0, 2), [0, sum << 16 >>> 0]);
  const part = buildPacket({ payload: 50, fragment: 0x2000 });
  const [mrq, id, status] = take(nic, part.bytes);
  assert.is(mrq, 0);
  assert.is(id! & 0xffff, 0xfffe);
  assert.is(id! >>> 16, onesSum(part.bytes.subarray(14)));
  assert.is(status, DD | EOP | IPCS | IPIDV);
  nic.write(RXCSUM, 0x300 | 14 | PCSD);
  assert.equal(take(nic, part.bytes).slice(0, 3), [0, 0, DD | EOP | IPCS]);
});

test('a tag is taken out and told; the VLAN table lets pass what it names', async () => {
  const nic = await receiver(EN | UPE | SECRC | VFE);
  nic.write(CTRL, VME);
  const { bytes } = buildPacket({ payload: 60, tag: 0x6123 });
  const before = nic.read(RDH);
  nic.offer([bytes]);
  nic.at(0);
  assert.is(nic.read(RDH), before, 'not in the table');
  nic.write(VFTA + 4 * (0x123 >> 5), 1 << (0x123 & 31));
  const words = take(nic, bytes);
  assert.is(words[2], DD | EOP | VP | IPCS | L4CS);
  assert.is(words[3], (0x6123 << 16 | bytes.length - 4) >>> 0);
  assert.equal(nic.ram(BUFFERS + 2048 * before, 12), bytes.subarray(0, 12));
  assert.equal(nic.ram(BUFFERS + 2048 * before + 12, 40), bytes.subarray(16, 56));
});

test('what passed by the multicast table alone is marked', async () => {
  const nic = await receiver(EN | SECRC);
  const group = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x01];
  const bit = (group[4]! | group[5]! << 8) >> 4;
  nic.write(MTA + 4 * (bit >> 5), 1 << (bit & 31));
  assert.is(take(nic, frameTo(group, 80))[2]! & PIF, PIF);
});

test('a long frame fills several buffers; only the last descriptor says EOP', async () => {
  const nic = await receiver(EN | UPE | LPE | BSIZE_256 | SECRC);
  nic.write(RXCSUM, 0);
  const frame = frameTo(MAC, 700);
  nic.offer([frame]);
  nic.at(0);
  assert.is(nic.read(RDH), 3);
  const all = [0, 1, 2].map((index) => nic.descriptor(RX_RING, index));
  assert.equal(all.map((words) => words[3]), [256, 256, 188]);
  assert.equal(all.map((words) => words[2]! & (DD | EOP)), [DD, DD, DD | EOP]);
  const bytes = [0, 1, 2].flatMap((index) => [...nic.ram(BUFFERS + 2048 * index, index === 2 ? 188 : 256)]);
  assert.equal(bytes, [...frame]);
});

test.run();
