import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type FuzzPolicy, RandomGuest } from './random-guest';

// `npm run fuzz` takes any number; these are a taste
const OPERATIONS = Number(process.env['FUZZ_OPERATIONS'] ?? 20_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

for (const policy of ['none', 'own-frames', 'guest-mapped'] as FuzzPolicy[]) {
  test(`a guest that does anything neither traps the engine nor gets beyond its own (${policy})`, async () => {
    const guest = await RandomGuest.create(SEED, policy);
    const report = guest.run(OPERATIONS);
    if (process.env['FUZZ_OPERATIONS']) console.log(JSON.stringify(report));
    assert.is(report.operations, OPERATIONS);
    assert.ok(report.dma > OPERATIONS / 100, `there was DMA: ${report.dma}`);
    assert.ok(report.refused > 0);
    if (policy !== 'none') assert.ok(report.faults > 0);
  });
}

test.run();
