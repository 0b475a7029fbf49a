/** What a machine with its Xen control plane offers to those who control it. */

import { Pci } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { bdfOf, formatBdf } from '../pci/bdf';
import type { PciCore } from '../xen/dom0/pci-core';
import type { HostPci, PciDevice, Sysfs } from '../xen/dom0/types';
import { parseExplainArgs } from '../xen/explain/arguments';
import { exitCodeOf, explain } from '../xen/explain/explain';
import { explainDocument, explainText } from '../xen/explain/text';
import type { ExplainFacts } from '../xen/explain/types';
import type { Domain } from '../xen/hypervisor/domain';
import type { Kernel } from '../xen/kernel/kernel';
import type { Pcifront } from '../xen/pcifront/pcifront';
import type { Scheduler } from '../xen/schedule/scheduler';
import type { Xl } from '../xen/toolstack/xl';
import { MachineControl } from './control';
import type { ControlOptions } from './control';
import type { ControlConfig, ControlFunction, ControlParts } from './control/parts';
import type { Machine } from './machine';

/** The control plane, as far as it is used here. */
export interface ControlledSystem {
  readonly scheduler: Scheduler;
  readonly sysfs: Sysfs;
  readonly core: PciCore;
  readonly pci: HostPci;
  readonly xl: Pick<Xl, 'run'>;
  /** The first domain's. */
  readonly kernel: Pick<Kernel, 'log'>;
  domains(): readonly Domain[];
  /** The front end for PCI in a domain's kernel. */
  pcifront(domid: number): Pcifront | undefined;
  /** What `explain` knows at this moment. */
  explainFacts(): ExplainFacts;
}

export interface ControlledMachine {
  readonly system: ControlledSystem;
  /** Vendor and device of a function in words. */
  nameOf(routing: number): string | undefined;
  digest(): unknown;
}

/** Makes a machine answer requests. It is driven by them and by the pace from then on: nothing else is to let time pass. */
export function controlMachine(machine: Machine, options: ControlOptions): MachineControl {
  const names = new Map(machine.listed().map(({ routing, name }) => [routing, name]));
  const parts = controlParts({ system: machine.xen, nameOf: (routing) => names.get(routing), digest: () => machine.digest() });
  return new MachineControl(parts, options);
}

/** PCI BIOS 2.1 §4: the register number is not one that this function has, or not aligned. */
const BAD_REGISTER_NUMBER = 0x87;
/** BAR 0 to 5 and the ROM. */
const RESOURCES = 7;

export function controlParts({ system, nameOf, digest }: ControlledMachine): ControlParts {
  const { core, pci, scheduler, sysfs, xl } = system;
  const host = (device: PciDevice): ControlFunction => ({
    routing: device.routing, name: nameOf(device.routing), driver: device.driver,
    irq: device.host.irq === 0 ? undefined : device.host.irq,
    sizes: sizesOf(device.host.resources),
    config: hostConfig(pci, device.routing),
  });
  const front = (name: string): Pcifront => {
    const found = system.domains().find((domain) => domain.name === name || String(domain.domid) === name);
    if (found === undefined) {
      throw new PortcullisError('NO_DOMAIN', `there is no domain "${name}"; see portcullis xl list`, { domain: name });
    }
    const pcifront = system.pcifront(found.domid);
    if (pcifront !== undefined) return pcifront;
    throw new PortcullisError('NO_PCIFRONT', found.domid === 0 ? 'Domain-0 has the devices themselves; leave --domain out'
      : `domain ${name} has no front end for PCI`, { domain: name });
  };
  return {
    scheduler, sysfs,
    xl: (args, files) => xl.run(args, files),
    functions: (domain) => {
      if (domain === undefined) return core.devices.map(host);
      const names = new Map(core.devices.map(({ routing }) => [idsOf(pci, routing), nameOf(routing)]));
      const pcifront = front(domain);
      return pcifront.devices.map(({ routing, vendor, device, irq, resources }) => ({
        routing, irq: irq === 0 ? undefined : irq, name: names.get(device * 0x10000 + vendor), sizes: sizesOf(resources),
        config: guestConfig(pcifront, routing),
      }));
    },
    config: (domain, routing) => guestConfig(front(domain), routing),
    explain: (args) => {
      const explanation = explain(system.explainFacts(), parseExplainArgs(args));
      return { text: explainText(explanation), document: explainDocument(explanation), ok: exitCodeOf(explanation) === 0 };
    },
    dmesg: () => system.kernel.log,
    digest,
    status: () => ({
      domains: system.domains().map(({ domid, name, kind }) => ({ domid, name, kind })),
      devices: core.devices.map(({ routing, driver }) => ({ bdf: formatBdf(bdfOf(routing)), driver: driver ?? null })),
    }),
  };
}

function sizesOf(resources: PciDevice['host']['resources']): number[] {
  return resources.slice(0, RESOURCES).map(({ start, end }) => (end === 0 ? 0 : end - start + 1));
}

/** Vendor in the low half, device in the high one. */
function idsOf(pci: HostPci, routing: number): number {
  return pci.config(routing).read(Pci.VENDOR_ID, 4) >>> 0;
}

function hostConfig(pci: HostPci, routing: number): ControlConfig {
  const size = pci.configSize(routing);
  const config = pci.config(routing);
  const isRegister = (off: number, width: number): boolean => off % width === 0 && off + width <= size;
  return {
    size,
    read: (off, width) => (isRegister(off, width) ? { code: 0, value: config.read(off, width) >>> 0 }
      : { code: BAD_REGISTER_NUMBER, value: 0xffffffff }),
    write: (off, width, value) => {
      if (!isRegister(off, width)) return BAD_REGISTER_NUMBER;
      config.write(off, width, value);
      return 0;
    },
  };
}

/** As Linux finds it: there is extended config space where its first register is not all ones. */
function guestConfig(pcifront: Pcifront, routing: number): ControlConfig {
  return {
    get size() {
      const { code, value } = pcifront.readConfig(routing, Pci.CONFIG_SIZE, 4);
      return code !== 0 || value >>> 0 === 0xffffffff ? Pci.CONFIG_SIZE : Pci.EXTENDED_CONFIG_SIZE;
    },
    read: (off, width) => pcifront.readConfig(routing, off, width),
    write: (off, width, value) => pcifront.writeConfig(routing, off, width, value).code,
  };
}
