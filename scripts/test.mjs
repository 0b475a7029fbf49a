// `npm test`: set-up, then the type check and every test file, each file in a process of its own.
//   npm test -- iommu            only files whose path contains a given word (type checks run anyway)
//   --fast                       a fast build will do (see build.mjs)
//   --timeout SECONDS            how long one file may take; 120 unless told
//   --summary-file FILE          write the counts there, as JSON, in place of the closing line
import fs from 'node:fs';
import path from 'node:path';
import util from 'node:util';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';
import { bundleForNode } from './bundle.mjs';
import { findFiles, root, writeJson } from './files.mjs';
import { inParallel, runNode } from './run.mjs';
import { addTo, closingLine, countFile, exitCodeOf, newTally } from './test-results.mjs';

// Two processors is what a small machine has; more at once would also make timing-bound files slower.
const AT_ONCE = 2;
const SHOWN_ON_FAILURE = 20_000;

const tally = newTally();

function report(name, result, seconds, output) {
  addTo(tally, result);
  // Worded unlike the closing line, of which there is to be one.
  const counts = `${result.passed}/${result.passed + result.failed}`.padStart(9);
  const time = seconds.toFixed(1).padStart(6);
  console.log(`${result.failed > 0 ? 'FAIL' : 'ok  '} ${name.padEnd(44)} ${counts} ${time} s`);
  for (const skip of result.skips) console.log(`     SKIP ${skip}`);
  for (const warning of result.warnings ?? []) console.log(`     WARN ${warning}`);
  if (result.problem) console.log(`     ${name} ${result.problem}`);
  if (result.failed > 0) console.log(output.slice(-SHOWN_ON_FAILURE).trimEnd());
}

function reportFailure(name, output) {
  report(name, { passed: 0, failed: 1, skips: [] }, 0, output);
}

async function checkTypes(project) {
  const args = ['node_modules/typescript/bin/tsc', '--noEmit', '--pretty', 'false', '-p', project];
  const { code, output, seconds } = await runNode(args);
  const failed = code === 0 ? 0 : 1;
  report(`types (${project})`, { passed: 1 - failed, failed, skips: [] }, seconds, output);
}

async function runFile(file, timeout) {
  const { out, errors } = await bundleForNode(file);
  if (errors) return reportFailure(file, errors);
  const result = await runNode(['--enable-source-maps', out], { timeout });
  report(file, countFile(result), result.seconds, result.output);
}

async function runAll({ values, positionals }) {
  ensureInstalled();
  ensureBuilt({ fast: values.fast });

  const all = findFiles('test', '.test.ts');
  const files = all.filter((file) => positionals.length === 0 || positionals.some((word) => file.includes(word)));
  if (files.length === 0) {
    reportFailure('test files', `None of ${all.length} test files matches ${positionals.join(' ')}`);
  }

  const projects = ['tsconfig.json'];
  if (fs.existsSync(path.join(root, 'src/index.ts'))) projects.push('tsconfig.browser.json');
  fs.rmSync(path.join(root, 'build/test'), { recursive: true, force: true });
  const timeout = Number(values.timeout);
  await inParallel([
    ...projects.map((project) => () => checkTypes(project)),
    ...files.map((file) => () => runFile(file, timeout)),
  ], AT_ONCE);
}

main(async () => {
  let options;
  try {
    options = util.parseArgs({
      allowPositionals: true,
      options: {
        fast: { type: 'boolean', default: false },
        timeout: { type: 'string', default: '120' },
        'summary-file': { type: 'string' },
      },
    });
    if (!(Number(options.values.timeout) > 0)) throw new Error('--timeout takes a number of seconds');
  } catch (error) {
    throw new SetupError(error.message, 2);
  }
  let exitCode;
  try {
    await runAll(options);
    exitCode = exitCodeOf(tally);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    reportFailure('set-up', error.message);
    exitCode = error.exitCode;
  }
  const summaryFile = options.values['summary-file'];
  if (summaryFile) writeJson(summaryFile, tally);
  else console.log(`\n${closingLine(tally)}`);
  return exitCode;
});
