// `npm run test:mutants`: takes one guard out of the engine at a time, and sees that the test that is named for it then
// fails. A guard that no test misses is a guard that nobody would notice the loss of.
import fs from 'node:fs';
import path from 'node:path';
import { bundleForNode } from './bundle.mjs';
import { root } from './files.mjs';
import { runNode } from './run.mjs';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';

export const MUTANTS = [
  {
    guard: 'translation', file: 'assembly/dma/dma.ts',
    find: 'if (load<u32>(b + State.IOMMU, IommuState.ENABLED) == 0) return busAddr;', replace: 'return busAddr;',
    test: 'test/lab/cell.test.ts', fails: 'the same driver faults under every policy that translates',
  },
  {
    guard: 'frame ownership', file: 'assembly/iommu/hypercall.ts',
    find: 'if (!frameIsOwnRam(b, mfn + i, owner)) return refused(b, Status.REFUSED);', replace: '',
    test: 'test/lab/cell.test.ts', fails: 'the guest cannot map, store to or DMA into what is not its own',
  },
  {
    guard: 'port bitmap', file: 'assembly/gate/domains.ts',
    find: 'return (have & wanted) == wanted;', replace: 'return true;',
    test: 'test/gate/gate.test.ts', fails: 'none, at first',
  },
  {
    guard: 'window check', file: 'assembly/memory/windows.ts',
    find: 'if (within >= load<u32>(record, WindowRecord.FRAMES)) return 0;', replace: '',
    test: 'test/contract/windows.test.ts', fails: 'e1000 leaves the same bytes on linear, file and message windows',
  },
  {
    guard: 'Bus Master gate', file: 'assembly/dma/dma.ts',
    find: 'return (flags & (FunctionFlag.BUS_MASTER | FunctionFlag.POWERED_DOWN)) == FunctionFlag.BUS_MASTER;',
    replace: 'return true;',
    test: 'test/dma/dma.test.ts', fails: 'without Bus Master nothing is read or written, and it is counted',
  },
  {
    guard: 'private copy', file: 'assembly/devices/e1000-family/transmit.ts',
    find: 'const buffer = load<u64>(descriptor, E1000Txd.BUFFER);',
    replace: 'dmaRead(b, fn, descriptorAt(ringBase(block, E1000.TDBAL), head), E1000Txd.SIZE_OF, descriptor);\n'
      + '  const buffer = load<u64>(descriptor, E1000Txd.BUFFER);',
    test: 'test/contract/private-copy.test.ts', fails: 'a descriptor is fetched once, and its copy decides',
  },
  {
    guard: 'budget', file: 'assembly/paths/service.ts',
    find: 'if (spent >= limit || traceFull(b)) {', replace: 'if (traceFull(b)) {',
    test: 'test/paths/service.test.ts', fails: 'a call of service ends with its budget, and the next one goes on',
  },
];

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

/** Whether this file is what Node was asked to run. */
const isCommand = process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename;

if (isCommand) main(async () => {
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
