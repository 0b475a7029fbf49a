/**
 * The xenbus of a kernel: finds directories of devices in the store, gives each to its driver, and takes it away when
 * the directory goes. Watch events say only where to look; what is done depends on what is found there.
 */

import type { Kernel } from '../kernel/kernel';
import { domainPath, isWithin } from '../xenstore/paths';
import { XenbusDevice, type XenbusSide } from './device';
import { errnoOf } from './errors';
import { XENBUS, type XenbusState } from './states';

export interface XenbusDriver {
  /** `pci`, `vbd`, `vif`. */
  readonly type: string;
  /** A device in state Initialising, whose other end can be read. */
  probe(device: XenbusDevice): void;
  /** The other end is, or still is, in that state. */
  otherEndChanged(device: XenbusDevice, state: XenbusState): void;
  /** The directory is gone, or the driver leaves. Must not throw, and leaves nothing behind. */
  remove(device: XenbusDevice): void;
}

const FOLDER = { front: 'device', back: 'backend' } as const;
/** Parts of a device's path below that: type and number, and between them, at a back end, the front end's domain. */
const PARTS = { front: 2, back: 3 } as const;

export class XenbusBus {
  readonly kernel: Kernel;
  readonly side: XenbusSide;
  readonly #root: string;
  readonly #drivers = new Map<string, XenbusDriver>();
  readonly #devices = new Map<string, { device: XenbusDevice; driver: XenbusDriver }>();
  readonly #stop: () => void;

  constructor(kernel: Kernel, side: XenbusSide) {
    this.kernel = kernel;
    this.side = side;
    this.#root = `${domainPath(kernel.domid)}/${FOLDER[side]}`;
    this.#stop = kernel.watch(this.#root, (path) => this.#changed(path));
  }

  get devices(): XenbusDevice[] {
    return [...this.#devices.values()].map(({ device }) => device);
  }

  /** A driver is loaded; devices of its kind that wait are given to it. */
  register(driver: XenbusDriver): void {
    this.#drivers.set(driver.type, driver);
    this.kernel.schedule(() => this.#changed(`${this.#root}/${driver.type}`));
  }

  /** A driver is unloaded: its devices are left in state Closed. */
  unregister(driver: XenbusDriver): void {
    if (this.#drivers.get(driver.type) === driver) this.#drivers.delete(driver.type);
    for (const [node, one] of [...this.#devices]) if (one.driver === driver) this.#remove(node);
  }

  /** All drivers leave, and nothing is watched any more. */
  stop(): void {
    for (const driver of [...this.#drivers.values()]) this.unregister(driver);
    this.#stop();
  }

  #changed(path: string): void {
    for (const [node, { device }] of [...this.#devices]) {
      const touched = isWithin(path, device.path) || isWithin(device.path, path);
      if (touched && this.#replaced(device)) this.#remove(node);
    }
    for (const parts of this.#below(path)) this.#probe(parts);
  }

  /** Devices that a change at `path` may be about. */
  #below(path: string): string[][] {
    if (!isWithin(path, this.#root)) return [];
    const given = path.slice(this.#root.length + 1).split('/').filter((part) => part !== '').slice(0, PARTS[this.side]);
    let found = [given];
    while ((found[0]?.length ?? PARTS[this.side]) < PARTS[this.side]) {
      found = found.flatMap((parts) => this.#list(parts).map((name) => [...parts, name]));
    }
    return found.filter(([type]) => type !== undefined && this.#drivers.has(type));
  }

  #list(parts: readonly string[]): string[] {
    try {
      return this.kernel.store.directory([this.#root, ...parts].join('/'));
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return [];
    }
  }

  /** A directory that one may not see any more is as good as gone. */
  #exists(path: string): boolean {
    try {
      this.kernel.store.readBytes(path);
      return true;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return false;
    }
  }

  /** The directory is gone; or it went and came, and what is there is another device. */
  #replaced(device: XenbusDevice): boolean {
    if (!this.#exists(device.path)) return true;
    return device.state !== XENBUS.INITIALISING && device.ownState() === XENBUS.INITIALISING;
  }

  #probe(parts: readonly string[]): void {
    const node = `${FOLDER[this.side]}/${parts.join('/')}`;
    const type = parts[0] as string;
    const driver = this.#drivers.get(type);
    if (driver === undefined || this.#devices.has(node)) return;
    const path = `${domainPath(this.kernel.domid)}/${node}`;
    const there = this.side === 'front' ? 'backend' : 'frontend';
    const read = (key: string): string | undefined => {
      try {
        return this.kernel.store.readIfThere(`${path}/${key}`);
      } catch (error) {
        if (errnoOf(error) === undefined) throw error;
        return undefined;
      }
    };
    // one that is on its way, or over, is not begun anew
    if (read('state') !== String(XENBUS.INITIALISING)) return;
    const [otherEnd = '', domid = ''] = [read(there), read(`${there}-id`)];
    const address = { side: this.side, type, node, otherEnd, otherDomid: Number(domid) };
    const device = new XenbusDevice(this.kernel, address, (one) => this.#leave(one));
    if (!otherEnd.startsWith('/') || !/^\d{1,5}$/.test(domid) || !this.#exists(otherEnd)) {
      device.fatal(2, `unable to read other end from ${node}`);
      return;
    }
    this.#devices.set(node, { device, driver });
    this.#guard(device, () => {
      driver.probe(device);
      // a path may be as long as paths can be, and the one below it too long
      if (!device.ended) device.watch(`${otherEnd}/state`, () => this.#otherChanged(node));
    });
  }

  #otherChanged(node: string): void {
    const one = this.#devices.get(node);
    if (one === undefined) return;
    // one that this end has not heard the end of yet; the event of its own directory is still to come
    if (this.#replaced(one.device)) return;
    this.#guard(one.device, () => one.driver.otherEndChanged(one.device, one.device.otherState()));
  }

  /** What others can bring about ends this device, and nothing else. */
  #guard(device: XenbusDevice, work: () => void): void {
    try {
      work();
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      if (!device.ended) device.fatal(errno, (error as Error).message);
    }
  }

  #leave(device: XenbusDevice): void {
    if (this.#devices.get(device.node)?.device === device) this.#remove(device.node);
  }

  #remove(node: string): void {
    const one = this.#devices.get(node);
    if (one === undefined) return;
    this.#devices.delete(node);
    one.device.end();
    one.driver.remove(one.device);
    if (!this.#replaced(one.device)) one.device.switchState(XENBUS.CLOSED);
  }
}
