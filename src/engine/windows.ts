import { Machine, WindowKind } from '../../assembly/spec/machine';
import { JournalEntry, Journal, FunctionRecord, State, StateSize, WindowRecord } from '../../assembly/spec/state';
import { PortcullisError } from '../errors';
import type { EngineExports, EngineImports } from './exports';
import type { Heap } from './heap';

/** Bytes behind a file window, read and written where the engine is: a file, a block of memory, anything quick. */
export interface WindowFile {
  /** Fills `bytes` from byte `offset` of the window; false when it cannot. */
  read(offset: number, bytes: Uint8Array): boolean;
  write(offset: number, bytes: Uint8Array): boolean;
}

/** A window of RAM: `frames` machine frames from `firstMfn` on. */
export type WindowOptions = { firstMfn: number; frames: number } & (
  /** In the engine's memory, at a byte offset. */
  | { kind: 'linear'; offset: number; readOnly?: boolean }
  /** Behind functions that answer at once. */
  | { kind: 'file'; file: WindowFile; readOnly?: boolean }
  /** Behind requests that the host polls and answers when it can. */
  | { kind: 'message' });

/** A device's request to a message window. */
export interface WindowRequest {
  fn: number;
  serial: number;
  /** First machine frame of the window, and byte within it. */
  window: number;
  offset: number;
  length: number;
  write: boolean;
  /** The bytes to write; for a read, where its bytes go. A view, gone when the memory grows. */
  bytes: Uint8Array;
}

/** What is needed of an engine here. */
interface WindowsEngine {
  readonly exports: EngineExports;
  readonly bytes: Uint8Array;
  readonly heap: Heap;
  word(off: number): number;
  word64(off: number): number;
  setWord(off: number, value: number): void;
  stateBytes(off: number, length: number): Uint8Array;
}

const KINDS = { linear: WindowKind.LINEAR, file: WindowKind.FILE, message: WindowKind.MESSAGE };

/** The windows of an engine beside the RAM that it was created with. */
export class Windows {
  readonly #files = new Map<number, WindowFile>();
  #engine: WindowsEngine | undefined;
  #messages = false;
  /** What a file window's functions have thrown last; the access has then failed. */
  failure: unknown;

  /** What the engine is instantiated with. */
  readonly imports: Pick<EngineImports, 'windowRead' | 'windowWrite'> = {
    windowRead: (first, offLo, offHi, ptr, length) => this.#file(first, offLo, offHi, ptr, length, false),
    windowWrite: (first, offLo, offHi, ptr, length) => this.#file(first, offLo, offHi, ptr, length, true),
  };

  attach(engine: WindowsEngine): void {
    this.#engine = engine;
  }

  #file(first: number, offLo: number, offHi: number, ptr: number, length: number, write: boolean): number {
    const file = this.#files.get(first >>> 0);
    if (file === undefined || this.#engine === undefined) return 1;
    const bytes = this.#engine.bytes.subarray(ptr >>> 0, (ptr >>> 0) + length);
    const offset = (offHi >>> 0) * 2 ** 32 + (offLo >>> 0);
    try {
      return (write ? file.write(offset, bytes) : file.read(offset, bytes)) ? 0 : 1;
    } catch (error) {
      // an exception must not cross the engine: its call would never end
      this.failure = error;
      return 1;
    }
  }

  /** Maps a window while the engine runs. Throws WINDOW_RANGE for one that overlaps another or lies where no RAM can. */
  map(options: WindowOptions): void {
    const engine = this.#engine as WindowsEngine;
    const readOnly = options.kind !== 'message' && options.readOnly === true;
    const offset = options.kind === 'linear' ? options.offset : 0;
    const status = engine.exports.windowMap(options.firstMfn, options.frames, offset, KINDS[options.kind], readOnly ? 1 : 0);
    if (status !== 0) {
      throw new PortcullisError('WINDOW_RANGE', `a ${options.kind} window of ${options.frames} frames at machine frame `
        + `${options.firstMfn} cannot be mapped: it overlaps another or what is never RAM, lies beyond the memory or `
        + 'frame 0xfffffff, or there are 16 windows already', { ...options, status });
    }
    if (options.kind === 'file') this.#files.set(options.firstMfn, options.file);
    if (options.kind === 'message') {
      this.#messages = true;
      this.functionsChanged();
    }
  }

  /** Takes up the windows that a restored state has: each lies where its host says now. */
  restore(windows: readonly WindowOptions[]): void {
    const engine = this.#engine as WindowsEngine;
    for (const window of windows) {
      for (let i = 1; i < Machine.WINDOWS; i++) {
        const record = State.WINDOW_TABLE + i * StateSize.WINDOW_RECORD;
        if (engine.word(record + WindowRecord.REACH) === 0) continue;
        if (engine.word(record + WindowRecord.FIRST_MFN) !== window.firstMfn) continue;
        engine.setWord(State.PLACEMENT + i * 4, window.kind === 'linear' ? window.offset : 0);
      }
      if (window.kind === 'file') this.#files.set(window.firstMfn, window.file);
      if (window.kind === 'message') this.#messages = true;
    }
  }

  /** Takes a window away; what lay in it is out of reach from now on. */
  unmap(firstMfn: number): void {
    if ((this.#engine as WindowsEngine).exports.windowUnmap(firstMfn) !== 0) {
      throw new PortcullisError('WINDOW_ABSENT', `no window begins at machine frame ${firstMfn}`, { firstMfn });
    }
    this.#files.delete(firstMfn);
  }

  /** With a message window, every function gets a journal if it has none: where its requests wait. */
  functionsChanged(): void {
    if (!this.#messages) return;
    const engine = this.#engine as WindowsEngine;
    for (let fn = 1; fn < Machine.FUNCTIONS; fn++) {
      const record = State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
      if (engine.word(record + FunctionRecord.MODEL) === 0 || engine.word(record + FunctionRecord.JOURNAL) !== 0) continue;
      const off = engine.heap.take(Journal.SIZE, 'a journal of DMA to message windows');
      engine.stateBytes(off, Journal.SIZE).fill(0);
      engine.setWord(record + FunctionRecord.JOURNAL, off);
    }
  }

  /** A function goes: its journal comes back. */
  functionLeaves(fn: number): void {
    const engine = this.#engine as WindowsEngine;
    const word = State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.JOURNAL;
    if (engine.word(word) !== 0) engine.heap.give(engine.word(word), Journal.SIZE);
    engine.setWord(word, 0);
  }

  /** Requests that wait for an answer, at most one of each function. */
  poll(): WindowRequest[] {
    const engine = this.#engine as WindowsEngine;
    const requests: WindowRequest[] = [];
    for (let fn = 1; fn < Machine.FUNCTIONS; fn++) {
      const off = engine.exports.windowRequest(fn) >>> 0;
      if (off === 0) continue;
      const journal = engine.word(State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.JOURNAL);
      const length = engine.word(off + JournalEntry.LEN);
      requests.push({
        fn, serial: engine.exports.windowRequestSerial(fn) >>> 0, window: engine.word(off + JournalEntry.WINDOW),
        offset: engine.word64(off + JournalEntry.OFFSET), length, write: engine.word(off + JournalEntry.WRITE) !== 0,
        bytes: engine.stateBytes(journal + engine.word(off + JournalEntry.DATA), length),
      });
    }
    return requests;
  }

  /**
   * Answers a request, once `bytes` of a read are filled in. False when the device has given it up in the meantime (it
   * was reset): then the answer goes nowhere. Call `service` afterwards.
   */
  answer(request: WindowRequest, done: boolean): boolean {
    return (this.#engine as WindowsEngine).exports.windowAnswer(request.fn, request.serial, done ? 0 : 1) === 0;
  }
}
