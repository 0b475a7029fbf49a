import { HostCall } from '../../assembly/spec/host';
import { Counter } from '../../assembly/spec/counters';
import { Machine } from '../../assembly/spec/machine';
import { State } from '../../assembly/spec/state';
import { Service, Status } from '../../assembly/spec/status';
import { PortcullisError } from '../errors';
import type { EngineExports, EngineImports } from './exports';
import type { Heap } from './heap';

/** A function whose device is in TypeScript, as the engine sees it. */
export interface HostFunction {
  /** The three that run inside an access. What they throw marks the device failed. */
  read(bar: number, off: number): number;
  write(bar: number, off: number, value: number, lanes: number): void;
  /** `kind` is a HostReset. */
  reset(kind: number): void;
  /** One step of deferred work: a Service, PENDING when something cannot be done now. Does not throw. */
  step(): number;
  fail(error: unknown): void;
}

/** What is needed of an engine here. */
interface HostEngine {
  readonly exports: EngineExports;
  readonly heap: Heap;
  word(off: number): number;
  word64(off: number): number;
  setWord(off: number, value: number): void;
}

/** Bytes of one DMA request of a device in TypeScript at most. */
export const HOST_DMA_MAX = 65536;
/** A device that asks for so many steps at one instant of virtual time is taken to run in circles. */
const STEPS_AT_ONCE = 1_000_000;

/** Exports whose answer is a value: within a handler, what an access gives that was not done. The others tell BUSY. */
const ANSWERS: ReadonlyMap<string, number> = new Map([
  ...['configRead', 'ecamRead', 'frameOwner', 'guestIn', 'guestInRepeat', 'guestLoad', 'guestLoadRepeat',
    'nextDeadline', 'portRead', 'registerRead'].map((name): [string, number] => [name, -1]),
  ...['barPageOff', 'dmaMap', 'driverPoll', 'driverSend', 'forwardRun', 'forwardStart', 'framePtr', 'frameRefs',
    'functionMessage', 'guestMapGet', 'intxLine', 'ioPageMapped', 'iovaTake', 'messagePop', 'receiveRun', 'tableFrameTake', 'windowRequest',
    'windowRequestSerial'].map((name): [string, number] => [name, 0]),
]);

/** The devices in TypeScript of one engine: calls their handlers, and does their work between calls of the engine. */
export class HostFunctions {
  readonly #functions = new Map<number, HostFunction>();
  readonly #steps = new Map<number, { now: number; count: number }>();
  #engine: HostEngine | undefined;
  #busy: EngineExports | undefined;
  #staging = 0;
  #depth = 0;
  #servicing = false;

  /** What the engine is instantiated with. */
  readonly imports: Pick<EngineImports, 'hostAccess'> = {
    hostAccess: (fn, call, bar, off, value, lanes) => this.#access(fn, call, bar, off, value, lanes),
  };

  attach(engine: HostEngine): void {
    this.#engine = engine;
  }

  /** Whether a handler is running, so that the engine is in the midst of an access. */
  get inHandler(): boolean {
    return this.#depth > 0;
  }

  /** Throws BUSY within a handler or a step of a device. */
  requireOutside(what: string): void {
    if (this.#depth === 0 && !this.#servicing) return;
    throw new PortcullisError('BUSY', `a device cannot ${what}: in a handler it may touch its registers and its `
      + 'interrupt level, schedule and ask for service; in service it may do DMA, too', { what });
  }

  /** Offset in the state of the bytes that DMA goes through. */
  get staging(): number {
    return this.#staging;
  }

  add(fn: number, device: HostFunction): void {
    const engine = this.#engine as HostEngine;
    if (this.#staging === 0) this.#staging = engine.heap.take(HOST_DMA_MAX, 'DMA of devices in TypeScript');
    this.#functions.set(fn, device);
  }

  remove(fn: number): void {
    this.#functions.delete(fn);
    this.#steps.delete(fn);
  }

  // nothing may be thrown from here: it would leave the engine in mid-access
  #access(fn: number, call: number, bar: number, off: number, value: number, lanes: number): number {
    const device = this.#functions.get(fn);
    if (device === undefined) return -1;
    this.#depth++;
    try {
      if (call === HostCall.READ) return device.read(bar, off >>> 0);
      if (call === HostCall.WRITE) device.write(bar, off >>> 0, value >>> 0, lanes >>> 0);
      else device.reset(value);
    } catch (error) {
      device.fail(error);
    } finally {
      this.#depth--;
    }
    return -1;
  }

  /** The exports as a handler sees them. */
  busyExports(exports: EngineExports): EngineExports {
    if (this.#busy !== undefined) return this.#busy;
    const busy: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(exports)) {
      if (typeof value !== 'function') continue;
      const answer = ANSWERS.get(name) ?? Status.BUSY;
      busy[name] = () => {
        (this.#engine as HostEngine).setWord(State.RESULT_STATUS, Status.BUSY);
        return answer;
      };
    }
    this.#busy = busy as unknown as EngineExports;
    return this.#busy;
  }

  /** The engine's work, and between its calls one step of each device here that has work, in turn. */
  service(now: number, budget: number): number {
    const engine = this.#engine as HostEngine;
    if (this.#depth > 0 || this.#servicing) return Status.BUSY;
    if (this.#functions.size === 0) return engine.exports.service(now, budget);
    this.#servicing = true;
    try {
      return this.#serve(engine, now, budget);
    } finally {
      this.#servicing = false;
    }
  }

  // A step is taken only when the engine itself has nothing left to do: so the order does not depend on the budget.
  #serve(engine: HostEngine, now: number, budget: number): number {
    const units = (): number => engine.word64(State.COUNTERS + Counter.SERVICE_UNITS * 8);
    const stalled = new Set<number>();
    let left = budget;
    for (;;) {
      const before = units();
      const debt = engine.word(State.DEBT);
      const status = engine.exports.service(now, left);
      if (status === Service.MORE) return status;
      const spent = units() - before;
      // something moved: who had to wait may try again
      if (spent > 0) stalled.clear();
      const fn = this.#next(engine, stalled);
      if (fn < 0) return this.#waiting(engine) ? Service.PENDING : status;
      left -= debt + spent;
      if (left <= 0) return Service.MORE;
      left -= this.#step(engine, fn, stalled, units);
      if (left > 0) continue;
      engine.setWord(State.DEBT, -left);
      return Service.MORE;
    }
  }

  /** One step of a function: the units that it cost, at least one. */
  #step(engine: HostEngine, fn: number, stalled: Set<number>, units: () => number): number {
    const word = fn < 32 ? State.HOST_WORK : State.HOST_WORK + 4;
    engine.setWord(word, engine.word(word) & ~(1 << (fn & 31)));
    engine.setWord(State.NEXT_HOST, (fn + 1) % Machine.FUNCTIONS);
    const device = this.#functions.get(fn);
    if (device === undefined) return 1;
    const before = units();
    const status = device.step();
    if (status === Service.PENDING) stalled.add(fn);
    else {
      stalled.clear();
      this.#count(engine, fn, device, status === Service.MORE);
    }
    return Math.max(1, units() - before);
  }

  #count(engine: HostEngine, fn: number, device: HostFunction, more: boolean): void {
    const now = engine.word64(State.NOW);
    const steps = this.#steps.get(fn);
    if (!more) this.#steps.delete(fn);
    else if (steps === undefined || steps.now !== now) this.#steps.set(fn, { now, count: 1 });
    else if (++steps.count > STEPS_AT_ONCE) {
      device.fail(new PortcullisError('DEVICE_LOOPS', `the device asked for ${STEPS_AT_ONCE} steps at one instant of `
        + 'virtual time; a device that waits uses schedule', { steps: STEPS_AT_ONCE, now }));
    }
  }

  #waiting(engine: HostEngine): boolean {
    return engine.word(State.HOST_WORK) !== 0 || engine.word(State.HOST_WORK + 4) !== 0;
  }

  /** Next function with work that is not stalled, -1 when there is none. */
  #next(engine: HostEngine, stalled: ReadonlySet<number>): number {
    const [low, high] = [engine.word(State.HOST_WORK), engine.word(State.HOST_WORK + 4)];
    if (low === 0 && high === 0) return -1;
    const first = engine.word(State.NEXT_HOST);
    for (let i = 0; i < Machine.FUNCTIONS; i++) {
      const fn = (first + i) % Machine.FUNCTIONS;
      const has = ((fn < 32 ? low >>> fn : high >>> (fn - 32)) & 1) !== 0;
      if (has && !stalled.has(fn)) return fn;
    }
    return -1;
  }
}
