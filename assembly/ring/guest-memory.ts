// Bytes of a guest's own memory for a hypercall: its arguments are copied once, in and out, page by page through the
// guest's map. RAM only; nothing is half done on a page that is not there.
import { Machine, MapEntry } from '../spec/machine';
import { frameDirty, framePtr } from '../memory/windows';
import { guestMapGet } from '../gate/domains';

/** Whether `len` bytes at a guest address are RAM of its map, writable if `write`. */
export function guestReaches(b: usize, dom: u32, address: u64, len: u32, write: bool): bool {
  if (address >> 40 != 0 || len == 0) return false;
  const last = <u32>((address + len - 1) >> Machine.PAGE_SHIFT);
  for (let page = <u32>(address >> Machine.PAGE_SHIFT); page <= last; page++) {
    const entry = guestMapGet(b, dom, page);
    if (entry >> MapEntry.KIND_SHIFT != MapEntry.RAM) return false;
    if (write && (entry >> MapEntry.WRITABLE_BIT & 1) == 0) return false;
    if (framePtr(b, entry & MapEntry.MFN_MASK) == 0) return false;
  }
  return true;
}

/** Copies between a guest's memory, which `guestReaches`, and a linear address. */
export function guestCopy(b: usize, dom: u32, address: u64, ptr: usize, len: u32, out: bool): void {
  let done: u32 = 0;
  while (done < len) {
    const at = address + done;
    const within = <u32>at & Machine.PAGE_MASK;
    const piece = min<u32>(len - done, <u32>Machine.PAGE_SIZE - within);
    const mfn = guestMapGet(b, dom, <u32>(at >> Machine.PAGE_SHIFT)) & MapEntry.MFN_MASK;
    const place = framePtr(b, mfn) + within;
    if (out) {
      memory.copy(place, ptr + done, piece);
      frameDirty(b, mfn);
    } else memory.copy(ptr + done, place, piece);
    done += piece;
  }
}
