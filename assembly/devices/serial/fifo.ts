// The two FIFOs (8.4), the shift register, and the link behind them.
import { Serial, SerialFcr, SerialLcr, SerialLsr, SerialMcr, SerialState } from '../../spec/serial';

@inline
export function get(s: usize, word: u32): u32 {
  return load<u32>(s + word);
}

@inline
export function set(s: usize, word: u32, value: u32): void {
  store<u32>(s + word, value);
}

@inline
export function fifosOn(s: usize): bool {
  return (get(s, SerialState.FCR) & SerialFcr.ENABLE) != 0;
}

/** Without FIFOs there is one register each way. */
@inline
export function depth(s: usize): u32 {
  return fifosOn(s) ? Serial.FIFO : 1;
}

/** Characters at which the receive interrupt comes. */
export function trigger(s: usize): u32 {
  if (!fifosOn(s)) return 1;
  const level = get(s, SerialState.FCR) >> SerialFcr.TRIGGER_SHIFT;
  return level == 0 ? 1 : level == 3 ? 14 : level << 2;
}

/** Time of a character in ns: start bit, data, parity, stop bits. One and a half stop bits go with five of data. */
export function characterTime(s: usize): u64 {
  const lcr = get(s, SerialState.LCR);
  const word = 5 + (lcr & SerialLcr.WORD_MASK);
  let halves = 2 + 2 * word + 2 + (lcr & SerialLcr.PARITY ? 2 : 0);
  if (lcr & SerialLcr.STOP) halves += word == 5 ? 1 : 2;
  const divisor = get(s, SerialState.DIVISOR);
  return <u64>halves * 8 * (divisor == 0 ? 65536 : divisor) * 1000000000 / Serial.CLOCK_HZ;
}

@inline
export function looped(s: usize): bool {
  return (get(s, SerialState.MCR) & SerialMcr.LOOP) != 0;
}

@inline
function wordMask(s: usize): u32 {
  return 0xff >> (3 - (get(s, SerialState.LCR) & SerialLcr.WORD_MASK));
}

@inline
function receivedPtr(s: usize, index: u32): usize {
  return s + SerialState.RX_FIFO + ((get(s, SerialState.RX_HEAD) + index & (Serial.FIFO - 1)) << 1);
}

/** LSR shows the errors of the character that is read next. */
function errorsReveal(s: usize): void {
  if (get(s, SerialState.RX_COUNT) == 0) return;
  const flags = <u32>load<u16>(receivedPtr(s, 0)) >> 8;
  set(s, SerialState.ERRORS, get(s, SerialState.ERRORS) | flags);
}

/** A character has come at time `at`. */
export function receive(s: usize, character: u32, at: u64): void {
  const count = get(s, SerialState.RX_COUNT);
  const data = (character & wordMask(s)) | (character & (SerialLsr.ERRORS << 8));
  if (count >= depth(s)) {
    set(s, SerialState.ERRORS, get(s, SerialState.ERRORS) | SerialLsr.OE);
    set(s, SerialState.OVERRUNS, get(s, SerialState.OVERRUNS) + 1);
    // a FIFO keeps what it has, the register does not (8.6.3, bit 1)
    if (!fifosOn(s)) {
      store<u16>(receivedPtr(s, 0), <u16>data);
      errorsReveal(s);
    }
  } else {
    store<u16>(receivedPtr(s, count), <u16>data);
    set(s, SerialState.RX_COUNT, count + 1);
    if (count == 0) errorsReveal(s);
  }
  store<u64>(s + SerialState.TIMEOUT, at + 4 * characterTime(s));
}

/** RBR: the oldest character; 0 when there is none. */
export function received(s: usize, now: u64): u32 {
  const count = get(s, SerialState.RX_COUNT);
  if (count == 0) return 0;
  const data = <u32>load<u8>(receivedPtr(s, 0));
  set(s, SerialState.RX_HEAD, get(s, SerialState.RX_HEAD) + 1 & (Serial.FIFO - 1));
  set(s, SerialState.RX_COUNT, count - 1);
  set(s, SerialState.TIMED_OUT, 0);
  store<u64>(s + SerialState.TIMEOUT, count > 1 ? now + 4 * characterTime(s) : u64.MAX_VALUE);
  errorsReveal(s);
  return data;
}

/** After LSR was read: the errors of the first character have been told. */
export function errorsTold(s: usize): void {
  set(s, SerialState.ERRORS, 0);
  if (get(s, SerialState.RX_COUNT) != 0) store<u8>(receivedPtr(s, 0) + 1, 0);
}

/** Whether a character in the receive FIFO has an error. */
export function errorsWait(s: usize): bool {
  for (let i: u32 = 0; i < get(s, SerialState.RX_COUNT); i++) if (load<u8>(receivedPtr(s, i) + 1) != 0) return true;
  return false;
}

export function receiveClear(s: usize): void {
  set(s, SerialState.RX_COUNT, 0);
  set(s, SerialState.TIMED_OUT, 0);
  store<u64>(s + SerialState.TIMEOUT, u64.MAX_VALUE);
}

/** The shift register takes the next character at time `at`. */
export function shiftNext(s: usize, at: u64): void {
  const count = get(s, SerialState.TX_COUNT);
  if (get(s, SerialState.SHIFTING) != 0 || count == 0) return;
  const head = get(s, SerialState.TX_HEAD);
  set(s, SerialState.SHIFT, load<u8>(s + SerialState.TX_FIFO + head) & wordMask(s));
  set(s, SerialState.TX_HEAD, head + 1 & (Serial.FIFO - 1));
  set(s, SerialState.TX_COUNT, count - 1);
  set(s, SerialState.SHIFTING, 1);
  store<u64>(s + SerialState.SHIFT_END, at + characterTime(s));
  if (count == 1) set(s, SerialState.THRE_WAITS, 1);
}

/** THR. What comes when there is no room overwrites the youngest character. */
export function transmit(s: usize, data: u32, now: u64): void {
  set(s, SerialState.THRE_WAITS, 0);
  const count = get(s, SerialState.TX_COUNT);
  const last = count < depth(s) ? count : count - 1;
  store<u8>(s + SerialState.TX_FIFO + (get(s, SerialState.TX_HEAD) + last & (Serial.FIFO - 1)), <u8>data);
  set(s, SerialState.TX_COUNT, last + 1);
  shiftNext(s, now);
}

@inline
function outHasRoom(s: usize): bool {
  return get(s, SerialState.OUT_TAIL) - get(s, SerialState.OUT_HEAD) < <u32>SerialState.RING;
}

function outPut(s: usize, character: u32): void {
  const tail = get(s, SerialState.OUT_TAIL);
  store<u16>(s + SerialState.OUT_RING + ((tail & (SerialState.RING - 1)) << 1), <u16>character);
  set(s, SerialState.OUT_TAIL, tail + 1);
}

/** A break that waits for room goes out. */
export function breakOut(s: usize): void {
  if (get(s, SerialState.BREAK_WAITS) == 0 || !outHasRoom(s)) return;
  outPut(s, SerialLsr.BI << 8);
  set(s, SerialState.BREAK_WAITS, 0);
}

/** The character in the shift register is sent. False when the link has no room for it: it stays. */
export function shiftOut(s: usize, at: u64): bool {
  const spacing = (get(s, SerialState.LCR) & SerialLcr.BREAK) != 0;
  if (!spacing) {
    if (looped(s)) receive(s, get(s, SerialState.SHIFT), at);
    else if (outHasRoom(s)) outPut(s, get(s, SerialState.SHIFT));
    else return false;
  }
  set(s, SerialState.SHIFTING, 0);
  store<u64>(s + SerialState.SHIFT_END, u64.MAX_VALUE);
  shiftNext(s, at);
  return true;
}

@inline
export function inWaits(s: usize): bool {
  return get(s, SerialState.IN_HEAD) != get(s, SerialState.IN_TAIL);
}

/** The oldest character of the link has come. */
export function inTake(s: usize, at: u64): void {
  const head = get(s, SerialState.IN_HEAD);
  receive(s, load<u16>(s + SerialState.IN_RING + ((head & (SerialState.RING - 1)) << 1)), at);
  set(s, SerialState.IN_HEAD, head + 1);
}
