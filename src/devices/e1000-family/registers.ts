/**
 * Registers that are the same for all of the family, in the order and with the names of the PCI/PCI-X Family of
 * Gigabit Ethernet Controllers Software Developer's Manual (317453), table 13-2. All are four bytes wide and take no
 * other width.
 */
import { E1000 } from '../../../assembly/spec/e1000';
import { CellFlag } from '../../../assembly/spec/state';
import { ALL_BITS, register, registerArray, type RegisterRow, type RegisterTable } from '../register-table';

export const EFFECT = CellFlag.WIDTH_4 | CellFlag.WRITE_EFFECT;
export const WRITE_ONLY = { flags: EFFECT | CellFlag.WRITE_ONLY };
export const LOW_16 = { writeMask: 0xffff };
export const LOW_16_EFFECT = { writeMask: 0xffff, flags: EFFECT };
export const RING_BASE = { writeMask: 0xfffffff0 };
export const RING_LENGTH = { writeMask: 0x000fff80, flags: EFFECT };
export const ANY = { writeMask: ALL_BITS };

/** The receive ring, up to RSRPD. */
export const RECEIVE_ROWS: readonly RegisterRow[] = [
  register('RDBAL', E1000.RDBAL, 'receive ring address, low', RING_BASE),
  register('RDBAH', E1000.RDBAH, 'receive ring address, high', ANY),
  register('RDLEN', E1000.RDLEN, 'receive ring length in bytes', RING_LENGTH),
  register('RDH', E1000.RDH, 'receive ring head', LOW_16_EFFECT),
  register('RDT', E1000.RDT, 'receive ring tail', LOW_16_EFFECT),
  register('RDTR', E1000.RDTR, 'receive delay timer in 1.024 us; bit 31 ends it', LOW_16_EFFECT),
  register('RXDCTL', E1000.RXDCTL, 'receive descriptor control', { reset: 0x01010000, writeMask: 0x013f3f3f }),
  register('RADV', E1000.RADV, 'receive interrupt absolute delay', LOW_16),
  register('RSRPD', E1000.RSRPD, 'receive small packet detect', { writeMask: 0xfff }),
];

/** The transmit ring, up to TADV. */
export const TRANSMIT_ROWS: readonly RegisterRow[] = [
  register('TDBAL', E1000.TDBAL, 'transmit ring address, low', RING_BASE),
  register('TDBAH', E1000.TDBAH, 'transmit ring address, high', ANY),
  register('TDLEN', E1000.TDLEN, 'transmit ring length in bytes', RING_LENGTH),
  register('TDH', E1000.TDH, 'transmit ring head', LOW_16_EFFECT),
  register('TDT', E1000.TDT, 'transmit ring tail', LOW_16_EFFECT),
  register('TIDV', E1000.TIDV, 'transmit interrupt delay in 1.024 us', LOW_16_EFFECT),
  register('TXDCTL', E1000.TXDCTL, 'transmit descriptor control', { writeMask: 0xff3f3f3f }),
  register('TADV', E1000.TADV, 'transmit interrupt absolute delay', LOW_16),
];

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
export function statistics(): RegisterRow[] {
  const named = new Map(STATISTICS.map(([off, name, meaning]) => [off, { name, meaning }]));
  const number = (E1000.STATISTICS_END - E1000.STATISTICS) / 4;
  const block = registerArray('STATISTICS', E1000.STATISTICS, number, 'no counter',
    { flags: CellFlag.WIDTH_4 | CellFlag.READ_EFFECT });
  return block.map((row) => ({ ...row, ...named.get(row.off) }));
}

/** RAL[n] and RAH[n] in turn. */
export function receiveAddresses(): RegisterRow[] {
  return Array.from({ length: (E1000.RA_END - E1000.RA) / 8 }, (_, n) => [
    register(`RAL[${n}]`, E1000.RA + 8 * n, 'receive address, bytes 0 to 3', ANY),
    register(`RAH[${n}]`, E1000.RA + 8 * n + 4, 'bytes 4 and 5, 17:16 select, 31 valid', { writeMask: 0x8003ffff }),
  ]).flat();
}

/** The I/O window (§13.2.2): an address, and the register at it. */
export function windowTable(bar: number, size: number): RegisterTable {
  return {
    bar,
    size,
    constant: 0,
    rows: [
      register('IOADDR', E1000.IOADDR, 'offset in BAR 0; bits 31:20 are 0', { writeMask: 0x000fffff }),
      register('IODATA', E1000.IODATA, 'the register there, side effects and all',
        { flags: CellFlag.WIDTH_4 | CellFlag.READ_EFFECT | CellFlag.HANDLER_STORES }),
    ],
  };
}
