import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../src/engine/engine';
import { attach } from '../../../src/devices/attach';
import { e1000 } from '../../../src/devices/e1000/index';
import { LinkHandle } from '../../../src/devices/links/link';
import { buildPacket, segmentsOf, unchecked } from '../../helpers/packets';

// Offsets and bits as the manual states them (317453).
const CTRL = 0x0000, ICR = 0x00c0, RCTL = 0x0100, TCTL = 0x0400, RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810,
  RDT = 0x2818, TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, RXCSUM = 0x5000;
const WINDOW = 0x4000 * 4096, FRAMES = 64;

interface Trip {
  memory: string;
  rest: unknown;
  asked: number;
}

/** Sends one packet in segments with tags and takes them in again, from and to memory of one kind. */
async function roundTrip(kind: 'linear' | 'message', budget: number): Promise<Trip> {
  const lent = new WebAssembly.Memory({ initial: 512 });
  const engine = await Engine.create({ frames: 1024, tableFrames: 0, memory: lent });
  const { fn } = attach(engine, e1000, 0x20);
  engine.exports.configWrite(fn, 4, 2, 6);
  const own = new Uint8Array(FRAMES * 4096);
  const offset = 480 * 65536;
  const memory = (): Uint8Array => kind === 'linear' ? engine.bytes.subarray(offset, offset + own.length) : own;
  if (kind === 'linear') engine.windows.map({ kind, firstMfn: WINDOW / 4096, frames: FRAMES, offset });
  else engine.windows.map({ kind, firstMfn: WINDOW / 4096, frames: FRAMES });
  new LinkHandle(engine, fn).plugLoopback();
  const write = (off: number, value: number): void => engine.exports.registerWrite(fn, 0, off, 4, value, 0);
  const read = (off: number): number => engine.exports.registerRead(fn, 0, off, 4) >>> 0;
  const put = (off: number, ...words: number[]): void => {
    const view = new DataView(memory().buffer, memory().byteOffset + off);
    words.forEach((word, i) => view.setUint32(4 * i, word >>> 0, true));
  };

  const packet = buildPacket({ payload: 7000 });
  memory().set(unchecked(packet, false), 0x8ff0);
  for (let i = 0; i < 16; i++) put(16 * i, WINDOW + 0x10000 + 2048 * i, 0, 0, 0);
  const { ip, transport } = packet;
  put(0x1000, ip | ip + 10 << 8 | transport - 1 << 16, transport | transport + 16 << 8,
    7000 | 0x2f << 24, packet.header << 8 | 1460 << 16);
  put(0x1010, WINDOW + 0x8ff0, 0, 1000 | 1 << 20 | 0x6e << 24, 3 << 8 | 0x0042 << 16);
  put(0x1020, WINDOW + 0x8ff0 + 1000, 0, packet.bytes.length - 1000 | 1 << 20 | 0x2f << 24, 0);
  write(CTRL, 0x40000241);
  write(RXCSUM, 0x300);
  write(RDBAL, WINDOW);
  write(RDLEN, 256);
  write(RDT, 15);
  write(RCTL, 0x801a);
  write(TDBAL, WINDOW + 0x1000);
  write(TDLEN, 128);
  write(TCTL, 0x0a);
  write(TDT, 3);
  let asked = 0;
  for (let i = 0; i < 100_000; i++) {
    const state = engine.exports.service(0, budget);
    const [request] = engine.windows.poll();
    if (request === undefined) {
      if (state === 0) break;
      continue;
    }
    const part = own.subarray(request.offset, request.offset + request.length);
    if (request.write) part.set(request.bytes);
    else request.bytes.set(part);
    assert.ok(engine.windows.answer(request, true));
    asked++;
  }
  const segments = segmentsOf(packet, 1460);
  const view = new DataView(memory().buffer, memory().byteOffset);
  segments.forEach((segment, i) => {
    assert.is(view.getUint16(16 * i + 8, true), segment.length + 4);
    // DD, EOP, VP, TCPCS, IPCS, and no error
    assert.is(view.getUint16(16 * i + 12, true), 0x6b);
    assert.is(view.getUint16(16 * i + 14, true), 0x42);
    assert.equal(memory().slice(0x10000 + 2048 * i, 0x10000 + 2048 * i + segment.length), segment);
  });
  const statistics = Array.from({ length: 64 }, (_, i) => read(0x4000 + 4 * i));
  return {
    memory: Buffer.from(memory()).toString('base64'), asked,
    rest: [read(RDH), read(TDH), read(ICR), statistics],
  };
}

test('segments, tags and checksums are the same when memory answers later, at any budget', async () => {
  const linear = await roundTrip('linear', 0x7fffffff);
  assert.is(linear.asked, 0);
  for (const budget of [1, 7, 0x7fffffff]) {
    const message = await roundTrip('message', budget);
    assert.ok(message.asked > 20, `${message.asked} requests`);
    assert.is(message.memory, linear.memory);
    assert.equal(message.rest, linear.rest);
  }
});

test.run();
