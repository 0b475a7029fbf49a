// pciback on a whole machine: real devices behind the first domain's PCI core, hypercalls of the hypervisor, interrupts
// that arrive.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { Physdev } from '../../../src/xen/hypervisor/physdev';
import { KernelLines } from '../../../src/xen/pciback/interrupt-lines';
import { IrqPool } from '../../../src/xen/pciback/irq-pool';
import type { PcibackDevice } from '../../../src/xen/pciback/seized-device';
import { PcibackStub } from '../../../src/xen/pciback/stub';
import { PcibackFiles } from '../../../src/xen/pciback/sysfs-files';
import { SysfsTree } from '../../../src/xen/dom0/sysfs-tree';

const EDU = 0x0030;
const NIC = 0x0028;
const SHARES = 1;

interface Rig {
  readonly machine: Machine;
  readonly stub: PcibackStub;
  readonly guest: Domain;
  readonly domctl: Domctl;
  readonly physdev: Physdev;
  readonly sysfs: SysfsTree;
  bind(bdf: string): void;
  give(routing: number): PcibackDevice;
  /** A config register of the hardware. */
  hardware(routing: number, off: number, width: 1 | 2 | 4): number;
  settle(): void;
}

async function rig(): Promise<Rig> {
  const machine = await Machine.create({
    memory: '64MiB', dom0: { memory: '8MiB' }, iommu: 'vtd', devices: [
      { model: 'e1000', bdf: '0000:00:04.0' }, { model: 'e1000e', bdf: '0000:00:05.0' }, { model: 'edu', bdf: '0000:00:06.0' },
    ],
  });
  const { hypervisor, xen } = machine;
  const physdev = new Physdev(hypervisor, 0);
  const domctl = new Domctl(hypervisor, 0);
  const stub = new PcibackStub({
    host: xen.pci, kernel: xen.kernel, physdev, irqs: new IrqPool(),
    lines: new KernelLines(xen.kernel, (pirq) => physdev.irqStatusQuery(pirq).shared),
  });
  for (const name of xen.core.drivers.filter((driver) => driver === 'pciback')) xen.core.removeDriver(name);
  xen.core.addDriver(stub);
  const sysfs = new SysfsTree();
  new PcibackFiles(stub).addTo(sysfs);
  const guest = domctl.createDomain({ name: 'guest', kind: 'pv', pages: 1024, iommu: true });
  const settle = (): void => {
    machine.run();
    xen.scheduler.settle();
    machine.run();
  };
  return {
    machine, stub, guest, domctl, physdev, sysfs, settle,
    bind: (bdf) => {
      const bound = xen.core.deviceNamed(bdf)?.driver;
      if (bound !== undefined) xen.core.unbind(bound, bdf);
      sysfs.write('/sys/bus/pci/drivers/pciback/new_slot', bdf);
      if (xen.core.deviceNamed(bdf)?.driver === undefined) xen.core.bind('pciback', bdf);
    },
    give: (routing) => {
      domctl.assignDevice(guest.domid, routing);
      const device = stub.take(routing, guest.domid);
      assert.ok(device);
      return device as PcibackDevice;
    },
    hardware: (routing, off, width) => xen.pci.config(routing).read(off, width),
  };
}

const whole = suite('on a machine');

whole('a device is seized by sysfs, and its config space virtualised', async () => {
  const { bind, give, hardware, sysfs, stub } = await rig();
  bind('0000:00:06.0');
  bind('0000:00:05.0');
  assert.is(sysfs.read('/sys/bus/pci/drivers/pciback/slots'), '0000:00:06.0\n0000:00:05.0\n');
  const seized = hardware(NIC, 0x04, 2);
  assert.is(seized & 0x0407, 0x0003, 'decode on, no bus master, INTx on');
  const device = give(NIC);
  assert.is(device.configRead(0x00, 4).value, 0x10d38086);
  const bar = device.configRead(0x10, 4).value;
  assert.is(bar, hardware(NIC, 0x10, 4));
  device.configWrite(0x10, 4, 0xffffffff);
  assert.is(device.configRead(0x10, 4).value, 0xfffe0000);
  assert.is(hardware(NIC, 0x10, 4), bar);
  device.configWrite(0x10, 4, bar);
  for (const [value, set] of [[0, 0], [0x0007, 4], [0x0507, 4], [0xffff, 4], [0x0010, 0]] as const) {
    device.configWrite(0x04, 2, value);
    assert.is(hardware(NIC, 0x04, 2), seized | set, value.toString(16));
  }
  device.configWrite(0xcc, 2, 3);
  assert.is(hardware(NIC, 0xcc, 2) & 3, 3);
  device.configWrite(0xcc, 2, 0);
  assert.is(hardware(NIC, 0xcc, 2) & 3, 0);
  assert.is(hardware(NIC, 0x04, 2), seized, 'also when the way to D0 resets the function');
  assert.is(hardware(NIC, 0x10, 4), bar);
  stub.give(device);
  assert.is(hardware(NIC, 0x04, 2), seized);
});

whole('MSI of edu arrives at the guest; after a disable it does not', async () => {
  const { machine, bind, give, guest, hardware, settle } = await rig();
  bind('0000:00:06.0');
  const device = give(EDU);
  device.configWrite(0x04, 2, 0x0507);
  const { err, value: pirq } = device.enableMsi();
  assert.is(err, 0);
  assert.is(hardware(EDU, 0x42, 2) & 1, 1);
  const port = machine.hypervisor.events.bindPirq(guest.domid, pirq, 0);
  const raise = (): void => {
    machine.engine.exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x60, 4, 1, 0);
    settle();
    machine.engine.exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x64, 4, 1, 0);
  };
  const arrived = (): boolean => machine.engine.exports.eventTake(guest.slot, port) === 1;
  raise();
  assert.is(arrived(), true);
  assert.is(device.disableMsi().err, 0);
  raise();
  assert.is(arrived(), false);
  assert.is(guest.irq.has(hardware(EDU, 0x3c, 1), hardware(EDU, 0x3c, 1)), false);
});

whole('MSI-X of the 82574L: an entry for each, masked until bound; undone at give', async () => {
  const { machine, bind, give, guest, hardware, stub } = await rig();
  bind('0000:00:05.0');
  const device = give(NIC);
  device.configWrite(0x04, 2, 0x0006);
  const { err, pirqs } = device.enableMsix([0, 1, 2]);
  assert.is(err, 0);
  assert.is(new Set(pirqs).size, 3);
  assert.is(hardware(NIC, 0xa2, 2), 0x8004);
  assert.is(hardware(NIC, 0x04, 2) & 0x0400, 0x0400);
  for (const pirq of pirqs) machine.hypervisor.events.bindPirq(guest.domid, pirq, 0);
  stub.give(device);
  assert.is(hardware(NIC, 0xa2, 2), 0x0004);
  assert.is(machine.hypervisor.vectors.filter(({ routing }) => routing === NIC).length, 0);
});

whole('a message for a domain that does not own the device is refused with -19', async () => {
  const { bind, stub, guest, hardware, machine } = await rig();
  bind('0000:00:06.0');
  const device = stub.take(EDU, guest.domid);
  assert.equal(device?.enableMsi(), { err: -5, value: 0 });
  assert.is(hardware(EDU, 0x42, 2) & 1, 0);
  assert.is(machine.xen.kernel.log.at(-1),
    `pciback 0000:00:06.0: xen-pciback: error enabling MSI for guest ${guest.domid}: err -19`);
});

whole('an INTx line is in both domains: the guest gets each interrupt, pciback counts it and ends its own', async () => {
  const { machine, bind, give, guest, physdev, domctl, sysfs, settle } = await rig();
  bind('0000:00:06.0');
  const device = give(EDU);
  const { irq } = device.host;
  physdev.mapPirq({ domid: guest.domid, type: 'gsi', index: irq, pirq: irq });
  domctl.irqPermission(guest.domid, irq, true);
  const port = machine.hypervisor.events.bindPirq(guest.domid, irq, SHARES);
  device.configWrite(0x04, 2, 0x0003);
  device.updateIntx();
  const handlers = (): string => sysfs.read('/sys/bus/pci/drivers/pciback/irq_handlers');
  assert.is(handlers(), '0000:00:06.0:on:acking:0\n');
  for (let count = 1; count <= 3; count++) {
    machine.engine.exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x60, 4, 1, 0);
    settle();
    assert.is(machine.engine.exports.eventTake(guest.slot, port), 1);
    machine.engine.exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x64, 4, 1, 0);
    machine.hypervisor.endInterrupt(guest.domid, irq);
    settle();
    assert.is(handlers(), `0000:00:06.0:on:acking:${count}\n`);
  }
  device.configWrite(0x04, 2, 0);
  device.updateIntx();
  assert.is(handlers(), '0000:00:06.0:off:not acking:3\n');
});

whole('a line that stays asserted and that no guest has bound comes to an end', async () => {
  const { machine, bind, give, sysfs, settle } = await rig();
  bind('0000:00:06.0');
  const device = give(EDU);
  device.configWrite(0x04, 2, 0x0003);
  device.updateIntx();
  machine.engine.exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x60, 4, 1, 0);
  for (let i = 0; i < 10; i++) settle();
  assert.is(sysfs.read('/sys/bus/pci/drivers/pciback/irq_handlers'), '0000:00:06.0:on:not acking:1000\n');
  assert.is(machine.xen.kernel.log.at(-1), `irq ${device.host.irq}: nobody cared`);
  device.configWrite(0x04, 2, 0);
  device.updateIntx();
  assert.is(sysfs.read('/sys/bus/pci/drivers/pciback/irq_handlers'), '0000:00:06.0:off:not acking:1000\n');
});

whole('unbound and given back to nobody: the machine is as it was before it was bound', async () => {
  const { machine, bind, give, stub, domctl, guest } = await rig();
  bind('0000:00:05.0');
  const device = give(NIC);
  device.configWrite(0x04, 2, 0x0507);
  device.updateIntx();
  device.enableMsix([0, 1]);
  stub.give(device);
  domctl.deassignDevice(guest.domid, NIC);
  const before = machine.digest();
  give(NIC).enableMsi();
  stub.give(device);
  domctl.deassignDevice(guest.domid, NIC);
  assert.equal(machine.digest(), before);
});

whole.run();
