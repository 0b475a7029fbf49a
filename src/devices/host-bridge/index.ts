// Host bridge of the Intel Q35 chip set (82G33/G31/P35/P31, datasheet 316966), as function 0 of device 0 of bus 0.
// What an OS asks it for is there: its ids, and PCIEXBAR, which says where the enhanced config space lies (read-only
// here). Memory mapping registers (PAM, SMRAM, TOLUD), error reporting and the capability identification are left out.
import { Machine } from '../../../assembly/spec/machine';
import { Model } from '../../../assembly/spec/state';
import { field } from '../../pci/fields';
import type { DeviceDefinition } from '../definition';

/** Base of 256 MiB for 256 buses (bits 2:1 = 00), enabled. */
const PCIEXBAR_OFF = 0x60;
const PCIEXBAR_ENABLE = 1;

export const hostBridge: DeviceDefinition = {
  model: 'host-bridge',
  title: 'Host bridge: Intel Corporation 82G33/G31/P35/P31 Express DRAM Controller',
  engineModel: Model.PASSIVE,
  config: {
    vendorId: 0x8086, deviceId: 0x29c0, classCode: 0x060000, revision: 0x02,
    subsystemVendorId: 0x1af4, subsystemId: 0x1100, interruptPin: 0, bars: [],
    own: [field('PCIEXBAR', PCIEXBAR_OFF, 4, 'where the enhanced config space lies',
      { value: Machine.ECAM_FIRST_MFN * Machine.PAGE_SIZE + PCIEXBAR_ENABLE })],
  },
  registers: [],
  stateSize: 0,
};
