import { PciCap } from '../../../assembly/spec/pci';
import { field } from '../fields';
import type { Capability } from './capability';

/**
 * Subsystem ids of a bridge, whose header has no room for them (PCI-to-PCI Bridge 1.2 §3.2.5.13).
 *
 *       31             16 15      8 7        0
 *   00 | (0)             | Next    | ID = 0D |
 *   04 | Subsystem ID    | Subsystem vendor  |
 */
export function subsystemCapability({ off, vendorId, id }: { off: number; vendorId: number; id: number }): Capability {
  return {
    name: 'subsystem', id: PciCap.SUBSYSTEM, off, size: 8,
    fields: () => [
      field('Subsystem Vendor ID', 4, 2, '', { value: vendorId }),
      field('Subsystem ID', 6, 2, '', { value: id }),
    ],
  };
}
