import fs from 'node:fs';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { root } from '../../scripts/files.mjs';

/** Compares with test/golden/`name`.txt, byte for byte. UPDATE_GOLDEN=1 writes the file: read the difference then. */
export function matchesGolden(name: string, actual: string): void {
  const file = path.join(root, 'test/golden', `${name}.txt`);
  if (process.env['UPDATE_GOLDEN']) fs.writeFileSync(file, actual);
  assert.fixture(actual, fs.readFileSync(file, 'utf8'));
}
