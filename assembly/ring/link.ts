// The wire at a NIC: the next frame for it, and where its own frames go. A frame that the NIC has no descriptor for
// stays on the link; a sink that is full stalls the NIC. Nothing is dropped.
import { Link, LinkLimit, LinkSink, LinkSource } from '../spec/link';
import { State } from '../spec/state';

/** A frame of the link: address, and length without FCS. The 4 bytes behind it are its FCS. */
@inline
export function linkWaiting(b: usize, link: usize): bool {
  if (load<u32>(link, Link.UP) == 0) return false;
  const source = load<u32>(link, Link.SOURCE);
  if (source == LinkSource.STORE) return load<u64>(link, Link.NEXT) < load<u64>(link, Link.LIMIT);
  if (source == LinkSource.LOOPBACK) return load<u64>(link, Link.RING_HEAD) != load<u64>(link, Link.RING_TAIL);
  return false;
}

@inline
function storeEntry(b: usize, link: usize, k: u64): usize {
  return b + load<u32>(link, Link.STORE) + (<usize>(k % load<u32>(link, Link.STORE_FRAMES)) << 3);
}

/** Length of the frame that waits (FCS not counted). */
@inline
export function linkFrameLen(b: usize, link: usize): u32 {
  if (load<u32>(link, Link.SOURCE) == LinkSource.STORE) return load<u32>(storeEntry(b, link, load<u64>(link, Link.NEXT)), 4);
  return ringLoad(b, link, load<u64>(link, Link.RING_HEAD));
}

/** Address of the frame that waits; its FCS follows it. Stays valid until `linkFrameTaken`. */
export function linkFramePtr(b: usize, link: usize): usize {
  const staging = b + load<u32>(link, Link.STAGING);
  if (load<u32>(link, Link.SOURCE) == LinkSource.STORE) {
    const next = load<u64>(link, Link.NEXT);
    const entry = storeEntry(b, link, next);
    const ptr = b + load<u32>(link, Link.STORE) + load<u32>(entry);
    if (load<u64>(link, Link.CORRUPT_FRAME) != next + 1) return ptr;
    // the byte flips on the wire behind the sender's FCS check, so only an end-to-end comparison sees it
    const len = load<u32>(entry, 4);
    memory.copy(staging, ptr, len + LinkLimit.FCS);
    const at = load<u32>(link, Link.CORRUPT_BYTE) % len;
    store<u8>(staging + at, load<u8>(staging + at) ^ 0x01);
    return staging;
  }
  const head = load<u64>(link, Link.RING_HEAD);
  const len = ringLoad(b, link, head);
  for (let i: u32 = 0; i < len; i++) store<u8>(staging + i, ringByte(b, link, head + LinkLimit.RECORD_HEADER + i));
  store<u32>(staging + len, frameCheckSequence(b, staging, len));
  return staging;
}

/** The NIC has taken the frame. */
@inline
export function linkFrameTaken(b: usize, link: usize): void {
  const len = linkFrameLen(b, link);
  store<u64>(link, load<u64>(link, Link.SENT_BYTES) + len, Link.SENT_BYTES);
  if (load<u32>(link, Link.SOURCE) == LinkSource.STORE) {
    store<u64>(link, load<u64>(link, Link.NEXT) + 1, Link.NEXT);
  } else {
    const head = load<u64>(link, Link.RING_HEAD);
    store<u64>(link, head + recordSize(len), Link.RING_HEAD);
  }
}

@inline
function recordSize(len: u32): u32 {
  return (LinkLimit.RECORD_HEADER + len + 3) & ~3;
}

@inline
function ringByte(b: usize, link: usize, at: u64): u8 {
  return load<u8>(b + load<u32>(link, Link.RING) + (<u32>at & (load<u32>(link, Link.RING_SIZE) - 1)));
}

@inline
function ringLoad(b: usize, link: usize, at: u64): u32 {
  return load<u32>(b + load<u32>(link, Link.RING) + (<u32>at & (load<u32>(link, Link.RING_SIZE) - 1)));
}

@inline
function ringStore(b: usize, link: usize, at: u64, value: u32): void {
  store<u32>(b + load<u32>(link, Link.RING) + (<u32>at & (load<u32>(link, Link.RING_SIZE) - 1)), value);
}

/** Whether two ranges are equal: 16 bytes at a time, the rest by byte. */
export function bytesEqual(a: usize, c: usize, len: u32): bool {
  let i: u32 = 0;
  for (; i + 16 <= len; i += 16) {
    if (v128.any_true(v128.xor(v128.load(a + i), v128.load(c + i)))) return false;
  }
  for (; i < len; i++) if (load<u8>(a + i) != load<u8>(c + i)) return false;
  return true;
}

/** Compares a frame with number `k` of the store. */
export function storeMatches(b: usize, link: usize, k: u64, ptr: usize, len: u32): bool {
  const entry = storeEntry(b, link, k);
  return load<u32>(entry, 4) == len && bytesEqual(ptr, b + load<u32>(link, Link.STORE) + load<u32>(entry), len);
}

/** Whether the link can take a frame of this length from the NIC now. */
@inline
export function linkHasRoom(link: usize, len: u32): bool {
  if (load<u32>(link, Link.SINK) != LinkSink.RING) return true;
  const used = load<u64>(link, Link.RING_TAIL) - load<u64>(link, Link.RING_HEAD);
  return used + recordSize(len) <= load<u32>(link, Link.RING_SIZE);
}

/** Takes a frame (without FCS) from the NIC. The caller has asked for room. */
export function linkTransmit(b: usize, link: usize, ptr: usize, len: u32): void {
  store<u64>(link, load<u64>(link, Link.RECEIVED_BYTES) + len, Link.RECEIVED_BYTES);
  const sink = load<u32>(link, Link.SINK);
  if (sink == LinkSink.CHECK) {
    const k = load<u64>(link, Link.CHECKED);
    store<u64>(link, k + 1, Link.CHECKED);
    if (!storeMatches(b, link, k, ptr, len)) {
      if (load<u64>(link, Link.MISMATCHES) == 0) store<u64>(link, k + 1, Link.FIRST_MISMATCH);
      store<u64>(link, load<u64>(link, Link.MISMATCHES) + 1, Link.MISMATCHES);
    }
    return;
  }
  if (sink != LinkSink.RING) return;
  const tail = load<u64>(link, Link.RING_TAIL);
  const now = load<u64>(b, State.NOW);
  ringStore(b, link, tail, len);
  ringStore(b, link, tail + 4, <u32>now);
  ringStore(b, link, tail + 8, <u32>(now >> 32));
  const mask = load<u32>(link, Link.RING_SIZE) - 1;
  const ring = b + load<u32>(link, Link.RING);
  for (let i: u32 = 0; i < len; i++) {
    store<u8>(ring + (<u32>(tail + LinkLimit.RECORD_HEADER + i) & mask), load<u8>(ptr + i));
  }
  store<u64>(link, tail + recordSize(len), Link.RING_TAIL);
}

/** Fills the CRC-32 table (reflected 0xEDB88320), once. */
export function crcSetup(b: usize): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    store<u32>(b + State.CRC_TABLE + (i << 2), crc);
  }
}

/** FCS of a frame (IEEE 802.3 §3.2.9), as the little-endian dword that follows it. */
export function frameCheckSequence(b: usize, ptr: usize, len: u32): u32 {
  let crc: u32 = 0xffffffff;
  for (let i: u32 = 0; i < len; i++) {
    crc = load<u32>(b + State.CRC_TABLE + (((crc ^ load<u8>(ptr + i)) & 0xff) << 2)) ^ crc >> 8;
  }
  return ~crc;
}
