/**
 * Intel VT-d, legacy mode: registers, tables, invalidation descriptors, faults. Version 1.0 of the register
 * interface (VER = 0x10); names are those of the architecture specification. Bits of 64-bit registers are given
 * by the dword that holds them (`_HI` for bits 63:32).
 */
export const enum Vtd {
  VER = 0x00,
  CAP = 0x08,
  ECAP = 0x10,
  GCMD = 0x18,
  GSTS = 0x1c,
  RTADDR = 0x20,
  CCMD = 0x28,
  FSTS = 0x34,
  FECTL = 0x38,
  FEDATA = 0x3c,
  FEADDR = 0x40,
  FEUADDR = 0x44,
  PMEN = 0x64,
  IQH = 0x80,
  IQT = 0x88,
  IQA = 0x90,
  ICS = 0x9c,
  IECTL = 0xa0,
  IEDATA = 0xa4,
  IEADDR = 0xa8,
  IEUADDR = 0xac,
  IQERCD = 0xb0,
  IRTA = 0xb8,
  /** ECAP.IRO × 16. */
  IVA = 0xf0,
  IOTLB = 0xf8,
  /** CAP.FRO × 16: fault recording registers, 16 bytes each. */
  FRCD = 0x100,
  FRCD_COUNT = 8,
  /** Bytes of the window that hold registers. */
  SPAN = 0x180,

  VERSION = 0x10,
  MGAW = 57,
  MAMV = 18,
}

/** GCMD; GSTS has the same positions. */
export const enum VtdGcmd {
  TE_BIT = 31,
  SRTP = 0x40000000,
  WBF = 0x08000000,
  QIE = 0x04000000,
  IRE = 0x02000000,
  SIRTP = 0x01000000,
  CFI = 0x00800000,
}

/** CAP, by dword. */
export const enum VtdCap {
  /** ND = 1: 64 domains, so a DID is an index of the floors below; SAGAW = 39, 48 and 57 bits; MGAW; ZLR. */
  ND = 1,
  SAGAW_39 = 0x0200,
  SAGAW_48 = 0x0400,
  SAGAW_57 = 0x0800,
  MGAW_SHIFT = 16,
  ZLR = 0x00400000,
  FRO_SHIFT = 24,
  // high dword
  SLLPS_2M_HI = 0x4,
  SLLPS_1G_HI = 0x8,
  PSI_HI = 0x80,
  NFR_SHIFT_HI = 8,
  MAMV_SHIFT_HI = 16,
  DWD_HI = 0x00400000,
  DRD_HI = 0x00800000,
}

export const enum VtdEcap {
  C = 0x1,
  QI = 0x2,
  IR = 0x8,
  PT = 0x40,
  IRO_SHIFT = 8,
}

/** Context entry (128 bits). */
export const enum VtdContext {
  P = 0x1,
  FPD = 0x2,
  TT_SHIFT = 2,
  TT_MASK = 0x3,
  TT_SECOND_LEVEL = 0,
  TT_PASS_THROUGH = 2,
  /** Bits 11:4 of the low qword. */
  RESERVED_LO = 0xff0,
  AW_MASK = 0x7,
  AW_39 = 1,
  AW_48 = 2,
  AW_57 = 3,
  DID_SHIFT = 8,
}

/** Second-level page-table entry. */
export const enum VtdPte {
  R = 0x1,
  W = 0x2,
  SP = 0x80,
  SNP = 0x800,
}

/** FSTS. */
export const enum VtdFsts {
  PFO = 0x01,
  PPF = 0x02,
  IQE = 0x10,
  ICE = 0x20,
  ITE = 0x40,
  FRI_SHIFT = 8,
}

/** Fault recording register, by dword 2 and 3. */
export const enum VtdFrcd {
  REASON_MASK = 0xff,
  /** Bit 62: the DMA was a read. */
  T = 0x40000000,
  F_BIT = 31,
}

/** Fault reasons of legacy mode and of interrupt remapping. */
export const enum VtdFault {
  NONE = 0x00,
  ROOT_NOT_PRESENT = 0x01,
  CONTEXT_NOT_PRESENT = 0x02,
  CONTEXT_INVALID = 0x03,
  BEYOND_WIDTH = 0x04,
  WRITE = 0x05,
  READ = 0x06,
  TABLE_INACCESSIBLE = 0x07,
  ROOT_INACCESSIBLE = 0x08,
  CONTEXT_INACCESSIBLE = 0x09,
  ROOT_RESERVED = 0x0a,
  CONTEXT_RESERVED = 0x0b,
  TABLE_RESERVED = 0x0c,
  REQUEST_BLOCKED = 0x0d,
  IR_REQUEST_RESERVED = 0x20,
  IR_INDEX = 0x21,
  IR_NOT_PRESENT = 0x22,
  IR_INACCESSIBLE = 0x23,
  IR_RESERVED = 0x24,
  IR_COMPATIBILITY = 0x25,
  IR_SOURCE = 0x26,
}

/** Invalidation descriptor types and granularities. */
export const enum VtdInv {
  CONTEXT = 1,
  IOTLB = 2,
  DEVICE_IOTLB = 3,
  INTERRUPT = 4,
  WAIT = 5,
  G_SHIFT = 4,
  G_GLOBAL = 1,
  G_DOMAIN = 2,
  /** Page for the IOTLB, device for the context cache. */
  G_SELECTIVE = 3,
  DW = 0x40,
  DR = 0x80,
  WAIT_IF = 0x10,
  WAIT_SW = 0x20,
  WAIT_FN = 0x40,
  IH = 0x40,
  AM_MASK = 0x3f,
}

/** What the unit keeps beside its registers, at State.IOMMU. */
export const enum IommuState {
  /** 1 when the machine has a unit. */
  PRESENT = 0x00,
  /** TES, latched. */
  ENABLED = 0x04,
  /** Latched by SRTP and SIRTP, as frames. */
  ROOT_MFN = 0x08,
  IRT_MFN = 0x0c,
  /** log2 of the number of entries. */
  IRT_SHIFT = 0x10,
  IR_ENABLED = 0x14,
  QUEUE_ENABLED = 0x18,
  /** Index of the fault record to write next. */
  NEXT_FAULT = 0x1c,
  /** Fault event pending (IP), to be sent from above. */
  FAULT_EVENT = 0x20,
  COMPLETION_EVENT = 0x24,
  /** Running stamp of the caches (u64), 1 at the start. */
  CLOCK = 0x30,
  /** Entries with a stamp at or below their domain's floor are dead; this is the highest floor of all (u64). */
  FLOOR_MAX = 0x38,
  CONTEXT_FLOOR = 0x40,
  /** Frame of the word that the hypervisor's own waits write, and the value written last. */
  STATUS_MFN = 0x48,
  STATUS_VALUE = 0x4c,
  /** Leaf sizes seen so far, a bit for each size class: what a look-up has to probe. */
  SIZES = 0x50,
  /** Floor of each domain id, 64 × u64. */
  FLOORS = 0x100,
  DOMAIN_IDS = 64,
}

/** A set-associative cache with exact LRU: IOTLB, paging-structure caches, context cache. */
export const enum Cache {
  ENTRIES = 0x00,
  WAYS = 0x04,
  SETS_MASK = 0x08,
  /** Buckets of the index (a power of two), minus one. */
  BUCKETS_MASK = 0x0c,
  /** Offsets from the cache's start. */
  TAGS = 0x10,
  STAMPS = 0x14,
  VALUES = 0x18,
  NEXT = 0x1c,
  BUCKETS = 0x20,
  HEADER = 0x40,
}
