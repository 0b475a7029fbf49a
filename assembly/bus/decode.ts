// Where the memory BARs are decoded: machine frame -> page of a device. Mapping follows the config bytes
// (`barsUpdate`); a moved BAR rewrites entries here and nothing else. A BAR that overlaps another gets the frames
// that were still free; they come back to it when the other leaves.
import { Machine } from '../spec/machine';
import { BarKind, BarRecord, DecodeEntry, FunctionFlag, FunctionRecord, PortEntry, State } from '../spec/state';
import { Pci, PciBar } from '../spec/pci';
import { Counter } from '../spec/counters';
import { lookasideDrop } from '../memory/lookaside';
import { radixGet, radixSet } from '../memory/radix';
import { TraceCategory } from '../spec/trace';
import { count } from '../memory/state';
import { trace, traceDetail } from '../memory/trace';
import { barRecord, functionPresent, functionRecord } from './functions';
import { configDword } from './config';
import { windowsForward } from './bridges';

@inline
function bothGet(record: usize): u64 {
  return load<u64>(record, BarRecord.MAPPED_LO);
}

@inline
function decodeRoot(b: usize): usize {
  return b + State.MMIO_ROOT;
}

@inline
export function decodeEntry(b: usize, mfn: u32): u32 {
  return radixGet(b, decodeRoot(b), mfn);
}

/** BAR below 4 KiB that holds byte `off` of a shared page, as function × 6 + BAR plus one; 0 when none does. */
export function sharedFind(b: usize, entry: u32, off: u32): u32 {
  let id = (entry & DecodeEntry.INDEX_MASK) + 1;
  while (id != 0) {
    const record = barRecord(b, (id - 1) / Machine.BARS, (id - 1) % Machine.BARS);
    const start = load<u32>(record, BarRecord.MAPPED_LO) & Machine.PAGE_MASK;
    if (off - start < load<u32>(record, BarRecord.SIZE)) return id;
    id = load<u32>(record, BarRecord.NEXT);
  }
  return 0;
}

function memoryMap(b: usize, fn: u32, bar: u32): void {
  const record = barRecord(b, fn, bar);
  const size = load<u32>(record, BarRecord.SIZE);
  const mfn = <u32>(bothGet(record) >> Machine.PAGE_SHIFT);
  const id = fn * Machine.BARS + bar;
  if (size < <u32>Machine.PAGE_SIZE) {
    const entry = decodeEntry(b, mfn);
    if (entry >> DecodeEntry.KIND_SHIFT == DecodeEntry.PAGE) return;
    if (entry == 0) {
      radixSet(b, decodeRoot(b), mfn, <u32>DecodeEntry.SHARED << DecodeEntry.KIND_SHIFT | id);
      return;
    }
    // at the end of the chain: where two overlap, the first one keeps its bytes, as it does with whole pages
    let other: u32 = (entry & DecodeEntry.INDEX_MASK) + 1;
    while (other != id + 1) {
      const last = barRecord(b, (other - 1) / Machine.BARS, (other - 1) % Machine.BARS);
      other = load<u32>(last, BarRecord.NEXT);
      if (other != 0) continue;
      store<u32>(last, id + 1, BarRecord.NEXT);
      return;
    }
    return;
  }
  const first = load<u32>(record, BarRecord.PAGES) >> 4;
  for (let i: u32 = 0; i < size >> Machine.PAGE_SHIFT; i++) {
    if (decodeEntry(b, mfn + i) != 0) continue;
    radixSet(b, decodeRoot(b), mfn + i, <u32>DecodeEntry.PAGE << DecodeEntry.KIND_SHIFT | (first + i));
  }
}

function memoryUnmap(b: usize, fn: u32, bar: u32): void {
  const record = barRecord(b, fn, bar);
  const size = load<u32>(record, BarRecord.SIZE);
  const mfn = <u32>(bothGet(record) >> Machine.PAGE_SHIFT);
  const id = fn * Machine.BARS + bar;
  if (size < <u32>Machine.PAGE_SIZE) {
    const entry = decodeEntry(b, mfn);
    if (entry >> DecodeEntry.KIND_SHIFT != DecodeEntry.SHARED) return;
    const next = load<u32>(record, BarRecord.NEXT);
    store<u32>(record, 0, BarRecord.NEXT);
    if ((entry & DecodeEntry.INDEX_MASK) == id) {
      const rest: u32 = next == 0 ? 0 : <u32>DecodeEntry.SHARED << DecodeEntry.KIND_SHIFT | (next - 1);
      radixSet(b, decodeRoot(b), mfn, rest);
      return;
    }
    let other = (entry & DecodeEntry.INDEX_MASK) + 1;
    while (other != 0) {
      const before = barRecord(b, (other - 1) / Machine.BARS, (other - 1) % Machine.BARS);
      other = load<u32>(before, BarRecord.NEXT);
      if (other == id + 1) {
        store<u32>(before, next, BarRecord.NEXT);
        return;
      }
    }
    return;
  }
  const first = load<u32>(record, BarRecord.PAGES) >> 4;
  for (let i: u32 = 0; i < size >> Machine.PAGE_SHIFT; i++) {
    if (decodeEntry(b, mfn + i) == (<u32>DecodeEntry.PAGE << DecodeEntry.KIND_SHIFT | (first + i))) {
      radixSet(b, decodeRoot(b), mfn + i, 0);
    }
  }
}

/** After `from` to `from + size` became free: BARs that overlap it and had lost there take their frames. */
function memoryRefill(b: usize, from: u64, size: u32): void {
  const first = from >> Machine.PAGE_SHIFT;
  const last = (from + size - 1) >> Machine.PAGE_SHIFT;
  for (let fn: u32 = 0; fn < <u32>Machine.FUNCTIONS; fn++) {
    if (!functionPresent(b, fn)) continue;
    for (let bar: u32 = 0; bar < <u32>Machine.BARS; bar++) {
      const record = barRecord(b, fn, bar);
      if (load<u32>(record, BarRecord.MAPPED) == 0 || load<u32>(record, BarRecord.KIND) == BarKind.IO) continue;
      const start = bothGet(record);
      if (start >> Machine.PAGE_SHIFT > last) continue;
      if ((start + load<u32>(record, BarRecord.SIZE) - 1) >> Machine.PAGE_SHIFT < first) continue;
      memoryMap(b, fn, bar);
    }
  }
}

function portsWrite(b: usize, fn: u32, bar: u32, map: bool): void {
  const record = barRecord(b, fn, bar);
  const first = load<u32>(record, BarRecord.MAPPED_LO) >> 2;
  const id = fn * Machine.BARS + bar + 1;
  for (let i: u32 = 0; i < load<u32>(record, BarRecord.SIZE) >> 2; i++) {
    const ptr = b + load<u32>(b, State.POOL_PORTS) + ((first + i) << 1);
    const holder = <u32>load<u16>(ptr);
    if (map ? holder == PortEntry.NONE : holder == id) store<u16>(ptr, map ? <u16>id : 0);
  }
}

function portsRefill(b: usize): void {
  for (let fn: u32 = 0; fn < <u32>Machine.FUNCTIONS; fn++) {
    if (!functionPresent(b, fn)) continue;
    for (let bar: u32 = 0; bar < <u32>Machine.BARS; bar++) {
      const record = barRecord(b, fn, bar);
      if (load<u32>(record, BarRecord.MAPPED) != 0 && load<u32>(record, BarRecord.KIND) == BarKind.IO) {
        portsWrite(b, fn, bar, true);
      }
    }
  }
}

/** Maps a BAR at `address`, or takes it out of decode when `map` is false. */
export function barMap(b: usize, fn: u32, bar: u32, map: bool, address: u64): void {
  const record = barRecord(b, fn, bar);
  const io = load<u32>(record, BarRecord.KIND) == BarKind.IO;
  const was = load<u32>(record, BarRecord.MAPPED) != 0;
  if (was == map && (!map || bothGet(record) == address)) return;
  lookasideDrop(b);
  if (was) {
    if (io) portsWrite(b, fn, bar, false);
    else memoryUnmap(b, fn, bar);
    store<u32>(record, 0, BarRecord.MAPPED);
    if (io) portsRefill(b);
    else memoryRefill(b, bothGet(record), load<u32>(record, BarRecord.SIZE));
  }
  if (map) {
    store<u64>(record, address, BarRecord.MAPPED_LO);
    store<u32>(record, 1, BarRecord.MAPPED);
    if (io) portsWrite(b, fn, bar, true);
    else memoryMap(b, fn, bar);
  }
  count(b, Counter.BAR_MOVES);
  trace(b, TraceCategory.BAR, fn, address, bar, traceDetail(0, map, 0));
  store<u32>(b, fn + 1, State.BAR_MOVED);
  store<u64>(b, load<u64>(b, State.BARS_MOVED) | (<u64>1 << fn), State.BARS_MOVED);
}

/** Begins an operation that reports which functions it moved BARs of. */
@inline
export function barsMovedClear(b: usize): void {
  store<u32>(b, 0, State.BAR_MOVED);
  store<u64>(b, 0, State.BARS_MOVED);
}

/** The host bridge claims the enhanced config space before any BAR does. */
@inline
function overlapsEcam(address: u64, size: u32): bool {
  return address < (<u64>Machine.ECAM_LAST_MFN + 1) << Machine.PAGE_SHIFT
    && address + size > <u64>Machine.ECAM_FIRST_MFN << Machine.PAGE_SHIFT;
}

/** Brings the decode into line with the config bytes: BAR registers, decode enables, power state, bridges above. */
export function barsUpdate(b: usize, fn: u32): void {
  const flags = load<u32>(functionRecord(b, fn), FunctionRecord.FLAGS);
  const up = (flags & FunctionFlag.POWERED_DOWN) == 0;
  for (let bar: u32 = 0; bar < <u32>Machine.BARS; bar++) {
    const record = barRecord(b, fn, bar);
    const kind = load<u32>(record, BarRecord.KIND);
    if (kind == BarKind.NONE) continue;
    const raw = configDword(b, fn, Pci.BAR0 + (bar << 2));
    const size = load<u32>(record, BarRecord.SIZE);
    if (kind == BarKind.IO) {
      const port = raw & ~(<u32>PciBar.IO_FLAGS);
      const decoded = up && (flags & FunctionFlag.IO_DECODE) != 0 && port != 0 && port <= 0x10000 - size;
      barMap(b, fn, bar, decoded && windowsForward(b, fn, true, port, size), port);
      continue;
    }
    let address = <u64>(raw & ~(<u32>PciBar.MEMORY_FLAGS));
    if (kind == BarKind.MEMORY_64) address |= <u64>configDword(b, fn, Pci.BAR0 + 4 + (bar << 2)) << 32;
    const inside = address != 0 && address <= (<u64>Machine.MFN_LIMIT << Machine.PAGE_SHIFT) - size;
    const decoded = up && (flags & FunctionFlag.MEMORY_DECODE) != 0 && inside && !overlapsEcam(address, size);
    barMap(b, fn, bar, decoded && windowsForward(b, fn, false, address, size), address);
  }
}
