// The observed machine: examples/observed-q35.json against what was measured.
import fs from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../scripts/files.mjs';
import type { MachineDescription } from '../../src/machine/description';
import { difference } from '../../src/machine/digest';
import { Machine } from '../../src/machine/machine';

const DEVICES = '/sys/bus/pci/devices';

function observed(): Promise<Machine> {
  const read = (name: string): string => fs.readFileSync(path.join(root, 'examples', name), 'utf8');
  return Machine.create(JSON.parse(read('observed-q35.json')) as MachineDescription, { readFile: read });
}

function ranges(set: { ranges: ReadonlyArray<readonly [number, number]> }): string {
  return set.ranges.map(([first, last]) => (first === last ? first.toString(16) : `${first.toString(16)}-${last.toString(16)}`)).join(', ');
}

const machineTest = suite('observed machine');

machineTest('devices are where they were, with their interrupts and drivers', async () => {
  const machine = await observed();
  const { sysfs } = machine;
  const text = (bdf: string, name: string): string => sysfs.read(`${DEVICES}/${bdf}/${name}`);
  const lines = (bdf: string): string[] => text(bdf, 'resource').split('\n');
  assert.is(lines('0000:00:04.0')[0], '0x00000000fe640000 0x00000000fe65ffff 0x0000000000040200');
  assert.is(lines('0000:00:04.0')[1], '0x000000000000d2c0 0x000000000000d2ff 0x0000000000040101');
  assert.is(lines('0000:00:04.0')[6], '0x00000000fe500000 0x00000000fe53ffff 0x0000000000046200');
  assert.is(lines('0000:00:05.0')[0], '0x00000000fe660000 0x00000000fe67ffff 0x0000000000040200');
  assert.is(lines('0000:00:05.0')[6], '0x00000000fe540000 0x00000000fe57ffff 0x0000000000046200');
  assert.is(lines('0000:00:06.0')[0], '0x00000000fe400000 0x00000000fe4fffff 0x0000000000040200');
  assert.is(lines('0000:00:07.0')[1], '0x00000000fe6ca000 0x00000000fe6ca0ff 0x0000000000040200');
  assert.is(lines('0000:00:08.0')[0], '0x00000000fe6c0000 0x00000000fe6c3fff 0x0000000000140204');
  assert.equal(['04', '05', '06', '07'].map((slot) => text(`0000:00:${slot}.0`, 'irq')), ['20\n', '21\n', '22\n', '23\n']);
  assert.is(text('0000:00:05.0', 'config').charCodeAt(0x3c), 0x0a);
  const driver = (bdf: string): string | undefined =>
    (sysfs.exists(`${DEVICES}/${bdf}/driver`) ? sysfs.readlink(`${DEVICES}/${bdf}/driver`).split('/').at(-1) : undefined);
  assert.equal(
    ['00:04.0', '00:05.0', '00:06.0', '00:07.0', '00:08.0', '00:09.0', '00:0a.0', '00:0a.1', '00:0b.0', '01:00.0']
      .map((bdf) => driver(`0000:${bdf}`)),
    ['e1000', 'e1000e', undefined, '8139cp', 'nvme', 'virtio-pci', 'serial', 'serial', 'pcieport', 'e1000e'],
  );
  assert.is(sysfs.readlink(`${DEVICES}/0000:01:00.0`), '/sys/devices/pci0000:00/0000:00:0b.0/0000:01:00.0');
});

const CONFIG = new Map([
  ['g.cfg', 'name = "g"\ntype = "pv"\nmemory = 16\nkernel = "builtin:all"\npci = ["00:04.0", "00:06.0"]\n'],
]);

function ok(machine: Machine, ...args: string[]): void {
  const { code, stderr } = machine.xl(args, CONFIG);
  assert.is(code, 0, stderr);
}

/** A guest gets two devices, uses them, and is destroyed; the devices go back. */
function life(machine: Machine, during: (domid: number) => void = () => undefined): void {
  for (const bdf of ['00:04.0', '00:06.0']) ok(machine, 'pci-assignable-add', bdf);
  ok(machine, 'create', 'g.cfg');
  machine.run(2e9);
  during(machine.hypervisor.domains.find(({ name }) => name === 'g')?.domid ?? -1);
  if (machine.hypervisor.domains.some(({ name }) => name === 'g')) ok(machine, 'destroy', 'g');
  for (const bdf of ['00:04.0', '00:06.0']) ok(machine, 'pci-assignable-remove', '-r', bdf);
  machine.run(1e9);
}

machineTest('a guest with two devices has the rights that were observed, and both work', async () => {
  const machine = await observed();
  life(machine, (domid) => {
    const domain = machine.hypervisor.domain(domid);
    assert.is(ranges(domain.iomem), 'fe400-fe53f, fe640-fe65f');
    assert.is(ranges(domain.ioport), 'd2c0-d2ff');
    const kernel = machine.xen.guestKernel(domid);
    assert.ok(kernel);
    const [nic, edu] = kernel.activity;
    assert.is(nic?.nic?.returned, 4, kernel.kernel.log.join('\n'));
    assert.equal(edu?.rounds, { right: 4, wrong: 0 }, kernel.kernel.log.join('\n'));
    assert.ok(kernel.kernel.log.includes('edu 0000:00:01.0: 10! = 3628800, a page to the device and back: the same'));
  });
});

machineTest('nothing is left of a life, however it ends', async () => {
  const machine = await observed();
  // folders of the store and what a message was last come with the first
  life(machine);
  const before = machine.digest();
  life(machine);
  assert.equal(difference(before, machine.digest()), []);
  life(machine, () => {
    ok(machine, 'pci-detach', 'g', '00:04.0');
    ok(machine, 'pci-attach', 'g', '00:04.0');
    machine.run(1e9);
  });
  assert.equal(difference(before, machine.digest()), []);
  life(machine, (domid) => {
    ok(machine, 'shutdown', 'g');
    machine.run(30e9);
    assert.not.ok(machine.hypervisor.domains.some((one) => one.domid === domid), 'it has powered off');
  });
  assert.equal(difference(before, machine.digest()), []);
  life(machine, (domid) => {
    machine.xen.guestKernel(domid)?.kill();
    machine.run(1e9);
  });
  assert.equal(difference(before, machine.digest()), []);
});

machineTest.run();
