// What the stock lspci reads out of our dumps, against the texts in test/golden/lspci.
//   node scripts/lspci.mjs --write       writes the texts anew: look at the difference before committing it
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { findProgram } from './debian.mjs';
import { root } from './files.mjs';
import { run } from './run.mjs';
import { main, SetupError } from './setup.mjs';

const FOLDER = 'test/golden/lspci';
/** The texts are this version's. Another one words details differently, so only the lines below are compared. */
const VERSION = '3.9.0';
const STABLE = /^\S|^\t(Subsystem|Control|Interrupt|Region|Bus|Capabilities|[\w/ ]+ behind bridge):?/;
/** Where the device under test is. */
export const SLOT = '00:04.0';

/** The part of `lspci -n -vv` about one function of a dump. */
export async function readDump(lspci, dump, slot) {
  const file = path.join(root, 'build/lspci.txt');
  fs.writeFileSync(file, dump);
  const { code, stdout, output } = await run(lspci, ['-F', file, '-n', '-vv'], { timeout: 30 });
  if (code !== 0) throw new Error(`lspci ended with exit code ${code}:\n${output.slice(-2000)}`);
  const part = stdout.split(/\n\n+/).find((text) => text.startsWith(`${slot} `));
  if (part === undefined) throw new Error(`lspci finds no ${slot} in the dump`);
  return `${part.trimEnd()}\n`;
}

/** Throws an Error with the first line that differs from the text of that name. */
export async function compareGolden(lspci, name, text) {
  const file = path.join(root, FOLDER, `${name}.txt`);
  if (!fs.existsSync(file)) throw new Error(`${FOLDER}/${name}.txt is missing; see scripts/lspci.mjs`);
  const { stdout } = await run(lspci, ['--version'], { timeout: 30 });
  const all = stdout.includes(VERSION);
  const lines = (whole) => whole.split('\n').filter((line) => all || STABLE.test(line));
  const [wanted, found] = [lines(fs.readFileSync(file, 'utf8')), lines(text)];
  for (let i = 0; i < Math.max(wanted.length, found.length); i++) {
    if (wanted[i] === found[i]) continue;
    throw new Error(`${name}, line ${i + 1}: lspci reads\n${found[i]}\nand not\n${wanted[i]}`);
  }
}

/** Name and lspci's text of every model, and of the host bridge that each machine has. */
export async function readModels(lspci) {
  const { Machine, DEVICE_MODELS } = await import(pathToFileURL(path.join(root, 'build/index.js')).href);
  const texts = new Map();
  for (const model of DEVICE_MODELS.keys()) {
    const machine = await Machine.create({ memory: '16MiB', devices: [{ model, bdf: SLOT }] });
    const dump = machine.lspci();
    texts.set(model, await readDump(lspci, dump, SLOT));
    if (!texts.has('host-bridge')) texts.set('host-bridge', await readDump(lspci, dump, '00:00.0'));
  }
  return texts;
}

/** Every model reads as itself. */
export async function checkModels(lspci) {
  for (const [name, text] of await readModels(lspci)) await compareGolden(lspci, name, text);
}

async function writeAll() {
  const lspci = findProgram('lspci');
  if (!lspci) throw new SetupError('no lspci here; it is in Debian\'s package pciutils', 3);
  if (process.argv[2] !== '--write') throw new SetupError('usage: node scripts/lspci.mjs --write', 2);
  fs.mkdirSync(path.join(root, FOLDER), { recursive: true });
  for (const [name, text] of await readModels(lspci)) fs.writeFileSync(path.join(root, FOLDER, `${name}.txt`), text);
}

if (process.argv[1] === path.join(root, 'scripts/lspci.mjs')) main(writeAll);
