/** Ethernet framing (IEEE 802.3): sizes in bytes, rates in bits per second. */

/** What goes on the wire beside an IP packet: 14 header, 4 frame check, 8 preamble, 12 gap. */
export const PACKET_OVERHEAD = 38;

/** The same beside a frame as a DMA moves it (header there, frame check not): 4 frame check, 8 preamble, 12 gap. */
export const FRAME_OVERHEAD = 24;

/** The shortest frame, frame check included (64), with its preamble and gap (20). */
export const MINIMUM_WIRE_BYTES = 84;

/** IP (20) and TCP (20) headers and the timestamp option (12). */
const TCP_IP_BYTES = 52;

/** Bytes of wire time that one packet of `bytes` takes. */
export function wireBytes(bytes: number, overhead: number = PACKET_OVERHEAD): number {
  return Math.max(bytes + overhead, MINIMUM_WIRE_BYTES);
}

/** Packets per second at line rate. */
export function linePacketRate(lineRate: number, bytes: number, overhead: number = PACKET_OVERHEAD): number {
  return lineRate / (8 * wireBytes(bytes, overhead));
}

/** Share of the line rate that is TCP payload, for full packets of `mtu` bytes with timestamps. */
export function tcpGoodput(mtu: number): number {
  return (mtu - TCP_IP_BYTES) / wireBytes(mtu);
}
