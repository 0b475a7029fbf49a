// Bytes of a guest's own memory for a hypercall's arguments, through the guest's map.
import { MapEntry } from '../../../assembly/spec/machine';
import type { Engine } from '../../engine/index';
import { HypercallError } from './errors';

const PAGE = 4096;

/** Calls `piece` for each part of a range that lies in one page. Throws EFAULT, before the first, where one is no RAM. */
function eachPiece(engine: Engine, slot: number, va: number, length: number, write: boolean,
  piece: (bytes: Uint8Array, done: number, mfn: number) => void): void {
  const frames: number[] = [];
  for (let page = Math.floor(va / PAGE); page * PAGE < va + length; page++) {
    const entry = page < 2 ** 28 ? engine.exports.guestMapGet(slot, page) >>> 0 : 0;
    const mfn = entry & MapEntry.MFN_MASK;
    const writable = ((entry >>> MapEntry.WRITABLE_BIT) & 1) !== 0;
    if (entry >>> MapEntry.KIND_SHIFT !== MapEntry.RAM || (write && !writable) || engine.exports.framePtr(mfn) === 0) {
      throw new HypercallError('EFAULT', `${length} bytes at 0x${va.toString(16)} are not ${write ? 'writable ' : ''}memory `
        + 'of the guest', { va, length });
    }
    frames.push(mfn);
  }
  for (let done = 0; done < length;) {
    const within = (va + done) % PAGE;
    const count = Math.min(length - done, PAGE - within);
    const mfn = frames[Math.floor((va + done) / PAGE) - Math.floor(va / PAGE)] as number;
    piece(engine.frame(mfn).subarray(within, within + count), done, mfn);
    done += count;
  }
}

/** A copy of a guest's bytes. */
export function readGuest(engine: Engine, slot: number, va: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  eachPiece(engine, slot, va, length, false, (piece, done) => { bytes.set(piece, done); });
  return bytes;
}

export function writeGuest(engine: Engine, slot: number, va: number, bytes: Uint8Array): void {
  eachPiece(engine, slot, va, bytes.length, true, (piece, done) => {
    piece.set(bytes.subarray(done, done + piece.length));
  });
}
