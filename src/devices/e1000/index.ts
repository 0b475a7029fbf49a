// e1000: Intel 82540EM. See assembly/devices/e1000 for what is modelled. Its config space is that of the chip as
// QEMU presents it: registers in BAR 0, I/O in BAR 1, INTx only.
import { E1000 } from '../../../assembly/spec/e1000';
import { E1000State } from '../../../assembly/spec/e1000-state';
import { Model } from '../../../assembly/spec/state';
import type { DeviceDefinition } from '../definition';
import { eepromBytes, macFor } from '../e1000-family/eeprom';
import { E1000_IO_REGISTERS, E1000_REGISTERS } from './registers';

/** Initialization control 1 and 2, subsystem id and vendor, device id and vendor. */
const IDENTIFICATION = [0x4408, 0x1100, 0x1af4, 0x100e, 0x8086, 0x3040];

export const e1000: DeviceDefinition = {
  model: 'e1000',
  title: 'Ethernet controller: Intel Corporation 82540EM Gigabit Ethernet Controller (rev 03)',
  engineModel: Model.E1000,
  config: {
    vendorId: 0x8086, deviceId: 0x100e, classCode: 0x020000, revision: 0x03,
    subsystemVendorId: 0x1af4, subsystemId: 0x1100, interruptPin: 1,
    bars: [{ kind: 'memory32', size: E1000.BAR0_SIZE }, { kind: 'io', size: E1000.IO_BAR_SIZE }],
  },
  registers: [E1000_REGISTERS, E1000_IO_REGISTERS],
  port: true,
  stateSize: E1000State.SIZE,
  initialState: (routing) => eepromBytes(macFor(routing), IDENTIFICATION),
};
