// What do more register regions cost: 4096 of them registered, 64 used, and all used at random, against 64 in all?
// A region is a 4 KiB page of a BAR with four registers of its own: 64 BARs of one page, or 64 BARs of 64 pages.
import { ask, atMost, bench, plainReport, variant } from './harness';
import { CARDS, DOMAIN, type Cards, heapList, memoryCards, pick } from './machines';

const LIST = 16384;
const REGISTERS = 4;

function loads(cards: Cards, name: string, used: readonly number[]) {
  const off = heapList(cards.engine, pick(used, LIST));
  const { guestLoadRepeat } = cards.engine.exports;
  return variant(name, (n) => guestLoadRepeat(DOMAIN, off, LIST, n));
}

await bench('What do more register regions cost?', async () => {
  const few = await memoryCards(1, REGISTERS);
  const many = await memoryCards(64, REGISTERS);
  // 64 of the 4096, one in each BAR, each time another page of it
  const used = Array.from({ length: CARDS }, (_, card) => {
    const region = card * 64 + (card * 29) % 64;
    return many.addresses.slice(region * REGISTERS, (region + 1) * REGISTERS);
  }).flat();
  const baseline = loads(few, '64 regions', few.addresses);
  const some = loads(many, '4096 regions, 64 used', used);
  const all = loads(many, '4096 regions, all used', many.addresses);
  await ask([
    { name: 'read', as: 'time', ours: some, baseline, target: atMost(1.1, '64 regions') },
    { name: 'read', as: 'time', ours: all, baseline, target: atMost(1.4, '64 regions') },
  ]);
  plainReport([baseline, some, all], LIST);
});
