import { PciExtCap } from '../../../assembly/spec/pci';
import { field } from '../fields';
import type { Place } from '../header';
import type { Capability } from './capability';

export interface SerialNumber {
  low: number;
  high: number;
}

export interface SerialNumberOptions {
  off: number;
  /** The number, or what it is at a place in the machine. */
  number: SerialNumber | ((place: Place) => SerialNumber);
}

/**
 * Device serial number, an EUI-64 (PCI Express 6.0 §7.9.3).
 *
 *       31       20 19  16 15                 0
 *   00 | Next      | Ver. | ID = 0003         |
 *   04 | Serial number, low half              |
 *   08 | Serial number, high half             |
 */
export function serialNumberCapability({ off, number }: SerialNumberOptions): Capability {
  return {
    name: 'serial number', id: PciExtCap.SERIAL_NUMBER, version: 1, off, size: 12,
    fields: (place) => {
      const { low, high } = typeof number === 'function' ? number(place) : number;
      return [
        field('Serial Number Lower', 4, 4, '', { value: low }),
        field('Serial Number Upper', 8, 4, '', { value: high }),
      ];
    },
  };
}
