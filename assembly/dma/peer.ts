// Writes of one function into another's BAR. They are posted: queued here in order with the initiator's other
// writes, and served by `service`, which may call the target's handlers; the DMA itself never does. A read is
// answered at once where that has no side effect.
import { Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import { Status } from '../spec/status';
import {
  BarRecord, CellFlag, DecodeEntry, DevicePage, FunctionRecord, PageKind, Peer, PeerEntry, State, StateSize,
} from '../spec/state';
import { count, fillOnes } from '../memory/state';
import { barRecord, cellAt, functionRecord } from '../bus/functions';
import { cellFlags, cellLoad } from '../bus/cells';
import { decodeEntry, sharedFind } from '../bus/decode';

@inline
function entryPtr(b: usize, running: u32): usize {
  return b + State.PEER + Peer.ENTRIES + (running & (StateSize.PEERS - 1)) * StateSize.PEER_ENTRY;
}

/** Entries that a write takes. */
@inline
export function peerEntries(len: u32): u32 {
  return (len + PeerEntry.DATA_MAX - 1) / PeerEntry.DATA_MAX;
}

/** Whether so many entries find room now. */
@inline
export function peerHasRoom(b: usize, entries: u32): bool {
  const queue = b + State.PEER;
  return load<u32>(queue, Peer.TAIL) - load<u32>(queue, Peer.HEAD) + entries <= <u32>StateSize.PEERS;
}

/** A step of a function begins: from its first piece on. */
@inline
export function peerStepStart(b: usize, fn: u32): void {
  const record = functionRecord(b, fn);
  store<u32>(record, 1, FunctionRecord.IN_STEP);
  store<u32>(record, 0, FunctionRecord.PEER_CURSOR);
  store<u32>(record, 0, FunctionRecord.STEP_WAITS);
}

/** It ends. One that has to wait is taken up again from its start, and must not write to a peer twice. */
@inline
export function peerStepEnd(b: usize, fn: u32): void {
  const record = functionRecord(b, fn);
  store<u32>(record, 0, FunctionRecord.IN_STEP);
  if (load<u32>(record, FunctionRecord.STEP_WAITS) == 0) store<u32>(record, 0, FunctionRecord.PEER_DONE);
}

/** Queues a piece of at most 4 KiB; PENDING, with nothing queued, when there is no room for all of it. */
export function peerWrite(b: usize, fn: u32, mpa: u64, len: u32, src: usize): Status {
  const record = functionRecord(b, fn);
  const step = load<u32>(record, FunctionRecord.IN_STEP) != 0;
  if (step) {
    const cursor = load<u32>(record, FunctionRecord.PEER_CURSOR);
    store<u32>(record, cursor + 1, FunctionRecord.PEER_CURSOR);
    // an earlier try of this step has queued it: registers must not feel it twice
    if (cursor < load<u32>(record, FunctionRecord.PEER_DONE)) return Status.OK;
  }
  if (!peerHasRoom(b, peerEntries(len))) {
    count(b, Counter.PEER_STALLED);
    return Status.PENDING;
  }
  const queue = b + State.PEER;
  let tail = load<u32>(queue, Peer.TAIL);
  for (let done: u32 = 0; done < len; done += PeerEntry.DATA_MAX) {
    const part = min<u32>(len - done, PeerEntry.DATA_MAX);
    const entry = entryPtr(b, tail++);
    store<u32>(entry, fn, PeerEntry.SOURCE);
    store<u32>(entry, part, PeerEntry.LEN);
    store<u64>(entry, mpa + done, PeerEntry.MPA);
    memory.copy(entry + PeerEntry.DATA, src + done, part);
  }
  store<u32>(queue, tail, Peer.TAIL);
  if (step) store<u32>(record, load<u32>(record, FunctionRecord.PEER_CURSOR), FunctionRecord.PEER_DONE);
  count(b, Counter.PEER_WRITES);
  return Status.OK;
}

/** Oldest queued write, or 0. */
export function peerPeek(b: usize): usize {
  const queue = b + State.PEER;
  const head = load<u32>(queue, Peer.HEAD);
  return head == load<u32>(queue, Peer.TAIL) ? 0 : entryPtr(b, head);
}

export function peerPop(b: usize): void {
  const queue = b + State.PEER;
  store<u32>(queue, load<u32>(queue, Peer.HEAD) + 1, Peer.HEAD);
}

/** Device page and offset within its BAR of a machine address; page 0 when no BAR is decoded there. */
@inline
export function decodeAt(b: usize, mpa: u64): u64 {
  const mfn = <u32>(mpa >> Machine.PAGE_SHIFT);
  const entry = mpa >> 40 != 0 ? <u32>0 : decodeEntry(b, mfn);
  if (entry == 0) return 0;
  const within = <u32>mpa & Machine.PAGE_MASK;
  if (entry >> DecodeEntry.KIND_SHIFT == DecodeEntry.PAGE) {
    return <u64>(entry & DecodeEntry.INDEX_MASK) << 32 | within;
  }
  const id = sharedFind(b, entry, within);
  if (id == 0) return 0;
  const record = barRecord(b, (id - 1) / Machine.BARS, (id - 1) % Machine.BARS);
  const off = within - (load<u32>(record, BarRecord.MAPPED_LO) & Machine.PAGE_MASK);
  return <u64>(load<u32>(record, BarRecord.PAGES) >> 4) << 32 | off;
}

/** Reads registers of a peer, dword by dword: one with a read effect is an Unsupported Request and gives ones. */
export function peerRead(b: usize, mpa: u64, len: u32, dst: usize): void {
  count(b, Counter.PEER_READS);
  fillOnes(dst, len);
  for (let done: u32 = 0; done < len; done++) {
    const at = decodeAt(b, mpa + done);
    if (at == 0) continue;
    const page = b + (<usize>(at >> 32) << 4);
    const off = <u32>at;
    let value = load<u32>(page, DevicePage.CONSTANT);
    if (load<u8>(page, DevicePage.KIND) == PageKind.CELLS) {
      const cell = cellAt(b, page, off);
      if (cell != 0) {
        if (cellFlags(cell) & CellFlag.READ_EFFECT) {
          if ((off & 3) == 0 || done == 0) count(b, Counter.PEER_UNSUPPORTED);
          continue;
        }
        value = cellLoad(cell);
      }
    }
    store<u8>(dst + done, <u8>(value >> ((off & 3) << 3)));
  }
}
