import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type HypercallError, type Machine } from '../../src/index';
import { machineWith, portConfig, Probe } from '../helpers/made-up';

const ECAM = 0xe0000000;
const ONES = 0xffffffff;

const at = (bus: number, device: number, fn: number, off: number): number => bus << 20 | device << 15 | fn << 12 | off;

function read(machine: Machine, off: number, width = 4): number {
  return machine.engine.exports.ecamRead(off, width) >>> 0;
}

const topology = [{ model: 'root-port', bdf: '00:0b.0' }, { model: 'probe', bdf: '01:00.0' },
  { model: 'edu', bdf: '00:06.0' }];

test('nobody is there: ones of the width, and no effect', async () => {
  const machine = await machineWith(topology);
  for (const [bus, device, fn] of [[0, 1, 0], [1, 1, 0], [1, 0, 1], [2, 0, 0], [255, 31, 7]] as const) {
    assert.is(read(machine, at(bus, device, fn, 0)), ONES);
    assert.is(read(machine, at(bus, device, fn, 0), 2), 0xffff);
    assert.is(read(machine, at(bus, device, fn, 0), 1), 0xff);
    assert.is(machine.engine.status, 2);
    machine.engine.exports.ecamWrite(at(bus, device, fn, 4), 4, ONES, ONES);
    assert.is(machine.engine.status, 2);
  }
  assert.is(portConfig(machine, 0, 1, 0, 0, 2), 0xffff);
});

test('beyond 256 MiB there is nothing', async () => {
  const machine = await machineWith(topology);
  assert.is(read(machine, 0x10000000), ONES);
  assert.is(read(machine, 0xfffffffc), ONES);
});

test('misaligned accesses give ones and change nothing', async () => {
  const machine = await machineWith(topology);
  assert.is(read(machine, at(0, 6, 0, 1), 2), 0xffff);
  assert.is(read(machine, at(0, 6, 0, 2), 4), ONES);
  assert.is(read(machine, at(0, 6, 0, 4), 8), ONES);
  assert.is(machine.engine.status, 5);
  const before = read(machine, at(0, 6, 0, 0x3c));
  machine.engine.exports.ecamWrite(at(0, 6, 0, 0x3a), 4, 0, 0);
  machine.engine.exports.ecamWrite(at(0, 6, 0, 0x3b), 2, 0, 0);
  assert.is(read(machine, at(0, 6, 0, 0x3c)), before);
});

test('a function without PCI Express reads as ones from 0x100 on', async () => {
  const machine = await machineWith(topology);
  assert.is(read(machine, at(0, 6, 0, 0xfc)), 0);
  assert.is(read(machine, at(0, 6, 0, 0x100)), ONES);
  machine.engine.exports.ecamWrite(at(0, 6, 0, 0x100), 4, 0, 0);
  machine.engine.exports.ecamWrite(at(0, 6, 0, 0xffc), 4, 0, 0);
  assert.is(read(machine, at(0, 6, 0, 0xffc)), ONES);
});

test('all widths see what the ports see, and the extended part besides', async () => {
  const machine = await machineWith(topology);
  for (let off = 0; off < 256; off += 4) {
    assert.is(read(machine, at(1, 0, 0, off)), portConfig(machine, 1, 0, 0, off), `${off}`);
  }
  assert.is(read(machine, at(1, 0, 0, 0)), 0x77771af4);
  assert.is(read(machine, at(1, 0, 0, 2), 2), 0x7777);
  assert.is(read(machine, at(1, 0, 0, 1), 1), 0x1a);
  assert.is(read(machine, at(1, 0, 0, 0), 8), 0x77771af4);
  assert.is(machine.engine.high, portConfig(machine, 1, 0, 0, 4));
  assert.is(read(machine, at(1, 0, 0, 0x100)), 0x14020001);
  assert.is(read(machine, at(1, 0, 0, 0x144)), 0x12345678);
  assert.is(read(machine, at(1, 0, 0, 0x148)), 0x9abcdef0);
});

test('a write has the effects of one through the ports', async () => {
  const machine = await machineWith(topology);
  const probe = new Probe(machine, '01:00.0');
  assert.is(probe.dma(), 1);
  machine.engine.exports.ecamWrite(at(1, 0, 0, 4), 2, 0x0006, 0);
  assert.is(probe.dma(), 0);
  machine.engine.exports.ecamWrite(at(1, 0, 0, 0), 8, 0x55555555, 0x0000);
  assert.is(probe.dma(), 1);
  // the error severity of AER is writable, its mask of bits kept
  machine.engine.exports.ecamWrite(at(1, 0, 0, 0x10c), 4, ONES, 0);
  assert.is(read(machine, at(1, 0, 0, 0x10c)) & 0x001ff010, 0x001ff010);
});

test('a BAR in the enhanced config space is not decoded there', async () => {
  const machine = await machineWith(topology);
  const edu = new Probe(machine, '00:06.0');
  edu.setConfig(0x10, 4, 0xe0000000);
  const guest = machine.guest(machine.dom0);
  assert.is(guest.load(guest.ioremap(ECAM, 4096), 4) >>> 0, 0x29c08086, 'the host bridge is');
});

test('a domU gets no frame of it, however it asks', async () => {
  const machine = await machineWith(topology, { owner: 'xen' });
  for (const type of ['pv', 'hvm'] as const) {
    const domain = machine.createDomain({ name: type, memory: '1MiB', type });
    for (const mfn of [0xe0000, 0xe0100, 0xeffff]) {
      try {
        machine.hypervisor.iomemPermission(domain.domid, mfn, 1, true);
        assert.unreachable();
      } catch (error) {
        assert.is((error as HypercallError).code, 'EPERM');
        assert.match((error as Error).message, /only the first domain/);
      }
    }
    assert.throws(() => machine.hypervisor.iomemPermission(domain.domid, 0xd0000, 0x20000, true),
      /enhanced config space/);
    assert.throws(() => machine.guest(domain).ioremap(ECAM, 4096), /no right to I\/O memory/);
  }
});

for (const owner of ['xen', 'native'] as const) {
  test(`the first domain reads and writes it by loads and stores (${owner})`, async () => {
    const machine = await machineWith(topology, { owner });
    const guest = machine.guest(machine.dom0);
    const port = guest.ioremap(ECAM + at(1, 0, 0, 0), 4096);
    assert.is(guest.load(port, 4) >>> 0, 0x77771af4);
    assert.is(guest.load(port + 2, 2), 0x7777);
    assert.is(guest.load(port + 0x144, 1), 0x78);
    guest.store(port + 4, 2, 6);
    assert.is(guest.load(port + 4, 2), 6);
    assert.is(new Probe(machine, '01:00.0').dma(), 0);
    assert.is(guest.load(guest.ioremap(ECAM + at(7, 0, 0, 0), 4096), 4) >>> 0, ONES);
  });
}

test('a device does not reach it by DMA', async () => {
  const machine = await machineWith(topology);
  const probe = new Probe(machine, '01:00.0');
  probe.setConfig(4, 2, 6);
  assert.is(probe.dma(ECAM + at(0, 6, 0, 4)), 2);
});

test.run();
