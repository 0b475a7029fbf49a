// edu: QEMU's educational device (docs/specs/edu). See assembly/devices/edu for what is modelled.
import { Edu } from '../../../assembly/spec/edu';
import { Model } from '../../../assembly/spec/state';
import { msiCapability } from '../../pci/capabilities/msi';
import type { DeviceDefinition } from '../definition';
import { EDU_REGISTERS } from './registers';

export const edu: DeviceDefinition = {
  model: 'edu',
  title: 'Unclassified device [00ff]: Device 1234:11e8 (rev 10)',
  engineModel: Model.EDU,
  config: {
    vendorId: 0x1234, deviceId: 0x11e8, classCode: 0x00ff00, revision: 0x10,
    subsystemVendorId: 0x1af4, subsystemId: 0x1100, interruptPin: 1,
    bars: [{ kind: 'memory32', size: Edu.BAR_SIZE }],
    capabilities: [msiCapability({ off: 0x40, vectors: 1, wide: true })],
  },
  registers: [EDU_REGISTERS],
  stateSize: Edu.STATE_SIZE,
};
