/** PCI addresses in the keys of the store, which differ in their digits. */

import type { VirtualAddress } from './types';

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** `DDDD:BB:DD.F` as `dev-N` has it and `DDDD:BB:DD.FF` as `vdev-N` does; any number of hexadecimal digits each. */
export function parseKeyAddress(text: string): VirtualAddress | undefined {
  const match = /^([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9a-f]{1,8})\.([0-9a-f]{1,8})$/i.exec(text);
  if (match === null) return undefined;
  const [segment, bus, device, fn] = match.slice(1).map((digits) => parseInt(digits, 16)) as [number, number, number, number];
  if (segment > 0xffff || bus > 0xff || device > 31 || fn > 7) return undefined;
  return { segment, bus, devfn: device << 3 | fn };
}

/** Of `dev-N`, and for people. */
export function formatDev({ segment, bus, devfn }: VirtualAddress): string {
  return `${hex(segment, 4)}:${hex(bus, 2)}:${hex(devfn >> 3, 2)}.${devfn & 7}`;
}

/** Of `vdev-N`: the function has two digits. */
export function formatVdev({ segment, bus, devfn }: VirtualAddress): string {
  return `${hex(segment, 4)}:${hex(bus, 2)}:${hex(devfn >> 3, 2)}.${hex(devfn & 7, 2)}`;
}

/** Of `root-N`. */
export function formatRoot({ segment, bus }: { segment: number; bus: number }): string {
  return `${hex(segment, 4)}:${hex(bus, 2)}`;
}

export function parseRoot(text: string): { segment: number; bus: number } | undefined {
  const match = /^([0-9a-f]{1,4}):([0-9a-f]{1,2})$/i.exec(text);
  return match === null ? undefined : { segment: parseInt(match[1] as string, 16), bus: parseInt(match[2] as string, 16) };
}
