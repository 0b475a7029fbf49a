/**
 * How a served machine's clock goes. `fast`: time passes as fast as it can while somebody waits for something, and stands
 * still otherwise. `real`: it goes with the wall. Between two steps the event loop has a turn, so that clients of the
 * store and of the control socket can act while a tool waits.
 */

import type { Scheduler } from '../../xen/schedule/scheduler';

export type Pace = 'fast' | 'real';

/** The clock and the event loop of whoever runs the machine. */
export interface Surroundings {
  /** Milliseconds of the wall's clock. */
  wall(): number;
  /** Calls back after so many milliseconds, 0: after a turn of the event loop; the result calls it off. */
  later(ms: number, told: () => void): () => void;
}

const MS = 1e6;
/** With `real`, the most that passes between two turns of the event loop. */
const SLICE = 10 * MS;
/** A machine that is slower than the wall does not run after it for longer than this. */
const BEHIND = 250 * MS;
/** With `fast`, what may still happen when a request has been answered: all of it within this time ... */
const AFTERMATH = 1000 * MS;
/** ... and what the tools of the first domain do in the background within this. */
const BACKGROUND = 60_000 * MS;

export class PacedClock {
  readonly #scheduler: Scheduler;
  readonly #pace: Pace;
  readonly #around: Surroundings;
  /** A moment of the wall's clock in ms, and the machine's time then in ns. */
  #anchor: { wall: number; machine: number };
  #wake: (() => void) | undefined;

  constructor(scheduler: Scheduler, pace: Pace, around: Surroundings) {
    this.#scheduler = scheduler;
    this.#pace = pace;
    this.#around = around;
    this.#anchor = { wall: around.wall(), machine: scheduler.now };
  }

  /**
   * One step of a wait: time goes on to whatever is due next. Tells how many milliseconds of the wall nothing will be due
   * after that: 0 when it is the next one's turn at once, Infinity when nothing is due at all.
   */
  step(): number {
    const { now } = this.#scheduler;
    if (this.#pace === 'real') return this.#follow();
    const next = this.#scheduler.nextDeadline();
    this.#scheduler.pass(next === Infinity ? 0 : Math.max(0, next - now));
    return this.#scheduler.nextDeadline() === Infinity ? Infinity : 0;
  }

  /** Before something that comes from outside: the time at which it comes. */
  arrive(): void {
    if (this.#pace === 'real') this.#follow();
  }

  #follow(): number {
    const behind = this.#behind();
    // Time in which nothing is due passes at once.
    const quiet = this.#scheduler.nextDeadline() - this.#scheduler.now;
    this.#scheduler.pass(Math.max(0, Math.min(behind, Math.max(SLICE, quiet))));
    const left = this.#behind();
    // Kernels that wait for one another take their time at once; then the wall catches up from here.
    if (left < 0 || left > BEHIND) this.#anchor = { wall: this.#around.wall(), machine: this.#scheduler.now };
    if (left > SLICE) return 0;
    return Math.max(0, (this.#scheduler.nextDeadline() - this.#scheduler.now) / MS);
  }

  /** How far the machine is behind the wall, in whole nanoseconds, as its clock counts; negative when it is ahead. */
  #behind(): number {
    const { wall, machine } = this.#anchor;
    return Math.floor(machine + (this.#around.wall() - wall) * MS - this.#scheduler.now);
  }

  /** Until when things go on after a request that has been answered now. */
  aftermath(): Aftermath {
    const from = this.#scheduler.now;
    return { until: from + AFTERMATH, background: from + BACKGROUND };
  }

  /** A step when no request waits; as `step`, with Infinity once time is to stand still. */
  idle({ until, background }: Aftermath): number {
    if (this.#pace === 'real') return this.#follow();
    const next = this.#scheduler.nextDeadline();
    const waits = this.#scheduler.jobs(0).length > 0;
    if (next > (waits ? background : until)) {
      this.#scheduler.settle();
      return Infinity;
    }
    return this.step();
  }

  /** Resolves after so many milliseconds, or when `wake` is called; at least a turn of the event loop later. */
  async rest(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      // Longer would not fit a timer.
      const cancel = ms === Infinity ? () => undefined : this.#around.later(Math.min(ms, 60_000), resolve);
      this.#wake = () => {
        cancel();
        this.#around.later(0, resolve);
      };
    });
    this.#wake = undefined;
  }

  /** Something has come from outside. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

export interface Aftermath {
  /** In the machine's time, ns. */
  readonly until: number;
  readonly background: number;
}
