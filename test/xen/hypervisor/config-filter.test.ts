// What Xen lets through of the first domain's config writes where messages are programmed: xen-passthrough.md 7.5, and
// xen-observed.md 6 for what a permissive pciback's writes reach.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import { configByPorts } from '../../../src/pci/access';
import { Physdev } from '../../../src/xen/hypervisor/physdev';
import { probe } from '../../helpers/made-up';

// the made-up function: MSI at 50 with 64 bits and mask bits at 60, pending at 64, MSI-X at 70; edu: MSI at 40 without
const [PROBE, EDU] = [0x20, 0x30];
type Write = (off: number, width: 1 | 2 | 4, value: number) => void;

async function rig(): Promise<{ machine: Machine; ways: Array<[string, (routing: number) => Write]>; read: (off: number, width?: 1 | 2 | 4, routing?: number) => number }> {
  const machine = await Machine.create({
    memory: '32MiB', dom0: { memory: '8MiB' }, iommu: 'vtd',
    devices: [{ model: 'probe', bdf: '00:04.0' }, { model: 'edu', bdf: '00:06.0' }],
  }, { models: [probe] });
  const { xen, dom0, engine } = machine;
  const guest = machine.guest(dom0);
  const page = (routing: number): number => guest.ioremap(0xe0000000 + routing * 4096, 4096);
  const ports = {
    in: (port: number, width: 1 | 2 | 4) => engine.exports.guestIn(dom0.slot, port, width) >>> 0,
    out: (port: number, width: 1 | 2 | 4, value: number) => engine.exports.guestOut(dom0.slot, port, width, value),
  };
  return {
    machine,
    ways: [
      ['by the ports', (routing) => configByPorts(ports, routing).write],
      ['through its own mapping', (routing) => {
        const va = page(routing);
        return (off, width, value) => guest.store(va + off, width, value);
      }],
      ['by its kernel', (routing) => xen.pci.config(routing).write],
    ],
    read: (off, width = 4, routing = PROBE) => engine.exports.ecamRead(routing << 12 | off, width) >>> 0,
  };
}

const filter = suite('config writes of the first domain');

filter('within MSI-X only Message Control as two bytes', async () => {
  const { ways, read } = await rig();
  const table = read(0x74);
  for (const [way, of] of ways) {
    const write = of(PROBE);
    write(0x70, 4, 0xffffffff);
    write(0x72, 1, 0xff);
    write(0x73, 1, 0xc0);
    write(0x74, 4, 0xffffffff);
    write(0x78, 2, 0xffff);
    assert.equal([read(0x72, 2), read(0x74)], [0x0004, table], way);
    write(0x72, 2, 0xc000);
    assert.is(read(0x72, 2), 0xc004, way);
    write(0x72, 2, 0x0000);
    assert.is(read(0x72, 2), 0x0004, way);
    write(0x3c, 1, 0x33);
    assert.is(read(0x3c, 1), 0x33, `${way}: outside all is as ever`);
    write(0x3c, 1, 0);
  }
});

filter('MSI with mask bits, once Xen has set it up: Control as two bytes, the mask as four, what Xen masks stays', async () => {
  const { machine, ways, read } = await rig();
  const { hypervisor } = machine;
  const physdev = new Physdev(hypervisor, 0);
  for (const [way, of] of ways) {
    const write = of(PROBE);
    write(0x54, 4, 0xfee11000);
    assert.is(read(0x54), 0xfee11000, `${way}: nothing is set up`);
    const pirq = physdev.mapPirq({ domid: 0, type: 'msi', index: 0, pirq: -1, routing: PROBE });
    const before = [read(0x54), read(0x58), read(0x5c, 2)];
    assert.is.not(before[0], 0xfee11000);
    write(0x54, 4, 0xfee22000);
    write(0x58, 4, 1);
    write(0x5c, 2, 0x1234);
    write(0x50, 4, 0x00010000);
    write(0x52, 1, 1);
    assert.equal([read(0x54), read(0x58), read(0x5c, 2), read(0x52, 2) & 1], [...before, 0], way);
    write(0x52, 2, 1);
    assert.is(read(0x52, 2) & 1, 1, way);
    write(0x60, 1, 0xaa);
    write(0x60, 2, 0xaaaa);
    assert.is(read(0x60), 0xff, way);
    write(0x60, 4, 0xf0);
    assert.is(read(0x60), 0xf1, `${way}: not bound, so vector 0 is Xen's to unmask`);
    const port = hypervisor.events.bindPirq(0, pirq, 0);
    assert.is(read(0x60), 0, way);
    write(0x60, 4, 0x02);
    assert.is(read(0x60), 0x02, way);
    hypervisor.events.close(0, port);
    write(0x60, 4, 0);
    assert.is(read(0x60), 0x01, way);
    physdev.unmapPirq(0, pirq);
    write(0x60, 4, 0);
    write(0x52, 2, 0);
    assert.equal([read(0x60), read(0x52, 2) & 1], [0, 0], `${way}: nothing is set up any more`);
  }
});

filter('MSI without mask bits is not kept, as observed; nor are the hypervisor\'s own writes', async () => {
  const { machine, ways, read } = await rig();
  const physdev = new Physdev(machine.hypervisor, 0);
  const pirq = physdev.mapPirq({ domid: 0, type: 'msi', index: 0, pirq: -1, routing: EDU });
  for (const [way, of] of ways) {
    of(EDU)(0x44, 4, 0xfee33000);
    assert.is(read(0x44, 4, EDU), 0xfee33000, way);
    of(EDU)(0x44, 4, 0);
  }
  physdev.unmapPirq(0, pirq);
  physdev.mapPirq({ domid: 0, type: 'msi', index: 0, pirq: -1, routing: PROBE });
  machine.engine.exports.ecamWrite(PROBE << 12 | 0x54, 4, 0xfee44000, 0);
  assert.is(read(0x54), 0xfee44000);
});

filter('a machine whose hypervisor has not booted its devices, or without one, filters nothing', async () => {
  for (const owner of [{}, { owner: 'native' as const }]) {
    const machine = await Machine.create({ memory: '32MiB', dom0: { memory: '8MiB' }, ...owner, devices: [{ model: 'probe', bdf: '00:04.0' }] },
      { models: [probe] });
    machine.engine.exports.guestOut(machine.dom0.slot, 0xcf8, 4, 0x80000000 | PROBE << 8 | 0x70);
    machine.engine.exports.guestOut(machine.dom0.slot, 0xcff, 1, 0x80);
    assert.is(machine.engine.exports.ecamRead(PROBE << 12 | 0x72, 2), 0x8004);
  }
});

filter.run();
