/** Reads what people type after an option. Everything here throws one sentence that names option, value and range. */

import { MODELLED_POLICIES, POLICY_NAMES, PROFILE_NAMES } from '../index';
import type { Owner, PolicyName } from '../index';
import { OWNER_NAMES } from '../report/wording';
import { nearest, usage } from './exit';

/** The devices that a comparison can be run with. */
export const COMPARED_DEVICES = ['e1000'] as const;
export const ALLOCATORS = ['magazine', 'tree'] as const;
export const INJECTIONS = ['corrupt'] as const;

export const FRAME_BYTES = { least: 60, most: 1514 } as const;
export const RANGES = {
  '--packets': { least: 1, most: 10_000_000 },
  '--batch': { least: 1, most: 255 },
  '--rounds': { least: 0, most: 1000 },
  '--seed': { least: 0, most: 0xffffffff },
} as const;

/** A parser of a whole number: digits and nothing else, within the range of `option`. */
export function wholeNumber(option: keyof typeof RANGES): (text: string) => number {
  const { least, most } = RANGES[option];
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw usage(`${option} is '${text}'; give a whole number from ${least} to ${most}`);
    }
    return value;
  };
}

/** A parser of one of `names`. */
export function oneOf<T extends string>(option: string, names: readonly T[]): (text: string) => T {
  return (text) => {
    const found = names.find((name) => name === text);
    if (found !== undefined) return found;
    throw usage(`${option} is '${text}'; ${choice(names)}${meant(text, names)}`);
  };
}

/** A parser of names with commas between them; one given twice counts once. */
function listOf<T>(option: string, read: (item: string) => T): (text: string) => T[] {
  return (text) => {
    const items = text.split(',').map((item) => item.trim());
    if (items.includes('')) {
      throw usage(`${option} is '${text}', in which a name is missing; separate names by single commas, as in a,b`);
    }
    return [...new Set(items.map(read))];
  };
}

export const readPolicies: (text: string) => PolicyName[] = listOf('--policies', (item) => {
  const found = MODELLED_POLICIES.find((name) => name === item);
  if (found !== undefined) return found;
  const isKnown = (POLICY_NAMES as readonly string[]).includes(item);
  throw usage(isKnown
    ? `policy '${item}' in --policies cannot be compared yet; those that can are ${MODELLED_POLICIES.join(', ')}`
    : `unknown policy '${item}' in --policies; ${choice(MODELLED_POLICIES)}${meant(item, MODELLED_POLICIES)}`);
});

export const readOwners: (text: string) => Owner[] = listOf('--owners', (item) => {
  const found = OWNER_NAMES.find((name) => name === item);
  if (found !== undefined) return found;
  throw usage(`unknown owner '${item}' in --owners; ${choice(OWNER_NAMES)}${meant(item, OWNER_NAMES)}`);
});

export const readWorkloads: (text: string) => string[] = listOf('--workloads', (item) => {
  if (item === 'pcap' || item === 'imix') return item;
  const bytes = Number(item);
  if (/^[1-9]\d*$/.test(item) && bytes >= FRAME_BYTES.least && bytes <= FRAME_BYTES.most) return item;
  throw usage(`unknown workload '${item}' in --workloads; give pcap, imix, or the size of a frame from `
    + `${FRAME_BYTES.least} to ${FRAME_BYTES.most} bytes`);
});

export function readDevice(text: string): (typeof COMPARED_DEVICES)[number] {
  const found = COMPARED_DEVICES.find((name) => name === text);
  if (found !== undefined) return found;
  throw usage(`unknown device '${text}' in --device; ${choice(COMPARED_DEVICES)}`);
}

export const readProfile = oneOf('--profile', PROFILE_NAMES);

/** Adds one NAME=VALUE to those before it. Whether there is such a parameter, the cost model knows. */
export function readSetting(text: string, before: Record<string, number> = {}): Record<string, number> {
  const at = text.indexOf('=');
  if (at < 1) throw usage(`--set is '${text}'; give NAME=VALUE, as in --set cHypercall=1500`);
  const [name, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) || !Number.isFinite(Number(value))) {
    throw usage(`--set gives ${name} the value '${value}'; give a decimal number, as in 1500, 0.5 or 3.1e9`);
  }
  if (Object.hasOwn(before, name)) throw usage(`--set gives ${name} twice; give it once`);
  return { ...before, [name]: Number(value) };
}

function choice(names: readonly string[]): string {
  return names.length === 1 ? `there is only ${names[0]}` : `there are ${names.join(', ')}`;
}

function meant(text: string, names: readonly string[]): string {
  const near = nearest(text, names);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
