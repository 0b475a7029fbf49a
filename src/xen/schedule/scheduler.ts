/**
 * Who runs when. Programs of domains and tools are tasks: generators that yield what they wait for. Kernels are
 * workers, whose handlers run to their end. Everything happens on one virtual clock and in the order of arrival, so two
 * runs are equal; time passes only when nobody can go on.
 */

import { PortcullisError } from '../../errors';

/** What a task waits for. It is resumed with true when that has come, with false when its time ran out. */
export interface Wait {
  /** Asked again after each turn; must be cheap and change nothing. Missing: only time is waited for. */
  readonly until?: () => boolean;
  /** Nanoseconds from now; missing: for ever. 0: let everyone else have a turn. */
  readonly timeout?: number;
}

/** `yield` waits, `return` is the result. What it calls by `yield*` waits with it. */
export type Task<T = void> = Generator<Wait, T, boolean>;

/** Handlers that run to their end: a kernel's interrupt handlers and work queues. */
export interface Worker {
  readonly domid: number;
  ready(): boolean;
  /** Must take away what made it ready. */
  work(): void;
}

/** The machine's virtual clock, in nanoseconds. */
export interface Time {
  now(): number;
  /** Lets devices and interrupts go on without time passing; whether something has happened. */
  settle(): boolean;
  /** When a device or a driver next wants to do something, Infinity when never. */
  nextDeadline(): number;
  /** Passes time up to `to`, not beyond. */
  advance(to: number): void;
}

export interface Job<T = unknown> {
  readonly name: string;
  readonly domid: number;
  readonly done: boolean;
  readonly result: T | undefined;
  /** What it threw. */
  readonly error: unknown;
}

interface Running extends Job {
  done: boolean;
  result: unknown;
  error: unknown;
  task: Task<unknown>;
  wait: Wait;
  deadline: number;
  /** It is being executed: further down on the stack. */
  active: boolean;
  onEnd: ((job: Job) => void) | undefined;
}

/** Turns in which no time passes; after them some does, so that who only spins keeps nobody from their time-outs. */
const TURNS = 200;
const SPIN_NS = 1_000_000;

export class Scheduler {
  readonly #time: Time;
  /** Whether a domain is held: its tasks wait, whatever has come meanwhile. */
  readonly #isHeld: (domid: number) => boolean;
  readonly #onFailed: (job: Job) => void;
  readonly #jobs: Running[] = [];
  readonly #workers: Array<{ worker: Worker; active: boolean }> = [];
  readonly #turns = new Map<number, number>();

  /** `onFailed` hears of a task that threw and that nobody waits for. */
  constructor(time: Time, isHeld: (domid: number) => boolean = () => false, onFailed: (job: Job) => void = () => undefined) {
    this.#time = time;
    this.#isHeld = isHeld;
    this.#onFailed = onFailed;
  }

  get now(): number {
    return this.#time.now();
  }

  addWorker(worker: Worker): void {
    this.#workers.push({ worker, active: false });
  }

  removeWorker(worker: Worker): void {
    const at = this.#workers.findIndex((one) => one.worker === worker);
    if (at >= 0) this.#workers.splice(at, 1);
  }

  /** Tasks that have not ended, of a domain or of all. */
  jobs(domid?: number): Job[] {
    return this.#jobs.filter((job) => domid === undefined || job.domid === domid);
  }

  /** How often code of a domain has run: its kernel's handlers, and its tasks. 0 again when the domain has ended. */
  turns(domid: number): number {
    return this.#turns.get(domid) ?? 0;
  }

  #count(domid: number): void {
    this.#turns.set(domid, this.turns(domid) + 1);
  }

  /** Starts a task at the next turn. `onEnd` is called when it is over, however that came. */
  spawn<T>(name: string, domid: number, task: Task<T>, onEnd?: (job: Job<T>) => void): Job<T> {
    const job: Running = {
      name, domid, task, done: false, result: undefined, error: undefined, wait: {}, deadline: this.now, active: false,
      onEnd: onEnd as ((job: Job) => void) | undefined,
    };
    this.#jobs.push(job);
    return job as Job<T>;
  }

  /** Ends the tasks of a domain where they stand; their `finally` runs, one that is further down on the stack later. */
  kill(domid: number): void {
    this.#turns.delete(domid);
    for (const job of this.#jobs.filter((one) => one.domid === domid)) {
      this.#remove(job);
      if (!job.active) job.task.return(undefined);
    }
  }

  /** Everyone who can go on does, once. Whether anyone did. */
  #turn(): boolean {
    let moved = this.#time.settle();
    for (const entry of [...this.#workers]) {
      if (entry.active || !this.#workers.includes(entry) || !entry.worker.ready()) continue;
      entry.active = true;
      this.#count(entry.worker.domid);
      try {
        entry.worker.work();
      } finally {
        entry.active = false;
      }
      moved = true;
    }
    for (const job of [...this.#jobs]) {
      if (job.done || job.active || !this.#jobs.includes(job) || this.#isHeld(job.domid)) continue;
      const came = job.wait.until?.() ?? false;
      if (!came && job.deadline > this.now) continue;
      this.#resume(job, came);
      moved = true;
    }
    return moved;
  }

  #resume(job: Running, came: boolean): void {
    job.active = true;
    this.#count(job.domid);
    try {
      const { done, value } = job.task.next(came);
      if (done === true) {
        job.done = true;
        job.result = value;
      } else {
        job.wait = value;
        job.deadline = value.timeout === undefined ? Infinity : this.now + Math.ceil(value.timeout);
      }
    } catch (error) {
      job.done = true;
      job.error = error;
    } finally {
      job.active = false;
    }
    if (!job.done) {
      // it was ended from further up on the stack
      if (!this.#jobs.includes(job)) job.task.return(undefined);
      return;
    }
    this.#remove(job);
    if (job.onEnd !== undefined) job.onEnd(job);
    else if (job.error !== undefined) this.#onFailed(job);
  }

  #remove(job: Running): void {
    const at = this.#jobs.indexOf(job);
    if (at >= 0) this.#jobs.splice(at, 1);
  }

  /**
   * Lets everyone go on until nobody can without time passing, or `until` is true. False when it did not come to that:
   * somebody goes on and on.
   */
  settle(until: () => boolean = () => false): boolean {
    for (let turn = 0; turn < TURNS; turn++) if (until() || !this.#turn()) return true;
    return false;
  }

  /** When somebody next wants to go on, Infinity when nobody does without an event. */
  nextDeadline(): number {
    const waiting = this.#jobs.filter(({ active, domid }) => !active && !this.#isHeld(domid));
    return Math.min(this.#time.nextDeadline(), ...waiting.map(({ deadline }) => deadline));
  }

  /**
   * Blocks whoever calls until the condition is true, or `timeout` nanoseconds have passed; tells which. Everyone but
   * those on the stack goes on meanwhile, and time passes as fast as it can.
   */
  wait(until: () => boolean, timeout = Infinity): boolean {
    const end = this.now + Math.ceil(timeout);
    for (;;) {
      const rests = this.settle(until);
      if (until()) return true;
      if (this.now >= end) return false;
      if (!rests) {
        this.#time.advance(Math.min(this.now + SPIN_NS, end));
        continue;
      }
      const next = Math.min(this.nextDeadline(), end);
      if (next === Infinity) {
        throw new PortcullisError('DEADLOCK', 'what is waited for cannot come: nobody has anything to do, and nothing is due');
      }
      this.#time.advance(Math.max(next, this.now));
    }
  }

  /** Runs a task to its end, time passing as it waits; throws what it throws. */
  run<T>(name: string, domid: number, task: Task<T>): T {
    const job = this.spawn(name, domid, task, () => undefined);
    this.wait(() => job.done || !this.#jobs.includes(job as Running));
    if (job.error !== undefined) throw job.error;
    return job.result as T;
  }

  /** Lets `ns` pass. */
  pass(ns: number): void {
    if (ns > 0) this.wait(() => false, ns);
    else this.settle();
  }
}
