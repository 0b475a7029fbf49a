// Segmentation (§3.5): a packet of up to 1 MiB goes out as frames of HDRLEN + MSS bytes. The header is fetched once; a
// step adds to one segment from one descriptor, which is kept meanwhile, so that a step can be left and done again.
import { E1000, E1000Context, E1000Data, E1000Frame, E1000Txd } from '../../spec/e1000';
import { E1000Packet, E1000State } from '../../spec/e1000-state';
import { Header } from '../../spec/headers';
import { Status } from '../../spec/status';
import { deviceState } from '../../bus/functions';
import { dmaRead } from '../../dma/dma';
import { linkHasRoom } from '../../ring/link';
import { blockOf, get } from './block';
import { linkOf } from './link-state';
import { descriptorAt, ringBase, ringIndex, ringNumber } from './ring';
import { frameLength, frameSend, offloadInsert } from './send';
import { statCount, statistics } from './statistics';
import { Outcome } from './step';
import { descriptorReport, descriptorTaken, faulted, packetForget, transmitStop } from './transmit-ring';
import { field16, fieldPut16, tagInsert, tagWanted } from './vlan';

@inline
function headerLength(device: usize): u32 {
  return load<u8>(device, E1000State.TX_WORK + E1000Context.HDRLEN);
}

@inline
function segmentSize(device: usize): u32 {
  return load<u16>(device, E1000State.TX_WORK + E1000Context.MSS);
}

@inline
function payloadLength(device: usize): u32 {
  return load<u32>(device, E1000State.TX_WORK + E1000Context.PAYLEN) & E1000Data.LENGTH_MASK;
}

/** A packet begins whose context is in TX_WORK. One that leads nowhere, or beyond the packet buffer, is not sent. */
export function segmentStart(device: usize): void {
  const header = headerLength(device);
  const size = min(segmentSize(device), payloadLength(device));
  const good = header != 0 && size != 0 && header + size <= <u32>E1000State.TX_MAX;
  store<u32>(device, E1000Packet.EXTENDED | E1000Packet.SEGMENTED | (good ? 0 : E1000Packet.BAD), E1000State.TX_PACKET);
  store<u32>(device, 0, E1000State.TX_LEN);
  store<u32>(device, 0, E1000State.TX_PAYLOAD);
  store<u32>(device, 0, E1000State.TX_SEGMENTS);
}

@inline
function fits(header: u32, off: u32, size: u32): bool {
  return off + size <= header;
}

/** The header of the segment whose `payload` bytes stand behind it in TX_BUFFER (§3.5.9.1 to 3.5.9.3). */
function headerWrite(device: usize, payload: u32, last: bool): void {
  const header = headerLength(device);
  const packet = device + E1000State.TX_BUFFER;
  const context = device + E1000State.TX_WORK;
  const command = <u32>load<u8>(context, E1000Context.COMMAND);
  const ip = <u32>load<u8>(context, E1000Context.IPCSS);
  const transport = <u32>load<u8>(context, E1000Context.TUCSS);
  const whole = header + payload;
  memory.copy(packet, device + E1000State.TX_HEADER, header);
  if (command & E1000Context.COMMAND_IP) {
    if (fits(header, ip, Header.IPV4_ID + 2)) {
      fieldPut16(packet + ip + Header.IPV4_LENGTH, whole - ip);
      fieldPut16(packet + ip + Header.IPV4_ID,
        field16(packet + ip + Header.IPV4_ID) + load<u32>(device, E1000State.TX_SEGMENTS));
    }
  } else if (fits(header, ip, Header.IPV6_SIZE)) {
    // the manual leaves out that the header itself is not counted (RFC 8200 §3)
    fieldPut16(packet + ip + Header.IPV6_LENGTH, whole - ip - Header.IPV6_SIZE);
  }
  if (command & E1000Context.COMMAND_TCP) {
    if (!fits(header, transport, Header.TCP_FLAGS + 1)) return;
    const at = packet + transport;
    const sequence = bswap<u32>(load<u32>(at, Header.TCP_SEQUENCE)) + load<u32>(device, E1000State.TX_PAYLOAD);
    store<u32>(at, bswap<u32>(sequence), Header.TCP_SEQUENCE);
    if (!last) store<u8>(at, load<u8>(at, Header.TCP_FLAGS) & ~(<u8>Header.TCP_FIN_PSH), Header.TCP_FLAGS);
  } else if (fits(header, transport, Header.UDP_LENGTH + 2)) {
    fieldPut16(packet + transport + Header.UDP_LENGTH, whole - transport);
  }
}

/** The next part of the held descriptor: header, payload of one segment, or nothing more. */
export function segmentStep(b: usize, fn: u32): Outcome {
  const device = deviceState(b, fn);
  const block = blockOf(b, fn, E1000.TDBAL);
  const number = ringNumber(block, E1000.TDBAL);
  const head = ringIndex(block, E1000.TDH, number);
  const link = linkOf(b, device);
  const descriptor = device + E1000State.TX_DESCRIPTOR;
  const command = <u32>load<u8>(descriptor, E1000Txd.COMMAND);
  const mask: u32 = command & E1000Txd.COMMAND_DEXT ? E1000Data.LENGTH_MASK : 0xffff;
  const buffer = load<u64>(descriptor, E1000Txd.BUFFER);
  const size = buffer == 0 ? 0 : load<u32>(descriptor, E1000Txd.LENGTH) & mask;
  const offset = load<u32>(device, E1000State.TX_OFFSET);
  const bad = (load<u32>(device, E1000State.TX_PACKET) & E1000Packet.BAD) != 0;
  const header = headerLength(device);
  const before = load<u32>(device, E1000State.TX_LEN);
  const sent = load<u32>(device, E1000State.TX_PAYLOAD);
  const payload = payloadLength(device);

  // how much of what is next: bytes beyond PAYLEN belong to nothing
  const inHeader = before < header;
  const inSegment = before - header;
  const room = bad ? 0 : inHeader ? header - before : min(segmentSize(device) - inSegment, payload - sent - inSegment);
  const part = min(size - offset, room);
  const len = before + part;
  const filled = len > header ? len - header : 0;
  const descriptorEnd = bad || offset + part == size || (!inHeader && sent + filled == payload);
  const packetEnd = descriptorEnd && (command & E1000Txd.COMMAND_EOP) != 0;
  const last = sent + filled == payload || packetEnd;
  const ready = !bad && filled != 0 && (filled == segmentSize(device) || last);

  // VLE, like the options, is that of the first data descriptor (§3.3.7.1)
  const options = load<u32>(device, E1000State.TX_OPTIONS);
  const tag = ready && (options >> 8 & E1000Txd.COMMAND_VLE) != 0 && tagWanted(b, fn, len);
  const whole = tag ? len + E1000Frame.TAG_SIZE : len;
  const frameLen = ready ? frameLength(get(blockOf(b, fn, E1000.TCTL), E1000.TCTL), true, whole) : 0;
  if (ready && !linkHasRoom(link, frameLen)) {
    store<u32>(device, frameLen, E1000State.TX_WAITING);
    return Outcome.PENDING;
  }
  if (part != 0) {
    const to = device + (inHeader ? E1000State.TX_HEADER : E1000State.TX_BUFFER) + before;
    const status = dmaRead(b, fn, buffer + offset, part, to);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (faulted(status)) return transmitStop(device);
  }
  if (descriptorEnd && (command & E1000Txd.COMMAND_RS) != 0) {
    const status = descriptorReport(b, fn, descriptorAt(ringBase(block, E1000.TDBAL), head), descriptor);
    if (status == Status.PENDING) return Outcome.PENDING;
    if (faulted(status)) return transmitStop(device);
  }

  if (ready) {
    headerWrite(device, filled, last);
    offloadInsert(device, len, len - load<u8>(device, E1000State.TX_WORK + E1000Context.TUCSS));
    if (tag) tagInsert(b, fn, len, options >> 16);
    frameSend(b, fn, link, device + E1000State.TX_BUFFER, whole, frameLen);
    if (sent + filled == payload) statCount(statistics(b, fn), E1000.TSCTC);
    store<u32>(device, sent + filled, E1000State.TX_PAYLOAD);
    store<u32>(device, load<u32>(device, E1000State.TX_SEGMENTS) + 1, E1000State.TX_SEGMENTS);
  }
  store<u32>(device, ready ? header : len, E1000State.TX_LEN);
  store<u32>(device, offset + part, E1000State.TX_OFFSET);
  store<u32>(device, 0, E1000State.TX_WAITING);
  if (!descriptorEnd) return Outcome.DONE;
  store<u32>(device, 0, E1000State.TX_HELD);
  if (packetEnd) {
    // one failure for each context that did not get its payload (§13.7.54)
    if (bad || load<u32>(device, E1000State.TX_PAYLOAD) != payload) statCount(statistics(b, fn), E1000.TSCTFC);
    packetForget(device);
  }
  descriptorTaken(b, fn, block, device, head, ringIndex(block, E1000.TDT, number), number, command);
  return Outcome.DONE;
}
