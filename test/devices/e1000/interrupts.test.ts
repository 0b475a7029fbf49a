import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BUFFERS, BareNic, MAC, TX_RING, frameTo, receiveStart, transmitPut, transmitStart,
} from '../../helpers/bare-nic';

// Offsets and units as the manual states them (317453, §3.2.7, 13.4.18, 13.4.30, 13.4.31, 13.4.41, 13.4.44).
const CTRL = 0x0000, ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8, RDTR = 0x2820, RADV = 0x282c,
  RSRPD = 0x2c00, TDT = 0x3818, TIDV = 0x3820, TADV = 0x382c;
const EN = 2, SECRC = 0x4000000, EOP_IFCS_RS = 0x0b, IDE = 0x80;
const TXDW = 1, TXQE = 2, LSC = 4, RXT0 = 0x80, SRPD = 0x10000;

function receiver(rctl = EN): BareNic {
  const nic = new BareNic();
  receiveStart(nic, rctl, 64);
  nic.write(IMS, RXT0 | SRPD);
  return nic;
}

function arrive(nic: BareNic, now: number, len = 60): void {
  nic.offer([frameTo(MAC, len)]);
  nic.at(now);
}

test('RDTR: each frame winds the timer up anew, in 1.024 us', () => {
  const nic = receiver();
  nic.write(RDTR, 10);
  arrive(nic, 1000);
  assert.not(nic.interrupt());
  assert.is(nic.deadline(), 1000 + 10240);
  arrive(nic, 9000);
  assert.is(nic.deadline(), 9000 + 10240);
  assert.not(nic.at(19239).interrupt());
  assert.ok(nic.at(19240).interrupt());
  assert.is(nic.read(ICR), RXT0);
  assert.is(nic.deadline(), -1);
  arrive(nic, 30000);
  assert.is(nic.deadline(), 40240, 'and again');
});

test('RADV: counts from the first frame on; either timer stops both', () => {
  const nic = receiver();
  nic.write(RDTR, 10);
  nic.write(RADV, 15);
  for (const now of [0, 5000, 10000, 15000]) arrive(nic, now);
  assert.is(nic.deadline(), 15360);
  assert.ok(nic.at(15360).interrupt());
  assert.is(nic.read(ICR), RXT0);
  assert.is(nic.deadline(), -1, 'no second interrupt for the same frames');
  nic.write(RDTR, 0);
  arrive(nic, 20000);
  assert.ok(nic.interrupt(), 'RDTR 0 is no delay, whatever RADV says');
});

test('RDTR: FPD ends the delay at once and reads 0; so does a delay of 0', () => {
  const nic = receiver();
  nic.write(RDTR, 100);
  arrive(nic, 0);
  nic.write(RDTR, 0x80000064);
  assert.is(nic.read(RDTR), 100);
  assert.is(nic.read(ICR), RXT0);
  assert.is(nic.deadline(), -1);
  nic.write(RDTR, 0x80000064);
  assert.is(nic.read(ICR), RXT0, 'FPD reports even when nothing is held');
  arrive(nic, 10);
  nic.write(RDTR, 50);
  assert.is(nic.read(ICR), 0);
  nic.write(RDTR, 0);
  assert.is(nic.read(ICR), RXT0);
});

test('RSRPD: small frames interrupt at once', () => {
  const nic = receiver();
  nic.write(RSRPD, 100);
  arrive(nic, 0, 96);
  assert.is(nic.read(ICR), RXT0 | SRPD);
  arrive(nic, 0, 97);
  assert.is(nic.read(ICR), RXT0);
  nic.write(RDTR, 10);
  arrive(nic, 0, 200);
  assert.is(nic.read(ICR), 0);
  arrive(nic, 0, 60);
  assert.is(nic.read(ICR), RXT0 | SRPD);
  assert.is(nic.deadline(), -1, 'and stop the delay');
  const stripped = receiver(EN | SECRC);
  stripped.write(RSRPD, 100);
  arrive(stripped, 0, 100);
  assert.is(stripped.read(ICR), RXT0 | SRPD, 'a stripped FCS does not count');
});

function transmitter(): BareNic {
  const nic = new BareNic();
  transmitStart(nic, EN, 64);
  nic.write(IMS, TXDW);
  return nic;
}

test('TIDV and TADV: for descriptors with RS and IDE; DD is written without delay', () => {
  const nic = transmitter();
  let tail = 0;
  const send = (now: number, command: number): void => {
    transmitPut(nic, tail, BUFFERS, 100, command);
    nic.write(TDT, ++tail);
    nic.at(now);
  };
  nic.write(TIDV, 8);
  send(0, EOP_IFCS_RS | IDE);
  assert.is(nic.ram(TX_RING + 12, 1)[0], 1);
  assert.is(nic.read(ICR), TXQE);
  assert.is(nic.deadline(), 8192);
  send(4000, EOP_IFCS_RS | IDE);
  assert.is(nic.deadline(), 12192, 'wound up anew');
  send(5000, 0x03 | IDE);
  assert.is(nic.deadline(), 12192, 'not without RS');
  assert.ok(nic.at(12192).interrupt());
  assert.is(nic.read(ICR), TXDW | TXQE);
  nic.write(TADV, 10);
  for (const now of [20000, 25000, 30000]) send(now, EOP_IFCS_RS | IDE);
  assert.is(nic.deadline(), 30240);
  nic.at(30240);
  assert.is(nic.read(ICR), TXDW | TXQE);
  assert.is(nic.deadline(), -1);
  send(40000, EOP_IFCS_RS | IDE);
  nic.read(ICR);
  send(41000, EOP_IFCS_RS);
  assert.is(nic.read(ICR), TXDW | TXQE, 'without IDE at once');
  assert.is(nic.deadline(), -1, 'which stops the timers');
  send(50000, EOP_IFCS_RS | IDE);
  nic.read(ICR);
  nic.write(TIDV, 0);
  assert.is(nic.read(ICR), TXDW, 'a delay of 0 ends one that runs');
  send(60000, EOP_IFCS_RS | IDE);
  assert.is(nic.read(ICR), TXDW | TXQE);
});

test('ITR: the line goes up no sooner than the interval after it last did, in 256 ns', () => {
  const nic = receiver();
  nic.write(ITR, 100);
  nic.at(1000);
  arrive(nic, 1000);
  assert.ok(nic.interrupt(), 'the first one is not held');
  assert.is(nic.read(ICR), RXT0);
  assert.not(nic.interrupt());
  arrive(nic, 2000);
  assert.not(nic.interrupt());
  assert.is(nic.deadline(), 1000 + 25600);
  assert.not(nic.at(26599).interrupt());
  assert.ok(nic.at(26600).interrupt());
  nic.write(IMC, RXT0);
  assert.not(nic.interrupt());
  nic.write(IMS, RXT0);
  assert.not(nic.interrupt(), 'the mask is no way around it');
  assert.ok(nic.at(60000).interrupt());
});

test('ITR: causes that are gone by then do not interrupt; 0 lets go at once; ICS is held like the others', () => {
  const nic = receiver();
  nic.write(ITR, 1000);
  nic.at(500000);
  arrive(nic, 500000);
  nic.read(ICR);
  nic.write(ICS, RXT0);
  assert.not(nic.interrupt());
  assert.is(nic.read(ICR), RXT0);
  assert.not(nic.at(2000000).interrupt());
  assert.is(nic.deadline(), -1);
  nic.write(ICS, RXT0);
  assert.ok(nic.interrupt());
  nic.read(ICR);
  nic.write(ICS, RXT0);
  assert.not(nic.interrupt());
  nic.write(ITR, 0);
  assert.ok(nic.interrupt());
});

test('several timers: the function has the deadline of the earliest, and each does its own', () => {
  const nic = receiver();
  transmitStart(nic, EN);
  nic.write(IMS, TXDW);
  nic.write(RDTR, 30);
  nic.write(TIDV, 10);
  nic.write(ITR, 200);
  nic.write(IMS, LSC);
  nic.write(ICS, LSC);
  nic.read(ICR);
  transmitPut(nic, 0, BUFFERS, 100, EOP_IFCS_RS | IDE);
  nic.write(TDT, 1);
  arrive(nic, 0);
  assert.is(nic.deadline(), 10240);
  assert.not(nic.at(10240).interrupt(), 'the cause is there, the line is held');
  assert.is(nic.deadline(), 30720);
  nic.at(30720);
  assert.is(nic.deadline(), 51200);
  assert.ok(nic.at(51200).interrupt());
  assert.is(nic.read(ICR), TXDW | TXQE | RXT0);
  assert.is(nic.deadline(), -1);
});

test('a reset stops every timer; time that is skipped over is not lost', () => {
  const nic = receiver();
  nic.write(RDTR, 10);
  nic.write(ITR, 100);
  arrive(nic, 0);
  nic.write(CTRL, 0x04000000);
  assert.is(nic.deadline(), -1);
  nic.at(1000000);
  assert.is(nic.read(ICR), 0);
  receiveStart(nic, EN);
  nic.write(RDTR, 10);
  arrive(nic, 1000000);
  // the timer has expired before the next frame comes, and starts anew with it
  arrive(nic, 2000000);
  assert.is(nic.read(ICR), RXT0);
  assert.is(nic.deadline(), 2010240);
});

test.run();
