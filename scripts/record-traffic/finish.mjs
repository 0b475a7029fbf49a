// Turns a raw capture into the published file: checks every frame, starts time at 0, writes pcap.gz and the README.
// Usage: node finish.mjs RAW.pcap OUT.pcap.gz README.md
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { CLIENT, PORTS, SERVER } from './plan.mjs';

const MIN_FRAMES = 10_000;
const MAX_FRAME = 1514;
const MAX_FILE = 4_000_000;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const ALLOWED_MACS = new Set([CLIENT.mac, SERVER.mac]);
const ALLOWED_IPS = new Set([CLIENT.ip, SERVER.ip]);

const mac = (frame, at) => frame.toString('hex', at, at + 6).match(/../g).join(':');
const ip = (frame, at) => frame.subarray(at, at + 4).join('.');

/** The Internet checksum (RFC 1071) over [from, to), started with `sum`; 0 when the range holds a right checksum. */
function checksum(bytes, from, to, sum = 0) {
  for (let at = from; at < to; at += 2) sum += at + 1 < to ? bytes.readUInt16BE(at) : bytes[at] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Frames of tcpdump's nanosecond, little-endian pcap. */
function* readFrames(raw) {
  if (raw.readUInt32LE(0) !== 0xa1b23c4d) throw new Error('the raw capture is not a nanosecond pcap');
  if (raw.readUInt32LE(20) !== 1) throw new Error('the raw capture is not Ethernet');
  for (let at = 24; at < raw.length;) {
    const captured = raw.readUInt32LE(at + 8);
    if (captured !== raw.readUInt32LE(at + 12)) throw new Error(`the frame at byte ${at} was cut`);
    const timeNs = BigInt(raw.readUInt32LE(at)) * 1_000_000_000n + BigInt(raw.readUInt32LE(at + 4));
    yield { timeNs, bytes: raw.subarray(at + 16, at + 16 + captured) };
    at += 16 + captured;
  }
}

/** Checks addresses, lengths and checksums of one frame and names its protocol; throws on the first fault. */
function inspect(frame) {
  if (frame.length > MAX_FRAME) throw new Error(`${frame.length} bytes, at most ${MAX_FRAME}: an offload is still on`);
  const [to, from] = [mac(frame, 0), mac(frame, 6)];
  if (!ALLOWED_MACS.has(from)) throw new Error(`foreign source MAC ${from}`);
  if (!ALLOWED_MACS.has(to) && to !== BROADCAST) throw new Error(`foreign destination MAC ${to}`);
  const type = frame.readUInt16BE(12);
  const ips = type === 0x0806 ? [28, 38] : [26, 30];
  for (const at of ips) {
    if (!ALLOWED_IPS.has(ip(frame, at))) throw new Error(`foreign address ${ip(frame, at)}`);
  }
  if (type === 0x0806) {
    for (const at of [22, 32]) {
      const inside = mac(frame, at);
      if (!ALLOWED_MACS.has(inside) && inside !== '00:00:00:00:00:00') throw new Error(`foreign MAC ${inside} in ARP`);
    }
    return 'ARP';
  }
  if (type !== 0x0800) throw new Error(`EtherType 0x${type.toString(16)}, wanted IPv4 or ARP`);
  const header = (frame[14] & 15) * 4;
  const start = 14 + header;
  const end = 14 + frame.readUInt16BE(16);
  if (end !== frame.length) throw new Error(`IP says ${end - 14} bytes, the frame holds ${frame.length - 14}`);
  if (checksum(frame, 14, start) !== 0) throw new Error('wrong IP checksum');
  // The pseudo header: both addresses, protocol, length.
  const protocol = frame[23];
  const pseudo = (~checksum(frame, 26, 34) & 0xffff) + protocol + (end - start);
  if (checksum(frame, start, end, pseudo) !== 0) throw new Error(`wrong checksum of IP protocol ${protocol}`);
  const ports = [frame.readUInt16BE(start), frame.readUInt16BE(start + 2)];
  const service = Object.entries(PORTS).find(([, port]) => ports.includes(port))?.[0];
  if (service === undefined) throw new Error(`unexpected ports ${ports.join(' and ')}`);
  if (protocol === 6) return `TCP ${service} (port ${PORTS[service]})`;
  if (protocol === 17 && frame.readUInt16BE(start + 6) !== 0) return `UDP ${service} (port ${PORTS[service]})`;
  throw new Error(`IP protocol ${protocol} without a checksum, or neither TCP nor UDP`);
}

function writeClassic(frames, originNs) {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b23c4d, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(262144, 16);
  head.writeUInt32LE(1, 20);
  const parts = [head];
  for (const { timeNs, bytes } of frames) {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Number((timeNs - originNs) / 1_000_000_000n), 0);
    record.writeUInt32LE(Number((timeNs - originNs) % 1_000_000_000n), 4);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    parts.push(record, bytes);
  }
  return Buffer.concat(parts);
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

const BINS = [[0, 59], [60, 66], [67, 127], [128, 255], [256, 511], [512, 1023], [1024, 1513], [1514, 1514]];
const number = (value) => value.toLocaleString('en-US');

function describe(frames, plainSize, fileSize) {
  const bytes = frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
  const share = (count) => `${((100 * count) / frames.length).toFixed(1)} %`;
  const row = (name, list) => {
    const sum = list.reduce((total, frame) => total + frame.bytes.length, 0);
    return [name, number(list.length), share(list.length), number(sum)];
  };
  const head = (first) => [first, 'frames', 'share', 'bytes'];
  const protocols = [...new Set(frames.map((frame) => frame.protocol))].sort();
  const sent = frames.filter((frame) => mac(frame.bytes, 6) === CLIENT.mac);
  const received = frames.filter((frame) => mac(frame.bytes, 6) === SERVER.mac);
  const seconds = Number(frames.at(-1).timeNs - frames[0].timeNs) / 1e9;
  return `${table(['quantity', 'value'], [
    ['frames', number(frames.length)],
    ['bytes in frames', number(bytes)],
    ['mean frame', `${(bytes / frames.length).toFixed(0)} bytes`],
    ['different sizes', number(new Set(frames.map((frame) => frame.bytes.length)).size)],
    ['smallest, largest', `${frames.reduce((a, f) => Math.min(a, f.bytes.length), 9999)}, ` +
      `${frames.reduce((a, f) => Math.max(a, f.bytes.length), 0)} bytes`],
    ['duration', `${seconds.toFixed(2)} s`],
    ['pcap size', `${number(plainSize)} bytes`],
    ['compressed size', `${number(fileSize)} bytes`],
  ])}

${table(head('protocol'), protocols.map((name) => row(name, frames.filter((frame) => frame.protocol === name))))}

${table(head('direction'), [row('client to server', sent), row('server to client', received)])}

${table(head('frame size'), BINS.map(([low, high]) => row(
    low === high ? `${low}` : `${low} to ${high}`,
    frames.filter((frame) => frame.bytes.length >= low && frame.bytes.length <= high),
  )))}
`;
}

function readme(statistics) {
  return `# Recorded traffic

\`traffic.pcap.gz\` is network traffic for the network devices to carry: a classic pcap file (nanosecond times,
Ethernet, little-endian), compressed with gzip.

It was recorded, not written by a program: two network namespaces of one Linux machine joined by a veth pair with all
offloads off, \`tcpdump\` on the client's end. So the frames are as on a wire, without the frame check sequence: at most
1514 bytes, right IP, TCP and UDP checksums, real acknowledgements. The kernel does not pad on a veth; ARP and bare
acknowledgements keep their 42 to 66 bytes.

The command, as root, with iproute2, ethtool, tcpdump and node installed:

    scripts/record-traffic.sh

It writes this file too. A new recording has the same content but not the same bytes, as the kernel chooses the ports,
sequence numbers and times.

- Client ${CLIENT.ip} (${CLIENT.mac}), server ${SERVER.ip} (${SERVER.mac}): documentation
  addresses (RFC 5737) and locally administered MACs. The recording stops if any other address turns up.
- Times start at 0; HTTP carries no date.
- All payload comes from seeded generators in \`scripts/record-traffic/\`: text in made-up words, and some bytes that do
  not compress.
- HTTP: GET of 91 objects by six clients, two of them with a connection for each request, some 304 and 404 answers,
  and POST uploads. Bulk: a paced one-way TCP transfer in each direction. RPC: TCP calls, one outstanding on a
  connection. DNS: questions for A, AAAA and TXT over UDP. ARP: as the kernel asks.

## Contents

${statistics}`;
}

const [rawPath, outPath, readmePath] = process.argv.slice(2);
if (readmePath === undefined) throw new Error('usage: node finish.mjs RAW.pcap OUT.pcap.gz README.md');
const frames = [...readFrames(readFileSync(rawPath))];
frames.forEach((frame, i) => {
  try {
    frame.protocol = inspect(frame.bytes);
  } catch (error) {
    throw new Error(`frame ${i + 1}: ${error.message}`);
  }
});
if (frames.length < MIN_FRAMES) throw new Error(`only ${frames.length} frames, wanted at least ${MIN_FRAMES}`);
// Frames stamped on two processors may be captured a few microseconds out of order; equal times keep their order.
frames.sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0));
const plain = writeClassic(frames, frames[0].timeNs);
const packed = gzipSync(plain, { level: 9, memLevel: 9 });
if (packed.length >= MAX_FILE) throw new Error(`the file has ${packed.length} bytes, wanted less than ${MAX_FILE}`);
const statistics = describe(frames, plain.length, packed.length);
writeFileSync(outPath, packed);
writeFileSync(readmePath, readme(statistics));
console.log(statistics);
