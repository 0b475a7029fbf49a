/**
 * What a PCI Express link carries: the model of Neugebauer et al., "Understanding PCIe performance for end host
 * networking" (SIGCOMM'18; source: pcie-bench/pcie-model). Bandwidth is in Gb/s (10^9 bits), sizes in bytes.
 *
 * Directions are seen from the device: `tx` is device to host (DMA writes, read requests), `rx` is host to device
 * (completions of DMA reads, the CPU's register writes).
 */

import { PortcullisError } from '../../errors';

export interface Link {
  readonly generation: number;
  readonly lanes: number;
  /** Maximum payload size, bytes. */
  readonly mps: number;
  /** Maximum read request size, bytes. */
  readonly mrrs: number;
}

export interface LinkBytes {
  readonly tx: number;
  readonly rx: number;
}

/** GT/s per lane and share of the bits that are data: 8b/10b, then 128b/130b, then 242-of-256-byte FLITs. */
const SIGNALLING: Readonly<Record<number, readonly [gigatransfers: number, encoding: number]>> = {
  1: [2.5, 8 / 10],
  2: [5, 8 / 10],
  3: [8, 128 / 130],
  4: [16, 128 / 130],
  5: [32, 128 / 130],
  6: [64, 242 / 256],
};

const PAYLOAD_SIZES = [128, 256, 512] as const;

type Limits = Readonly<Record<number, readonly [mps128: number, mps256: number, mps512: number]>>;

const LIMITS_GEN3: Limits = { 1: [333, 512, 655], 4: [169, 214, 250], 8: [163, 203, 182], 16: [144, 168, 182] };

/**
 * Bytes after which an Ack, and likewise a flow-control update, is due: by generation, lanes and payload size.
 * One table serves both.
 */
const ACK_LIMITS: Readonly<Record<number, Limits>> = {
  1: { 1: [237, 416, 559], 4: [73, 118, 154], 8: [67, 107, 86], 16: [48, 72, 86] },
  2: { 1: [288, 467, 610], 4: [124, 169, 205], 8: [118, 158, 137], 16: [99, 123, 137] },
  3: LIMITS_GEN3,
  4: LIMITS_GEN3,
  5: LIMITS_GEN3,
};

/** A skip ordered set (4 bytes) goes out once in this many bytes. */
const SKIP_INTERVAL = 1538;

export interface TlpOverhead {
  readonly write: number;
  readonly readRequest: number;
  readonly completion: number;
}

/** Bytes of a TLP beside its payload with 64-bit addresses: 2 framing + 6 data link + header. */
export const TLP_OVERHEAD: TlpOverhead = { write: 24, readRequest: 24, completion: 20 };

/** The same for other choices: 32-bit addresses save 4 bytes per request, an ECRC costs 4 per TLP. */
export function tlpOverhead(how: { addressBits: 32 | 64; ecrc: boolean }): TlpOverhead {
  const request = (how.addressBits === 64 ? 24 : 20) + (how.ecrc ? 4 : 0);
  return { write: request, readRequest: request, completion: 20 + (how.ecrc ? 4 : 0) };
}

/** Raw bandwidth of the lanes after encoding, Gb/s: GT/s x encoding x lanes. */
export function rawBandwidth(generation: number, lanes: number): number {
  const signalling = SIGNALLING[generation];
  if (signalling === undefined) {
    throw new PortcullisError('COST_BAD_LINK', `PCIe generation ${generation} is not known; known are 1 to 6`, {
      generation,
    });
  }
  return signalling[0] * signalling[1] * lanes;
}

/** Bandwidth left for TLPs, Gb/s: raw x (1 - 8/AckLimit - 8/FCguide - 4/1538). */
export function tlpBandwidth(link: Pick<Link, 'generation' | 'lanes' | 'mps'>): number {
  const raw = rawBandwidth(link.generation, link.lanes);
  const column = PAYLOAD_SIZES.findIndex((size) => size === link.mps);
  const limit = ACK_LIMITS[link.generation]?.[link.lanes]?.[column];
  if (limit === undefined) {
    throw new PortcullisError(
      'COST_BAD_LINK',
      `no Ack limit is known for PCIe gen${link.generation} x${link.lanes} with a maximum payload of ${link.mps}; `
        + 'known are gen1 to gen5, x1 x4 x8 x16, payloads 128 256 512',
      { generation: link.generation, lanes: link.lanes, mps: link.mps },
    );
  }
  return raw * (1 - 8 / limit - 8 / limit - 4 / SKIP_INTERVAL);
}

/** Bytes on the link of one aligned DMA write of `size` bytes. */
export function writeBytes(size: number, link: Link, overhead = TLP_OVERHEAD): LinkBytes {
  return { tx: Math.ceil(size / link.mps) * overhead.write + size, rx: 0 };
}

/**
 * Bytes on the link of one aligned DMA read of `size` bytes. Completions are as long as `completionSize`: the maximum
 * payload, or the read completion boundary (64) on older chips.
 */
export function readBytes(size: number, link: Link, overhead = TLP_OVERHEAD, completionSize = link.mps): LinkBytes {
  return {
    tx: Math.ceil(size / link.mrrs) * overhead.readRequest,
    rx: Math.ceil(size / completionSize) * overhead.completion + size,
  };
}

export type Pattern = 'write' | 'read' | 'read+write';

/**
 * Payload bandwidth of DMAs of one size back to back, Gb/s: size / bytes x TLP bandwidth of the tighter direction.
 * For 'read+write' (one of each, in turn) it is the bandwidth of each of the two.
 */
export function payloadBandwidth(pattern: Pattern, size: number, link: Link, overhead = TLP_OVERHEAD): number {
  const write = pattern === 'read' ? { tx: 0, rx: 0 } : writeBytes(size, link, overhead);
  const read = pattern === 'write' ? { tx: 0, rx: 0 } : readBytes(size, link, overhead);
  return (size / Math.max(write.tx + read.tx, write.rx + read.rx)) * tlpBandwidth(link);
}

/** TLPs and bytes as counted in a run. Register accesses of the CPU are taken to be 4 bytes wide. */
export interface CountedTlps {
  readonly writeTlps: number;
  readonly dmaWriteBytes: number;
  readonly readRequestTlps: number;
  readonly completionTlps: number;
  readonly dmaReadBytes: number;
  readonly mmioReads: number;
  readonly mmioWrites: number;
}

const REGISTER_BYTES = 4;

/** Bytes on the link, in each direction, of counted TLPs. */
export function countedBytes(counted: CountedTlps, overhead = TLP_OVERHEAD): LinkBytes {
  return {
    tx: counted.writeTlps * overhead.write + counted.dmaWriteBytes
      + counted.readRequestTlps * overhead.readRequest
      + counted.mmioReads * (overhead.completion + REGISTER_BYTES),
    rx: counted.completionTlps * overhead.completion + counted.dmaReadBytes
      + counted.mmioWrites * (overhead.write + REGISTER_BYTES)
      + counted.mmioReads * overhead.readRequest,
  };
}
