// Transmit (§3.3, 3.4): one descriptor a step. Its data is added to the packet that is being put together; the last
// one sends the packet. Whatever may have to wait (memory, the link) comes before the first visible effect.
import { E1000, E1000Icr, E1000State, E1000Tctl, E1000Txd } from '../../spec/e1000';
import { LinkLimit } from '../../spec/link';
import { Counter } from '../../spec/counters';
import { Status } from '../../spec/status';
import { count, countBy } from '../../memory/state';
import { deviceState } from '../../bus/functions';
import { dmaRead, dmaWrite } from '../../dma/dma';
import { linkHasRoom, linkTransmit } from '../../ring/link';
import { blockOf, get, set } from './block';
import { checksumInsert } from './checksum';
import { Destination, destinationOf } from './filter';
import { causesRaise } from './interrupts';
import { linkOf, linkUp } from './link-state';
import { descriptorAt, ringBase, ringIndex, ringNext, ringNumber } from './ring';
import { statAdd64, statCount, statistics, statSize } from './statistics';
import { Outcome } from './step';

/** A packet that was put together in part is given up. */
export function packetForget(device: usize): void {
  store<u32>(device, 0, E1000State.TX_LEN);
  store<u32>(device, 0, E1000State.TX_OVERFLOW);
  store<u32>(device, 0, E1000State.TX_WAITING);
}

/** A transfer of the ring faulted: it stands still until software looks after it. Exported to stay out of line. */
export function transmitStop(device: usize): Outcome {
  store<u32>(device, 1, E1000State.TX_STOPPED);
  store<u32>(device, load<u32>(device, E1000State.DMA_FAULTS) + 1, E1000State.DMA_FAULTS);
  return Outcome.DONE;
}

/** Length on the link, without FCS, of a packet of `len` bytes; 0 when there is nothing to send. */
@inline
function frameLength(tctl: u32, command: u32, len: u32): u32 {
  // without IFCS software has put the FCS there itself, and the link reckons it anew
  if ((command & E1000Txd.COMMAND_IFCS) == 0) return len > <u32>LinkLimit.FCS ? len - LinkLimit.FCS : 0;
  return len != 0 && len < <u32>LinkLimit.FRAME_MIN && (tctl & E1000Tctl.PSP) != 0 ? LinkLimit.FRAME_MIN : len;
}

/** The packet of `len` bytes goes out as a frame of `frameLen`. */
@inline
function packetSend(b: usize, fn: u32, device: usize, len: u32, frameLen: u32, checksum: bool): void {
  const packet = device + E1000State.TX_BUFFER;
  if (checksum) {
    const where = load<u32>(device, E1000State.TX_CHECKSUM);
    checksumInsert(packet, len, where & 0xff, where >> 8);
  }
  if (len < frameLen) memory.fill(packet + len, 0, frameLen - len);
  linkTransmit(b, linkOf(b, fn), packet, frameLen);
  const wire = frameLen + LinkLimit.FCS;
  const stats = statistics(b, fn);
  statCount(stats, E1000.GPTC);
  statAdd64(stats, E1000.GOTCL, wire);
  statCount(stats, E1000.TPT);
  statAdd64(stats, E1000.TOTL, wire);
  statSize(stats, E1000.PTC64, wire);
  const kind = destinationOf(packet);
  if (kind == Destination.BROADCAST) statCount(stats, E1000.BPTC);
  else if (kind == Destination.MULTICAST) statCount(stats, E1000.MPTC);
  count(b, Counter.TX_FRAMES);
  countBy(b, Counter.TX_BYTES, frameLen);
}

/** Takes one descriptor off the ring. */
export function transmitStep(b: usize, fn: u32): Outcome {
  const block = blockOf(b, fn, E1000.TDBAL);
  const number = ringNumber(block, E1000.TDBAL);
  if (number == 0) return Outcome.IDLE;
  const head = ringIndex(block, E1000.TDH, number);
  const tail = ringIndex(block, E1000.TDT, number);
  if (head == tail) return Outcome.IDLE;
  const tctl = get(blockOf(b, fn, E1000.TCTL), E1000.TCTL);
  const device = deviceState(b, fn);
  if ((tctl & E1000Tctl.EN) == 0 || load<u32>(device, E1000State.TX_STOPPED) != 0) return Outcome.IDLE;
  // without a link the device takes no descriptors
  if (!linkUp(b, fn)) return Outcome.IDLE;
  // a frame that found no room is not fetched again before there is some
  const waiting = load<u32>(device, E1000State.TX_WAITING);
  if (waiting != 0 && !linkHasRoom(linkOf(b, fn), waiting)) return Outcome.PENDING;

  const address = descriptorAt(ringBase(block, E1000.TDBAL), head);
  const descriptor = device + E1000State.DESCRIPTOR;
  let status = dmaRead(b, fn, address, E1000Txd.SIZE_OF, descriptor);
  if (status == Status.PENDING) return Outcome.PENDING;
  // where nothing answers there is no descriptor to go by
  if (status != Status.OK) return transmitStop(device);
  count(b, Counter.DESCRIPTOR_FETCHES);

  const command = <u32>load<u8>(descriptor, E1000Txd.COMMAND);
  const legacy = (command & E1000Txd.COMMAND_DEXT) == 0;
  const buffer = load<u64>(descriptor, E1000Txd.BUFFER);
  // a null address transfers no data, whatever the length says
  const part = legacy && buffer != 0 ? <u32>load<u16>(descriptor, E1000Txd.LENGTH) : 0;
  const before = load<u32>(device, E1000State.TX_LEN);
  const overflow = load<u32>(device, E1000State.TX_OVERFLOW) != 0 || before + part > <u32>E1000State.TX_MAX;
  const len = overflow ? before : before + part;
  const last = legacy && (command & E1000Txd.COMMAND_EOP) != 0;
  const frameLen = last && !overflow ? frameLength(tctl, command, len) : 0;
  if (frameLen != 0 && !linkHasRoom(linkOf(b, fn), frameLen)) {
    store<u32>(device, frameLen, E1000State.TX_WAITING);
    return Outcome.PENDING;
  }
  if (part != 0 && !overflow) {
    if (before == 0) {
      // CSO and CSS count where the packet begins, IC where it ends
      store<u32>(device, load<u8>(descriptor, E1000Txd.CSO) | <u32>load<u8>(descriptor, E1000Txd.CSS) << 8,
        E1000State.TX_CHECKSUM);
    }
    status = dmaRead(b, fn, buffer, part, device + E1000State.TX_BUFFER + before);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (status == Status.FAULT || status == Status.REFUSED) return transmitStop(device);
  }
  const report = (command & E1000Txd.COMMAND_RS) != 0;
  if (report) {
    store<u8>(descriptor, load<u8>(descriptor, E1000Txd.STATUS) | E1000Txd.STATUS_DD, E1000Txd.STATUS);
    status = dmaWrite(b, fn, address + E1000Txd.STATUS, 4, descriptor + E1000Txd.STATUS);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (status == Status.FAULT || status == Status.REFUSED) return transmitStop(device);
    count(b, Counter.DESCRIPTOR_WRITEBACKS);
  }

  if (last) {
    if (frameLen != 0) packetSend(b, fn, device, len, frameLen, (command & E1000Txd.COMMAND_IC) != 0);
    packetForget(device);
  } else {
    store<u32>(device, len, E1000State.TX_LEN);
    store<u32>(device, overflow ? 1 : 0, E1000State.TX_OVERFLOW);
    store<u32>(device, 0, E1000State.TX_WAITING);
  }
  const next = ringNext(head, number);
  set(block, E1000.TDH, next);
  const causes: u32 = (report ? E1000Icr.TXDW : 0) | (next == tail ? E1000Icr.TXQE : 0);
  if (causes != 0) causesRaise(b, fn, causes);
  return Outcome.DONE;
}
