// A guest on another thread that rewrites its entries while the hypervisor reads them: what was checked is what counts.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../../src/machine/machine';
import { newMemory } from '../../helpers/artefact';
import { page } from '../../helpers/xen-domains';

const SELF = 0x7ff0;
const PAGE = 4096;
const HOST = 0x70000000;

for (const version of [1, 2]) {
  test(`version ${version}: an entry that flickers lets in what it names at one moment, and never what its owner has not`, async () => {
    const memory = newMemory(65536, 'shared');
    const machine = await Machine.create({ memory: '16MiB', dom0: { memory: '1MiB' }, iommu: 'none', devices: [] }, { memory });
    const { hypervisor, engine } = machine;
    const [a, b] = ['a', 'b'].map((name) => machine.createDomain({ name, memory: '256KiB' }));
    if (a === undefined || b === undefined) throw new Error('no domains');
    hypervisor.grants.setVersion(a.domid, version);
    const size = version === 1 ? 8 : 16;
    const entry = engine.frame(hypervisor.grants.frames(a)[0] as number).byteOffset + 8 * size;
    page(machine, a, 4).setUint32(0, 0xaaaa, true);
    page(machine, machine.dom0, 4).setUint32(0, 0xdddd, true);
    // frames of a and of dom0; permitted to b, permitted to nobody, read-only, not granted at all
    const words = { frames: [a.p2m[4], machine.dom0.p2m[4]], heads: [1 | b.domid << 16, 1, 5 | b.domid << 16, 0] };
    const shared = new SharedArrayBuffer(4);
    const stop = new Int32Array(shared);
    const worker = new Worker(`
      const { parentPort, workerData: { memory, entry, frame, words, shared } } = require('node:worker_threads');
      const view = new Int32Array(memory.buffer);
      const stop = new Int32Array(shared);
      parentPort.postMessage('ready');
      for (let i = 0; Atomics.load(stop, 0) === 0; i++) {
        Atomics.store(view, frame >> 2, words.frames[i & 1]);
        Atomics.store(view, entry >> 2, words.heads[(i >> 1) & 3]);
      }`, { eval: true, workerData: {
      memory, entry, frame: entry + (version === 1 ? 4 : 8), words, shared,
    } });
    await once(worker, 'message');
    const arg = page(machine, b, 3);
    const seen = new Map<string, number>();
    const note = (what: string): void => { seen.set(what, (seen.get(what) ?? 0) + 1); };
    for (let i = 0; i < 20000; i++) {
      const device = i % 2 === 0;
      if (device) {
        arg.setUint32(0, 8, true);
        arg.setUint32(4, 0, true);
        arg.setUint16(8, a.domid, true);
        arg.setUint16(10, 0, true);
        arg.setUint32(16, b.p2m[5] as number, true);
        arg.setUint32(20, 0, true);
        arg.setUint16(24, SELF, true);
        arg.setUint16(26, 0, true);
        arg.setUint32(32, 4 | 1 << 16, true);
        page(machine, b, 5).setUint32(0, 0, true);
        assert.is(hypervisor.grantTableOp(b.domid, 5, 3 * PAGE, 1), 0);
        const status = arg.getInt16(36, true);
        note(`copy ${status}`);
        assert.is(page(machine, b, 5).getUint32(0, true), status === 0 ? 0xaaaa : 0);
      } else {
        const one = hypervisor.grants.map(b.domid, { address: HOST, ref: 8, dom: a.domid, readonly: i % 4 === 1 });
        note(`map ${one.status}`);
        if (one.status !== 'okay') continue;
        assert.is(one.mfn, a.p2m[4]);
        assert.is(hypervisor.grants.unmap(b.domid, { address: HOST, handle: one.handle }), 'okay');
      }
    }
    Atomics.store(stop, 0, 1);
    await worker.terminate();
    for (const what of seen.keys()) {
      assert.ok(['copy 0', 'copy -1', 'copy -9', 'map okay', 'map general_error', 'map bad_page'].includes(what), what);
    }
    assert.is(engine.exports.frameRefs(a.p2m[4] as number), 0);
    assert.equal(hypervisor.grants.refsInUse(a), []);
  });
}

test.run();
