import { Pci, PciBar, PciBridge } from '../../../assembly/spec/pci';
import { IORESOURCE, type Resource } from '../dom0/types';
import { type BarState, type ConfigField, configField, type FieldDevice } from './config-field';

/** Bits of a write that do not count when a guest asks for the size: flags, and of a ROM all below its granularity. */
const ROM_IGNORED = 0x7ff;

const UNUSED: Resource = { start: 0, end: 0, flags: 0 };

/** Both halves of a number below 2^64. */
function halves(value: bigint): { low: number; high: number } {
  return { low: Number(BigInt.asUintN(32, value)), high: Number(BigInt.asUintN(32, value >> 32n)) };
}

function sizeOf({ start, end }: Resource): bigint {
  return BigInt(end) - BigInt(start) + 1n;
}

/** The upper half of the 64-bit BAR before it, an I/O or a memory BAR, or one that the function does not have. */
function barState(own: Resource, before: Resource): BarState {
  if ((before.flags & IORESOURCE.MEM_64) !== 0) {
    return { value: halves(BigInt(before.start)).high, sizeMask: halves(-sizeOf(before)).high, ignored: 0, sizing: false };
  }
  const io = (own.flags & IORESOURCE.IO) !== 0;
  const ignored = io ? PciBar.IO_FLAGS : PciBar.MEMORY_FLAGS;
  if (!io && (own.flags & IORESOURCE.MEM) === 0) return { value: 0, sizeMask: 0, ignored, sizing: false };
  const flags = own.flags & 0xf;
  return {
    value: (halves(BigInt(own.start)).low | flags) >>> 0, sizeMask: (halves(-sizeOf(own)).low | flags) >>> 0,
    ignored, sizing: false,
  };
}

/** BARs of a function, the ROM's last. `count`: six, or two of a bridge. */
export function barStates(resources: readonly Resource[], count: number): BarState[] {
  const states = Array.from({ length: count },
    (_, index) => barState(resources[index] ?? UNUSED, index > 0 ? resources[index - 1] ?? UNUSED : UNUSED));
  // the ROM's resource is the seventh in sysfs, of bridges too
  return [...states, { ...barState(resources[6] ?? UNUSED, UNUSED), ignored: ROM_IGNORED }];
}

/**
 * All ones make the next reads give the size. Anything else ends that; the address is written only when the hardware has
 * lost it, as by a reset, and only as it was.
 */
function writeBar({ raw, bars }: FieldDevice, index: number, off: number, value: number): number {
  const bar = bars[index] as BarState;
  bar.sizing = (value | bar.ignored) >>> 0 === 0xffffffff;
  if (!bar.sizing && value === bar.value && raw.get(off, 4) !== bar.value) raw.set(off, 4, value);
  return 0;
}

function barField(name: string, index: number, off: number): ConfigField {
  return configField(name, off, 4, {
    read: ({ bars }) => {
      const bar = bars[index] as BarState;
      return bar.sizing ? bar.sizeMask : bar.value;
    },
    write: (device, value) => writeBar(device, index, off, value),
  });
}

function barFields(count: number, rom: number): ConfigField[] {
  return [
    ...Array.from({ length: count }, (_, index) => barField(`BAR ${index}`, index, Pci.BAR0 + 4 * index)),
    barField('Expansion ROM', count, rom),
  ];
}

export const TYPE_0_BARS = barFields(6, Pci.ROM_ADDRESS);
export const TYPE_1_BARS = barFields(PciBridge.BARS, PciBridge.ROM_ADDRESS);
