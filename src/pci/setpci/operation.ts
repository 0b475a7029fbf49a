/** The operations of `setpci`: `REGISTER[+OFFSET][.B|.W|.L][@INSTANCE][=VALUE[:MASK],...]`, all numbers hexadecimal. */

import { Pci } from '../../../assembly/spec/pci';
import { PortcullisError } from '../../errors';
import { CAPABILITIES, EXTENDED, REGISTERS, type Width } from './registers';

export interface Operation {
  /** As it was typed. */
  readonly text: string;
  /** The capability that the offset counts from; the header when there is none. */
  readonly capability: { readonly id: number; readonly extended: boolean; readonly instance: number } | undefined;
  readonly off: number;
  readonly width: Width;
  /** Header types that have the register; all when it was given by its number. */
  readonly layouts?: readonly number[];
  /** Written one behind the other; read when there are none. Bits outside the mask stay. */
  readonly values: ReadonlyArray<{ readonly value: number; readonly mask: number }>;
}

const WIDTHS: Readonly<Record<string, Width>> = { B: 1, W: 2, L: 4 };

function fail(text: string, why: string): never {
  throw new PortcullisError('BAD_REGISTER', `${why} in "${text}"; write REGISTER[.B|.W|.L][=VALUE[:MASK]], as in COMMAND, `
    + '40.b or CAP_EXP+8.w=1234, all in hexadecimal', { text });
}

function hex(whole: string, what: string, text: string, most: number): number {
  if (!/^(0x)?[0-9a-f]{1,8}$/i.test(text)) fail(whole, `${what} "${text}" is no hexadecimal number`);
  const value = parseInt(text, 16);
  if (value > most) fail(whole, `${what} "${text}" is more than ${most.toString(16)}`);
  return value;
}

/** Reads an operation. Throws BAD_REGISTER, which says what is wrong. */
export function parseOperation(text: string): Operation {
  const at = text.indexOf('=');
  const register = at < 0 ? text : text.slice(0, at);
  const match = /^([^+.@]*)(?:\+([^.@]*))?(?:\.([^@]*))?(?:@(.*))?$/s.exec(register);
  const [, name = '', plus, suffix, instanceText] = match ?? fail(text, 'no register');
  const { capability, off: base, width: own, layouts } = baseOf(text, name, instanceText);
  const off = base + (plus === undefined ? 0 : hex(text, 'the offset', plus, Pci.EXTENDED_CONFIG_SIZE - 1));
  const width = suffix === undefined ? own : WIDTHS[suffix.toUpperCase()] ?? fail(text, `the width "${suffix}" is none of B, W, L`);
  if (width === undefined) fail(text, 'the width is missing: .B, .W or .L');
  const values = at < 0 ? [] : text.slice(at + 1).split(',').map((one) => readValue(text, one, width));
  if (off + width * Math.max(1, values.length) > Pci.EXTENDED_CONFIG_SIZE) fail(text, 'the register is beyond fff');
  return { text, capability, off, width, values, ...(layouts === undefined ? {} : { layouts }) };
}

function baseOf(text: string, name: string, instanceText: string | undefined):
{ capability: Operation['capability']; off: number; width: Width | undefined; layouts?: readonly number[] } {
  const upper = name.toUpperCase();
  const instance = instanceText === undefined ? 0 : hex(text, 'the instance', instanceText, 0xff);
  const named = (list: typeof CAPABILITIES, prefix: string, most: number): number | undefined => {
    if (!upper.startsWith(prefix)) return undefined;
    const known = list.find(([one]) => one === upper);
    if (known !== undefined) return known[1];
    return /^[0-9A-F]+$/.test(upper.slice(prefix.length)) ? hex(text, 'the capability', upper.slice(prefix.length), most) : undefined;
  };
  const extended = named(EXTENDED, 'ECAP', 0xffff);
  if (extended !== undefined) return { capability: { id: extended, extended: true, instance }, off: 0, width: undefined };
  const plain = named(CAPABILITIES, 'CAP', 0xff);
  if (plain !== undefined) return { capability: { id: plain, extended: false, instance }, off: 0, width: undefined };
  if (instanceText !== undefined) fail(text, 'only a capability has instances');
  const known = REGISTERS.find(([one]) => one === upper);
  if (known !== undefined) return { capability: undefined, off: known[1], width: known[2], layouts: known[3] };
  if (!/^(0x)?[0-9a-f]+$/i.test(name)) fail(text, `no register has the name "${name}"`);
  return { capability: undefined, off: hex(text, 'the register', name, Pci.EXTENDED_CONFIG_SIZE - 1), width: undefined };
}

function readValue(whole: string, text: string, width: Width): { value: number; mask: number } {
  const all = 2 ** (8 * width) - 1;
  const [value = '', mask, ...more] = text.split(':');
  if (more.length > 0) fail(whole, `"${text}" has more than one mask`);
  return { value: hex(whole, 'the value', value, all), mask: mask === undefined ? all : hex(whole, 'the mask', mask, all) };
}
