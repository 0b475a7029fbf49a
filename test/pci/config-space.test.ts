import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceDefinition } from '../../src/devices/definition';
import { e1000 } from '../../src/devices/e1000/index';
import { edu } from '../../src/devices/edu/index';
import { configByPorts, machinePorts, sizeBars } from '../../src/pci/access';
import { buildConfig } from '../../src/pci/config-space';
import { Machine } from '../../src/machine/machine';
import { BareMachine, OK, bytesOf } from '../helpers/bare-machine';

const config = (m: BareMachine, fn: number): { read(off: number, width?: number): number; write(off: number, width: number, value: number): void } => ({
  read: (off, width = 4) => m.engine.exports.configRead(fn, off, width) >>> 0,
  write: (off, width, value) => m.engine.exports.configWrite(fn, off, width, value),
});

/** Bits of each dword that a write stores, and that writing a one clears; every other is read-only. */
const MASKS: Record<string, Record<number, number>> = {
  edu: { 0x04: 0x0547, 0x0c: 0xffff, 0x10: 0xfff00000, 0x3c: 0xff, 0x40: 0x00710000, 0x44: 0xfffffffc, 0x48: 0xffffffff, 0x4c: 0xffff },
};

const space = suite('configuration space');

space('edu: what each bit of each dword does, by bytes, words and dwords alike', async () => {
  const images: number[][] = [];
  for (const width of [1, 2, 4]) {
    const m = await BareMachine.create();
    const { read, write } = config(m, m.fn);
    write(0x04, 2, 0);
    const before = Array.from({ length: 64 }, (_, i) => read(4 * i));
    for (const value of [0xffffffff, 0x00000000, 0xa5a5a5a5]) {
      for (let off = 0; off < 256; off += 4) {
        for (let part = 0; part < 4; part += width) write(off + part, width, value >>> (8 * part) & (width === 4 ? -1 : (1 << 8 * width) - 1));
        const mask = MASKS['edu']?.[off] ?? 0;
        const expected = (((before[off / 4] as number) & ~mask) | (value & mask)) >>> 0;
        assert.is(read(off), expected, `dword ${off.toString(16)}, width ${width}, value ${value.toString(16)}`);
      }
    }
    images.push(Array.from({ length: 64 }, (_, i) => read(4 * i)));
  }
  assert.equal(images[0], images[2]);
  assert.equal(images[1], images[2]);
});

space('every device: all widths give equal bytes, and identification never changes', async () => {
  for (const definition of [edu, e1000]) {
    const results: number[][] = [];
    for (const width of [1, 2, 4]) {
      const m = await BareMachine.create();
      const { fn } = m.add(definition, 0x0318);
      const { read, write } = config(m, fn);
      write(0x04, 2, 0);
      const fixed = [0x00, 0x08, 0x2c, 0x34].map((off) => read(off));
      let x = 99;
      for (let off = 0; off < 256; off += 4) {
        // leave the power state alone: leaving D3 is a reset
        x = (Math.imul(x, 1103515245) + 12345) >>> 0;
        const value = definition === e1000 && off >= 0xdc && off < 0xe4 ? 0 : x;
        for (let part = 0; part < 4; part += width) write(off + part, width, value >>> (8 * part) & (width === 4 ? -1 : (1 << 8 * width) - 1));
      }
      assert.equal([0x00, 0x08, 0x2c, 0x34].map((off) => read(off)), fixed);
      const image = Array.from({ length: 256 }, (_, i) => read(i, 1));
      for (let off = 0; off < 256; off += 2) assert.is(read(off, 2), (image[off] as number) | (image[off + 1] as number) << 8);
      for (let off = 0; off < 256; off += 4) assert.is(read(off), (read(off, 2) | read(off + 2, 2) << 16) >>> 0);
      results.push(image);
    }
    assert.equal(results[0], results[2], definition.model);
    assert.equal(results[1], results[2], definition.model);
  }
});

space('misaligned accesses and those beyond 256 bytes have no effect and read ones', async () => {
  const m = await BareMachine.create();
  const { read, write } = config(m, m.fn);
  const before = Array.from({ length: 64 }, (_, i) => read(4 * i));
  for (const [off, width] of [[1, 2], [3, 2], [1, 4], [2, 4], [0x41, 4], [256, 1], [256, 4], [0xfff, 1], [0xfffffffc, 4], [0xffffffff, 1]] as const) {
    assert.is(read(off, width), 2 ** (8 * width) - 1, `${width} at ${off}`);
    write(off, width, 0xffffffff);
  }
  assert.equal(Array.from({ length: 64 }, (_, i) => read(4 * i)), before);
});

space('a device that is not there reads ones', async () => {
  const m = await BareMachine.create();
  for (const fn of [0, 2, 63, 64, 0xffffffff]) {
    assert.is(config(m, fn).read(0), 0xffffffff);
    config(m, fn).write(0, 4, 0);
  }
});

space('edu is what QEMU\'s is', async () => {
  const m = await BareMachine.create();
  const { read } = config(m, m.fn);
  assert.is(read(0x00), 0x11e81234);
  assert.is(read(0x08), 0x00ff0010);
  assert.is(read(0x2c), 0x11001af4);
  assert.is(read(0x3d, 1), 1);
  assert.is(read(0x0e, 1), 0);
  // one capability: MSI, 64 bits wide, one vector
  assert.equal([read(0x06, 2) & 0x10, read(0x34, 1), read(0x40, 1), read(0x41, 1), read(0x42, 2)], [0x10, 0x40, 0x05, 0, 0x80]);
});

space('impossible BARs are refused by name', () => {
  const base = edu.config as NonNullable<DeviceDefinition['config']>;
  for (const bars of [[{ kind: 'memory32', size: 8 }], [{ kind: 'memory32', size: 100 }], [{ kind: 'io', size: 512 }], [{ kind: 'io', size: 2 }],
    [undefined, undefined, undefined, undefined, undefined, { kind: 'memory64', size: 4096 }],
    [{ kind: 'memory64', size: 4096 }, { kind: 'memory32', size: 4096 }]] as const) {
    assert.throws(() => buildConfig({ ...base, bars: [...bars] }), (error: { code: string }) => error.code === 'BAD_BAR');
  }
});

space.run();

const command = suite('the Command register');

command('memory decode off: nothing answers; on again: as before', async () => {
  const m = await BareMachine.create();
  const { write } = config(m, m.fn);
  write(0x10, 4, 0xf0000000);
  const peer = m.add(edu, 0x0318).fn;
  const answers = (): boolean => m.dmaRead(0xf0000000n, 4, peer).status === OK;
  assert.is(answers(), true);
  write(0x04, 1, 0x04);
  assert.is(answers(), false);
  write(0x04, 2, 0x0006);
  assert.is(answers(), true);
});

command('Bus Master, set and cleared by byte, word and dword', async () => {
  const m = await BareMachine.create();
  const { write } = config(m, m.fn);
  for (const width of [1, 2, 4]) {
    write(0x04, width, 0x03);
    assert.is(m.dmaWrite(0x10000n, [1]), 1);
    write(0x04, width, 0x07);
    assert.is(m.dmaWrite(0x10000n, [1]), OK);
  }
  write(0x05, 1, 0);
  assert.is(m.dmaWrite(0x10000n, [1]), OK, 'the other byte leaves it');
});

command('INTx disable takes the line down, the Interrupt Status bit stays', async () => {
  const m = await BareMachine.create();
  const { read, write } = config(m, m.fn);
  // device 2, pin A: line 18
  const line = (): number => m.engine.exports.intxLine(18);
  assert.equal([line(), read(0x06, 2) & 8], [0, 0]);
  m.engine.exports.registerWrite(m.fn, 0, 0x60, 4, 1, 0);
  assert.equal([line(), read(0x06, 2) & 8], [1, 8]);
  write(0x04, 2, 0x0407);
  assert.equal([line(), read(0x06, 2) & 8], [0, 8]);
  write(0x04, 2, 0x0007);
  assert.is(line(), 1);
  write(0x42, 2, 0x0001);
  assert.is(line(), 0, 'MSI on: no INTx');
  write(0x42, 2, 0);
  m.engine.exports.registerWrite(m.fn, 0, 0x64, 4, 1, 0);
  assert.equal([line(), read(0x06, 2) & 8], [0, 0]);
});

command('two functions on one line: it falls with the last', async () => {
  const m = await BareMachine.create();
  // devices 2 and 10, pin A, share line 18
  const other = m.add(edu, 0x0350).fn;
  const raise = (fn: number, off: number): void => m.engine.exports.registerWrite(fn, 0, off, 4, 1, 0);
  raise(m.fn, 0x60);
  raise(other, 0x60);
  raise(m.fn, 0x64);
  assert.is(m.engine.exports.intxLine(18), 1);
  raise(other, 0x64);
  assert.is(m.engine.exports.intxLine(18), 0);
});

command.run();

const bars = suite('base address registers');

/** A device with the BARs given; each dword of BAR n reads as its index and n. */
function made(...sizes: Array<[kind: 'memory32' | 'memory64' | 'io', size: number] | undefined>): DeviceDefinition {
  const base = edu.config as NonNullable<DeviceDefinition['config']>;
  return {
    ...edu, model: 'made',
    config: { ...base, bars: sizes.map((one) => one && { kind: one[0], size: one[1] }) },
    registers: sizes.flatMap((one, bar) => (one === undefined ? [] : [{
      bar, size: one[1], constant: 0,
      rows: Array.from({ length: Math.min(one[1], 4096) / 4 }, (_, i) => ({
        name: `R${i}`, off: 4 * i, bytes: 4 as const, reset: 0xb0000000 + bar * 0x10000 + i, writeMask: 0xffffffff, w1c: 0,
        // widths 1, 2, 4 and 8
        flags: 15, meaning: '',
      })),
    }])),
  };
}

/** What a DMA of another function reads at an address: nothing decoded is undefined. */
function at(m: BareMachine, address: bigint): number | undefined {
  const read = m.dmaRead(address, 4);
  if (read.status !== OK) return undefined;
  return read.bytes.reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
}

bars('are sized through the ports by writing ones, and are as before afterwards', async () => {
  const machine = await Machine.create({ memory: '4MiB', dom0: { memory: '1MiB' }, devices: [{ model: 'edu', bdf: '00:06.0' }, { model: 'e1000', bdf: '00:04.0' }] });
  const ports = machinePorts(machine.engine);
  for (const [routing, expected] of [[0x30, [[0, false, 0x100000]]], [0x20, [[0, false, 0x20000], [1, true, 64]]]] as const) {
    const access = configByPorts(ports, routing);
    const before = [0x10, 0x14].map((off) => access.read(off, 4) >>> 0);
    const found = sizeBars(access);
    assert.equal(found.map(({ index, io, size }) => [index, io, size]), expected.map((one) => [...one]));
    assert.equal([0x10, 0x14].map((off) => access.read(off, 4) >>> 0), before);
    for (const { address, size } of found) assert.is(address % size, 0, 'aligned');
  }
  // by hand: the mask of 1 MiB, the flags read-only
  const access = configByPorts(ports, 0x30);
  access.write(0x10, 4, 0xffffffff);
  assert.is(access.read(0x10, 4) >>> 0, 0xfff00000);
});

bars('mechanism one: disabled, absent and misaligned data accesses', async () => {
  const machine = await Machine.create({ memory: '4MiB', dom0: { memory: '1MiB' }, devices: [{ model: 'edu', bdf: '00:06.0' }] });
  const { in: input, out } = machinePorts(machine.engine);
  out(0xcf8, 4, 0x80003000);
  assert.is(input(0xcf8, 4) >>> 0, 0x80003000);
  assert.is(input(0xcfc, 4) >>> 0, 0x11e81234);
  assert.is(input(0xcfe, 2), 0x11e8);
  assert.is(input(0xcff, 1), 0x11);
  assert.is(input(0xcfd, 2), 0xffff);
  assert.is(input(0xcfe, 4) >>> 0, 0xffffffff);
  // bits 30:24 and 1:0 are not kept
  out(0xcf8, 4, 0xffffffff);
  assert.is(input(0xcf8, 4) >>> 0, 0x80fffffc);
  out(0xcf8, 1, 0);
  out(0xcf8, 2, 0);
  assert.is(input(0xcf8, 4) >>> 0, 0x80fffffc);
  for (const address of [0x00003000, 0x80003100, 0x80013000, 0x80000100]) {
    out(0xcf8, 4, address);
    assert.is(input(0xcfc, 4) >>> 0, 0xffffffff, address.toString(16));
    out(0xcfc, 4, 0);
  }
});

bars('move with one dword write, and byte by byte', async () => {
  const m = await BareMachine.create();
  const { fn } = m.add(made(['memory32', 4096]), 0x0318);
  const { write } = config(m, fn);
  write(0x10, 4, 0xd0001000);
  assert.is(at(m, 0xd0001004n), 0xb0000001);
  write(0x10, 4, 0xd0002000);
  assert.equal([at(m, 0xd0001004n), at(m, 0xd0002004n)], [undefined, 0xb0000001]);
  write(0x11, 1, 0x50);
  assert.equal([at(m, 0xd0002004n), at(m, 0xd0005004n)], [undefined, 0xb0000001]);
  write(0x12, 2, 0xd123);
  assert.equal([at(m, 0xd0005004n), at(m, 0xd1235004n)], [undefined, 0xb0000001]);
  // its registers are its own wherever it is
  m.engine.exports.registerWrite(fn, 0, 8, 4, 77, 0);
  write(0x10, 4, 0xd0006000);
  assert.is(at(m, 0xd0006008n), 77);
  write(0x10, 4, 0);
  assert.is(at(m, 0n), 0, 'at 0 there is memory, not the BAR');
});

bars('above 4 GiB a 64-bit BAR is decoded, beyond the machine\'s addresses it is not', async () => {
  const m = await BareMachine.create();
  const { fn } = m.add(made(['memory64', 8192]), 0x0318);
  const { write } = config(m, fn);
  write(0x10, 4, 0xd0000000);
  write(0x14, 4, 0x12);
  assert.equal([at(m, 0xd0000004n), at(m, 0x12d0000004n)], [undefined, 0xb0000001]);
  write(0x14, 4, 0x100);
  assert.equal([at(m, 0x12d0000004n), at(m, 0x100d0000004n)], [undefined, undefined]);
  write(0x10, 4, 0xffffe000);
  write(0x14, 4, 0xff);
  assert.is(at(m, 0xffffffe004n), 0xb0000001, 'the last 8 KiB');
});

bars('two BARs below 4 KiB lie in one page, to the byte', async () => {
  const m = await BareMachine.create();
  const { fn } = m.add(made(['memory32', 256], ['memory32', 256], ['memory32', 16]), 0x0318);
  const { write } = config(m, fn);
  write(0x10, 4, 0xd0000100);
  write(0x14, 4, 0xd0000300);
  write(0x18, 4, 0xd0000ff0);
  const look = (off: number): number | undefined => at(m, BigInt(0xd0000000 + off));
  assert.equal([look(0x0fc), look(0x100), look(0x1fc), look(0x200), look(0x2fc), look(0x300), look(0x3fc), look(0x400)],
    [undefined, 0xb0000000, 0xb000003f, undefined, undefined, 0xb0010000, 0xb001003f, undefined]);
  assert.equal([look(0xfec), look(0xff0), look(0xffc)], [undefined, 0xb0020000, 0xb0020003]);
  // one of them leaves, in the middle of the chain, first, last
  for (const [off, back] of [[0x14, 0xd0000300], [0x10, 0xd0000100], [0x18, 0xd0000ff0]] as const) {
    write(off, 4, 0xd1000000);
    assert.is([look(0x100), look(0x300), look(0xff0)].filter((one) => one === undefined).length, 1);
    write(off, 4, back);
    assert.equal([look(0x100), look(0x300), look(0xff0)], [0xb0000000, 0xb0010000, 0xb0020000]);
  }
});

bars('of two that overlap the first one stays; the other has the rest, and all when the first leaves', async () => {
  const m = await BareMachine.create();
  const first = m.add(made(['memory32', 8192]), 0x0318).fn;
  const second = m.add(made(undefined, ['memory32', 16384]), 0x0320).fn;
  config(m, first).write(0x10, 4, 0xd0002000);
  config(m, second).write(0x14, 4, 0xd0000000);
  const look = (): Array<number | undefined> => [0, 0x1000, 0x2000, 0x3000, 0x4000].map((off) => at(m, BigInt(0xd0000000 + off)));
  assert.equal(look(), [0xb0010000, 0, 0xb0000000, 0, undefined]);
  config(m, first).write(0x04, 2, 0x0004);
  assert.equal(look(), [0xb0010000, 0, 0, 0, undefined]);
  config(m, first).write(0x04, 2, 0x0006);
  config(m, second).write(0x14, 4, 0xd1000000);
  assert.equal(look(), [undefined, undefined, 0xb0000000, 0, undefined]);
});

bars('below 4 KiB as well', async () => {
  const m = await BareMachine.create();
  const first = m.add(made(['memory32', 256]), 0x0318).fn;
  const second = m.add(made(undefined, ['memory32', 1024]), 0x0320).fn;
  const whole = m.add(made(undefined, undefined, ['memory32', 4096]), 0x0328).fn;
  config(m, first).write(0x10, 4, 0xd0000100);
  config(m, second).write(0x14, 4, 0xd0000000);
  config(m, whole).write(0x18, 4, 0xd0000000);
  const look = (): Array<number | undefined> => [0, 0x100, 0x200, 0x400].map((off) => at(m, BigInt(0xd0000000 + off)));
  assert.equal(look(), [0xb0010000, 0xb0000000, 0xb0010080, undefined]);
  config(m, first).write(0x10, 4, 0xd2000000);
  assert.equal(look(), [0xb0010000, 0xb0010040, 0xb0010080, undefined]);
  config(m, second).write(0x14, 4, 0xd2000400);
  assert.equal(look(), [0xb0020000, 0xb0020040, 0xb0020080, 0xb0020100]);
  config(m, first).write(0x10, 4, 0xd0000100);
  config(m, whole).write(0x04, 2, 0x0004);
  assert.equal(look(), [undefined, 0xb0000000, undefined, undefined]);
});

bars('of ports are found in their space, and only with I/O decode', async () => {
  const m = await BareMachine.create();
  const { fn } = m.add(made(['io', 64], ['io', 4]), 0x0318);
  const { write, read } = config(m, fn);
  write(0x10, 4, 0xc040);
  write(0x14, 4, 0xfffc);
  assert.is(read(0x10), 0xc041);
  const input = (port: number, width: number): number => m.engine.exports.portRead(port, width) >>> 0;
  assert.equal([input(0xc044, 4), input(0xc046, 2), input(0xc047, 1)], [0xb0000001, 0xb000, 0xb0]);
  assert.equal([input(0xc03c, 4), input(0xc080, 4), input(0xfffc, 4)], [0xffffffff, 0xffffffff, 0xb0010000]);
  assert.is(input(0xc042, 4), 0xffffffff, 'an access over two dwords');
  m.engine.exports.portWrite(0xc045, 1, 0x99);
  assert.is(input(0xc044, 4), 0xb0009901);
  write(0x10, 4, 0xffffffff);
  assert.is(input(0xc044, 4), 0xffffffff, 'beyond the 64 Ki ports it is decoded nowhere');
  write(0x10, 4, 0xc100);
  assert.is(input(0xc104, 4) >>> 24, 0xb0);
  write(0x04, 1, 0x06);
  assert.is(input(0xc104, 4), 0xffffffff);
});

bars('a peer write reaches a shared page at the right BAR', async () => {
  const m = await BareMachine.create();
  const { fn } = m.add(made(['memory32', 256], ['memory32', 256]), 0x0318);
  config(m, fn).write(0x10, 4, 0xd0000100);
  config(m, fn).write(0x14, 4, 0xd0000200);
  m.dmaWrite(0xd00001f8n, bytesOf(16));
  m.service();
  assert.equal([at(m, 0xd00001f8n), at(m, 0xd00001fcn), at(m, 0xd0000200n), at(m, 0xd0000204n)],
    [0x04030201, 0x08070605, 0x0c0b0a09, 0x100f0e0d]);
});

bars.run();

const enumeration = suite('enumeration');

enumeration('places every BAR aligned and apart, sets lines, turns decode on and leaves Bus Master off', async () => {
  const devices = Array.from({ length: 8 }, (_, i) => ({ model: i % 2 ? 'edu' : 'e1000', bdf: `00:${(i + 3).toString(16).padStart(2, '0')}.0` }));
  const machine = await Machine.create({ memory: '4MiB', dom0: { memory: '1MiB' }, devices });
  const taken: Array<[number, number]> = [];
  for (const { model, bdf } of devices) {
    const access = configByPorts(machinePorts(machine.engine), machine.routingOf(bdf));
    const size = model === 'edu' ? 0x100000 : 0x20000;
    const address = (access.read(0x10, 4) & ~0xf) >>> 0;
    assert.is(address, machine.barAddress(bdf, 0));
    assert.is(address % size, 0);
    for (const [from, to] of taken) assert.ok(address >= to || address + size <= from);
    taken.push([address, address + size]);
    assert.is(access.read(0x04, 2), 0x0103, 'I/O, memory and SERR, whatever BARs it has');
    assert.is(access.read(0x3c, 1), 16 + (machine.routingOf(bdf) >> 3 & 7));
  }
});

enumeration('the dump is what lspci reads', async () => {
  const machine = await Machine.create({ memory: '4MiB', dom0: { memory: '1MiB' }, devices: [{ model: 'edu', bdf: '00:06.0' }] });
  const lines = machine.lspci().split('\n');
  const title = lines.findIndex((line) => line.startsWith('00:06.0 '));
  assert.match(lines[0] as string, /^00:00\.0 /, 'the host bridge comes first');
  assert.is(lines[title + 1], '00: 34 12 e8 11 03 01 10 00 10 00 ff 00 00 00 00 00');
  assert.is(lines.slice(title).filter((line) => /^[0-9a-f]{2}:( [0-9a-f]{2}){16}$/.test(line)).length, 16);
});

enumeration.run();
