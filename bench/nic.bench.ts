// What does each mapping policy cost in the whole model, a guest that forwards packets with an 82540EM, against none?
import { ask, bench, plainReport, variant } from './harness';
import { Cell } from '../src/lab/cell';
import { setupOf } from '../src/lab/matrix';
import { buildWorkload } from '../src/lab/workload';

await bench('What does each mapping policy cost in the whole model of the NIC, against none?', async () => {
  for (const size of ['64', '1500']) {
    const cells = await Promise.all((['none', 'bypass', 'static', 'strict', 'lazy'] as const).map(async (policy) => {
      const workload = await buildWorkload(size, { packets: 1024, seed: 1, pcap: undefined });
      const setup = setupOf(policy === 'strict' || policy === 'lazy' ? 'pv-iommu' : 'xen', policy);
      return { policy, cell: await Cell.create(setup, workload, { seed: 1, batch: 32, allocator: 'magazine' }) };
    }));
    const [none, ...others] = cells.map(({ policy, cell }) => variant(policy, (n) => cell.forward(n)));
    if (none === undefined) return;
    await ask(others.map((ours) => ({ name: `forward ${size} B`, as: 'time' as const, ours, baseline: none })));
    console.log(`forward ${size} B:`);
    plainReport([none, ...others], 256);
  }
});
