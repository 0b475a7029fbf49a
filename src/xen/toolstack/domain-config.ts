/** What a domain is to be: the settings of xl.cfg(5) that this machine knows, checked. */

import { PortcullisError } from '../../errors';
import type { ConfigText, ConfigValue } from './config-text';
import { PCI_SPEC_DEFAULTS, type PciSpec, type PciSpecDefaults, parsePciSpec } from './pci-spec';

export type DomainType = 'pv' | 'hvm' | 'pvh';
export type Passthrough = 'default' | 'disabled' | 'enabled' | 'sync_pt' | 'share_pt';

/** What becomes of a domain that has stopped. */
export const END_ACTIONS = [
  'destroy', 'restart', 'rename-restart', 'preserve', 'coredump-destroy', 'coredump-restart',
] as const;
export type EndAction = (typeof END_ACTIONS)[number];

export const PCI_FRONT_ENDS = ['linux', 'none', 'wrong-magic', 'no-timeout'] as const;

/** First and number. */
export interface Range {
  readonly first: number;
  readonly count: number;
}

export interface DomainConfig {
  readonly name: string;
  readonly uuid: string | undefined;
  readonly type: DomainType;
  /** MiB. */
  readonly memory: number;
  readonly vcpus: number;
  readonly kernel: string;
  /** Text of the file that `kernel` names. */
  readonly module: string | undefined;
  readonly commandLine: string;
  readonly pcifront: string;
  readonly pci: readonly PciSpec[];
  readonly passthrough: Passthrough;
  /** Whether the guest has the host's memory map; a PV guest with devices always does. */
  readonly e820Host: boolean;
  readonly ioports: readonly Range[];
  readonly irqs: readonly number[];
  /** Machine frames. */
  readonly iomem: readonly Range[];
  readonly onPoweroff: EndAction;
  readonly onReboot: EndAction;
  readonly onCrash: EndAction;
}

/** A setting that cannot be taken. */
export class DomainConfigError extends PortcullisError {
  constructor(message: string, fields: Record<string, unknown> = {}) {
    super('XL_CFG', message, fields);
    this.name = 'DomainConfigError';
  }
}

/** Settings of xl.cfg(5) about what is not modelled: taken, and told. */
const NOT_MODELLED = new Set([
  'disk', 'vif', 'vfb', 'usbdev', 'usbctrl', 'vtpm', 'channel', 'ramdisk', 'bootloader', 'bootloader_args', 'root', 'cpus',
  'cpu_weight', 'cap', 'maxvcpus', 'maxmem', 'on_watchdog', 'on_soft_reset', 'boot', 'vnc', 'sdl', 'gfx_passthru', 'rdm',
  'serial', 'acpi', 'apic', 'hap', 'localtime', 'seclabel', 'pool', 'description', 'pvshim', 'firmware', 'rdm_mem_boundary',
]);

const KNOWN = new Set([
  'name', 'uuid', 'type', 'builder', 'memory', 'vcpus', 'kernel', 'extra', 'cmdline', 'pcifront', 'pci', 'passthrough',
  'e820_host', 'ioports', 'irqs', 'iomem', 'on_poweroff', 'on_reboot', 'on_crash', 'pci_permissive',
  'pci_msitranslate', 'pci_seize', 'pci_power_mgmt',
]);

/** The settings, one by one. */
class Settings {
  readonly #text: ConfigText;

  constructor(text: ConfigText) {
    this.#text = text;
  }

  string(name: string): string | undefined {
    const value = this.#text.get(name);
    if (value === undefined) return undefined;
    if (value.kind !== 'list') return textOf(name, value.line, value.text);
    throw new DomainConfigError(`line ${value.line}: ${name} is a list; it must be a string`, { name });
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.string(name);
    if (text === undefined) return undefined;
    const found = choices.find((one) => one === text);
    if (found === undefined) {
      throw new DomainConfigError(`${name} is "${text}"; it must be one of ${choices.join(', ')}`, { name, text });
    }
    return found;
  }

  integer(name: string, low: number, high: number): number | undefined {
    const value = this.#text.get(name);
    if (value === undefined) return undefined;
    return integerOf(name, value, low, high);
  }

  flag(name: string): boolean | undefined {
    const value = this.integer(name, 0, 1);
    return value === undefined ? undefined : value === 1;
  }

  list(name: string): readonly ConfigValue[] {
    const value = this.#text.get(name);
    if (value === undefined) return [];
    if (value.kind !== 'list') {
      throw new DomainConfigError(`line ${value.line}: ${name} must be a list, as in ${name} = [ '…' ]`, { name });
    }
    return value.items;
  }

  strings(name: string): string[] {
    return this.list(name).map((item) => {
      if (item.kind !== 'list') return textOf(name, item.line, item.text);
      throw new DomainConfigError(`line ${item.line}: ${name} is a list of strings, and holds a list`, { name });
    });
  }
}

/** What goes to the store and to files ends at a NUL. */
function textOf(name: string, line: number, text: string): string {
  if (!text.includes('\0')) return text;
  throw new DomainConfigError(`line ${line}: ${name} has a NUL in it, which no text here can have`, { name });
}

function integerOf(name: string, value: ConfigValue, low: number, high: number): number {
  const number = value.kind === 'list' || !/^-?(0x[0-9a-f]+|\d+)$/i.test(value.text) ? NaN : Number(value.text);
  if (!Number.isInteger(number) || number < low || number > high) {
    const found = value.kind === 'list' ? 'a list' : `"${value.text}"`;
    throw new DomainConfigError(`line ${value.line}: ${name} is ${found}; it must be a whole number from ${low} to ${high}`,
      { name });
  }
  return number;
}

/** `2f8-2ff`, or one alone. */
function portsOf(text: string): Range {
  const match = /^([0-9a-f]{1,4})(?:-([0-9a-f]{1,4}))?$/i.exec(text);
  const [first, last] = [parseInt(match?.[1] ?? '', 16), parseInt(match?.[2] ?? match?.[1] ?? '', 16)];
  if (match === null || last < first) {
    throw new DomainConfigError(`ioports: "${text}" is no range of ports; write first-last in hexadecimal, as in "2f8-2ff"`,
      { text });
  }
  return { first, count: last - first + 1 };
}

/** `START,NUM[@GFN]`, pages in hexadecimal. */
function framesOf(text: string, type: DomainType): Range {
  const match = /^([0-9a-f]{1,7}),([0-9a-f]{1,7})(@[0-9a-f]{1,7})?$/i.exec(text);
  const [first, count] = [parseInt(match?.[1] ?? '', 16), parseInt(match?.[2] ?? '', 16)];
  if (match === null || count < 1) {
    throw new DomainConfigError(`iomem: "${text}" is no range of pages; write START,NUM in hexadecimal, as in "fed40,5"`,
      { text });
  }
  if (match[3] !== undefined && type === 'pv') {
    throw new DomainConfigError(`iomem: "${text}": a PV guest maps I/O memory itself; leave ${match[3]} out`, { text });
  }
  return { first, count };
}

function typeOf(settings: Settings): DomainType {
  const builder = settings.choice('builder', ['generic', 'hvm']);
  return settings.choice('type', ['pv', 'hvm', 'pvh']) ?? (builder === 'hvm' ? 'hvm' : 'pv');
}

/**
 * Reads the settings; `warn` is told of those that change nothing; `files`: texts of files that came with them. Throws a DomainConfigError or PciSpecError for what
 * cannot be taken.
 */
export function readDomainConfig(text: ConfigText, warn: (message: string) => void,
  files: ReadonlyMap<string, string> = new Map()): DomainConfig {
  for (const [name, { line }] of text) {
    if (NOT_MODELLED.has(name)) warn(`line ${line}: ${name} is not modelled and changes nothing`);
    else if (!KNOWN.has(name)) warn(`line ${line}: there is no setting "${name}"; it changes nothing`);
  }
  const settings = new Settings(text);
  const name = settings.string('name');
  if (name === undefined || name === '') throw new DomainConfigError('the domain has no name; write name = "…"');
  if (!/^[A-Za-z0-9_.:@+-]{1,64}$/.test(name) || /^\d+$/.test(name)) {
    throw new DomainConfigError(`name is "${name}"; it must have 1 to 64 letters, digits and _.:@+-, and be no number`, { name });
  }
  const kernel = settings.string('kernel');
  if (kernel === undefined || kernel === '') {
    throw new DomainConfigError(`domain "${name}" has no kernel; write kernel = "builtin:…" or the path of a module`, { name });
  }
  const uuid = settings.string('uuid');
  if (uuid !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) {
    throw new DomainConfigError(`uuid is "${uuid}"; write 8-4-4-4-12 digits in hexadecimal`, { uuid });
  }
  const type = typeOf(settings);
  const defaults: PciSpecDefaults = {
    ...PCI_SPEC_DEFAULTS,
    permissive: settings.flag('pci_permissive') ?? false, msitranslate: settings.flag('pci_msitranslate') ?? false,
    seize: settings.flag('pci_seize') ?? false, powerMgmt: settings.flag('pci_power_mgmt') ?? false,
  };
  const pci = settings.strings('pci').map((spec) => parsed(spec, defaults));
  return {
    name, uuid: uuid?.toLowerCase(), type, kernel, module: files.get(kernel),
    memory: settings.integer('memory', 1, 1 << 20) ?? 32,
    vcpus: settings.integer('vcpus', 1, 32) ?? 1,
    commandLine: settings.string('cmdline') ?? settings.string('extra') ?? '',
    pcifront: settings.choice('pcifront', PCI_FRONT_ENDS) ?? 'linux',
    pci,
    passthrough: settings.choice('passthrough', ['default', 'disabled', 'enabled', 'sync_pt', 'share_pt']) ?? 'default',
    e820Host: (type === 'pv' && pci.length > 0) || (settings.flag('e820_host') ?? false),
    ioports: settings.strings('ioports').map(portsOf),
    irqs: settings.list('irqs').map((value) => integerOf('irqs', value, 0, 0xff)),
    iomem: settings.strings('iomem').map((range) => framesOf(range, type)),
    onPoweroff: settings.choice('on_poweroff', END_ACTIONS) ?? 'destroy',
    onReboot: settings.choice('on_reboot', END_ACTIONS) ?? 'restart',
    onCrash: settings.choice('on_crash', END_ACTIONS) ?? 'destroy',
  };
}

function parsed(spec: string, defaults: PciSpecDefaults): PciSpec {
  try {
    return parsePciSpec(spec, defaults);
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    throw new DomainConfigError(`unable to parse PCI_SPEC_STRING '${spec}' for passthrough: ${error.message}`, { spec });
  }
}
