// Inert devices from what `lspci -vv -xxxx` printed on a real machine: config space as it was there, BARs that read as
// 0, MSI-X tables that hold what is written, bridges that forward. Nothing behind the registers does anything: no DMA,
// no interrupt, no reset that could be seen beyond config space. Left out: what a write elsewhere would bring about.
import { Pci, PciBridge, PciCap } from '../../../assembly/spec/pci';
import { Model } from '../../../assembly/spec/state';
import { formatBdf, routingId } from '../../pci/bdf';
import { type FoundCapability, capabilitiesIn } from '../../pci/capability-list';
import type { BarDefinition } from '../../pci/header';
import type { DumpedFunction } from '../../pci/lspci-dump';
import type { DeviceDefinition } from '../definition';
import { type DumpedBar, ROM, barsIn, msixRanges } from './bars';
import type { DumpFacts } from './facts';
import { dumpImage } from './image';
import { refuse } from './refuse';
import { chosen } from './select';

/**
 * Of a larger BAR, only so much is decoded; what is behind reads as ones. A page takes 16 bytes of the machine's heap,
 * and there is nothing to be seen in any of them.
 */
const DECODED = { memory: 16 << 20, io: 256 } as const;
/** Interrupt pins are INTA# to INTD#. */
const PINS = 4;

export interface DumpedDevice {
  readonly definition: DeviceDefinition;
  readonly routing: number;
}

function factsOf(dumped: DumpedFunction, bars: readonly DumpedBar[], capabilities: readonly FoundCapability[]): DumpFacts {
  const { line, driver, irq, iommuGroup, deviceName, bytes } = dumped;
  const express = capabilities.some(({ id, version }) => id === PciCap.EXP && version === undefined);
  const capabilitiesUnknown = bytes.length < Pci.CONFIG_SIZE;
  return {
    line, driver, irq, iommuGroup, deviceName, capabilitiesUnknown,
    unknownSizes: bars.filter(({ guessed }) => guessed).map(({ index }) => index),
    extendedUnknown: capabilitiesUnknown || (express && bytes.length < Pci.EXTENDED_CONFIG_SIZE),
  };
}

/** Refuses what is no config space of a function that could answer here. */
function checkBytes(dumped: DumpedFunction, name: string): void {
  const { bytes, bdf } = dumped;
  if (bdf.segment !== 0) refuse(dumped, name, 'this machine has segment 0000 only; leave it out by naming others with "only"');
  if (bytes.length === 0) refuse(dumped, name, 'the file has no bytes of it; make the file with lspci -vv -xxxx, as root');
  if (bytes.every((byte) => byte === 0xff)) {
    refuse(dumped, name, 'reads as ones, as a function does that has no power; wake it up and make the file again, or leave it '
      + 'out by naming others with "only"');
  }
  if (bytes[0] === 0xff && bytes[1] === 0xff) {
    refuse(dumped, name, 'has no ids of its own, as a virtual function (SR-IOV); leave it out by naming others with "only"');
  }
  const layout = (bytes[Pci.HEADER_TYPE] as number) & Pci.HEADER_LAYOUT_MASK;
  if (layout > PciBridge.LAYOUT) {
    refuse(dumped, name, `has header type ${layout}; devices (0) and bridges (1) can be made from a dump; leave it out by naming `
      + 'others with "only"');
  }
}

function barDefinitions(bars: readonly DumpedBar[]): Array<BarDefinition | undefined> {
  const found: Array<BarDefinition | undefined> = [];
  for (const { index, kind, size, prefetchable } of bars) {
    if (index !== ROM) found[index] = { kind, prefetchable, size: Math.min(size, kind === 'io' ? DECODED.io : DECODED.memory) };
  }
  return Array.from(found);
}

/** One function as a device. Throws BAD_DUMP. */
export function dumpDefinition(dumped: DumpedFunction, name: string): DeviceDefinition {
  checkBytes(dumped, name);
  const { bytes } = dumped;
  const view = new DataView(bytes.buffer);
  const capabilities = capabilitiesIn(bytes);
  const bars = barsIn(dumped, name, capabilities);
  const definitions = barDefinitions(bars);
  const ranges = msixRanges(view, capabilities);
  // a table that does not lie in what is decoded has no registers
  const inside = ranges !== undefined && [ranges.table, ranges.pending].every(({ bar, off, size }) => {
    const own = definitions[bar];
    return own !== undefined && own.kind !== 'io' && off + size <= own.size;
  });
  const pin = view.getUint8(Pci.INTERRUPT_PIN);
  return {
    model: `dump of ${formatBdf(dumped.bdf)}`, title: dumped.title, engineModel: Model.PASSIVE,
    config: {
      bridge: (view.getUint8(Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT,
      vendorId: view.getUint16(Pci.VENDOR_ID, true), deviceId: view.getUint16(Pci.DEVICE_ID, true),
      classCode: view.getUint32(Pci.REVISION_ID, true) >>> 8, revision: view.getUint8(Pci.REVISION_ID),
      bars: definitions, interruptPin: pin > PINS ? 0 : pin,
      image: dumpImage(bytes, capabilities, bars, inside ? ranges : undefined),
    },
    registers: [], stateSize: 0, dump: factsOf(dumped, bars, capabilities),
  };
}

/**
 * The functions of a dump as devices: all of them, or those at the addresses in `only`, with the bridges that lead to
 * them and function 0 of their devices. Not among them is the host bridge at 00:00.0; the machine has its own.
 * `name` is the file's, for messages. Throws BAD_DUMP, NOT_IN_DUMP.
 */
export function dumpDevices(functions: readonly DumpedFunction[], name: string, only?: readonly string[]): DumpedDevice[] {
  return chosen(functions, name, only).map((dumped) => ({
    definition: dumpDefinition(dumped, name), routing: routingId(dumped.bdf),
  }));
}
