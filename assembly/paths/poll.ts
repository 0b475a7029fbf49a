// A network driver in a kernel, one poll at a time, as NAPI does it: what has been sent is cleaned up, frames are taken
// in and sent out again, the rings are filled, the doorbells rung. The interrupt is the kernel's affair.
import { Machine } from '../spec/machine';
import { E1000 } from '../spec/e1000';
import { E1000Driver, E1000Format } from '../spec/driver';
import { guestPtr } from '../drivers/dma-map';
import { bufferGive, bufferTake, e1000Clean, e1000Receive, e1000Refill, e1000Send, e1000eReceive } from '../drivers/e1000';
import { guestStore } from './guest';

/** Offset of the source address in a frame, and its length. */
const SOURCE: u32 = 6;
const ADDRESS: u32 = 6;

@inline
function doorbell(b: usize, d: usize, off: u32, value: u32): void {
  guestStore(b, load<u32>(d, E1000Driver.DOMAIN), load<u32>(d, E1000Driver.BAR_VA) + off, 4, value, 0);
}

@inline
function add(d: usize, off: usize, by: u64): void {
  store<u64>(d + off, load<u64>(d + off) + by);
}

/** Where `len` bytes of a buffer of the guest's are; 0 when they are not in one page of its own. */
@inline
function bufferPtr(b: usize, d: usize, va: u32, len: u32): usize {
  const inPage = (va & Machine.PAGE_MASK) + len <= <u32>Machine.PAGE_SIZE;
  return inPage ? guestPtr(b, load<u32>(d, E1000Driver.DOMAIN), va) : 0;
}

/** Whether a frame has the driver's own address as its source: it has come back, and goes out no second time. */
@inline
function isOwn(b: usize, d: usize, va: u32, len: u32): bool {
  const frame = bufferPtr(b, d, va, len);
  return frame != 0 && memory.compare(frame + SOURCE, d + E1000Driver.MAC, ADDRESS) == 0;
}

/** At most `budget` frames are taken in; how many it were. */
export function driverPoll(b: usize, d: usize, budget: u32): u32 {
  const extended = load<u32>(d, E1000Driver.FORMAT) == E1000Format.EXTENDED;
  e1000Clean(b, d);
  let taken: u32 = 0;
  let sent: u32 = 0;
  while (taken < budget) {
    const va = extended ? e1000eReceive(b, d) : e1000Receive(b, d);
    if (va == 0) break;
    const len = load<u32>(d, E1000Driver.RECEIVED_LEN);
    taken++;
    add(d, E1000Driver.RECEIVED, 1);
    add(d, E1000Driver.RECEIVED_BYTES, len);
    const own = len != 0 && isOwn(b, d, va, len);
    if (own) add(d, E1000Driver.RETURNED, 1);
    if (len != 0 && !own && e1000Send(b, d, va, len)) sent++;
    else bufferGive(d, va);
  }
  add(d, E1000Driver.SENT, sent);
  if (e1000Refill(b, d) != 0) doorbell(b, d, E1000.RDT, load<u32>(d, E1000Driver.RX_USE));
  if (sent != 0) doorbell(b, d, E1000.TDT, load<u32>(d, E1000Driver.TX_USE));
  return taken;
}

/** Sends a frame of `len` bytes (60 to 1514) at `src`; 1 when it is on the ring, 0 when there is no room. */
export function driverSend(b: usize, d: usize, src: usize, len: u32): u32 {
  if (len < 60 || len > 1514) return 0;
  e1000Clean(b, d);
  const va = bufferTake(d);
  if (va == 0) return 0;
  const buffer = bufferPtr(b, d, va, len);
  if (buffer != 0) memory.copy(buffer, src, len);
  if (buffer == 0 || !e1000Send(b, d, va, len)) {
    bufferGive(d, va);
    return 0;
  }
  add(d, E1000Driver.SENT, 1);
  doorbell(b, d, E1000.TDT, load<u32>(d, E1000Driver.TX_USE));
  return 1;
}
