/** Data structures that never change, as the controller returns them (Base Specification 1.4, 5.15 and 5.14.1). */
import { Nvme, NvmeAdmin, NvmeIo } from '../../../assembly/spec/nvme';

const PAGE = 4096;

export interface NamespaceFacts {
  /** Bytes. */
  readonly size: number;
  readonly blockSize: number;
  readonly readOnly: boolean;
}

class Page {
  readonly bytes = new Uint8Array(PAGE);
  readonly #view = new DataView(this.bytes.buffer);

  put(off: number, width: 1 | 2 | 4 | 8, value: number): void {
    if (width === 1) this.#view.setUint8(off, value);
    else if (width === 2) this.#view.setUint16(off, value, true);
    else if (width === 4) this.#view.setUint32(off, value, true);
    else this.#view.setBigUint64(off, BigInt(value), true);
  }

  text(off: number, length: number, text: string, fill = ' '): void {
    this.bytes.set(new TextEncoder().encode(text.padEnd(length, fill).slice(0, length)), off);
  }
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** A serial number for the controller at a routing id. */
export function serialNumber(routing: number): string {
  return `PCLS${hex(routing, 8)}`;
}

/** Locally administered, in place of a registered one. */
const OUI = [0x00, 0x54, 0x52] as const;

/** Identify Controller (figure 247). */
export function identifyController(routing: number, serial: string, namespaces: number): Uint8Array {
  const page = new Page();
  page.put(0, 2, 0x1b36); // VID
  page.put(2, 2, 0x1af4); // SSVID
  page.text(4, 20, serial); // SN
  page.text(24, 40, 'Portcullis NVMe Controller'); // MN
  page.text(64, 8, '1.0'); // FR
  page.put(72, 1, 6); // RAB: 64 commands
  page.bytes.set(OUI, 73); // IEEE
  page.put(77, 1, Nvme.MDTS); // MDTS
  page.put(78, 2, 0); // CNTLID
  page.put(80, 4, Nvme.VERSION); // VER
  page.put(111, 1, 1); // CNTRLTYPE: I/O controller
  page.put(258, 1, 3); // ACL
  page.put(259, 1, Nvme.AERL); // AERL
  page.put(260, 1, 0x03); // FRMW: one slot, read only
  page.put(261, 1, 0x06); // LPA: effects log, offsets
  page.put(262, 1, Nvme.ERRORS - 1); // ELPE
  page.put(266, 2, 343); // WCTEMP
  page.put(268, 2, 373); // CCTEMP
  page.put(512, 1, 0x66); // SQES
  page.put(513, 1, 0x44); // CQES
  page.put(516, 4, namespaces); // NN
  page.put(520, 2, 0x009d); // ONCS: Compare, Dataset Management, Write Zeroes, Save and Select, Verify
  page.put(525, 1, 0x07); // VWC: there is one, Flush of all namespaces
  page.put(526, 2, Nvme.TRANSFER_MAX / 512 - 1); // AWUN: one command at a time
  page.put(528, 2, 0); // AWUPF
  page.text(768, 256, `nqn.2014-08.org.nvmexpress:uuid:${uuid(routing, serial)}`, '\0'); // SUBNQN
  page.put(2048, 2, 2500); // PSD0: 25 W
  return page.bytes;
}

/** FNV-1a, for numbers that are stable and differ. */
function digest(text: string, seed: number): number {
  let value = (0x811c9dc5 ^ seed) >>> 0;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

function sixteen(routing: number, what: string): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, routing);
  for (let i = 1; i < 4; i++) view.setUint32(4 * i, digest(what, i));
  return new Uint8Array(view.buffer);
}

/** Version 8: vendor's own (RFC 9562, 5.8). */
function uuid(routing: number, serial: string): string {
  const bytes = sixteen(routing, serial);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => hex(byte, 2)).join('');
  return digits.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}

export function namespaceGuid(routing: number, serial: string, nsid: number): Uint8Array {
  return sixteen(routing, `${serial}/${nsid}`);
}

/** Identify Namespace (figure 245), and the identification descriptors (figure 249) behind it. */
export function identifyNamespace(facts: NamespaceFacts, guid: Uint8Array): Uint8Array {
  const page = new Page();
  const blocks = facts.size / facts.blockSize;
  page.put(0, 8, blocks); // NSZE
  page.put(8, 8, blocks); // NCAP
  page.put(16, 8, blocks); // NUSE
  page.put(33, 1, 0x01); // DLFEAT: deallocated blocks read 0
  page.put(48, 8, facts.size); // NVMCAP
  page.put(99, 1, facts.readOnly ? 1 : 0); // NSATTR: write protected
  page.bytes.set(guid, 104); // NGUID
  page.bytes.set(guid.subarray(8), 120); // EUI64
  page.put(128 + 2, 1, Math.log2(facts.blockSize)); // LBAF0: LBADS
  const descriptors = new Page();
  descriptors.bytes.set([1, 8, 0, 0, ...guid.subarray(8)], 0); // EUI64
  descriptors.bytes.set([2, 16, 0, 0, ...guid], 12); // NGUID
  const both = new Uint8Array(2 * PAGE);
  both.set(page.bytes);
  both.set(descriptors.bytes, PAGE);
  return both;
}

/** Commands Supported and Effects (figure 200): bit 0 supported, 1 changes logical block content. */
export function effectsLog(): Uint8Array {
  const page = new Page();
  const admin = [NvmeAdmin.DELETE_SQ, NvmeAdmin.CREATE_SQ, NvmeAdmin.GET_LOG_PAGE, NvmeAdmin.DELETE_CQ, NvmeAdmin.CREATE_CQ,
    NvmeAdmin.IDENTIFY, NvmeAdmin.ABORT, NvmeAdmin.SET_FEATURES, NvmeAdmin.GET_FEATURES, NvmeAdmin.ASYNC_EVENT];
  for (const opcode of admin) page.put(4 * opcode, 4, 1);
  for (const opcode of [NvmeIo.FLUSH, NvmeIo.READ, NvmeIo.COMPARE, NvmeIo.VERIFY]) page.put(1024 + 4 * opcode, 4, 1);
  for (const opcode of [NvmeIo.WRITE, NvmeIo.WRITE_ZEROES, NvmeIo.DATASET]) page.put(1024 + 4 * opcode, 4, 3);
  return page.bytes;
}

/** Firmware Slot Information (figure 195): slot 1 is active. */
export function firmwareLog(): Uint8Array {
  const page = new Page();
  page.put(0, 1, 1);
  page.text(8, 8, '1.0');
  return page.bytes.slice(0, 512);
}
