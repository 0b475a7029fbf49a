import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  cpuPacketRate, gbps, invalidationRate, invalidationRatePerCore, lazyFlushes, meanPostedTime, missLatency,
  missThroughput, pingPongAddition, postedWindowThroughput, randomMissShare, readLatency, readWalkRate,
  readWindowThroughput, tightest, writeWalkThroughput,
} from '../../../src/lab/cost/closed-forms';

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected} +- ${tolerance}`);
}

test('form 1: CPU, 1500 bytes at 3.1 GHz', () => {
  const twoMaps = [[1816, 20.48], [17050, 2.18], [9404, 3.96], [8592, 4.33], [5750, 6.47]] as const;
  for (const [cycles, expected] of twoMaps) {
    near(gbps(cpuPacketRate(3.1e9, cycles), 1500), expected, 0.006, `${cycles} cycles`);
  }
  const oneMap = [
    [4618 + 2999, 3.94], [727 + 3067, 6.63], [2251 + 1137, 7.15], [727 + 1240, 9.83],
  ] as const;
  for (const [mapping, expected] of oneMap) {
    near(gbps(cpuPacketRate(3.1e9, 1816 + mapping), 1500), expected, 0.006, `${mapping} cycles of mapping`);
  }
  assert.is(cpuPacketRate(3e9, 1000, 4), 12e6);
});

test('form 2: walk rate on reads, random in a window', () => {
  const KIB = 1024;
  const table = [
    [512, 39.0, 20.0], [1024, 26.0, 13.3], [2048, 22.3, 11.4], [4096, 20.8, 10.6], [8192, 20.1, 10.3],
    [65536, 19.6, 10.0],
  ] as const;
  for (const [window, millions, throughput] of table) {
    const rate = readWalkRate(62.5e6, 51.3, 1, randomMissShare(64, 4096, window * KIB));
    near(rate / 1e6, millions, 0.06, `${window} KiB`);
    near(gbps(rate, 64), throughput, 0.06, `${window} KiB`);
  }
  assert.is(randomMissShare(64, 4096, 256 * KIB), 0);
  assert.is(randomMissShare(64, 4096, 4 * KIB), 0);
  assert.is(readWalkRate(62.5e6, 51.3, 1, 0), 62.5e6);
});

test('form 3: walk rate on posted writes', () => {
  near(writeWalkThroughput(4000, 1.76, 229), 79.4, 0.06, 'M = 1.76');
  near(writeWalkThroughput(4000, 2.315, 229), 60.4, 0.06, 'M = 2.315');
});

test('form 4: misses per second', () => {
  // 145 Gb/s at the wall with about 500 misses per MiB and 1.0 to 1.1 reads each, 115 ns per read.
  near(missThroughput(500 / 2 ** 20, 115, 1.05), 139, 1, 'at the wall');
  const rate = missThroughput(500 / 2 ** 20, 115, 1.05);
  near((rate / 8) * (500 / 2 ** 20) * 115 * 1.05, 1, 1e-12, 'T m occ n');
});

test('form 5: posted window', () => {
  near(postedWindowThroughput(100, 365), 140, 0.5, 'a miss in each window');
  assert.is(meanPostedTime(100, 0.01, 100, 365), 365);
  assert.is(meanPostedTime(100, 0.5, 100, 365), 365);
  assert.is(meanPostedTime(100, 0, 100, 365), 100);
  assert.is(meanPostedTime(100, 0.005, 100, 300), 200);
});

test('form 6: read window', () => {
  // 34 reads in flight at 550 ns are the 62.5 M/s that a 64-byte read generator reached.
  near(readWindowThroughput(34, 64, 550), 32, 0.4, '34 tags');
  // 128 bytes at 40 Gb/s and 550 ns need about 21 reads in flight, 64 bytes about 43.
  near(readWindowThroughput(21.5, 128, 550), 40, 0.1, '128 bytes');
  near(readWindowThroughput(43, 64, 550), 40, 0.1, '64 bytes');
});

test('form 7: invalidation', () => {
  near(invalidationRate(350) / 1e6, 2.857, 0.001, 'submissions per second');
  near(invalidationRate(350, 50, 3) / 1e6, 2, 1e-9, 'with three further descriptors');
  near(invalidationRatePerCore(690, 310) / 1e6, 1, 1e-9, 'per core');
});

test('form 8: lazy flushes', () => {
  assert.equal(lazyFlushes(0, 255, 1e7, 64), { flushesPerSecond: 0, refillReadsPerSecond: 0 });
  assert.equal(lazyFlushes(1, 255, 1e7, 64), { flushesPerSecond: 100, refillReadsPerSecond: 6400 });
  assert.equal(lazyFlushes(255_000, 255, 1e7, 128), { flushesPerSecond: 1000, refillReadsPerSecond: 128_000 });
});

test('form 9: the lowest binds, the first of equals', () => {
  assert.is(tightest([]), undefined);
  const bounds = [3, 1, 2, 1].map((packetsPerSecond, index) => ({ packetsPerSecond, index }));
  assert.is(tightest(bounds)?.index, 1);
});

test('form 10: latency of a read', () => {
  assert.is(readLatency(550, 0, 230, 100, 1), 550);
  assert.is(readLatency(550, 1, 230, 100, 1), 880);
  assert.is(missLatency(230, 100, 1), 330);
  // Three to four reads are about 0.5 to 0.6 us.
  assert.is(missLatency(230, 100, 3), 530);
  near(pingPongAddition(727, 3067, 3.1e9), 1223.87, 0.01, 'strict+');
});

test.run();
