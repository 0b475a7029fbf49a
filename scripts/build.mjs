// Builds build/: the engine with asc, the bundles with esbuild, the declarations with tsc.
//   --fast        engine at -O1 for edit loops; does not count as a release build
//   --wasm-only   the engine and nothing else
import fs from 'node:fs';
import path from 'node:path';
import { dropBuildStamp, ensureInstalled, main, SetupError, sourceHash, writeBuildStamp } from './setup.mjs';
import { findFiles, hashFiles, readJson, root, writeJson } from './files.mjs';
import { runNode } from './run.mjs';

// What the bundles are made from. Neutral ones also run in a browser: they resolve no package and no node: module.
const BUNDLES = [
  { entry: 'src/index.ts', out: 'build/index.js', platform: 'neutral' },
  { entry: 'src/engine/index.ts', out: 'build/engine.js', platform: 'neutral' },
  { entry: 'src/cli/main.ts', out: 'build/cli.js', platform: 'node', command: true },
];
const ENGINE_ENTRY = 'assembly/index.ts';
const WASM_STAMPS = 'build/.wasm';

const flags = process.argv.slice(2);
const fast = flags.includes('--fast');
const wasmOnly = flags.includes('--wasm-only');
const made = [];

function exists(file) {
  return fs.existsSync(path.join(root, file));
}

function report(file, started, note = '') {
  made.push(file);
  const bytes = fs.statSync(path.join(root, file)).size;
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${file.padEnd(28)} ${(bytes / 1024).toFixed(1).padStart(8)} KiB ${note || seconds.padStart(6) + ' s'}`);
}

function skip(entry, out) {
  console.log(`${out.padEnd(28)} skipped: there is no ${entry}`);
}

/** One asc run; how to compile is in asconfig.json under the target's name. */
async function buildWasm(target) {
  const started = Date.now();
  const config = readJson('asconfig.json');
  const out = config.targets[target].outFile;
  if (!exists(ENGINE_ENTRY)) return skip(ENGINE_ENTRY, out);

  const compiler = readJson('node_modules/assemblyscript/package.json').version;
  const settings = JSON.stringify([config.entries, config.options, config.targets[target], compiler]);
  const hash = hashFiles(findFiles('assembly', '.ts'), settings);
  const stamp = `${WASM_STAMPS}/${path.basename(out)}.json`;
  if (exists(out) && readJson(stamp)?.hash === hash) return report(out, started, 'unchanged');

  fs.rmSync(path.join(root, stamp), { force: true });
  const asc = 'node_modules/assemblyscript/bin/asc.js';
  // Without this flag asc starts a second Node only to add it.
  const args = ['--enable-source-maps', asc, '--config', 'asconfig.json', '--target', target];
  const { code, output } = await runNode(args);
  const messages = output.trim();
  if (messages) console.error(messages);
  if (code !== 0) throw new SetupError(`asc failed on target ${target}`, 1);
  writeJson(stamp, { hash, target });
  report(out, started);
}

async function buildBundle({ entry, out, platform, command }) {
  const started = Date.now();
  if (!exists(entry)) return skip(entry, out);
  const { build } = await import('esbuild');
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: out,
    bundle: true,
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    platform,
    ...(command && { packages: 'external', banner: { js: '#!/usr/bin/env node' } }),
    loader: { '.wasm': 'binary' },
    logLevel: 'warning',
  }).catch(() => undefined);
  if (!result) throw new SetupError(`esbuild failed on ${entry}`, 1);
  if (command) fs.chmodSync(path.join(root, out), 0o755);
  report(out, started);
}

/** Declarations only: `npm test` checks types, so a type error stops no one from trying something. */
async function buildTypes() {
  const started = Date.now();
  const entry = 'src/index.ts';
  if (!exists(entry)) return skip(entry, 'build/types');
  fs.rmSync(path.join(root, 'build/types'), { recursive: true, force: true });
  const { code, output } = await runNode(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noCheck']);
  if (output.trim()) console.error(output.trim());
  if (code !== 0) throw new SetupError('tsc failed to write the declarations', 1);
  report('build/types/src/index.d.ts', started);
}

/** Waits for all, so that none writes on while we leave; then fails if one did. */
async function all(steps) {
  const results = await Promise.allSettled(steps);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

main(async () => {
  const unknown = flags.filter((flag) => flag !== '--fast' && flag !== '--wasm-only');
  if (unknown.length > 0) throw new SetupError(`build.mjs does not know ${unknown.join(' ')}`, 2);
  ensureInstalled();
  const hash = sourceHash();
  dropBuildStamp();
  await all((fast ? ['fast', 'fast-shared'] : ['release', 'shared']).map(buildWasm));
  if (wasmOnly) return;
  await all([...BUNDLES.map(buildBundle), buildTypes()]);
  writeBuildStamp(hash, fast ? 'fast' : 'release', made);
});
