import { test } from 'uvu';
import * as assert from 'uvu/assert';
import fs from 'node:fs';
import { MUTANTS } from '../scripts/mutants-list.mjs';
import { countFrames } from '../scripts/pcap.mjs';
import { nodeComplaint, packagesThatDiffer } from '../scripts/setup.mjs';
import { addTo, closingLine, countFile, exitCodeOf, newTally } from '../scripts/test-results.mjs';

function uvuTotals(total: number, passed: number, skipped: number): string {
  return `• • \n\n  Total:     ${total}\n\u001b[32m  Passed:    ${passed}\u001b[39m\n`
    + `  Skipped:   ${skipped}\n  Duration:  1.00ms\n`;
}

function count(output: string, code = 0, timedOut = false) {
  return countFile({ code, output, timedOut });
}

test('a Node before 20 gets one sentence', () => {
  assert.match(nodeComplaint('18.20.4') ?? '', /needs Node 20 .* 18\.20\.4/);
  assert.is(nodeComplaint('20.0.0'), undefined);
  assert.is(nodeComplaint('100.1.0'), undefined);
});

test('missing and other versions of packages are found, optional ones may be missing', () => {
  const lock = {
    packages: {
      '': { version: '0.1.0' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '2.0.0' },
      'node_modules/c': { version: '3.0.0' },
      'node_modules/for-another-system': { version: '1.0.0', optional: true },
    },
  };
  const installed = { packages: { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.1' } } };
  assert.equal(packagesThatDiffer(lock, installed), ['b', 'c']);
  assert.equal(packagesThatDiffer(lock, undefined), ['a', 'b', 'c']);
  assert.equal(packagesThatDiffer(lock, lock), []);
});

test('totals of a file are read with and without failures', () => {
  const good = count(uvuTotals(5, 5, 0));
  assert.is(closingLine(good), '5 passed, 0 failed');
  assert.is(good.problem, '');
  assert.is(closingLine(count(uvuTotals(5, 3, 0), 1)), '3 passed, 2 failed');
});

test('the last totals count, whatever a test printed before', () => {
  assert.is(closingLine(count(uvuTotals(99, 99, 0) + uvuTotals(2, 1, 0), 1)), '1 passed, 1 failed');
});

test('a file that dies, hangs, fails late or runs nothing is a failure', () => {
  assert.is(count('TypeError: x is not a function\n', 1).failed, 1);
  assert.is(count('• • ', 0).failed, 1, 'no totals although the exit code is 0');
  assert.is(count('• • ', 1, true).failed, 1);
  assert.is(count(uvuTotals(4, 4, 0), 1, true).failed, 1, 'every test passed, but it never ended');
  assert.is(count(uvuTotals(4, 4, 0), 1).failed, 1, 'every test passed, but the exit code is 1');
  assert.is(count(uvuTotals(0, 0, 0)).failed, 1);
});

test('skips are named and counted, warnings only named', () => {
  const printed = '• \nSKIP lspci golden: no lspci here\n• WARN not at the start\nWARN long.ts\n';
  const result = count(printed + uvuTotals(2, 2, 1));
  assert.is(result.skips[0], 'lspci golden: no lspci here');
  assert.is(result.skips.length, 2);
  assert.equal(result.warnings, ['long.ts']);
  assert.is(closingLine(result), '2 passed, 0 failed, 2 skipped');
  assert.is(count(`SKIP all of it: no program\n${uvuTotals(0, 0, 0)}`).failed, 0);
});

test('files add up, and nothing run or anything failed is exit code 1', () => {
  const tally = newTally();
  assert.is(exitCodeOf(tally), 1);
  addTo(tally, count(uvuTotals(3, 3, 0)));
  assert.is(exitCodeOf(tally), 0);
  addTo(tally, count('crash', 134));
  assert.is(closingLine(tally), '3 passed, 1 failed');
  assert.is(exitCodeOf(tally), 1);
});

test('frames of a capture are counted in both byte orders, and a cut is noticed', () => {
  const capture = (little: boolean, magic: number, ...lengths: number[]): Uint8Array => {
    const bytes = new Uint8Array(24 + lengths.reduce((sum, length) => sum + 16 + length, 0));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, magic, little);
    let at = 24;
    for (const length of lengths) {
      view.setUint32(at + 8, length, little);
      at += 16 + length;
    }
    return bytes;
  };
  assert.is(countFrames(capture(true, 0xa1b2c3d4)), 0);
  assert.is(countFrames(capture(true, 0xa1b2c3d4, 60, 1514, 0)), 3);
  assert.is(countFrames(capture(false, 0xa1b23c4d, 60, 1514)), 2);
  const cut = capture(true, 0xa1b2c3d4, 60, 60);
  assert.throws(() => countFrames(cut.subarray(0, -1)), /frame 2 is cut off/);
  assert.throws(() => countFrames(cut.subarray(0, 24 + 76 + 10)), /frame 2 is cut off/);
  assert.throws(() => countFrames(capture(true, 0x0a0d0d0a, 60)), /magic/);
  assert.throws(() => countFrames(new Uint8Array(10)), /shorter/);
});

test('every guard that the mutants take out stands once, and there is a test for it', () => {
  for (const { guard, file, find, test: path } of MUTANTS) {
    assert.is(fs.readFileSync(file, 'utf8').split(find).length, 2, guard);
    assert.ok(fs.existsSync(path), `${guard}: ${path}`);
  }
});

test.run();
