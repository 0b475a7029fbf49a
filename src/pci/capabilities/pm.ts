import { PciCap, Pm } from '../../../assembly/spec/pci';
import { field } from '../fields';
import type { Capability } from './capability';

export interface PmOptions {
  off: number;
  /** Whether D3hot to D0 keeps the function's state (default: it resets it). */
  noSoftReset?: boolean;
}

/** PMC bits 2:0: revision 1.2 of the specification. */
const VERSION = 3;

/**
 * Power management (PCI PM 1.2 §3.2). D0 and D3hot only, no PME.
 *
 *       31          24 23     16 15        8 7         0
 *   00 | PMC                    | Next      | ID = 01  |
 *   04 | Data (0)     | BSE (0) | PMCSR                |
 *
 *   PMCSR  1:0 power state: D3hot answers config cycles only, and leaving it resets the function unless
 *          3 No_Soft_Reset
 */
export function pmCapability({ off, noSoftReset = false }: PmOptions): Capability {
  return {
    name: 'power management', id: PciCap.PM, off, size: Pm.SIZE,
    fields: () => [
      field('PMC', Pm.PMC, 2, 'version 1.2, neither D1 nor D2 nor PME', { value: VERSION }),
      field('PMCSR', Pm.PMCSR, 2, 'power state',
        { value: noSoftReset ? Pm.PMCSR_NO_SOFT_RESET : 0, writable: Pm.PMCSR_STATE_MASK }),
    ],
  };
}
