// The page of commands in README.md, and what examples/passthrough.sh prints: the page has some of the script's commands,
// in their order, with their output as it is.
//   node scripts/story.mjs --write     writes the outputs into README.md
import fs from 'node:fs';
import path from 'node:path';
import { root } from './files.mjs';
import { run } from './run.mjs';
import { ensureBuilt, ensureInstalled, main, SetupError } from './setup.mjs';

export const SCRIPT = 'examples/passthrough.sh';
const README = 'README.md';
/** The page's blocks; others of the README are written otherwise. */
const BLOCK = /(?<=^```console\n)[^]*?(?=^```$)/gm;
/** Commands that are there only with the stock tools. */
const STOCK = /^xenstore-/;

/** Commands and what each printed, from the script's output. Headings stand between empty line and command. */
export function entriesOf(text) {
  const entries = [];
  for (const line of text.replace(/\n$/, '').split('\n')) {
    if (line.startsWith('$ ')) entries.push({ command: line.slice(2), output: [] });
    else entries[entries.length - 1]?.output.push(line);
  }
  return entries.map(({ command, output }) => ({ command, output: withoutHeading(output) }));
}

/** An output ends where the next part of the story begins. */
function withoutHeading(output) {
  const at = output.findIndex((line, i) => line === '' && output[i + 1]?.startsWith('# '));
  return at < 0 ? output : output.slice(0, at);
}

/** The README with the outputs that the script has printed. Throws for a command that the script does not have, or not there. */
export function refreshed(readme, printed) {
  const entries = entriesOf(printed);
  const hasStock = entries.some(({ command }) => STOCK.test(command));
  let at = 0;
  return readme.replace(BLOCK, (block) => entriesOf(block).map((entry) => {
    if (STOCK.test(entry.command) && !hasStock) return textOf(entry);
    const found = entries.findIndex(({ command }, i) => i >= at && command === entry.command);
    if (found < 0) throw new Error(`README.md has "${entry.command}", which ${SCRIPT} does not run after the command before it`);
    at = found + 1;
    return textOf(entries[found]);
  }).join(''));
}

/** Blanks at the end of a line are the terminal's business. */
function textOf({ command, output }) {
  const lines = output.map((line) => line.trimEnd());
  while (lines.at(-1) === '') lines.pop();
  return [`$ ${command}`, ...lines].map((line) => `${line}\n`).join('');
}

/** Runs the script; resolves with what it printed. Throws if it fails. */
export async function tell() {
  const { code, output } = await run('bash', [SCRIPT], { timeout: 110 });
  if (code !== 0) throw new Error(`${SCRIPT} ends with exit code ${code}:\n${output.slice(-2000)}`);
  return output;
}

if (process.argv[1] === path.join(root, 'scripts/story.mjs')) {
  main(async () => {
    if (process.argv[2] !== '--write') throw new SetupError('usage: node scripts/story.mjs --write', 2);
    ensureInstalled();
    ensureBuilt();
    const file = path.join(root, README);
    fs.writeFileSync(file, refreshed(fs.readFileSync(file, 'utf8'), await tell()));
  });
}
