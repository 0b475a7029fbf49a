import { E1000 } from '../../spec/e1000';
import { E1000eCtrl, E1000eStatus } from '../../spec/e1000e';
import { registerGet, registerSet, workDone, workRequest } from '../../bus/functions';
import { familyStep } from '../e1000-family/device';

@inline
function masterDisabled(b: usize, fn: u32): bool {
  return (registerGet(b, fn, 0, E1000.CTRL) & E1000eCtrl.GIO_MASTER_DISABLE) != 0;
}

/** Between two steps no request is under way, so Master Disable is done as soon as it is asked for (10.2.2.1). */
export function e1000eStep(b: usize, fn: u32): bool {
  if (!masterDisabled(b, fn)) return familyStep(b, fn);
  workDone(b, fn);
  return false;
}

/** After a write of CTRL. */
export function masterUpdate(b: usize, fn: u32): void {
  const status = registerGet(b, fn, 0, E1000.STATUS);
  const enable: u32 = E1000eStatus.GIO_MASTER_ENABLE;
  registerSet(b, fn, 0, E1000.STATUS, masterDisabled(b, fn) ? status & ~enable : status | enable);
  workRequest(b, fn);
}
