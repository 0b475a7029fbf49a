/**
 * Intel 82540EM (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, 317453): registers,
 * in the manual's order (table 13-2), and their bits.
 */
export const enum E1000 {
  CTRL = 0x0000,
  STATUS = 0x0008,
  EECD = 0x0010,
  EERD = 0x0014,
  CTRL_EXT = 0x0018,
  MDIC = 0x0020,
  FCAL = 0x0028,
  FCAH = 0x002c,
  FCT = 0x0030,
  VET = 0x0038,
  ICR = 0x00c0,
  ITR = 0x00c4,
  ICS = 0x00c8,
  IMS = 0x00d0,
  IMC = 0x00d8,
  RCTL = 0x0100,
  FCTTV = 0x0170,
  TXCW = 0x0178,
  RXCW = 0x0180,
  TCTL = 0x0400,
  TIPG = 0x0410,
  AIFS = 0x0458,
  LEDCTL = 0x0e00,
  PBA = 0x1000,
  FCRTL = 0x2160,
  FCRTH = 0x2168,
  RDBAL = 0x2800,
  RDBAH = 0x2804,
  RDLEN = 0x2808,
  RDH = 0x2810,
  RDT = 0x2818,
  RDTR = 0x2820,
  RXDCTL = 0x2828,
  RADV = 0x282c,
  RSRPD = 0x2c00,
  TXDMAC = 0x3000,
  TDBAL = 0x3800,
  TDBAH = 0x3804,
  TDLEN = 0x3808,
  TDH = 0x3810,
  TDT = 0x3818,
  TIDV = 0x3820,
  TXDCTL = 0x3828,
  TADV = 0x382c,
  TSPMT = 0x3830,
  /** Statistics, 64 dwords, cleared by reading. */
  STATISTICS = 0x4000,
  STATISTICS_END = 0x4100,
  MPC = 0x4010,
  RLEC = 0x4040,
  /** Good frames by length: 64, to 127, 255, 511, 1023 and above; those sent from PTC64 on. */
  PRC64 = 0x405c,
  GPRC = 0x4074,
  BPRC = 0x4078,
  MPRC = 0x407c,
  GPTC = 0x4080,
  GORCL = 0x4088,
  GORCH = 0x408c,
  GOTCL = 0x4090,
  GOTCH = 0x4094,
  RUC = 0x40a4,
  ROC = 0x40ac,
  TORL = 0x40c0,
  TORH = 0x40c4,
  TOTL = 0x40c8,
  TOTH = 0x40cc,
  TPR = 0x40d0,
  TPT = 0x40d4,
  PTC64 = 0x40d8,
  MPTC = 0x40f0,
  BPTC = 0x40f4,
  TSCTC = 0x40f8,
  TSCTFC = 0x40fc,
  RXCSUM = 0x5000,
  MTA = 0x5200,
  MTA_END = 0x5400,
  RA = 0x5400,
  RA_END = 0x5480,
  VFTA = 0x5600,
  VFTA_END = 0x5800,
  WUC = 0x5800,
  WUFC = 0x5808,
  WUS = 0x5810,
  MANC = 0x5820,

  BAR0_SIZE = 0x20000,
  /** I/O BAR: IOADDR at 0, IODATA at 4 (§13.2.2). */
  IO_BAR = 1,
  IO_BAR_SIZE = 64,
  IOADDR = 0,
  IODATA = 4,
}

export const enum E1000Ctrl {
  FD = 0x00000001,
  ASDE = 0x00000020,
  SLU = 0x00000040,
  SPEED_1000 = 0x00000200,
  FRCSPD = 0x00000800,
  FRCDPX = 0x00001000,
  RST = 0x04000000,
  RFCE = 0x08000000,
  TFCE = 0x10000000,
  VME = 0x40000000,
  PHY_RST_BIT = 31,
}

export const enum E1000CtrlExt {
  EE_RST = 0x2000,
}

export const enum E1000Status {
  FD = 0x1,
  LU = 0x2,
  SPEED_1000 = 0x80,
}

export const enum E1000Eecd {
  SK = 0x01,
  CS = 0x02,
  DI = 0x04,
  DO = 0x08,
  REQ = 0x40,
  GNT = 0x80,
  PRES = 0x100,
  SIZE = 0x200,
}

export const enum E1000Eerd {
  START = 0x1,
  DONE = 0x10,
  ADDRESS_SHIFT = 8,
  DATA_SHIFT = 16,
}

export const enum E1000Mdic {
  DATA_MASK = 0xffff,
  REGISTER_SHIFT = 16,
  PHY_SHIFT = 21,
  OP_WRITE = 0x04000000,
  OP_READ = 0x08000000,
  READY = 0x10000000,
  INTERRUPT = 0x20000000,
  ERROR = 0x40000000,
  /** The internal PHY answers at address 1. */
  PHY = 1,
}

/** PHY registers (IEEE 802.3 clause 22; M88E1000 for those from 16 on). */
export const enum E1000Phy {
  CONTROL = 0,
  STATUS = 1,
  ID1 = 2,
  ID2 = 3,
  AUTONEG_ADVERTISEMENT = 4,
  LINK_PARTNER_ABILITY = 5,
  AUTONEG_EXPANSION = 6,
  GIGABIT_CONTROL = 9,
  GIGABIT_STATUS = 10,
  EXTENDED_STATUS = 15,
  M88_SPECIFIC_CONTROL = 16,
  M88_SPECIFIC_STATUS = 17,
  M88_EXTENDED_CONTROL = 20,
  COUNT = 32,
  ID1_VALUE = 0x0141,
  ID2_VALUE = 0x0c20,
  STATUS_LINK = 0x0004,
  STATUS_AUTONEG_COMPLETE = 0x0020,
  CONTROL_RESET = 0x8000,
  CONTROL_LOOPBACK = 0x4000,
  CONTROL_POWER_DOWN = 0x0800,
  CONTROL_RESTART_AUTONEG = 0x0200,
}

/** Interrupt causes: ICR, ICS, IMS, IMC. */
export const enum E1000Icr {
  TXDW = 0x00000001,
  TXQE = 0x00000002,
  LSC = 0x00000004,
  RXSEQ = 0x00000008,
  RXDMT0 = 0x00000010,
  RXO = 0x00000040,
  RXT0 = 0x00000080,
  MDAC = 0x00000200,
  RXCFG = 0x00000400,
  SRPD = 0x00010000,
  ALL = 0x0001ffff,
}

export const enum E1000Rctl {
  EN = 0x00000002,
  SBP = 0x00000004,
  UPE = 0x00000008,
  MPE = 0x00000010,
  LPE = 0x00000020,
  LBM_MASK = 0x000000c0,
  RDMTS_SHIFT = 8,
  MO_SHIFT = 12,
  BAM = 0x00008000,
  BSIZE_SHIFT = 16,
  BSIZE_MASK = 0x00030000,
  VFE = 0x00040000,
  CFIEN = 0x00080000,
  CFI = 0x00100000,
  BSEX = 0x02000000,
  SECRC = 0x04000000,
}

export const enum E1000Tctl {
  EN = 0x00000002,
  PSP = 0x00000008,
  CT_SHIFT = 4,
  COLD_SHIFT = 12,
}

/** Receive delay timer: Flush Partial Descriptor block, bit 31 (§13.4.30). */
export const enum E1000Rdtr {
  FPD_BIT = 31,
}

/** Receive checksum control (§3.2.9). */
export const enum E1000Rxcsum {
  PCSS_MASK = 0xff,
  IPOFL = 0x100,
  TUOFL = 0x200,
  IPV6OFL = 0x400,
}

/** Receive address high: Address Valid. */
export const enum E1000Ra {
  AV_BIT = 31,
}

/** Lengths of a frame on the wire, FCS included (§13.7.15). */
export const enum E1000Frame {
  MIN = 64,
  /** One VLAN tag more than IEEE 802.3 allowed at first; with RCTL.LPE the second. */
  MAX = 1522,
  MAX_LONG = 16384,
  /** Header with a VLAN tag: where the tag's type and its id lie. */
  TYPE = 12,
  TAG = 14,
  TAG_SIZE = 4,
}

/** Receive descriptor (§3.2.3), 16 bytes. */
export const enum E1000Rxd {
  SIZE_OF = 16,
  BUFFER = 0,
  LENGTH = 8,
  CHECKSUM = 10,
  STATUS = 12,
  ERRORS = 13,
  SPECIAL = 14,
  STATUS_DD = 0x01,
  STATUS_EOP = 0x02,
  STATUS_IXSM = 0x04,
  STATUS_VP = 0x08,
  STATUS_TCPCS = 0x20,
  STATUS_IPCS = 0x40,
  STATUS_PIF = 0x80,
  ERROR_TCPE = 0x20,
  ERROR_IPE = 0x40,
}

/** Legacy transmit descriptor (§3.3.3), 16 bytes. */
export const enum E1000Txd {
  SIZE_OF = 16,
  BUFFER = 0,
  LENGTH = 8,
  CSO = 10,
  COMMAND = 11,
  STATUS = 12,
  CSS = 13,
  SPECIAL = 14,
  COMMAND_EOP = 0x01,
  COMMAND_IFCS = 0x02,
  COMMAND_IC = 0x04,
  COMMAND_RS = 0x08,
  COMMAND_DEXT = 0x20,
  COMMAND_VLE = 0x40,
  COMMAND_IDE = 0x80,
  STATUS_DD = 0x01,
}

/** TCP/IP context descriptor (§3.3.6): type 0 of the extended ones. */
export const enum E1000Context {
  IPCSS = 0,
  IPCSO = 1,
  IPCSE = 2,
  TUCSS = 4,
  TUCSO = 5,
  TUCSE = 6,
  PAYLEN = 8,
  COMMAND = 11,
  HDRLEN = 13,
  MSS = 14,
  COMMAND_TCP = 0x01,
  COMMAND_IP = 0x02,
  COMMAND_TSE = 0x04,
}

/** TCP/IP data descriptor (§3.3.7): type 1 of the extended ones. Like the legacy one but for these. */
export const enum E1000Data {
  LENGTH_MASK = 0x000fffff,
  TYPE_SHIFT = 20,
  TYPE_MASK = 0xf,
  TYPE_CONTEXT = 0,
  TYPE_DATA = 1,
  OPTIONS = 13,
  COMMAND_TSE = 0x04,
  OPTION_IXSM = 0x01,
  OPTION_TXSM = 0x02,
}
