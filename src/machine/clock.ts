import type { DriverTimer } from '../drivers/guest';
import type { Engine } from '../engine/index';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import type { Time } from '../xen/schedule/scheduler';

/** Virtual time of a machine: deferred work, interrupts and driver timers, in that order at each instant. */
export class MachineClock implements Time {
  readonly #engine: Engine;
  readonly #hypervisor: Hypervisor;
  readonly #timers: () => readonly DriverTimer[];

  /** `timers`: those of the drivers in the domains that there are. */
  constructor(engine: Engine, hypervisor: Hypervisor, timers: () => readonly DriverTimer[]) {
    this.#engine = engine;
    this.#hypervisor = hypervisor;
    this.#timers = timers;
  }

  now(): number {
    return this.#engine.now;
  }

  settle(): boolean {
    const { now } = this.#engine;
    this.#serve(now);
    const { delivered, spurious } = this.#hypervisor.deliverInterrupts();
    let moved = delivered + spurious > 0;
    for (const timer of this.#timers()) {
      const due = timer.deadline();
      if (due > now) continue;
      timer.fire();
      // one that stays due has no more to do now
      if (timer.deadline() !== due) moved = true;
    }
    return moved;
  }

  /** What is due already and was not done waits for something else than time. */
  nextDeadline(): number {
    const deadline = this.#deadline();
    return deadline > this.#engine.now ? deadline : Infinity;
  }

  advance(to: number): void {
    const engine = this.#engine;
    for (;;) {
      this.#serve(engine.now);
      this.#hypervisor.deliverInterrupts();
      for (const timer of this.#timers()) if (timer.deadline() <= engine.now) timer.fire();
      const deadline = this.#deadline();
      if (deadline > to || deadline <= engine.now) break;
      engine.service(deadline, 0);
    }
    this.#serve(to);
    this.#hypervisor.deliverInterrupts();
  }

  #deadline(): number {
    const device = this.#engine.exports.nextDeadline();
    return Math.min(device < 0 ? Infinity : device, ...this.#timers().map((timer) => timer.deadline()));
  }

  /** Deferred work until none is left, or until a lossless trace is full and wants to be drained. */
  #serve(now: number): void {
    const engine = this.#engine;
    while (engine.service(now, 0x7fffffff) === 1 && !engine.trace.full) { /* more */ }
  }
}
