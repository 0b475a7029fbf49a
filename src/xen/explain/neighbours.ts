// What other devices share with one, and whether anybody uses them.
import type { BarFacts, DeviceFacts, DomainFacts, ExplainFacts, Known, Remedy } from './types';
import { command, isKnown, listed } from './checks';

const PAGE = 4096;
const FIRST_DOMAIN = 0;
const QUARANTINE = 0x7ff1;

export function ownerName(facts: ExplainFacts, owner: number): string {
  if (owner === FIRST_DOMAIN) return 'Domain-0';
  return owner === QUARANTINE ? 'the quarantine' : facts.domain(owner)?.name ?? `domain ${owner}`;
}

/** In the hands of the first domain or of a guest, other than those of the domain that the question is about. */
function usedByOthers(device: DeviceFacts, domain: DomainFacts | undefined): boolean {
  if (device.owner === domain?.domid) return false;
  return device.owner === FIRST_DOMAIN ? device.driver !== 'pciback' && device.driver !== undefined : device.owner !== QUARANTINE;
}

/** Takes a device out of the hands of whoever has it. */
export function takeOut(facts: ExplainFacts, device: DeviceFacts): Remedy {
  return device.owner === FIRST_DOMAIN || device.owner === QUARANTINE ? command(`xl pci-assignable-add ${device.bdf}`)
    : command(`xl pci-detach ${ownerName(facts, device.owner)} ${device.bdf}`);
}

export interface Shared {
  /** The other devices that somebody else uses, and those that nobody does. */
  readonly used: readonly DeviceFacts[];
  readonly idle: readonly DeviceFacts[];
}

function split(others: readonly DeviceFacts[], domain: DomainFacts | undefined): Shared {
  const foreign = others.filter((one) => one.owner !== domain?.domid);
  const used = foreign.filter((one) => usedByOthers(one, domain));
  return { used, idle: foreign.filter((one) => !used.includes(one)) };
}

export const named = (facts: ExplainFacts, devices: readonly DeviceFacts[]): string =>
  listed(devices.map((one) => `${one.bdf} (${ownerName(facts, one.owner)})`));

const memory = ({ bars }: DeviceFacts): BarFacts[] => bars.filter(({ io, address, size }) => !io && address !== 0 && size !== 0);

/** First page and the one behind the last of a BAR that has `size` bytes. */
const pages = ({ address }: BarFacts, size: number): readonly [number, number] =>
  [Math.floor(address / PAGE), Math.ceil((address + size) / PAGE)];

/** Most that a BAR can have: a multiple of its size is where it is. */
function alignment(address: number): number {
  let size = 16;
  while (address % (2 * size) === 0) size *= 2;
  return size;
}

function overlap(one: BarFacts, other: BarFacts, sizeOf: (bar: BarFacts) => number): boolean {
  const [first, end] = pages(one, sizeOf(one));
  const [low, high] = pages(other, sizeOf(other));
  return first < high && low < end;
}

const least = ({ size }: BarFacts): number => (isKnown(size) ? size : 1);
const most = ({ size, address }: BarFacts): number => (isKnown(size) ? size : alignment(address));

/** Whose registers lie in the pages of its memory BARs; unknown where that hangs on a size that nobody knows. */
export function sharersOfPages(facts: ExplainFacts, device: DeviceFacts, domain: DomainFacts | undefined): Known<Shared> {
  const withPages = (sizeOf: (bar: BarFacts) => number): DeviceFacts[] => facts.devices.filter((other) => other !== device
    && memory(other).some((theirs) => memory(device).some((mine) => overlap(mine, theirs, sizeOf))));
  const others = withPages(least);
  return others.length === 0 && withPages(most).length > 0 ? 'unknown' : split(others, domain);
}

/** Whose pin leads to the same line. */
export function sharersOfLine(facts: ExplainFacts, device: DeviceFacts, gsi: number, domain: DomainFacts | undefined): Shared {
  return split(facts.devices.filter((other) => other !== device && !other.bridge && other.gsi === gsi), domain);
}

export function byAddress(facts: ExplainFacts, addresses: readonly string[], domain: DomainFacts | undefined): Shared {
  return split(facts.devices.filter(({ bdf }) => addresses.includes(bdf)), domain);
}
