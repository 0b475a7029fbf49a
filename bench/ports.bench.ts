// What does a guest's port access cost behind the permission bitmap, against a handler table and against C?
import { ask, atLeast, atMost, bench, fail, plainReport, variant } from './harness';
import { PortTable } from './javascript/registers';
import { DOMAIN, heapList, pick, portCards } from './machines';
import { provenTwin } from './native/twin';

const LIST = 4096;

await bench('What does a guest\'s port access cost, against a handler table and against C?', async () => {
  const { engine, addresses, values } = await portCards();
  const { guestIn, guestInRepeat } = engine.exports;
  const list = pick(addresses, LIST);
  const off = heapList(engine, list);
  const own = Uint32Array.from(list);
  const table = new PortTable(addresses, values);
  const inside = variant('engine, loop inside', (n) => guestInRepeat(DOMAIN, off, LIST, n));
  const called = variant('engine, called per access', (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum = (sum + guestIn(DOMAIN, own[i & (LIST - 1)] as number, 4)) | 0;
    return sum;
  });
  const handlers = variant('handler table', (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum = (sum + table.in32(own[i & (LIST - 1)] as number)) | 0;
    return sum;
  });
  const sums = [inside, called, handlers].map((way) => (way.batch?.(LIST) ?? 0) as number | 0);
  if (new Set(sums).size !== 1) fail(`the sums differ: ${sums.join(', ')}`);
  const args = (n: number): number[] => [DOMAIN, off, LIST, n];
  const twin = await provenTwin(engine, 'in', args, (n) => guestInRepeat(DOMAIN, off, LIST, n));
  const name = 'in, 64 random devices';
  await ask([
    ...twin === undefined ? [] : [{
      name, as: 'time' as const, ours: inside, baseline: twin.variant('C', 'in', args), target: atMost(1.5, 'C'),
    }],
    { name, as: 'speed', ours: called, baseline: handlers, target: atLeast(3, 'a handler table') },
    { name, as: 'speed', ours: inside, baseline: handlers },
  ]);
  twin?.close();
  plainReport([inside, called, handlers], LIST);
});
