/** Words of the EEPROM (82540EM manual table 5-2): address, identification, and a sum of 0xBABA over all 64. */
const WORDS = 64;
const SUM = 0xbaba;

/** A locally administered address that tells which function it is. */
export function macFor(routing: number): Uint8Array {
  return Uint8Array.from([0x02, 0x00, 0x5e, 0x10, routing >> 8, routing & 0xff]);
}

/**
 * The EEPROM's bytes for a station address: the head of the device's state. `identification` is the words from 0x0a on.
 */
export function eepromBytes(mac: Uint8Array, identification: readonly number[]): Uint8Array {
  const words = new Uint16Array(WORDS);
  for (let i = 0; i < 3; i++) words[i] = (mac[2 * i] as number) | (mac[2 * i + 1] as number) << 8;
  words.set(identification, 0x0a);
  words[WORDS - 1] = SUM - words.reduce((sum, word) => sum + word, 0);
  const bytes = new Uint8Array(2 * WORDS);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => view.setUint16(2 * index, word, true));
  return bytes;
}
