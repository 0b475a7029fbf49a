import { Edu } from '../../spec/edu';
import { State } from '../../spec/state';
import { Status } from '../../spec/status';
import {
  cellsReset, deadlineClear, deadlineOf, deadlineSet, deviceState, registerGet, registerSet, workDone,
} from '../../bus/functions';
import { intxLevel } from '../../irq/intx';
import { vectorsForget } from '../../irq/vectors';
import { dmaRead, dmaWrite } from '../../dma/dma';
import { msiEnabled, msiRequest } from '../../dma/message';

const MASK: u64 = (1 << Edu.DMA_BITS) - 1;

@inline
function get(b: usize, fn: u32, off: u32): u32 {
  return registerGet(b, fn, 0, off);
}

@inline
function get64(b: usize, fn: u32, off: u32): u64 {
  return <u64>get(b, fn, off + 4) << 32 | get(b, fn, off);
}

function interruptRaise(b: usize, fn: u32, causes: u32): void {
  const status = get(b, fn, Edu.INTERRUPT_STATUS) | causes;
  registerSet(b, fn, 0, Edu.INTERRUPT_STATUS, status);
  if (status == 0) return;
  if (msiEnabled(b, fn)) msiRequest(b, fn, 0);
  else intxLevel(b, fn, true);
}

function factorial(n: u32): u32 {
  // 34! and up are 0 modulo 2^32, so a large n need not be multiplied out
  if (n >= 34) return 0;
  let result: u32 = 1;
  for (; n > 1; n--) result *= n;
  return result;
}

/** No register of edu has a read effect. */
export function eduRead(b: usize, fn: u32, off: u32): u32 {
  return get(b, fn, off);
}

/** Called after the cell has stored, except for DMA_COMMAND, whose handler stores. */
export function eduWrite(b: usize, fn: u32, off: u32, value: u32): void {
  switch (off) {
    case Edu.LIVENESS:
      registerSet(b, fn, 0, Edu.LIVENESS, ~value);
      return;
    case Edu.FACTORIAL:
      registerSet(b, fn, 0, Edu.FACTORIAL, factorial(value));
      if (get(b, fn, Edu.STATUS) & Edu.STATUS_RAISE) interruptRaise(b, fn, Edu.INTERRUPT_FACTORIAL);
      return;
    case Edu.INTERRUPT_RAISE:
      interruptRaise(b, fn, value);
      return;
    case Edu.INTERRUPT_ACKNOWLEDGE: {
      const status = get(b, fn, Edu.INTERRUPT_STATUS) & ~value;
      registerSet(b, fn, 0, Edu.INTERRUPT_STATUS, status);
      if (status == 0) intxLevel(b, fn, false);
      return;
    }
    case Edu.DMA_COMMAND:
      // a running transfer keeps its registers: the write is refused, as are the others while START is set
      if (get(b, fn, Edu.DMA_COMMAND) & Edu.DMA_START) return;
      registerSet(b, fn, 0, Edu.DMA_COMMAND, value & 7);
      if (value & Edu.DMA_START) {
        deadlineSet(b, fn, load<u64>(b, State.NOW) + <u64>Edu.DMA_TIME_MS * 1000000);
      }
      return;
    case Edu.DMA_SOURCE:
    case Edu.DMA_SOURCE + 4:
    case Edu.DMA_DESTINATION:
    case Edu.DMA_DESTINATION + 4:
    case Edu.DMA_COUNT:
    case Edu.DMA_COUNT + 4:
      if ((get(b, fn, Edu.DMA_COMMAND) & Edu.DMA_START) == 0) registerSet(b, fn, 0, off, value);
  }
}

/** The buffer range of a transfer, or -1 when any byte of it lies outside. */
function bufferOffset(edge: u64, len: u64): i32 {
  if (edge < <u64>Edu.BUFFER || len > <u64>Edu.BUFFER_SIZE || edge - Edu.BUFFER > <u64>Edu.BUFFER_SIZE - len) return -1;
  return <i32>(edge - Edu.BUFFER);
}

/** The transfer whose time has come. */
export function eduStep(b: usize, fn: u32): bool {
  const command = get(b, fn, Edu.DMA_COMMAND);
  if ((command & Edu.DMA_START) == 0 || load<u64>(b, State.NOW) < deadlineOf(b, fn)) {
    workDone(b, fn);
    return false;
  }
  const len = get64(b, fn, Edu.DMA_COUNT);
  const source = get64(b, fn, Edu.DMA_SOURCE);
  const destination = get64(b, fn, Edu.DMA_DESTINATION);
  const toRam = (command & Edu.DMA_TO_RAM) != 0;
  const at = bufferOffset(toRam ? source : destination, len);
  if (at >= 0) {
    const buffer = deviceState(b, fn) + Edu.STATE_BUFFER + at;
    const busAddr = (toRam ? destination : source) & MASK;
    const status = toRam ? dmaWrite(b, fn, busAddr, <u32>len, buffer) : dmaRead(b, fn, busAddr, <u32>len, buffer);
    if (status == Status.PENDING) return false;
  }
  workDone(b, fn);
  deadlineClear(b, fn);
  registerSet(b, fn, 0, Edu.DMA_COMMAND, command & ~(<u32>Edu.DMA_START));
  if (command & Edu.DMA_RAISE) interruptRaise(b, fn, Edu.INTERRUPT_DMA);
  return true;
}

export function eduReset(b: usize, fn: u32): void {
  cellsReset(b, fn, 0);
  memory.fill(deviceState(b, fn), 0, Edu.STATE_SIZE);
  deadlineClear(b, fn);
  workDone(b, fn);
  vectorsForget(b, fn);
  intxLevel(b, fn, false);
}
