// What does a config read cost that a guest makes through the shared page?
import { PcibackBackend } from '../src/xen/pciback/backend';
import { Machine } from '../src/machine/machine';
import { quartiles } from '../src/lab/statistics';
import { ask, bench, fail, plainReport, record, variant } from './harness';

/** Microseconds that a read may take. */
const TARGET_US = 20;
const ROUNDS = 21;
const BATCH = 500;

await bench('What does a guest\'s config read cost through the shared page?', async () => {
  const machine = await Machine.create({ memory: '64MiB', iommu: 'vtd', devices: [{ model: 'e1000', bdf: '00:04.0' }] });
  const config = 'name = "g"\nmemory = 8\nkernel = "builtin:idle"\npci = ["00:04.0"]\n';
  for (const [args, files] of [[['pci-assignable-add', '00:04.0']], [['create', '-q', 'g'], new Map([['g', config]])]] as const) {
    const { code, stderr } = machine.xl([...args], files);
    if (code !== 0) fail(stderr);
  }
  machine.run(1e9);
  const front = machine.xen.pcifront(1) ?? fail('the guest has no front end');
  const { pciback } = machine.xen;
  const server = (pciback instanceof PcibackBackend ? pciback.exports[0]?.server : undefined) ?? fail('no back end serves it');
  const routing = front.devices[0]?.routing ?? fail('the guest has found no device');
  const host = machine.xen.pci.config(machine.routingOf('00:04.0'));
  const shared = variant('through the shared page', (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum = (sum + front.readConfig(routing, 0, 4).value) | 0;
    return sum;
  });
  const direct = variant('in dom0', (n) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum = (sum + host.read(0, 4)) | 0;
    return sum;
  });
  const before = server.served;
  const sums = [shared, direct].map((way) => way.batch?.(BATCH) as number);
  if (sums[0] !== sums[1]) fail(`the sums differ: ${sums.join(', ')}`);
  if (server.served - before !== BATCH) fail(`the back end has served ${server.served - before} of ${BATCH} reads`);
  await ask([{ name: 'dword at 0', as: 'time', ours: shared, baseline: direct }], { batch: BATCH });
  const times = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await shared.round(BATCH) / 1000);
  const { low, median, high } = quartiles(times);
  record({
    name: 'dword at 0: through the shared page, µs', baseline: '', ratio: { q1: low, median, q3: high }, fastest: Math.min(...times),
    target: { text: `<= ${TARGET_US} µs`, value: TARGET_US, sense: 'at most' }, rounds: ROUNDS,
  });
  plainReport([shared, direct], BATCH);
});
