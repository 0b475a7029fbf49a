import {
  Serial, SerialFcr, SerialIer, SerialIir, SerialLcr, SerialLsr, SerialMcr, SerialMsr, SerialState,
} from '../../spec/serial';
import { State } from '../../spec/state';
import { deadlineSet, deviceState, workDone } from '../../bus/functions';
import { intxLevel } from '../../irq/intx';
import {
  breakOut, characterTime, depth, errorsTold, errorsWait, fifosOn, get, inTake, inWaits, looped, receive, receiveClear, received,
  set, shiftOut, transmit, trigger,
} from './fifo';

/** What interrupts now, the most urgent first (table 4). */
function identification(s: usize): u32 {
  const enabled = get(s, SerialState.IER);
  if ((enabled & SerialIer.LINE) != 0 && get(s, SerialState.ERRORS) != 0) return SerialIir.LINE;
  if (enabled & SerialIer.RECEIVE) {
    if (get(s, SerialState.RX_COUNT) >= trigger(s)) return SerialIir.RECEIVE;
    if (get(s, SerialState.TIMED_OUT) != 0) return SerialIir.TIMEOUT;
  }
  if ((enabled & SerialIer.TRANSMIT) != 0 && get(s, SerialState.THRE_WAITS) != 0) return SerialIir.TRANSMIT;
  if ((enabled & SerialIer.MODEM) != 0 && (get(s, SerialState.MSR) & ~(<u32>SerialMsr.LINES)) != 0) return SerialIir.MODEM;
  return SerialIir.NONE;
}

/** Modem lines: of the other end, or of the chip itself in loopback (8.7, bit 4). */
function modemUpdate(s: usize): void {
  let lines = get(s, SerialState.LINES);
  if (looped(s)) {
    const mcr = get(s, SerialState.MCR);
    lines = (mcr & SerialMcr.RTS ? SerialMsr.CTS : 0) | (mcr & SerialMcr.DTR ? SerialMsr.DSR : 0)
      | (mcr & SerialMcr.OUT1 ? SerialMsr.RI : 0) | (mcr & SerialMcr.OUT2 ? SerialMsr.DCD : 0);
  }
  const before = get(s, SerialState.MSR);
  let changed = (before ^ lines) & SerialMsr.LINES;
  // of the ring indicator only the end counts
  if (lines & SerialMsr.RI) changed &= ~(<u32>SerialMsr.RI);
  set(s, SerialState.MSR, (before & ~(<u32>SerialMsr.LINES)) | lines | changed >> 4);
}

/** Whether the character on the wire waits for room. */
@inline
function held(s: usize): bool {
  return looped(s) || (get(s, SerialState.WAITS) != 0 && get(s, SerialState.RX_COUNT) >= depth(s));
}

/** Everything up to now, in its order; then line and deadline follow. At most what the rings and FIFOs hold. */
function settle(b: usize, fn: u32, s: usize): void {
  const now = load<u64>(b, State.NOW);
  modemUpdate(s);
  breakOut(s);
  if (inWaits(s) && load<u64>(s + SerialState.ARRIVAL) == u64.MAX_VALUE) {
    store<u64>(s + SerialState.ARRIVAL, load<u64>(s + SerialState.IN_SINCE) + characterTime(s));
  }
  let deadline = u64.MAX_VALUE;
  for (;;) {
    const sent = load<u64>(s + SerialState.SHIFT_END);
    const come = held(s) ? u64.MAX_VALUE : load<u64>(s + SerialState.ARRIVAL);
    const patience = fifosOn(s) && get(s, SerialState.TIMED_OUT) == 0 ? load<u64>(s + SerialState.TIMEOUT) : u64.MAX_VALUE;
    deadline = min(patience, min(sent, come));
    if (deadline > now) break;
    if (deadline == sent) {
      if (shiftOut(s, sent)) continue;
      // the link is full: nothing more is sent until the other end has read, and says so
      if (min(come, patience) > now) {
        deadline = min(come, patience);
        break;
      }
    }
    if (come <= now && come <= patience) {
      inTake(s, come);
      store<u64>(s + SerialState.ARRIVAL, inWaits(s) ? come + characterTime(s) : u64.MAX_VALUE);
    } else if (patience <= now) set(s, SerialState.TIMED_OUT, 1);
  }
  // a character that waits has come when there is room for it
  if (held(s) && load<u64>(s + SerialState.ARRIVAL) < now) store<u64>(s + SerialState.ARRIVAL, now);
  deadlineSet(b, fn, deadline);
  intxLevel(b, fn, identification(s) != SerialIir.NONE);
}

function lineStatus(s: usize): u32 {
  let lsr = get(s, SerialState.ERRORS);
  if (get(s, SerialState.RX_COUNT) != 0) lsr |= SerialLsr.DR;
  if (get(s, SerialState.TX_COUNT) == 0) {
    lsr |= SerialLsr.THRE;
    if (get(s, SerialState.SHIFTING) == 0) lsr |= SerialLsr.TEMT;
  }
  if (fifosOn(s) && errorsWait(s)) lsr |= SerialLsr.FIFO_ERROR;
  return lsr;
}

function interruptIdentify(s: usize): u32 {
  const id = identification(s);
  // to be told of an empty transmitter is to have it acknowledged
  if (id == SerialIir.TRANSMIT) set(s, SerialState.THRE_WAITS, 0);
  return fifosOn(s) ? id | SerialIir.FIFOS : id;
}

function registerRead(b: usize, s: usize, register: u32): u32 {
  const dlab = (get(s, SerialState.LCR) & SerialLcr.DLAB) != 0;
  switch (register) {
    case Serial.RBR: return dlab ? get(s, SerialState.DIVISOR) & 0xff : received(s, load<u64>(b, State.NOW));
    case Serial.IER: return dlab ? get(s, SerialState.DIVISOR) >> 8 : get(s, SerialState.IER);
    case Serial.IIR: return interruptIdentify(s);
    case Serial.LCR: return get(s, SerialState.LCR);
    case Serial.MCR: return get(s, SerialState.MCR);
    case Serial.LSR: {
      const lsr = lineStatus(s);
      errorsTold(s);
      return lsr;
    }
    case Serial.MSR: {
      const msr = get(s, SerialState.MSR);
      set(s, SerialState.MSR, msr & SerialMsr.LINES);
      return msr;
    }
    default: return get(s, SerialState.SCR);
  }
}

/** FCR (8.4): its other bits count only when bit 0 is set in the same write. */
function fifoControl(s: usize, value: u32): void {
  const before = get(s, SerialState.FCR);
  const on = (value & SerialFcr.ENABLE) != 0;
  const toggled = ((before ^ value) & SerialFcr.ENABLE) != 0;
  set(s, SerialState.FCR, on ? value & SerialFcr.KEPT : 0);
  if (toggled || (on && (value & SerialFcr.CLEAR_RECEIVE) != 0)) receiveClear(s);
  if (toggled || (on && (value & SerialFcr.CLEAR_TRANSMIT) != 0)) {
    if (get(s, SerialState.TX_COUNT) != 0) set(s, SerialState.THRE_WAITS, 1);
    set(s, SerialState.TX_COUNT, 0);
  }
}

function lineControl(b: usize, s: usize, value: u32): void {
  const begins = (value & ~get(s, SerialState.LCR) & SerialLcr.BREAK) != 0;
  set(s, SerialState.LCR, value);
  if (!begins) return;
  if (looped(s)) receive(s, SerialLsr.BI << 8, load<u64>(b, State.NOW));
  else set(s, SerialState.BREAK_WAITS, 1);
}

function interruptEnable(s: usize, value: u32): void {
  const before = get(s, SerialState.IER);
  set(s, SerialState.IER, value & SerialIer.ALL);
  // enabled while the transmitter is empty, it interrupts at once
  if ((value & ~before & SerialIer.TRANSMIT) != 0 && get(s, SerialState.TX_COUNT) == 0) set(s, SerialState.THRE_WAITS, 1);
}

function registerWrite(b: usize, s: usize, register: u32, value: u32): void {
  const dlab = (get(s, SerialState.LCR) & SerialLcr.DLAB) != 0;
  const divisor = get(s, SerialState.DIVISOR);
  switch (register) {
    case Serial.RBR:
      if (dlab) set(s, SerialState.DIVISOR, (divisor & 0xff00) | value);
      else transmit(s, value, load<u64>(b, State.NOW));
      return;
    case Serial.IER:
      if (dlab) set(s, SerialState.DIVISOR, (divisor & 0xff) | value << 8);
      else interruptEnable(s, value);
      return;
    case Serial.IIR: return fifoControl(s, value);
    case Serial.LCR: return lineControl(b, s, value);
    case Serial.MCR: return set(s, SerialState.MCR, value & SerialMcr.ALL);
    case Serial.SCR: set(s, SerialState.SCR, value);
  }
}

/** Every register is a byte, so every access is one: `lanes` says which of the dword. */
export function serialRead(b: usize, fn: u32, off: u32, lanes: u32): u32 {
  const s = deviceState(b, fn);
  const shift = <u32>ctz(lanes);
  const value = registerRead(b, s, off + (shift >> 3)) << shift;
  settle(b, fn, s);
  return value;
}

export function serialWrite(b: usize, fn: u32, off: u32, value: u32, lanes: u32): void {
  const s = deviceState(b, fn);
  const shift = <u32>ctz(lanes);
  registerWrite(b, s, off + (shift >> 3), value >> shift & 0xff);
  settle(b, fn, s);
}

export function serialDeadline(b: usize, fn: u32): void {
  settle(b, fn, deviceState(b, fn));
}

/** The other end has sent, read, or moved its lines. */
export function serialStep(b: usize, fn: u32): bool {
  workDone(b, fn);
  settle(b, fn, deviceState(b, fn));
  return false;
}

export function serialReset(b: usize, fn: u32): void {
  const s = deviceState(b, fn);
  memory.fill(s, 0, SerialState.LINK);
  set(s, SerialState.DIVISOR, Serial.DIVISOR_RESET);
  set(s, SerialState.MSR, get(s, SerialState.LINES));
  store<u64>(s + SerialState.SHIFT_END, u64.MAX_VALUE);
  store<u64>(s + SerialState.ARRIVAL, u64.MAX_VALUE);
  store<u64>(s + SerialState.TIMEOUT, u64.MAX_VALUE);
  workDone(b, fn);
  settle(b, fn, s);
}
