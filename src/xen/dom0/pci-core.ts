/**
 * The PCI core of the first domain's kernel: which devices there are, which driver has each. Errors are those that
 * Linux 6.1 gives to a tool that writes into sysfs.
 */

import { Pci, PciCommand } from '../../../assembly/spec/pci';
import { bdfOf, formatBdf } from '../../pci/bdf';
import { KernelError } from './errors';
import { type HostFunction, type HostPci, IORESOURCE, type PciDevice, type PciDriver } from './types';

/** Vendor and device id that a tool has added to what a driver takes. */
export interface DynamicId {
  readonly vendor: number;
  readonly device: number;
}

class CoreDevice implements PciDevice {
  readonly routing: number;
  readonly name: string;
  readonly host: HostFunction;
  driver: string | undefined;
  override: string | undefined;
  /** How often it has been enabled. */
  enabled = 0;

  constructor(host: HostFunction) {
    this.routing = host.routing;
    this.name = formatBdf(bdfOf(host.routing));
    this.host = host;
  }
}

interface Registered {
  readonly driver: PciDriver;
  readonly ids: DynamicId[];
}

/** Told after each change; what shows the devices to tools follows it. */
export interface PciCoreObserver {
  deviceAdded(device: PciDevice): void;
  deviceRemoved(device: PciDevice): void;
  driverAdded(name: string): void;
  driverRemoved(name: string): void;
  bound(device: PciDevice, driver: string): void;
  unbound(device: PciDevice, driver: string): void;
}

export class PciCore {
  readonly host: HostPci;
  readonly #print: (line: string) => void;
  readonly #devices = new Map<number, CoreDevice>();
  readonly #drivers = new Map<string, Registered>();
  readonly #observers: PciCoreObserver[] = [];

  /** Finds the devices that there are; drivers come later. `print` is the kernel's log. */
  constructor(host: HostPci, print: (line: string) => void = () => {}) {
    this.host = host;
    this.#print = print;
    for (const one of host.functions()) this.#devices.set(one.routing, new CoreDevice(one));
  }

  /** Tells an observer of all that there is, and from then on of each change. */
  observe(observer: PciCoreObserver): void {
    this.#observers.push(observer);
    for (const device of this.devices) observer.deviceAdded(device);
    for (const name of this.#drivers.keys()) observer.driverAdded(name);
    for (const device of this.devices) if (device.driver !== undefined) observer.bound(device, device.driver);
  }

  /** In the order of their addresses. */
  get devices(): readonly PciDevice[] {
    return [...this.#devices.values()].sort((a, b) => a.routing - b.routing);
  }

  /** Names of the drivers, in the order in which they came. */
  get drivers(): readonly string[] {
    return [...this.#drivers.keys()];
  }

  device(routing: number): PciDevice | undefined {
    return this.#devices.get(routing);
  }

  /** By its full name, `0000:00:04.0`. */
  deviceNamed(name: string): PciDevice | undefined {
    return this.devices.find((device) => device.name === name);
  }

  // ---- devices come and go

  /** Devices that the hardware has and the kernel does not know of yet are added; drivers take them. */
  rescan(): void {
    const fresh = this.host.functions().filter(({ routing }) => !this.#devices.has(routing));
    for (const host of fresh) {
      const device = new CoreDevice(host);
      this.#devices.set(host.routing, device);
      for (const observer of this.#observers) observer.deviceAdded(device);
    }
    for (const { routing } of fresh) {
      const device = this.#devices.get(routing);
      if (device !== undefined) this.#attach(device);
    }
  }

  /** Forgets a device and all that is behind it, the last first; its driver lets go of it. */
  remove(routing: number): void {
    const device = this.#devices.get(routing);
    if (device === undefined) return;
    for (const one of this.devices) if (one.host.parent === routing) this.remove(one.routing);
    this.#detach(device);
    this.#devices.delete(routing);
    for (const observer of this.#observers) observer.deviceRemoved(device);
  }

  // ---- drivers come and go

  /** Registers a driver; it takes every device without a driver that it matches. Throws EBUSY for a name twice. */
  addDriver(driver: PciDriver): void {
    if (this.#drivers.has(driver.name)) {
      throw new KernelError('EBUSY', `driver ${driver.name} is registered already`, { driver: driver.name });
    }
    const registered: Registered = { driver, ids: [] };
    this.#drivers.set(driver.name, registered);
    for (const observer of this.#observers) observer.driverAdded(driver.name);
    this.#offerAll(registered);
  }

  removeDriver(name: string): void {
    if (!this.#drivers.has(name)) return;
    for (const device of this.#devices.values()) if (device.driver === name) this.#detach(device);
    this.#drivers.delete(name);
    for (const observer of this.#observers) observer.driverRemoved(name);
  }

  /** Ids that a driver takes besides its own; devices with them are offered to it at once. Throws EEXIST. */
  addId(driverName: string, id: DynamicId): void {
    const registered = this.#driver(driverName);
    if (registered.ids.some((one) => one.vendor === id.vendor && one.device === id.device)) {
      throw new KernelError('EEXIST', `driver ${driverName} takes ${hex4(id.vendor)}:${hex4(id.device)} already`, { ...id });
    }
    registered.ids.push(id);
    this.#offerAll(registered);
  }

  /** Throws ENODEV for an id that was not added. */
  removeId(driverName: string, id: DynamicId): void {
    const { ids } = this.#driver(driverName);
    const at = ids.findIndex((one) => one.vendor === id.vendor && one.device === id.device);
    if (at < 0) {
      throw new KernelError('ENODEV', `${hex4(id.vendor)}:${hex4(id.device)} was not added to driver ${driverName}`, { ...id });
    }
    ids.splice(at, 1);
  }

  #driver(name: string): Registered {
    const registered = this.#drivers.get(name);
    if (registered === undefined) throw new KernelError('ENODEV', `there is no driver ${name}`, { driver: name });
    return registered;
  }

  #offerAll(registered: Registered): void {
    for (const device of [...this.#devices.values()].sort((a, b) => a.routing - b.routing)) {
      if (device.driver === undefined && this.#matches(registered, device)) this.#try(registered, device);
    }
  }

  /** `driver_override` alone decides, where there is one. */
  #matches({ driver, ids }: Registered, device: CoreDevice): boolean {
    if (device.override !== undefined) return device.override === driver.name;
    if (driver.matches(device)) return true;
    if (ids.length === 0) return false;
    const config = this.host.config(device.routing);
    const [vendor, id] = [config.read(Pci.VENDOR_ID, 2), config.read(Pci.DEVICE_ID, 2)];
    return ids.some((one) => one.vendor === vendor && one.device === id);
  }

  /** Offers a device to the drivers, the first registered first, until one takes it. */
  #attach(device: CoreDevice): void {
    for (const registered of [...this.#drivers.values()]) {
      if (device.driver !== undefined) return;
      if (this.#matches(registered, device)) this.#try(registered, device);
    }
  }

  /** A refusal is no error here; what is none of the two ordinary ones is logged. */
  #try(registered: Registered, device: CoreDevice): void {
    try {
      this.#probe(registered, device);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'ENODEV' || error.code === 'ENXIO') return;
      this.#print(`${registered.driver.name}: probe of ${device.name} failed: ${error.message}`);
    }
  }

  #probe({ driver }: Registered, device: CoreDevice): void {
    device.driver = driver.name;
    try {
      driver.probe(device);
    } catch (error) {
      device.driver = undefined;
      throw error;
    }
    for (const observer of this.#observers) observer.bound(device, driver.name);
  }

  #detach(device: CoreDevice): void {
    const { driver: name } = device;
    if (name === undefined) return;
    this.#driver(name).driver.remove(device);
    device.driver = undefined;
    for (const observer of this.#observers) observer.unbound(device, name);
  }

  // ---- what tools ask for

  #named(name: string): CoreDevice {
    const device = this.deviceNamed(name);
    if (device === undefined) throw new KernelError('ENODEV', `there is no device ${name}`, { device: name });
    return device as CoreDevice;
  }

  /** Throws ENODEV when there is no such device or the driver does not match it, EBUSY when another has it. */
  bind(driverName: string, deviceName: string): void {
    const registered = this.#driver(driverName);
    const device = this.#named(deviceName);
    if (!this.#matches(registered, device)) {
      throw new KernelError('ENODEV', `driver ${driverName} does not take ${deviceName}`, { device: deviceName });
    }
    if (device.driver !== undefined) {
      throw new KernelError('EBUSY', `driver ${device.driver} has ${deviceName}; unbind it first`, { device: deviceName });
    }
    this.#probe(registered, device);
  }

  /** Throws ENODEV when this driver does not have the device. */
  unbind(driverName: string, deviceName: string): void {
    const device = this.#named(deviceName);
    if (device.driver !== driverName) {
      throw new KernelError('ENODEV', `driver ${driverName} does not have ${deviceName}`, { device: deviceName });
    }
    this.#detach(device);
  }

  /** Offers a device without a driver to all of them (`drivers_probe`). Throws ENODEV for no such device. */
  probe(deviceName: string): void {
    this.#attach(this.#named(deviceName));
  }

  /** The one driver that may have the device; an empty name lets all of them again. */
  setOverride(deviceName: string, driverName: string): void {
    this.#named(deviceName).override = driverName === '' ? undefined : driverName;
  }

  // ---- what drivers do with a device

  isEnabled(device: PciDevice): boolean {
    return this.#of(device).enabled > 0;
  }

  enableCount(device: PciDevice): number {
    return this.#of(device).enabled;
  }

  /** Turns on decode of what the device has; counted. */
  enable(device: PciDevice): void {
    const own = this.#of(device);
    own.enabled++;
    if (own.enabled > 1) return;
    const has = (flag: number): boolean => device.host.resources.slice(0, 6).some(({ flags }) => (flags & flag) !== 0);
    const config = this.host.config(device.routing);
    const decode = (has(IORESOURCE.IO) ? PciCommand.IO : 0) | (has(IORESOURCE.MEM) ? PciCommand.MEMORY : 0);
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | decode);
  }

  /** The last of those who enabled it takes Bus Master away; decode stays, as Linux leaves it. */
  disable(device: PciDevice): void {
    const own = this.#of(device);
    if (own.enabled === 0) return;
    own.enabled--;
    if (own.enabled > 0) return;
    const config = this.host.config(device.routing);
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) & ~PciCommand.MASTER);
  }

  /** Resets the function and puts its Command register back. Throws ENOTTY when it cannot be reset. */
  reset(device: PciDevice): void {
    if (!device.host.resettable) throw new KernelError('ENOTTY', `${device.name} has no way to be reset`, { device: device.name });
    const config = this.host.config(device.routing);
    const command = config.read(Pci.COMMAND, 2);
    this.host.reset(device.routing);
    config.write(Pci.COMMAND, 2, command);
  }

  #of(device: PciDevice): CoreDevice {
    const own = this.#devices.get(device.routing);
    if (own !== device) throw new KernelError('ENODEV', `${device.name} is there no more`, { device: device.name });
    return own;
  }
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0');
}
