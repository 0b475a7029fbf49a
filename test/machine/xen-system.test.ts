// The whole control plane on one machine: dom0's drivers, pciback, xl, a guest's kernel and its drivers.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../src/machine/machine';
import type { MachineDescription } from '../../src/machine/description';

const NIC = '0000:00:04.0';
const DEVICES = '/sys/bus/pci/devices';
const DRIVERS = '/sys/bus/pci/drivers';

async function rig(extra: Partial<MachineDescription> = {}): Promise<Machine> {
  return Machine.create({
    memory: '64MiB', dom0: { memory: '16MiB' }, iommu: 'vtd',
    devices: [
      { model: 'e1000', bdf: NIC, link: 'capture' }, { model: 'e1000e', bdf: '0000:00:05.0', link: 'capture' },
      { model: 'edu', bdf: '0000:00:06.0' }, { model: 'root-port', bdf: '0000:00:0b.0' },
      { model: 'e1000', bdf: '0000:01:00.0', link: 'loopback' },
    ], ...extra,
  });
}

const config = (kernel: string, pci: string): ReadonlyMap<string, string> =>
  new Map([['g.cfg', `name = "g"\ntype = "pv"\nmemory = 8\nkernel = "builtin:${kernel}"\npci = [${pci}]\n`]]);

const system = suite('control plane of a machine');

system('dom0 boots with its drivers on its devices, and they move frames', async () => {
  const machine = await rig();
  const driver = (bdf: string): string => machine.sysfs.readlink(`${DEVICES}/${bdf}/driver`);
  assert.is(driver(NIC), `${DRIVERS}/e1000`);
  assert.is(driver('0000:00:05.0'), `${DRIVERS}/e1000e`);
  assert.is(driver('0000:00:0b.0'), `${DRIVERS}/pcieport`);
  assert.not.ok(machine.sysfs.exists(`${DEVICES}/0000:00:06.0/driver`));
  machine.run(10e6);
  assert.is(machine.link(NIC).capture().length, 4);
  assert.is(machine.link('0000:00:05.0').capture().length, 4);
  const nic = machine.xen.nic(machine.routingOf('0000:01:00.0'));
  assert.is(nic?.returned, 4, 'its own frames come back');
  assert.is(nic?.sent, 4, 'and do not go round');
});

system('a device goes to a guest, works there, and comes back to dom0', async () => {
  const machine = await rig();
  const files = config('e1000', '"00:04.0"');
  let result = machine.xl(['pci-assignable-add', '00:04.0']);
  assert.equal([result.code, result.stderr], [0, '']);
  assert.is(machine.sysfs.readlink(`${DEVICES}/${NIC}/driver`), `${DRIVERS}/pciback`);
  machine.link(NIC).capture();
  result = machine.xl(['create', 'g.cfg'], files);
  assert.is(result.code, 0, result.stderr);
  machine.run(50e6);
  const domain = machine.hypervisor.domains.find(({ name }) => name === 'g');
  assert.ok(domain);
  const store = machine.xen.kernel.store;
  assert.is(store.read(`/local/domain/${domain.domid}/device/pci/0/state`), '4');
  assert.is(store.read(`/local/domain/0/backend/pci/${domain.domid}/0/state`), '4');
  const [activity] = machine.xen.guestKernel(domain.domid)?.activity ?? [];
  assert.is(activity?.driver, 'e1000', machine.xen.guestKernel(domain.domid)?.kernel.log.join('\n'));
  assert.is(machine.link(NIC).capture().length, 4, 'the guest sends');
  result = machine.xl(['pci-detach', 'g', '00:04.0']);
  assert.is(result.code, 0, result.stderr);
  assert.equal(machine.xen.guestKernel(domain.domid)?.activity, []);
  result = machine.xl(['pci-assignable-remove', '-r', '00:04.0']);
  assert.is(result.code, 0, result.stderr);
  assert.is(machine.sysfs.readlink(`${DEVICES}/${NIC}/driver`), `${DRIVERS}/e1000`);
  machine.run(10e6);
  assert.is(machine.link(NIC).capture().length, 4, 'dom0 sends again');
  result = machine.xl(['destroy', 'g']);
  assert.is(result.code, 0, result.stderr);
});

system.run();
