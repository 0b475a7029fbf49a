/**
 * Reads and writes classic pcap files of Ethernet frames: the traffic that a link replays, and what it records.
 *
 * The format: a 24-byte file header {magic u32, version u16 u16, zone i32, accuracy u32, snap length u32, link type
 * u32}, then for each frame a 16-byte header {seconds u32, fraction u32, captured length u32, original length u32} and
 * the captured bytes. The magic tells the byte order and the unit of the fraction. Frames have no check sequence.
 */

import { PortcullisError } from '../../errors';

/** A pcap file that cannot be used; `fields` has `name`, and where they apply `frame` (from 1), `offset`, `value`. */
export class PcapError extends PortcullisError {
  constructor(code: string, message: string, fields: Record<string, unknown> = {}, options?: { cause?: unknown }) {
    super(code, message, fields, options);
    this.name = 'PcapError';
  }
}

export interface PcapFrame {
  /** Offset of the first byte of the frame (its destination address) in `PcapFile.bytes`. */
  off: number;
  /** Bytes in the frame, without frame check sequence. */
  len: number;
  /**
   * Nanoseconds since the first frame; exact up to 104 days. Negative for a frame stamped before the first one, as
   * captures of several processors or after a clock step have them.
   */
  timeNs: number;
}

export interface PcapFile {
  /** Always 1, Ethernet. */
  linkType: number;
  /** Whether the file had times in nanoseconds (else microseconds). */
  nanoseconds: boolean;
  /** The capture's limit on the bytes of a frame, as the file states it. */
  snapLength: number;
  frames: PcapFrame[];
  /** The whole (decompressed) file; frames are ranges of it, not copies. */
  bytes: Uint8Array;
}

export interface PcapOptions {
  /** What messages call the file, usually its path. */
  name: string;
  /** Longest frame accepted, in bytes; default 1514, the Ethernet header and an MTU of 1500. */
  maxFrameBytes?: number;
}

export interface PcapLoadOptions extends PcapOptions {
  /** Most bytes a compressed file may decompress to; default 64 MiB. */
  maxFileBytes?: number;
}

const MAGIC_MICRO = 0xa1b2c3d4;
const MAGIC_NANO = 0xa1b23c4d;
const MAGIC_PCAPNG = 0x0a0d0d0a;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
const LINK_TYPE_ETHERNET = 1;
const FILE_HEADER_BYTES = 24;
const FRAME_HEADER_BYTES = 16;
const MIN_FRAME_BYTES = 14;
const DEFAULT_MAX_FRAME_BYTES = 1514;
const DEFAULT_MAX_FILE_BYTES = 64 * 1024 * 1024;
/** No capture program takes more of a frame; a larger length means that the file is damaged. */
const MAX_CAPTURED_BYTES = 256 * 1024;
const NS_PER_SECOND = 1_000_000_000;
/** A slice of 16 KiB decompresses to at most 16 MiB, so the limit on the size is seen before memory runs out. */
const GZIP_SLICE_BYTES = 16 * 1024;

function hex(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(8, '0')}`;
}

function checkLimit(option: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new PcapError('PCAP_BAD_OPTION', `${option} is ${value}: give a whole number of at least ${least}.`, {
      option,
      value,
      least,
    });
  }
}

/** The byte order and unit that the magic tells; throws for anything that is not classic pcap. */
function readMagic(view: DataView, name: string): { little: boolean; nanoseconds: boolean } {
  for (const little of [true, false]) {
    const magic = view.getUint32(0, little);
    if (magic === MAGIC_MICRO || magic === MAGIC_NANO) return { little, nanoseconds: magic === MAGIC_NANO };
  }
  const value = view.getUint32(0, false);
  const fields = { name, offset: 0, value };
  if (value === MAGIC_PCAPNG) {
    const message = `${name}: is pcapng; convert it with \`editcap -F pcap in out\`.`;
    throw new PcapError('PCAP_IS_PCAPNG', message, fields);
  }
  const message = `${name}: byte 0: the magic is ${hex(value)}, must be ${hex(MAGIC_MICRO)} or ${hex(MAGIC_NANO)} ` +
    'in either byte order: this is not a pcap file; record one with `tcpdump -w`.';
  throw new PcapError('PCAP_BAD_MAGIC', message, fields);
}

/**
 * Reads a pcap file that is not compressed. The frames refer to `bytes`, which the caller must leave unchanged.
 *
 * @throws PcapError for the first thing wrong, naming the file, the frame (from 1) and the byte offset:
 *   PCAP_EMPTY, PCAP_IS_PCAPNG, PCAP_BAD_MAGIC, PCAP_SHORT_HEADER, PCAP_BAD_VERSION, PCAP_BAD_LINK_TYPE,
 *   PCAP_NO_FRAMES, PCAP_SHORT_FRAME_HEADER, PCAP_BAD_LENGTH, PCAP_FRAME_TRUNCATED, PCAP_FRAME_CUT,
 *   PCAP_FRAME_TOO_LONG, PCAP_FRAME_TOO_SHORT; PCAP_BAD_OPTION for an option out of range
 */
export function parsePcap(bytes: Uint8Array, options: PcapOptions): PcapFile {
  const { name, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES } = options;
  checkLimit('maxFrameBytes', maxFrameBytes, MIN_FRAME_BYTES);
  const size = bytes.byteLength;
  if (size === 0) {
    throw new PcapError('PCAP_EMPTY', `${name}: is empty (0 bytes): record it again.`, { name, value: 0 });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  // The magic goes first: "pcapng" or "not a pcap file" says more about a short file than its length.
  const magic = size >= 4 ? readMagic(view, name) : undefined;
  if (magic === undefined || size < FILE_HEADER_BYTES) {
    const message = `${name}: ends at byte ${size}, within the file header of ${FILE_HEADER_BYTES} bytes: ` +
      'the file was cut; copy or record it again.';
    throw new PcapError('PCAP_SHORT_HEADER', message, { name, offset: size, value: size, least: FILE_HEADER_BYTES });
  }
  const { little, nanoseconds } = magic;

  const major = view.getUint16(4, little);
  if (major !== VERSION_MAJOR) {
    const message = `${name}: byte 4: the format's major version is ${major}, must be ${VERSION_MAJOR}: ` +
      'convert it with `editcap -F pcap in out`.';
    throw new PcapError('PCAP_BAD_VERSION', message, { name, offset: 4, value: major, allowed: VERSION_MAJOR });
  }
  const linkType = view.getUint32(20, little);
  if (linkType !== LINK_TYPE_ETHERNET) {
    const message = `${name}: byte 20: the link type is ${linkType}, must be ${LINK_TYPE_ETHERNET} ` +
      '(Ethernet without frame check sequence): record on an Ethernet interface.';
    throw new PcapError('PCAP_BAD_LINK_TYPE', message, {
      name,
      offset: 20,
      value: linkType,
      allowed: LINK_TYPE_ETHERNET,
    });
  }
  const snapLength = view.getUint32(16, little);

  const nsPerUnit = nanoseconds ? 1 : 1000;
  let firstSeconds = 0;
  let firstFraction = 0;
  const frames: PcapFrame[] = [];
  for (let at = FILE_HEADER_BYTES; at < size;) {
    const frame = frames.length + 1;
    const refuse = (code: string, offset: number, value: number, text: string, limits: Record<string, number>) =>
      new PcapError(code, `${name}: frame ${frame}, byte ${offset}: ${text}.`, {
        name,
        frame,
        offset,
        value,
        ...limits,
      });

    if (size - at < FRAME_HEADER_BYTES) {
      const left = size - at;
      throw refuse('PCAP_SHORT_FRAME_HEADER', at, left, `the file ends after ${left} of the ${FRAME_HEADER_BYTES} ` +
        'bytes of the frame header: the file was cut; copy or record it again', { least: FRAME_HEADER_BYTES });
    }
    const len = view.getUint32(at + 8, little);
    const originalLength = view.getUint32(at + 12, little);
    const off = at + FRAME_HEADER_BYTES;
    if (len > MAX_CAPTURED_BYTES) {
      throw refuse('PCAP_BAD_LENGTH', at + 8, len, `the captured length is ${len} bytes, at most ` +
        `${MAX_CAPTURED_BYTES} is possible: the file is damaged; copy or record it again`, {
        most: MAX_CAPTURED_BYTES,
      });
    }
    if (len > size - off) {
      throw refuse('PCAP_FRAME_TRUNCATED', off, size - off, `the file ends after ${size - off} of the ${len} bytes ` +
        'of the frame: the file was cut; copy or record it again', { least: len });
    }
    if (len !== originalLength) {
      throw refuse('PCAP_FRAME_CUT', at + 8, len, `holds ${len} of the frame's ${originalLength} bytes, must hold ` +
        `all: cut by the capture's snap length of ${snapLength}; record with \`tcpdump -s 0\``, {
        allowed: originalLength,
        snapLength,
      });
    }
    if (len > maxFrameBytes) {
      throw refuse('PCAP_FRAME_TOO_LONG', at + 8, len, `above the MTU: ${len} bytes, at most ${maxFrameBytes}: ` +
        'record with offloads off', { most: maxFrameBytes });
    }
    if (len < MIN_FRAME_BYTES) {
      throw refuse('PCAP_FRAME_TOO_SHORT', at + 8, len, `shorter than an Ethernet header: ${len} bytes, at least ` +
        `${MIN_FRAME_BYTES}: remove it with \`editcap in out ${frame}\``, { least: MIN_FRAME_BYTES });
    }

    const seconds = view.getUint32(at, little);
    const fraction = view.getUint32(at + 4, little);
    if (frame === 1) {
      firstSeconds = seconds;
      firstFraction = fraction;
    }
    // Differences first: seconds since 1970 in nanoseconds are not exact in a double.
    const timeNs = (seconds - firstSeconds) * NS_PER_SECOND + (fraction - firstFraction) * nsPerUnit;
    frames.push({ off, len, timeNs });
    at = off + len;
  }
  if (frames.length === 0) {
    const message = `${name}: holds no frames, must hold at least 1: record it again while there is traffic.`;
    throw new PcapError('PCAP_NO_FRAMES', message, { name, offset: FILE_HEADER_BYTES, value: 0, least: 1 });
  }
  return { linkType, nanoseconds, snapLength, frames, bytes };
}

/** Decompresses a gzip file of at most `most` bytes. */
async function gunzip(bytes: Uint8Array, name: string, most: number): Promise<Uint8Array> {
  const stream = new DecompressionStream('gzip');
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const feed = async (): Promise<void> => {
    for (let at = 0; at < bytes.length; at += GZIP_SLICE_BYTES) {
      // slice, not subarray: a stream takes no view of shared memory.
      await writer.write(bytes.slice(at, at + GZIP_SLICE_BYTES));
    }
    await writer.close();
  };
  // A failure shows on both ends. The reading end reports it; the writing end must not be an unhandled rejection.
  writer.closed.catch(() => undefined);
  const fed = feed().catch(() => undefined);

  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.byteLength;
      if (total > most) {
        const message = `${name}: decompresses to more than ${most} bytes, the most allowed: ` +
          'split it with `editcap -c`, or raise maxFileBytes.';
        throw new PcapError('PCAP_TOO_LARGE', message, { name, most });
      }
      chunks.push(value);
    }
    await fed;
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    if (error instanceof PcapError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${name}: cannot be decompressed, after ${total} bytes (${reason}): the gzip file is damaged; ` +
      'copy or record it again.';
    throw new PcapError('PCAP_BAD_GZIP', message, { name, offset: total, reason }, { cause: error });
  }

  const whole = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/**
 * Reads a pcap file that may be compressed with gzip (told by its first two bytes). `PcapFile.bytes` and the offsets in
 * messages are then those of the decompressed file.
 *
 * @throws PcapError as `parsePcap` does; PCAP_BAD_GZIP for a damaged compressed file, PCAP_TOO_LARGE for one that
 *   decompresses to more than `maxFileBytes`
 */
export async function loadPcap(bytes: Uint8Array, options: PcapLoadOptions): Promise<PcapFile> {
  const { maxFileBytes = DEFAULT_MAX_FILE_BYTES } = options;
  checkLimit('maxFileBytes', maxFileBytes, 1);
  const compressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return parsePcap(compressed ? await gunzip(bytes, options.name, maxFileBytes) : bytes, options);
}

/**
 * Writes a pcap file: little-endian, nanoseconds, Ethernet.
 *
 * @param frames each with its bytes (copied) and its time in nanoseconds, a whole number from 0 to below 2^53
 * @throws PcapError PCAP_BAD_TIME or PCAP_BAD_LENGTH for a frame that the format cannot hold
 */
export function writePcap(frames: Iterable<{ bytes: Uint8Array; timeNs: number }>): Uint8Array {
  const list = [...frames];
  let size = FILE_HEADER_BYTES;
  list.forEach(({ bytes, timeNs }, index) => {
    const frame = index + 1;
    if (!Number.isSafeInteger(timeNs) || timeNs < 0) {
      const message = `Frame ${frame}: the time is ${timeNs} ns, must be a whole number from 0 to below 2^53.`;
      throw new PcapError('PCAP_BAD_TIME', message, { frame, value: timeNs });
    }
    const value = bytes.byteLength;
    if (value > MAX_CAPTURED_BYTES) {
      const message = `Frame ${frame}: ${value} bytes, at most ${MAX_CAPTURED_BYTES}: not an Ethernet frame.`;
      throw new PcapError('PCAP_BAD_LENGTH', message, { frame, value, most: MAX_CAPTURED_BYTES });
    }
    size += FRAME_HEADER_BYTES + value;
  });

  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC_NANO, true);
  view.setUint16(4, VERSION_MAJOR, true);
  view.setUint16(6, VERSION_MINOR, true);
  view.setUint32(16, MAX_CAPTURED_BYTES, true);
  view.setUint32(20, LINK_TYPE_ETHERNET, true);
  let at = FILE_HEADER_BYTES;
  for (const { bytes, timeNs } of list) {
    view.setUint32(at, Math.floor(timeNs / NS_PER_SECOND), true);
    view.setUint32(at + 4, timeNs % NS_PER_SECOND, true);
    view.setUint32(at + 8, bytes.byteLength, true);
    view.setUint32(at + 12, bytes.byteLength, true);
    file.set(bytes, at + FRAME_HEADER_BYTES);
    at += FRAME_HEADER_BYTES + bytes.byteLength;
  }
  return file;
}
