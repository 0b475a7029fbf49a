import { PortcullisError } from '../errors';

/** A PCI function's address as people write it, `DDDD:BB:DD.F`, and as buses carry it: bus 15:8, device 7:3, function 2:0. */
export interface Bdf {
  segment: number;
  bus: number;
  device: number;
  function: number;
}

const WRITTEN = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i;

/** Whether a text is one function's whole address. */
export function isBdf(text: string): boolean {
  return parseInt(WRITTEN.exec(text)?.[3] ?? 'ff', 16) <= 31;
}

/** Reads `DDDD:BB:DD.F` or `BB:DD.F`, hexadecimal. Throws BAD_BDF. */
export function parseBdf(text: string): Bdf {
  const match = WRITTEN.exec(text);
  const device = parseInt(match?.[3] ?? 'ff', 16);
  if (match === null || device > 31) {
    throw new PortcullisError('BAD_BDF', `"${text}" is no PCI address; write DDDD:BB:DD.F or BB:DD.F in hexadecimal, `
      + 'device 00 to 1f, function 0 to 7, as in 0000:00:04.0', { text });
  }
  return { segment: parseInt(match[1] ?? '0', 16), bus: parseInt(match[2] ?? '', 16), device, function: Number(match[4]) };
}

export function formatBdf(bdf: Bdf): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  return `${hex(bdf.segment, 4)}:${hex(bdf.bus, 2)}:${hex(bdf.device, 2)}.${bdf.function}`;
}

/** The 16 bits on the bus: requester id, index into root and context tables. */
export function routingId(bdf: Bdf): number {
  return bdf.bus << 8 | bdf.device << 3 | bdf.function;
}

export function bdfOf(routing: number, segment = 0): Bdf {
  return { segment, bus: routing >> 8, device: (routing >> 3) & 31, function: routing & 7 };
}
