import { HostDevice } from '../../../assembly/spec/host';
import {
  BarRecord, Cell, DevicePage, FunctionFlag, FunctionRecord, State, StateSize,
} from '../../../assembly/spec/state';
import { Service } from '../../../assembly/spec/status';
import { type Engine, type HostFunction, Random } from '../../engine/index';
import { PortcullisError } from '../../errors';
import { bdfOf, formatBdf } from '../../pci/bdf';
import type { AttachedFunction } from '../attach';
import type { DefinedDevice } from './define';
import { HostDma } from './dma';
import { plainCopy } from './plain';
import type { DmaStatus, RegisterDevice, ResetKind, SavedDevice, ServiceContext } from './types';

/** A device in TypeScript that has thrown. It answers ones from then on; the rest of the machine goes on. */
export interface DeviceFailure {
  /** Address, as `DDDD:BB:DD.F`. */
  readonly bdf: string;
  readonly model: string;
  /** Virtual time in ns. */
  readonly time: number;
  /** Code DEVICE_FAILED; its cause is what was thrown. */
  readonly error: PortcullisError;
}

/** A device in TypeScript, from outside. */
export interface HostDeviceHandle {
  readonly bdf: string;
  /** Its data now: a copy. */
  readonly state: unknown;
  /** Why it answers no more, undefined when it is in order. */
  readonly failure: DeviceFailure | undefined;
  /** A back end has something for it: `service` shall look. */
  requestService(): void;
}

export interface HostDeviceOptions {
  /** The machine's seed. */
  seed: number;
  onFailed?: ((failure: DeviceFailure) => void) | undefined;
}

const RESET_KINDS: readonly ResetKind[] = ['power-on', 'function', 'bus'];
const MESSAGES = FunctionFlag.MSI_ENABLE | FunctionFlag.MSIX_ENABLE;

/** Throws for what only an asynchronous function gives: it would go on when its call is over. */
function synchronous(result: unknown): void {
  if (typeof (result as { then?: unknown } | undefined)?.then !== 'function') return;
  throw new PortcullisError('DEVICE_ASYNC', 'a handler returned a promise; handlers are synchronous');
}

/** One device in TypeScript: its data, and its handlers between the engine and it. */
export class HostInstance implements HostFunction, HostDeviceHandle {
  readonly bdf: string;
  readonly definition: DefinedDevice;
  readonly #engine: Engine;
  readonly #fn: number;
  readonly #record: number;
  readonly #device: number;
  readonly #cells = new Map<string, number[]>();
  /** By BAR: offset of a dword to the register's name and half. */
  readonly #names: Array<Map<number, [string, 0 | 4]>> = [];
  readonly #random: Random;
  readonly #dma: HostDma;
  readonly #onFailed: HostDeviceOptions['onFailed'];
  readonly #face: RegisterDevice<unknown>;
  readonly #context: ServiceContext<unknown>;
  #state: unknown;
  #failure: DeviceFailure | undefined;
  #doing = 'power-on';
  /** Of the step that runs: whether there is one, and interrupts for when it is done. */
  #active = false;
  #messages: number[] = [];
  /** The deadline's handler was told to wait. Not saved: a snapshot is taken when nothing waits. */
  #deadlineWaits = false;
  #level: boolean | undefined;

  constructor(engine: Engine, attached: AttachedFunction, definition: DefinedDevice, options: HostDeviceOptions) {
    this.#engine = engine;
    this.#fn = attached.fn;
    this.definition = definition;
    this.bdf = formatBdf(bdfOf(attached.routing));
    this.#record = State.FUNCTION_TABLE + attached.fn * StateSize.FUNCTION_RECORD;
    this.#device = engine.word(this.#record + FunctionRecord.DEVICE);
    this.#random = new Random(options.seed ^ Math.imul(attached.routing, 0x9e3779b1));
    this.#onFailed = options.onFailed;
    this.#dma = new HostDma(engine, attached.fn);
    this.#state = plainCopy(definition.host.initial);
    for (const { bar, rows } of definition.registers) {
      const names = new Map<number, [string, 0 | 4]>();
      this.#names[bar] = names;
      for (const { name, off, bytes } of rows) {
        this.#cells.set(name, Array.from({ length: bytes / 4 }, (_, i) => this.#cellOff(bar, off + 4 * i)));
        names.set(off, [name, 0]);
        if (bytes === 8) names.set(off + 4, [name, 4]);
      }
    }
    this.#face = this.#makeFace();
    this.#context = this.#makeContext();
    engine.host.add(attached.fn, this);
    const { handlers } = definition.host;
    this.#guarded('reset at power-on', () => synchronous(handlers.reset?.(this.#face, 'power-on', this.#state)));
  }

  #cellOff(bar: number, off: number): number {
    const pages = this.#engine.word(this.#record + FunctionRecord.BARS + bar * BarRecord.SIZE_OF + BarRecord.PAGES);
    const page = pages + (off >>> 12) * StateSize.DEVICE_PAGE;
    const first = this.#engine.word(page + DevicePage.FIRST) & 0xffff;
    return this.#engine.word(page + DevicePage.CELLS) + (((off & 0xfff) >> 2) - first) * StateSize.CELL + Cell.VALUE;
  }

  get state(): unknown {
    return plainCopy(this.#state);
  }

  get failure(): DeviceFailure | undefined {
    return this.#failure;
  }

  requestService(): void {
    this.#face.requestService();
  }

  // ---- what handlers may touch

  #cell(name: string, half: number): number {
    const off = this.#cells.get(name)?.[half / 4];
    if (off === undefined) {
      const what = `register ${name}${half === 4 ? ' of eight bytes' : ''}`;
      throw new PortcullisError('NO_REGISTER', `${this.definition.model} has no ${what}`, { name, half });
    }
    return off;
  }

  #makeFace(): RegisterDevice<unknown> {
    const self = this;
    const engine = this.#engine;
    return {
      get state() { return self.#state; },
      get now() { return engine.now; },
      get random() { return self.#random; },
      get msiEnabled() { return (engine.word(self.#record + FunctionRecord.FLAGS) & MESSAGES) !== 0; },
      get: (register, half = 0) => engine.word(self.#cell(register, half)),
      set: (register, value, half = 0) => {
        if (self.#failure === undefined) engine.setWord(self.#cell(register, half), value);
      },
      getWide: (register) => {
        const [low, high] = [engine.word(self.#cell(register, 0)), engine.word(self.#cell(register, 4))];
        return BigInt(high) << 32n | BigInt(low);
      },
      intx: (level) => self.#intx(level),
      schedule: (timeNs) => self.#schedule(timeNs),
      requestService: () => self.#requestService(),
    };
  }

  #makeContext(): ServiceContext<unknown> {
    // the getters of the face must stay getters
    return Object.defineProperties({
      dmaRead: (busAddr: number | bigint, length: number) => this.#dma.read(busAddr, length, this.#dmaGate()),
      dmaWrite: (busAddr: number | bigint, bytes: ArrayLike<number>) => (
        this.#dma.write(busAddr, bytes, this.#dmaGate())),
      sendMsi: (vector = 0) => {
        if (!this.#context.msiEnabled) return false;
        if (this.#active) this.#messages.push(vector);
        return this.#active;
      },
    }, Object.getOwnPropertyDescriptors(this.#face)) as unknown as ServiceContext<unknown>;
  }

  #intx(level: boolean): void {
    if (this.#failure !== undefined) return;
    if (this.#active && !this.#engine.host.inHandler) this.#level = level;
    else this.#drive(level);
  }

  // within a handler the engine looks at the word when the handler is done
  #drive(level: boolean): void {
    this.#engine.setWord(this.#device + HostDevice.INTX, level ? 1 : 0);
    if (!this.#engine.host.inHandler) this.#engine.exports.functionIntx(this.#fn, level ? 1 : 0);
  }

  #schedule(timeNs: number | undefined): void {
    if (this.#failure !== undefined) return;
    if (timeNs !== undefined && !(Number.isSafeInteger(timeNs) && timeNs >= 0)) {
      throw new PortcullisError('DEVICE_TIME', `schedule(${timeNs}): a time is a whole number of ns from 0 on, or `
        + 'undefined', { timeNs });
    }
    this.#setDeadline(timeNs);
  }

  #setDeadline(timeNs: number | undefined): void {
    const off = this.#record + FunctionRecord.DEADLINE;
    if (timeNs !== undefined) return this.#engine.setWord64(off, timeNs);
    this.#engine.setWord(off, 0xffffffff);
    this.#engine.setWord(off + 4, 0xffffffff);
  }

  /** The scheduled time, undefined when there is none. */
  get #deadline(): number | undefined {
    const off = this.#record + FunctionRecord.DEADLINE;
    return this.#engine.word(off + 4) === 0xffffffff ? undefined : this.#engine.word64(off);
  }

  #requestService(): void {
    if (this.#failure !== undefined) return;
    if (!this.#engine.host.inHandler) return this.#engine.exports.requestService(this.#fn);
    const work = State.WORK + (this.#fn < 32 ? 0 : 4);
    this.#engine.setWord(work, this.#engine.word(work) | 1 << (this.#fn & 31));
    this.#engine.setWord(this.#device + HostDevice.REQUESTED, 1);
  }

  /** Answers for DMA that cannot be tried; undefined when it can. */
  #dmaGate(): DmaStatus | undefined {
    if (this.#failure !== undefined) return 'refused';
    return this.#active && !this.#engine.host.inHandler ? undefined : 'busy';
  }

  // ---- what the engine calls

  read(bar: number, off: number): number {
    const [name, half] = this.#names[bar]?.get(off) ?? ['', 0];
    this.#doing = `onRead of ${name}`;
    const value: unknown = this.definition.host.handlers.onRead?.(this.#face, name, half);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    synchronous(value);
    throw new PortcullisError('DEVICE_VALUE', `a read of ${name} gave ${String(value)}; it gives a number`, { name });
  }

  write(bar: number, off: number, value: number, lanes: number): void {
    const [name, half] = this.#names[bar]?.get(off) ?? ['', 0];
    this.#doing = `onWrite of ${name}`;
    synchronous(this.definition.host.handlers.onWrite?.(this.#face, name, value, lanes, half));
  }

  reset(kind: number): void {
    const before = this.#state;
    this.#doing = 'reset';
    this.#deadlineWaits = false;
    this.#state = plainCopy(this.definition.host.initial);
    synchronous(this.definition.host.handlers.reset?.(this.#face, RESET_KINDS[kind] ?? 'bus', before));
  }

  step(): number {
    if (this.#failure !== undefined) return Service.IDLE;
    const { handlers } = this.definition.host;
    const resumes = this.#deadlineWaits && this.#deadlineDue;
    this.#deadlineWaits = false;
    if (this.#wanted()) {
      // a deadline that was told to wait goes on first: its answers are asked for in the same order
      const waits = !resumes && this.#part('service', handlers.service?.bind(handlers));
      if (resumes || waits) this.#requestService();
      if (waits) return Service.PENDING;
    }
    if (this.#deadlineDue) {
      const deadline = this.#deadline;
      this.#setDeadline(undefined);
      this.#deadlineWaits = this.#part('deadline', handlers.deadline?.bind(handlers));
      // it is still to come, whatever the handler has scheduled before it was told to wait
      if (this.#deadlineWaits) this.#setDeadline(deadline);
      if (this.#deadlineWaits) return Service.PENDING;
    }
    return this.#engine.word(this.#device + HostDevice.REQUESTED) !== 0 ? Service.MORE : Service.IDLE;
  }

  get #deadlineDue(): boolean {
    const deadline = this.#deadline;
    return deadline !== undefined && deadline <= this.#engine.now;
  }

  /** Whether `service` is to be called: it was asked for, or Bus Master has come on, for which DMA may have waited. */
  #wanted(): boolean {
    const request = this.#device + HostDevice.REQUESTED;
    const before = this.#device + HostDevice.MASTER;
    const master = (this.#engine.word(this.#record + FunctionRecord.FLAGS) & FunctionFlag.BUS_MASTER) !== 0;
    const wanted = this.#engine.word(request) !== 0 || (master && this.#engine.word(before) === 0);
    this.#engine.setWord(request, 0);
    this.#engine.setWord(before, master ? 1 : 0);
    return wanted;
  }

  /** One handler with DMA; true when it has to be called again because DMA was told to wait. */
  #part(name: string, handler: ((context: ServiceContext<unknown>) => void) | undefined): boolean {
    if (handler === undefined || this.#failure !== undefined) return false;
    this.#active = true;
    this.#dma.pending = false;
    this.#messages = [];
    this.#level = undefined;
    const done = this.#guarded(name, () => synchronous(handler(this.#context)));
    this.#active = false;
    const waits = done && this.#dma.pending;
    if (done && !waits) {
      if (this.#level !== undefined) this.#drive(this.#level);
      for (const vector of this.#messages) this.#engine.exports.functionMessage(this.#fn, vector);
    }
    this.#engine.exports.functionStepDone(this.#fn);
    return waits;
  }

  #guarded(name: string, work: () => void): boolean {
    this.#doing = name;
    try {
      work();
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const text = cause instanceof Error ? cause.message : String(cause);
    this.#markFailed(`${this.definition.model} at ${this.bdf} has failed in ${this.#doing}: ${text}`, { cause });
    try {
      this.#onFailed?.(this.#failure as unknown as DeviceFailure);
    } catch {
      // the host's own mistake must not come up in the midst of an access; the failure itself is on record
    }
  }

  #markFailed(message: string, options?: { cause: unknown }): void {
    const { bdf, definition: { model } } = this;
    const error = new PortcullisError('DEVICE_FAILED', message, { bdf, model, doing: this.#doing }, options);
    this.#failure = Object.freeze({ bdf, model, time: this.#engine.now, error });
    this.#engine.setWord(this.#device + HostDevice.FAILED, 1);
    // within a handler the engine sees the word when the handler is done
    if (!this.#engine.host.inHandler) this.#engine.exports.functionFail(this.#fn);
  }

  // ---- saving

  /** All that is not in the engine's memory. Throws NOT_PLAIN when the device has put something else into its state. */
  save(): SavedDevice {
    const { model, host: { version, handlers } } = this.definition;
    return {
      model, version, state: plainCopy(handlers.save ? handlers.save(this.#state) : this.#state),
      random: this.#random.state, failed: this.#failure?.error.message ?? null,
    };
  }

  /** Checks what was saved, and gives the function that puts it in place: nothing changes before all is checked. */
  prepareLoad(saved: SavedDevice): () => void {
    const { model, host: { version, handlers } } = this.definition;
    const bad = (why: string): never => {
      throw new PortcullisError('DEVICE_STATE', `the saved state of ${this.bdf} ${why}`, { bdf: this.bdf, model });
    };
    if (saved.model !== model) bad(`is of a "${saved.model}", and a "${model}" is there`);
    if (saved.version !== version && !handlers.load) {
      bad(`has version ${saved.version}; ${model} has version ${version} and no load that reads others`);
    }
    const words = saved.random;
    const isWord = (word: number): boolean => Number.isInteger(word) && word >= 0 && word < 2 ** 32;
    if (!Array.isArray(words) || words.length !== 4 || !words.every(isWord)) bad('has no four words of randomness');
    if (saved.failed === null && this.#engine.word(this.#device + HostDevice.FAILED) !== 0) {
      bad('is of a device in order, but the one there has failed; the engine\'s memory is to be restored first');
    }
    const state = handlers.load ? handlers.load(plainCopy(saved.state), saved.version) : plainCopy(saved.state);
    return () => {
      this.#state = state;
      this.#random.state = words;
      this.#failure = undefined;
      if (saved.failed !== null) this.#markFailed(saved.failed);
    };
  }
}
