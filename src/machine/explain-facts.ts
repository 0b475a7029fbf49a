// What `explain` has to know, out of the control plane as it is at the moment.
import { DomId } from '../../assembly/spec/machine';
import { Msi, Msix, Pci, PciBridge, PciCap, Pm } from '../../assembly/spec/pci';
import type { DumpFacts } from '../devices/dump/facts';
import { type FoundCapability, capabilitiesIn } from '../pci/capability-list';
import { bdfOf, formatBdf, parseBdf, routingId } from '../pci/bdf';
import type { PciCore } from '../xen/dom0/pci-core';
import type { HostPci, PciDevice } from '../xen/dom0/types';
import type { DeviceFacts, DomainFacts, ExplainFacts, FieldFacts, Known, PciEnds } from '../xen/explain/types';
import type { Domain } from '../xen/hypervisor/domain';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import type { PcibackStub } from '../xen/pciback/stub';
import { XenstoreClient } from '../xen/xenstore/client';
import type { Xenstored } from '../xen/xenstore/daemon';
import { type Isolation, type Looked, isolationOf } from './isolation';

export interface ExplainParts {
  readonly hypervisor: Hypervisor;
  readonly store: Xenstored;
  readonly pci: HostPci;
  readonly core: PciCore;
  /** The first domain's pciback; undefined when it is not loaded. */
  readonly stub: PcibackStub | undefined;
  /** What a dump says of a function, and what it does not; undefined for one with a model. */
  dumped(routing: number): DumpFacts | undefined;
  /** Whether the domain's kernel has a front end for PCI, or is yet to be started. */
  pcifront(domid: number): boolean;
}

/** BAR 0 to 5 and the ROM. */
const RESOURCES = 7;
const IO = 0x100;
const BRIDGE_CLASS = 0x06;
const SLOTS = 32;
/** Ways of DMA that reach whatever memory there is. */
const OPEN: readonly string[] = ['none', 'pass-through', 'all-frames'];
const CONTROL_FIELDS = ['MSI Control', 'MSI-X Control'];

/** Config space of a function, as far as it answers. */
function bytesOf(pci: HostPci, routing: number): Uint8Array {
  const bytes = new Uint8Array(pci.configSize(routing));
  const view = new DataView(bytes.buffer);
  const config = pci.config(routing);
  for (let off = 0; off < bytes.length; off += 4) view.setUint32(off, config.read(off, 4), true);
  return bytes;
}

function look(parts: ExplainParts): Looked[] {
  const { core, pci } = parts;
  const parents = new Map(core.devices.map(({ routing, host }) => [routing, host.parent]));
  return core.devices.map((device) => {
    const bytes = bytesOf(pci, device.routing);
    const view = new DataView(bytes.buffer);
    const above: number[] = [];
    for (let up = device.host.parent; up !== undefined && !above.includes(up); up = parents.get(up)) above.push(up);
    return {
      device, view, above, capabilities: capabilitiesIn(bytes), dump: parts.dumped(device.routing),
      bridge: (view.getUint8(Pci.HEADER_TYPE) & Pci.HEADER_LAYOUT_MASK) === PciBridge.LAYOUT
        || view.getUint8(Pci.CLASS) === BRIDGE_CLASS,
    };
  });
}

const PAGE = 4096;
const nameOf = (routing: number): string => formatBdf(bdfOf(routing));
const capabilityAt = ({ capabilities }: Looked, id: PciCap): number =>
  capabilities.find((one) => one.id === id && one.version === undefined)?.off ?? 0;

function messagesOf(looked: Looked): Pick<DeviceFacts, 'msi' | 'msix' | 'powered'> {
  const control = (id: PciCap): number | undefined => {
    const at = capabilityAt(looked, id);
    return at === 0 ? undefined : looked.view.getUint16(at + Msi.CONTROL, true);
  };
  const [msi, msix, pm] = [control(PciCap.MSI), control(PciCap.MSIX), capabilityAt(looked, PciCap.PM)];
  return {
    msi: msi === undefined ? undefined : { enabled: (msi & Msi.CONTROL_ENABLE) !== 0 },
    msix: msix === undefined ? undefined
      : { enabled: (msix & Msix.CONTROL_ENABLE) !== 0, masked: (msix & Msix.CONTROL_FUNCTION_MASK) !== 0 },
    powered: pm === 0 || (looked.view.getUint16(pm + Pm.PMCSR, true) & Pm.PMCSR_STATE_MASK) === 0,
  };
}

/** Of a dump, the file tells the line when the kernel's number is that of the pin's line here. */
function gsiOf({ device, dump }: Looked): Known<number | undefined> {
  const { gsi } = device.host;
  if (gsi === 0) return undefined;
  return dump === undefined || dump.irq === gsi ? gsi : 'unknown';
}

function fieldsOf(stub: PcibackStub | undefined, routing: number): Pick<DeviceFacts,
  'fields' | 'permissive' | 'interruptControl'> {
  const seized = stub?.find(routing);
  const fields = seized?.fields.map(({ name, off, size, write }): FieldFacts =>
    ({ name, off, size, writable: write !== undefined, interruptControl: CONTROL_FIELDS.includes(name) }));
  return { fields, permissive: seized?.permissive ?? false, interruptControl: seized?.interruptControl ?? false };
}

function deviceFacts(parts: ExplainParts, store: XenstoreClient, looked: Looked, isolation: Isolation): DeviceFacts {
  const { device, view, bridge, above, dump, capabilities } = looked;
  const { routing, name, host, driver } = device;
  const hidden = dump?.capabilitiesUnknown === true;
  const { msi, msix, powered } = messagesOf(looked);
  const promised = store.readIfThere(`/libxl/pci/${name.replace(/[:.]/g, '-')}/domid`);
  return {
    bdf: name, bridge, bridges: above.map(nameOf), driver,
    // the host bridge is the board's, and so the first domain's
    owner: parts.hypervisor.devices.slotOf(routing) === undefined ? 0 : parts.hypervisor.ownerOf(routing),
      promisedTo: promised === undefined ? undefined : Number(promised),
    bars: host.resources.slice(0, RESOURCES).flatMap(({ start, end, flags }, index) => (end === 0 ? [] : [{
      index, io: (flags & IO) !== 0, address: start, size: dump?.unknownSizes.includes(index) ? 'unknown' as const : end - start
        + 1,
    }])),
    gsi: gsiOf(looked),
    resettable: hidden && !host.resettable ? 'unknown' : host.resettable,
    reserved: dump === undefined ? parts.hypervisor.devices.reserved.of(routing).map(({ firstMfn, count, routings }) => ({
      start: firstMfn * PAGE, end: (firstMfn + count) * PAGE - 1, others: routings.filter((one) => one !== routing).map(nameOf),
    })) : 'unknown',
    ...isolation, capabilities: hidden ? 'unknown' : capabilities,
    msi: hidden ? 'unknown' : msi, msix: hidden ? 'unknown' : msix, powered: hidden ? 'unknown' : powered,
    command: view.getUint16(Pci.COMMAND, true), ...fieldsOf(parts.stub, routing),
  };
}

function endsOf(store: XenstoreClient, domid: number, passthrough: boolean): PciEnds | undefined {
  const [back, front] = [`/local/domain/0/backend/pci/${domid}/0`, `/local/domain/${domid}/device/pci/0`];
  const state = store.readIfThere(`${back}/state`);
  if (state === undefined) return undefined;
  const count = Number(store.readIfThere(`${back}/num_devs`) ?? 0);
  const devices = Array.from({ length: count }, (_,
    index) => store.readIfThere(`${back}/dev-${index}`)).filter((one) => one !== undefined);
  // functions of one device share a slot
  const slots = new Set(devices.map((one) => routingId(parseBdf(one)) >> 3)).size;
  return {
    frontState: Number(store.readIfThere(`${front}/state`) ?? 0), backState: Number(state),
      magic: store.readIfThere(`${front}/magic`),
    freeSlots: passthrough ? undefined : SLOTS - slots, devices,
  };
}

function domainFacts({ stub, pcifront }: ExplainParts, store: XenstoreClient, domain: Domain): DomainFacts {
  const { domid, name, kind, iommu, iomem, ioport, irq, io, p2m } = domain;
  return {
    domid, name, kind: kind === 'hvm' ? 'hvm' : 'pv', iommu, pcifront: pcifront(domid), relaxed: false,
    pci: endsOf(store, domid, stub?.passthrough ?? false),
    mayMap: (first, count) => iomem.has(first, first + count - 1),
    mayUsePorts: (first, count) => ioport.has(first, first + count - 1),
    mayUseInterrupt: (gsi) => irq.has(gsi, gsi),
    dmaReaches: (mfn) => (io === undefined ? false : OPEN.includes(io.translation) || p2m.includes(mfn)),
  };
}

/** The facts of this moment. */
export function explainFacts(parts: ExplainParts): ExplainFacts {
  const { hypervisor } = parts;
  const store = new XenstoreClient(parts.store, 0);
  const looked = look(parts);
  const domains = hypervisor.domains.filter(({ domid }) => domid < DomId.SELF).map((domain) => domainFacts(parts, store, domain));
  const facts: ExplainFacts = {
    iommu: hypervisor.iommu !== undefined,
    interruptRemapping: hypervisor.iommu !== undefined && hypervisor.options.interruptRemapping,
    unsafePassthrough: hypervisor.unsafePassthrough,
    devices: looked.map((one) => deviceFacts(parts, store, one, isolationOf(one, looked))),
    domain: (name) => domains.find((one) => one.name === name) ?? domains.find(({ domid }) => String(domid) === String(name)),
  };
  store.close();
  return facts;
}
