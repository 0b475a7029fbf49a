/** The devices that one front end has, and what the back end's directory says of them. */

import type { Kernel } from '../kernel/kernel';
import { PCI_MAGIC } from '../pciif';
import type { XenbusDevice } from '../xenbus/device';
import { errnoOf, orFail, XenbusFailure } from '../xenbus/errors';
import { XENBUS, type XenbusState } from '../xenbus/states';
import { formatDev, formatRoot, formatVdev, parseKeyAddress } from './addresses';
import { AerReports } from './aer';
import { FrontLink } from './front-link';
import { OpServer } from './op-server';
import type { SeizedDevice, Stub, Topology, VirtualAddress } from './types';

const EFAULT = 14;
const EINVAL = 22;
const ENOENT = 2;
/** Entries that a directory may have: more functions than a bus holds are not given to one front end. */
const DEVICES_LIMIT = 1024;

export interface ExportOptions {
  /** Whether operations are answered. */
  readonly answers: boolean;
}

export class PciExport {
  readonly xenbus: XenbusDevice;
  readonly topology: Topology;
  readonly aer: AerReports;
  readonly #kernel: Kernel;
  readonly #stub: Stub;
  readonly #answers: boolean;
  #link: FrontLink | undefined;
  #server: OpServer | undefined;

  constructor(kernel: Kernel, stub: Stub, xenbus: XenbusDevice, { answers }: ExportOptions) {
    this.#kernel = kernel;
    this.#stub = stub;
    this.#answers = answers;
    this.xenbus = xenbus;
    this.topology = stub.topology();
    this.aer = new AerReports(kernel, this);
  }

  get link(): FrontLink | undefined {
    return this.#link;
  }

  get server(): OpServer | undefined {
    return this.#server;
  }

  /** A device begins: the list that there is is exported at once. */
  begin(): void {
    this.xenbus.switchState(XENBUS.INIT_WAIT);
    this.xenbus.watch(this.xenbus.path, () => this.#guard(() => this.#ownChanged()));
    this.#guard(() => this.#setUp());
  }

  /** The back end's own directory has changed, or is said to have. */
  #ownChanged(): void {
    const state = this.xenbus.ownState();
    if (state === XENBUS.INIT_WAIT) this.#setUp();
    // more devices, of a domain that has not connected yet
    else if (state === XENBUS.INITIALISED) this.#reconfigure();
  }

  frontChanged(state: XenbusState): void {
    if (state !== XENBUS.UNKNOWN) this.#print(`fe state changed ${state}`);
    this.#guard(() => this.#follow(state));
  }

  #follow(state: XenbusState): void {
    const own = this.xenbus.ownState();
    switch (state) {
      case XENBUS.INITIALISED: this.#attach(); break;
      case XENBUS.RECONFIGURING:
        if (own !== XENBUS.RECONFIGURING) break;
        this.#reconfigure();
        this.xenbus.switchState(XENBUS.RECONFIGURED);
        break;
      case XENBUS.CONNECTED:
        // and no other: a front end that was never attached is not connected because it says so
        if (own === XENBUS.RECONFIGURED) this.xenbus.switchState(XENBUS.CONNECTED);
        break;
      case XENBUS.CLOSING:
        this.disconnect();
        this.xenbus.switchState(XENBUS.CLOSING);
        break;
      case XENBUS.CLOSED:
        this.disconnect();
        this.xenbus.switchState(XENBUS.CLOSED);
        if (this.xenbus.read('online') !== '1') this.xenbus.leave();
        break;
      case XENBUS.UNKNOWN: this.xenbus.leave(); break;
      default: break;
    }
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      if (this.xenbus.ended) return;
      // a directory that went meanwhile is no failure
      if (this.xenbus.ownState() !== XENBUS.UNKNOWN) this.xenbus.fatal(errno, (error as Error).message);
    }
  }

  #print(line: string): void {
    this.#kernel.print(`pciback pci-${this.xenbus.otherDomid}-0: ${line}`);
  }

  #setUp(): void {
    if (this.xenbus.state !== XENBUS.INIT_WAIT || this.xenbus.ownState() !== XENBUS.INIT_WAIT) return;
    const count = this.#count();
    for (let index = 0; index < count; index++) {
      this.#export(index);
      this.#write(`state-${index}`, String(XENBUS.INITIALISED));
    }
    this.#publishRoots();
    this.xenbus.switchState(XENBUS.INITIALISED);
    this.#attach();
  }

  #count(): number {
    const message = 'Error reading number of devices';
    const text = orFail(message, () => this.#kernel.store.read(`${this.xenbus.path}/num_devs`));
    if (!/^\d{1,4}$/.test(text) || Number(text) > DEVICES_LIMIT) throw new XenbusFailure(EINVAL, message);
    return Number(text);
  }

  #write(key: string, value: string): void {
    orFail('Error writing device configuration', () => this.xenbus.write(key, value));
  }

  #readAddress(key: string): VirtualAddress {
    const text = orFail('Error reading device configuration', () => this.#kernel.store.read(`${this.xenbus.path}/${key}`));
    const address = parseKeyAddress(text);
    if (address === undefined) throw new XenbusFailure(EINVAL, 'Error parsing pci device configuration');
    return address;
  }

  /** Seizes the device of an entry for this front end, and says where it will find it. */
  #export(index: number): void {
    const host = this.#readAddress(`dev-${index}`);
    const device = host.segment === 0 ? this.#stub.take(host.bus << 8 | host.devfn, this.xenbus.otherDomid) : undefined;
    if (device === undefined) {
      throw new XenbusFailure(EINVAL, `Couldn't locate PCI device (${formatDev(host)})! perhaps already in-use?`);
    }
    try {
      const address = this.topology.add(device);
      this.#write(`vdev-${index}`, formatVdev(address));
    } catch (error) {
      this.#giveBack(device);
      throw error;
    }
  }

  /** Roots that are there stay as they are. */
  #publishRoots(): void {
    orFail('Error while publish PCI root buses for frontend', () => {
      const text = this.xenbus.read('root_num') ?? '0';
      const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
      const there = Array.from({ length: count }, (_, index) => this.xenbus.read(`root-${index}`));
      for (const root of this.topology.roots().map(formatRoot)) {
        if (there.includes(root)) continue;
        this.xenbus.write(`root-${there.length}`, root);
        there.push(root);
        this.xenbus.write('root_num', String(there.length));
      }
    });
  }

  /** Takes in what is new in the list, and lets go what is to go. */
  #reconfigure(): void {
    const count = this.#count();
    for (let index = 0; index < count; index++) {
      const state = this.xenbus.read(`state-${index}`);
      if (state === String(XENBUS.INITIALISING)) {
        this.#export(index);
        this.#publishRoots();
        this.#write(`state-${index}`, String(XENBUS.INITIALISED));
      } else if (state === String(XENBUS.CLOSING)) {
        const { segment, bus, devfn } = this.#readAddress(`vdev-${index}`);
        const device = this.topology.find(segment, bus, devfn);
        if (device !== undefined) this.#giveBack(device);
      }
    }
  }

  #giveBack(device: SeizedDevice): void {
    if (this.topology.addressOf(device) !== undefined) {
      this.topology.remove(device);
      this.#print(`unregistering ${device.name}`);
    }
    this.#stub.give(device);
  }

  #attach(): void {
    const { xenbus } = this;
    const both = [xenbus.ownState(), xenbus.otherState()];
    if (this.#link !== undefined || both.some((state) => state !== XENBUS.INITIALISED)) return;
    const number = (key: string): number => {
      const text = xenbus.readOther(key);
      if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) > 0xffffffff) {
        throw new XenbusFailure(text === undefined ? ENOENT : EINVAL, 'Error reading configuration from frontend');
      }
      return Number(text);
    };
    const [ref, port, magic] = [number('pci-op-ref'), number('event-channel'), xenbus.readOther('magic')];
    if (magic !== PCI_MAGIC) {
      const theirs = magic === undefined ? '(null)' : printable(magic);
      throw new XenbusFailure(EFAULT, `version mismatch (${theirs}/${PCI_MAGIC}) with pcifront - halting xen-pciback`);
    }
    const link = FrontLink.connect(this.#kernel, { domid: xenbus.otherDomid, ref, port });
    this.#link = link;
    if (this.#answers) {
      const server = new OpServer(link, this.topology);
      this.#server = server;
      link.onEvent(() => server.handle());
    }
    xenbus.switchState(XENBUS.CONNECTED);
  }

  /** The front end's page and port go; its devices stay. */
  disconnect(): void {
    this.#link?.close();
    this.#link = undefined;
    this.#server = undefined;
  }

  /** Everything goes. */
  end(): void {
    this.disconnect();
    for (const device of [...this.topology.devices()]) {
      try {
        this.#giveBack(device);
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === undefined) throw error;
        this.#print(`${device.name} cannot be taken back: ${errno} ${(error as Error).message}`);
      }
    }
  }

  /** The device is no longer pciback's. */
  forget(device: SeizedDevice): void {
    if (this.topology.addressOf(device) !== undefined) this.topology.remove(device);
  }
}

/** A guest's text, for the log: short, and without what a terminal would act on. */
function printable(text: string): string {
  return text.slice(0, 32).replace(/[^\x20-\x7e]/g, '?');
}
