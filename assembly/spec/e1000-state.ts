/** Which member of the family a device is, where they differ. */
export const enum E1000Part {
  M82540 = 0,
  M82574 = 1,
}

/** What stands between the MAC and the link of its port. */
export const enum E1000Port {
  /** Own frames come back inside the device. */
  LOOPBACK = 1,
  /** The PHY is powered down. */
  OFF = 2,
}

/** The packet that is being put together from transmit descriptors. */
export const enum E1000Packet {
  /** Too long, or a segmentation context that makes no sense: none of it is sent. */
  BAD = 1,
  /** Its first descriptor was a data descriptor. */
  EXTENDED = 2,
  /** It is cut into segments. */
  SEGMENTED = 4,
}

/** The own state of a device of the family, beside its cells. */
export const enum E1000State {
  /** 64 words of u16. */
  EEPROM = 0x000,
  /** 32 words of u16. Everything from here on is cleared by a reset. */
  PHY = 0x080,
  /** Microwire: instruction shifted in, rising edges since its start bit, levels of SK and CS before. */
  WIRE_IN = 0x0c0,
  WIRE_COUNT = 0x0c4,
  WIRE_LAST = 0x0c8,
  /** Whose turn the next step is: 0 receive, 1 transmit. */
  TURN = 0x0cc,
  /** Length of the frame that the link had no room for, 0 when none waits; and whether TX_DESCRIPTOR is in work. */
  TX_WAITING = 0x0d0,
  TX_HELD = 0x0d4,
  /** Packet being put together: bytes so far; and E1000Packet. */
  TX_LEN = 0x0d8,
  TX_PACKET = 0x0dc,
  /** The link that the PHY saw last (latched status bit). */
  LINK_LATCH = 0x0e0,
  /** Transmit DMA faulted: the ring stands still until TDH, TCTL or a reset is written. */
  TX_STOPPED = 0x0e4,
  RX_STOPPED = 0x0e8,
  /** Faulted transfers of this device (u32). */
  DMA_FAULTS = 0x0ec,
  /** Descriptor in work, within one step. */
  DESCRIPTOR = 0x0f0,
  /** Checksum insertion of a legacy packet, from its first descriptor: CSO, and CSS from bit 8 on. */
  TX_CHECKSUM = 0x100,
  /** E1000Port, and the link that follows from it (offset from the state base, 0 for none). */
  PORT = 0x104,
  LINK = 0x108,
  /** Timers: when they expire (u64 each), 0 while they stand still; as many as TIMERS; then the end of throttling. */
  TIMER_RX = 0x110,
  TIMER_RX_ABSOLUTE = 0x118,
  TIMER_TX = 0x120,
  TIMER_TX_ABSOLUTE = 0x128,
  TIMER_INTERRUPT = 0x130,
  TIMERS = 5,
  THROTTLED_UNTIL = 0x138,
  /** A data descriptor that takes several steps, and bytes of it taken. */
  TX_DESCRIPTOR = 0x140,
  TX_OFFSET = 0x150,
  /** Of its packet's first data descriptor: options, command from bit 8, special field from bit 16 on. */
  TX_OPTIONS = 0x154,
  /** Payload bytes in the segments sent so far, and their number. */
  TX_PAYLOAD = 0x158,
  TX_SEGMENTS = 0x15c,
  /** Context descriptors: for checksums alone, for segmentation, and the one of the packet in work. */
  TX_CONTEXT = 0x160,
  TX_SEGMENT_CONTEXT = 0x170,
  TX_WORK = 0x180,
  /** E1000Part. */
  PART = 0x190,
  /** Causes in ICR and IMS that messages have been asked for. */
  REPORTED = 0x194,
  /** End of throttling of each MSI-X vector (u64 each). */
  VECTORS_UNTIL = 0x198,
  /** Link of the loopback inside the device. */
  LOOP_LINK = 0x200,
  /** Prototype header of the segments. */
  TX_HEADER = 0x300,
  /** Packet buffer: one frame of up to 16,288 bytes (§3.3.3) with room for a tag and its FCS. */
  TX_BUFFER = 0x400,
  /** Most bytes of a packet before the FCS (§3.3.3). */
  TX_MAX = 16288,
  /** A received frame that its tag was taken out of. */
  RX_BUFFER = 0x4400,
  LOOP_RING = 0x8400,
  LOOP_RING_SIZE = 0x4000,
  SIZE = 0xc400,
}
