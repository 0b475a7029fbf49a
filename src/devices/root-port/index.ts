// PCI Express root port, with the ids of QEMU's generic one (docs/pcie.txt). What it forwards, numbers, gates and
// resets is in assembly/bus/bridges and assembly/paths/reset. It stands on bus 0. Left out: slots and hot plug, link
// training, error reporting, power management events, access control services.
import { Model } from '../../../assembly/spec/state';
import { aerCapability } from '../../pci/capabilities/aer';
import { expressCapability } from '../../pci/capabilities/express';
import { msiCapability } from '../../pci/capabilities/msi';
import { pmCapability } from '../../pci/capabilities/pm';
import { subsystemCapability } from '../../pci/capabilities/subsystem';
import type { DeviceDefinition } from '../definition';

export const rootPort: DeviceDefinition = {
  model: 'root-port',
  title: 'PCI bridge: Red Hat, Inc. QEMU PCIe Root port',
  engineModel: Model.PASSIVE,
  config: {
    bridge: true,
    vendorId: 0x1b36, deviceId: 0x000c, classCode: 0x060400, revision: 0x00, interruptPin: 1, bars: [],
    capabilities: [
      subsystemCapability({ off: 0x40, vendorId: 0x1b36, id: 0x0000 }),
      pmCapability({ off: 0x48, noSoftReset: true }),
      expressCapability({ off: 0x54, type: 'root-port', speed: 16, width: 4 }),
      msiCapability({ off: 0x90, vectors: 1, wide: true, masking: true }),
      aerCapability({ off: 0x100, rootPort: true }),
    ],
  },
  registers: [],
  stateSize: 0,
};
