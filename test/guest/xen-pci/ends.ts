// Each C end works against our other end: the front end in C with our pciback, the back end in C with our pcifront.
// Run by scripts/xen-ends.mjs, which compiles them and names the files: pcifront.wasm, pciback.wasm.
import assert from 'node:assert/strict';
import { configByEcam } from '../../../src/pci/access';
import { Machine } from '../../../src/machine/machine';
import { parseBdf, routingId } from '../../../src/pci/bdf';
import { listen, loadCDomain, watchFor } from './c-domain';

const [frontFile, backFile] = process.argv.slice(2) as [string, string];
const BDF = '0000:00:04.0';
const E1000E = '0000:00:05.0';
const EDU = '0000:00:06.0';
/** XEN_PCI_ERR_*, and errno. */
const [DEV_NOT_FOUND, INVALID_OFFSET, NOT_IMPLEMENTED] = [-1, -2, -4];
const PAGES = [64, 65, 66, 67];

function expectDone(machine: Machine, args: string[], files?: Map<string, string>): void {
  const { code, stderr } = machine.xl(args, files);
  assert.equal(code, 0, `xl ${args.join(' ')}: ${stderr}`);
}

async function frontInC(): Promise<void> {
  const machine = await Machine.create({
    memory: '64MiB', dom0: { memory: '8MiB' }, iommu: 'vtd',
    devices: [{ model: 'e1000', bdf: BDF }, { model: 'e1000e', bdf: E1000E }, { model: 'edu', bdf: EDU }],
  });
  for (const bdf of [BDF, E1000E, EDU]) expectDone(machine, ['pci-assignable-add', bdf]);
  const config = `name = "c"\nkernel = "builtin:idle"\nmemory = 4\npcifront = "none"\npci = ['${BDF}', '${E1000E}', '${EDU}']\n`;
  expectDone(machine, ['create', 'c.cfg'], new Map([['c.cfg', config]]));
  const domain = machine.hypervisor.domains.at(-1)!;
  const front = await loadCDomain({ machine, domain, file: frontFile, pages: [...PAGES] });
  const { scheduler } = machine.xen;
  const back = `/local/domain/0/backend/pci/${domain.domid}/0/state`;
  const own = `/local/domain/${domain.domid}/device/pci/0/state`;
  const state = (path: string): string | undefined => {
    const value = machine.xenstore.state.tree.get(path)?.value;
    return value && Buffer.from(value).toString();
  };
  assert.equal(front['start']!(domain.domid), 0);
  watchFor(machine, domain.domid, back, () => front['changed']!());
  scheduler.pass(1e6);
  assert.deepEqual([state(back), state(own)], ['4', '4'], 'both ends are connected');

  const read = (devfn: number, off: number, size: number): [number, number] =>
    [front['config_read']!(devfn, off, size), front['value']!() >>> 0];
  assert.deepEqual(read(0, 0, 4), [0, 0x100e8086], 'the 82540EM is at 00.0');
  assert.deepEqual(read(8, 0, 4), [0, 0x10d38086], 'the 82574L at 01.0');
  assert.deepEqual(read(16, 0, 4), [0, 0x11e81234], 'edu at 02.0');
  assert.equal(front['config_read']!(24, 0, 4), DEV_NOT_FOUND);
  assert.equal(front['config_read']!(0, 1, 2), INVALID_OFFSET);
  assert.equal(front['config_read']!(0, 0, 3), INVALID_OFFSET);
  assert.equal(read(0, 0x10, 4)[1], machine.barAddress(BDF, 0), 'BARs are machine addresses');
  assert.equal(front['config_write']!(0, 4, 2, 7), 0);
  assert.equal(read(0, 4, 2)[1] & 7, 7);
  const hardware = (bdf: string): ReturnType<typeof configByEcam> => configByEcam(machine.engine, routingId(parseBdf(bdf)));
  assert.equal(hardware(BDF).read(4, 2) & 4, 4, 'Bus Master is on in the hardware');
  assert.equal(front['config_write']!(0, 0x10, 4, 0xffffffff), 0);
  assert.equal(read(0, 0x10, 4)[1], 0xfffe0000, 'the size of BAR 0');
  assert.equal(hardware(BDF).read(0x10, 4) >>> 0, machine.barAddress(BDF, 0), 'which the hardware did not see');

  assert.equal(front['msi']!(16, 1), 0);
  const pirq = front['value']!();
  assert.ok(pirq > 0, 'edu has an interrupt number');
  assert.ok(machine.hypervisor.events.bindPirq(domain.domid, pirq, 0) > 0);
  assert.equal(front['msi']!(16, 0), 0);
  assert.equal(front['config_write']!(8, 4, 2, 6), 0);
  assert.equal(front['msix']!(8, 3), 0);
  assert.equal(front['value']!(), 0);
  const vectors = [0, 1, 2].map((index) => front['vector']!(index));
  assert.equal(new Set(vectors).size, 3);
  assert.ok(vectors.every((vector) => vector > 0 && vector < 0xffff));
  assert.equal(front['msix']!(8, 0), 0);

  expectDone(machine, ['pci-detach', 'c', EDU]);
  scheduler.pass(1e6);
  assert.deepEqual([state(back), state(own)], ['4', '4'], 'after the handshake of an unplug');
  assert.equal(front['config_read']!(16, 0, 4), DEV_NOT_FOUND);
  expectDone(machine, ['destroy', 'c']);
  expectDone(machine, ['pci-assignable-remove', BDF]);
  console.log('the front end in C works with our pciback');
}

async function backInC(): Promise<void> {
  const machine = await Machine.create({
    memory: '64MiB', dom0: { memory: '8MiB', pciback: { kind: 'none' } }, iommu: 'vtd',
    devices: [{ model: 'e1000', bdf: BDF }, { model: 'edu', bdf: EDU }],
  });
  const { xen, hypervisor } = machine;
  const config = 'name = "c"\nkernel = "builtin:idle"\nmemory = 4\n';
  expectDone(machine, ['create', 'c.cfg'], new Map([['c.cfg', config]]));
  const domain = hypervisor.domains.at(-1)!;
  const { domid } = domain;
  const [home, other] = [`/local/domain/0/backend/pci/${domid}/0`, `/local/domain/${domid}/device/pci/0`];
  // what a toolstack writes; the devices stay the first domain's
  const { store } = xen.kernel;
  store.transaction((inside) => {
    for (const [path, ...permissions] of [[home, 'n0', `r${domid}`], [other, `n${domid}`, 'r0']] as const) {
      inside.mkdir(path);
      inside.setPermissions(path, ...permissions);
    }
    const nodes: Array<[string, string]> = [
      [`${home}/frontend`, other], [`${home}/frontend-id`, String(domid)], [`${home}/online`, '1'], [`${home}/state`, '1'],
      [`${home}/num_devs`, '2'], [`${home}/dev-0`, BDF], [`${home}/state-0`, '1'], [`${home}/dev-1`, EDU], [`${home}/state-1`, '1'],
      [`${other}/backend`, home], [`${other}/backend-id`, '0'], [`${other}/state`, '1'],
    ];
    for (const [path, value] of nodes) inside.write(path, value);
  });
  const pages = machine.guest(machine.dom0).allocPages(1) / 4096;
  const back = await loadCDomain({ machine, domain: machine.dom0, file: backFile, pages: [pages] });
  let port = back['start']!(0, domid);
  watchFor(machine, 0, `${other}/state`, () => {
    const now = back['changed']!();
    if (now >= 0 && now !== port) listen(machine, machine.dom0, now, () => { back['event']!(); });
    port = now;
  });
  xen.scheduler.pass(1e6);
  const front = xen.pcifront(domid);
  assert.ok(front !== undefined);
  assert.deepEqual(front.devices.map(({ name, vendor, device }) => [name, vendor, device]),
    [['0000:00:00.0', 0x8086, 0x100e], ['0000:00:01.0', 0x1234, 0x11e8]]);
  assert.equal(front.readConfig(0, 0x10, 4).value >>> 0, machine.barAddress(BDF, 0));
  assert.equal(front.readConfig(0x100, 0, 4).code, 0x86);
  assert.equal(front.readConfig(0, 2, 4).code, 0x87);
  assert.throws(() => front.enableMsi(8), (error: { fields?: { err?: number } }) => error.fields?.err === NOT_IMPLEMENTED);
  xen.scheduler.run('shutdown', domid, front.shutdown());
  assert.equal(front.state, 6);
  console.log('the back end in C works with our pcifront');
}

await frontInC();
await backInC();
