// What does receiving a packet cost under each mapping policy, against C and against two engines in JavaScript?
import { ask, atLeast, atMost, bench, fail, plainReport, type Question, type Target, variant } from './harness';
import { ReceiveRing as IdiomaticRing } from './javascript/idiomatic';
import { ReceiveRing as TunedRing } from './javascript/tuned';
import { receiveMachine } from './machines';
import { countersBetween } from '../src/engine/index';
import { provenTwin } from './native/twin';

const POLICIES = ['none', 'bypass', 'static', 'strict', 'lazy'] as const;
/** Of C, at 64 bytes: no IOMMU, IOTLB hit, map and unmap with each packet. */
const OF_C: Partial<Record<(typeof POLICIES)[number], number>> = { none: 1.6, static: 1.4, strict: 1.3 };
/** Packets after which all must have the same bytes in the buffers, the same sum of first dwords, the same counts. */
const PROOF = 3000;

async function measure(len: number, policy: (typeof POLICIES)[number]): Promise<void> {
  const machine = await receiveMachine(policy, len);
  const { engine } = machine;
  const args = (n: number): number[] => [...machine.args, n];
  const own = (n: number): number => engine.exports.receiveRun(...machine.args, n);
  const idiomatic = new IdiomaticRing(policy, machine.frames);
  const tuned = new TunedRing(policy, machine.frames);

  const twin = await provenTwin(engine, 'receive', args, own, PROOF);
  // what the set-up of the machine did is not the twins'
  const counters = countersBetween(machine.before, engine.counters());
  for (const [name, ring] of [['idiomatic', idiomatic], ['tuned', tuned]] as const) {
    ring.run(PROOF);
    if (ring.sum(len) !== machine.sum()) fail(`${name} JavaScript ends with other bytes, ${policy}`);
    for (const [counter, value] of Object.entries(ring.counters())) {
      const expected = counters[counter as keyof typeof counters];
      if (value !== expected) fail(`${name} JavaScript counts ${value} ${counter}, the engine ${expected}, ${policy}`);
    }
  }
  const ours = variant('engine', own);
  const inIdiomatic = variant('idiomatic JavaScript', (n) => idiomatic.run(n));
  const inTuned = variant('tuned JavaScript', (n) => tuned.run(n));
  const name = `${len} B, ${policy}`;
  const ofC = len === 64 ? OF_C[policy] : undefined;
  const aim = (target: Target): { target?: Target } => ofC === undefined ? {} : { target };
  const questions: Question[] = twin === undefined ? [] : [{
    name, as: 'time', ours, baseline: twin.variant('C', 'receive', args),
    ...aim(atMost(ofC ?? 0, 'C')),
  }];
  questions.push(
    { name, as: 'speed', ours, baseline: inIdiomatic, ...aim(atLeast(8, 'idiomatic JavaScript')) },
    { name, as: 'speed', ours, baseline: inTuned, ...aim(atLeast(4, 'tuned JavaScript')) },
  );
  await ask(questions);
  twin?.close();
  console.log(`${name}:`);
  plainReport([ours, inIdiomatic, inTuned], 256);
}

await bench('What does receiving a packet cost under each mapping policy, against C and JavaScript?', async () => {
  for (const len of [64, 1500]) for (const policy of POLICIES) await measure(len, policy);
});
