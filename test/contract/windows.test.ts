// Every device on every kind of RAM window: the same bytes in memory, the same frames on the wire, the same interrupts.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../src/engine/engine';
import { attach } from '../../src/devices/attach';
import { edu } from '../../src/devices/edu/index';
import { e1000 } from '../../src/devices/e1000/index';
import { e1000e } from '../../src/devices/e1000e/index';
import { LinkHandle } from '../../src/devices/links/link';
import { generateStore } from '../../src/devices/links/store';
import type { DeviceDefinition } from '../../src/devices/definition';
import { nvme } from '../../src/devices/nvme/index';
import { NvmeHost } from '../helpers/nvme-host';
import { eduTwin } from '../helpers/edu-twin';
import { BASE, FRAMES, type Kind, Rig, WINDOW_MFN } from '../helpers/window-rig';

/** Descriptor rings at the window's start, buffers behind; 24 frames in, of which 16 fit the ring, and 5 packets out. */
async function forward(kind: Kind, definition: DeviceDefinition = e1000): Promise<unknown> {
  const rig = await Rig.create(kind, definition);
  const { engine } = rig;
  const link = new LinkHandle(engine, rig.fn);
  engine.exports.linkChanged(rig.fn);
  link.plugStore(generateStore('frames', 'imix', 24, 9), false);
  rig.write(0x5400, 0); // no address filter: promiscuous below
  for (let i = 0; i < 16; i++) rig.poke(i * 16, BASE + 0x4000 + i * 2048, 0, 0, 0);
  // the buffer of descriptor 3 crosses a page, that of descriptor 5 lies where nobody answers
  rig.poke(3 * 16, BASE + 0x20000 - 1000, 0);
  rig.poke(5 * 16, 0x7f000000, 0);
  // the 82574L has extended descriptors then; the 82540EM has no such register
  rig.write(0x5008, 0x8000);
  rig.write(0x2800, BASE);
  rig.write(0x2804, 0);
  rig.write(0x2808, 256);
  rig.write(0x2818, 15);
  rig.write(0xd0, 0xffff);
  rig.write(0x100, 0x0000801a);
  link.offer(24);
  rig.run();
  const received = { head: rig.read(0x2810), causes: rig.read(0xc0), taken: link.status().taken };

  link.plugCapture(65536);
  for (let i = 0; i < 256; i++) rig.poke(0x8000 + i * 4, 0x01020304 * (i + 1));
  // two descriptors make the first packet; the others are one each
  rig.poke(0x1000, BASE + 0x8000, 0, 100 | 0x00 << 24, 0, BASE + 0x8064, 0, 60 | 0x0b << 24, 0);
  for (let i = 2; i < 6; i++) rig.poke(0x1000 + i * 16, BASE + 0x8000 + i * 4, 0, (64 + i) | 0x0b << 24, 0);
  rig.write(0x3800, BASE + 0x1000);
  rig.write(0x3804, 0);
  rig.write(0x3808, 128);
  rig.write(0x400, 0x0000000a);
  rig.write(0x3818, 6);
  rig.run();
  return {
    received, sent: link.capture().map(({ bytes }) => [...bytes]), head: rig.read(0x3810), causes: rig.read(0xc0),
    memory: Buffer.from(rig.backing()).toString('base64'),
  };
}

async function transfer(kind: Kind, definition: DeviceDefinition = edu): Promise<unknown> {
  const rig = await Rig.create(kind, definition);
  for (let i = 0; i < 1024; i++) rig.poke(0x800 + i * 4, i * 0x9e3779b9);
  const dma = (source: number, destination: number, count: number, command: number): void => {
    for (const [off, value] of [[0x80, source], [0x88, destination], [0x90, count], [0x98, command]] as const) {
      rig.write(off, value);
      if (off < 0x98) rig.write(off + 4, 0);
    }
    rig.run(100_000_000);
  };
  dma(BASE + 0x800, 0x40000, 4096, 5); // crosses a page
  const first = rig.read(0x24);
  rig.write(0x64, first);
  dma(0x40123, BASE + 0x6001, 2000, 7); // to RAM, at odd addresses
  return { first, second: rig.read(0x24), memory: Buffer.from(rig.backing()).toString('base64') };
}

/** Reads and writes by every form of PRP entries, a list that goes on in another page, and one that leads nowhere. */
async function disk(kind: Kind): Promise<unknown> {
  const rig = await Rig.create(kind, nvme({ namespaces: [{ size: 1 << 20 }] }));
  const host = new NvmeHost(rig.engine, rig.fn, BASE, rig.backing, () => rig.run());
  host.queuesAt = 0x12000;
  host.enable();
  host.createQueue(1, 4);
  for (let i = 0; i < 0x4000; i += 4) rig.poke(0x20000 + i, Math.imul(i + 1, 0x9e3779b1) >>> 0);
  rig.poke(0x1ff0, BASE + 0x21000, 0, BASE + 0x3000, 0);
  rig.poke(0x3000, BASE + 0x22000, 0, BASE + 0x23000, 0);
  const done: unknown[] = [];
  const io = (op: number, prp1: number, prp2: number, blocks: number): void => {
    done.push(host.io(op, 5, blocks, { prp1: BASE + prp1, prp2: BASE + prp2 }));
  };
  io(1, 0x20000, 0x1ff0, 32);
  io(2, 0x28a04, 0x29000, 5);
  io(2, 0x2a200, 0x1ff0, 20);
  io(5, 0x20000, 0x1ff0, 32);
  io(2, 0x2c000, 0x8000000, 8);
  io(2, 0x2c000, 0x8000000, 16);
  done.push(host.admin(6, [1], { prp1: BASE + 0x30800, prp2: BASE + 0x31000 }));
  return { done, pin: rig.engine.exports.intxLine(16 + 4), memory: Buffer.from(rig.backing()).toString('base64') };
}

const express = (kind: Kind): Promise<unknown> => forward(kind, e1000e);
const inTypeScript = (kind: Kind): Promise<unknown> => transfer(kind, eduTwin);

for (const [name, scenario] of [
  ['e1000', forward], ['e1000e', express], ['edu', transfer], ['edu in TypeScript', inTypeScript], ['nvme', disk],
] as const) {
  test(`${name} leaves the same bytes on linear, file and message windows`, async () => {
    const linear = await scenario('linear');
    assert.equal(await scenario('file'), linear);
    assert.equal(await scenario('message'), linear);
  });
}

test('a status becomes visible only after the writes that it reports were acknowledged', async () => {
  const rig = await Rig.create('message', e1000);
  const link = new LinkHandle(rig.engine, rig.fn);
  rig.engine.exports.linkChanged(rig.fn);
  link.plugStore(generateStore('one', 64, 1, 1), false);
  rig.poke(0, BASE + 0x4000, 0, 0, 0);
  rig.write(0x2800, BASE);
  rig.write(0x2808, 256);
  rig.write(0x2818, 1);
  rig.write(0xd0, 0x80);
  rig.write(0x100, 0x0000801a);
  link.offer(1);
  const order: string[] = [];
  rig.run(0, (write, offset) => {
    order.push(`${write ? 'write' : 'read'} ${offset.toString(16)}`);
    assert.is(rig.read(0x2810), 0, 'the head has not moved while an answer is owed');
    assert.is(rig.engine.exports.intxLine(16 + 4), 0, 'nor is there an interrupt');
    return false;
  });
  assert.equal(order, ['read 0', 'write 4000', 'write 8']);
  assert.is(rig.read(0x2810), 1);
  assert.is(rig.engine.exports.intxLine(16 + 4), 1);
});

test('what the host refuses is a fault like any other', async () => {
  const rig = await Rig.create('message', edu);
  rig.poke(0, 0x11111111);
  for (const [off, value] of [[0x80, BASE], [0x88, 0x40000], [0x90, 4], [0x98, 5]] as const) rig.write(off, value);
  rig.run(100_000_000, () => true);
  for (const [off, value] of [[0x80, 0x40000], [0x88, BASE + 0x100], [0x90, 4], [0x98, 7]] as const) rig.write(off, value);
  rig.run(100_000_000);
  assert.is(rig.peek(0x100), 0xffffffff, 'the refused read gave ones');
});

test('a reset gives a request up: its answer, when it comes, goes nowhere', async () => {
  const rig = await Rig.create('message', edu);
  for (const [off, value] of [[0x80, BASE], [0x88, 0x40000], [0x90, 64], [0x98, 5]] as const) rig.write(off, value);
  rig.engine.exports.service(100_000_000, 1000);
  const [request] = rig.engine.windows.poll();
  assert.ok(request);
  rig.engine.exports.functionReset(rig.fn);
  assert.is(rig.engine.windows.answer(request, true), false);
  assert.equal(rig.engine.windows.poll(), []);
});

test('a window that overlaps another, or lies where no RAM can be, is refused', async () => {
  const { engine } = await Rig.create('file', edu);
  for (const firstMfn of [WINDOW_MFN + FRAMES - 1, 0, 0xfee00, 0xfed90, 0xe0000, 0xfffffff]) {
    assert.throws(() => engine.windows.map({ kind: 'message', firstMfn, frames: 2 }), /cannot be mapped/);
  }
  engine.windows.unmap(WINDOW_MFN);
  assert.throws(() => engine.windows.unmap(WINDOW_MFN), /no window begins/);
  engine.windows.map({ kind: 'message', firstMfn: WINDOW_MFN, frames: 2 });
});

test('a read-only window can be read by DMA and takes no write', async () => {
  const memory = new WebAssembly.Memory({ initial: 512 });
  const engine = await Engine.create({ frames: 1024, tableFrames: 0, memory });
  const offset = 480 * 65536;
  engine.windows.map({ kind: 'linear', firstMfn: WINDOW_MFN, frames: 1, offset, readOnly: true });
  engine.bytes.set([1, 2, 3, 4], offset);
  const { fn } = attach(engine, edu, 0x20);
  engine.exports.configWrite(fn, 4, 2, 6);
  const scratch = engine.heap.take(64, 'test');
  assert.is(engine.exports.functionDmaRead(fn, BASE, 0, 4, scratch), 0);
  assert.is(engine.word(scratch), 0x04030201);
  engine.setWord(scratch, 0xffffffff);
  engine.exports.functionDmaWrite(fn, BASE, 0, 4, scratch);
  assert.equal([...engine.bytes.subarray(offset, offset + 4)], [1, 2, 3, 4]);
});

test.run();
