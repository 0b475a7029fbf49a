/** Advanced error reporting in words (PCI Express 6.0 §7.8.4). */

import { type Bits, bitsOf, type ConfigBytes, flags, hex } from './image';
import type { Described } from './types';

const UNCORRECTABLE: Bits = [
  ['DLP', 1 << 4], ['SDES', 1 << 5], ['TLP', 1 << 12], ['FCP', 1 << 13], ['CmpltTO', 1 << 14], ['CmpltAbrt', 1 << 15],
  ['UnxCmplt', 1 << 16], ['RxOF', 1 << 17], ['MalfTLP', 1 << 18], ['ECRC', 1 << 19], ['UnsupReq', 1 << 20], ['ACSViol', 1 << 21],
];
const CORRECTABLE: Bits = [
  ['RxErr', 1 << 0], ['BadTLP', 1 << 6], ['BadDLLP', 1 << 7], ['Rollover', 1 << 8], ['Timeout', 1 << 12],
  ['AdvNonFatalErr', 1 << 13],
];
const ROOT_COMMAND: Bits = [['CERptEn', 1], ['NFERptEn', 2], ['FERptEn', 4]];
const ROOT_RECEIVED: Bits = [['CERcvd', 1], ['MultCERcvd', 2], ['UERcvd', 4], ['MultUERcvd', 8]];
const ROOT_MESSAGES: Bits = [['FirstFatal', 1 << 4], ['NonFatalMsg', 1 << 5], ['FatalMsg', 1 << 6]];

/** A root port's capability has registers behind the header log. */
const ROOT_PORT = 4;

export function aerLines(bytes: ConfigBytes, off: number): Described {
  const control = bytes.u32(off + 0x18);
  const log = [0x1c, 0x20, 0x24, 0x28].map((at) => hex(bytes.u32(off + at), 8)).join(' ');
  const more = [
    `UESta:\t${flags(bytes.u32(off + 0x04), UNCORRECTABLE)}`,
    `UEMsk:\t${flags(bytes.u32(off + 0x08), UNCORRECTABLE)}`,
    `UESvrt:\t${flags(bytes.u32(off + 0x0c), UNCORRECTABLE)}`,
    `CESta:\t${flags(bytes.u32(off + 0x10), CORRECTABLE)}`,
    `CEMsk:\t${flags(bytes.u32(off + 0x14), CORRECTABLE)}`,
    `AERCap:\tFirst Error Pointer: ${hex(control & 0x1f, 2)}, ${flags(control, [['ECRCGenCap', 0x20], ['ECRCGenEn', 0x40],
      ['ECRCChkCap', 0x80], ['ECRCChkEn', 0x100]])}`,
    `\t${flags(control, [['MultHdrRecCap', 0x200], ['MultHdrRecEn', 0x400], ['TLPPfxPres', 0x800], ['HdrLogCap', 0x1000]])}`,
    `HeaderLog: ${log}`,
  ];
  if (expressType(bytes) === ROOT_PORT) {
    const [status, source] = [bytes.u32(off + 0x30), bytes.u32(off + 0x34)];
    more.push(
      `RootCmd: ${flags(bytes.u32(off + 0x2c), ROOT_COMMAND)}`,
      `RootSta: ${flags(status, ROOT_RECEIVED)}`,
      `\t ${flags(status, ROOT_MESSAGES)} IntMsg ${bitsOf(status, 27, 5)}`,
      `ErrorSrc: ERR_COR: ${hex(source & 0xffff, 4)} ERR_FATAL/NONFATAL: ${hex(source >>> 16, 4)}`,
    );
  }
  return { title: 'Advanced Error Reporting', more };
}

/** Type of the function by its PCI Express capability; undefined without one. */
function expressType(bytes: ConfigBytes): number | undefined {
  let off = bytes.u8(0x34) & ~3;
  for (let i = 0; i < 48 && off >= 0x40; i++) {
    if (bytes.u8(off) === 0x10) return bitsOf(bytes.u16(off + 2), 4, 4);
    off = bytes.u8(off + 1) & ~3;
  }
  return undefined;
}
