import { Counter } from '../../assembly/spec/counters';
import { State } from '../../assembly/spec/state';
import { Service } from '../../assembly/spec/status';

/** What is needed of an engine here. */
interface BackendsEngine {
  word64(off: number): number;
}

/** Work of the host's behind a device: takes what the device asks for, gives answers back. True: the device can go on. */
export type Pump = () => boolean;

/** Back ends of devices in the engine: they are served between two calls of it, when it has nothing left to do itself. */
export class Backends {
  readonly #pumps = new Map<number, Pump>();
  #pumping = false;

  add(fn: number, pump: Pump): void {
    this.#pumps.set(fn, pump);
  }

  remove(fn: number): void {
    this.#pumps.delete(fn);
  }

  /** `service` of the engine with its back ends. What they do depends on no budget. */
  service(engine: BackendsEngine, now: number, budget: number, work: (now: number, budget: number) => number): number {
    if (this.#pumps.size === 0 || this.#pumping) return work(now, budget);
    const units = (): number => engine.word64(State.COUNTERS + Counter.SERVICE_UNITS * 8);
    let left = budget;
    for (;;) {
      const before = units();
      const status = work(now, left);
      if (status !== Service.IDLE && status !== Service.PENDING) return status;
      left -= units() - before;
      if (!this.#pump()) return status;
      if (left <= 0) return Service.MORE;
    }
  }

  #pump(): boolean {
    this.#pumping = true;
    try {
      let moved = false;
      for (const pump of this.#pumps.values()) if (pump()) moved = true;
      return moved;
    } finally {
      this.#pumping = false;
    }
  }
}
