// Who may give what to whom: xen-passthrough.md 7.1, 7.2, 7.6; every refusal leaves everything as it was.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { DOM_IO, EDU, EXPRESS, NIC, OTHER, controlPlane } from '../../helpers/control-plane';
import { codeOf } from '../../helpers/guest-machine';

const rights = suite('rights by domctl');

rights('a new guest has none; the first domain has what Xen does not keep', async () => {
  const { hypervisor, guest } = await controlPlane();
  assert.equal([guest.iomem.ranges, guest.ioport.ranges, guest.irq.ranges], [[], [], []]);
  const dom0 = hypervisor.domain(0);
  for (const mfn of [0xfec00, 0xfed00, 0xfed90, 0xfee00]) assert.is(dom0.iomem.has(mfn, mfn), false, mfn.toString(16));
  for (const mfn of [0x100, 0xe0000, 0xfec01, 0xfe000, 0xfffffff]) assert.is(dom0.iomem.has(mfn, mfn), true, mfn.toString(16));
  for (const port of [0x20, 0x21, 0x40, 0x43, 0x61, 0x92, 0xa0, 0xa1, 0xf0, 0x4d0, 0x4d1, 0xcf9, 0xcfc, 0xcff]) {
    assert.is(dom0.ioport.has(port, port), false, port.toString(16));
  }
  for (const port of [0, 0x22, 0x60, 0x62, 0x3f8, 0xc000, 0xffff]) assert.is(dom0.ioport.has(port, port), true, port.toString(16));
  assert.equal(dom0.irq.ranges, [[1, 23]]);
});

rights('checks in their order, with the errno of each', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, refused, barFrame } = plane;
  const other = new Domctl(hypervisor, guest.domid);
  const bar = barFrame(EDU);
  const id = guest.domid;
  const cases: Array<[what: string, call: () => void, code: string]> = [
    ['iomem: no such domain', () => domctl.iomemPermission(77, bar, 1, true), 'ESRCH'],
    ['iomem: wraps', () => domctl.iomemPermission(id, 0xffffffff, 2, true), 'EINVAL'],
    ['iomem: beyond the machine', () => domctl.iomemPermission(id, 0xfffffff, 2, true), 'EINVAL'],
    ['iomem: none', () => domctl.iomemPermission(id, bar, 0, true), 'EINVAL'],
    ['iomem: no number', () => domctl.iomemPermission(id, NaN, 1, true), 'EINVAL'],
    ['iomem: a wrap comes before who asks', () => other.iomemPermission(id, 0xffffffff, 2, true), 'EINVAL'],
    ['iomem: a guest, for itself', () => other.iomemPermission(id, bar, 1, true), 'EPERM'],
    ['iomem: the local APIC, which dom0 has not', () => domctl.iomemPermission(id, 0xfee00, 1, true), 'EPERM'],
    ['iomem: a range with one frame of Xen\'s', () => domctl.iomemPermission(id, 0xfebff, 2, true), 'EPERM'],
    ['iomem: the IOMMU', () => domctl.iomemPermission(id, 0xfed90, 1, true), 'EPERM'],
    ['iomem: the enhanced config space', () => domctl.iomemPermission(id, 0xe0020, 1, true), 'EPERM'],
    ['iomem: taking what dom0 has not', () => domctl.iomemPermission(id, 0xfee00, 1, false), 'EPERM'],
    ['ioport: empty', () => domctl.ioportPermission(id, 0xc000, 0, true), 'EINVAL'],
    ['ioport: beyond', () => domctl.ioportPermission(id, 0xffff, 2, true), 'EINVAL'],
    ['ioport: wraps', () => domctl.ioportPermission(id, 0xfffffff0, 0x20, true), 'EINVAL'],
    ['ioport: a guest', () => other.ioportPermission(id, 0xc000, 1, true), 'EPERM'],
    ['ioport: the PIC', () => domctl.ioportPermission(id, 0x20, 1, true), 'EPERM'],
    ['ioport: config data', () => domctl.ioportPermission(id, 0xcfc, 4, true), 'EPERM'],
    ['ioport: config address', () => domctl.ioportPermission(id, 0xcf8, 1, true), 'EPERM'],
    ['irq: beyond the caller\'s numbers', () => domctl.irqPermission(id, 256, true), 'EINVAL'],
    ['irq: negative', () => domctl.irqPermission(id, -1, true), 'EINVAL'],
    ['irq: no interrupt behind it', () => domctl.irqPermission(id, 200, true), 'EPERM'],
    ['irq: the timer, which is Xen\'s', () => domctl.irqPermission(id, 0, true), 'EPERM'],
    ['irq: a guest', () => other.irqPermission(id, 22, true), 'EPERM'],
    ['mapping: wraps', () => domctl.memoryMapping(id, 0, 0xfffffff, 2, true), 'EINVAL'],
    ['mapping: a guest', () => other.memoryMapping(id, 0x80000, bar, 1, true), 'EPERM'],
    ['ports mapping: PV', () => domctl.ioportMapping(id, 0xc000, 0xc000, 4, true), 'EOPNOTSUPP'],
    ['ports mapping: range first', () => domctl.ioportMapping(id, 0xffff, 0xc000, 4, true), 'EINVAL'],
  ];
  for (const [what, call, code] of cases) refused(call, code, what);
});

rights('given and taken; of a PV guest memory_mapping is success and nothing', async () => {
  const { domctl, guest, machine, barFrame, refused } = await controlPlane();
  const bar = barFrame(EDU);
  domctl.iomemPermission(guest.domid, bar, 16, true);
  domctl.ioportPermission(guest.domid, 0xc000, 32, true);
  domctl.irqPermission(guest.domid, 22, true);
  assert.equal([guest.iomem.ranges, guest.ioport.ranges, guest.irq.ranges], [[[bar, bar + 15]], [[0xc000, 0xc01f]], [[22, 22]]]);
  refused(() => { domctl.memoryMapping(guest.domid, 0x80000, bar, 1, true); throw Object.assign(new Error(), { code: 'done' }); }, 'done');
  domctl.iomemPermission(guest.domid, bar + 4, 2, false);
  domctl.ioportPermission(guest.domid, 0xc000, 32, false);
  domctl.irqPermission(guest.domid, 22, false);
  assert.equal([guest.iomem.ranges, guest.ioport.ranges, guest.irq.ranges], [[[bar, bar + 3], [bar + 6, bar + 15]], [], []]);
  const hvm = domctl.createDomain({ name: 'hvm', kind: 'hvm', pages: 64, iommu: false });
  refused(() => domctl.memoryMapping(hvm.domid, 0x80000, bar, 1, true), 'EPERM', 'the target has not the right');
  domctl.iomemPermission(hvm.domid, bar, 1, true);
  domctl.memoryMapping(hvm.domid, 0x80000, bar, 1, true);
  assert.is(machine.engine.exports.guestLoad(hvm.slot, 0x80000000, 0, 4), 0x010000ed);
  domctl.iomemPermission(hvm.domid, bar, 1, false);
  domctl.memoryMapping(hvm.domid, 0x80000, bar, 1, false);
  assert.is(machine.engine.exports.guestLoad(hvm.slot, 0x80000000, 0, 4), -1, 'removed without the target\'s right');
});

rights.run();

const assignment = suite('assigning by domctl');

assignment('owners: dom0, quarantine, guest, and every way between', async () => {
  const { domctl, hypervisor, guest, plain, refused, dma } = await controlPlane();
  const mine = guest.p2m[5] as number;
  const dom0s = hypervisor.domain(0).p2m[5] as number;
  assert.is(hypervisor.ownerOf(EDU), 0);
  assert.is(dma(EDU, dom0s * 4096), 0, 'relaxed: dom0\'s devices reach all RAM');
  domctl.assignDevice(DOM_IO, EDU);
  assert.is(hypervisor.ownerOf(EDU), 0x7ff1);
  assert.is(dma(EDU, dom0s * 4096), 3, 'blocked');
  domctl.assignDevice(guest.domid, EDU);
  assert.is(hypervisor.ownerOf(EDU), guest.domid);
  assert.equal([dma(EDU, mine * 4096), dma(EDU, dom0s * 4096)], [0, 3], 'its own frames, no other');
  refused(() => domctl.assignDevice(plain.domid, EDU), 'EOPNOTSUPP');
  domctl.deassignDevice(guest.domid, EDU);
  assert.is(hypervisor.ownerOf(EDU), 0x7ff1, 'back to quarantine');
  assert.is(dma(EDU, mine * 4096), 3);
  domctl.deassignDevice(DOM_IO, EDU);
  assert.is(hypervisor.ownerOf(EDU), 0);
  assert.is(dma(EDU, dom0s * 4096), 0);
});

assignment('checks in their order', async () => {
  const { domctl, hypervisor, guest, plain, refused, configWrite, config } = await controlPlane();
  const third = domctl.createDomain({ name: 'third', kind: 'pv', pages: 64, iommu: true });
  domctl.assignDevice(third.domid, OTHER);
  const of = new Domctl(hypervisor, guest.domid);
  const id = guest.domid;
  const cases: Array<[what: string, call: () => void, code: string]> = [
    ['a guest', () => of.assignDevice(id, EDU), 'EPERM'],
    ['a guest, deassign', () => of.deassignDevice(third.domid, OTHER), 'EPERM'],
    ['a guest, test', () => of.testAssignDevice(EDU), 'EPERM'],
    ['no such domain', () => domctl.assignDevice(77, EDU), 'ESRCH'],
    ['created without IOMMU', () => domctl.assignDevice(plain.domid, EDU), 'EOPNOTSUPP'],
    ['without IOMMU comes before no such device', () => domctl.assignDevice(plain.domid, 0x99), 'EOPNOTSUPP'],
    ['itself', () => domctl.assignDevice(0, EDU), 'EINVAL'],
    ['itself, by DOMID_SELF', () => domctl.assignDevice(0x7ff0, EDU), 'EINVAL'],
    ['no such device', () => domctl.assignDevice(id, 0x99), 'ENODEV'],
    ['another guest\'s', () => domctl.assignDevice(id, OTHER), 'EBUSY'],
    ['another guest\'s, to quarantine', () => domctl.assignDevice(DOM_IO, OTHER), 'EBUSY'],
    ['test: another guest\'s', () => domctl.testAssignDevice(OTHER), 'EINVAL'],
    ['test: no such device', () => domctl.testAssignDevice(0x99), 'EINVAL'],
    ['test: with a domain that may not', () => domctl.testAssignDevice(EDU, plain.domid), 'EOPNOTSUPP'],
    ['deassign: from itself', () => domctl.deassignDevice(0, EDU), 'EINVAL'],
    ['deassign: not the owner', () => domctl.deassignDevice(id, OTHER), 'ENODEV'],
    ['deassign: not in quarantine', () => domctl.deassignDevice(DOM_IO, EDU), 'ENODEV'],
    ['deassign: no such device', () => domctl.deassignDevice(id, 0x99), 'ENODEV'],
  ];
  for (const [what, call, code] of cases) refused(call, code, what);
  domctl.testAssignDevice(EDU);
  domctl.testAssignDevice(EDU, id);
  // MSI-X control of the 82574L is at 0xa2; bit 14 masks all
  configWrite(EXPRESS, 0xa2, 2, 0x4000);
  assert.is(config(EXPRESS, 0xa2, 2) & 0x4000, 0x4000);
  refused(() => domctl.assignDevice(id, EXPRESS), 'EBUSY', 'MASKALL');
  configWrite(EXPRESS, 0xa2, 2, 0);
  domctl.assignDevice(id, EXPRESS);
});

assignment('without an IOMMU nothing is given away, unless that is allowed by name', async () => {
  const safe = await controlPlane({}, 'none');
  assert.is(safe.domctl.physinfo().directio, false);
  for (const call of [
    () => safe.domctl.assignDevice(DOM_IO, EDU), () => safe.domctl.assignDevice(safe.guest.domid, EDU),
    () => safe.domctl.testAssignDevice(EDU), () => safe.domctl.deassignDevice(DOM_IO, EDU), () => safe.domctl.assignDevice(0, EDU),
  ]) safe.refused(call, 'EOPNOTSUPP');
  safe.refused(() => safe.domctl.createDomain({ name: 'x', kind: 'pv', pages: 16, iommu: true }), 'EINVAL');
  const unsafe = await controlPlane({ unsafePassthrough: true }, 'none');
  const { domctl, hypervisor, guest, dma } = unsafe;
  domctl.assignDevice(DOM_IO, EDU);
  assert.is(hypervisor.ownerOf(EDU), DOM_IO);
  domctl.assignDevice(guest.domid, EDU);
  assert.is(hypervisor.ownerOf(EDU), guest.domid);
  assert.is(dma(EDU, (hypervisor.domain(0).p2m[3] as number) * 4096), 0, 'and then all memory is within reach');
  domctl.deassignDevice(guest.domid, EDU);
  assert.is(hypervisor.ownerOf(EDU), DOM_IO);
});

for (const [line, reach] of [
  ['dom0-iommu=passthrough', { own: 0, foreign: 0, table: 0 }], ['', { own: 0, foreign: 0, table: 3 }],
  ['dom0-iommu=strict', { own: 0, foreign: 3, table: 3 }],
] as const) {
  assignment(`dom0's devices: ${line || 'relaxed'}`, async () => {
    const { hypervisor, guest, dma } = await controlPlane({ commandLine: line });
    const own = hypervisor.domain(0).p2m[4] as number;
    const tables = (hypervisor.iommu as NonNullable<typeof hypervisor.iommu>).tables;
    assert.equal({
      own: dma(NIC, own * 4096), foreign: dma(NIC, (guest.p2m[4] as number) * 4096), table: dma(NIC, tables.interrupts * 4096 + 0xff0),
    }, reach);
  });
}

assignment('quarantine: basic blocks, a scratch page takes it all, off gives it home', async () => {
  const basic = await controlPlane();
  basic.domctl.assignDevice(DOM_IO, EDU);
  assert.equal(basic.hypervisor.iommu?.context(EDU), [0, 0, 0, 0]);
  const scratch = await controlPlane({ commandLine: 'iommu=quarantine=scratch-page' });
  scratch.domctl.assignDevice(DOM_IO, EDU);
  const mine = scratch.guest.p2m[7] as number;
  scratch.machine.engine.frame(mine).fill(0x33);
  for (const address of [0, mine * 4096, 0x7fffff000]) assert.is(scratch.dma(EDU, address), 0, 'nothing faults');
  assert.ok(scratch.machine.engine.frame(mine).every((byte) => byte === 0x33), 'and nothing is changed');
  assert.equal(scratch.hypervisor.iommu?.takeFaults(), []);
  const off = await controlPlane({ commandLine: 'iommu=quarantine=no' });
  off.domctl.assignDevice(off.guest.domid, EDU);
  off.domctl.deassignDevice(off.guest.domid, EDU);
  assert.is(off.hypervisor.ownerOf(EDU), 0, 'not marked: home');
  off.domctl.assignDevice(DOM_IO, EDU);
  off.domctl.assignDevice(off.guest.domid, EDU);
  off.domctl.deassignDevice(off.guest.domid, EDU);
  assert.is(off.hypervisor.ownerOf(EDU), DOM_IO, 'marked: there');
});

assignment('a domain that ends while it has a device leaves it in quarantine, and all else as it was', async () => {
  const { domctl, hypervisor, machine, physdev } = await controlPlane();
  domctl.assignDevice(DOM_IO, EDU);
  const before = machine.digest();
  for (const state of ['paused', 'running', 'shut down'] as const) {
    const domain = domctl.createDomain({ name: state, kind: 'pv', pages: 64, iommu: true });
    domctl.assignDevice(domain.domid, EDU);
    domctl.iomemPermission(domain.domid, 0xfe000, 16, true);
    physdev.mapPirq({ domid: domain.domid, type: 'gsi', index: 22, pirq: 22 });
    const pirq = physdev.mapPirq({ domid: domain.domid, type: 'msi', index: -1, pirq: -1, routing: EDU });
    if (state !== 'paused') domctl.unpauseDomain(domain.domid);
    hypervisor.events.bindPirq(domain.domid, pirq, 0);
    if (state === 'shut down') domctl.shutdownDomain(domain.domid, 'crash');
    domctl.destroyDomain(domain.domid);
    assert.is(hypervisor.ownerOf(EDU), DOM_IO);
    assert.equal(machine.digest().rights, before.rights, state);
    assert.equal(machine.digest().interrupts, before.interrupts, state);
    assert.equal(machine.digest().holds, before.holds, state);
    assert.equal(machine.digest().pools, before.pools, state);
  }
});

assignment.run();

const life = suite('the life of a domain');

life('created paused; paused twice, unpaused twice; shut down with a reason, once; VIRQ_DOM_EXC tells dom0', async () => {
  const { domctl, hypervisor, machine, guest, refused } = await controlPlane();
  const port = hypervisor.events.bindVirq(0, 3, 0);
  const told = (): boolean => machine.engine.exports.eventTake(0, port) === 1;
  assert.equal(domctl.info(guest.domid), {
    domid: guest.domid, name: 'guest', kind: 'pv', pages: 256, maxPages: 256, vcpus: 1, iommu: true, paused: true, dying: false,
    shutdown: undefined, devices: [],
  });
  domctl.pauseDomain(guest.domid);
  domctl.unpauseDomain(guest.domid);
  assert.is(domctl.info(guest.domid).paused, true);
  domctl.unpauseDomain(guest.domid);
  assert.is(domctl.info(guest.domid).paused, false);
  refused(() => domctl.unpauseDomain(guest.domid), 'EINVAL');
  assert.is(told(), false);
  domctl.shutdownDomain(guest.domid, 3);
  assert.equal([domctl.info(guest.domid).shutdown, told()], ['crash', true]);
  domctl.shutdownDomain(guest.domid, 'poweroff');
  assert.equal([domctl.info(guest.domid).shutdown, told()], ['crash', false], 'the first reason stays');
  domctl.destroyDomain(guest.domid);
  assert.equal([codeOf(() => domctl.info(guest.domid)), told()], ['ESRCH', true]);
  assert.equal(domctl.list().map(({ name }) => name), ['Domain-0', 'plain']);
});

life('refusals', async () => {
  const { domctl, hypervisor, guest, plain, refused } = await controlPlane();
  const of = new Domctl(hypervisor, guest.domid);
  const cases: Array<[call: () => unknown, code: string]> = [
    [() => domctl.pauseDomain(0), 'EINVAL'], [() => domctl.shutdownDomain(0, 'poweroff'), 'EINVAL'], [() => domctl.destroyDomain(0), 'EINVAL'], [() => domctl.unpauseDomain(0), 'EINVAL'],
    [() => domctl.shutdownDomain(guest.domid, 9), 'EINVAL'], [() => domctl.destroyDomain(77), 'ESRCH'], [() => domctl.info(77), 'ESRCH'],
    [() => of.pauseDomain(plain.domid), 'EPERM'], [() => of.destroyDomain(plain.domid), 'EPERM'], [() => of.list(), 'EPERM'],
    [() => of.info(guest.domid), 'EPERM'], [() => of.physinfo(), 'EPERM'], [() => of.shutdownDomain(plain.domid, 0), 'EPERM'],
    [() => of.createDomain({ name: 'x', kind: 'pv', pages: 1, iommu: false }), 'EPERM'],
    [() => domctl.createDomain({ name: 'x', kind: 'pv', pages: 1e6, iommu: false }), 'ENOMEM'],
  ];
  for (const [call, code] of cases) refused(call, code, `${call}`);
});

life.run();
