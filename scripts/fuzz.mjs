// `npm run fuzz`: the random guest of test/fuzz with any number of operations and seeds.
//   npm run fuzz -- 1000000        so many operations under each policy (default 1,000,000)
//   npm run fuzz -- 1000000 7      with this seed (default: one from the clock, which is printed)
import { spawnSync } from 'node:child_process';
import { bundleForNode } from './bundle.mjs';
import { root } from './files.mjs';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';

main(async () => {
  const [operations = '1000000', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
  for (const [name, value] of [['operations', operations], ['seed', seed]]) {
    if (!/^[1-9]\d{0,9}$/.test(value)) throw new SetupError(`${name} is "${value}"; write a whole number from 1 to 9999999999.`, 2);
  }
  ensureInstalled();
  ensureBuilt();
  const { out, errors } = await bundleForNode('test/fuzz/random-guest.test.ts');
  if (errors) throw new SetupError(errors, 1);
  console.log(`${operations} operations under each policy, seed ${seed}`);
  const env = { ...process.env, FUZZ_OPERATIONS: operations, FUZZ_SEED: seed };
  return spawnSync(process.execPath, ['--enable-source-maps', out], { cwd: root, stdio: 'inherit', env }).status ?? 1;
});
