// Our own lspci, against what the stock one reads out of the same machines (test/golden/lspci).
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findProgram } from '../../scripts/debian.mjs';
import { root } from '../../scripts/files.mjs';
import { configByEcam } from '../../src/pci/access';
import { listFunctions } from '../../src/pci/lspci/listing';
import type { ListedFunction } from '../../src/pci/lspci/types';
import { Machine } from '../../src/machine/machine';
import { machineWith, Probe } from '../helpers/made-up';
import { skipTest } from '../helpers/skip';

function listed(machine: Machine, routing: number, size: number, more: Partial<ListedFunction> = {}): ListedFunction {
  const config = configByEcam(machine.engine, routing);
  return { routing, config: { size, read: (off, width) => ({ code: 0, value: config.read(off, width) }) }, ...more };
}

/** Without the title and the subsystem, where we have names and `lspci -n` has numbers alone. */
function body(text: string): string[] {
  return text.trimEnd().split('\n').slice(1).filter((line) => !/Subsystem: /.test(line));
}

const golden = (name: string): string => fs.readFileSync(`test/golden/lspci/${name}.txt`, 'utf8');

for (const [model, size] of [['edu', 256], ['e1000', 256], ['e1000e', 4096], ['root-port', 4096]] as const) {
  test(`-vv of ${model} says what the stock lspci says`, async () => {
    const machine = await Machine.create({ memory: '16MiB', devices: [{ model, bdf: '00:04.0' }] });
    const text = listFunctions([listed(machine, 0x20, size)], { verbose: 2, hex: 0 });
    assert.equal(body(text), body(golden(model)));
  });
}

test('-vv of an endpoint behind a root port: MSI in use, link, reset', async () => {
  const machine = await machineWith([{ model: 'root-port', bdf: '00:0b.0' }, { model: 'probe', bdf: '01:00.0' },
    { model: 'edu', bdf: '00:04.0' }]);
  const probe = new Probe(machine, '01:00.0');
  for (const [off, width, value] of [[0x04, 2, 0x0006], [0x52, 2, 0x0021], [0x54, 4, 0xfee01000], [0x5c, 2, 0x0041],
    [0x60, 4, 0x80]] as const) probe.setConfig(off, width, value);
  const text = listFunctions([listed(machine, 0x100, 4096)], { verbose: 2, hex: 0 });
  assert.equal(body(text), body(golden('probe')));
});

const DEVICES = [{ model: 'e1000', bdf: '00:04.0' }, { model: 'root-port', bdf: '00:0b.0' }, { model: 'e1000e', bdf: '01:00.0' }];

test('one line for each function, names and numbers', async () => {
  const machine = await Machine.create({ devices: DEVICES });
  const name = 'Intel Corporation 82540EM Gigabit Ethernet Controller';
  const functions = [listed(machine, 0, 256), listed(machine, 0x20, 256, { name }), listed(machine, 0x58, 4096),
    listed(machine, 0x100, 4096)];
  assert.is(listFunctions(functions, { verbose: 0, hex: 0 }), [
    '00:00.0 Host bridge [0600]: Intel Corporation Device [8086:29c0] (rev 02)',
    '00:04.0 Ethernet controller [0200]: Intel Corporation 82540EM Gigabit Ethernet Controller [8086:100e] (rev 03)',
    '00:0b.0 PCI bridge [0604]: Red Hat, Inc. Device [1b36:000c]',
    '01:00.0 Ethernet controller [0200]: Intel Corporation Device [8086:10d3]',
    '',
  ].join('\n'));
});

test('-v, with what only a running system knows: sizes, interrupt number, driver', async () => {
  const machine = await Machine.create({ devices: DEVICES });
  const one = listed(machine, 0x20, 256, { irq: 21, driver: 'pciback', sizes: [0x20000, 64, 0, 0, 0, 0, 0x40000] });
  assert.is(listFunctions([one], { verbose: 1, hex: 0 }), [
    '00:04.0 Ethernet controller [0200]: Intel Corporation Device [8086:100e] (rev 03)',
    '\tSubsystem: Red Hat, Inc. Device [1af4:1100]',
    '\tFlags: fast devsel, IRQ 21',
    '\tMemory at f0100000 (32-bit, non-prefetchable) [size=128K]',
    '\tI/O ports at d000 [size=64]',
    '\tExpansion ROM at <unassigned> [disabled] [size=256K]',
    '\tKernel driver in use: pciback',
    '', '',
  ].join('\n'));
});

test('what cannot be read is ones, and broken lists end', () => {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x12348086, true);
  view.setUint16(6, 0x10, true);
  bytes[0x34] = 0x40;
  // A list that leads back to itself.
  bytes.set([0x09, 0x40, 0x10], 0x40);
  const read = (off: number): { code: number; value: number } => ({ code: 0, value: view.getUint32(off, true) });
  const text = listFunctions([{ routing: 8, config: { size: 256, read } }], { verbose: 2, hex: 0 });
  assert.is(text.match(/Vendor Specific Information: Len=10/g)?.length, 48);
  const nothing = listFunctions([{ routing: 8, config: { size: 256, read: () => ({ code: 0x86, value: 0 }) } }],
    { verbose: 2, hex: 3 });
  assert.match(nothing, /^00:01\.0 .* \[ffff\]: Device \[ffff:ffff\] \(rev ff\)/);
  assert.match(nothing, '\tCapabilities: [fc] <chain broken>\n');
  assert.match(nothing, /\nf0:( ff){16}\n/);
});

const lspci = findProgram('lspci');
if (lspci === undefined) {
  skipTest('lspci -F reads our -x', 'no lspci here (Debian\'s package pciutils)');
} else {
  /** In a file of this test's own: others run at the same time. */
  const file = path.join(root, 'build/lspci-listing.txt');
  const stock = (text: string): string => {
    fs.writeFileSync(file, text);
    const { stdout, stderr, status } = spawnSync(lspci, ['-F', file, '-n', '-vv', '-s', '01:00.0'], { encoding: 'utf8' });
    assert.is(status, 0, stderr);
    return stdout;
  };

  test('lspci -F reads what -x, -xxx and -xxxx print', async () => {
    const machine = await Machine.create({ devices: DEVICES });
    const one = listed(machine, 0x100, 4096);
    for (const hex of [1, 3, 4] as const) {
      const text = listFunctions([listed(machine, 0x20, 256), one], { verbose: 0, hex });
      assert.is(text.split('\n').filter((line) => /^[0-9a-f]{2,3}: /.test(line)).length, { 1: 8, 3: 32, 4: 16 + 256 }[hex]);
      assert.match(stock(text), /^01:00\.0 0200: 8086:10d3\n/);
    }
    const whole = stock(listFunctions([one], { verbose: 0, hex: 4 }));
    assert.equal(body(listFunctions([one], { verbose: 2, hex: 0 })), body(whole));
  });
}

test.run();
