// A receive ring with no NIC around it, for the benchmarks: a device that fetches a descriptor, writes the frame and
// writes the descriptor back, and the e1000 driver that maps, takes and unmaps. What is left is the cost of DMA,
// translation and mapping.
import { E1000Rxd } from '../spec/e1000';
import { E1000Driver } from '../spec/driver';
import { Status } from '../spec/status';
import { deviceState } from '../bus/functions';
import { dmaRead, dmaWrite } from '../dma/dma';
import { guestPtr } from '../drivers/dma-map';
import { bufferGive, e1000Receive, e1000Refill } from '../drivers/e1000';

/** Frames between two visits of the driver. */
const BATCH: u32 = 32;

/**
 * Receives `packets` frames of `len` bytes with FCS over the ring at bus address `ring`. The frames lie at `frameStore`,
 * 64 bytes aligned each; the first 16 bytes of the function's own state are its working copy of a descriptor. Gives
 * the sum of the first dwords as the guest read them, 0 after a fault.
 */
export function receiveRun(b: usize, d: usize, fn: u32, ring: u32, frameStore: usize, frames: u32, len: u32, packets: u32): u32 {
  const descriptor = deviceState(b, fn);
  const dom = load<u32>(d, E1000Driver.DOMAIN);
  const number = load<u32>(d, E1000Driver.RX_COUNT);
  const stride = (len + 63) & ~63;
  let head = load<u32>(d, E1000Driver.RX_CLEAN);
  let frame: u32 = 0;
  let sum: u32 = 0;
  let done: u32 = 0;
  while (done < packets) {
    e1000Refill(b, d);
    const batch = min<u32>(BATCH, packets - done);
    for (let i: u32 = 0; i < batch; i++) {
      const at = <u64>ring + (head << 4);
      if (dmaRead(b, fn, at, E1000Rxd.SIZE_OF, descriptor) != Status.OK) return 0;
      if (dmaWrite(b, fn, load<u64>(descriptor), len, frameStore + frame * stride) != Status.OK) return 0;
      store<u64>(descriptor, len | <u64>(E1000Rxd.STATUS_DD | E1000Rxd.STATUS_EOP) << 32, E1000Rxd.LENGTH);
      if (dmaWrite(b, fn, at + E1000Rxd.LENGTH, 8, descriptor + E1000Rxd.LENGTH) != Status.OK) return 0;
      head = head + 1 == number ? 0 : head + 1;
      frame = frame + 1 == frames ? 0 : frame + 1;
    }
    for (let i: u32 = 0; i < batch; i++) {
      const va = e1000Receive(b, d);
      if (va == 0) return 0;
      const ptr = guestPtr(b, dom, va);
      if (ptr != 0) sum += load<u32>(ptr);
      bufferGive(d, va);
    }
    done += batch;
  }
  return sum;
}
