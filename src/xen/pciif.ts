/** What a PCI front end and back end share (public/io/pciif.h): a page, operations, errors. Little endian. */

/** Version of the protocol, as the front end's key `magic`. */
export const PCI_MAGIC = '7';

/** Bits of the page's first word. */
export const PCI_FLAG = {
  /** An operation is under way; set by the front end, cleared by the back end. */
  OP_ACTIVE: 1,
  /** The front end answers errors of devices; set once. */
  AER_HANDLER: 2,
  /** An error is reported; set by the back end, cleared by the front end. */
  AER_ACTIVE: 4,
} as const;

/** XEN_PCI_OP_*. */
export const PCI_OP = {
  CONF_READ: 0, CONF_WRITE: 1, ENABLE_MSI: 2, DISABLE_MSI: 3, ENABLE_MSIX: 4, DISABLE_MSIX: 5,
  AER_DETECTED: 6, AER_RESUME: 7, AER_MMIO: 8, AER_SLOT_RESET: 9,
} as const;

/** SH_INFO_MAX_VEC: entries of MSI-X in one operation. */
export const MSIX_MAX = 128;

const FLAGS = 0;
const OP = 4;
const OP_SIZE = 548;
const AER = 552;
const AER_SIZE = 20;

/** struct xen_pci_op. */
const OP_FIELD = {
  CMD: 0, ERR: 4, DOMAIN: 8, BUS: 12, DEVFN: 16, OFFSET: 20, SIZE: 24, VALUE: 28, INFO: 32, MSIX: 36,
} as const;
/** struct xen_msix_entry: the vector, then the index in the function's table. */
const MSIX_ENTRY = { SIZE: 4, VECTOR: 0, ENTRY: 2 } as const;
/** struct xen_pcie_aer_op. */
const AER_FIELD = { CMD: 0, ERR: 4, DOMAIN: 8, BUS: 12, DEVFN: 16 } as const;

export interface PciOp {
  readonly cmd: number;
  /** Of an answer. */
  readonly err: number;
  readonly segment: number;
  readonly bus: number;
  readonly devfn: number;
  /** Signed, as whoever wrote it left them. */
  readonly offset: number;
  readonly size: number;
  readonly value: number;
}

export interface MsixEntry {
  readonly vector: number;
  /** Index in the function's table. */
  readonly entry: number;
}

/** An operation that was copied out of the page. */
export interface ReadOp extends PciOp {
  /** The first entries of the copy, up to 128. */
  msix(count: number): MsixEntry[];
}

export interface AerOp {
  readonly cmd: number;
  /** Of a request: the state of the channel; of an answer: what the driver wants. */
  readonly err: number;
  readonly segment: number;
  readonly bus: number;
  readonly devfn: number;
}

/**
 * The page, from either end. The other end may write any of it at any time: requests and answers are copied out once,
 * flags are changed by atomic operations, and nothing is looked at twice.
 */
export class PciPage {
  readonly #bytes: () => Uint8Array;
  /** A request before it goes onto the page as a whole. */
  readonly #request = new DataView(new ArrayBuffer(OP_SIZE));

  /** `bytes`: the page where it is now; asked for at each use. */
  constructor(bytes: () => Uint8Array) {
    this.#bytes = bytes;
  }

  #word(): Int32Array {
    const bytes = this.#bytes();
    return new Int32Array(bytes.buffer, bytes.byteOffset + FLAGS, 1);
  }

  flags(): number {
    return Atomics.load(this.#word(), 0) >>> 0;
  }

  set(flag: number): void {
    Atomics.or(this.#word(), 0, flag);
  }

  clear(flag: number): void {
    Atomics.and(this.#word(), 0, ~flag);
  }

  has(flag: number): boolean {
    return (this.flags() & flag) !== 0;
  }

  /** Zeroes all of it: what lay there is nobody else's business (XSA-403). */
  wipe(): void {
    this.#bytes().fill(0);
  }

  #copy(off: number, length: number): DataView {
    const copy = new Uint8Array(length);
    copy.set(this.#bytes().subarray(off, off + length));
    return new DataView(copy.buffer);
  }

  #view(off: number, length: number): DataView {
    const bytes = this.#bytes();
    return new DataView(bytes.buffer, bytes.byteOffset + off, length);
  }

  /** The operation as it is at this moment. */
  readOp(): ReadOp {
    const copy = this.#copy(OP, OP_SIZE);
    const u32 = (off: number): number => copy.getUint32(off, true);
    const msix = (count: number): MsixEntry[] => Array.from({ length: Math.min(count, MSIX_MAX) }, (_, index) => {
      const at = OP_FIELD.MSIX + index * MSIX_ENTRY.SIZE;
      return { vector: copy.getUint16(at + MSIX_ENTRY.VECTOR, true), entry: copy.getUint16(at + MSIX_ENTRY.ENTRY, true) };
    });
    return {
      cmd: u32(OP_FIELD.CMD), err: copy.getInt32(OP_FIELD.ERR, true), segment: u32(OP_FIELD.DOMAIN), bus: u32(OP_FIELD.BUS),
      devfn: u32(OP_FIELD.DEVFN), offset: copy.getInt32(OP_FIELD.OFFSET, true), size: copy.getInt32(OP_FIELD.SIZE, true),
      value: u32(OP_FIELD.VALUE), msix,
    };
  }

  /** The whole of a request. */
  writeOp({ cmd, err, segment, bus, devfn, offset, size, value }: PciOp, msix: readonly MsixEntry[] = []): void {
    const request = this.#request;
    const bytes = new Uint8Array(request.buffer);
    bytes.fill(0);
    request.setUint32(OP_FIELD.CMD, cmd, true);
    request.setInt32(OP_FIELD.ERR, err, true);
    request.setUint32(OP_FIELD.DOMAIN, segment, true);
    request.setUint32(OP_FIELD.BUS, bus, true);
    request.setUint32(OP_FIELD.DEVFN, devfn, true);
    request.setInt32(OP_FIELD.OFFSET, offset, true);
    request.setInt32(OP_FIELD.SIZE, size, true);
    request.setUint32(OP_FIELD.VALUE, value, true);
    msix.slice(0, MSIX_MAX).forEach(({ vector, entry }, index) => {
      const at = OP_FIELD.MSIX + index * MSIX_ENTRY.SIZE;
      request.setUint16(at + MSIX_ENTRY.VECTOR, vector, true);
      request.setUint16(at + MSIX_ENTRY.ENTRY, entry, true);
    });
    this.#bytes().set(bytes, OP);
  }

  /** An answer: nothing else of the operation is touched. */
  answer(err: number, value: number): void {
    const op = this.#view(OP, OP_SIZE);
    op.setInt32(OP_FIELD.ERR, err, true);
    op.setUint32(OP_FIELD.VALUE, value, true);
  }

  answerVectors(vectors: readonly number[]): void {
    const op = this.#view(OP, OP_SIZE);
    vectors.slice(0, MSIX_MAX).forEach((vector, index) => {
      op.setUint16(OP_FIELD.MSIX + index * MSIX_ENTRY.SIZE + MSIX_ENTRY.VECTOR, vector, true);
    });
  }

  readAer(): AerOp {
    const copy = this.#copy(AER, AER_SIZE);
    const u32 = (off: number): number => copy.getUint32(off, true);
    return {
      cmd: u32(AER_FIELD.CMD), err: copy.getInt32(AER_FIELD.ERR, true), segment: u32(AER_FIELD.DOMAIN),
      bus: u32(AER_FIELD.BUS), devfn: u32(AER_FIELD.DEVFN),
    };
  }

  writeAer({ cmd, err, segment, bus, devfn }: AerOp): void {
    const aer = this.#view(AER, AER_SIZE);
    aer.setUint32(AER_FIELD.CMD, cmd, true);
    aer.setInt32(AER_FIELD.ERR, err, true);
    aer.setUint32(AER_FIELD.DOMAIN, segment, true);
    aer.setUint32(AER_FIELD.BUS, bus, true);
    aer.setUint32(AER_FIELD.DEVFN, devfn, true);
  }

  answerAer(result: number): void {
    this.#view(AER, AER_SIZE).setInt32(AER_FIELD.ERR, result, true);
  }
}

/** State of a device's channel in an error report, and what its driver answers (Linux's pci_channel_state, pci_ers_result). */
export const PCI_CHANNEL = { NORMAL: 1, FROZEN: 2, PERMANENT_FAILURE: 3 } as const;
export const ERS_RESULT = { NONE: 1, CAN_RECOVER: 2, NEED_RESET: 3, DISCONNECT: 4, RECOVERED: 5 } as const;
