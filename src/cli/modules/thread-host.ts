/**
 * Users' modules in threads of Node. A module is held back from the machine by having nothing but its calls; from the files
 * and the network of who runs the server it is not: it is that user's own program. It has a limited heap, no environment,
 * and so much time of the wall between two calls.
 */

import { Worker } from 'node:worker_threads';
import type { ModuleAbout, ModuleHost, ModuleThread } from '../../index';
import { moduleMain, type ThreadData, TURN } from './module-main';

export interface ThreadOptions {
  /** Milliseconds that a module may compute without a call; what it uses of them comes back by a little with each call. */
  readonly budget?: number;
  /** Milliseconds until its thread has come up. */
  readonly startUp?: number;
}

/** Long enough for a thread to be let run on a busy machine. */
const BUDGET = 5_000;
/** What a call gives back of it: one that computes long before each call keeps the machine waiting, and is ended. */
const PER_CALL = 50;
const START_UP = 60_000;
const MESSAGE_MAX = 256 << 10;
const HEADER = 8;
const LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16, codeRangeSizeMb: 16, stackSizeMb: 4 };
const PROGRAM = `(${moduleMain.toString()})(require('node:worker_threads').workerData)`;

class Thread implements ModuleThread {
  readonly #budget: number;
  readonly #worker: Worker;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #patience: number;
  #isUp = false;

  constructor(text: string, about: ModuleAbout, { budget = BUDGET, startUp = START_UP }: ThreadOptions) {
    this.#budget = budget;
    this.#patience = startUp;
    const shared = new SharedArrayBuffer(HEADER + MESSAGE_MAX);
    this.#words = new Int32Array(shared, 0, 2);
    this.#bytes = new Uint8Array(shared, HEADER);
    const url = `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`;
    const workerData: ThreadData = { shared, url, about };
    this.#worker = new Worker(PROGRAM, {
      eval: true, workerData, env: {}, argv: [], execArgv: [], stdin: false, stdout: true, stderr: true, resourceLimits: LIMITS,
    });
    // what it says there, and how it ends, is nobody's: silence is what ends its domain
    this.#worker.on('error', () => undefined);
    this.#worker.stdout.resume();
    this.#worker.stderr.resume();
    this.#worker.unref();
  }

  next(): ReturnType<ModuleThread['next']> {
    const start = performance.now();
    const limit = start + this.#patience;
    while (Atomics.load(this.#words, 0) !== TURN.machine) {
      const left = limit - performance.now();
      if (left <= 0) {
        return { dead: `it made no call for ${Math.round(this.#patience)} ms: it runs in circles, is out of memory, has left, or waits for what is no call` };
      }
      Atomics.wait(this.#words, 0, TURN.module, left);
    }
    this.#patience = this.#isUp ? Math.min(this.#budget, this.#patience - (performance.now() - start) + PER_CALL) : this.#budget;
    this.#isUp = true;
    const length = this.#words[1] as number;
    if (length < 0 || length > MESSAGE_MAX) return { dead: 'what it sends is no call' };
    return { call: new TextDecoder().decode(this.#bytes.slice(0, length)) };
  }

  answer(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.#bytes.set(bytes);
    this.#words[1] = bytes.length;
    Atomics.store(this.#words, 0, TURN.module);
    Atomics.notify(this.#words, 0);
  }

  end(): void {
    void this.#worker.terminate();
  }
}

export function threadHost(options: ThreadOptions = {}): ModuleHost {
  return { messageMax: MESSAGE_MAX, start: (text, about) => new Thread(text, about, options) };
}
