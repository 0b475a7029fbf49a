// advisories.md, the tests and the guards that the mutants take out: what one of them says the others have.
import fs from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MUTANTS } from '../../../scripts/mutants-list.mjs';

const FOLDER = 'test/xen/advisories';
/** Rows of the table of advisories (xen-passthrough.md 8): all of them. */
const ROWS = [
  16, 33, 36, 43, 46, 49, 59, 60, 61, 78, 80, 83, 87, 120, 124, 125, 126, 127, 128, 129, 130, 131, 154, 155, 157, 164, 237, 257, 267, 275,
  284, 285, 288, 291, 302, 306, 311, 321, 331, 332, 337, 346, 347, 356, 360, 363, 367, 373, 378, 384, 386, 387, 389, 390, 395, 397,
  399, 400, 403, 442, 445, 449, 450, 458, 460, 461, 464, 466, 467, 476, 491, 492,
];
/** What may be left out: AMD's, Arm's, not PCI's, QEMU's own. And a number that nothing was found about. */
const MAY_BE_LEFT_OUT = /^(?:AMD|Arm|non-PCI|not PCI|QEMU|no trace)/;

interface Row {
  number: number;
  files: string[];
  what: string;
}

function rows(): Row[] {
  return fs.readFileSync(`${FOLDER}/advisories.md`, 'utf8').split('\n').filter((line) => /^\| \d/.test(line)).map((line) => {
    const [number, , files, what] = line.split('|').slice(1, -1).map((cell) => cell.trim()) as [string, string, string, string];
    return { number: parseInt(number, 10), files: files.split(', '), what };
  });
}

/** Names of tests, up to the colon, by file. */
function tests(file: string): string[] {
  return [...fs.readFileSync(`${FOLDER}/${file}.test.ts`, 'utf8').matchAll(/test\(['`](XSA-\d+(?: \([\w -]+\))?)(?:\$\{[^}]*\})?: /g)]
    .map(([, name]) => name as string);
}

const FILES = fs.readdirSync(FOLDER).filter((name) => name.endsWith('.test.ts') && name !== 'table.test.ts')
  .map((name) => name.replace('.test.ts', ''));

const test = suite('the table of advisories');

test('every row is there, and either tested or of a kind that may be left out', () => {
  const table = rows();
  assert.equal(table.map(({ number }) => number), ROWS);
  for (const { number, files, what } of table) {
    if (files[0] === 'not expressible') assert.match(what, MAY_BE_LEFT_OUT, `XSA-${number}`);
    else for (const file of files) assert.ok(tests(file).some((name) => name.split(' ')[0] === `XSA-${number}`), `XSA-${number} in ${file}`);
  }
});

test('every test is in the table', () => {
  for (const file of FILES) {
    for (const name of tests(file)) {
      const row = rows().find(({ number }) => name.split(' ')[0] === `XSA-${number}`);
      assert.ok(row?.files.includes(file), `${name} in ${file}`);
    }
  }
});

test('every tested advisory has a guard that is taken out', () => {
  const guarded = new Set(MUTANTS.filter(({ test: path }) => path.startsWith(`${FOLDER}/`))
    .flatMap(({ test: path, fails }) => [fails].flat().map((name) => `${path} ${name}`)));
  for (const file of FILES) {
    for (const name of tests(file)) assert.ok(guarded.has(`${FOLDER}/${file}.test.ts ${name}`), `${name} in ${file}`);
  }
});

test.run();
