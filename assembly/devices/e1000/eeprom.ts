// The EEPROM: a 93C46 of 64 words, read by software over its four wires through EECD, or a word at a time through
// EERD (§5.3.1, 13.4.3, 13.4.4). Writing and erasing are left out: such an instruction is shifted in and does nothing.
import { E1000, E1000Eecd, E1000Eerd } from '../../spec/e1000';
import { E1000State } from '../../spec/e1000-state';
import { deviceState, registerGet, registerSet } from '../../bus/functions';
import { eepromWord } from '../e1000-family/eeprom';

const BITS_MASK: u32 = 1023;
/** Start bit, two bits of opcode, six of address. */
const INSTRUCTION_BITS: u32 = 9;
const ADDRESS_BITS: u32 = 6;
/** Start bit 1, opcode 10. */
const READ: u32 = 6;

/** What a rising edge of the clock does; gives the level of the data output behind it. */
function clockRise(device: usize, dataIn: bool): bool {
  const edges = load<u32>(device, E1000State.WIRE_COUNT);
  let shifted = load<u32>(device, E1000State.WIRE_IN);
  if (edges < INSTRUCTION_BITS) {
    // the instruction begins with the first one after chip select
    if (edges == 0 && !dataIn) return true;
    shifted = shifted << 1 | (dataIn ? 1 : 0);
    store<u32>(device, shifted, E1000State.WIRE_IN);
    store<u32>(device, edges + 1, E1000State.WIRE_COUNT);
    // a zero in front of the data tells that the address has arrived
    return !(edges + 1 == INSTRUCTION_BITS && shifted >> ADDRESS_BITS == READ);
  }
  if (shifted >> ADDRESS_BITS != READ) return true;
  // bit by bit from the top, and on into the next words for as long as the clock runs
  const done = edges - INSTRUCTION_BITS;
  const bit = ((shifted << 4) + done) & BITS_MASK;
  store<u32>(device, INSTRUCTION_BITS + ((done + 1) & BITS_MASK), E1000State.WIRE_COUNT);
  return (eepromWord(device, bit >> 4) >> (15 - (bit & 15)) & 1) != 0;
}

/** After software has set the wires in EECD. They reach the chip while the interface is granted. */
export function eepromWires(b: usize, fn: u32): void {
  const device = deviceState(b, fn);
  let eecd = registerGet(b, fn, 0, E1000.EECD);
  eecd = eecd & E1000Eecd.REQ ? eecd | E1000Eecd.GNT : eecd & ~(<u32>E1000Eecd.GNT);
  const granted = (eecd & E1000Eecd.GNT) != 0;
  const now = granted ? eecd & (E1000Eecd.CS | E1000Eecd.SK) : 0;
  const before = load<u32>(device, E1000State.WIRE_LAST);
  if ((now & E1000Eecd.CS) == 0) {
    // not selected: the output floats, and the pull-up makes it a one
    store<u32>(device, 0, E1000State.WIRE_IN);
    store<u32>(device, 0, E1000State.WIRE_COUNT);
    eecd |= E1000Eecd.DO;
  } else if (now & ~before & E1000Eecd.SK) {
    eecd = clockRise(device, (eecd & E1000Eecd.DI) != 0) ? eecd | E1000Eecd.DO : eecd & ~(<u32>E1000Eecd.DO);
  }
  store<u32>(device, now, E1000State.WIRE_LAST);
  registerSet(b, fn, 0, E1000.EECD, eecd);
}

/** After a write of EERD: START reads a word, which is there at once. */
export function eepromRead(b: usize, fn: u32): void {
  const eerd = registerGet(b, fn, 0, E1000.EERD);
  if ((eerd & E1000Eerd.START) == 0) return;
  const address = (eerd >> E1000Eerd.ADDRESS_SHIFT) & 0xff;
  const data = eepromWord(deviceState(b, fn), address);
  registerSet(b, fn, 0, E1000.EERD,
    data << E1000Eerd.DATA_SHIFT | address << E1000Eerd.ADDRESS_SHIFT | E1000Eerd.DONE);
}
