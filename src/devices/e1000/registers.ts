/**
 * Registers of the Intel 82540EM, in the order and with the names of the PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual (317453), table 13-2. All are four bytes wide and take no other width.
 */
import { E1000, E1000Eecd, E1000Icr } from '../../../assembly/spec/e1000';
import { CellFlag } from '../../../assembly/spec/state';
import { ALL_BITS, register, registerArray, type RegisterRow, type RegisterTable } from '../register-table';

const EFFECT = CellFlag.WIDTH_4 | CellFlag.WRITE_EFFECT;
const WRITE_ONLY = { flags: EFFECT | CellFlag.WRITE_ONLY };
const LOW_16 = { writeMask: 0xffff };
const LOW_16_EFFECT = { writeMask: 0xffff, flags: EFFECT };
const RING_BASE = { writeMask: 0xfffffff0 };
const RING_LENGTH = { writeMask: 0x000fff80, flags: EFFECT };
const ANY = { writeMask: ALL_BITS };

/** EECD bits 5:4 are 01: writing the Flash is off. */
const FLASH_WRITE_DISABLED = 0x10;
const FLASH_WRITE_MASK = 0x30;

// §13.7; a dword between them reads 0 like a counter that never counts
const STATISTICS: readonly (readonly [off: number, name: string, meaning: string])[] = [
  [0x4000, 'CRCERRS', 'frames with a wrong FCS'],
  [0x4004, 'ALGNERRC', 'alignment errors'],
  [0x4008, 'SYMERRS', 'symbol errors'],
  [0x400c, 'RXERRC', 'receive errors'],
  [E1000.MPC, 'MPC', 'missed frames'],
  [0x4014, 'SCC', 'single collisions'],
  [0x4018, 'ECOL', 'excessive collisions'],
  [0x401c, 'MCC', 'multiple collisions'],
  [0x4020, 'LATECOL', 'late collisions'],
  [0x4028, 'COLC', 'collisions'],
  [0x4030, 'DC', 'deferrals'],
  [0x4034, 'TNCRS', 'transmissions without carrier sense'],
  [0x4038, 'SEC', 'sequence errors'],
  [0x403c, 'CEXTERR', 'carrier extension errors'],
  [E1000.RLEC, 'RLEC', 'received frames too short or too long'],
  [0x4048, 'XONRXC', 'XON received'],
  [0x404c, 'XONTXC', 'XON transmitted'],
  [0x4050, 'XOFFRXC', 'XOFF received'],
  [0x4054, 'XOFFTXC', 'XOFF transmitted'],
  [0x4058, 'FCRUC', 'unsupported flow control received'],
  [E1000.PRC64, 'PRC64', 'good frames received of 64 bytes'],
  [0x4060, 'PRC127', 'of 65 to 127 bytes'],
  [0x4064, 'PRC255', 'of 128 to 255 bytes'],
  [0x4068, 'PRC511', 'of 256 to 511 bytes'],
  [0x406c, 'PRC1023', 'of 512 to 1023 bytes'],
  [0x4070, 'PRC1522', 'of 1024 bytes and more'],
  [E1000.GPRC, 'GPRC', 'good frames received'],
  [E1000.BPRC, 'BPRC', 'broadcast frames received'],
  [E1000.MPRC, 'MPRC', 'multicast frames received'],
  [E1000.GPTC, 'GPTC', 'good frames transmitted'],
  [E1000.GORCL, 'GORCL', 'octets of good frames received, low half'],
  [E1000.GORCH, 'GORCH', 'high half; reading it clears both'],
  [E1000.GOTCL, 'GOTCL', 'octets of good frames transmitted, low half'],
  [E1000.GOTCH, 'GOTCH', 'high half; reading it clears both'],
  [0x40a0, 'RNBC', 'frames that found no buffer'],
  [E1000.RUC, 'RUC', 'received frames too short'],
  [0x40a8, 'RFC', 'fragments received'],
  [E1000.ROC, 'ROC', 'received frames too long'],
  [0x40b0, 'RJC', 'jabber received'],
  [0x40b4, 'MGTPRC', 'management frames received'],
  [0x40b8, 'MGTPDC', 'management frames dropped'],
  [0x40bc, 'MGTPTC', 'management frames transmitted'],
  [E1000.TORL, 'TORL', 'octets received, low half'],
  [E1000.TORH, 'TORH', 'high half; reading it clears both'],
  [E1000.TOTL, 'TOTL', 'octets transmitted, low half'],
  [E1000.TOTH, 'TOTH', 'high half; reading it clears both'],
  [E1000.TPR, 'TPR', 'frames received'],
  [E1000.TPT, 'TPT', 'frames transmitted'],
  [E1000.PTC64, 'PTC64', 'frames transmitted of 64 bytes'],
  [0x40dc, 'PTC127', 'of 65 to 127 bytes'],
  [0x40e0, 'PTC255', 'of 128 to 255 bytes'],
  [0x40e4, 'PTC511', 'of 256 to 511 bytes'],
  [0x40e8, 'PTC1023', 'of 512 to 1023 bytes'],
  [0x40ec, 'PTC1522', 'of 1024 bytes and more'],
  [E1000.MPTC, 'MPTC', 'multicast frames transmitted'],
  [E1000.BPTC, 'BPTC', 'broadcast frames transmitted'],
  [0x40f8, 'TSCTC', 'TCP segmentation contexts'],
  [0x40fc, 'TSCTFC', 'TCP segmentation contexts that failed'],
];

/** The whole block has cells, named or not: the data plane goes through it by one pointer. */
function statistics(): RegisterRow[] {
  const named = new Map(STATISTICS.map(([off, name, meaning]) => [off, { name, meaning }]));
  const number = (E1000.STATISTICS_END - E1000.STATISTICS) / 4;
  const block = registerArray('STATISTICS', E1000.STATISTICS, number, 'no counter',
    { flags: CellFlag.WIDTH_4 | CellFlag.READ_EFFECT });
  return block.map((row) => ({ ...row, ...named.get(row.off) }));
}

/** RAL[n] and RAH[n] in turn. */
function receiveAddresses(): RegisterRow[] {
  return Array.from({ length: (E1000.RA_END - E1000.RA) / 8 }, (_, n) => [
    register(`RAL[${n}]`, E1000.RA + 8 * n, 'receive address, bytes 0 to 3', ANY),
    register(`RAH[${n}]`, E1000.RA + 8 * n + 4, 'bytes 4 and 5, 17:16 select, 31 valid', { writeMask: 0x8003ffff }),
  ]).flat();
}

export const E1000_REGISTERS: RegisterTable = {
  bar: 0,
  size: E1000.BAR0_SIZE,
  constant: 0,
  rows: [
    register('CTRL', E1000.CTRL, 'device control: reset, speed, duplex',
      { reset: 0x00000241, writeMask: 0xdcfc1be9, flags: EFFECT }),
    register('STATUS', E1000.STATUS, 'device status: link, speed, duplex; follows the link'),
    register('EECD', E1000.EECD, 'EEPROM wires, request and grant', {
      reset: E1000Eecd.PRES | FLASH_WRITE_DISABLED | E1000Eecd.DO,
      writeMask: E1000Eecd.SK | E1000Eecd.CS | E1000Eecd.DI | FLASH_WRITE_MASK | E1000Eecd.REQ,
      flags: EFFECT,
    }),
    register('EERD', E1000.EERD, 'EEPROM read: start, address, done, data', { writeMask: 0xff01, flags: EFFECT }),
    register('CTRL_EXT', E1000.CTRL_EXT, 'extended device control: EEPROM reload',
      { writeMask: 0x00ffffff, flags: EFFECT }),
    register('MDIC', E1000.MDIC, 'management frames to the PHY', { writeMask: 0x2fffffff, flags: EFFECT }),
    register('FCAL', E1000.FCAL, 'flow control address, low', ANY),
    register('FCAH', E1000.FCAH, 'flow control address, high', LOW_16),
    register('FCT', E1000.FCT, 'flow control type', LOW_16),
    register('VET', E1000.VET, 'VLAN ether type', { reset: 0x8100, writeMask: 0xffff }),
    register('ICR', E1000.ICR, 'interrupt causes: reading clears all, a one clears its bit',
      { w1c: E1000Icr.ALL, flags: EFFECT | CellFlag.READ_EFFECT }),
    register('ITR', E1000.ITR, 'interrupt throttling: least distance of two interrupts in 256 ns', LOW_16_EFFECT),
    register('ICS', E1000.ICS, 'sets interrupt causes', WRITE_ONLY),
    register('IMS', E1000.IMS, 'interrupt mask; ones set bits of it',
      { flags: CellFlag.WIDTH_4 | CellFlag.HANDLER_STORES }),
    register('IMC', E1000.IMC, 'ones clear bits of the interrupt mask', WRITE_ONLY),
    register('RCTL', E1000.RCTL, 'receive control', { writeMask: 0x06dfb3fe, flags: EFFECT }),
    register('FCTTV', E1000.FCTTV, 'flow control transmit timer', LOW_16),
    register('TXCW', E1000.TXCW, 'transmit configuration word; unused with the internal PHY',
      { writeMask: 0xc000ffff }),
    register('RXCW', E1000.RXCW, 'receive configuration word; unused with the internal PHY'),
    register('TCTL', E1000.TCTL, 'transmit control', { writeMask: 0x037ffffa, flags: EFFECT }),
    register('TIPG', E1000.TIPG, 'transmit inter-packet gap', { writeMask: 0x3fffffff }),
    register('AIFS', E1000.AIFS, 'adaptive inter-frame spacing', LOW_16),
    register('LEDCTL', E1000.LEDCTL, 'LED control', { reset: 0x07068302, writeMask: 0xcfcfcfcf }),
    register('PBA', E1000.PBA, 'packet buffer: KiB for receive, rest for transmit',
      { reset: 0x00100030, writeMask: 0xffff }),
    register('FCRTL', E1000.FCRTL, 'flow control receive threshold, low', { writeMask: 0x8000fff8 }),
    register('FCRTH', E1000.FCRTH, 'flow control receive threshold, high', { writeMask: 0x0000fff8 }),
    register('RDBAL', E1000.RDBAL, 'receive ring address, low', RING_BASE),
    register('RDBAH', E1000.RDBAH, 'receive ring address, high', ANY),
    register('RDLEN', E1000.RDLEN, 'receive ring length in bytes', RING_LENGTH),
    register('RDH', E1000.RDH, 'receive ring head', LOW_16_EFFECT),
    register('RDT', E1000.RDT, 'receive ring tail', LOW_16_EFFECT),
    register('RDTR', E1000.RDTR, 'receive delay timer in 1.024 us; bit 31 ends it', LOW_16_EFFECT),
    register('RXDCTL', E1000.RXDCTL, 'receive descriptor control', { reset: 0x01010000, writeMask: 0x013f3f3f }),
    register('RADV', E1000.RADV, 'receive interrupt absolute delay', LOW_16),
    register('RSRPD', E1000.RSRPD, 'receive small packet detect', { writeMask: 0xfff }),
    register('TXDMAC', E1000.TXDMAC, 'transmit DMA control', { writeMask: 1 }),
    register('TDBAL', E1000.TDBAL, 'transmit ring address, low', RING_BASE),
    register('TDBAH', E1000.TDBAH, 'transmit ring address, high', ANY),
    register('TDLEN', E1000.TDLEN, 'transmit ring length in bytes', RING_LENGTH),
    register('TDH', E1000.TDH, 'transmit ring head', LOW_16_EFFECT),
    register('TDT', E1000.TDT, 'transmit ring tail', LOW_16_EFFECT),
    register('TIDV', E1000.TIDV, 'transmit interrupt delay in 1.024 us', LOW_16_EFFECT),
    register('TXDCTL', E1000.TXDCTL, 'transmit descriptor control', { writeMask: 0xff3f3f3f }),
    register('TADV', E1000.TADV, 'transmit interrupt absolute delay', LOW_16),
    register('TSPMT', E1000.TSPMT, 'TCP segmentation pad and threshold', { reset: 0x01000400, writeMask: ALL_BITS }),
    ...statistics(),
    register('RXCSUM', E1000.RXCSUM, 'receive checksum control', { writeMask: 0x7ff }),
    ...registerArray('MTA', E1000.MTA, (E1000.MTA_END - E1000.MTA) / 4, 'multicast table', ANY),
    ...receiveAddresses(),
    ...registerArray('VFTA', E1000.VFTA, (E1000.VFTA_END - E1000.VFTA) / 4, 'VLAN filter table', ANY),
    register('WUC', E1000.WUC, 'wake-up control', { writeMask: 0xf }),
    register('WUFC', E1000.WUFC, 'wake-up filter control', { writeMask: 0x000f80ff }),
    register('WUS', E1000.WUS, 'wake-up status'),
    register('MANC', E1000.MANC, 'management control', { writeMask: 0x07ffffff }),
  ],
};

/** The I/O window (§13.2.2): an address, and the register at it. */
export const E1000_IO_REGISTERS: RegisterTable = {
  bar: E1000.IO_BAR,
  size: E1000.IO_BAR_SIZE,
  constant: 0,
  rows: [
    register('IOADDR', E1000.IOADDR, 'offset in BAR 0; bits 31:20 are 0', { writeMask: 0x000fffff }),
    register('IODATA', E1000.IODATA, 'the register there, side effects and all',
      { flags: CellFlag.WIDTH_4 | CellFlag.READ_EFFECT | CellFlag.HANDLER_STORES }),
  ],
};
