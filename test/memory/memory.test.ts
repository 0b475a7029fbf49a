import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { State } from '../../assembly/spec/state';
import type { DeviceDefinition } from '../../src/devices/definition';
import { edu } from '../../src/devices/edu/index';
import { Engine } from '../../src/engine/index';
import { ABSENT, BareMachine, FULL, IN_USE, NOTHING, OK, RANGE } from '../helpers/bare-machine';

const windows = suite('RAM windows');

const create = (): Promise<Engine> => Engine.create({ frames: 64, tableFrames: 0, heapBytes: 65536, memory: new WebAssembly.Memory({ initial: 128 }) });

windows('are refused when they overlap one another', async () => {
  const { exports } = await create();
  for (const [first, frames] of [[0, 1], [63, 1], [63, 10], [0, 1000]] as const) {
    assert.is(exports.windowMap(first, frames, 0x700000, 1, 0), RANGE);
  }
  assert.is(exports.windowMap(64, 1, 0x700000, 1, 0), OK);
  assert.is(exports.windowMap(64, 1, 0x700000, 1, 0), RANGE);
  assert.is(exports.windowMap(60, 10, 0x700000, 1, 0), RANGE);
});

windows('are refused outside the memory, beyond 28 bits of frame, and empty', async () => {
  const { exports } = await create();
  assert.is(exports.windowMap(100, 0, 0x700000, 1, 0), RANGE);
  assert.is(exports.windowMap(100, 1, 0, 1, 0), RANGE);
  assert.is(exports.windowMap(100, 1, 0x7ff001, 1, 0), RANGE);
  assert.is(exports.windowMap(100, 0x100000, 0x700000, 1, 0), RANGE);
  assert.is(exports.windowMap(100, 0xffffffff, 0x700000, 1, 0), RANGE);
  assert.is(exports.windowMap(0x10000000, 1, 0x700000, 1, 0), RANGE);
  assert.is(exports.windowMap(0xfffffff, 2, 0x700000, 1, 0), RANGE);
  assert.is(exports.windowMap(0xfffffff, 1, 0x700000, 1, 0), OK);
  assert.is(exports.framePtr(0xfffffff), 0x700000);
});

windows('are refused where there is never RAM: config space, the unit\'s registers, interrupts', async () => {
  const { exports } = await create();
  for (const [first, frames] of [[0xe0000, 1], [0xeffff, 1], [0xdffff, 2], [0xfed90, 1], [0xfed8f, 2], [0xfee00, 1], [0xfeeff, 4]] as const) {
    assert.is(exports.windowMap(first, frames, 0x700000, 1, 0), RANGE, first.toString(16));
  }
  assert.is(exports.windowMap(0x100000, 1, 0x700000, 1, 0), OK);
});

windows('may be sixteen, each found, and go again', async () => {
  const { exports } = await create();
  for (let i = 1; i < 16; i++) assert.is(exports.windowMap(100 * i, 2, 0x700000 + i * 0x2000, 1, 0), OK);
  assert.is(exports.windowMap(5000, 1, 0x700000, 1, 0), FULL);
  for (let i = 1; i < 16; i++) {
    assert.is(exports.framePtr(100 * i), 0x700000 + i * 0x2000);
    assert.is(exports.framePtr(100 * i + 1), 0x701000 + i * 0x2000);
    assert.is(exports.framePtr(100 * i + 2), 0);
    assert.is(exports.framePtr(100 * i - 1), 0);
  }
  assert.is(exports.windowUnmap(99), ABSENT);
  assert.is(exports.windowUnmap(700), OK);
  assert.is(exports.windowUnmap(700), ABSENT);
  assert.is(exports.framePtr(700), 0);
  assert.is(exports.windowMap(5000, 1, 0x700000, 1, 0), OK);
  assert.is(exports.windowUnmap(0), OK);
  assert.is(exports.framePtr(0), 0);
  assert.is(exports.framePtr(0xffffffff), 0);
});

windows('one that is taken away is no memory any more, for DMA too', async () => {
  const m = await BareMachine.create();
  assert.is(m.dmaWrite(0x10000n, [1]), OK);
  m.engine.exports.windowUnmap(0);
  assert.is(m.dmaWrite(0x10000n, [2]), NOTHING);
  m.engine.exports.windowMap(0, 4096, m.engine.ram, 1, 0);
  assert.is(m.engine.frame(16)[0], 1);
});

windows.run();

const frames = suite('frames');

frames('belong to nobody at first, the table frames to the hypervisor', async () => {
  const engine = await Engine.create({ frames: 64, tableFrames: 4, heapBytes: 65536 });
  assert.is(engine.exports.frameOwner(0), 0xffff);
  assert.is(engine.exports.frameOwner(59), 0xffff);
  assert.is(engine.exports.frameOwner(60), 0x7ff2);
  assert.is(engine.exports.frameOwner(64), 0x7ff4);
  const taken = [1, 2, 3, 4].map(() => engine.exports.tableFrameTake());
  assert.equal([...taken].sort((a, b) => a - b), [60, 61, 62, 63]);
  assert.is(engine.exports.tableFrameTake(), 0);
});

frames('outside the table, or for an id beyond 16 bits, are refused', async () => {
  const { exports } = await create();
  assert.is(exports.frameAssign(64, 1, 0), RANGE);
  assert.is(exports.frameAssign(0xffffffff, 1, 0), RANGE);
  assert.is(exports.frameAssign(1, 0x10000, 0), RANGE);
});

frames('that a mapping holds do not change hands until it is gone', async () => {
  const m = await BareMachine.create();
  const { exports } = m.engine;
  exports.frameAssign(40, 5, 0);
  assert.is(exports.ioDomainCreate(3, 4, 5, 4), OK);
  assert.is(exports.ioMap(3, 100, 40, 1, 3), OK);
  assert.is(exports.ioMap(3, 200, 40, 1, 1), OK);
  assert.is(exports.frameRefs(40), 2);
  assert.is(exports.frameAssign(40, 6, 0), IN_USE);
  exports.ioUnmap(3, 100, 1);
  assert.is(exports.frameAssign(40, 6, 0), IN_USE);
  exports.ioUnmap(3, 200, 1);
  assert.is(exports.frameAssign(40, 6, 0), OK);
  assert.is(exports.frameOwner(40), 6);
});

frames.run();

const radix = suite('pages of the decode and of the guest maps');

const free = (m: BareMachine): number => m.engine.word(State.PAGES_FREE);

const small: DeviceDefinition = {
  ...edu, model: 'small', registers: [{ bar: 0, size: 256, constant: 0, rows: [] }],
  config: { ...edu.config as NonNullable<DeviceDefinition['config']>, bars: [{ kind: 'memory64', size: 256 }] },
};

radix('a BAR that is moved about a million addresses never uses them up', async () => {
  const m = await BareMachine.create();
  const { fn } = m.add(small, 0x0318);
  const { configWrite, registerWrite } = m.engine.exports;
  const before = free(m);
  let x = 1;
  for (let i = 0; i < 1_000_000; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    configWrite(fn, 0x10, 4, x);
    if ((i & 15) === 0) configWrite(fn, 0x14, 4, x & 0x1ff);
  }
  assert.ok(free(m) >= before - 4, `${free(m)} of ${before}`);
  configWrite(fn, 0x14, 4, 0);
  configWrite(fn, 0x10, 4, 0xd0000100);
  assert.is(m.dmaWrite(0xd0000100n, [1, 2, 3, 4]), OK, 'still decoded');
  registerWrite(fn, 0, 0, 4, 0, 0);
  configWrite(fn, 0x10, 4, 0);
  assert.is(free(m), before);
});

radix('a BAR of many pages gives back what it took', async () => {
  const m = await BareMachine.create();
  const before = free(m);
  for (let i = 1; i < 2000; i++) m.engine.exports.configWrite(m.fn, 0x10, 4, (i * 0x7700000) >>> 0);
  m.engine.exports.configWrite(m.fn, 0x04, 2, 0);
  assert.is(free(m), before);
});

radix('a domain gives back what its map took', async () => {
  const m = await BareMachine.create();
  const { exports } = m.engine;
  const before = free(m);
  for (let round = 0; round < 50; round++) {
    assert.is(exports.domainCreate(1, 1, 0), OK);
    for (let i = 0; i < 100; i++) assert.is(exports.guestMapSet(1, i * 0x20001, (1 << 30 | 16) >>> 0), OK);
    assert.is(exports.domainDestroy(1), OK);
    assert.is(free(m), before);
  }
});

radix('an exhausted pool is a status, and changes nothing', async () => {
  const m = await BareMachine.create();
  const { exports } = m.engine;
  exports.domainCreate(1, 1, 0);
  let last = 0;
  while (exports.guestMapSet(1, last * 1024, 0x40000010) === OK) last++;
  assert.is(exports.guestMapSet(1, last * 1024, 0x40000010), FULL);
  assert.is(exports.guestMapGet(1, last * 1024), 0);
  assert.is(exports.guestMapGet(1, (last - 1) * 1024), 0x40000010);
  assert.is(exports.guestMapSet(1, 0x10000000, 1), RANGE);
  exports.guestMapSet(1, 0, 0);
  assert.is(exports.guestMapSet(1, last * 1024, 0x40000010), OK);
  // whatever a guest maps, a BAR still finds its pages
  m.engine.exports.configWrite(m.fn, 0x10, 4, 0xd0000000);
  assert.is(m.dmaWrite(0xd0000000n, [1, 2, 3, 4]), OK);
});

radix.run();
