// One shape for the IOTLB, the paging-structure caches and the context cache: set-associative with exact LRU.
// Entries are found through hash chains; which entry is replaced does not depend on them.
//
//   tag    63:18 page number (or requester id), 17:2 domain id, 1:0 size class
//   stamp  clock of the last use; an entry is alive when its stamp is above its domain's floor
//
// An invalidation of a domain raises its floor to the clock and is done. Stamps are 64 bits and never wrap.
import { Cache, IommuState } from '../spec/vtd';
import { State } from '../spec/state';

const FOREVER: u64 = 0x7fffffffffffffff;

/** Bytes that a cache of so many entries takes. */
export function cacheBytes(entries: u32): u32 {
  return Cache.HEADER + entries * 24 + ((entries * 2 + 15) & ~15) + bucketsOf(entries) * 2;
}

function bucketsOf(entries: u32): u32 {
  let buckets: u32 = 16;
  while (buckets < entries * 4) buckets <<= 1;
  return buckets;
}

/** Lays out an empty cache. `entries` and `ways` are powers of two, at most 32,768 entries. */
export function cacheSetup(c: usize, entries: u32, ways: u32): void {
  memory.fill(c, 0, cacheBytes(entries));
  store<u32>(c, entries, Cache.ENTRIES);
  store<u32>(c, ways, Cache.WAYS);
  store<u32>(c, entries / ways - 1, Cache.SETS_MASK);
  store<u32>(c, bucketsOf(entries) - 1, Cache.BUCKETS_MASK);
  store<u32>(c, Cache.HEADER, Cache.TAGS);
  store<u32>(c, Cache.HEADER + entries * 8, Cache.STAMPS);
  store<u32>(c, Cache.HEADER + entries * 16, Cache.VALUES);
  store<u32>(c, Cache.HEADER + entries * 24, Cache.NEXT);
  store<u32>(c, Cache.HEADER + entries * 24 + ((entries * 2 + 15) & ~15), Cache.BUCKETS);
  memory.fill(c + Cache.HEADER, 0xff, entries * 8);
}

@inline
export function cacheTag(page: u64, did: u32, sizeClass: u32): u64 {
  return page << 18 | <u64>(did << 2 | sizeClass);
}

@inline
function bucketPtr(c: usize, tag: u64): usize {
  const hash = (<u32>(tag >> 18) + (<u32>tag & 0x3ffff) * 0x85ebca6b) * 0x9e3779b1;
  return c + load<u32>(c, Cache.BUCKETS) + (((hash >> 15) & load<u32>(c, Cache.BUCKETS_MASK)) << 1);
}

// Tags, stamps and values follow each other behind the header, 8 bytes an entry: where they are comes from the number
// of entries and not from an offset each, which would be one more dependent load for each of them.
@inline
function tagOf(c: usize, entry: u32): u64 {
  return load<u64>(c + (entry << 3), Cache.HEADER - 8);
}

@inline
function tagSet(c: usize, entry: u32, tag: u64): void {
  store<u64>(c + (entry << 3), tag, Cache.HEADER - 8);
}

@inline
function stampOf(c: usize, entry: u32): u64 {
  return load<u64>(c + ((load<u32>(c, Cache.ENTRIES) + entry) << 3), Cache.HEADER - 8);
}

@inline
function stampSet(c: usize, entry: u32, stamp: u64): void {
  store<u64>(c + ((load<u32>(c, Cache.ENTRIES) + entry) << 3), stamp, Cache.HEADER - 8);
}

@inline
function nextPtr(c: usize, entry: u32): usize {
  return c + load<u32>(c, Cache.NEXT) + (entry << 1) - 2;
}

@inline
function chainFind(c: usize, tag: u64): u32 {
  let entry: u32 = load<u16>(bucketPtr(c, tag));
  while (entry != 0) {
    if (tagOf(c, entry) == tag) break;
    entry = load<u16>(nextPtr(c, entry));
  }
  return entry;
}

/** Entry (index plus one) with this tag if it is alive, else 0. */
@inline
export function cacheFind(c: usize, tag: u64, floor: u64): u32 {
  const entry = chainFind(c, tag);
  return entry != 0 && stampOf(c, entry) > floor ? entry : 0;
}

/** Whether this entry still is the one with this tag, and alive. */
@inline
export function cacheStill(c: usize, entry: u32, tag: u64, floor: u64): bool {
  return entry != 0 && tagOf(c, entry) == tag && stampOf(c, entry) > floor;
}

@inline
export function cacheValue(c: usize, entry: u32): u64 {
  return load<u64>(c + ((2 * load<u32>(c, Cache.ENTRIES) + entry) << 3), Cache.HEADER - 8);
}

@inline
export function cacheSizeClass(c: usize, entry: u32): u32 {
  return <u32>tagOf(c, entry) & 3;
}

/** Makes the entry the one used last. */
@inline
export function cacheTouch(b: usize, c: usize, entry: u32): void {
  const clock = load<u64>(b + State.IOMMU, IommuState.CLOCK) + 1;
  store<u64>(b + State.IOMMU, clock, IommuState.CLOCK);
  stampSet(c, entry, clock);
}

/** Floor of the domain that a tag belongs to. */
@inline
export function floorOf(b: usize, did: u32): u64 {
  return load<u64>(b + State.IOMMU + IommuState.FLOORS + ((did & (IommuState.DOMAIN_IDS - 1)) << 3));
}

/** The entry of a set to replace: a dead one if there is one, else the one used longest ago. */
function victim(b: usize, c: usize, first: u32, ways: u32, contexts: bool): u32 {
  const stamps = c + load<u32>(c, Cache.STAMPS) + (first << 3);
  let least = FOREVER;
  let entry: u32 = 0;
  if (ways >= 4) {
    // two at a time: 64 ways cost 32 steps instead of 64
    let low = i64x2.splat(FOREVER);
    for (let i: u32 = 0; i < ways; i += 2) {
      const v = v128.load(stamps + (i << 3));
      low = v128.bitselect(v, low, i64x2.lt_s(v, low));
    }
    const lane0 = <u64>i64x2.extract_lane(low, 0);
    const lane1 = <u64>i64x2.extract_lane(low, 1);
    least = lane0 < lane1 ? lane0 : lane1;
    while (load<u64>(stamps + (entry << 3)) != least) entry++;
  } else {
    for (let i: u32 = 0; i < ways; i++) {
      const stamp = load<u64>(stamps + (i << 3));
      if (stamp < least) {
        least = stamp;
        entry = i;
      }
    }
  }
  const iommu = b + State.IOMMU;
  const highest = contexts ? load<u64>(iommu, IommuState.CONTEXT_FLOOR) : load<u64>(iommu, IommuState.FLOOR_MAX);
  if (least == 0 || least > highest || contexts) return first + entry + 1;
  for (let i: u32 = 0; i < ways; i++) {
    const did = (<u32>tagOf(c, first + i + 1) >> 2) & 0xffff;
    if (load<u64>(stamps + (i << 3)) <= floorOf(b, did)) return first + i + 1;
  }
  return first + entry + 1;
}

function unlink(c: usize, entry: u32): void {
  const tag = tagOf(c, entry);
  if (tag == u64.MAX_VALUE) return;
  let ptr = bucketPtr(c, tag);
  while (load<u16>(ptr) != entry) ptr = nextPtr(c, load<u16>(ptr));
  store<u16>(ptr, load<u16>(nextPtr(c, entry)));
}

/** Enters a value; `page` chooses the set. `contexts`: the tags hold requester ids, the floor is the contexts'. */
export function cacheFill(b: usize, c: usize, tag: u64, page: u64, value: u64, contexts: bool): u32 {
  let entry = chainFind(c, tag);
  if (entry == 0) {
    const ways = load<u32>(c, Cache.WAYS);
    entry = victim(b, c, (<u32>page & load<u32>(c, Cache.SETS_MASK)) * ways, ways, contexts);
    unlink(c, entry);
    tagSet(c, entry, tag);
    const bucket = bucketPtr(c, tag);
    store<u16>(nextPtr(c, entry), load<u16>(bucket));
    store<u16>(bucket, <u16>entry);
  }
  store<u64>(c + ((2 * load<u32>(c, Cache.ENTRIES) + entry) << 3), value, Cache.HEADER - 8);
  cacheTouch(b, c, entry);
  return entry;
}

/** Kills the entry with this tag. */
export function cacheKill(c: usize, tag: u64): void {
  const entry = chainFind(c, tag);
  if (entry != 0) stampSet(c, entry, 0);
}

/**
 * Kills the entries of a domain whose pages overlap iova pages `first` to `last` (4 KiB pages).
 * `shift` is what an entry of size class 0 covers beyond 12 bits: 0 for the IOTLB, 9, 18, 27 for the caches above.
 */
export function cacheKillRange(c: usize, did: u32, first: u64, last: u64, shift: u64): void {
  const entries = load<u32>(c, Cache.ENTRIES);
  for (let entry: u32 = 1; entry <= entries; entry++) {
    const tag = tagOf(c, entry);
    if (((<u32>tag >> 2) & 0xffff) != did) continue;
    const bits = shift + <u64>(<u32>tag & 3) * 9;
    const start = tag >> 18 << bits;
    if (start <= last && first <= start + ((<u64>1 << bits) - 1)) stampSet(c, entry, 0);
  }
}

/** Kills every entry whose value has `did` in bits 23:8: contexts of one domain. */
export function cacheKillContexts(c: usize, did: u32): void {
  const entries = load<u32>(c, Cache.ENTRIES);
  for (let entry: u32 = 1; entry <= entries; entry++) {
    if ((<u32>(cacheValue(c, entry) >> 8) & 0xffff) == did) stampSet(c, entry, 0);
  }
}
