import { PciCap, PciExp } from '../../../assembly/spec/pci';
import { type Field, field } from '../fields';
import type { Place } from '../header';
import type { Capability } from './capability';

export interface ExpressOptions {
  off: number;
  type: 'endpoint' | 'root-port';
  /** Whether Initiate Function Level Reset works (an endpoint; default yes). */
  flr?: boolean;
  /** Link: speed in GT/s, and lanes (default 2.5 and 1). */
  speed?: 2.5 | 5 | 8 | 16;
  width?: 1 | 2 | 4 | 8 | 16;
  /** Number of a root port. */
  port?: number;
  /** Version of the capability (default 2); 1 ends with the link's registers, and an endpoint alone may have it. */
  version?: 1 | 2;
}

/** Bytes of version 1 of an endpoint. */
const SIZE_1 = PciExp.SLTCAP;

const SPEEDS = { 2.5: 1, 5: 2, 8: 3, 16: 4 } as const;
// error reporting enables, relaxed ordering, payload size, extended tag, no snoop, read request size
const DEVCTL_WRITABLE = 0x79ff;
/** Read requests of 512 bytes, relaxed ordering and no snoop allowed: what the specification has after reset. */
const DEVCTL_RESET = 2 << PciExp.DEVCTL_READ_REQUEST_SHIFT | 0x0810;
// ASPM, read completion boundary, common clock, extended synch
const LNKCTL_WRITABLE = 0x00c3;

/**
 * PCI Express (PCI Express 6.0 §7.5.3).
 *
 *       31               16 15      8 7        0
 *   00 | Capabilities      | Next    | ID = 10 |   3:0 version  7:4 type
 *   04 | Device capabilities                   |   28 function-level reset
 *   08 | Device status     | Device control    |   control: 15 resets the function, reads as 0
 *   0C | Link capabilities                     |
 *   10 | Link status       | Link control      |
 *   14 | Slot capabilities                     |   no slot
 *   18 | Slot status       | Slot control      |
 *   1C | Root capabilities | Root control      |   root port only
 *   20 | Root status                           |
 *   24 | Device capabilities 2                 |
 *   28 | Device status 2   | Device control 2  |
 *   2C | Link capabilities 2                   |
 *   30 | Link status 2     | Link control 2    |
 *   34 | Slot capabilities 2                   |
 *   38 | Slot status 2     | Slot control 2    |
 *
 * Payloads are 128 bytes. An endpoint on the root bus is integrated in the root complex and has no link. Of a root
 * port, the link is always up. Completion timeouts, ASPM, retraining and slots are not modelled.
 */
export function expressCapability(options: ExpressOptions): Capability {
  return { name: 'PCI Express', id: PciCap.EXP, off: options.off, size: options.version === 1 ? SIZE_1 : PciExp.SIZE,
    fields: (place) => expressFields(options, place) };
}

function expressFields(options: ExpressOptions, place: Place): Field[] {
  const { type, flr = true, speed = 2.5, width = 1, port = 0, version = 2 } = options;
  const root = type === 'root-port';
  const integrated = !root && place.rootBus;
  const number = root ? PciExp.TYPE_ROOT_PORT : integrated ? PciExp.TYPE_ROOT_COMPLEX_ENDPOINT : PciExp.TYPE_ENDPOINT;
  const capable = PciExp.DEVCAP_ROLE_BASED_ERRORS | (root || !flr ? 0 : PciExp.DEVCAP_FLR);
  const rate = SPEEDS[speed];
  const link = rate | width << PciExp.LNKCAP_WIDTH_SHIFT;
  const fields = [
    field('PCI Express Capabilities', PciExp.FLAGS, 2, 'version, type',
      { value: version | number << PciExp.FLAGS_TYPE_SHIFT }),
    field('Device Capabilities', PciExp.DEVCAP, 4, '', { value: capable }),
    field('Device Control', PciExp.DEVCTL, 2, 'kept; bit 15 resets an endpoint',
      { value: DEVCTL_RESET, writable: DEVCTL_WRITABLE }),
    field('Device Status', PciExp.DEVSTA, 2, 'errors seen', { clearable: PciExp.DEVSTA_RW1C }),
  ];
  if (version === 2) {
    fields.push(
      field('Device Capabilities 2', PciExp.DEVCAP2, 4, ''),
      field('Device Control 2', PciExp.DEVCTL2, 2, 'none'),
    );
  }
  if (integrated) return fields;
  fields.push(
    field('Link Capabilities', PciExp.LNKCAP, 4, 'speed, lanes, port number',
      { value: link | (root ? PciExp.LNKCAP_ACTIVE_REPORTING : 0) | port << PciExp.LNKCAP_PORT_SHIFT }),
    field('Link Control', PciExp.LNKCTL, 2, 'no effect', { writable: LNKCTL_WRITABLE }),
    field('Link Status', PciExp.LNKSTA, 2, 'speed and lanes in use',
      { value: link | PciExp.LNKSTA_SLOT_CLOCK | (root ? PciExp.LNKSTA_ACTIVE : 0) }),
  );
  if (version === 1) return fields;
  fields.push(
    field('Link Capabilities 2', PciExp.LNKCAP2, 4, 'speeds supported', { value: ((1 << rate) - 1) << 1 }),
    field('Link Control 2', PciExp.LNKCTL2, 2, 'target speed', { value: rate, writable: 0xf }),
  );
  if (root) {
    fields.push(
      field('Root Control', PciExp.ROOTCTL, 2, 'kept', { writable: 0x0f }),
      field('Root Capabilities', PciExp.ROOTCAP, 2, ''),
      field('Root Status', PciExp.ROOTSTA, 4, 'no PME'),
    );
  }
  return fields;
}
