import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MapEntry } from '../../assembly/spec/machine';
import { Edu } from '../../assembly/spec/edu';
import { Lookaside, State } from '../../assembly/spec/state';
import { Status } from '../../assembly/spec/status';
import { attach } from '../../src/devices/attach';
import { edu } from '../../src/devices/edu/index';
import { Engine } from '../../src/engine/index';

const MFN = 0xf0000;
const PAGE = 0xc0000;
const ONES = 0xffffffff;
const MMIO = ((MapEntry.MMIO << MapEntry.KIND_SHIFT | MFN) >>> 0);
const WRITABLE = (MMIO | 1 << MapEntry.WRITABLE_BIT) >>> 0;

/** Two domains; the first has the registers of edu at page PAGE of its map, and has used them. */
async function machine() {
  const engine = await Engine.create({ frames: 64, tableFrames: 0 });
  const { exports } = engine;
  attach(engine, edu, 8);
  exports.barPlace(1, 0, 1, MFN * 4096, 0);
  exports.domainCreate(0, 0, 0);
  exports.domainCreate(1, 1, 0);
  exports.guestMapSet(0, PAGE, WRITABLE);
  const read = (dom = 0): number => exports.guestLoad(dom, PAGE * 4096 + Edu.ID, 0, 4) >>> 0;
  for (let i = 0; i < 2; i++) assert.is(read(), Edu.ID_VALUE);
  return { engine, exports, read };
}

const lookaside = suite('device pages kept by guest page');

lookaside('end with the right to the page, and come back with it', async () => {
  const { engine, exports, read } = await machine();
  exports.guestMapSet(0, PAGE, 0);
  assert.is(read(), ONES);
  assert.is(engine.status, Status.REFUSED);
  exports.guestMapSet(0, PAGE, WRITABLE);
  assert.is(read(), Edu.ID_VALUE);
});

lookaside('end when the BAR leaves the decode', async () => {
  const { engine, exports, read } = await machine();
  exports.barPlace(1, 0, 0, 0, 0);
  assert.is(read(), ONES);
  assert.is(engine.status, Status.NOTHING);
});

lookaside('are one domain\'s, and end with it', async () => {
  const { engine, exports, read } = await machine();
  assert.is(read(1), ONES);
  assert.is(engine.status, Status.REFUSED);
  exports.domainDestroy(0);
  assert.is(read(), ONES);
  assert.is(engine.status, Status.ABSENT);
});

lookaside('let nobody write through a mapping for reading', async () => {
  const { engine, exports } = await machine();
  const status = (): number => exports.guestLoad(0, PAGE * 4096 + Edu.STATUS, 0, 4);
  exports.guestStore(0, PAGE * 4096 + Edu.STATUS, 0, 4, Edu.STATUS_RAISE, 0);
  assert.is(status(), Edu.STATUS_RAISE);
  exports.guestMapSet(0, PAGE, MMIO);
  assert.is(status(), Edu.STATUS_RAISE);
  exports.guestStore(0, PAGE * 4096 + Edu.STATUS, 0, 4, 0, 0);
  assert.is(engine.status, Status.REFUSED);
  assert.is(status(), Edu.STATUS_RAISE);
});

lookaside('do not come alive again after all generations', async () => {
  const { engine, exports, read } = await machine();
  exports.guestMapSet(0, PAGE, 0);
  const round = 2 ** (32 - Lookaside.GENERATION_SHIFT);
  const before = engine.word(State.LOOKASIDE_GENERATION);
  for (let i = 0; i < round - 1; i++) exports.guestMapSet(0, 1, 0);
  assert.is.not(engine.word(State.LOOKASIDE_GENERATION), before);
  assert.is(read(), ONES);
});

lookaside('count and answer as the long way does', async () => {
  const { engine, exports, read } = await machine();
  const before = engine.counters().mmioReads;
  for (let i = 0; i < 3; i++) read();
  assert.is(engine.counters().mmioReads - before, 3);
  assert.is(exports.guestLoad(0, PAGE * 4096 + Edu.ID + 2, 0, 2) >>> 0, ONES);
  assert.is(engine.status, Status.WIDTH);
  read();
  assert.is(engine.status, Status.OK);
});

lookaside.run();
