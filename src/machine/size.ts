import { PortcullisError } from '../errors';

const UNITS: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Bytes of a size that people type, such as `512MiB`. Throws BAD_SIZE. */
export function parseSize(text: string, name: string): number {
  const match = /^(\d+)(KiB|MiB|GiB)$/.exec(text);
  if (match === null) {
    throw new PortcullisError('BAD_SIZE', `${name} is "${text}"; write a whole number with KiB, MiB or GiB, such as 512MiB`,
      { name, text });
  }
  return Number(match[1]) * (UNITS[match[2] as string] as number);
}
