// One call at a time is in the engine; another is told BUSY and does nothing.
//
// On shared memory the other is a thread. Every export that changes anything, or walks something that may be changing,
// takes the lock word first. It lies in the placement, not in the slice. It and the bytes of RAM are all that two
// threads may touch at the same time. A read of one register then takes two to three times as long: two atomics.
//
// On memory that is not shared only the host can come in twice, from a function that the engine has called. Then it is
// enough to close the entry around that call, which a register read does not feel (1.03; a lock word in memory: 1.22).
//
// SHARED_MEMORY is 1 in the artefact for shared memory and 0 in the other: a constant that asconfig.json gives.
import { State } from '../spec/state';
import { Status } from '../spec/status';
import { setBase, stateBase } from './state';

// the state base again, 0 while the engine calls its host
let ENTRY: usize = 0;

// On shared memory, of this instance's last call: RESULT_STATUS and RESULT_HI may be another thread's by now.
let STATUS: u32 = 0;
let HIGH: u32 = 0;

/** Opens the engine with its state at `base`. */
export function openAt(base: usize): void {
  setBase(base);
  ENTRY = base;
}

// exported to stay out of the exports' own path
export function refuse(): bool {
  if (SHARED_MEMORY) {
    STATUS = Status.BUSY;
    HIGH = 0xffffffff;
  } else {
    store<u32>(stateBase(), Status.BUSY, State.RESULT_STATUS);
    store<u32>(stateBase(), 0xffffffff, State.RESULT_HI);
  }
  return true;
}

/** Takes the engine: the state base, or 0 when somebody is inside. To be asked by `busy` at once. */
@inline
export function enter(): usize {
  if (!SHARED_MEMORY) return ENTRY;
  const b = stateBase();
  return atomic.cmpxchg<u32>(b, 0, 1, State.LOCK) == 0 ? b : 0;
}

/** Whether `enter` found somebody inside; the caller's status then says so. */
@inline
export function busy(b: usize): bool {
  return b == 0 ? refuse() : false;
}

/** Leaves the engine. */
@inline
export function left(b: usize): void {
  if (SHARED_MEMORY) {
    STATUS = load<u32>(b, State.RESULT_STATUS);
    HIGH = load<u32>(b, State.RESULT_HI);
    atomic.store<u32>(b, 0, State.LOCK);
  }
}

/** Leaves the engine with an answer, which has been worked out before. */
@inline
export function leave<T>(b: usize, answer: T): T {
  left(b);
  return answer;
}

/** Before a call of the host: closes the entry, and gives the result words to hand to `callBack`. */
export function callOut(): u64 {
  ENTRY = 0;
  return load<u64>(stateBase(), State.RESULT_HI);
}

/** After it: a call that was refused in between has left no trace. */
export function callBack(results: u64): void {
  store<u64>(stateBase(), results, State.RESULT_HI);
  ENTRY = stateBase();
}

@inline
export function lastStatus(): u32 {
  if (SHARED_MEMORY) return STATUS;
  return load<u32>(stateBase(), State.RESULT_STATUS);
}

@inline
export function lastHigh(): u32 {
  if (SHARED_MEMORY) return HIGH;
  return load<u32>(stateBase(), State.RESULT_HI);
}
