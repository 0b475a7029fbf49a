// The per-packet part of the drivers of e1000 and e1000e: take a packet in, send one out, clean up, refill. It touches
// nothing but the guest's own memory and the bus addresses that dma_map gave; the doorbells are the caller's, through
// the gate.
import { E1000Rxd, E1000Txd } from '../spec/e1000';
import { E1000eRxd } from '../spec/e1000e';
import { DmaDirection, E1000Driver } from '../spec/driver';
import { NO_BUS, dmaMap, dmaUnmap, guestPtr } from './dma-map';

@inline
function mapOf(b: usize, d: usize): usize {
  return b + load<u32>(d, E1000Driver.MAP);
}

@inline
function descriptorPtr(b: usize, d: usize, ringVa: u32, index: u32): usize {
  return guestPtr(b, load<u32>(d, E1000Driver.DOMAIN), ringVa + (index << 4));
}

@inline
function next(index: u32, count: u32): u32 {
  return index + 1 == count ? 0 : index + 1;
}

@inline
export function bufferGive(d: usize, va: u32): void {
  const number = load<u32>(d, E1000Driver.POOL_COUNT);
  if (number >= <u32>E1000Driver.POOL_MAX) return;
  store<u32>(d + E1000Driver.POOL + (number << 2), va);
  store<u32>(d, number + 1, E1000Driver.POOL_COUNT);
}

@inline
export function bufferTake(d: usize): u32 {
  const number = load<u32>(d, E1000Driver.POOL_COUNT);
  if (number == 0) return 0;
  store<u32>(d, number - 1, E1000Driver.POOL_COUNT);
  return load<u32>(d + E1000Driver.POOL + (number - 1 << 2));
}

/** Fills free receive descriptors from the pool; one always stays empty. The new tail is RX_USE. */
export function e1000Refill(b: usize, d: usize): u32 {
  const m = mapOf(b, d);
  const size = load<u32>(d, E1000Driver.BUFFER_SIZE);
  const ringVa = load<u32>(d, E1000Driver.RX_RING_VA);
  const number = load<u32>(d, E1000Driver.RX_COUNT);
  const clean = load<u32>(d, E1000Driver.RX_CLEAN);
  let use = load<u32>(d, E1000Driver.RX_USE);
  let filled: u32 = 0;
  while (next(use, number) != clean) {
    const va = bufferTake(d);
    if (va == 0) break;
    const descriptor = descriptorPtr(b, d, ringVa, use);
    const bus = descriptor == 0 ? NO_BUS : dmaMap(b, m, va, size, DmaDirection.FROM_DEVICE);
    if (bus == NO_BUS) {
      store<u32>(d, load<u32>(d, E1000Driver.MAP_ERRORS) + 1, E1000Driver.MAP_ERRORS);
      bufferGive(d, va);
      break;
    }
    store<u64>(descriptor, bus, E1000Rxd.BUFFER);
    store<u64>(descriptor, 0, E1000Rxd.LENGTH);
    const slot = d + E1000Driver.RX_SLOTS + (use << 4);
    store<u64>(slot, bus);
    store<u32>(slot, va, 8);
    use = next(use, number);
    filled++;
  }
  store<u32>(d, use, E1000Driver.RX_USE);
  return filled;
}

/**
 * Takes one received packet: guest address of its buffer, 0 when there is none. Its length, without the FCS, is in
 * RECEIVED_LEN. The buffer is unmapped before the guest looks at it, and is the caller's from then on.
 */
export function e1000Receive(b: usize, d: usize): u32 {
  const index = load<u32>(d, E1000Driver.RX_CLEAN);
  if (index == load<u32>(d, E1000Driver.RX_USE)) return 0;
  const descriptor = descriptorPtr(b, d, load<u32>(d, E1000Driver.RX_RING_VA), index);
  if (descriptor == 0) return 0;
  const status = <u32>load<u8>(descriptor, E1000Rxd.STATUS);
  if ((status & E1000Rxd.STATUS_DD) == 0) return 0;
  const len = <u32>load<u16>(descriptor, E1000Rxd.LENGTH);
  const good = (status & E1000Rxd.STATUS_EOP) != 0 && load<u8>(descriptor, E1000Rxd.ERRORS) == 0;
  return bufferTaken(b, d, index, len, good);
}

/** The same with the extended descriptors of the 82574L, of which the device has written all 16 bytes. */
export function e1000eReceive(b: usize, d: usize): u32 {
  const index = load<u32>(d, E1000Driver.RX_CLEAN);
  if (index == load<u32>(d, E1000Driver.RX_USE)) return 0;
  const descriptor = descriptorPtr(b, d, load<u32>(d, E1000Driver.RX_RING_VA), index);
  if (descriptor == 0) return 0;
  const status = load<u32>(descriptor, E1000eRxd.STATUS);
  if ((status & E1000eRxd.STATUS_DD) == 0) return 0;
  const good = (status & E1000eRxd.STATUS_EOP) != 0 && status >> E1000eRxd.ERRORS_SHIFT == 0;
  return bufferTaken(b, d, index, load<u16>(descriptor, E1000eRxd.LENGTH), good);
}

/** The buffer at `index`, in which the device says that there are `len` bytes, and whether the frame is good. */
@inline
function bufferTaken(b: usize, d: usize, index: u32, len: u32, good: bool): u32 {
  const size = load<u32>(d, E1000Driver.BUFFER_SIZE);
  const slot = d + E1000Driver.RX_SLOTS + (index << 4);
  const va = load<u32>(slot, 8);
  dmaUnmap(b, mapOf(b, d), load<u64>(slot), va, size, DmaDirection.FROM_DEVICE);
  store<u32>(d, next(index, load<u32>(d, E1000Driver.RX_COUNT)), E1000Driver.RX_CLEAN);
  // what the device wrote is checked like anything from outside
  good = good && len > 18 && len <= size;
  if (!good) store<u32>(d, load<u32>(d, E1000Driver.RX_ERRORS) + 1, E1000Driver.RX_ERRORS);
  store<u32>(d, good ? len - 4 : 0, E1000Driver.RECEIVED_LEN);
  return va;
}

/** Queues one packet for sending; false when the ring is full or the buffer cannot be mapped. */
export function e1000Send(b: usize, d: usize, va: u32, len: u32): bool {
  const number = load<u32>(d, E1000Driver.TX_COUNT);
  const use = load<u32>(d, E1000Driver.TX_USE);
  if (next(use, number) == load<u32>(d, E1000Driver.TX_CLEAN)) return false;
  const descriptor = descriptorPtr(b, d, load<u32>(d, E1000Driver.TX_RING_VA), use);
  const bus = descriptor == 0 ? NO_BUS : dmaMap(b, mapOf(b, d), va, len, DmaDirection.TO_DEVICE);
  if (bus == NO_BUS) {
    store<u32>(d, load<u32>(d, E1000Driver.MAP_ERRORS) + 1, E1000Driver.MAP_ERRORS);
    return false;
  }
  store<u64>(descriptor, bus, E1000Txd.BUFFER);
  store<u32>(descriptor, len | <u32>(E1000Txd.COMMAND_EOP | E1000Txd.COMMAND_IFCS | E1000Txd.COMMAND_RS) << 24,
    E1000Txd.LENGTH);
  store<u32>(descriptor, 0, E1000Txd.STATUS);
  const slot = d + E1000Driver.TX_SLOTS + (use << 4);
  store<u64>(slot, bus);
  store<u32>(slot, va, 8);
  store<u32>(slot, len, 12);
  store<u32>(d, next(use, number), E1000Driver.TX_USE);
  return true;
}

/** Unmaps what has been sent and gives the buffers back to the pool. */
export function e1000Clean(b: usize, d: usize): u32 {
  const number = load<u32>(d, E1000Driver.TX_COUNT);
  const use = load<u32>(d, E1000Driver.TX_USE);
  let clean = load<u32>(d, E1000Driver.TX_CLEAN);
  let cleaned: u32 = 0;
  while (clean != use) {
    const descriptor = descriptorPtr(b, d, load<u32>(d, E1000Driver.TX_RING_VA), clean);
    if (descriptor == 0 || (load<u8>(descriptor, E1000Txd.STATUS) & E1000Txd.STATUS_DD) == 0) break;
    const slot = d + E1000Driver.TX_SLOTS + (clean << 4);
    const va = load<u32>(slot, 8);
    dmaUnmap(b, mapOf(b, d), load<u64>(slot), va, load<u32>(slot, 12), DmaDirection.TO_DEVICE);
    bufferGive(d, va);
    clean = next(clean, number);
    cleaned++;
  }
  store<u32>(d, clean, E1000Driver.TX_CLEAN);
  return cleaned;
}
