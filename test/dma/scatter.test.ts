import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attach } from '../../src/devices/attach';
import { edu } from '../../src/devices/edu/index';
import { Engine } from '../../src/engine/engine';

const [OK, REFUSED, NOTHING, RANGE] = [0, 1, 2, 7];

async function rig(): Promise<{ engine: Engine; fn: number; list: number; data: number; put: (...entries: Array<[number, number]>) => number }> {
  const engine = await Engine.create({ frames: 64, tableFrames: 0 });
  const { fn } = attach(engine, edu, 0x20);
  engine.exports.configWrite(fn, 4, 2, 6);
  const [list, data] = [engine.heap.take(4096, 'list'), engine.heap.take(0x8000, 'data')];
  return { engine, fn, list, data, put: (...entries) => {
    entries.forEach(([bus, length], i) => {
      engine.setWord64(list + 16 * i, bus);
      engine.setWord(list + 16 * i + 8, length);
    });
    return entries.length;
  } };
}

test('a list that is too long, too large or outside the heap is refused, and nothing moves', async () => {
  const { engine, fn, list, data, put } = await rig();
  const { functionDmaScatter } = engine.exports;
  put([0x1000, 16]);
  assert.is(functionDmaScatter(fn, list, 4097, data, 1), RANGE);
  assert.is(functionDmaScatter(fn, 0, 1, data, 1), RANGE);
  assert.is(functionDmaScatter(fn, list, 1, 0, 1), RANGE);
  assert.is(functionDmaScatter(0, list, 1, data, 1), RANGE, 'the IOMMU does no DMA of its own here');
  assert.is(functionDmaScatter(63, list, 1, data, 1), RANGE);
  put([0x1000, 0xffffffff], [0x1000, 16]);
  assert.is(functionDmaScatter(fn, list, 2, data, 1), RANGE, 'the sum does not wrap');
  assert.is(engine.counters().dmaWrites, 0);
});

test('bytes go to all places in order, and come back from them', async () => {
  const { engine, fn, list, data, put } = await rig();
  for (let i = 0; i < 300; i++) engine.bytes[engine.base + data + i] = i;
  // the second crosses a page, the third is empty
  const entries = put([0x3000, 100], [0x1fce, 150], [0x5000, 0], [0x7ffc, 50]);
  assert.is(engine.exports.functionDmaScatter(fn, list, entries, data, 1), OK);
  assert.is(engine.frame(3)[99], 99);
  assert.is(engine.frame(1)[0xfce], 100);
  assert.is(engine.frame(2)[99], 249 & 0xff);
  assert.is(engine.frame(8)[45], 299 & 0xff);
  engine.stateBytes(data, 300).fill(0);
  assert.is(engine.exports.functionDmaScatter(fn, list, entries, data, 0), OK);
  assert.equal([...engine.stateBytes(data, 300)], Array.from({ length: 300 }, (_, i) => i & 0xff));
});

test('what lies nowhere reads as ones, and the rest is read', async () => {
  const { engine, fn, list, data, put } = await rig();
  engine.frame(1).fill(7);
  const entries = put([0x1000, 4], [0x7f000000, 4], [0x1000, 4]);
  assert.is(engine.exports.functionDmaScatter(fn, list, entries, data, 0), NOTHING);
  assert.equal([...engine.stateBytes(data, 12)], [7, 7, 7, 7, 255, 255, 255, 255, 7, 7, 7, 7]);
});

test('without Bus Master a gather gives ones throughout', async () => {
  const { engine, fn, list, data, put } = await rig();
  engine.exports.configWrite(fn, 4, 2, 2);
  assert.is(engine.exports.functionDmaScatter(fn, list, put([0x1000, 4], [0x2000, 4]), data, 0), REFUSED);
  assert.equal([...engine.stateBytes(data, 8)], Array(8).fill(255));
});

test.run();
