// Whose a device is while a guest has it: not the first domain's, not a second guest's, and not to be carried away.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Domctl } from '../../src/xen/hypervisor/domctl';
import { generateStore } from '../../src/devices/links/store';
import { codeOf, create, done, domainOf, given, type Given, NIC, node, states, xl } from '../helpers/claims';

const test = suite('ownership of a device');

const DRIVERS = '/sys/bus/pci/drivers';

/** 200 packets through the guest: it still has the device. */
function works({ machine }: Given): void {
  const link = machine.link(NIC);
  link.plugStore(generateStore('claims', 'imix', 64, 3), true);
  link.offer(200);
  machine.run(1e9);
  const { checked, mismatches } = link.status();
  assert.equal([checked, mismatches], [200, 0]);
}

test('dom0\'s driver cannot bind a claimed device, whichever way it is asked to', async () => {
  const one = await given('e1000', [NIC]);
  const { machine } = one;
  assert.is(codeOf(() => machine.sysfs.write(`${DRIVERS}/e1000/bind`, NIC)), 'EBUSY');
  machine.sysfs.write(`/sys/bus/pci/devices/${NIC}/driver_override`, 'e1000');
  assert.is(codeOf(() => machine.sysfs.write(`${DRIVERS}/e1000/bind`, NIC)), 'EBUSY');
  machine.sysfs.write('/sys/bus/pci/drivers_probe', NIC);
  assert.is(machine.sysfs.readlink(`/sys/bus/pci/devices/${NIC}/driver`), `${DRIVERS}/pciback`);
  works(one);
});

test('dom0\'s driver cannot drive a claimed device: no config space, no messages, no line, and its DMA is the guest\'s', async () => {
  const one = await given('e1000', [NIC]);
  const { machine, domain } = one;
  const dom0 = machine.guest(machine.dom0);
  const routing = machine.routingOf(NIC);
  assert.is(codeOf(() => dom0.config(routing)), 'EBUSY');
  assert.is(codeOf(() => dom0.enableMsi(routing)), 'EBUSY');
  assert.is(codeOf(() => dom0.enableIntx(routing)), 'EBUSY');
  assert.is(machine.xen.nic(routing), undefined);
  const { exports, heap } = machine.engine;
  const scratch = heap.take(64, 'the test');
  const [theirs, ours] = [domain.p2m.at(-9) as number, machine.dom0.p2m.at(-9) as number];
  const write = (mfn: number): number => exports.functionDmaWrite(machine.functionOf(NIC), mfn * 4096, 0, 4, scratch);
  assert.equal([write(theirs), write(ours)], [0, 3], 'the guest\'s memory, and a fault');
  // given back, all of it goes again
  done(machine, `pci-detach g ${NIC}`);
  done(machine, `pci-assignable-remove -r ${NIC}`);
  assert.is(machine.sysfs.readlink(`/sys/bus/pci/devices/${NIC}/driver`), `${DRIVERS}/e1000`);
  assert.is(codeOf(() => dom0.config(routing)), 'none');
  assert.ok(machine.xen.nic(routing));
  assert.is(write(ours), 0);
});

test('a second domU is refused: at create, at attach, by the hypervisor; the first goes on', async () => {
  const one = await given('e1000', [NIC]);
  const { machine, domain } = one;
  const routing = machine.routingOf(NIC);
  const second = create(machine, 'second', 'e1000', [NIC]);
  assert.is(second.code, 3);
  assert.match(second.stderr, 'PCI device 0:0:4.0 is not assignable');
  assert.match(second.stderr, 'unable to add pci devices');
  assert.equal(machine.hypervisor.domains.map(({ name }) => name), ['Domain-0', 'g']);
  assert.is(create(machine, 'third', 'e1000', [], 'passthrough = "enabled"').code, 0);
  machine.run(1e9);
  const third = domainOf(machine, 'third');
  const attached = xl(machine, `pci-attach third ${NIC}`);
  assert.is(attached.code, 1);
  assert.match(attached.stderr, 'PCI device 0:0:4.0 is not assignable');
  assert.is(codeOf(() => new Domctl(machine.hypervisor, 0).assignDevice(third.domid, routing)), 'EBUSY');
  const set = ({ ranges }: { ranges: unknown }): unknown => ranges;
  assert.equal([set(third.iomem), set(third.ioport), set(third.irq), [...third.assigned]], [[], [], [], []], 'nothing was left with it');
  assert.is(node(machine, '/libxl/pci/0000-00-04-0/domid'), String(domain.domid), 'the owner\'s entry stands');
  assert.is(machine.hypervisor.deviceOwner(routing), domain);
  works(one);
  done(machine, `pci-detach g ${NIC}`);
  done(machine, `pci-attach third ${NIC}`);
  assert.is(machine.hypervisor.deviceOwner(routing), third, 'free, it is given');
});

for (const [command, word] of [['save', 'saved'], ['migrate', 'migrated']] as const) {
  test(`${command} of a domain with a device is refused, and the domain goes on`, async () => {
    const one = await given('e1000', [NIC]);
    const { machine, domain } = one;
    const refused = xl(machine, `${command} g elsewhere`);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, `domain ${domain.domid} has PCI devices, whose state nobody can read: it cannot be ${word}`);
    assert.is(states(machine, domain.domid), '4 4');
    works(one);
    done(machine, `pci-detach g ${NIC}`);
    const without = xl(machine, `${command} g elsewhere`);
    assert.is(without.code, 1);
    assert.match(without.stderr, `xl ${command} is not modelled`);
    assert.not.match(without.stderr, 'PCI devices', 'that is not why any more');
  });
}

test.run();
