import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceDefinition } from '../../src/devices/definition';
import { edu } from '../../src/devices/edu/index';
import { BareMachine, NOTHING, OK, PENDING, bytesOf, ones } from '../helpers/bare-machine';

const BAR = 0xf0000000n;

/** A target at 03:03.0 with its BAR at 0xF000_0000. */
async function pair(definition: DeviceDefinition = edu): Promise<{ m: BareMachine; target: number }> {
  const m = await BareMachine.create();
  const { fn } = m.add(definition, 0x0318);
  m.engine.exports.configWrite(fn, 0x10, 4, Number(BAR));
  return { m, target: fn };
}

const register = (m: BareMachine, fn: number, off: number): number => m.engine.exports.registerRead(fn, 0, off, 4) >>> 0;
const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** edu, whose register at 8 clears itself on a read: flag bits are widths 1 to 8, 16 read effect, 32 write effect. */
const clearing: DeviceDefinition = {
  ...edu,
  registers: [{ ...edu.registers[0] as typeof edu.registers[number], rows: (edu.registers[0] as typeof edu.registers[number]).rows
    .map((row) => (row.off === 8 ? { ...row, flags: row.flags | 16 } : row)) }],
};

const peer = suite('peer to peer');

peer('a write is queued, and served by service in order', async () => {
  const { m, target } = await pair();
  assert.is(m.dmaWrite(BAR + 4n, dword(0x12345678)), OK);
  assert.is(register(m, target, 4), 0, 'not yet');
  assert.is(m.dmaWrite(BAR + 8n, dword(5)), OK);
  assert.is(m.dmaWrite(BAR + 8n, dword(6)), OK);
  m.service();
  assert.is(register(m, target, 4), 0xedcba987);
  assert.is(register(m, target, 8), 720, 'the later one counts');
  assert.is(m.counted().peerWrites, 3);
});

peer('a write longer than a register goes dword by dword', async () => {
  const { m, target } = await pair();
  m.dmaWrite(BAR + 0x80n, [...dword(0x11), ...dword(0x22), ...dword(0x33), ...dword(0x44)]);
  m.service();
  assert.equal([0x80, 0x84, 0x88, 0x8c].map((off) => register(m, target, off)), [0x11, 0x22, 0x33, 0x44]);
});

peer('a write narrower than the register has no effect', async () => {
  const { m, target } = await pair();
  m.dmaWrite(BAR + 4n, [1]);
  m.dmaWrite(BAR + 4n, [1, 2]);
  m.dmaWrite(BAR + 5n, [1, 2, 3, 4]);
  m.service();
  assert.is(register(m, target, 4), 0);
});

peer('a full queue makes the writer wait, and loses nothing', async () => {
  const { m, target } = await pair();
  let queued = 0;
  while (m.dmaWrite(BAR + 8n, dword(1 + (queued % 9))) === OK) queued++;
  assert.is(m.dmaWrite(BAR + 8n, dword(3)), PENDING);
  assert.is(queued, 128);
  assert.ok(m.counted().peerStalled >= 1);
  m.service(0, 1);
  assert.is(m.dmaWrite(BAR + 8n, dword(4)), OK);
  assert.is(m.dmaWrite(BAR + 8n, dword(5)), PENDING);
  while (m.service() === 1) { /* more */ }
  assert.is(register(m, target, 8), 24);
  assert.is(m.counted().peerWrites, 1);
});

peer('a write too long for the room that is left queues none of it', async () => {
  const { m } = await pair();
  for (let i = 0; i < 65; i++) m.dmaWrite(BAR + 8n, dword(1));
  assert.is(m.dmaWrite(BAR, bytesOf(4096)), PENDING);
  for (let i = 65; i < 128; i++) assert.is(m.dmaWrite(BAR + 8n, dword(1)), OK);
  assert.is(m.dmaWrite(BAR + 8n, dword(1)), PENDING);
});

peer('a read gives the register\'s value', async () => {
  const { m } = await pair();
  const read = m.dmaRead(BAR, 4);
  assert.is(read.status, OK);
  assert.equal(read.bytes, [0xed, 0x00, 0x00, 0x01]);
  assert.equal(m.dmaRead(BAR + 0x60n, 4).bytes, ones(4), 'a write-only register');
  assert.equal(m.dmaRead(BAR + 0x1000n, 8).bytes, ones(8), 'no register');
});

peer('a read of a register with a read effect is not supported: ones, counted, no effect', async () => {
  const { m } = await pair(clearing);
  m.counted();
  for (const [at, length] of [[8n, 4], [8n, 1], [10n, 2], [9n, 3]] as const) {
    assert.equal(m.dmaRead(BAR + at, length).bytes, ones(length));
    assert.is(m.counted().peerUnsupported, 1, `${length} bytes at ${at}`);
  }
  assert.equal(m.dmaRead(BAR + 4n, 8).bytes, [0, 0, 0, 0, ...ones(4)]);
});

peer('a BAR that has gone takes the writes that wait with it', async () => {
  const { m, target } = await pair();
  m.dmaWrite(BAR + 8n, dword(5));
  m.engine.exports.configWrite(target, 0x04, 2, 0);
  m.service();
  assert.is(register(m, target, 8), 0);
  assert.is(m.dmaWrite(BAR + 8n, dword(5)), NOTHING);
  assert.equal(m.dmaRead(BAR, 4).bytes, ones(4));
});

peer.run();
