import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ALLOWED, checkLayers, findCycles, roomOf } from './helpers/layers';
import { readSources } from './helpers/sources';

const project = suite('layers of this project');

project('keep to the design', () => {
  const sources = readSources('assembly', 'src');
  assert.ok(sources.size > 0, 'there are sources to check');
  const { problems, warnings } = checkLayers(sources);
  for (const warning of warnings) console.log(`\nWARN ${warning}`);
  assert.is(problems.join('\n'), '');
});

project('the allowed edges themselves have no circle and lead to known rooms', () => {
  const rooms = Object.keys(ALLOWED);
  assert.equal(findCycles(rooms, (room) => ALLOWED[room] ?? []), []);
  for (const target of Object.values(ALLOWED).flat()) assert.ok(target in ALLOWED, target);
});

project.run();

const checker = suite('the checker');

/** The problems of made-up files. Files that are only imported are added, empty. */
function problemsOf(files: Record<string, string>, ...empty: string[]): string[] {
  const sources = new Map(Object.entries(files));
  for (const path of empty) sources.set(path, '');
  return checkLayers(sources).problems;
}

/** Whether the checker refuses that the first file imports the second. */
function refuses(from: string, to: string): boolean {
  const up = '../'.repeat(from.split('/').length - 1);
  const problems = problemsOf({ [from]: `import { x } from '${up}${to.replace('.ts', '')}';` }, to);
  return problems.some((problem) => problem.startsWith(`${from}: imports ${to}; `));
}

checker('accepts edges that go down', () => {
  const good: [string, string][] = [
    ['assembly/memory/a.ts', 'assembly/spec/a.ts'],
    ['assembly/iommu/a.ts', 'assembly/gate/a.ts'],
    ['assembly/dma/a.ts', 'assembly/irq/a.ts'],
    ['assembly/devices/edu/a.ts', 'assembly/dma/a.ts'],
    ['assembly/devices/edu/a.ts', 'assembly/devices/edu/b.ts'],
    ['assembly/devices/dispatch.ts', 'assembly/devices/edu/b.ts'],
    ['assembly/devices/e1000/a.ts', 'assembly/devices/e1000-family/a.ts'],
    ['assembly/devices/e1000e/a.ts', 'assembly/devices/e1000-family/a.ts'],
    ['assembly/paths/a.ts', 'assembly/devices/edu/a.ts'],
    ['src/engine/a.ts', 'src/errors.ts'],
    ['src/xen/a.ts', 'assembly/spec/a.ts'],
    ['src/machine/a.ts', 'src/xen/deep/down/a.ts'],
    ['src/report/a.ts', 'src/lab/a.ts'],
    ['src/cli/a.ts', 'src/index.ts'],
    ['src/cli/a.ts', 'src/cli/deep/b.ts'],
  ];
  for (const [from, to] of good) assert.not.ok(refuses(from, to), `${from} -> ${to}`);
});

checker('refuses edges that go up, sideways or past the public interface', () => {
  const bad: [string, string][] = [
    ['assembly/spec/a.ts', 'assembly/memory/a.ts'],
    ['assembly/gate/a.ts', 'assembly/bus/a.ts'],
    ['assembly/bus/a.ts', 'assembly/gate/a.ts'],
    ['assembly/bus/a.ts', 'assembly/devices/edu/a.ts'],
    ['assembly/irq/a.ts', 'assembly/dma/a.ts'],
    ['assembly/devices/edu/a.ts', 'assembly/devices/nvme/a.ts'],
    ['assembly/devices/edu/a.ts', 'assembly/devices/e1000-family/a.ts'],
    ['assembly/devices/e1000-family/a.ts', 'assembly/devices/e1000/a.ts'],
    ['assembly/devices/e1000e/a.ts', 'assembly/devices/e1000/a.ts'],
    ['assembly/devices/edu/a.ts', 'assembly/drivers/a.ts'],
    ['assembly/drivers/a.ts', 'assembly/devices/edu/a.ts'],
    ['assembly/devices/edu/a.ts', 'assembly/paths/a.ts'],
    ['assembly/paths/a.ts', 'assembly/index.ts'],
    ['assembly/memory/a.ts', 'src/errors.ts'],
    ['src/engine/a.ts', 'assembly/memory/a.ts'],
    ['src/engine/a.ts', 'assembly/index.ts'],
    ['src/errors.ts', 'src/engine/a.ts'],
    ['src/pci/a.ts', 'src/xen/a.ts'],
    ['src/xen/a.ts', 'src/devices/a.ts'],
    ['src/devices/a.ts', 'src/drivers/a.ts'],
    ['src/lab/a.ts', 'src/embed/a.ts'],
    ['src/lab/a.ts', 'src/index.ts'],
    ['src/cli/a.ts', 'src/machine/a.ts'],
    ['src/cli/a.ts', 'src/engine/index.ts'],
    ['src/cli/a.ts', 'assembly/spec/a.ts'],
    ['src/index.ts', 'src/cli/a.ts'],
  ];
  for (const [from, to] of bad) assert.ok(refuses(from, to), `${from} -> ${to}`);
});

checker('sees every way to import', () => {
  const ways = [
    `import x from '../xen/a';`,
    `import '../xen/a';`,
    `import type { X } from '../xen/a';`,
    `export { x } from '../xen/a';`,
    `export * from '../xen/a';`,
    `const x = await import('../xen/a');`,
    `let x: import('../xen/a').X;`,
    `import x = require('../xen/a');`,
    `const x = require('../xen/a');`,
  ];
  for (const way of ways) {
    assert.is(problemsOf({ 'src/pci/a.ts': way }, 'src/xen/a.ts').length, 1, way);
    assert.is(problemsOf({ 'src/pci/a.ts': way }, 'src/xen/a/index.ts').length, 1, way);
  }
});

checker('reports circles between files and between rooms', () => {
  const files = problemsOf({
    'src/pci/a.ts': `import { b } from './b';`,
    'src/pci/b.ts': `import { c } from './c';`,
    'src/pci/c.ts': `import { a } from './a';`,
  });
  assert.equal(files, ['files in a circle: src/pci/a.ts > src/pci/b.ts > src/pci/c.ts > src/pci/a.ts']);
  const rooms = problemsOf({
    'src/pci/a.ts': `import { a } from '../xen/a';`,
    'src/xen/b.ts': `import { b } from '../pci/b';`,
  }, 'src/xen/a.ts', 'src/pci/b.ts');
  assert.ok(rooms.includes('rooms in a circle: src/pci > src/xen > src/pci'));
});

checker('reports rooms, files and packages that should not be', () => {
  assert.match(problemsOf({ 'src/util/a.ts': '' })[0] ?? '', /no room src\/util/);
  assert.match(problemsOf({ 'assembly/a.ts': '' })[0] ?? '', /no room assembly\/a/);
  assert.match(problemsOf({ 'src/pci/a.ts': `import './b';` })[0] ?? '', /no source file/);
  assert.match(problemsOf({ 'src/pci/a.ts': `import '../../scripts/run';` })[0] ?? '', /no source file/);
  assert.match(problemsOf({ 'src/pci/a.ts': `import './b.ts';` }, 'src/pci/b.ts')[0] ?? '', /without the extension/);
  assert.match(problemsOf({ 'assembly/bus/a.ts': `import 'long';` })[0] ?? '', /no dependencies/);
  assert.equal(problemsOf({ 'src/cli/a.ts': `import p from '../../package.json'; import 'commander';` }), []);
});

checker('reports logic in an index, and nothing but re-exports passes', () => {
  for (const index of ['assembly/index.ts', 'src/index.ts', 'src/engine/index.ts']) {
    const own = index.startsWith('src/index') ? './errors' : index.startsWith('src') ? './a' : './paths/a';
    const target = `${index.replace('index.ts', '')}${own.slice(2)}.ts`;
    for (const logic of ['export const x = 1;', 'export function f() {}', 'f();', `import '${own}';`, 'let x = 0;']) {
      assert.match(problemsOf({ [index]: logic }, target)[0] ?? '', /only re-exports/, `${index}: ${logic}`);
    }
    const good = `// Why.\nexport { x } from '${own}';\nexport type { Y } from '${own}';\n`
      + `import { z } from '${own}';\nexport { z };`;
    assert.equal(problemsOf({ [index]: good }, target), [], index);
  }
  assert.match(problemsOf({ 'src/index.ts': `export * from './errors';` }, 'src/errors.ts')[0] ?? '', /name what/);
});

checker('reports anything but const enums in spec', () => {
  assert.equal(problemsOf({ 'assembly/spec/a.ts': 'export const enum A { B = 1 }' }), []);
  for (const text of ['export function f(): void {}', 'export enum A { B }', 'export const x = 1;', 'class C {}']) {
    assert.match(problemsOf({ 'assembly/spec/a.ts': text })[0] ?? '', /const enums and nothing else/, text);
  }
});

checker('reports packages and node: modules that a page would load, at any depth', () => {
  const files = (deep: string): Record<string, string> => ({
    'src/index.ts': `export { a } from './lab/a';`,
    'src/lab/a.ts': `export { b as a } from '../pci/b';`,
    'src/pci/b.ts': deep,
  });
  assert.equal(problemsOf(files('export const b = 1;')), []);
  for (const name of ['node:fs', 'fs', 'cli-table3']) {
    const problems = problemsOf(files(`import x from '${name}'; export const b = x;`));
    assert.is(problems.length, 1, name);
    assert.match(problems[0] ?? '', 'src/index.ts > src/lab/a.ts > src/pci/b.ts');
  }
  assert.is(problemsOf(files(`export const b = await import('node:fs');`)).length, 1);
  assert.is(problemsOf(files('export const b = await import(name);')).length, 1, 'nobody knows what that loads');
  assert.equal(problemsOf({ 'src/index.ts': '', 'src/cli/main.ts': `import 'node:fs';` }), [], 'the command may');
});

checker('warns about long files and refuses very long ones', () => {
  const lines = (count: number) => checkLayers(new Map([['src/pci/a.ts', '// line\n'.repeat(count)]]));
  assert.equal(lines(400), { problems: [], warnings: [] });
  assert.is(lines(401).warnings.length, 1);
  assert.is(lines(800).problems.length, 0);
  assert.is(lines(801).problems.length, 1);
});

checker('knows the room of a file', () => {
  assert.is(roomOf('assembly/devices/edu/registers.ts'), 'assembly/devices');
  assert.is(roomOf('src/errors.ts'), 'src/errors');
  assert.is(roomOf('src/engine/index.ts'), 'src/engine');
});

checker.run();
