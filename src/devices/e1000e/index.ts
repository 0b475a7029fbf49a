// e1000e: Intel 82574L. See assembly/devices/e1000e for what is modelled. Its config space is that of the chip as
// QEMU presents it: registers in BAR 0, Flash in BAR 1, I/O in BAR 2, MSI-X in BAR 3.
import { E1000 } from '../../../assembly/spec/e1000';
import { E1000State } from '../../../assembly/spec/e1000-state';
import { E1000e } from '../../../assembly/spec/e1000e';
import { Model } from '../../../assembly/spec/state';
import { aerCapability } from '../../pci/capabilities/aer';
import { expressCapability } from '../../pci/capabilities/express';
import { msiCapability } from '../../pci/capabilities/msi';
import { msixCapability } from '../../pci/capabilities/msix';
import { pmCapability } from '../../pci/capabilities/pm';
import { type SerialNumber, serialNumberCapability } from '../../pci/capabilities/serial-number';
import type { DeviceDefinition } from '../definition';
import { eepromBytes, macFor } from '../e1000-family/eeprom';
import { E1000E_IO_REGISTERS, E1000E_REGISTERS } from './registers';

/** Initialization control 1, subsystem id and vendor, device id and vendor, initialization control 2: no management. */
const IDENTIFICATION = [0x0000, 0x0000, 0x8086, 0x10d3, 0x8086, 0x0000];

/** The station address with FF-FF in its middle (9.4.2). */
function serialNumber(routing: number): SerialNumber {
  const [a, b, c, d, e, f] = macFor(routing) as unknown as [number, number, number, number, number, number];
  return { low: (0xff << 24 | d << 16 | e << 8 | f) >>> 0, high: (a << 24 | b << 16 | c << 8 | 0xff) >>> 0 };
}

export const e1000e: DeviceDefinition = {
  model: 'e1000e',
  title: 'Ethernet controller: Intel Corporation 82574L Gigabit Network Connection',
  engineModel: Model.E1000E,
  config: {
    vendorId: 0x8086, deviceId: 0x10d3, classCode: 0x020000, revision: 0x00,
    subsystemVendorId: 0x8086, subsystemId: 0x0000, interruptPin: 1,
    bars: [
      { kind: 'memory32', size: E1000.BAR0_SIZE }, { kind: 'memory32', size: E1000e.FLASH_SIZE },
      { kind: 'io', size: E1000e.IO_BAR_SIZE }, { kind: 'memory32', size: E1000e.MSIX_BAR_SIZE },
    ],
    capabilities: [
      msixCapability({ off: 0xa0, vectors: E1000e.VECTORS, table: { bar: E1000e.MSIX_BAR, off: 0 },
        pending: { bar: E1000e.MSIX_BAR, off: E1000e.MSIX_PENDING } }),
      pmCapability({ off: 0xc8 }),
      msiCapability({ off: 0xd0, vectors: 1, wide: true }),
      expressCapability({ off: 0xe0, type: 'endpoint', version: 1, flr: false }),
      aerCapability({ off: 0x100 }),
      serialNumberCapability({ off: 0x140, number: ({ routing = 0 }) => serialNumber(routing) }),
    ],
  },
  registers: [E1000E_REGISTERS, E1000E_IO_REGISTERS],
  port: true,
  stateSize: E1000State.SIZE,
  initialState: (routing) => eepromBytes(macFor(routing), IDENTIFICATION),
};
