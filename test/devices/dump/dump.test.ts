import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import type { MachineDescription } from '../../../src/machine/description';
import { portConfig } from '../../helpers/made-up';
import { parseLspciDump } from '../../../src/pci/lspci-dump';
import { formatBdf } from '../../../src/pci/bdf';
import { findProgram } from '../../../scripts/debian.mjs';
import { run } from '../../../scripts/run.mjs';
import { skipTest } from '../../helpers/skip';

const OBSERVED = 'examples/observed-q35.lspci.txt';
const read = (path: string): string => readFileSync(path, 'utf8');
const machineOf = (devices: MachineDescription['devices'], text?: string): Promise<Machine> =>
  Machine.create({ memory: '16MiB', devices: devices ?? [] }, { readFile: (path) => text ?? read(path) });

/** Bytes of a function: offset, and what is there. */
type Bytes = Readonly<Record<number, readonly number[]>>;

/** A function as lspci prints it, of 64, 256 or 4096 bytes. */
function printed(bdf: string, bytes: Bytes, size: number, text: readonly string[] = []): string {
  const all = new Array<number>(size).fill(0);
  for (const [off, values] of Object.entries(bytes)) values.forEach((value, i) => { all[Number(off) + i] = value; });
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  const lines = Array.from({ length: size / 16 }, (_, i) =>
    `${hex(16 * i)}: ${all.slice(16 * i, 16 * i + 16).map(hex).join(' ')}`);
  return [`${bdf} Device`, ...text.map((line) => `\t${line}`), ...lines, ''].join('\n');
}

const ENDPOINT: Bytes = { 0: [0x86, 0x80, 0xd3, 0x10, 0x02, 0, 0x10, 0, 0, 0, 0, 2], 0x3d: [1] };

/** What differs between two dumps: function, offset, what was there, what is there. */
function differences(before: string, after: string): string[] {
  const found = new Map(parseLspciDump(after).map((one) => [formatBdf(one.bdf), one.bytes]));
  return parseLspciDump(before).flatMap(({ bdf, bytes }) => {
    const now = found.get(formatBdf(bdf));
    return [...bytes].flatMap((byte, off) => (now?.[off] === byte ? []
      : [`${formatBdf(bdf)} ${off.toString(16)}: ${byte.toString(16)} ${now?.[off]?.toString(16)}`]));
  });
}

test('a machine has the dump\'s functions at their addresses, and each is byte for byte what it was without its driver', async () => {
  const machine = await machineOf([{ model: 'dump', file: OBSERVED }]);
  assert.equal(machine.addresses, ['0000:00:07.0', '0000:00:08.0', '0000:00:09.0', '0000:00:0a.0', '0000:00:0a.1']);
  // INTx is on, MSI-X is off
  assert.equal(differences(read(OBSERVED), machine.lspci()), [
    '0000:00:08.0 5: 5 1', '0000:00:08.0 43: 80 0', '0000:00:09.0 5: 5 1', '0000:00:09.0 9b: 80 0']);
});

/** BAR registers of a function, through config ports. */
const bars = (machine: Machine, bus: number, device: number, count = 6): number[] =>
  Array.from({ length: count }, (_, i) => portConfig(machine, bus, device, 0, 0x10 + 4 * i));

test('BARs have the sizes of the text, stay where they were, and read as 0', async () => {
  const machine = await machineOf([{ model: 'dump', file: OBSERVED }]);
  assert.equal(bars(machine, 0, 8), [0xfe6c0004, 0, 0, 0, 0, 0]);
  assert.equal(bars(machine, 0, 9), [0xd301, 0xfe6cb000, 0, 0, 0xfe00000c, 0]);
  const { engine } = machine;
  const write = (off: number, value: number): void => {
    engine.exports.configWrite(machine.functionOf('00:07.0'), off, 4, value);
  };
  for (const [off, mask] of [[0x10, 0xffffff01], [0x14, 0xffffff00], [0x30, 0xfffc0001]] as const) {
    write(off, 0xffffffff);
    assert.is(portConfig(machine, 0, 7, 0, off), mask, off.toString(16));
  }
  assert.is(engine.exports.registerRead(machine.functionOf('00:08.0'), 0, 0, 4), 0);
});

test('an MSI-X table holds what is written, masked at first, be it larger than what the engine sends', async () => {
  const machine = await machineOf([{ model: 'dump', file: OBSERVED, only: ['00:08.0'] }]);
  const fn = machine.functionOf('00:08.0');
  const { registerRead, registerWrite } = machine.engine.exports;
  const last = 0x2000 + 64 * 16;
  assert.is(registerRead(fn, 0, last + 12, 4), 1);
  registerWrite(fn, 0, last + 12, 4, 0, 0);
  registerWrite(fn, 0, last, 4, 0xfee00000, 0);
  assert.equal([registerRead(fn, 0, last, 4) >>> 0, registerRead(fn, 0, last + 12, 4)], [0xfee00000, 0]);
  assert.is(registerRead(fn, 0, last + 16, 4), 0);
});

test('a write changes what is software\'s, and nothing else', async () => {
  const text = printed('00:03.0', { ...ENDPOINT, 0x34: [0x40],
    // power management with PME, MSI of 64 bits with masks, PCI Express with FLR
    0x40: [0x01, 0x50, 0x03, 0xf8, 0, 0], 0x50: [0x05, 0x80, 0x86, 0x01], 0x80: [0x10, 0, 0x92, 0, 0, 0x80, 0, 0x10, 0x10, 0x28],
    0xf0: [0x12, 0x34] }, 256, ['Region 0: Memory at <unassigned> (32-bit, non-prefetchable) [size=4K]']);
  const machine = await machineOf([{ model: 'dump', file: 'x' }], text);
  const fn = machine.functionOf('00:03.0');
  const writes = (off: number, width: number): number => {
    const before = machine.engine.exports.configRead(fn, off, width);
    machine.engine.exports.configWrite(fn, off, width, 0xffffffff);
    const after = machine.engine.exports.configRead(fn, off, width) >>> 0;
    machine.engine.exports.configWrite(fn, off, width, before);
    return after;
  };
  // PMCSR is left out: D3hot to D0 would reset the function
  const found = [[0x00, 4], [0x04, 2], [0x0c, 1], [0x0d, 1], [0x0f, 1], [0x3c, 1], [0x3d, 1], [0x52, 2],
    [0x54, 4], [0x5c, 2], [0x60, 4], [0xf0, 4]].map(([off, width]) => writes(off as number, width as number));
  assert.equal(found, [0x10d38086, 0x0547, 0xff, 0, 0, 0xff, 1, 0x01f7, 0xfffffffc, 0xffff, 0xff, 0x3412]);
});

test('a function-level reset turns everything off, and BARs come back with the owner\'s help', async () => {
  const machine = await machineOf([{ model: 'dump', file: OBSERVED }]);
  machine.engine.exports.functionReset(machine.functionOf('00:08.0'));
  assert.equal([portConfig(machine, 0, 8, 0, 0x04, 2), portConfig(machine, 0, 8, 0, 0x10), portConfig(machine, 0, 8, 0, 0x88, 2)],
    [0, 4, 0x2810]);
});

const BRIDGED = [
  // a root port for buses 3 to 5 with a window at fd000000, and behind it a function with a BAR in that window
  printed('00:1c.4', { 0: [0x86, 0x80, 0x48, 0xa3, 0x07, 0x01, 0x10, 0, 0xf0, 0, 4, 6, 0, 0, 1], 0x18: [0, 3, 5], 0x1c: [0xf0, 0],
    0x20: [0x00, 0xfd, 0x00, 0xfd], 0x24: [0xf1, 0xff, 0x01, 0], 0x34: [0x40], 0x40: [0x10, 0, 0x42, 0x01] }, 256),
  printed('00:1c.0', { 0: [0x86, 0x80, 0x40, 0xa3, 0x07, 0x01, 0x10, 0, 0xf0, 0, 4, 6, 0, 0, 0x81], 0x18: [0, 2, 2], 0x1c: [0xf0, 0],
    0x20: [0xf0, 0xff, 0, 0], 0x24: [0xf1, 0xff, 0x01, 0], 0x34: [0x40], 0x40: [0x10, 0, 0x42, 0x01] }, 256),
  printed('03:00.0', { ...ENDPOINT, 0x10: [0, 0, 0, 0xfd] }, 256, ['Region 0: Memory at fd000000 (32-bit, non-prefetchable) [size=16K]']),
].join('\n');

test('bridges keep their bus numbers and windows; "only" brings along what leads to a function', async () => {
  const machine = await machineOf([{ model: 'dump', file: 'b', only: ['03:00.0'] }, { model: 'root-port', bdf: '00:05.0' },
    { model: 'edu', bdf: '06:00.0' }], BRIDGED);
  assert.equal(machine.addresses, ['0000:00:05.0', '0000:00:1c.0', '0000:00:1c.4', '0000:03:00.0', '0000:06:00.0']);
  assert.is(portConfig(machine, 0, 0x1c, 4, 0x18), 0x00050300);
  assert.is(portConfig(machine, 0, 5, 0, 0x18), 0x00060600);
  assert.is(portConfig(machine, 0, 0x1c, 4, 0x20), 0xfd00fd00);
  assert.is(machine.barAddress('03:00.0', 0), 0xfd000000);
  assert.is(machine.engine.exports.registerRead(machine.functionOf('03:00.0'), 0, 0, 4), 0);
});

test('what collides is moved: into RAM, into the enhanced config space, onto another; wide ones above 4 GiB if need be', async () => {
  const at = (bdf: string, low: number[], high: number[], size: string): string => printed(bdf, {
    ...ENDPOINT, 0x10: low, 0x14: high }, 256, [`Region 0: Memory at 0 (${low[0] === 4 ? 64 : 32}-bit, prefetchable) [size=${size}]`]);
  const machine = await machineOf([{ model: 'dump', file: 'c' }], [
    at('00:03.0', [0, 0, 0x80, 0], [], '4K'), at('00:04.0', [4, 0, 0, 0xe0], [0, 0, 0, 0], '256M'),
    at('00:05.0', [0, 0, 0x10, 0xfd], [], '1M'), at('00:06.0', [0, 0, 0x10, 0xfd], [], '4K'),
    at('00:07.0', [4, 0, 0, 0], [0x60, 0, 0, 0], '16G')].join('\n'));
  const placed = ['00:03.0', '00:04.0', '00:05.0', '00:06.0', '00:07.0'].map((bdf) => machine.barAddress(bdf, 0));
  assert.equal(placed, [0xf0000000, 2 ** 36, 0xfd100000, 0xf0001000, 0x60 * 2 ** 32]);
  assert.is(portConfig(machine, 0, 7, 0, 0x10), 4);
});

test('a dump with 64 bytes, and one without text: what the file does not say is in the facts', async () => {
  const short = await machineOf([{ model: 'dump', file: 's' }], printed('00:03.0', { ...ENDPOINT, 0x10: [0, 0, 0, 0xfd],
    0x30: [0, 0, 8, 0xfd] }, 64));
  const [device] = short.description.devices;
  assert.equal(device?.definition.dump, { line: 1, driver: undefined, irq: undefined, iommuGroup: undefined, deviceName: undefined,
    capabilitiesUnknown: true, unknownSizes: [0, 6], extendedUnknown: true });
  assert.equal(short.description.devices[0]?.definition.config?.bars, [{ kind: 'memory32', prefetchable: false, size: 4096 }]);
  const whole = await machineOf([{ model: 'dump', file: OBSERVED, only: ['00:08.0'] }]);
  const facts = whole.description.devices[0]?.definition.dump;
  assert.equal([facts?.driver, facts?.irq, facts?.unknownSizes, facts?.capabilitiesUnknown, facts?.extendedUnknown],
    ['nvme', 16, [], false, false]);
});

test('the dump\'s own host bridge gives way to the machine\'s', async () => {
  const text = `${printed('00:00.0', { 0: [0x22, 0x10, 0x50, 0x14, 0, 0, 0, 0, 0, 0, 0, 6] }, 256)}\n`
    + printed('00:00.2', ENDPOINT, 256);
  assert.equal((await machineOf([{ model: 'dump', file: 'h' }], text)).addresses, ['0000:00:00.2']);
});

test('a machine with a dump goes on from a snapshot, without the file', async () => {
  const machine = await machineOf([{ model: 'dump', file: OBSERVED }]);
  const before = machine.lspci();
  const again = await Machine.restore(machine.save());
  assert.is(again.lspci(), before);
});

test('what cannot be a device is refused, with file, line and address', async () => {
  const refused = async (text: string, message: RegExp, more: MachineDescription['devices'] = []): Promise<void> => {
    try {
      await machineOf([{ model: 'dump', file: 'my.txt' }, ...more], text);
    } catch (error) {
      assert.match((error as Error).message, message);
      return;
    }
    assert.unreachable(message.source);
  };
  await refused(printed('0001:00:03.0', ENDPOINT, 256), /my\.txt, line 1: 0001:00:03\.0: this machine has segment 0000 only/);
  await refused('00:03.0 Device\n\tRegion 0: x\n', /00:03\.0: the file has no bytes of it/);
  await refused(printed('00:03.0', { 0: new Array(64).fill(255) }, 64), /reads as ones, as a function does that has no power/);
  await refused(printed('00:03.0', { 0: [255, 255, 255, 255] }, 64), /virtual function \(SR-IOV\)/);
  await refused(printed('00:03.0', { ...ENDPOINT, 0x0e: [2] }, 128), /has header type 2/);
  await refused(printed('00:03.0', { ...ENDPOINT, 0x10: [0, 0x10, 0, 0xfd] }, 256,
    ['Region 0: Memory at fd001000 (32-bit, non-prefetchable) [size=8K]']), /BAR 0 has 8192 bytes at 0xfd001000/);
  await refused(printed('00:03.0', ENDPOINT, 256), /my\.txt has a device at 0000:00:03\.0, where another is/,
    [{ model: 'dump', file: 'my.txt' }]);
  await refused(printed('07:00.0', ENDPOINT, 256), /no bridge leads to bus 07/);
});

test('"only" names functions that there are, and a file needs somebody who reads it', async () => {
  const fails = async (made: Promise<Machine>, message: RegExp): Promise<void> => {
    try {
      await made;
    } catch (error) {
      return assert.match((error as Error).message, message);
    }
    return assert.unreachable(message.source);
  };
  await fails(machineOf([{ model: 'dump', file: OBSERVED, only: ['00:1f.2'] }]), /has no 0000:00:1f\.2; it has 0000:00:07\.0, /);
  await fails(Machine.create({ devices: [{ model: 'dump', file: 'y.txt' }] }), /"y\.txt" cannot be read here; give its content as "text"/);
});

if (findProgram('lspci') === undefined) {
  skipTest('lspci reads a machine made from a dump as it reads the dump', 'no lspci here (Debian\'s package pciutils)');
} else {
  test('lspci reads a machine made from a dump as it reads the dump', async () => {
    const fs = await import('node:fs');
    const machine = await machineOf([{ model: 'dump', file: OBSERVED }]);
    fs.writeFileSync('build/lspci-dump.txt', machine.lspci());
    const hex = async (file: string): Promise<string[]> => {
      const { stdout } = await run(findProgram('lspci') as string, ['-F', file, '-n', '-xxxx'], { timeout: 30 });
      return stdout.split(/\n\n+/).filter((part: string) => /^00:0[7-9a]/.test(part));
    };
    const [before, after] = [await hex(OBSERVED), await hex('build/lspci-dump.txt')];
    assert.is(after.length, 5);
    // two of them had messages on
    assert.equal(after.filter((part, i) => part.trim() === before[i]?.trim()).length, 3);
  });
}

test.run();
