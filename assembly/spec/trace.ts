/** The event trace: categories (a bit each in the mask), and one record of 32 bytes an event. */
export const enum TraceCategory {
  MMIO = 0x001,
  PORT = 0x002,
  CONFIG = 0x004,
  DMA = 0x008,
  FAULT = 0x010,
  INVALIDATION = 0x020,
  MESSAGE = 0x040,
  INTX = 0x080,
  HYPERCALL = 0x100,
  BAR = 0x200,
  ALL = 0x3ff,
}

/** Which iommu_op, in the low byte of DETAIL; its number of pages is in bits 31:16. */
export const enum IommuOp {
  MAP = 1,
  UNMAP = 2,
  FLUSH = 3,
}

export const enum TraceRecord {
  SIZE_OF = 32,
  /** Virtual time in ns (u64). */
  TIME = 0,
  /** One bit of TraceCategory. */
  CATEGORY = 8,
  /** Domain slot (MMIO, PORT, HYPERCALL) or function slot. */
  WHO = 12,
  /** Guest address, port, config offset, bus address, iova (u64). */
  ADDRESS = 16,
  VALUE = 24,
  /** 7:0 width or kind, 8 write, 31:16 status or reason. */
  DETAIL = 28,
}

/** State of the trace, at State.TRACE. */
export const enum Trace {
  MASK = 0,
  /** Offset of the records, and how many there are (a power of two). */
  RECORDS = 4,
  CAPACITY = 8,
  /** 1: a full trace ends the batch; 0: it counts what it loses. */
  LOSSLESS = 12,
  /** Running counts. */
  HEAD = 16,
  TAIL = 20,
  LOST = 24,
  /** Records that a step of a device, or the end of a round of the forwarding loop, may need: lossless mode keeps them free. */
  RESERVE = 4096,
}
