// A three-level tree over 28-bit frame numbers (8, 10, 10 bits) with u32 entries; 0 is "nothing". It serves the
// guest maps and the MMIO decode. Pages come from one pool and go back as soon as they are empty, so that a guest
// that moves a BAR about cannot use the pool up.
import { Status } from '../spec/status';
import { State, StateSize } from '../spec/state';

@inline
function pagePtr(b: usize, index: u32): usize {
  return b + load<u32>(b, State.POOL_PAGES) + <usize>index * StateSize.RADIX_PAGE;
}

@inline
function usePtr(b: usize, index: u32): usize {
  return b + load<u32>(b, State.POOL_PAGE_USE) + (<usize>index << 2);
}

/** Takes a zeroed page from the pool: index plus one, or 0. */
export function radixPageTake(b: usize): u32 {
  const head = load<u32>(b, State.PAGES_HEAD);
  if (head == 0) return 0;
  const ptr = pagePtr(b, head - 1);
  store<u32>(b, load<u32>(ptr), State.PAGES_HEAD);
  store<u32>(b, load<u32>(b, State.PAGES_FREE) - 1, State.PAGES_FREE);
  memory.fill(ptr, 0, StateSize.RADIX_PAGE);
  store<u32>(usePtr(b, head - 1), 0);
  return head;
}

export function radixPageGive(b: usize, page: u32): void {
  store<u32>(pagePtr(b, page - 1), load<u32>(b, State.PAGES_HEAD));
  store<u32>(b, page, State.PAGES_HEAD);
  store<u32>(b, load<u32>(b, State.PAGES_FREE) + 1, State.PAGES_FREE);
}

/** Entry of `key` in the tree whose 256-entry root lies at `root`. */
@inline
export function radixGet(b: usize, root: usize, key: u32): u32 {
  if (key >> 28) return 0;
  // page `index plus one` of the pool; neither compiler keeps the pool's offset from one load to the next
  const pages = b + load<u32>(b, State.POOL_PAGES) - StateSize.RADIX_PAGE;
  const mid = load<u32>(root + ((key >> 20) << 2));
  if (mid == 0) return 0;
  const leaf = load<u32>(pages + <usize>mid * StateSize.RADIX_PAGE + (((key >> 10) & 1023) << 2));
  if (leaf == 0) return 0;
  return load<u32>(pages + <usize>leaf * StateSize.RADIX_PAGE + ((key & 1023) << 2));
}

/** Sets the entry of `key`. FULL when not more than `keep` pages would be left; then nothing has changed. */
export function radixSet(b: usize, root: usize, key: u32, entry: u32, keep: u32 = 0): Status {
  if (key >> 28) return Status.RANGE;
  const midSlot = root + ((key >> 20) << 2);
  let mid = load<u32>(midSlot);
  if (mid == 0) {
    if (entry == 0) return Status.OK;
    if (load<u32>(b, State.PAGES_FREE) < keep + 2) return Status.FULL;
    mid = radixPageTake(b);
    store<u32>(midSlot, mid);
  }
  const leafSlot = pagePtr(b, mid - 1) + (((key >> 10) & 1023) << 2);
  let leaf = load<u32>(leafSlot);
  if (leaf == 0) {
    if (entry == 0) return Status.OK;
    if (load<u32>(b, State.PAGES_FREE) <= keep) return Status.FULL;
    leaf = radixPageTake(b);
    store<u32>(leafSlot, leaf);
    store<u32>(usePtr(b, mid - 1), load<u32>(usePtr(b, mid - 1)) + 1);
  }
  const slot = pagePtr(b, leaf - 1) + ((key & 1023) << 2);
  const before = load<u32>(slot);
  store<u32>(slot, entry);
  if ((before == 0) == (entry == 0)) return Status.OK;
  const use = load<u32>(usePtr(b, leaf - 1)) + (entry != 0 ? 1 : -1);
  store<u32>(usePtr(b, leaf - 1), use);
  if (use == 0) {
    radixPageGive(b, leaf);
    store<u32>(leafSlot, 0);
    const midUse = load<u32>(usePtr(b, mid - 1)) - 1;
    store<u32>(usePtr(b, mid - 1), midUse);
    if (midUse == 0) {
      radixPageGive(b, mid);
      store<u32>(midSlot, 0);
    }
  }
  return Status.OK;
}

/** Clears every entry that is `value` under `mask`. Reads the whole tree. */
export function radixRemove(b: usize, root: usize, mask: u32, value: u32): void {
  for (let i: u32 = 0; i < 256; i++) {
    for (let j: u32 = 0; j < 1024; j++) {
      const mid = load<u32>(root + (i << 2));
      if (mid == 0) break;
      for (let k: u32 = 0; k < 1024; k++) {
        // either page may go with its last entry
        const leaf = load<u32>(root + (i << 2)) == 0 ? 0 : load<u32>(pagePtr(b, mid - 1) + (j << 2));
        if (leaf == 0) break;
        if ((load<u32>(pagePtr(b, leaf - 1) + (k << 2)) & mask) == value) radixSet(b, root, (i << 10 | j) << 10 | k, 0);
      }
    }
  }
}

/** Gives every page of a tree back and clears its root. */
export function radixClear(b: usize, root: usize): void {
  for (let i: u32 = 0; i < 256; i++) {
    const mid = load<u32>(root + (i << 2));
    if (mid == 0) continue;
    for (let j: u32 = 0; j < 1024; j++) {
      const leaf = load<u32>(pagePtr(b, mid - 1) + (j << 2));
      if (leaf != 0) radixPageGive(b, leaf);
    }
    radixPageGive(b, mid);
    store<u32>(root + (i << 2), 0);
  }
}

/** Root of a tree that lives in a page of its own (guest maps); `page` is index plus one. */
@inline
export function radixRoot(b: usize, page: u32): usize {
  return pagePtr(b, page - 1);
}
