/** PCI Local Bus 3.0 chapter 6 and PCI Express 6.0 §7.5: configuration space header type 0, capabilities. */
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
}

/** Capability ids. */
export const enum PciCap {
  PM = 0x01,
  VPD = 0x03,
  MSI = 0x05,
  PCIX = 0x07,
  VENDOR = 0x09,
  EXP = 0x10,
  MSIX = 0x11,
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
}

/** Power management capability, offsets from its start (PCI PM 1.2 §3.2). */
export const enum Pm {
  PMC = 0x02,
  PMCSR = 0x04,
  PMCSR_STATE_MASK = 0x0003,
  PMCSR_NO_SOFT_RESET = 0x0008,
  PMCSR_PME_ENABLE = 0x0100,
  PMCSR_PME_STATUS = 0x8000,
}
