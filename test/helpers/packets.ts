// Ethernet frames with IP, TCP and UDP in them, built and checked from the RFCs alone.

export interface PacketOptions {
  version?: 4 | 6;
  protocol?: 'tcp' | 'udp' | number;
  payload: Uint8Array | number;
  /** Bytes of IPv4 options (a multiple of 4), or IPv6 extension headers as they are, with the first one's number. */
  ipOptions?: number;
  extensions?: { first: number; bytes: number[] };
  /** IPv4 flags and fragment offset. */
  fragment?: number;
  tcpFlags?: number;
  tag?: number;
  snap?: boolean;
}

export interface Packet {
  bytes: Uint8Array;
  ip: number;
  transport: number;
  header: number;
}

/** RFC 1071: sum of big-endian 16-bit words, folded; `more` is added. */
export function onesSum(bytes: Uint8Array, more = 0): number {
  let sum = more;
  bytes.forEach((byte, i) => { sum += i % 2 === 0 ? byte << 8 : byte; });
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** Sum of the pseudo header of RFC 793 and RFC 8200 §8.1, with its length when there is one. */
export function pseudoSum(packet: Packet, length: number): number {
  const { bytes, ip } = packet;
  const six = bytes[ip]! >> 4 === 6;
  const addresses = six ? bytes.subarray(ip + 8, ip + 40) : bytes.subarray(ip + 12, ip + 20);
  return onesSum(addresses, protocolOf(packet) + length);
}

const protocols = new WeakMap<Packet, number>();

export function protocolOf(packet: Packet): number {
  return protocols.get(packet)!;
}

export function buildPacket(options: PacketOptions): Packet {
  const { version = 4, protocol = 'tcp', ipOptions = 0, extensions, fragment = 0, tcpFlags = 0x18 } = options;
  const { tag, snap } = options;
  const payload = typeof options.payload === 'number'
    ? Uint8Array.from({ length: options.payload }, (_, i) => (i * 37 + (i >> 8) * 11 + 5) & 0xff) : options.payload;
  const number = protocol === 'tcp' ? 6 : protocol === 'udp' ? 17 : protocol;
  const ip = 14 + (tag === undefined ? 0 : 4) + (snap ? 8 : 0);
  const ipLength = version === 4 ? 20 + ipOptions : 40 + (extensions?.bytes.length ?? 0);
  const transport = ip + ipLength;
  const header = transport + (number === 6 ? 20 : number === 17 ? 8 : 0);
  const bytes = new Uint8Array(header + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x02, 0, 0, 0, 0, 0x01]);
  let at = 12;
  if (tag !== undefined) {
    view.setUint16(at, 0x8100);
    view.setUint16(at + 2, tag);
    at += 4;
  }
  if (snap) {
    view.setUint16(at, bytes.length - at - 2);
    bytes.set([0xaa, 0xaa, 0x03, 0, 0, 0], at + 2);
    at += 8;
  }
  view.setUint16(at, version === 4 ? 0x0800 : 0x86dd);
  if (version === 4) {
    view.setUint8(ip, 0x40 | ipLength / 4);
    view.setUint16(ip + 2, bytes.length - ip);
    view.setUint16(ip + 4, 0xfffe);
    view.setUint16(ip + 6, fragment);
    view.setUint8(ip + 8, 64);
    view.setUint8(ip + 9, number);
    bytes.set([10, 0, 0, 1, 10, 0, 200, 2], ip + 12);
    view.setUint16(ip + 10, ~onesSum(bytes.subarray(ip, transport)) & 0xffff);
  } else {
    view.setUint8(ip, 0x60);
    view.setUint16(ip + 4, bytes.length - ip - 40);
    view.setUint8(ip + 6, extensions?.first ?? number);
    view.setUint8(ip + 7, 64);
    bytes.set(Array.from({ length: 32 }, (_, i) => 0x20 + i * 5 & 0xff), ip + 8);
    if (extensions) bytes.set(extensions.bytes, ip + 40);
  }
  view.setUint16(transport, 0x1f90);
  view.setUint16(transport + 2, 0xc001);
  if (number === 6) {
    view.setUint32(transport + 4, 0xfffffff0);
    view.setUint8(transport + 12, 0x50);
    view.setUint8(transport + 13, tcpFlags);
  }
  if (number === 17) view.setUint16(transport + 4, bytes.length - transport);
  bytes.set(payload, header);
  const packet = { bytes, ip, transport, header };
  protocols.set(packet, number);
  if (number === 6 || number === 17) {
    const sum = onesSum(bytes.subarray(transport), pseudoSum(packet, bytes.length - transport));
    view.setUint16(checksumAt(packet), ~sum & 0xffff || 0xffff);
  }
  return packet;
}

export function checksumAt(packet: Packet): number {
  return packet.transport + (protocolOf(packet) === 6 ? 16 : 6);
}

/** The packet as a driver leaves it for checksum offload: no IP checksum, the pseudo header's sum for TCP or UDP. */
export function unchecked(packet: Packet, withLength: boolean): Uint8Array {
  const bytes = packet.bytes.slice();
  const view = new DataView(bytes.buffer);
  if (bytes[packet.ip]! >> 4 === 4) view.setUint16(packet.ip + 10, 0);
  view.setUint16(checksumAt(packet), pseudoSum(packet, withLength ? bytes.length - packet.transport : 0));
  return bytes;
}

/** What a network would have to see of `packet` cut into segments of `mss` bytes, after §3.5.9. */
export function segmentsOf(packet: Packet, mss: number): Uint8Array[] {
  const { bytes, ip, transport, header } = packet;
  const segments: Uint8Array[] = [];
  for (let from = header, n = 0; from < bytes.length; from += mss, n++) {
    const part = bytes.subarray(from, from + mss);
    const last = from + mss >= bytes.length;
    const segment = new Uint8Array(header + part.length);
    segment.set(bytes.subarray(0, header));
    segment.set(part, header);
    const view = new DataView(segment.buffer);
    const own = { bytes: segment, ip, transport, header };
    protocols.set(own, protocolOf(packet));
    if (segment[ip]! >> 4 === 4) {
      view.setUint16(ip + 2, segment.length - ip);
      view.setUint16(ip + 4, view.getUint16(ip + 4) + n & 0xffff);
      view.setUint16(ip + 10, 0);
      view.setUint16(ip + 10, ~onesSum(segment.subarray(ip, transport)) & 0xffff);
    } else view.setUint16(ip + 4, segment.length - ip - 40);
    if (protocolOf(packet) === 6) {
      view.setUint32(transport + 4, view.getUint32(transport + 4) + from - header >>> 0);
      if (!last) view.setUint8(transport + 13, view.getUint8(transport + 13) & ~0x09);
    } else view.setUint16(transport + 4, segment.length - transport);
    view.setUint16(checksumAt(own), 0);
    const sum = onesSum(segment.subarray(transport), pseudoSum(own, segment.length - transport));
    view.setUint16(checksumAt(own), ~sum & 0xffff || 0xffff);
    segments.push(segment);
  }
  return segments;
}
