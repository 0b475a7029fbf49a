// Disks in files, and in the description of a machine.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FileDisk } from '../../../src/devices/nvme/file-disk';
import { Machine } from '../../../src/machine/machine';
import { DATA, NvmeHost } from '../../helpers/nvme-host';

test('a file: written, flushed, sparse behind its end, zeroed without growing', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'nvme-'));
  const file = path.join(directory, 'disk.img');
  const fd = fs.openSync(file, 'w+');
  try {
    let flushes = 0;
    const calls = { readSync: fs.readSync, writeSync: fs.writeSync, fsyncSync: (one: number) => {
      flushes++;
      fs.fsyncSync(one);
    } };
    const host = await NvmeHost.ready({ namespaces: [{ size: 1 << 20, host: true }] }, new Map([[1, new FileDisk(calls, fd)]]));
    host.put(DATA, new Uint8Array(1024).fill(0x11));
    assert.is(host.io(0x01, 7, 2).status, 0);
    assert.is(flushes, 0);
    assert.is(host.io(0x00, 0, 1).status, 0);
    assert.is(flushes, 1);
    assert.is(host.io(0x08, 8, 2040).status, 0);
    const bytes = fs.readFileSync(file);
    assert.is(bytes.length, 9 * 512);
    assert.ok(bytes.subarray(7 * 512, 8 * 512).every((byte) => byte === 0x11));
    assert.ok(bytes.subarray(8 * 512).every((byte) => byte === 0));
    assert.is(host.io(0x02, 2040, 8).status, 0);
    assert.ok(host.bytes(DATA, 4096).every((byte) => byte === 0));
  } finally {
    fs.closeSync(fd);
    fs.rmSync(directory, { recursive: true });
  }
});

test('a file that is open for reading only fails a write, and the host is told', async () => {
  const fd = fs.openSync(process.execPath, 'r');
  try {
    const host = await NvmeHost.ready({ namespaces: [{ size: 1 << 20, host: true }] }, new Map([[1, new FileDisk(fs, fd)]]));
    assert.is(host.io(0x02, 0, 1).status, 0);
    assert.is(host.io(0x01, 0, 1).status, 0x280);
  } finally {
    fs.closeSync(fd);
  }
});

test('a machine has disks and serial ports by description', async () => {
  const machine = await Machine.create({ devices: [
    { model: 'nvme', bdf: '00:08.0', disk: '8MiB', blockSize: 4096 }, { model: 'serial', bdf: '00:09.0' },
  ] });
  const fn = machine.functionOf('00:08.0');
  assert.is(machine.engine.exports.registerRead(fn, 0, 8, 4), 0x10400);
  assert.match(machine.lspci(), /00:08\.0 Non-Volatile memory controller/);
  const port = machine.barAddress('00:09.0', 0);
  machine.engine.exports.portWrite(port, 1, 0x41);
  machine.run(2_000_000);
  assert.equal(machine.serial('00:09.0').receive().map(({ byte }) => byte), [0x41 & 0x1f]);
  machine.removeDevice('00:08.0');
});

test('a disk of a device that has none, and one of no size, are refused by name', async () => {
  for (const [device, message] of [
    [{ model: 'edu', bdf: '00:06.0', disk: '1MiB' }, /has "disk", and edu has no disk/],
    [{ model: 'nvme', bdf: '00:06.0', disk: 'much' }, /disk of 00:06\.0/],
  ] as const) {
    let said = '';
    await Machine.create({ devices: [device] }).catch((error: unknown) => { said = String(error); });
    assert.match(said, message);
  }
});

test.run();
