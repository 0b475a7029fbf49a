import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BareMachine, bytesOf, ones } from '../../helpers/bare-machine';

// offsets of QEMU's documentation of the device
const ID = 0x00;
const LIVENESS = 0x04;
const FACTORIAL = 0x08;
const STATUS = 0x20;
const INTERRUPT = 0x24;
const RAISE = 0x60;
const ACKNOWLEDGE = 0x64;
const SOURCE = 0x80;
const DESTINATION = 0x88;
const COUNT = 0x90;
const COMMAND = 0x98;
const BUFFER = 0x40000;
const MS = 1_000_000;
const LINE = 18;

class Edu {
  now = 0;

  constructor(readonly m: BareMachine) {}

  static async create(): Promise<Edu> {
    return new Edu(await BareMachine.create());
  }

  read(off: number): number {
    return this.m.engine.exports.registerRead(this.m.fn, 0, off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.m.engine.exports.registerWrite(this.m.fn, 0, off, 4, value, 0);
  }

  wide(off: number, value: number): void {
    this.m.engine.exports.registerWrite(this.m.fn, 0, off, 8, value >>> 0, Math.floor(value / 2 ** 32));
  }

  start(source: number, destination: number, count: number, command: number): void {
    this.wide(SOURCE, source);
    this.wide(DESTINATION, destination);
    this.wide(COUNT, count);
    this.write(COMMAND, command);
  }

  pass(ms: number): void {
    this.now += ms * MS;
    this.m.service(this.now);
  }

  get line(): number {
    return this.m.engine.exports.intxLine(LINE);
  }

  /** MSI to vector 0x55, processor 2. */
  msiOn(): void {
    const { exports } = this.m.engine;
    exports.configWrite(this.m.fn, 0x44, 4, 0xfee02000);
    exports.configWrite(this.m.fn, 0x4c, 2, 0x55);
    exports.configWrite(this.m.fn, 0x42, 2, 1);
  }
}

const registers = suite('edu: registers');

registers('identification is 0x010000ed and cannot be written', async () => {
  const edu = await Edu.create();
  edu.write(ID, 0);
  assert.is(edu.read(ID), 0x010000ed);
});

registers('liveness reads as the inverse', async () => {
  const edu = await Edu.create();
  for (const value of [0, 1, 0x12345678, 0xffffffff, 0x80000000]) {
    edu.write(LIVENESS, value);
    assert.is(edu.read(LIVENESS), ~value >>> 0);
  }
});

registers('factorial, modulo 2^32', async () => {
  const edu = await Edu.create();
  let expected = 1n;
  for (let n = 0; n <= 40; n++) {
    if (n > 0) expected = expected * BigInt(n) & 0xffffffffn;
    edu.write(FACTORIAL, n);
    assert.is(edu.read(FACTORIAL), Number(expected), `${n}!`);
  }
  edu.write(FACTORIAL, 0xffffffff);
  assert.is(edu.read(FACTORIAL), 0);
});

registers('of the status only bit 7 can be written', async () => {
  const edu = await Edu.create();
  edu.write(STATUS, 0xffffffff);
  assert.is(edu.read(STATUS), 0x80);
  edu.write(STATUS, 0);
  assert.is(edu.read(STATUS), 0);
});

registers('raise and acknowledge are write-only, the interrupt status read-only', async () => {
  const edu = await Edu.create();
  assert.equal([edu.read(RAISE), edu.read(ACKNOWLEDGE)], [0xffffffff, 0xffffffff]);
  edu.write(INTERRUPT, 0xff);
  assert.is(edu.read(INTERRUPT), 0);
});

registers.run();

const interrupts = suite('edu: interrupts');

interrupts('raise sets the bits, acknowledge clears them, INTx is their OR', async () => {
  const edu = await Edu.create();
  edu.write(RAISE, 0);
  assert.is(edu.line, 0, 'raising nothing raises nothing');
  edu.write(RAISE, 0x5);
  edu.write(RAISE, 0x80000000);
  assert.equal([edu.read(INTERRUPT), edu.line], [0x80000005, 1]);
  edu.write(ACKNOWLEDGE, 0x80000001);
  assert.equal([edu.read(INTERRUPT), edu.line], [0x4, 1]);
  edu.write(ACKNOWLEDGE, 0xffffffff);
  assert.equal([edu.read(INTERRUPT), edu.line], [0, 0]);
});

interrupts('a factorial interrupts only when asked to', async () => {
  const edu = await Edu.create();
  edu.write(FACTORIAL, 3);
  assert.is(edu.line, 0);
  edu.write(STATUS, 0x80);
  edu.write(FACTORIAL, 3);
  assert.equal([edu.read(INTERRUPT), edu.line], [1, 1]);
});

interrupts('with MSI a message goes out and the line stays down', async () => {
  const edu = await Edu.create();
  edu.msiOn();
  edu.write(RAISE, 2);
  assert.is(edu.line, 0);
  edu.pass(0);
  const message = edu.m.engine.pollMessage();
  assert.equal([message?.requester, message?.vector, message?.destination], [0x0310, 0x55, 2]);
  assert.is(edu.m.engine.pollMessage(), undefined);
});

interrupts('without Bus Master no message goes out', async () => {
  const edu = await Edu.create();
  edu.msiOn();
  edu.m.engine.exports.configWrite(edu.m.fn, 0x04, 2, 0x0002);
  edu.write(RAISE, 2);
  edu.pass(0);
  assert.is(edu.m.engine.pollMessage(), undefined);
});

interrupts('MSI turned off before the message went out does not hang the device', async () => {
  const edu = await Edu.create();
  edu.msiOn();
  edu.write(RAISE, 2);
  edu.m.engine.exports.configWrite(edu.m.fn, 0x42, 2, 0);
  assert.is(edu.m.service(0), 0, 'idle');
  assert.is(edu.m.engine.pollMessage(), undefined);
  edu.start(BUFFER, 0x10000, 4, 3);
  edu.pass(100);
  assert.is(edu.read(COMMAND) & 1, 0);
});

interrupts('a message that finds the queue full goes out later', async () => {
  const edu = await Edu.create();
  edu.msiOn();
  for (let i = 0; i < 256; i++) edu.m.dmaWrite(0xfee00000n | BigInt(i) << 12n, [0x40, 0, 0, 0]);
  edu.write(RAISE, 2);
  assert.is(edu.m.service(0), 2, 'pending');
  for (let i = 0; i < 256; i++) assert.is(edu.m.engine.pollMessage()?.vector, 0x40);
  assert.is(edu.m.engine.pollMessage(), undefined);
  assert.is(edu.m.service(0), 0);
  assert.is(edu.m.engine.pollMessage()?.vector, 0x55);
});

interrupts.run();

const dma = suite('edu: DMA');

dma('takes 100 ms of virtual time, from RAM to the buffer and back', async () => {
  const edu = await Edu.create();
  edu.m.engine.frame(0x10).set(bytesOf(100), 0x20);
  edu.start(0x10020, BUFFER + 8, 100, 1 | 4);
  assert.is(edu.m.engine.exports.nextDeadline(), 100 * MS);
  edu.pass(99.999999);
  assert.equal([edu.read(COMMAND), edu.read(INTERRUPT)], [5, 0]);
  edu.pass(0.000001);
  assert.equal([edu.read(COMMAND), edu.read(INTERRUPT), edu.line], [4, 0x100, 1]);
  assert.is(edu.m.engine.exports.nextDeadline(), -1);
  edu.write(ACKNOWLEDGE, 0x100);
  edu.start(BUFFER + 8, 0x11000, 100, 1 | 2);
  edu.pass(100);
  assert.equal([...edu.m.engine.frame(0x11).subarray(0, 101)], [...bytesOf(100), 0]);
  assert.equal([edu.read(INTERRUPT), edu.line], [0, 0], 'no interrupt was asked for');
});

dma('its registers are kept while it runs', async () => {
  const edu = await Edu.create();
  edu.start(BUFFER, 0x11000, 8, 1 | 2);
  edu.start(0x123, 0x456, 0x789, 1);
  assert.equal([SOURCE, DESTINATION, COUNT, COMMAND].map((off) => edu.read(off)), [BUFFER, 0x11000, 8, 3]);
  edu.pass(100);
  edu.wide(SOURCE, 0x123456789a);
  assert.equal([edu.read(SOURCE), edu.read(SOURCE + 4)], [0x3456789a, 0x12]);
});

dma('drives 28 bits of the bus address', async () => {
  const edu = await Edu.create();
  edu.m.engine.frame(0x10)[0] = 0x77;
  edu.start(0xf0010000, BUFFER, 1, 1);
  edu.pass(100);
  edu.start(BUFFER, 0x7000000010011000, 1, 3);
  edu.pass(100);
  assert.is(edu.m.engine.frame(0x11)[0], 0x77);
});

dma('out of the 4 KiB at 0x40000 it moves nothing, and finishes', async () => {
  const edu = await Edu.create();
  edu.m.fill(0x10, 0x11);
  edu.m.fill(0x11, 0x22);
  for (const [at, count] of [[BUFFER - 1, 1], [BUFFER - 8, 16], [BUFFER, 4097], [BUFFER + 4096, 1], [BUFFER + 4095, 2], [0, 4],
    [2 ** 32 + BUFFER, 4], [BUFFER, 2 ** 32], [BUFFER + 1, 2 ** 52]] as const) {
    edu.start(at, 0x11000, count, 1 | 2 | 4);
    edu.pass(100);
    assert.equal([edu.read(COMMAND), edu.read(INTERRUPT)], [6, 0x100], `${count} at ${at}`);
    edu.write(ACKNOWLEDGE, 0x100);
    edu.start(0x10000, at, count, 1);
    edu.pass(100);
  }
  assert.ok(edu.m.engine.frame(0x11).every((byte) => byte === 0x22));
  edu.start(BUFFER, 0x11000, 4096, 3);
  edu.pass(100);
  assert.ok(edu.m.engine.frame(0x11).every((byte) => byte === 0), 'nothing came into the buffer either');
});

dma('a read that is refused fills the buffer with ones', async () => {
  const edu = await Edu.create();
  edu.m.engine.exports.configWrite(edu.m.fn, 0x04, 2, 0x0002);
  edu.start(0x10000, BUFFER + 4, 8, 1);
  edu.pass(100);
  edu.m.engine.exports.configWrite(edu.m.fn, 0x04, 2, 0x0006);
  edu.start(BUFFER, 0x11000, 16, 3);
  edu.pass(100);
  assert.equal([...edu.m.engine.frame(0x11).subarray(0, 16)], [0, 0, 0, 0, ...ones(8), 0, 0, 0, 0]);
});

dma('a reset ends it', async () => {
  const edu = await Edu.create();
  edu.start(BUFFER, 0x11000, 8, 7);
  edu.write(RAISE, 1);
  edu.m.engine.exports.functionReset(edu.m.fn);
  edu.pass(200);
  assert.equal([edu.read(COMMAND), edu.read(INTERRUPT), edu.line, edu.read(SOURCE)], [0, 0, 0, 0]);
  assert.is(edu.m.engine.exports.configRead(edu.m.fn, 4, 2), 0);
});

dma('equal results for a budget of 1, 7, 1000 and unlimited', async () => {
  const results: unknown[] = [];
  for (const budget of [1, 7, 1000, 0x7fffffff]) {
    const edu = await Edu.create();
    edu.msiOn();
    edu.m.engine.frame(0x10).set(bytesOf(4096));
    for (const [source, destination, count, command] of [[0x10ffc, BUFFER, 4096, 5], [BUFFER, 0x12ff0, 4096, 7]] as const) {
      edu.start(source, destination, count, command);
      edu.now += 100 * MS;
      for (let i = 0; i < 100; i++) edu.m.service(edu.now, budget);
    }
    const { counters } = { counters: edu.m.engine.counters() };
    results.push([counters, edu.m.engine.pollMessage(), [...edu.m.engine.frame(0x12)], [...edu.m.engine.frame(0x13)]]);
  }
  for (const result of results) assert.equal(result, results[0]);
});

dma.run();
