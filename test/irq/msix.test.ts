import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../src/index';
import { msixCapability } from '../../src/pci/capabilities/msix';
import { machineWith, Probe, probe as probeDefinition } from '../helpers/made-up';

// MSI capability at 0x50 (64 bits, masking, 8 vectors), MSI-X at 0x70 (5 vectors, in BAR 0: table at 0x1000, pending
// bits
// at 0x2008)
const MSI = 0x50, MSI_CONTROL = 0x52, MSI_DATA = 0x5c, MSI_MASK = 0x60, MSI_PENDING = 0x64;
const MSIX_CONTROL = 0x72, ENABLE = 0x8000, FUNCTION_MASK = 0x4000;
const TABLE = 0x1000, PBA = 0x2008;
const QUEUE = 256;

async function make(more = {}): Promise<{ machine: Machine; probe: Probe }> {
  const machine = await machineWith([{ model: 'probe', bdf: '00:04.0' }], more);
  const probe = new Probe(machine, '00:04.0');
  probe.setConfig(4, 2, 0x0006);
  return { machine, probe };
}

function program(probe: Probe, vectors = 5): void {
  for (let vector = 0; vector < vectors; vector++) {
    probe.setRegister(TABLE + 16 * vector, 0xfee00000);
    probe.setRegister(TABLE + 16 * vector + 8, 0x40 + vector);
    probe.setRegister(TABLE + 16 * vector + 12, 0);
  }
}

function fill(machine: Machine, probe: Probe, number: number): void {
  // messages of other vectors, written by DMA of the function itself
  const off = machine.engine.heap.take(4, 'a message');
  for (let i = 0; i < number; i++) {
    machine.engine.setWord(off, 0x80 + i % 64);
    assert.is(probe.exports.functionDmaWrite(probe.fn, 0xfee00000 + (i >> 6) * 0x1000, 0, 4, off), 0);
  }
}

test('nothing is sent while MSI-X is off', async () => {
  const { probe } = await make();
  program(probe);
  assert.not.ok(probe.message(0));
  assert.equal(probe.vectors(), []);
});

test('a vector beyond the table is none', async () => {
  const { probe } = await make();
  program(probe);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  for (const vector of [5, 63, 64, 1000, 0xffffffff]) assert.ok(probe.message(vector));
  assert.equal(probe.vectors(), []);
  assert.is(probe.register(PBA), 0);
});

test('without Bus Master a message is refused and gone', async () => {
  const { probe } = await make();
  program(probe);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  probe.setConfig(4, 2, 0x0002);
  probe.message(1);
  probe.setConfig(4, 2, 0x0006);
  probe.service();
  assert.equal(probe.vectors(), []);
});

test('the table takes dwords and qwords only, and keeps its masks', async () => {
  const { probe } = await make();
  probe.setRegister(TABLE, 0xffffffff);
  probe.setRegister(TABLE + 12, 0xffffffff);
  assert.equal([probe.register(TABLE), probe.register(TABLE + 12)], [0xfffffffc, 1]);
  probe.exports.registerWrite(probe.fn, 0, TABLE + 8, 2, 0x1234, 0);
  probe.exports.registerWrite(probe.fn, 0, TABLE + 8, 1, 0x12, 0);
  assert.is(probe.register(TABLE + 8), 0);
  probe.exports.registerWrite(probe.fn, 0, TABLE + 8, 8, 0x99, 0);
  assert.equal([probe.register(TABLE + 8), probe.register(TABLE + 12)], [0x99, 0]);
  probe.setRegister(PBA, 0xffffffff);
  assert.is(probe.register(PBA), 0, 'pending bits are read-only');
});

test('after reset every vector is masked', async () => {
  const { probe } = await make();
  for (let vector = 0; vector < 5; vector++) assert.is(probe.register(TABLE + 16 * vector + 12), 1);
});

test('each vector has its own address and data', async () => {
  const { machine, probe } = await make();
  program(probe);
  probe.setRegister(TABLE + 16 * 3, 0xfee07000);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  probe.message(4);
  probe.message(3);
  assert.is(machine.engine.pollMessage()?.vector, 0x44);
  const second = machine.engine.pollMessage();
  assert.equal([second?.vector, second?.destination, second?.requester], [0x43, 7, 0x0020]);
});

test('a masked vector is pending, and is sent once when unmasked', async () => {
  const { probe } = await make();
  program(probe);
  probe.setRegister(TABLE + 16 * 2 + 12, 1);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  for (let i = 0; i < 3; i++) probe.message(2);
  probe.message(1);
  assert.equal(probe.vectors(), [0x41]);
  assert.is(probe.register(PBA), 0x4);
  probe.setRegister(TABLE + 16 * 2 + 12, 0);
  probe.service();
  assert.equal(probe.vectors(), [0x42]);
  assert.is(probe.register(PBA), 0);
});

test('the function mask holds all of them', async () => {
  const { probe } = await make();
  program(probe);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE | FUNCTION_MASK);
  for (const vector of [4, 0, 2]) probe.message(vector);
  assert.equal(probe.vectors(), []);
  assert.is(probe.register(PBA), 0x15);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  probe.service();
  assert.equal(probe.vectors(), [0x40, 0x42, 0x44]);
});

test('what is pending is forgotten when MSI-X goes off', async () => {
  const { probe } = await make();
  program(probe);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE | FUNCTION_MASK);
  probe.message(1);
  probe.setConfig(MSIX_CONTROL, 2, 0);
  assert.is(probe.register(PBA), 0);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  probe.service();
  assert.equal(probe.vectors(), []);
});

test('MSI-X and MSI replace INTx', async () => {
  const { machine, probe } = await make();
  probe.exports.functionIntx(probe.fn, 1);
  const line = probe.config(0x3c, 1);
  assert.is(machine.engine.exports.intxLine(line), 1);
  for (const [off, value] of [[MSIX_CONTROL, ENABLE], [MSI_CONTROL, 1]] as const) {
    probe.setConfig(off, 2, value);
    assert.is(machine.engine.exports.intxLine(line), 0);
    assert.is(probe.config(6, 2) & 8, 8, 'Interrupt Status shows the level');
    probe.setConfig(off, 2, 0);
    assert.is(machine.engine.exports.intxLine(line), 1);
  }
});

test('a full queue loses no message: each stays pending until there is room', async () => {
  const { machine, probe } = await make();
  program(probe);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  fill(machine, probe, QUEUE);
  for (const vector of [0, 1, 3]) probe.message(vector);
  assert.is(probe.register(PBA), 0xb);
  assert.is(machine.engine.exports.service(0, 1000), 2, 'PENDING');
  assert.is(machine.engine.pollMessage()?.vector, 0x80);
  probe.service();
  assert.is(probe.register(PBA), 0xa);
  const seen = probe.vectors();
  probe.service();
  seen.push(...probe.vectors());
  assert.is(seen.length, QUEUE - 1 + 3);
  assert.equal(seen.slice(-3), [0x40, 0x41, 0x43]);
  assert.is(probe.register(PBA), 0);
});

test('messages are the same for every budget', async () => {
  const results: string[] = [];
  for (const budget of [1, 7, 1000, 0x7fffffff]) {
    const { machine, probe } = await make();
    program(probe);
    probe.setConfig(MSIX_CONTROL, 2, ENABLE | FUNCTION_MASK);
    for (let vector = 0; vector < 5; vector++) probe.message(vector);
    probe.setConfig(MSIX_CONTROL, 2, ENABLE);
    while (machine.engine.exports.service(0, budget) === 1) { /* more */ }
    results.push(JSON.stringify([probe.vectors(), machine.engine.counters()]));
  }
  assert.is(new Set(results).size, 1);
});

test('a write of another device into the table unmasks too', async () => {
  const machine = await machineWith([{ model: 'probe', bdf: '00:04.0' }, { model: 'probe', bdf: '00:05.0' }]);
  const [probe, other] = ['00:04.0', '00:05.0'].map((bdf) => new Probe(machine, bdf)) as [Probe, Probe];
  for (const one of [probe, other]) one.setConfig(4, 2, 6);
  program(probe);
  probe.setRegister(TABLE + 12, 1);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  probe.message(0);
  assert.is(other.dma((probe.config(0x10) & ~0xf) + TABLE + 12 >>> 0), 0);
  probe.service();
  assert.equal(probe.vectors(), [0x40]);
});

test('with interrupt remapping each vector has its entry, and nobody else may use it', async () => {
  const machine = await machineWith([{ model: 'probe', bdf: '00:04.0' }, { model: 'probe', bdf: '00:05.0' }],
    { iommu: 'vtd', owner: 'xen' });
  const [probe, other] = ['00:04.0', '00:05.0'].map((bdf) => new Probe(machine, bdf)) as [Probe, Probe];
  const entries = [0x51, 0x52].map((vector) =>
    machine.hypervisor.iommu?.remapInterrupt(machine.routingOf('00:04.0'), vector, 0));
  for (const one of [probe, other]) {
    one.setConfig(4, 2, 6);
    entries.forEach((entry, vector) => {
      one.setRegister(TABLE + 16 * vector, entry?.address ?? 0);
      one.setRegister(TABLE + 16 * vector + 8, entry?.data ?? 0);
      one.setRegister(TABLE + 16 * vector + 12, 0);
    });
    one.setConfig(MSIX_CONTROL, 2, ENABLE);
  }
  other.message(0);
  other.message(1);
  assert.equal(other.vectors(), []);
  assert.equal(machine.hypervisor.iommu?.takeFaults().map(({ requester, reason }) => [requester, reason]),
    [[0x28, 0x26], [0x28, 0x26]]);
  probe.message(1);
  probe.message(0);
  assert.equal(probe.vectors(), [0x52, 0x51]);
});

/** The probe with other MSI-X. */
function variant(vectors: number, table: number, pending: number): typeof probeDefinition {
  const msix = msixCapability({ off: 0x70, vectors, table: { bar: 0, off: table }, pending: { bar: 0, off: pending } });
  const config = { ...probeDefinition.config, capabilities: [msix] } as NonNullable<typeof probeDefinition.config>;
  return { ...probeDefinition, model: 'variant', config };
}

test('a table over the device\'s own registers is refused', async () => {
  const made = Machine.create({ memory: '16MiB', devices: [{ model: 'variant', bdf: '00:04.0' }] },
    { models: [variant(4, 0, 0x2000)] });
  try {
    await made;
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /SCRATCH and MSIX_ADDRESS\[1\] of variant overlap in BAR 0; move the MSI-X table/);
  }
});

test('64 vectors, with pending bits in two dwords', async () => {
  const machine = await Machine.create({ memory: '16MiB', devices: [{ model: 'variant', bdf: '00:04.0' }] },
    { models: [variant(64, TABLE, PBA)] });
  const probe = new Probe(machine, '00:04.0');
  probe.setConfig(4, 2, 6);
  program(probe, 64);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE | FUNCTION_MASK);
  for (const vector of [63, 32, 0, 31]) probe.message(vector);
  assert.equal([probe.register(PBA), probe.register(PBA + 4)], [0x80000001, 0x80000001]);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  probe.service();
  assert.equal(probe.vectors(), [0x40, 0x5f, 0x60, 0x7f]);
});

// ---- MSI with more vectors than one

function programMsi(probe: Probe, log2: number): void {
  probe.setConfig(MSI + 4, 4, 0xfee00000);
  probe.setConfig(MSI_DATA, 2, 0x60);
  probe.setConfig(MSI_CONTROL, 2, log2 << 4 | 1);
}

test('with fewer vectors given than there are, the high bits of the number fall off', async () => {
  const { probe } = await make();
  programMsi(probe, 1);
  probe.message(6);
  probe.message(3);
  assert.equal(probe.vectors(), [0x60, 0x61]);
});

test('more vectors than the function has are not given', async () => {
  const { probe } = await make();
  programMsi(probe, 7);
  for (const vector of [7, 8, 31]) probe.message(vector);
  assert.equal(probe.vectors(), [0x67, 0x60]);
});

test('mask bits of MSI hold a vector pending', async () => {
  const { probe } = await make();
  programMsi(probe, 3);
  probe.setConfig(MSI_MASK, 4, 0xffffffff);
  assert.is(probe.config(MSI_MASK), 0xff, 'only the vectors that there are');
  for (const vector of [5, 2]) probe.message(vector);
  assert.equal(probe.vectors(), []);
  assert.is(probe.config(MSI_PENDING), 0x24);
  probe.setConfig(MSI_PENDING, 4, 0);
  assert.is(probe.config(MSI_PENDING), 0x24, 'read-only');
  probe.setConfig(MSI_MASK, 1, 0xdf);
  probe.service();
  assert.equal(probe.vectors(), [0x65]);
  probe.setConfig(MSI_MASK, 4, 0);
  probe.service();
  assert.equal(probe.vectors(), [0x62]);
  assert.is(probe.config(MSI_PENDING), 0);
});

test('a message asked for as MSI is not sent as MSI-X', async () => {
  const { probe } = await make();
  program(probe);
  programMsi(probe, 3);
  probe.setConfig(MSI_MASK, 4, 0xff);
  probe.message(1);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE);
  probe.service();
  assert.equal(probe.vectors(), []);
});

test('a reset forgets what is pending', async () => {
  const { probe } = await make();
  program(probe);
  probe.setConfig(MSIX_CONTROL, 2, ENABLE | FUNCTION_MASK);
  probe.message(0);
  probe.exports.functionReset(probe.fn);
  assert.equal([probe.register(PBA), probe.config(MSIX_CONTROL, 2), probe.register(TABLE + 12)], [0, 4, 1]);
  probe.service();
  assert.equal(probe.vectors(), []);
});

test.run();
