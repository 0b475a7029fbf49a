// What does a guest's register access cost, against closures in JavaScript and against C?
import { ask, atLeast, atMost, bench, fail, plainReport, variant } from './harness';
import { ClosureBus, MapBus } from './javascript/registers';
import { type Cards, DOMAIN, heapList, memoryCards, pick } from './machines';
import { provenTwin } from './native/twin';

/** Accesses that the list holds before it repeats. */
const LIST = 4096;

async function measure(cards: Cards, which: string, used: readonly number[], claims: boolean): Promise<void> {
  const { engine, addresses, values } = cards;
  const { guestLoad, guestStore, guestLoadRepeat, guestStoreRepeat } = engine.exports;
  const list = pick(used, LIST);
  const off = heapList(engine, list);
  const own = Uint32Array.from(list);
  const closures = new ClosureBus(addresses, values);
  const map = new MapBus(addresses, values);
  // a function for each: a loop shared by several would be measured with what V8 learnt from the others
  const load = {
    inside: variant('engine, loop inside', (n) => guestLoadRepeat(DOMAIN, off, LIST, n)),
    called: variant('engine, called per access', (n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum = (sum + guestLoad(DOMAIN, own[i & (LIST - 1)] as number, 0, 4)) | 0;
      return sum;
    }),
    closures: variant('closures per page', (n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum = (sum + closures.load(own[i & (LIST - 1)] as number)) | 0;
      return sum;
    }),
    map: variant('a Map of pages', (n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum = (sum + map.load(own[i & (LIST - 1)] as number)) | 0;
      return sum;
    }),
  };
  const store = {
    inside: variant('engine, loop inside', (n) => guestStoreRepeat(DOMAIN, off, LIST, n)),
    called: variant('engine, called per access', (n) => {
      for (let i = 0; i < n; i++) guestStore(DOMAIN, own[i & (LIST - 1)] as number, 0, 4, i, 0);
    }),
    closures: variant('closures per page', (n) => {
      for (let i = 0; i < n; i++) closures.store(own[i & (LIST - 1)] as number, i);
    }),
    map: variant('a Map of pages', (n) => {
      for (let i = 0; i < n; i++) map.store(own[i & (LIST - 1)] as number, i);
    }),
  };
  for (const [what, name, ways] of [['load', 'read', load], ['store', 'write', store]] as const) {
    const sums = Object.values(ways).map((way) => (way.batch?.(LIST) ?? 0) as number | 0);
    if (new Set(sums).size !== 1) fail(`the sums of ${name} differ: ${sums.join(', ')}`);
    const twin = await provenTwin(engine, what, (n) => [DOMAIN, off, LIST, n],
      (n) => what === 'load' ? guestLoadRepeat(DOMAIN, off, LIST, n) : (guestStoreRepeat(DOMAIN, off, LIST, n), 0));
    await ask([
      ...twin === undefined ? [] : [{
        name: `${name}, ${which}`, as: 'time' as const, ours: ways.inside,
        baseline: twin.variant('C', what, (n) => [DOMAIN, off, LIST, n]), ...claims && { target: atMost(1.4, 'C') },
      }],
      { name: `${name}, ${which}`, as: 'speed', ours: ways.called, baseline: ways.closures,
        ...claims && { target: atLeast(2.8, 'closures per page') } },
      { name: `${name}, ${which}`, as: 'speed', ours: ways.called, baseline: ways.map },
      { name: `${name}, ${which}`, as: 'speed', ours: ways.inside, baseline: ways.closures },
    ]);
    twin?.close();
    console.log(`${name}, ${which}:`);
    plainReport(Object.values(ways), LIST);
  }
}

await bench('What does a guest\'s register access cost, against closures in JavaScript and against C?', async () => {
  const many = await memoryCards(1, 16);
  await measure(many, '64 random devices', many.addresses, true);
  const one = await memoryCards(1, 16);
  await measure(one, 'one hot device', one.addresses.slice(0, 16), false);
});
