import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { E1000 } from '../../assembly/spec/e1000';
import { Edu } from '../../assembly/spec/edu';
import { MapEntry } from '../../assembly/spec/machine';
import { State } from '../../assembly/spec/state';
import { Status } from '../../assembly/spec/status';
import { generateStore } from '../../src/devices/links/store';
import { Engine, Random } from '../../src/engine/index';
import { Cell } from '../../src/lab/cell';
import { NIC, setupOf } from '../../src/lab/matrix';
import { newMemory } from '../helpers/artefact';

const stream = { name: '600', store: generateStore('600-byte frames', 600, 64, 3), packets: 256 };

async function sharedCell(policy: 'strict' | 'lazy'): Promise<Cell> {
  return Cell.create(setupOf('pv-iommu', policy), stream,
    { seed: 7, batch: 32, allocator: 'magazine', memory: newMemory(65536, 'shared') });
}

/** Runs a function body, given as text, in a second thread, with `engine`, `memory` and `data`. Gives its result. */
async function startWorker(cell: Cell, body: string, data: object): Promise<unknown> {
  const { engine } = cell.machine;
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { memory, bytes, base, data } = workerData;
    const env = { memory, hostAccess: () => -1, windowRead: () => 1, windowWrite: () => 1 };
    const engine = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env }).exports;
    if (engine.init(base) !== 0) throw new Error('init refused the state');
    parentPort.postMessage('ready');
    parentPort.once('message', () => parentPort.postMessage((function () { ${body} })()));`;
  const worker = new Worker(code, { eval: true, workerData: {
    memory: engine.memory, bytes: readFileSync('build/engine.shared.wasm'), base: engine.base, data,
  } });
  await once(worker, 'message');
  const answer = once(worker, 'message');
  worker.postMessage('go');
  const [value] = await answer as [unknown];
  await worker.terminate();
  return value;
}

/** Exports that only read a word or two: the lock is not theirs. */
const LOCKLESS = ['barPageOff', 'cacheBytes', 'frameOwner', 'framePtr', 'frameRefs', 'init', 'intxLine', 'nextDeadline',
  'resultHigh', 'resultStatus'];

test('while somebody is in the engine, every call that changes something is refused and changes nothing', async () => {
  const cell = await sharedCell('lazy');
  cell.forward(64);
  const { engine } = cell.machine;
  const calls = engine.exports as unknown as Record<string, (...args: number[]) => number>;
  const before = engine.slice();
  let refused = 0;
  engine.hold(() => {
    for (const [name, call] of Object.entries(calls)) {
      if (typeof call !== 'function' || LOCKLESS.includes(name)) continue;
      assert.is(engine.exports.resultStatus() === Status.BUSY, refused > 0);
      call(...Array.from({ length: call.length }, () => 1));
      assert.is(engine.exports.resultStatus(), Status.BUSY, `${name} is refused`);
      refused++;
    }
  });
  assert.ok(refused > 40);
  assert.equal(Buffer.from(engine.slice()), Buffer.from(before));
  assert.is(engine.exports.ioMap(63, 0, 0, 1, 3), Status.ABSENT, 'then the engine is free again');
  cell.forward(64);
  assert.is(cell.problem(), undefined);
});

test('a status says what was refused: BUSY itself, or ones and BUSY', async () => {
  const { engine } = (await sharedCell('strict')).machine;
  const fn = 1;
  engine.hold(() => {
    assert.is(engine.exports.frameAssign(5, 0, 0), Status.BUSY);
    assert.is(engine.exports.service(0, 1), Status.BUSY);
    assert.is(engine.exports.registerRead(fn, 0, 0, 4) >>> 0, 0xffffffff);
    assert.is(engine.status, Status.BUSY);
    assert.is(engine.high, 0xffffffff);
    assert.throws(() => engine.hold(() => 0), (error: { code?: string }) => error.code === 'ENGINE_BUSY');
  });
  engine.exports.registerRead(fn, 0, 0, 4);
  assert.is(engine.status, Status.OK);
});

/** Config reads, each of them counted once by the engine; every eighth call is a long one. */
const READER = `
  const { fn, calls } = data;
  let [done, refused, unsaid] = [0, 0, 0];
  for (let i = 0; i < calls; i++) {
    const value = engine.configRead(fn, 0, 4) >>> 0;
    if (engine.resultStatus() === 8) refused++; else done++;
    if ((value === 0xffffffff) !== (engine.resultStatus() === 8)) unsaid++;
    if (i % 8 === 0) engine.service(0, 1000);
  }
  return { done, refused, unsaid };`;
interface Read { done: number; refused: number; unsaid: number }

test('two threads in a held engine: every call is refused', async () => {
  const cell = await sharedCell('strict');
  const { engine } = cell.machine;
  const before = engine.counters();
  const lock = new Int32Array(engine.memory.buffer, engine.base + State.LOCK, 1);
  Atomics.store(lock, 0, 1);
  const data = { fn: cell.machine.functionOf(NIC), calls: 1000 };
  const results = await Promise.all([1, 2].map(() => startWorker(cell, READER, data))) as Read[];
  Atomics.store(lock, 0, 0);
  assert.equal(results, [{ done: 0, refused: 1000, unsaid: 0 }, { done: 0, refused: 1000, unsaid: 0 }]);
  assert.equal(engine.counters(), before);
});

test('two threads and the machine at once: what was done is counted once, what was not says BUSY', async () => {
  const cell = await sharedCell('strict');
  const { engine } = cell.machine;
  const before = engine.counters().configReads;
  const data = { fn: cell.machine.functionOf(NIC), calls: 20000 };
  const workers = [1, 2].map(() => startWorker(cell, READER, data)) as Array<Promise<Read>>;
  let running = true;
  const results = Promise.all(workers).finally(() => { running = false; });
  let forwarded = 0;
  while (running) {
    // a refused run has done nothing, and is asked for again
    try {
      cell.forward(32);
      forwarded += 32;
    } catch (error) {
      assert.is(engine.status, Status.BUSY, String(error));
    }
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  const [a, b] = await results as [Read, Read];
  assert.is(a.unsaid + b.unsaid, 0);
  assert.is(a.done + a.refused + b.done + b.refused, 40000);
  assert.is(engine.counters().configReads - before, a.done + b.done);
  assert.is(cell.problem(), undefined, 'no packet is lost or damaged');
  assert.is(engine.counters().rxFrames, forwarded);
});

/** Scribbles over RAM until told to stop, and says how far it is. */
const SCRIBBLER = `
  const words = new Int32Array(memory.buffer);
  const stop = new Int32Array(data.stop);
  let seed = data.seed | 0;
  while (Atomics.load(stop, 0) === 0) {
    for (let i = 0; i < 4096; i++) {
      seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + i | 0;
      const at = data.frames[(seed >>> 10) % data.frames.length] + (seed & 1023);
      words[at] = seed & 16 ? seed : words[at] ^ (1 << (seed & 31));
    }
    Atomics.add(stop, 1, 1);
  }`;

async function scribble(cell: Cell, mfns: number[]): Promise<void> {
  const { engine } = cell.machine;
  const stop = new SharedArrayBuffer(8);
  const flags = new Int32Array(stop);
  const frames = mfns.map((mfn) => (engine.exports.framePtr(mfn) >>> 0) / 4);
  const result = startWorker(cell, SCRIBBLER, { frames, stop, seed: 9 });
  const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
  while (Atomics.load(flags, 1) === 0) await turn();
  const random = new Random(5);
  for (let i = 0; i < 60; i++) {
    try {
      cell.forward(64);
    } catch (error) {
      // a ring that stands still is what a guest gets for such a memory; a trap is not
      assert.is((error as { code?: string }).code, 'RUN_STALLED', String(error));
      cell.driver.write(E1000.RDT, random.below(256));
      cell.driver.write(E1000.TDT, random.below(256));
    }
    cell.bystander.write(Edu.DMA_SOURCE + 8 * random.below(3), random.next());
    cell.bystander.write(Edu.DMA_COMMAND, Edu.DMA_START | (random.below(2) === 0 ? 0 : Edu.DMA_TO_RAM));
    cell.machine.run(200_000_000);
    await turn();
  }
  Atomics.store(flags, 0, 1);
  await result;
}

for (const policy of ['strict', 'lazy'] as const) {
  test(`guest memory that changes while the engine works brings no trap (${policy})`, async () => {
    const cell = await sharedCell(policy);
    await scribble(cell, [...cell.guest.domain.p2m]);
  });
}

test('nor do the tables of the IOMMU, though nobody may write there', async () => {
  const cell = await sharedCell('strict');
  await scribble(cell, Array.from({ length: cell.machine.engine.frames }, (_, mfn) => mfn));
});

for (const artefact of ['plain', 'shared'] as const) {
  test(`a host function that calls the engine from within is told BUSY, the call outside goes on (${artefact})`, async () => {
    const engine = await Engine.create({ frames: 1024, memory: newMemory(65536, artefact) });
    const { exports } = engine;
    assert.is(exports.domainCreate(0, 0, 0), Status.OK);
    const entry = (MapEntry.RAM << MapEntry.KIND_SHIFT | 1 << MapEntry.WRITABLE_BIT | 0x2000) >>> 0;
    assert.is(exports.guestMapSet(0, 5, entry), Status.OK);
    const seen: number[] = [];
    engine.windows.map({ firstMfn: 0x2000, frames: 1, kind: 'file', file: {
      read: (_, bytes) => {
        seen.push(exports.frameAssign(5, 0, 0), exports.guestLoad(0, 0x5000, 0, 4) >>> 0, engine.status);
        bytes.fill(0x5a);
        return true;
      },
      write: () => { throw new Error('the disk is gone'); },
    } });
    assert.is(exports.guestLoad(0, 0x5008, 0, 4), 0x5a5a5a5a);
    assert.is(engine.status, Status.OK);
    assert.equal(seen, [Status.BUSY, 0xffffffff, Status.BUSY]);
    assert.is(exports.frameOwner(5), 0xffff, 'nothing has happened');
    exports.guestStore(0, 0x5008, 0, 4, 1, 0);
    assert.is(engine.status, Status.FAULT);
    assert.match(String(engine.windows.failure), 'the disk is gone');
    assert.is(exports.frameAssign(5, 0, 0), Status.OK, 'then the engine is free again');
  });
}

test.run();
