/** The back end for PCI in the first domain: gives seized devices to front ends. One xenbus device for each domain. */

import type { Kernel } from '../kernel/kernel';
import type { Job } from '../schedule/scheduler';
import type { XenbusDriver } from '../xenbus/bus';
import type { XenbusDevice } from '../xenbus/device';
import type { XenbusState } from '../xenbus/states';
import type { AerEvent } from './aer';
import { PciExport } from './export';
import { NetbsdPciback, type RawConfig } from './netbsd';
import type { SeizedDevice, Stub } from './types';

/** Which back end the first domain has. */
export type PcibackKind =
  | 'linux'
  /** Hands every access on as it is, and knows neither interrupts nor hot-plug. */
  | 'netbsd'
  /** Connects, and answers nothing. */
  | 'silent'
  | 'none';

export interface BackendParts {
  readonly kernel: Kernel;
  readonly stub: Stub;
  /** The real config space of a function: NetBSD's has nothing in front of it. */
  readonly config: RawConfig;
}

/** The driver for the first domain's xenbus; undefined when it is to have none. */
export function pcibackDriver(kind: PcibackKind, { kernel, stub, config }: BackendParts): XenbusDriver | undefined {
  switch (kind) {
    case 'linux': return new PcibackBackend(kernel, stub);
    case 'silent': return new PcibackBackend(kernel, stub, { answers: false });
    case 'netbsd': return new NetbsdPciback(kernel, stub, config);
    default: return undefined;
  }
}

export class PcibackBackend implements XenbusDriver {
  readonly type = 'pci';
  readonly #kernel: Kernel;
  readonly #stub: Stub;
  readonly #answers: boolean;
  readonly #exports = new Map<XenbusDevice, PciExport>();

  constructor(kernel: Kernel, stub: Stub, { answers = true }: { answers?: boolean } = {}) {
    this.#kernel = kernel;
    this.#stub = stub;
    this.#answers = answers;
    stub.onTaken = (device) => {
      for (const one of this.#exports.values()) one.forget(device);
    };
  }

  get exports(): readonly PciExport[] {
    return [...this.#exports.values()];
  }

  probe(device: XenbusDevice): void {
    const one = new PciExport(this.#kernel, this.#stub, device, { answers: this.#answers });
    this.#exports.set(device, one);
    one.begin();
  }

  otherEndChanged(device: XenbusDevice, state: XenbusState): void {
    this.#exports.get(device)?.frontChanged(state);
  }

  remove(device: XenbusDevice): void {
    this.#exports.get(device)?.end();
    this.#exports.delete(device);
  }

  /**
   * A call of the kernel's error recovery for a device that a front end has. It goes on by itself, for up to 300 s; the
   * job's result is one of ERS_RESULT. Undefined when no front end has the device.
   */
  report(device: SeizedDevice, event: AerEvent, channel?: number): Job<number> | undefined {
    const one = this.exports.find(({ topology }) => topology.addressOf(device) !== undefined);
    if (one === undefined) return undefined;
    return this.#kernel.scheduler.spawn(`${event} of ${device.name}`, this.#kernel.domid, one.aer.report(device, event, channel));
  }
}
