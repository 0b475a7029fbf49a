// The Internet checksum (RFC 1071): sums of 16-bit words, which are the same in either byte order but for the order of
// the sum's own bytes (§2 there), so that everything here goes in the order of memory.

/** Sum of the words of a range, not folded; the last byte of an odd range is the first of a word. */
export function sum16(ptr: usize, len: u32): u64 {
  let lanes = i32x4.splat(0);
  let i: u32 = 0;
  // ranges are below 512 KiB, so that no lane overflows
  for (; i + 16 <= len; i += 16) lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(v128.load(ptr + i)));
  let sum = <u64><u32>i32x4.extract_lane(lanes, 0) + <u32>i32x4.extract_lane(lanes, 1)
    + <u32>i32x4.extract_lane(lanes, 2) + <u32>i32x4.extract_lane(lanes, 3);
  for (; i + 2 <= len; i += 2) sum += load<u16>(ptr + i);
  if (i < len) sum += load<u8>(ptr + i);
  return sum;
}

@inline
export function fold(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u32>((sum & 0xffff) + (sum >> 16));
}

/**
 * Stores at `cso` the checksum of the packet's bytes from `css` to `end`, where software has left the sum of what else
 * counts (the pseudo header); `more` is added to it. Where CSO and CSS lie outside the packet the request is ignored.
 */
export function checksumInsert(packet: usize, len: u32, cso: u32, css: u32, end: u32, more: u32, udp: bool): void {
  end = min(end, len);
  if (css >= end || cso + 1 >= len) return;
  const checksum = fold(sum16(packet + css, end - css) + more) ^ 0xffff;
  // 0 would say that there is no checksum (RFC 768)
  store<u16>(packet + cso, <u16>(udp && checksum == 0 ? 0xffff : checksum));
}
