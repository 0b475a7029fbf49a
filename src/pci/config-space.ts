import { Pci, PciBridge, PciCap, PciExp, PciExtCap } from '../../assembly/spec/pci';
import { BarKind } from '../../assembly/spec/state';
import { PortcullisError } from '../errors';
import type { BarRange, Capability } from './capabilities/capability';
import { refuse } from './capabilities/capability';
import { ConfigPlanes, type Field, field } from './fields';
import { type BarDefinition, type HeaderDefinition, type Place, typeOneFields, typeZeroFields } from './header';

export type { BarDefinition } from './header';

/** A config space by named fields. One with a PCI Express capability has 4096 bytes, others 256. */
export interface ConfigDefinition extends HeaderDefinition {
  /** Type 1 header: a bridge. Its subsystem ids, if any, are a capability. */
  bridge?: boolean;
  subsystemVendorId?: number;
  subsystemId?: number;
  /** In any order; they are linked in the order of their offsets. */
  capabilities?: readonly Capability[];
  /** Registers of the device's own behind the header, by config offset. */
  own?: readonly Field[];
  /** All of it as it is on a real machine, in place of what would follow from the fields. */
  image?: ConfigImage;
}

/**
 * What the engine keeps for each byte of config space (value, write mask, write-1-clear mask), and where things are.
 */
export interface ConfigImage {
  value: Uint8Array;
  /** What a reset gives each byte. */
  reset: Uint8Array;
  writable: Uint8Array;
  clearable: Uint8Array;
  pmCap: number;
  msiCap: number;
  msixCap: number;
  expressCap: number;
  msix: Capability['msix'];
}

const ANYWHERE: Place = { rootBus: true, multiFunction: false };

export function barKind(bar: BarDefinition): BarKind {
  return bar.kind === 'io' ? BarKind.IO : bar.kind === 'memory64' ? BarKind.MEMORY_64 : BarKind.MEMORY_32;
}

function checkBars({ bars, bridge }: ConfigDefinition): void {
  const registers = bridge ? PciBridge.BARS : 6;
  bars.forEach((bar, index) => {
    if (bar === undefined) return;
    const [low, high] = bar.kind === 'io' ? [4, 256] : [16, 0x80000000];
    const bad = (why: string): never => {
      throw new PortcullisError('BAD_BAR', `BAR ${index} ${why}`, { index, ...bar });
    };
    if (!Number.isInteger(bar.size) || bar.size < low || bar.size > high || Math.log2(bar.size) % 1 !== 0) {
      bad(`has ${bar.size} bytes; an ${bar.kind === 'io' ? 'I/O' : 'memory'} BAR has a power of two from ${low} to ${high}`);
    }
    if (index + (bar.kind === 'memory64' ? 1 : 0) >= registers) {
      bad(`is beyond the ${bridge ? 'two registers of a type 1 header' : 'six registers of a type 0 header'}`);
    }
    if (bar.kind === 'memory64' && bars[index + 1] !== undefined) {
      bad(`is 64 bits wide and overlaps BAR ${index + 1}, which must be left out`);
    }
  });
}

const [ROM_LEAST, ROM_MOST] = [2048, 16 << 20];

function checkRom({ rom, bridge }: ConfigDefinition): void {
  if (rom === undefined) return;
  if (bridge) throw new PortcullisError('BAD_ROM', 'an expansion ROM of a bridge is not modelled; leave it out', { rom });
  if (!Number.isInteger(rom) || rom < ROM_LEAST || rom > ROM_MOST || Math.log2(rom) % 1 !== 0) {
    throw new PortcullisError('BAD_ROM', `the expansion ROM has ${rom} bytes; it has a power of two from ${ROM_LEAST} to ${ROM_MOST}`,
      { rom });
  }
}

function inBar(what: string, range: BarRange, bars: ConfigDefinition['bars']): void {
  const bar = bars[range.bar];
  if (bar === undefined || bar.kind === 'io') {
    refuse('MSI-X', `has its ${what} in BAR ${range.bar}, which is no memory BAR`, { ...range });
  }
  if (range.off + range.size > bar.size) {
    refuse('MSI-X', `has its ${what} at ${range.off} to ${range.off + range.size - 1} of BAR ${range.bar}, which has `
      + `${bar.size} bytes`, { ...range });
  }
}

function checkMsix({ table, pending }: NonNullable<Capability['msix']>, bars: ConfigDefinition['bars']): void {
  inBar('table', table, bars);
  inBar('pending bits', pending, bars);
  if (table.bar === pending.bar && table.off < pending.off + pending.size && pending.off < table.off + table.size) {
    refuse('MSI-X', `has its pending bits at ${pending.off} of BAR ${pending.bar}, in the middle of its table`,
      { ...pending });
  }
}

function checkPlaces(capabilities: readonly Capability[], size: number): void {
  for (const { name, off, size: bytes, version } of capabilities) {
    const [first, end] = version === undefined ? [PciCap.FIRST_OFF, Pci.CONFIG_SIZE] : [PciExtCap.FIRST_OFF, size];
    if (version !== undefined && size === Pci.CONFIG_SIZE) {
      refuse(name, 'is an extended one and needs a PCI Express capability');
    }
    if (off % 4 !== 0 || off < first || off + bytes > end) {
      refuse(name, `is at 0x${off.toString(16)}; it takes ${bytes} bytes, from a multiple of 4 between `
        + `0x${first.toString(16)} and 0x${(end - 1).toString(16)}`, { off });
    }
  }
  const sorted = [...capabilities].sort((a, b) => a.off - b.off);
  sorted.forEach((one, index) => {
    const next = sorted[index + 1];
    if (next === undefined || one.off + one.size <= next.off) return;
    refuse(one.name, `at 0x${one.off.toString(16)} to 0x${(one.off + one.size - 1).toString(16)} overlaps the `
      + `${next.name} capability at 0x${next.off.toString(16)}`, { off: one.off });
  });
}

/** Id and link of each: the list begins in the header, that of extended ones at 0x100 (PCI Express 6.0 §7.6.3). */
function addCapabilities(planes: ConfigPlanes, capabilities: readonly Capability[], place: Place): void {
  const sorted = [...capabilities].sort((a, b) => a.off - b.off);
  const plain = sorted.filter(({ version }) => version === undefined);
  const extended = sorted.filter(({ version }) => version !== undefined);
  for (const list of [plain, extended]) {
    list.forEach((one, index) => {
      const next = list[index + 1]?.off ?? 0;
      const link = one.version === undefined
        ? [field('Capability ID', 0, 1, '', { value: one.id }), field('Next Capability', 1, 1, '', { value: next })]
        : [field('Extended Capability Header', 0, 4, '',
          { value: one.id | one.version << PciExtCap.VERSION_SHIFT | next << PciExtCap.NEXT_SHIFT })];
      planes.add(one.off, `the ${one.name} capability`, [...link, ...one.fields(place)]);
    });
  }
  const [first] = plain;
  if (first !== undefined) planes.value[Pci.CAPABILITY_POINTER] = first.off;
  const [firstExtended] = extended;
  if (firstExtended !== undefined && firstExtended.off !== PciExtCap.FIRST_OFF) {
    refuse(firstExtended.name, `is at 0x${firstExtended.off.toString(16)}; the list of extended ones begins at 0x100`);
  }
}

function offsetOf(capabilities: readonly Capability[], id: PciCap): number {
  const found = capabilities.filter((one) => one.version === undefined && one.id === id);
  if (found.length > 1) refuse((found[0] as Capability).name, 'is there twice');
  return found[0]?.off ?? 0;
}

/** Function 0 says that there are others, so that they are found. */
function imageAt(image: ConfigImage, { multiFunction, routing = 0 }: Place): ConfigImage {
  if (!multiFunction || (routing & 7) !== 0) return image;
  const marked = (plane: Uint8Array): Uint8Array => plane.map((byte, off) =>
    (off === Pci.HEADER_TYPE ? byte | Pci.HEADER_MULTI_FUNCTION : byte));
  return { ...image, value: marked(image.value), reset: marked(image.reset) };
}

/** Type of the port or endpoint that the PCI Express capability names; undefined without one. */
export function expressType(definition: ConfigDefinition): number | undefined {
  const { value, expressCap } = buildConfig(definition);
  if (expressCap === 0) return undefined;
  return (value[expressCap + PciExp.FLAGS] as number) >> PciExp.FLAGS_TYPE_SHIFT;
}

/** Builds the image. Throws BAD_BAR, BAD_CAPABILITY or CONFIG_OVERLAP for what cannot be. */
export function buildConfig(definition: ConfigDefinition, place: Place = ANYWHERE): ConfigImage {
  checkBars(definition);
  checkRom(definition);
  if (definition.image !== undefined) return imageAt(definition.image, place);
  const { capabilities = [], bars } = definition;
  const expressCap = offsetOf(capabilities, PciCap.EXP);
  const planes = new ConfigPlanes(expressCap === 0 ? Pci.CONFIG_SIZE : Pci.EXTENDED_CONFIG_SIZE);
  checkPlaces(capabilities, planes.size);
  const msix = capabilities.find((one) => one.msix !== undefined)?.msix;
  if (msix !== undefined) checkMsix(msix, bars);
  const listed = capabilities.some(({ version }) => version === undefined);
  const { subsystemVendorId = 0, subsystemId = 0 } = definition;
  planes.add(0, 'the header', definition.bridge ? typeOneFields(definition, place, listed)
    : typeZeroFields({ ...definition, subsystemVendorId, subsystemId }, place, listed));
  planes.add(0, 'the device', definition.own ?? []);
  addCapabilities(planes, capabilities, place);
  return {
    value: planes.value, reset: planes.value, writable: planes.writable, clearable: planes.clearable, expressCap, msix,
    pmCap: offsetOf(capabilities, PciCap.PM), msiCap: offsetOf(capabilities, PciCap.MSI),
    msixCap: offsetOf(capabilities, PciCap.MSIX),
  };
}
