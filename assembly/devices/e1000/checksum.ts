// Checksum insertion of a legacy transmit descriptor (§3.3.3): the Internet checksum from CSS to the packet's end,
// stored at CSO, where software has left the sum of what else counts (the pseudo header).

/** Where CSO and CSS lie outside the packet the request is ignored. */
export function checksumInsert(packet: usize, len: u32, cso: u32, css: u32): void {
  if (css >= len || cso + 1 >= len) return;
  let sum: u64 = 0;
  let i = css;
  // the sum of 16-bit words is the same in either byte order, but for the order of its own bytes (RFC 1071 §2)
  for (; i + 4 <= len; i += 4) sum += load<u32>(packet + i);
  for (; i < len; i++) sum += <u64>load<u8>(packet + i) << ((i - css & 1) << 3);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  store<u16>(packet + cso, <u16>~<u32>sum);
}
