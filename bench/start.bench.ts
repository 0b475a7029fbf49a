// How long does it take to compile and instantiate the engine, in milliseconds?
import { bench, plainReport, record, variant } from './harness';
import { engineBytes } from '../src/engine/index';
import { quartiles } from '../src/lab/statistics';

const ROUNDS = 21;
/** What the engine asks of its host, and never does here. */
const HOST = { windowRead: () => 1, windowWrite: () => 1, hostAccess: () => -1 };

await bench('How long does it take to compile and instantiate the engine?', async () => {
  const bytes = engineBytes() as BufferSource;
  const memory = new WebAssembly.Memory({ initial: 1 });
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    await WebAssembly.instantiate(bytes, { env: { memory, ...HOST } });
    times.push(performance.now() - start);
    // what the optimising compiler does with it in the background is not to run into the next round
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { low, median, high } = quartiles(times);
  record({
    name: 'compile and instantiate: engine, time', baseline: '1 ms', ratio: { q1: low, median, q3: high },
    fastest: Math.min(...times), target: { text: '< 10 ms', value: 10, sense: 'at most' }, rounds: ROUNDS,
  });
  const sync = variant('compile and instantiate at once', () => {
    new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory, ...HOST } });
  });
  plainReport([sync], 1);
});
