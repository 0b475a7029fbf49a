// A bounded trace of events. Off, it costs a load and a test where an event would be; on, a record in the state, read
// by the host when it likes: no call per event.
import { State } from '../spec/state';
import { Trace, TraceCategory, TraceRecord } from '../spec/trace';

@inline
export function trace(b: usize, category: TraceCategory, who: u32, address: u64, value: u32, detail: u32): void {
  if (load<u32>(b + State.TRACE, Trace.MASK) & category) traceAppend(b, category, who, address, value, detail);
}

/** Nothing is traced: the ways that record no events may be taken. */
@inline
export function traceOff(b: usize): bool {
  return load<u32>(b + State.TRACE, Trace.MASK) == 0;
}

// exported so that it is not inlined where events are
export function traceAppend(b: usize, category: u32, who: u32, address: u64, value: u32, detail: u32): void {
  const t = b + State.TRACE;
  const tail = load<u32>(t, Trace.TAIL);
  const capacity = load<u32>(t, Trace.CAPACITY);
  if (tail - load<u32>(t, Trace.HEAD) >= capacity) {
    store<u64>(t, load<u64>(t, Trace.LOST) + 1, Trace.LOST);
    return;
  }
  const record = b + load<u32>(t, Trace.RECORDS) + (tail & (capacity - 1)) * TraceRecord.SIZE_OF;
  store<u64>(record, load<u64>(b, State.NOW), TraceRecord.TIME);
  store<u32>(record, category, TraceRecord.CATEGORY);
  store<u32>(record, who, TraceRecord.WHO);
  store<u64>(record, address, TraceRecord.ADDRESS);
  store<u32>(record, value, TraceRecord.VALUE);
  store<u32>(record, detail, TraceRecord.DETAIL);
  store<u32>(t, tail + 1, Trace.TAIL);
}

/** Lossless mode: whether the next step could lose an event, so that the batch must end here. */
@inline
export function traceFull(b: usize): bool {
  const t = b + State.TRACE;
  if (load<u32>(t, Trace.LOSSLESS) == 0) return false;
  return load<u32>(t, Trace.CAPACITY) - (load<u32>(t, Trace.TAIL) - load<u32>(t, Trace.HEAD)) < <u32>Trace.RESERVE;
}

/** DETAIL of an event. */
@inline
export function traceDetail(width: u32, write: bool, status: u32): u32 {
  return width | (write ? 0x100 : 0) | status << 16;
}
