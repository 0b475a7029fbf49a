import { SerialLsr, SerialMcr, SerialState } from '../../../assembly/spec/serial';
import { FunctionRecord, Model, State, StateSize } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';
import { PortcullisError } from '../../errors';

/** What the other end of a serial line sees: a character, or the beginning of a break. */
export interface SerialCharacter {
  readonly byte: number;
  readonly break: boolean;
}

export type LineError = 'parity' | 'framing' | 'break';

const ERRORS: Readonly<Record<LineError, number>> = {
  parity: SerialLsr.PE, framing: SerialLsr.FE, break: SerialLsr.BI,
};

/** The other end of a UART's line. All that it knows lies in the engine's state, so any number of handles are one. */
export class SerialLink {
  readonly #engine: Engine;
  readonly #fn: number;
  readonly #off: number;

  constructor(engine: Engine, fn: number) {
    const record = State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
    if (engine.word(record + FunctionRecord.MODEL) !== Model.SERIAL) {
      throw new PortcullisError('NO_SERIAL', `function ${fn} is no serial controller`, { fn });
    }
    this.#engine = engine;
    this.#fn = fn;
    this.#off = engine.word(record + FunctionRecord.DEVICE);
  }

  #get(word: number): number {
    return this.#engine.word(this.#off + word);
  }

  #set(word: number, value: number): void {
    this.#engine.setWord(this.#off + word, value);
  }

  #put(character: number): boolean {
    const tail = this.#get(SerialState.IN_TAIL);
    const waiting = (tail - this.#get(SerialState.IN_HEAD)) >>> 0;
    if (waiting >= SerialState.RING) return false;
    if (waiting === 0) this.#engine.setWord64(this.#off + SerialState.IN_SINCE, this.#engine.now);
    const at = this.#engine.base + this.#off + SerialState.IN_RING + (tail % SerialState.RING) * 2;
    this.#engine.view.setUint16(at, character, true);
    this.#set(SerialState.IN_TAIL, (tail + 1) >>> 0);
    return true;
  }

  /** Sends bytes to the UART; they arrive one by one in virtual time. Gives how many there was room for on the line. */
  send(bytes: Uint8Array): number {
    let sent = 0;
    while (sent < bytes.length && this.#put(bytes[sent] as number)) sent++;
    this.#engine.exports.requestService(this.#fn);
    return sent;
  }

  /** Sends a character that arrives damaged, or a break. False when there was no room on the line. */
  sendError(error: LineError, byte = 0): boolean {
    const sent = this.#put(ERRORS[error] << 8 | byte);
    this.#engine.exports.requestService(this.#fn);
    return sent;
  }

  /** Takes what the UART has sent. While nobody does, 4096 characters fit, and then it waits. */
  receive(): SerialCharacter[] {
    const characters: SerialCharacter[] = [];
    const tail = this.#get(SerialState.OUT_TAIL);
    for (let head = this.#get(SerialState.OUT_HEAD); head !== tail; head = (head + 1) >>> 0) {
      const at = this.#engine.base + this.#off + SerialState.OUT_RING + (head % SerialState.RING) * 2;
      const character = this.#engine.view.getUint16(at, true);
      characters.push({ byte: character & 0xff, break: (character >> 8 & SerialLsr.BI) !== 0 });
    }
    this.#set(SerialState.OUT_HEAD, tail);
    this.#engine.exports.requestService(this.#fn);
    return characters;
  }

  /** Lines that this end drives, as bits 7:4 of MSR: DCD, RI, DSR, CTS. */
  set lines(lines: number) {
    this.#set(SerialState.LINES, lines & 0xf0);
    this.#engine.exports.requestService(this.#fn);
  }

  /** Lines that the UART drives. */
  get modem(): { dtr: boolean; rts: boolean } {
    const mcr = this.#get(SerialState.MCR);
    return { dtr: (mcr & SerialMcr.DTR) !== 0, rts: (mcr & SerialMcr.RTS) !== 0 };
  }

  /** Whether this end waits while the UART's FIFO is full (it does at first); else what comes then is lost, and counted. */
  set waits(waits: boolean) {
    this.#set(SerialState.WAITS, waits ? 1 : 0);
    this.#engine.exports.requestService(this.#fn);
  }

  /** Characters that were lost because the UART's FIFO was full. */
  get overruns(): number {
    return this.#get(SerialState.OVERRUNS);
  }
}
