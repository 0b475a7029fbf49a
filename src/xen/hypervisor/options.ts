import { State } from '../../../assembly/spec/state';
import { Evtchn, SharedInfo } from '../../../assembly/spec/xen';
import type { Engine } from '../../engine/index';
import type { DomainKind } from './domain';
import { HypercallError } from './errors';

export interface DomainOptions {
  name: string;
  kind: DomainKind;
  /** Pages of 4 KiB. */
  pages: number;
  /** Virtual CPUs (1 to 32; default 1). */
  vcpus?: number;
  /** Highest event channel port (default 1023, of the first domain 4095). */
  maxEventPort?: number;
  /** Frames of grant table, and mappings of others' grants (default: what the engine was created for). */
  maxGrantFrames?: number;
  maxGrantMappings?: number;
  /** Numbers for interrupts that it may have (default 256). */
  nrPirqs?: number;
  /** Whether its numbers for INTx lines are the lines' own until others are mapped (default yes). */
  identityPirqs?: boolean;
  /** Whether devices may be given to it by domctl (default no). */
  iommu?: boolean;
}

/** Throws EINVAL for a bound that is out of range. */
export function checkDomainOptions(engine: Engine, options: DomainOptions): void {
  const bounds: Array<[name: string, value: number | undefined, low: number, high: number]> = [
    ['vcpus', options.vcpus, 1, SharedInfo.VCPUS], ['maxEventPort', options.maxEventPort, 0, Evtchn.PORTS - 1],
    ['maxGrantFrames', options.maxGrantFrames, 0, engine.word(State.GRANT_FRAMES_LIMIT)],
    ['maxGrantMappings', options.maxGrantMappings, 0, engine.word(State.MAPTRACK_LIMIT)],
    ['nrPirqs', options.nrPirqs, 16, Evtchn.PIRQS],
  ];
  for (const [name, value, low, high] of bounds) {
    if (value === undefined || (Number.isInteger(value) && value >= low && value <= high)) continue;
    throw new HypercallError('EINVAL', `${name} of domain "${options.name}" is ${value}; it must be a whole number from `
      + `${low} to ${high}`, { name, value });
  }
}
