/**
 * What a NIC's port is plugged into. Frames come from a source and go to a sink; both are data, so that nothing is
 * called per frame.
 *
 * A frame store is a table of {off u32 from the store's start, len u32} and, behind it, the frames, each padded to
 * the Ethernet minimum of 60 bytes and followed by its 4 bytes of FCS, which `len` does not count.
 */
export const enum Link {
  SIZE_OF = 256,
  /** LinkSource and LinkSink. */
  SOURCE = 0,
  SINK = 4,
  /** Store: offset from the state base, number of frames. */
  STORE = 8,
  STORE_FRAMES = 12,
  /** Frames handed to the NIC, of `LIMIT` in all (u64 each); frame k is k modulo STORE_FRAMES. */
  NEXT = 16,
  LIMIT = 24,
  /** Frames taken from the NIC and compared with the store, in order. */
  CHECKED = 32,
  /** Of those, frames that differed in length or in a byte; first one that did, plus one. */
  MISMATCHES = 40,
  FIRST_MISMATCH = 48,
  SENT_BYTES = 56,
  RECEIVED_BYTES = 64,
  /** Fault injection: the frame whose byte `CORRUPT_BYTE` is flipped on its way to the NIC, plus one; 0 none. */
  CORRUPT_FRAME = 72,
  CORRUPT_BYTE = 80,
  /** Ring of what the NIC sent (loopback, wire, capture): offset, size (a power of two), running head and tail. */
  RING = 84,
  RING_SIZE = 88,
  RING_HEAD = 96,
  RING_TAIL = 104,
  /** Bit per second of the wire in Mb/s; 0: no time passes. */
  RATE_MBPS = 112,
  /** Staging buffer for one frame with FCS. */
  STAGING = 116,
  /** Link is up. */
  UP = 120,
  /** Wire: offset of the link at the other end, whose ring is this one's source, and its NIC's function slot. */
  PEER = 124,
  PEER_FUNCTION = 128,
  /** Length of the frame that was looked at last (FCS not counted). */
  FRAME_LEN = 132,
}

export const enum LinkSource {
  NONE = 0,
  STORE = 1,
  /** The NIC's own frames come back. */
  LOOPBACK = 2,
  /** The frames of the NIC at the other end of the wire. */
  WIRE = 3,
}

export const enum LinkSink {
  /** Frames are counted and forgotten. */
  DROP = 0,
  /** Frames are compared with the store. */
  CHECK = 1,
  /** Frames go to the ring: loopback, a wire, or a capture that the host drains. */
  RING = 2,
}

export const enum LinkLimit {
  STAGING_SIZE = 16384,
  FRAME_MIN = 60,
  FCS = 4,
}

/** A record of the ring: this header, the frame, its FCS; whole dwords, in one piece. */
export const enum LinkRecord {
  /** Length of the frame (u32), and in the top bit whether the FCS has been put behind it. */
  LENGTH = 0,
  LENGTH_MASK = 0x7fffffff,
  FCS_BIT = 31,
  /** When it was sent, in ns (u64). */
  TIME = 4,
  FRAME = 12,
  /** In place of a length: the rest of the ring up to its end is empty, the next record is at its start. */
  SKIP = 0x7fffffff,
}
