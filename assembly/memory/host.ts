// What the engine asks of its host: bytes of file windows, synchronously. `first` is the window's first frame, the
// offset counts bytes in the window, `ptr` is a linear address. 0: done; anything else: refused. A host that calls the
// engine from within is told BUSY.
import { callBack, callOut } from './lock';

@external("env", "windowRead")
declare function askRead(first: u32, offLo: u32, offHi: u32, ptr: usize, len: u32): u32;

@external("env", "windowWrite")
declare function askWrite(first: u32, offLo: u32, offHi: u32, ptr: usize, len: u32): u32;

export function windowRead(first: u32, offLo: u32, offHi: u32, ptr: usize, len: u32): u32 {
  const results = callOut();
  const answer = askRead(first, offLo, offHi, ptr, len);
  callBack(results);
  return answer;
}

export function windowWrite(first: u32, offLo: u32, offHi: u32, ptr: usize, len: u32): u32 {
  const results = callOut();
  const answer = askWrite(first, offLo, offHi, ptr, len);
  callBack(results);
  return answer;
}
