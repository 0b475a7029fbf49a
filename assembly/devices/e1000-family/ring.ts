// A descriptor ring as the four registers describe it (§3.2.6, 3.4). Software may write anything into them at any
// time, so each step reads them afresh and cuts the indices down to the ring.
import { E1000 } from '../../spec/e1000';
import { get } from './block';

/** RDLEN and TDLEN: multiples of 128 bytes, below 1 MiB (§13.4.27). */
const LENGTH_MASK: u32 = 0x000fff80;
const BASE_LOW_MASK: u32 = 0xfffffff0;
const INDEX_MASK: u32 = 0xffff;
const DESCRIPTOR_SHIFT: u32 = 4;

/** Distances of the ring's registers from its base address register, the same for both directions. */
const BASE_HIGH: u32 = E1000.RDBAH - E1000.RDBAL;
const LENGTH: u32 = E1000.RDLEN - E1000.RDBAL;

/** Number of descriptors; 0 when the ring is off. `ring` is the register RDBAL or TDBAL. */
@inline
export function ringNumber(block: usize, ring: u32): u32 {
  return (get(block, ring + LENGTH) & LENGTH_MASK) >> DESCRIPTOR_SHIFT;
}

/** An index register, cut down to the ring. */
@inline
export function ringIndex(block: usize, off: u32, number: u32): u32 {
  const index = get(block, off) & INDEX_MASK;
  return index < number ? index : index % number;
}

@inline
export function ringNext(index: u32, number: u32): u32 {
  return index + 1 == number ? 0 : index + 1;
}

/** Bus address of the first descriptor. */
@inline
export function ringBase(block: usize, ring: u32): u64 {
  return <u64>get(block, ring + BASE_HIGH) << 32 | (get(block, ring) & BASE_LOW_MASK);
}

@inline
export function descriptorAt(base: u64, index: u32): u64 {
  return base + (<u64>index << DESCRIPTOR_SHIFT);
}
