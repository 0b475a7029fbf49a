import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
import { Cell } from '../../src/lab/cell';
import { setupOf } from '../../src/lab/matrix';
import { Machine } from '../../src/machine/machine';

const stream = { name: '600', store: generateStore('600-byte frames', 600, 64, 3), packets: 256 };

test('events come in the order in which they happened, with who, where and what', async () => {
  const machine = await Machine.create({ iommu: 'vtd', devices: [{ model: 'edu', bdf: '00:06.0' }] });
  const guest = machine.guest(machine.dom0);
  machine.assign('00:06.0', machine.dom0, 'own-frames');
  const va = guest.ioremap(machine.barAddress('00:06.0', 0), 4096);
  const { engine } = machine;
  engine.trace.start();
  guest.load(va, 4);
  guest.store(va + 4, 4, 0x1234);
  guest.load(va, 2); // a width that the register does not take
  engine.exports.guestIn(machine.dom0.slot, 0xcf8, 4);
  engine.exports.configWrite(machine.functionOf('00:06.0'), 4, 2, 0x0406);
  const scratch = engine.heap.take(64, 'test');
  engine.exports.functionDmaWrite(machine.functionOf('00:06.0'), 0x3000, 0, 8, scratch); // nobody's frame: a fault
  const events = engine.trace.drain();
  assert.equal(events.map(({ kind, write, status }) => [kind, write, status]), [
    ['mmio', false, 0], ['mmio', true, 0], ['mmio', false, 5], ['port', false, 0], ['config', true, 0],
    ['fault', true, 5], ['dma', true, 3],
  ]);
  assert.is(events[0]?.address, va);
  assert.is(events[0]?.value, 0x010000ed);
  assert.is(events[1]?.value, 0x1234);
  assert.is(events[5]?.address, 0x3000);
  assert.equal(engine.trace.drain(), []);
});

test('only the kinds asked for are recorded, and none after the end', async () => {
  const cell = await Cell.create(setupOf('pv-iommu', 'strict'), stream, { seed: 1, batch: 16, allocator: 'magazine' });
  const { trace } = cell.machine.engine;
  trace.start({ kinds: ['hypercall'] });
  cell.forward(64);
  const events = trace.drain();
  assert.ok(events.length >= 64 * 6);
  assert.ok(events.every(({ kind }) => kind === 'hypercall'));
  assert.equal([...new Set(events.map(({ width }) => width))].sort(), [1, 2, 3]);
  trace.stop();
  cell.forward(16);
  assert.equal(trace.drain(), []);
});

test('an observing trace counts what it loses', async () => {
  const cell = await Cell.create(setupOf('native', 'strict'), stream, { seed: 1, batch: 16, allocator: 'magazine' });
  const { trace } = cell.machine.engine;
  trace.start({ capacity: 8192 });
  cell.forward(1024);
  assert.ok(trace.lost > 0);
  assert.is(trace.drain().length, 8192);
});

for (const [owner, batch] of [['native', 16], ['pv-iommu', 255]] as const) test(`a lossless trace ends the batch instead, and the run goes on after it is drained (${owner}, batch ${batch})`, async () => {
  const create = (): Promise<Cell> => Cell.create(setupOf(owner, 'strict'), stream, { seed: 1, batch, allocator: 'magazine' });
  const [traced, plain] = [await create(), await create()];
  const { engine } = traced.machine;
  engine.trace.start({ capacity: 8192, lossless: true });
  let events = 0;
  let done = 0;
  let calls = 0;
  while (done < 1024 && calls < 1000) {
    done += traced.forwardSome(1024 - done);
    events += engine.trace.drain().length;
    calls++;
  }
  assert.is(done, 1024);
  assert.ok(calls > 1, 'the trace has ended a batch');
  assert.is(engine.trace.lost, 0);
  assert.is(traced.problem(), undefined);
  plain.forward(1024);
  assert.is(engine.counters().txFrames, plain.machine.engine.counters().txFrames);
  assert.ok(events > 1024 * 10);
});

test('a long invalidation queue waits for a lossless trace to be drained', async () => {
  const machine = await Machine.create({ iommu: 'vtd' });
  const { engine } = machine;
  engine.trace.start({ capacity: 8192, lossless: true, kinds: ['invalidation'] });
  let seen = 0;
  for (let i = 0; i < 9000; i++) {
    // an invalidation and its wait; when the queue stands still the wait is not done
    const status = engine.exports.invalidate(0x000000e2 | 5 << 16, 0, 0, 0);
    if (status !== 0) {
      seen += engine.trace.drain().length;
      while (engine.exports.service(engine.now, 1000) === 1) seen += engine.trace.drain().length;
    }
  }
  assert.is(engine.trace.lost, 0);
  assert.is(seen + engine.trace.drain().length, 18000);
});

test('a trace of a size that cannot be is refused', async () => {
  const { engine } = await Machine.create({});
  for (const capacity of [0, 4096, 9000, 2 ** 25, 1.5]) assert.throws(() => engine.trace.start({ capacity }), /power of two from 8192/);
});

test.run();
