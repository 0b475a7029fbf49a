// The UART by its ports, with the data sheet's values (PC16550D, tables 2 and 4).
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attach } from '../../../src/devices/attach';
import { serial } from '../../../src/devices/serial/index';
import { SerialLink } from '../../../src/devices/serial/link';
import { Engine } from '../../../src/engine/engine';

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const LINE = 16 + 4;
/** A character of 8N1 at 115200 baud: 10 bits of 16 periods of 1.8432 MHz, in whole ns. */
const CHARACTER = 86805;
const text = (line: SerialLink): string => line.receive().map(({ byte }) => String.fromCharCode(byte)).join('');
const bytes = (what: string): Uint8Array => new TextEncoder().encode(what);

class Port {
  now = 0;
  readonly line: SerialLink;
  private constructor(readonly engine: Engine, readonly fn: number) {
    this.line = new SerialLink(engine, fn);
  }

  static async create(): Promise<Port> {
    const engine = await Engine.create({ frames: 64, tableFrames: 0, heapBytes: 1 << 20 });
    const { fn } = attach(engine, serial, 0x20);
    engine.exports.configWrite(fn, 0x10, 4, 0xc000);
    engine.exports.configWrite(fn, 4, 2, 1);
    return new Port(engine, fn);
  }

  /** 115200 8N1, FIFOs on with a trigger of `level` (bits 7:6 of FCR). */
  static async open(level = 0): Promise<Port> {
    const port = await Port.create();
    port.out(LCR, 0x83);
    port.out(RBR, 1);
    port.out(IER, 0);
    port.out(LCR, 0x03);
    port.out(IIR, 0x07 | level);
    return port;
  }

  in(register: number): number {
    return this.engine.exports.portRead(0xc000 + register, 1);
  }

  out(register: number, value: number): void {
    this.engine.exports.portWrite(0xc000 + register, 1, value);
  }

  pass(ns: number): void {
    this.now += ns;
    this.engine.service(this.now, 1000);
  }

  get irq(): number {
    return this.engine.exports.intxLine(LINE);
  }
}

test('registers after reset, and the bits that each keeps', async () => {
  const port = await Port.create();
  assert.equal([IER, IIR, LCR, MCR, LSR, MSR].map((one) => port.in(one)), [0, 0x01, 0, 0, 0x60, 0xb0]);
  for (const [register, kept] of [[IER, 0x0f], [LCR, 0xff], [SCR, 0xff]] as const) {
    port.out(register, 0xff);
    assert.is(port.in(register), kept, `register ${register}`);
    port.out(register, 0);
  }
  port.out(MCR, 0xff);
  assert.is(port.in(MCR), 0x1f);
  assert.is(port.engine.exports.configRead(port.fn, 0, 4) >>> 0, 0x00021b36);
  assert.is(port.engine.exports.configRead(port.fn, 8, 4) >>> 0, 0x07000201);
});

test('the divisor shares its ports with data and interrupt enable', async () => {
  const port = await Port.create();
  port.out(LCR, 0x80);
  assert.equal([port.in(RBR), port.in(IER)], [12, 0]);
  port.out(RBR, 0x34);
  port.out(IER, 0x12);
  assert.equal([port.in(RBR), port.in(IER)], [0x34, 0x12]);
  port.out(LCR, 0x00);
  assert.is(port.in(IER), 0);
});

test('an access that is no byte has no effect', async () => {
  const port = await Port.open();
  port.line.send(bytes('A'));
  port.pass(CHARACTER);
  assert.is(port.engine.exports.portRead(0xc000, 4) >>> 0, 0xffffffff);
  assert.is(port.engine.exports.portRead(0xc000, 2) & 0xffff, 0xffff);
  assert.is(port.in(RBR), 0x41, 'the character is still there');
});

test('a 16550A is told by its FIFO bits: Linux looks for these', async () => {
  const port = await Port.open();
  assert.is(port.in(IIR) & 0xc0, 0xc0);
  port.out(IIR, 0x21);
  assert.is(port.in(IIR) & 0xe0, 0xc0, 'no bit 5: no 16750');
  port.out(LCR, 0xbf);
  assert.is.not(port.in(IIR), 0, 'no EFR: no 16650');
  port.out(LCR, 3);
  port.out(IIR, 0);
  assert.is(port.in(IIR) & 0xc0, 0);
  port.out(MCR, 0x1a);
  assert.is(port.in(MSR) & 0xf0, 0x90, 'loopback: RTS to CTS, OUT2 to DCD');
});

test('characters go out at the pace of the line, and THRE and TEMT tell how far', async () => {
  const port = await Port.open();
  for (const byte of bytes('Hello')) port.out(RBR, byte);
  assert.is(port.in(LSR) & 0x60, 0, 'one is being sent, four wait');
  port.pass(CHARACTER - 1);
  assert.is(text(port.line), '');
  port.pass(1);
  assert.is(text(port.line), 'H');
  port.pass(3 * CHARACTER);
  assert.is(text(port.line), 'ell');
  assert.is(port.in(LSR) & 0x60, 0x20, 'the FIFO is empty, the last one is being sent');
  port.pass(CHARACTER);
  assert.is(text(port.line), 'o');
  assert.is(port.in(LSR) & 0x60, 0x60);
});

test('a frame of five bits with parity and 1½ stop bits at 9600 baud takes 8.5 bits', async () => {
  const port = await Port.create();
  port.out(LCR, 0x0c);
  port.out(RBR, 0xff);
  port.pass(885415);
  assert.is(port.line.receive().length, 0);
  port.pass(1);
  assert.equal(port.line.receive(), [{ byte: 0x1f, break: false }]);
});

test('seventeen characters: sixteen in the FIFO, one on its way; one more overwrites the youngest', async () => {
  const port = await Port.open();
  for (let i = 0; i < 18; i++) port.out(RBR, 65 + i);
  port.pass(20 * CHARACTER);
  assert.is(text(port.line), 'ABCDEFGHIJKLMNOPR');
});

test('nobody reads at the other end: the transmitter waits and loses nothing', async () => {
  const port = await Port.open();
  let sent = 0;
  while (sent < 4096 + 17) {
    if (port.in(LSR) & 0x20) for (let i = 0; i < 16 && sent < 4096 + 17; i++) port.out(RBR, sent++ & 0xff);
    port.pass(20 * CHARACTER);
    if (sent >= 4096 && !(port.in(LSR) & 0x20)) break;
  }
  assert.is(port.in(LSR) & 0x40, 0);
  const first = port.line.receive();
  assert.is(first.length, 4096);
  port.pass(20 * CHARACTER);
  const all = [...first, ...port.line.receive()];
  assert.is(all.length, sent);
  assert.ok(all.every(({ byte }, i) => byte === (i & 0xff)));
});

test('the receive interrupt comes at the trigger level, and goes below it', async () => {
  for (const [bits, level] of [[0x00, 1], [0x40, 4], [0x80, 8], [0xc0, 14]] as const) {
    const port = await Port.open(bits);
    port.out(IER, 1);
    port.line.send(new Uint8Array(16).map((_, i) => i + 1));
    for (let i = 1; i < level; i++) port.pass(CHARACTER);
    assert.is(port.irq, 0, `level ${level}`);
    port.pass(CHARACTER);
    assert.is(port.irq, 1);
    assert.is(port.in(IIR), 0xc4);
    assert.is(port.in(RBR), 1);
    assert.is(port.irq, 0);
  }
});

test('four characters of silence below the trigger level are a time-out, which a read of RBR ends', async () => {
  const port = await Port.open(0xc0);
  port.out(IER, 1);
  port.line.send(bytes('ab'));
  port.pass(2 * CHARACTER);
  port.pass(4 * CHARACTER - 1);
  assert.is(port.irq, 0);
  assert.is(port.engine.exports.nextDeadline() >= 0, true);
  port.pass(1);
  assert.is(port.irq, 1);
  assert.is(port.in(IIR), 0xcc);
  assert.is(port.in(RBR), 0x61);
  assert.is(port.irq, 0);
  port.pass(4 * CHARACTER);
  assert.is(port.in(IIR), 0xcc, 'and again for the one that is left');
});

test('interrupts by priority: line, receive, transmit, modem', async () => {
  const port = await Port.open();
  port.out(IER, 0x0f);
  port.line.lines = 0x30;
  port.line.sendError('parity', 0x55);
  port.pass(CHARACTER);
  assert.is(port.in(IIR), 0xc6);
  assert.is(port.in(LSR), 0xe5, 'data, parity, both transmitter bits, an error in the FIFO');
  assert.is(port.in(IIR), 0xc4);
  assert.is(port.in(RBR), 0x55);
  assert.is(port.in(IIR), 0xc2);
  assert.is(port.irq, 1);
  assert.is(port.in(IIR), 0xc0, 'to be told of the transmitter acknowledges it');
  assert.is(port.in(MSR), 0x38, 'DCD has gone');
  assert.is(port.in(IIR), 0xc1);
  assert.is(port.irq, 0);
});

test('to enable the transmit interrupt while nothing is to be sent raises it, each time', async () => {
  const port = await Port.open();
  for (let i = 0; i < 2; i++) {
    port.out(IER, 2);
    assert.is(port.irq, 1);
    assert.is(port.in(IIR), 0xc2);
    assert.is(port.in(IIR), 0xc1);
    port.out(IER, 0);
  }
});

test('an error belongs to its character, and LSR shows it when that one is next', async () => {
  const port = await Port.open();
  port.line.send(bytes('x'));
  port.line.sendError('framing', 0x79);
  port.line.sendError('break');
  port.pass(3 * CHARACTER);
  assert.is(port.in(LSR), 0xe1, 'the first is good; there is an error behind it');
  port.in(RBR);
  assert.is(port.in(LSR), 0xe9);
  port.in(RBR);
  assert.is(port.in(LSR), 0xf1);
  assert.is(port.in(RBR), 0);
  assert.is(port.in(LSR), 0x60);
});

test('with nobody waiting, what finds the FIFO full is lost, flagged and counted; else the line waits', async () => {
  const port = await Port.open();
  port.line.waits = false;
  port.line.send(new Uint8Array(20).map((_, i) => i));
  port.pass(20 * CHARACTER);
  assert.is(port.line.overruns, 4);
  assert.is(port.in(LSR), 0x63);
  assert.is(port.in(LSR), 0x61, 'read once');
  assert.equal(Array.from({ length: 16 }, () => port.in(RBR)), Array.from({ length: 16 }, (_, i) => i));
  assert.is(port.in(LSR) & 1, 0);

  port.line.waits = true;
  port.line.send(new Uint8Array(20).map((_, i) => i));
  port.pass(40 * CHARACTER);
  const got: number[] = [];
  for (let i = 0; i < 40; i++) {
    while (port.in(LSR) & 1) got.push(port.in(RBR));
    port.pass(CHARACTER);
  }
  assert.equal(got, Array.from({ length: 20 }, (_, i) => i));
  assert.is(port.line.overruns, 4);
});

test('without FIFOs the register is overwritten', async () => {
  const port = await Port.open();
  port.out(IIR, 0);
  port.line.waits = false;
  port.line.send(bytes('ab'));
  port.pass(2 * CHARACTER);
  assert.is(port.in(LSR), 0x63);
  assert.is(port.in(RBR), 0x62);
});

test('loopback: what is sent comes back, and nothing goes out or in', async () => {
  const port = await Port.open();
  port.out(MCR, 0x10);
  assert.is(port.in(MSR) & 0xf0, 0);
  port.line.send(bytes('!'));
  for (let i = 0; i < 16; i++) port.out(RBR, 32 + i);
  port.pass(17 * CHARACTER);
  assert.equal(Array.from({ length: 16 }, () => port.in(RBR)), Array.from({ length: 16 }, (_, i) => 32 + i));
  assert.is(port.line.receive().length, 0);
  port.out(MCR, 0x15);
  assert.is(port.in(MSR) & 0xf0, 0x60, 'DTR to DSR, OUT1 to RI');
  port.out(MCR, 0x11);
  assert.is(port.in(MSR), 0x24, 'the ring has ended');
  port.out(MCR, 0);
  port.pass(2 * CHARACTER);
  assert.is(port.in(RBR), 0x21, 'what came during loopback has waited');
});

test('a break goes out once, and comes in as a character of zeros', async () => {
  const port = await Port.open();
  port.out(LCR, 0x43);
  port.out(LCR, 0x43);
  port.out(LCR, 0x03);
  port.pass(CHARACTER);
  assert.equal(port.line.receive(), [{ byte: 0, break: true }]);
});

test('to clear a FIFO takes what is in it', async () => {
  const port = await Port.open();
  port.line.send(bytes('abc'));
  for (const byte of bytes('xyz')) port.out(RBR, byte);
  port.pass(3 * CHARACTER);
  port.line.receive();
  for (const byte of bytes('uvw')) port.out(RBR, byte);
  port.out(IIR, 0x07);
  assert.is(port.in(LSR) & 1, 0);
  port.pass(5 * CHARACTER);
  assert.is(text(port.line), 'u', 'the one in the shift register is not in the FIFO');
});

test('the modem lines go both ways, and INTx falls with a reset', async () => {
  const port = await Port.open();
  port.out(MCR, 0x03);
  assert.equal(port.line.modem, { dtr: true, rts: true });
  port.out(IER, 0x0a);
  assert.is(port.irq, 1);
  port.engine.exports.functionReset(port.fn);
  assert.is(port.irq, 0);
  assert.equal(port.line.modem, { dtr: false, rts: false });
});

test('any budget gives the same characters at the same times', async () => {
  const run = async (budget: number): Promise<unknown> => {
    const port = await Port.open();
    const seen: unknown[] = [];
    port.line.send(bytes('the quick brown fox'));
    for (let i = 0; i < 60; i++) {
      port.now += CHARACTER / 2;
      while (port.engine.service(port.now, budget) === 1) { /* the budget was spent */ }
      if (port.in(LSR) & 1) port.out(RBR, port.in(RBR) ^ 0x20);
      seen.push(port.irq, port.in(LSR), ...port.line.receive().map(({ byte }) => byte));
    }
    return seen;
  };
  const unlimited = await run(0x7fffffff);
  for (const budget of [1, 7, 1000]) assert.equal(await run(budget), unlimited);
});

test.run();
