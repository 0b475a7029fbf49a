/** Registers of QEMU's `edu` device, in the order of its specification (docs/specs/edu). */
import { Edu } from '../../../assembly/spec/edu';
import { CellFlag } from '../../../assembly/spec/state';
import { ALL_BITS, register, type RegisterTable } from '../register-table';

const COMPUTED = { writeMask: ALL_BITS, flags: CellFlag.WIDTH_4 | CellFlag.WRITE_EFFECT };
const COMMAND = { flags: CellFlag.WIDTH_4 | CellFlag.WRITE_ONLY | CellFlag.WRITE_EFFECT };
// A running transfer refuses writes, so the device stores. From 0x80 on eight bytes at once are valid too.
const DMA = { bytes: 8, flags: CellFlag.WIDTH_4 | CellFlag.WIDTH_8 | CellFlag.HANDLER_STORES } as const;

export const EDU_REGISTERS: RegisterTable = {
  bar: 0,
  size: Edu.BAR_SIZE,
  constant: ALL_BITS,
  rows: [
    register('ID', Edu.ID, 'identification: 0xRRrr00ed, major and minor version', { reset: Edu.ID_VALUE }),
    register('LIVENESS', Edu.LIVENESS, 'card liveness check: reads as the inverse of what was written', COMPUTED),
    register('FACTORIAL', Edu.FACTORIAL, 'factorial of what was written, modulo 2^32', COMPUTED),
    register('STATUS', Edu.STATUS, 'bit 0 computing (RO), bit 7 raise interrupt after a factorial',
      { writeMask: Edu.STATUS_RAISE }),
    register('INTERRUPT_STATUS', Edu.INTERRUPT_STATUS, 'values that raised the interrupt'),
    register('INTERRUPT_RAISE', Edu.INTERRUPT_RAISE, 'raises an interrupt, value goes to the status', COMMAND),
    register('INTERRUPT_ACKNOWLEDGE', Edu.INTERRUPT_ACKNOWLEDGE, 'clears bits of the status', COMMAND),
    register('DMA_SOURCE', Edu.DMA_SOURCE, 'where to transfer from', DMA),
    register('DMA_DESTINATION', Edu.DMA_DESTINATION, 'where to transfer to', DMA),
    register('DMA_COUNT', Edu.DMA_COUNT, 'bytes to transfer', DMA),
    register('DMA_COMMAND', Edu.DMA_COMMAND, 'bit 0 start, bit 1 to RAM, bit 2 interrupt when done', DMA),
  ],
};
