// Any order of domctl, physdev and event channel operations by anybody: what is refused changes nothing, a function has one
// owner whose tables it goes through, rights are where they were given, and when all is over nothing is left.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { difference } from '../../../src/machine/digest';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { HypercallError } from '../../../src/xen/hypervisor/errors';
import { Physdev } from '../../../src/xen/hypervisor/physdev';
import { DOM_IO, EDU, EXPRESS, NIC, OTHER, type ControlPlane, controlPlane } from '../../helpers/control-plane';

function numbers(seed: number): (below: number) => number {
  let x = seed >>> 0;
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor(x / 2 ** 32 * below);
  };
}

/** One operation, by the first domain mostly. */
function step(plane: ControlPlane, next: (below: number) => number, living: number[]): void {
  const { hypervisor, barFrame } = plane;
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  const domid = pick([...living, ...living, 0, DOM_IO, 77]);
  const caller = next(5) === 0 ? pick(living) : 0;
  const [domctl, physdev] = [new Domctl(hypervisor, caller), new Physdev(hypervisor, caller)];
  const routing = pick([NIC, EXPRESS, EDU, OTHER, 0x99]);
  const on = next(2) === 0;
  const pirq = pick([-1, 16, 20, 21, 22, 53, 54, 55, 56]);
  const allow = next(3) > 0;
  const operations: Array<() => unknown> = [
    () => domctl.assignDevice(domid, routing), () => domctl.assignDevice(pick(living), routing), () => domctl.assignDevice(DOM_IO, routing),
    () => domctl.deassignDevice(domid, routing), () => domctl.deassignDevice(hypervisor.ownerOf(routing), routing),
    () => domctl.testAssignDevice(routing, domid),
    () => domctl.iomemPermission(domid, barFrame(pick([NIC, EXPRESS, EDU])) + next(4), 1 + next(20), allow),
    () => domctl.ioportPermission(domid, pick([0xc000, 0xcf0, 0xcf8, 0x20]), 1 + next(16), allow),
    () => domctl.irqPermission(domid, pirq, allow),
    () => physdev.mapPirq({ domid, type: 'gsi', index: pick([-1, 0, 20, 21, 22, 23, 24]), pirq }),
    () => physdev.mapPirq({ domid, type: 'msi', index: -1, pirq: pick([-1, -1, pirq]), routing }),
    () => physdev.mapPirq({ domid: hypervisor.ownerOf(routing), type: 'msi', index: -1, pirq: -1, routing, entry: next(6), tableBase: on ? 1 : 0 }),
    () => physdev.unmapPirq(domid, pirq), () => physdev.prepareMsix(routing), () => physdev.releaseMsix(routing),
    () => physdev.restoreMsi(routing), () => physdev.eoi(pirq),
    () => hypervisor.events.bindPirq(pick(living), pirq, next(2)), () => hypervisor.events.close(pick(living), 1 + next(5)),
    () => hypervisor.updateVaMapping(pick(living), 0x80000 + next(8), barFrame(pick([NIC, EXPRESS, EDU]), 0) + next(4), on),
    () => domctl.pauseDomain(domid), () => domctl.unpauseDomain(domid), () => domctl.shutdownDomain(domid, next(8)),
    () => hypervisor.exchange(pick(living), {
      frames: [hypervisor.domain(living[0] as number).p2m[5] as number], order: 0, pages: [5], newOrder: 0, addressBits: pick([0, 20, 32]),
    }),
  ];
  pick(operations)();
}

function check(plane: ControlPlane): void {
  const { hypervisor } = plane;
  for (const routing of [NIC, EXPRESS, EDU, OTHER]) {
    const holders = hypervisor.domains.filter(({ assigned }) => assigned.has(routing)).map(({ domid }) => domid);
    const owner = hypervisor.ownerOf(routing);
    assert.equal(holders, owner === DOM_IO ? [] : [owner], 'one owner');
    const [low, , high] = hypervisor.iommu?.context(routing) as number[] as [number, number, number];
    assert.is(low & 1, owner === DOM_IO ? 0 : 1);
    if (owner !== DOM_IO) assert.is(high >>> 8, (hypervisor.domain(owner).io as { did: number }).did, 'translated as its owner\'s');
  }
  for (const { domid, pirq, irq, routing } of hypervisor.messages.list()) {
    assert.is(hypervisor.ownerOf(routing), domid, 'a message is the owner\'s');
    assert.is(hypervisor.pirqs.irqOf(hypervisor.domain(domid), pirq), irq);
  }
  for (const domain of hypervisor.domains) {
    const lines = [...domain.pirqs.values()];
    assert.is(new Set(lines).size, lines.length, 'a line has one number');
    if (domain.domid === 0) continue;
    assert.is(domain.ioport.has(0xcf8, 0xcf8), false);
    for (const mfn of [0xfee00, 0xfed90, 0xfec00]) assert.is(domain.iomem.has(mfn, mfn), false);
  }
}

test('nothing is changed by what is refused, nothing is had twice, nothing is left', async () => {
  let [done, refused] = [0, 0];
  for (let seed = 1; seed <= 6; seed++) {
    const plane = await controlPlane();
    const { hypervisor, machine, domctl, guest, plain, configWrite } = plane;
    for (const routing of [NIC, EXPRESS, EDU, OTHER]) configWrite(routing, 4, 2, 2);
    domctl.destroyDomain(guest.domid);
    domctl.destroyDomain(plain.domid);
    const initial = machine.digest();
    const next = numbers(seed);
    const living = ['a', 'b'].map((name) => domctl.createDomain({ name, kind: 'pv', pages: 64, iommu: name === 'a' || next(2) === 0 }).domid);
    let before = machine.digest();
    for (let i = 0; i < 120; i++) {
      let what: string | undefined;
      try {
        step(plane, next, living);
        done++;
      } catch (error) {
        if (!(error instanceof HypercallError)) throw error;
        what = error.message;
        refused++;
      }
      const after = machine.digest();
      if (what !== undefined) assert.equal(difference(before, after), [], `seed ${seed}, step ${i}: ${what}`);
      before = after;
      check(plane);
    }
    for (const domid of living) domctl.destroyDomain(domid);
    for (const routing of [NIC, EXPRESS, EDU, OTHER]) {
      for (const { domid, pirq, routing: of } of hypervisor.vectors) if (of === routing) new Physdev(hypervisor, 0).unmapPirq(domid, pirq);
      if (hypervisor.ownerOf(routing) === DOM_IO) domctl.deassignDevice(DOM_IO, routing);
    }
    if (hypervisor.messages.prepared().length > 0) new Physdev(hypervisor, 0).releaseMsix(EXPRESS);
    // the rights of dom0, which it may give up, and what devices have in their config spaces
    const after = machine.digest();
    const rest = difference(initial, after).filter((line) => !/^(rights: domain 0|ports: domain 0|config: |interrupts: domain 0)/.test(line));
    assert.equal(rest, [], `seed ${seed}`);
  }
  assert.ok(done > 150 && refused > 150, `${done} done, ${refused} refused`);
});

test.run();
