import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../../assembly/spec/link';
import { Service } from '../../../assembly/spec/status';
import {
  BUFFERS, BareNic, MAC, RX_RING, frameTo, receiveStart, transmitPut, transmitStart,
} from '../../helpers/bare-nic';

// Offsets and bits as the manual and IEEE 802.3 clause 22 state them.
const CTRL = 0x0000, STATUS = 0x0008, MDIC = 0x0020, ICR = 0x00c0, IMS = 0x00d0, RCTL = 0x0100, RDH = 0x2810,
  RDT = 0x2818, TDH = 0x3810, TDT = 0x3818, PBA = 0x1000, LEDCTL = 0x0e00, GPTC = 0x4080, GPRC = 0x4074;
const EN = 2, UPE = 8, LBM_PHY = 0xc0, LBM_MAC = 0x40, PSP = 8, SEND = 0x0b;
const LOOPBACK = 0x4000, POWER_DOWN = 0x0800, RESET = 0x8000;
const LSC = 4, LU = 2;

function phyWrite(nic: BareNic, register: number, value: number): void {
  nic.write(MDIC, 0x04000000 | 1 << 21 | register << 16 | value);
}

function phyRead(nic: BareNic, register: number): number {
  nic.write(MDIC, 0x08000000 | 1 << 21 | register << 16);
  return nic.read(MDIC) & 0xffff;
}

function start(): BareNic {
  const nic = new BareNic();
  nic.capture(0x10000);
  receiveStart(nic, EN | UPE);
  transmitStart(nic, EN | PSP);
  nic.ram(BUFFERS + 0x8000, 1514).set(frameTo(MAC, 1514));
  return nic;
}

const LOOPBACKS: readonly [name: string, set: (nic: BareNic, on: boolean) => void][] = [
  ['the PHY', (nic, on) => phyWrite(nic, 0, on ? 0x0140 | LOOPBACK : 0x1140)],
  ['RCTL.LBM, 11', (nic, on) => nic.write(RCTL, EN | UPE | (on ? LBM_PHY : 0))],
  ['RCTL.LBM, 01', (nic, on) => nic.write(RCTL, EN | UPE | (on ? LBM_MAC : 0))],
];

for (const [name, set] of LOOPBACKS) {
  test(`loopback by ${name}: frames come back, nothing reaches the wire, and afterwards it does again`, () => {
    const nic = start();
    set(nic, true);
    nic.set(nic.link + Link.UP, 0);
    for (let i = 0; i < 5; i++) transmitPut(nic, i, BUFFERS + 0x8000, 1514 - 300 * i, SEND);
    nic.write(TDT, 5);
    assert.is(nic.service(), Service.IDLE);
    assert.is(nic.read(RDH), 5);
    const lengths = [0, 1, 2, 3, 4].map((i) => nic.ramView(RX_RING + 16 * i).getUint16(8, true));
    assert.equal(lengths, [1518, 1218, 918, 618, 318]);
    assert.equal([...nic.ram(BUFFERS, 1514)], [...frameTo(MAC, 1514)]);
    assert.is(nic.captured().length, 0);
    nic.set(nic.link + Link.UP, 1);
    set(nic, false);
    transmitPut(nic, 5, BUFFERS + 0x8000, 100, SEND);
    nic.write(TDT, 6);
    nic.service();
    assert.equal(nic.captured().map((frame) => frame.length), [100]);
    assert.is(nic.read(RDH), 5);
  });
}

test('a loopback that nobody receives from fills up and holds the transmitter', () => {
  const nic = start();
  phyWrite(nic, 0, 0x0140 | LOOPBACK);
  nic.write(RDT, 0);
  let sent = 0;
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 7; i++) transmitPut(nic, (sent + i) % 8, BUFFERS + 0x8000, 1514, SEND);
    nic.write(TDT, (sent + 7) % 8);
    if (nic.service() === Service.PENDING) break;
    sent = nic.read(TDH);
  }
  const stuck = nic.read(GPTC);
  assert.is(stuck, Math.floor(0x4000 / 1532));
  nic.write(RDT, 7);
  nic.service();
  assert.ok(nic.read(GPRC) > 0);
});

test('a PHY that is powered down has no link; powering it up gives it back, and both are reported', () => {
  const nic = start();
  nic.write(IMS, LSC);
  phyWrite(nic, 0, 0x1140 | POWER_DOWN);
  assert.is(nic.read(STATUS) & LU, 0);
  assert.is(nic.read(ICR), LSC);
  assert.is(phyRead(nic, 1) & 4, 0);
  transmitPut(nic, 0, BUFFERS + 0x8000, 100, SEND);
  nic.write(TDT, 1);
  assert.is(nic.service(), Service.IDLE);
  assert.is(nic.read(TDH), 0, 'what is to be sent waits');
  phyWrite(nic, 0, 0x1140);
  assert.is(nic.read(STATUS) & LU, LU);
  assert.is(nic.read(ICR), LSC);
  nic.service();
  assert.is(nic.captured().length, 1);
  assert.is(phyRead(nic, 1) & 4, 0, 'the loss is seen once');
  assert.is(phyRead(nic, 1) & 4, 4);
});

test('PHY reset and device reset end loopback and power-down', () => {
  for (const reset of [
    (nic: BareNic) => phyWrite(nic, 0, RESET), (nic: BareNic) => nic.write(CTRL, 0x80000241),
    (nic: BareNic) => nic.write(CTRL, 0x04000000),
  ]) {
    for (const bits of [POWER_DOWN, LOOPBACK]) {
      const nic = start();
      phyWrite(nic, 0, bits);
      reset(nic);
      assert.is(phyRead(nic, 0), 0x1140);
      assert.is(nic.read(STATUS), 0x83);
      transmitStart(nic, EN);
      transmitPut(nic, 0, BUFFERS + 0x8000, 100, SEND);
      nic.write(TDT, 1);
      nic.service();
      assert.is(nic.captured().length, 1);
    }
  }
});

test('a reset through the I/O window resets the window too', () => {
  const nic = start();
  nic.write(PBA, 0x20);
  nic.write(0, 0, 1);
  nic.write(4, 0x04000000, 1);
  assert.is(nic.read(CTRL), 0x241);
  assert.is(nic.read(PBA), 0x00100030);
  nic.write(0, RCTL, 1);
  assert.is(nic.read(4, 1), 0);
  nic.write(4, EN, 1);
  assert.is(nic.read(RCTL), EN);
});

test('registers without a model behind them keep what a driver writes', () => {
  const nic = new BareNic();
  for (const [name, off, written, read] of [
    ['FCAL', 0x28, 0x00c28001, 0x00c28001], ['FCAH', 0x2c, 0x100, 0x100], ['FCT', 0x30, 0x8808, 0x8808],
    ['FCTTV', 0x170, 0xffff, 0xffff], ['FCRTL', 0x2160, 0x8000aff8, 0x8000aff8], ['FCRTH', 0x2168, 0xaff8, 0xaff8],
    ['LEDCTL', LEDCTL, 0x07068307, 0x07068307], ['PBA', PBA, 0x20, 0x00100020], ['TIPG', 0x410, 0x00602008, 0x00602008],
    ['WUC', 0x5800, 0x3, 0x3], ['WUFC', 0x5808, 0xff, 0xff], ['MANC', 0x5820, 0x2000, 0x2000],
    ['TXDCTL', 0x3828, 0x01010000, 0x01010000], ['RXDCTL', 0x2828, 0x01010000, 0x01010000], ['AIFS', 0x458, 5, 5],
  ] as const) {
    nic.write(off, written);
    assert.is(nic.read(off), read, name);
  }
});

test('registers hold every bit that they have, and no other', () => {
  for (const [name, off, mask] of [
    ['FCAL', 0x28, 0xffffffff], ['FCAH', 0x2c, 0xffff], ['FCT', 0x30, 0xffff], ['VET', 0x38, 0xffff],
    ['RDTR', 0x2820, 0xffff], ['RDBAH', 0x2804, 0xffffffff], ['RDLEN', 0x2808, 0xfff80], ['RDH', 0x2810, 0xffff],
    ['RDT', 0x2818, 0xffff], ['FCRTH', 0x2168, 0xfff8], ['FCTTV', 0x170, 0xffff], ['TIPG', 0x410, 0x3fffffff],
    ['TDBAH', 0x3804, 0xffffffff], ['TDLEN', 0x3808, 0xfff80], ['RDBAL', 0x2800, 0xfffffff0],
    ['TXCW', 0x178, 0xc000ffff], ['TDBAL', 0x3800, 0xfffffff0], ['TIDV', 0x3820, 0xffff], ['RAL', 0x5478, 0xffffffff],
    ['RAH', 0x547c, 0x8003ffff], ['MTA', 0x53fc, 0xffffffff], ['VFTA', 0x57fc, 0xffffffff], ['ITR', 0xc4, 0xffff],
    ['RADV', 0x282c, 0xffff], ['TADV', 0x382c, 0xffff],
  ] as const) {
    const nic = new BareNic();
    for (const pattern of [0x5a5a5a5a, 0xa5a5a5a5, 0, 0xffffffff]) {
      nic.write(off, pattern);
      assert.is(nic.read(off), (pattern & mask) >>> 0, name);
    }
  }
  const nic = new BareNic();
  nic.write(STATUS, 0xfffff833);
  assert.is(nic.read(STATUS), 0x83, 'STATUS is not written');
});

test('the EEPROM has room for 64 words', () => {
  const nic = new BareNic();
  assert.is(nic.read(0x10) & 0x300, 0x100, 'present, and of the small size');
});

test.run();
