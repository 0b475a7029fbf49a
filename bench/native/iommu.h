// Caches, translation, second-level tables, invalidation queue and hypercalls, as in assembly/iommu.
#pragma once
#include "access.h"

#define NO_TRANSLATION UINT64_MAX
#define ADDRESS_MASK 0x000000fffffff000ull
#define ADDRESS_RESERVED 0x000fff0000000000ull
#define FOREVER 0x7fffffffffffffffull

INLINE uint8_t *iommu(uint8_t *b) { return b + State_IOMMU; }

// ---- set-associative caches with exact LRU

INLINE uint64_t cache_tag(uint64_t page, uint32_t did, uint32_t size_class) {
  return page << 18 | (uint64_t)(did << 2 | size_class);
}
INLINE uint8_t *bucket_ptr(uint8_t *c, uint64_t tag) {
  uint32_t hash = ((uint32_t)(tag >> 18) + ((uint32_t)tag & 0x3ffff) * 0x85ebca6b) * 0x9e3779b1;
  return c + ld32(c + Cache_BUCKETS) + ((hash >> 15) & ld32(c + Cache_BUCKETS_MASK)) * 2;
}
INLINE uint8_t *tag_ptr(uint8_t *c, uint32_t entry) { return c + Cache_HEADER - 8 + (uint64_t)entry * 8; }
INLINE uint8_t *stamp_ptr(uint8_t *c, uint32_t entry) { return tag_ptr(c, ld32(c + Cache_ENTRIES) + entry); }
INLINE uint8_t *value_ptr(uint8_t *c, uint32_t entry) { return tag_ptr(c, 2 * ld32(c + Cache_ENTRIES) + entry); }
INLINE uint8_t *next_ptr(uint8_t *c, uint32_t entry) { return c + ld32(c + Cache_NEXT) + (uint64_t)entry * 2 - 2; }

INLINE uint32_t chain_find(uint8_t *c, uint64_t tag) {
  uint32_t entry = ld16(bucket_ptr(c, tag));
  while (entry && ld64(tag_ptr(c, entry)) != tag) entry = ld16(next_ptr(c, entry));
  return entry;
}
INLINE uint32_t cache_find(uint8_t *c, uint64_t tag, uint64_t floor) {
  uint32_t entry = chain_find(c, tag);
  return entry && ld64(stamp_ptr(c, entry)) > floor ? entry : 0;
}
INLINE void cache_touch(uint8_t *b, uint8_t *c, uint32_t entry) {
  uint64_t clock = ld64(iommu(b) + IommuState_CLOCK) + 1;
  st64(iommu(b) + IommuState_CLOCK, clock);
  st64(stamp_ptr(c, entry), clock);
}
INLINE uint64_t floor_of(uint8_t *b, uint32_t did) {
  return ld64(iommu(b) + IommuState_FLOORS + (did & (IommuState_DOMAIN_IDS - 1)) * 8);
}

SLOW uint32_t victim(uint8_t *b, uint8_t *c, uint32_t first, uint32_t ways, bool contexts) {
  uint8_t *stamps = c + ld32(c + Cache_STAMPS) + (uint64_t)first * 8;
  uint64_t least = FOREVER;
  uint32_t entry = 0;
  for (uint32_t i = 0; i < ways; i++) {
    uint64_t stamp = ld64(stamps + (uint64_t)i * 8);
    least = stamp < least ? stamp : least;
  }
  while (ld64(stamps + (uint64_t)entry * 8) != least) entry++;
  uint64_t highest = ld64(iommu(b) + (contexts ? IommuState_CONTEXT_FLOOR : IommuState_FLOOR_MAX));
  if (least == 0 || least > highest || contexts) return first + entry + 1;
  for (uint32_t i = 0; i < ways; i++) {
    uint32_t did = ((uint32_t)ld64(tag_ptr(c, first + i + 1)) >> 2) & 0xffff;
    if (ld64(stamps + (uint64_t)i * 8) <= floor_of(b, did)) return first + i + 1;
  }
  return first + entry + 1;
}

INLINE void cache_unlink(uint8_t *c, uint32_t entry) {
  uint64_t tag = ld64(tag_ptr(c, entry));
  if (tag == UINT64_MAX) return;
  uint8_t *p = bucket_ptr(c, tag);
  while (ld16(p) != entry) p = next_ptr(c, ld16(p));
  st16(p, ld16(next_ptr(c, entry)));
}

static uint32_t cache_fill(uint8_t *b, uint8_t *c, uint64_t tag, uint64_t page, uint64_t value, bool contexts) {
  uint32_t entry = chain_find(c, tag);
  if (!entry) {
    uint32_t ways = ld32(c + Cache_WAYS);
    entry = victim(b, c, ((uint32_t)page & ld32(c + Cache_SETS_MASK)) * ways, ways, contexts);
    cache_unlink(c, entry);
    st64(tag_ptr(c, entry), tag);
    uint8_t *bucket = bucket_ptr(c, tag);
    st16(next_ptr(c, entry), ld16(bucket));
    st16(bucket, (uint16_t)entry);
  }
  st64(value_ptr(c, entry), value);
  cache_touch(b, c, entry);
  return entry;
}

INLINE void cache_kill(uint8_t *c, uint64_t tag) {
  uint32_t entry = chain_find(c, tag);
  if (entry) st64(stamp_ptr(c, entry), 0);
}

// ---- translation. Faults are left out: a bench whose DMA faults is a wrong bench.

INLINE uint8_t *table_entry(uint8_t *b, uint64_t mfn, uint32_t index) {
  if (mfn >= Machine_MFN_LIMIT) return NULL;
  uint8_t *p = frame_ptr(b, (uint32_t)mfn);
  return p ? p + (uint64_t)index * 8 : NULL;
}

SLOW uint64_t context_load(uint8_t *b, uint8_t *c, uint32_t fn, uint32_t sid) {
  count(b, Counter_CONTEXT_MISSES);
  uint8_t *root = table_entry(b, ld32(iommu(b) + IommuState_ROOT_MFN), sid >> 8 << 1);
  if (!root || !(ld64(root) & 1)) return 0;
  uint8_t *p = table_entry(b, ld64(root) >> Machine_PAGE_SHIFT, (sid & 0xff) << 1);
  if (!p || !(ld64(p) & VtdContext_P)) return 0;
  uint64_t lo = ld64(p), hi = ld64(p + 8);
  uint64_t type = (lo >> VtdContext_TT_SHIFT) & VtdContext_TT_MASK, width = hi & VtdContext_AW_MASK;
  uint64_t did = (hi >> VtdContext_DID_SHIFT) & 0xffff;
  uint64_t value = lo >> Machine_PAGE_SHIFT << 24 | did << 8 | width << 4 | type << 2 | (lo & 2) | 1;
  uint32_t entry = cache_fill(b, c, cache_tag(sid, 0, 0), sid, value, true);
  st32(function_record(b, fn) + FunctionRecord_CONTEXT_HINT, entry);
  return value;
}

INLINE uint64_t context_find(uint8_t *b, uint32_t fn, uint32_t sid) {
  uint8_t *c = b + ld32(b + State_POOL_CONTEXT_CACHE);
  uint64_t tag = cache_tag(sid, 0, 0);
  uint64_t floor = ld64(iommu(b) + IommuState_CONTEXT_FLOOR);
  uint32_t entry = ld32(function_record(b, fn) + FunctionRecord_CONTEXT_HINT);
  if (!(entry && ld64(tag_ptr(c, entry)) == tag && ld64(stamp_ptr(c, entry)) > floor)) {
    entry = cache_find(c, tag, floor);
    if (!entry) return context_load(b, c, fn, sid);
    st32(function_record(b, fn) + FunctionRecord_CONTEXT_HINT, entry);
  }
  count(b, Counter_CONTEXT_HITS);
  cache_touch(b, c, entry);
  return ld64(value_ptr(c, entry));
}

SLOW uint64_t walk(uint8_t *b, uint64_t context, uint64_t iova, bool write) {
  count(b, Counter_IOTLB_MISSES);
  uint32_t did = (uint32_t)(context >> 8) & 0xffff;
  uint64_t floor = floor_of(b, did);
  uint8_t *pwc2m = b + ld32(b + State_POOL_PWC_2M);
  uint8_t *pwc1g = b + ld32(b + State_POOL_PWC_1G);
  uint8_t *pwc512g = b + ld32(b + State_POOL_PWC_512G);
  uint32_t levels = ((uint32_t)(context >> 4) & 7) + 2, level = levels;
  uint64_t table = context >> 24, rights = VtdPte_R | VtdPte_W;
  uint8_t *cache = pwc2m;
  uint32_t entry = cache_find(pwc2m, cache_tag(iova >> 21, did, 0), floor);
  if (entry) level = 1;
  else {
    count(b, Counter_PWC_2M_MISSES);
    cache = pwc1g;
    entry = cache_find(pwc1g, cache_tag(iova >> 30, did, 0), floor);
    if (entry) level = 2;
    else {
      count(b, Counter_PWC_1G_MISSES);
      if (levels > 3) {
        cache = pwc512g;
        entry = cache_find(pwc512g, cache_tag(iova >> 39, did, 0), floor);
        if (entry) level = 3;
        else count(b, Counter_PWC_512G_MISSES);
      }
    }
  }
  if (entry) {
    cache_touch(b, cache, entry);
    uint64_t value = ld64(value_ptr(cache, entry));
    table = value >> Machine_PAGE_SHIFT;
    rights = value & 3;
  }
  uint64_t needed = write ? VtdPte_W : VtdPte_R;
  for (;;) {
    uint32_t shift = Machine_PAGE_SHIFT + 9 * (level - 1);
    uint8_t *p = table_entry(b, table, (uint32_t)(iova >> shift) & 511);
    if (!p) return NO_TRANSLATION;
    count(b, Counter_TABLE_READS);
    count(b, Counter_SERVICE_UNITS);
    count(b, write ? Counter_TABLE_READS_FOR_WRITES : Counter_TABLE_READS_FOR_READS);
    uint64_t pte = ld64(p);
    rights &= pte;
    if (!(rights & needed)) return NO_TRANSLATION;
    bool superpage = (pte & VtdPte_SP) != 0;
    if ((pte & (ADDRESS_RESERVED | VtdPte_SNP)) || (superpage && (level == 1 || level > 3))
      || (superpage && (pte & ADDRESS_MASK & ((1ull << shift) - 1)))) return NO_TRANSLATION;
    if (level == 1 || superpage) {
      uint64_t base = pte & ADDRESS_MASK;
      st32(iommu(b) + IommuState_SIZES, ld32(iommu(b) + IommuState_SIZES) | 1u << (level - 1));
      cache_fill(b, b + ld32(b + State_POOL_IOTLB), cache_tag(iova >> shift, did, level - 1), iova >> shift,
        base | (rights & 3), false);
      return base | (iova & ((1ull << shift) - 1));
    }
    table = (pte & ADDRESS_MASK) >> Machine_PAGE_SHIFT;
    uint64_t value = table << Machine_PAGE_SHIFT | (rights & 3);
    uint8_t *into = level == 2 ? pwc2m : level == 3 ? pwc1g : pwc512g;
    cache_fill(b, into, cache_tag(iova >> shift, did, 0), iova >> shift, value, false);
    level--;
  }
}

INLINE uint64_t translate(uint8_t *b, uint32_t fn, uint64_t iova, bool write) {
  uint32_t sid = ld32(function_record(b, fn) + FunctionRecord_SID);
  uint64_t context = context_find(b, fn, sid);
  if (!context) return NO_TRANSLATION;
  uint32_t width = (context & 0x70) == VtdContext_AW_39 << 4 ? 39 : Vtd_MGAW;
  if ((context & 0xc) == VtdContext_TT_PASS_THROUGH << 2) return iova >> Vtd_MGAW ? NO_TRANSLATION : iova;
  count(b, Counter_TRANSLATIONS);
  if (iova >> width) return NO_TRANSLATION;
  uint8_t *c = b + ld32(b + State_POOL_IOTLB);
  uint32_t did = (uint32_t)(context >> 8) & 0xffff, sizes = ld32(iommu(b) + IommuState_SIZES);
  uint64_t floor = floor_of(b, did);
  uint32_t entry = 0;
  if (sizes & 1) entry = cache_find(c, cache_tag(iova >> 12, did, 0), floor);
  if (!entry && (sizes & 2)) entry = cache_find(c, cache_tag(iova >> 21, did, 1), floor);
  if (!entry && (sizes & 4)) entry = cache_find(c, cache_tag(iova >> 30, did, 2), floor);
  if (!entry) return walk(b, context, iova, write);
  count(b, Counter_IOTLB_HITS);
  cache_touch(b, c, entry);
  uint64_t value = ld64(value_ptr(c, entry));
  if (!(value & (write ? VtdPte_W : VtdPte_R))) return NO_TRANSLATION;
  uint64_t mask = (1ull << (12 + 9 * ((uint32_t)ld64(tag_ptr(c, entry)) & 3))) - 1;
  return (value & ADDRESS_MASK) | (iova & mask);
}

// ---- tables. The bench maps one page at a time in tables that exist by then; a missing table ends the run.

INLINE uint8_t *io_domain_record(uint8_t *b, uint32_t slot) {
  return b + State_IO_DOMAIN_TABLE + slot * StateSize_IO_DOMAIN_RECORD;
}

INLINE uint8_t *slot_ptr(uint8_t *b, uint32_t table, uint64_t dfn, uint32_t level) {
  uint8_t *p = frame_ptr(b, table);
  return p ? p + ((uint32_t)(dfn >> (9 * (level - 1))) & 511) * 8 : NULL;
}

static uint32_t table_take(uint8_t *b) {
  uint32_t left = ld32(b + State_TABLE_FRAMES_FREE);
  if (!left) return 0;
  st32(b + State_TABLE_FRAMES_FREE, left - 1);
  uint32_t mfn = ld32(b + ld32(b + State_POOL_TABLE_FRAMES) + (left - 1) * 4);
  uint8_t *p = frame_ptr(b, mfn);
  if (!p) return 0;
  memset(p, 0, Machine_PAGE_SIZE);
  return mfn;
}

static uint8_t *entry_for(uint8_t *b, uint8_t *record, uint64_t dfn, uint32_t level) {
  uint32_t table = ld32(record + IoDomainRecord_ROOT_MFN);
  uint32_t at = ld32(record + IoDomainRecord_LEVELS);
  for (;;) {
    uint8_t *p = slot_ptr(b, table, dfn, at);
    if (!p || at == level) return p;
    uint64_t pte = ld64(p);
    if (!(pte & 3)) {
      uint32_t next = table_take(b);
      if (!next) return NULL;
      pte = (uint64_t)next << Machine_PAGE_SHIFT | VtdPte_R | VtdPte_W;
      st64(p, pte);
      count(b, Counter_PTES_WRITTEN);
    } else if (pte & VtdPte_SP) return NULL;
    table = (uint32_t)((pte & ADDRESS_MASK) >> Machine_PAGE_SHIFT);
    at--;
  }
}

/** The entry that decides about a page; `*level` becomes its level. */
static uint8_t *entry_find(uint8_t *b, uint8_t *record, uint64_t dfn, uint32_t *level) {
  uint32_t table = ld32(record + IoDomainRecord_ROOT_MFN);
  uint32_t at = ld32(record + IoDomainRecord_LEVELS);
  for (;;) {
    uint8_t *p = slot_ptr(b, table, dfn, at);
    uint64_t pte = p ? ld64(p) : 0;
    *level = at;
    if (!(pte & 3) || at == 1 || (pte & VtdPte_SP)) return p;
    table = (uint32_t)((pte & ADDRESS_MASK) >> Machine_PAGE_SHIFT);
    at--;
  }
}

static uint32_t io_map(uint8_t *b, uint32_t slot, uint32_t dfn, uint32_t mfn, uint32_t pages, uint32_t rights) {
  uint8_t *record = io_domain_record(b, slot);
  for (uint32_t done = 0; done < pages; done++) {
    uint32_t level;
    uint8_t *p = entry_find(b, record, dfn + done, &level);
    if (p && (ld64(p) & 3)) return Status_IN_USE;
    if (level != 1) p = entry_for(b, record, dfn + done, 1);
    if (!p) return Status_FULL;
    st64(p, (uint64_t)(mfn + done) << Machine_PAGE_SHIFT | rights);
    count(b, Counter_PTES_WRITTEN);
    frame_hold(b, mfn + done);
    st64(record + IoDomainRecord_LEAVES, ld64(record + IoDomainRecord_LEAVES) + 1);
  }
  return Status_OK;
}

static uint32_t io_unmap(uint8_t *b, uint32_t slot, uint32_t dfn, uint32_t pages) {
  uint8_t *record = io_domain_record(b, slot);
  for (uint32_t done = 0; done < pages; done++) {
    uint32_t level;
    uint8_t *p = entry_find(b, record, dfn + done, &level);
    if (!p || !(ld64(p) & 3)) continue;
    if (level != 1) return Status_FULL;
    uint32_t mfn = (uint32_t)((ld64(p) & ADDRESS_MASK) >> Machine_PAGE_SHIFT);
    st64(p, 0);
    count(b, Counter_PTES_WRITTEN);
    frame_release(b, mfn);
    st64(record + IoDomainRecord_LEAVES, ld64(record + IoDomainRecord_LEAVES) - 1);
  }
  return Status_OK;
}

// ---- invalidation queue

INLINE uint8_t *vtd_cell(uint8_t *b, uint32_t off) {
  uint8_t *page = bar_page(b, 0, 0, 0);
  return b + ld32(page + DevicePage_CELLS) + ((off >> 2) - ld16(page + DevicePage_FIRST)) * StateSize_CELL;
}
INLINE uint32_t vtd_get(uint8_t *b, uint32_t off) { return ld32(vtd_cell(b, off)); }
INLINE void vtd_set(uint8_t *b, uint32_t off, uint32_t value) { st32(vtd_cell(b, off), value); }

static void invalidate_domain(uint8_t *b, uint32_t did) {
  count(b, Counter_INVALIDATE_DOMAIN);
  uint64_t clock = ld64(iommu(b) + IommuState_CLOCK);
  st64(iommu(b) + IommuState_FLOOR_MAX, clock);
  st64(iommu(b) + IommuState_FLOORS + did * 8, clock);
}

static void invalidate_pages(uint8_t *b, uint32_t did, uint64_t page, uint64_t pages, bool leaf_only) {
  count(b, Counter_INVALIDATE_PAGE);
  uint8_t *iotlb = b + ld32(b + State_POOL_IOTLB);
  uint32_t sizes = ld32(iommu(b) + IommuState_SIZES);
  for (uint64_t i = 0; i < pages; i++) cache_kill(iotlb, cache_tag(page + i, did, 0));
  if (sizes & 2) cache_kill(iotlb, cache_tag(page >> 9, did, 1));
  if (sizes & 4) cache_kill(iotlb, cache_tag(page >> 18, did, 2));
  if (leaf_only) return;
  cache_kill(b + ld32(b + State_POOL_PWC_2M), cache_tag(page >> 9, did, 0));
  cache_kill(b + ld32(b + State_POOL_PWC_1G), cache_tag(page >> 18, did, 0));
  cache_kill(b + ld32(b + State_POOL_PWC_512G), cache_tag(page >> 27, did, 0));
}

INLINE bool descriptor(uint8_t *b, uint64_t lo, uint64_t hi) {
  uint32_t granularity = ((uint32_t)lo >> VtdInv_G_SHIFT) & 3, did = (uint32_t)lo >> 16;
  switch (lo & 0xf) {
    case VtdInv_IOTLB:
      if ((lo & 0xffffffff0000ff00ull) || (hi & 0xf80)) return false;
      if (granularity == VtdInv_G_DOMAIN) invalidate_domain(b, did);
      else if (granularity == VtdInv_G_SELECTIVE && (hi & VtdInv_AM_MASK) <= 3) {
        uint64_t pages = 1ull << (hi & VtdInv_AM_MASK);
        invalidate_pages(b, did, (hi >> 12) & ~(pages - 1), pages, (hi & VtdInv_IH) != 0);
      } else return false;
      return true;
    case VtdInv_WAIT: {
      if ((hi & 3) || (lo & 0xffffff00)) return false;
      count(b, Counter_WAITS);
      if (!(lo & VtdInv_WAIT_SW)) return true;
      uint64_t mfn = hi >> Machine_PAGE_SHIFT;
      uint8_t *p = mfn < Machine_MFN_LIMIT ? frame_ptr(b, (uint32_t)mfn) : NULL;
      if (!p) return false;
      st32(p + ((uint32_t)hi & Machine_PAGE_MASK & ~3u), (uint32_t)(lo >> 32));
      return true;
    }
    default:
      return false;
  }
}

static void queue_drain(uint8_t *b, uint32_t budget) {
  uint64_t base = ((uint64_t)vtd_get(b, Vtd_IQA + 4) << 32 | vtd_get(b, Vtd_IQA)) >> Machine_PAGE_SHIFT;
  uint32_t entries = 256u << (vtd_get(b, Vtd_IQA) & 7);
  uint32_t tail = (vtd_get(b, Vtd_IQT) >> 4) & (entries - 1);
  uint32_t head = (vtd_get(b, Vtd_IQH) >> 4) & (entries - 1);
  st64(b + State_WORK, ld64(b + State_WORK) & ~1ull);
  while (head != tail && ld32(iommu(b) + IommuState_QUEUE_ENABLED)
    && !(vtd_get(b, Vtd_FSTS) & (VtdFsts_IQE | VtdFsts_ITE)) && budget--) {
    count(b, Counter_SERVICE_UNITS);
    uint64_t mfn = base + (head >> 8);
    uint8_t *p = mfn < Machine_MFN_LIMIT ? frame_ptr(b, (uint32_t)mfn) : NULL;
    if (!p || !descriptor(b, ld64(p + (head & 255) * 16), ld64(p + (head & 255) * 16 + 8))) break;
    count(b, Counter_INVALIDATIONS);
    head = (head + 1) & (entries - 1);
  }
  vtd_set(b, Vtd_IQH, head << 4);
}

static uint32_t invalidate_sync(uint8_t *b, uint64_t lo, uint64_t hi) {
  if (!ld32(iommu(b) + IommuState_QUEUE_ENABLED)) return Status_OK;
  uint32_t queue = vtd_get(b, Vtd_IQA);
  uint32_t entries = 256u << (queue & 7);
  uint32_t base = queue >> Machine_PAGE_SHIFT | vtd_get(b, Vtd_IQA + 4) << 20;
  uint32_t tail = (vtd_get(b, Vtd_IQT) >> 4) & (entries - 1);
  uint32_t status_mfn = ld32(iommu(b) + IommuState_STATUS_MFN);
  uint8_t *status = frame_ptr(b, status_mfn);
  uint8_t *first = frame_ptr(b, base + (tail >> 8));
  uint8_t *second = frame_ptr(b, base + (((tail + 1) & (entries - 1)) >> 8));
  if (!status || !first || !second) return Status_ABSENT;
  uint32_t value = ld32(iommu(b) + IommuState_STATUS_VALUE) + 1;
  st32(iommu(b) + IommuState_STATUS_VALUE, value);
  st64(first + (tail & 255) * 16, lo);
  st64(first + (tail & 255) * 16 + 8, hi);
  tail = (tail + 1) & (entries - 1);
  st64(second + (tail & 255) * 16, (uint64_t)value << 32 | VtdInv_WAIT_SW | VtdInv_WAIT);
  st64(second + (tail & 255) * 16 + 8, (uint64_t)status_mfn << Machine_PAGE_SHIFT);
  tail = (tail + 1) & (entries - 1);
  vtd_set(b, Vtd_IQT, (tail << 4) & 0x7fff0);
  count(b, Counter_INVALIDATION_SUBMISSIONS);
  queue_drain(b, 512);
  return ld32(status) == value ? Status_OK : Status_PENDING;
}

// ---- hypercalls

INLINE uint32_t hypercall_enter(uint8_t *b, uint32_t dom) {
  if (!domain_present(b, dom)) return 0;
  uint8_t *record = domain_record(b, dom);
  if (!(ld32(record + DomainRecord_FLAGS) & DomainFlag_NATIVE)) {
    st64(record + DomainRecord_HYPERCALLS, ld64(record + DomainRecord_HYPERCALLS) + 1);
    count(b, Counter_HYPERCALLS);
  }
  return ld32(record + DomainRecord_IO_DOMAIN);
}

static uint32_t iommu_op_map(uint8_t *b, uint32_t dom, uint32_t dfn, uint32_t mfn, uint32_t pages, uint32_t rights) {
  uint32_t slot = hypercall_enter(b, dom);
  count(b, Counter_IOMMU_OP_MAPS);
  if (!slot) return Status_ABSENT;
  uint32_t owner = ld32(io_domain_record(b, slot - 1) + IoDomainRecord_OWNER);
  if (owner != ld32(domain_record(b, dom) + DomainRecord_DOMID)) return Status_REFUSED;
  if (!pages || (uint64_t)mfn + pages > Machine_MFN_LIMIT) return Status_RANGE;
  for (uint32_t i = 0; i < pages; i++) if (!frame_is_own_ram(b, mfn + i, owner)) return Status_REFUSED;
  return io_map(b, slot - 1, dfn, mfn, pages, rights);
}

static uint32_t iommu_op_unmap(uint8_t *b, uint32_t dom, uint32_t dfn, uint32_t pages) {
  uint32_t slot = hypercall_enter(b, dom);
  count(b, Counter_IOMMU_OP_UNMAPS);
  return slot ? io_unmap(b, slot - 1, dfn, pages) : Status_ABSENT;
}

static uint32_t iommu_op_flush(uint8_t *b, uint32_t dom, uint32_t dfn, uint32_t pages) {
  uint32_t slot = hypercall_enter(b, dom);
  count(b, Counter_IOMMU_OP_FLUSHES);
  if (!slot) return Status_ABSENT;
  uint64_t kind = (uint64_t)ld32(io_domain_record(b, slot - 1) + IoDomainRecord_DID) << 16
    | VtdInv_DR | VtdInv_DW | VtdInv_IOTLB;
  uint32_t order = 0;
  if (pages) while (order <= Vtd_MAMV && dfn >> order != (dfn + pages - 1) >> order) order++;
  if (!pages || order > Vtd_MAMV) return invalidate_sync(b, kind | VtdInv_G_DOMAIN << VtdInv_G_SHIFT, 0);
  uint64_t page = (uint64_t)(dfn >> order << order) << Machine_PAGE_SHIFT;
  return invalidate_sync(b, kind | VtdInv_G_SELECTIVE << VtdInv_G_SHIFT, page | order);
}
