import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  countedBytes, payloadBandwidth, rawBandwidth, readBytes, tlpBandwidth, tlpOverhead, writeBytes,
} from '../../../src/lab/cost/pcie';
import type { LinkBytes } from '../../../src/lab/cost/pcie';
import { linePacketRate, tcpGoodput, wireBytes } from '../../../src/lab/cost/ethernet';

const GEN3_X8 = { generation: 3, lanes: 8, mps: 256, mrrs: 512 };

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected} +- ${tolerance}`);
}

test('raw bandwidth is signalling rate x encoding x lanes', () => {
  const perLane = [[1, 2], [2, 4], [3, 7.876923], [4, 15.753846], [5, 31.507692], [6, 60.5]] as const;
  for (const [generation, expected] of perLane) {
    near(rawBandwidth(generation, 1), expected, 1e-5, `gen${generation} x1`);
    near(rawBandwidth(generation, 16), 16 * expected, 1e-4, `gen${generation} x16`);
  }
});

test('TLP bandwidth: the nine values of Neugebauer et al.\'s model', () => {
  const table = [
    [1, 8, 128, 12.137], [2, 4, 256, 14.444], [2, 8, 256, 28.676], [3, 4, 256, 29.070], [3, 8, 256, 57.885],
    [3, 16, 256, 113.700], [4, 8, 256, 115.770], [4, 16, 256, 227.400], [5, 16, 256, 454.800],
  ] as const;
  for (const [generation, lanes, mps, expected] of table) {
    near(tlpBandwidth({ generation, lanes, mps }), expected, 0.001, `gen${generation} x${lanes} ${mps}`);
  }
});

test('TLP bandwidth follows every cell of the Ack limit table', () => {
  const gen3 = [[1, 333, 512, 655], [4, 169, 214, 250], [8, 163, 203, 182], [16, 144, 168, 182]] as const;
  const tables = [
    [1, 2, [[1, 237, 416, 559], [4, 73, 118, 154], [8, 67, 107, 86], [16, 48, 72, 86]]],
    [2, 4, [[1, 288, 467, 610], [4, 124, 169, 205], [8, 118, 158, 137], [16, 99, 123, 137]]],
    [3, 8 * 128 / 130, gen3], [4, 16 * 128 / 130, gen3], [5, 32 * 128 / 130, gen3],
  ] as const;
  for (const [generation, perLane, rows] of tables) {
    for (const [lanes, ...limits] of rows) {
      limits.forEach((limit, index) => {
        const mps = 128 << index;
        const expected = perLane * lanes * (1 - 16 / limit - 4 / 1538);
        near(tlpBandwidth({ generation, lanes, mps }), expected, 1e-9, `gen${generation} x${lanes} ${mps}`);
      });
    }
  }
});

test('links that the table does not have are refused by name', () => {
  assert.throws(() => rawBandwidth(7, 8), /generation 7/);
  assert.throws(() => tlpBandwidth({ generation: 3, lanes: 2, mps: 256 }), /gen3 x2/);
  assert.throws(() => tlpBandwidth({ generation: 6, lanes: 8, mps: 256 }), /gen6/);
  assert.throws(() => tlpBandwidth({ generation: 3, lanes: 8, mps: 300 }), /payload of 300/);
});

test('payload bandwidth on gen3 x8: write, read, each of read+write', () => {
  const table = [
    [1, 2.315, 2.412, 1.181], [8, 14.471, 16.539, 8.269], [64, 42.098, 44.103, 33.077], [65, 42.275, 44.265, 33.297],
    [128, 48.745, 50.063, 42.098], [256, 52.923, 53.690, 48.745], [257, 48.775, 50.089, 45.217],
    [512, 52.923, 53.690, 50.748], [513, 50.760, 51.824, 46.911], [1024, 52.923, 53.690, 50.748],
    [1500, 52.815, 53.597, 50.599], [1514, 52.857, 53.634, 50.658],
  ] as const;
  for (const [size, write, read, both] of table) {
    near(payloadBandwidth('write', size, GEN3_X8), write, 0.001, `write ${size}`);
    near(payloadBandwidth('read', size, GEN3_X8), read, 0.001, `read ${size}`);
    near(payloadBandwidth('read+write', size, GEN3_X8), both, 0.001, `read+write ${size}`);
  }
});

test('overheads: 32-bit addresses, ECRC, and completions cut at the read completion boundary', () => {
  assert.equal(tlpOverhead({ addressBits: 64, ecrc: false }), { write: 24, readRequest: 24, completion: 20 });
  assert.equal(tlpOverhead({ addressBits: 32, ecrc: false }), { write: 20, readRequest: 20, completion: 20 });
  assert.equal(tlpOverhead({ addressBits: 64, ecrc: true }), { write: 28, readRequest: 28, completion: 24 });
  assert.equal(writeBytes(257, GEN3_X8), { tx: 2 * 24 + 257, rx: 0 });
  assert.equal(readBytes(513, GEN3_X8), { tx: 2 * 24, rx: 3 * 20 + 513 });
  assert.equal(readBytes(512, GEN3_X8, undefined, 64), { tx: 24, rx: 8 * 20 + 512 });
});

test('counted TLPs take the same bytes', () => {
  const counted = {
    writeTlps: 7, dmaWriteBytes: 1516, readRequestTlps: 4, completionTlps: 8, dmaReadBytes: 1532,
    mmioReads: 2, mmioWrites: 3,
  };
  assert.equal(countedBytes(counted), {
    tx: 7 * 24 + 1516 + 4 * 24 + 2 * 24,
    rx: 8 * 20 + 1532 + 3 * 28 + 2 * 24,
  });
});

/** A register read of the CPU: the request comes down, the completion goes up. */
const HEAD_READ = { tx: 24, rx: 24 };
const TAIL_WRITE = { tx: 0, rx: 28 };
const MSI = { tx: 28, rx: 0 };

function sum(parts: readonly (readonly [number, LinkBytes])[]): number {
  const tx = parts.reduce((total, [share, bytes]) => total + share * bytes.tx, 0);
  const rx = parts.reduce((total, [share, bytes]) => total + share * bytes.rx, 0);
  return Math.max(tx, rx);
}

test('three NICs on gen3 x8, both directions at once, as Neugebauer et al. model them', () => {
  // The published model leaves out the request bytes of receive-descriptor reads; so do the vectors.
  const receiveDescriptors = (bytes: number): LinkBytes => ({ tx: 0, rx: readBytes(bytes, GEN3_X8).rx });
  const nics = (size: number) => {
    const data = [[1, readBytes(size, GEN3_X8)], [1, writeBytes(size, GEN3_X8)], [1, writeBytes(16, GEN3_X8)]] as const;
    const batched = [
      ...data, [1 / 32, TAIL_WRITE], [1 / 32, TAIL_WRITE], [1 / 40, readBytes(640, GEN3_X8)],
      [1 / 40, receiveDescriptors(640)], [1 / 8, writeBytes(128, GEN3_X8)],
    ] as const;
    return [
      sum([...data, [2, TAIL_WRITE], [2, MSI], [2, HEAD_READ], [1, readBytes(16, GEN3_X8)],
        [1, receiveDescriptors(16)]]),
      sum([...batched, [2 / 32, MSI], [1 + 1 / 8, HEAD_READ]]),
      sum(batched),
    ] as const;
  };
  const table = [
    [64, 13.23, 18.44, 21.51], [128, 21.54, 27.97, 31.37], [256, 31.40, 37.71, 40.69],
    [512, 39.41, 44.04, 46.01], [1024, 44.37, 47.16, 48.26], [1514, 46.17, 48.18, 48.95],
  ] as const;
  for (const [size, ...expected] of table) {
    nics(size).forEach((bytes, index) => {
      near((size / bytes) * tlpBandwidth(GEN3_X8), expected[index] ?? 0, 0.011, `NIC ${index}, ${size} bytes`);
    });
  }
});

test('Ethernet framing', () => {
  assert.is(wireBytes(1500), 1538);
  assert.is(wireBytes(46), 84);
  assert.is(wireBytes(1), 84);
  // A frame of 60 bytes in memory is one of 64 on the wire, with the frame check.
  assert.is(wireBytes(60, 24), 84);
  assert.is(wireBytes(1514, 24), 1538);
  near(linePacketRate(100e9, 1500) / 1e6, 8.13, 0.005, 'Mpps at 1500');
  near(linePacketRate(100e9, 60, 24) / 1e6, 148.8, 0.05, 'Mpps of the shortest frames');
  near(tcpGoodput(1500) * 100, 94.1, 0.1, 'goodput 1500');
  near(tcpGoodput(4000) * 100, 97.6, 0.2, 'goodput 4000');
  near(tcpGoodput(9000) * 100, 98.98, 0.05, 'goodput 9000');
});

test.run();
