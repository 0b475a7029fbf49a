import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine, type MachineDescription, PortcullisError } from '../../src/index';
import { probe } from '../helpers/made-up';
import { machineWith, portConfig, Probe } from '../helpers/made-up';

async function refused(devices: MachineDescription['devices'], code: string, sentence: RegExp,
  more: Partial<MachineDescription> = {}): Promise<void> {
  try {
    await machineWith(devices, more);
  } catch (error) {
    assert.instance(error, PortcullisError);
    assert.is((error as PortcullisError).code, code);
    assert.match((error as PortcullisError).message, sentence);
    assert.not.match((error as PortcullisError).message, /\n/);
    return;
  }
  assert.unreachable(`${code} expected`);
}

test('an unknown device is named beside those that there are', async () => {
  await refused([{ model: 'e1001', bdf: '00:04.0' }], 'UNKNOWN_DEVICE',
    /no device model "e1001"; there are edu, e1000, e1000e, serial, nvme, root-port, probe, plain-bridge/);
});

test('a bus that no bridge leads to', async () => {
  await refused([{ model: 'edu', bdf: '01:00.0' }], 'NO_BRIDGE',
    /^0000:01:00.0: no bridge leads to bus 01; there is bus 00; add a root-port or move the device$/);
  await refused([{ model: 'root-port', bdf: '00:0b.0' }, { model: 'edu', bdf: '02:00.0' }], 'NO_BRIDGE',
    /no bridge leads to bus 02; there are buses 00, 01 behind 0000:00:0b.0/);
});

test('addresses that cannot be', async () => {
  await refused([{ model: 'edu', bdf: '0001:00:04.0' }], 'BAD_BDF', /segment 0000 only/);
  await refused([{ model: 'edu', bdf: '00:00.0' }], 'ADDRESS_TAKEN', /host bridge/);
  await refused([{ model: 'root-port', bdf: '00:01.0' }, { model: 'edu', bdf: '01:00.0' },
    { model: 'edu', bdf: '01:00.0' }], 'ADDRESS_TAKEN', /two devices/);
  await refused([{ model: 'edu', bdf: '00:04.1' }], 'NO_FUNCTION_0', /0000:00:04.1 has no function 0 beside it/);
  await refused([{ model: 'root-port', bdf: '00:01.0' }, { model: 'root-port', bdf: '01:00.0' }], 'ROOT_PORT_PLACE',
    /root ports are on bus 00/);
  await refused([{ model: 'root-port', bdf: '00:01.0' }, { model: 'edu', bdf: '01:02.0' }], 'ONE_DEVICE',
    /use 01:00.0 to 01:00.7/);
});

test('memory that is too much, too little or no size', async () => {
  await refused([], 'MEMORY_SIZE', /memory is 3585MiB; a machine has from 4MiB to 3584MiB/, { memory: '3585MiB' });
  await refused([], 'MEMORY_SIZE', /from 4MiB to 3584MiB/, { memory: '2MiB' });
  await refused([], 'BAD_SIZE', /write a whole number/, { memory: '64MB' });
  await refused([], 'MEMORY_SIZE', /dom0 has 32MiB, the machine only 16MiB/,
    { owner: 'xen', dom0: { memory: '32MiB' } });
});

test('more BARs than there is address space for', async () => {
  const config = { ...probe.config, bars: [{ kind: 'memory32', size: 0x8000000 }],
    capabilities: [] } as NonNullable<typeof probe.config>;
  const big = { ...probe, model: 'big', registers: [], config };
  const devices = ['00:01.0', '00:02.0'].map((bdf) => ({ model: 'big', bdf }));
  try {
    await Machine.create({ memory: '16MiB', devices, heapBytes: 8 << 20 }, { models: [big] });
    assert.unreachable();
  } catch (error) {
    assert.is((error as PortcullisError).code, 'NO_ROOM_FOR_BAR');
    assert.match((error as Error).message,
      /BAR 0 of 0000:00:02.0 needs 134217728 bytes of address space below 0xfec00000/);
  }
});

test('a bridge is not given to a domain', async () => {
  const machine = await machineWith([{ model: 'root-port', bdf: '00:0b.0' }], { owner: 'xen' });
  const domain = machine.createDomain({ name: 'guest', memory: '1MiB' });
  assert.throws(() => machine.assign('00:0b.0', domain, 'none'), /is a bridge; what is behind it can be given/);
});

test('the host bridge is at 00:00.0 and says where the enhanced config space is', async () => {
  const machine = await machineWith();
  assert.is(portConfig(machine, 0, 0, 0, 0x00), 0x29c08086);
  assert.is(portConfig(machine, 0, 0, 0, 0x08) >>> 8, 0x060000);
  assert.is(portConfig(machine, 0, 0, 0, 0x0e, 1), 0);
  assert.is(portConfig(machine, 0, 0, 0, 0x60), 0xe0000001);
});

test('functions of one device say that there are more', async () => {
  const machine = await machineWith([
    { model: 'edu', bdf: '00:04.0' }, { model: 'probe', bdf: '00:04.3' }, { model: 'edu', bdf: '00:05.0' },
    { model: 'root-port', bdf: '00:06.0' }, { model: 'edu', bdf: '01:00.0' }, { model: 'probe', bdf: '01:00.7' },
  ]);
  for (const [bdf, type] of [['00:04.0', 0x80], ['00:04.3', 0x80], ['00:05.0', 0], ['00:06.0', 1], ['01:00.0', 0x80],
    ['01:00.7', 0x80]] as const) {
    assert.is(new Probe(machine, bdf).config(0x0e, 1), type, bdf);
    assert.ok(machine.barAddress === undefined || bdf === '00:06.0' || machine.barAddress(bdf, 0) >= 0xf0000000, bdf);
  }
});

test('devices may be named before the bridge above them', async () => {
  const machine = await machineWith([{ model: 'probe', bdf: '02:00.0' }, { model: 'root-port', bdf: '00:0c.0' },
    { model: 'root-port', bdf: '00:0b.0' }]);
  assert.is(portConfig(machine, 2, 0, 0, 0), 0x77771af4);
  assert.is(machine.routingOf('02:00.0'), 0x200);
});

test('a device behind a root port works for a guest, with the IOMMU by its own requester id', async () => {
  const machine = await Machine.create({
    memory: '32MiB', iommu: 'vtd', devices: [{ model: 'root-port', bdf: '00:0b.0' }, { model: 'edu', bdf: '01:00.0' }],
  });
  const domain = machine.createDomain({ name: 'guest', memory: '4MiB' });
  machine.assign('01:00.0', domain, 'guest-mapped');
  const { EduDriver } = await import('../../src/index');
  const guest = machine.guest(domain);
  const driver = new EduDriver(guest, machine.routingOf('01:00.0'), { mode: 'strict' });
  assert.is(driver.factorial(5), 120);
  const va = guest.allocPages(2);
  guest.store(va, 4, 0xcafe);
  driver.transfer(va, 0, 4, true);
  driver.transfer(va + 4096, 0, 4, false);
  assert.is(guest.load(va + 4096, 4), 0xcafe);
});

test.run();
