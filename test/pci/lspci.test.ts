import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findProgram } from '../../scripts/debian.mjs';
import { compareGolden, readDump } from '../../scripts/lspci.mjs';
import { machineWith, Probe } from '../helpers/made-up';
import { skipTest } from '../helpers/skip';

const devices = [{ model: 'root-port', bdf: '00:0b.0' }, { model: 'probe', bdf: '01:00.0' },
  { model: 'edu', bdf: '00:04.0' }];

test('a dump has every function in the order of its address, 256 or 4096 bytes of it', async () => {
  const dump = (await machineWith(devices)).lspci();
  const parts = dump.split('\n\n').map((part) => part.trimEnd().split('\n'));
  assert.equal(parts.map(([title]) => title?.slice(0, 7)), ['00:00.0', '00:04.0', '00:0b.0', '01:00.0']);
  assert.equal(parts.map((lines) => lines.length - 1), [16, 16, 256, 256]);
  for (const [title, ...lines] of parts) {
    assert.match(title ?? '', /^[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] \S/);
    lines.forEach((line, i) => {
      assert.match(line, /^[0-9a-f]{2,3}: ([0-9a-f]{2} ){15}[0-9a-f]{2}$/);
      assert.is(parseInt(line, 16), 16 * i);
    });
  }
  assert.is(parts[3]?.[1], '00: f4 1a 77 77 03 01 10 00 01 00 00 ff 00 00 00 00');
});

test('a dump shows what has been written', async () => {
  const machine = await machineWith(devices);
  new Probe(machine, '01:00.0').setConfig(0x04, 2, 0x0406);
  assert.match(machine.lspci(), /\n00: f4 1a 77 77 06 04 /);
});

const lspci = findProgram('lspci');
if (lspci === undefined) {
  skipTest('lspci reads an endpoint behind a root port', 'no lspci here (Debian\'s package pciutils)');
} else {
  test('lspci reads an endpoint behind a root port: MSI, MSI-X, link, AER, serial number', async () => {
    const machine = await machineWith(devices);
    const probe = new Probe(machine, '01:00.0');
    probe.setConfig(0x04, 2, 0x0006);
    probe.setConfig(0x52, 2, 0x0021);
    probe.setConfig(0x54, 4, 0xfee01000);
    probe.setConfig(0x5c, 2, 0x0041);
    probe.setConfig(0x60, 4, 0x80);
    await compareGolden(lspci, 'probe', await readDump(lspci, machine.lspci(), '01:00.0'));
  });
}

test.run();
