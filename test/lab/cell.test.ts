import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createHash } from 'node:crypto';
import { generateStore } from '../../src/devices/links/store';
import { Cell } from '../../src/lab/cell';
import { setupOf } from '../../src/lab/matrix';
import type { Owner } from '../../src/lab/result';
import type { PolicyName } from '../../src/lab/cost/index';
import { newMemory } from '../helpers/artefact';

const stream = { name: '600', store: generateStore('600-byte frames', 600, 256, 3), packets: 512 };

async function cellOf(owner: Owner, policy: PolicyName, seed: number, mode?: 'guest-frame'): Promise<Cell> {
  return Cell.create(setupOf(owner, policy), stream,
    { seed, batch: 32, allocator: 'magazine', memory: newMemory(), ...(mode ? { mode } : {}) });
}

function ramDigest(cell: Cell): string {
  const { engine } = cell.machine;
  return createHash('sha256').update(engine.bytes.subarray(engine.ram, engine.ram + engine.frames * 4096)).digest('hex');
}

test('equal seeds leave equal RAM and counters, other seeds scatter the frames otherwise', async () => {
  const run = async (seed: number): Promise<{ ram: string; counters: object; p2m: number[] }> => {
    const cell = await cellOf('pv-iommu', 'lazy', seed);
    cell.forward(512);
    return { ram: ramDigest(cell), counters: cell.machine.engine.counters(), p2m: [...cell.guest.domain.p2m] };
  };
  const [a, b, c] = [await run(5), await run(5), await run(6)];
  assert.equal(a, b);
  assert.is.not(a.ram, c.ram);
  assert.not.equal(a.p2m, c.p2m);
});

test('a driver that takes guest frames for bus addresses writes into frames that are not its own, without an IOMMU', async () => {
  const cell = await cellOf('xen', 'none', 11, 'guest-frame');
  const { engine } = cell.machine;
  engine.takeDirtyFrames();
  assert.throws(() => cell.forward(512), /stood still/);
  const foreign = engine.takeDirtyFrames().filter((mfn) => engine.exports.frameOwner(mfn) !== cell.guest.domain.domid);
  assert.ok(foreign.length > 0, 'a frame of somebody else was written');
});

test('the same driver faults under every policy that translates', async () => {
  const cell = await cellOf('xen', 'static', 11, 'guest-frame');
  const { engine, hypervisor } = cell.machine;
  engine.takeDirtyFrames();
  assert.throws(() => cell.forward(512), /stood still/);
  assert.ok(engine.counters().faults > 0);
  const [fault] = hypervisor.iommu?.takeFaults() ?? [];
  assert.is(fault?.requester, 0x20);
  for (const mfn of engine.takeDirtyFrames()) assert.is(engine.exports.frameOwner(mfn), cell.guest.domain.domid);
});

test('the guest cannot map, store to or DMA into what is not its own', async () => {
  const cell = await cellOf('pv-iommu', 'strict', 2);
  const { engine, hypervisor, dom0 } = cell.machine;
  const { domain } = cell.guest;
  const dom0Frame = dom0.p2m[3] as number;
  const root = hypervisor.iommu?.tables.root as number;
  const before = Uint8Array.from(engine.frame(root));

  for (const mfn of [dom0Frame, root, 0xfed90]) {
    assert.throws(() => hypervisor.updateVaMapping(domain.domid, 0x8000, mfn, true), (error: Error & { errno?: number }) => error.errno === 1);
  }
  // nothing was mapped by the refused calls, so a store there is refused too
  engine.exports.guestStore(domain.slot, 0x8000 * 4096, 0, 4, 0xdeadbeef, 0);
  assert.is(engine.status, 1);
  for (const mfn of [dom0Frame, root, 0xfed90]) {
    assert.is(engine.exports.iommuOpMap(domain.slot, 0x100, mfn, 1, 3), 1, 'iommu_op refuses a frame that is not the caller\'s');
    assert.is(engine.exports.ioPageMapped(domain.slot, 0x100), 0);
  }
  assert.equal(Uint8Array.from(engine.frame(root)), before);
});

for (const [owner, policy] of [['xen', 'static'], ['pv-iommu', 'strict']] as const) {
  test(`nor can its device write or read a table of the IOMMU, or a frame of dom0 (${policy})`, async () => {
    const cell = await cellOf(owner, policy, 2);
    const { engine, hypervisor, dom0 } = cell.machine;
    const fn = cell.machine.functionOf('00:04.0');
    const scratch = engine.heap.take(64, 'the test');
    const tables = hypervisor.iommu?.tables as { root: number; interrupts: number };
    for (const mfn of [tables.root, tables.interrupts, dom0.p2m[3] as number, 0xfed90]) {
      hypervisor.iommu?.takeFaults();
      const before = mfn < engine.frames ? Uint8Array.from(engine.frame(mfn)) : undefined;
      engine.setWord(scratch, 0xdeadbeef);
      const FAULT = 3;
      assert.is(engine.exports.functionDmaWrite(fn, mfn * 4096, 0, 4, scratch), FAULT);
      assert.is(engine.exports.functionDmaRead(fn, mfn * 4096, 0, 4, scratch), FAULT);
      assert.is(engine.word(scratch), 0xffffffff, 'a read that faults gives ones');
      if (before !== undefined) assert.equal(Uint8Array.from(engine.frame(mfn)), before);
      assert.equal(hypervisor.iommu?.takeFaults().map(({ iova, reason }) => [iova, reason]), [[mfn * 4096, 5], [mfn * 4096, 6]]);
    }
  });
}

test('the device of a domain that is gone does nothing more', async () => {
  const cell = await cellOf('xen', 'none', 3);
  const { machine, guest } = cell;
  machine.destroyDomain(guest.domain);
  const next = machine.createDomain({ name: 'next', memory: '16MiB' });
  machine.engine.takeDirtyFrames();
  machine.link('00:04.0').offer(64);
  machine.run(1_000_000);
  assert.equal(machine.engine.takeDirtyFrames().filter((mfn) => machine.engine.exports.frameOwner(mfn) === next.domid), []);
});

test('interrupts, MMIO and DMA are counted per packet as the driver makes them', async () => {
  const cell = await cellOf('native', 'static', 4);
  cell.warmUp();
  const { counters } = cell.measure();
  // per packet: two descriptors and one payload read or written each way, two write-backs
  assert.is(counters.dmaReads, 512 * 3);
  assert.is(counters.dmaWrites, 512 * 3);
  assert.is(counters.dmaReadBytes, 512 * (16 + 16 + 600));
  assert.is(counters.descriptorFetches, 512 * 2);
  assert.is(counters.descriptorWritebacks, 512 * 2);
  // bursts are of 1 to 32 packets
  assert.ok(counters.driverInterrupts >= 512 / 32 && counters.driverInterrupts <= 512 / 8);
  assert.is(counters.faults, 0);
});

test.run();
