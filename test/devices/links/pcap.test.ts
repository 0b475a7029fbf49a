import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PcapError, loadPcap, parsePcap, writePcap } from '../../../src/devices/links/pcap';
import { PortcullisError } from '../../../src/errors';

// Files by hand, from the format's description: every byte below is stated here, none comes from the code under test.

function bytesOf(text: string): number[] {
  return text.trim().split(/\s+/).map((byte) => Number.parseInt(byte, 16));
}

/** Version 2.4, zone 0, accuracy 0, snap length 262144 (0x40000), link type 1. */
const LITTLE_HEAD = '02 00 04 00  00 00 00 00  00 00 00 00  00 00 04 00  01 00 00 00';
const BIG_HEAD = '00 02 00 04  00 00 00 00  00 00 00 00  00 04 00 00  00 00 00 01';
const MICRO_LITTLE = `d4 c3 b2 a1 ${LITTLE_HEAD}`;
const NANO_LITTLE = `4d 3c b2 a1 ${LITTLE_HEAD}`;
const MICRO_BIG = `a1 b2 c3 d4 ${BIG_HEAD}`;
const NANO_BIG = `a1 b2 3c 4d ${BIG_HEAD}`;

/** 14 bytes: destination, source, EtherType 0x88b5 (local experiments), no payload. */
const FRAME_14 = '02 00 00 00 00 02  02 00 00 00 00 01  88 b5';
const FRAME_16 = `${FRAME_14} aa bb`;

/** 10 s + 5 units, then 12 s + 7 units. */
const LITTLE_RECORDS = `0a 00 00 00  05 00 00 00  0e 00 00 00  0e 00 00 00 ${FRAME_14}
  0c 00 00 00  07 00 00 00  10 00 00 00  10 00 00 00 ${FRAME_16}`;
const BIG_RECORDS = `00 00 00 0a  00 00 00 05  00 00 00 0e  00 00 00 0e ${FRAME_14}
  00 00 00 0c  00 00 00 07  00 00 00 10  00 00 00 10 ${FRAME_16}`;

function file(...parts: string[]): Uint8Array {
  return Uint8Array.from(bytesOf(parts.join(' ')));
}

/** A record with zeros for its frame, lengths little-endian. */
function record(captured: number, original = captured, present = captured): Uint8Array {
  const bytes = new Uint8Array(16 + present);
  for (let i = 0; i < 4; i++) {
    bytes[8 + i] = (captured >>> (8 * i)) & 255;
    bytes[12 + i] = (original >>> (8 * i)) & 255;
  }
  return bytes;
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function refusal(bytes: Uint8Array, maxFrameBytes?: number): PcapError {
  try {
    parsePcap(bytes, maxFrameBytes === undefined ? { name: 'in.pcap' } : { name: 'in.pcap', maxFrameBytes });
  } catch (error) {
    assert.instance(error, PcapError);
    return error as PcapError;
  }
  assert.unreachable('the file was accepted');
  throw new Error('unreachable');
}

async function loadRefusal(bytes: Uint8Array, maxFileBytes?: number): Promise<PcapError> {
  try {
    await loadPcap(bytes, maxFileBytes === undefined ? { name: 'in.pcap.gz' } : { name: 'in.pcap.gz', maxFileBytes });
  } catch (error) {
    assert.instance(error, PcapError);
    return error as PcapError;
  }
  assert.unreachable('the file was accepted');
  throw new Error('unreachable');
}

const READABLE: [string, string, string, boolean, number][] = [
  ['little-endian microseconds', MICRO_LITTLE, LITTLE_RECORDS, false, 2_000_002_000],
  ['little-endian nanoseconds', NANO_LITTLE, LITTLE_RECORDS, true, 2_000_000_002],
  ['big-endian microseconds', MICRO_BIG, BIG_RECORDS, false, 2_000_002_000],
  ['big-endian nanoseconds', NANO_BIG, BIG_RECORDS, true, 2_000_000_002],
];
for (const [title, head, records, nanoseconds, secondNs] of READABLE) {
  test(`reads ${title}`, () => {
    const bytes = file(head, records);
    const pcap = parsePcap(bytes, { name: 'in.pcap' });
    assert.is(pcap.linkType, 1);
    assert.is(pcap.nanoseconds, nanoseconds);
    assert.is(pcap.snapLength, 262144);
    assert.is(pcap.bytes, bytes, 'no copy');
    assert.equal(pcap.frames, [
      { off: 40, len: 14, timeNs: 0 },
      { off: 70, len: 16, timeNs: secondNs },
    ]);
    assert.equal([...bytes.subarray(70, 86)], bytesOf(FRAME_16));
  });
}

test('reads a file that lies inside a larger buffer', () => {
  const whole = concat(Uint8Array.of(1, 2, 3), file(MICRO_LITTLE, LITTLE_RECORDS), Uint8Array.of(9));
  const pcap = parsePcap(whole.subarray(3, whole.length - 1), { name: 'in.pcap' });
  assert.equal(pcap.frames.map(({ off, len }) => [off, len]), [[40, 14], [70, 16]]);
});

test('times are exact far from the epoch and may go backwards', () => {
  // 4294967295 s + 999999999 ns, then one nanosecond earlier.
  const times = ['ff ff ff ff ff c9 9a 3b', 'ff ff ff ff fe c9 9a 3b'];
  const records = times.map((time) => `${time} 0e 00 00 00 0e 00 00 00 ${FRAME_14}`);
  const pcap = parsePcap(file(NANO_LITTLE, ...records), { name: 'in.pcap' });
  assert.equal(pcap.frames.map((frame) => frame.timeNs), [0, -1]);
});

// What every refusal must say: the code, the sentence and the facts.
const MICRO = file(MICRO_LITTLE);
const GOOD = record(60);
interface Refusal {
  title: string;
  bytes: Uint8Array;
  code: string;
  message: string;
  fields: Record<string, unknown>;
}
const REFUSALS: Refusal[] = [
  {
    title: 'an empty file',
    bytes: new Uint8Array(0),
    code: 'PCAP_EMPTY',
    message: 'in.pcap: is empty (0 bytes): record it again.',
    fields: { name: 'in.pcap', value: 0 },
  },
  {
    title: 'a file that ends in its magic',
    bytes: MICRO.slice(0, 3),
    code: 'PCAP_SHORT_HEADER',
    message: 'in.pcap: ends at byte 3, within the file header of 24 bytes: the file was cut; copy or record it again.',
    fields: { name: 'in.pcap', offset: 3, value: 3, least: 24 },
  },
  {
    title: 'a file that ends in its header',
    bytes: MICRO.slice(0, 23),
    code: 'PCAP_SHORT_HEADER',
    message: 'in.pcap: ends at byte 23, within the file header of 24 bytes: the file was cut; copy or record it again.',
    fields: { name: 'in.pcap', offset: 23, value: 23, least: 24 },
  },
  {
    title: 'pcapng',
    bytes: file('0a 0d 0d 0a 1c 00 00 00 4d 3c 2b 1a 01 00 00 00 ff ff ff ff ff ff ff ff 1c 00 00 00'),
    code: 'PCAP_IS_PCAPNG',
    message: 'in.pcap: is pcapng; convert it with `editcap -F pcap in out`.',
    fields: { name: 'in.pcap', offset: 0, value: 0x0a0d0d0a },
  },
  {
    title: 'another magic',
    bytes: file('7f 45 4c 46', LITTLE_HEAD),
    code: 'PCAP_BAD_MAGIC',
    message: 'in.pcap: byte 0: the magic is 0x7F454C46, must be 0xA1B2C3D4 or 0xA1B23C4D in either byte order: ' +
      'this is not a pcap file; record one with `tcpdump -w`.',
    fields: { name: 'in.pcap', offset: 0, value: 0x7f454c46 },
  },
  {
    title: 'a major version other than 2',
    bytes: file('d4 c3 b2 a1 03 00 04 00  00 00 00 00  00 00 00 00  00 00 04 00  01 00 00 00', LITTLE_RECORDS),
    code: 'PCAP_BAD_VERSION',
    message: 'in.pcap: byte 4: the format\'s major version is 3, must be 2: ' +
      'convert it with `editcap -F pcap in out`.',
    fields: { name: 'in.pcap', offset: 4, value: 3, allowed: 2 },
  },
  {
    title: 'a link type other than Ethernet',
    bytes: file('a1 b2 c3 d4 00 02 00 04  00 00 00 00  00 00 00 00  00 04 00 00  00 00 00 71', BIG_RECORDS),
    code: 'PCAP_BAD_LINK_TYPE',
    message: 'in.pcap: byte 20: the link type is 113, must be 1 (Ethernet without frame check sequence): ' +
      'record on an Ethernet interface.',
    fields: { name: 'in.pcap', offset: 20, value: 113, allowed: 1 },
  },
  {
    title: 'no frames',
    bytes: MICRO,
    code: 'PCAP_NO_FRAMES',
    message: 'in.pcap: holds no frames, must hold at least 1: record it again while there is traffic.',
    fields: { name: 'in.pcap', offset: 24, value: 0, least: 1 },
  },
  {
    title: 'a frame header cut by the end of the file',
    bytes: concat(MICRO, GOOD, record(60).slice(0, 15)),
    code: 'PCAP_SHORT_FRAME_HEADER',
    message: 'in.pcap: frame 2, byte 100: the file ends after 15 of the 16 bytes of the frame header: ' +
      'the file was cut; copy or record it again.',
    fields: { name: 'in.pcap', frame: 2, offset: 100, value: 15, least: 16 },
  },
  {
    title: 'a frame cut by the end of the file',
    bytes: concat(MICRO, GOOD, record(60, 60, 59)),
    code: 'PCAP_FRAME_TRUNCATED',
    message: 'in.pcap: frame 2, byte 116: the file ends after 59 of the 60 bytes of the frame: ' +
      'the file was cut; copy or record it again.',
    fields: { name: 'in.pcap', frame: 2, offset: 116, value: 59, least: 60 },
  },
  {
    title: 'a frame cut by the snap length',
    bytes: concat(MICRO, GOOD, record(96, 1514)),
    code: 'PCAP_FRAME_CUT',
    message: 'in.pcap: frame 2, byte 108: holds 96 of the frame\'s 1514 bytes, must hold all: cut by the capture\'s ' +
      'snap length of 262144; record with `tcpdump -s 0`.',
    fields: { name: 'in.pcap', frame: 2, offset: 108, value: 96, allowed: 1514, snapLength: 262144 },
  },
  {
    title: 'a frame above the MTU',
    bytes: concat(MICRO, GOOD, record(1515)),
    code: 'PCAP_FRAME_TOO_LONG',
    message: 'in.pcap: frame 2, byte 108: above the MTU: 1515 bytes, at most 1514: record with offloads off.',
    fields: { name: 'in.pcap', frame: 2, offset: 108, value: 1515, most: 1514 },
  },
  {
    title: 'a frame shorter than its Ethernet header',
    bytes: concat(MICRO, GOOD, record(13)),
    code: 'PCAP_FRAME_TOO_SHORT',
    message: 'in.pcap: frame 2, byte 108: shorter than an Ethernet header: 13 bytes, at least 14: ' +
      'remove it with `editcap in out 2`.',
    fields: { name: 'in.pcap', frame: 2, offset: 108, value: 13, least: 14 },
  },
  {
    title: 'an absurd captured length',
    bytes: concat(MICRO, GOOD, record(262145, 262145, 0)),
    code: 'PCAP_BAD_LENGTH',
    message: 'in.pcap: frame 2, byte 108: the captured length is 262145 bytes, at most 262144 is possible: ' +
      'the file is damaged; copy or record it again.',
    fields: { name: 'in.pcap', frame: 2, offset: 108, value: 262145, most: 262144 },
  },
  {
    title: 'the largest captured length',
    bytes: concat(MICRO, GOOD, record(0xffffffff, 0xffffffff, 0)),
    code: 'PCAP_BAD_LENGTH',
    message: 'in.pcap: frame 2, byte 108: the captured length is 4294967295 bytes, at most 262144 is possible: ' +
      'the file is damaged; copy or record it again.',
    fields: { name: 'in.pcap', frame: 2, offset: 108, value: 0xffffffff, most: 262144 },
  },
];
for (const { title, bytes, code, message, fields } of REFUSALS) {
  test(`refuses ${title}`, () => {
    const error = refusal(bytes);
    assert.is(error.code, code);
    assert.is(error.message, message);
    assert.equal(error.fields, fields);
  });
}

test('every cut of a good file is refused, and none is read past its end', () => {
  const whole = file(MICRO_LITTLE, LITTLE_RECORDS);
  // 54 is the end of the first frame: a good file of one frame.
  for (let size = 0; size < whole.length; size++) {
    if (size === 54) continue;
    assert.instance(refusal(whole.slice(0, size)), PcapError, `cut at ${size}`);
  }
  assert.is(parsePcap(whole.slice(0, 54), { name: 'in.pcap' }).frames.length, 1);
});

test('takes frames of 14 and 1514 bytes, and longer ones where the caller allows', () => {
  const lengths = (bytes: Uint8Array, maxFrameBytes: number) =>
    parsePcap(bytes, { name: 'in.pcap', maxFrameBytes }).frames.map((frame) => frame.len);
  assert.equal(lengths(concat(MICRO, record(14), record(1514)), 1514), [14, 1514]);
  assert.equal(lengths(concat(MICRO, record(9014)), 9014), [9014]);
  assert.is(refusal(concat(MICRO, record(9015)), 9014).code, 'PCAP_FRAME_TOO_LONG');
});

test('refuses limits that mean nothing', async () => {
  for (const limit of [13, 1514.5, Number.NaN]) assert.is(refusal(MICRO, limit).code, 'PCAP_BAD_OPTION');
  assert.is((await loadRefusal(MICRO, 0)).code, 'PCAP_BAD_OPTION');
});

test('an error is a PortcullisError with fields that cannot be changed', () => {
  const error = refusal(new Uint8Array(0));
  assert.instance(error, PortcullisError);
  assert.instance(error, Error);
  assert.is(error.name, 'PcapError');
  assert.ok(Object.isFrozen(error.fields));
});

test('writes little-endian nanoseconds', () => {
  const frame = Uint8Array.from(bytesOf(FRAME_14));
  assert.equal(
    [...writePcap([{ bytes: frame, timeNs: 3_000_000_004 }])],
    bytesOf(`4d 3c b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 04 00 01 00 00 00
      03 00 00 00 04 00 00 00 0e 00 00 00 0e 00 00 00 ${FRAME_14}`),
  );
});

test('what is written is read again', () => {
  function* frames(): Generator<{ bytes: Uint8Array; timeNs: number }> {
    for (let i = 0; i < 100; i++) yield { bytes: new Uint8Array(14 + 15 * i).fill(i), timeNs: 1_234_567_891 * i };
  }
  const pcap = parsePcap(writePcap(frames()), { name: 'out.pcap' });
  assert.is(pcap.nanoseconds, true);
  assert.is(pcap.frames.length, 100);
  let i = 0;
  for (const { bytes, timeNs } of frames()) {
    const frame = pcap.frames[i++];
    assert.ok(frame);
    assert.is(frame.timeNs, timeNs);
    assert.equal(pcap.bytes.subarray(frame.off, frame.off + frame.len), bytes);
  }
});

test('does not write what the format cannot hold', () => {
  const codeOf = (length: number, timeNs: number): string => {
    try {
      writePcap([{ bytes: new Uint8Array(length), timeNs }]);
    } catch (error) {
      if (error instanceof PcapError) return error.code;
      throw error;
    }
    return 'written';
  };
  assert.is(codeOf(60, -1), 'PCAP_BAD_TIME');
  assert.is(codeOf(60, 0.5), 'PCAP_BAD_TIME');
  assert.is(codeOf(60, Number.POSITIVE_INFINITY), 'PCAP_BAD_TIME');
  assert.is(codeOf(262145, 0), 'PCAP_BAD_LENGTH');
  assert.is(codeOf(262144, 0), 'written');
});

test('loads plain and compressed files alike', async () => {
  const plain = file(NANO_BIG, BIG_RECORDS);
  const direct = await loadPcap(plain, { name: 'in.pcap' });
  const unpacked = await loadPcap(gzipSync(plain), { name: 'in.pcap.gz' });
  assert.is(direct.bytes, plain);
  assert.equal(unpacked.bytes, plain);
  assert.equal(unpacked.frames, direct.frames);
  assert.is((await loadRefusal(gzipSync(new Uint8Array(0)))).code, 'PCAP_EMPTY');
});

test('loads a compressed file from shared memory', async () => {
  const packed = gzipSync(file(MICRO_LITTLE, LITTLE_RECORDS));
  const shared = new Uint8Array(new SharedArrayBuffer(packed.length));
  shared.set(packed);
  assert.is((await loadPcap(shared, { name: 'in.pcap.gz' })).frames.length, 2);
});

test('refuses damaged compressed files', async () => {
  const packed = new Uint8Array(gzipSync(concat(MICRO, GOOD)));
  const changed = (at: number): Uint8Array => {
    const copy = packed.slice();
    copy[at] = (copy[at] ?? 0) ^ 0xff;
    return copy;
  };
  const damaged: [string, Uint8Array][] = [
    ['only the magic', packed.slice(0, 2)],
    ['cut in the header', packed.slice(0, 9)],
    ['cut in the data', packed.slice(0, 20)],
    ['cut in the trailer', packed.slice(0, packed.length - 1)],
    ['another method', changed(2)],
    ['data changed', changed(10)],
    ['wrong checksum', changed(packed.length - 8)],
    ['wrong size', changed(packed.length - 4)],
  ];
  for (const [title, bytes] of damaged) {
    const error = await loadRefusal(bytes);
    assert.is(error.code, 'PCAP_BAD_GZIP', title);
    assert.match(error.message, /^in\.pcap\.gz: cannot be decompressed, after \d+ bytes \(.+\): the gzip file is /);
    assert.ok(error.cause instanceof Error, title);
  }
});

test('stops decompressing at the limit', async () => {
  const plain = concat(MICRO, record(1514), record(1514));
  const exact = await loadPcap(gzipSync(plain), { name: 'in.pcap.gz', maxFileBytes: plain.length });
  assert.is(exact.frames.length, 2);
  const error = await loadRefusal(gzipSync(plain), plain.length - 1);
  assert.is(error.code, 'PCAP_TOO_LARGE');
  assert.is(
    error.message,
    `in.pcap.gz: decompresses to more than ${plain.length - 1} bytes, the most allowed: ` +
      'split it with `editcap -c`, or raise maxFileBytes.',
  );
  assert.equal(error.fields, { name: 'in.pcap.gz', most: plain.length - 1 });
  // 65 MiB of zeros against the default of 64 MiB.
  const bomb = await loadRefusal(gzipSync(new Uint8Array(65 * 1024 * 1024)));
  assert.is(bomb.code, 'PCAP_TOO_LARGE');
  assert.is(bomb.fields['most'], 67108864);
});

test('the recorded traffic is what its README says', async () => {
  // Tests run from the root of the repository.
  const packed = readFileSync(join(process.cwd(), 'assets/traffic.pcap.gz'));
  assert.ok(packed.length < 4_000_000, `${packed.length} bytes`);
  const { bytes, frames } = await loadPcap(packed, { name: 'assets/traffic.pcap.gz' });
  assert.ok(frames.length >= 10_000, `${frames.length} frames`);

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counts = { http: 0, udp: 0, arp: 0, toServer: 0, toClient: 0 };
  const sizes = new Set<number>();
  let before = 0;
  frames.forEach(({ off, len, timeNs }, index) => {
    assert.ok(len >= 14 && len <= 1514, `frame ${index + 1}: ${len} bytes`);
    assert.ok(timeNs >= before, `frame ${index + 1}: time goes backwards`);
    before = timeNs;
    sizes.add(len);
    const source = view.getUint16(off + 6) * 0x100000000 + view.getUint32(off + 8);
    if (source === 0x02000000010a) counts.toServer++;
    else if (source === 0x020000000214) counts.toClient++;
    else assert.unreachable(`frame ${index + 1}: source MAC ${source.toString(16)}`);
    const type = view.getUint16(off + 12);
    if (type === 0x0806) {
      counts.arp++;
      return;
    }
    assert.is(type, 0x0800, `frame ${index + 1}`);
    // 192.0.2.10 and 198.51.100.20, in either order.
    const addresses = [view.getUint32(off + 26), view.getUint32(off + 30)].sort((a, b) => a - b);
    assert.equal(addresses, [0xc000020a, 0xc6336414], `frame ${index + 1}`);
    const ports = [view.getUint16(off + 34), view.getUint16(off + 36)];
    const protocol = view.getUint8(off + 23);
    if (protocol === 17) counts.udp++;
    if (protocol === 6 && ports.includes(80)) counts.http++;
  });
  assert.ok(sizes.size >= 20, `${sizes.size} different sizes`);
  for (const [what, count] of Object.entries(counts)) assert.ok(count >= 10, `${what}: ${count} frames`);

  const readme = readFileSync(join(process.cwd(), 'assets/README.md'), 'utf8');
  assert.match(readme, `| frames | ${frames.length.toLocaleString('en-US')} |`);
  assert.match(readme, `| compressed size | ${packed.length.toLocaleString('en-US')} bytes |`);
});

test.run();
