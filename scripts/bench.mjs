// `npm run bench`: runs bench/*.bench.ts one after the other, alone on the machine.
//   npm run bench -- iotlb       only benchmarks whose name contains a given word
//   --json FILE                  each benchmark gets `--json PART` to write its document to; FILE gets all, by name
// Other options that start with a dash go to the benchmarks as they are (write values as --name=value).
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';
import { bundleForNode } from './bundle.mjs';
import { findFiles, readJson, root, writeJson } from './files.mjs';

function readArguments(args) {
  const options = { words: [], passed: [], json: undefined };
  while (args.length > 0) {
    const arg = args.shift();
    if (arg === '--json') options.json = args.shift();
    else if (arg.startsWith('--json=')) options.json = arg.slice('--json='.length);
    else (arg.startsWith('-') ? options.passed : options.words).push(arg);
  }
  return options;
}

main(async () => {
  const { words, passed, json } = readArguments(process.argv.slice(2));
  ensureInstalled();
  ensureBuilt();
  const files = findFiles('bench', '.bench.ts')
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
  if (files.length === 0) throw new SetupError('No benchmark of that name in bench/.', 2);

  const results = {};
  let failures = 0;
  for (const file of files) {
    const name = path.basename(file, '.bench.ts');
    const { out, errors } = await bundleForNode(file);
    const part = `build/bench/${name}.json`;
    fs.rmSync(path.join(root, part), { force: true });
    const args = ['--enable-source-maps', out, ...passed, ...(json ? ['--json', part] : [])];
    const failed = errors !== '' || spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status !== 0;
    if (errors) console.error(errors);
    if (failed) console.error(`${file} failed`);
    if (failed) failures += 1;
    results[name] = readJson(part) ?? null;
  }
  // Relative to where the user is: npm changes to the root, and says where it was called.
  if (json) writeJson(path.resolve(process.env.INIT_CWD ?? '.', json), { schemaVersion: 1, benchmarks: results });
  return failures > 0 ? 1 : 0;
});
