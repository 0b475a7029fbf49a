// The whole control plane on one machine: dom0's drivers, pciback, xl, a guest's kernel and its drivers.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
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

/** A guest with a device, after it has had time to use it. */
async function guestWith(kernel: string, bdf: string, extra: Partial<MachineDescription> = {}): Promise<{ machine: Machine; domid: number }> {
  const machine = await rig(extra);
  const added = machine.xl(['pci-assignable-add', bdf]);
  assert.is(added.code, 0, added.stderr);
  const created = machine.xl(['create', 'g.cfg'], config(kernel, `"${bdf}"`));
  assert.is(created.code, 0, created.stderr);
  machine.run(2e9);
  return { machine, domid: machine.hypervisor.domains.find(({ name }) => name === 'g')?.domid ?? -1 };
}

function refusal(action: () => unknown): string {
  try {
    action();
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

system('a claimed device can neither be bound nor driven by dom0', async () => {
  const { machine } = await guestWith('e1000', '00:04.0');
  assert.is(refusal(() => machine.sysfs.write(`${DRIVERS}/e1000/bind`, NIC)), 'EBUSY');
  assert.is(refusal(() => machine.guest(machine.dom0).config(machine.routingOf(NIC))), 'EBUSY');
  assert.is(machine.sysfs.readlink(`${DEVICES}/${NIC}/driver`), `${DRIVERS}/pciback`);
  assert.is(machine.xen.nic(machine.routingOf(NIC)), undefined);
});

system('a guest forwards what comes in, through DMA and interrupts of its own', async () => {
  const { machine, domid } = await guestWith('e1000', '00:04.0');
  const link = machine.link(NIC);
  link.plugStore(generateStore('test', 'imix', 64, 1), true);
  link.offer(500);
  const before = machine.xen.guestKernel(domid)?.activity[0]?.nic;
  machine.run(1e9);
  const { checked, mismatches } = link.status();
  assert.equal([checked, mismatches], [500, 0]);
  const after = machine.xen.guestKernel(domid)?.activity[0]?.nic;
  assert.is((after?.received ?? 0) - (before?.received ?? 0), 500);
  assert.ok((after?.interrupts ?? 0) > (before?.interrupts ?? 0));
});

system('a guest drives an 82574L by MSI-X, and edu by MSI', async () => {
  const { machine, domid } = await guestWith('e1000e', '00:05.0', { devices: [
    { model: 'e1000e', bdf: '00:05.0', link: 'loopback' }, { model: 'edu', bdf: '00:06.0' },
  ] });
  const [nic] = machine.xen.guestKernel(domid)?.activity ?? [];
  assert.is(nic?.nic?.returned, 4, machine.xen.guestKernel(domid)?.kernel.log.join('\n'));
  assert.ok((nic?.nic?.interrupts ?? 0) > 0);
  assert.is(machine.hypervisor.vectors.filter((one) => one.domid === domid).length, 3);
  assert.is(machine.xl(['destroy', 'g']).code, 0);
  assert.equal(machine.hypervisor.vectors.filter((one) => one.domid === domid), []);
  assert.is(machine.xl(['pci-assignable-add', '00:06.0']).code, 0);
  assert.is(machine.xl(['create', 'g.cfg'], config('edu', '"00:06.0"')).code, 0);
  machine.run(2e9);
  const kernel = [...machine.xen.programs.kernels.values()][0];
  assert.equal(kernel?.activity[0]?.rounds, { right: 4, wrong: 0 }, kernel?.kernel.log.join('\n'));
});

system('plug and unplug as often as one likes: the guest\'s memory does not run out', async () => {
  const { machine, domid } = await guestWith('e1000', '00:04.0');
  for (let i = 0; i < 12; i++) {
    assert.is(machine.xl(['pci-detach', 'g', '00:04.0']).code, 0);
    assert.is(machine.xl(['pci-attach', 'g', '00:04.0']).code, 0);
    machine.run(1e9);
    assert.is(machine.xen.guestKernel(domid)?.activity.length, 1, machine.xen.guestKernel(domid)?.kernel.log.at(-1));
  }
});

system('dom0 may have another number for the interrupt than it is', async () => {
  const { machine, domid } = await guestWith('e1000', '00:04.0', { devices: [
    { model: 'e1000', bdf: NIC, link: 'loopback', gsi: 17, irq: 18 },
  ] });
  const front = machine.xen.pcifront(domid);
  assert.is(front?.devices[0]?.irq, 18, 'what byte 3C says');
  const [activity] = machine.xen.guestKernel(domid)?.activity ?? [];
  assert.is(activity?.nic?.returned, 4, machine.xen.guestKernel(domid)?.kernel.log.join('\n'));
  assert.ok((activity?.nic?.interrupts ?? 0) > 0);
});

system('pciback takes what it is to hide before any driver does', async () => {
  const machine = await rig({ dom0: { memory: '16MiB', pciback: { hide: '(00:04.0)' } } });
  assert.is(machine.sysfs.readlink(`${DEVICES}/${NIC}/driver`), `${DRIVERS}/pciback`);
  assert.is(machine.sysfs.readlink(`${DEVICES}/0000:00:05.0/driver`), `${DRIVERS}/e1000e`);
});

system('without pciback xl says so', async () => {
  const machine = await rig({ dom0: { memory: '16MiB', pciback: { kind: 'none' } } });
  const { code, stdout, stderr } = machine.xl(['pci-assignable-list']);
  assert.is(code, 0);
  assert.match(stdout + stderr, /Looks like pciback driver not loaded/);
});

system('a kernel or a front end that there is not is refused before there is a domain', async () => {
  const machine = await rig();
  const { code, stderr } = machine.xl(['create', 'g.cfg'], config('windows', ''));
  assert.is.not(code, 0);
  assert.match(stderr, /builtin:e1000/);
  assert.is(machine.hypervisor.domains.length, 1);
});

system('a machine of one OS has no Xen, and a control plane that runs is in no snapshot', async () => {
  const native = await Machine.create({ owner: 'native', devices: [{ model: 'edu', bdf: '00:06.0' }] });
  assert.is(refusal(() => native.xen), 'NO_XEN');
  const machine = await rig();
  assert.ok(machine.save());
  assert.ok(machine.xen);
  assert.is(refusal(() => machine.save()), 'NO_SNAPSHOT');
});

system('two machines go the same way', async () => {
  const story = async (): Promise<string> => {
    const { machine } = await guestWith('e1000', '00:04.0');
    machine.xl(['pci-detach', 'g', '00:04.0']);
    return JSON.stringify([machine.digest(), machine.engine.now, machine.xen.kernel.log]);
  };
  assert.is(await story(), await story());
});

system.run();
