import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
import { Cell } from '../../src/lab/cell';
import { NIC, setupOf } from '../../src/lab/matrix';

const stream = { name: '64', store: generateStore('64-byte frames', 64, 64, 3), packets: 256 };
/** A frame received without an IOMMU: descriptor, data and write-back, and the fetch that the step begins with. */
const STEP = 8;

test('a call of service ends with its budget, and the next one goes on', async () => {
  const cell = await Cell.create(setupOf('native', 'none'), stream, { seed: 1, batch: 64, allocator: 'magazine' });
  const { engine } = cell.machine;
  cell.machine.link(NIC).offer(200);
  const units = (): number => engine.counters().serviceUnits;
  let calls = 0;
  for (let state = 1; state === 1; calls++) {
    const before = units();
    state = engine.exports.service(engine.now, 10);
    assert.ok(units() - before <= 10 + STEP, `${units() - before} units in one call`);
    assert.ok(calls < 1000);
  }
  assert.is(engine.counters().rxFrames, 200);
  // what a call went over its budget was taken off the next one
  assert.ok(calls >= 200 * 3 / 10, `${calls} calls`);
});

test('a budget of nothing does nothing', async () => {
  const cell = await Cell.create(setupOf('native', 'none'), stream, { seed: 1, batch: 64, allocator: 'magazine' });
  const { engine } = cell.machine;
  cell.machine.link(NIC).offer(8);
  for (let i = 0; i < 10; i++) assert.is(engine.exports.service(engine.now, 0), 1);
  assert.is(engine.counters().rxFrames, 0);
});

test.run();
