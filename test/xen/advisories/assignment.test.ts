// What advisories on giving a device away and taking it back teach (xen-passthrough.md 8): one test for each, with an
// attack and what must still work. Which guard each stands for is in scripts/mutants-advisories.mjs.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { State } from '../../../assembly/spec/state';
import type { DeviceDefinition } from '../../../src/devices/definition';
import { defineDevice } from '../../../src/index';
import { register } from '../../../src/devices/register-table';
import { Machine } from '../../../src/machine/machine';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { newMemory } from '../../helpers/artefact';
import { type ControlPlane, DOM_IO, EDU, NIC, OTHER, controlPlane } from '../../helpers/control-plane';
import { codeOf } from '../../helpers/guest-machine';

const [OK, FAULT] = [0, 3];
const at = (mfn: number): number => mfn * 4096;

const test = suite('advisories: assignment');

/** Registers of edu's DMA: to bus address `to`, eight bytes; it takes 100 ms. */
function startDma({ machine, configWrite }: ControlPlane, to: number): void {
  const fn = machine.functionOf('0000:00:06.0');
  const write = (off: number, value: number): void => { machine.engine.exports.registerWrite(fn, 0, off, 4, value, 0); };
  configWrite(EDU, 4, 2, 6);
  machine.engine.exports.registerWrite(fn, 0, 0x80, 8, 0x40000, 0);
  machine.engine.exports.registerWrite(fn, 0, 0x88, 8, to, 0);
  write(0x90, 8);
  write(0x98, 3);
}

for (const hvm of [false, true]) {
  test(`XSA-61${hvm ? ' (HVM)' : ''}: without a working IOMMU nothing is given away, and nothing changes`, async () => {
    const make = async (line: string, iommu: 'vtd' | 'none'): Promise<ControlPlane & { target: Domain }> => {
      const plane = await controlPlane({ commandLine: line }, iommu);
      return { ...plane, target: plane.domctl.createDomain({ name: 'target', kind: hvm ? 'hvm' : 'pv', pages: 64, iommu: false }) };
    };
    for (const plane of [await make('', 'none'), await make('iommu=off', 'vtd'), await make('', 'vtd')]) {
      const { domctl, target, refused, hypervisor } = plane;
      refused(() => domctl.assignDevice(target.domid, EDU), 'EOPNOTSUPP');
      refused(() => domctl.testAssignDevice(EDU, target.domid), 'EOPNOTSUPP');
      assert.is(hypervisor.ownerOf(EDU), 0);
    }
    const { domctl, dma } = await controlPlane();
    const proper = domctl.createDomain({ name: 'proper', kind: hvm ? 'hvm' : 'pv', pages: 64, iommu: true });
    domctl.assignDevice(proper.domid, EDU);
    // an HVM guest's device goes by the guest's own addresses
    assert.is(dma(EDU, at(hvm ? 5 : proper.p2m[5] as number)), OK);
    assert.is(dma(EDU, at(hvm ? 64 : domctl.createDomain({ name: 'x', kind: 'pv', pages: 8, iommu: false }).p2m[1] as number)), FAULT);
  });
}

test('XSA-302: between two owners a device reaches nothing, with DMA in flight, too', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, machine, configWrite, dma } = plane;
  domctl.assignDevice(guest.domid, EDU);
  const mfn = guest.p2m[6] as number;
  startDma(plane, at(mfn));
  domctl.destroyDomain(guest.domid);
  const next = domctl.createDomain({ name: 'next', kind: 'pv', pages: 256, iommu: false });
  assert.ok(next.p2m.includes(mfn), 'the page is another\'s now');
  machine.engine.frame(mfn).fill(0x11);
  assert.is(hypervisor.ownerOf(EDU), DOM_IO);
  // whoever drives it next turns Bus Master on, before the transfer has come to its end
  configWrite(EDU, 4, 2, 6);
  machine.run(200e6);
  assert.ok(machine.engine.frame(mfn).every((byte) => byte === 0x11));
  for (const one of [mfn, hypervisor.domain(0).p2m[3] as number, next.p2m[7] as number]) assert.is(dma(EDU, at(one)), FAULT);
  domctl.deassignDevice(DOM_IO, EDU);
  assert.equal([hypervisor.ownerOf(EDU), dma(EDU, at(hypervisor.domain(0).p2m[3] as number))], [0, OK]);
});

test('XSA-306: quarantine is what happens by itself, whoever takes the device away and however', async () => {
  const { domctl, hypervisor, guest, dma } = await controlPlane();
  const target = at(hypervisor.domain(0).p2m[3] as number);
  // no tool has marked it for quarantine
  assert.is(hypervisor.devices.isMarked(EDU), false);
  domctl.assignDevice(guest.domid, EDU);
  domctl.deassignDevice(guest.domid, EDU);
  assert.equal([hypervisor.ownerOf(EDU), dma(EDU, target)], [DOM_IO, FAULT]);
  domctl.deassignDevice(DOM_IO, EDU);
  domctl.assignDevice(guest.domid, OTHER);
  domctl.destroyDomain(guest.domid);
  assert.equal([hypervisor.ownerOf(OTHER), dma(OTHER, target)], [DOM_IO, FAULT]);
  domctl.deassignDevice(DOM_IO, OTHER);
  assert.equal([hypervisor.ownerOf(OTHER), dma(OTHER, target)], [0, OK]);
});

/** What firmware has reserved: two regions of the first edu, that overlap with one of the second; one lies beyond RAM. */
const RESERVED = [
  { firstMfn: 0x100, count: 4, routings: [EDU, OTHER] }, { firstMfn: 0x102, count: 4, routings: [OTHER] },
  { firstMfn: 0x1fe, count: 2, routings: [NIC] }, { firstMfn: 0x2000, count: 1, routings: [NIC] },
];

/** Which of the frames around the regions a device reaches. */
function reach({ dma }: ControlPlane, routing: number): number[] {
  return [0xff, 0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106].filter((mfn) => dma(routing, at(mfn)) === OK);
}

test('XSA-378: reserved memory is mapped exactly, for as long as one device needs it, and not the guest\'s to take away', async () => {
  const plane = await controlPlane({ reserved: RESERVED });
  const { domctl, hypervisor, guest, refused, machine } = plane;
  const { exports } = machine.engine;
  refused(() => domctl.assignDevice(guest.domid, EDU), 'EPERM', 'it is for another device, too');
  domctl.assignDevice(guest.domid, EDU, { relaxed: true });
  assert.equal(reach(plane, EDU), [0x100, 0x101, 0x102, 0x103]);
  domctl.assignDevice(guest.domid, OTHER, { relaxed: true });
  for (const routing of [EDU, OTHER]) assert.equal(reach(plane, routing), [0x100, 0x101, 0x102, 0x103, 0x104, 0x105]);
  // what a guest can do about its tables
  assert.is.not(exports.iommuOpUnmap(guest.slot, 0x100, 6), OK);
  assert.is.not(exports.iommuOpMap(guest.slot, 0x100, guest.p2m[3] as number, 1, 3), OK);
  assert.is(hypervisor.decreaseReservation(guest.domid, [0x100]), 0);
  // a third device of the guest, whose tables are the same, has them cached
  const third = 0x28;
  domctl.assignDevice(guest.domid, third);
  assert.is(reach(plane, third).length, 6);
  domctl.deassignDevice(guest.domid, EDU);
  assert.equal(reach(plane, OTHER), [0x100, 0x101, 0x102, 0x103, 0x104, 0x105], 'the other needs them all');
  domctl.deassignDevice(guest.domid, OTHER);
  assert.equal(reach(plane, third), []);
  assert.equal([0x100, 0x103, 0x105].map((mfn) => exports.frameRefs(mfn)), [0, 0, 0], 'nothing is left behind');
  assert.is(codeOf(() => hypervisor.assignDevice(guest.domid, OTHER, 'guest-mapped')), 'EPERM');
  assert.is(hypervisor.ownerOf(OTHER), DOM_IO);
});

test('XSA-386: a device that is taken away is switched over in the unit, whatever else there is to undo', async () => {
  const { domctl, hypervisor, guest, dma } = await controlPlane();
  for (const routing of [EDU, OTHER]) domctl.assignDevice(guest.domid, routing);
  const mine = at(guest.p2m[6] as number);
  assert.is((hypervisor.iommu?.context(EDU)[0] ?? 0) & 1, 1);
  domctl.deassignDevice(guest.domid, EDU);
  assert.equal(hypervisor.iommu?.context(EDU), [0, 0, 0, 0]);
  assert.equal([dma(EDU, mine), dma(OTHER, mine)], [FAULT, OK]);
  // reserved memory that is not mapped any more does not keep it
  const firm = await controlPlane({ reserved: [{ firstMfn: 0x100, count: 4, routings: [EDU] }] });
  for (const routing of [EDU, OTHER]) firm.domctl.assignDevice(firm.guest.domid, routing);
  firm.machine.engine.exports.ioUnmap(firm.guest.slot, 0x100, 4);
  firm.domctl.deassignDevice(firm.guest.domid, EDU);
  assert.equal([firm.hypervisor.ownerOf(EDU), firm.dma(EDU, at(firm.guest.p2m[6] as number))], [DOM_IO, FAULT]);
  // one that is pulled out of the machine, too
  hypervisor.deviceRemove(OTHER);
  assert.equal(hypervisor.iommu?.context(OTHER), [0, 0, 0, 0]);
});

test('XSA-400: an assignment that fails leaves the device where it was, in every moment', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, plain, refused, machine, dma } = plane;
  const dom0s = at(hypervisor.domain(0).p2m[3] as number);
  assert.is(dma(EDU, dom0s), OK);
  const before = hypervisor.iommu?.context(EDU);
  while (machine.engine.exports.tableFrameTake() !== 0) { /* until none is left */ }
  refused(() => domctl.assignDevice(guest.domid, EDU), 'ENOMEM');
  refused(() => domctl.assignDevice(plain.domid, EDU), 'EOPNOTSUPP');
  refused(() => domctl.assignDevice(0, EDU), 'EINVAL');
  assert.equal([hypervisor.ownerOf(EDU), hypervisor.iommu?.context(EDU), dma(EDU, dom0s)], [0, before, OK]);
});

test('XSA-400 (reserved): what firmware has reserved for a device it reaches, whoever has it', async () => {
  for (const line of ['', 'iommu=quarantine=scratch-page', 'dom0-iommu=strict', 'dom0-iommu=passthrough']) {
    const plane = await controlPlane({ commandLine: line, reserved: [{ firstMfn: 0x100, count: 4, routings: [EDU] }] });
    const { domctl, guest, dma, hypervisor } = plane;
    const own = [0x100, 0x101, 0x102, 0x103];
    const reaches = (): boolean => own.every((mfn) => dma(EDU, at(mfn)) === OK);
    const foreign = at(hypervisor.domain(0).p2m[3] as number);
    assert.ok(reaches(), `dom0: ${line}`);
    for (const step of [() => domctl.assignDevice(DOM_IO, EDU), () => domctl.assignDevice(guest.domid, EDU),
      () => domctl.deassignDevice(guest.domid, EDU)]) {
      step();
      assert.ok(reaches(), line);
      assert.equal([dma(EDU, foreign), dma(EDU, at(0x104)), dma(EDU, at(0xff))], [FAULT, FAULT, FAULT], 'and nothing besides');
    }
    domctl.deassignDevice(DOM_IO, EDU);
    assert.ok(reaches(), `dom0 again: ${line}`);
  }
});

test('XSA-460: reserved memory that can be mapped in part only is not mapped at all', async () => {
  const plane = await controlPlane({ reserved: RESERVED });
  const { domctl, hypervisor, guest, machine, dma } = plane;
  const { exports } = machine.engine;
  // a second device of the guest, with the tables that there are then; one table more is to be had
  domctl.assignDevice(guest.domid, 0x28);
  let spare = 0;
  while (machine.engine.word(State.TABLE_FRAMES_FREE) > 1) spare = exports.tableFrameTake() >>> 0;
  assert.is(codeOf(() => domctl.assignDevice(guest.domid, NIC)), 'ENOMEM');
  assert.equal([hypervisor.ownerOf(NIC), exports.frameRefs(0x1fe), exports.frameRefs(0x1ff)], [0, 0, 0]);
  assert.equal([dma(0x28, at(0x1fe)), dma(0x28, at(0x1ff)), dma(0x28, at(guest.p2m[6] as number))], [FAULT, FAULT, OK]);
  // and with one more
  machine.engine.setWord(machine.engine.word(State.POOL_TABLE_FRAMES), spare);
  machine.engine.setWord(State.TABLE_FRAMES_FREE, 1);
  domctl.assignDevice(guest.domid, NIC);
  assert.equal([dma(NIC, at(0x1fe)), dma(NIC, at(0x1ff))], [OK, OK]);
});

/** The second function of a device, beside the first. */
async function twoFunctions(): Promise<{ machine: Machine; domctl: Domctl; guest: Domain }> {
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '2MiB' }, iommu: 'vtd', iommuFrames: 128,
    devices: [{ model: 'edu', bdf: '0000:00:06.0' }, { model: 'edu', bdf: '0000:00:06.1' }, { model: 'edu', bdf: '0000:00:07.0' }],
  });
  machine.hypervisor.bootDom0Devices();
  const domctl = new Domctl(machine.hypervisor, 0);
  return { machine, domctl, guest: domctl.createDomain({ name: 'guest', kind: 'pv', pages: 64, iommu: true }) };
}

test('XSA-449: every requester that is a device\'s moves with it, and no other', async () => {
  const { machine, domctl, guest } = await twoFunctions();
  const { hypervisor } = machine;
  const contexts = (): string[] => Array.from({ length: 256 }, (_, devfn) => String(hypervisor.iommu?.context(devfn)));
  const changed = (from: string[], to: string[]): number[] => from.flatMap((text, devfn) => (text === to[devfn] ? [] : [devfn]));
  const before = contexts();
  // no requester without a function of its own has an entry: what a device might use besides reaches nothing
  assert.equal(before.flatMap((text, devfn) => (text === '0,0,0,0' ? [] : [devfn])), [0x30, 0x31, 0x38]);
  domctl.assignDevice(guest.domid, 0x30);
  const own = contexts();
  assert.equal(changed(before, own), [0x30]);
  assert.equal([hypervisor.ownerOf(0x30), hypervisor.ownerOf(0x31)], [guest.domid, 0]);
  domctl.assignDevice(guest.domid, 0x31);
  domctl.deassignDevice(guest.domid, 0x30);
  domctl.deassignDevice(guest.domid, 0x31);
  assert.equal(contexts().flatMap((text, devfn) => (text === '0,0,0,0' ? [] : [devfn])), [0x38], 'none is left in the guest\'s tables');
});

test('XSA-450: quarantine works in every build of the engine', async () => {
  for (const memory of [newMemory(65536, 'plain'), newMemory(65536, 'shared')]) {
    const machine = await Machine.create({
      memory: '16MiB', dom0: { memory: '2MiB' }, iommu: 'vtd', iommuFrames: 128, devices: [{ model: 'edu', bdf: '0000:00:06.0' }],
    }, { memory });
    machine.hypervisor.bootDom0Devices();
    const domctl = new Domctl(machine.hypervisor, 0);
    const { engine, hypervisor } = machine;
    const scratch = engine.heap.take(64, 'the test');
    const dma = (mfn: number): number => {
      engine.exports.configWrite(machine.functionOf('0000:00:06.0'), 4, 2, 6);
      return engine.exports.functionDmaWrite(machine.functionOf('0000:00:06.0'), at(mfn), 0, 4, scratch);
    };
    const guest = domctl.createDomain({ name: 'guest', kind: 'pv', pages: 64, iommu: true });
    domctl.assignDevice(guest.domid, EDU);
    assert.is(dma(guest.p2m[3] as number), OK);
    domctl.deassignDevice(guest.domid, EDU);
    assert.equal([hypervisor.ownerOf(EDU), dma(guest.p2m[3] as number), dma(hypervisor.domain(0).p2m[3] as number)], [DOM_IO, FAULT, FAULT]);
  }
});

/** A function with one small BAR: firmware puts two of them into one page. */
const small: DeviceDefinition = {
  model: 'small', title: 'Unassigned class: small', engineModel: 16,
  config: {
    vendorId: 0x1af4, deviceId: 0x7779, classCode: 0xff0000, revision: 0, interruptPin: 1, bars: [{ kind: 'memory32', size: 256 }],
  },
  registers: [{ bar: 0, size: 256, constant: 0, rows: [register('SCRATCH', 0, '', { writeMask: 0xffffffff, reset: 7 })] }],
  stateSize: 0,
};

test('XSA-461: what a page or a line gives away besides is found, and a line is shared by consent only', async () => {
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '2MiB' }, iommu: 'vtd', iommuFrames: 128,
    devices: [{ model: 'small', bdf: '0000:00:05.0' }, { model: 'small', bdf: '0000:00:0d.0' }],
  }, { models: [small] });
  const { hypervisor, engine } = machine;
  hypervisor.bootDom0Devices();
  const domctl = new Domctl(hypervisor, 0);
  const guest = domctl.createDomain({ name: 'guest', kind: 'pv', pages: 64, iommu: true });
  const [own, foreign] = ['0000:00:05.0', '0000:00:0d.0'].map((bdf) => machine.barAddress(bdf, 0)) as [number, number];
  const page = Math.floor(own / 4096);
  assert.is(Math.floor(foreign / 4096), page);
  domctl.assignDevice(guest.domid, 0x28);
  domctl.iomemPermission(guest.domid, page, 1, true);
  // rights are of whole pages: it is within reach, and therefore told
  hypervisor.updateVaMapping(guest.domid, 0x90000, page, true);
  assert.is(engine.exports.guestLoad(guest.slot, 0x90000000 + foreign % 4096, 0, 4), 7);
  assert.equal(hypervisor.neighbours(guest.domid, page), [{ routing: 0x68, bar: 0, address: foreign, size: 256 }]);
  domctl.assignDevice(guest.domid, 0x68);
  assert.equal(hypervisor.neighbours(guest.domid, page), [], 'both are its own');
  // devices 5 and 13 have the same line
  const [line, other] = [21, domctl.createDomain({ name: 'other', kind: 'pv', pages: 64, iommu: false })];
  for (const { domid } of [guest, other]) hypervisor.irqPermission(domid, line, true);
  for (const domain of [guest, other]) hypervisor.pirqs.mapLine(domain, line, line);
  hypervisor.events.bindPirq(guest.domid, line, 0);
  assert.is(codeOf(() => hypervisor.events.bindPirq(other.domid, line, 1)), 'EBUSY');
});

test('XSA-467: a call of the hypervisor from within a device\'s handler is refused, and does not wait for itself', async () => {
  const codes: string[] = [];
  const inside: Array<() => unknown> = [];
  const device = defineDevice({
    model: 'inside', title: 'inside', config: {
      vendorId: 0x1234, deviceId: 1, classCode: 0xff0000, revision: 1, interruptPin: 1, bars: [{ kind: 'memory32', size: 0x1000 }],
    },
    state: {},
    registers: [{ bar: 0, size: 0x1000, constant: 0, rows: [{ name: 'CALL', off: 0, writeMask: 0xff, host: true }] }],
    handlers: { onRead: () => 0, onWrite: () => { for (const call of inside) codes.push(codeOf(call)); } },
  });
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '2MiB' }, iommu: 'vtd', iommuFrames: 128,
    devices: [{ model: 'inside', bdf: '0000:00:05.0' }, { model: 'edu', bdf: '0000:00:06.0' }],
  }, { devices: [device] });
  const { hypervisor } = machine;
  hypervisor.bootDom0Devices();
  const domctl = new Domctl(hypervisor, 0);
  const guest = domctl.createDomain({ name: 'guest', kind: 'pv', pages: 64, iommu: true });
  inside.push(() => domctl.assignDevice(guest.domid, EDU), () => domctl.deassignDevice(DOM_IO, EDU),
    () => domctl.iomemPermission(guest.domid, 0xfe000, 1, true), () => hypervisor.updateVaMapping(0, 0x90000, 0xfe000, true),
    () => hypervisor.events.bindIpi(guest.domid, 0), () => hypervisor.decreaseReservation(guest.domid, [3]),
    () => domctl.destroyDomain(guest.domid), () => hypervisor.deliverInterrupts());
  const fn = machine.functionOf('0000:00:05.0');
  machine.engine.exports.configWrite(fn, 4, 2, 6);
  const before = machine.digest().rights;
  machine.engine.exports.registerWrite(fn, 0, 0, 4, 1, 0);
  assert.equal(codes, inside.map(() => 'BUSY'));
  assert.equal([machine.digest().rights, hypervisor.ownerOf(EDU)], [before, 0]);
  domctl.assignDevice(guest.domid, EDU);
  assert.is(hypervisor.ownerOf(EDU), guest.domid);
});

test.run();
