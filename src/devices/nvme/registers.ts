/** Registers of an NVM Express controller (Base Specification 1.4, 3.1), in its order. */
import { Nvme } from '../../../assembly/spec/nvme';
import { CellFlag } from '../../../assembly/spec/state';
import { ALL_BITS, type RegisterTable, register, registerArray } from '../register-table';

/** Registers of eight bytes are reached whole or as two dwords. */
const WIDE = { flags: CellFlag.WIDTH_4 | CellFlag.WIDTH_8 };
const HANDLED = { flags: CellFlag.WIDTH_4 | CellFlag.HANDLER_STORES };
const PAGE_BASE = { ...WIDE, writeMask: 0xfffff000 };
const HIGH = { ...WIDE, writeMask: ALL_BITS };

export const NVME_REGISTERS: RegisterTable = {
  bar: 0,
  size: Nvme.BAR_SIZE,
  constant: 0,
  rows: [
    register('CAP', Nvme.CAP, 'capabilities: 2048 entries, contiguous queues, 7.5 s', { ...WIDE, reset: Nvme.CAP_LO }),
    register('CAP_HI', Nvme.CAP + 4, 'doorbells of 4 bytes, NVM command set, pages of 4 KiB', { ...WIDE, reset: Nvme.CAP_HI }),
    register('VS', Nvme.VS, 'version 1.4', { reset: Nvme.VERSION }),
    register('INTMS', Nvme.INTMS, 'interrupt mask: ones set', HANDLED),
    register('INTMC', Nvme.INTMC, 'interrupt mask: ones clear', HANDLED),
    register('CC', Nvme.CC, 'configuration', HANDLED),
    register('CSTS', Nvme.CSTS, 'status'),
    register('AQA', Nvme.AQA, 'admin queue sizes minus one', { writeMask: 0x0fff0fff }),
    register('ASQ', Nvme.ASQ, 'admin submission queue', PAGE_BASE),
    register('ASQ_HI', Nvme.ASQ + 4, '', HIGH),
    register('ACQ', Nvme.ACQ, 'admin completion queue', PAGE_BASE),
    register('ACQ_HI', Nvme.ACQ + 4, '', HIGH),
    ...registerArray('DOORBELL', Nvme.DOORBELLS, 2 * Nvme.QUEUES,
      'tail of a submission queue, head of its completion queue, in turn', HANDLED),
  ],
};
