// Drivers of the first domain's kernel, by the names that they have in Linux. Those of network cards drive; the others
// only have their devices.
import { Pci, PciBridge, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { KernelError } from '../xen/dom0/errors';
import type { PciCore } from '../xen/dom0/pci-core';
import type { PciDevice, PciDriver } from '../xen/dom0/types';
import { type NicModel, NicService, type ServiceParts } from './nic-service';

/** Vendor and device id, and the class with its programming interface. */
interface Identity {
  readonly vendor: number;
  readonly device: number;
  readonly classCode: number;
  readonly revision: number;
}

function identityOf(core: PciCore, { routing }: PciDevice): Identity {
  const config = core.host.config(routing);
  const classAndRevision = config.read(Pci.REVISION_ID, 4);
  return {
    vendor: config.read(Pci.VENDOR_ID, 2), device: config.read(Pci.DEVICE_ID, 2), classCode: classAndRevision >>> 8,
    revision: classAndRevision & 0xff,
  };
}

/** What each takes. The ids of 8139cp are those of the 8139C+; the class of pcieport is a bridge to PCI. */
const TAKES: Readonly<Record<string, (one: Identity) => boolean>> = {
  pcieport: ({ classCode }) => classCode === 0x060400,
  nvme: ({ classCode }) => classCode === 0x010802,
  '8139cp': ({ vendor, device, revision }) => vendor === 0x10ec && device === 0x8139 && revision >= 0x20,
  'virtio-pci': ({ vendor, device }) => vendor === 0x1af4 && device >= 0x1000 && device <= 0x107f,
};

/** Has devices and does nothing with them. */
class PassiveDriver implements PciDriver {
  readonly name: string;
  readonly #core: PciCore;
  readonly #takes: (device: PciDevice) => boolean;

  constructor(name: string, core: PciCore, takes: (device: PciDevice) => boolean) {
    this.name = name;
    this.#core = core;
    this.#takes = takes;
  }

  matches(device: PciDevice): boolean {
    return this.#takes(device);
  }

  /** A bridge forwards the requests of what is behind it only as a bus master. */
  probe(device: PciDevice): void {
    this.#core.enable(device);
    const config = this.#core.host.config(device.routing);
    if ((config.read(Pci.HEADER_TYPE, 1) & Pci.HEADER_LAYOUT_MASK) !== PciBridge.LAYOUT) return;
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | PciCommand.MASTER);
  }

  remove(device: PciDevice): void {
    this.#core.disable(device);
  }
}

/** 82540EM and 82574L, with their real drivers. */
const NICS: Readonly<Record<NicModel, number>> = { e1000: 0x100e, e1000e: 0x10d3 };

export interface Dom0DriverParts {
  readonly core: PciCore;
  /** Driver that a dumped device had where the dump was made, '' for none; undefined for a device with a model. */
  dumped(routing: number): string | undefined;
  service(device: PciDevice): ServiceParts;
}

class NicDriver implements PciDriver {
  readonly name: NicModel;
  readonly #parts: Dom0DriverParts;
  readonly #services = new Map<number, NicService>();

  constructor(name: NicModel, parts: Dom0DriverParts) {
    this.name = name;
    this.#parts = parts;
  }

  service(routing: number): NicService | undefined {
    return this.#services.get(routing);
  }

  matches(device: PciDevice): boolean {
    const { vendor, device: id } = identityOf(this.#parts.core, device);
    return vendor === 0x8086 && id === NICS[this.name];
  }

  probe(device: PciDevice): void {
    const { core } = this.#parts;
    core.enable(device);
    // one from a dump has nothing behind its registers
    if (this.#parts.dumped(device.routing) !== undefined) return;
    try {
      this.#services.set(device.routing, new NicService(this.name, this.#parts.service(device)));
    } catch (error) {
      core.disable(device);
      if (!(error instanceof PortcullisError) || error instanceof KernelError) throw error;
      throw new KernelError('EIO', error.message, { device: device.name });
    }
  }

  remove(device: PciDevice): void {
    this.#services.get(device.routing)?.stop();
    this.#services.delete(device.routing);
    this.#parts.core.disable(device);
  }
}

export class Dom0Drivers {
  readonly #nics: readonly NicDriver[];

  /** Registers them all; each takes what it matches and nobody has. */
  constructor(parts: Dom0DriverParts) {
    const { core, dumped } = parts;
    this.#nics = (['e1000', 'e1000e'] as const).map((name) => new NicDriver(name, parts));
    const names = new Set(Object.keys(TAKES));
    for (const { routing } of core.devices) names.add(dumped(routing) ?? '');
    for (const name of ['', 'pciback', ...Object.keys(NICS)]) names.delete(name);
    // a dump knows better than the ids who has a device
    for (const name of names) {
      core.addDriver(new PassiveDriver(name, core, (device) => {
        const had = dumped(device.routing) || undefined;
        return had === undefined ? TAKES[name]?.(identityOf(core, device)) ?? false : had === name;
      }));
    }
    for (const nic of this.#nics) core.addDriver(nic);
  }

  /** The network card that one of them drives. */
  nic(routing: number): NicService | undefined {
    return this.#nics.map((nic) => nic.service(routing)).find((service) => service !== undefined);
  }
}
