// Checks against programs of other projects: what we write must be read by those who did not write it.
//   node scripts/counterparts.mjs [WORD ...] [--summary-file FILE]
// A program that is missing is installed if we may; if not, its check is skipped by name. To add a check, add an entry:
// `check` gets the program's path and throws an Error that says what is wrong; what is no program has a `module`, the
// file to look for; `also` names more that has to be there. It runs after `npm test`, so build/ is up to date.
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import util from 'node:util';
import { main } from './setup.mjs';
import { findProgram, whyMissing } from './debian.mjs';
import { root, writeJson } from './files.mjs';
import { checkModels } from './lspci.mjs';
import { countFrames } from './pcap.mjs';
import { run } from './run.mjs';
import { addTo, closingLine, exitCodeOf, newTally } from './test-results.mjs';
import { checkEnds, HEADERS } from './xen-ends.mjs';
import { tell } from './story.mjs';
import { checkPyxs, checkTools, PYXS } from './xenstore.mjs';
import { checkBadClients, checkServedPyxs, checkServedTools } from './xenstore-served.mjs';

const CAPTURE = 'assets/traffic.pcap.gz';

const CHECKS = [
  {
    name: 'tshark reads the traffic capture',
    packages: ['tshark'],
    program: 'tshark',
    files: [CAPTURE],
    check: (tshark) => checkCapture(tshark, CAPTURE),
  },
  {
    name: 'lspci reads the config space of every device model',
    packages: ['pciutils'],
    program: 'lspci',
    files: ['build/index.js', 'test/golden/lspci/host-bridge.txt'],
    check: checkModels,
  },
  {
    name: 'the xenstore tools work with our store, several at once',
    packages: ['xenstore-utils'],
    program: 'xenstore-read',
    files: ['build/cli.js'],
    check: checkTools,
  },
  {
    name: 'pyxs works with our xenstore',
    packages: ['python3-pyxs'],
    program: 'pyxs',
    module: PYXS,
    files: ['build/cli.js'],
    check: () => checkPyxs('/usr/bin/python3'),
  },
  {
    name: 'the xenstore tools work with a served machine at every stage of a device\'s life',
    packages: ['xenstore-utils'],
    program: 'xenstore-read',
    files: ['build/cli.js'],
    check: checkServedTools,
  },
  {
    name: 'clients of the store that die or send garbage are noticed by no xenstore tool and no guest',
    packages: ['xenstore-utils'],
    program: 'xenstore-read',
    files: ['build/cli.js'],
    check: checkBadClients,
  },
  {
    name: 'pyxs works with the xenstore of a served machine at every stage',
    packages: ['python3-pyxs'],
    program: 'pyxs',
    module: PYXS,
    files: ['build/cli.js'],
    check: () => checkServedPyxs('/usr/bin/python3'),
  },
  {
    name: 'examples/passthrough.sh with the xenstore tools',
    packages: ['xenstore-utils'],
    program: 'xenstore-ls',
    files: ['build/cli.js'],
    check: checkStory,
  },
  {
    name: 'a front end and a back end in C, from Xen\'s headers, work with our other ends',
    packages: ['clang', 'lld', 'libxen-dev'],
    program: 'clang',
    also: ['wasm-ld', HEADERS],
    check: checkEnds,
  },
];

/** As many frames as the file's own headers say, and none that tshark calls malformed. */
export async function checkCapture(tshark, file) {
  const frames = countFrames(zlib.gunzipSync(fs.readFileSync(path.resolve(root, file))));
  if (frames === 0) throw new Error(`${file} holds no frame`);
  const seen = await tsharkFrames(tshark, file);
  if (seen.length !== frames) throw new Error(`${file} has ${frames} frames, tshark finds ${seen.length}`);
  const malformed = await tsharkFrames(tshark, file, '-Y', '_ws.malformed');
  if (malformed.length > 0) throw new Error(`tshark calls frames ${malformed.slice(0, 10).join(', ')} malformed`);
}

/** With the tools there, it looks into the store at each stage. */
async function checkStory() {
  const looks = (await tell()).split('\n').filter((line) => line.startsWith('$ xenstore-ls'));
  if (looks.length < 5) throw new Error(`it looks into the store ${looks.length} times`);
}

async function tsharkFrames(tshark, file, ...filter) {
  const args = ['-n', '-r', file, '-T', 'fields', '-e', 'frame.number', ...filter];
  const { code, stdout, output } = await run(tshark, args, { timeout: 120 });
  if (code !== 0) throw new Error(`tshark ended with exit code ${code}:\n${output.slice(-2000)}`);
  return stdout.split('\n').filter((line) => /^\d+$/.test(line));
}

async function runCheck({ name, packages, program, module, also = [], files = [], check }) {
  // What the project itself should have is no reason to skip, whether the program is there or not.
  const absent = files.filter((file) => !fs.existsSync(path.join(root, file)));
  if (absent.length > 0) return { failure: `${absent.join(', ')} is missing` };
  const isThere = () => (module === undefined ? findProgram(program) !== undefined : fs.existsSync(module))
    && also.every((one) => (path.isAbsolute(one) ? fs.existsSync(one) : findProgram(one) !== undefined));
  const reason = await whyMissing(program, packages, isThere);
  if (reason) return { skip: `${name}: ${reason}` };
  try {
    await check(findProgram(program));
    return {};
  } catch (error) {
    return { failure: error.message };
  }
}

async function runChecks() {
  const { values, positionals } = util.parseArgs({
    allowPositionals: true,
    options: { 'summary-file': { type: 'string' } },
  });
  const tally = newTally();
  for (const check of CHECKS) {
    if (positionals.length > 0 && !positionals.some((word) => check.name.includes(word))) continue;
    const { failure, skip } = await runCheck(check);
    addTo(tally, { passed: failure || skip ? 0 : 1, failed: failure ? 1 : 0, skips: skip ? [skip] : [] });
    if (skip) console.log(`     SKIP ${skip}`);
    else console.log(`${failure ? 'FAIL' : 'ok  '} ${check.name}${failure ? `\n     ${failure}` : ''}`);
  }
  if (values['summary-file']) writeJson(values['summary-file'], tally);
  else console.log(`\n${closingLine(tally)}`);
  return exitCodeOf(tally);
}

if (process.argv[1] === path.join(root, 'scripts/counterparts.mjs')) main(runChecks);
