// The exports for devices in TypeScript, besides their DMA and interrupts.
import { FunctionRecord, Model } from '../spec/state';
import { stateBase } from '../memory/state';
import { functionPresent, functionRecord } from '../bus/functions';
import { stepDone } from './dispatch';
import { hostFail } from './host';

/** A device in TypeScript has taken its step. */
export function functionStepDone(fn: u32): void {
  if (functionPresent(stateBase(), fn)) stepDone(stateBase(), fn);
}

/** A device in TypeScript has failed outside its handlers: from now on its registers read as ones. */
export function functionFail(fn: u32): void {
  const b = stateBase();
  if (functionPresent(b, fn) && load<u32>(functionRecord(b, fn), FunctionRecord.MODEL) == Model.HOST) hostFail(b, fn);
}
