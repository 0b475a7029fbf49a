// Reset of the whole device (§13.4.1; 82574L: CTRL.RST): registers, PHY, rings in work. What the EEPROM holds stays,
// and the station address is loaded from it again.
import { E1000Part, E1000State } from '../../spec/e1000-state';
import { BarKind, BarRecord } from '../../spec/state';
import { barRecord, cellsReset, deadlineClear, deviceState, workDone } from '../../bus/functions';
import { intxLevel } from '../../irq/intx';
import { vectorsForget } from '../../irq/vectors';
import { eepromLoad } from './eeprom';
import { linkSelect, linkUp, statusUpdate } from './link-state';
import { phyReset } from './phy';

export function familyReset(b: usize, fn: u32, part: E1000Part, ioBar: u32): void {
  cellsReset(b, fn, 0);
  if (load<u32>(barRecord(b, fn, ioBar), BarRecord.KIND) != BarKind.NONE) cellsReset(b, fn, ioBar);
  const device = deviceState(b, fn);
  // the count of faults is the host's and goes on
  const faults = load<u32>(device, E1000State.DMA_FAULTS);
  memory.fill(device + E1000State.PHY, 0, E1000State.SIZE - E1000State.PHY);
  store<u32>(device, faults, E1000State.DMA_FAULTS);
  store<u32>(device, part, E1000State.PART);
  linkSelect(b, fn);
  phyReset(b, fn);
  store<u32>(device, linkUp(b, fn) ? 1 : 0, E1000State.LINK_LATCH);
  eepromLoad(b, fn);
  statusUpdate(b, fn);
  deadlineClear(b, fn);
  workDone(b, fn);
  vectorsForget(b, fn);
  intxLevel(b, fn, false);
}
