// dma_map, dma_unmap, iova allocator and the receive half of the driver, as in assembly/drivers. Bouncing is left
// out: the bench's buffers lie within one page.
#pragma once
#include "dma.h"

#define NO_BUS UINT64_MAX

// ---- iova allocator: one page at a time, magazines in front of the bitmap

INLINE uint8_t *bitmap_word(uint8_t *m, uint32_t page) { return m + DmaMap_BITMAP + (page >> 5) * 4; }
INLINE bool bitmap_bit(uint8_t *m, uint32_t page) { return ld32(bitmap_word(m, page)) >> (page & 31) & 1; }
INLINE void bitmap_mark(uint8_t *m, uint32_t page, bool used) {
  uint32_t word = ld32(bitmap_word(m, page)), mask = 1u << (page & 31);
  st32(bitmap_word(m, page), used ? word | mask : word & ~mask);
}

static uint32_t bitmap_search(uint8_t *m, uint32_t from) {
  for (uint32_t at = from; at >= 1;) {
    uint32_t page = at - 1;
    if (!page) return 0;
    if (!bitmap_bit(m, page)) return page;
    at = page;
    while (!(at & 31) && at >= 32 && ld32(bitmap_word(m, at - 32)) == 0xffffffff) at -= 32;
  }
  return 0;
}

SLOW uint32_t tree_alloc(uint8_t *b, uint8_t *m) {
  count(b, Counter_IOVA_ALLOCS_TREE);
  uint32_t page = bitmap_search(m, ld32(m + DmaMap_CURSOR));
  if (!page) page = bitmap_search(m, ld32(m + DmaMap_LIMIT));
  if (!page) return 0;
  bitmap_mark(m, page, true);
  st32(m + DmaMap_CURSOR, page);
  return page;
}

SLOW void tree_free(uint8_t *b, uint8_t *m, uint32_t page) {
  count(b, Counter_IOVA_FREES_TREE);
  bitmap_mark(m, page, false);
  if (page + 1 > ld32(m + DmaMap_CURSOR)) st32(m + DmaMap_CURSOR, page + 1);
}

INLINE uint8_t *magazine_slot(uint8_t *g, uint32_t slot) { return g + Magazines_SLOTS + slot * (Magazines_PAGES * 4); }

static void magazines_swap(uint8_t *g) {
  uint32_t slot = ld32(g + Magazines_LOADED), number = ld32(g + Magazines_LOADED_COUNT);
  st32(g + Magazines_LOADED, ld32(g + Magazines_PREVIOUS));
  st32(g + Magazines_LOADED_COUNT, ld32(g + Magazines_PREVIOUS_COUNT));
  st32(g + Magazines_PREVIOUS, slot);
  st32(g + Magazines_PREVIOUS_COUNT, number);
}

INLINE uint32_t stack_pop(uint8_t *g, uint32_t stack, uint32_t counter) {
  uint32_t number = ld32(g + counter) - 1;
  st32(g + counter, number);
  return ld32(g + stack + number * 4);
}
INLINE void stack_push(uint8_t *g, uint32_t stack, uint32_t counter, uint32_t slot) {
  uint32_t number = ld32(g + counter);
  st32(g + stack + number * 4, slot);
  st32(g + counter, number + 1);
}

static uint32_t iova_alloc(uint8_t *b, uint8_t *m) {
  if (ld32(m + DmaMap_ALLOCATOR) == IovaMode_TREE) return tree_alloc(b, m);
  uint8_t *g = m + DmaMap_MAGAZINES;
  if (!ld32(g + Magazines_LOADED_COUNT)) {
    if (ld32(g + Magazines_PREVIOUS_COUNT)) magazines_swap(g);
    else if (ld32(g + Magazines_DEPOT)) {
      stack_push(g, Magazines_FREE_STACK, Magazines_FREE, ld32(g + Magazines_LOADED));
      st32(g + Magazines_LOADED, stack_pop(g, Magazines_DEPOT_STACK, Magazines_DEPOT));
      st32(g + Magazines_LOADED_COUNT, Magazines_PAGES);
    } else return tree_alloc(b, m);
  }
  count(b, Counter_IOVA_ALLOCS_FAST);
  uint32_t number = ld32(g + Magazines_LOADED_COUNT) - 1;
  st32(g + Magazines_LOADED_COUNT, number);
  return ld32(magazine_slot(g, ld32(g + Magazines_LOADED)) + number * 4);
}

static void iova_free(uint8_t *b, uint8_t *m, uint32_t page) {
  if (ld32(m + DmaMap_ALLOCATOR) == IovaMode_TREE) {
    tree_free(b, m, page);
    return;
  }
  uint8_t *g = m + DmaMap_MAGAZINES;
  if (ld32(g + Magazines_LOADED_COUNT) == Magazines_PAGES) {
    if (ld32(g + Magazines_PREVIOUS_COUNT) < Magazines_PAGES) magazines_swap(g);
    else {
      if (ld32(g + Magazines_DEPOT) < Magazines_DEPOT_MAX) {
        stack_push(g, Magazines_DEPOT_STACK, Magazines_DEPOT, ld32(g + Magazines_LOADED));
        st32(g + Magazines_LOADED, stack_pop(g, Magazines_FREE_STACK, Magazines_FREE));
      } else {
        uint8_t *p = magazine_slot(g, ld32(g + Magazines_LOADED));
        for (uint32_t i = 0; i < Magazines_PAGES; i++) tree_free(b, m, ld32(p + i * 4));
      }
      st32(g + Magazines_LOADED_COUNT, 0);
    }
  }
  count(b, Counter_IOVA_FREES_FAST);
  uint32_t number = ld32(g + Magazines_LOADED_COUNT);
  st32(magazine_slot(g, ld32(g + Magazines_LOADED)) + number * 4, page);
  st32(g + Magazines_LOADED_COUNT, number + 1);
}

// ---- mapping

INLINE uint8_t *queue_entry(uint8_t *m, uint32_t index) { return m + DmaMap_QUEUE + index * 16; }

static void queue_release(uint8_t *b, uint8_t *m) {
  uint64_t finished = ld64(m + DmaMap_QUEUE_FINISHED);
  uint32_t head = ld32(m + DmaMap_QUEUE_HEAD), tail = ld32(m + DmaMap_QUEUE_TAIL);
  while (head != tail && ld64(queue_entry(m, head) + 8) < finished) {
    iova_free(b, m, ld32(queue_entry(m, head)));
    head = (head + 1) & (DmaMap_QUEUE_SIZE - 1);
  }
  st32(m + DmaMap_QUEUE_HEAD, head);
}

SLOW void dma_flush(uint8_t *b, uint8_t *m) {
  st64(m + DmaMap_QUEUE_STARTED, ld64(m + DmaMap_QUEUE_STARTED) + 1);
  iommu_op_flush(b, ld32(m + DmaMap_DOMAIN), 0, 0);
  count(b, Counter_DEFERRED_FLUSHES);
  st64(m + DmaMap_QUEUE_FINISHED, ld64(m + DmaMap_QUEUE_FINISHED) + 1);
  st64(m + DmaMap_QUEUE_DEADLINE, 0);
  queue_release(b, m);
}

static void queue_add(uint8_t *b, uint8_t *m, uint32_t page) {
  count(b, Counter_DEFERRED_UNMAPS);
  queue_release(b, m);
  uint32_t tail = ld32(m + DmaMap_QUEUE_TAIL);
  if (((tail + 1) & (DmaMap_QUEUE_SIZE - 1)) == ld32(m + DmaMap_QUEUE_HEAD)) dma_flush(b, m);
  uint8_t *entry = queue_entry(m, tail);
  st32(entry, page);
  st32(entry + 4, 1);
  st64(entry + 8, ld64(m + DmaMap_QUEUE_STARTED));
  st32(m + DmaMap_QUEUE_TAIL, (tail + 1) & (DmaMap_QUEUE_SIZE - 1));
  if (!ld64(m + DmaMap_QUEUE_DEADLINE)) {
    st64(m + DmaMap_QUEUE_DEADLINE, ld64(b + State_NOW) + DmaMap_QUEUE_TIMEOUT_NS);
  }
}

static uint64_t dma_map(uint8_t *b, uint8_t *m, uint32_t va, uint32_t size, uint32_t direction) {
  uint32_t mode = ld32(m + DmaMap_MODE), dom = ld32(m + DmaMap_DOMAIN);
  count(b, Counter_MAPS);
  uint32_t mfn = guest_ram_mfn(b, dom, va >> Machine_PAGE_SHIFT);
  uint32_t within = va & Machine_PAGE_MASK;
  if (mode == MapMode_DIRECT) {
    uint64_t bus = (uint64_t)mfn << Machine_PAGE_SHIFT | within;
    bool whole = mfn != Machine_MFN_LIMIT && within + size <= Machine_PAGE_SIZE;
    if (whole && bus + size - 1 <= ld64(m + DmaMap_MASK)) return bus;
  } else {
    uint32_t iova = iova_alloc(b, m);
    if (iova && iommu_op_map(b, dom, iova, mfn, 1, direction) == Status_OK) {
      return (uint64_t)iova << Machine_PAGE_SHIFT | within;
    }
  }
  count(b, Counter_MAP_FAILURES);
  return NO_BUS;
}

static void dma_unmap(uint8_t *b, uint8_t *m, uint64_t bus) {
  uint32_t mode = ld32(m + DmaMap_MODE), dom = ld32(m + DmaMap_DOMAIN);
  count(b, Counter_UNMAPS);
  if (mode == MapMode_DIRECT) return;
  uint32_t iova = (uint32_t)(bus >> Machine_PAGE_SHIFT);
  iommu_op_unmap(b, dom, iova, 1);
  if (mode == MapMode_LAZY) {
    queue_add(b, m, iova);
    return;
  }
  iommu_op_flush(b, dom, iova, 1);
  iova_free(b, m, iova);
}

// ---- receive ring

INLINE uint32_t ring_next(uint32_t index, uint32_t number) { return index + 1 == number ? 0 : index + 1; }

INLINE void buffer_give(uint8_t *d, uint32_t va) {
  uint32_t number = ld32(d + E1000Driver_POOL_COUNT);
  if (number >= E1000Driver_POOL_MAX) return;
  st32(d + E1000Driver_POOL + number * 4, va);
  st32(d + E1000Driver_POOL_COUNT, number + 1);
}

static void refill(uint8_t *b, uint8_t *d) {
  uint8_t *m = b + ld32(d + E1000Driver_MAP);
  uint32_t size = ld32(d + E1000Driver_BUFFER_SIZE), ring = ld32(d + E1000Driver_RX_RING_VA);
  uint32_t number = ld32(d + E1000Driver_RX_COUNT), clean = ld32(d + E1000Driver_RX_CLEAN);
  uint32_t use = ld32(d + E1000Driver_RX_USE);
  while (ring_next(use, number) != clean) {
    uint32_t left = ld32(d + E1000Driver_POOL_COUNT);
    if (!left) break;
    st32(d + E1000Driver_POOL_COUNT, left - 1);
    uint32_t va = ld32(d + E1000Driver_POOL + (left - 1) * 4);
    uint64_t bus = dma_map(b, m, va, size, DmaDirection_FROM_DEVICE);
    uint8_t *descriptor = guest_ptr(b, ld32(d + E1000Driver_DOMAIN), ring + use * 16);
    if (bus == NO_BUS || !descriptor) {
      st32(d + E1000Driver_MAP_ERRORS, ld32(d + E1000Driver_MAP_ERRORS) + 1);
      buffer_give(d, va);
      break;
    }
    st64(descriptor + E1000Rxd_BUFFER, bus);
    st64(descriptor + E1000Rxd_LENGTH, 0);
    uint8_t *slot = d + E1000Driver_RX_SLOTS + use * 16;
    st64(slot, bus);
    st32(slot + 8, va);
    use = ring_next(use, number);
  }
  st32(d + E1000Driver_RX_USE, use);
}

static uint32_t receive(uint8_t *b, uint8_t *d) {
  uint32_t index = ld32(d + E1000Driver_RX_CLEAN);
  if (index == ld32(d + E1000Driver_RX_USE)) return 0;
  uint8_t *descriptor = guest_ptr(b, ld32(d + E1000Driver_DOMAIN), ld32(d + E1000Driver_RX_RING_VA) + index * 16);
  if (!descriptor) return 0;
  uint32_t status = descriptor[E1000Rxd_STATUS];
  if (!(status & E1000Rxd_STATUS_DD)) return 0;
  uint8_t *slot = d + E1000Driver_RX_SLOTS + index * 16;
  uint32_t va = ld32(slot + 8), size = ld32(d + E1000Driver_BUFFER_SIZE);
  dma_unmap(b, b + ld32(d + E1000Driver_MAP), ld64(slot));
  st32(d + E1000Driver_RX_CLEAN, ring_next(index, ld32(d + E1000Driver_RX_COUNT)));
  uint32_t len = ld16(descriptor + E1000Rxd_LENGTH);
  bool good = (status & E1000Rxd_STATUS_EOP) && !descriptor[E1000Rxd_ERRORS] && len > 18 && len <= size;
  if (!good) st32(d + E1000Driver_RX_ERRORS, ld32(d + E1000Driver_RX_ERRORS) + 1);
  st32(d + E1000Driver_RECEIVED_LEN, good ? len - 4 : 0);
  return va;
}

/** As receiveRun in assembly/paths/receive.ts. */
static uint32_t receive_run(uint8_t *b, uint32_t driver, uint32_t fn, uint32_t ring, uint32_t store, uint32_t frames,
  uint32_t len, uint32_t packets) {
  uint8_t *d = b + driver;
  uint8_t *scratch = b + ld32(function_record(b, fn) + FunctionRecord_DEVICE);
  uint32_t dom = ld32(d + E1000Driver_DOMAIN), number = ld32(d + E1000Driver_RX_COUNT);
  uint32_t head = ld32(d + E1000Driver_RX_CLEAN);
  uint32_t stride = (len + 63) & ~63u;
  uint32_t frame = 0, sum = 0;
  for (uint32_t done = 0; done < packets;) {
    refill(b, d);
    uint32_t batch = min32(32, packets - done);
    for (uint32_t i = 0; i < batch; i++) {
      uint64_t at = (uint64_t)ring + head * 16;
      if (dma_read(b, fn, at, 16, scratch) != Status_OK) return 0;
      if (dma_write(b, fn, ld64(scratch), len, b + store + frame * stride) != Status_OK) return 0;
      st64(scratch + 8, len | (uint64_t)(E1000Rxd_STATUS_DD | E1000Rxd_STATUS_EOP) << 32);
      if (dma_write(b, fn, at + 8, 8, scratch + 8) != Status_OK) return 0;
      head = ring_next(head, number);
      frame = frame + 1 == frames ? 0 : frame + 1;
    }
    for (uint32_t i = 0; i < batch; i++) {
      uint32_t va = receive(b, d);
      if (!va) return 0;
      uint8_t *p = guest_ptr(b, dom, va);
      if (p) sum += ld32(p);
      buffer_give(d, va);
    }
    done += batch;
  }
  return sum;
}
