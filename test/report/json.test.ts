import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toJson } from '../../src/report/json';
import type { CompareDocument } from '../../src/lab/result';
import { compareFixture } from '../helpers/compare-fixture';
import { matchesGolden } from '../helpers/golden';

/** The same data with the keys of every object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, reversed(inner)]));
}

function small(): CompareDocument {
  const document = compareFixture(['1500']);
  const results = document.results.filter(({ owner, policy }) => owner === 'xen' && policy === 'static');
  return { ...document, results, absent: document.absent.slice(0, 1) };
}

test('one result and one absent cell', () => {
  matchesGolden('compare-json', toJson(small()));
});

test('equal documents give equal bytes, whatever order their keys were set in', () => {
  const document = small();
  // The options are the caller's; they stay as they came.
  const turned = { ...(reversed(document) as CompareDocument) };
  turned.manifest.options = document.manifest.options;
  assert.is(toJson(turned), toJson(document));
});

test('what is read back is what was written, to the last bit', () => {
  const document = compareFixture();
  const [first] = document.results;
  assert.ok(first);
  first.wall.packetsPerSecond = 0.1 + 0.2;
  first.counters.dmaReadBytes = Number.MAX_SAFE_INTEGER;
  const text = toJson(document);
  assert.equal(JSON.parse(text), document);
  assert.ok(text.endsWith('}\n'));
});

test('a number that JSON cannot hold is refused, not turned into null', () => {
  const document = small();
  const [first] = document.results;
  assert.ok(first);
  first.wall.packetsPerSecond = Infinity;
  assert.throws(() => toJson(document), (error: unknown) => (
    error instanceof Error && 'code' in error && error.code === 'REPORT_NOT_FINITE'
  ));
});

test('keys that the types do not know come after those that they do', () => {
  const document = Object.assign(small(), { note: 'more' });
  assert.ok(toJson(document).endsWith('"verified": true,\n  "note": "more"\n}\n'));
});

test.run();
