// Addresses, ROMs and interrupts that a description gives by hand.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PortcullisError } from '../../src/errors';
import type { DeviceDescription } from '../../src/machine/description';
import { Machine } from '../../src/machine/machine';

const NIC = '0000:00:04.0';

const machineOf = (...devices: DeviceDescription[]): Promise<Machine> => Machine.create({ memory: '32MiB', devices });

/** Code and message of what is wrong. */
async function problem(...devices: DeviceDescription[]): Promise<string> {
  try {
    await machineOf(...devices);
    return 'none';
  } catch (error) {
    assert.instance(error, PortcullisError);
    return `${(error as PortcullisError).code}: ${(error as PortcullisError).message}`;
  }
}

const nic = (extra: Partial<DeviceDescription>): DeviceDescription => ({ model: 'e1000', bdf: NIC, ...extra });

const places = suite('places given by hand');

places('a device is where it is put, and the others go round it', async () => {
  const machine = await machineOf(
    nic({ bars: { 0: '0xf0000000', 1: '0xc000' } }), { model: 'e1000', bdf: '00:05.0' },
  );
  assert.is(machine.barAddress(NIC, 0), 0xf0000000);
  assert.is(machine.barAddress(NIC, 1), 0xc000);
  assert.is(machine.barAddress('00:05.0', 0), 0xf0020000);
  assert.is(machine.barAddress('00:05.0', 1), 0xc040);
});

places('behind a bridge its window is opened round it', async () => {
  const machine = await machineOf(
    { model: 'root-port', bdf: '00:0b.0' }, { model: 'e1000', bdf: '01:00.0', bars: { 0: '0xfe220000', 1: '0xe040' } },
  );
  assert.is(machine.barAddress('01:00.0', 0), 0xfe220000);
  const lines = machine.sysfs.read('/sys/bus/pci/devices/0000:00:0b.0/resource').split('\n');
  assert.is(lines[7], '0x000000000000e000 0x000000000000efff 0x0000000000000100');
  assert.is(lines[8], '0x00000000fe200000 0x00000000fe2fffff 0x0000000000000200');
});

places('a ROM is a register with a size and an enable bit, and survives a reset', async () => {
  const machine = await machineOf(nic({ rom: { size: '256KiB', address: '0xfe500000' } }), { model: 'e1000', bdf: '00:05.0' });
  const config = machine.xen.pci.config(machine.routingOf(NIC));
  assert.is(config.read(0x30, 4), 0xfe500000);
  config.write(0x30, 4, 0xffffffff);
  assert.is(config.read(0x30, 4) >>> 0, 0xfffc0001, 'bits 17 to 1 are wired to 0');
  config.write(0x30, 4, 0xfe500000);
  machine.xen.pci.reset(machine.routingOf(NIC));
  assert.is(config.read(0x30, 4), 0xfe500000);
  const other = machine.xen.pci.config(machine.routingOf('00:05.0'));
  other.write(0x30, 4, 0xffffffff);
  assert.is(other.read(0x30, 4), 0, 'none unless it is asked for');
});

places('interrupts: the line in hardware, the one it leads to, and dom0\'s number', async () => {
  const machine = await machineOf(nic({ gsi: 17, irq: 40, interruptLine: 10 }));
  const [fn] = machine.xen.pci.functions().filter(({ routing }) => routing === machine.routingOf(NIC));
  assert.equal([fn?.gsi, fn?.irq], [17, 40]);
  assert.is(machine.sysfs.read(`/sys/bus/pci/devices/${NIC}/irq`), '40\n');
  assert.is(machine.xen.pci.config(machine.routingOf(NIC)).read(0x3c, 1), 10);
  machine.run(10e6);
  assert.ok((machine.xen.nic(machine.routingOf(NIC))?.interrupts ?? 0) > 0, 'dom0\'s driver is interrupted');
});

places('what cannot be is refused with device, field and range', async () => {
  assert.is(await problem(nic({ bars: { 0: '0xfe641000' } })),
    'BAD_ADDRESS: e1000 at 0000:00:04.0: BAR 0 is at 0xfe641000; it has 0x20000 bytes, and its address is a multiple of that');
  assert.match(await problem(nic({ bars: { 0: '0x10000000' } })), /^BAD_ADDRESS: .*BAR 0 is at 0x10000000; it lies from 0xf0000000 to /);
  assert.match(await problem(nic({ bars: { 1: '0x10000' } })), /^BAD_ADDRESS: .*ports are from /);
  assert.match(await problem(nic({ bars: { 2: '0xfe640000' } })), /^BAD_ADDRESS: .*there is no BAR 2; it has BAR 0, 1/);
  assert.match(await problem(nic({ bars: { 0: 'fe640000' } })), /^BAD_ADDRESS: .*hexadecimal, as in "0xfe640000"/);
  assert.match(await problem(nic({ rom: { size: '3KiB' } })), /^BAD_ROM: .*a power of two from 2KiB to 16MiB/);
  assert.match(await problem(nic({ gsi: 3 })), /^BAD_INTERRUPT: .*gsi is 3; it is a whole number from 16 to 23/);
});

places('two that overlap are refused, with both names', async () => {
  const text = await problem(nic({ bars: { 0: '0xfe640000' } }), { model: 'e1000', bdf: '00:05.0', bars: { 0: '0xfe640000' } });
  assert.match(text, /^ADDRESS_TAKEN: /);
  assert.match(text, /0000:00:04\.0/);
  assert.match(text, /0000:00:05\.0/);
});

places('a device that comes while the machine runs has its place, too', async () => {
  const machine = await machineOf(nic({}));
  machine.run();
  assert.ok(machine.xen);
  machine.addDevice({ model: 'e1000', bdf: '00:05.0', bars: { 0: '0xfe640000' } });
  assert.is(machine.barAddress('00:05.0', 0), 0xfe640000);
  assert.is(machine.sysfs.readlink('/sys/bus/pci/devices/0000:00:05.0/driver'), '/sys/bus/pci/drivers/e1000');
  machine.removeDevice('00:05.0');
  assert.not.ok(machine.sysfs.exists('/sys/bus/pci/devices/0000:00:05.0'));
});

places.run();
