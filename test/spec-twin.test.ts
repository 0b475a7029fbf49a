import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readSources } from './helpers/sources';
import { compareTwins, compareValues } from './helpers/spec-twin';

async function problemsIn(text: string, more: Record<string, string> = {}): Promise<string[]> {
  return (await compareTwins(new Map(Object.entries({ 'spec/sample.ts': text, ...more })))).problems;
}

test('every constant in assembly/spec has the same value in both languages', async () => {
  const { problems, compared } = await compareTwins(readSources('assembly/spec'));
  assert.is(problems.join('\n'), '');
  assert.ok(compared > 0, 'there are constants to compare');
});

test('values, counted, computed and taken from another file, are read alike', async () => {
  const problems = await problemsIn(`
    import { Base } from './base';
    export const enum Sample { A, B, C = 0x40, D, E = C | (1 << 30), F = Base.OFFSET + 4, G = 0x7fffffff, H = G >>> 3 }
  `, { 'spec/base.ts': 'export const enum Base { OFFSET = 0x100 }' });
  assert.equal(problems, []);
});

test('a value of 2^31 and more is reported, and that the languages differ on it', async () => {
  assert.equal(await problemsIn('export const enum Sample { FITS = 0x7fffffff, HIGH = 0x80000000 }'), [
    'spec/sample.ts: Sample.HIGH is 2147483648: not an integer from 0 to 2^31 - 1',
    'spec/sample.ts: Sample.HIGH is 2147483648 in TypeScript but -2147483648 in AssemblyScript',
  ]);
});

test('a negative value is reported', async () => {
  const problems = await problemsIn('export const enum Sample { BIT_31 = 1 << 31, NONE = -1 }');
  assert.is(problems.length, 2);
  assert.match(problems[0] ?? '', 'Sample.BIT_31 is -2147483648');
});

test('a division that only one language rounds is reported', async () => {
  const problems = await problemsIn('export const enum Sample { HALF = 7 / 2 }');
  assert.match(problems.join('\n'), 'is 3.5 in TypeScript but 3 in');
});

test('an enum that cannot be imported is reported', async () => {
  assert.equal(await problemsIn('const enum Sample { A }'), ['spec/sample.ts: Sample is not exported']);
});

test('any difference and any missing value is reported', () => {
  assert.equal(compareValues(new Map([['a', 1]]), new Map([['a', 1]])), []);
  assert.is(compareValues(new Map([['a', 1]]), new Map([['a', 2]])).length, 1);
  assert.is(compareValues(new Map([['a', 1]]), new Map()).length, 1);
  assert.is(compareValues(new Map([['a', undefined]]), new Map([['a', undefined]])).length, 1);
});

test.run();
