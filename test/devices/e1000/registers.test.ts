import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { E1000_IO_REGISTERS, E1000_REGISTERS } from '../../../src/devices/e1000/registers';
import { EDU_REGISTERS } from '../../../src/devices/edu/registers';
import { pageCells, register } from '../../../src/devices/register-table';
import { BareNic, MAC } from '../../helpers/bare-nic';

// Offsets and values as the manual states them (317453), not taken from the code under test.
const CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018, MDIC = 0x0020, ICR = 0x00c0,
  ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8, RCTL = 0x0100, RAL0 = 0x5400, RAH0 = 0x5404, MTA = 0x5200;

for (const table of [E1000_REGISTERS, E1000_IO_REGISTERS, EDU_REGISTERS]) {
  test(`BAR ${table.bar} of ${table.size} bytes: rows are in order, apart and inside`, () => {
    let end = 0;
    for (const row of table.rows) {
      assert.ok(row.off >= end && row.off % 4 === 0, row.name);
      end = row.off + row.bytes;
      assert.is(row.reset >>> 0, row.reset, row.name);
      assert.is(row.writeMask >>> 0, row.writeMask, row.name);
    }
    assert.ok(end <= table.size);
    assert.is(new Set(table.rows.map(({ name }) => name)).size, table.rows.length, 'a name twice');
  });
}

test('cells of a page: no gap between its registers, two for eight bytes', () => {
  const rows = [register('A', 0x1008, '', { reset: 1 }), register('B', 0x1010, '', { bytes: 8, writeMask: 3 })];
  const found = pageCells({ bar: 0, size: 0x3000, constant: 7, rows }, 1);
  const four = { writeMask: 0, w1c: 0, flags: 4 };
  assert.equal(found, {
    first: 2,
    cells: [
      { ...four, reset: 1 }, { reset: 7, writeMask: 0, w1c: 0, flags: 15 },
      { ...four, reset: 0, writeMask: 3 }, { ...four, reset: 0, writeMask: 3 },
    ],
  });
  assert.is(pageCells({ bar: 0, size: 0x3000, constant: 7, rows }, 2), undefined);
});

test('after reset: station address from the EEPROM, link at 1000 Mb/s full duplex', () => {
  const nic = new BareNic();
  assert.is(nic.read(RAL0), (MAC[0]! | MAC[1]! << 8 | MAC[2]! << 16 | MAC[3]! << 24) >>> 0);
  assert.is(nic.read(RAH0), (0x80000000 | MAC[4]! | MAC[5]! << 8) >>> 0);
  assert.is(nic.read(STATUS), 0x83);
  assert.is(nic.read(0x1000), 0x00100030, 'PBA');
  assert.is(nic.read(0x0004), 0, 'no register');
  assert.is(nic.read(0x6000), 0, 'no register in this page');
  assert.not(nic.interrupt());
});

test('CTRL.RST resets everything and clears itself', () => {
  const nic = new BareNic();
  nic.write(MTA, 0x12345678);
  nic.write(RAL0, 0);
  nic.write(RCTL, 0x8002);
  nic.write(IMS, 0xffffffff);
  nic.write(ICS, 4);
  assert.ok(nic.interrupt());
  nic.write(CTRL, 0x04000001);
  assert.is(nic.read(CTRL), 0x241);
  assert.is(nic.read(MTA), 0);
  assert.is(nic.read(RCTL), 0);
  assert.is(nic.read(IMS), 0);
  assert.is(nic.read(RAL0), 0x12005452);
  assert.not(nic.interrupt());
});

test('CTRL.PHY_RST and CTRL_EXT.EE_RST clear themselves; the latter loads the address again', () => {
  const nic = new BareNic();
  nic.write(CTRL, 0x80000241);
  assert.is(nic.read(CTRL), 0x241);
  nic.write(RAL0, 0);
  nic.write(CTRL_EXT, 0x2000);
  assert.is(nic.read(CTRL_EXT), 0);
  assert.is(nic.read(RAL0), 0x12005452);
});

test('interrupt causes: set, mask, read clears, one clears', () => {
  const nic = new BareNic();
  nic.write(ICS, 0x84);
  assert.not(nic.interrupt(), 'masked');
  nic.write(IMS, 0x80);
  assert.ok(nic.interrupt());
  nic.write(IMC, 0x80);
  assert.not(nic.interrupt());
  assert.is(nic.read(IMS), 0);
  nic.write(IMS, 0x84);
  assert.is(nic.read(IMS), 0x84);
  nic.write(IMS, 0x01);
  assert.is(nic.read(IMS), 0x85);
  nic.write(ICR, 0x80);
  assert.ok(nic.interrupt(), 'the other cause is still there');
  assert.is(nic.read(ICR), 0x04);
  assert.is(nic.read(ICR), 0);
  assert.not(nic.interrupt());
  nic.write(ICS, 0xffffffff);
  assert.is(nic.read(ICR), 0x1ffff);
});

// One clock of the four-wire interface: data in, SK up, data out, SK down, as drivers do it.
const REQ = 0x40, GNT = 0x80, CS = 2, SK = 1, DI = 4, DO = 8;

function clock(nic: BareNic, dataIn: number): number {
  const wires = REQ | CS | (dataIn ? DI : 0);
  nic.write(EECD, wires);
  nic.write(EECD, wires | SK);
  const out = nic.read(EECD) & DO ? 1 : 0;
  nic.write(EECD, wires);
  return out;
}

function shiftOut(nic: BareNic, value: number, bits: number): void {
  for (let i = bits - 1; i >= 0; i--) clock(nic, value >> i & 1);
}

function shiftIn(nic: BareNic): number {
  let value = 0;
  for (let i = 0; i < 16; i++) value = value << 1 | clock(nic, 0);
  return value;
}

test('EEPROM over its wires', () => {
  const nic = new BareNic();
  assert.is(nic.read(EECD) & GNT, 0);
  nic.write(EECD, REQ);
  assert.is(nic.read(EECD) & GNT, GNT);
  nic.write(EECD, REQ | CS);
  shiftOut(nic, 0b110, 3);
  shiftOut(nic, 0x2a, 6);
  assert.is(nic.read(EECD) & DO, 0, 'the zero in front of the data');
  assert.is(shiftIn(nic), 0x112a);
  assert.is(shiftIn(nic), 0x112b, 'the next word follows');
  nic.write(EECD, REQ);
  nic.write(EECD, REQ | CS);
  shiftOut(nic, 0, 2);
  shiftOut(nic, 0b110, 3);
  shiftOut(nic, 0x3f, 6);
  assert.is(shiftIn(nic), 0x113f, 'zeros before the start bit do not count');
  nic.write(EECD, REQ);
  nic.write(EECD, REQ | CS);
  shiftOut(nic, 0b101, 3);
  shiftOut(nic, 3, 6);
  shiftOut(nic, 0xdead, 16);
  nic.write(EECD, 0);
  assert.is(nic.read(EECD) & GNT, 0);
  nic.write(EERD, 0x0301);
  assert.is(nic.read(EERD), 0x11030310, 'word 3 as before: writing is left out');
});

test('EERD gives a word at once', () => {
  const nic = new BareNic();
  nic.write(EERD, 0x0100);
  assert.is(nic.read(EERD), 0x0100, 'no start, no read');
  nic.write(EERD, 0x0101);
  assert.is(nic.read(EERD), 0x12000110);
});

function phyRead(nic: BareNic, register: number, phy = 1): number {
  nic.write(MDIC, 0x08000000 | phy << 21 | register << 16);
  return nic.read(MDIC);
}

test('PHY: identity, error at other addresses, link bit, interrupt', () => {
  const nic = new BareNic();
  assert.is(phyRead(nic, 2) & 0xf000ffff, 0x10000141);
  assert.is(phyRead(nic, 3) & 0xf000ffff, 0x10000c20);
  assert.is(phyRead(nic, 2, 2) & 0x50000000, 0x50000000, 'error and ready');
  assert.is(phyRead(nic, 2) & 0x40000000, 0, 'the error does not stick');
  assert.is(phyRead(nic, 1) & 0x24, 0x24);
  nic.read(ICR);
  nic.write(MDIC, 0x04000000 | 1 << 21 | 0x1340);
  assert.is(nic.read(ICR), 4, 'negotiating again is a change of the link');
  assert.is(phyRead(nic, 0) & 0xffff, 0x1140, 'restart clears itself');
  assert.is(phyRead(nic, 1) & 0x24, 0x20, 'the loss is seen once');
  assert.is(phyRead(nic, 1) & 0x24, 0x24);
  nic.write(MDIC, 0x28000000 | 1 << 21 | 2 << 16);
  assert.is(nic.read(ICR), 0x200);
});

test('the I/O window does what a memory access does', () => {
  const nic = new BareNic();
  const io = (off: number): number => (nic.write(0, off, 1), nic.read(4, 1));
  assert.is(io(STATUS), 0x83);
  nic.write(0, IMS, 1);
  nic.write(4, 0x04, 1);
  nic.write(0, ICS, 1);
  nic.write(4, 0x04, 1);
  assert.ok(nic.interrupt());
  assert.is(io(IMC), 0xffffffff, 'write-only');
  assert.is(io(ICR), 4);
  assert.not(nic.interrupt());
  assert.is(nic.read(ICR), 0);
  nic.write(0, 0x2808, 1);
  nic.write(4, 0xffffffff, 1);
  assert.is(nic.read(0x2808), 0x000fff80, 'masks hold');
  assert.is(io(0x80000), 0, 'Flash');
  nic.write(4, 1, 1);
  assert.is(io(0x20000), 0, 'beyond the registers');
  nic.write(0, 0xfff00008, 1);
  assert.is(nic.read(0, 1), 0x00000008, 'bits 31:20 of the address are 0');
});

test.run();
