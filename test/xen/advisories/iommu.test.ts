// What advisories on IOMMU tables, caches and pages teach (xen-passthrough.md 8): one test for each, with an attack and
// what must still work. Which guard each stands for is in scripts/mutants-advisories.mjs.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../../src/devices/links/store';
import type { Engine } from '../../../src/engine/index';
import { Cell } from '../../../src/lab/cell';
import { NIC, setupOf } from '../../../src/lab/matrix';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import type { Hypervisor } from '../../../src/xen/hypervisor/hypervisor';
import { IommuDriver } from '../../../src/xen/hypervisor/iommu';
import { type ControlPlane, DOM_IO, EDU, OTHER, controlPlane } from '../../helpers/control-plane';
import { type GuestMachine, codeOf, guestMachine } from '../../helpers/guest-machine';

/** Status of a DMA, and of iommu_op. */
const [OK, REFUSED, FAULT, FULL, IN_USE] = [0, 1, 3, 6, 9];
/** Grant entries of version 1: permit_access, accept_transfer, readonly. */
const [PERMIT, ACCEPT, READONLY] = [1, 2, 4];

const test = suite('advisories: IOMMU');

/** Writes an entry into a domain's grant table. */
function grant({ engine, grants }: Hypervisor, from: Domain, ref: number, to: Domain, flags: number, frame: number): void {
  const bytes = engine.frame(grants.frames(from)[0] as number);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(ref * 8 + 4, frame, true);
  view.setUint16(ref * 8 + 2, to.domid, true);
  view.setUint16(ref * 8, flags, true);
}

const at = (mfn: number): number => mfn * 4096;

/** Status of a DMA read of four bytes. */
function dmaRead({ machine, configWrite }: ControlPlane, routing: number, bus: number): number {
  const { engine } = machine;
  configWrite(routing, 4, 2, 6);
  const scratch = engine.heap.take(64, 'the test');
  const fn = machine.functionOf(`0000:00:${(routing >> 3).toString(16).padStart(2, '0')}.0`);
  const status = engine.exports.functionDmaRead(fn, bus >>> 0, Math.floor(bus / 2 ** 32), 4, scratch);
  engine.heap.give(scratch, 64);
  return status;
}

test('XSA-60: what one request of a guest brings about is bounded; the rest is done later', async () => {
  const frames = 200;
  const cell = await Cell.create(setupOf('pv-iommu', 'strict'),
    { name: '64', store: generateStore('64-byte frames', 64, 64, 3), packets: 256 }, { seed: 1, batch: 64, allocator: 'magazine' });
  const { engine } = cell.machine;
  const [fn, units] = [cell.machine.functionOf(NIC), (): number => engine.counters().serviceUnits];
  // a store to a doorbell does none of the work by itself: receive tail, transmit tail, interrupt cause
  for (const off of [0x2818, 0x3818, 0xc8]) {
    const before = units();
    engine.exports.registerWrite(fn, 0, off, 4, engine.exports.registerRead(fn, 0, off, 4), 0);
    assert.is(units(), before);
  }
  cell.machine.link(NIC).offer(frames);
  let calls = 0;
  for (let state = 1; state === 1; calls++) {
    const before = units();
    state = engine.exports.service(engine.now, 10);
    // one step more, with the tables that it reads on its way
    assert.ok(units() - before <= 10 + 24, `${units() - before} units in one call`);
    assert.ok(calls < 4000);
  }
  assert.equal([engine.counters().rxFrames, calls >= frames * 3 / 10], [frames, true]);
});

test('XSA-78: what the IOMMU has cached of a page is dropped before the page can be another\'s', async () => {
  const { domctl, hypervisor, guest, dma } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  const [kept, given] = [guest.p2m[8] as number, guest.p2m[9] as number];
  for (const mfn of [kept, given]) assert.is(dma(EDU, at(mfn)), OK, 'and now it is cached');
  assert.is(hypervisor.decreaseReservation(guest.domid, [9]), 1);
  assert.equal([dma(EDU, at(given)), dma(EDU, at(kept))], [FAULT, OK]);
  const next = domctl.createDomain({ name: 'next', kind: 'pv', pages: 8, iommu: false });
  assert.ok(next.p2m.includes(given));
  assert.is(dma(EDU, at(given)), FAULT);
});

test('XSA-80: an operation that fails does not put off the invalidations of those after it', async () => {
  const { domctl, hypervisor, guest, plain, dma } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  const [held, free] = [guest.p2m[5] as number, guest.p2m[6] as number];
  grant(hypervisor, guest, 8, plain, PERMIT, held);
  assert.is(hypervisor.grants.map(plain.domid, { address: 0x70000000, ref: 8, dom: guest.domid }).status, 'okay');
  for (const mfn of [held, free]) assert.is(dma(EDU, at(mfn)), OK);
  for (let i = 0; i < 3; i++) assert.is(hypervisor.decreaseReservation(guest.domid, [5]), 0, 'somebody holds it');
  assert.is(dma(EDU, at(held)), OK, 'it is the guest\'s still, and its device\'s');
  assert.is(hypervisor.decreaseReservation(guest.domid, [6]), 1);
  assert.is(dma(EDU, at(free)), FAULT);
});

test('XSA-275: a mapping whose rights become fewer is flushed like one that goes', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, plain, dma } = plane;
  domctl.assignDevice(guest.domid, EDU);
  const frame = plain.p2m[7] as number;
  grant(hypervisor, plain, 8, guest, PERMIT, frame);
  grant(hypervisor, plain, 9, guest, PERMIT | READONLY, frame);
  const map = (ref: number, readonly: boolean): number =>
    hypervisor.grants.map(guest.domid, { address: 0x70000000 + ref * 4096, ref, dom: plain.domid, readonly }).handle;
  const [both, read] = [map(8, false), map(9, true)];
  assert.equal([dma(EDU, at(frame)), dmaRead(plane, EDU, at(frame))], [OK, OK]);
  hypervisor.grants.unmap(guest.domid, { address: 0x70008000, handle: both });
  assert.equal([dma(EDU, at(frame)), dmaRead(plane, EDU, at(frame))], [FAULT, OK], 'for reading still');
  hypervisor.grants.unmap(guest.domid, { address: 0x70009000, handle: read });
  assert.is(dmaRead(plane, EDU, at(frame)), FAULT);
});

/** A PV guest that maps for its device itself, and a second domain with a hole at page 4. */
async function withReceiver(): Promise<GuestMachine & { other: Domain }> {
  const one = await guestMachine('guest-mapped');
  const other = one.machine.createDomain({ name: 'other', memory: '1MiB' });
  one.machine.hypervisor.decreaseReservation(other.domid, [4]);
  return { ...one, other };
}

test('XSA-284: a page that was given away, or lost on the way, gets into no table of the giver any more', async () => {
  const { machine, domain, other } = await withReceiver();
  const { hypervisor, engine } = machine;
  const map = (mfn: number): number => engine.exports.iommuOpMap(domain.slot, 0x1000, mfn, 1, 3);
  const unmap = (): number => engine.exports.iommuOpUnmap(domain.slot, 0x1000, 1);
  const [given, lost] = [domain.p2m[9] as number, domain.p2m[10] as number];
  assert.equal([map(given), unmap()], [OK, OK]);
  grant(hypervisor, other, 8, domain, ACCEPT, 4);
  assert.is(hypervisor.grants.transfer(domain.domid, given, other.domid, 8), 'okay');
  assert.equal([other.p2m[4], map(given)], [given, REFUSED]);
  // no entry that accepts: the page is nobody's, and not the giver's
  assert.is(hypervisor.grants.transfer(domain.domid, lost, other.domid, 9), 'general_error');
  assert.is(map(lost), REFUSED);
  // what is not the giver's own cannot be given, and stays whose it is
  assert.is(hypervisor.grants.transfer(domain.domid, other.p2m[3] as number, other.domid, 8), 'bad_page');
  assert.equal([map(other.p2m[3] as number), map(domain.p2m[11] as number)], [REFUSED, OK]);
});

test('XSA-285: tables that are made when the first device comes hold what is the guest\'s then', async () => {
  const plane = await controlPlane();
  const { domctl, hypervisor, guest, plain, dma } = plane;
  const [gone, kept, granted] = [guest.p2m[3] as number, guest.p2m[4] as number, plain.p2m[7] as number];
  hypervisor.decreaseReservation(guest.domid, [3]);
  grant(hypervisor, plain, 8, guest, PERMIT, granted);
  const { handle } = hypervisor.grants.map(guest.domid, { address: 0x70000000, ref: 8, dom: plain.domid });
  domctl.assignDevice(guest.domid, EDU);
  const table = hypervisor.grants.frames(guest)[0] as number;
  assert.equal([gone, kept, granted, table].map((mfn) => dma(EDU, at(mfn))), [FAULT, OK, OK, FAULT]);
  hypervisor.grants.unmap(guest.domid, { address: 0x70000000, handle });
  assert.is(dma(EDU, at(granted)), FAULT);
});

test('XSA-288: a device may write what its guest may write as plain memory, and nothing else', async () => {
  const { machine, domain, read, write } = await guestMachine('guest-mapped');
  const { hypervisor, engine } = machine;
  const map = (mfn: number, rights = 3): number => engine.exports.iommuOpMap(domain.slot, 0x1000, mfn, 1, rights);
  const unmap = (): number => engine.exports.iommuOpUnmap(domain.slot, 0x1000, 1);
  // its grant table is the guest's own frame, and the hypervisor reads it
  const table = hypervisor.grants.frames(domain)[0] as number;
  assert.is(engine.exports.frameOwner(table), domain.domid);
  for (const rights of [1, 2, 3]) assert.is(map(table, rights), REFUSED);
  const tables = (hypervisor.iommu as IommuDriver).tables;
  for (const mfn of [tables.root, tables.interrupts, 0]) assert.is(map(mfn), REFUSED);
  assert.is(map(domain.p2m[3] as number, 1), OK);
  assert.equal([write(0x1000000, [1]), read(0x1000000, 1).status], [FAULT, OK]);
  assert.is(unmap(), OK);
  hypervisor.iommu?.flushDomain(domain.io?.did as number);
  assert.is(map(domain.p2m[3] as number), OK);
  assert.is(write(0x1000000, [1]), OK);
});

/** Four pages of the guest whose machine frames follow each other. */
function run({ p2m }: Domain): number {
  const frames = new Set(p2m);
  const first = [...p2m].find((mfn) => [1, 2, 3].every((next) => frames.has(mfn + next)));
  if (first === undefined) throw new Error('this seed gives no four frames together');
  return first;
}

test('XSA-291: a mapping that fails half-way is taken back, and holds no page', async () => {
  const { machine, domain, write } = await guestMachine('guest-mapped');
  const { exports } = machine.engine;
  const map = (dfn: number, mfn: number, pages: number): number => exports.iommuOpMap(domain.slot, dfn, mfn, pages, 3);
  const first = run(domain);
  const other = domain.p2m.find((mfn) => mfn < first || mfn > first + 3) as number;
  assert.is(map(0, other, 1), OK);
  // every table that the domain may have
  let dfn = 1 << 18;
  while (map(dfn, other, 1) === OK) dfn += 1 << 18;
  const refs = (): number[] => [0, 1, 2, 3].map((i) => exports.frameRefs(first + i));
  assert.equal(refs(), [0, 0, 0, 0]);
  // two pages fit into the table that is there, the two behind them need another
  assert.is(map(510, first, 4), FULL);
  assert.equal(refs(), [0, 0, 0, 0]);
  for (const page of [510, 511, 512]) assert.is(write(page * 4096, [1]), FAULT);
  assert.equal([map(510, first, 2), write(510 * 4096, [1])], [OK, OK]);
});

/** The engine with a look at what stands in a context entry each time that an invalidation is asked for. */
function watched(engine: Engine, look: () => void): Engine {
  const exports = { ...engine.exports, invalidate: (...args: Parameters<Engine['exports']['invalidate']>) => {
    look();
    return engine.exports.invalidate(...args);
  } };
  return new Proxy(engine, { get: (target, key): unknown => {
    if (key === 'exports') return exports;
    const value: unknown = Reflect.get(target, key, target);
    return typeof value === 'function' ? (value.bind(target) as unknown) : value;
  } });
}

test('XSA-321: what is written into a table can be seen before the unit is told to look again', async () => {
  const { hypervisor, machine, guest } = await controlPlane();
  const seen: number[] = [];
  const saved = (hypervisor.iommu as IommuDriver).save();
  const driver: IommuDriver = new IommuDriver(watched(machine.engine, () => seen.push(driver.context(EDU)[0])), saved);
  driver.setTables(EDU, guest.slot + 1, 0x123);
  assert.equal([seen.length >= 2, [...new Set(seen)]], [true, [0x123001]]);
  seen.length = 0;
  driver.block(EDU);
  assert.equal([seen.length >= 2, [...new Set(seen)]], [true, [0]]);
});

test('XSA-346: a page is held until no table leads to it any more', async () => {
  const { machine, domain, write } = await guestMachine('guest-mapped');
  const { hypervisor, engine } = machine;
  const mfn = domain.p2m[7] as number;
  const give = (): number => hypervisor.decreaseReservation(domain.domid, [7]);
  assert.is(engine.exports.iommuOpMap(domain.slot, 5, mfn, 1, 3), OK);
  assert.is(write(5 * 4096, [1]), OK);
  assert.equal([give(), engine.exports.frameOwner(mfn)], [0, domain.domid]);
  assert.is(engine.exports.frameAssign(mfn, 0, 0), IN_USE);
  engine.exports.iommuOpUnmap(domain.slot, 5, 1);
  hypervisor.iommu?.flushDomain(domain.io?.did as number);
  assert.equal([write(5 * 4096, [1]), give()], [FAULT, 1]);
});

test('XSA-373: an invalidation that did not complete is never told as done', async () => {
  const { domctl, hypervisor, machine, guest, dma } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  const mfn = guest.p2m[6] as number;
  assert.is(dma(EDU, at(mfn)), OK);
  // a descriptor of no type: the queue stops there, until somebody looks after it
  assert.is.not(machine.engine.exports.invalidate(0xf, 0, 0, 0), OK);
  assert.is(codeOf(() => hypervisor.decreaseReservation(guest.domid, [6])), 'IOMMU_QUEUE');
  assert.equal([guest.p2m[6], machine.engine.exports.frameOwner(mfn)], [mfn, guest.domid], 'the page is not free');
  assert.is(codeOf(() => domctl.assignDevice(guest.domid, OTHER)), 'IOMMU_QUEUE');
});

test('XSA-390: a table has as many levels as the unit is told', async () => {
  const { domctl, hypervisor, guest, dma } = await controlPlane();
  domctl.assignDevice(guest.domid, EDU);
  const own = at(guest.p2m[6] as number);
  assert.is(dma(EDU, own), OK);
  // where tables of fewer levels would have the same entry: one bit at each level, and beyond the last
  for (const bit of [28, 30, 38, 39, 47]) assert.is(dma(EDU, own + 2 ** bit), FAULT, `bit ${bit}`);
  assert.is(dma(EDU, own + 2 ** 48), FAULT);
  assert.is((hypervisor.iommu as IommuDriver).context(EDU)[2] & 7, 2, '48 bits, four levels');
  assert.is(dma(EDU, own), OK);
});

test('XSA-399: a domain\'s id in the unit is free when the last of its devices has gone, and not before', async () => {
  const { domctl, hypervisor, guest, dma } = await controlPlane();
  const mine = at(guest.p2m[6] as number);
  for (const routing of [EDU, OTHER]) domctl.assignDevice(guest.domid, routing);
  const did = guest.io?.did;
  assert.equal([dma(EDU, mine), dma(OTHER, mine)], [OK, OK]);
  domctl.deassignDevice(guest.domid, OTHER);
  assert.equal([guest.io?.did, dma(EDU, mine), dma(OTHER, mine)], [did, OK, FAULT]);
  domctl.deassignDevice(guest.domid, EDU);
  assert.is(guest.io, undefined);
  // the id comes again, with nothing of the old tables
  hypervisor.decreaseReservation(guest.domid, [6]);
  domctl.assignDevice(guest.domid, EDU);
  assert.equal([guest.io?.did, dma(EDU, mine), dma(EDU, at(guest.p2m[7] as number))], [did, FAULT, OK]);
});

test('XSA-442: a device whose entry changes goes by the new one at once', async () => {
  const { domctl, hypervisor, guest, dma } = await controlPlane();
  const third = domctl.createDomain({ name: 'third', kind: 'pv', pages: 64, iommu: true });
  // a second device keeps the guest's tables as they are
  for (const routing of [EDU, OTHER]) domctl.assignDevice(guest.domid, routing);
  const [mine, its] = [at(guest.p2m[6] as number), at(third.p2m[6] as number)];
  assert.is(dma(EDU, mine), OK);
  domctl.deassignDevice(guest.domid, EDU);
  assert.is(dma(EDU, mine), FAULT);
  domctl.assignDevice(third.domid, EDU);
  assert.equal([dma(EDU, mine), dma(EDU, its), dma(OTHER, mine)], [FAULT, OK, OK]);
  assert.is(hypervisor.ownerOf(EDU), third.domid);
});

test('XSA-445: quarantine has tables of the unit\'s depth, and a page that shows nothing of before', async () => {
  const plane = await controlPlane({ commandLine: 'iommu=quarantine=scratch-page' });
  const { domctl, machine, guest } = plane;
  const { engine } = machine;
  const fn = machine.functionOf('0000:00:06.0');
  const scratch = engine.heap.take(64, 'the test');
  const addresses = [0, at(guest.p2m[3] as number), 0x7ffff000, 2 ** 39, 2 ** 47 + 0x123000];
  const run = (write: boolean): number[][] => addresses.map((bus) => {
    engine.exports.configWrite(fn, 4, 2, 6);
    engine.stateBytes(scratch, 8).fill(write ? 0x5e : 0x77);
    const call = write ? engine.exports.functionDmaWrite : engine.exports.functionDmaRead;
    return [call(fn, bus >>> 0, Math.floor(bus / 2 ** 32), 8, scratch), ...engine.stateBytes(scratch, 8)];
  });
  const zeros = addresses.map(() => [OK, 0, 0, 0, 0, 0, 0, 0, 0]);
  for (let round = 0; round < 2; round++) {
    domctl.assignDevice(DOM_IO, EDU);
    assert.equal(run(false), zeros);
    assert.equal(run(true).map(([status]) => status), addresses.map(() => OK));
    domctl.deassignDevice(DOM_IO, EDU);
  }
  assert.ok(engine.frame(guest.p2m[3] as number).every((byte) => byte === 0));
});

test.run();
