// Addresses and interrupts of a device that a description gives by hand, where firmware would choose.
import { Pci, PciBar } from '../../assembly/spec/pci';
import type { DeviceDefinition } from '../devices/definition';
import { PortcullisError } from '../errors';
import { bdfOf, formatBdf } from '../pci/bdf';
import { DEFAULT_RESOURCES } from '../pci/enumerate';
import { parseSize } from './size';

/** Fields of a device in a description. */
export interface PlaceDescription {
  /** Address of each BAR by its number, as in {"0": "0xfe640000", "1": "0xd2c0"} (default: firmware's choice). */
  bars?: Record<string, string>;
  /** An expansion ROM that the device has besides its model's BARs. */
  rom?: RomDescription;
  /** Interrupt that its pin leads to, from 16 to 23 (default: by its place). */
  gsi?: number;
  /** Number of that interrupt in dom0's Linux, from 1 to 255 (default: the same); xl can give away those up to 23. */
  irq?: number;
  /** Byte 3C of config space as firmware leaves it, from 1 to 255 (default: the interrupt). */
  interruptLine?: number;
}

export interface RomDescription {
  /** From 2KiB to 16MiB, a power of two. */
  size: string;
  address?: string;
}

export interface ResolvedPlace {
  /** Address of each BAR, by number. */
  readonly bars: ReadonlyMap<number, number>;
  readonly rom: number | undefined;
  readonly interruptLine: number | undefined;
  /** Bytes of the expansion ROM. */
  readonly romSize: number | undefined;
  readonly gsi: number | undefined;
  readonly irq: number | undefined;
}

export const PLACE_FIELDS = ['bars', 'rom', 'gsi', 'irq', 'interruptLine'] as const;
export const ROM_FIELDS = ['size', 'address'] as const;

const FOUR_GIB = 2 ** 32;
/** Frames have 28 bits. */
const MEMORY_END = 2 ** 40;
/** Ports below belong to the board. */
const FIRST_PORT = 0x1000;
const [FIRST_GSI, LAST_GSI] = [16, 23] as const;

type Refuse = (why: string, fields?: Record<string, unknown>) => never;

/** Throws BAD_ADDRESS, BAD_INTERRUPT or BAD_ROM, with the device and the field. */
export function resolvePlace(description: PlaceDescription, definition: DeviceDefinition, routing: number): ResolvedPlace {
  const bdf = formatBdf(bdfOf(routing));
  const refuse = (code: string): Refuse => (why, fields = {}) => {
    throw new PortcullisError(code, `${definition.model} at ${bdf}: ${why}`, { bdf, ...fields });
  };
  const { rom, gsi, irq, interruptLine } = description;
  const bars = new Map(Object.entries(description.bars ?? {}).map(([index, text]) =>
    [Number(index), barAddress(index, text, definition, refuse('BAD_ADDRESS'))] as const));
  const romSize = rom === undefined ? undefined : sizeOfRom(rom, definition, refuse('BAD_ROM'));
  const whole = (name: string, value: number | undefined, low: number, high: number): void => {
    if (value === undefined || (Number.isInteger(value) && value >= low && value <= high)) return;
    refuse('BAD_INTERRUPT')(`${name} is ${String(value)}; it is a whole number from ${low} to ${high}`, { [name]: value });
  };
  whole('gsi', gsi, FIRST_GSI, LAST_GSI);
  whole('irq', irq, 1, 255);
  whole('interruptLine', interruptLine, 1, 255);
  if ((gsi ?? irq) !== undefined && (definition.config?.interruptPin ?? 0) === 0) {
    refuse('BAD_INTERRUPT')('it has no interrupt pin; leave "gsi" and "irq" out');
  }
  return {
    bars, romSize, gsi, irq, interruptLine: interruptLine ?? gsi,
    rom: rom?.address === undefined ? undefined
      : checkMemory('the ROM', parseAddress('the ROM', rom.address, refuse('BAD_ADDRESS')), romSize as number, false, refuse('BAD_ADDRESS')),
  };
}

/** Firmware chooses everything. */
export const FIRMWARE_PLACE: ResolvedPlace = {
  bars: new Map(), rom: undefined, interruptLine: undefined, romSize: undefined, gsi: undefined, irq: undefined,
};

/**
 * Where a function of a dump was on the machine that it is of. Its interrupt in Linux is also the one that the pin leads
 * to, where that can be. Throws BAD_ADDRESS for an address that this machine does not have.
 */
export function placeOfDump(definition: DeviceDefinition, routing: number): ResolvedPlace {
  const { config, dump } = definition;
  if (config?.image === undefined) return FIRMWARE_PLACE;
  const { value } = config.image;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const hex = (address: number): string => `0x${address.toString(16)}`;
  const bars = config.bars.flatMap((bar, index) => {
    if (bar === undefined) return [];
    const off = Pci.BAR0 + 4 * index;
    const low = view.getUint32(off, true);
    const high = bar.kind === 'memory64' ? view.getUint32(off + 4, true) : 0;
    const address = high * 2 ** 32 + ((low & ~(bar.kind === 'io' ? PciBar.IO_FLAGS : PciBar.MEMORY_FLAGS)) >>> 0);
    return address === 0 ? [] : [[String(index), hex(address)] as const];
  });
  const irq = dump?.irq !== undefined && dump.irq >= 1 && dump.irq <= 255 && config.interruptPin !== 0 ? dump.irq : undefined;
  const place = resolvePlace({
    bars: Object.fromEntries(bars), ...(value[Pci.INTERRUPT_LINE] !== 0 && { interruptLine: value[Pci.INTERRUPT_LINE] as number }),
    ...(irq !== undefined && { irq }), ...(irq !== undefined && irq >= FIRST_GSI && irq <= LAST_GSI && { gsi: irq }),
  }, definition, routing);
  const rom = config.bridge ? 0 : (view.getUint32(Pci.ROM_ADDRESS, true) & ~PciBar.ROM_FLAGS) >>> 0;
  return rom === 0 ? place : { ...place, rom };
}

function barAddress(index: string, text: string, definition: DeviceDefinition, refuse: Refuse): number {
  const bars = definition.config?.bars ?? [];
  const bar = /^[0-5]$/.test(index) ? bars[Number(index)] : undefined;
  if (bar === undefined) {
    const have = bars.flatMap((one, at) => (one === undefined ? [] : [at]));
    return refuse(`there is no BAR ${index}; it has ${have.length === 0 ? 'none' : `BAR ${have.join(', ')}`}`, { index });
  }
  const what = `BAR ${index}`;
  const address = parseAddress(what, text, refuse);
  if (bar.kind !== 'io') return checkMemory(what, address, bar.size, bar.kind === 'memory64', refuse);
  aligned(what, address, bar.size, refuse);
  if (address < FIRST_PORT || address + bar.size > 0x10000) {
    refuse(`${what} is at port ${text}; ports are from 0x${FIRST_PORT.toString(16)} to 0xffff`, { address });
  }
  return address;
}

export function parseAddress(what: string, text: unknown, refuse: Refuse): number {
  if (typeof text !== 'string' || !/^0x[0-9a-f]{1,10}$/i.test(text)) {
    return refuse(`${what} is at ${JSON.stringify(text)}; write an address in hexadecimal, as in "0xfe640000"`, { text });
  }
  return Number(text);
}

function aligned(what: string, address: number, size: number, refuse: Refuse): void {
  if (address % size === 0) return;
  refuse(`${what} is at 0x${address.toString(16)}; it has 0x${size.toString(16)} bytes, and its address is a multiple of that`,
    { address, size });
}

/** Memory of devices lies in the hole below 4 GiB; 64-bit BARs go above RAM, too. */
function checkMemory(what: string, address: number, size: number, wide: boolean, refuse: Refuse): number {
  aligned(what, address, size, refuse);
  const [low, high] = DEFAULT_RESOURCES.memory;
  const inHole = address >= low && address + size <= high;
  const above = wide && address >= FOUR_GIB && address + size <= MEMORY_END;
  if (!inHole && !above) {
    refuse(`${what} is at 0x${address.toString(16)}; it lies from 0x${low.toString(16)} to 0x${(high - 1).toString(16)}`
      + `${wide ? ', or above 4 GiB' : ''}`, { address });
  }
  return address;
}

function sizeOfRom(rom: RomDescription, definition: DeviceDefinition, refuse: Refuse): number {
  if (typeof rom !== 'object' || rom === null || typeof rom.size !== 'string') {
    return refuse('"rom" has a size, as in {"size": "256KiB", "address": "0xfe500000"}');
  }
  for (const key of Object.keys(rom)) {
    if (!(ROM_FIELDS as readonly string[]).includes(key)) refuse(`"rom" has no field "${key}"; it has ${ROM_FIELDS.join(', ')}`, { key });
  }
  if (definition.config === undefined || definition.config.bridge) refuse('a bridge has no ROM here; leave "rom" out');
  const size = parseSize(rom.size, `the ROM of ${definition.model}`);
  if (size < 2048 || size > 16 << 20 || Math.log2(size) % 1 !== 0) {
    refuse(`the ROM has ${rom.size}; it is a power of two from 2KiB to 16MiB`, { size });
  }
  return size;
}
