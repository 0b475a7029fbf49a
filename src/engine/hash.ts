/**
 * 64 bits over bytes, as 16 hexadecimal digits: finds what an accident has changed. It is no protection against
 * somebody who means it.
 */
export function hashBytes(bytes: Uint8Array, seed = 0): string {
  let a = 0x243f6a88 ^ seed;
  let b = 0x85a308d3 ^ bytes.length;
  const mix = (word: number): void => {
    a = Math.imul(a ^ word, 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b ^ word, 0x85ebca6b);
    b = (b << 13 | b >>> 19) + a | 0;
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) mix(view.getUint32(i, true));
  for (let i = whole; i < bytes.length; i++) mix(bytes[i] as number);
  for (let i = 0; i < 4; i++) mix(i);
  const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
  return hex(a) + hex(b);
}

/** The same over a text. */
export function hashText(text: string): string {
  return hashBytes(new TextEncoder().encode(text));
}
