// Programs of other projects, installed from Debian's packages where that is possible.
import fs from 'node:fs';
import path from 'node:path';
import { root } from './files.mjs';
import { run } from './run.mjs';

const LOG = 'build/ci/apt.log';
const TIMEOUT = 600;
let updated;

/** The program's path, or undefined. Debian keeps some programs where an ordinary user's PATH does not look. */
export function findProgram(name, folders = process.env.PATH ?? '') {
  return [...folders.split(':'), '/usr/sbin', '/sbin']
    .map((folder) => path.join(folder || '.', name))
    .find((file) => fs.existsSync(file) && fs.statSync(file).isFile());
}

async function apt(...args) {
  const { code, output } = await run('apt-get', args, { timeout: TIMEOUT, env: { DEBIAN_FRONTEND: 'noninteractive' } });
  fs.mkdirSync(path.join(root, path.dirname(LOG)), { recursive: true });
  fs.appendFileSync(path.join(root, LOG), `$ apt-get ${args.join(' ')}\n${output}`);
  return code === 0;
}

/**
 * Why the program is not there and cannot be installed, or undefined once it is there. `isThere` if it is no program.
 */
export async function whyMissing(program, packages, isThere = () => findProgram(program) !== undefined) {
  if (isThere()) return undefined;
  const missing = `no ${program} here`;
  if (process.getuid?.() !== 0) return `${missing}, and only root may install ${packages.join(' ')}`;
  if (!findProgram('apt-get')) return `${missing}, and no apt-get to install ${packages.join(' ')}`;
  console.log(`     installing ${packages.join(' ')} (log in ${LOG})`);
  // Once, however many programs are missing; if it fails, the lists that are there may still do.
  updated ??= apt('update');
  await updated;
  const installed = await apt('install', '--yes', '--no-install-recommends', ...packages);
  return installed && isThere() ? undefined : `${missing}, and installing ${packages.join(' ')} failed`;
}
