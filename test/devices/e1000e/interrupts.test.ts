import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BUFFERS, frameTo, receiveStart, transmitPut, transmitStart } from '../../helpers/bare-nic';
import { ExpressNic, MAC } from '../../helpers/express-nic';

// Offsets and bits as the datasheet states them (317694, 7.4 and 10.2.4).
const CTRL_EXT = 0x0018, ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8, EIAC = 0x00dc,
  IAM = 0x00e0, IVAR = 0x00e4, EITR = 0x00e8, TDT = 0x3818;
const EN = 2, EOP_IFCS_RS = 0x0b;
const TXDW = 1, TXQE = 2, LSC = 4, RXO = 0x40, RXT0 = 0x80, RXQ0 = 0x100000, RXQ1 = 0x200000, TXQ0 = 0x400000,
  OTHER = 0x1000000, ASSERTED = 0x80000000;
const EIAME = 0x1000000, IAME = 0x8000000;
/** RXQ0 to vector 0, TXQ0 to 1, OTHER to 2; RXQ1 to 4. */
const VECTORS = 0x8 | 0xc << 4 | 0x9 << 8 | 0xa << 16;

async function receiver(): Promise<ExpressNic> {
  const nic = await ExpressNic.create();
  receiveStart(nic, EN, 64);
  return nic;
}

function arrive(nic: ExpressNic, now = nic.now): void {
  nic.offer([frameTo(MAC, 60)]);
  nic.at(now);
}

test('INTx: a level, which reading ICR takes away; INT_ASSERTED tells whose it is', async () => {
  const nic = await receiver();
  arrive(nic);
  assert.not(nic.interrupt());
  nic.write(IMS, RXT0 | LSC);
  assert.ok(nic.interrupt());
  assert.is(nic.read(ICR), (ASSERTED | RXT0) >>> 0);
  assert.not(nic.interrupt());
  assert.is(nic.read(ICR), 0);
  nic.write(ICS, 0x10);
  assert.is(nic.read(ICR), 0x10, 'not enabled: not asserted');
  assert.is(nic.read(ICR), 0x10, 'and a read changes nothing');
  nic.write(IMC, 0xffffffff);
  assert.is(nic.read(ICR), 0x10);
  assert.is(nic.read(ICR), 0, 'but with everything masked it does');
  nic.write(ICS, 0xffffffff);
  assert.is(nic.read(ICR), 0x01f782d7);
});

test('IAME: looking at ICR masks what IAM names, a write of it too', async () => {
  const nic = await receiver();
  nic.write(CTRL_EXT, IAME);
  nic.write(IAM, 0xffffffff);
  nic.write(IMS, RXT0 | LSC);
  nic.write(ICS, RXT0);
  assert.is(nic.read(ICR), (ASSERTED | RXT0) >>> 0);
  assert.is(nic.read(IMS), 0);
  nic.write(IMS, RXT0 | LSC);
  nic.write(IAM, RXT0);
  nic.write(ICS, RXT0);
  nic.write(ICR, RXT0);
  assert.is(nic.read(IMS), LSC);
});

test('MSI: a message for each cause that comes, none for one that is there; enabling lets one go', async () => {
  const nic = await receiver();
  nic.msi(0x61);
  arrive(nic);
  assert.equal(nic.messages(), []);
  nic.write(IMS, RXT0 | LSC);
  assert.equal(nic.messages(), [0x61]);
  arrive(nic);
  assert.equal(nic.messages(), [], 'RXT0 is set already');
  nic.write(ICS, LSC);
  assert.equal(nic.messages(), [0x61], 'another cause');
  assert.not(nic.interrupt(), 'the pin is silent');
  assert.is(nic.read(ICR), (ASSERTED | RXT0 | LSC) >>> 0);
  arrive(nic);
  assert.equal(nic.messages(), [0x61]);
  nic.write(IMC, RXT0);
  nic.write(IMS, RXT0);
  assert.equal(nic.messages(), [0x61], 'masked and enabled again: it still waits');
});

test('MSI: ITR holds messages back, and one that nobody waits for any more does not come', async () => {
  const nic = await receiver();
  nic.msi(0x61);
  nic.write(ITR, 100);
  nic.write(IMS, RXT0);
  arrive(nic, 1000);
  assert.equal(nic.messages(), [0x61]);
  nic.read(ICR);
  arrive(nic, 2000);
  assert.equal(nic.messages(), []);
  assert.is(nic.deadline(), 1000 + 25600);
  nic.at(26599);
  assert.equal(nic.messages(), []);
  nic.at(26600);
  assert.equal(nic.messages(), [0x61]);
  nic.read(ICR);
  arrive(nic, 27000);
  nic.read(ICR);
  nic.at(100000);
  assert.equal(nic.messages(), []);
  nic.write(ICS, RXT0);
  nic.read(ICR);
  nic.write(ICS, RXT0);
  nic.messages();
  nic.write(ITR, 0);
  assert.equal(nic.messages(), [0x61], '0 lets a held one go');
});

async function express(): Promise<ExpressNic> {
  const nic = await receiver();
  transmitStart(nic, EN, 64);
  nic.msix(0x70);
  nic.write(IVAR, VECTORS);
  return nic;
}

test('MSI-X: each queue has its vector, all else OTHER', async () => {
  const nic = await express();
  nic.write(IMS, RXQ0 | TXQ0 | OTHER);
  arrive(nic);
  assert.equal(nic.messages(), [0x70]);
  transmitPut(nic, 0, BUFFERS, 100, EOP_IFCS_RS);
  nic.write(TDT, 1);
  assert.equal(nic.messages(), [0x71]);
  nic.link.up = false;
  assert.equal(nic.messages(), [0x72]);
  assert.is(nic.read(ICR), (ASSERTED | RXQ0 | TXQ0 | OTHER | LSC | TXQE) >>> 0, 'and neither RXT0 nor TXDW');
  assert.is(nic.read(ICR), (ASSERTED | RXQ0 | TXQ0 | OTHER | LSC | TXQE) >>> 0, 'reading does not clear');
  nic.write(ICR, 0xffffffff);
  assert.is(nic.read(ICR), 0);
  assert.equal(nic.messages(), []);
});

test('MSI-X: EIAC clears the cause, EIAME masks it by IAM; enabling it again is all that a driver does', async () => {
  const nic = await express();
  nic.write(EIAC, RXQ0 | TXQ0);
  nic.write(IAM, 0xffffffff);
  nic.write(CTRL_EXT, EIAME);
  nic.write(IMS, RXQ0 | TXQ0 | OTHER | LSC);
  arrive(nic);
  assert.equal(nic.messages(), [0x70]);
  assert.is(nic.read(ICR), 0);
  assert.is(nic.read(IMS), TXQ0 | OTHER | LSC);
  arrive(nic);
  assert.equal(nic.messages(), [], 'masked');
  assert.is(nic.read(ICR), RXQ0, 'but seen');
  nic.write(IMS, RXQ0);
  assert.equal(nic.messages(), [0x70]);
  assert.is(nic.read(ICR), 0);
  nic.write(ICS, LSC | OTHER);
  assert.equal(nic.messages(), [0x72]);
  assert.is(nic.read(ICR) & OTHER, OTHER, 'not in EIAC');
  assert.is(nic.read(IMS) & OTHER, 0);
});

test('MSI-X: what the table or the function masks stays pending and goes later, once', async () => {
  const nic = await express();
  nic.write(EIAC, RXQ0);
  nic.write(IMS, RXQ0 | TXQ0);
  nic.mask(0, true);
  nic.write(ICS, RXQ0);
  nic.write(ICS, RXQ0);
  nic.write(ICS, TXQ0);
  assert.equal(nic.messages(), [0x71]);
  assert.is(nic.pending(), 1);
  nic.mask(0, false);
  assert.equal(nic.messages(), [0x70]);
  assert.is(nic.pending(), 0);
  nic.configWrite(0xa2, 2, 0xc000);
  nic.write(ICS, RXQ0);
  assert.equal(nic.messages(), []);
  assert.is(nic.pending(), 1);
  nic.configWrite(0xa2, 2, 0x8000);
  assert.equal(nic.messages(), [0x70]);
});

test('MSI-X: entries of IVAR that are not valid or name no vector send nothing; two causes may share one', async () => {
  const nic = await express();
  nic.write(IMS, 0x01f00000);
  nic.write(ICS, RXQ1);
  assert.equal(nic.messages(), [0x74]);
  nic.write(IVAR, 0x0 | 0xf << 8);
  nic.write(ICS, RXQ0 | TXQ0);
  assert.equal(nic.messages(), []);
  nic.write(ICR, 0xffffffff);
  nic.write(IVAR, 0xb | 0xb << 8);
  nic.write(EITR + 12, 1000);
  nic.write(EIAC, RXQ0 | TXQ0);
  nic.write(ICS, RXQ0 | TXQ0);
  assert.equal(nic.messages(), [0x73], 'one message for both');
  assert.is(nic.read(ICR), 0);
  assert.is(nic.deadline(), -1);
});

test('EITR: each vector is throttled by its own interval', async () => {
  const nic = await express();
  nic.write(EIAC, RXQ0 | TXQ0 | OTHER);
  nic.write(EITR, 100);
  nic.write(EITR + 4, 200);
  nic.write(IMS, RXQ0 | TXQ0 | OTHER);
  const all = (now: number): number[] => {
    nic.at(now);
    nic.write(ICS, RXQ0 | TXQ0 | OTHER);
    return nic.messages();
  };
  assert.equal(all(1000), [0x70, 0x71, 0x72]);
  assert.equal(all(2000), [0x72]);
  assert.is(nic.read(ICR) & (RXQ0 | TXQ0), RXQ0 | TXQ0, 'held ones wait in ICR');
  assert.is(nic.deadline(), 1000 + 25600);
  nic.at(26600);
  assert.equal(nic.messages(), [0x70]);
  assert.is(nic.deadline(), 1000 + 51200);
  nic.at(52200);
  assert.equal(nic.messages(), [0x71]);
  assert.is(nic.deadline(), -1);
  nic.at(52300);
  nic.write(ICS, TXQ0);
  assert.equal(nic.messages(), []);
  nic.write(EITR + 4, 0);
  assert.equal(nic.messages(), [0x71], '0 lets a held one go');
});

test('from one kind to another nothing is lost', async () => {
  const nic = await receiver();
  nic.write(IMS, RXT0 | LSC);
  nic.msi(0x61);
  nic.write(ICS, RXT0);
  assert.equal(nic.messages(), [0x61]);
  nic.configWrite(0xd2, 2, 0x80);
  assert.ok(nic.interrupt(), 'the cause is still there');
  assert.is(nic.read(ICR), (ASSERTED | RXT0) >>> 0);
  assert.not(nic.interrupt());
  nic.configWrite(0xd2, 2, 0x81);
  nic.write(ICS, RXT0);
  assert.equal(nic.messages(), [0x61]);
  nic.write(ICR, RXT0);
  nic.write(ICS, TXDW | RXO);
  assert.equal(nic.messages(), []);
});

test.run();
