// `npm run test:mutants`: takes one guard out of the engine at a time, and sees that the test that is named for it then
// fails. A guard that no test misses is a guard that nobody would notice the loss of.
import fs from 'node:fs';
import path from 'node:path';
import { bundleForNode } from './bundle.mjs';
import { root } from './files.mjs';
import { runNode } from './run.mjs';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';
import { MUTANTS } from './mutants-list.mjs';

function without({ guard, file, find, replace }, text) {
  if (text.split(find).length !== 2) throw new SetupError(`The guard "${guard}" does not stand once in ${file}: mend scripts/mutants-list.mjs.`, 1);
  return text.replace(find, () => replace);
}

const folderOf = ({ guard }) => path.join('build/mutants', guard.replaceAll(' ', '-'));

/** Builds the engine without the guard; the path of its wasm. */
async function build(mutant) {
  const { guard, file } = mutant;
  const folder = folderOf(mutant);
  fs.rmSync(path.join(root, folder), { recursive: true, force: true });
  fs.cpSync(path.join(root, 'assembly'), path.join(root, folder, 'assembly'), { recursive: true });
  const target = path.join(root, folder, file);
  fs.writeFileSync(target, without(mutant, fs.readFileSync(target, 'utf8')));
  const wasm = path.join(folder, 'engine.wasm');
  const asc = 'node_modules/assemblyscript/bin/asc.js';
  const { code, output } = await runNode(['--enable-source-maps', asc, path.join(folder, 'assembly/index.ts'),
    '--config', 'asconfig.json', '--target', 'fast', '-o', wasm]);
  if (code !== 0) throw new SetupError(`The engine without "${guard}" does not compile:\n${output}`, 1);
  return wasm;
}

/** A guard in the control plane: the file without it, for the bundle of the test. */
function changed(mutant) {
  const text = without(mutant, fs.readFileSync(path.join(root, mutant.file), 'utf8'));
  return { file: mutant.file, text, folder: folderOf(mutant) };
}

/** The test on what there is without the guard. */
async function failuresWithout(mutant) {
  return mutant.file.startsWith('src/') ? failures(mutant.test, undefined, changed(mutant)) : failures(mutant.test, await build(mutant));
}

/** Runs a test file, on another engine or with a changed file; what failed, by name. */
async function failures(test, wasm, change) {
  const { out, errors } = await bundleForNode(test, wasm, change);
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
    const failed = await failuresWithout(mutant);
    const caught = whole.length === 0 && failed.includes(mutant.fails);
    if (!caught) survived++;
    const says = whole.length > 0 ? `fails even with the guard: ${whole[0]}` : failed.length === 0 ? 'nothing failed'
      : `${failed.length} failed: "${caught ? mutant.fails : failed[0]}"`;
    console.log(`${caught ? 'caught  ' : 'SURVIVED'} without ${mutant.guard.padEnd(16)} ${mutant.test}: ${says}`);
  }
  console.log(`\n${MUTANTS.length - survived} of ${MUTANTS.length} guards are missed when they are gone`);
  return survived > 0 ? 1 : 0;
});
