// What of a machine's addresses is there already when firmware begins: BARs that come with an address and bridges that
// come with windows, as those from a dump do. They keep what they have where nothing else is.
import { Machine } from '../../assembly/spec/machine';
import type { BarSize } from './access';
import type { Found } from './tree';
import { type Range, windowsOf } from './windows';

export interface InPlace {
  readonly bars: ReadonlySet<BarSize>;
  /** Routing ids of bridges behind which every BAR is in place, so that the windows stay as they are. */
  readonly memoryBehind: ReadonlySet<number>;
  readonly portsBehind: ReadonlySet<number>;
  /** Taken by what is in place on the root bus, and by what is no device's. */
  readonly memory: readonly Range[];
  readonly ports: readonly Range[];
}

const GIB4 = 2 ** 32;
const ADDRESSES = Machine.MFN_LIMIT * Machine.PAGE_SIZE;
/** Below 1 MiB, the enhanced config space, and from the I/O APIC on to 4 GiB. */
const NO_DEVICE: readonly Range[] = [
  [0, 1 << 20], [Machine.ECAM_FIRST_MFN * Machine.PAGE_SIZE, (Machine.ECAM_LAST_MFN + 1) * Machine.PAGE_SIZE], [0xfec00000, GIB4],
];
/** Ports of the board, and those of config mechanism #1. */
const NO_DEVICE_PORTS: readonly Range[] = [[0, 0x100], [0xcf8, 0xd00]];

const rangeOf = ({ address, size }: BarSize): Range => [address, address + size];
const meets = ([start, end]: Range, others: readonly Range[]): boolean => others.some(([low, high]) => start < high && end > low);

/** BARs of a subtree, each with the bridges that lead to it from there on. */
function barsBehind(found: readonly Found[], barsOf: (routing: number) => readonly BarSize[],
  bridges: readonly Found[]): Array<{ bar: BarSize; bridges: readonly Found[] }> {
  return found.flatMap((one) => [
    ...barsOf(one.routing).map((bar) => ({ bar, bridges })), ...barsBehind(one.behind, barsOf, [...bridges, one]),
  ]);
}

/** See InPlace. `ram` is the end of memory. The first of two that overlap keeps its place. */
export function findInPlace(tree: readonly Found[], barsOf: (routing: number) => readonly BarSize[], ram: number): InPlace {
  const bars = new Set<BarSize>();
  const taken = { memory: [...NO_DEVICE, [0, ram] as Range], ports: [...NO_DEVICE_PORTS] };
  const limit = { memory: ADDRESSES, ports: 0x10000 };
  const behind = { memory: new Set<number>(), ports: new Set<number>() };
  const fits = (bar: BarSize): boolean => {
    const space = bar.io ? 'ports' : 'memory';
    return bar.address !== 0 && bar.address + bar.size <= limit[space] && !meets(rangeOf(bar), taken[space]);
  };
  const keep = (bar: BarSize): void => {
    bars.add(bar);
    taken[bar.io ? 'ports' : 'memory'].push(rangeOf(bar));
  };
  /** All behind a bridge, or nothing: what is re-placed needs windows that are. */
  const settle = (bridge: Found, space: 'memory' | 'ports'): void => {
    const io = space === 'ports';
    const inner = barsBehind(bridge.behind, barsOf, [bridge]).filter(({ bar }) => bar.io === io);
    const forwarded = inner.every(({ bar, bridges }) => bridges.every(({ config }) =>
      windowsOf(config, io).some(([start, end]) => bar.address >= start && bar.address + bar.size <= end)));
    const before = taken[space].length;
    for (const { bar } of inner) if (forwarded && fits(bar)) keep(bar);
    if (!inner.every(({ bar }) => bars.has(bar))) {
      for (const { bar } of inner) bars.delete(bar);
      taken[space].length = before;
      return;
    }
    const windows = windowsOf(bridge.config, io);
    if (inner.length === 0 && windows.length === 0) return;
    for (const one of [bridge, ...bridgesIn(bridge.behind)]) behind[space].add(one.routing);
    taken[space].push(...windows);
  };
  for (const one of tree) for (const bar of barsOf(one.routing)) if (fits(bar)) keep(bar);
  for (const one of tree.filter(({ secondaryBus }) => secondaryBus !== undefined)) {
    settle(one, 'memory');
    settle(one, 'ports');
  }
  return { bars, memoryBehind: behind.memory, portsBehind: behind.ports, memory: taken.memory, ports: taken.ports };
}

function bridgesIn(found: readonly Found[]): Found[] {
  return found.flatMap((one) => (one.secondaryBus === undefined ? [] : [one, ...bridgesIn(one.behind)]));
}
