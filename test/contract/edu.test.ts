// One body for both makes of QEMU's edu: the engine's own, and one in TypeScript. Offsets and values are those of its
// specification, restated.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Counters } from '../../src/engine/index';
import { Random, countersBetween } from '../../src/engine/index';
import { EduDriver } from '../../src/drivers/edu';
import { Machine } from '../../src/machine/machine';
import type { MachineDescription } from '../../src/machine/description';
import { eduTwin } from '../helpers/edu-twin';

const BDF = '0000:00:06.0';
const LINE = 22;
const COMMAND = 0x04, MSI = 0x40;
const ID = 0x00, LIVENESS = 0x04, FACTORIAL = 0x08, STATUS = 0x20, INTERRUPT_STATUS = 0x24, RAISE = 0x60,
  ACKNOWLEDGE = 0x64, SOURCE = 0x80, DESTINATION = 0x88, COUNT = 0x90, DMA = 0x98;
const DMA_NS = 100_000_000;
const OK = 0, WIDTH = 5;

/** A machine with one edu, of which registers are reached by BAR and offset, and memory by machine address. */
class Rig {
  readonly fn: number;
  /** A page of dom0 for DMA, below 256 MiB. */
  readonly page: number;

  private constructor(readonly machine: Machine) {
    this.fn = machine.functionOf(BDF);
    this.page = (machine.dom0.p2m[20] as number) * 4096;
    machine.engine.exports.configWrite(this.fn, COMMAND, 2, 0x0006);
  }

  static async create(model: string, more: Partial<MachineDescription> = {}): Promise<Rig> {
    const devices = [{ model, bdf: BDF }];
    return new Rig(await Machine.create({ memory: '16MiB', ...more, devices }, { devices: [eduTwin] }));
  }

  get status(): number {
    return this.machine.engine.status;
  }

  read(off: number, width = 4): number {
    return this.machine.engine.exports.registerRead(this.fn, 0, off, width) >>> 0;
  }

  write(off: number, value: number, width = 4, high = 0): void {
    this.machine.engine.exports.registerWrite(this.fn, 0, off, width, value, high);
  }

  config(off: number, width: number, value: number): void {
    this.machine.engine.exports.configWrite(this.fn, off, width, value);
  }

  get line(): boolean {
    return this.machine.engine.exports.intxLine(LINE) !== 0;
  }

  /** Without the hypervisor, who would take the messages. */
  service(ns = 0, budget = 0x7fffffff): number {
    const { engine } = this.machine;
    return engine.service(engine.now + ns, budget);
  }

  messages(): number[] {
    const vectors: number[] = [];
    const { engine } = this.machine;
    for (let one = engine.pollMessage(); one; one = engine.pollMessage()) vectors.push(one.vector);
    return vectors;
  }

  enableMsi(vector: number): void {
    this.config(MSI + 4, 4, 0xfee00000);
    this.config(MSI + 12, 2, vector);
    this.config(MSI + 2, 2, 0x0001);
  }

  memory(): Uint8Array {
    return this.machine.engine.frame(this.page / 4096);
  }

  transfer(from: number, to: number, length: number, command: number): void {
    this.write(SOURCE, from, 8);
    this.write(DESTINATION, to, 8);
    this.write(COUNT, length, 8);
    this.write(DMA, command);
  }
}

async function contract(model: string): Promise<void> {
  const test = suite(model);
  const rigOf = (more: Partial<MachineDescription> = {}): Promise<Rig> => Rig.create(model, more);

  test('identifies itself, inverts, computes', async () => {
    const rig = await rigOf();
    assert.is(rig.read(ID), 0x010000ed);
    rig.write(ID, 0);
    assert.is(rig.read(ID), 0x010000ed);
    rig.write(LIVENESS, 0x12345678);
    assert.is(rig.read(LIVENESS), 0xedcba987);
    const products = [[0, 1], [1, 1], [5, 120], [12, 479001600], [13, 1932053504], [33, 0x80000000], [34, 0], [0xffffffff, 0]];
    for (const [n, product] of products) {
      rig.write(FACTORIAL, n as number);
      assert.is(rig.read(FACTORIAL), product, `${n}!`);
      assert.is(rig.read(STATUS) & 1, 0);
    }
    assert.is(rig.read(RAISE), 0xffffffff);
    assert.is(rig.read(0x40), 0xffffffff, 'no register');
    assert.is(rig.read(0x5000), 0xffffffff, 'no register in this page');
    assert.is(rig.status, OK);
  });

  test('accesses of another width or alignment give ones and change nothing', async () => {
    const rig = await rigOf();
    rig.write(LIVENESS, 1);
    for (const [off, width] of [[4, 1], [5, 1], [4, 2], [6, 2], [5, 4], [4, 8], [0, 8], [6, 4], [0x84, 8]] as const) {
      assert.is(rig.read(off, width), 0xffffffff, `read of ${width} at ${off}`);
      assert.is(rig.status, WIDTH);
      rig.write(off, 0, width);
      assert.is(rig.status, WIDTH, `write of ${width} at ${off}`);
    }
    for (const width of [1, 2]) rig.write(RAISE, 1, width);
    rig.write(DMA, 1, 1);
    assert.is(rig.read(LIVENESS), 0xfffffffe);
    assert.is(rig.read(INTERRUPT_STATUS), 0);
    assert.is(rig.read(DMA), 0);
    assert.is(rig.line, false);
  });

  test('DMA registers take both halves in any order, or eight bytes at once', async () => {
    const rig = await rigOf();
    rig.write(SOURCE + 4, 0x01020304);
    rig.write(SOURCE, 0x05060708);
    assert.is(rig.read(SOURCE, 8), 0x05060708);
    assert.is(rig.machine.engine.high, 0x01020304);
    rig.write(DESTINATION, 0x11111111, 8, 0x22222222);
    assert.is(rig.read(DESTINATION), 0x11111111);
    assert.is(rig.read(DESTINATION + 4), 0x22222222);
  });

  test('INTx: raised by a value, by a factorial when asked for; acknowledged bit by bit', async () => {
    const rig = await rigOf();
    rig.write(RAISE, 0);
    assert.is(rig.line, false);
    rig.write(RAISE, 0x0a);
    assert.is(rig.line, true);
    assert.is(rig.read(INTERRUPT_STATUS), 0x0a);
    rig.write(ACKNOWLEDGE, 0x02);
    assert.is(rig.line, true);
    rig.write(ACKNOWLEDGE, 0x08);
    assert.is(rig.line, false);
    rig.write(FACTORIAL, 3);
    assert.is(rig.line, false);
    rig.write(STATUS, 0xffffffff);
    assert.is(rig.read(STATUS), 0x80);
    rig.write(FACTORIAL, 3);
    assert.is(rig.line, true);
    assert.is(rig.read(INTERRUPT_STATUS), 1);
    rig.config(COMMAND, 2, 0x0406);
    assert.is(rig.line, false, 'INTX_DISABLE');
    rig.config(COMMAND, 2, 0x0006);
    assert.is(rig.line, true);
    assert.equal(rig.messages(), []);
  });

  test('MSI: sent by service, never the line', async () => {
    const rig = await rigOf();
    rig.enableMsi(0x41);
    rig.write(RAISE, 4);
    assert.equal(rig.messages(), [], 'a register write does no DMA');
    assert.is(rig.service(), 0);
    assert.equal(rig.messages(), [0x41]);
    assert.is(rig.line, false);
    rig.write(RAISE, 1);
    rig.write(RAISE, 2);
    rig.service();
    assert.equal(rig.messages(), [0x41], 'two requests before service are one');
    rig.config(COMMAND, 2, 0x0002);
    rig.write(RAISE, 1);
    rig.service();
    assert.equal(rig.messages(), [], 'no Bus Master, no message');
  });

  test('DMA both ways, when its time has come, with the interrupt it was asked for', async () => {
    const rig = await rigOf();
    rig.memory().set([1, 2, 3, 4, 5, 6, 7, 8], 100);
    rig.transfer(rig.page + 100, 0x40010, 8, 5);
    assert.is(rig.service(DMA_NS - 1), 0);
    assert.is(rig.read(DMA), 5, 'still running');
    assert.is(rig.machine.engine.exports.nextDeadline(), DMA_NS);
    rig.service(1);
    assert.is(rig.read(DMA), 4);
    assert.is(rig.read(INTERRUPT_STATUS), 0x100);
    assert.is(rig.line, true);
    assert.is(rig.machine.engine.exports.nextDeadline(), -1);
    rig.transfer(0x40012, rig.page + 200, 4, 3);
    rig.service(DMA_NS);
    assert.equal([...rig.memory().subarray(199, 205)], [0, 3, 4, 5, 6, 0]);
    assert.is(rig.read(DMA), 2);
  });

  test('a running transfer keeps its registers; a second start is none', async () => {
    const rig = await rigOf();
    rig.memory().fill(0x55, 0, 16);
    rig.transfer(rig.page, 0x40000, 16, 1);
    rig.transfer(0, 0, 0, 7);
    assert.is(rig.read(SOURCE), rig.page);
    assert.is(rig.read(COUNT), 16);
    rig.service(DMA_NS);
    rig.transfer(0x40000, rig.page + 32, 16, 3);
    rig.service(DMA_NS);
    assert.equal(rig.memory().slice(32, 48), new Uint8Array(16).fill(0x55));
  });

  test('a range that leaves the buffer moves nothing, whatever the numbers', async () => {
    const rig = await rigOf();
    const ranges: Array<[number, number, number, number]> = [
      [0x3ffff, 0, 16, 0], [0x41000, 0, 1, 0], [0x40ff8, 0, 9, 0], [0x40000, 0, 4097, 0], [0x40000, 1, 8, 0],
      [0x40000, 0, 8, 1], [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0x40001, 0, 0xffffffff, 0xffffffff],
      [0, 0x80000000, 0, 0x80000000],
    ];
    rig.memory().fill(7);
    for (const [edge, edgeHigh, length, lengthHigh] of ranges) {
      rig.write(SOURCE, edge, 8, edgeHigh);
      rig.write(DESTINATION, rig.page, 8);
      rig.write(COUNT, length, 8, lengthHigh);
      rig.write(DMA, 3);
      assert.is(rig.service(DMA_NS), 0);
      assert.is(rig.read(DMA), 2, 'done all the same');
    }
    assert.equal(Uint8Array.from(rig.memory()), new Uint8Array(4096).fill(7));
  });

  test('drives 28 bits of a bus address', async () => {
    const rig = await rigOf();
    rig.memory().set([9, 8, 7, 6]);
    rig.write(SOURCE, rig.page + 0xf0000000, 8, 0xfedc);
    rig.write(DESTINATION, 0x40000, 8);
    rig.write(COUNT, 4, 8);
    rig.write(DMA, 1);
    rig.service(DMA_NS);
    rig.transfer(0x40000, rig.page + 64, 4, 3);
    rig.service(DMA_NS);
    assert.equal([...rig.memory().subarray(64, 68)], [9, 8, 7, 6]);
  });

  test('what cannot be read is ones, what cannot be written changes nothing', async () => {
    const rig = await rigOf();
    rig.config(COMMAND, 2, 0x0002);
    rig.transfer(rig.page, 0x40000, 4, 1);
    rig.service(DMA_NS);
    assert.is(rig.machine.engine.counters().dmaRefused, 1, 'no Bus Master');
    rig.config(COMMAND, 2, 0x0006);
    rig.transfer(0x40000, rig.page, 4, 3);
    rig.service(DMA_NS);
    assert.equal([...rig.memory().subarray(0, 5)], [255, 255, 255, 255, 0]);
    rig.transfer(0x0fff0000, 0x40000, 8, 1);
    rig.service(DMA_NS);
    assert.is(rig.machine.engine.counters().dmaNothing, 1, 'nobody answers there');
  });

  test('under an IOMMU: the guest\'s own page, and a fault at dom0\'s', async () => {
    const { machine } = await rigOf({ iommu: 'vtd' });
    const domain = machine.createDomain({ name: 'guest', memory: '2MiB' });
    machine.assign(BDF, domain, 'own-frames');
    const guest = machine.guest(domain);
    const driver = new EduDriver(guest, machine.routingOf(BDF), { mode: 'direct' });
    assert.is(driver.factorial(6), 720);
    const va = guest.allocPages(1);
    for (let i = 0; i < 16; i++) guest.store(va + 4 * i, 4, 0x01010101 * i);
    driver.transfer(va, 0x80, 64, true);
    driver.transfer(va + 0x800, 0x80, 64, false);
    for (let i = 0; i < 16; i++) assert.is(guest.load(va + 0x800 + 4 * i, 4), 0x01010101 * i);
    driver.transferBus((machine.dom0.p2m[9] as number) * 4096, 0, 64, true);
    driver.transfer(va + 0x900, 0, 64, false);
    assert.is(guest.load(va + 0x900, 4), 0xffffffff);
    assert.is(machine.engine.counters().faults, 1);
  });

  test('a reset stops the transfer, the interrupt, and gives the registers their values', async () => {
    const rig = await rigOf();
    rig.write(LIVENESS, 5);
    rig.write(RAISE, 1);
    rig.transfer(rig.page, 0x40000, 64, 5);
    rig.machine.engine.exports.functionReset(rig.fn);
    assert.is(rig.line, false);
    assert.is(rig.machine.engine.exports.nextDeadline(), -1);
    rig.service(DMA_NS);
    assert.equal([LIVENESS, INTERRUPT_STATUS, SOURCE, COUNT, DMA].map((off) => rig.read(off)), [0, 0, 0, 0, 0]);
    assert.is(rig.machine.engine.counters().dmaReads, 0);
  });

  test('two of a kind do not share anything', async () => {
    const devices = [{ model, bdf: BDF }, { model, bdf: '0000:00:07.0' }];
    const machine = await Machine.create({ memory: '16MiB', devices }, { devices: [eduTwin] });
    const { exports } = machine.engine;
    exports.registerWrite(machine.functionOf(BDF), 0, LIVENESS, 4, 0, 0);
    assert.is(exports.registerRead(machine.functionOf('0000:00:07.0'), 0, LIVENESS, 4), 0);
    machine.removeDevice(BDF);
    exports.registerWrite(machine.functionOf('0000:00:07.0'), 0, RAISE, 4, 1, 0);
    assert.is(exports.intxLine(23), 1);
    assert.is(exports.intxLine(LINE), 0);
  });

  test.run();
}

for (const model of ['edu', 'edu-twin']) await contract(model);

interface Outcome {
  seen: string[];
  memory: string;
  counters: Counters;
}

/** What a driver that does anything sees, and what it leaves in memory. */
async function wild(model: string, seed: number, budget: number): Promise<Outcome> {
  const rig = await Rig.create(model);
  const { engine } = rig.machine;
  const random = new Random(seed);
  const before = engine.counters();
  const seen: string[] = [];
  const offs = [ID, LIVENESS, FACTORIAL, STATUS, INTERRUPT_STATUS, RAISE, ACKNOWLEDGE, SOURCE, DESTINATION, COUNT, DMA,
    0x9c, 0x40, 0x84];
  const values = [0, 1, 3, 5, 7, 0x80, 0x100, 16, 4096, 0x40000, 0x40800, rig.page, rig.page + 4090, 0x08000000,
    0xfee00000, 0xffffffff];
  const pick = (from: readonly number[]): number => from[random.below(from.length)] as number;
  random.fill(rig.memory());
  rig.enableMsi(0x52);
  for (let i = 0; i < 3000; i++) {
    const off = pick(offs) + (random.below(8) === 0 ? random.below(4) : 0);
    const width = pick([1, 2, 4, 4, 4, 4, 8]);
    switch (random.below(8)) {
      case 0: seen.push(`${i}: read ${width} at ${off}: ${rig.read(off, width)}, ${rig.status}, ${engine.high}`); break;
      case 1:
        // one asks for a message in the write, the other in its step: none may be on its way when MSI goes off
        while (rig.service(0, budget) === 1) { /* more */ }
        rig.config(MSI + 2, 2, random.below(2));
        break;
      case 2: rig.config(COMMAND, 2, pick([2, 6, 6, 6, 0x406])); break;
      case 3:
        if (rig.service(pick([0, 1000, DMA_NS / 2, DMA_NS]), budget) === 1) {
          while (rig.service(0, budget) === 1) { /* more */ }
        }
        seen.push(`${i}: ${rig.messages()}, ${rig.line}, ${engine.exports.nextDeadline()}`);
        break;
      case 4: {
        const command = pick([1, 3, 5, 7]);
        const inside = pick([0x40000, 0x40000, 0x40800, pick(values)]);
        const outside = pick([rig.page, rig.page + 4090, pick(values)]);
        const [from, to] = command & 2 ? [inside, outside] : [outside, inside];
        rig.transfer(from, to, pick([1, 8, 16, 4096]), command);
        break;
      }
      default: rig.write(off, pick(values), width, pick([0, 0, 0, 1]));
    }
  }
  const memory = Buffer.from(rig.memory()).toString('base64');
  return { seen, memory, counters: countersBetween(before, engine.counters()) };
}

const twins = suite('twins');

twins('see, do and count the same under drivers that do anything, with any budget', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const expected = await wild('edu', seed, 0x7fffffff);
    const { dmaReads, dmaWrites, messagesSent, intxAsserts } = expected.counters;
    assert.ok(Math.min(dmaReads, dmaWrites, messagesSent, intxAsserts) > 5, `seed ${seed}: the driver did something`);
    for (const budget of [1, 7, 0x7fffffff]) {
      const found = await wild('edu-twin', seed, budget);
      assert.is(found.seen.find((line, i) => line !== expected.seen[i]), undefined, `seed ${seed}, budget ${budget}`);
      assert.equal(found.counters, expected.counters);
      assert.is(found.memory, expected.memory);
    }
  }
});

twins.run();
