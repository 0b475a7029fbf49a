/**
 * The requests that a running machine answers, as plain JSON in and out. They are served one at a time in the order of
 * their arrival, each as a task on the machine's scheduler, so that what a request does depends on nothing but the
 * machine's state; `events` has when each came, in the machine's time.
 */

import { PortcullisError } from '../errors';
import type { Job, Task } from '../xen/schedule/scheduler';
import { type Aftermath, type Pace, PacedClock, type Surroundings } from './control/pace';
import type { ControlParts } from './control/parts';
import { type Json, REQUESTS, readRequest } from './control/requests';

export interface ControlOptions {
  /** `fast` unless told. */
  readonly time?: Pace;
  readonly around: Surroundings;
  /** Called with what went wrong while no request was being served. */
  readonly onError?: (error: unknown) => void;
}

/** A request as it came: `at` is the machine's time in ns. */
export interface ControlEvent {
  readonly at: number;
  readonly method: string;
  readonly params: Json;
}

interface Waiting {
  readonly method: string;
  readonly params: Json;
  readonly task: () => Task<Json>;
  readonly resolve: (result: Json) => void;
  readonly reject: (error: unknown) => void;
  /** Machine's time at which it is given up, ns. */
  limit: number;
}

export interface Pending {
  readonly result: Promise<Json>;
  /** Whoever asked has gone: it is given up if it goes on for long. */
  abandon(): void;
}

/** Requests that may wait; one more is refused. */
const QUEUE_MAX = 256;
/** Events that are kept, and characters of them as JSON; the oldest go first. */
const EVENTS_MAX = 4096;
const EVENTS_LENGTH_MAX = 16 << 20;
const SECOND = 1e9;
/** The most of the machine's time that a request can take, and once nobody waits for its answer. */
const LONGEST = 3600 * SECOND;
const ABANDONED = 60 * SECOND;

export class MachineControl {
  readonly #parts: ControlParts;
  readonly #clock: PacedClock;
  readonly #onError: (error: unknown) => void;
  readonly #queue: Waiting[] = [];
  readonly #events: ControlEvent[] = [];
  #eventsLength = 0;
  readonly #ended: Promise<void>;
  #aftermath: Aftermath;
  #served = 0;
  #closed = false;

  constructor(parts: ControlParts, { time = 'fast', around, onError = () => undefined }: ControlOptions) {
    this.#parts = parts;
    this.#clock = new PacedClock(parts.scheduler, time, around);
    this.#onError = onError;
    this.#aftermath = this.#clock.aftermath();
    this.#ended = this.#run();
  }

  /** The requests that have come, oldest first. */
  get events(): readonly ControlEvent[] {
    return this.#events;
  }

  /** Requests that have been answered. */
  get served(): number {
    return this.#served;
  }

  /**
   * Asks the machine. The result is rejected with a PortcullisError: UNKNOWN_METHOD, BAD_PARAMS, BUSY, STOPPED, STALLED,
   * or what the request itself came to.
   */
  request(method: string, params: Json = {}): Pending {
    let waiting: Waiting | undefined;
    const result = new Promise<Json>((resolve, reject) => {
      const task = readRequest(method, params, this.#parts);
      if (this.#closed) throw new PortcullisError('STOPPED', 'the machine has been stopped');
      if (this.#queue.length >= QUEUE_MAX) {
        throw new PortcullisError('BUSY', `${QUEUE_MAX} requests wait already; ask again later`, { waiting: QUEUE_MAX });
      }
      waiting = { method, params, task, resolve, reject, limit: LONGEST };
      this.#queue.push(waiting);
      this.#clock.wake();
    });
    return { result, abandon: () => { if (waiting !== undefined) waiting.limit = ABANDONED; } };
  }

  /** The store has been used from outside: let those who watch it go on. */
  poke(): void {
    this.#aftermath = this.#clock.aftermath();
    this.#clock.wake();
  }

  /** Ends what is being served where it stands, refuses what waits, and resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#queue.splice(0)) reject(new PortcullisError('STOPPED', 'the machine has been stopped'));
    this.#clock.wake();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const request = this.#queue.shift();
      if (request !== undefined) {
        await this.#serve(request);
        this.#aftermath = this.#clock.aftermath();
        continue;
      }
      await this.#clock.rest(this.#guarded(() => this.#clock.idle(this.#aftermath)) ?? Infinity);
    }
  }

  /** What goes wrong here is no request's. */
  #guarded<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  #keep(event: ControlEvent): void {
    const lengthOf = ({ params }: ControlEvent): number => JSON.stringify(params)?.length ?? 0;
    this.#events.push(event);
    this.#eventsLength += lengthOf(event);
    while (this.#events.length > EVENTS_MAX || this.#eventsLength > EVENTS_LENGTH_MAX) {
      this.#eventsLength -= lengthOf(this.#events.shift() as ControlEvent);
    }
  }

  async #serve(request: Waiting): Promise<void> {
    const { scheduler } = this.#parts;
    const { method, params, resolve, reject } = request;
    this.#guarded(() => this.#clock.arrive());
    const from = scheduler.now;
    this.#keep({ at: from, method, params });
    let given: PortcullisError | undefined;
    const job: Job<Json> = scheduler.spawn(method, 0, untilGiven(request.task(), () => given), () => undefined);
    try {
      while (!job.done && scheduler.jobs(0).includes(job)) {
        const ms = this.#clock.step();
        if (job.done) break;
        if (this.#closed) given = new PortcullisError('STOPPED', 'the machine has been stopped');
        else if (ms === Infinity) given = stalled(method);
        else if (scheduler.now - from > request.limit) given = tooLong(method, request.limit);
        await this.#clock.rest(given === undefined ? ms : 0);
      }
      if (job.error !== undefined) throw job.error;
      if (!job.done) throw new PortcullisError('KILLED', `${method} was ended by the machine before it was done`);
      resolve(job.result as Json);
    } catch (error) {
      reject(error);
    }
    this.#served++;
  }
}

/** A task that can be ended where it waits: `given` tells why. */
function* untilGiven<T>(task: Task<T>, given: () => PortcullisError | undefined): Task<T> {
  let came = false;
  try {
    for (;;) {
      const { done, value } = task.next(came);
      if (done === true) return value;
      came = yield { ...value, until: () => given() !== undefined || (value.until?.() ?? false) };
      const why = given();
      if (why !== undefined) throw why;
    }
  } finally {
    task.return(undefined as T);
  }
}

function stalled(method: string): PortcullisError {
  return new PortcullisError('STALLED', `${method} waits for something that cannot come: nobody in the machine has anything `
    + 'to do, and nothing is due', { method });
}

function tooLong(method: string, limit: number): PortcullisError {
  return new PortcullisError('TOO_LONG', `${method} was given up after ${limit / SECOND} s of the machine's time`, { method });
}

/** The methods that there are. */
export const CONTROL_METHODS: readonly string[] = Object.keys(REQUESTS);
