// One call at a time is in the engine. Every export that changes anything, or walks something that may be changing,
// takes the lock word first; the call that finds it taken answers BUSY and does nothing. The lock lies in the
// placement, not in the slice. It and the bytes of RAM are all that two threads may touch at the same time.
//
// The artefact for memory that is not shared has none of this: it calls no function of its host, so that nobody can
// come in twice, and the check alone made a register read 1.12 times as long (with the store 1.22). For shared
// memory it is 2.35 times as long, one compare-exchange, whatever the call does then.
//
// SHARED_MEMORY is 1 in the artefact for shared memory and 0 in the other: a constant that asconfig.json gives.
import { State } from '../spec/state';
import { Status } from '../spec/status';
import { stateBase } from './state';

// Of this instance's last call: RESULT_STATUS and RESULT_HI may be another thread's by the time they are looked at.
let STATUS: u32 = 0;
let HIGH: u32 = 0;

// exported to stay out of the exports' own path
export function refuse(): usize {
  STATUS = Status.BUSY;
  HIGH = 0xffffffff;
  return 0;
}

/** Takes the engine: the state base, or 0 when somebody is inside. */
@inline
export function enter(): usize {
  const b = stateBase();
  if (SHARED_MEMORY) {
    if (atomic.cmpxchg<u32>(b, 0, 1, State.LOCK) != 0) return refuse();
  }
  return b;
}

/** Whether `enter` found somebody inside. */
@inline
export function busy(b: usize): bool {
  if (SHARED_MEMORY) return b == 0;
  return false;
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
