// Scatter-gather: one transfer between a run of engine state and a list of places on the bus, each through the one way
// that there is. An entry of the list is {bus address u64, length u32, 0}.
import { Status } from '../spec/status';
import { dmaRead, dmaWrite } from './dma';

/** Bytes of an entry. */
export const SCATTER_ENTRY: u32 = 16;

/** Length of all entries together; all ones when that is more than `limit`. */
export function scatterLength(list: usize, entries: u32, limit: u32): u32 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < entries; i++) {
    sum += load<u32>(list + i * SCATTER_ENTRY, 8);
    if (sum > limit) return u32.MAX_VALUE;
  }
  return <u32>sum;
}

/**
 * Reads (gathers) or writes (scatters) entry by entry. Ends at the first that is PENDING, FAULT or REFUSED: those before
 * it are done, those after it are not; a gather gives ones for what it did not reach.
 */
export function dmaScatter(b: usize, fn: u32, list: usize, entries: u32, at: usize, write: bool): Status {
  let worst: Status = Status.OK;
  let left = at;
  for (let i: u32 = 0; i < entries; i++) {
    const entry = list + i * SCATTER_ENTRY;
    const len = load<u32>(entry, 8);
    const status = one(b, fn, load<u64>(entry), len, left, write);
    if (status != Status.OK) worst = status;
    left += len;
    if (status != Status.PENDING && status != Status.FAULT && status != Status.REFUSED) continue;
    if (!write) for (let j = i + 1; j < entries; j++) {
      const rest = load<u32>(list + j * SCATTER_ENTRY, 8);
      memory.fill(left, 0xff, rest);
      left += rest;
    }
    break;
  }
  return worst;
}

// one copy of the DMA's code
function one(b: usize, fn: u32, bus: u64, len: u32, at: usize, write: bool): Status {
  return write ? dmaWrite(b, fn, bus, len, at) : dmaRead(b, fn, bus, len, at);
}
