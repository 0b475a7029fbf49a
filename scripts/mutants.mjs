// `npm run test:mutants`: takes one guard out of the engine at a time, and sees that the tests that are named for it then
// fail. A guard that no test misses is a guard that nobody would notice the loss of.
//   npm run test:mutants -- XSA-46      only guards whose name or tests contain a given word
import fs from 'node:fs';
import path from 'node:path';
import { bundleForNode } from './bundle.mjs';
import { root } from './files.mjs';
import { inParallel, runNode } from './run.mjs';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';
import { MUTANTS } from './mutants-list.mjs';

const AT_ONCE = 2;

/** The file's text without the guard. */
function without({ guard, file, find, replace }) {
  const text = fs.readFileSync(path.join(root, file), 'utf8');
  if (text.split(find).length !== 2) throw new SetupError(`The guard "${guard}" does not stand once in ${file}: mend the list of mutants.`, 1);
  return text.replace(find, () => replace);
}

const folderOf = ({ guard }) => path.posix.join('build/mutants', guard.replaceAll(/[^\w-]+/g, '-'));

/** Builds the engine without the guard; the path of its wasm. */
async function build(mutant) {
  const folder = folderOf(mutant);
  fs.cpSync(path.join(root, 'assembly'), path.join(root, folder, 'assembly'), { recursive: true });
  fs.writeFileSync(path.join(root, folder, mutant.file), without(mutant));
  const wasm = path.posix.join(folder, 'engine.wasm');
  const asc = 'node_modules/assemblyscript/bin/asc.js';
  const { code, output } = await runNode(['--enable-source-maps', asc, path.join(folder, 'assembly/index.ts'),
    '--config', 'asconfig.json', '--target', 'fast', '-o', wasm]);
  if (code !== 0) throw new SetupError(`The engine without "${mutant.guard}" does not compile:\n${output}`, 1);
  return wasm;
}

/** Runs a test file; what failed, by name. */
async function failures(test, options) {
  const { out, errors } = await bundleForNode(test, options);
  if (errors) throw new SetupError(errors, 1);
  const { code, output } = await runNode(['--enable-source-maps', out], { timeout: 120 });
  const names = [...output.matchAll(/FAIL\s+(?:.*?\s)?"(.+)"/g)].map((match) => match[1]);
  return code === 0 ? [] : names.length > 0 ? names : ['(the whole file)'];
}

/** What fails of a test file as it is: nothing, one hopes. Each is run once. */
const whole = new Map();
function failuresOfWhole(test) {
  if (!whole.has(test)) whole.set(test, failures(test, { folder: 'build/mutants/none' }));
  return whole.get(test);
}

/** One line about a mutant, and whether every test that is named for it has failed. */
async function judge(mutant) {
  const before = await failuresOfWhole(mutant.test);
  const options = mutant.file.startsWith('assembly/') ? { wasm: await build(mutant) }
    : { source: { file: mutant.file, text: without(mutant) } };
  const failed = await failures(mutant.test, { folder: folderOf(mutant), ...options });
  const missed = [mutant.fails].flat().filter((name) => !failed.some((one) => one === name || one.startsWith(`${name}:`)));
  const caught = before.length === 0 && missed.length === 0;
  const says = before.length > 0 ? `fails even with the guard: ${before[0]}` : failed.length === 0 ? 'nothing failed'
    : `${failed.length} failed${caught ? '' : `, but not "${missed[0]}"`}: "${failed[0]}"`;
  return { caught, line: `${caught ? 'caught  ' : 'SURVIVED'} without ${mutant.guard.padEnd(24)} ${mutant.test}: ${says}` };
}

main(async () => {
  ensureInstalled();
  ensureBuilt({ fast: true });
  fs.rmSync(path.join(root, 'build/mutants'), { recursive: true, force: true });
  const words = process.argv.slice(2);
  const chosen = MUTANTS.filter(({ guard, test, fails }) =>
    words.length === 0 || words.some((word) => [guard, test, ...[fails].flat()].some((text) => text.includes(word))));
  if (chosen.length === 0) throw new SetupError(`None of ${MUTANTS.length} guards has to do with ${words.join(' ')}.`, 2);
  let survived = 0;
  await inParallel(chosen.map((mutant) => async () => {
    const { caught, line } = await judge(mutant);
    if (!caught) survived++;
    console.log(line);
  }), AT_ONCE);
  console.log(`\n${chosen.length - survived} of ${chosen.length} guards are missed when they are gone`);
  return survived > 0 ? 1 : 0;
});
