import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Edu } from '../../assembly/spec/edu';
import { E1000 } from '../../assembly/spec/e1000';
import { Vtd } from '../../assembly/spec/vtd';
import { generateStore } from '../../src/devices/links/store';
import type { InterruptMessage } from '../../src/engine/index';
import { Cell } from '../../src/lab/cell';
import { NIC, type Setup, setupOf } from '../../src/lab/matrix';
import { differencesOf, evidenceOf, type Evidence } from '../helpers/evidence';

const BUDGETS = [undefined, 1, 7, 1000];
const stream = { name: 'imix', store: generateStore('imix', 'imix', 128, 3), packets: 512 };
/** Where dom0's device finds the registers of the NIC: edu drives 28 address bits. */
const PEER = 0x8000000;
const NOWHERE = 0xf000000;
const LENGTH = 512;

interface Run {
  evidence: Evidence;
  messages: InterruptMessage[];
  /** The NIC's multicast table, which the other device writes. */
  table: number[];
}

/** Traffic through the NIC while the other device reads RAM, writes the NIC's registers, and hits nothing. */
async function run(setup: Setup, budget: number | undefined): Promise<Run> {
  const cell = await Cell.create(setup, stream,
    { seed: 7, batch: 32, allocator: 'magazine', ...(budget === undefined ? {} : { budget }) });
  const { machine, bystander, driver } = cell;
  // slow, so that the other device's 100 ms pass within the traffic
  machine.link(NIC).rateMbps = 5;
  const bar = machine.barAddress(NIC, 0);
  if (setup.iommu) {
    const slot = machine.dom0.io?.slot as number;
    // the unit tells of faults by a message too
    for (const [off, value] of [[Vtd.FEDATA, 0xe0], [Vtd.FEADDR, 0xfee00000], [Vtd.FECTL, 0]] as const) {
      machine.engine.exports.registerWrite(0, 0, off, 4, value, 0);
    }
    assert.is(machine.engine.exports.ioMap(slot, PEER / 4096, bar / 4096, E1000.BAR0_SIZE / 4096, 3), 0);
  }
  const guest = machine.guest(machine.dom0);
  const va = guest.allocPages(1);
  for (let i = 0; i < LENGTH; i += 4) guest.store(va + i, 4, Math.imul(i + 1, 0x9e3779b1) >>> 0);

  const messages: InterruptMessage[] = [];
  const start = (from: number, to: number, command: number): void => {
    for (const [off, value] of [[Edu.DMA_SOURCE, from], [Edu.DMA_DESTINATION, to], [Edu.DMA_COUNT, LENGTH]] as const) {
      bystander.write(off, value);
      bystander.write(off + 4, 0);
    }
    bystander.write(Edu.DMA_COMMAND, Edu.DMA_START | Edu.DMA_RAISE | command);
    cell.forward(192);
    assert.is(bystander.read(Edu.DMA_COMMAND) & Edu.DMA_START, 0, 'the transfer has come to its end');
    bystander.write(Edu.INTERRUPT_ACKNOWLEDGE, Edu.INTERRUPT_DMA);
    const poll = (): InterruptMessage | undefined => machine.engine.pollMessage();
    for (let one = poll(); one !== undefined; one = poll()) messages.push(one);
  };
  cell.forward(50);
  start(guest.machineAddress(va), Edu.BUFFER, 0);
  if (setup.iommu) start(Edu.BUFFER, PEER + E1000.MTA, Edu.DMA_TO_RAM);
  start(Edu.BUFFER, NOWHERE, Edu.DMA_TO_RAM);
  start(NOWHERE, Edu.BUFFER, 0);
  start(Edu.BUFFER, guest.machineAddress(va) + 2048, Edu.DMA_TO_RAM);
  assert.is(cell.problem(), undefined);

  const table = Array.from({ length: LENGTH / 4 }, (_, i) => driver.read(E1000.MTA + 4 * i));
  return { evidence: evidenceOf(machine.engine), messages, table };
}

for (const [owner, policy] of [['pv-iommu', 'strict'], ['pv-iommu', 'lazy'], ['xen', 'none']] as const) {
  test(`any budget gives equal RAM, interrupts and counters (${owner}, ${policy})`, async () => {
    const runs = await Promise.all(BUDGETS.map((budget) => run(setupOf(owner, policy), budget)));
    const [unlimited, ...others] = runs as [Run, ...Run[]];
    const counters = unlimited.evidence.counters as Record<string, number>;
    assert.ok(unlimited.messages.length > 0);
    if (policy !== 'none') {
      assert.ok(unlimited.messages.some(({ vector }) => vector === 0xe0));
      assert.ok((counters.peerWrites as number) > 0 && (counters.faults as number) > 0);
      assert.is(unlimited.table[1], Math.imul(5, 0x9e3779b1) >>> 0, 'the peer has written the table');
    }
    others.forEach((other, i) => {
      const name = `budget ${String(BUDGETS[i + 1])}`;
      // the state tells budgets apart only by the budget itself, what is owed, and whose turn is next
      assert.is(differencesOf({ ...unlimited.evidence, slice: other.evidence.slice }, other.evidence), '', name);
      assert.equal(other.messages, unlimited.messages, name);
      assert.equal(other.table, unlimited.table, name);
    });
  });
}

test.run();
