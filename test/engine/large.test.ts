import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../src/engine/engine';
import { attach } from '../../src/devices/attach';
import { edu } from '../../src/devices/edu/index';
import { Machine } from '../../src/machine/machine';

test('3.5 GiB of RAM in one memory, of which the system backs what is used', async () => {
  const before = process.memoryUsage().rss;
  const engine = await Engine.create({ frames: 0xe0000 });
  const { fn } = attach(engine, edu, 0x20);
  engine.exports.configWrite(fn, 4, 2, 6);
  const scratch = engine.heap.take(64, 'the test');
  engine.setWord(scratch, 0x12345678);
  // the last frame that is not the hypervisor's
  const mfn = 0xe0000 - 512 - 1;
  assert.is(engine.exports.functionDmaWrite(fn, mfn * 4096 + 4092, 0, 4, scratch), 0);
  assert.equal([...engine.frame(mfn).subarray(4092)], [0x78, 0x56, 0x34, 0x12]);
  assert.equal(engine.takeDirtyFrames(), [mfn]);
  assert.ok(process.memoryUsage().rss - before < 512 * 2 ** 20);
});

test('more is refused, and so is too little', async () => {
  const refuses = async (memory: string, expected: RegExp): Promise<void> => {
    try {
      await Machine.create({ memory });
    } catch (error) {
      assert.match((error as Error).message, expected);
      return;
    }
    assert.unreachable(memory);
  };
  await refuses('4GiB', /from 4MiB to 3584MiB/);
  await refuses('1MiB', /from 4MiB to 3584MiB/);
  await refuses('lots', /KiB, MiB or GiB/);
});

test.run();
