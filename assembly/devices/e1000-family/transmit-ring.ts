// What every kind of transmit descriptor has in common: being given up, reported, taken off the ring.
import { E1000, E1000Icr, E1000Txd } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { Counter } from '../../spec/counters';
import { Status } from '../../spec/status';
import { count } from '../../memory/state';
import { dmaWrite } from '../../dma/dma';
import { set } from './block';
import { causesRaise } from './interrupts';
import { ringNext } from './ring';
import { Outcome } from './step';
import { transmitDelayed } from './timers';

/** A packet that was put together in part is over, or given up. */
@inline
export function packetForget(device: usize): void {
  // two words each: TX_WAITING and TX_HELD, TX_LEN and TX_PACKET
  store<u64>(device, 0, E1000State.TX_WAITING);
  store<u64>(device, 0, E1000State.TX_LEN);
}

/** A transfer of the ring faulted: it stands still until software looks after it. Exported to stay out of line. */
export function transmitStop(device: usize): Outcome {
  store<u32>(device, 1, E1000State.TX_STOPPED);
  store<u32>(device, load<u32>(device, E1000State.DMA_FAULTS) + 1, E1000State.DMA_FAULTS);
  return Outcome.DONE;
}

@inline
export function faulted(status: Status): bool {
  return status == Status.FAULT || status == Status.REFUSED;
}

/** Writes DD into the descriptor at `address`, of which `descriptor` is the copy. */
@inline
export function descriptorReport(b: usize, fn: u32, address: u64, descriptor: usize): Status {
  store<u8>(descriptor, load<u8>(descriptor, E1000Txd.STATUS) | E1000Txd.STATUS_DD, E1000Txd.STATUS);
  const status = dmaWrite(b, fn, address + E1000Txd.STATUS, 4, descriptor + E1000Txd.STATUS);
  if (status != Status.PENDING && !faulted(status)) count(b, Counter.DESCRIPTOR_WRITEBACKS);
  return status;
}

/** The descriptor at `head` has been dealt with: the head moves on, and software is told where RS asks for it. */
@inline
export function descriptorTaken(
  b: usize, fn: u32, block: usize, device: usize, head: u32, tail: u32, number: u32, command: u32,
): void {
  const next = ringNext(head, number);
  set(block, E1000.TDH, next);
  let causes: u32 = next == tail ? E1000Icr.TXQE : 0;
  if (command & E1000Txd.COMMAND_RS) {
    const delayed = (command & E1000Txd.COMMAND_IDE) != 0;
    causes |= delayed || load<u64>(device, E1000State.TIMER_TX) != 0
      ? transmitDelayed(b, fn, block, delayed) : E1000Icr.TXDW;
  }
  if (causes != 0) causesRaise(b, fn, causes);
}
