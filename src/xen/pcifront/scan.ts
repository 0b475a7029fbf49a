/** Which functions there are behind a front end: looked for on each root bus, as Linux 6.1 does. */

import { Pci } from '../../../assembly/spec/pci';
import type { ConfigAccess } from '../../pci/access';
import { formatRoot } from '../pciback/addresses';
import type { FrontDevice } from './device';
import { isAbsent, probeFunction } from './probe';

const SLOTS = 32;
const FUNCTIONS = 8;

export interface PciRoot {
  readonly segment: number;
  readonly bus: number;
}

export interface ScanParts {
  /** Config space at a virtual address; what is not there reads as ones. */
  readonly config: (routing: number) => ConfigAccess;
  /** Nothing more will be answered. */
  readonly stopped: () => boolean;
  /** The front end's lines of the log, and those of the PCI core. */
  readonly log: (line: string) => void;
  readonly busLog: (line: string) => void;
}

export class FunctionScan {
  readonly #parts: ScanParts;
  #roots: PciRoot[] = [];
  readonly #devices = new Map<number, FrontDevice>();

  constructor(parts: ScanParts) {
    this.#parts = parts;
  }

  /** By address. */
  get devices(): readonly FrontDevice[] {
    return [...this.#devices.values()].sort((a, b) => a.routing - b.routing);
  }

  find(routing: number): FrontDevice | undefined {
    return this.#devices.get(routing);
  }

  forget({ routing }: FrontDevice): void {
    this.#devices.delete(routing);
  }

  forgetRoots(): void {
    this.#roots = [];
  }

  /** Finds what is new on a bus, and claims its resources. */
  bus(root: PciRoot): void {
    const known = this.#roots.some(({ bus }) => bus === root.bus);
    const before = new Set(this.devices);
    if (known) this.#parts.log(`Rescanning PCI Frontend Bus ${formatRoot(root)}`);
    else this.#firstPass(root);
    this.#everyFunction(root, known);
    this.#claim(this.devices.filter((device) => !before.has(device)));
  }

  /** A new bus: as on any machine, function 0 of each slot, and the others where there is more than one. */
  #firstPass(root: PciRoot): void {
    const { log, busLog, stopped } = this.#parts;
    const name = formatRoot(root);
    if (this.#roots.length === 0) log('Installing PCI frontend');
    log(`Creating PCI Frontend Bus ${name}`);
    log(`PCI host bridge to bus ${name}`);
    for (const resource of ['[io  0x0000-0xffff]', '[mem 0x00000000-0xffffffffff]', '[bus 00-ff]']) {
      busLog(`pci_bus ${name}: root bus resource ${resource}`);
    }
    this.#roots.push(root);
    for (let slot = 0; slot < SLOTS && !stopped(); slot++) {
      const first = this.#lookAt(root, slot * FUNCTIONS);
      const functions = first !== undefined && (first.headerType & Pci.HEADER_MULTI_FUNCTION) !== 0 ? FUNCTIONS : 1;
      for (let fn = 1; fn < functions; fn++) this.#lookAt(root, slot * FUNCTIONS + fn);
    }
  }

  /** Every function that is not known yet: a back end may show any of them without those before. */
  #everyFunction(root: PciRoot, tell: boolean): void {
    const { log, stopped } = this.#parts;
    for (let devfn = 0; devfn < SLOTS * FUNCTIONS && !stopped(); devfn++) {
      if (this.#devices.has(root.bus << 8 | devfn)) continue;
      const device = this.#lookAt(root, devfn);
      if (device !== undefined && tell) log(`New device on ${device.name} found.`);
    }
  }

  #lookAt({ segment, bus }: PciRoot, devfn: number): FrontDevice | undefined {
    const { config: access, stopped } = this.#parts;
    const routing = bus << 8 | devfn;
    const config = access(routing);
    const identity = config.read(Pci.VENDOR_ID, 4);
    if (isAbsent(identity) || stopped()) return undefined;
    const device = probeFunction(config, identity, { segment, bus, devfn });
    this.#devices.set(routing, device);
    return device;
  }

  #claim(devices: readonly FrontDevice[]): void {
    for (const { name, resources } of devices) {
      resources.forEach(({ start }, index) => {
        if (start !== 0) this.#parts.log(`claiming resource ${name}/${index}`);
      });
    }
  }
}
