// Guest loads, stores and in, as assembly/paths/guest.ts and registers.ts do them.
#pragma once
#include "state.h"

INLINE void result(uint8_t *b, uint32_t status) { st32(b + State_RESULT_STATUS, status); }

INLINE uint32_t ones(uint8_t *b, uint32_t status) {
  result(b, status);
  st32(b + State_RESULT_HI, 0xffffffff);
  return 0xffffffff;
}

SLOW void access_refused(uint8_t *b, uint32_t slot, uint32_t kind, uint32_t lo, uint32_t hi) {
  count(b, Counter_GUEST_REFUSED);
  if (slot >= Machine_DOMAINS) return;
  uint8_t *record = domain_record(b, slot);
  st64(record + DomainRecord_REFUSED, ld64(record + DomainRecord_REFUSED) + 1);
  st32(record + DomainRecord_LAST_REFUSED_LO, lo);
  st32(record + DomainRecord_LAST_REFUSED_HI, hi);
  st32(record + DomainRecord_LAST_REFUSED_KIND, kind);
}

INLINE uint8_t *bar_record(uint8_t *b, uint32_t fn, uint32_t bar) {
  return function_record(b, fn) + FunctionRecord_BARS + bar * BarRecord_SIZE_OF;
}

INLINE uint8_t *bar_page(uint8_t *b, uint32_t fn, uint32_t bar, uint32_t off) {
  return b + ld32(bar_record(b, fn, bar) + BarRecord_PAGES) + (off >> Machine_PAGE_SHIFT) * StateSize_DEVICE_PAGE;
}

INLINE uint8_t *cell_at(uint8_t *b, uint8_t *page, uint32_t off) {
  uint32_t range = ld32(page + DevicePage_FIRST);
  uint32_t index = ((off & Machine_PAGE_MASK) >> 2) - (range & 0xffff);
  return index < range >> 16
    ? b + ld32(page + DevicePage_CELLS) + index * StateSize_CELL : NULL;
}

INLINE uint32_t narrow(uint32_t value, uint32_t off, uint32_t width) {
  value >>= (off & 3) << 3;
  return width == 4 ? value : value & ((1u << (width << 3)) - 1);
}

INLINE bool width_valid(uint32_t flags, uint32_t off, uint32_t width) {
  return (flags & width) && !(off & (width - 1));
}

// Registers with side effects are left to the devices, which the twin has none of: a bench does not touch them.
SLOW uint32_t device_read(void) { return 0xffffffff; }
SLOW void device_write(void) { }

INLINE uint32_t dword_read(uint8_t *b, uint8_t *page, uint32_t off, uint32_t width) {
  if (page[DevicePage_KIND] == PageKind_CELLS) {
    uint8_t *cell = cell_at(b, page, off);
    if (cell) {
      uint32_t flags = ld32(cell + Cell_FLAGS);
      if (!width_valid(flags, off, width)) {
        result(b, Status_WIDTH);
        return 0xffffffff;
      }
      if (flags & CellFlag_READ_EFFECT) return narrow(device_read(), off, width);
      return narrow(flags & CellFlag_WRITE_ONLY ? 0xffffffff : ld32(cell + Cell_VALUE), off, width);
    }
  }
  return narrow(ld32(page + DevicePage_CONSTANT), off, width);
}

/** Stores by the cell's masks; `placed` and `lanes` are in dword position. */
INLINE void cell_store(uint8_t *cell, uint32_t placed, uint32_t lanes) {
  uint32_t mask = ld32(cell + Cell_WRITE_MASK) & lanes;
  uint32_t merged = (ld32(cell + Cell_VALUE) & ~mask) | (placed & mask);
  st32(cell + Cell_VALUE, merged & ~(placed & lanes & ld32(cell + Cell_W1C)));
}

INLINE uint32_t lanes_of(uint32_t off, uint32_t width) {
  return (width == 4 ? 0xffffffff : ((1u << (width << 3)) - 1)) << ((off & 3) << 3);
}

INLINE void dword_write(uint8_t *b, uint8_t *page, uint32_t off, uint32_t width, uint32_t value) {
  if (page[DevicePage_KIND] != PageKind_CELLS) return;
  uint8_t *cell = cell_at(b, page, off);
  if (!cell) return;
  uint32_t flags = ld32(cell + Cell_FLAGS);
  if (!width_valid(flags, off, width)) {
    result(b, Status_WIDTH);
    return;
  }
  if (!(flags & CellFlag_HANDLER_STORES)) cell_store(cell, value << ((off & 3) << 3), lanes_of(off, width));
  if (flags & (CellFlag_WRITE_EFFECT | CellFlag_HANDLER_STORES)) device_write();
}

/** Id (function x 6 + BAR, plus one) of the small BAR that holds a byte of a shared page. */
SLOW uint32_t shared_find(uint8_t *b, uint32_t entry, uint32_t off) {
  uint32_t id = (entry & DecodeEntry_INDEX_MASK) + 1;
  while (id) {
    uint8_t *record = bar_record(b, (id - 1) / Machine_BARS, (id - 1) % Machine_BARS);
    uint32_t start = ld32(record + BarRecord_MAPPED_LO) & Machine_PAGE_MASK;
    if (off - start < ld32(record + BarRecord_SIZE)) return id;
    id = ld32(record + BarRecord_NEXT);
  }
  return 0;
}

/** Device page of a machine address, NULL where no BAR is decoded; `*off` becomes the offset within its page. */
INLINE uint8_t *decode_at(uint8_t *b, uint64_t mpa, uint32_t *off) {
  uint32_t entry = mpa >> 40 ? 0 : radix_get(b, b + State_MMIO_ROOT, (uint32_t)(mpa >> Machine_PAGE_SHIFT));
  if (!entry) return NULL;
  *off = (uint32_t)mpa & Machine_PAGE_MASK;
  if (entry >> DecodeEntry_KIND_SHIFT == DecodeEntry_PAGE) return b + ((uint64_t)(entry & DecodeEntry_INDEX_MASK) << 4);
  uint32_t id = shared_find(b, entry, *off);
  if (!id) return NULL;
  uint8_t *record = bar_record(b, (id - 1) / Machine_BARS, (id - 1) % Machine_BARS);
  *off -= ld32(record + BarRecord_MAPPED_LO) & Machine_PAGE_MASK;
  return b + ld32(record + BarRecord_PAGES);
}

// ---- device pages by guest page

INLINE uint32_t lookaside_key(uint8_t *b, uint32_t dom, uint32_t page) {
  return ld32(b + State_LOOKASIDE_GENERATION) | dom << 16 | page >> 12;
}
INLINE uint8_t *lookaside_entry(uint8_t *b, uint32_t dom, uint32_t page) {
  return b + State_LOOKASIDE + ((page ^ dom << 6) & (Lookaside_ENTRIES - 1)) * 8;
}
INLINE uint64_t lookaside_find(uint8_t *b, uint32_t dom, uint64_t address) {
  if (address >> 40 || dom >= Machine_DOMAINS) return 0;
  uint32_t page = (uint32_t)(address >> Machine_PAGE_SHIFT);
  uint64_t entry = ld64(lookaside_entry(b, dom, page));
  return (uint32_t)entry == lookaside_key(b, dom, page) ? entry : 0;
}
INLINE uint8_t *lookaside_page(uint8_t *b, uint64_t entry) { return b + ((entry >> 32 & 0x0fffffff) << 4); }

SLOW void page_keep(uint8_t *b, uint32_t dom, uint64_t address, uint32_t map) {
  uint32_t decoded = radix_get(b, b + State_MMIO_ROOT, map & MapEntry_MFN_MASK);
  if (decoded >> DecodeEntry_KIND_SHIFT != DecodeEntry_PAGE) return;
  uint32_t page = (uint32_t)(address >> Machine_PAGE_SHIFT);
  uint32_t value = (map >> MapEntry_WRITABLE_BIT & 1) << 31 | (decoded & DecodeEntry_INDEX_MASK);
  st64(lookaside_entry(b, dom, page), (uint64_t)value << 32 | lookaside_key(b, dom, page));
}

INLINE uint8_t *plain_cell(uint8_t *b, uint8_t *page, uint32_t off, uint32_t width, uint32_t effects) {
  if (page[DevicePage_KIND] != PageKind_CELLS || width > 4) return NULL;
  uint8_t *cell = cell_at(b, page, off);
  if (!cell) return NULL;
  uint32_t flags = ld32(cell + Cell_FLAGS);
  return (flags & (width | effects)) == width && !(off & (width - 1)) ? cell : NULL;
}

SLOW uint32_t guest_load_slow(uint8_t *b, uint32_t dom, uint64_t address, uint32_t width) {
  result(b, Status_OK);
  if (!domain_present(b, dom)) return ones(b, Status_ABSENT);
  uint32_t within = (uint32_t)address & Machine_PAGE_MASK;
  if (within + width > Machine_PAGE_SIZE) return ones(b, Status_WIDTH);
  uint32_t entry = address >> 40 ? 0 : guest_map_get(b, dom, (uint32_t)(address >> Machine_PAGE_SHIFT));
  uint32_t mfn = entry & MapEntry_MFN_MASK;
  uint32_t kind = entry >> MapEntry_KIND_SHIFT;
  if (kind == MapEntry_RAM) {
    uint8_t *frame = frame_ptr(b, mfn);
    if (frame) return width == 4 ? ld32(frame + within) : width == 2 ? ld16(frame + within) : frame[within];
  } else if (kind == MapEntry_MMIO) {
    count(b, Counter_GUEST_MMIO_READS);
    uint32_t off;
    uint8_t *page = decode_at(b, (uint64_t)mfn << Machine_PAGE_SHIFT | within, &off);
    if (!page) return ones(b, Status_NOTHING);
    page_keep(b, dom, address, entry);
    return dword_read(b, page, off, width);
  }
  access_refused(b, dom, RefusedKind_LOAD, (uint32_t)address, (uint32_t)(address >> 32));
  return ones(b, Status_REFUSED);
}

INLINE uint32_t guest_load(uint8_t *b, uint32_t dom, uint64_t address, uint32_t width) {
  uint64_t entry = lookaside_find(b, dom, address);
  if (entry) {
    uint8_t *cell = plain_cell(b, lookaside_page(b, entry), (uint32_t)address, width,
      CellFlag_READ_EFFECT | CellFlag_WRITE_ONLY);
    if (cell) {
      result(b, Status_OK);
      count(b, Counter_GUEST_MMIO_READS);
      return narrow(ld32(cell + Cell_VALUE), (uint32_t)address, width);
    }
  }
  return guest_load_slow(b, dom, address, width);
}

SLOW void guest_store_slow(uint8_t *b, uint32_t dom, uint64_t address, uint32_t width, uint32_t value) {
  result(b, Status_OK);
  if (!domain_present(b, dom)) return result(b, Status_ABSENT);
  uint32_t within = (uint32_t)address & Machine_PAGE_MASK;
  if (within + width > Machine_PAGE_SIZE) return result(b, Status_WIDTH);
  uint32_t entry = address >> 40 ? 0 : guest_map_get(b, dom, (uint32_t)(address >> Machine_PAGE_SHIFT));
  uint32_t mfn = entry & MapEntry_MFN_MASK;
  if (entry >> MapEntry_WRITABLE_BIT & 1) {
    if (entry >> MapEntry_KIND_SHIFT == MapEntry_RAM) {
      uint8_t *frame = frame_ptr(b, mfn);
      if (frame) {
        if (width == 4) st32(frame + within, value);
        else if (width == 2) st16(frame + within, (uint16_t)value);
        else frame[within] = (uint8_t)value;
        frame_dirty(b, mfn);
        return;
      }
    } else {
      count(b, Counter_GUEST_MMIO_WRITES);
      uint32_t off;
      uint8_t *page = decode_at(b, (uint64_t)mfn << Machine_PAGE_SHIFT | within, &off);
      if (!page) {
        result(b, Status_NOTHING);
        return;
      }
      page_keep(b, dom, address, entry);
      dword_write(b, page, off, width, value);
      return;
    }
  }
  access_refused(b, dom, RefusedKind_STORE, (uint32_t)address, (uint32_t)(address >> 32));
  result(b, Status_REFUSED);
}

INLINE void guest_store(uint8_t *b, uint32_t dom, uint64_t address, uint32_t width, uint32_t value) {
  uint64_t entry = lookaside_find(b, dom, address);
  if (entry >> 63) {
    uint8_t *cell = plain_cell(b, lookaside_page(b, entry), (uint32_t)address, width,
      CellFlag_WRITE_EFFECT | CellFlag_HANDLER_STORES);
    if (cell) {
      result(b, Status_OK);
      count(b, Counter_GUEST_MMIO_WRITES);
      cell_store(cell, value << (((uint32_t)address & 3) << 3), lanes_of((uint32_t)address, width));
      return;
    }
  }
  guest_store_slow(b, dom, address, width, value);
}

INLINE bool ports_allowed(uint8_t *b, uint32_t slot, uint32_t port, uint32_t width) {
  if (port + width > 0x10000) return false;
  uint8_t *bitmap = b + ld32(b + State_POOL_PORT_BITMAPS) + slot * StateSize_PORT_BITMAP;
  uint32_t wanted = ((1u << width) - 1) << (port & 7);
  uint32_t first = port >> 3;
  uint32_t have = first < StateSize_PORT_BITMAP - 1 ? ld16(bitmap + first) : bitmap[first];
  return (have & wanted) == wanted;
}

INLINE uint8_t *port_page(uint8_t *b, uint32_t port, uint32_t width, uint32_t *off) {
  if (port + width > 0x10000 || (port & 3) + width > 4) return NULL;
  uint32_t holder = ld16(b + ld32(b + State_POOL_PORTS) + (port >> 2) * 2);
  if (holder == PortEntry_NONE || holder >= PortEntry_CONFIG_ADDRESS) return NULL;
  uint32_t fn = (holder - 1) / Machine_BARS;
  uint32_t bar = (holder - 1) % Machine_BARS;
  *off = port - ld32(bar_record(b, fn, bar) + BarRecord_MAPPED_LO);
  return bar_page(b, fn, bar, *off);
}

SLOW uint32_t guest_in_slow(uint8_t *b, uint32_t dom, uint32_t port, uint32_t width) {
  if (!domain_present(b, dom)) return ones(b, Status_ABSENT);
  if (!ports_allowed(b, dom, port, width)) {
    access_refused(b, dom, RefusedKind_IN, port, 0);
    return ones(b, Status_REFUSED);
  }
  count(b, Counter_GUEST_PORT_READS);
  result(b, Status_OK);
  uint32_t off;
  uint8_t *page = port_page(b, port, width, &off);
  return page ? dword_read(b, page, off, width) : ones(b, Status_NOTHING);
}

INLINE uint32_t guest_in(uint8_t *b, uint32_t dom, uint32_t port, uint32_t width) {
  if (domain_present(b, dom) && ports_allowed(b, dom, port, width) && (port & 3) + width <= 4) {
    uint32_t holder = (uint32_t)ld16(b + ld32(b + State_POOL_PORTS) + (port >> 2) * 2) - 1;
    if (holder < Machine_FUNCTIONS * Machine_BARS) {
      uint8_t *record = bar_record(b, holder / Machine_BARS, holder % Machine_BARS);
      uint32_t off = port - ld32(record + BarRecord_MAPPED_LO);
      uint8_t *cell = plain_cell(b, b + ld32(record + BarRecord_PAGES), off, width,
        CellFlag_READ_EFFECT | CellFlag_WRITE_ONLY);
      if (cell) {
        result(b, Status_OK);
        count(b, Counter_GUEST_PORT_READS);
        return narrow(ld32(cell + Cell_VALUE), off, width);
      }
    }
  }
  return guest_in_slow(b, dom, port, width);
}
