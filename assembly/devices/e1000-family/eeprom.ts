// The NVM of 64 words, as the family has it at the head of the device's state; how software reads it is each device's.
import { E1000, E1000Ra } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { deviceState, registerSet } from '../../bus/functions';

const WORDS_MASK: u32 = 63;

@inline
export function eepromWord(device: usize, index: u32): u32 {
  return load<u16>(device + E1000State.EEPROM + ((index & WORDS_MASK) << 1));
}

export function eepromPut(device: usize, index: u32, value: u32): void {
  store<u16>(device + E1000State.EEPROM + ((index & WORDS_MASK) << 1), <u16>value);
}

/** The station address: words 0 to 2 into the first receive address (§5.6.1). */
export function eepromLoad(b: usize, fn: u32): void {
  const device = deviceState(b, fn);
  registerSet(b, fn, 0, E1000.RA, eepromWord(device, 0) | eepromWord(device, 1) << 16);
  registerSet(b, fn, 0, E1000.RA + 4, eepromWord(device, 2) | <u32>1 << E1000Ra.AV_BIT);
}
