/**
 * Registers of the Intel 82574L, in the order and with the names of its datasheet (317694), table 10-2. All are four
 * bytes wide and take no other width. Those without an effect are kept, as far as drivers write them.
 */
import { E1000 } from '../../../assembly/spec/e1000';
import {
  E1000e, E1000eEecd, E1000eEemngctl, E1000eEerd, E1000eExtcnf, E1000eIcr, E1000eRfctl, E1000eStatus, E1000eSwsm,
  E1000eTarc,
} from '../../../assembly/spec/e1000e';
import { CellFlag } from '../../../assembly/spec/state';
import {
  ANY, EFFECT, LOW_16, LOW_16_EFFECT, RECEIVE_ROWS, TRANSMIT_ROWS, WRITE_ONLY, receiveAddresses, statistics,
  windowTable,
} from '../e1000-family/registers';
import { register, registerArray, type RegisterTable } from '../register-table';

/** TARC: enabled, one descriptor of each queue in turn. */
const TARC = { reset: E1000eTarc.ENABLE | 3, writeMask: 0x7fff07ff };

export const E1000E_REGISTERS: RegisterTable = {
  bar: 0,
  size: E1000.BAR0_SIZE,
  constant: 0,
  rows: [
    register('CTRL', E1000.CTRL, 'device control: reset, speed, duplex, Master Disable',
      { reset: 0x00100241, writeMask: 0xdcfc1bed, flags: EFFECT }),
    register('STATUS', E1000.STATUS, 'device status: link, speed, duplex, whether it may be a master',
      { reset: E1000eStatus.GIO_MASTER_ENABLE }),
    register('EECD', E1000.EECD, 'NVM control: present, loaded; its wires are left out',
      { reset: E1000eEecd.PRES | E1000eEecd.AUTO_RD }),
    register('EERD', E1000.EERD, 'NVM read: start, done, address, data',
      { writeMask: 0xfffd, flags: EFFECT }),
    register('CTRL_EXT', E1000.CTRL_EXT, 'extended device control: NVM reload, automatic masking',
      { ...ANY, flags: EFFECT }),
    register('MDIC', E1000.MDIC, 'management frames to the PHY', { writeMask: 0x2fffffff, flags: EFFECT }),
    register('FCAL', E1000.FCAL, 'flow control address, low', ANY),
    register('FCAH', E1000.FCAH, 'flow control address, high', LOW_16),
    register('FCT', E1000.FCT, 'flow control type', LOW_16),
    register('VET', E1000.VET, 'VLAN ether type', { reset: 0x8100, writeMask: 0xffff }),
    register('ICR', E1000.ICR, 'interrupt causes: a read may clear them, a one clears its bit',
      { w1c: E1000eIcr.ALL, flags: EFFECT | CellFlag.READ_EFFECT }),
    register('ITR', E1000.ITR, 'throttling of INTx and MSI: least distance of two interrupts in 256 ns', LOW_16_EFFECT),
    register('ICS', E1000.ICS, 'sets interrupt causes', WRITE_ONLY),
    register('IMS', E1000.IMS, 'interrupt mask; ones set bits of it',
      { flags: CellFlag.WIDTH_4 | CellFlag.HANDLER_STORES }),
    register('IMC', E1000.IMC, 'ones clear bits of the interrupt mask', WRITE_ONLY),
    register('EIAC', E1000e.EIAC, 'causes that an MSI-X message clears', { writeMask: E1000eIcr.QUEUE_CAUSES }),
    register('IAM', E1000e.IAM, 'bits of the mask that go with EIAME and IAME', ANY),
    register('IVAR', E1000e.IVAR, 'vectors of RXQ0, RXQ1, TXQ0, TXQ1 and OTHER', { writeMask: 0x800fffff }),
    ...registerArray('EITR', E1000e.EITR, E1000e.VECTORS, 'throttling of an MSI-X vector', LOW_16_EFFECT),
    register('RCTL', E1000.RCTL, 'receive control', { writeMask: 0x06dfb3fe, flags: EFFECT }),
    register('FCTTV', E1000.FCTTV, 'flow control transmit timer', LOW_16),
    register('TCTL', E1000.TCTL, 'transmit control', { writeMask: 0x3ffffffa, flags: EFFECT }),
    register('TIPG', E1000.TIPG, 'transmit inter-packet gap', { reset: 0x00602008, writeMask: 0x3fffffff }),
    register('AIFS', E1000.AIFS, 'adaptive inter-frame spacing', LOW_16),
    register('LEDCTL', E1000.LEDCTL, 'LED control', { reset: 0x07068302, writeMask: 0xcfcfcfcf }),
    register('EXTCNF_CTRL', E1000e.EXTCNF_CTRL, 'who owns the PHY: bit 5 software',
      { reset: 0x8, writeMask: E1000eExtcnf.MDIO_SW_OWNERSHIP }),
    register('EXTCNF_SIZE', E1000e.EXTCNF_SIZE, 'extended configuration: none'),
    register('PHY_CTRL', E1000e.PHY_CTRL, 'power of the PHY by state', { writeMask: 0x7f }),
    register('PBA', E1000.PBA, 'packet buffer: KiB for receive, rest for transmit',
      { reset: 0x00140014, writeMask: 0xffff }),
    register('PBS', E1000e.PBS, 'packet buffer size in KiB', { reset: 0x28 }),
    register('EEMNGCTL', E1000e.EEMNGCTL, 'NVM: configuration is done', { reset: E1000eEemngctl.CFG_DONE }),
    register('FLASHT', E1000e.FLASHT, 'Flash timer', { writeMask: 0xff }),
    register('EEWR', E1000e.EEWR, 'NVM write: start, done, address, data',
      { reset: E1000eEerd.DONE, writeMask: 0xfffffffd, flags: EFFECT }),
    register('FLOP', E1000e.FLOP, 'Flash opcode', LOW_16),
    register('PBA_ECC', E1000e.PBA_ECC, 'packet buffer error correction', ANY),
    register('FCRTL', E1000.FCRTL, 'flow control receive threshold, low', { writeMask: 0x8000fff8 }),
    register('FCRTH', E1000.FCRTH, 'flow control receive threshold, high', { writeMask: 0x0000fff8 }),
    ...RECEIVE_ROWS,
    register('RAID', E1000e.RAID, 'receive acknowledge interrupt delay', LOW_16),
    register('CPUVEC', E1000e.CPUVEC, 'CPU vector', { writeMask: 0x1f }),
    ...TRANSMIT_ROWS,
    register('TARC0', E1000e.TARC0, 'transmit arbitration of queue 0', TARC),
    register('TXDCTL1', E1000e.TXDCTL1, 'transmit descriptor control of queue 1', { writeMask: 0xff7f3f3f }),
    register('TARC1', E1000e.TARC1, 'transmit arbitration of queue 1', TARC),
    ...statistics(),
    ...registerArray('IAC', E1000e.IAC, (E1000e.IAC_END - E1000e.IAC) / 4, 'counts of interrupts, from IAC to ICRXOC'),
    register('RXCSUM', E1000.RXCSUM, 'receive checksum control', { reset: 0x300, writeMask: 0x3bff }),
    register('RFCTL', E1000e.RFCTL, 'receive filter control: extended descriptors, IPv6 off',
      { writeMask: 0x3fff | E1000eRfctl.EXSTEN }),
    ...registerArray('MTA', E1000.MTA, (E1000.MTA_END - E1000.MTA) / 4, 'multicast table', ANY),
    ...receiveAddresses(),
    ...registerArray('VFTA', E1000.VFTA, (E1000.VFTA_END - E1000.VFTA) / 4, 'VLAN filter table', ANY),
    register('WUC', E1000.WUC, 'wake-up control', { writeMask: 0xf }),
    register('WUFC', E1000.WUFC, 'wake-up filter control', { writeMask: 0x000f80ff }),
    register('WUS', E1000.WUS, 'wake-up status'),
    register('MRQC', E1000e.MRQC, 'multiple receive queues', { writeMask: 0xffff0003 }),
    register('MANC', E1000.MANC, 'management control', ANY),
    register('MANC2H', E1000e.MANC2H, 'management to host', { writeMask: 0xff }),
    register('GCR', E1000e.GCR, 'PCI Express control', ANY),
    register('FACTPS', E1000e.FACTPS, 'function active, power state: D0', { reset: 0x20000004 }),
    register('SWSM', E1000e.SWSM, 'software semaphore: reading takes it', {
      writeMask: E1000eSwsm.SMBI | E1000eSwsm.SWESMBI | E1000eSwsm.DRV_LOAD,
      flags: CellFlag.WIDTH_4 | CellFlag.READ_EFFECT,
    }),
    register('FWSM', E1000e.FWSM, 'firmware semaphore: there is no firmware'),
    register('GCR2', E1000e.GCR2, 'PCI Express control 2', { writeMask: 0x1 }),
    ...registerArray('RETA', E1000e.RETA, (E1000e.RETA_END - E1000e.RETA) / 4, 'redirection table', ANY),
    ...registerArray('RSSRK', E1000e.RSSRK, (E1000e.RSSRK_END - E1000e.RSSRK) / 4, 'hash key', ANY),
    register('FCRTV', E1000e.FCRTV, 'flow control refresh timer', LOW_16),
    ...registerArray('TIMESTAMP', E1000e.SYSTIML, (E1000e.TIMESTAMP_END - E1000e.SYSTIML) / 4,
      'time stamps, from SYSTIML to RXUDP', ANY),
  ],
};

export const E1000E_IO_REGISTERS: RegisterTable = windowTable(E1000e.IO_BAR, E1000e.IO_BAR_SIZE);
