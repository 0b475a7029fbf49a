// Linux's iova allocator: top-down first fit in a tree, behind per-size magazines. The tree is a bitmap here, with
// the same answers: highest free run that fits, aligned to its size, from a cached position downwards.
import { Counter } from '../spec/counters';
import { DmaMap, IovaMode, Magazines } from '../spec/driver';
import { count } from '../memory/state';

/** No iova: page 0 is never handed out. */
export const NO_IOVA: u32 = 0;

@inline
function classOf(pages: u32): u32 {
  let order: u32 = 0;
  while ((<u32>1 << order) < pages) order++;
  return order;
}

@inline
function bit(m: usize, page: u32): bool {
  return (load<u32>(m + DmaMap.BITMAP + (page >> 5 << 2)) >> (page & 31) & 1) != 0;
}

function mark(m: usize, page: u32, pages: u32, used: bool): void {
  for (let i = page; i < page + pages; i++) {
    const ptr = m + DmaMap.BITMAP + (i >> 5 << 2);
    const mask = <u32>1 << (i & 31);
    store<u32>(ptr, used ? load<u32>(ptr) | mask : load<u32>(ptr) & ~mask);
  }
}

function search(m: usize, from: u32, pages: u32, align: u32): u32 {
  let at = from;
  while (at >= pages) {
    let page = (at - pages) & ~(align - 1);
    if (page == 0) return NO_IOVA;
    let taken: u32 = 0;
    for (let i: u32 = 0; i < pages; i++) {
      if (bit(m, page + i)) {
        taken = page + i;
        break;
      }
    }
    if (taken == 0) return page;
    at = taken;
    // whole words in use are passed over at once
    while ((at & 31) == 0 && at >= 32 && load<u32>(m + DmaMap.BITMAP + ((at >> 5) - 1 << 2)) == 0xffffffff) at -= 32;
  }
  return NO_IOVA;
}

function treeAlloc(b: usize, m: usize, pages: u32): u32 {
  count(b, Counter.IOVA_ALLOCS_TREE);
  const align = <u32>1 << classOf(pages);
  const cursor = load<u32>(m, DmaMap.CURSOR);
  let page = search(m, cursor, pages, align);
  if (page == NO_IOVA) page = search(m, load<u32>(m, DmaMap.LIMIT), pages, align);
  // once more without what the magazines hold
  if (page == NO_IOVA && magazinesEmpty(b, m)) page = search(m, load<u32>(m, DmaMap.LIMIT), pages, align);
  if (page == NO_IOVA) return NO_IOVA;
  mark(m, page, pages, true);
  store<u32>(m, page, DmaMap.CURSOR);
  return page;
}

function treeFree(b: usize, m: usize, page: u32, pages: u32): void {
  count(b, Counter.IOVA_FREES_TREE);
  mark(m, page, pages, false);
  if (page < load<u32>(m, DmaMap.CURSOR)) return;
  // a range freed above the cached position moves it up, to below the next range in use
  const limit = load<u32>(m, DmaMap.LIMIT);
  let at = page + pages;
  while (at < limit && !bit(m, at)) at += (at & 31) == 0 && load<u32>(m + DmaMap.BITMAP + (at >> 5 << 2)) == 0 ? 32 : 1;
  store<u32>(m, min(at, limit), DmaMap.CURSOR);
}

@inline
function magazines(m: usize, sizeClass: u32): usize {
  return m + DmaMap.MAGAZINES + sizeClass * Magazines.SIZE_OF;
}

@inline
function slotPtr(g: usize, slot: u32): usize {
  return g + Magazines.SLOTS + slot * (Magazines.PAGES * 4);
}

function swap(g: usize): void {
  const slot = load<u32>(g, Magazines.LOADED);
  const number = load<u32>(g, Magazines.LOADED_COUNT);
  store<u32>(g, load<u32>(g, Magazines.PREVIOUS), Magazines.LOADED);
  store<u32>(g, load<u32>(g, Magazines.PREVIOUS_COUNT), Magazines.LOADED_COUNT);
  store<u32>(g, slot, Magazines.PREVIOUS);
  store<u32>(g, number, Magazines.PREVIOUS_COUNT);
}

@inline
function stackPop(g: usize, stack: u32, counter: u32): u32 {
  const number = load<u32>(g + counter) - 1;
  store<u32>(g + counter, number);
  return load<u32>(g + stack + (number << 2));
}

@inline
function stackPush(g: usize, stack: u32, counter: u32, slot: u32): void {
  const number = load<u32>(g + counter);
  store<u32>(g + stack + (number << 2), slot);
  store<u32>(g + counter, number + 1);
}

function slotEmpty(b: usize, m: usize, g: usize, slot: u32, number: u32, sizeClass: u32): void {
  for (let i: u32 = 0; i < number; i++) treeFree(b, m, load<u32>(slotPtr(g, slot) + (i << 2)), 1 << sizeClass);
}

/** Gives all that the magazines hold back to the tree; false when that is nothing. */
function magazinesEmpty(b: usize, m: usize): bool {
  if (load<u32>(m, DmaMap.ALLOCATOR) == IovaMode.TREE) return false;
  let number: u32 = 0;
  for (let c: u32 = 0; c < <u32>DmaMap.CLASSES; c++) {
    const g = magazines(m, c);
    const loaded = load<u32>(g, Magazines.LOADED_COUNT);
    const previous = load<u32>(g, Magazines.PREVIOUS_COUNT);
    slotEmpty(b, m, g, load<u32>(g, Magazines.LOADED), loaded, c);
    slotEmpty(b, m, g, load<u32>(g, Magazines.PREVIOUS), previous, c);
    store<u32>(g, 0, Magazines.LOADED_COUNT);
    store<u32>(g, 0, Magazines.PREVIOUS_COUNT);
    number += loaded + previous;
    while (load<u32>(g, Magazines.DEPOT) != 0) {
      const slot = stackPop(g, Magazines.DEPOT_STACK, Magazines.DEPOT);
      slotEmpty(b, m, g, slot, Magazines.PAGES, c);
      stackPush(g, Magazines.FREE_STACK, Magazines.FREE, slot);
      number += Magazines.PAGES;
    }
  }
  return number != 0;
}

/** An empty allocator. Page 0 and the interrupt window are never handed out. */
export function iovaSetup(m: usize): void {
  for (let c: u32 = 0; c < <u32>DmaMap.CLASSES; c++) {
    const g = magazines(m, c);
    store<u32>(g, 0, Magazines.LOADED);
    store<u32>(g, 1, Magazines.PREVIOUS);
    for (let slot: u32 = 2; slot < <u32>Magazines.SLOT_COUNT; slot++) {
      stackPush(g, Magazines.FREE_STACK, Magazines.FREE, slot);
    }
  }
  mark(m, 0, 1, true);
  mark(m, 0xfee00, 0x100, true);
  store<u32>(m, load<u32>(m, DmaMap.LIMIT), DmaMap.CURSOR);
}

/** First page of `pages` pages, NO_IOVA when there is no such run. */
export function iovaAlloc(b: usize, m: usize, pages: u32): u32 {
  const sizeClass = classOf(pages);
  if (sizeClass >= <u32>DmaMap.CLASSES || load<u32>(m, DmaMap.ALLOCATOR) == IovaMode.TREE) return treeAlloc(b, m, pages);
  const g = magazines(m, sizeClass);
  if (load<u32>(g, Magazines.LOADED_COUNT) == 0) {
    if (load<u32>(g, Magazines.PREVIOUS_COUNT) != 0) swap(g);
    else if (load<u32>(g, Magazines.DEPOT) != 0) {
      stackPush(g, Magazines.FREE_STACK, Magazines.FREE, load<u32>(g, Magazines.LOADED));
      store<u32>(g, stackPop(g, Magazines.DEPOT_STACK, Magazines.DEPOT), Magazines.LOADED);
      store<u32>(g, Magazines.PAGES, Magazines.LOADED_COUNT);
    } else return treeAlloc(b, m, 1 << sizeClass);
  }
  count(b, Counter.IOVA_ALLOCS_FAST);
  const number = load<u32>(g, Magazines.LOADED_COUNT) - 1;
  store<u32>(g, number, Magazines.LOADED_COUNT);
  return load<u32>(slotPtr(g, load<u32>(g, Magazines.LOADED)) + (number << 2));
}

export function iovaFree(b: usize, m: usize, page: u32, pages: u32): void {
  const sizeClass = classOf(pages);
  if (sizeClass >= <u32>DmaMap.CLASSES || load<u32>(m, DmaMap.ALLOCATOR) == IovaMode.TREE) {
    return treeFree(b, m, page, pages);
  }
  const g = magazines(m, sizeClass);
  if (load<u32>(g, Magazines.LOADED_COUNT) == Magazines.PAGES) {
    if (load<u32>(g, Magazines.PREVIOUS_COUNT) < <u32>Magazines.PAGES) swap(g);
    else {
      if (load<u32>(g, Magazines.DEPOT) < <u32>Magazines.DEPOT_MAX) {
        stackPush(g, Magazines.DEPOT_STACK, Magazines.DEPOT, load<u32>(g, Magazines.LOADED));
        store<u32>(g, stackPop(g, Magazines.FREE_STACK, Magazines.FREE), Magazines.LOADED);
      } else {
        // a full depot gives this magazine's pages back to the tree
        slotEmpty(b, m, g, load<u32>(g, Magazines.LOADED), Magazines.PAGES, sizeClass);
      }
      store<u32>(g, 0, Magazines.LOADED_COUNT);
    }
  }
  count(b, Counter.IOVA_FREES_FAST);
  const number = load<u32>(g, Magazines.LOADED_COUNT);
  store<u32>(slotPtr(g, load<u32>(g, Magazines.LOADED)) + (number << 2), page);
  store<u32>(g, number + 1, Magazines.LOADED_COUNT);
}
