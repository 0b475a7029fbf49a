/** Registers of the 16550A, in the order of its data sheet (table 2). Each is a byte; four of them share a cell. */
import { Serial } from '../../../assembly/spec/serial';
import { CellFlag } from '../../../assembly/spec/state';
import { type RegisterTable, register } from '../register-table';

const BYTES = { flags: CellFlag.WIDTH_1 | CellFlag.READ_EFFECT | CellFlag.HANDLER_STORES };

export const SERIAL_REGISTERS: RegisterTable = {
  bar: 0,
  size: Serial.BAR_SIZE,
  constant: 0,
  rows: [
    register('RBR/THR/DLL, IER/DLM, IIR/FCR, LCR', Serial.RBR, 'data, interrupt enable, identification and FIFO control, line control', BYTES),
    register('MCR, LSR, MSR, SCR', Serial.MCR, 'modem control, line status, modem status, scratch', BYTES),
  ],
};
