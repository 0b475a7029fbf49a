/**
 * Layout of the engine's state: one run of bytes at a base given to `init`.
 *
 *   0x00000  placement   where the RAM windows lie in the linear memory, and the lock; not part of a snapshot
 *   0x01000  the slice   everything else: header, pool offsets, counters, fixed tables
 *   0x20000  pools       sized by the options, found through the header's offsets
 *
 * Every offset in here is relative to the state base. Words are little endian.
 */
export const enum State {
  /** 16 linear addresses of RAM windows; the only linear addresses kept. */
  PLACEMENT = 0x0000,
  /** 1 while a call is in the engine; shared with other threads, in a cache line of its own. */
  LOCK = 0x0800,
  SLICE = 0x1000,

  MAGIC = 0x1000,
  ABI_VERSION = 0x1004,
  /** Bytes of state, placement included. */
  SIZE = 0x1008,
  /** Frames of RAM covered by the frame table, from mfn 0. */
  FRAMES = 0x100c,
  /** High dword of the last eight-byte read. */
  RESULT_HI = 0x1010,
  /** Status of the last access. */
  RESULT_STATUS = 0x1014,
  /** Function that the last config write or reset moved a BAR of, plus one; 0 when none. */
  BAR_MOVED = 0x1018,
  /** Virtual time in ns (u64), as of the last `service`. */
  NOW = 0x1020,
  /** Units by which the last `service` went over its budget; taken off the next one. */
  DEBT = 0x1028,
  /** Function that `service` looks at first. */
  NEXT_FUNCTION = 0x102c,
  /** Bit per function: has work for `service` (u64). */
  WORK = 0x1030,
  /** CONFIG_ADDRESS latch of port 0xCF8. */
  CONFIG_ADDRESS = 0x1038,
  /** log2 of the link's Max Payload Size and Max Read Request Size, for counting TLPs. */
  MPS_SHIFT = 0x103c,
  MRRS_SHIFT = 0x1040,
  /** Domain slots in use of this engine (at most Machine.DOMAINS). */
  DOMAIN_LIMIT = 0x1044,
  /** Dword that an MSI is sent from. */
  MESSAGE_SCRATCH = 0x1048,
  /** Eight bytes that a guest's access to a file window goes through. */
  ACCESS_SCRATCH = 0x1050,
  /** Bit per function: the last config write or reset moved BARs of it (u64). */
  BARS_MOVED = 0x1058,

  /** The event trace, see Trace. */
  TRACE = 0x1060,

  /** 16 window records of 16 bytes, see WindowRecord. */
  WINDOW_TABLE = 0x1080,
  /** Entries of LOOKASIDE with another generation than this one, which is in bits 31:22, are void. */
  LOOKASIDE_GENERATION = 0x1190,
  /** Whether the first domain's config writes are filtered: a hypervisor has its messages. */
  CONFIG_FILTER = 0x1194,

  // offsets of the pools
  POOL_FRAMES = 0x1200,
  POOL_M2P = 0x1204,
  POOL_DIRTY = 0x1208,
  /** Radix pages of 4 KiB (guest maps, MMIO decode). */
  POOL_PAGES = 0x120c,
  PAGES_COUNT = 0x1210,
  PAGES_FREE = 0x1214,
  /** Head of the free list of radix pages, as index plus one. */
  PAGES_HEAD = 0x1218,
  /** Used entries per radix page (u32 each). */
  POOL_PAGE_USE = 0x121c,
  /** 16,384 entries of u16, one for each four ports, see PortEntry. */
  POOL_PORTS = 0x1220,
  /** Bitmaps of 8 KiB a domain. */
  POOL_PORT_BITMAPS = 0x1228,
  /** Config spaces, device pages, cells, device state, links: handed out by the control plane. */
  POOL_HEAP = 0x122c,
  HEAP_SIZE = 0x1230,
  POOL_IOTLB = 0x1234,
  POOL_PWC_2M = 0x1238,
  POOL_PWC_1G = 0x123c,
  POOL_PWC_512G = 0x1240,
  POOL_CONTEXT_CACHE = 0x1244,
  /** Stack of hypervisor frames for IOMMU tables (u32 each). */
  POOL_TABLE_FRAMES = 0x1248,
  TABLE_FRAMES_COUNT = 0x124c,
  TABLE_FRAMES_FREE = 0x1250,

  // event channels and grant tables; the pools hold a block for each domain slot
  POOL_EVENTS = 0x1300,
  POOL_GRANTS = 0x1304,
  POOL_MAPTRACK = 0x1308,
  /** Entries of all domains that are in use, see ActiveGrant, and the head of those that are not (index plus one). */
  POOL_ACTIVE = 0x130c,
  ACTIVE_HEAD = 0x1310,
  POOL_IOMEM = 0x1314,
  /** Frames of grant table that a domain may have at most, and mappings of others' grants. */
  GRANT_FRAMES_LIMIT = 0x1318,
  MAPTRACK_LIMIT = 0x131c,
  /** What the last `grantMap` gave: handle, machine frame. */
  GRANT_HANDLE = 0x1320,
  GRANT_MFN = 0x1324,
  /** First word of the entry that `grantMark` has let in, as it was then. */
  GRANT_HEAD = 0x1328,
  /** One element of a grant_table_op, copied once from the guest's memory. */
  GRANT_SCRATCH = 0x1340,

  /** Bit per function in TypeScript: has work that the host is to do (u64), and the function it looks at first. */
  HOST_WORK = 0x13f0,
  NEXT_HOST = 0x13f8,

  COUNTERS = 0x1400,
  IOMMU = 0x1800,
  /** 32 × u64: functions that assert each INTx line. */
  INTX = 0x2000,
  MESSAGES = 0x2200,
  PEER = 0x4000,
  /** 256 × 8 bytes: where the messages of each vector go, see VectorRecord. */
  VECTORS = 0x7400,
  /** 32 × 16 bytes: which domains have bound each INTx line, see LineRecord. */
  LINES = 0x7c00,
  DOMAIN_TABLE = 0x8000,
  IO_DOMAIN_TABLE = 0xa000,
  /** 256 entries of u32: root of the MMIO decode tree. */
  MMIO_ROOT = 0xb000,
  /** CRC-32 table for the FCS, 256 × u32. */
  CRC_TABLE = 0xb400,
  FUNCTION_TABLE = 0xc000,
  /** Device pages by guest page, see Lookaside. */
  LOOKASIDE = 0x18000,
  POOLS = 0x20000,
}

export const enum StateSize {
  WINDOW_RECORD = 16,
  FRAME_RECORD = 8,
  DOMAIN_RECORD = 128,
  IO_DOMAIN_RECORD = 64,
  FUNCTION_RECORD = 512,
  DEVICE_PAGE = 16,
  CELL = 16,
  MESSAGE = 16,
  MESSAGES = 256,
  PEER_ENTRY = 96,
  PEERS = 128,
  RADIX_PAGE = 4096,
  PORT_BITMAP = 8192,
  VECTOR_RECORD = 8,
  LINE_RECORD = 16,
  PORT_RECORD = 8,
  EVENT_BLOCK = 34368,
  MAPTRACK_ENTRY = 16,
  ACTIVE_GRANT = 16,
  IOMEM_BLOCK = 4096,
}

export const enum Abi {
  MAGIC = 0x4c435450,
  VERSION = 1,
}

export const enum WindowRecord {
  FIRST_MFN = 0,
  /** Frames that the fast path may use: 0 unless the window is linear and writable. */
  FRAMES = 4,
  /** WindowKind, and READ_ONLY in bit 8. */
  KIND = 8,
  READ_ONLY = 0x100,
  /** Frames of the window, whatever its kind. */
  REACH = 12,
}

/** One machine frame: who owns it, and how many IOMMU mappings hold it. */
export const enum FrameRecord {
  OWNER = 0,
  /** FrameKind. */
  KIND = 2,
  REFS = 4,
}

export const enum FrameKind {
  RAM = 0,
  /** IOMMU tables, queues: never mapped for a guest or a device. */
  XEN_TABLE = 1,
  /** A domain's grant table: mapped by its owner, never reached by a device, granted or given away. */
  XEN_SHARED = 2,
  /** Its status frames: mapped for reading only. */
  XEN_STATUS = 3,
}

export const enum DomainRecord {
  PRESENT = 0,
  DOMID = 4,
  /** DomainFlag. */
  FLAGS = 8,
  /** Index plus one of the root page of the guest map. */
  MAP_ROOT = 12,
  /** Slot of the IO domain that its devices use, plus one. */
  IO_DOMAIN = 16,
  /** Accesses that a gate refused (u64), and the last of them. */
  REFUSED = 24,
  LAST_REFUSED_LO = 32,
  LAST_REFUSED_HI = 36,
  LAST_REFUSED_KIND = 40,
  /** Machine frame of the shared info page; 0 when the domain has none. */
  SHARED_INFO = 64,
  VCPUS = 68,
  /** Bit per vCPU: an upcall has become due since somebody looked. */
  UPCALLS = 72,
  /** Highest port that it may have. */
  MAX_PORT = 76,
  /** Hypercalls that it has made to the engine, and events that have become pending for it (u64 each). */
  HYPERCALLS = 80,
  EVENTS = 88,
}

/** Where the messages of an interrupt vector go. */
export const enum VectorRecord {
  /** Domain slot plus one (u16); 0 when nobody has the vector. */
  SLOT = 0,
  /** Port (u16); 0 when the domain has not bound it. */
  PORT = 2,
  /** Routing id of the function (u16), and the domain's number for the interrupt (u16). */
  ROUTING = 4,
  PIRQ = 6,
}

/** An INTx line, level: raised again only when all that had it have ended it. */
export const enum LineRecord {
  /** Bit per domain slot (u64): bound, and told but not yet ended. */
  BOUND = 0,
  IN_FLIGHT = 8,
}

/** Event channels of a domain. */
export const enum EventBlock {
  PORTS = 0,
  /** Port of each INTx line (32 × u16), and of each virtual interrupt (32 vCPUs × 24 × u16). */
  LINES = 32768,
  VIRQS = 32832,
}

export const enum PortRecord {
  /** PortState in bits 3:0; XEN and NOTIFIED. */
  STATE = 0,
  VCPU = 1,
  /** Unbound: who may bind it. Interdomain: whose the other end is (u16). */
  REMOTE = 2,
  /** Interdomain: 15:0 port, 21:16 slot of the other end. Pirq, virq: its number; 31: pirq may be shared. */
  DATA = 4,
  STATE_MASK = 15,
  /** The port is the hypervisor's: its guest may neither send on it nor close it; an event sets NOTIFIED alone. */
  XEN = 0x80,
  NOTIFIED = 0x40,
  WILL_SHARE_BIT = 31,
  /** Pirq: bound by the hypervisor for the guest, and closed with the mapping. */
  FOR_GUEST_BIT = 30,
  NUMBER_MASK = 0xffff,
}

/** Grant table of a domain: this, then GRANT_FRAMES_LIMIT frames, an eighth of that status frames, a word per reference. */
export const enum GrantBlock {
  /** 1 or 2; 0 when the domain has no table. */
  VERSION = 0,
  FRAMES = 4,
  STATUS_FRAMES = 8,
  /** Bound of its own for the frames. */
  MAX_FRAMES = 12,
  /** Head of its free maptrack entries (index plus one), entries in use, bound of its own. */
  HANDLE_HEAD = 16,
  HANDLES_USED = 20,
  MAX_HANDLES = 24,
  /** Slot of the IO domain that shows granted frames too, plus one. */
  IO_DOMAIN = 28,
  FRAME_LIST = 64,
}

/** A mapping of another's grant; the index is the handle. */
export const enum Maptrack {
  /** Index plus one of the active grant; 0 when free. */
  ACTIVE = 0,
  /** GntMap flags that are still mapped; of a free entry the next one, as index plus one. */
  FLAGS = 4,
  /** Guest page of the host mapping. */
  PAGE = 8,
  REF = 12,
}

/** A grant that is in use: what the hypervisor goes by, whatever the entry says by now. */
export const enum ActiveGrant {
  /** Four counters of 8 bits, see GrantPin; 0 when free. */
  PIN = 0,
  MFN = 4,
  /** Reference; of a free one the next, as index plus one. */
  REF = 8,
  /** Domain that it was granted to (u16). */
  DOMID = 12,
  /** Slot of the granter (u8), GONE when that domain is no more; and whether the frame is I/O memory (u8). */
  GRANTER = 14,
  MMIO = 15,
  GONE = 255,
}

export const enum GrantPin {
  DEVICE_READ = 1,
  DEVICE_WRITE = 0x100,
  HOST_READ = 0x10000,
  HOST_WRITE = 0x1000000,
  WRITES_DEVICE = 0xff00,
  WRITES_HOST_SHIFT = 24,
}

/** I/O memory that a domain has: a count, then pairs of first and last machine frame. */
export const enum IomemBlock {
  COUNT = 0,
  RANGES = 8,
  LIMIT = 511,
}

export const enum DomainFlag {
  /** The machine's one OS: plays the hypervisor's part itself, no hypercall is counted. */
  NATIVE = 1,
  HVM = 2,
}

export const enum RefusedKind {
  NONE = 0,
  LOAD = 1,
  STORE = 2,
  IN = 3,
  OUT = 4,
}

/** Tables that one or more functions translate through. */
export const enum IoDomainRecord {
  PRESENT = 0,
  /** Tag in the caches and in the context entry. */
  DID = 4,
  ROOT_MFN = 8,
  LEVELS = 12,
  /** Domain id whose frames may be mapped. */
  OWNER = 16,
  /** Leaves present now (u64). */
  LEAVES = 24,
  /** Table frames in use beside the root, and how many there may be; the control plane sets the second. */
  TABLES = 32,
  QUOTA = 36,
}

/** A PCI function; slot 0 is the VT-d unit, which has registers but no config space. */
export const enum FunctionRecord {
  /** Model, or 0 when the slot is empty. */
  MODEL = 0,
  BDF = 4,
  /** FunctionFlag, derived from the config spaces of the function and the bridges above it. */
  FLAGS = 8,
  CONFIG = 12,
  CONFIG_SIZE = 16,
  /** Offset of the device's own state. */
  DEVICE = 20,
  DEVICE_SIZE = 24,
  /** Offset of the link record, or 0. */
  LINK = 28,
  /** Requester id of its DMA. */
  SID = 32,
  /** DmaSpace. */
  SPACE = 36,
  /** Domain slot for SPACE = FOREIGN. */
  SPACE_DOMAIN = 40,
  /** INTx: pin 1 to 4 or 0, line it is routed to, level of the device itself. */
  INTX_PIN = 44,
  INTX_LINE = 48,
  INTX_LEVEL = 52,
  /** Config offset of the MSI capability, or 0. */
  MSI_CAP = 56,
  /** Config offset of the power management capability, or 0. */
  PM_CAP = 60,
  /** Virtual time of the next timer in ns (u64), all ones when none. */
  DEADLINE = 64,
  /** Domain slot that the function is assigned to, plus one. */
  ASSIGNED = 72,
  /** Context-cache entry used last, a hint. */
  CONTEXT_HINT = 80,
  /** DMA refused because Bus Master was clear (u32). */
  REFUSED_DMA = 84,
  /** Slot of the bridge that leads here, plus one; 0 on the root bus. Never a circle. */
  PARENT = 88,
  /** Offset of the config space's values after reset, or 0. */
  CONFIG_RESET = 92,
  /** Six BAR records. */
  BARS = 96,
  /** Bit per vector: asked for and not yet sent, because masked or because the queue was full (u64). */
  PENDING = 384,
  /** Config offsets of the MSI-X and the PCI Express capability, or 0. */
  MSIX_CAP = 392,
  EXP_CAP = 396,
  /** Offset of the journal of requests to message windows, or 0. */
  JOURNAL = 480,
  /** In a step: 1. Pieces written to peers so far in this try, pieces queued by tries before, and whether it must wait. */
  IN_STEP = 484,
  PEER_CURSOR = 488,
  PEER_DONE = 492,
  STEP_WAITS = 496,
  /** HeldMessage. */
  HELD_MESSAGE = 500,
}

/** The MSI that the hypervisor has set up of a function with mask bits; bits. */
export const enum HeldMessage {
  /** There is one. */
  MASKABLE = 1,
  /** The hypervisor has it masked. */
  MASKED = 2,
}

export const enum FunctionFlag {
  /** These three: its own Command bit, and that of every bridge above. */
  IO_DECODE = 1,
  MEMORY_DECODE = 2,
  BUS_MASTER = 4,
  INTX_DISABLE = 8,
  MSI_ENABLE = 16,
  /** Not in D0: answers config cycles only. */
  POWERED_DOWN = 32,
  MSIX_ENABLE = 64,
  /** A bridge above is not in D0, or holds its secondary bus in reset: nothing passes. */
  LINK_DOWN = 128,
  /** No config cycle gets here: the link is down, or the bridges' bus numbers lead elsewhere. */
  HIDDEN = 256,
  /** Header type 1. */
  BRIDGE = 512,
}

export const enum DmaSpace {
  /** Bus addresses, behind the IOMMU when there is one. */
  BUS = 0,
  /** Guest frames of one domain, for a device model that runs in another. */
  FOREIGN = 1,
}

/** A BAR: what it is, and where it is decoded now (`MAPPED`), which follows the config bytes. 48 bytes. */
export const enum BarRecord {
  SIZE_OF = 48,
  /** BarKind; 0 when the BAR does not exist. */
  KIND = 0,
  /** Bytes, a power of two. */
  SIZE = 4,
  /** Offset of the first device page record; an I/O BAR has one. */
  PAGES = 8,
  MAPPED = 12,
  MAPPED_LO = 16,
  MAPPED_HI = 20,
  /** For a BAR below 4 KiB: next BAR in the same page, as (function × 6 + BAR) plus one. */
  NEXT = 24,
}

export const enum BarKind {
  NONE = 0,
  MEMORY_32 = 1,
  MEMORY_64 = 2,
  IO = 3,
}

/** Entries of u64, one for each guest page of a device that was used lately; zero is none. */
export const enum Lookaside {
  ENTRIES = 4096,
  GENERATION_SHIFT = 22,
}

/** Entry of the MMIO decode tree: 31:30 kind, 29:0 index. */
export const enum DecodeEntry {
  KIND_SHIFT = 30,
  /** Index × 16 is the offset of a device page record. */
  PAGE = 1,
  /** Index is function × 6 + BAR of the first BAR below 4 KiB in this page. */
  SHARED = 2,
  INDEX_MASK = 0x3fffffff,
}

/** One 4 KiB page of a BAR. */
export const enum DevicePage {
  FUNCTION = 0,
  BAR = 2,
  /** PageKind. */
  KIND = 3,
  /** Offset of the first cell. */
  CELLS = 4,
  /** Dword of this page that the first cell stands for, and how many cells there are. */
  FIRST = 8,
  COUNT = 10,
  /** What a read outside the cells gives. */
  CONSTANT = 12,
}

export const enum PageKind {
  CONSTANT = 0,
  CELLS = 1,
}

/** One register of four bytes. */
export const enum Cell {
  VALUE = 0,
  WRITE_MASK = 4,
  W1C = 8,
  /** CellFlag. */
  FLAGS = 12,
  // the values after reset lie behind the cells of a page, four bytes each
}

export const enum CellFlag {
  /** Widths that are valid: 1, 2, 4 bytes; 8 goes as two dwords. */
  WIDTH_1 = 1,
  WIDTH_2 = 2,
  WIDTH_4 = 4,
  WIDTH_8 = 8,
  READ_EFFECT = 16,
  WRITE_EFFECT = 32,
  /** The handler stores, and may refuse. */
  HANDLER_STORES = 64,
  /** Reads give this cell as ones: a write-only register. */
  WRITE_ONLY = 128,
  /** Vector Control of an MSI-X table: a write may set a message free. No device's handler is called. */
  VECTOR_CONTROL = 256,
  /** The effects are a host's: a device in TypeScript is called. */
  HOST = 512,
}

/** What decodes four ports. Other values are function × 6 + BAR of an I/O BAR, plus one. */
export const enum PortEntry {
  NONE = 0,
  CONFIG_ADDRESS = 0xfffe,
  CONFIG_DATA = 0xffff,
}

/**
 * Requests of one function's step to message windows. A step that meets one is left, and taken up again from its
 * start when the answer is there: it then asks the same things in the same order, and finds the answers here.
 */
export const enum Journal {
  /** Requests made in this step, requests answered, position of the step that runs now, bytes of data used. */
  COUNT = 0,
  DONE = 4,
  CURSOR = 8,
  USED = 12,
  /** Number of the oldest request: an answer for an earlier one is late, and ignored. */
  SERIAL = 16,
  ENTRIES = 32,
  ENTRY_SIZE = 32,
  LIMIT = 256,
  DATA = 8224,
  DATA_SIZE = 40960,
  SIZE = 49184,
}

export const enum JournalEntry {
  /** Byte in the window (u64). */
  OFFSET = 0,
  LEN = 8,
  WRITE = 12,
  /** First frame of the window. */
  WINDOW = 16,
  /** Offset of the data from the journal's start. */
  DATA = 20,
  /** Answer of the host: 0 done, 1 refused. */
  ANSWER = 24,
}

export const enum Model {
  NONE = 0,
  VTD = 1,
  EDU = 2,
  E1000 = 3,
  E1000E = 4,
  SERIAL = 5,
  NVME = 6,
  /** Registers and config space without a handler behind them: bridges, devices made up by a host. */
  PASSIVE = 16,
  /** A device in TypeScript. */
  HOST = 17,
}

/** Interrupt messages after remapping, waiting to be polled. Head and tail are running counts. */
export const enum Messages {
  HEAD = 0,
  TAIL = 4,
  MERGED = 8,
  ENTRIES = 16,
}

export const enum Message {
  /** 15:0 requester id, 31:16 handle or 0xFFFF when not remapped. */
  SOURCE = 0,
  /** 7:0 vector, 10:8 delivery mode, 11 destination mode, 15 trigger. */
  VECTOR = 4,
  DESTINATION = 8,
  /** MSI data as written by the device. */
  DATA = 12,
}

/** Writes of one function into another's BAR, waiting for `service`. Head and tail are running counts. */
export const enum Peer {
  HEAD = 0,
  TAIL = 4,
  ENTRIES = 16,
}

export const enum PeerEntry {
  /** Initiator's function slot. */
  SOURCE = 0,
  LEN = 4,
  /** Machine address (u64). */
  MPA = 8,
  DATA = 16,
  DATA_MAX = 64,
}
