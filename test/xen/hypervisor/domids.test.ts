// Domain ids come in turn, and never one that means something else.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import { Hypervisor } from '../../../src/xen/hypervisor/hypervisor';

const test = suite('domain ids');

test('after 7fef comes the first that is free from 1 on, not DOMID_SELF', async () => {
  const machine = await Machine.create({ memory: '16MiB', dom0: { memory: '1MiB' }, devices: [] });
  machine.createDomain({ name: 'a', memory: '4KiB' });
  // as after so many domains
  const saved = { ...machine.hypervisor.save(), nextDomid: 0x7fef };
  const hypervisor = new Hypervisor(machine.engine, { iommu: false, seed: 1, scattered: true }, saved);
  const make = (): number => hypervisor.createDomain({ name: 'b', kind: 'pv', pages: 1 }).domid;
  assert.equal([make(), make(), make()], [0x7fef, 2, 3]);
  hypervisor.destroyDomain(2);
  assert.is(make(), 4, 'one that has ended is not had again at once');
});

test.run();
