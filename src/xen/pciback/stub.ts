import { Pci, PciBridge } from '../../../assembly/spec/pci';
import { KernelError } from '../dom0/errors';
import type { PciDevice, PciDriver } from '../dom0/types';
import { HypercallError } from '../hypervisor/errors';
import type { PcibackParameters, PcibackParts } from './parts';
import { PcibackDevice } from './seized-device';
import { parseHideList, SlotList } from './slots';
import { HostBuses, VirtualBus } from './topology';
import type { SeizedDevice, Stub, Topology } from './types';

/** pciback as a driver of the first domain: it has devices so that no other driver there has them. */
export class PcibackStub implements PciDriver, Stub {
  readonly name = 'pciback';
  readonly slots = new SlotList();
  readonly hide: string;
  readonly passthrough: boolean;
  /** Module parameter, of all devices; may change at any time. */
  permissive: boolean;
  onTaken: ((device: SeizedDevice) => void) | undefined;
  readonly #parts: PcibackParts;
  readonly #devices: PcibackDevice[] = [];

  /** Throws EINVAL for a list `hide` that cannot be read; then there is no driver. */
  constructor(parts: PcibackParts, { hide = '', passthrough = false, permissive = false }: PcibackParameters = {}) {
    this.#parts = parts;
    this.hide = hide;
    this.passthrough = passthrough;
    this.permissive = permissive;
    try {
      for (const pattern of parseHideList(hide)) this.slots.add(pattern);
    } catch (error) {
      if (error instanceof KernelError) parts.kernel.print(`xen-pciback: ${error.message}`);
      throw error;
    }
    parts.kernel.print(`xen-pciback: backend is ${passthrough ? 'passthrough' : 'vpci'}`);
  }

  get seized(): readonly PcibackDevice[] {
    return this.#devices;
  }

  /** Listed itself, or a bridge above it is; or meant for pciback by `driver_override`. */
  matches({ routing, host, override }: PciDevice): boolean {
    if (override === this.name || this.slots.has(routing)) return true;
    const parents = new Map(this.#parts.host.functions().map((one) => [one.routing, one.parent]));
    const seen = new Set<number>();
    for (let above = host.parent; above !== undefined && !seen.has(above); above = parents.get(above)) {
      if (this.slots.has(above)) return true;
      seen.add(above);
    }
    return false;
  }

  /** Seizes a device. Throws ENODEV. */
  probe(device: PciDevice): void {
    const { routing, name } = device;
    if (!this.matches(device)) {
      throw new KernelError('ENODEV', `${name} is not in the list of slots of pciback; write it to new_slot first`, { name });
    }
    const { host } = this.#parts;
    const layout = host.config(routing).read(Pci.HEADER_TYPE, 1) & Pci.HEADER_LAYOUT_MASK;
    if (layout !== 0 && layout !== PciBridge.LAYOUT) {
      const text = 'can\'t export pci devices that don\'t have a normal (0) or bridge (1) header type!';
      this.#parts.kernel.print(`pciback ${name}: xen-pciback: ${text}`);
      throw new KernelError('ENODEV', `${name} has header type ${layout}: ${text}`, { name, layout });
    }
    if (!this.slots.has(routing) && device.override === this.name) {
      this.slots.add({ segment: 0, bus: routing >> 8, device: (routing >> 3) & 31, func: routing & 7 });
    }
    this.#parts.kernel.print(`pciback ${name}: xen-pciback: seizing device`);
    const seized = new PcibackDevice(device, this.#parts, this);
    if (seized.messages.hasMsix) this.#msix(seized, 'prepare');
    this.#devices.push(seized);
  }

  /** An error is told and goes no further, as in Linux. */
  #msix(device: PcibackDevice, what: 'prepare' | 'release'): void {
    const { physdev } = this.#parts;
    try {
      if (what === 'prepare') physdev.prepareMsix(device.routing);
      else physdev.releaseMsix(device.routing);
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
      device.print(`MSI-X ${what === 'prepare' ? 'preparation' : 'release'} failed (-${error.errno})`);
    }
  }

  /** The device goes to no driver, or another. A guest that still has it is not asked. */
  remove({ routing }: PciDevice): void {
    const index = this.#devices.findIndex((one) => one.routing === routing);
    const device = this.#devices[index];
    if (device === undefined) return;
    if (device.owner !== undefined) {
      const { kernel } = this.#parts;
      kernel.print(`xen-pciback: ****** removing device ${device.name} while still in-use by domain ${device.owner}! ******`);
      kernel.print('xen-pciback: ****** driver domain may still access this device\'s i/o resources!');
      kernel.print('xen-pciback: ****** end that domain before another driver or another domain gets the device');
      kernel.print(`xen-pciback: ****** (xl pci-detach first, then unbind ${device.name})`);
      this.onTaken?.(device);
    }
    this.#devices.splice(index, 1);
    device.release();
    if (device.messages.hasMsix) this.#msix(device, 'release');
  }

  find(routing: number | undefined): PcibackDevice | undefined {
    return this.#devices.find((device) => device.routing === routing);
  }

  take(routing: number, domid: number): SeizedDevice | undefined {
    const device = this.find(routing);
    if (device === undefined || device.owner !== undefined) return undefined;
    device.take(domid);
    return device;
  }

  give(device: SeizedDevice): void {
    const own = this.#devices.find((one) => one === device);
    if (own !== undefined && own.owner !== undefined) own.give();
  }

  topology(): Topology {
    return this.passthrough ? new HostBuses() : new VirtualBus();
  }
}
