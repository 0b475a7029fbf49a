// The examples as a reader runs them.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../scripts/files.mjs';
import { refreshed, tell } from '../scripts/story.mjs';

function run(example: string): string {
  const file = path.join(root, 'examples', example);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 60_000 });
  assert.is(stderr, '');
  assert.is(status, 0);
  return stdout;
}

test('checksum-device.mjs: the check value of CRC-32', () => {
  assert.is(run('checksum-device.mjs'), 'status 2, CRC-32 of "123456789": cbf43926\n');
});

test('passthrough.mjs: a factorial, and what the IOMMU stops', () => {
  assert.match(run('passthrough.mjs'), /^10! = 3628800\nstopped: write at 0x[0-9a-f]+, .+\n$/);
});

test('passthrough.sh runs from beginning to end, and prints what the README says', async () => {
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  const printed = refreshed(readme, await tell()).split('\n');
  const at = readme.split('\n').findIndex((line, i) => line !== printed[i]);
  assert.is(at, -1, `README.md, line ${at + 1}: the script prints\n${printed[at]}\nnode scripts/story.mjs --write writes it anew`);
});

test('the page: outputs are replaced, commands are found in their order, stock tools may be missing', () => {
  const page = (text: string): string => `words\n\`\`\`console\n${text}\`\`\`\n\`\`\`\n$ other\n\`\`\`\n`;
  const printed = '\n# One\n$ a\n1 \n$ b\n\n# Two\n$ a\n2\n';
  assert.is(refreshed(page('$ a\nold\n$ b\n$ xenstore-ls\nkept\n$ a\n'), printed), page('$ a\n1\n$ b\n$ xenstore-ls\nkept\n$ a\n2\n'));
  assert.throws(() => refreshed(page('$ b\n$ b\n'), printed), /"b", which .* does not run after/);
  assert.throws(() => refreshed(page('$ xenstore-ls\n'), '$ xenstore-rm\n'), /xenstore-ls/);
});

test.run();
