/** QEMU's `edu` device (docs/specs/edu): registers of BAR 0. DMA source, destination and count are 64 bits wide. */
export const enum Edu {
  ID = 0x00,
  LIVENESS = 0x04,
  FACTORIAL = 0x08,
  STATUS = 0x20,
  INTERRUPT_STATUS = 0x24,
  INTERRUPT_RAISE = 0x60,
  INTERRUPT_ACKNOWLEDGE = 0x64,
  DMA_SOURCE = 0x80,
  DMA_DESTINATION = 0x88,
  DMA_COUNT = 0x90,
  DMA_COMMAND = 0x98,

  BAR_SIZE = 0x100000,
  ID_VALUE = 0x010000ed,
  STATUS_COMPUTING = 0x01,
  STATUS_RAISE = 0x80,
  INTERRUPT_FACTORIAL = 0x001,
  INTERRUPT_DMA = 0x100,
  DMA_START = 0x1,
  DMA_TO_RAM = 0x2,
  DMA_RAISE = 0x4,
  BUFFER = 0x40000,
  BUFFER_SIZE = 4096,
  /** Bits of a bus address that its DMA can drive. */
  DMA_BITS = 28,
  /** A transfer takes this long, in ns of virtual time (QEMU: 100 ms). */
  DMA_TIME_MS = 100,

  // the device's own state
  STATE_BUFFER = 0,
  STATE_SIZE = 4096,
}
