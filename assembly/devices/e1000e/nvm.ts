// The NVM through EERD and EEWR (10.2.3): a word at a time, done at once.
import { E1000 } from '../../spec/e1000';
import { E1000e, E1000eEerd } from '../../spec/e1000e';
import { deviceState, registerGet, registerSet } from '../../bus/functions';
import { eepromPut, eepromWord } from '../e1000-family/eeprom';

export function nvmRead(b: usize, fn: u32): void {
  const eerd = registerGet(b, fn, 0, E1000.EERD);
  if ((eerd & E1000eEerd.START) == 0) return;
  const address = eerd >> E1000eEerd.ADDRESS_SHIFT & E1000eEerd.ADDRESS_MASK;
  const data = eepromWord(deviceState(b, fn), address);
  registerSet(b, fn, 0, E1000.EERD,
    data << E1000eEerd.DATA_SHIFT | address << E1000eEerd.ADDRESS_SHIFT | E1000eEerd.DONE);
}

export function nvmWrite(b: usize, fn: u32): void {
  const eewr = registerGet(b, fn, 0, E1000e.EEWR);
  if ((eewr & E1000eEerd.START) == 0) return;
  eepromPut(deviceState(b, fn), eewr >> E1000eEerd.ADDRESS_SHIFT & E1000eEerd.ADDRESS_MASK,
    eewr >> E1000eEerd.DATA_SHIFT);
  registerSet(b, fn, 0, E1000e.EEWR, (eewr & ~(<u32>E1000eEerd.START)) | E1000eEerd.DONE);
}
