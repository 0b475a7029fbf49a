/** NVM Express Base Specification 1.4: registers of the controller (chapter 3), BAR 0. */
export const enum Nvme {
  CAP = 0x00,
  VS = 0x08,
  INTMS = 0x0c,
  INTMC = 0x10,
  CC = 0x14,
  CSTS = 0x1c,
  AQA = 0x24,
  ASQ = 0x28,
  ACQ = 0x30,
  DOORBELLS = 0x1000,

  BAR_SIZE = 0x4000,
  MSIX_TABLE = 0x2000,
  MSIX_PENDING = 0x3000,
  /** Submission queues and as many completion queues, the admin queues among them; a vector for each. */
  QUEUES = 33,
  VECTORS = 33,
  MSI_VECTORS = 32,
  /** Entries of a queue minus one, at most (CAP.MQES). */
  MQES = 0x7ff,
  CAP_LO = 0x0f0107ff,
  CAP_HI = 0x20,
  VERSION = 0x00010400,
  PAGE = 4096,
  SQE_SIZE = 64,
  CQE_SIZE = 16,
  /** Bytes of a transfer as a power of two of pages (MDTS), and in bytes. */
  MDTS = 5,
  TRANSFER_MAX = 131072,
  /** Bytes of one request to a back end that moves no data of the host. */
  CHUNK = 1048576,
  NAMESPACES = 16,
  /** Asynchronous event requests that are held at most, minus one (AERL). */
  AERL = 3,
  ERRORS = 16,
  TEMPERATURE_K = 310,
}

export const enum NvmeCc {
  EN = 1,
  CSS_SHIFT = 4,
  MPS_SHIFT = 7,
  AMS_SHIFT = 11,
  SHN_SHIFT = 14,
  IOSQES_SHIFT = 16,
  IOCQES_SHIFT = 20,
  WRITABLE = 0x00fffff1,
}

export const enum NvmeCsts {
  RDY = 1,
  CFS = 2,
  SHST_OCCURRING = 4,
  SHST_COMPLETE = 8,
  SHST_MASK = 12,
}

/** Opcodes (figures 139 and 346). */
export const enum NvmeAdmin {
  DELETE_SQ = 0x00,
  CREATE_SQ = 0x01,
  GET_LOG_PAGE = 0x02,
  DELETE_CQ = 0x04,
  CREATE_CQ = 0x05,
  IDENTIFY = 0x06,
  ABORT = 0x08,
  SET_FEATURES = 0x09,
  GET_FEATURES = 0x0a,
  ASYNC_EVENT = 0x0c,
}

export const enum NvmeIo {
  FLUSH = 0x00,
  WRITE = 0x01,
  READ = 0x02,
  COMPARE = 0x05,
  WRITE_ZEROES = 0x08,
  DATASET = 0x09,
  VERIFY = 0x0c,
}

/** Status: 7:0 code, 10:8 type, as in bits 24:17 and 27:25 of a completion's last dword. */
export const enum NvmeStatus {
  SUCCESS = 0x000,
  INVALID_OPCODE = 0x001,
  INVALID_FIELD = 0x002,
  DATA_TRANSFER = 0x004,
  ABORTED = 0x007,
  INVALID_NAMESPACE = 0x00b,
  SEQUENCE = 0x00c,
  PRP_OFFSET = 0x013,
  WRITE_PROTECTED = 0x020,
  LBA_RANGE = 0x080,
  CQ_INVALID = 0x100,
  QUEUE_ID = 0x101,
  QUEUE_SIZE = 0x102,
  EVENT_LIMIT = 0x105,
  VECTOR = 0x108,
  LOG_PAGE = 0x109,
  QUEUE_DELETION = 0x10c,
  NOT_SAVEABLE = 0x10d,
  NOT_CHANGEABLE = 0x10e,
  NOT_PER_NAMESPACE = 0x10f,
  WRITE_FAULT = 0x280,
  READ_ERROR = 0x281,
  COMPARE_FAILED = 0x285,
  /** More is in the error log; do not retry. */
  MORE = 0x2000,
  DNR = 0x4000,
}

export const enum NvmeFeature {
  ARBITRATION = 0x01,
  POWER = 0x02,
  TEMPERATURE = 0x04,
  ERROR_RECOVERY = 0x05,
  WRITE_CACHE = 0x06,
  QUEUES = 0x07,
  COALESCING = 0x08,
  VECTOR = 0x09,
  ATOMICITY = 0x0a,
  EVENTS = 0x0b,
}

export const enum NvmeLog {
  ERRORS = 0x01,
  HEALTH = 0x02,
  FIRMWARE = 0x03,
  EFFECTS = 0x05,
}

/** What a command is doing: see step.ts. */
export const enum NvmePhase {
  NONE = 0,
  /** Fetched, not looked at. */
  START = 6,
  /** Data comes from the host, page by page, into BUFFER. */
  FROM_HOST = 1,
  /** All of it is there, or none is needed: the command acts. */
  ACT = 2,
  /** A back end works. */
  STORAGE = 3,
  /** Data goes to the host. */
  TO_HOST = 4,
  COMPLETE = 5,
}

/** A request to a back end. */
export const enum NvmeRequest {
  READ = 1,
  WRITE = 2,
  FLUSH = 3,
  /** The range reads as zeros from now on. */
  ZERO = 4,
}

export const enum NvmeAnswer {
  IDLE = 0,
  ASKED = 1,
  DONE = 2,
  FAILED = 3,
}

/** State of the controller. Offsets in bytes; times in ns. */
export const enum NvmeState {
  // ---- gone with a reset
  /** Controller is enabled and works; waits for a back end before it can become disabled. */
  RUNNING = 0,
  STOPPING = 4,
  /** Shutdown asked for; namespaces that are flushed. */
  SHUTDOWN = 8,
  FLUSHED = 12,
  NEXT_SQ = 16,
  /** Interrupts: INTMS's mask, MSI vectors held by it. */
  MASK = 20,
  HELD = 24,
  /** Largest I/O queue id that may be created. */
  QUEUE_LIMIT = 28,
  /** Asynchronous events: held requests and their command ids (u16), events due and event types masked (bits). */
  EVENTS_HELD = 32,
  EVENTS_CID = 36,
  EVENTS_DUE = 44,
  EVENTS_MASKED = 48,
  /** Command that is under way: phase, queue, its 64 bytes. */
  PHASE = 52,
  SQ = 56,
  RESULT = 60,
  STATUS = 64,
  /** Data of it: bytes, bytes done, and where in the state they lie. */
  LENGTH = 68,
  DONE = 72,
  DATA = 76,
  /** Copy of a piece of PRP list: entries, next, and where the list goes on (u64). */
  LIST_COUNT = 80,
  LIST_NEXT = 84,
  LIST_AT = 88,
  /** Storage work: position and bytes left (u64 each), step of the command, range of a dataset. */
  POSITION = 96,
  LEFT = 104,
  STAGE = 112,
  RANGE = 116,
  COMMAND = 128,
  /** Features, by number (u32), and Interrupt Vector Configuration. */
  FEATURES = 192,
  VECTOR_CONFIG = 256,
  /** Coalescing: entries that wait for their interrupt, and until when (u64), by vector. */
  WAITING = 400,
  UNTIL = 544,
  SUBMISSION = 832,
  COMPLETION = 2432,
  RESET_END = 4032,

  // ---- kept
  /** Request to a back end, see Storage. */
  STORAGE = 4032,
  NAMESPACE_COUNT = 4096,
  /** Errors ever logged (u64). */
  ERROR_COUNT = 4104,
  HEALTH = 4112,
  NAMESPACE_TABLE = 4160,
  SCRATCH = 4672,
  ERROR_LOG = 4736,
  LIST = 8192,
  IDENTIFY_CONTROLLER = 12288,
  EFFECTS = 16384,
  FIRMWARE = 20480,
  BUFFER = 24576,
  /** The other side of a comparison. */
  STORED = 155648,
  /** Identify Namespace of each, and its identification descriptors. */
  NAMESPACES = 286720,
  NAMESPACE_PAGES = 8192,
  /** Behind the pages of the last namespace: disks in RAM. */
  DISKS = 417792,
}

export const enum NvmeSq {
  SIZE_OF = 48,
  BASE = 0,
  /** Entries; 0: there is no such queue. */
  ENTRIES = 8,
  HEAD = 12,
  TAIL = 16,
  CQ = 20,
}

export const enum NvmeCq {
  SIZE_OF = 48,
  BASE = 0,
  ENTRIES = 8,
  HEAD = 12,
  TAIL = 16,
  PHASE = 20,
  INTERRUPTS = 24,
  VECTOR = 28,
  /** Its interrupt is due, or was sent, and it is not empty since. */
  SIGNALED = 32,
  /** Submission queues that complete here. */
  USERS = 36,
}

export const enum Storage {
  OP = 0,
  NAMESPACE = 4,
  /** Bytes (u64 and u32). */
  OFFSET = 8,
  LENGTH = 16,
  /** Where in the device's state the data lies. */
  DATA = 20,
  /** NvmeAnswer. */
  ANSWER = 24,
  /** Number of the request; an answer to another one is late. */
  SERIAL = 28,
}

export const enum NvmeNamespace {
  SIZE_OF = 32,
  BLOCKS = 0,
  /** Block size as a power of two. */
  SHIFT = 8,
  READ_ONLY = 12,
  /** Disk in RAM: where in the state; 0: a host's. */
  RAM = 16,
}

/** Counters of the SMART log (u64 each). */
export const enum NvmeHealth {
  READ_SECTORS = 0,
  WRITTEN_SECTORS = 8,
  READS = 16,
  WRITES = 24,
  POWER_CYCLES = 32,
  UNSAFE_SHUTDOWNS = 40,
}
