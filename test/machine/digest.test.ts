import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DmaDirection } from '../../assembly/spec/driver';
import { E1000Driver } from '../../src/drivers/e1000';
import { EduDriver } from '../../src/drivers/edu';
import { DIGEST_SECTIONS, difference } from '../../src/machine/digest';
import { Machine } from '../../src/machine/machine';
import type { Translation } from '../../src/xen/hypervisor/domain';

const EDU = '0000:00:06.0';
const NIC = '0000:00:04.0';

async function machineWith(iommu: 'vtd' | 'none'): Promise<Machine> {
  return Machine.create({
    memory: '32MiB', dom0: { memory: '4MiB' }, iommu,
    devices: [
      { model: 'edu', bdf: EDU }, { model: 'e1000', bdf: NIC, link: 'loopback' }, { model: 'edu', bdf: '0000:00:07.0' },
    ],
  });
}

/** Runs `work` and says what it has left behind. */
function leftBy(machine: Machine, work: () => void): string[] {
  const before = machine.digest();
  work();
  return difference(before, machine.digest());
}

test('a digest is plain data, and of two machines made alike it is the same', async () => {
  const [a, b] = [(await machineWith('vtd')).digest(), (await machineWith('vtd')).digest()];
  assert.equal(Object.keys(a), [...DIGEST_SECTIONS]);
  assert.equal(JSON.parse(JSON.stringify(a)), a);
  assert.equal(a, b);
  assert.equal(difference(a, b), []);
  for (const name of DIGEST_SECTIONS) {
    // nothing is assigned, mapped, bound or asserted yet, and the control plane does not run
    const empty = ['holds', 'mappings', 'contexts', 'interrupts', 'events', 'store', 'kernels'].includes(name);
    assert.is(Object.keys(a[name].entries).length === 0, empty, name);
  }
});

test('with the control plane, what it has is in there too', async () => {
  const machine = await machineWith('vtd');
  const { kernel } = machine.xen;
  const before = machine.digest();
  kernel.store.write('/tool/forgotten', 'x');
  kernel.watch('/tool', () => undefined);
  kernel.scheduler.spawn('sleeper', 0, (function* sleep() { yield { timeout: 1e9 }; })());
  const left = difference(before, machine.digest());
  assert.ok(left.includes('store: /tool/forgotten: nothing -> = "x"   (n0)'), left.join('\n'));
  assert.ok(left.includes('kernels: domain 0 watches /tool: nothing -> 1'), left.join('\n'));
  assert.ok(left.includes('kernels: job sleeper of domain 0: nothing -> waits'), left.join('\n'));
});

test('a domain that comes and goes leaves nothing', async () => {
  const machine = await machineWith('vtd');
  assert.equal(leftBy(machine, () => {
    for (const type of ['pv', 'hvm'] as const) {
      const domain = machine.createDomain({ name: type, memory: '8MiB', type });
      machine.guest(domain).store(0x1000, 4, 0x12345678);
      machine.hypervisor.destroyDomain(domain.domid);
    }
  }), []);
});

for (const [iommu, translation, mode] of [
  ['vtd', 'guest-mapped', 'strict'], ['vtd', 'guest-mapped', 'lazy'], ['vtd', 'own-frames', 'direct'],
  ['vtd', 'pass-through', 'direct'], ['none', 'none', 'direct'],
] as Array<['vtd' | 'none', Translation, 'strict' | 'lazy' | 'direct']>) {
  test(`devices in use, given and taken back, leave nothing (${translation}, ${mode})`, async () => {
    const machine = await machineWith(iommu);
    assert.equal(leftBy(machine, () => {
      const domain = machine.createDomain({ name: 'guest', memory: '8MiB' });
      machine.assign(EDU, domain, translation);
      machine.assign(NIC, domain, translation);
      const guest = machine.guest(domain);
      const edu = new EduDriver(guest, machine.routingOf(EDU), { mode });
      const nic = new E1000Driver(guest, machine.routingOf(NIC), { dma: { mode } });
      const va = guest.allocPages(2);
      edu.transfer(va, 0, 1000, true);
      const size = mode === 'direct' ? 3000 : 5000;
      const bus = edu.dma.map(va, size, DmaDirection.BOTH);
      const frame = `frame 0x${(domain.p2m[va / 4096] as number).toString(16)}`;
      if (mode !== 'direct') assert.ok(machine.digest().holds.entries[frame]);
      edu.dma.unmap(bus, va, size, DmaDirection.BOTH);
      assert.is(edu.factorial(6), 720);
      machine.unassign(EDU, domain);
      machine.unassign(NIC, domain);
      edu.release();
      nic.release();
      machine.hypervisor.destroyDomain(domain.domid);
      machine.run();
    }), []);
  });
}

test('a domain that is destroyed with its devices leaves only what nobody has turned off', async () => {
  const machine = await machineWith('vtd');
  const left = leftBy(machine, () => {
    const domain = machine.createDomain({ name: 'guest', memory: '8MiB' });
    machine.assign(EDU, domain, 'own-frames');
    const edu = new EduDriver(machine.guest(domain), machine.routingOf(EDU), { mode: 'direct' });
    machine.hypervisor.destroyDomain(domain.domid);
    edu.release();
  });
  assert.ok(left.length > 0);
  for (const line of left) assert.match(line, /^config: 0000:00:06\.0 /, 'a reset is the toolstack\'s to ask for');
});

test('the first domain\'s own use of a device leaves nothing but its mapping', async () => {
  const machine = await machineWith('vtd');
  const left = leftBy(machine, () => {
    machine.assign(EDU, machine.dom0, 'own-frames');
    const edu = new EduDriver(machine.guest(machine.dom0), machine.routingOf(EDU), { mode: 'direct' });
    machine.unassign(EDU, machine.dom0);
    edu.release();
  });
  for (const line of left) assert.match(line, /^(guestMaps: domain 0 page 0xf|pools: radix pages free)/);
});

test('a device that is taken out and put in again leaves nothing', async () => {
  const machine = await machineWith('vtd');
  const before = machine.digest();
  machine.removeDevice(NIC);
  const without = difference(before, machine.digest());
  assert.ok(without.some((line) => line.startsWith('config: 0000:00:04.0 0x0: 100e8086 -> nothing')));
  assert.ok(without.some((line) => line.startsWith('rights: domain 0 I/O memory')));
  machine.addDevice({ model: 'e1000', bdf: NIC, link: 'loopback' });
  assert.equal(difference(before, machine.digest()), []);
  for (let i = 0; i < 5; i++) {
    machine.removeDevice(EDU);
    machine.addDevice({ model: 'edu', bdf: EDU });
  }
  assert.equal(difference(before, machine.digest()), []);
  const domain = machine.createDomain({ name: 'guest', memory: '2MiB' });
  machine.assign(EDU, domain, 'own-frames');
  assert.is(new EduDriver(machine.guest(domain), machine.routingOf(EDU), { mode: 'direct' }).factorial(5), 120);
});

test('a device comes only where nothing is', async () => {
  const machine = await machineWith('none');
  const before = machine.digest();
  const code = (device: { model: string; bdf: string }): string => {
    try {
      machine.addDevice(device);
    } catch (error) {
      return (error as { code: string }).code;
    }
    return 'added';
  };
  assert.is(code({ model: 'edu', bdf: EDU }), 'ADDRESS_TAKEN');
  assert.is(code({ model: 'toaster', bdf: '00:0a.0' }), 'UNKNOWN_DEVICE');
  assert.is(code({ model: 'edu', bdf: '00:0a.1' }), 'NO_HOTPLUG');
  assert.is(code({ model: 'edu', bdf: '01:00.0' }), 'NO_HOTPLUG');
  assert.is(code({ model: 'root-port', bdf: '00:0a.0' }), 'NO_HOTPLUG');
  assert.equal(difference(before, machine.digest()), []);
  assert.is(code({ model: 'edu', bdf: '00:0a.0' }), 'added');
  const addresses = [EDU, '0000:00:07.0', '0000:00:0a.0'].map((bdf) => machine.barAddress(bdf, 0));
  assert.is(new Set(addresses).size, 3);
});

test('what is leaked on purpose is named', async () => {
  const machine = await machineWith('vtd');
  const { engine, hypervisor } = machine;
  const { exports } = engine;
  const domain = machine.createDomain({ name: 'guest', memory: '2MiB' });
  machine.assign(EDU, domain, 'guest-mapped');
  const mfn = domain.p2m[7] as number;
  const slot = domain.io?.slot as number;
  const frame = `frame 0x${mfn.toString(16)}`;
  const named = (work: () => void, ...lines: Array<string | RegExp>): void => {
    const left = leftBy(machine, work);
    for (const line of lines) {
      const found = left.some((one) => (typeof line === 'string' ? one === line : line.test(one)));
      assert.ok(found, `${String(line)} in ${left.join('; ')}`);
    }
  };
  named(() => exports.ioMap(slot, 0x1234, mfn, 1, 1),
    `mappings: IO domain 2 of domain 1 page 0x1234: nothing -> ${frame}, read`, `holds: ${frame}: nothing -> 1 mapping`,
    /^pools: frames for IOMMU tables free: /);
  named(() => exports.frameAssign(5, domain.domid, 0), 'frames: frame 0x5: nothing -> domain 1');
  named(() => hypervisor.ioportPermission(domain.domid, 0x3f8, 8, true),
    'rights: domain 1 ports 0x3f8-0x3ff: nothing -> allowed', 'ports: domain 1: nothing -> 0x3f8-0x3ff');
  named(() => exports.portsSet(domain.slot, 0x60, 1, 1), 'ports: domain 1: 0x3f8-0x3ff -> 0x60 0x3f8-0x3ff');
  named(() => hypervisor.iomemPermission(domain.domid, 0xabcde, 2, true),
    'rights: domain 1 I/O memory 0xabcde-0xabcdf: nothing -> allowed');
  named(() => hypervisor.irqPermission(domain.domid, 9, true), 'rights: domain 1 interrupts 0x9: nothing -> allowed');
  named(() => hypervisor.updateVaMapping(domain.domid, 0x9000, mfn, false),
    `guestMaps: domain 1 page 0x9000: nothing -> ${frame}, read-only`, /^pools: radix pages free: /);
  named(() => hypervisor.bindMsi(domain.domid, machine.routingOf(EDU)),
    'interrupts: vector 0x30: nothing -> domain 1, event 1, from 0000:00:06.0',
    /^interrupts: remap entry 0: nothing -> /);
  named(() => hypervisor.iommu?.setPassThrough(machine.routingOf(NIC), 5), /^contexts: 0000:00:04\.0: nothing -> /);
  named(() => exports.configWrite(machine.functionOf(NIC), 0x0c, 1, 0x10),
    'config: 0000:00:04.0 0xc: nothing -> 00000010');
  named(() => engine.heap.take(1000, 'a leak'), /^pools: heap bytes free: (\d+) -> \d+$/);
  named(() => exports.barPlace(machine.functionOf(EDU), 0, 0, 0, 0),
    /^decode: frame 0xf0000: page 0 of BAR 0 of 0000:00:0[67]\.0 -> nothing/);
  named(() => machine.createDomain({ name: 'forgotten', memory: '1MiB' }),
    'domains: domain 2: nothing -> "forgotten", pv, slot 2, 256 pages', /^pools: frames free: /);
  // a frame that is still held when its domain goes stays out of use, and is named with what holds it
  named(() => {
    exports.ioDomainCreate(40, 40, domain.domid, 4);
    exports.ioMap(40, 1, mfn, 1, 3);
    hypervisor.destroyDomain(domain.domid);
  }, `mappings: IO domain 40 of domain 1 page 0x1: nothing -> ${frame}, read and write`,
  'domains: domain 1: "guest", pv, slot 1, 512 pages -> nothing');
  assert.is(machine.digest().frames.entries[frame], 'domain 1');
});

test.run();
