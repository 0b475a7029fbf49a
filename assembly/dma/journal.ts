// DMA to a message window. The host answers later, so the step of the device that asked is left, and taken up again
// from its start when the answer is there: it then asks the same things in the same order and finds the answers in its
// journal. A write waits for its acknowledgement like a read for its bytes; so writes stay in order, and a status or an
// interrupt comes after what it reports.
import { Status } from '../spec/status';
import { Journal, JournalEntry, FunctionRecord } from '../spec/state';
import { fillOnes } from '../memory/state';
import { functionRecord } from '../bus/functions';

/** The function's journal, 0 when it has none: then message windows are out of its reach. */
@inline
export function journalOf(b: usize, fn: u32): usize {
  const off = load<u32>(functionRecord(b, fn), FunctionRecord.JOURNAL);
  return off == 0 ? 0 : b + off;
}

@inline
function entryPtr(j: usize, index: u32): usize {
  return j + Journal.ENTRIES + index * Journal.ENTRY_SIZE;
}

/** A step begins: from the first answer on. */
@inline
export function journalStart(b: usize, fn: u32): void {
  const j = journalOf(b, fn);
  if (j != 0) store<u32>(j, 0, Journal.CURSOR);
}

/** Whether the host still owes an answer: then a step need not be tried. */
@inline
export function journalWaits(b: usize, fn: u32): bool {
  const j = journalOf(b, fn);
  return j != 0 && load<u32>(j, Journal.DONE) != load<u32>(j, Journal.COUNT);
}

/** A step is done, or given up: its answers are of no more use, and one that is under way will be ignored. */
export function journalClear(b: usize, fn: u32): void {
  const j = journalOf(b, fn);
  if (j == 0) return;
  store<u32>(j, load<u32>(j, Journal.SERIAL) + load<u32>(j, Journal.COUNT), Journal.SERIAL);
  store<u32>(j, 0, Journal.COUNT);
  store<u32>(j, 0, Journal.DONE);
  store<u32>(j, 0, Journal.CURSOR);
  store<u32>(j, 0, Journal.USED);
}

/** One piece to or from a message window: OK with the bytes there, PENDING, or FAULT when the host refused. */
export function journalRequest(b: usize, fn: u32, window: u32, offset: u64, len: u32, ptr: usize, write: bool): Status {
  const j = journalOf(b, fn);
  if (j == 0) return Status.FAULT;
  const at = load<u32>(j, Journal.CURSOR);
  if (at < load<u32>(j, Journal.DONE)) {
    const entry = entryPtr(j, at);
    const same = load<u64>(entry, JournalEntry.OFFSET) == offset && load<u32>(entry, JournalEntry.LEN) == len
      && load<u32>(entry, JournalEntry.WRITE) == (write ? 1 : 0) && load<u32>(entry, JournalEntry.WINDOW) == window;
    if (same) {
      store<u32>(j, at + 1, Journal.CURSOR);
      if (load<u32>(entry, JournalEntry.ANSWER) != 0) {
        if (!write) fillOnes(ptr, len);
        return Status.FAULT;
      }
      if (!write) memory.copy(ptr, j + load<u32>(entry, JournalEntry.DATA), len);
      return Status.OK;
    }
    // memory outside the window has changed under the step, and it asks for something else now: from here on anew
    truncate(j, at);
  }
  if (at < load<u32>(j, Journal.COUNT)) return Status.PENDING;
  const used = load<u32>(j, Journal.USED);
  if (at >= <u32>Journal.LIMIT || used + len > <u32>Journal.DATA_SIZE) return Status.FAULT;
  const entry = entryPtr(j, at);
  store<u64>(entry, offset, JournalEntry.OFFSET);
  store<u32>(entry, len, JournalEntry.LEN);
  store<u32>(entry, write ? 1 : 0, JournalEntry.WRITE);
  store<u32>(entry, window, JournalEntry.WINDOW);
  store<u32>(entry, Journal.DATA + used, JournalEntry.DATA);
  store<u32>(entry, 0, JournalEntry.ANSWER);
  if (write) memory.copy(j + Journal.DATA + used, ptr, len);
  store<u32>(j, at + 1, Journal.COUNT);
  store<u32>(j, used + ((len + 15) & ~15), Journal.USED);
  return Status.PENDING;
}

/** Forgets the answers from position `at` on. */
function truncate(j: usize, at: u32): void {
  store<u32>(j, load<u32>(j, Journal.SERIAL) + load<u32>(j, Journal.COUNT) - at, Journal.SERIAL);
  store<u32>(j, load<u32>(entryPtr(j, at), JournalEntry.DATA) - Journal.DATA, Journal.USED);
  store<u32>(j, at, Journal.COUNT);
  store<u32>(j, at, Journal.DONE);
}

/** Offset from the state base of the request that waits for the host, 0 when none does. */
export function journalPoll(b: usize, fn: u32): u32 {
  return journalWaits(b, fn) ? <u32>(entryPtr(journalOf(b, fn), load<u32>(journalOf(b, fn), Journal.DONE)) - b) : 0;
}

/** Number of the request that `journalPoll` tells of. */
export function journalSerial(b: usize, fn: u32): u32 {
  const j = journalOf(b, fn);
  return j == 0 ? 0 : load<u32>(j, Journal.SERIAL) + load<u32>(j, Journal.DONE);
}

/** The host has answered request `serial`; ABSENT when the device has given it up in the meantime. */
export function journalAnswer(b: usize, fn: u32, serial: u32, answer: u32): Status {
  if (!journalWaits(b, fn) || journalSerial(b, fn) != serial) return Status.ABSENT;
  const j = journalOf(b, fn);
  const done = load<u32>(j, Journal.DONE);
  store<u32>(entryPtr(j, done), answer, JournalEntry.ANSWER);
  store<u32>(j, done + 1, Journal.DONE);
  return Status.OK;
}
