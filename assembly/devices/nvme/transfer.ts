// Data of a command, by PRP entries (4.3): a page in each step, so that a step has one DMA and can be taken up again.
// A list is copied once, a piece that lies in one page at a time, and the copy decides.
import { Nvme, NvmePhase, NvmeState, NvmeStatus } from '../../spec/nvme';
import { Status } from '../../spec/status';
import { dmaRead, dmaWrite } from '../../dma/dma';
import { finish } from './completion';
import { cdw64, get, set } from './words';

const PAGE: u32 = Nvme.PAGE;
const PRP1: u32 = 6;
const PRP2: u32 = 8;

@inline
function within(address: u64): u32 {
  return <u32>address & (PAGE - 1);
}

/** Bytes behind the first page. */
@inline
function behind(s: usize, length: u32): u32 {
  const first = PAGE - within(cdw64(s, PRP1));
  return length > first ? length - first : 0;
}

/** Whether the command's PRP entries can describe so many bytes: SUCCESS or PRP_OFFSET. */
export function prpCheck(s: usize, length: u32): u32 {
  if (cdw64(s, PRP1) & 3) return NvmeStatus.PRP_OFFSET;
  const rest = behind(s, length);
  if (rest == 0) return 0;
  const bad = rest <= PAGE ? within(cdw64(s, PRP2)) : <u32>cdw64(s, PRP2) & 7;
  return bad != 0 ? NvmeStatus.PRP_OFFSET : 0;
}

/** Data of `length` bytes goes to the host, or comes from it, at `data` of the state. */
export function transferStart(s: usize, length: u32, data: u32, toHost: bool): void {
  const status = prpCheck(s, length);
  if (status != 0) return finish(s, status);
  set(s, NvmeState.LENGTH, length);
  set(s, NvmeState.DONE, 0);
  set(s, NvmeState.DATA, data);
  set(s, NvmeState.LIST_COUNT, 0);
  set(s, NvmeState.LIST_NEXT, 0);
  store<u64>(s + NvmeState.LIST_AT, cdw64(s, PRP2));
  set(s, NvmeState.PHASE, toHost ? NvmePhase.TO_HOST : NvmePhase.FROM_HOST);
}

/** The next piece of the list: up to the end of its page, where the list may go on elsewhere. */
function listFetch(b: usize, fn: u32, s: usize): bool {
  const at = load<u64>(s + NvmeState.LIST_AT);
  const pages = (get(s, NvmeState.LENGTH) - get(s, NvmeState.DONE) + PAGE - 1) / PAGE;
  const slots = (PAGE - within(at)) >> 3;
  const chained = pages > slots;
  const entries = chained ? slots : pages;
  const list = s + NvmeState.LIST;
  const status = dmaRead(b, fn, at, entries << 3, list);
  if (status == Status.PENDING) return false;
  if (status != Status.OK) {
    finish(s, NvmeStatus.DATA_TRANSFER);
    return true;
  }
  if (chained) {
    const next = load<u64>(list + (slots - 1 << 3));
    if (within(next) != 0) {
      finish(s, NvmeStatus.PRP_OFFSET);
      return true;
    }
    store<u64>(s + NvmeState.LIST_AT, next);
  }
  set(s, NvmeState.LIST_NEXT, 0);
  set(s, NvmeState.LIST_COUNT, chained ? entries - 1 : entries);
  return true;
}

/** One step: a page, or a piece of the list. */
export function transferStep(b: usize, fn: u32, s: usize, toHost: bool): bool {
  const length = get(s, NvmeState.LENGTH);
  const done = get(s, NvmeState.DONE);
  let address = cdw64(s, PRP1);
  let size = min<u32>(length, PAGE - within(address));
  if (done != 0) {
    size = min<u32>(length - done, PAGE);
    if (behind(s, length) <= PAGE) address = cdw64(s, PRP2);
    else {
      const next = get(s, NvmeState.LIST_NEXT);
      if (next == get(s, NvmeState.LIST_COUNT)) return listFetch(b, fn, s);
      address = load<u64>(s + NvmeState.LIST + (next << 3));
      if (within(address) != 0) {
        finish(s, NvmeStatus.PRP_OFFSET);
        return true;
      }
    }
  }
  const data = s + get(s, NvmeState.DATA) + done;
  const status = toHost ? dmaWrite(b, fn, address, size, data) : dmaRead(b, fn, address, size, data);
  if (status == Status.PENDING) return false;
  if (status != Status.OK) {
    finish(s, NvmeStatus.DATA_TRANSFER);
    return true;
  }
  if (done != 0) set(s, NvmeState.LIST_NEXT, get(s, NvmeState.LIST_NEXT) + 1);
  set(s, NvmeState.DONE, done + size);
  if (done + size < length) return true;
  if (toHost) finish(s, 0);
  else set(s, NvmeState.PHASE, NvmePhase.ACT);
  return true;
}
