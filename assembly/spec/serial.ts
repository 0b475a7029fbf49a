/** 16550A UART (National Semiconductor PC16550D, tables 2 and 3): registers, eight ports. */
export const enum Serial {
  /** RBR when read, THR when written; DLL while LCR.DLAB is set. */
  RBR = 0,
  /** DLM while LCR.DLAB is set. */
  IER = 1,
  /** IIR when read, FCR when written. */
  IIR = 2,
  LCR = 3,
  MCR = 4,
  LSR = 5,
  MSR = 6,
  SCR = 7,

  BAR_SIZE = 8,
  FIFO = 16,
  /** Crystal in Hz; a bit takes 16 × divisor of its periods. */
  CLOCK_HZ = 1843200,
  /** 9600 baud, as firmware leaves it: the chip's own value after reset is undefined. */
  DIVISOR_RESET = 12,
}

export const enum SerialIer {
  RECEIVE = 1,
  TRANSMIT = 2,
  LINE = 4,
  MODEM = 8,
  ALL = 15,
}

export const enum SerialIir {
  NONE = 0x01,
  LINE = 0x06,
  RECEIVE = 0x04,
  TIMEOUT = 0x0c,
  TRANSMIT = 0x02,
  MODEM = 0x00,
  FIFOS = 0xc0,
}

export const enum SerialFcr {
  ENABLE = 1,
  CLEAR_RECEIVE = 2,
  CLEAR_TRANSMIT = 4,
  DMA_MODE = 8,
  TRIGGER_SHIFT = 6,
  /** What it keeps. */
  KEPT = 0xc9,
}

export const enum SerialLcr {
  WORD_MASK = 3,
  STOP = 4,
  PARITY = 8,
  BREAK = 0x40,
  DLAB = 0x80,
}

export const enum SerialMcr {
  DTR = 1,
  RTS = 2,
  OUT1 = 4,
  OUT2 = 8,
  LOOP = 0x10,
  ALL = 0x1f,
}

export const enum SerialLsr {
  DR = 1,
  OE = 2,
  PE = 4,
  FE = 8,
  BI = 0x10,
  THRE = 0x20,
  TEMT = 0x40,
  FIFO_ERROR = 0x80,
  /** Errors of a character. */
  ERRORS = 0x1c,
}

export const enum SerialMsr {
  DCTS = 1,
  DDSR = 2,
  TERI = 4,
  DDCD = 8,
  CTS = 0x10,
  DSR = 0x20,
  RI = 0x40,
  DCD = 0x80,
  LINES = 0xf0,
}

/** State of the device. A character in a ring or the receive FIFO is a u16: data, and LSR's error bits above it. */
export const enum SerialState {
  IER = 0,
  FCR = 4,
  LCR = 8,
  MCR = 12,
  /** Errors that LSR shows until it is read. */
  ERRORS = 16,
  MSR = 20,
  SCR = 24,
  DIVISOR = 28,
  /** The transmit interrupt waits to be identified; the receive FIFO has stood still for four characters. */
  THRE_WAITS = 32,
  TIMED_OUT = 36,
  RX_HEAD = 40,
  RX_COUNT = 44,
  TX_HEAD = 48,
  TX_COUNT = 52,
  /** Transmit shift register: whether it holds a character, and which. */
  SHIFTING = 56,
  SHIFT = 60,
  /** A break has begun that the link has had no room for. */
  BREAK_WAITS = 64,
  /** Times in ns (u64): end of the character being sent, of the one being received, of patience. All ones: never. */
  SHIFT_END = 72,
  ARRIVAL = 80,
  TIMEOUT = 88,
  RX_FIFO = 96,
  TX_FIFO = 128,
  /** What a reset gives back ends here; the link is the host's. */
  LINK = 160,
  /** MSR's lines as the other end drives them. */
  LINES = 160,
  /** The other end waits while the receive FIFO is full; else what comes then is lost, flagged and counted. */
  WAITS = 164,
  OVERRUNS = 168,
  /** Running counts: characters to the UART, and from it. */
  IN_HEAD = 172,
  IN_TAIL = 176,
  OUT_HEAD = 180,
  OUT_TAIL = 184,
  /** Since when there has been something on the line to the UART, in ns (u64). */
  IN_SINCE = 192,
  IN_RING = 256,
  OUT_RING = 8448,
  /** Characters of a ring. */
  RING = 4096,
  SIZE = 16640,
}
