import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine, type EngineOptions } from '../../src/engine/index';

/** Code of the error that creating such an engine throws. */
async function codeOf(options: EngineOptions): Promise<string> {
  try {
    await Engine.create(options);
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

const small = { frames: 64, tableFrames: 0, heapBytes: 65536 };

const options = suite('Engine.create: what it refuses');

options('numbers out of range, and what is no whole number', async () => {
  for (const frames of [0, -1, 1.5, NaN, Infinity, 0xe0001]) assert.is(await codeOf({ ...small, frames }), 'ENGINE_OPTION', String(frames));
  for (const domains of [0, 65, 1.5]) assert.is(await codeOf({ ...small, domains }), 'ENGINE_OPTION');
  for (const tableFrames of [-1, 65]) assert.is(await codeOf({ ...small, tableFrames }), 'ENGINE_OPTION');
  for (const heapBytes of [0, 4095]) assert.is(await codeOf({ ...small, heapBytes }), 'ENGINE_OPTION');
});

options('cache sizes that are no power of two, and more ways than entries', async () => {
  for (const caches of [{ entries: 0 }, { entries: 48 }, { entries: 65536 }, { entries: 8, ways: 16 }, { entries: 8, ways: 3 },
    { pwc2m: 3 }, { pwc1g: 0 }, { pwc512g: 65536 }, { contexts: 6 }]) {
    assert.is(await codeOf({ ...small, caches }), 'ENGINE_OPTION', JSON.stringify(caches));
  }
});

options('places that overlap, are negative or not aligned, before it touches the host\'s memory', async () => {
  const memory = new WebAssembly.Memory({ initial: 64 });
  const bytes = new Uint8Array(memory.buffer).fill(0x5a);
  for (const place of [{ state: 65536, ram: 65536 }, { state: 0x20000, ram: 0x30000 }, { state: 8 }, { state: -16 }, { ram: -8 },
    { ram: 0x200004 }, { state: 1.5 }, { ram: 0 }]) {
    assert.is(await codeOf({ ...small, ...place, memory }), 'ENGINE_OPTION', JSON.stringify(place));
  }
  assert.ok(bytes.every((byte) => byte === 0x5a));
});

options('a memory that cannot grow far enough', async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  assert.is(await codeOf({ ...small, memory }), 'ENGINE_MEMORY');
});

options.run();

const placed = suite('Engine: its state');

placed('measure tells what create uses, and create grows the host\'s memory to that', async () => {
  const measure = await Engine.measure(small);
  assert.equal([measure.ram.size, measure.state.align, measure.ram.align], [64 * 4096, 16, 8]);
  const memory = new WebAssembly.Memory({ initial: 1 });
  const engine = await Engine.create({ ...small, memory, state: 0x10010, ram: 0x10010 + measure.state.size + 8 });
  assert.is(engine.stateSize, measure.state.size);
  assert.ok(memory.buffer.byteLength >= engine.ram + 64 * 4096);
});

placed('a slice does not say where state and RAM lie', async () => {
  const one = await Engine.create(small);
  const other = await Engine.create({ ...small, state: 0x30010, ram: 0x400000 });
  for (const engine of [one, other]) {
    engine.exports.domainCreate(1, 5, 0);
    engine.exports.guestMapSet(1, 7, (1 << 30 | 1 << 29 | 9) >>> 0);
    engine.exports.guestStore(1, 0x7004, 0, 4, 0xabcdef01, 0);
  }
  assert.ok(Buffer.from(one.slice()).equals(Buffer.from(other.slice())));
  assert.is(other.exports.guestLoad(1, 0x7004, 0, 4) >>> 0, 0xabcdef01);
  assert.is(new DataView(other.memory.buffer).getUint32(0x400000 + 9 * 4096 + 4, true), 0xabcdef01);
});

placed('two engines on one memory do not disturb each other', async () => {
  const { state } = await Engine.measure(small);
  const memory = new WebAssembly.Memory({ initial: 1 });
  const a = await Engine.create({ ...small, memory, state: 0x10000, ram: 0x800000 });
  const at = Math.ceil((0x10000 + state.size) / 65536) * 65536;
  const b = await Engine.create({ ...small, memory, state: at, ram: 0x900000 });
  a.exports.frameAssign(3, 77, 0);
  assert.equal([a.exports.frameOwner(3), b.exports.frameOwner(3)], [77, 0xffff]);
});

placed('a frame that is not RAM has a named error', async () => {
  const engine = await Engine.create(small);
  assert.throws(() => engine.frame(64), (error: { code: string }) => error.code === 'NO_FRAME');
});

placed.run();
