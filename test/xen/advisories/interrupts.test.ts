// What advisories on interrupts of passed-through devices teach (xen-passthrough.md 8): one test for each, with an attack
// and what must still work. Which guard each stands for is in scripts/mutants-advisories.mjs.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { Physdev } from '../../../src/xen/hypervisor/physdev';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { type ControlPlane, DOM_IO, EDU, EXPRESS, NIC, OTHER, controlPlane } from '../../helpers/control-plane';
import { codeOf } from '../../helpers/guest-machine';

/** Status of a DMA. */
const [OK, FAULT] = [0, 3];
/** Config offsets: Command; of edu, MSI control and address; of the 82574L, MSI-X control. */
const [COMMAND, MSI_CONTROL, MSI_ADDRESS] = [0x04, 0x42, 0x44];

const test = suite('advisories: interrupts');

interface Wish {
  domid?: number;
  entry?: number;
  tableBase?: number;
  pirq?: number;
}

/** map_pirq of a message for a domain (the guest). */
function mapMessage({ physdev, guest }: ControlPlane, routing: number, wish: Wish = {}): number {
  return physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing, ...wish });
}

function mapLine({ physdev, guest }: ControlPlane, gsi: number, pirq = -1, domid = guest.domid): number {
  return physdev.mapPirq({ domid, type: 'gsi', index: gsi, pirq });
}

/** One more guest that may have devices. */
function another({ domctl }: ControlPlane, name = 'another'): Domain {
  return domctl.createDomain({ name, kind: 'pv', pages: 64, iommu: true });
}

function send(machine: Machine, fn: number, address: number, bytes: readonly number[]): number {
  const { engine } = machine;
  engine.exports.configWrite(fn, COMMAND, 2, 6);
  const scratch = engine.heap.take(64, 'the test');
  engine.stateBytes(scratch, bytes.length).set(bytes);
  const status = engine.exports.functionDmaWrite(fn, address >>> 0, 0, bytes.length, scratch);
  engine.heap.give(scratch, 64);
  return status;
}

const fnOf = ({ machine }: ControlPlane, routing: number): number =>
  machine.functionOf(`0000:00:${(routing >> 3).toString(16).padStart(2, '0')}.0`);

/** Whether an event has come at a port; it is taken. */
const taken = ({ machine }: ControlPlane, domain: Domain, port: number): boolean =>
  machine.engine.exports.eventTake(domain.slot, port) === 1;

/** edu asserts its interrupt, or ends that. */
function assertLine(plane: ControlPlane, routing: number, on: boolean): void {
  plane.machine.engine.exports.registerWrite(fnOf(plane, routing), 0, on ? 0x60 : 0x64, 4, 1, 0);
  plane.machine.run();
}

test('XSA-16: an index that a caller gives is checked before anything is looked up by it', async () => {
  const plane = await controlPlane();
  const { hypervisor, refused, guest } = plane;
  // a message of the first domain's own is host interrupt 32: it has that one, and it is no line
  mapMessage(plane, EDU, { domid: 0 });
  assert.equal(hypervisor.domain(0).irq.ranges, [[1, 23], [32, 32]]);
  for (const index of [24, 32, 33, 255, 1024, 0x7fffffff, 0xffffffff, -1, -0x80000000, 20.5, NaN]) {
    refused(() => mapLine(plane, index), 'EINVAL', `index ${index}`);
  }
  for (const pirq of [56, 256, 0x7fffffff, -2]) refused(() => mapLine(plane, 22, pirq), 'EINVAL', `number ${pirq}`);
  for (const pirq of [56, 0x7fffffff, 0xffffffff, -1, 1.5]) {
    refused(() => hypervisor.events.bindPirq(guest.domid, pirq, 0), 'EINVAL', `bind ${pirq}`);
  }
  assert.is(mapLine(plane, 22), 16);
});

/** A device behind a root port, and one beside that. */
async function behindBridge(): Promise<{ machine: Machine; domctl: Domctl; physdev: Physdev; guest: Domain; behind: number; beside: number }> {
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '2MiB' }, iommu: 'vtd', iommuFrames: 128,
    devices: [
      { model: 'edu', bdf: '0000:00:06.0' }, { model: 'root-port', bdf: '0000:00:0b.0' }, { model: 'edu', bdf: '0000:01:00.0' },
    ],
  });
  machine.hypervisor.bootDom0Devices();
  const domctl = new Domctl(machine.hypervisor, 0);
  const guest = domctl.createDomain({ name: 'guest', kind: 'pv', pages: 64, iommu: true });
  machine.engine.exports.configWrite(machine.functionOf('0000:00:0b.0'), COMMAND, 2, 6);
  return {
    machine, domctl, guest, physdev: new Physdev(machine.hypervisor, 0), behind: machine.functionOf('0000:01:00.0'),
    beside: machine.functionOf('0000:00:06.0'),
  };
}

test('XSA-33: behind a bridge the requester of a message is the one on the bus there, and it is checked', async () => {
  const { machine, domctl, physdev, guest, behind, beside } = await behindBridge();
  const { hypervisor, engine } = machine;
  domctl.assignDevice(guest.domid, 0x100);
  const pirq = physdev.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: 0x100 });
  const port = hypervisor.events.bindPirq(guest.domid, pirq, 0);
  const address = engine.exports.configRead(behind, MSI_ADDRESS, 4) >>> 0;
  const table = (hypervisor.iommu as NonNullable<typeof hypervisor.iommu>).tables.interrupts;
  const entry = engine.frame(table).subarray((address >> 5 & 0x7fff) * 16, (address >> 5 & 0x7fff) * 16 + 16);
  assert.equal([entry[8], entry[9], (entry[10] as number) >> 2 & 3], [0x00, 0x01, 1], '01:00.0, and it is to be verified');
  for (const [fn, requester] of [[beside, 0x30], [machine.functionOf('0000:00:0b.0'), 0x58]] as const) {
    assert.is(send(machine, fn, address, [0, 0, 0, 0]), FAULT);
    assert.equal(hypervisor.collectFaults().map((one) => [one.access, one.requester, one.reason]), [['interrupt', requester, 0x26]]);
    machine.run();
    assert.is(engine.exports.eventTake(guest.slot, port), 0);
  }
  assert.is(send(machine, behind, address, [0, 0, 0, 0]), OK);
  machine.run();
  assert.is(engine.exports.eventTake(guest.slot, port), 1);
});

test('XSA-36: entries of the interrupt-remap table belong to one device, and no two devices share one', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, config, machine } = plane;
  const other = another(plane);
  domctl.assignDevice(guest.domid, EDU);
  domctl.assignDevice(other.domid, OTHER);
  const mine = hypervisor.events.bindPirq(guest.domid, mapMessage(plane, EDU), 0);
  const its = hypervisor.events.bindPirq(other.domid, mapMessage(plane, OTHER, { domid: other.domid }), 0);
  const [one, two] = [EDU, OTHER].map((routing) => config(routing, MSI_ADDRESS, 4)) as [number, number];
  assert.is.not(one, two);
  for (const [routing, address] of [[EDU, one], [OTHER, two]] as const) {
    assert.is(send(machine, fnOf(plane, routing), address, [0, 0, 0, 0]), OK);
    machine.run();
    assert.equal([taken(plane, guest, mine), taken(plane, other, its)], [routing === EDU, routing === OTHER]);
  }
  // each tries the other's, and every entry that there is
  for (const [routing, own] of [[EDU, one], [OTHER, two]] as const) {
    for (let index = 0; index < 256; index++) {
      const address = (0xfee00010 | index << 5) >>> 0;
      if (address !== own) assert.is(send(machine, fnOf(plane, routing), address, [0, 0, 0, 0]), FAULT);
    }
  }
  machine.run();
  assert.equal([taken(plane, guest, mine), taken(plane, other, its)], [false, false]);
});

test('XSA-46: a right is to a host interrupt, not to a number; it goes with the error that follows; nothing live is replaced', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, physdev, refused } = plane;
  // the first domain has line 22 under number 21: what it gives away is 22
  physdev.mapPirq({ domid: 0, type: 'gsi', index: 22, pirq: 21 });
  domctl.irqPermission(guest.domid, 21, true);
  assert.equal(guest.irq.ranges, [[22, 22]]);
  domctl.irqPermission(guest.domid, 21, false);
  assert.equal(guest.irq.ranges, []);
  // a number in use keeps its interrupt
  assert.is(mapLine(plane, 20), 16);
  refused(() => mapLine(plane, 23, 16), 'EBUSY');
  refused(() => mapLine(plane, 20, 17), 'EEXIST');
  assert.is(guest.pirqs.get(16), 20);
  // bound and given up by the right: nothing arrives, and it cannot be bound again
  const port = hypervisor.events.bindPirq(guest.domid, 16, 1);
  physdev.unmapPirq(guest.domid, 16);
  assert.equal(guest.irq.ranges, []);
  hypervisor.events.close(guest.domid, port);
  refused(() => hypervisor.events.bindPirq(guest.domid, 16, 1), 'EPERM');
});

test('XSA-46 (undo): a message whose event channel cannot be had leaves no right, no vector and no entry behind', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, machine } = plane;
  const few = domctl.createDomain({ name: 'few', kind: 'pv', pages: 64, iommu: true, maxEventPort: 2 });
  domctl.assignDevice(few.domid, EDU);
  for (let port = 1; port <= 2; port++) hypervisor.events.bindIpi(few.domid, 0);
  for (let i = 0; i < 300; i++) assert.is(codeOf(() => hypervisor.bindMsi(few.domid, EDU)), 'ENOSPC');
  assert.equal([few.irq.ranges, hypervisor.vectors], [[], []]);
  hypervisor.events.close(few.domid, 1);
  const { address, data } = hypervisor.bindMsi(few.domid, EDU);
  assert.is(send(machine, fnOf(plane, EDU), address, [data, 0, 0, 0]), OK);
});

test('XSA-49: an entry of the interrupt-remap table is made with source verification, and for its source alone', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, machine, config } = plane;
  domctl.assignDevice(guest.domid, EDU);
  domctl.assignDevice(guest.domid, OTHER);
  const port = hypervisor.events.bindPirq(guest.domid, mapMessage(plane, EDU), 0);
  const address = config(EDU, MSI_ADDRESS, 4);
  // its own second device, the first domain's, one in quarantine
  domctl.assignDevice(DOM_IO, NIC);
  for (const routing of [OTHER, EXPRESS, NIC]) {
    assert.is(send(machine, fnOf(plane, routing), address, [0, 0, 0, 0]), FAULT);
    assert.equal(hypervisor.collectFaults().map(({ requester, reason }) => [requester, reason]), [[routing, 0x26]]);
  }
  machine.run();
  assert.is(taken(plane, guest, port), false);
  assert.is(send(machine, fnOf(plane, EDU), address, [0, 0, 0, 0]), OK);
  machine.run();
  assert.is(taken(plane, guest, port), true);
});

test('XSA-59: a write into the interrupt window that is no interrupt request is nothing, and never an error of the host', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, machine, config } = plane;
  domctl.assignDevice(guest.domid, EDU);
  const port = hypervisor.events.bindPirq(guest.domid, mapMessage(plane, EDU), 0);
  const [fn, address] = [fnOf(plane, EDU), config(EDU, MSI_ADDRESS, 4)];
  const zeros = (length: number): number[] => new Array<number>(length).fill(0);
  const malformed: Array<[at: number, length: number]> = [
    ...[1, 2, 3, 5, 8, 16, 32, 64].map((length): [number, number] => [address, length]),
    ...[1, 2, 3].map((within): [number, number] => [address + within, 4]), [0xfee00ffe, 4], [0xfeeffffe, 2],
  ];
  for (const [at, length] of malformed) send(machine, fn, at, zeros(length));
  // without remappable format; an index that has no entry; reserved bits in the data of one with a sub-handle
  for (const [at, data] of [[0xfee00000, 0x31], [0xfeefffe0, 0], [0xfee01ff0, 0], [(address | 8) >>> 0, 0x10000]] as const) {
    send(machine, fn, at, [data & 0xff, data >> 8 & 0xff, data >> 16 & 0xff, 0]);
  }
  assert.equal(hypervisor.deliverInterrupts(), { delivered: 0, spurious: 0 });
  const scratch = machine.engine.heap.take(64, 'the test');
  assert.is.not(machine.engine.exports.functionDmaRead(fn, address, 0, 4, scratch), OK);
  assert.equal([...machine.engine.stateBytes(scratch, 4)], [255, 255, 255, 255]);
  assert.is(taken(plane, guest, port), false);
  assert.is(send(machine, fn, address, zeros(4)), OK);
  assert.equal(hypervisor.deliverInterrupts(), { delivered: 1, spurious: 0 });
  assert.is(taken(plane, guest, port), true);
});

test('XSA-83: a bind that fails leaves neither a port nor a bound interrupt', async () => {
  const plane = await controlPlane();
  const { hypervisor, guest, plain, refused, domctl } = plane;
  const [mine, its] = [mapLine(plane, 22), mapLine(plane, 22, -1, plain.domid)];
  const { events } = hypervisor;
  const port = events.bindPirq(plain.domid, its, 0);
  for (let i = 0; i < 3; i++) refused(() => events.bindPirq(guest.domid, mine, 1), 'EBUSY', 'in use, and not shared');
  assert.is(events.bindIpi(guest.domid, 0), 1, 'the first port is free still');
  events.close(plain.domid, port);
  // no port left: the line is not bound, and the other gets it
  const few = domctl.createDomain({ name: 'few', kind: 'pv', pages: 16, iommu: false, maxEventPort: 1 });
  const number = mapLine(plane, 22, -1, few.domid);
  events.bindIpi(few.domid, 0);
  refused(() => events.bindPirq(few.domid, number, 0), 'ENOSPC');
  events.bindPirq(plain.domid, its, 0);
});

test('XSA-87: every operation on a device is for the control domain alone', async () => {
  const plane = await controlPlane();
  const { domctl, physdev, hypervisor, guest, refused, configWrite } = plane;
  configWrite(EXPRESS, COMMAND, 2, 6);
  domctl.assignDevice(guest.domid, EXPRESS);
  const own = new Physdev(hypervisor, guest.domid);
  for (const [what, call] of Object.entries<() => unknown>({
    prepareMsix: () => own.prepareMsix(EXPRESS), releaseMsix: () => own.releaseMsix(EXPRESS), restoreMsi: () => own.restoreMsi(EXPRESS),
    deviceReset: () => own.deviceReset(EXPRESS), deviceAdd: () => own.deviceAdd(0x90, 3), deviceRemove: () => own.deviceRemove(EXPRESS),
    mapPirq: () => own.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EXPRESS }),
    unmapPirq: () => own.unmapPirq(guest.domid, 16),
  })) refused(call, 'EPERM', what);
  domctl.deassignDevice(guest.domid, EXPRESS);
  configWrite(EXPRESS, COMMAND, 2, 6);
  physdev.prepareMsix(EXPRESS);
  refused(() => own.releaseMsix(EXPRESS), 'EPERM');
  physdev.releaseMsix(EXPRESS);
});

/** The 82574L of a guest, its table recorded before. */
async function withExpress(): Promise<ControlPlane> {
  const plane = await controlPlane();
  plane.configWrite(EXPRESS, COMMAND, 2, 6);
  plane.physdev.prepareMsix(EXPRESS);
  plane.domctl.assignDevice(plane.guest.domid, EXPRESS);
  return plane;
}

test('XSA-129: mask bits of vectors are the host\'s: the page of the table is a guest\'s to read only', async () => {
  const plane = await withExpress();
  const { domctl, hypervisor, guest, machine, barFrame } = plane;
  const frame = barFrame(EXPRESS, 3);
  domctl.iomemPermission(guest.domid, frame, 4, true);
  hypervisor.updateVaMapping(guest.domid, 0x90000, frame, true);
  const pirq = mapMessage(plane, EXPRESS, { entry: 0, tableBase: 1 });
  const { exports } = machine.engine;
  const entry = (): number[] => [0, 4, 8, 12].map((off) => exports.guestLoad(guest.slot, 0x90000000 + off, 0, 4) >>> 0);
  const before = entry();
  assert.is(before[3], 1, 'masked, as nobody has bound it');
  for (const off of [0, 4, 8, 12]) exports.guestStore(guest.slot, 0x90000000 + off, 0, 4, off === 12 ? 0 : 0xfee00000, 0);
  assert.equal(entry(), before);
  // the host's own way: unmasked while it is bound
  const port = hypervisor.events.bindPirq(guest.domid, pirq, 0);
  assert.is(entry()[3], 0);
  exports.guestStore(guest.slot, 0x9000000c, 0, 4, 1, 0);
  assert.is(entry()[3], 0);
  hypervisor.events.close(guest.domid, port);
  assert.is(entry()[3], 1);
});

test('XSA-164: an entry beyond the end of the vector table is not written', async () => {
  const plane = await withExpress();
  const { refused, machine, guest } = plane;
  const registers = (): string => {
    let text = '';
    for (let off = 0x50; off < 0x100; off += 4) text += ` ${machine.engine.exports.registerRead(fnOf(plane, EXPRESS), 3, off, 4)}`;
    return text;
  };
  const before = registers();
  for (const entry of [5, 6, 63, 64, 2047, 2048, 0xffff, 0x10000000, -1, 0.5]) {
    refused(() => mapMessage(plane, EXPRESS, { entry, tableBase: 1 }), 'EINVAL', `entry ${entry}`);
  }
  assert.equal([registers(), guest.irq.ranges], [before, []]);
  assert.is(mapMessage(plane, EXPRESS, { entry: 4, tableBase: 1 }), 55);
});

test('XSA-237: messages are mapped for the device\'s owner alone, by the control domain, once', async () => {
  const plane = await controlPlane();
  const { domctl, physdev, hypervisor, guest, plain, refused } = plane;
  const third = another(plane);
  domctl.assignDevice(third.domid, OTHER);
  domctl.assignDevice(DOM_IO, EXPRESS);
  for (const [routing, what] of [[EDU, 'the first domain\'s'], [OTHER, 'another guest\'s'], [EXPRESS, 'in quarantine'], [0x99, 'none']] as const) {
    refused(() => mapMessage(plane, routing), 'ENODEV', what);
  }
  refused(() => mapMessage(plane, OTHER, { domid: 0 }), 'ENODEV', 'a guest\'s, for the first domain');
  domctl.assignDevice(guest.domid, EDU);
  refused(() => mapMessage(plane, EDU, { domid: plain.domid }), 'ENODEV');
  const own = new Physdev(hypervisor, guest.domid);
  refused(() => own.mapPirq({ domid: guest.domid, type: 'msi', index: -1, pirq: -1, routing: EDU }), 'EPERM');
  refused(() => own.unmapPirq(guest.domid, 55), 'EPERM');
  const pirq = mapMessage(plane, EDU);
  refused(() => mapMessage(plane, EDU), 'EEXIST');
  refused(() => mapMessage(plane, EDU, { pirq: 30 }), 'EEXIST');
  physdev.unmapPirq(guest.domid, pirq);
  refused(() => physdev.unmapPirq(guest.domid, pirq), 'EINVAL', 'once only');
  assert.is(mapMessage(plane, EDU), pirq);
});

test('XSA-332: a level interrupt comes again only when everybody who has it has ended it', async () => {
  const plane = await controlPlane();
  const { hypervisor, guest, physdev } = plane;
  const [far, near] = [mapLine(plane, 22), physdev.mapPirq({ domid: 0, type: 'gsi', index: 22, pirq: 22 })];
  const [port, dom0Port] = [hypervisor.events.bindPirq(guest.domid, far, 1), hypervisor.events.bindPirq(0, near, 1)];
  const dom0 = hypervisor.domain(0);
  const come = (): boolean[] => [taken(plane, guest, port), taken(plane, dom0, dom0Port)];
  assertLine(plane, EDU, true);
  assert.equal(come(), [true, true]);
  // a guest that never ends it, and one that asserts it again and again
  for (let i = 0; i < 50; i++) {
    assertLine(plane, EDU, true);
    assert.equal(come(), [false, false]);
  }
  physdev.eoi(near);
  for (let i = 0; i < 50; i++) assertLine(plane, EDU, true);
  assert.equal(come(), [false, false], 'the guest has not');
  new Physdev(hypervisor, guest.domid).eoi(far);
  assert.equal(come(), [true, true]);
});

test('XSA-337: where a vector table lies is recorded at hand-over, and the device is not asked after that', async () => {
  const plane = await controlPlane();
  const { domctl, physdev, hypervisor, guest, refused, configWrite, barFrame, machine } = plane;
  configWrite(EXPRESS, COMMAND, 2, 6);
  domctl.assignDevice(guest.domid, EXPRESS);
  domctl.iomemPermission(guest.domid, barFrame(EXPRESS, 3), 4, true);
  // never recorded, and now the registers may say what the guest wants
  refused(() => mapMessage(plane, EXPRESS, { entry: 0, tableBase: 1 }), 'ENODATA');
  refused(() => physdev.prepareMsix(EXPRESS), 'ENODATA');
  domctl.deassignDevice(guest.domid, EXPRESS);
  configWrite(EXPRESS, COMMAND, 2, 6);
  physdev.prepareMsix(EXPRESS);
  physdev.releaseMsix(EXPRESS);
  domctl.assignDevice(guest.domid, EXPRESS);
  // a device that can be made to say something else: its BAR 3 now claims to be where BAR 0 of edu is
  const own = barFrame(EXPRESS, 3);
  configWrite(EXPRESS, 0x1c, 4, barFrame(EDU) * 4096 + 0x80000);
  const pirq = mapMessage(plane, EXPRESS, { entry: 0, tableBase: 1 });
  const writable = (mfn: number): boolean => {
    hypervisor.updateVaMapping(0, 0x90000, mfn, true);
    return (machine.engine.exports.guestMapGet(hypervisor.domain(0).slot, 0x90000) >>> 29 & 1) === 1;
  };
  assert.equal([writable(own), writable(barFrame(EDU) + 0x80)], [false, true], 'the pages are those that were recorded');
  physdev.unmapPirq(guest.domid, pirq);
});

test('XSA-356: vectors run out by name, and giving them back ends', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, refused } = plane;
  const greedy = domctl.createDomain({ name: 'greedy', kind: 'pv', pages: 64, iommu: true, nrPirqs: 256 });
  domctl.assignDevice(greedy.domid, EDU);
  // 0x30 to 0xef
  for (let i = 0; i < 192; i++) hypervisor.mapMsi(greedy.domid, EDU);
  assert.is(hypervisor.vectors.length, 192);
  refused(() => hypervisor.mapMsi(greedy.domid, EDU), 'ENOMEM');
  domctl.deassignDevice(greedy.domid, EDU);
  assert.equal([hypervisor.vectors, greedy.irq.ranges], [[], []]);
  domctl.assignDevice(greedy.domid, EDU);
  for (let i = 0; i < 192; i++) hypervisor.mapMsi(greedy.domid, EDU);
  domctl.destroyDomain(greedy.domid);
  assert.equal(hypervisor.vectors, []);
});

test('XSA-360: the end of a domain gives every interrupt back, in whatever state', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, physdev, machine } = plane;
  const dom0 = hypervisor.domain(0);
  const near = hypervisor.events.bindPirq(0, physdev.mapPirq({ domid: 0, type: 'gsi', index: 22, pirq: 22 }), 1);
  domctl.assignDevice(DOM_IO, OTHER);
  const before = machine.digest();
  const dying = another(plane, 'dying');
  domctl.assignDevice(dying.domid, OTHER);
  hypervisor.events.bindPirq(dying.domid, mapLine(plane, 22, -1, dying.domid), 1);
  hypervisor.events.bindPirq(dying.domid, mapMessage(plane, OTHER, { domid: dying.domid }), 0);
  assertLine(plane, EDU, true);
  assert.is(taken(plane, dom0, near), true);
  // it has the line in flight and does not end it any more
  domctl.destroyDomain(dying.domid);
  assertLine(plane, EDU, false);
  assert.equal([machine.digest().interrupts, machine.digest().events, machine.digest().rights],
    [before.interrupts, before.events, before.rights]);
  physdev.eoi(22);
  assertLine(plane, EDU, true);
  assert.is(taken(plane, dom0, near), true, 'those that shared it go on');
  const next = another(plane, 'next');
  assert.is(next.slot, dying.slot);
  assert.is(codeOf(() => hypervisor.events.bindPirq(next.domid, 16, 1)), 'EPERM');
});

test.run();
