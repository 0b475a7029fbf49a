// Which device page a guest page leads to: what the guest's map and the decode say, kept so that a register access
// need not walk two trees of three levels. Everything in here can be found anew; it is dropped as a whole, by a new
// generation, whenever a guest's map or the decode changes, so it never outlives a right.
//
//   entry  63 writable, 59:32 offset of the device page record / 16 (never 0), 31:22 generation, 21:16 domain slot,
//          15:0 guest page 27:12; guest page 11:0 is in the entry's place
import { Machine } from '../spec/machine';
import { Lookaside, State } from '../spec/state';

@inline
function keyOf(b: usize, dom: u32, page: u32): u32 {
  return load<u32>(b, State.LOOKASIDE_GENERATION) | dom << 16 | page >> 12;
}

/** Where the page's entry is, from State.LOOKASIDE on. */
@inline
function placeOf(dom: u32, page: u32): usize {
  return ((page ^ dom << 6) & (Lookaside.ENTRIES - 1)) << 3;
}

/** Entry of the page that holds a guest address, 0 when it is not known. */
@inline
export function lookasideFind(b: usize, dom: u32, address: u64): u64 {
  if (address >> 40 != 0 || dom >= <u32>Machine.DOMAINS) return 0;
  const page = <u32>(address >> Machine.PAGE_SHIFT);
  const entry = load<u64>(b + placeOf(dom, page), State.LOOKASIDE);
  return <u32>entry == keyOf(b, dom, page) ? entry : 0;
}

/** Linear address of the device page record. */
@inline
export function lookasidePage(b: usize, entry: u64): usize {
  return b + (<usize>(entry >> 32) << 4);
}

@inline
export function lookasideWritable(entry: u64): bool {
  return <i64>entry < 0;
}

/** `pageOff`: offset of the device page's record. Domain and page are within their ranges. */
export function lookasideFill(b: usize, dom: u32, page: u32, pageOff: u32, writable: u32): void {
  const value = <u64>(writable << 31 | pageOff >> 4) << 32 | keyOf(b, dom, page);
  store<u64>(b + placeOf(dom, page), value, State.LOOKASIDE);
}

/** A guest's map or the decode changes. */
export function lookasideDrop(b: usize): void {
  const generation = load<u32>(b, State.LOOKASIDE_GENERATION) + (1 << Lookaside.GENERATION_SHIFT);
  // after a round of all generations old entries would come alive again
  if (generation == 0) memory.fill(b + State.LOOKASIDE, 0, Lookaside.ENTRIES << 3);
  store<u32>(b, generation, State.LOOKASIDE_GENERATION);
}
