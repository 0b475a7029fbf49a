// Either end dies at any step of a whole life, and nothing of it is left: no mapping, port, grant, page, device.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Digest, difference } from '../../../src/machine/digest';
import type { Machine } from '../../../src/machine/machine';
import { PciSplit } from '../../helpers/pci-split';
import { xenDomains } from '../../helpers/xen-domains';

type Front = NonNullable<PciSplit['pcifront']>;

/** A life: two devices, a third that comes and goes, power-off. */
function* life(split: PciSplit): Generator<void> {
  split.addFirst('0000:00:04.0');
  yield;
  split.addBeforeStart(1, '0000:00:06.0');
  yield;
  split.boot();
  yield;
  split.plug(2, '0000:00:07.0');
  yield;
  split.unplug(0);
  yield;
  split.scheduler.spawn('shutdown', split.domid, (split.pcifront as Front).shutdown());
  yield;
}

/** What dies. The toolstack takes the directories away afterwards. */
const DEATHS: Record<string, (split: PciSplit) => void> = {
  'the domain': (split) => split.destroy(),
  'the front end\'s driver': (split) => {
    if (split.pcifront) split.frontBus.unregister(split.pcifront);
  },
  'the back end\'s driver': (split) => {
    if (split.backend) split.backBus.unregister(split.backend);
  },
  'the directories': (split) => {
    if (split.read(split.back) !== undefined) split.removeDirectories();
  },
  'the guest\'s kernel, without a word': (split) => split.domU?.stop(),
  'the front end\'s directory, by the guest': (split) => {
    if (split.domU !== undefined && split.read(split.front) !== undefined) split.domU.store.rm(split.front);
  },
};

/**
 * Lives until `steps` changes have been seen, a hundred config reads counting as one; then `kill`, in whatever is under
 * way, and the toolstack takes away what is left. Whether it came so far.
 */
function die(machine: Machine, before: Digest, steps: number, kill: (split: PciSplit) => void): boolean {
  const split = PciSplit.on(machine);
  split.record();
  let killed = false;
  split.scheduler.spawn('death', 0, (function* death() {
    yield { until: () => split.trace.length + (split.pcifront?.reads ?? 0) / 100 >= steps };
    kill(split);
    killed = true;
  })());
  for (const _ of life(split)) {
    split.scheduler.pass(1);
    if (killed) break;
  }
  // longer than any time-out of either end
  split.scheduler.pass(600e9);
  for (const path of [split.back, split.front]) if (split.read(path) !== undefined) split.tool.rm(path);
  split.scheduler.settle();
  const step = `step ${steps}`;
  assert.equal(split.stub.seized.map(({ owner }) => owner), [undefined, undefined, undefined], step);
  assert.equal(machine.hypervisor.grants.mapped(machine.dom0), [], step);
  if (machine.hypervisor.domains.includes(split.domain)) split.destroy();
  split.scheduler.settle();
  assert.equal(split.scheduler.jobs().length, killed ? 0 : 1, step);
  split.backBus.stop();
  split.dom0.stop();
  assert.equal(difference(before, machine.digest()), [], step);
  return killed;
}

const death = suite('death');

for (const [name, kill] of Object.entries(DEATHS)) {
  death(`of ${name} at each step`, async () => {
    const { machine } = await xenDomains();
    const before = machine.digest();
    let steps = 0;
    while (die(machine, before, steps, kill)) steps++;
    assert.is(steps > 60, true, `only ${steps} steps`);
  });
}

death('a guest that goes on cleanly keeps no page, grant or port', async () => {
  const split = await PciSplit.create();
  const before = split.machine.digest();
  split.connect();
  split.plug(2, '0000:00:07.0');
  split.scheduler.settle();
  split.unplug(1);
  split.scheduler.settle();
  split.removeDirectories();
  split.scheduler.settle();
  assert.equal([split.pages.length, split.grants.used.length], [0, 0]);
  assert.equal(difference(before, split.machine.digest()), []);
});

death.run();
