// Hypercall 36, domctl(struct xen_domctl *), for the operations that have to do with devices: 144 bytes, cmd u32@0,
// interface_version u32@4, domain u16@8, the operation's own part @16 (public/domctl.h of Xen 4.17).
import { DomctlArg, DomctlOp } from '../../../assembly/spec/xen';
import { Domctl } from './domctl';
import { HypercallError, resultOf } from './errors';
import type { Hypervisor } from './hypervisor';

/** DOMID_INVALID: test_assign_device without a domain. */
const NO_DOMAIN = 0x7ff4;

/** 0 or a negative errno: EFAULT for fewer bytes, EACCES for another interface version, ENOSYS for what is not here. */
export function domctlOp(hypervisor: Hypervisor, callerDomid: number, bytes: Uint8Array): number {
  return resultOf(() => {
    if (bytes.length < DomctlArg.SIZE) {
      throw new HypercallError('EFAULT', `a domctl has ${DomctlArg.SIZE} bytes, not ${bytes.length}`, { length: bytes.length });
    }
    // one copy, so that nobody changes it meanwhile
    const view = new DataView(bytes.slice(0, DomctlArg.SIZE).buffer);
    const version = view.getUint32(DomctlArg.VERSION, true);
    if (version !== DomctlArg.INTERFACE_VERSION) {
      throw new HypercallError('EACCES', `domctl interface version 0x${version.toString(16)}; this is `
        + `0x${DomctlArg.INTERFACE_VERSION.toString(16)}, of Xen 4.17`, { version });
    }
    operation(new Domctl(hypervisor, callerDomid), view);
  });
}

function operation(domctl: Domctl, view: DataView): void {
  const cmd = view.getUint32(0, true);
  const domid = view.getUint16(DomctlArg.DOMAIN, true);
  const u8 = (off: number): number => view.getUint8(DomctlArg.UNION + off);
  const u32 = (off: number): number => view.getUint32(DomctlArg.UNION + off, true);
  const u64 = (off: number): number => u32(off + 4) * 2 ** 32 + u32(off);
  switch (cmd) {
    case DomctlOp.DESTROYDOMAIN: domctl.destroyDomain(domid); break;
    case DomctlOp.PAUSEDOMAIN: domctl.pauseDomain(domid); break;
    case DomctlOp.UNPAUSEDOMAIN: domctl.unpauseDomain(domid); break;
    case DomctlOp.IRQ_PERMISSION: domctl.irqPermission(domid, u32(0), u8(4) !== 0); break;
    case DomctlOp.IOMEM_PERMISSION: domctl.iomemPermission(domid, u64(0), u64(8), u8(16) !== 0); break;
    case DomctlOp.IOPORT_PERMISSION: domctl.ioportPermission(domid, u32(0), u32(4), u8(8) !== 0); break;
    case DomctlOp.MEMORY_MAPPING: domctl.memoryMapping(domid, u64(0), u64(8), u64(16), u32(24) !== 0); break;
    case DomctlOp.IOPORT_MAPPING: domctl.ioportMapping(domid, u32(0), u32(4), u32(8), u32(12) !== 0); break;
    case DomctlOp.ASSIGN_DEVICE: case DomctlOp.TEST_ASSIGN_DEVICE: case DomctlOp.DEASSIGN_DEVICE: device(domctl, cmd, domid, u32); break;
    default: throw new HypercallError('ENOSYS', `there is no domctl ${cmd} here`, { cmd });
  }
}

function device(domctl: Domctl, cmd: number, domid: number, u32: (off: number) => number): void {
  const [kind, flags, sbdf] = [u32(0), u32(4), u32(8)];
  const call = (routing: number): void => {
    if (cmd === DomctlOp.ASSIGN_DEVICE) domctl.assignDevice(domid, routing, { relaxed: flags === 1 });
    else if (cmd === DomctlOp.DEASSIGN_DEVICE) domctl.deassignDevice(domid, routing);
    else domctl.testAssignDevice(routing, domid === NO_DOMAIN ? undefined : domid);
  };
  if (kind !== 0) throw new HypercallError('ENODEV', `devices of kind ${kind}; there is PCI (0) alone`, { kind });
  if (flags > (cmd === DomctlOp.ASSIGN_DEVICE ? 1 : 0)) throw new HypercallError('EINVAL', `flags 0x${flags.toString(16)}`, { flags });
  // another segment has no devices: an id that no function can have
  call(sbdf > 0xffff ? 0x10000 : sbdf);
}
