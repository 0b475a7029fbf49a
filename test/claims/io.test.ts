// Passthrough I/O goes past the first domain: over 100,000 packets nothing is asked of it, told to it, or touched by it.
// Each of the counters has a test that it counts.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
import type { Counters } from '../../src/engine/counters';
import {
  backendOf, codeOf, countAccesses, EXPRESS, type Given, given, hashOf, NIC, sharedFrame,
} from '../helpers/claims';

const test = suite('passthrough I/O');

const PACKETS = 100_000;

interface Reading {
  /** Operations on the shared page: asked for by the front end, and served by the back end. */
  asked: number;
  served: number;
  /** Events raised for the first domain, hypercalls that it made. */
  events: number;
  hypercalls: number;
  /** How often any code of the first domain ran, and how often it accessed memory or ports through the engine. */
  turns: number;
  accesses: number;
  grants: number;
  memory: string;
  shared: string;
  counters: Counters;
}

function reader(one: Given): () => Reading {
  const { machine, domain, front } = one;
  const { dom0, engine, hypervisor, xen } = machine;
  const accesses = countAccesses(machine, dom0);
  return () => {
    const counters = engine.counters();
    return {
      asked: front.operations, served: backendOf(machine).exports[0]?.server?.served ?? -1,
      ...hypervisor.countsOf(0), turns: xen.scheduler.turns(0), accesses: accesses(),
      grants: counters.grantMaps + counters.grantUnmaps + counters.grantCopies,
      memory: hashOf(machine, dom0), shared: Buffer.from(engine.frame(sharedFrame(machine, domain))).toString('hex'), counters,
    };
  };
}

/** What differs, of all that concerns the first domain. */
function deltas(before: Reading, after: Reading): Record<string, number | string> {
  const names = ['asked', 'served', 'events', 'hypercalls', 'turns', 'accesses', 'grants'] as const;
  return {
    ...Object.fromEntries(names.map((name) => [name, after[name] - before[name]])),
    memory: before.memory === after.memory ? 'the same' : 'another', shared: before.shared === after.shared ? 'the same' : 'another',
  };
}

const NOTHING = {
  asked: 0, served: 0, events: 0, hypercalls: 0, turns: 0, accesses: 0, grants: 0, memory: 'the same', shared: 'the same',
};

/** 100,000 packets come in at the guest's card and go out again, compared with what was sent. */
function traffic({ machine, kernel }: Given, bdf: string): void {
  const link = machine.link(bdf);
  link.plugStore(generateStore('claims', 'imix', 256, 7), true);
  const before = kernel.activity[0]?.nic?.interrupts ?? 0;
  for (let left = PACKETS; left > 0; left -= 10_000) {
    link.offer(10_000);
    machine.run(1e9);
  }
  const { checked, mismatches } = link.status();
  assert.equal([checked, mismatches], [PACKETS, 0], 'all of them came through, each byte as it was');
  assert.ok((kernel.activity[0]?.nic?.interrupts ?? 0) > before, 'by interrupts of the guest\'s own');
}

test('100,000 packets by messages (e1000e): no pciif operation, no event to dom0, no hypercall of it, no byte touched by it', async () => {
  const one = await given('e1000e', [EXPRESS]);
  const { machine, domain, front } = one;
  const read = reader(one);
  const before = read();
  const ofGuest = machine.hypervisor.countsOf(domain.domid);
  traffic(one, EXPRESS);
  const after = read();
  assert.equal(deltas(before, after), NOTHING);
  assert.ok(after.counters.dmaWriteBytes - before.counters.dmaWriteBytes > PACKETS * 60, 'the device did DMA');
  assert.ok(after.counters.translations - before.counters.translations > PACKETS, 'through the IOMMU');
  assert.is(after.counters.faults, before.counters.faults);
  assert.ok(machine.hypervisor.countsOf(domain.domid).events > ofGuest.events, 'its interrupts are events of the guest');
  // the counters count: one look at config space
  assert.is(front.readConfig(front.devices[0]?.routing ?? -1, 0, 2).code, 0);
  const { turns, ...looked } = deltas(after, read());
  assert.equal(looked, { ...looked, asked: 1, served: 1, events: 1, hypercalls: 1, shared: 'another' });
  assert.ok(turns as number > 0);
});

test('100,000 packets by a legacy line (e1000): dom0\'s fake handler is told of each interrupt and ends it, and that is all', async () => {
  const one = await given('e1000', [NIC]);
  const read = reader(one);
  const before = read();
  traffic(one, NIC);
  const { events, hypercalls, turns, ...rest } = deltas(before, read());
  assert.equal(rest, { asked: 0, served: 0, accesses: 0, grants: 0, memory: 'the same', shared: 'the same' });
  assert.ok(events as number > 0, 'the line is bound in both domains');
  assert.equal([hypercalls, turns], [events, events], 'a PHYSDEVOP_eoi for each');
});

test('a legacy line whose fake handler was turned off: dom0 lets it go as nobody\'s, and then nothing is left', async () => {
  const one = await given('e1000', [NIC]);
  const { machine } = one;
  machine.sysfs.write('/sys/bus/pci/drivers/pciback/irq_handler_state', NIC);
  traffic(one, NIC);
  assert.ok(machine.xen.kernel.log.some((line) => line === 'irq 20: nobody cared'), machine.xen.kernel.log.slice(-3).join('\n'));
  const read = reader(one);
  const before = read();
  traffic(one, NIC);
  assert.equal(deltas(before, read()), NOTHING);
});

test('a byte that flips on the wire is found: the bytes are compared', async () => {
  const { machine } = await given('e1000', [NIC]);
  const link = machine.link(NIC);
  link.plugStore(generateStore('claims', 'imix', 64, 7), true);
  link.corrupt(123, 40);
  link.offer(500);
  machine.run(1e9);
  const { checked, mismatches, firstMismatch } = link.status();
  assert.equal([checked, mismatches, firstMismatch], [500, 1, 123]);
});

test('the counters of dom0 count what dom0 itself does: its driver, and its memory', async () => {
  const one = await given('e1000', [NIC]);
  const { machine } = one;
  const read = reader(one);
  const before = read();
  // dom0's own card sends and receives
  machine.link(EXPRESS).plugStore(generateStore('claims', 'imix', 64, 7), true);
  machine.link(EXPRESS).offer(100);
  machine.run(1e9);
  const worked = deltas(before, read());
  assert.ok((worked['turns'] as number) > 0);
  assert.ok((worked['events'] as number) > 0);
  assert.is(worked['memory'], 'another');
  assert.is(worked['asked'], 0);
  const then = read();
  const dom0 = machine.guest(machine.dom0);
  dom0.store(dom0.allocPages(1), 4, 1);
  const stored = deltas(then, read());
  assert.is(stored['accesses'], 1);
  assert.is(stored['memory'], 'another');
});

test('the shared page is the guest\'s frame from the first to the last, and dom0 maps it by its grant', async () => {
  const one = await given('e1000', [NIC]);
  const { machine, domain } = one;
  const { exports } = machine.engine;
  const frame = sharedFrame(machine, domain);
  const check = (when: string): void => assert.is(exports.frameOwner(frame), domain.domid, when);
  const mapped = (): number[] => machine.hypervisor.grants.mapped(machine.dom0).map(({ mfn }) => mfn);
  check('connected');
  assert.ok(domain.p2m.includes(frame), 'it stays one of the guest\'s pages');
  assert.ok(mapped().includes(frame));
  const link = machine.link(NIC);
  link.plugStore(generateStore('claims', 'imix', 64, 7), true);
  for (let i = 0; i < 10; i++) {
    link.offer(100);
    machine.run(1e8);
    one.front.readConfig(0, 0, 4);
    check(`round ${i}`);
  }
  for (let i = 0; i < 3; i++) {
    machine.xl(['pci-detach', 'g', NIC]);
    check(`detached ${i}`);
    machine.xl(['pci-attach', 'g', NIC]);
    machine.run(1e9);
    assert.is(exports.frameOwner(sharedFrame(machine, domain)), domain.domid, `attached ${i}`);
  }
  // it would be seen: a frame that goes back is nobody's
  const spare = domain.p2m.at(-10) as number;
  assert.is(machine.hypervisor.decreaseReservation(domain.domid, [domain.p2m.length - 10]), 1);
  assert.is.not(exports.frameOwner(spare), domain.domid);
  assert.is(codeOf(() => machine.hypervisor.updateVaMapping(0, 0x90000, frame, true)), 'EPERM', 'dom0 reaches it by the grant alone');
});

test.run();
