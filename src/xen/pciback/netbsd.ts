/**
 * NetBSD's back end, as another end to be met: no virtual fields (every access reaches the function as it is), no
 * interrupts, no hot-plug, host addresses, and no look at `magic`. It follows the front end only until it is connected.
 * Where the original takes its kernel down (a front end that closes before it has connected), this one lets go.
 */

import type { ConfigAccess } from '../../pci/access';
import type { Kernel } from '../kernel/kernel';
import { PCI_FLAG, PCI_OP, type PciOp } from '../pciif';
import type { XenbusDriver } from '../xenbus/bus';
import type { XenbusDevice } from '../xenbus/device';
import { errnoOf, orFail, XenbusFailure } from '../xenbus/errors';
import { XENBUS, type XenbusState } from '../xenbus/states';
import { formatRoot, parseKeyAddress } from './addresses';
import { FrontLink } from './front-link';
import { PCI_ERR, type SeizedDevice, type Stub } from './types';

export type RawConfig = (routing: number) => ConfigAccess;

const EINVAL = 22;
const DEVICES_LIMIT = 1024;
const CONFIG_SIZE = 4096;

interface Served {
  readonly devices: SeizedDevice[];
  link: FrontLink | undefined;
}

export class NetbsdPciback implements XenbusDriver {
  readonly type = 'pci';
  readonly #kernel: Kernel;
  readonly #stub: Stub;
  readonly #config: RawConfig;
  readonly #served = new Map<XenbusDevice, Served>();

  constructor(kernel: Kernel, stub: Stub, config: RawConfig) {
    this.#kernel = kernel;
    this.#stub = stub;
    this.#config = config;
    stub.onTaken = (device) => {
      for (const { devices } of this.#served.values()) {
        if (devices.includes(device)) devices.splice(devices.indexOf(device), 1);
      }
    };
  }

  probe(device: XenbusDevice): void {
    const one: Served = { devices: [], link: undefined };
    this.#served.set(device, one);
    const count = Number(device.read('num_devs'));
    if (!Number.isInteger(count) || count < 0 || count > DEVICES_LIMIT) throw new XenbusFailure(EINVAL, 'num_devs is no number');
    for (let index = 0; index < count; index++) {
      const text = device.read(`dev-${index}`) ?? '';
      const host = parseKeyAddress(text);
      const seized = host === undefined || host.segment !== 0 ? undefined
        : this.#stub.take(host.bus << 8 | host.devfn, device.otherDomid);
      if (seized === undefined) throw new XenbusFailure(EINVAL, `dev-${index}: no device ${text} to give away`);
      one.devices.push(seized);
    }
    const buses = [...new Set(one.devices.map(({ routing }) => routing >> 8))];
    buses.forEach((bus, index) => device.write(`root-${index}`, formatRoot({ segment: 0, bus })));
    device.write('root_num', String(buses.length));
    device.switchState(XENBUS.INITIALISED);
  }

  otherEndChanged(device: XenbusDevice, state: XenbusState): void {
    const one = this.#served.get(device);
    if (one === undefined) return;
    if (state === XENBUS.UNKNOWN) {
      device.leave();
      return;
    }
    if (device.state !== XENBUS.INITIALISED) return;
    if (state === XENBUS.CLOSED) device.switchState(XENBUS.CLOSED);
    if (state !== XENBUS.INITIALISED) return;
    const number = (key: string): number => Number(orFail(`cannot read ${key}`,
      () => this.#kernel.store.read(`${device.otherEnd}/${key}`)));
    const [ref, port] = [number('pci-op-ref'), number('event-channel')];
    const link = FrontLink.connect(this.#kernel, { domid: device.otherDomid, ref, port });
    one.link = link;
    link.onEvent(() => this.#serve(one, link));
    device.switchState(XENBUS.CONNECTED);
  }

  remove(device: XenbusDevice): void {
    const one = this.#served.get(device);
    this.#served.delete(device);
    one?.link?.close();
    for (const seized of one?.devices ?? []) this.#stub.give(seized);
  }

  /** One operation for an event. */
  #serve({ devices }: Served, link: FrontLink): void {
    if (!link.page.has(PCI_FLAG.OP_ACTIVE)) return;
    const op = link.page.readOp();
    const device = op.segment === 0 ? devices.find(({ routing }) => routing === op.bus * 256 + op.devfn) : undefined;
    // what it does not know it leaves as it was, and says that it is done
    if (device !== undefined) {
      const { err, value } = this.#access(op, device);
      link.page.answer(err, value);
    }
    link.page.clear(PCI_FLAG.OP_ACTIVE);
    link.notify();
  }

  #access(op: PciOp, device: SeizedDevice): { err: number; value: number } {
    const { cmd, offset, size, value } = op;
    const write = cmd === PCI_OP.CONF_WRITE;
    if (!write && cmd !== PCI_OP.CONF_READ) return { err: PCI_ERR.NOT_IMPLEMENTED, value };
    const width = size === 1 || size === 2 || size === 4 ? size : undefined;
    if (width === undefined) return { err: write ? PCI_ERR.INVALID_OFFSET : PCI_ERR.SUCCESS, value };
    // the one check that it needs here: a function has no other registers
    if (offset < 0 || offset % width !== 0 || offset + width > CONFIG_SIZE) return { err: PCI_ERR.INVALID_OFFSET, value };
    try {
      const config = this.#config(device.routing);
      if (!write) return { err: PCI_ERR.SUCCESS, value: config.read(offset, width) >>> 0 };
      config.write(offset, width, value);
      return { err: PCI_ERR.SUCCESS, value };
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return { err: PCI_ERR.OP_FAILED, value };
    }
  }
}
