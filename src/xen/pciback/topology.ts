import { Pci } from '../../../assembly/spec/pci';
import { EFAULT, ENOMEM } from './linux-errno';
import { ExportError, type SeizedDevice, type Topology, type VirtualAddress } from './types';

const SLOTS = 32;
const BRIDGE_CLASS = 0x06;

/** A bridge would give its guest the bus numbers and windows behind it. (Linux means to refuse it, and does not.) */
function refuseBridge(device: SeizedDevice): void {
  const { value } = device.configRead(Pci.CLASS, 1);
  if (value === BRIDGE_CLASS) throw new ExportError(EFAULT, 'Can\'t export bridges on the virtual PCI bus');
}

function samePlace(one: SeizedDevice, other: SeizedDevice): boolean {
  return one.routing >> 3 === other.routing >> 3;
}

/**
 * One bus 0000:00 with 32 slots. Functions keep their function number; those of one device of the host share a slot, others
 * get the first that is empty.
 */
export class VirtualBus implements Topology {
  readonly #slots: SeizedDevice[][] = Array.from({ length: SLOTS }, () => []);

  add(device: SeizedDevice): VirtualAddress {
    refuseBridge(device);
    const slot = this.#slotFor(device);
    if (slot === undefined) throw new ExportError(ENOMEM, 'No more space on root virtual PCI bus');
    (this.#slots[slot] as SeizedDevice[]).push(device);
    return { segment: 0, bus: 0, devfn: slot << 3 | (device.routing & 7) };
  }

  /** A virtual function 0 begins a slot of its own, and nothing joins it there: it is no function of that device. */
  #slotFor(device: SeizedDevice): number | undefined {
    if (!alone(device)) {
      const joined = this.#slots.findIndex(([first]) => first !== undefined && !alone(first) && samePlace(first, device));
      if (joined >= 0) return joined;
    }
    const empty = this.#slots.findIndex((slot) => slot.length === 0);
    return empty < 0 ? undefined : empty;
  }

  remove(device: SeizedDevice): void {
    for (const slot of this.#slots) {
      const index = slot.indexOf(device);
      if (index >= 0) slot.splice(index, 1);
    }
  }

  find(segment: number, bus: number, devfn: number): SeizedDevice | undefined {
    if (segment !== 0 || bus !== 0) return undefined;
    return this.#slots[devfn >> 3]?.find(({ routing }) => (routing & 7) === (devfn & 7));
  }

  addressOf(device: SeizedDevice): VirtualAddress | undefined {
    const slot = this.#slots.findIndex((devices) => devices.includes(device));
    return slot < 0 ? undefined : { segment: 0, bus: 0, devfn: slot << 3 | (device.routing & 7) };
  }

  roots(): ReadonlyArray<{ readonly segment: number; readonly bus: number }> {
    return [{ segment: 0, bus: 0 }];
  }

  devices(): readonly SeizedDevice[] {
    return this.#slots.flat();
  }
}

function alone(device: SeizedDevice): boolean {
  return device.virtualFunction === true && (device.routing & 7) === 0;
}

/** Devices at their own addresses; one root for each bus that one of them is on. */
export class HostBuses implements Topology {
  readonly #devices: SeizedDevice[] = [];

  add(device: SeizedDevice): VirtualAddress {
    refuseBridge(device);
    this.#devices.push(device);
    return addressOf(device);
  }

  remove(device: SeizedDevice): void {
    const index = this.#devices.indexOf(device);
    if (index >= 0) this.#devices.splice(index, 1);
  }

  find(segment: number, bus: number, devfn: number): SeizedDevice | undefined {
    if (segment !== 0) return undefined;
    return this.#devices.find(({ routing }) => routing >> 8 === bus && (routing & 0xff) === devfn);
  }

  addressOf(device: SeizedDevice): VirtualAddress | undefined {
    return this.#devices.includes(device) ? addressOf(device) : undefined;
  }

  roots(): ReadonlyArray<{ readonly segment: number; readonly bus: number }> {
    return [...new Set(this.#devices.map(({ routing }) => routing >> 8))].map((bus) => ({ segment: 0, bus }));
  }

  devices(): readonly SeizedDevice[] {
    return [...this.#devices];
  }
}

function addressOf({ routing }: SeizedDevice): VirtualAddress {
  return { segment: 0, bus: routing >> 8, devfn: routing & 0xff };
}
