import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { perPacket, percent, rate, threeDigits } from '../../src/report/digits';
import { wrap } from '../../src/report/grid';
import { toTable } from '../../src/report/table';
import { compareFixture } from '../helpers/compare-fixture';
import { matchesGolden } from '../helpers/golden';

const ESCAPES = /\u001b\[\d+m/g;

test('ten rows under four workloads', () => {
  const text = toTable(compareFixture());
  matchesGolden('compare-table', text);
  const long = text.split('\n').filter((line) => line.length > 110);
  assert.equal(long, [], 'lines of more than 110 columns');
});

test('one workload, no timed rounds, parameters set, and packets that were not right', () => {
  const document = compareFixture(['64']);
  document.manifest.options['parameters'] = { cHypercall: 500 };
  document.verified = false;
  for (const result of document.results) {
    delete result.wall.ratioToNone;
    if (result.policy !== 'strict') continue;
    result.verified = false;
    result.problem = 'byte 7 of packet 3 is 0x41, should be 0x40';
  }
  matchesGolden('compare-table-not-verified', toTable(document));
});

test('a profile without a CPU has no cycles to show', () => {
  const document = compareFixture(['1500']);
  for (const { modelled } of document.results) Object.assign(modelled, { cycles: null, cyclesPerPacket: null });
  const text = toTable(document);
  assert.match(text, /none {4}20\.5 {2}100% {8}n\/a \[1\] {2}CPU\n/);
  assert.match(text, /\[1\] {2}this profile has no CPU\n/);
  assert.not.match(text, 'Where the CPU cycles');
});

test('more workloads than fit stand in a further table', () => {
  const lines = toTable(compareFixture(), { width: 80 }).split('\n');
  assert.is(lines.filter((line) => /^policy +Gb\/s/.test(line)).length, 2);
  assert.equal(lines.filter((line) => line.length > 110), []);
});

test('without none there is nothing to take a percentage of', () => {
  const document = compareFixture(['1500']);
  document.results = document.results.filter(({ policy }) => policy !== 'none');
  assert.match(toTable(document), /bypass {2}20\.5 {5}- /);
});

test('an attack counts as reached if it did under any workload', () => {
  const document = compareFixture();
  const last = document.results.filter(({ owner, policy }) => owner === 'native' && policy === 'strict').at(-1);
  assert.ok(last);
  last.isolation.neverMapped = { verdict: 'reached' };
  assert.match(toTable(document), / strict {2}n\/a \[2\] {2}reached /);
});

test('only combinations that cannot exist: no table of nothing', () => {
  const document = { ...compareFixture(['1500']), results: [] };
  const text = toTable(document);
  assert.match(text, 'Nothing was run');
  assert.match(text, '[1]  stock Xen');
  assert.not.match(text, 'What it stopped');
});

test('colour only when asked, and the same text below it', () => {
  const plain = toTable(compareFixture());
  assert.not.match(plain, ESCAPES);
  const coloured = toTable(compareFixture(), { colour: true });
  assert.match(coloured, '\u001b[31mreached\u001b[39m');
  assert.is(coloured.replace(ESCAPES, ''), plain);
});

test('the order of the results does not matter', () => {
  const document = compareFixture(['1500']);
  document.results.reverse();
  assert.is(toTable(document), toTable(compareFixture(['1500'])));
});

test('numbers with about three digits, and never an exponent', () => {
  assert.equal([0, 0.104, 4.829, 9.996, 20.46, 99.96, 1816.4, 1e7].map(threeDigits),
    ['0', '0.10', '4.83', '10.0', '20.5', '100', '1,816', '10,000,000']);
  assert.equal([0, 1e-6, 0.00012, 0.0039, 0.015625, 0.0996, 2, 2.02, 255, 4.0078].map(perPacket),
    ['0', '<0.0001', '0.00012', '0.0039', '0.016', '0.10', '2', '2.02', '255', '4.01']);
  assert.equal([0, 0.001, 0.236, 0.996, 1, 1.02].map(percent), ['0%', '<1%', '24%', '>99%', '100%', '102%']);
  assert.equal([0, 999, 1500, 999_499, 999_500, 2.24e6].map(rate), ['0', '999', '1.50 k', '999 k', '1.00 M', '2.24 M']);
});

test('text breaks at spaces and keeps its indent', () => {
  assert.is(wrap('  a  bb cc dddddddd', 8, '    '), '  a  bb\n    cc\n    dddddddd');
});

test.run();
