// serial: a 16550A on PCI. See assembly/devices/serial for what is modelled. Ids and class as QEMU's pci-serial has them.
import { Serial, SerialMsr, SerialState } from '../../../assembly/spec/serial';
import { Model } from '../../../assembly/spec/state';
import type { DeviceDefinition } from '../definition';
import { SERIAL_REGISTERS } from './registers';

/** The other end is plugged in and ready, and waits while the UART has no room. */
function plugged(): Uint8Array {
  const state = new Uint8Array(SerialState.SIZE);
  state[SerialState.LINES] = SerialMsr.CTS | SerialMsr.DSR | SerialMsr.DCD;
  state[SerialState.WAITS] = 1;
  return state;
}

export const serial: DeviceDefinition = {
  model: 'serial',
  title: 'Serial controller: Red Hat, Inc. QEMU PCI 16550A Adapter (rev 01)',
  engineModel: Model.SERIAL,
  config: {
    vendorId: 0x1b36, deviceId: 0x0002, classCode: 0x070002, revision: 0x01,
    subsystemVendorId: 0x1af4, subsystemId: 0x1100, interruptPin: 1,
    bars: [{ kind: 'io', size: Serial.BAR_SIZE }],
  },
  registers: [SERIAL_REGISTERS],
  stateSize: SerialState.SIZE,
  initialState: plugged,
};
