// A frame that is ready leaves for the link, and is counted.
import { E1000, E1000Context, E1000Data, E1000Tctl } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { LinkLimit } from '../../spec/link';
import { Counter } from '../../spec/counters';
import { count, countBy } from '../../memory/state';
import { linkTransmit } from '../../ring/link';
import { checksumInsert } from './checksum';
import { Destination, destinationOf } from './filter';
import { statAdd64, statCount, statistics, statSize } from './statistics';

const TO_END: u32 = 0xffffffff;

/** Length on the link, without FCS, of a packet of `len` bytes; 0 when there is nothing to send. */
@inline
export function frameLength(tctl: u32, insertFcs: bool, len: u32): u32 {
  // without IFCS software has put the FCS there itself, and the link reckons it anew
  if (!insertFcs) return len > <u32>LinkLimit.FCS ? len - LinkLimit.FCS : 0;
  return len != 0 && len < <u32>LinkLimit.FRAME_MIN && (tctl & E1000Tctl.PSP) != 0 ? LinkLimit.FRAME_MIN : len;
}

/** The `len` bytes in TX_BUFFER go out as a frame of `frameLen`. */
@inline
export function frameSend(b: usize, fn: u32, link: usize, packet: usize, len: u32, frameLen: u32): void {
  if (len < frameLen) memory.fill(packet + len, 0, frameLen - len);
  linkTransmit(b, link, packet, frameLen);
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

/** Last byte of a checksum's range as a context has it, 0 for the packet's end; here the byte behind it. */
@inline
function rangeEnd(last: u32): u32 {
  return last == 0 ? TO_END : last + 1;
}

/**
 * The checksums that the packet's options ask for, by the context in TX_WORK (§3.3.7.3, 3.5.9). `length` is added to
 * the pseudo header that software has left in the TCP or UDP checksum field.
 */
export function offloadInsert(device: usize, len: u32, length: u32): void {
  const options = load<u8>(device, E1000State.TX_OPTIONS);
  const context = device + E1000State.TX_WORK;
  const packet = device + E1000State.TX_BUFFER;
  if (options & E1000Data.OPTION_IXSM) {
    checksumInsert(packet, len, load<u8>(context, E1000Context.IPCSO), load<u8>(context, E1000Context.IPCSS),
      rangeEnd(load<u16>(context, E1000Context.IPCSE)), 0, false);
  }
  if (options & E1000Data.OPTION_TXSM) {
    checksumInsert(packet, len, load<u8>(context, E1000Context.TUCSO), load<u8>(context, E1000Context.TUCSS),
      rangeEnd(load<u16>(context, E1000Context.TUCSE)), bswap<u16>(<u16>length),
      (load<u8>(context, E1000Context.COMMAND) & E1000Context.COMMAND_TCP) == 0);
  }
}
