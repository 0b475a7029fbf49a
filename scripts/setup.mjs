// Brings a clone into working order: the right Node, the pinned packages, an up-to-date build.
// This file and files.mjs use nothing newer than Node 14 can link, so that an old Node reads the sentence below.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { findFiles, hashFiles, readJson, root, writeJson } from './files.mjs';

const OLDEST_NODE = 20;
const INSTALL_STAMP = 'node_modules/.portcullis.json';
const BUILD_STAMP = 'build/.stamp';

/** Something outside this project is missing or broken; scripts print the message and leave with the exit code. */
export class SetupError extends Error {
  constructor(message, exitCode = 3) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The sentence to print for a Node that is too old, or undefined. */
export function nodeComplaint(version = process.versions.node) {
  if (Number(version.split('.')[0]) >= OLDEST_NODE) return undefined;
  return `Portcullis needs Node ${OLDEST_NODE} or newer, but this is Node ${version}.`;
}

const complaint = nodeComplaint();
if (complaint) {
  console.error(complaint);
  process.exit(3);
}

/**
 * The packages of a lock file that an installed tree lacks or has in another version.
 * @param {{ packages?: object } | undefined} lock package-lock.json
 * @param {{ packages?: object } | undefined} installed npm's own record, node_modules/.package-lock.json
 */
export function packagesThatDiffer(lock, installed) {
  const have = (installed && installed.packages) || {};
  return Object.entries((lock && lock.packages) || {})
    .filter(([name, entry]) => name !== '' && !entry.optional && (!have[name] || have[name].version !== entry.version))
    .map(([name]) => name.replace('node_modules/', ''));
}

/** Installs the pinned packages unless they are there already. */
export function ensureInstalled() {
  const lockHash = hashFiles(['package-lock.json']);
  const stamp = readJson(INSTALL_STAMP);
  if (stamp && stamp.lock === lockHash) return;

  // Installed by hand, or the lock file changed in words only: what counts is what is there.
  const differing = packagesThatDiffer(readJson('package-lock.json'), readJson('node_modules/.package-lock.json'));
  if (differing.length > 0) {
    const modules = path.join(root, 'node_modules');
    const linked = fs.existsSync(modules) && fs.lstatSync(modules).isSymbolicLink();
    if (linked) {
      // npm would replace the link, or empty the tree that others use.
      console.error(`node_modules is a link to a tree that differs from package-lock.json (${differing.join(', ')}): ` +
        'used as it is.');
      return;
    }
    console.error(`Installing ${differing.length} packages with npm ci ...`);
    // No pinned package needs its install script; npm only warns about them.
    const npm = spawnSync('npm', ['ci', '--include=dev', '--ignore-scripts'], { cwd: root, stdio: ['ignore', 2, 2] });
    if (npm.error) throw new SetupError(`npm cannot be started: ${npm.error.message}`);
    if (npm.status !== 0) throw new SetupError('npm ci failed; its messages are above. Is the network reachable?');
  }
  writeJson(INSTALL_STAMP, { lock: lockHash });
}

/** A hash of all that the build is made from. */
export function sourceHash() {
  const configs = fs.readdirSync(root).filter((name) => /^tsconfig.*\.json$/.test(name)).sort();
  return hashFiles([
    ...findFiles('assembly'), ...findFiles('src'), ...configs,
    'scripts/build.mjs', 'asconfig.json', 'package-lock.json',
  ]);
}

/** Notes a finished build: which sources, how, and the files it made. */
export function writeBuildStamp(hash, mode, files) {
  writeJson(BUILD_STAMP, { hash, mode, files });
}

/** Forgets the last build, so that one that breaks off half-way never counts. */
export function dropBuildStamp() {
  fs.rmSync(path.join(root, BUILD_STAMP), { force: true });
}

/** Whether build/ was made from the sources as they are now. A fast build counts only if `acceptFast`. */
export function isBuilt(acceptFast = false) {
  const stamp = readJson(BUILD_STAMP);
  if (!stamp || (stamp.mode !== 'release' && !acceptFast)) return false;
  return stamp.hash === sourceHash() && stamp.files.every((file) => fs.existsSync(path.join(root, file)));
}

/** Builds if something changed. `fast` is for edit loops: engine hardly optimised, never taken for a release. */
export function ensureBuilt({ fast = false } = {}) {
  if (isBuilt(fast)) return;
  console.error('Building ...');
  const args = ['scripts/build.mjs', ...(fast ? ['--fast'] : [])];
  const build = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (build.status !== 0) throw new SetupError('The build failed; its messages are above.', 1);
}

/** Runs a script's main function; a SetupError becomes its message and exit code. */
export async function main(body) {
  try {
    process.exitCode = (await body()) || 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode;
  }
}
