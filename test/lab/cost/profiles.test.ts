import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PortcullisError } from '../../../src/errors';
import { PARAMETER_NAMES, describeParameter } from '../../../src/lab/cost/parameters';
import type { ParameterName } from '../../../src/lab/cost/parameters';
import { PROFILE_NAMES, cyclesOf, linkOf, resolveProfile, valueOf } from '../../../src/lab/cost/profiles';

function errorOf(action: () => unknown): PortcullisError {
  try {
    action();
  } catch (error) {
    if (error instanceof PortcullisError) {
      return error;
    }
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('every parameter of every profile says where it is from', () => {
  for (const name of PROFILE_NAMES) {
    for (const [key, parameter] of Object.entries(resolveProfile(name).parameters)) {
      assert.ok((PARAMETER_NAMES as readonly string[]).includes(key), key);
      assert.ok(Number.isFinite(parameter.value) && parameter.value >= 0, `${name} ${key}`);
      assert.ok(parameter.source.length > 5, `${name} ${key}`);
      assert.ok(['sourced', 'recalled', 'figure', 'inferred', 'assumed'].includes(parameter.certainty));
    }
  }
  for (const name of PARAMETER_NAMES) {
    assert.ok(describeParameter(name).meaning.length > 5, name);
  }
});

test('the values that the profiles differ in', () => {
  const table: Record<string, Partial<Record<ParameterName, number | undefined>>> = {
    rio2014: { cpuHz: 3.1e9, cores: 1, cStack: 1816, lineRate: 40e9, occPosted: 229, readTags: 64, mapsPerPacket: 2 },
    bdw2018: { cpuHz: undefined, cStack: undefined, lineRate: undefined, occPosted: undefined, readTags: 34 },
    clx2024: { cpuHz: 3.3e9, cores: 5, lineRate: 100e9, occPosted: 229, readTags: 256, postedLines: 100 },
    icx2023: { lineRate: 200e9, occPosted: 115, readTags: 256, postedLines: 200 },
  };
  for (const [name, values] of Object.entries(table)) {
    const profile = resolveProfile(name);
    for (const [key, expected] of Object.entries(values)) {
      assert.is(valueOf(profile, key as ParameterName), expected, `${name} ${key}`);
    }
  }
  assert.equal(linkOf(resolveProfile('rio2014')), { generation: 3, lanes: 8, mps: 256, mrrs: 512 });
  assert.equal(linkOf(resolveProfile('bdw2018')), { generation: 3, lanes: 8, mps: 256, mrrs: 512 });
  assert.equal(linkOf(resolveProfile('clx2024')), { generation: 3, lanes: 16, mps: 256, mrrs: 512 });
  assert.equal(linkOf(resolveProfile('icx2023')), { generation: 4, lanes: 16, mps: 256, mrrs: 512 });
});

test('the translator and the host, in all profiles', () => {
  const values: Partial<Record<ParameterName, number>> = {
    tRead0: 550, tWriteCommit: 100, tHit: 0, wFixed: 230, wStep: 100, occNonposted: 51, iotlb: 64, pwc2M: 64, pwc1G: 32,
    pwc512G: 32, devcache: 64, tInvService: 350, tInvExtra: 50,
  };
  const withCpu: Partial<Record<ParameterName, number>> = {
    tInvLat: 690, tInvVirtual: 7500, fqSize: 256, fqTimeout: 10e6, copyNsPerByte: 0.075, copyNsFixed: 30,
    irqN: 64, irqT: 20_000, cIrq: 3000, cExit: 2000, cHypercall: 2000,
  };
  for (const name of PROFILE_NAMES) {
    const expected = name === 'bdw2018' ? values : { ...values, ...withCpu };
    for (const [key, value] of Object.entries(expected)) {
      assert.is(valueOf(resolveProfile(name), key as ParameterName), value, `${name} ${key}`);
    }
  }
});

test('table A: the sums of its columns', () => {
  const profile = resolveProfile('rio2014');
  const sums = [
    ['strict', 4618, 2999], ['strict+', 727, 3067], ['defer', 2251, 1137], ['defer+', 727, 1240],
  ] as const;
  const sum = (names: readonly ParameterName[]): number => names.reduce((n, name) => n + cyclesOf(profile, name), 0);
  for (const [column, map, unmap] of sums) {
    assert.is(sum([`cAlloc.${column}`, `cMapPt.${column}`, `cMapOther.${column}`]), map, column);
    assert.is(sum([`cFind.${column}`, `cFree.${column}`, `cUnmapPt.${column}`, `cInvalidate.${column}`,
      `cUnmapOther.${column}`]), unmap, column);
  }
});

test('a modern profile has its times in ns, and they follow the clock', () => {
  assert.is(cyclesOf(resolveProfile('clx2024'), 'cMapPt.strict+'), 55 * 3.3);
  assert.is(cyclesOf(resolveProfile('clx2024', { cpuHz: 2e9 }), 'cUnmapPt.defer+'), 138);
  assert.is(cyclesOf(resolveProfile('clx2024'), 'cAlloc.strict+') + cyclesOf(resolveProfile('clx2024'),
    'cFree.strict+'), 100);
  assert.is(cyclesOf(resolveProfile('icx2023'), 'cAlloc.strict'), 3100);
});

test('an override takes the unit of the profile, is marked, and leaves the profile alone', () => {
  const changed = resolveProfile('clx2024', { 'cMapPt.strict+': 100, 'pcie.lanes': 8, occPosted: 0 });
  assert.is(changed.parameters['cMapPt.strict+']?.unit, 'ns');
  assert.is(changed.parameters['cMapPt.strict+']?.value, 100);
  assert.is(changed.parameters.occPosted?.source, 'given by the caller');
  assert.is(linkOf(changed)?.lanes, 8);
  assert.is(linkOf(resolveProfile('clx2024'))?.lanes, 16);
  assert.is(valueOf(resolveProfile('bdw2018', { cStack: 100, cpuHz: 1e9 }), 'cStack'), 100);
});

test('a tInvLat given replaces the invalidation cells of table A', () => {
  assert.is(valueOf(resolveProfile('rio2014'), 'cInvalidate.strict+'), 2135);
  const changed = resolveProfile('rio2014', { tInvLat: 1000, 'cInvalidate.strict': 5 });
  assert.is(valueOf(changed, 'cInvalidate.strict+'), undefined);
  assert.is(valueOf(changed, 'cInvalidate.strict'), 5);
});

test('what is unknown is named, with what there is', () => {
  const profile = errorOf(() => resolveProfile('skl2017'));
  assert.is(profile.code, 'COST_UNKNOWN_PROFILE');
  assert.match(profile.message, /'skl2017'.*rio2014, bdw2018, clx2024, icx2023/);
  const parameter = errorOf(() => resolveProfile('rio2014', { cpuHertz: 1 }));
  assert.is(parameter.code, 'COST_UNKNOWN_PARAMETER');
  assert.match(parameter.message, /'cpuHertz'.*cpuHz, .*cAlloc\.strict\+/);
  assert.is(errorOf(() => resolveProfile('toString')).code, 'COST_UNKNOWN_PROFILE');
  assert.is(errorOf(() => resolveProfile('rio2014', { constructor: 1 })).code, 'COST_UNKNOWN_PARAMETER');
});

test('values that cannot be are refused', () => {
  const bad: readonly (readonly [string, number])[] = [
    ['cpuHz', 0], ['cpuHz', NaN], ['tRead0', -1], ['tRead0', Infinity], ['readTags', 1.5], ['cores', 0],
    ['walkersShared', 2], ['lineRate', 0],
  ];
  for (const [name, value] of bad) {
    const error = errorOf(() => resolveProfile('rio2014', { [name]: value }));
    assert.is(error.code, 'COST_BAD_PARAMETER', `${name} ${value}`);
    assert.match(error.message, new RegExp(name));
  }
  assert.is(errorOf(() => resolveProfile('rio2014', { 'pcie.lanes': 3 })).code, 'COST_BAD_LINK');
});

test.run();
