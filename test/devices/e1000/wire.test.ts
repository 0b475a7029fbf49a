import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FunctionRecord, State, StateSize } from '../../../assembly/spec/state';
import type { LinkHandle } from '../../../src/devices/links/link';
import { Machine } from '../../../src/machine/machine';
import { PortcullisError } from '../../../src/errors';

// Offsets and bits as the manual states them (317453).
const STATUS = 0x0008, ICR = 0x00c0, RCTL = 0x0100, TCTL = 0x0400, RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810,
  RDT = 0x2818, TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, GPRC = 0x4074, GPTC = 0x4080;
const EN = 2, ALL_ADDRESSES = 0x18, SEND = 0x0b, LSC = 4, LU = 2;
const A = '0000:00:04.0', B = '0000:00:05.0';
const IDLE = 0, PENDING = 2;
const RING = 16;

/** One NIC of a machine without IOMMU, its rings and buffers in frames of its own: `frames` from `first` on. */
class Nic {
  readonly #view: DataView;
  readonly #fn: number;

  constructor(readonly machine: Machine, readonly bdf: string, readonly first: number) {
    const { engine } = machine;
    this.#fn = machine.functionOf(bdf);
    this.#view = new DataView(engine.bytes.buffer, engine.ram + first * 4096, 64 * 4096);
    const config = engine.word(State.FUNCTION_TABLE + this.#fn * StateSize.FUNCTION_RECORD + FunctionRecord.CONFIG);
    assert.ok(config > 0);
    engine.exports.configWrite(this.#fn, 4, 2, 6);
    for (let i = 0; i < RING; i++) {
      this.#view.setUint32(16 * i, (first + 2) * 4096 + 2048 * i, true);
      this.#view.setUint32(4096 + 16 * i, (first + 20) * 4096, true);
    }
    this.write(RDBAL, first * 4096);
    this.write(RDLEN, 16 * RING);
    this.write(RDT, RING - 1);
    this.write(TDBAL, (first + 1) * 4096);
    this.write(TDLEN, 16 * RING);
    this.write(TCTL, EN);
    this.write(RCTL, EN | ALL_ADDRESSES);
  }

  get link(): LinkHandle {
    return this.machine.link(this.bdf);
  }

  read(off: number): number {
    return this.machine.engine.exports.registerRead(this.#fn, 0, off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.machine.engine.exports.registerWrite(this.#fn, 0, off, 4, value, 0);
  }

  /** Sends `number` frames of `len` bytes. */
  send(number: number, len: number): void {
    const tail = this.read(TDT);
    for (let i = 0; i < number; i++) {
      const at = 4096 + 16 * ((tail + i) % RING);
      this.#view.setUint32(at + 8, len | SEND << 24, true);
      this.#view.setUint32(at + 12, 0, true);
    }
    for (let i = 0; i < len; i++) this.#view.setUint8(20 * 4096 + i, i * 3 + len & 0xff);
    this.write(TDT, (tail + number) % RING);
  }

  received(index: number): Uint8Array {
    const length = this.#view.getUint16(16 * index + 8, true);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + 2 * 4096 + 2048 * index, length);
  }
}

async function pair(wire = true): Promise<[Nic, Nic]> {
  const machine = await Machine.create({
    memory: '16MiB',
    devices: [{ model: 'e1000', bdf: A, ...(wire ? { link: { wire: B } } : {}) }, { model: 'e1000', bdf: B }],
  });
  return [new Nic(machine, A, 1024), new Nic(machine, B, 1152)];
}

function service(nic: Nic): number {
  return nic.machine.engine.exports.service(0, 1_000_000);
}

test('what one sends the other receives, FCS and all', async () => {
  const [a, b] = await pair();
  a.send(1, 100);
  b.send(2, 200);
  assert.is(service(a), IDLE);
  assert.equal([a.read(GPRC), a.read(GPTC), b.read(GPRC), b.read(GPTC)], [2, 1, 1, 2]);
  const frame = b.received(0);
  assert.is(frame.length, 104);
  assert.equal([...frame.subarray(0, 100)], Array.from({ length: 100 }, (_, i) => i * 3 + 100 & 0xff));
  // reckoned bit by bit after IEEE 802.3 §3.2.9
  let crc = 0xffffffff;
  for (const byte of frame.subarray(0, 100)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  assert.is(new DataView(frame.buffer, frame.byteOffset + 100).getUint32(0, true), ~crc >>> 0);
});

test('a wire that nobody takes from fills up and holds the sender; nothing is lost and the order is kept', async () => {
  const [a, b] = await pair(false);
  a.link.connect(b.link, 32768);
  b.write(RDT, 0);
  let sent = 0;
  let status = IDLE;
  while (status === IDLE) {
    a.send(5, 1500 + sent % 7);
    sent += 5;
    status = service(a);
    assert.ok(sent < 100);
  }
  assert.is(status, PENDING);
  const held = a.read(GPTC);
  assert.ok(held * 1516 <= 32768 && held >= 20, `${held} frames under way`);
  const got: number[] = [];
  for (let i = 0; i < 100 && got.length < sent; i++) {
    const head = b.read(RDH);
    b.write(RDT, (head + 3) % RING);
    status = service(a);
    for (let index = head; index !== b.read(RDH); index = (index + 1) % RING) got.push(b.received(index).length);
  }
  assert.equal(got, Array.from({ length: sent }, (_, i) => 1504 + (i - i % 5) % 7));
  assert.is(status, IDLE);
  assert.is(held + a.read(GPTC), sent);
});

test('a link that goes down goes down at both ends; what was under way arrives when it is back', async () => {
  const [a, b] = await pair();
  b.write(RDT, b.read(RDH));
  a.send(3, 60);
  service(a);
  a.read(ICR);
  b.read(ICR);
  a.link.up = false;
  for (const nic of [a, b]) {
    assert.is(nic.read(STATUS) & LU, 0);
    assert.is(nic.read(ICR) & LSC, LSC);
    assert.not(nic.link.up);
  }
  a.send(1, 60);
  b.write(RDT, RING - 1);
  service(a);
  assert.is(b.read(GPRC), 0);
  assert.is(a.read(TDH), 3, 'nothing is sent into a dead wire');
  b.link.up = true;
  service(a);
  assert.is(a.read(STATUS) & LU, LU);
  assert.is(b.read(GPRC), 4);
});

test('pulling one end out takes the other\'s link down; removing a NIC does so too', async () => {
  const [a, b] = await pair();
  a.link.plugCapture();
  assert.is(b.link.peer, undefined);
  assert.is(b.read(STATUS) & LU, 0);
  assert.is(a.read(STATUS) & LU, LU);
  a.link.connect(b.link);
  assert.is(b.read(STATUS) & LU, LU);
  a.machine.removeDevice(A);
  assert.is(b.read(STATUS) & LU, 0);
  b.send(1, 60);
  assert.is(service(b), IDLE);
  assert.is(b.read(TDH), 0);
});

test('wires that cannot be', async () => {
  const [a] = await pair(false);
  assert.throws(() => a.link.connect(a.link), (error: PortcullisError) => error.code === 'BAD_LINK');
  const [c] = await pair(false);
  assert.throws(() => a.link.connect(c.link), (error: PortcullisError) => error.code === 'BAD_LINK');
  const create = async (devices: Parameters<typeof Machine.create>[0]['devices']): Promise<string> => {
    try {
      await Machine.create({ memory: '16MiB', devices: devices! });
      return 'created';
    } catch (error) {
      return (error as PortcullisError).code;
    }
  };
  const nic = (bdf: string, link?: object | string): never =>
    ({ model: 'e1000', bdf, ...(link ? { link } : {}) }) as never;
  assert.is(await create([nic(A, { wire: B }), nic(B, { wire: A })]), 'created');
  assert.is(await create([nic(A, { wire: B })]), 'BAD_WIRE');
  assert.is(await create([nic(A, { wire: A })]), 'BAD_WIRE');
  assert.is(await create([nic(A, { wire: B }), nic(B, 'loopback')]), 'BAD_WIRE');
  assert.is(await create([nic(A, { wire: B }), nic(B), nic('0000:00:06.0', { wire: B })]), 'BAD_WIRE');
  assert.is(await create([nic(A, { wire: B }), { model: 'edu', bdf: B }]), 'BAD_WIRE');
  assert.is(await create([nic(A, { wires: B })]), 'UNKNOWN_LINK');
  assert.is(await create([nic(A, { wire: B, x: 1 }), nic(B)]), 'UNKNOWN_FIELD');
  assert.is(await create([nic(A, { wire: 'nowhere' })]), 'BAD_BDF');
});

test.run();
