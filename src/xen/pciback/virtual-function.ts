import { Pci, PciExtCap } from '../../../assembly/spec/pci';
import type { HostPci } from '../dom0/types';

/** Single Root I/O Virtualization, offsets from its start (PCI Express 6.0 §9.3.3). */
const SRIOV = { ID: 0x0010, NUM_VFS: 0x10, FIRST_OFFSET: 0x14, STRIDE: 0x16, DEVICE_ID: 0x1a } as const;
/** What the id registers of a virtual function hold. */
const NO_ID = 0xffff;
/** As many as fit into the extended config space. */
const LINKS_MAX = (Pci.EXTENDED_CONFIG_SIZE - PciExtCap.FIRST_OFF) / 8;

export interface Identity {
  readonly vendor: number;
  readonly device: number;
  /** Routing id of the function that has it, of a virtual function. */
  readonly physical: number | undefined;
}

function findSriov(host: HostPci, routing: number): number {
  if (host.configSize(routing) < Pci.EXTENDED_CONFIG_SIZE) return 0;
  const config = host.config(routing);
  let off: number = PciExtCap.FIRST_OFF;
  for (let links = 0; links < LINKS_MAX && off >= PciExtCap.FIRST_OFF; links++) {
    const header = config.read(off, 4);
    if ((header & 0xffff) === SRIOV.ID) return off;
    off = header >>> PciExtCap.NEXT_SHIFT & 0xffc;
  }
  return 0;
}

/** Ids of a function as a kernel knows them: a virtual function has its vendor from the physical one, its device id there. */
export function identify(host: HostPci, routing: number): Identity {
  const config = host.config(routing);
  const own = { vendor: config.read(Pci.VENDOR_ID, 2), device: config.read(Pci.DEVICE_ID, 2), physical: undefined };
  if (own.vendor !== NO_ID) return own;
  for (const one of host.functions()) {
    const at = findSriov(host, one.routing);
    if (at === 0) continue;
    const physical = host.config(one.routing);
    const distance = routing - one.routing - physical.read(at + SRIOV.FIRST_OFFSET, 2);
    const stride = Math.max(1, physical.read(at + SRIOV.STRIDE, 2));
    if (distance < 0 || distance % stride !== 0 || distance / stride >= physical.read(at + SRIOV.NUM_VFS, 2)) continue;
    return {
      vendor: physical.read(Pci.VENDOR_ID, 2), device: physical.read(at + SRIOV.DEVICE_ID, 2), physical: one.routing,
    };
  }
  return own;
}
