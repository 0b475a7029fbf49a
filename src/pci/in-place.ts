// What of a machine's addresses is there already when firmware begins: BARs that come with an address and bridges that
// come with windows, as those from a dump do. They keep what they have where nothing else is.
import { Machine } from '../../assembly/spec/machine';
import type { BarSize, RomSize } from './access';
import type { Found } from './tree';
import { type Range, windowsOf } from './windows';

/** A BAR or a ROM. */
export interface Address {
  readonly where: BarSize | RomSize;
  readonly io: boolean;
  /** Where it has to be; then it is not asked where it was. */
  readonly given: number | undefined;
}

export interface InPlace {
  readonly addresses: ReadonlySet<BarSize | RomSize>;
  /** Routing ids of bridges behind which everything is in place, so that the windows stay as they are. */
  readonly memoryBehind: ReadonlySet<number>;
  readonly portsBehind: ReadonlySet<number>;
  /** Taken by what is in place on the root bus, and by what is no device's. */
  readonly memory: readonly Range[];
  readonly ports: readonly Range[];
}

type AddressesOf = (routing: number) => readonly Address[];

const GIB4 = 2 ** 32;
const LIMIT = { memory: Machine.MFN_LIMIT * Machine.PAGE_SIZE, ports: 0x10000 } as const;
/** Below 1 MiB, the enhanced config space, and from the I/O APIC on to 4 GiB. */
const NO_DEVICE: readonly Range[] = [
  [0, 1 << 20], [Machine.ECAM_FIRST_MFN * Machine.PAGE_SIZE, (Machine.ECAM_LAST_MFN + 1) * Machine.PAGE_SIZE], [0xfec00000, GIB4],
];
/** Ports of the board, and those of config mechanism #1. */
const NO_DEVICE_PORTS: readonly Range[] = [[0, 0x100], [0xcf8, 0xd00]];

const rangeOf = ({ address, size }: BarSize | RomSize): Range => [address, address + size];
const meets = ([start, end]: Range, others: readonly Range[]): boolean => others.some(([low, high]) => start < high && end > low);

/** What is behind a bridge, each with the bridges that lead to it from there on. */
function behindOf(found: readonly Found[], addressesOf: AddressesOf, bridges: readonly Found[]): Array<Address & { bridges: readonly Found[] }> {
  return found.flatMap((one) => [
    ...addressesOf(one.routing).map((address) => ({ ...address, bridges })), ...behindOf(one.behind, addressesOf, [...bridges, one]),
  ]);
}

/** See InPlace. `ram` is the end of memory. The first of two that overlap keeps its place; what is given comes before. */
export function findInPlace(tree: readonly Found[], addressesOf: AddressesOf, ram: number): InPlace {
  const addresses = new Set<BarSize | RomSize>();
  const taken = { memory: [...NO_DEVICE, [0, ram] as Range], ports: [...NO_DEVICE_PORTS] };
  const given = behindOf(tree, addressesOf, []).flatMap(({ io, given: at, where }) =>
    (at === undefined ? [] : [{ io, range: [at, at + where.size] as Range }]));
  const behind = { memory: new Set<number>(), ports: new Set<number>() };
  const fits = ({ where, io, given: at }: Address): boolean => {
    const space = io ? 'ports' : 'memory';
    return at === undefined && where.address !== 0 && where.address + where.size <= LIMIT[space]
      && !meets(rangeOf(where), taken[space]) && !meets(rangeOf(where), given.filter((one) => one.io === io).map(({ range }) => range));
  };
  const keep = ({ where, io }: Address): void => {
    addresses.add(where);
    taken[io ? 'ports' : 'memory'].push(rangeOf(where));
  };
  /** All behind a bridge, or nothing: what is re-placed needs windows that are. */
  const settle = (bridge: Found, space: 'memory' | 'ports'): void => {
    const io = space === 'ports';
    const inner = behindOf(bridge.behind, addressesOf, [bridge]).filter((one) => one.io === io);
    const forwarded = inner.every(({ where, bridges }) => bridges.every(({ config }) =>
      windowsOf(config, io).some(([start, end]) => where.address >= start && where.address + where.size <= end)));
    const before = taken[space].length;
    for (const one of inner) if (forwarded && fits(one)) keep(one);
    if (!inner.every(({ where }) => addresses.has(where))) {
      for (const { where } of inner) addresses.delete(where);
      taken[space].length = before;
      return;
    }
    const windows = windowsOf(bridge.config, io);
    if (inner.length === 0 && windows.length === 0) return;
    for (const one of [bridge, ...bridgesIn(bridge.behind)]) behind[space].add(one.routing);
    taken[space].push(...windows);
  };
  for (const one of tree) for (const address of addressesOf(one.routing)) if (fits(address)) keep(address);
  for (const one of tree.filter(({ secondaryBus }) => secondaryBus !== undefined)) {
    settle(one, 'memory');
    settle(one, 'ports');
  }
  return { addresses, memoryBehind: behind.memory, portsBehind: behind.ports, memory: taken.memory, ports: taken.ports };
}

function bridgesIn(found: readonly Found[]): Found[] {
  return found.flatMap((one) => (one.secondaryBus === undefined ? [] : [one, ...bridgesIn(one.behind)]));
}
