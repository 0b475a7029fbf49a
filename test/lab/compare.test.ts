import { test } from 'uvu';
import * as assert from 'uvu/assert';
import fs from 'node:fs';
import { compare } from '../../src/lab/compare';
import type { CompareDocument, CompareResult } from '../../src/lab/result';

const ATTACKS = ['otherDomain', 'neverMapped', 'pageNeighbour', 'afterUnmap', 'afterFlush', 'forgedMsi', 'peer'] as const;

/** r reached, b blocked, - not applicable; in the order of ATTACKS. */
const EXPECTED: Record<string, string> = {
  'native/none': '-rrrrrr',
  'native/bypass': '-rrrrrr',
  'native/static': '-rrrrbb',
  'native/strict': '-brbbbb',
  'native/lazy': '-brrbbb',
  'xen/none': 'rrrrrrr',
  'xen/bypass': 'rrrrrrr',
  'xen/static': 'brrrrbb',
  'pv-iommu/strict': 'bbrbbbb',
  'pv-iommu/lazy': 'bbrrbbb',
};

function vector(result: CompareResult): string {
  return ATTACKS.map((attack) => {
    const { verdict } = result.isolation[attack];
    return verdict === 'n/a' ? '-' : verdict[0];
  }).join('');
}

function find(document: CompareDocument, owner: string, policy: string): CompareResult {
  const result = document.results.find((one) => one.owner === owner && one.policy === policy);
  if (result === undefined) throw new Error(`no result for ${owner}/${policy}`);
  return result;
}

const small = { workloads: ['1500'], packets: 1024, rounds: 0 };
const whole = compare(small);

test('every packet arrives whole under every policy', async () => {
  const document = await whole;
  assert.is(document.verified, true);
  assert.is(document.results.length, 10);
  for (const result of document.results) {
    assert.is(result.verified, true);
    assert.is(result.packets, 1024);
    assert.is(result.bytes, 1024 * 1500);
    assert.is(result.counters.rxFrames, 1024);
    assert.is(result.counters.txFrames, 1024);
  }
});

test('the attacks reach and are stopped as each policy promises, no more and no less', async () => {
  const document = await whole;
  const found = Object.fromEntries(document.results.map((result) => [`${result.owner}/${result.policy}`, vector(result)]));
  assert.equal(found, EXPECTED);
});

test('whatever was blocked comes with fault records of the NIC that fit, one at least for each way tried', async () => {
  const document = await whole;
  for (const { owner, policy, isolation } of document.results) {
    for (const attack of ATTACKS) {
      const { verdict, fault, faults = [] } = isolation[attack];
      if (verdict !== 'blocked') {
        assert.is(fault, undefined);
        continue;
      }
      const where = `${owner}/${policy} ${attack}`;
      assert.equal(fault, faults[0], where);
      for (const one of faults) assert.is(one.requester, '0000:00:04.0', where);
      if (attack === 'forgedMsi') {
        // the old format, then the victim's own handle from another requester
        assert.match(faults[0]?.reason ?? '', /^0x25 /, where);
        assert.match(faults[1]?.reason ?? '', /^0x26 /, where);
      } else if (attack === 'peer') assert.match(fault?.reason ?? '', /^0x05 /, where);
      else assert.equal(faults.map(({ reason }) => reason.slice(0, 4)), ['0x06', '0x05'], where);
    }
  }
});

test('attacks on memory are judged for each direction, and a window that is open is open for both', async () => {
  const document = await whole;
  const lazy = find(document, 'native', 'lazy').isolation;
  assert.equal([lazy.afterUnmap.read, lazy.afterUnmap.write], ['reached', 'reached']);
  assert.equal([lazy.afterFlush.read, lazy.afterFlush.write], ['blocked', 'blocked']);
  for (const { isolation } of document.results) {
    for (const { verdict, read, write } of Object.values(isolation)) if (read !== undefined) assert.equal([read, write], [verdict, verdict]);
  }
});

test('combinations that cannot exist are named with a reason', async () => {
  const document = await whole;
  const absent = document.absent.map(({ owner, policy }) => `${owner}/${policy}`);
  assert.equal(absent, ['xen/strict', 'xen/lazy', 'pv-iommu/none', 'pv-iommu/bypass', 'pv-iommu/static']);
  for (const { absent: reason } of document.absent) assert.ok(reason.length > 20);
});

// Calibration C1: 3.1 GHz, 1816 cycles a packet for the stack, two mappings a packet (Malka et al., ASPLOS'15)
for (const [allocator, strict, lazy] of [['magazine', 3.96, 6.47], ['tree', 2.18, 4.33]] as const) {
  test(`rio2014 gives the published throughput of 1500-byte packets within 1 % (${allocator} allocator)`, async () => {
    const document = await compare({
      ...small, packets: 4096, owners: ['native'], policies: ['none', 'strict', 'lazy'], allocator, profile: 'rio2014',
    });
    for (const [policy, gbps] of [['none', 20.48], ['strict', strict], ['lazy', lazy]] as const) {
      const got = find(document, 'native', policy).modelled.gbps;
      assert.ok(Math.abs(got / gbps - 1) < 0.01, `${policy}: ${got} Gb/s, published ${gbps}`);
      assert.is(find(document, 'native', policy).modelled.bottleneck, 'cpu');
    }
  });
}

test('the counters say what each policy does per packet', async () => {
  const document = await whole;
  const per = (owner: string, policy: string, counter: 'maps' | 'translations' | 'invalidationSubmissions' | 'hypercalls'): number =>
    find(document, owner, policy).counters[counter] / 1024;
  // one mapping to receive and one to send; each DMA is translated: descriptor, data and write-back, in and out
  for (const policy of ['none', 'bypass', 'static', 'strict', 'lazy']) assert.is(per('native', policy, 'maps'), 2);
  assert.is(per('native', 'none', 'translations'), 0);
  assert.is(per('native', 'bypass', 'translations'), 0);
  assert.is(per('native', 'strict', 'translations'), 6);
  assert.is(per('native', 'strict', 'invalidationSubmissions'), 2);
  assert.ok(per('native', 'lazy', 'invalidationSubmissions') <= 2 / 255 + 2 / 1024);
  assert.is(per('native', 'strict', 'hypercalls'), 0);
  // map, unmap and flush, each for receive and send
  assert.is(per('pv-iommu', 'strict', 'hypercalls'), 6);
});

test('one flipped byte on the wire ends the run unverified, under every policy', async () => {
  const document = await compare({ ...small, owners: ['native'], inject: 'corrupt' });
  assert.is(document.verified, false);
  for (const result of document.results) {
    assert.is(result.verified, false);
    assert.match(result.problem ?? '', /^1 packets differed in the guest and 1 at the sink/);
  }
});

test('equal seeds give equal documents, different seeds different counters', async () => {
  const options = { ...small, owners: ['native' as const], policies: ['none' as const, 'static' as const, 'strict' as const] };
  assert.equal(await compare({ ...options, seed: 7 }), await compare({ ...options, seed: 7 }));
  const seen = new Map<string, string[]>();
  for (let seed = 1; seed <= 10; seed++) {
    for (const { policy, counters } of (await compare({ ...options, packets: 8192, seed })).results) {
      const list = seen.get(policy) ?? [];
      list.push(JSON.stringify(counters));
      seen.set(policy, list);
    }
  }
  for (const [policy, list] of seen) assert.is(new Set(list).size, 10, policy);
});

test('a capture is replayed with its own sizes', async () => {
  const bytes = fs.readFileSync('assets/traffic.pcap.gz');
  const document = await compare({ owners: ['xen'], policies: ['static'], workloads: ['pcap'], rounds: 0, pcap: { name: 'traffic', bytes } });
  const [result] = document.results;
  assert.is(result?.verified, true);
  assert.ok((result?.packets ?? 0) >= 10_000);
  const mean = (result?.bytes ?? 0) / (result?.packets ?? 1);
  assert.ok(mean > 300 && mean < 1000, `mean size ${mean}`);
});

test('names and ranges that are wrong are told', async () => {
  const refuses = async (options: object, expected: RegExp): Promise<void> => {
    try {
      await compare({ ...small, ...options });
    } catch (error) {
      assert.match((error as Error).message, expected);
      return;
    }
    assert.unreachable('nothing was refused');
  };
  await refuses({ policies: ['sometimes'] }, /no policy "sometimes"; there are none, bypass, static, strict, lazy/);
  await refuses({ policies: ['riommu'] }, /not in this version/);
  await refuses({ owners: ['me'] }, /no owner "me"/);
  await refuses({ workloads: ['59'] }, /no workload "59".*60 to 1514/);
  await refuses({ workloads: ['pcap'] }, /needs a capture/);
  await refuses({ packets: 0 }, /packets is 0; it must be a whole number from 1/);
  await refuses({ profile: 'z80' }, /z80/);
  await refuses({ parameters: { speed: 1 } }, /speed/);
  await refuses({ batch: 256 }, /batch is 256/);
  await refuses({ parameters: { iotlb: 1 } }, /"iotlb" cannot be set.*counted in the run/);
});

test.run();
