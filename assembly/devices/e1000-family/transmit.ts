// Transmit (§3.3, 3.4): one descriptor a step. Its data is added to the packet that is being put together; the last
// one sends the packet. Whatever may have to wait (memory, the link) comes before the first visible effect.
import { E1000, E1000Data, E1000Frame, E1000Tctl, E1000Txd } from '../../spec/e1000';
import { E1000Packet, E1000State } from '../../spec/e1000-state';
import { Link } from '../../spec/link';
import { Counter } from '../../spec/counters';
import { Status } from '../../spec/status';
import { count } from '../../memory/state';
import { deviceState } from '../../bus/functions';
import { dmaRead } from '../../dma/dma';
import { linkHasRoom } from '../../ring/link';
import { blockOf, get } from './block';
import { checksumInsert } from './checksum';
import { linkOf } from './link-state';
import { descriptorAt, ringBase, ringIndex, ringNumber } from './ring';
import { segmentStep } from './segment';
import { frameLength, frameSend, offloadInsert } from './send';
import { Outcome } from './step';
import { extendedStep } from './transmit-extended';
import { descriptorReport, descriptorTaken, faulted, packetForget, transmitStop } from './transmit-ring';
import { tagInsert, tagWanted } from './vlan';

/** Checksums and tag of the packet in TX_BUFFER, other than a plain one. Exported to stay out of line. */
export function packetFinish(b: usize, fn: u32, device: usize, len: u32, packet: u32, command: u32, tag: bool): void {
  if (packet & E1000Packet.EXTENDED) offloadInsert(device, len, 0);
  else if ((command & (E1000Txd.COMMAND_IC | E1000Txd.COMMAND_DEXT)) == E1000Txd.COMMAND_IC) {
    const where = load<u32>(device, E1000State.TX_CHECKSUM);
    checksumInsert(device + E1000State.TX_BUFFER, len, where & 0xff, where >> 8, len, 0, false);
  }
  if (tag) tagInsert(b, fn, len, load<u16>(device, E1000State.DESCRIPTOR + E1000Txd.SPECIAL));
}

/**
 * The descriptor's data joins the packet. `plain` is a constant: a legacy packet without options, that is what a
 * driver sends without offloads.
 */
@inline
function dataStep(
  b: usize, fn: u32, device: usize, link: usize, block: usize, number: u32, head: u32, tail: u32, tctl: u32,
  command: u32, packet: u32, plain: bool,
): Outcome {
  const descriptor = device + E1000State.DESCRIPTOR;
  const buffer = load<u64>(descriptor, E1000Txd.BUFFER);
  const mask: u32 = !plain && (command & E1000Txd.COMMAND_DEXT) != 0 ? E1000Data.LENGTH_MASK : 0xffff;
  // a null address transfers no data, whatever the length says
  const part = buffer == 0 ? 0 : load<u32>(descriptor, E1000Txd.LENGTH) & mask;
  const before = load<u32>(device, E1000State.TX_LEN);
  if (before + part > <u32>E1000State.TX_MAX) packet |= E1000Packet.BAD;
  const bad = (packet & E1000Packet.BAD) != 0;
  const len = bad ? before : before + part;
  const last = (command & E1000Txd.COMMAND_EOP) != 0;
  const tag = !plain && last && (command & E1000Txd.COMMAND_VLE) != 0 && tagWanted(b, fn, len);
  const whole = tag ? len + E1000Frame.TAG_SIZE : len;
  // with a tag the device appends the FCS in any case (§3.3.7.1)
  const insertFcs = tag || (command & E1000Txd.COMMAND_IFCS) != 0;
  const frameLen = last && !bad ? frameLength(tctl, insertFcs, whole) : 0;
  if (frameLen != 0 && !linkHasRoom(link, frameLen)) {
    store<u32>(device, frameLen, E1000State.TX_WAITING);
    return Outcome.PENDING;
  }
  let status: Status;
  if (part != 0 && !bad) {
    if (before == 0 && !(plain && last)) {
      // CSO and CSS count where the packet begins, IC where it ends
      store<u32>(device, load<u8>(descriptor, E1000Txd.CSO) | <u32>load<u8>(descriptor, E1000Txd.CSS) << 8,
        E1000State.TX_CHECKSUM);
    }
    status = dmaRead(b, fn, buffer, part, device + E1000State.TX_BUFFER + before);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (faulted(status)) return transmitStop(device);
  }
  if (command & E1000Txd.COMMAND_RS) {
    status = descriptorReport(b, fn, descriptorAt(ringBase(block, E1000.TDBAL), head), descriptor);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (faulted(status)) return transmitStop(device);
  }

  if (last) {
    if (frameLen != 0) {
      if (!plain) packetFinish(b, fn, device, len, packet, command, tag);
      frameSend(b, fn, link, device + E1000State.TX_BUFFER, whole, frameLen);
    }
    packetForget(device);
  } else {
    store<u32>(device, len, E1000State.TX_LEN);
    store<u32>(device, packet, E1000State.TX_PACKET);
    store<u32>(device, 0, E1000State.TX_WAITING);
  }
  descriptorTaken(b, fn, block, device, head, tail, number, command);
  return Outcome.DONE;
}

/** The descriptor just fetched is not plain, or its packet is not. Exported to stay out of line. */
export function transmitOther(b: usize, fn: u32, link: usize, block: usize, command: u32, packet: u32): Outcome {
  if ((command & E1000Txd.COMMAND_DEXT) != 0 || (packet & E1000Packet.SEGMENTED) != 0) {
    const outcome = extendedStep(b, fn, command);
    if (outcome != Outcome.DATA) return outcome;
    if (load<u64>(deviceState(b, fn), E1000State.TX_LEN) == 0) packet = E1000Packet.EXTENDED;
  }
  const number = ringNumber(block, E1000.TDBAL);
  const head = ringIndex(block, E1000.TDH, number);
  const tail = ringIndex(block, E1000.TDT, number);
  const tctl = get(blockOf(b, fn, E1000.TCTL), E1000.TCTL);
  return dataStep(b, fn, deviceState(b, fn), link, block, number, head, tail, tctl, command, packet, false);
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
  const link = linkOf(b, device);
  if (link == 0 || load<u32>(link, Link.UP) == 0) return Outcome.IDLE;
  const stalled = load<u64>(device, E1000State.TX_WAITING);
  if (stalled != 0) {
    // a frame that found no room is not fetched again before there is some
    if (<u32>stalled != 0 && !linkHasRoom(link, <u32>stalled)) return Outcome.PENDING;
    if (stalled >> 32 != 0) return segmentStep(b, fn);
  }

  const descriptor = device + E1000State.DESCRIPTOR;
  const status = dmaRead(b, fn, descriptorAt(ringBase(block, E1000.TDBAL), head), E1000Txd.SIZE_OF, descriptor);
  if (status == Status.PENDING) return Outcome.PENDING;
  // where nothing answers there is no descriptor to go by
  if (status != Status.OK) return transmitStop(device);
  count(b, Counter.DESCRIPTOR_FETCHES);

  const command = <u32>load<u8>(descriptor, E1000Txd.COMMAND);
  const packet = load<u32>(device, E1000State.TX_PACKET);
  const options = E1000Txd.COMMAND_DEXT | E1000Txd.COMMAND_VLE | E1000Txd.COMMAND_IC;
  if ((command & options) != 0 || packet != 0) return transmitOther(b, fn, link, block, command, packet);
  return dataStep(b, fn, device, link, block, number, head, tail, tctl, command, 0, true);
}
