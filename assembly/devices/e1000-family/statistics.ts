// Statistics (§13.7): counters that a read clears and that stick at their maximum. Those of octets are 64 bits wide,
// two registers each; reading the high one clears both, so a driver reads the low one first.
import { E1000 } from '../../spec/e1000';
import { blockOf, get, set } from './block';

/** Pointer for `statAdd` and `statAdd64`. */
@inline
export function statistics(b: usize, fn: u32): usize {
  return blockOf(b, fn, E1000.STATISTICS);
}

@inline
export function statCount(block: usize, off: u32): void {
  const value = get(block, off);
  if (value != 0xffffffff) set(block, off, value + 1);
}

/** Adds to the pair whose low register is at `off`; its high one follows. */
@inline
export function statAdd64(block: usize, off: u32, n: u32): void {
  const before = <u64>get(block, off + 4) << 32 | get(block, off);
  const after = before + n;
  const value = after < before ? u64.MAX_VALUE : after;
  set(block, off, <u32>value);
  set(block, off + 4, <u32>(value >> 32));
}

/** Counts a frame of `wire` bytes by its length, in the six registers from `off` on. */
@inline
export function statSize(block: usize, off: u32, wire: u32): void {
  const size = wire <= 64 ? 0 : min<u32>(26 - clz<u32>(wire), 5);
  statCount(block, off + (size << 2));
}

export function statRead(b: usize, fn: u32, off: u32): u32 {
  const block = statistics(b, fn);
  const value = get(block, off);
  switch (off) {
    case E1000.GORCL:
    case E1000.GOTCL:
    case E1000.TORL:
    case E1000.TOTL:
      return value;
    case E1000.GORCH:
    case E1000.GOTCH:
    case E1000.TORH:
    case E1000.TOTH:
      set(block, off - 4, 0);
  }
  set(block, off, 0);
  return value;
}
