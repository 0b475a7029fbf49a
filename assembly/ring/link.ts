// The wire at a NIC: the next frame for it, and where its own frames go. A frame that the NIC has no descriptor for
// stays on the link; a sink that is full stalls the NIC. Nothing is dropped.
import { Link, LinkLimit, LinkRecord, LinkSink, LinkSource } from '../spec/link';
import { State } from '../spec/state';
import { workRequest } from '../bus/functions';

/** Whether a frame waits for the NIC. */
@inline
export function linkWaiting(b: usize, link: usize): bool {
  if (load<u32>(link, Link.UP) == 0) return false;
  const source = load<u32>(link, Link.SOURCE);
  if (source == LinkSource.STORE) return load<u64>(link, Link.NEXT) < load<u64>(link, Link.LIMIT);
  if (source == LinkSource.NONE) return false;
  const from = sender(b, link, source);
  return load<u64>(from, Link.RING_HEAD) != load<u64>(from, Link.RING_TAIL);
}

/** The link whose ring this one's frames come from. */
@inline
function sender(b: usize, link: usize, source: u32): usize {
  return source == LinkSource.WIRE ? b + load<u32>(link, Link.PEER) : link;
}

@inline
function storeEntry(b: usize, link: usize, k: u64): usize {
  return b + load<u32>(link, Link.STORE) + (<usize>(k % load<u32>(link, Link.STORE_FRAMES)) << 3);
}

/** The oldest record of a ring that is not empty. */
@inline
function recordFirst(b: usize, from: usize): usize {
  const at = <u32>load<u64>(from, Link.RING_HEAD) & (load<u32>(from, Link.RING_SIZE) - 1);
  return b + load<u32>(from, Link.RING) + at;
}

/**
 * Address of the frame that waits; its FCS follows it, its length is in FRAME_LEN. Stays valid until
 * `linkFrameTaken`.
 */
@inline
export function linkFramePtr(b: usize, link: usize): usize {
  const source = load<u32>(link, Link.SOURCE);
  if (source != LinkSource.STORE) return ringFramePtr(b, link, sender(b, link, source));
  const next = load<u64>(link, Link.NEXT);
  const entry = storeEntry(b, link, next);
  store<u32>(link, load<u32>(entry, 4), Link.FRAME_LEN);
  const frame = b + load<u32>(link, Link.STORE) + load<u32>(entry);
  return load<u64>(link, Link.CORRUPT_FRAME) == next + 1 ? corruptFramePtr(b, link, frame) : frame;
}

/** Length of the frame that `linkFramePtr` has given, FCS not counted. */
@inline
export function linkFrameLen(link: usize): u32 {
  return load<u32>(link, Link.FRAME_LEN);
}

/** The byte flips on the wire behind the sender's FCS check, so only an end-to-end comparison sees it. */
export function corruptFramePtr(b: usize, link: usize, frame: usize): usize {
  const staging = b + load<u32>(link, Link.STAGING);
  const len = linkFrameLen(link);
  memory.copy(staging, frame, len + LinkLimit.FCS);
  const at = load<u32>(link, Link.CORRUPT_BYTE) % len;
  store<u8>(staging + at, load<u8>(staging + at) ^ 0x01);
  return staging;
}

/** The FCS is reckoned once, when somebody first looks at the frame: a capture never does. */
export function ringFramePtr(b: usize, link: usize, from: usize): usize {
  const record = recordFirst(b, from);
  const word = load<u32>(record, LinkRecord.LENGTH);
  store<u32>(link, word & LinkRecord.LENGTH_MASK, Link.FRAME_LEN);
  const frame = record + LinkRecord.FRAME;
  if (word >> LinkRecord.FCS_BIT == 0) {
    store<u32>(frame + word, frameCheckSequence(b, frame, word));
    store<u32>(record, word | <u32>1 << LinkRecord.FCS_BIT, LinkRecord.LENGTH);
  }
  return frame;
}

/** The NIC has taken the frame that `linkFramePtr` has given. */
@inline
export function linkFrameTaken(b: usize, link: usize): void {
  const len = linkFrameLen(link);
  store<u64>(link, load<u64>(link, Link.SENT_BYTES) + len, Link.SENT_BYTES);
  const source = load<u32>(link, Link.SOURCE);
  if (source == LinkSource.STORE) store<u64>(link, load<u64>(link, Link.NEXT) + 1, Link.NEXT);
  else recordTaken(b, sender(b, link, source), len);
}

export function recordTaken(b: usize, from: usize, len: u32): void {
  let head = load<u64>(from, Link.RING_HEAD) + recordSize(len);
  store<u64>(from, head, Link.RING_HEAD);
  if (head == load<u64>(from, Link.RING_TAIL)) return;
  if (load<u32>(recordFirst(b, from), LinkRecord.LENGTH) != LinkRecord.SKIP) return;
  head += toEnd(from, head);
  store<u64>(from, head, Link.RING_HEAD);
}

@inline
function recordSize(len: u32): u32 {
  return (LinkRecord.FRAME + len + LinkLimit.FCS + 3) & ~3;
}

/** Bytes from a running position to the end of the ring. */
@inline
function toEnd(link: usize, at: u64): u32 {
  const size = load<u32>(link, Link.RING_SIZE);
  return size - (<u32>at & (size - 1));
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
  return load<u32>(link, Link.SINK) != LinkSink.RING || ringHasRoom(link, len);
}

export function ringHasRoom(link: usize, len: u32): bool {
  const size = load<u32>(link, Link.RING_SIZE);
  const record = recordSize(len);
  const tail = load<u64>(link, Link.RING_TAIL);
  const used = <u32>(tail - load<u64>(link, Link.RING_HEAD));
  // an empty ring begins at its start when the record does not fit in front of its end
  if (used == 0) return record <= size;
  const rest = toEnd(link, tail);
  return <u64>used + record + (rest < record ? rest : 0) <= <u64>size;
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
  if (sink == LinkSink.RING) recordPut(b, link, ptr, len);
}

export function recordPut(b: usize, link: usize, ptr: usize, len: u32): void {
  const ring = b + load<u32>(link, Link.RING);
  const mask = load<u32>(link, Link.RING_SIZE) - 1;
  let tail = load<u64>(link, Link.RING_TAIL);
  const rest = toEnd(link, tail);
  if (rest < recordSize(len)) {
    if (load<u64>(link, Link.RING_HEAD) == tail) store<u64>(link, tail + rest, Link.RING_HEAD);
    else store<u32>(ring + (<u32>tail & mask), LinkRecord.SKIP, LinkRecord.LENGTH);
    tail += rest;
  }
  const record = ring + (<u32>tail & mask);
  store<u32>(record, len, LinkRecord.LENGTH);
  store<u64>(record, load<u64>(b, State.NOW), LinkRecord.TIME);
  memory.copy(record + LinkRecord.FRAME, ptr, len);
  store<u64>(link, tail + recordSize(len), Link.RING_TAIL);
  if (load<u32>(link, Link.PEER) != 0) workRequest(b, load<u32>(link, Link.PEER_FUNCTION));
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
