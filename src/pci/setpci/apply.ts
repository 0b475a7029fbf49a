/** Does the operations of `setpci` on functions, however their config accesses travel. */

import { Pci, PciExtCap, PciStatus } from '../../../assembly/spec/pci';
import { bdfOf, formatBdf } from '../bdf';
import type { Operation } from './operation';
import type { Width } from './registers';

/** What an access gave: a PCIBIOS code, 0 when it was done, and the value read. */
export interface ConfigResult {
  readonly code: number;
  readonly value: number;
}

export interface SetpciTarget {
  readonly routing: number;
  readonly config: {
    read(off: number, width: Width): ConfigResult;
    write(off: number, width: Width, value: number): number;
  };
}

export interface OperationResult {
  /** `0000:00:04.0` */
  readonly bdf: string;
  /** The operation as it was typed. */
  readonly operation: string;
  readonly off: number;
  readonly width: Width;
  /** Of a read that was done. */
  readonly value?: number;
  /** Why there is no such register in this function. */
  readonly problem?: string;
  readonly code: number;
}

/** Entries of a capability list at most: each takes four bytes. */
const LIST_MAX = 48;
const EXTENDED_LIST_MAX = 960;

/** One result for each access, in the order in which they were done: operation by operation, function by function. */
export function applyOperations(functions: readonly SetpciTarget[], operations: readonly Operation[]): OperationResult[] {
  return operations.flatMap((operation) => functions.flatMap((target) => apply(target, operation)));
}

function apply(target: SetpciTarget, { text, capability, off: offset, width, layouts, values }: Operation): OperationResult[] {
  const bdf = formatBdf(bdfOf(target.routing));
  const base = capability === undefined ? 0 : find(target, capability);
  const common = { bdf, operation: text, width };
  if (typeof base === 'string') return [{ ...common, off: offset, problem: base, code: 0 }];
  if (layouts !== undefined && !layouts.includes(layoutOf(target))) {
    return [{ ...common, off: offset, problem: 'the header of this function has no such register', code: 0 }];
  }
  const off = base + offset;
  if (values.length === 0) {
    const { code, value } = target.config.read(off, width);
    return [{ ...common, off, code, ...(code === 0 ? { value: truncated(value, width) } : {}) }];
  }
  return values.map(({ value, mask }, index) => {
    const at = off + index * width;
    return { ...common, off: at, code: write(target, at, width, value, mask) };
  });
}

/** A function that does not answer has any header. */
function layoutOf({ config }: SetpciTarget): number {
  const { code, value } = config.read(Pci.HEADER_TYPE, 1);
  return code === 0 ? value & Pci.HEADER_LAYOUT_MASK : 0;
}

/** A value under a mask is a read before the write. */
function write({ config }: SetpciTarget, off: number, width: Width, value: number, mask: number): number {
  if (mask === 2 ** (8 * width) - 1) return config.write(off, width, value);
  const before = config.read(off, width);
  if (before.code !== 0) return before.code;
  return config.write(off, width, ((truncated(before.value, width) & ~mask) | (value & mask)) >>> 0);
}

/** A back end may answer with more bits than were asked for. */
function truncated(value: number, width: Width): number {
  return width === 4 ? value >>> 0 : value & (2 ** (8 * width) - 1);
}

/** Where a capability begins, or why there is none. */
function find(target: SetpciTarget, { id, extended, instance }: NonNullable<Operation['capability']>): number | string {
  const found = [...(extended ? extendedList(target) : plainList(target))].filter((one) => one.id === id);
  const name = `${extended ? 'extended capability' : 'capability'} ${id.toString(16).padStart(extended ? 4 : 2, '0')}`;
  return found[instance]?.off ?? (found.length === 0 ? `no ${name} here` : `${name} is here ${found.length} times, from instance 0 on`);
}

interface Entry {
  readonly id: number;
  readonly off: number;
}

function* plainList({ config }: SetpciTarget): Generator<Entry> {
  const read = (off: number, width: Width): number => truncated(config.read(off, width).value, width);
  if ((read(Pci.STATUS, 2) & PciStatus.CAPABILITIES) === 0) return;
  let off = read(Pci.CAPABILITY_POINTER, 1) & ~3;
  for (let i = 0; i < LIST_MAX && off >= 0x40; i++) {
    const id = read(off, 1);
    if (id === 0xff) return;
    yield { id, off };
    off = read(off + 1, 1) & ~3;
  }
}

function* extendedList({ config }: SetpciTarget): Generator<Entry> {
  let off: number = PciExtCap.FIRST_OFF;
  for (let i = 0; i < EXTENDED_LIST_MAX && off >= PciExtCap.FIRST_OFF; i++) {
    const { code, value } = config.read(off, 4);
    if (code !== 0 || value === 0 || value >>> 0 === 0xffffffff) return;
    yield { id: value & 0xffff, off };
    off = (value >>> PciExtCap.NEXT_SHIFT) & ~3;
  }
}
