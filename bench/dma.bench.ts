// What does one DMA cost at each size, without translation, with IOTLB hits, and with a walk each time?
import { ask, atLeast, atMost, bench, fail, plainReport, type Question, variant } from './harness';
import { type DmaMachine, dmaMachine } from './machines';
import { provenTwin } from './native/twin';

const PAGE = 4096;

interface Size {
  name: string;
  len: number;
  /** Bytes from one DMA to the next: staggered, so that not all fall into the same cache sets. */
  step: number;
  none: number;
  hit: number;
}

const SIZES: readonly Size[] = [
  { name: '64 B', len: 64, step: PAGE + 64, none: 1.15, hit: 1.3 },
  { name: '1500 B', len: 1500, step: PAGE + PAGE / 2, none: 1.2, hit: 1.2 },
  { name: '4 KiB', len: 4096, step: PAGE, none: 1.2, hit: 1.2 },
  { name: '64 KiB', len: 65536, step: 65536, none: 1.2, hit: 1.2 },
];
/** Pages gone through: fewer than the IOTLB's 64 entries, or so many that an entry is gone when it is wanted. */
const HIT_PAGES = 32;
const WALK_PAGES = 256;

async function measure(size: Size, how: 'none' | 'hit' | 'walk', machine: DmaMachine): Promise<void> {
  const { engine, fn, bus, source } = machine;
  const { len, step } = size;
  const span = (how === 'walk' ? WALK_PAGES : HIT_PAGES) * PAGE;
  const args = (n: number): number[] => [fn, bus, len, source, n, step, span];
  const own = (n: number): number => engine.exports.functionDmaRepeat(fn, bus, 0, len, source, 1, n, step, span);
  const ours = variant('engine', own);
  const turn = Math.floor(span / step);
  own(turn);
  const before = engine.counters();
  own(turn);
  const misses = engine.counters().iotlbMisses - before.iotlbMisses;
  if (how === 'walk' ? misses < turn : misses > 0) fail(`${size.name}, ${how}: ${misses} IOTLB misses`);

  const questions: Question[] = [];
  const name = `${size.name}, ${how}`;
  const twin = await provenTwin(engine, 'dma', args, own, 1000);
  if (twin !== undefined) {
    const target = how === 'walk' ? {} : { target: atMost(size[how], 'C') };
    questions.push({ name, as: 'time', ours, baseline: twin.variant('C', 'dma', args), ...target });
    const copy = twin.variant('memcpy', 'copy', (n) => [bus, len, source, n, step, span]);
    questions.push({
      name, as: 'time', ours, baseline: copy, ...len >= 1500 && how !== 'walk' && { target: atMost(1.2, 'memcpy') },
    });
  }
  const { bytes } = engine;
  const from = engine.base + source;
  const to = engine.ram + bus;
  const within = variant('copyWithin', (n) => {
    for (let i = 0, at = 0; i < n; i++) {
      bytes.copyWithin(to + at, from, from + len);
      at += step;
      if (at >= span) at = 0;
    }
  });
  const set = variant('set(subarray)', (n) => {
    for (let i = 0, at = 0; i < n; i++) {
      bytes.set(bytes.subarray(from, from + len), to + at);
      at += step;
      if (at >= span) at = 0;
    }
  });
  questions.push({
    name, as: 'speed', ours, baseline: within, ...len === 64 && how !== 'walk' && { target: atLeast(4, 'copyWithin') },
  });
  questions.push({ name, as: 'speed', ours, baseline: set });
  await ask(questions);
  twin?.close();
  console.log(`${name}:`);
  plainReport([ours, within, set], 256);
}

await bench('What does one DMA cost, without translation, with IOTLB hits, with a walk each time?', async () => {
  const plain = await dmaMachine(false);
  const translated = await dmaMachine(true);
  for (const size of SIZES) {
    await measure(size, 'none', plain);
    await measure(size, 'hit', translated);
    await measure(size, 'walk', translated);
  }
});
