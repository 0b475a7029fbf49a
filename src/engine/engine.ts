import { WindowKind } from '../../assembly/spec/machine';
import { Abi, FrameKind, Message, State } from '../../assembly/spec/state';
import { PortcullisError } from '../errors';
import { Backends } from './backends';
import { COUNTER_NAMES, type Counters } from './counters';
import { type EngineExports, instantiate } from './exports';
import { hashBytes } from './hash';
import { type FreeRun, Heap } from './heap';
import { HostFunctions } from './host';
import { DEFAULT_CACHES, type CacheGeometry, type LayoutOptions, type Measure, layOut } from './layout';
import {
  SNAPSHOT_SCHEMA, type EngineSnapshot, checkSnapshot, engineHash, lentWindows, matchWindows, packPages,
  requireNothingPending, unpackPages,
} from './snapshot';
import { EventTrace } from './trace';
import { type WindowOptions, Windows } from './windows';

/** Where an engine is put. */
export interface EngineHost {
  /** The host's memory, shared or not; without one the engine makes its own, not shared. */
  memory?: WebAssembly.Memory;
  /** Byte offsets in that memory of the state and of RAM; both are zeroed. By default the state is at 64 KiB. */
  state?: number;
  ram?: number;
  /** For `restore`: the windows beside RAM that the snapshot was taken with. */
  windows?: readonly WindowOptions[];
}

export interface EngineOptions extends Omit<EngineHost, 'windows'> {
  /** Frames of RAM (4 KiB each), from machine frame 0 on. */
  frames: number;
  /** Domains at a time (default 8). */
  domains?: number;
  /** Hypervisor frames kept for IOMMU tables, taken from the top of RAM (default 512; 0 without an IOMMU). */
  tableFrames?: number;
  /** Bytes for config spaces, registers, devices, links and drivers (default 4 MiB). */
  heapBytes?: number;
  /** Frames of grant table a domain (default 8), and mappings of others' grants that it may have (default 512). */
  grantFrames?: number;
  grantMappings?: number;
  caches?: Partial<CacheGeometry>;
}

/** An interrupt message that the host has polled. */
export interface InterruptMessage {
  /** Requester id of the sender; 0xFFFF for the IOMMU's own events. */
  requester: number;
  /** Index in the remap table, undefined for a message that was not remapped. */
  handle: number | undefined;
  vector: number;
  delivery: number;
  destination: number;
  data: number;
}

const PAGE = 4096;
const WASM_PAGE = 65536;

function withDefaults(options: EngineOptions): LayoutOptions {
  const caches = { ...DEFAULT_CACHES, ...options.caches };
  // an IOTLB smaller than the default's ways is fully associative too
  if (options.caches?.ways === undefined) caches.ways = caches.entries;
  return {
    frames: options.frames,
    domains: options.domains ?? 8,
    tableFrames: options.tableFrames ?? 512,
    heapBytes: options.heapBytes ?? 4 << 20,
    grantFrames: options.grantFrames ?? 8,
    grantMappings: options.grantMappings ?? 512,
    caches,
  };
}

/**
 * One engine on one memory. It owns views on that memory and the heap of its state; everything that a guest or a
 * device can do goes through `exports`, whose functions take and give integers only.
 */
export class Engine {
  readonly #exports: EngineExports;
  readonly memory: WebAssembly.Memory;
  /** Byte offset of the state, and of machine frame 0. */
  readonly base: number;
  readonly ram: number;
  readonly frames: number;
  readonly heap: Heap;
  readonly options: LayoutOptions;
  readonly stateSize: number;
  /** Devices in TypeScript. */
  readonly host: HostFunctions;
  /** RAM beyond what the engine was created with. */
  readonly windows: Windows;
  /** What is behind devices of the engine. */
  readonly backends = new Backends();
  readonly trace: EventTrace;
  #view: DataView;
  #bytes: Uint8Array;

  private constructor(exports: EngineExports, windows: Windows, host: HostFunctions, place: Place,
    options: LayoutOptions, heapFree?: FreeRun[]) {
    this.#exports = exports;
    this.memory = place.memory;
    this.base = place.base;
    this.ram = place.ram;
    this.frames = options.frames;
    this.options = options;
    this.stateSize = place.stateSize;
    this.#view = new DataView(this.memory.buffer);
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.windows = windows;
    this.host = host;
    windows.attach(this);
    host.attach(this);
    this.trace = new EventTrace(this);
    this.heap = new Heap(this.word(State.POOL_HEAP), options.heapBytes, heapFree);
  }

  /** Sizes that these options need, for a host that gives the memory. */
  static async measure(options: EngineOptions): Promise<Measure> {
    const exports = await instantiate(new WebAssembly.Memory({ initial: 0 }));
    const { size } = layOut(withDefaults(options), exports.cacheBytes);
    return { state: { size, align: 16 }, ram: { size: options.frames * PAGE, align: 8 } };
  }

  /**
   * Makes an engine. Throws ENGINE_OPTION for an option out of range, ENGINE_MEMORY when the host's memory is too
   * small for the offsets given or the system has not enough.
   */
  static async create(options: EngineOptions): Promise<Engine> {
    const layoutOptions = withDefaults(options);
    const place = takePlace(options, (await Engine.measure(options)).state.size, options.frames);
    const windows = new Windows();
    const host = new HostFunctions();
    const exports = await instantiate(place.memory, { ...windows.imports, ...host.imports });
    clear(place, options.frames);
    layOut(layoutOptions, exports.cacheBytes).write(new DataView(place.memory.buffer), place.base);
    open(exports, place);
    const { entries, ways, pwc2m, pwc1g, pwc512g, contexts } = layoutOptions.caches;
    exports.setup(entries, ways, pwc2m, pwc1g, pwc512g, contexts);
    const engine = new Engine(exports, windows, host, place, layoutOptions);
    engine.#setFrames(layoutOptions.tableFrames);
    return engine;
  }

  /**
   * Everything but where in memory it lies, at a safe point: no thread is in the engine (ENGINE_BUSY), no device waits
   * for a message window (SNAPSHOT_PENDING). Windows beside RAM are the host's, and not in it.
   */
  save(): EngineSnapshot {
    return this.hold(() => {
      const word = (off: number): number => this.word(off);
      requireNothingPending(word);
      const state = this.slice();
      const { pages, bytes } = packPages(this.bytes.subarray(this.ram, this.ram + this.frames * PAGE));
      return {
        state, ram: bytes,
        document: {
          schemaVersion: SNAPSHOT_SCHEMA, abiVersion: Abi.VERSION, engineHash: engineHash(), options: this.options,
          stateHash: hashBytes(state), ramHash: hashBytes(bytes), ramPages: pages, heapFree: this.heap.free,
          windows: lentWindows(word),
        },
      };
    });
  }

  /**
   * Goes on from a snapshot, wherever the host has room: at another place, in a memory that is shared or not. Throws a
   * PortcullisError whose code begins with SNAPSHOT_ when it cannot, before anything has been changed. `check` is what
   * the caller has to say about a snapshot whose state is whole.
   */
  static async restore(snapshot: EngineSnapshot, host: EngineHost = {}, check?: () => void): Promise<Engine> {
    const { cacheBytes } = await instantiate(new WebAssembly.Memory({ initial: 0 }));
    const { size } = checkSnapshot(snapshot, cacheBytes);
    const { options, ramPages, heapFree } = snapshot.document;
    matchWindows(snapshot.document.windows, host.windows ?? []);
    check?.();
    const place = takePlace(host, size, options.frames);
    checkWindows(place, options.frames, host.windows ?? []);
    const windows = new Windows();
    const functions = new HostFunctions();
    const exports = await instantiate(place.memory, { ...windows.imports, ...functions.imports });
    clear(place, options.frames);
    const bytes = new Uint8Array(place.memory.buffer);
    bytes.set(snapshot.state, place.base + State.SLICE);
    unpackPages(ramPages, snapshot.ram, bytes.subarray(place.ram, place.ram + options.frames * PAGE));
    open(exports, place);
    const engine = new Engine(exports, windows, functions, place, options, heapFree);
    engine.setWord(State.PLACEMENT, place.ram);
    windows.restore(host.windows ?? []);
    return engine;
  }

  /** All frames are free; the last ones are the hypervisor's, for IOMMU tables. */
  #setFrames(tableFrames: number): void {
    const { exports, frames } = this;
    if (exports.windowMap(0, frames, this.ram, WindowKind.LINEAR, 0) !== 0) {
      throw new PortcullisError('ENGINE_MEMORY', `RAM of ${frames} frames does not fit at ${this.ram}`, { frames });
    }
    for (let mfn = 0; mfn < frames; mfn++) {
      exports.frameAssign(mfn, 0xffff, FrameKind.RAM);
    }
    for (let mfn = frames - tableFrames; mfn < frames; mfn++) {
      exports.frameAssign(mfn, 0x7ff2, FrameKind.XEN_TABLE);
      exports.tableFrameGive(mfn);
    }
  }

  /**
   * The functions of the engine. Within a handler of a device in TypeScript they do nothing and answer BUSY: the engine
   * is in the midst of the access that the handler is part of.
   */
  get exports(): EngineExports {
    return this.host.inHandler ? this.host.busyExports(this.#exports) : this.#exports;
  }

  /**
   * Does deferred work at virtual time `now` (ns), at most `budget` units of it. 0: nothing is left; 1: more is to be
   * done; 2: what is left waits for something. The same as the export `service`, with the devices in TypeScript.
   */
  service(now: number, budget: number): number {
    return this.backends.service(this, now, budget, (time, units) => this.host.service(time, units));
  }

  /** A view of the whole memory; taken anew whenever the memory has grown. */
  get view(): DataView {
    if (this.#view.buffer !== this.memory.buffer) this.#renew();
    return this.#view;
  }

  get bytes(): Uint8Array {
    if (this.#bytes.buffer !== this.memory.buffer) this.#renew();
    return this.#bytes;
  }

  #renew(): void {
    this.#view = new DataView(this.memory.buffer);
    this.#bytes = new Uint8Array(this.memory.buffer);
  }

  /** A 32-bit word of the state. */
  word(off: number): number {
    return this.view.getUint32(this.base + off, true);
  }

  setWord(off: number, value: number): void {
    this.view.setUint32(this.base + off, value >>> 0, true);
  }

  /** A 64-bit word of the state, as a number: exact below 2^53. */
  word64(off: number): number {
    return this.word(off + 4) * 2 ** 32 + this.word(off);
  }

  setWord64(off: number, value: number): void {
    this.setWord(off, value % 2 ** 32);
    this.setWord(off + 4, Math.floor(value / 2 ** 32));
  }

  /** Bytes of the state from `off` on: a view, gone when the memory grows. */
  stateBytes(off: number, length: number): Uint8Array {
    return this.bytes.subarray(this.base + off, this.base + off + length);
  }

  /** A frame of RAM as a view, gone when the memory grows. */
  frame(mfn: number): Uint8Array {
    const ptr = this.exports.framePtr(mfn) >>> 0;
    if (ptr === 0) {
      throw new PortcullisError('NO_FRAME', `machine frame ${mfn} is not RAM; RAM is frames 0 to ${this.frames - 1}`, { mfn });
    }
    return this.bytes.subarray(ptr, ptr + PAGE);
  }

  /** Status of this thread's last access, and the high half of its last eight-byte read. */
  get status(): number {
    return this.exports.resultStatus();
  }

  get high(): number {
    return this.exports.resultHigh() >>> 0;
  }

  /**
   * Does something while no thread is in the engine: its own calls are refused meanwhile too (on shared memory). Throws
   * ENGINE_BUSY when one is in it; nothing waits.
   */
  hold<T>(work: () => T): T {
    const lock = new Int32Array(this.memory.buffer, this.base + State.LOCK, 1);
    if (Atomics.compareExchange(lock, 0, 0, 1) !== 0) {
      throw new PortcullisError('ENGINE_BUSY', 'another thread is in the engine; try again when its call has returned');
    }
    try {
      return work();
    } finally {
      Atomics.store(lock, 0, 0);
    }
  }

  get now(): number {
    return this.word64(State.NOW);
  }

  counters(): Counters {
    const counters = {} as Counters;
    COUNTER_NAMES.forEach((name, index) => { counters[name] = this.word64(State.COUNTERS + index * 8); });
    return counters;
  }

  /** Takes the oldest interrupt message, undefined when there is none. */
  pollMessage(): InterruptMessage | undefined {
    const off = this.exports.messagePop();
    if (off === 0) return undefined;
    const source = this.word(off + Message.SOURCE);
    const vector = this.word(off + Message.VECTOR);
    return {
      requester: source & 0xffff,
      handle: source >>> 16 === 0xffff ? undefined : source >>> 16,
      vector: vector & 0xff,
      delivery: (vector >> 8) & 7,
      destination: this.word(off + Message.DESTINATION),
      data: this.word(off + Message.DATA),
    };
  }

  /** Frames written by devices and guests since the last call, in order. */
  takeDirtyFrames(): number[] {
    this.host.requireOutside('take dirty frames');
    const dirty: number[] = [];
    const pool = this.word(State.POOL_DIRTY);
    for (let i = 0; i < Math.ceil(this.frames / 32); i++) {
      const bits = this.word(pool + i * 4);
      if (bits === 0) continue;
      for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) dirty.push(i * 32 + bit);
      this.setWord(pool + i * 4, 0);
    }
    return dirty;
  }

  /** A copy of the state without its placement, which says where in memory things lie. */
  slice(): Uint8Array {
    return this.bytes.slice(this.base + State.SLICE, this.base + this.stateSize);
  }
}

interface Place {
  memory: WebAssembly.Memory;
  base: number;
  ram: number;
  stateSize: number;
  /** The host's: something may lie there. */
  lent: boolean;
}

/** Finds the place that a host gives, and checks it; nothing is written yet. */
function takePlace(host: EngineHost, stateSize: number, frames: number): Place {
  const base = host.state ?? WASM_PAGE;
  const ram = host.ram ?? Math.ceil((base + stateSize) / WASM_PAGE) * WASM_PAGE;
  const ramSize = frames * PAGE;
  checkPlace('state', base, 16);
  checkPlace('ram', ram, 8);
  if (base < ram + ramSize && ram < base + stateSize) {
    throw new PortcullisError('ENGINE_OPTION', `the state (${stateSize} bytes at ${base}) and RAM (${ramSize} bytes at `
      + `${ram}) overlap; move one of them`, { base, ram });
  }
  const end = Math.max(base + stateSize, ram + ramSize);
  const memory = host.memory ?? newMemory(end);
  if (end > memory.buffer.byteLength) growMemory(memory, end);
  return { memory, base, ram, stateSize, lent: host.memory !== undefined };
}

/** Memory that the engine has made is zero, and clearing it would make the system back all of it. */
function clear({ memory, base, ram, stateSize, lent }: Place, frames: number): void {
  if (!lent) return;
  const bytes = new Uint8Array(memory.buffer);
  bytes.fill(0, base, base + stateSize);
  bytes.fill(0, ram, ram + frames * PAGE);
}

function open(exports: EngineExports, { base }: Place): void {
  if (exports.init(base) === 0) return;
  throw new PortcullisError('ENGINE_MEMORY',
    `the state cannot lie at ${base}: it must be aligned to 16 bytes`, { base });
}

/** Linear windows of a restored engine must lie in the memory, and on nothing of the engine's own. */
function checkWindows({ memory, base, ram, stateSize }: Place, frames: number, windows: readonly WindowOptions[]): void {
  for (const window of windows) {
    if (window.kind !== 'linear') continue;
    const [start, end] = [window.offset, window.offset + window.frames * PAGE];
    const over = (from: number, size: number): boolean => start < from + size && end > from;
    if (Number.isInteger(start) && start > 0 && end <= memory.buffer.byteLength && !over(base, stateSize)
      && !over(ram, frames * PAGE)) continue;
    throw new PortcullisError('SNAPSHOT_WINDOWS', `the window at machine frame ${window.firstMfn} cannot lie at ${start}: it must `
      + `be within the memory's ${memory.buffer.byteLength} bytes, and not over state or RAM`, { ...window });
  }
}

function checkPlace(name: string, value: number, align: number): void {
  if (Number.isInteger(value) && value > 0 && value % align === 0) return;
  throw new PortcullisError('ENGINE_OPTION', `${name} is ${value}; it must be a positive whole number that ${align} divides`,
    { name, value, align });
}

function newMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / WASM_PAGE);
  try {
    return new WebAssembly.Memory({ initial: pages });
  } catch (error) {
    throw new PortcullisError('ENGINE_MEMORY', `no memory of ${pages * WASM_PAGE} bytes could be had (at most 4 GiB); `
      + 'give the machine less memory', { bytes }, { cause: error });
  }
}

function growMemory(memory: WebAssembly.Memory, bytes: number): void {
  try {
    memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / WASM_PAGE));
  } catch (error) {
    throw new PortcullisError('ENGINE_MEMORY', `the memory given has ${memory.buffer.byteLength} bytes, ${bytes} are `
      + 'needed, and it cannot grow so far; give a larger one', { bytes }, { cause: error });
  }
}

