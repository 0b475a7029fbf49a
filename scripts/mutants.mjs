// `npm run test:mutants`: takes one guard out of the engine at a time, and sees that the test that is named for it then
// fails. A guard that no test misses is a guard that nobody would notice the loss of.
import fs from 'node:fs';
import path from 'node:path';
import { bundleForNode } from './bundle.mjs';
import { root } from './files.mjs';
import { runNode } from './run.mjs';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';
import { MUTANTS } from './mutants-list.mjs';

/** Builds the engine without the guard; the path of its wasm. */
async function build({ guard, file, find, replace }) {
  const folder = path.join('build/mutants', guard.replaceAll(' ', '-'));
  fs.rmSync(path.join(root, folder), { recursive: true, force: true });
  fs.cpSync(path.join(root, 'assembly'), path.join(root, folder, 'assembly'), { recursive: true });
  const target = path.join(root, folder, file);
  const text = fs.readFileSync(target, 'utf8');
  if (text.split(find).length !== 2) throw new SetupError(`The guard "${guard}" does not stand once in ${file}: mend scripts/mutants.mjs.`, 1);
  fs.writeFileSync(target, text.replace(find, replace));
  const wasm = path.join(folder, 'engine.wasm');
  const asc = 'node_modules/assemblyscript/bin/asc.js';
  const { code, output } = await runNode(['--enable-source-maps', asc, path.join(folder, 'assembly/index.ts'),
    '--config', 'asconfig.json', '--target', 'fast', '-o', wasm]);
  if (code !== 0) throw new SetupError(`The engine without "${guard}" does not compile:\n${output}`, 1);
  return wasm;
}

/** Runs a test file on an engine; what failed, by name. */
async function failures(test, wasm) {
  const { out, errors } = await bundleForNode(test, wasm);
  if (errors) throw new SetupError(errors, 1);
  const { code, output } = await runNode(['--enable-source-maps', out], { timeout: 120 });
  const names = [...output.matchAll(/FAIL\s+(?:.*?\s)?"(.+)"/g)].map((match) => match[1]);
  return code === 0 ? [] : names.length > 0 ? names : ['(the whole file)'];
}

main(async () => {
  ensureInstalled();
  ensureBuilt({ fast: true });
  let survived = 0;
  for (const mutant of MUTANTS) {
    const whole = await failures(mutant.test, undefined);
    const failed = await failures(mutant.test, await build(mutant));
    const caught = whole.length === 0 && failed.includes(mutant.fails);
    if (!caught) survived++;
    const says = whole.length > 0 ? `fails even with the guard: ${whole[0]}` : failed.length === 0 ? 'nothing failed'
      : `${failed.length} failed: "${caught ? mutant.fails : failed[0]}"`;
    console.log(`${caught ? 'caught  ' : 'SURVIVED'} without ${mutant.guard.padEnd(16)} ${mutant.test}: ${says}`);
  }
  console.log(`\n${MUTANTS.length - survived} of ${MUTANTS.length} guards are missed when they are gone`);
  return survived > 0 ? 1 : 0;
});
