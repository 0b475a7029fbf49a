// The examples as a reader runs them.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../scripts/files.mjs';

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

test.run();
