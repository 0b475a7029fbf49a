import { Machine } from '../../assembly/spec/machine';
import { Abi, GrantBlock, State, StateSize } from '../../assembly/spec/state';
import { GrantEntry } from '../../assembly/spec/xen';
import { PortcullisError } from '../errors';

/** Sizes of the caches of the IOMMU. Entries and ways are powers of two. */
export interface CacheGeometry {
  /** IOTLB entries (default 64), and ways (default: fully associative). */
  entries: number;
  ways: number;
  /** Entries of the paging-structure caches for 2 MiB, 1 GiB and 512 GiB (default 64, 32, 32). */
  pwc2m: number;
  pwc1g: number;
  pwc512g: number;
  /** Context cache (default 64). */
  contexts: number;
}

export interface LayoutOptions {
  /** Frames of RAM, from machine frame 0 on. */
  frames: number;
  /** Domains at a time (1 to 64). */
  domains: number;
  /** Hypervisor frames for IOMMU tables. */
  tableFrames: number;
  /** Bytes for config spaces, registers, devices, links and drivers. */
  heapBytes: number;
  /** Frames of grant table a domain (1 to 64), and mappings of others' grants that it may have (1 to 65536). */
  grantFrames: number;
  grantMappings: number;
  caches: CacheGeometry;
}

/** What `Engine.measure` tells. */
export interface Measure {
  /** Bytes of state, and the alignment of its base. */
  state: { size: number; align: number };
  /** Bytes of RAM, and the alignment of its base. */
  ram: { size: number; align: number };
}

export const DEFAULT_CACHES: CacheGeometry = {
  entries: 64, ways: 64, pwc2m: 64, pwc1g: 32, pwc512g: 32, contexts: 64,
};

/** RAM ends where the enhanced config space begins: 3.5 GiB. */
export const FRAMES_MAX = Machine.ECAM_FIRST_MFN as number;

function requireRange(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new PortcullisError('ENGINE_OPTION', `${name} is ${value}; it must be a whole number from ${low} to ${high}`,
    { name, value, low, high });
}

function requirePower(name: string, value: number, high: number): void {
  requireRange(name, value, 1, high);
  if ((value & (value - 1)) === 0) return;
  throw new PortcullisError('ENGINE_OPTION', `${name} is ${value}; it must be a power of two up to ${high}`,
    { name, value, high });
}

export function checkOptions(options: LayoutOptions): void {
  requireRange('frames', options.frames, 1, FRAMES_MAX);
  requireRange('domains', options.domains, 1, Machine.DOMAINS);
  requireRange('tableFrames', options.tableFrames, 0, options.frames);
  requireRange('heapBytes', options.heapBytes, 4096, 0x70000000);
  requireRange('grantFrames', options.grantFrames, 1, 64);
  requireRange('grantMappings', options.grantMappings, 1, 65536);
  const { entries, ways, pwc2m, pwc1g, pwc512g, contexts } = options.caches;
  requirePower('iotlb.entries', entries, 32768);
  requirePower('iotlb.ways', ways, entries);
  requirePower('pwc2m', pwc2m, 32768);
  requirePower('pwc1g', pwc1g, 32768);
  requirePower('pwc512g', pwc512g, 32768);
  requirePower('contexts', contexts, 32768);
}

/** Bytes of a domain's grant block, see GrantBlock. */
export function grantBlockSize(grantFrames: number): number {
  const words = grantFrames + Math.ceil(grantFrames / 8) + grantFrames * GrantEntry.V1_PER_PAGE;
  return GrantBlock.FRAME_LIST + words * 4;
}

/**
 * Where each pool begins, in order; `write` puts it all into the state's header. `cacheBytes` is the engine's own.
 */
export function layOut(options: LayoutOptions, cacheBytes: (entries: number) => number): {
  size: number;
  /** Words of the header: offset and value. */
  words: ReadonlyArray<readonly [number, number]>;
  write: (view: DataView, base: number) => void;
} {
  checkOptions(options);
  // every frame may be in one domain's map, and each domain has a root, a middle page and some scattered leaves;
  // the MMIO decode needs a few pages for each BAR
  const radixPages = Math.ceil(options.frames / 1024) + options.domains * 24 + 256;
  const words: Array<[number, number]> = [];
  let at: number = State.POOLS;
  const pool = (word: number, bytes: number): void => {
    words.push([word, at]);
    at = (at + bytes + 63) & ~63;
  };
  pool(State.POOL_FRAMES, options.frames * StateSize.FRAME_RECORD);
  pool(State.POOL_M2P, options.frames * 4);
  pool(State.POOL_DIRTY, Math.ceil(options.frames / 32) * 4);
  pool(State.POOL_PAGES, radixPages * StateSize.RADIX_PAGE);
  pool(State.POOL_PAGE_USE, radixPages * 4);
  pool(State.POOL_PORTS, 16384 * 2);
  pool(State.POOL_PORT_BITMAPS, options.domains * StateSize.PORT_BITMAP);
  pool(State.POOL_IOTLB, cacheBytes(options.caches.entries));
  pool(State.POOL_PWC_2M, cacheBytes(options.caches.pwc2m));
  pool(State.POOL_PWC_1G, cacheBytes(options.caches.pwc1g));
  pool(State.POOL_PWC_512G, cacheBytes(options.caches.pwc512g));
  pool(State.POOL_CONTEXT_CACHE, cacheBytes(options.caches.contexts));
  pool(State.POOL_TABLE_FRAMES, options.tableFrames * 4);
  const { domains, grantFrames, grantMappings } = options;
  pool(State.POOL_EVENTS, domains * StateSize.EVENT_BLOCK);
  pool(State.POOL_GRANTS, domains * grantBlockSize(grantFrames));
  pool(State.POOL_MAPTRACK, domains * grantMappings * StateSize.MAPTRACK_ENTRY);
  // each mapping keeps at most one grant in use
  pool(State.POOL_ACTIVE, domains * grantMappings * StateSize.ACTIVE_GRANT);
  pool(State.POOL_IOMEM, domains * StateSize.IOMEM_BLOCK);
  pool(State.POOL_HEAP, options.heapBytes);
  const size = (at + 4095) & ~4095;
  words.push(
    [State.MAGIC, Abi.MAGIC], [State.ABI_VERSION, Abi.VERSION], [State.SIZE, size], [State.FRAMES, options.frames],
    [State.PAGES_COUNT, radixPages], [State.TABLE_FRAMES_COUNT, options.tableFrames],
    [State.HEAP_SIZE, options.heapBytes], [State.DOMAIN_LIMIT, options.domains],
    [State.GRANT_FRAMES_LIMIT, grantFrames], [State.MAPTRACK_LIMIT, grantMappings],
    // 256-byte payloads, 512-byte reads: what the cost model's link has
    [State.MPS_SHIFT, 8], [State.MRRS_SHIFT, 9],
  );
  return {
    size,
    words,
    write: (view, base) => {
      for (const [word, value] of words) view.setUint32(base + word, value, true);
    },
  };
}
