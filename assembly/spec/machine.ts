/** Frames, owners, windows and address ranges of the machine. Frames are 4 KiB; an mfn has at most 28 bits (1 TiB). */
export const enum Machine {
  PAGE_SHIFT = 12,
  PAGE_SIZE = 4096,
  PAGE_MASK = 4095,
  MFN_BITS = 28,
  MFN_LIMIT = 0x10000000,

  WINDOWS = 16,
  FUNCTIONS = 64,
  DOMAINS = 64,
  IO_DOMAINS = 64,
  BARS = 6,
  INTX_LINES = 32,

  /** Interrupt window 0xFEE0_0000 to 0xFEEF_FFFF, as frames. */
  MSI_FIRST_MFN = 0xfee00,
  MSI_LAST_MFN = 0xfeeff,
  /** Register page of the VT-d unit. */
  VTD_MFN = 0xfed90,
  /** Enhanced configuration space (PCI Express 6.0 §7.2.2): 256 buses at 0xE000_0000. */
  ECAM_FIRST_MFN = 0xe0000,
  ECAM_LAST_MFN = 0xeffff,
}

/** Special domain ids (Xen public/xen.h), and the owner of a frame that belongs to nobody. */
export const enum DomId {
  /** The caller itself. */
  SELF = 0x7ff0,
  IO = 0x7ff1,
  XEN = 0x7ff2,
  INVALID = 0x7ff4,
  NONE = 0xffff,
}

/** Kinds of RAM window. */
export const enum WindowKind {
  NONE = 0,
  /** In the linear memory. */
  LINEAR = 1,
  /** Read and written synchronously through an import. */
  FILE = 2,
  /** Reached by requests that the host answers later. */
  MESSAGE = 3,
}

/** Guest-map entry: 31:30 kind, 29 writable, 27:0 machine frame. One map serves HVM (gfn) and PV (va page). */
export const enum MapEntry {
  NONE = 0,
  KIND_SHIFT = 30,
  RAM = 1,
  MMIO = 2,
  WRITABLE_BIT = 29,
  MFN_MASK = 0x0fffffff,
}
