// A machine whose hypervisor has booted the first domain's devices, with one guest for passthrough, one without IOMMU,
// and domctl and physdev of the first domain and of a guest.
import { Machine } from '../../src/machine/machine';
import { type Digest, difference } from '../../src/machine/digest';
import { Domctl } from '../../src/xen/hypervisor/domctl';
import type { Domain } from '../../src/xen/hypervisor/domain';
import type { BootOptions, Hypervisor } from '../../src/xen/hypervisor/hypervisor';
import { Physdev } from '../../src/xen/hypervisor/physdev';
import { codeOf } from './guest-machine';

/** Routing ids: an e1000 with I/O ports, an e1000e with MSI and MSI-X, two edu with MSI whose lines are GSI 22 and 23. */
export const [NIC, EXPRESS, EDU, OTHER] = [0x20, 0x28, 0x30, 0x38] as const;
export const DOM_IO = 0x7ff1;

export interface ControlPlane {
  machine: Machine;
  hypervisor: Hypervisor;
  domctl: Domctl;
  physdev: Physdev;
  /** Created with IOMMU, and not; both paused. */
  guest: Domain;
  plain: Domain;
  /** Frame of a function's BAR. */
  barFrame(routing: number, bar?: number): number;
  config(routing: number, off: number, width: 1 | 2 | 4): number;
  configWrite(routing: number, off: number, width: 1 | 2 | 4, value: number): void;
  /** Status of a DMA write of four bytes by the function. */
  dma(routing: number, bus: number): number;
  /** Code of the error, and what the call has changed; both must be as said. */
  refused(call: () => unknown, code: string, what?: string): void;
}

const text = (routing: number): string => `0000:00:${(routing >> 3).toString(16).padStart(2, '0')}.0`;

/** With `raw` the hypervisor has not booted the first domain's devices. */
export async function controlPlane(boot: BootOptions | 'raw' = {}, iommu: 'vtd' | 'none' = 'vtd'): Promise<ControlPlane> {
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '2MiB' }, iommu, ...(iommu === 'vtd' && { iommuFrames: 128 }),
    devices: [
      { model: 'e1000', bdf: text(NIC) }, { model: 'e1000e', bdf: text(EXPRESS) }, { model: 'edu', bdf: text(EDU) },
      { model: 'edu', bdf: text(OTHER) },
    ],
  });
  const { hypervisor, engine } = machine;
  if (boot !== 'raw') hypervisor.bootDom0Devices(boot);
  const [domctl, physdev] = [new Domctl(hypervisor, 0), new Physdev(hypervisor, 0)];
  const make = (name: string, with_: boolean): Domain => domctl.createDomain({ name, kind: 'pv', pages: 256, iommu: with_ });
  const fn = (routing: number): number => machine.functionOf(text(routing));
  const scratch = engine.heap.take(64, 'the test');
  return {
    machine, hypervisor, domctl, physdev,
    guest: make('guest', hypervisor.iommu !== undefined), plain: make('plain', false),
    barFrame: (routing, bar = 0) => Math.floor(machine.barAddress(text(routing), bar) / 4096),
    config: (routing, off, width) => engine.exports.configRead(fn(routing), off, width) >>> 0,
    configWrite: (routing, off, width, value) => { engine.exports.configWrite(fn(routing), off, width, value); },
    dma: (routing, bus) => {
      engine.exports.configWrite(fn(routing), 4, 2, 6);
      return engine.exports.functionDmaWrite(fn(routing), bus >>> 0, Math.floor(bus / 2 ** 32), 4, scratch);
    },
    refused: (call, code, what = code) => {
      const before: Digest = machine.digest();
      const found = codeOf(call);
      if (found !== code) throw new Error(`${what}: ${found}, expected ${code}`);
      const changes = difference(before, machine.digest());
      if (changes.length > 0) throw new Error(`${what}: refused, and yet: ${changes.join('; ')}`);
    },
  };
}
