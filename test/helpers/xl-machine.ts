// xl on a machine with the real rooms: PCI core and sysfs, pciback's stub and back end, pcifront in each guest.
import { Machine, type MachineHost } from '../../src/machine/machine';
import type { MachineDescription } from '../../src/machine/description';
import type { SysfsTree } from '../../src/xen/dom0/sysfs-tree';
import { Physdev } from '../../src/xen/hypervisor/physdev';
import { GrantRefs } from '../../src/xen/kernel/grant-refs';
import { Kernel } from '../../src/xen/kernel/kernel';
import { pcibackDriver, type PcibackKind } from '../../src/xen/pciback/backend';
import { KernelLines } from '../../src/xen/pciback/interrupt-lines';
import { IrqPool } from '../../src/xen/pciback/irq-pool';
import { PcibackStub } from '../../src/xen/pciback/stub';
import { PcibackFiles } from '../../src/xen/pciback/sysfs-files';
import { Pcifront, type PcifrontKind } from '../../src/xen/pcifront/pcifront';
import type { Task } from '../../src/xen/schedule/scheduler';
import { Xl } from '../../src/xen/toolstack/xl';
import type { XlResult } from '../../src/xen/toolstack/types';
import { XenbusBus } from '../../src/xen/xenbus/bus';
import { Trace } from './toolstack';

export interface XlMachine {
  readonly machine: Machine;
  readonly stub: PcibackStub;
  readonly trace: Trace;
  readonly fronts: Map<number, { front: Pcifront | undefined; bus: XenbusBus; kernel: Kernel }>;
  run(...args: string[]): XlResult;
  /** The same as a task that nobody runs yet. */
  start(args: readonly string[]): Task<XlResult>;
  create(config: string): XlResult;
}

export async function xlMachine(description: Partial<MachineDescription> = {}, back: PcibackKind = 'linux', host: MachineHost = {}):
Promise<XlMachine> {
  const machine = await Machine.create({
    memory: '64MiB', dom0: { memory: '2MiB' }, iommu: 'vtd',
    devices: [{ model: 'e1000', bdf: '0000:00:04.0' }, { model: 'e1000e', bdf: '0000:00:05.0' }, { model: 'edu', bdf: '0000:00:06.0' }],
    ...description,
  }, host);
  const { xen, hypervisor } = machine;
  const { kernel, scheduler, store, sysfs } = xen;
  hypervisor.bootDom0Devices({});
  const physdev = new Physdev(hypervisor, 0);
  const lines = new KernelLines(kernel, (pirq) => physdev.irqStatusQuery(pirq).shared);
  const stub = new PcibackStub({ host: xen.pci, kernel, physdev, lines, irqs: new IrqPool() });
  xen.core.addDriver(stub);
  new PcibackFiles(stub).addTo(sysfs as SysfsTree);
  const driver = pcibackDriver(back, { kernel, stub, config: (routing) => xen.pci.config(routing) });
  const backBus = new XenbusBus(kernel, 'back');
  if (driver !== undefined) backBus.register(driver);
  const fronts: XlMachine['fronts'] = new Map();
  const xl = new Xl({
    hypervisor, store, scheduler, sysfs, seed: 3, allowUnsafePassthrough: false, xenRevoke: false,
    programs: {
      check: () => undefined,
      start: (domain, program) => {
        const guest = new Kernel(domain, { hypervisor, scheduler, store });
        const bus = new XenbusBus(guest, 'front');
        let next = 16;
        const memory = { allocPage: () => next++, freePage: () => undefined };
        const front = Pcifront.create({ kernel: guest, grants: new GrantRefs(guest), memory, kind: program.pcifront as PcifrontKind });
        if (front !== undefined) bus.register(front);
        fronts.set(domain.domid, { front, bus, kernel: guest });
      },
      stop: (domid) => {
        fronts.get(domid)?.kernel.stop();
        fronts.delete(domid);
        scheduler.kill(domid);
      },
      console: (domid) => fronts.get(domid)?.kernel.log ?? [],
    },
  });
  scheduler.settle();
  const run = (args: string[], files = new Map<string, string>()): XlResult => scheduler.run('xl', 0, xl.run(args, files));
  return {
    machine, stub, fronts, trace: new Trace(store),
    run: (...args) => run(args), start: (args) => xl.run(args), create: (config) => run(['create', '-q', 'a'], new Map([['a', config]])),
  };
}
