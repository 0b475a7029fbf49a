// Extended transmit descriptors (§3.3.6, 3.3.7): contexts are kept; data is part of a packet, whole or segmented.
import { E1000, E1000Context, E1000Data, E1000Txd } from '../../spec/e1000';
import { E1000Packet, E1000State } from '../../spec/e1000-state';
import { Status } from '../../spec/status';
import { deviceState } from '../../bus/functions';
import { blockOf } from './block';
import { descriptorAt, ringBase, ringIndex, ringNumber } from './ring';
import { segmentStart } from './segment';
import { Outcome } from './step';
import { descriptorReport, descriptorTaken, faulted, transmitStop } from './transmit-ring';

/** A context, or a type that does not exist: taken off the ring. There are two contexts, told apart by TSE. */
function contextStep(b: usize, fn: u32, device: usize, command: u32, type: u32): Outcome {
  const block = blockOf(b, fn, E1000.TDBAL);
  const number = ringNumber(block, E1000.TDBAL);
  const head = ringIndex(block, E1000.TDH, number);
  const descriptor = device + E1000State.DESCRIPTOR;
  if (type == E1000Data.TYPE_CONTEXT) {
    const context = command & E1000Context.COMMAND_TSE ? E1000State.TX_SEGMENT_CONTEXT : E1000State.TX_CONTEXT;
    v128.store(device + context, v128.load(descriptor));
  }
  if (command & E1000Txd.COMMAND_RS) {
    const status = descriptorReport(b, fn, descriptorAt(ringBase(block, E1000.TDBAL), head), descriptor);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (faulted(status)) return transmitStop(device);
  }
  descriptorTaken(b, fn, block, device, head, ringIndex(block, E1000.TDT, number), number, command);
  return Outcome.DONE;
}

/** The first data descriptor of a packet has its options, and chooses the context. */
function packetStart(device: usize, descriptor: usize, command: u32): void {
  const options = <u32>load<u8>(descriptor, E1000Data.OPTIONS) | command << 8
    | <u32>load<u16>(descriptor, E1000Txd.SPECIAL) << 16;
  store<u32>(device, options, E1000State.TX_OPTIONS);
  const segmented = (command & E1000Data.COMMAND_TSE) != 0;
  const context = segmented ? E1000State.TX_SEGMENT_CONTEXT : E1000State.TX_CONTEXT;
  v128.store(device + E1000State.TX_WORK, v128.load(device + context));
  if (segmented) segmentStart(device);
}

/**
 * The descriptor just fetched is extended, or follows one of a packet that is segmented: what kind a packet is says
 * its first one. DATA: it is for the caller.
 */
export function extendedStep(b: usize, fn: u32, command: u32): Outcome {
  const device = deviceState(b, fn);
  const descriptor = device + E1000State.DESCRIPTOR;
  if (command & E1000Txd.COMMAND_DEXT) {
    const type = load<u32>(descriptor, E1000Txd.LENGTH) >> E1000Data.TYPE_SHIFT & E1000Data.TYPE_MASK;
    if (type != E1000Data.TYPE_DATA) return contextStep(b, fn, device, command, type);
    if (load<u64>(device, E1000State.TX_LEN) == 0) packetStart(device, descriptor, command);
  }
  if ((load<u32>(device, E1000State.TX_PACKET) & E1000Packet.SEGMENTED) == 0) return Outcome.DATA;
  v128.store(device + E1000State.TX_DESCRIPTOR, v128.load(descriptor));
  store<u32>(device, 1, E1000State.TX_HELD);
  store<u32>(device, 0, E1000State.TX_OFFSET);
  // fetching it was this step; what follows does not fetch it again
  return Outcome.DONE;
}
