/**
 * Intel 82574L (datasheet 317694, chapter 10): what it has beside, or otherwise than, the 82540EM of e1000.ts.
 */
export const enum E1000e {
  EIAC = 0x00dc,
  IAM = 0x00e0,
  IVAR = 0x00e4,
  /** One for each vector. */
  EITR = 0x00e8,
  EITR_END = 0x00fc,
  VECTORS = 5,
  EXTCNF_CTRL = 0x0f00,
  EXTCNF_SIZE = 0x0f08,
  PHY_CTRL = 0x0f10,
  PBS = 0x1008,
  EEMNGCTL = 0x1010,
  FLASHT = 0x1028,
  EEWR = 0x102c,
  FLOP = 0x103c,
  PBA_ECC = 0x1100,
  RAID = 0x2c08,
  CPUVEC = 0x2c10,
  TARC0 = 0x3840,
  TXDCTL1 = 0x3928,
  TARC1 = 0x3940,
  IAC = 0x4100,
  IAC_END = 0x4128,
  RFCTL = 0x5008,
  MRQC = 0x5818,
  MANC2H = 0x5860,
  GCR = 0x5b00,
  FACTPS = 0x5b30,
  SWSM = 0x5b50,
  FWSM = 0x5b54,
  GCR2 = 0x5b64,
  RETA = 0x5c00,
  RETA_END = 0x5c80,
  RSSRK = 0x5c80,
  RSSRK_END = 0x5ca8,
  FCRTV = 0x5f40,
  SYSTIML = 0xb600,
  TIMESTAMP_END = 0xb63c,

  FLASH_BAR = 1,
  FLASH_SIZE = 0x20000,
  IO_BAR = 2,
  IO_BAR_SIZE = 32,
  MSIX_BAR = 3,
  MSIX_BAR_SIZE = 0x4000,
  MSIX_PENDING = 0x2000,
}

export const enum E1000eCtrl {
  GIO_MASTER_DISABLE = 0x4,
}

export const enum E1000eStatus {
  GIO_MASTER_ENABLE = 0x00080000,
}

export const enum E1000eCtrlExt {
  EIAME = 0x01000000,
  IAME = 0x08000000,
  DRV_LOAD = 0x10000000,
  PBA_CLR_BIT = 31,
}

/** EECD: what tells how the NVM is read. */
export const enum E1000eEecd {
  PRES = 0x100,
  AUTO_RD = 0x200,
}

/** EERD and EEWR. */
export const enum E1000eEerd {
  START = 0x1,
  DONE = 0x2,
  ADDRESS_SHIFT = 2,
  ADDRESS_MASK = 0x3fff,
  DATA_SHIFT = 16,
}

export const enum E1000eExtcnf {
  MDIO_SW_OWNERSHIP = 0x20,
}

export const enum E1000eSwsm {
  SMBI = 0x1,
  SWESMBI = 0x2,
  DRV_LOAD = 0x8,
}

export const enum E1000eEemngctl {
  /** Configuration of both ports is done. */
  CFG_DONE = 0x000c0000,
}

/** Second identifier of its PHY, and the register that chooses the page of registers 16 to 31. */
export const enum E1000ePhy {
  ID2_VALUE = 0x0cb1,
  PAGED_FIRST = 16,
  PAGE_SELECT = 22,
}

/** Interrupt causes: those of the 82540EM without RXSEQ and RXCFG, and these. */
export const enum E1000eIcr {
  ACK = 0x00020000,
  MNG = 0x00040000,
  RXQ0 = 0x00100000,
  RXQ1 = 0x00200000,
  TXQ0 = 0x00400000,
  TXQ1 = 0x00800000,
  OTHER = 0x01000000,
  /** LSC, RXO, MDAC, SRPD, ACK, MNG: what OTHER stands for. */
  OTHER_CAUSES = 0x00070244,
  /** Those that IVAR gives a vector, from bit QUEUE_SHIFT on. */
  QUEUE_SHIFT = 20,
  QUEUE_CAUSES = 0x01f00000,
  /** All that ICS, IMS and IMC know. */
  ALL = 0x01f782d7,
  INT_ASSERTED_BIT = 31,
}

/** IVAR: four bits for each of RXQ0, RXQ1, TXQ0, TXQ1 and OTHER. */
export const enum E1000eIvar {
  ENTRY_SHIFT = 2,
  ENTRIES = 5,
  VECTOR_MASK = 0x7,
  VALID = 0x8,
  INT_ON_ALL_WB_BIT = 31,
}

export const enum E1000eRfctl {
  IPV6_DIS = 0x0400,
  ACK_DIS = 0x1000,
  EXSTEN = 0x8000,
}

export const enum E1000eRxcsum {
  PCSD = 0x2000,
}

export const enum E1000eTarc {
  ENABLE = 0x400,
}

/**
 * Extended receive descriptor as the device writes it back, 16 bytes; its buffer address is where the legacy one's is.
 */
export const enum E1000eRxd {
  MRQ = 0,
  IP_ID = 4,
  CHECKSUM = 6,
  STATUS = 8,
  LENGTH = 12,
  VLAN = 14,
  STATUS_DD = 0x001,
  STATUS_EOP = 0x002,
  STATUS_IXSM = 0x004,
  STATUS_VP = 0x008,
  STATUS_UDPCS = 0x010,
  STATUS_L4CS = 0x020,
  STATUS_IPCS = 0x040,
  STATUS_PIF = 0x080,
  STATUS_IPIDV = 0x200,
  /** Errors lie in the top byte of the status word, as the legacy descriptor has them. */
  ERRORS_SHIFT = 24,
}
