// The options of Xen's command line that concern devices (docs/misc/xen-command-line): iommu=, dom0-iommu=.

export type Dom0Mode = 'passthrough' | 'relaxed' | 'strict';
export type Quarantine = 'off' | 'basic' | 'scratch-page';

export interface XenOptions {
  /** Whether the unit is used, if there is one. */
  iommu: boolean;
  /** The machine must not come up without. */
  required: boolean;
  interruptRemapping: boolean;
  quarantine: Quarantine;
  dom0Mode: Dom0Mode;
}

export const XEN_DEFAULTS: Readonly<XenOptions> = {
  iommu: true, required: false, interruptRemapping: true, quarantine: 'basic', dom0Mode: 'relaxed',
};

/** Words of iommu= that say nothing to this model: the unit is what it is. */
const ACCEPTED = ['verbose', 'debug', 'sharept', 'superpages', 'intpost', 'snoop', 'qinval', 'igfx', 'crash-disable',
  'amd-iommu-perdev-intremap'];
const DOM0_ACCEPTED = ['map-reserved', 'map-inclusive'];

interface Word {
  name: string;
  /** Undefined for a value that is no truth value. */
  on: boolean | undefined;
  value: string | undefined;
}

const TRUTH: ReadonlyMap<string, boolean> = new Map([
  ...['1', 'yes', 'on', 'true', 'enable'].map((word) => [word, true] as const),
  ...['0', 'no', 'off', 'false', 'disable'].map((word) => [word, false] as const),
]);

/** `name`, `no-name`, `name=value`. */
function wordOf(text: string): Word {
  const at = text.indexOf('=');
  if (at >= 0) return { name: text.slice(0, at), value: text.slice(at + 1), on: TRUTH.get(text.slice(at + 1)) };
  return text.startsWith('no-') ? { name: text.slice(3), value: undefined, on: false } : { name: text, value: undefined, on: true };
}

/** What the command line says, and a line for each word that is not known; that word changes nothing. */
export function parseXenCommandLine(text: string): { options: XenOptions; problems: string[] } {
  const options: XenOptions = { ...XEN_DEFAULTS };
  const problems: string[] = [];
  for (const parameter of text.split(/\s+/).filter((one) => one !== '')) {
    const at = parameter.indexOf('=');
    const [name, list] = at < 0 ? [parameter, undefined] : [parameter.slice(0, at), parameter.slice(at + 1)];
    const take = name === 'iommu' ? iommuWord : name === 'dom0-iommu' ? dom0Word : undefined;
    if (take === undefined) continue;
    for (const word of (list ?? 'on').split(',')) {
      if (!take(options, word)) problems.push(`parameter "${name}": "${word}" is not known, and ignored`);
    }
  }
  return { options, problems };
}

function iommuWord(options: XenOptions, text: string): boolean {
  const plain = TRUTH.get(text);
  if (plain !== undefined) {
    options.iommu = plain;
    return true;
  }
  const { name, on, value } = wordOf(text);
  if (name === 'quarantine') {
    if (value === 'scratch-page') options.quarantine = 'scratch-page';
    else if (on !== undefined) options.quarantine = on ? 'basic' : 'off';
    return value === 'scratch-page' || on !== undefined;
  }
  if (on === undefined) return false;
  if (name === 'force' || name === 'required') options.required = on;
  else if (name === 'intremap') options.interruptRemapping = on;
  // the old names of dom0-iommu=passthrough and strict
  else if (name === 'dom0-passthrough') options.dom0Mode = on ? 'passthrough' : 'relaxed';
  else if (name === 'dom0-strict') options.dom0Mode = on ? 'strict' : 'relaxed';
  else return ACCEPTED.includes(name);
  return true;
}

function dom0Word(options: XenOptions, text: string): boolean {
  const { name, on } = wordOf(text);
  if (on === undefined) return false;
  if (name === 'passthrough' || name === 'strict') {
    if (on) options.dom0Mode = name;
    else if (options.dom0Mode === name) options.dom0Mode = 'relaxed';
    return true;
  }
  return name === 'none' || DOM0_ACCEPTED.includes(name);
}
