// The NVM command set (chapter 6). A command is checked in `ioStart`; then data comes from the host if it has any, and
// `ioAct` is called, and again after each answer of the back end, with STAGE one higher.
import {
  Nvme, NvmeAnswer, NvmeFeature, NvmeHealth, NvmeIo, NvmeNamespace, NvmePhase, NvmeRequest, NvmeState, NvmeStatus, Storage,
} from '../../spec/nvme';
import { bytesEqual } from '../../ring/link';
import { finish } from './completion';
import { command, storageWaits } from './storage';
import { prpCheck, transferStart } from './transfer';
import { cdw, cdw64, get, namespacePtr, namespaceThere, set } from './words';

const ALL: u32 = 0xffffffff;
const FUA_BIT: u32 = 30;
const DEALLOCATE: u32 = 4;
const RANGE_SIZE: u32 = 16;

@inline
function opcode(s: usize): u32 {
  return cdw(s, 0) & 0xff;
}

@inline
function shiftOf(s: usize): u32 {
  return load<u32>(namespacePtr(s, cdw(s, 1)), NvmeNamespace.SHIFT);
}

/** Whether the blocks are the namespace's, without overflow. */
function inRange(s: usize, first: u64, blocks: u64): bool {
  const all = load<u64>(namespacePtr(s, cdw(s, 1)), NvmeNamespace.BLOCKS);
  return blocks <= all && first <= all - blocks;
}

@inline
function changes(op: u32): bool {
  return op == NvmeIo.WRITE || op == NvmeIo.WRITE_ZEROES || op == NvmeIo.DATASET;
}

function healthCount(s: usize, at: u32, sectorsAt: u32, bytes: u64): void {
  const health = s + NvmeState.HEALTH;
  store<u64>(health + at, load<u64>(health + at) + 1);
  store<u64>(health + sectorsAt, load<u64>(health + sectorsAt) + (bytes >> 9));
}

export function ioStart(b: usize, s: usize): void {
  const op = opcode(s);
  const nsid = cdw(s, 1);
  const known = op == NvmeIo.FLUSH || op == NvmeIo.WRITE || op == NvmeIo.READ || op == NvmeIo.COMPARE
    || op == NvmeIo.WRITE_ZEROES || op == NvmeIo.DATASET || op == NvmeIo.VERIFY;
  if (!known) return finish(s, NvmeStatus.INVALID_OPCODE);
  const everyone = op == NvmeIo.FLUSH && nsid == ALL;
  if (!everyone && !namespaceThere(s, nsid)) return finish(s, NvmeStatus.INVALID_NAMESPACE);
  if (op == NvmeIo.FLUSH) {
    set(s, NvmeState.RANGE, everyone ? 1 : nsid);
    return flushNext(b, s);
  }
  if (changes(op) && load<u32>(namespacePtr(s, nsid), NvmeNamespace.READ_ONLY) != 0) {
    return finish(s, NvmeStatus.WRITE_PROTECTED);
  }
  if (op == NvmeIo.DATASET) {
    return transferStart(s, ((cdw(s, 10) & 0xff) + 1) * RANGE_SIZE, NvmeState.BUFFER, false);
  }
  const first = cdw64(s, 10);
  const blocks = <u64>((cdw(s, 12) & 0xffff) + 1);
  const bytes = blocks << shiftOf(s);
  const moves = op == NvmeIo.READ || op == NvmeIo.WRITE || op == NvmeIo.COMPARE;
  if (moves && bytes > <u64>Nvme.TRANSFER_MAX) return finish(s, NvmeStatus.INVALID_FIELD);
  if (!inRange(s, first, blocks)) return finish(s, NvmeStatus.LBA_RANGE);
  store<u64>(s + NvmeState.POSITION, first << shiftOf(s));
  store<u64>(s + NvmeState.LEFT, bytes);
  if (op == NvmeIo.WRITE || op == NvmeIo.COMPARE) return transferStart(s, <u32>bytes, NvmeState.BUFFER, false);
  const status = op == NvmeIo.READ ? prpCheck(s, <u32>bytes) : 0;
  if (status != 0) return finish(s, status);
  set(s, NvmeState.PHASE, NvmePhase.ACT);
}

/** Flush, of one namespace or of all from RANGE on. */
function flushNext(b: usize, s: usize): void {
  const nsid = get(s, NvmeState.RANGE);
  const last = cdw(s, 1) == ALL ? get(s, NvmeState.NAMESPACE_COUNT) : cdw(s, 1);
  if (nsid > last) return finish(s, 0);
  set(s, NvmeState.RANGE, nsid + 1);
  command(b, s, NvmeRequest.FLUSH, nsid, 0, 0, 0);
}

/** The next part of the range that is left. False when nothing is. */
function chunk(b: usize, s: usize, op: u32, most: u32): bool {
  const left = load<u64>(s + NvmeState.LEFT);
  if (left == 0) return false;
  const position = load<u64>(s + NvmeState.POSITION);
  const bytes = min<u64>(left, most);
  store<u64>(s + NvmeState.POSITION, position + bytes);
  store<u64>(s + NvmeState.LEFT, left - bytes);
  command(b, s, op, cdw(s, 1), position, <u32>bytes, NvmeState.STORED);
  return true;
}

/** What was changed is on the medium before the command is over, when the host wants that or has no write cache. */
function durable(b: usize, s: usize, forced: bool): void {
  const cached = (get(s, NvmeState.FEATURES + (NvmeFeature.WRITE_CACHE << 2)) & 1) != 0;
  if (cached && !forced) return finish(s, 0);
  // RANGE is 1 once the flush is under way
  if (get(s, NvmeState.RANGE) != 0) return finish(s, 0);
  set(s, NvmeState.RANGE, 1);
  command(b, s, NvmeRequest.FLUSH, cdw(s, 1), 0, 0, 0);
}

/** The ranges of a dataset, one after the other (6.7). */
function dataset(b: usize, s: usize): void {
  const deallocate = (cdw(s, 11) & DEALLOCATE) != 0;
  const ranges = (cdw(s, 10) & 0xff) + 1;
  if (get(s, NvmeState.STAGE) == 0) {
    // all of them are checked before the first is done
    for (let i: u32 = 0; i < ranges; i++) {
      const range = s + NvmeState.BUFFER + i * RANGE_SIZE;
      if (!inRange(s, load<u64>(range, 8), load<u32>(range, 4))) return finish(s, NvmeStatus.LBA_RANGE);
    }
    // the other attributes are hints
    if (!deallocate) return finish(s, 0);
    store<u64>(s + NvmeState.LEFT, 0);
  }
  while (!chunk(b, s, NvmeRequest.ZERO, Nvme.CHUNK)) {
    const next = get(s, NvmeState.RANGE);
    if (next == ranges) return finish(s, 0);
    const range = s + NvmeState.BUFFER + next * RANGE_SIZE;
    store<u64>(s + NvmeState.POSITION, load<u64>(range, 8) << shiftOf(s));
    store<u64>(s + NvmeState.LEFT, <u64>load<u32>(range, 4) << shiftOf(s));
    set(s, NvmeState.RANGE, next + 1);
  }
}

export function ioAct(b: usize, s: usize): void {
  const stage = get(s, NvmeState.STAGE);
  const nsid = cdw(s, 1);
  const position = load<u64>(s + NvmeState.POSITION);
  const bytes = <u32>load<u64>(s + NvmeState.LEFT);
  const forced = (cdw(s, 12) >> FUA_BIT & 1) != 0;
  switch (opcode(s)) {
    case NvmeIo.FLUSH: return flushNext(b, s);
    case NvmeIo.READ:
      if (stage == 0) return command(b, s, NvmeRequest.READ, nsid, position, bytes, NvmeState.BUFFER);
      healthCount(s, NvmeHealth.READS, NvmeHealth.READ_SECTORS, bytes);
      return transferStart(s, bytes, NvmeState.BUFFER, true);
    case NvmeIo.WRITE:
      if (stage == 0) return command(b, s, NvmeRequest.WRITE, nsid, position, bytes, NvmeState.BUFFER);
      if (stage == 1) healthCount(s, NvmeHealth.WRITES, NvmeHealth.WRITTEN_SECTORS, bytes);
      return durable(b, s, forced);
    case NvmeIo.COMPARE:
      if (stage == 0) return command(b, s, NvmeRequest.READ, nsid, position, bytes, NvmeState.STORED);
      healthCount(s, NvmeHealth.READS, NvmeHealth.READ_SECTORS, bytes);
      return finish(s, bytesEqual(s + NvmeState.BUFFER, s + NvmeState.STORED, bytes) ? 0 : NvmeStatus.COMPARE_FAILED);
    case NvmeIo.WRITE_ZEROES:
      if (!chunk(b, s, NvmeRequest.ZERO, Nvme.CHUNK)) durable(b, s, forced);
      return;
    case NvmeIo.VERIFY:
      if (!chunk(b, s, NvmeRequest.READ, Nvme.TRANSFER_MAX)) finish(s, 0);
      return;
    default: dataset(b, s);
  }
}

/** One step while a back end works. */
export function storageStep(s: usize): bool {
  if (storageWaits(s)) return false;
  const request = s + NvmeState.STORAGE;
  if (load<u32>(request, Storage.ANSWER) == NvmeAnswer.FAILED) {
    finish(s, load<u32>(request, Storage.OP) == NvmeRequest.READ ? NvmeStatus.READ_ERROR : NvmeStatus.WRITE_FAULT);
  } else {
    set(s, NvmeState.STAGE, get(s, NvmeState.STAGE) + 1);
    set(s, NvmeState.PHASE, NvmePhase.ACT);
  }
  return true;
}
