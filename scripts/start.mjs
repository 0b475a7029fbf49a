// `npm start`: from a fresh clone to a first comparison. Arguments go to `portcullis compare`.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';
import { root } from './files.mjs';

main(async () => {
  ensureInstalled();
  ensureBuilt();
  const cli = path.join(root, 'build/cli.js');
  if (!fs.existsSync(cli)) throw new SetupError('The build made no build/cli.js.');
  const child = spawn(process.execPath, [cli, 'compare', ...process.argv.slice(2)], { stdio: 'inherit' });
  // The terminal sends Ctrl-C to both of us; the command decides what it means.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => resolve(code === null ? 128 + os.constants.signals[signal] : code));
  });
});
