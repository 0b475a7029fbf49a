import { DmaMap, DmaDirection, IovaMode, MapMode } from '../../assembly/spec/driver';
import { type Engine, Random } from '../engine/index';
import { PortcullisError } from '../errors';
import type { ConfigAccess } from '../pci/access';

export type Width = 1 | 2 | 4;

/** Something that a driver does at a time of its own. */
export interface DriverTimer {
  /** Virtual time in ns, Infinity when nothing is due. */
  deadline(): number;
  fire(): void;
}

/**
 * What a driver in a guest may use, and all that it uses: its own memory, its rights, hypercalls. The machine gives
 * one to each domain.
 */
export interface Guest {
  /** Engine slot of the domain. */
  readonly slot: number;
  readonly engine: Engine;
  /** Loads and stores at a guest address; refused accesses read as ones. */
  load(va: number, width: Width): number;
  store(va: number, width: Width, value: number): void;
  /** Pages of the guest's memory that are free, contiguous in guest addresses: guest address of the first. */
  allocPages(count: number): number;
  /** Gives pages back that were allocated. */
  freePages(va: number, count: number): void;
  /** One page whose machine address lies at or below `mask`. */
  allocPageBelow(mask: number): number;
  /**
   * `count` pages (at most 512) that lie together for a device too, at or below `mask`, by XENMEM_exchange where need be;
   * undefined when there are none.
   */
  allocContiguous(count: number, mask: number): number | undefined;
  /** Machine address of a byte of the guest's memory: what a PV guest reads out of its P2M. */
  machineAddress(va: number): number;
  /** Maps I/O memory at a free guest address; throws EPERM without the right. */
  ioremap(machineAddress: number, size: number): number;
  /** Ends a mapping that `ioremap` gave. */
  iounmap(va: number, size: number): void;
  /** Config space of a function that the domain has. */
  config(routing: number): ConfigAccess;
  /** Binds the function's MSI to an event of this guest, and programs its capability. */
  enableMsi(routing: number): { vector: number; port: number };
  /** The same for `vectors` vectors of its MSI-X: the first ones of the table, unmasked. Its memory decode is on. */
  enableMsix(routing: number, vectors: number): Array<{ vector: number; port: number }>;
  /** Ends the function's messages; nothing comes at their ports any more. */
  disableInterrupts(routing: number): void;
  /** Whether the event's pending bit is set; clears it. */
  takeEvent(port: number): boolean;
  /** Does deferred work of the machine until nothing is left, as time passes. */
  wait(ns?: number): void;
  /** A timer that runs as long as the guest does. */
  addTimer(timer: DriverTimer): void;
}

export interface DmaOptions {
  mode: 'direct' | 'strict' | 'lazy' | 'guest-frame';
  /** Highest bus address that the device can drive. */
  mask: number;
  allocator?: 'magazine' | 'tree';
  /** Pages kept for bouncing what is not contiguous or beyond the mask (direct mode). */
  bouncePages?: number;
  /** Seed by which the iova allocator is aged before use (strict and lazy); without one it is fresh from boot. */
  age?: number;
}

/** Where in the engine's state a DmaMapper lies. */
export interface DmaDocument {
  off: number;
}

const MODES = { direct: MapMode.DIRECT, strict: MapMode.STRICT, lazy: MapMode.LAZY, 'guest-frame': MapMode.GUEST_FRAME };
const IOVA_LIMIT = 0x100000;
/** Pages that an aged allocator has handed out and taken back in any order: 128 regions of 2 MiB. */
const AGED_PAGES = 65536;

/** dma_map and dma_unmap of one device in one guest. */
export class DmaMapper {
  readonly off: number;
  readonly #guest: Guest;
  readonly #engine: Engine;
  readonly #lazy: boolean;
  #released = false;

  /** With `{ off }` of one that there was when a snapshot was taken: goes on with it. */
  constructor(guest: Guest, options: DmaOptions | DmaDocument) {
    const { engine } = guest;
    this.#guest = guest;
    this.#engine = engine;
    if ('off' in options) {
      this.off = options.off;
      this.#lazy = engine.word(this.off + DmaMap.MODE) === MapMode.LAZY;
      this.#startTimer(guest);
      return;
    }
    this.#lazy = options.mode === 'lazy';
    this.off = engine.heap.take(DmaMap.SIZE, 'a driver\'s DMA mapping');
    engine.stateBytes(this.off, DmaMap.SIZE).fill(0);
    const set = (word: number, value: number): void => engine.setWord(this.off + word, value);
    set(DmaMap.MODE, MODES[options.mode]);
    set(DmaMap.DOMAIN, guest.slot);
    engine.setWord64(this.off + DmaMap.MASK, options.mask);
    set(DmaMap.ALLOCATOR, options.allocator === 'tree' ? IovaMode.TREE : IovaMode.MAGAZINE);
    // below 4 GiB first, as Linux does for PCI
    set(DmaMap.LIMIT, Math.min(IOVA_LIMIT, Math.floor((options.mask + 1) / 4096)));
    const bounce = Math.min(options.bouncePages ?? 0, DmaMap.BOUNCE_MAX);
    // together, for buffers of several pages; one by one they serve for those within a page
    const together = bounce > 1 ? guest.allocContiguous(bounce, options.mask) : undefined;
    try {
      for (let i = 0; i < bounce; i++) {
        const va = together === undefined ? guest.allocPageBelow(options.mask) : together + i * 4096;
        const entry = this.off + DmaMap.BOUNCE + i * 16;
        engine.setWord64(entry, guest.machineAddress(va));
        engine.setWord(entry + 8, va);
        set(DmaMap.BOUNCE_COUNT, i + 1);
      }
    } catch (error) {
      this.release();
      throw error;
    }
    engine.exports.dmaMapSetup(this.off);
    if (options.age !== undefined && (options.mode === 'strict' || options.mode === 'lazy')) this.#age(options.age);
    this.#startTimer(guest);
  }

  #startTimer(guest: Guest): void {
    const { engine } = guest;
    if (engine.word(this.off + DmaMap.MODE) !== MapMode.LAZY) return;
    guest.addTimer({
      deadline: () => (this.#released ? Infinity : engine.word64(this.off + DmaMap.QUEUE_DEADLINE) || Infinity),
      fire: () => engine.exports.dmaTimer(this.off),
    });
  }

  /**
   * A freshly booted allocator hands out neighbouring pages, and its walks are all but free; one that has run for a
   * while has its free pages in any order (Rubin et al., SOSP'24).
   */
  #age(seed: number): void {
    const { exports } = this.#engine;
    const pages: number[] = [];
    while (pages.length < AGED_PAGES) {
      const page = exports.iovaTake(this.off, 1) >>> 0;
      if (page === 0) break;
      pages.push(page);
    }
    for (const page of new Random(seed).shuffle(pages)) exports.iovaGive(this.off, page, 1);
  }

  /** Bus address for `size` bytes at `va`. Throws DMA_MAP when there is none. */
  map(va: number, size: number, direction: DmaDirection): number {
    const low = this.#engine.exports.dmaMap(this.off, va, size, direction) >>> 0;
    if (this.#engine.status !== 0) {
      throw new PortcullisError('DMA_MAP', `${size} bytes at guest address 0x${va.toString(16)} could not be mapped for `
        + 'the device: not the guest\'s memory, or no iova, table frame or bounce page is left', { va, size });
    }
    return this.#engine.high * 2 ** 32 + low;
  }

  unmap(bus: number, va: number, size: number, direction: DmaDirection): void {
    this.#engine.exports.dmaUnmap(this.off, bus >>> 0, Math.floor(bus / 2 ** 32), va, size, direction);
  }

  save(): DmaDocument {
    return { off: this.off };
  }

  /** Gives its part of the engine's state back; nothing may be mapped any more. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (let i = 0; i < this.#engine.word(this.off + DmaMap.BOUNCE_COUNT); i++) {
      this.#guest.freePages(this.#engine.word(this.off + DmaMap.BOUNCE + i * 16 + 8), 1);
    }
    this.#engine.heap.give(this.off, DmaMap.SIZE);
  }

  /** Flushes what unmap has left to a flush: something in lazy mode only. */
  flush(): void {
    if (this.#lazy) this.#engine.exports.dmaFlush(this.off);
  }
}
