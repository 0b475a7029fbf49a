import { LinkLimit } from '../../../assembly/spec/link';
import { Random } from '../../engine/index';
import { PortcullisError } from '../../errors';
import type { PcapFile } from './pcap';

/** Frames as the engine's links take them: a table of {offset, length}, then each frame padded to 60 bytes with its FCS. */
export interface FrameStore {
  /** What it is, for reports. */
  readonly name: string;
  readonly frames: number;
  /** Bytes on the wire of all frames once, without FCS, preamble and gap. */
  readonly bytes: number;
  readonly image: Uint8Array;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});

/** Frame check sequence of a frame (IEEE 802.3 §3.2.9). */
export function frameCheckSequence(frame: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < frame.length; i++) crc = (CRC_TABLE[(crc ^ (frame[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Builds a store. A frame below 60 bytes is padded with zeros, as the sender's MAC does it. */
export function buildStore(name: string, frames: readonly Uint8Array[]): FrameStore {
  if (frames.length === 0) throw new PortcullisError('NO_FRAMES', `${name} has no frames`, { name });
  const lengths = frames.map((frame) => Math.max(frame.length, LinkLimit.FRAME_MIN));
  const table = frames.length * 8;
  const size = lengths.reduce((sum, length) => sum + ((length + LinkLimit.FCS + 15) & ~15), (table + 15) & ~15);
  const image = new Uint8Array(size);
  const view = new DataView(image.buffer);
  let at = (table + 15) & ~15;
  frames.forEach((frame, index) => {
    const length = lengths[index] as number;
    image.set(frame, at);
    view.setUint32(index * 8, at, true);
    view.setUint32(index * 8 + 4, length, true);
    view.setUint32(at + length, frameCheckSequence(image.subarray(at, at + length)), true);
    at += (length + LinkLimit.FCS + 15) & ~15;
  });
  return { name, frames: frames.length, bytes: lengths.reduce((sum, length) => sum + length, 0), image };
}

/** The frames of a capture, in its order and with their own sizes. */
export function pcapStore(name: string, file: PcapFile): FrameStore {
  return buildStore(name, file.frames.map(({ off, len }) => file.bytes.subarray(off, off + len)));
}

/** Simple IMIX: 7 of 64, 4 of 594, 1 of 1518 bytes on the wire, FCS included; here without it. */
const IMIX: ReadonlyArray<readonly [size: number, share: number]> = [[60, 7], [590, 4], [1514, 1]];

/**
 * A generated stream: `count` frames whose sizes are all `size` bytes, or the IMIX mix in random order. Payload is
 * random, so that no two frames are equal and a stale buffer cannot pass for the right one.
 */
export function generateStore(name: string, kind: number | 'imix', count: number, seed: number): FrameStore {
  const random = new Random(seed);
  const sizes = IMIX.flatMap(([size, share]) => Array.from({ length: share }, () => size));
  const frames = Array.from({ length: count }, (_, index) => {
    const size = kind === 'imix' ? sizes[random.below(sizes.length)] as number : kind;
    const frame = random.fill(new Uint8Array(size));
    // unicast, locally administered, ethertype for local experiments (IEEE 802 §9.2.4)
    frame.set([0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02, 0x88, 0xb5]);
    new DataView(frame.buffer).setUint32(14, index);
    return frame;
  });
  return buildStore(name, frames);
}
