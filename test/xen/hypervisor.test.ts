import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { State } from '../../assembly/spec/state';
import { Machine } from '../../src/machine/machine';
import type { Domain } from '../../src/xen/hypervisor/domain';
import { RangeSet } from '../../src/xen/hypervisor/rangeset';
import { EDU, OTHER_EDU, codeOf, guestMachine, mapper } from '../helpers/guest-machine';

const VTD_FRAME = 0xfed90;
const OK = 0;
const FAULT = 3;

const mappings = suite('what a domain may map');

mappings('a PV domain: not another\'s frame, not a table of the hypervisor, never the IOMMU, no I/O memory without the right', async () => {
  const one = await guestMachine('guest-mapped');
  const { hypervisor, dom0, engine } = one.machine;
  const { domid } = one.domain;
  const tables = (hypervisor.iommu as NonNullable<typeof hypervisor.iommu>).tables;
  for (const mfn of [dom0.p2m[1] as number, 0, tables.root, tables.interrupts, engine.frames - 1, VTD_FRAME, 0xf8000, 0xfee00, 0xe0000]) {
    assert.is(codeOf(() => hypervisor.updateVaMapping(domid, 0x80000, mfn, true)), 'EPERM', mfn.toString(16));
    assert.is(engine.exports.guestMapGet(one.domain.slot, 0x80000), 0);
  }
  hypervisor.iomemPermission(domid, VTD_FRAME, 1, true);
  assert.is(codeOf(() => hypervisor.updateVaMapping(domid, 0x80000, VTD_FRAME, true)), 'EPERM', 'the IOMMU, whatever the rights');
  const bar = one.machine.barAddress(EDU, 0) / 4096;
  hypervisor.updateVaMapping(domid, 0x80000, bar, true);
  assert.is(engine.exports.guestLoad(one.domain.slot, 0x80000000, 0, 4), 0x010000ed);
  const other = one.machine.barAddress(OTHER_EDU, 0) / 4096;
  assert.is(codeOf(() => hypervisor.updateVaMapping(domid, 0x80001, other, true)), 'EPERM', 'the device of another');
});

mappings('an HVM domain: the same, by memory_mapping', async () => {
  const one = await guestMachine('own-frames', { type: 'hvm' });
  const { hypervisor, engine } = one.machine;
  const { domid, slot } = one.domain;
  const bar = one.machine.barAddress(EDU, 0) / 4096;
  assert.is(codeOf(() => hypervisor.memoryMapping(domid, 0x80000, bar - 1, 2, true)), 'EPERM');
  hypervisor.iomemPermission(domid, VTD_FRAME - 1, 3, true);
  for (const [first, count] of [[VTD_FRAME, 1], [VTD_FRAME - 1, 3], [VTD_FRAME - 1, 2]] as const) {
    assert.is(codeOf(() => hypervisor.memoryMapping(domid, 0x80000, first, count, true)), 'EPERM');
  }
  assert.is(engine.exports.guestMapGet(slot, 0x80000), 0);
  hypervisor.memoryMapping(domid, 0x80000, bar, 1, true);
  assert.is(engine.exports.guestLoad(slot, 0x80000000, 0, 4), 0x010000ed);
  hypervisor.memoryMapping(domid, 0x80000, bar, 1, false);
  assert.is(engine.exports.guestLoad(slot, 0x80000000, 0, 4), -1);
});

mappings('a right to ports takes effect at the next access, both ways', async () => {
  const one = await guestMachine('guest-mapped');
  const { hypervisor, engine } = one.machine;
  const read = (): number => {
    engine.exports.guestIn(one.domain.slot, 0xcf8, 4);
    return engine.status;
  };
  assert.is(read(), 1);
  hypervisor.ioportPermission(one.domain.domid, 0xcf8, 8, true);
  assert.is(read(), OK);
  hypervisor.ioportPermission(one.domain.domid, 0xcfb, 1, false);
  assert.is(read(), 1);
  assert.is(codeOf(() => hypervisor.ioportPermission(one.domain.domid, 0xffff, 2, true)), 'EINVAL');
  assert.is(codeOf(() => hypervisor.ioportPermission(99, 0, 1, true)), 'ESRCH');
});

mappings.run();

const assignment = suite('assigning a device');

assignment('one that is assigned, unknown, or translated otherwise is refused', async () => {
  const one = await guestMachine('guest-mapped');
  const { hypervisor } = one.machine;
  const other = one.machine.createDomain({ name: 'b', memory: '1MiB' });
  assert.is(codeOf(() => hypervisor.assignDevice(other.domid, 0x30, 'guest-mapped')), 'EBUSY');
  assert.is(codeOf(() => hypervisor.assignDevice(other.domid, 0x99, 'guest-mapped')), 'ENODEV');
  assert.is(codeOf(() => hypervisor.assignDevice(one.domain.domid, 0x38, 'pass-through')), 'EINVAL');
  assert.is(codeOf(() => hypervisor.assignDevice(other.domid, 0x38, 'none')), 'EINVAL');
  assert.is(codeOf(() => hypervisor.deassignDevice(other.domid, 0x30)), 'ENODEV');
  const without = await Machine.create({ memory: '8MiB', dom0: { memory: '1MiB' }, devices: [{ model: 'edu', bdf: EDU }] });
  assert.is(codeOf(() => without.assign(EDU, without.dom0, 'own-frames')), 'EINVAL');
});

assignment('a device that nobody has reaches nothing, behind an IOMMU', async () => {
  const machine = await Machine.create({ memory: '8MiB', dom0: { memory: '1MiB' }, iommu: 'vtd', devices: [{ model: 'edu', bdf: EDU }] });
  const { engine } = machine;
  const fn = machine.functionOf(EDU);
  engine.exports.configWrite(fn, 4, 2, 6);
  const scratch = engine.heap.take(64, 'the test');
  assert.is(engine.exports.functionDmaWrite(fn, 0x10000, 0, 4, scratch), FAULT);
  // its bus has a table, and in it nothing for the device
  assert.is(machine.hypervisor.iommu?.takeFaults()[0]?.reason, 0x02);
});

assignment('own frames: all of them, at the machine address for PV, at the guest address for HVM, and no other', async () => {
  for (const type of ['pv', 'hvm'] as const) {
    const one = await guestMachine('own-frames', { type });
    const { p2m } = one.domain;
    const frame = (pfn: number): number => (type === 'hvm' ? pfn : p2m[pfn] as number) * 4096;
    for (const pfn of [0, 1, 777, p2m.length - 1]) {
      assert.is(one.write(frame(pfn) + 4, [pfn & 0xff]), OK);
      assert.is(one.machine.engine.frame(p2m[pfn] as number)[4], pfn & 0xff);
    }
    const foreign = type === 'hvm' ? p2m.length : one.machine.dom0.p2m[1] as number;
    assert.is(one.write(foreign * 4096, [1]), FAULT);
  }
});

assignment('taken away, the device reaches nothing and its registers are out of reach', async () => {
  const one = await guestMachine('guest-mapped');
  const dma = mapper(one, 'strict');
  const va = one.guest.allocPages(1);
  const bus = dma.map(va, 64, 3);
  const bar = one.guest.ioremap(one.machine.barAddress(EDU, 0), 4096);
  one.guest.enableMsi(0x30);
  assert.equal([one.write(bus, [1]), one.guest.load(bar, 4)], [OK, 0x010000ed]);
  one.machine.unassign(EDU, one.domain);
  assert.is(one.guest.load(bar, 4), 0xffffffff);
  assert.is(codeOf(() => one.guest.ioremap(one.machine.barAddress(EDU, 0), 4096)), 'EPERM');
  one.machine.engine.exports.configWrite(one.fn, 0x04, 2, 6);
  assert.is(one.write(bus, [2]), FAULT);
  assert.is(one.machine.engine.exports.frameRefs(one.domain.p2m[va / 4096] as number), 0);
  assert.is(codeOf(() => one.guest.config(0x30)), 'ENODEV');
});

assignment('faults are taken oldest first, all of them, and cleared', async () => {
  const one = await guestMachine('guest-mapped');
  const iommu = one.machine.hypervisor.iommu as NonNullable<typeof one.machine.hypervisor.iommu>;
  for (let n = 0; n < 6; n++) one.write(n * 4096, [1]);
  assert.equal(iommu.takeFaults().map(({ iova }) => iova), [0, 1, 2, 3, 4, 5].map((n) => n * 4096));
  for (let n = 6; n < 12; n++) one.read(n * 4096, 1);
  assert.equal(iommu.takeFaults().map(({ iova, access, reason, requester }) => [iova, access, reason, requester]),
    [6, 7, 8, 9, 10, 11].map((n) => [n * 4096, 'read', 6, 0x30]));
  assert.equal(iommu.takeFaults(), []);
  for (let n = 0; n < 20; n++) one.write(n * 4096, [1]);
  assert.is(iommu.takeFaults().length, 8, 'the others were lost');
  one.write(0, [1]);
  assert.is(iommu.takeFaults().length, 1, 'and recording goes on');
});

assignment.run();

const interrupts = suite('interrupts of devices');

/** A message as the device would send it, into the interrupt window. */
function send(machine: Machine, fn: number, address: number, data: number): number {
  const { engine } = machine;
  const scratch = engine.heap.take(64, 'the test');
  engine.setWord(scratch, data);
  const status = engine.exports.functionDmaWrite(fn, address | 0, 0, 4, scratch);
  engine.heap.give(scratch, 64);
  return status;
}

interrupts('a message reaches the event of the domain that has the device', async () => {
  const one = await guestMachine('guest-mapped');
  const { port } = one.guest.enableMsi(0x30);
  assert.is(one.guest.takeEvent(port), false);
  one.machine.engine.exports.registerWrite(one.fn, 0, 0x60, 4, 1, 0);
  one.machine.run();
  assert.is(one.guest.takeEvent(port), true);
  assert.is(one.guest.takeEvent(port), false);
});

interrupts('of another device through the same entry are blocked', async () => {
  const one = await guestMachine('guest-mapped');
  const binding = one.machine.hypervisor.bindMsi(one.domain.domid, 0x30);
  const other = one.machine.functionOf(OTHER_EDU);
  one.machine.engine.exports.configWrite(other, 4, 2, 6);
  assert.is(send(one.machine, one.fn, binding.address, binding.data), OK);
  one.machine.run();
  assert.is(one.guest.takeEvent(binding.port), true);
  assert.is(send(one.machine, other, binding.address, binding.data), FAULT);
  one.machine.run();
  assert.is(one.guest.takeEvent(binding.port), false);
  const fault = one.machine.hypervisor.iommu?.takeFaults()[0];
  assert.equal([fault?.access, fault?.reason, fault?.requester], ['interrupt', 0x26, 0x38]);
  assert.is(codeOf(() => one.machine.hypervisor.bindMsi(one.domain.domid, 0x38)), 'ENODEV', 'not its device');
});

interrupts('a vector is never given twice, also after a domain has gone', async () => {
  const one = await guestMachine('guest-mapped');
  const { hypervisor } = one.machine;
  const other = one.machine.createDomain({ name: 'b', memory: '1MiB' });
  one.machine.assign(OTHER_EDU, other, 'guest-mapped');
  hypervisor.bindMsi(one.domain.domid, 0x30);
  const kept = hypervisor.bindMsi(other.domid, 0x38);
  const stale = hypervisor.bindMsi(one.domain.domid, 0x30);
  hypervisor.destroyDomain(one.domain.domid);
  const third = one.machine.createDomain({ name: 'c', memory: '1MiB' });
  one.machine.assign(EDU, third, 'guest-mapped');
  const fresh = [1, 2, 3].map(() => hypervisor.bindMsi(third.domid, 0x30));
  assert.is(new Set([kept.vector, ...fresh.map(({ vector }) => vector)]).size, 4);
  // the device's old message is dead until it is bound anew: entry numbers may come again, the target is the new one
  one.machine.engine.exports.configWrite(one.fn, 4, 2, 6);
  send(one.machine, one.fn, stale.address, stale.data);
  one.machine.run();
  assert.is(one.machine.guest(other).takeEvent(kept.port), false);
});

interrupts('the entries of a device that was taken away are free, and dead', async () => {
  const one = await guestMachine('guest-mapped');
  const { hypervisor } = one.machine;
  for (let round = 0; round < 40; round++) {
    const bindings = Array.from({ length: 10 }, () => hypervisor.bindMsi(one.domain.domid, 0x30));
    one.machine.unassign(EDU, one.domain);
    one.machine.assign(EDU, one.domain, 'guest-mapped');
    one.machine.engine.exports.configWrite(one.fn, 4, 2, 6);
    assert.is(send(one.machine, one.fn, bindings[3]?.address as number, 0), FAULT);
    assert.is(hypervisor.iommu?.takeFaults()[0]?.reason, 0x22);
  }
});

interrupts.run();

const life = suite('the life of a domain');

/** What a domain could leave behind. */
function totals(machine: Machine): number[] {
  const { engine } = machine;
  let owned = 0;
  let held = 0;
  for (let mfn = 0; mfn < engine.frames; mfn++) {
    if (engine.exports.frameOwner(mfn) !== 0xffff) owned++;
    held += engine.exports.frameRefs(mfn);
  }
  return [machine.hypervisor.freePages, owned, held, engine.word(State.PAGES_FREE), engine.word(State.TABLE_FRAMES_FREE),
    machine.hypervisor.domains.length];
}

life('destroyed, it gives everything back', async () => {
  const machine = await Machine.create({
    memory: '32MiB', dom0: { memory: '2MiB' }, iommu: 'vtd', devices: [{ model: 'edu', bdf: EDU }, { model: 'edu', bdf: OTHER_EDU }],
  });
  // the context table of bus 0 is made once
  const first = machine.createDomain({ name: 'first', memory: '1MiB' });
  machine.assign(EDU, first, 'pass-through');
  machine.hypervisor.destroyDomain(first.domid);
  const before = totals(machine);
  for (const translation of ['pass-through', 'own-frames', 'guest-mapped'] as const) {
    for (const type of ['pv', 'hvm'] as const) {
      const domain: Domain = machine.createDomain({ name: 'd', memory: '8MiB', type });
      machine.assign(EDU, domain, translation);
      machine.assign(OTHER_EDU, domain, translation);
      const guest = machine.guest(domain);
      guest.ioremap(machine.barAddress(EDU, 0), 0x100000);
      guest.enableMsi(0x30);
      if (translation === 'guest-mapped') {
        for (let i = 0; i < 50; i++) {
          assert.is(machine.engine.exports.iommuOpMap(domain.slot, i * 0x12345, domain.p2m[i + 1] as number, 1, 3), OK);
        }
      }
      machine.hypervisor.destroyDomain(domain.domid);
      assert.equal(totals(machine), before, `${translation}, ${type}`);
      assert.is(codeOf(() => machine.hypervisor.domain(domain.domid)), 'ESRCH');
    }
  }
});

life('its memory is zeroed for the next one, which no device of the old one reaches', async () => {
  const one = await guestMachine('own-frames');
  const { machine, domain } = one;
  for (const mfn of domain.p2m) machine.engine.frame(mfn).fill(0x66);
  const bus = (domain.p2m[5] as number) * 4096;
  assert.is(one.write(bus, [1]), OK);
  machine.hypervisor.destroyDomain(domain.domid);
  const next = machine.createDomain({ name: 'next', memory: '8MiB' });
  for (const mfn of next.p2m) assert.ok(machine.engine.frame(mfn).every((byte) => byte === 0));
  machine.engine.exports.configWrite(one.fn, 4, 2, 6);
  for (const mfn of next.p2m) assert.is(one.write(mfn * 4096, [1]), FAULT);
});

life('too much memory and too many domains are refused by name, and leave nothing behind', async () => {
  const machine = await Machine.create({ memory: '8MiB', dom0: { memory: '1MiB' } });
  const before = totals(machine);
  assert.is(codeOf(() => machine.createDomain({ name: 'x', memory: '64MiB' })), 'ENOMEM');
  assert.is(codeOf(() => machine.createDomain({ name: 'x', memory: '8' })), 'BAD_SIZE');
  assert.equal(totals(machine), before);
  for (let i = 0; i < 7; i++) machine.createDomain({ name: `d${i}`, memory: '64KiB' });
  const full = totals(machine);
  assert.is(codeOf(() => machine.createDomain({ name: 'x', memory: '64KiB' })), 'ENOMEM');
  assert.equal(totals(machine), full);
});

life('frames are scattered, differently for another seed, equally for an equal one', async () => {
  const p2m = async (seed: number): Promise<string> => {
    const machine = await Machine.create({ memory: '8MiB', dom0: { memory: '1MiB' }, seed });
    return machine.dom0.p2m.join();
  };
  assert.is(await p2m(5), await p2m(5));
  assert.is.not(await p2m(5), await p2m(6));
});

life.run();

const ranges = suite('range sets');

ranges('add and remove agree with a plain set', () => {
  const set = new RangeSet();
  const plain = new Set<number>();
  let x = 3;
  for (let i = 0; i < 3000; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    const first = (x >>> 4) % 60;
    const last = first + (x >>> 16) % 6;
    for (let n = first; n <= last; n++) {
      if (x & 1) plain.add(n);
      else plain.delete(n);
    }
    if (x & 1) set.add(first, last);
    else set.remove(first, last);
    const [a, b] = [(x >>> 8) % 60, (x >>> 8) % 60 + (x >>> 20) % 4];
    assert.is(set.has(a, b), Array.from({ length: b - a + 1 }, (_, n) => plain.has(a + n)).every(Boolean));
  }
  for (const [i, [low, high]] of set.ranges.entries()) {
    assert.ok(low <= high);
    if (i > 0) assert.ok(low > (set.ranges[i - 1] as readonly [number, number])[1] + 1, 'neighbours are joined');
  }
});

ranges.run();
