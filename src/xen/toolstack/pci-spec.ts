/** How a device is named on xl's command line and in a config: BDF and PCI_SPEC_STRING (xl-pci-configuration(5)). */

import { PortcullisError } from '../../errors';
import { type Bdf, formatBdf } from '../../pci/bdf';

/** A device, or with `allFunctions` every function of its slot. */
export interface DeviceAddress extends Bdf {
  readonly allFunctions: boolean;
}

export type RdmPolicy = 'strict' | 'relaxed';

export interface PciSpec {
  /** One of the two is there. */
  readonly address: DeviceAddress | undefined;
  readonly name: string | undefined;
  /** Slot that the guest should see it in, of which a PV guest takes no notice. */
  readonly vslot: number | undefined;
  readonly permissive: boolean;
  readonly msitranslate: boolean;
  readonly powerMgmt: boolean;
  /** Take it from its driver first. */
  readonly seize: boolean;
  readonly rdmPolicy: RdmPolicy;
}

export type PciSpecDefaults = Pick<PciSpec, 'permissive' | 'msitranslate' | 'powerMgmt' | 'seize' | 'rdmPolicy'>;

export const PCI_SPEC_DEFAULTS: PciSpecDefaults = {
  permissive: false, msitranslate: false, powerMgmt: false, seize: false, rdmPolicy: 'strict',
};

/** A text that names no device; the sentence says what is wrong in it. */
export class PciSpecError extends PortcullisError {
  constructor(message: string, fields: Record<string, unknown> = {}) {
    super('PCI_SPEC', message, fields);
    this.name = 'PciSpecError';
  }
}

/** `[DDDD:]BB:SS.F` in hexadecimal; F may be `*`. Throws a PciSpecError. */
export function parseAddress(text: string): DeviceAddress {
  const match = /^(?:([0-9a-f]+):)?([0-9a-f]+):([0-9a-f]+)\.([0-9a-f]+|\*)$/i.exec(text);
  const [segment, bus, device, fn] = [match?.[1] ?? '0', match?.[2] ?? '', match?.[3] ?? '', match?.[4] ?? ''].map((digits) =>
    digits === '*' ? 0 : parseInt(digits, 16)) as [number, number, number, number];
  if (match === null || segment > 0xffff || bus > 0xff || device > 0x1f || fn > 7) {
    throw new PciSpecError(`"${text}" is no PCI address: write [DDDD:]BB:SS.F in hexadecimal, SS up to 1f, F from 0 to 7 or *`,
      { text });
  }
  return { segment, bus, device, function: fn, allFunctions: match[4] === '*' };
}

/** `04.0` of segment and bus 0 as some of libxl's messages have it: no leading zeros. */
export function shortAddress({ segment, bus, device, function: fn }: Bdf): string {
  return `${segment.toString(16)}:${bus.toString(16)}:${device.toString(16)}.${fn.toString(16)}`;
}

/** `0000-00-04-0`: name of its node below /libxl/pci. */
export function nodeName(bdf: Bdf): string {
  return formatBdf(bdf).replace(/[:.]/g, '-');
}

function slotOf(text: string): number {
  const slot = /^[0-9a-f]{1,2}$/i.test(text) ? parseInt(text, 16) : 0x20;
  if (slot > 0x1f) throw new PciSpecError(`vslot "${text}" is no slot: write 0 to 1f in hexadecimal`, { text });
  return slot;
}

function flagOf(key: string, text: string): boolean {
  if (text !== '0' && text !== '1') throw new PciSpecError(`${key} is "${text}"; it must be 0 or 1`, { key, text });
  return text === '1';
}

/** `bdf[@vslot][,key=value…]`, or only keys. Throws a PciSpecError. */
export function parsePciSpec(text: string, defaults: PciSpecDefaults = PCI_SPEC_DEFAULTS): PciSpec {
  const spec: { -readonly [K in keyof PciSpec]: PciSpec[K] } = {
    ...defaults, address: undefined, name: undefined, vslot: undefined,
  };
  text.split(',').map((part) => part.trim()).forEach((part, index) => {
    const equals = part.indexOf('=');
    if (equals < 0) {
      if (index !== 0) throw new PciSpecError(`"${part}" in "${text}" is no key=value`, { text });
      const [bdf = '', ...slots] = part.split('@');
      if (slots.length > 1) throw new PciSpecError(`"${part}" has more than one @`, { text });
      spec.address = parseAddress(bdf);
      if (slots[0] !== undefined) spec.vslot = slotOf(slots[0]);
      return;
    }
    const [key, value] = [part.slice(0, equals).trim(), part.slice(equals + 1).trim()];
    if (key === 'bdf') {
      if (spec.address !== undefined) throw new PciSpecError(`"${text}" has two addresses`, { text });
      spec.address = parseAddress(value);
    } else if (key === 'vslot') spec.vslot = slotOf(value);
    else if (key === 'name') spec.name = value;
    else if (key === 'permissive') spec.permissive = flagOf(key, value);
    else if (key === 'msitranslate') spec.msitranslate = flagOf(key, value);
    else if (key === 'power_mgmt') spec.powerMgmt = flagOf(key, value);
    else if (key === 'seize') spec.seize = flagOf(key, value);
    else if (key === 'rdm_policy') {
      if (value !== 'strict' && value !== 'relaxed') throw new PciSpecError(`Unknown RDM policy: ${value}`, { text });
      spec.rdmPolicy = value;
    } else throw new PciSpecError(`Unknown PCI_SPEC_STRING option: ${key}`, { text, key });
  });
  if ((spec.address === undefined) === (spec.name === undefined)) {
    throw new PciSpecError(`"${text}" must have either an address or a name`, { text });
  }
  return spec;
}

/** Names of assignable devices: `pci-assignable-add -n`. */
export function checkDeviceName(name: string): void {
  if (name.length > 64) throw new PciSpecError('Name too long', { name });
  if (!/^[\x21-\x7e]+$/.test(name)) throw new PciSpecError('Names may only include printable characters', { name });
}
