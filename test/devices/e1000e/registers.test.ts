import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { E1000E_IO_REGISTERS, E1000E_REGISTERS } from '../../../src/devices/e1000e/registers';
import { ExpressNic, MAC } from '../../helpers/express-nic';

// Offsets and values as the datasheet states them (317694, chapter 10), not taken from the code under test.
const CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018, ICR = 0x00c0, ICS = 0x00c8,
  IMS = 0x00d0, IVAR = 0x00e4, EITR = 0x00e8, EXTCNF_CTRL = 0x0f00, EEMNGCTL = 0x1010, EEWR = 0x102c, RAL0 = 0x5400,
  RAH0 = 0x5404, MTA = 0x5200, SWSM = 0x5b50, FWSM = 0x5b54, RSSRK = 0x5c80;
const IO = 2;

for (const table of [E1000E_REGISTERS, E1000E_IO_REGISTERS]) {
  test(`BAR ${table.bar} of ${table.size} bytes: rows are in order, apart and inside`, () => {
    let end = 0;
    for (const row of table.rows) {
      assert.ok(row.off >= end && row.off % 4 === 0, row.name);
      end = row.off + row.bytes;
      for (const word of [row.reset, row.writeMask, row.w1c]) assert.is(word >>> 0, word, row.name);
    }
    assert.ok(end <= table.size);
    assert.is(new Set(table.rows.map(({ name }) => name)).size, table.rows.length, 'a name twice');
  });
}

test('after reset: station address, link at 1000 Mb/s, bus master, NVM loaded, no firmware', async () => {
  const nic = await ExpressNic.create();
  assert.is(nic.read(RAL0), (MAC[0]! | MAC[1]! << 8 | MAC[2]! << 16 | MAC[3]! << 24) >>> 0);
  assert.is(nic.read(RAH0), (0x80000000 | MAC[4]! | MAC[5]! << 8) >>> 0);
  assert.is(nic.read(STATUS), 0x00080083);
  assert.is(nic.read(EECD) & 0x300, 0x300);
  assert.is(nic.read(EEMNGCTL) & 0xc0000, 0xc0000);
  assert.is(nic.read(FWSM), 0);
  assert.is(nic.read(0x5000), 0x300, 'RXCSUM: both checksums on');
  assert.is(nic.read(0x3840) & 0x400, 0x400, 'TARC0: queue enabled');
  assert.is(nic.read(0, 1), 0, 'Flash');
  assert.not(nic.interrupt());
});

function nvmWord(nic: ExpressNic, address: number): number {
  nic.write(EERD, address << 2 | 1);
  const answer = nic.read(EERD);
  assert.is(answer & 0x3, 0x2, 'done, and START is gone');
  assert.is(answer >> 2 & 0x3fff, address);
  return answer >>> 16;
}

test('NVM: words by EERD, sum 0xBABA, id and address in it, no management', async () => {
  const nic = await ExpressNic.create();
  const words = Array.from({ length: 64 }, (_, address) => nvmWord(nic, address));
  assert.is(words.reduce((sum, word) => sum + word & 0xffff, 0), 0xbaba);
  assert.equal(words.slice(0, 3).flatMap((word) => [word & 0xff, word >> 8]), MAC);
  assert.is(words[0x0d], 0x10d3);
  assert.is(words[0x0e], 0x8086);
  assert.is(words[0x0f]! & 0x6000, 0);
});

test('NVM: a word by EEWR stays over a reset, and a reload takes the address from there', async () => {
  const nic = await ExpressNic.create();
  assert.is(nic.read(EEWR) & 2, 2);
  nic.write(EEWR, (0xbeef << 16 | 1 << 2 | 1) >>> 0);
  assert.is(nic.read(EEWR) & 3, 2);
  nic.write(CTRL, 0x04000000);
  assert.is(nvmWord(nic, 1), 0xbeef);
  assert.is(nic.read(RAL0) >>> 16, 0xbeef);
  nic.write(RAL0, 0);
  nic.write(CTRL_EXT, 0x2000);
  assert.is(nic.read(CTRL_EXT), 0);
  assert.is(nic.read(RAL0) >>> 16, 0xbeef);
});

test('PHY: a BME1000 of revision 1 at address 1; registers from 16 on are paged', async () => {
  const nic = await ExpressNic.create();
  assert.is(nic.phy(2), 0x0141);
  assert.is(nic.phy(3), 0x0cb1);
  assert.is(nic.phy(1) & 0x24, 0x24, 'link, negotiated');
  const control = nic.phy(16);
  nic.phyWrite(22, 769);
  assert.is(nic.phy(16), 0, 'another page');
  nic.phyWrite(16, 0x1234);
  assert.is(nic.phy(22), 769);
  assert.is(nic.phy(3), 0x0cb1, 'those below have no pages');
  nic.phyWrite(22, 0);
  assert.is(nic.phy(16), control);
  nic.write(0x20, 0x08000000 | 2 << 21);
  assert.is(nic.read(0x20) & 0x50000000, 0x50000000, 'ready, error: nobody at address 2');
});

test('semaphores: SMBI is taken by reading, software owns the PHY while it asks for it', async () => {
  const nic = await ExpressNic.create();
  assert.is(nic.read(SWSM), 0);
  assert.is(nic.read(SWSM), 1, 'taken');
  nic.write(SWSM, 2);
  assert.is(nic.read(SWSM), 2, 'given back, SWESMBI kept');
  nic.write(EXTCNF_CTRL, 0x20);
  assert.is(nic.read(EXTCNF_CTRL) & 0x20, 0x20);
  nic.write(EXTCNF_CTRL, 0);
  assert.is(nic.read(EXTCNF_CTRL) & 0x20, 0);
});

test('Master Disable: STATUS tells, and no descriptor is fetched meanwhile', async () => {
  const nic = await ExpressNic.create();
  nic.link.plugCapture();
  nic.write(CTRL, 0x245);
  assert.is(nic.read(STATUS), 0x83);
  nic.ramView(0x2000).setUint32(0, 0x10000, true);
  nic.ramView(0x2000).setUint32(8, 100 | 0x0b << 24, true);
  nic.write(0x3800, 0x2000);
  nic.write(0x3808, 128);
  nic.write(0x400, 2);
  nic.write(0x3818, 1);
  nic.at(0);
  assert.is(nic.read(0x3810), 0);
  nic.write(CTRL, 0x241);
  assert.is(nic.read(STATUS), 0x80083);
  nic.at(0);
  assert.is(nic.read(0x3810), 1);
  assert.is(nic.link.capture().length, 1);
});

test('CTRL.RST resets the registers and not the MSI-X table; a reset of the function does both', async () => {
  const nic = await ExpressNic.create();
  const disturb = (): void => {
    nic.msix(0x40);
    const values = [[MTA, 0x12345678], [IVAR, 0x800fffff], [EITR, 77], [RSSRK, 5]] as const;
    for (const [off, value] of values) nic.write(off, value);
    nic.write(IMS, 0xffffffff);
    nic.write(ICS, 4);
  };
  const clean = (): void => {
    for (const off of [MTA, IVAR, EITR, RSSRK, IMS, ICR]) assert.is(nic.read(off), 0, off.toString(16));
    assert.equal(nic.messages(), []);
  };
  disturb();
  nic.write(CTRL, 0x04000000);
  clean();
  assert.is(nic.read(CTRL), 0x00100241);
  assert.is(nic.read(8, 3), 0x40);
  assert.is(nic.read(12, 3), 0);
  disturb();
  nic.engine.exports.functionReset(nic.fn);
  clean();
  assert.is(nic.read(8, 3), 0);
  assert.is(nic.read(12, 3), 1, 'masked');
  assert.is(nic.config(0xa2, 2), 4, 'MSI-X off');
});

test('D3hot to D0 and a system reset leave it as new', async () => {
  const nic = await ExpressNic.create();
  const { exports } = nic.engine;
  for (const reset of [
    (): void => {
      nic.configWrite(0xcc, 2, 3);
      nic.configWrite(0xcc, 2, 0);
    },
    (): void => void exports.systemReset(),
  ]) {
    nic.configWrite(4, 2, 7);
    nic.write(MTA, 0xffffffff);
    nic.write(IMS, 4);
    nic.write(ICS, 4);
    assert.ok(nic.interrupt());
    reset();
    assert.not(nic.interrupt());
    assert.is(nic.read(MTA), 0);
    assert.is(nic.read(IMS), 0);
    assert.is(nic.read(STATUS), 0x80083);
    assert.is(nic.config(4, 2), 0);
  }
});

test('the I/O window reaches every register, with its effects', async () => {
  const nic = await ExpressNic.create();
  const through = (off: number): number => {
    nic.write(0, off, IO);
    return nic.read(4, IO);
  };
  assert.is(through(STATUS), 0x80083);
  nic.write(0, EERD, IO);
  nic.write(4, 0x0d << 2 | 1, IO);
  assert.is(nic.read(4, IO) >>> 16, 0x10d3);
  nic.write(ICS, 4);
  assert.is(through(ICR), 4);
  assert.is(through(ICR), 0, 'read and cleared');
  assert.is(through(0x20000), 0, 'beyond the registers');
});

test('config space: 8086:10d3, four BARs, MSI-X in BAR 3, no function-level reset', async () => {
  const nic = await ExpressNic.create();
  assert.is(nic.config(0, 4), 0x10d38086);
  for (const [bar, mask] of [[0, 0xfffe0000], [1, 0xfffe0000], [2, 0xffffffe1], [3, 0xffffc000]] as const) {
    nic.configWrite(0x10 + 4 * bar, 4, 0xffffffff);
    assert.is(nic.config(0x10 + 4 * bar, 4), mask, `BAR ${bar}`);
  }
  const list: number[] = [];
  for (let at = nic.config(0x34, 1); at !== 0; at = nic.config(at + 1, 1)) list.push(nic.config(at, 1));
  assert.equal(list, [0x11, 0x01, 0x05, 0x10]);
  assert.is(nic.config(0xa4, 4), 3);
  assert.is(nic.config(0xa8, 4), 0x2003);
  assert.is(nic.config(0xe4, 4) & 0x10000000, 0);
  assert.equal([nic.config(0x100, 4) & 0xffff, nic.config(0x140, 4) & 0xffff], [1, 3]);
  assert.is(nic.config(0x148, 4), (MAC[0]! << 24 | MAC[1]! << 16 | MAC[2]! << 8 | 0xff) >>> 0);
});

test.run();
