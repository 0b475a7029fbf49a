// Configuration space: three bytes for each byte of it: value, write mask, write-1-clear mask. One write path for
// all widths; what a write brings about (decode, Bus Master, a moved BAR) is done by the caller in the same call.
import { FunctionRecord } from '../spec/state';
import { functionRecord } from './functions';

@inline
export function configPtr(b: usize, fn: u32): usize {
  return b + load<u32>(functionRecord(b, fn), FunctionRecord.CONFIG);
}

/** Reads up to four bytes; bytes beyond the function's config space read as ones. */
export function configLoad(b: usize, fn: u32, off: u32, width: u32): u32 {
  const size = load<u32>(functionRecord(b, fn), FunctionRecord.CONFIG_SIZE);
  const config = configPtr(b, fn);
  let value: u32 = 0;
  for (let i: u32 = 0; i < width; i++) {
    const byte: u32 = off + i < size ? load<u8>(config + off + i) : 0xff;
    value |= byte << (i << 3);
  }
  return value;
}

/** Writes up to four bytes through the masks; bytes beyond the config space go nowhere. */
export function configStore(b: usize, fn: u32, off: u32, width: u32, value: u32): void {
  const size = load<u32>(functionRecord(b, fn), FunctionRecord.CONFIG_SIZE);
  const config = configPtr(b, fn);
  for (let i: u32 = 0; i < width && off + i < size; i++) {
    const ptr = config + off + i;
    const byte = (value >> (i << 3)) & 0xff;
    const mask = <u32>load<u8>(ptr + size);
    const clear = <u32>load<u8>(ptr + 2 * size);
    store<u8>(ptr, ((load<u8>(ptr) & ~mask) | (byte & mask)) & ~(byte & clear));
  }
}

/** Word of the function's own config space, unmasked. */
@inline
export function configWord(b: usize, fn: u32, off: u32): u32 {
  return load<u16>(configPtr(b, fn) + off);
}

@inline
export function configDword(b: usize, fn: u32, off: u32): u32 {
  return load<u32>(configPtr(b, fn) + off);
}
