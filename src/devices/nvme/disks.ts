import { NvmeAnswer, NvmeRequest, NvmeState, Storage } from '../../../assembly/spec/nvme';
import { FunctionRecord, Model, State, StateSize } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';
import { PortcullisError } from '../../errors';

/** What a controller asks of the back end of a namespace. Offsets and lengths are in bytes, whole blocks. */
export type DiskRequest =
  | { readonly op: 'read'; readonly offset: number; /** To be filled. */ readonly bytes: Uint8Array }
  | { readonly op: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  /** All that was written before is to outlast a loss of power. */
  | { readonly op: 'flush' }
  /** The range reads as zeros from now on. */
  | { readonly op: 'zero'; readonly offset: number; readonly length: number };

/** A back end: takes one request at a time, and calls `complete` when it is done, at once or at any time later. */
export interface DiskBackend {
  /** Throwing is failing. */
  submit(request: DiskRequest, complete: (done: boolean) => void): void;
}

/** The back ends of a controller's namespaces that are not in RAM. */
export class NvmeDisks {
  readonly #engine: Engine;
  readonly #fn: number;
  readonly #off: number;
  readonly #backends: ReadonlyMap<number, DiskBackend>;
  /** Request that a back end has, and whether and how it has answered. */
  #serial: number | undefined;
  #answer: { serial: number; done: boolean; bytes?: Uint8Array | undefined } | undefined;
  /** What a back end has thrown last. */
  failure: unknown;

  /** `backends` by namespace id, from 1 on. The engine's `service` serves them from now on. */
  constructor(engine: Engine, fn: number, backends: ReadonlyMap<number, DiskBackend>) {
    const record = State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
    if (engine.word(record + FunctionRecord.MODEL) !== Model.NVME) {
      throw new PortcullisError('NO_NVME', `function ${fn} is no NVMe controller`, { fn });
    }
    this.#engine = engine;
    this.#fn = fn;
    this.#off = engine.word(record + FunctionRecord.DEVICE);
    this.#backends = backends;
    engine.backends.add(fn, () => this.#pump());
  }

  #word(word: number): number {
    return this.#engine.word(this.#off + NvmeState.STORAGE + word);
  }

  /** Passes a new request on, and an answer back. True when the controller can go on. */
  #pump(): boolean {
    if (this.#word(Storage.ANSWER) !== NvmeAnswer.ASKED) return false;
    const serial = this.#word(Storage.SERIAL);
    if (this.#serial !== serial) {
      this.#serial = serial;
      this.#submit(serial);
    }
    const answer = this.#answer;
    if (answer?.serial !== serial) return false;
    this.#answer = undefined;
    if (answer.bytes !== undefined) {
      this.#engine.stateBytes(this.#off + this.#word(Storage.DATA), answer.bytes.length).set(answer.bytes);
    }
    this.#engine.setWord(this.#off + NvmeState.STORAGE + Storage.ANSWER, answer.done ? NvmeAnswer.DONE : NvmeAnswer.FAILED);
    this.#engine.exports.requestService(this.#fn);
    return true;
  }

  #submit(serial: number): void {
    const request = this.#request();
    const complete = (done: boolean): void => {
      // only the first answer to the request that is under way counts
      if (this.#serial !== serial || this.#answer?.serial === serial) return;
      this.#answer = { serial, done, bytes: done && request.op === 'read' ? request.bytes : undefined };
    };
    const backend = this.#backends.get(this.#word(Storage.NAMESPACE));
    if (backend === undefined) return complete(false);
    try {
      backend.submit(request, complete);
    } catch (error) {
      this.failure = error;
      complete(false);
    }
  }

  #request(): DiskRequest {
    const offset = this.#engine.word64(this.#off + NvmeState.STORAGE + Storage.OFFSET);
    const length = this.#word(Storage.LENGTH);
    switch (this.#word(Storage.OP)) {
      case NvmeRequest.READ: return { op: 'read', offset, bytes: new Uint8Array(length) };
      case NvmeRequest.WRITE:
        return { op: 'write', offset, bytes: this.#engine.stateBytes(this.#off + this.#word(Storage.DATA), length).slice() };
      case NvmeRequest.ZERO: return { op: 'zero', offset, length };
      default: return { op: 'flush' };
    }
  }
}
