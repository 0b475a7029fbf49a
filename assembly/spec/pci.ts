/** PCI Local Bus 3.0 chapter 6 and PCI Express 6.0 §7.5: configuration space header, capabilities. */
export const enum Pci {
  VENDOR_ID = 0x00,
  DEVICE_ID = 0x02,
  COMMAND = 0x04,
  STATUS = 0x06,
  REVISION_ID = 0x08,
  PROG_IF = 0x09,
  SUBCLASS = 0x0a,
  CLASS = 0x0b,
  CACHE_LINE_SIZE = 0x0c,
  LATENCY_TIMER = 0x0d,
  HEADER_TYPE = 0x0e,
  BIST = 0x0f,
  BAR0 = 0x10,
  CARDBUS_CIS = 0x28,
  SUBSYSTEM_VENDOR_ID = 0x2c,
  SUBSYSTEM_ID = 0x2e,
  ROM_ADDRESS = 0x30,
  CAPABILITY_POINTER = 0x34,
  INTERRUPT_LINE = 0x3c,
  INTERRUPT_PIN = 0x3d,
  MIN_GNT = 0x3e,
  MAX_LAT = 0x3f,
  CONFIG_SIZE = 256,
  EXTENDED_CONFIG_SIZE = 4096,
  /** Header Type: layout, and whether the device has more functions than one. */
  HEADER_LAYOUT_MASK = 0x7f,
  HEADER_MULTI_FUNCTION = 0x80,
}

/** Header type 1 (PCI-to-PCI Bridge 1.2 §3.2, PCI Express 6.0 §7.5.1.3): where it differs from type 0. */
export const enum PciBridge {
  LAYOUT = 1,
  BARS = 2,
  PRIMARY_BUS = 0x18,
  SECONDARY_BUS = 0x19,
  SUBORDINATE_BUS = 0x1a,
  SECONDARY_LATENCY_TIMER = 0x1b,
  IO_BASE = 0x1c,
  IO_LIMIT = 0x1d,
  SECONDARY_STATUS = 0x1e,
  MEMORY_BASE = 0x20,
  MEMORY_LIMIT = 0x22,
  PREFETCH_BASE = 0x24,
  PREFETCH_LIMIT = 0x26,
  PREFETCH_BASE_HI = 0x28,
  PREFETCH_LIMIT_HI = 0x2c,
  IO_BASE_HI = 0x30,
  IO_LIMIT_HI = 0x32,
  ROM_ADDRESS = 0x38,
  CONTROL = 0x3e,
  /** Bits 15:12 of an I/O address are bits 7:4 here, bits 31:20 of a memory address bits 15:4. */
  IO_WINDOW_SHIFT = 12,
  MEMORY_WINDOW_SHIFT = 20,
  /** The prefetchable window has 64 bits. */
  PREFETCH_64 = 0x1,
  CONTROL_SECONDARY_RESET = 0x0040,
}

/** Command register bits. */
export const enum PciCommand {
  IO = 0x0001,
  MEMORY = 0x0002,
  MASTER = 0x0004,
  PARITY = 0x0040,
  SERR = 0x0100,
  INTX_DISABLE = 0x0400,
}

/** Status register bits. */
export const enum PciStatus {
  INTERRUPT = 0x0008,
  CAPABILITIES = 0x0010,
  RECEIVED_TARGET_ABORT = 0x1000,
  RECEIVED_MASTER_ABORT = 0x2000,
  /** The error bits, write-1-clear. */
  RW1C = 0xf900,
}

/** BAR bits. */
export const enum PciBar {
  SPACE_IO = 0x1,
  MEMORY_TYPE_64 = 0x4,
  PREFETCHABLE = 0x8,
  IO_FLAGS = 0x3,
  MEMORY_FLAGS = 0xf,
  /** Of the expansion ROM's register: bits below the address, and the one that enables it. */
  ROM_FLAGS = 0x7ff,
  ROM_ENABLE = 0x1,
}

/** Capability ids. */
export const enum PciCap {
  PM = 0x01,
  VPD = 0x03,
  MSI = 0x05,
  PCIX = 0x07,
  VENDOR = 0x09,
  SUBSYSTEM = 0x0d,
  EXP = 0x10,
  MSIX = 0x11,
  /** Advanced features, of conventional PCI. */
  AF = 0x13,
  /** Capabilities lie behind the header. */
  FIRST_OFF = 0x40,
}

/** Extended capability ids (PCI Express 6.0 §7.6.3), and how their list is linked. */
export const enum PciExtCap {
  AER = 0x0001,
  SERIAL_NUMBER = 0x0003,
  FIRST_OFF = 0x100,
  VERSION_SHIFT = 16,
  NEXT_SHIFT = 20,
}

/** MSI capability, offsets from its start (PCI Local Bus 3.0 §6.8.1). */
export const enum Msi {
  CONTROL = 0x02,
  CONTROL_ENABLE = 0x0001,
  CONTROL_MMC_SHIFT = 1,
  CONTROL_MME_MASK = 0x0070,
  CONTROL_MME_SHIFT = 4,
  CONTROL_64BIT = 0x0080,
  CONTROL_PER_VECTOR_MASKING = 0x0100,
  ADDRESS = 0x04,
  ADDRESS_HI = 0x08,
  DATA_32 = 0x08,
  DATA_64 = 0x0c,
  MASK_32 = 0x0c,
  MASK_64 = 0x10,
  PENDING_32 = 0x10,
  PENDING_64 = 0x14,
}

/** MSI-X capability, offsets from its start, and an entry of its table (PCI Local Bus 3.0 §6.8.2). */
export const enum Msix {
  CONTROL = 0x02,
  CONTROL_SIZE_MASK = 0x07ff,
  CONTROL_FUNCTION_MASK = 0x4000,
  CONTROL_ENABLE = 0x8000,
  TABLE = 0x04,
  PBA = 0x08,
  /** Low bits of TABLE and PBA: the BAR; the others: the offset in it. */
  BIR_MASK = 0x7,
  SIZE = 0x0c,
  ENTRY_SIZE = 16,
  ENTRY_ADDRESS = 0,
  ENTRY_ADDRESS_HI = 4,
  ENTRY_DATA = 8,
  ENTRY_CONTROL = 12,
  ENTRY_MASKED = 0x1,
  /** Vectors of a function at most: what the bitmap of pending ones holds. */
  VECTORS_MAX = 64,
}

/** PCI Express capability, offsets from its start (PCI Express 6.0 §7.5.3). */
export const enum PciExp {
  FLAGS = 0x02,
  FLAGS_TYPE_SHIFT = 4,
  TYPE_ENDPOINT = 0x0,
  TYPE_ROOT_PORT = 0x4,
  TYPE_ROOT_COMPLEX_ENDPOINT = 0x9,
  DEVCAP = 0x04,
  DEVCAP_EXTENDED_TAG = 0x00000020,
  DEVCAP_ROLE_BASED_ERRORS = 0x00008000,
  DEVCAP_FLR = 0x10000000,
  DEVCTL = 0x08,
  DEVCTL_PAYLOAD_MASK = 0x00e0,
  DEVCTL_READ_REQUEST_SHIFT = 12,
  DEVCTL_FLR = 0x8000,
  DEVSTA = 0x0a,
  DEVSTA_RW1C = 0x000f,
  LNKCAP = 0x0c,
  LNKCAP_WIDTH_SHIFT = 4,
  LNKCAP_ACTIVE_REPORTING = 0x00100000,
  LNKCAP_PORT_SHIFT = 24,
  LNKCTL = 0x10,
  LNKSTA = 0x12,
  LNKSTA_SLOT_CLOCK = 0x1000,
  LNKSTA_ACTIVE = 0x2000,
  SLTCAP = 0x14,
  SLTCTL = 0x18,
  SLTSTA = 0x1a,
  ROOTCTL = 0x1c,
  ROOTCAP = 0x1e,
  ROOTSTA = 0x20,
  DEVCAP2 = 0x24,
  DEVCTL2 = 0x28,
  LNKCAP2 = 0x2c,
  LNKCTL2 = 0x30,
  LNKSTA2 = 0x32,
  SIZE = 0x3c,
}

/** Power management capability, offsets from its start (PCI PM 1.2 §3.2). */
export const enum Pm {
  PMC = 0x02,
  PMC_D1 = 0x0200,
  PMC_D2 = 0x0400,
  PMCSR = 0x04,
  PMCSR_STATE_MASK = 0x0003,
  STATE_D1 = 1,
  STATE_D2 = 2,
  PMCSR_NO_SOFT_RESET = 0x0008,
  PMCSR_PME_ENABLE = 0x0100,
  PMCSR_PME_STATUS = 0x8000,
  SIZE = 0x08,
}
