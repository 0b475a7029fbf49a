// The one way from a device to memory, as assembly/dma/dma.ts.
#pragma once
#include "iommu.h"

INLINE void copy_small(uint8_t *dst, const uint8_t *src, uint32_t len) {
  // small sizes apart: gcc turns a memcpy of a bounded length into `rep movsq`, three times as slow at 64 bytes
  if (len == 16) memcpy(dst, src, 16);
  else if (len > 16 && len <= 512) {
    uint32_t i = 0;
    for (; i + 64 <= len; i += 64) {
      uint8_t block[64];
      memcpy(block, src + i, 64);
      memcpy(dst + i, block, 64);
    }
    for (; i + 16 <= len; i += 16) memcpy(dst + i, src + i, 16);
    if (i < len) memcpy(dst + len - 16, src + len - 16, 16);
  } else if (len == 8) memcpy(dst, src, 8);
  else if (len == 4) memcpy(dst, src, 4);
  else memcpy(dst, src, len);
}

INLINE uint64_t piece_mpa(uint8_t *b, uint32_t fn, uint64_t address, bool write) {
  uint8_t *record = function_record(b, fn);
  if (ld32(record + FunctionRecord_SPACE) == DmaSpace_FOREIGN) {
    if (address >> 40) return NO_TRANSLATION;
    uint32_t slot = ld32(record + FunctionRecord_SPACE_DOMAIN);
    uint32_t mfn = guest_ram_mfn(b, slot, (uint32_t)(address >> Machine_PAGE_SHIFT));
    if (mfn == Machine_MFN_LIMIT) return NO_TRANSLATION;
    return (uint64_t)mfn << Machine_PAGE_SHIFT | (address & Machine_PAGE_MASK);
  }
  if (!ld32(iommu(b) + IommuState_ENABLED)) return address;
  return translate(b, fn, address, write);
}

INLINE bool bus_master(uint8_t *b, uint32_t fn) {
  uint32_t flags = ld32(function_record(b, fn) + FunctionRecord_FLAGS);
  return (flags & (FunctionFlag_BUS_MASTER | FunctionFlag_POWERED_DOWN)) == FunctionFlag_BUS_MASTER;
}

static uint32_t dma_read(uint8_t *b, uint32_t fn, uint64_t address, uint32_t len, uint8_t *dst) {
  if (!bus_master(b, fn)) {
    memset(dst, 0xff, len);
    return Status_REFUSED;
  }
  count(b, Counter_DMA_READS);
  count_by(b, Counter_DMA_READ_BYTES, len);
  for (uint32_t done = 0; done < len;) {
    uint64_t at = address + done;
    uint32_t part = min32(len - done, Machine_PAGE_SIZE - ((uint32_t)at & Machine_PAGE_MASK));
    uint32_t mps = ld32(b + State_MPS_SHIFT), mrrs = ld32(b + State_MRRS_SHIFT);
    count_by(b, Counter_READ_REQUEST_TLPS, (part + (1u << mrrs) - 1) >> mrrs);
    count_by(b, Counter_COMPLETION_TLPS, (part + (1u << mps) - 1) >> mps);
    count(b, Counter_SERVICE_UNITS);
    uint64_t mpa = at >> 20 == 0xfee ? NO_TRANSLATION : piece_mpa(b, fn, at, false);
    uint8_t *frame = mpa >> 40 ? NULL : frame_ptr(b, (uint32_t)(mpa >> Machine_PAGE_SHIFT));
    if (!frame) {
      memset(dst + done, 0xff, len - done);
      return Status_FAULT;
    }
    copy_small(dst + done, frame + (mpa & Machine_PAGE_MASK), part);
    done += part;
  }
  return Status_OK;
}

static uint32_t dma_write(uint8_t *b, uint32_t fn, uint64_t address, uint32_t len, const uint8_t *src) {
  if (!bus_master(b, fn)) return Status_REFUSED;
  count(b, Counter_DMA_WRITES);
  count_by(b, Counter_DMA_WRITE_BYTES, len);
  for (uint32_t done = 0; done < len;) {
    uint64_t at = address + done;
    uint32_t part = min32(len - done, Machine_PAGE_SIZE - ((uint32_t)at & Machine_PAGE_MASK));
    uint32_t mps = ld32(b + State_MPS_SHIFT);
    count_by(b, Counter_WRITE_TLPS, (part + (1u << mps) - 1) >> mps);
    count(b, Counter_SERVICE_UNITS);
    uint64_t mpa = at >> 20 == 0xfee ? NO_TRANSLATION : piece_mpa(b, fn, at, true);
    uint32_t mfn = (uint32_t)(mpa >> Machine_PAGE_SHIFT);
    uint8_t *frame = mpa >> 40 ? NULL : frame_ptr(b, mfn);
    if (!frame) return Status_FAULT;
    copy_small(frame + (mpa & Machine_PAGE_MASK), src + done, part);
    frame_dirty(b, mfn);
    done += part;
  }
  return Status_OK;
}
