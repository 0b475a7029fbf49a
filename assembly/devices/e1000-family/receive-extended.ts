// Extended receive descriptors of the 82574L (7.1.5.1, write-back format), made from the report that the legacy ones
// have: checksum, status, errors and special field in its upper bytes.
import { E1000, E1000Rxd } from '../../spec/e1000';
import { E1000e, E1000eRxcsum, E1000eRxd } from '../../spec/e1000e';
import { Header } from '../../spec/headers';
import { blockOf, get } from './block';
import { NO_HEADER, networkHeader } from './receive-offload';
import { field16 } from './vlan';

const REPORT_CHECKSUM: u64 = (E1000Rxd.CHECKSUM - E1000Rxd.LENGTH) << 3;
const REPORT_STATUS: u64 = (E1000Rxd.STATUS - E1000Rxd.LENGTH) << 3;
const REPORT_ERRORS: u64 = (E1000Rxd.ERRORS - E1000Rxd.LENGTH) << 3;
const REPORT_SPECIAL: u64 = (E1000Rxd.SPECIAL - E1000Rxd.LENGTH) << 3;
const LENGTH_SHIFT: u64 = (E1000eRxd.LENGTH - E1000eRxd.STATUS) << 3;
const VLAN_SHIFT: u64 = (E1000eRxd.VLAN - E1000eRxd.STATUS) << 3;
const FRAGMENTED: u32 = 0x3fff;

/**
 * The first half of the frame's descriptors, all but MRQ, which is 0 without RSS: in its place are status bits that
 * the legacy format does not have, for `extendedSecond`. With RXCSUM.PCSD the hash would be here, which is left out.
 */
export function extendedFirst(b: usize, fn: u32, frame: usize, len: u32, report: u64): u64 {
  if (get(blockOf(b, fn, E1000.RXCSUM), E1000.RXCSUM) & E1000eRxcsum.PCSD) return 0;
  const first = (report >> REPORT_CHECKSUM & 0xffff) << (E1000eRxd.CHECKSUM << 3);
  const header = networkHeader(b, fn, frame, len);
  const at = header & 0xffff;
  if (header == NO_HEADER || header >> 16 != Header.TYPE_IPV4 || at + Header.IPV4_MIN > len) return first;
  if ((field16(frame + at + Header.IPV4_FRAGMENT) & FRAGMENTED) == 0) return first;
  return first | <u64>field16(frame + at + Header.IPV4_ID) << (E1000eRxd.IP_ID << 3) | E1000eRxd.STATUS_IPIDV;
}

/** The second half of a descriptor for `part` bytes; `bits` are status bits. */
@inline
export function extendedSecond(report: u64, first: u64, part: u32, bits: u64): u64 {
  return (report >> REPORT_STATUS & 0xff) | <u64><u32>first | bits
    | (report >> REPORT_ERRORS & 0xff) << E1000eRxd.ERRORS_SHIFT
    | <u64>part << LENGTH_SHIFT | report >> REPORT_SPECIAL << VLAN_SHIFT;
}
