// What advisories on rights to I/O memory and ports, and on those who give them, teach (xen-passthrough.md 8): one test for
// each, with an attack and what must still work. Which guard each stands for is in scripts/mutants-advisories.mjs.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { newMemory } from '../../helpers/artefact';
import { type ControlPlane, EDU, OTHER, controlPlane } from '../../helpers/control-plane';
import { codeOf } from '../../helpers/guest-machine';
import { guestConfig, toolstackRig } from '../../helpers/toolstack';

const test = suite('advisories: rights');

/** A guest with its own map of guest addresses, and the right to all of edu's BAR (256 pages). */
async function withHvm(): Promise<ControlPlane & { hvm: Domain; bar: number; entry: (gfn: number) => number }> {
  const plane = await controlPlane();
  const hvm = plane.domctl.createDomain({ name: 'hvm', kind: 'hvm', pages: 64, iommu: false });
  const bar = plane.barFrame(EDU);
  plane.domctl.iomemPermission(hvm.domid, bar, 256, true);
  return { ...plane, hvm, bar, entry: (gfn) => plane.machine.engine.exports.guestMapGet(hvm.slot, gfn) };
}

test('XSA-125: a mapping of many frames is refused as one call, and done in pieces', async () => {
  const { domctl, hvm, bar, refused, machine } = await withHvm();
  for (const count of [65, 256]) refused(() => domctl.memoryMapping(hvm.domid, 0x80000, bar, count, true), 'E2BIG', `${count}`);
  refused(() => domctl.memoryMapping(0, 0x1000, 0x1000, 2 ** 27, true), 'E2BIG');
  refused(() => domctl.memoryMapping(hvm.domid, 0x80000, bar, 256, false), 'E2BIG');
  for (let at = 0; at < 256; at += 64) domctl.memoryMapping(hvm.domid, 0x80000 + at, bar + at, 64, true);
  assert.is(machine.engine.exports.guestLoad(hvm.slot, 0x80000000, 0, 4), 0x010000ed);
  assert.is(hvm.ioMapped.size, 256);
  for (let at = 0; at < 256; at += 64) domctl.memoryMapping(hvm.domid, 0x80000 + at, bar + at, 64, false);
  assert.is(hvm.ioMapped.size, 0);
});

test('XSA-127: what would stop the caller itself is refused', async () => {
  const { domctl, guest, refused } = await controlPlane();
  for (const domid of [0, 0x7ff0]) {
    refused(() => domctl.pauseDomain(domid), 'EINVAL');
    refused(() => domctl.unpauseDomain(domid), 'EINVAL');
    refused(() => domctl.destroyDomain(domid), 'EINVAL');
    refused(() => domctl.assignDevice(domid, EDU), 'EINVAL');
    refused(() => domctl.deassignDevice(domid, EDU), 'EINVAL');
  }
  domctl.pauseDomain(guest.domid);
  domctl.unpauseDomain(guest.domid);
  domctl.destroyDomain(guest.domid);
});

test('XSA-154: I/O memory is never cached or taken for memory: each access is the device\'s, through any mapping', async () => {
  const { domctl, hypervisor, guest, plain, machine, barFrame, configWrite } = await controlPlane();
  const { exports } = machine.engine;
  const frame = barFrame(EDU);
  domctl.iomemPermission(guest.domid, frame, 1, true);
  hypervisor.updateVaMapping(guest.domid, 0x90000, frame, true);
  hypervisor.updateVaMapping(guest.domid, 0x90001, frame, false);
  // granted on: flags 1, to the other guest
  const table = machine.engine.frame(hypervisor.grants.frames(guest)[0] as number);
  new DataView(table.buffer, table.byteOffset).setUint32(8 * 8, plain.domid << 16 | 1, true);
  new DataView(table.buffer, table.byteOffset).setUint32(8 * 8 + 4, frame, true);
  assert.is(hypervisor.grants.map(plain.domid, { address: 0x70000000, ref: 8, dom: guest.domid }).status, 'okay');
  const views = (off: number): number[] => [
    exports.guestLoad(guest.slot, 0x90000000 + off, 0, 4) >>> 0, exports.guestLoad(guest.slot, 0x90001000 + off, 0, 4) >>> 0,
    exports.guestLoad(plain.slot, 0x70000000 + off, 0, 4) >>> 0,
  ];
  // edu's liveness register gives what was written with every bit turned
  for (const value of [0x12345678, 0, 0xffff0000]) {
    exports.guestStore(guest.slot, 0x90000004, 0, 4, value, 0);
    assert.equal(views(4), [0, 1, 2].map(() => ~value >>> 0));
  }
  // what changes by itself is seen at once: raised from elsewhere, by config space nothing answers
  exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x60, 4, 0x10, 0);
  assert.equal(views(0x24), [0x10, 0x10, 0x10]);
  exports.registerWrite(machine.functionOf('0000:00:06.0'), 0, 0x64, 4, 0x10, 0);
  assert.equal(views(0x24), [0, 0, 0]);
  configWrite(EDU, 4, 2, 0);
  assert.equal(views(0), [0xffffffff, 0xffffffff, 0xffffffff]);
  configWrite(EDU, 4, 2, 2);
  assert.equal(views(0), [0x010000ed, 0x010000ed, 0x010000ed]);
});

test('XSA-389: a mapping that comes to an end half-way is as if it had never begun; what is done in part is told', async () => {
  const { domctl, hypervisor, guest, hvm, bar, refused, entry } = await withHvm();
  // a table of the guest's map has 1024 pages: use up all that there are, each with its last page but four
  let gfn = 1020;
  while (codeOf(() => domctl.memoryMapping(hvm.domid, gfn, bar, 1, true)) === 'none') gfn += 1024;
  const last = gfn - 1024;
  refused(() => domctl.memoryMapping(hvm.domid, last + 1, bar + 1, 64, true), 'ENOMEM');
  assert.equal([1, 2, 3, 4].map((i) => entry(last + i)), [0, 0, 0, 0]);
  domctl.memoryMapping(hvm.domid, last + 1, bar + 1, 3, true);
  assert.is(hvm.ioMapped.get(last + 3), bar + 3);
  // pages given back: as many as it says, up to the first that cannot be had
  assert.is(hypervisor.decreaseReservation(guest.domid, [3, 4, 0, 5]), 2);
  assert.equal([3, 4, 5].map((pfn) => guest.p2m[pfn] === 0xffffffff), [true, true, false]);
});

test('XSA-476: of a BAR above 4 GiB exactly that is taken back which was given', async () => {
  const rig = await toolstackRig();
  const { hypervisor } = rig.machine;
  // its low half would be the BAR of another device
  Object.assign(rig.sysfs.devices.get('0000:00:06.0') as object, { resource:
    '0x00000038fe640000 0x00000038fe643fff 0x000000000014220c\n' + '0x0000000000000000 0x0000000000000000 0x0000000000000000\n'.repeat(12) });
  for (const bdf of ['00:04.0', '00:06.0']) assert.is(rig.run('pci-assignable-add', bdf).code, 0);
  const made = rig.create(guestConfig(['00:04.0']));
  assert.is(made.code, 0, made.stderr);
  rig.pass(1);
  const before = rig.rights(1);
  assert.is(rig.run('pci-attach', 'guest', '00:06.0').code, 0);
  rig.pass(1);
  assert.is(rig.rights(1).iomem, `${before.iomem}, 38fe640-38fe643`);
  const guest = hypervisor.domain(1);
  hypervisor.updateVaMapping(1, 0x90000, 0x38fe640, true);
  assert.is(rig.run('pci-detach', 'guest', '00:06.0').code, 0);
  assert.equal(rig.rights(1), before);
  assert.equal([guest.iomem.has(0x38fe640, 0x38fe640), guest.ioMapped.size], [false, 0]);
  assert.is(codeOf(() => hypervisor.updateVaMapping(1, 0x90000, 0x38fe640, true)), 'EPERM');
  assert.is(codeOf(() => hypervisor.updateVaMapping(1, 0x90000, 0xfe640, true)), 'none', 'the other device is the guest\'s still');
});

test('XSA-491: a set of rights changes as a whole, and not while another thread looks at it', async () => {
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '2MiB' }, iommu: 'vtd', iommuFrames: 128, devices: [{ model: 'edu', bdf: '0000:00:06.0' }],
  }, { memory: newMemory(65536, 'shared') });
  const { hypervisor, engine } = machine;
  hypervisor.bootDom0Devices();
  const domctl = new Domctl(hypervisor, 0);
  const guest = domctl.createDomain({ name: 'guest', kind: 'pv', pages: 64, iommu: true });
  const bar = machine.barAddress('0000:00:06.0', 0) / 4096;
  domctl.ioportPermission(guest.domid, 0xd000, 16, true);
  domctl.iomemPermission(guest.domid, bar, 4, true);
  const port = (at: number): number => {
    engine.exports.guestIn(guest.slot, at, 1);
    return engine.status;
  };
  const before = machine.digest().rights;
  // as if another thread were in the engine
  engine.hold(() => {
    for (const call of [
      () => domctl.ioportPermission(guest.domid, 0xd000, 16, false), () => domctl.ioportPermission(guest.domid, 0xd100, 16, true),
      () => domctl.iomemPermission(guest.domid, bar, 4, false), () => domctl.iomemPermission(guest.domid, bar + 8, 4, true),
    ]) assert.is(codeOf(call), 'ENGINE_BUSY');
  });
  assert.equal([machine.digest().rights, guest.ioport.ranges, guest.iomem.ranges], [before, [[0xd000, 0xd00f]], [[bar, bar + 3]]]);
  assert.equal([port(0xd000) === 1, port(0xd100)], [false, 1]);
  domctl.ioportPermission(guest.domid, 0xd000, 16, false);
  domctl.iomemPermission(guest.domid, bar, 4, false);
  assert.equal([port(0xd000), guest.iomem.ranges], [1, []]);
});

test('XSA-492: the rights of one domain change by themselves, and no other\'s with them', async () => {
  const { domctl, hypervisor, guest, plain, machine, barFrame } = await controlPlane();
  const third = domctl.createDomain({ name: 'third', kind: 'pv', pages: 64, iommu: false });
  const [mine, its] = [barFrame(EDU), barFrame(OTHER)];
  /** Whether the third domain gets a frame of I/O memory from one that grants it. */
  const granted = (from: Domain, frame: number): string => {
    const bytes = machine.engine.frame(hypervisor.grants.frames(from)[0] as number);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(8 * 8 + 4, frame, true);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(8 * 8, third.domid << 16 | 1, true);
    const { status, handle } = hypervisor.grants.map(third.domid, { address: 0x70000000, ref: 8, dom: from.domid });
    if (status === 'okay') hypervisor.grants.unmap(third.domid, { address: 0x70000000, handle });
    return status;
  };
  domctl.iomemPermission(guest.domid, mine, 1, true);
  domctl.iomemPermission(plain.domid, its, 1, true);
  const reach = (): string[] => [granted(guest, mine), granted(guest, its), granted(plain, mine), granted(plain, its)];
  assert.equal(reach(), ['okay', 'general_error', 'general_error', 'okay']);
  domctl.iomemPermission(plain.domid, its, 1, false);
  assert.equal(reach(), ['okay', 'general_error', 'general_error', 'general_error']);
  domctl.ioportPermission(guest.domid, 0xd000, 1, true);
  domctl.irqPermission(guest.domid, 22, true);
  assert.equal([plain, third].map(({ iomem, ioport, irq }) => [iomem.ranges, ioport.ranges, irq.ranges]), [[[], [], []], [[], [], []]]);
});

test.run();
