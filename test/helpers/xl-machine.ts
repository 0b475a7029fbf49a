// xl on a machine with its whole control plane, and what a test wants of it.
import { Machine, type MachineHost } from '../../src/machine/machine';
import type { GuestKernel } from '../../src/machine/guest-kernel';
import type { MachineDescription } from '../../src/machine/description';
import type { PcibackKind } from '../../src/xen/pciback/backend';
import type { SeizedDevice } from '../../src/xen/pciback/types';
import type { Task } from '../../src/xen/schedule/scheduler';
import type { XlResult } from '../../src/xen/toolstack/types';
import { Trace } from './toolstack';

export interface XlMachine {
  readonly machine: Machine;
  readonly trace: Trace;
  seized(): readonly SeizedDevice[];
  kernel(domid: number): GuestKernel | undefined;
  run(...args: string[]): XlResult;
  /** The same as a task that nobody runs yet. */
  start(args: readonly string[]): Task<XlResult>;
  create(config: string): XlResult;
}

export async function xlMachine(description: Partial<MachineDescription> = {}, back: PcibackKind = 'linux', host: MachineHost = {}):
Promise<XlMachine> {
  const machine = await Machine.create({
    memory: '64MiB', iommu: 'vtd',
    devices: [{ model: 'e1000', bdf: '0000:00:04.0' }, { model: 'e1000e', bdf: '0000:00:05.0' }, { model: 'edu', bdf: '0000:00:06.0' }],
    ...description, dom0: { memory: '8MiB', pciback: { kind: back } },
  }, host);
  const { xen } = machine;
  return {
    machine, trace: new Trace(xen.store),
    seized: () => xen.stub?.seized ?? [], kernel: (domid) => xen.guestKernel(domid),
    run: (...args) => machine.xl(args), start: (args) => xen.xl.run(args),
    create: (config) => machine.xl(['create', '-q', 'a'], new Map([['a', config]])),
  };
}
