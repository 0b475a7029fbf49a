// The twin's view of the engine's state: the same bytes at the same offsets, so that a run here and a run of the
// engine from the same image must end in equal images. layout.h is made from assembly/spec when the twin is built.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "layout.h"

#define INLINE static inline __attribute__((always_inline))
#define SLOW static __attribute__((noinline))

// Loads and stores may alias each other, as they may in the engine; memcpy of a fixed size is one instruction.
INLINE uint16_t ld16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
INLINE uint32_t ld32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
INLINE uint64_t ld64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
INLINE void st16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
INLINE void st32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
INLINE void st64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

INLINE void count_by(uint8_t *b, uint32_t counter, uint64_t n) {
  uint8_t *p = b + State_COUNTERS + counter * 8;
  st64(p, ld64(p) + n);
}
INLINE void count(uint8_t *b, uint32_t counter) { count_by(b, counter, 1); }

INLINE uint32_t min32(uint32_t a, uint32_t b) { return a < b ? a : b; }

// ---- RAM windows. The twin keeps placement relative to the state base, which is what it hands round.

INLINE uint8_t *window_try(uint8_t *b, uint32_t index, uint32_t mfn) {
  uint8_t *record = b + State_WINDOW_TABLE + index * StateSize_WINDOW_RECORD;
  uint32_t within = mfn - ld32(record + WindowRecord_FIRST_MFN);
  if (within >= ld32(record + WindowRecord_FRAMES)) return NULL;
  return b + ld32(b + State_PLACEMENT + index * 4) + ((uint64_t)within << Machine_PAGE_SHIFT);
}

SLOW uint8_t *window_search(uint8_t *b, uint32_t mfn) {
  for (uint32_t i = 1; i < Machine_WINDOWS; i++) {
    uint8_t *p = window_try(b, i, mfn);
    if (p) return p;
  }
  return NULL;
}

INLINE uint8_t *frame_ptr(uint8_t *b, uint32_t mfn) {
  uint8_t *p = window_try(b, 0, mfn);
  return p ? p : window_search(b, mfn);
}

INLINE void frame_dirty(uint8_t *b, uint32_t mfn) {
  if (mfn >= ld32(b + State_FRAMES)) return;
  uint8_t *p = b + ld32(b + State_POOL_DIRTY) + (mfn >> 5) * 4;
  st32(p, ld32(p) | 1u << (mfn & 31));
}

// ---- frames

INLINE uint8_t *frame_record(uint8_t *b, uint32_t mfn) {
  return mfn < ld32(b + State_FRAMES)
    ? b + ld32(b + State_POOL_FRAMES) + (uint64_t)mfn * StateSize_FRAME_RECORD : NULL;
}

INLINE bool frame_is_own_ram(uint8_t *b, uint32_t mfn, uint32_t domid) {
  uint8_t *record = frame_record(b, mfn);
  return record && ld16(record + FrameRecord_OWNER) == domid && ld16(record + FrameRecord_KIND) == FrameKind_RAM;
}

INLINE void frame_hold(uint8_t *b, uint32_t mfn) {
  uint8_t *record = frame_record(b, mfn);
  if (record) st32(record + FrameRecord_REFS, ld32(record + FrameRecord_REFS) + 1);
}

INLINE void frame_release(uint8_t *b, uint32_t mfn) {
  uint8_t *record = frame_record(b, mfn);
  if (record && ld32(record + FrameRecord_REFS)) {
    st32(record + FrameRecord_REFS, ld32(record + FrameRecord_REFS) - 1);
  }
}

// ---- radix trees: guest maps and MMIO decode

INLINE uint8_t *page_ptr(uint8_t *b, uint32_t index) {
  return b + ld32(b + State_POOL_PAGES) + (uint64_t)index * StateSize_RADIX_PAGE;
}

INLINE uint32_t radix_get(uint8_t *b, uint8_t *root, uint32_t key) {
  if (key >> 28) return 0;
  uint8_t *pages = b + ld32(b + State_POOL_PAGES) - StateSize_RADIX_PAGE;
  uint32_t mid = ld32(root + (key >> 20) * 4);
  if (!mid) return 0;
  uint32_t leaf = ld32(pages + (uint64_t)mid * StateSize_RADIX_PAGE + ((key >> 10) & 1023) * 4);
  if (!leaf) return 0;
  return ld32(pages + (uint64_t)leaf * StateSize_RADIX_PAGE + (key & 1023) * 4);
}

// ---- domains

INLINE uint8_t *domain_record(uint8_t *b, uint32_t slot) {
  return b + State_DOMAIN_TABLE + slot * StateSize_DOMAIN_RECORD;
}

INLINE bool domain_present(uint8_t *b, uint32_t slot) {
  return slot < Machine_DOMAINS && ld32(domain_record(b, slot) + DomainRecord_PRESENT) != 0;
}

INLINE uint32_t guest_map_get(uint8_t *b, uint32_t slot, uint32_t page) {
  return radix_get(b, page_ptr(b, ld32(domain_record(b, slot) + DomainRecord_MAP_ROOT) - 1), page);
}

INLINE uint32_t guest_ram_mfn(uint8_t *b, uint32_t slot, uint32_t page) {
  uint32_t entry = guest_map_get(b, slot, page);
  return entry >> MapEntry_KIND_SHIFT == MapEntry_RAM ? entry & MapEntry_MFN_MASK : Machine_MFN_LIMIT;
}

/** Linear address of guest memory that the guest may write, within one page. */
INLINE uint8_t *guest_ptr(uint8_t *b, uint32_t dom, uint32_t va) {
  uint32_t entry = guest_map_get(b, dom, va >> Machine_PAGE_SHIFT);
  if (entry >> MapEntry_KIND_SHIFT != MapEntry_RAM || !(entry >> MapEntry_WRITABLE_BIT & 1)) return NULL;
  uint8_t *frame = frame_ptr(b, entry & MapEntry_MFN_MASK);
  return frame ? frame + (va & Machine_PAGE_MASK) : NULL;
}

INLINE uint8_t *function_record(uint8_t *b, uint32_t fn) {
  return b + State_FUNCTION_TABLE + fn * StateSize_FUNCTION_RECORD;
}
