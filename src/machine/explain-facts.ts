/** What `explain` has to know, gathered from a machine's control plane at the moment of the question. */

import { Msi, Msix, Pci, PciBridge, PciCap, PciExp, Pm } from '../../assembly/spec/pci';
import type { DumpFacts } from '../devices/dump/facts';
import { type FoundCapability, capabilitiesIn } from '../pci/capability-list';
import { bdfOf, formatBdf, parseBdf } from '../pci/bdf';
import type { PciCore } from '../xen/dom0/pci-core';
import type { HostFunction, HostPci, PciDevice } from '../xen/dom0/types';
import type { BarFacts, DeviceFacts, DomainFacts, ExplainFacts, Known, PciEnds } from '../xen/explain/types';
import type { Domain } from '../xen/hypervisor/domain';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import type { PcibackStub } from '../xen/pciback/stub';
import { devicePath, libxlPath, pciBackend, pciFrontend } from '../xen/toolstack/paths';
import type { Xenstored } from '../xen/xenstore/daemon';
import { XenstoreClient } from '../xen/xenstore/client';

export interface FactSources {
  readonly core: PciCore;
  readonly pci: HostPci;
  readonly hypervisor: Hypervisor;
  readonly store: Xenstored;
  /** Undefined where the first domain has no pciback of Linux. */
  readonly stub: PcibackStub | undefined;
  /** Whether a domain's kernel has a front end for PCI. */
  hasPcifront(domid: number): boolean;
  /** Of a device that was made from a dump. */
  dumpOf(routing: number): DumpFacts | undefined;
}

/** Access control services: their registers, and those that together send all DMA up to the unit (PCI Express 6.0 §7.7.11). */
const ACS = { id: 0x000d, control: 6, redirecting: 0x1c } as const;
/** Type of a PCI Express function that leads to conventional PCI. */
const TYPE_PCI_BRIDGE = 0x7;
const BRIDGE_CLASS = 0x06;
/** Slots of the virtual bus. */
const SLOTS = 32;
const ROM = 6;
const FIRST_DOMAIN = 0;
/** Devices that a back end's directory lists at most, for who reads it. */
const LISTED = 256;

export function explainFacts(sources: FactSources): ExplainFacts {
  const { core, hypervisor } = sources;
  const client = new XenstoreClient(sources.store);
  try {
    const read = (path: string): string | undefined => client.readIfThere(path);
    const functions = core.devices.map((device) => new Examined(device, sources));
    const devices = functions.map((one) => one.facts(functions, promise(read, one.bdf)));
    const domains = hypervisor.domains.map((domain) => domainFacts(domain, sources, read));
    return {
      iommu: hypervisor.iommu !== undefined, unsafePassthrough: hypervisor.unsafePassthrough,
      interruptRemapping: hypervisor.iommu !== undefined && hypervisor.options.interruptRemapping,
      devices,
      domain: (name) => domains.find((one) => one.name === name || String(one.domid) === String(name)),
    };
  } finally {
    client.close();
  }
}

type Read = (path: string) => string | undefined;

/** The domain to which the toolstack has promised a device. */
function promise(read: Read, bdf: string): number | undefined {
  const text = read(devicePath(parseBdf(bdf), 'domid'));
  return text === undefined ? undefined : Number(text);
}

/** A function with what its config space says. */
class Examined {
  readonly bdf: string;
  readonly routing: number;
  readonly bridge: boolean;
  readonly #device: PciDevice;
  readonly #sources: FactSources;
  readonly #bytes: DataView;
  readonly #capabilities: readonly FoundCapability[];
  readonly #dump: DumpFacts | undefined;

  constructor(device: PciDevice, sources: FactSources) {
    this.#device = device;
    this.#sources = sources;
    this.routing = device.routing;
    this.bdf = formatBdf(bdfOf(device.routing));
    this.#dump = sources.dumpOf(device.routing);
    const config = sources.pci.config(device.routing);
    const bytes = new DataView(new ArrayBuffer(sources.pci.configSize(device.routing)));
    for (let off = 0; off < bytes.byteLength; off += 4) bytes.setUint32(off, config.read(off, 4), true);
    this.#bytes = bytes;
    this.#capabilities = capabilitiesIn(new Uint8Array(bytes.buffer));
    this.bridge = (bytes.getUint8(Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT
      || bytes.getUint8(Pci.CLASS) === BRIDGE_CLASS;
  }

  get #host(): HostFunction {
    return this.#device.host;
  }

  #capability(id: number, extended = false): number | undefined {
    return this.#capabilities.find((one) => one.id === id && (one.version !== undefined) === extended)?.off;
  }

  /** Those that lead to it, nearest first. */
  #above(all: readonly Examined[]): Examined[] {
    const found: Examined[] = [];
    for (let up = this.#parent(all); up !== undefined && !found.includes(up); up = up.#parent(all)) found.push(up);
    return found;
  }

  #parent(all: readonly Examined[]): Examined | undefined {
    return all.find(({ routing }) => routing === this.#host.parent);
  }

  /** A bus behind it has no requester ids of its own. */
  get #conventional(): boolean {
    const express = this.#capability(PciCap.EXP);
    if (express === undefined) return true;
    return ((this.#bytes.getUint16(express + PciExp.FLAGS, true) >> PciExp.FLAGS_TYPE_SHIFT) & 0xf) === TYPE_PCI_BRIDGE;
  }

  get #redirects(): boolean {
    const acs = this.#capability(ACS.id, true);
    return acs !== undefined && (this.#bytes.getUint16(acs + ACS.control, true) & ACS.redirecting) === ACS.redirecting;
  }

  facts(all: readonly Examined[], promisedTo: number | undefined): DeviceFacts {
    const above = this.#above(all);
    const seized = this.#sources.stub?.find(this.routing);
    const unknownLists = this.#dump?.capabilitiesUnknown ?? false;
    const known = <T>(value: T): Known<T> => (unknownLists ? 'unknown' : value);
    return {
      bdf: this.bdf, bridge: this.bridge, bridges: above.map(({ bdf }) => bdf), driver: this.#device.driver,
      owner: this.#owner(), promisedTo, bars: this.#bars(),
      gsi: this.#line(), resettable: known(this.#host.resettable),
      // The machine's firmware reserves none; what that of another machine does is in no dump.
      reserved: this.#dump === undefined ? [] : 'unknown',
      aliases: this.#behindOf(all, above, (bridge) => bridge.#conventional),
      peers: this.#behindOf(all, above, (bridge) => !bridge.#conventional && !bridge.#redirects),
      capabilities: known(this.#capabilities), msix: known(this.#msix()), msi: known(this.#msi()),
      command: this.#bytes.getUint16(Pci.COMMAND, true), powered: known(this.#powered()),
      permissive: seized?.permissive ?? false, interruptControl: seized?.interruptControl ?? false,
      fields: seized?.fields.map(({ name, off, size, write }) => ({
        name, off, size, writable: write !== undefined, interruptControl: this.#isInterruptControl(off),
      })),
    };
  }

  /** The host bridge is no device of the hypervisor's. */
  #owner(): number {
    const { hypervisor } = this.#sources;
    return hypervisor.devices.slotOf(this.routing) === undefined ? FIRST_DOMAIN : hypervisor.ownerOf(this.routing);
  }

  /** The other devices behind the highest bridge of a kind that leads to it; unknown where a dump does not tell the kind. */
  #behindOf(all: readonly Examined[], above: readonly Examined[], isKind: (bridge: Examined) => boolean): Known<readonly string[]> {
    if (above.some((bridge) => bridge.#dump?.extendedUnknown === true)) return 'unknown';
    const highest = above.filter(isKind).at(-1);
    if (highest === undefined) return [];
    return all.filter((one) => one !== this && !one.bridge && one.#above(all).includes(highest)).map(({ bdf }) => bdf);
  }

  #bars(): BarFacts[] {
    return this.#host.resources.slice(0, ROM + 1).flatMap(({ start, end, flags }, index) => {
      if (end === 0) return [];
      const size = this.#dump?.unknownSizes.includes(index) === true ? 'unknown' : end - start + 1;
      return [{ index, io: (flags & 0x100) !== 0, address: start, size }];
    });
  }

  #line(): Known<number | undefined> {
    if (this.#host.gsi === 0) return undefined;
    return this.#dump === undefined ? this.#host.gsi : 'unknown';
  }

  #msix(): { enabled: boolean; masked: boolean } | undefined {
    const off = this.#capability(PciCap.MSIX);
    if (off === undefined) return undefined;
    const control = this.#bytes.getUint16(off + Msix.CONTROL, true);
    return { enabled: (control & Msix.CONTROL_ENABLE) !== 0, masked: (control & Msix.CONTROL_FUNCTION_MASK) !== 0 };
  }

  #msi(): { enabled: boolean } | undefined {
    const off = this.#capability(PciCap.MSI);
    if (off === undefined) return undefined;
    return { enabled: (this.#bytes.getUint16(off + Msi.CONTROL, true) & Msi.CONTROL_ENABLE) !== 0 };
  }

  #powered(): boolean {
    const off = this.#capability(PciCap.PM);
    return off === undefined || (this.#bytes.getUint16(off + Pm.PMCSR, true) & Pm.PMCSR_STATE_MASK) === 0;
  }

  /** The control words of MSI and MSI-X; INTx has its bit in the command register, whose other bits are the guest's. */
  #isInterruptControl(off: number): boolean {
    const [msi, msix] = [this.#capability(PciCap.MSI), this.#capability(PciCap.MSIX)];
    return (msi !== undefined && off === msi + Msi.CONTROL) || (msix !== undefined && off === msix + Msix.CONTROL);
  }
}

function domainFacts(domain: Domain, { hasPcifront, stub }: FactSources, read: Read): DomainFacts {
  const { domid, name, iomem, ioport, irq } = domain;
  return {
    domid, name, kind: kindOf(domain, read(`${libxlPath(domid)}/type`)), iommu: domain.iommu || domid === FIRST_DOMAIN, pcifront: hasPcifront(domid),
    relaxed: false, pci: endsOf(domid, stub, read),
    mayMap: (first, count) => iomem.has(first, first + count - 1),
    mayUsePorts: (first, count) => ioport.has(first, first + count - 1),
    mayUseInterrupt: (gsi) => irq.has(gsi, gsi),
  };
}

/** A PVH domain is the hypervisor's as an HVM one is; the toolstack knows. */
function kindOf({ kind }: Domain, type: string | undefined): DomainFacts['kind'] {
  if (type === 'pvh') return 'pvh';
  return kind === 'hvm' ? 'hvm' : 'pv';
}

function endsOf(domid: number, stub: PcibackStub | undefined, read: Read): PciEnds | undefined {
  const [back, front] = [pciBackend(domid), pciFrontend(domid)];
  const count = read(`${back}/num_devs`);
  if (count === undefined) return undefined;
  const indices = Array.from({ length: Math.min(Number(count) || 0, LISTED) }, (_, index) => index);
  const slots = new Set(indices.flatMap((index) => read(`${back}/vdev-${index}`)?.replace(/\.[0-9a-f]+$/, '') ?? []));
  return {
    frontState: Number(read(`${front}/state`) ?? 0), backState: Number(read(`${back}/state`) ?? 0), magic: read(`${front}/magic`),
    freeSlots: stub?.passthrough === true ? undefined : SLOTS - slots.size,
    devices: indices.flatMap((index) => read(`${back}/dev-${index}`) ?? []),
  };
}

