/**
 * Registers of the Intel 82540EM, in the order and with the names of the PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual (317453), table 13-2. All are four bytes wide and take no other width.
 */
import { E1000, E1000Eecd, E1000Icr } from '../../../assembly/spec/e1000';
import { CellFlag } from '../../../assembly/spec/state';
import {
  ANY, EFFECT, LOW_16, LOW_16_EFFECT, RECEIVE_ROWS, TRANSMIT_ROWS, WRITE_ONLY, receiveAddresses, statistics,
  windowTable,
} from '../e1000-family/registers';
import { ALL_BITS, register, registerArray, type RegisterTable } from '../register-table';

/** EECD bits 5:4 are 01: writing the Flash is off. */
const FLASH_WRITE_DISABLED = 0x10;
const FLASH_WRITE_MASK = 0x30;

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
    ...RECEIVE_ROWS,
    register('TXDMAC', E1000.TXDMAC, 'transmit DMA control', { writeMask: 1 }),
    ...TRANSMIT_ROWS,
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

export const E1000_IO_REGISTERS: RegisterTable = windowTable(E1000.IO_BAR, E1000.IO_BAR_SIZE);
