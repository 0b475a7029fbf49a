// The exports for devices in TypeScript, besides their DMA and interrupts.
import { FunctionRecord, Model } from '../spec/state';
import { busy, enter, left } from '../memory/lock';
import { functionPresent, functionRecord } from '../bus/functions';
import { stepDone } from './dispatch';
import { hostFail } from './host';

/** A device in TypeScript has taken its step. */
export function functionStepDone(fn: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn)) stepDone(b, fn);
  left(b);
}

/** A device in TypeScript has failed outside its handlers: from now on its registers read as ones. */
export function functionFail(fn: u32): void {
  const b = enter();
  if (busy(b)) return;
  if (functionPresent(b, fn) && load<u32>(functionRecord(b, fn), FunctionRecord.MODEL) == Model.HOST) hostFail(b, fn);
  left(b);
}
