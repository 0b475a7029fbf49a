import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
import { Cell } from '../../src/lab/cell';
import { type Setup, setupOf } from '../../src/lab/matrix';
import type { MachineHost } from '../../src/machine/machine';
import { newMemory } from '../helpers/artefact';
import { differencesOf, evidenceOf, type Evidence } from '../helpers/evidence';

const MIB = 2 ** 20;
const PACKETS = 400;

/** Where the state and RAM of 64 MiB lie, in a memory of 3 GiB; pages that nobody touches are never committed. */
const PLACES: Array<[name: string, place: Omit<MachineHost, 'memory'>]> = [
  ['state at 64 KiB, RAM behind it', {}],
  ['neither at the start of a page', { state: MIB + 16, ram: 16 * MIB + 4088 }],
  ['RAM in front of the state', { state: 80 * MIB, ram: 65536 }],
  ['state above 2 GiB', { state: 2500 * MIB, ram: 3 * MIB }],
  ['RAM above 2 GiB, to the end of the memory', { state: 100 * MIB, ram: (3072 - 64) * MIB }],
];

const stream = { name: 'imix', store: generateStore('imix', 'imix', 128, 3), packets: PACKETS };

async function run(setup: Setup, place: Omit<MachineHost, 'memory'>): Promise<Evidence> {
  const memory = newMemory(3072 * MIB);
  const cell = await Cell.create(setup, stream, { seed: 7, batch: 32, allocator: 'magazine', memory, ...place });
  cell.forward(PACKETS);
  // the other device too: DMA with a deadline, MSI through the remap table
  const guest = cell.machine.guest(cell.machine.dom0);
  const va = guest.allocPages(1);
  for (let i = 0; i < 64; i++) guest.store(va + 4 * i, 4, Math.imul(i, 0x9e3779b1) >>> 0);
  cell.bystander.transfer(va, 0, 256, true);
  cell.bystander.transfer(va + 1024, 0, 256, false);
  assert.is(cell.problem(), undefined);
  assert.is(cell.machine.engine.base, place.state ?? 65536);
  return evidenceOf(cell.machine.engine);
}

const CELLS = [['pv-iommu', 'strict'], ['pv-iommu', 'lazy'], ['xen', 'static'], ['native', 'none']] as const;
for (const [owner, policy] of CELLS) {
  test(`state and RAM at five places: equal slices, RAM and counters (${owner}, ${policy})`, async () => {
    const setup = setupOf(owner, policy);
    const first = await run(setup, {});
    for (const [name, place] of PLACES.slice(1)) assert.is(differencesOf(first, await run(setup, place)), '', name);
  });
}

test.run();
