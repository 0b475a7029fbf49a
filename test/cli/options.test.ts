import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CommandError, nearest } from '../../src/cli/exit';
import {
  ALLOCATORS, oneOf, readDevice, readOwners, readPolicies, readProfile, readSetting, readWorkloads, wholeNumber,
} from '../../src/cli/options';

/** The sentence with which `read` refuses, as a usage error. */
function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    assert.is(error.exitCode, 2);
    return error.message;
  }
  throw new Error('it was accepted');
}

test('whole numbers: digits only, within the range', () => {
  assert.is(wholeNumber('--packets')('8192'), 8192);
  assert.is(wholeNumber('--rounds')('0'), 0);
  assert.is(wholeNumber('--seed')('4294967295'), 4294967295);
  const wrong = ['', ' 5', '5 ', '1e3', '0x10', '1.5', '-1', '+5', 'NaN', 'Infinity', '0', '10000001', '5packets'];
  for (const text of wrong) {
    assert.is(refusal(() => wholeNumber('--packets')(text)),
      `--packets is '${text}'; give a whole number from 1 to 10000000`);
  }
  refusal(() => wholeNumber('--seed')('4294967296'));
  refusal(() => wholeNumber('--seed')('99999999999999999999'));
});

test('policies', () => {
  assert.equal(readPolicies('none,strict'), ['none', 'strict']);
  assert.equal(readPolicies(' lazy , none,lazy'), ['lazy', 'none']);
  assert.is(refusal(() => readPolicies('none,strct')),
    "unknown policy 'strct' in --policies; there are none, bypass, static, strict, lazy (did you mean strict?)");
  assert.is(refusal(() => readPolicies('pool')),
    "policy 'pool' in --policies cannot be compared yet; those that can are none, bypass, static, strict, lazy");
  for (const text of ['', ',', 'none,', 'none,,lazy']) {
    assert.match(refusal(() => readPolicies(text)), 'a name is missing');
  }
  refusal(() => readPolicies('NONE'));
  refusal(() => readPolicies('toString'));
});

test('owners', () => {
  assert.equal(readOwners('native,pv-iommu'), ['native', 'pv-iommu']);
  assert.is(refusal(() => readOwners('kvm')), "unknown owner 'kvm' in --owners; there are native, xen, pv-iommu");
});

test('workloads', () => {
  assert.equal(readWorkloads('pcap,imix,60,1514'), ['pcap', 'imix', '60', '1514']);
  for (const text of ['59', '1515', '064', '1e2', 'jumbo', '-64', '64.0']) {
    assert.is(refusal(() => readWorkloads(text)), `unknown workload '${text}' in --workloads; give pcap, imix, or the `
      + 'size of a frame from 60 to 1514 bytes');
  }
});

test('device, profile, allocator', () => {
  assert.is(readDevice('e1000'), 'e1000');
  assert.is(refusal(() => readDevice('e1000e')), "unknown device 'e1000e' in --device; there is only e1000");
  assert.is(readProfile('icx2023'), 'icx2023');
  assert.is(refusal(() => readProfile('rio')),
    "--profile is 'rio'; there are rio2014, bdw2018, clx2024, icx2023 (did you mean rio2014?)");
  assert.is(oneOf('--allocator', ALLOCATORS)('tree'), 'tree');
  assert.match(refusal(() => oneOf('--allocator', ALLOCATORS)('bump')), 'there are magazine, tree');
});

test('settings add up, and each is one strict decimal number', () => {
  assert.equal(readSetting('cExit=1500', readSetting('cpuHz=3.1e9')), { cpuHz: 3.1e9, cExit: 1500 });
  assert.equal(readSetting('cAlloc.strict+=.5'), { 'cAlloc.strict+': 0.5 });
  // Its sign and its range are the cost model's to judge.
  assert.equal(readSetting('cExit=-1'), { cExit: -1 });
  for (const text of ['cExit', '=5', '']) assert.match(refusal(() => readSetting(text)), 'give NAME=VALUE');
  for (const value of ['', '0x10', 'NaN', 'Infinity', '1e999', '5 ns', '1,5', '.']) {
    assert.match(refusal(() => readSetting(`cExit=${value}`)), `the value '${value}'`);
  }
  assert.is(refusal(() => readSetting('cExit=1', { cExit: 2 })), '--set gives cExit twice; give it once');
});

test('the name that was meant', () => {
  const names = ['cExit', 'cStack', 'cHypercall', 'cInvalidate.strict'];
  assert.is(nearest('cExti', names), 'cExit');
  assert.is(nearest('chypercal', names), 'cHypercall');
  assert.is(nearest('cInvalidate', names), 'cInvalidate.strict');
  assert.is(nearest('latency', names), undefined);
});

test.run();
