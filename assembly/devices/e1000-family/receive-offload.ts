// What a receive descriptor tells of its frame beyond the length (§3.2.3, 3.2.9): the packet checksum, whether the
// checksums of IP and of TCP or UDP are there and right, and the tag that was taken out.
import { E1000, E1000Ctrl, E1000Frame, E1000Rctl, E1000Rxcsum, E1000Rxd } from '../../spec/e1000';
import { E1000Part, E1000State } from '../../spec/e1000-state';
import { E1000e, E1000eRfctl, E1000eRxd } from '../../spec/e1000e';
import { Header } from '../../spec/headers';
import { LinkLimit } from '../../spec/link';
import { deviceState } from '../../bus/functions';
import { blockOf, get } from './block';
import { fold, sum16 } from './checksum';
import { Destination, passedInexact } from './filter';
import { field16, tagged, tagStrip } from './vlan';

/** Extension headers looked at: more than that is no packet that the device knows. */
const EXTENSIONS_MAX: u32 = 8;
export const NO_HEADER: u32 = 0xffffffff;

/** Places of status bits, errors and special field in the second half of a descriptor, as `frameReport` gives it. */
const CHECKSUM_SHIFT: u64 = (E1000Rxd.CHECKSUM - E1000Rxd.LENGTH) << 3;
const STATUS_SHIFT: u64 = (E1000Rxd.STATUS - E1000Rxd.LENGTH) << 3;
const ERRORS_SHIFT: u64 = (E1000Rxd.ERRORS - E1000Rxd.LENGTH) << 3;
const SPECIAL_SHIFT: u64 = (E1000Rxd.SPECIAL - E1000Rxd.LENGTH) << 3;

@inline
function statusBit(bit: u32): u64 {
  return <u64>bit << STATUS_SHIFT;
}

/** A report without offloads: software is to ignore the checksum bits. */
export const REPORT_PLAIN: u64 = <u64>E1000Rxd.STATUS_IXSM << ((E1000Rxd.STATUS - E1000Rxd.LENGTH) << 3);

@inline
export function reportStripped(report: u64): bool {
  return (report & statusBit(E1000Rxd.STATUS_VP)) != 0;
}

/** Sum of a number as two bytes of a pseudo header, in the order of memory. */
@inline
function word(value: u32): u32 {
  return bswap<u16>(<u16>value);
}

/**
 * RXCSUM as it is used in here: the 82574L looks at IPv6 unless RFCTL says no, and has a bit of its own for a checksum
 * of UDP (7.1.10).
 */
const UDPCS: u32 = 0x80000000;

function checksumControl(b: usize, fn: u32, rxcsum: u32): u32 {
  if (load<u32>(deviceState(b, fn), E1000State.PART) != E1000Part.M82574) return rxcsum;
  const version6 = (get(blockOf(b, fn, E1000e.RFCTL), E1000e.RFCTL) & E1000eRfctl.IPV6_DIS) == 0;
  return (version6 ? rxcsum | E1000Rxcsum.IPV6OFL : rxcsum & ~(<u32>E1000Rxcsum.IPV6OFL)) | UDPCS;
}

/** TCPCS and TCPE of `len` bytes of TCP or UDP, whose pseudo header without length sums to `pseudo`; 0: no checksum. */
function transportReport(ptr: usize, len: u32, protocol: u32, pseudo: u64, rxcsum: u32): u64 {
  if (protocol == Header.PROTOCOL_UDP) {
    if (len < <u32>Header.UDP_SIZE || load<u16>(ptr, Header.UDP_CHECKSUM) == 0) return 0;
  } else if (protocol != Header.PROTOCOL_TCP || len < <u32>Header.TCP_MIN) return 0;
  const good = fold(sum16(ptr, len) + pseudo + word(len) + word(protocol)) == 0xffff;
  const udp = protocol == Header.PROTOCOL_UDP && (rxcsum & UDPCS) != 0;
  return statusBit(E1000Rxd.STATUS_TCPCS) | (udp ? statusBit(E1000eRxd.STATUS_UDPCS) : 0)
    | (good ? 0 : <u64>E1000Rxd.ERROR_TCPE << ERRORS_SHIFT);
}

/** `len` bytes from the IP header on. */
function ipv4Report(ip: usize, len: u32, rxcsum: u32): u64 {
  if (len < <u32>Header.IPV4_MIN || load<u8>(ip) >> 4 != 4) return 0;
  const header = (<u32>load<u8>(ip) & 0xf) << 2;
  const total = field16(ip + Header.IPV4_LENGTH);
  if (header < <u32>Header.IPV4_MIN || total < header || total > len) return 0;
  let report: u64 = 0;
  if (rxcsum & E1000Rxcsum.IPOFL) {
    const good = fold(sum16(ip, header)) == 0xffff;
    report = statusBit(E1000Rxd.STATUS_IPCS) | (good ? 0 : <u64>E1000Rxd.ERROR_IPE << ERRORS_SHIFT);
  }
  // a fragment has no whole TCP or UDP in it (table 3-5)
  if ((rxcsum & E1000Rxcsum.TUOFL) == 0 || (field16(ip + Header.IPV4_FRAGMENT) & 0x3fff) != 0) return report;
  const pseudo = sum16(ip + Header.IPV4_ADDRESSES, 8);
  return report | transportReport(ip + header, total - header, load<u8>(ip, Header.IPV4_PROTOCOL), pseudo, rxcsum);
}

/** Whether an extension header keeps the addresses of the pseudo header what they are (table 3-5). */
function extensionPlain(ptr: usize, size: u32, next: u32): bool {
  if (next == Header.NEXT_HOP_BY_HOP) return true;
  // segments left: then the destination is another one
  if (next == Header.NEXT_ROUTING) return load<u8>(ptr, 3) == 0;
  for (let at: u32 = 2; at + 1 < size;) {
    const option = <u32>load<u8>(ptr + at);
    if (option == Header.OPTION_HOME_ADDRESS) return false;
    at += option == 0 ? 1 : 2 + <u32>load<u8>(ptr + at + 1);
  }
  return true;
}

function ipv6Report(ip: usize, len: u32, rxcsum: u32): u64 {
  const both = E1000Rxcsum.TUOFL | E1000Rxcsum.IPV6OFL;
  if ((rxcsum & both) != both || len < <u32>Header.IPV6_SIZE || load<u8>(ip) >> 4 != 6) return 0;
  const end: u32 = Header.IPV6_SIZE + field16(ip + Header.IPV6_LENGTH);
  if (end > len) return 0;
  let next = <u32>load<u8>(ip, Header.IPV6_NEXT);
  let at: u32 = Header.IPV6_SIZE;
  for (let i: u32 = 0; i < EXTENSIONS_MAX; i++) {
    if (next != Header.NEXT_HOP_BY_HOP && next != Header.NEXT_ROUTING && next != Header.NEXT_DESTINATION) {
      return transportReport(ip + at, end - at, next, sum16(ip + Header.IPV6_ADDRESSES, 32), rxcsum);
    }
    if (end - at < 8) return 0;
    const size = (<u32>load<u8>(ip + at, 1) << 3) + 8;
    if (size > <u32>Header.EXTENSION_MAX || size > end - at || !extensionPlain(ip + at, size, next)) return 0;
    next = load<u8>(ip + at);
    at += size;
  }
  return 0;
}

/** Where the frame's network header lies and what it is: type in the upper half, NO_HEADER when it ends before that. */
export function networkHeader(b: usize, fn: u32, frame: usize, len: u32): u32 {
  let at: u32 = E1000Frame.TYPE;
  if (len >= 18 && tagged(b, fn, frame)) at += E1000Frame.TAG_SIZE;
  if (at + 10 > len) return NO_HEADER;
  // AA-AA-03 and the organization 00-00-00 (IEEE 802.2, RFC 1042)
  if (field16(frame + at) <= <u32>Header.LENGTH_MAX) {
    if (load<u32>(frame + at, 2) != 0x0003aaaa || load<u16>(frame + at, 6) != 0) return NO_HEADER;
    at += 8;
  }
  return field16(frame + at) << 16 | at + 2;
}

/** IPCS, TCPCS, IPE and TCPE, or IXSM. */
function checksumReport(b: usize, fn: u32, frame: usize, len: u32, rxcsum: u32): u64 {
  const header = networkHeader(b, fn, frame, len);
  let report: u64 = 0;
  if (header != NO_HEADER) {
    const at = header & 0xffff;
    if (header >> 16 == Header.TYPE_IPV4) report = ipv4Report(frame + at, len - at, rxcsum);
    else if (header >> 16 == Header.TYPE_IPV6) report = ipv6Report(frame + at, len - at, rxcsum);
  }
  return report == 0 ? REPORT_PLAIN : report;
}

/**
 * The second half of the frame's descriptors but for length, DD and EOP. `wire` is its length with FCS. A frame that
 * its tag was taken out of (`reportStripped`) lies in RX_BUFFER, four bytes shorter.
 */
export function frameReport(b: usize, fn: u32, rctl: u32, frame: usize, wire: u32, kind: Destination): u64 {
  let bits: u64 = 0;
  if (kind == Destination.MULTICAST && passedInexact(blockOf(b, fn, E1000.RA), rctl, frame)) {
    bits = statusBit(E1000Rxd.STATUS_PIF);
  }
  if ((get(blockOf(b, fn, E1000.CTRL), E1000.CTRL) & E1000Ctrl.VME) != 0 && wire <= <u32>E1000Frame.MAX_LONG
    && wire >= <u32>E1000Frame.TAG + 2 && tagged(b, fn, frame)) {
    const device = deviceState(b, fn);
    bits |= statusBit(E1000Rxd.STATUS_VP) | <u64>field16(frame + E1000Frame.TAG) << SPECIAL_SHIFT;
    tagStrip(device, frame, wire);
    frame = device + E1000State.RX_BUFFER;
    wire -= E1000Frame.TAG_SIZE;
  }
  const rxcsum = get(blockOf(b, fn, E1000.RXCSUM), E1000.RXCSUM);
  if (rxcsum == 0) return bits | REPORT_PLAIN;
  const start = rxcsum & E1000Rxcsum.PCSS_MASK;
  const len = wire - LinkLimit.FCS;
  const end = rctl & E1000Rctl.SECRC ? len : wire;
  const sum = start < end ? fold(sum16(frame + start, end - start)) : 0;
  // the field is little endian, and the checksum a number: the sum's bytes change places
  return bits | <u64>word(sum) << CHECKSUM_SHIFT | checksumReport(b, fn, frame, len, checksumControl(b, fn, rxcsum));
}
