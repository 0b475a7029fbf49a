/**
 * Layouts of the guest drivers' own data: DMA mapping with its iova allocator, rings of an e1000 or e1000e, a forwarding
 * run.
 */

/** How `dma_map` makes a bus address. */
export const enum MapMode {
  /** The buffer's machine address, or a bounce page: no IOMMU, pass-through, or a static table. */
  DIRECT = 0,
  /** Map in the IOMMU per buffer; unmap waits for the invalidation. */
  STRICT = 1,
  /** Map per buffer; unmap clears the entry and leaves the invalidation to a flush queue. */
  LAZY = 2,
  /** A broken driver, for the demonstration of what it hits: guest frame number as bus address. */
  GUEST_FRAME = 3,
}

export const enum DmaDirection {
  /** The device reads. */
  TO_DEVICE = 1,
  /** The device writes. */
  FROM_DEVICE = 2,
  BOTH = 3,
}

export const enum IovaMode {
  /** Per-size magazines in front of the tree (Linux 4.7 and later). */
  MAGAZINE = 0,
  /** Every call goes to the tree. */
  TREE = 1,
}

export const enum DmaMap {
  /** MapMode. */
  MODE = 0x00,
  /** Domain slot. */
  DOMAIN = 0x04,
  /** Highest bus address that the device can drive (u64). */
  MASK = 0x08,
  /** IovaMode. */
  ALLOCATOR = 0x10,
  /** First page above the iova space. */
  LIMIT = 0x14,
  /** Page at which the next search of the tree begins, downwards. */
  CURSOR = 0x18,
  /** Bus addresses of the bounce pages: count, and a bit for each page in use (u64). */
  BOUNCE_COUNT = 0x1c,
  BOUNCE_USED = 0x20,
  /** Flush queue: head, tail, counters (u64), deadline of the timer in ns (u64, 0: not armed). */
  QUEUE_HEAD = 0x28,
  QUEUE_TAIL = 0x2c,
  QUEUE_STARTED = 0x30,
  QUEUE_FINISHED = 0x38,
  QUEUE_DEADLINE = 0x40,
  /** 64 bounce pages of 16 bytes: {bus u64, va u32}. */
  BOUNCE = 0x80,
  BOUNCE_MAX = 64,
  /** 256 flush-queue entries of 16 bytes: {page u32, pages u32, counter u64}. */
  QUEUE = 0x480,
  QUEUE_SIZE = 256,
  QUEUE_TIMEOUT_NS = 10000000,
  /** Six size classes of iova magazines, see Magazines. */
  MAGAZINES = 0x1480,
  CLASSES = 6,
  /** Bitmap of the iova pages in use, LIMIT bits. */
  BITMAP = 0x1c000,
  BITMAP_SIZE = 0x20000,
  SIZE = 0x3c000,
}

/** One size class: two magazines of the CPU and a depot. 128 pages each. */
export const enum Magazines {
  /** Slots 0 to 33; LOADED and PREVIOUS name two of them, the depot holds DEPOT full ones in a stack of slots. */
  LOADED = 0x00,
  PREVIOUS = 0x04,
  LOADED_COUNT = 0x08,
  PREVIOUS_COUNT = 0x0c,
  DEPOT = 0x10,
  FREE = 0x14,
  /** Stacks of slot numbers (u32): full ones in the depot, empty ones. */
  DEPOT_STACK = 0x20,
  FREE_STACK = 0xc0,
  SLOTS = 0x160,
  DEPOT_MAX = 32,
  SLOT_COUNT = 34,
  PAGES = 128,
  SIZE_OF = 0x4560,
}

/** Formats of receive descriptors. */
export const enum E1000Format {
  LEGACY = 0,
  /** The 82574L's extended ones; its driver has MSI-X. */
  EXTENDED = 1,
}

/** The driver of an e1000 or e1000e: two rings and a pool of buffers, all in the guest's memory. */
export const enum E1000Driver {
  DOMAIN = 0x00,
  /** Offset of its DmaMap from the state base. */
  MAP = 0x04,
  /** Guest address of BAR 0. */
  BAR_VA = 0x08,
  /** Guest addresses of the rings, and number of descriptors. */
  RX_RING_VA = 0x0c,
  TX_RING_VA = 0x10,
  RX_COUNT = 0x14,
  TX_COUNT = 0x18,
  RX_CLEAN = 0x1c,
  RX_USE = 0x20,
  TX_CLEAN = 0x24,
  TX_USE = 0x28,
  /** Free buffers: guest addresses on a stack. */
  POOL_COUNT = 0x2c,
  BUFFER_SIZE = 0x30,
  /** Length of the packet that was received last. */
  RECEIVED_LEN = 0x34,
  RX_ERRORS = 0x38,
  MAP_ERRORS = 0x3c,
  /** Per descriptor {bus u64, va u32, len u32}, 256 each. */
  RX_SLOTS = 0x40,
  TX_SLOTS = 0x1040,
  RING_MAX = 256,
  /** Stack of guest addresses (u32). */
  POOL = 0x2040,
  POOL_MAX = 1024,
  /** E1000Format. */
  FORMAT = 0x3040,
  /** The station address, six bytes. */
  MAC = 0x3048,
  /** Of polls: frames taken in and their bytes, frames sent, and frames of its own that came back (u64 each). */
  RECEIVED = 0x3050,
  RECEIVED_BYTES = 0x3058,
  SENT = 0x3060,
  RETURNED = 0x3068,
  SIZE = 0x3070,
}

/** A run that forwards packets: every frame in is sent out again. */
export const enum ForwardRun {
  DRIVER = 0x00,
  FUNCTION = 0x04,
  /** Offset of the link record. */
  LINK = 0x08,
  BATCH = 0x0c,
  /** Packets that the guest took in and compared (u64), and what differed. */
  RECEIVED = 0x10,
  RECEIVED_MISMATCHES = 0x18,
  SENT = 0x20,
  /** State of the generator that says how many packets come in a burst (not 0). */
  ARRIVALS = 0x28,
  /** Budget of each call of `service` in the run; 0: unlimited. What comes of it is the same. */
  BUDGET = 0x2c,
  SIZE = 0x40,
}
