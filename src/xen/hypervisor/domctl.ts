// XEN_DOMCTL_* as a toolstack calls them: first whether the caller may, then whether it has itself what it gives away.
import { DomId, Machine } from '../../../assembly/spec/machine';
import { bdfOf, formatBdf } from '../../pci/bdf';
import { controlCaller, targetOf } from './caller';
import { CONTROL_DOMAIN, type Domain, type DomainKind, SHUTDOWN, type ShutdownReason } from './domain';
import { HypercallError } from './errors';
import type { Hypervisor } from './hypervisor';
import type { DomainOptions } from './options';
import { GSIS } from './pirqs';

/** Frames that one memory_mapping may name: a call is over before anybody waits for it (XSA-125). */
const FRAMES_AT_ONCE = 64;

/** Interrupts of messages that a guest may have beside the I/O APIC's (Xen's extra_guest_irqs). */
const EXTRA_GUEST_IRQS = 32;

export interface DomainInfo {
  readonly domid: number;
  readonly name: string;
  readonly kind: DomainKind;
  /** Pages of 4 KiB that it has now, and that it was created with. */
  readonly pages: number;
  readonly maxPages: number;
  readonly vcpus: number;
  readonly iommu: boolean;
  readonly paused: boolean;
  readonly dying: boolean;
  readonly shutdown: ShutdownReason | undefined;
  /** Routing ids of the devices that it has. */
  readonly devices: readonly number[];
}

export interface PhysInfo {
  /** Whether devices can be given away: there is an IOMMU in use. */
  readonly directio: boolean;
  readonly totalPages: number;
  readonly freePages: number;
  readonly domains: number;
}

export class Domctl {
  readonly #hypervisor: Hypervisor;
  readonly #caller: number;

  constructor(hypervisor: Hypervisor, callerDomid: number) {
    this.#hypervisor = hypervisor;
    this.#caller = callerDomid;
  }

  // ---- who may

  /** The caller, which must be the control domain: EPERM. */
  #control(): Domain {
    return controlCaller(this.#hypervisor, this.#caller);
  }

  #target(domid: number): Domain {
    return targetOf(this.#hypervisor, this.#caller, domid);
  }

  #lacks(what: string, fields: Record<string, unknown>): never {
    throw new HypercallError('EPERM', `domain ${this.#caller} has no right to ${what} itself, and cannot give it`, fields);
  }

  // ---- rights

  /** Throws EINVAL for a range that wraps, EPERM for a caller that is not the control domain or has not all of it. */
  iomemPermission(domid: number, firstMfn: number, count: number, allow: boolean): void {
    const target = this.#target(domid);
    frames(firstMfn, count);
    const caller = this.#control();
    if (!caller.iomem.has(firstMfn, firstMfn + count - 1)) {
      this.#lacks(`I/O memory frames 0x${firstMfn.toString(16)} to 0x${(firstMfn + count - 1).toString(16)}`, { firstMfn, count });
    }
    this.#hypervisor.rights.iomem(target, firstMfn, count, allow);
  }

  ioportPermission(domid: number, first: number, count: number, allow: boolean): void {
    const target = this.#target(domid);
    ports(first, count);
    const caller = this.#control();
    if (!caller.ioport.has(first, first + count - 1)) {
      this.#lacks(`ports 0x${first.toString(16)} to 0x${(first + count - 1).toString(16)}`, { first, count });
    }
    // both are emulated: what a guest reads and writes there must reach no device
    if (allow && target.domid !== CONTROL_DOMAIN && first <= 0xcff && first + count > 0xcf8) {
      throw new HypercallError('EPERM', 'ports 0xcf8 to 0xcff are the first domain\'s: all devices are behind them', { first, count });
    }
    this.#hypervisor.rights.ioport(target, first, count, allow);
  }

  /** `pirq` is the caller's own number; the right is to the host interrupt behind it. */
  irqPermission(domid: number, pirq: number, allow: boolean): void {
    const target = this.#target(domid);
    const caller = this.#hypervisor.domain(this.#caller);
    if (!Number.isInteger(pirq) || pirq < 0 || pirq >= caller.nrPirqs) {
      throw new HypercallError('EINVAL', `interrupt ${pirq} is not within 0 to ${caller.nrPirqs - 1}`, { pirq });
    }
    const irq = this.#hypervisor.pirqs.irqOf(caller, pirq);
    if (irq === undefined) this.#lacks(`interrupt ${pirq}`, { pirq });
    this.#control();
    if (!caller.irq.has(irq, irq)) this.#lacks(`interrupt ${pirq}`, { pirq });
    this.#hypervisor.rights.irq(target, irq, allow);
  }

  /** Into an HVM guest's map; of a PV guest nothing is done, and that is success. */
  memoryMapping(domid: number, firstGfn: number, firstMfn: number, count: number, add: boolean): void {
    const target = this.#target(domid);
    frames(firstMfn, count);
    frames(firstGfn, count);
    const caller = this.#control();
    if (count > FRAMES_AT_ONCE) {
      throw new HypercallError('E2BIG', `${count} frames in one call; map them ${FRAMES_AT_ONCE} at a time`, { count });
    }
    if (target.kind !== 'hvm') return;
    const last = firstMfn + count - 1;
    if (!caller.iomem.has(firstMfn, last)) this.#lacks(`I/O memory frames 0x${firstMfn.toString(16)} to 0x${last.toString(16)}`, { firstMfn, count });
    if (add) {
      this.#hypervisor.rights.memoryMapping(target, firstGfn, firstMfn, count, true);
      return;
    }
    for (let i = 0; i < count; i++) {
      if (target.ioMapped.get(firstGfn + i) === firstMfn + i) this.#hypervisor.rights.unmap(target, firstGfn + i);
    }
  }

  /** For HVM guests alone: EOPNOTSUPP, and no HVM guest has a device in this model. */
  ioportMapping(domid: number, firstGuestPort: number, firstPort: number, count: number, _add: boolean): void {
    const target = this.#target(domid);
    ports(firstGuestPort, count);
    ports(firstPort, count);
    this.#control();
    throw new HypercallError('EOPNOTSUPP', `domain ${target.domid} has the ports of its devices as they are; there is nothing to map`,
      { domid: target.domid, firstGuestPort, firstPort, count });
  }

  // ---- devices

  /** Whether devices can be given to the domain at all: EOPNOTSUPP. */
  #requireIommu(target: Domain | undefined): void {
    const hypervisor = this.#hypervisor;
    if (hypervisor.iommu === undefined) {
      if (hypervisor.unsafePassthrough) return;
      throw new HypercallError('EOPNOTSUPP', 'this machine has no IOMMU, or it is off: devices cannot be given away, as they '
        + 'would reach all memory; allow unsafe passthrough to see what then happens');
    }
    if (target !== undefined && !target.iommu) {
      throw new HypercallError('EOPNOTSUPP', `domain ${target.domid} was created without IOMMU, and can have no devices`,
        { domid: target.domid });
    }
  }

  /** A domain that is not the caller, or the quarantine as undefined. */
  #deviceTarget(domid: number): Domain | undefined {
    this.#control();
    const target = domid === DomId.IO ? undefined : this.#target(domid);
    if (target?.domid !== this.#caller) this.#requireIommu(target);
    else if (this.#hypervisor.iommu === undefined) this.#requireIommu(target);
    if (target?.domid === this.#caller) {
      throw new HypercallError('EINVAL', `domain ${target.domid} cannot give devices to or take them from itself`, { domid });
    }
    if (target?.dying) throw new HypercallError('EINVAL', `domain ${target.domid} is dying`, { domid });
    return target;
  }

  /** EINVAL for a device that is another guest's or is not there; EBUSY as `assignDevice` for one that cannot go as it is. */
  testAssignDevice(routing: number, domid?: number): void {
    if (domid === undefined) {
      this.#control();
      this.#requireIommu(undefined);
    } else this.#deviceTarget(domid);
    const { devices } = this.#hypervisor;
    if (devices.slotOf(routing) !== undefined && !this.#isGuests(routing)) return;
    const name = formatBdf(bdfOf(routing));
    this.#hypervisor.printRefusal(`${name} already assigned, or non-existent`);
    throw new HypercallError('EINVAL', `${name} is a guest's already, or is not there`, { routing });
  }

  #isGuests(routing: number): boolean {
    const owner = this.#hypervisor.ownerOf(routing);
    return owner !== CONTROL_DOMAIN && owner !== DomId.IO;
  }

  /**
   * Gives a device to a guest, or with DomId.IO into quarantine. Its DMA then reaches the guest's own frames; without an
   * IOMMU, where that is allowed, all memory.
   */
  assignDevice(domid: number, routing: number, { relaxed = false }: { relaxed?: boolean } = {}): void {
    const hypervisor = this.#hypervisor;
    const target = this.#deviceTarget(domid);
    const { devices } = hypervisor;
    const name = formatBdf(bdfOf(routing));
    devices.functionOf(routing);
    if (devices.isBridge(routing)) {
      throw new HypercallError('ENODEV', `${name} is a bridge, which does no DMA of its own and can be given to nobody`, { routing });
    }
    const owner = hypervisor.ownerOf(routing);
    if (this.#isGuests(routing)) {
      hypervisor.printRefusal(`assign ${name} to dom${domid} failed: it is dom${owner}'s`);
      throw new HypercallError('EBUSY', `${name} is assigned to domain ${owner}`, { routing, owner });
    }
    if (hypervisor.messages.allMasked(routing)) {
      hypervisor.printRefusal(`assign ${name} to dom${domid} failed: all its vectors are masked`);
      throw new HypercallError('EBUSY', `${name} has all of its MSI-X vectors masked (MASKALL); clear that first`, { routing });
    }
    if (target !== undefined && !relaxed && hypervisor.iommu !== undefined && devices.reserved.shared(routing)) {
      hypervisor.printRefusal(`It's disallowed to assign ${name} with shared RMRR to dom${domid}`);
      throw new HypercallError('EPERM', `${name} shares memory that firmware has reserved with another device; give it with `
        + 'rdm_policy=relaxed if that is meant', { routing });
    }
    if (target === undefined) devices.quarantine(routing);
    else devices.assign(target, routing, hypervisor.iommu === undefined ? 'none' : 'own-frames');
  }

  /** From a guest to the quarantine or the first domain; from the quarantine (DomId.IO) to the first domain. */
  deassignDevice(domid: number, routing: number): void {
    const target = this.#deviceTarget(domid);
    const { devices } = this.#hypervisor;
    devices.functionOf(routing);
    if (target === undefined) devices.release(routing);
    else devices.deassign(target, routing);
  }

  // ---- domains

  /** The domain is paused once: unpause it when it is complete. Throws EINVAL for `iommu` where there is none. */
  createDomain(options: DomainOptions & { iommu: boolean }): Domain {
    this.#control();
    if (options.iommu && this.#hypervisor.iommu === undefined && !this.#hypervisor.unsafePassthrough) {
      throw new HypercallError('EINVAL', `domain "${options.name}" wants an IOMMU, and there is none in use`, { name: options.name });
    }
    const domain = this.#hypervisor.createDomain({ nrPirqs: GSIS + EXTRA_GUEST_IRQS, identityPirqs: false, ...options });
    domain.pauses = 1;
    return domain;
  }

  /** A domain that is not the caller: EINVAL. */
  #other(domid: number): Domain {
    this.#control();
    const target = this.#target(domid);
    if (target.domid === this.#caller) {
      throw new HypercallError('EINVAL', `domain ${domid} cannot do this to itself`, { domid });
    }
    return target;
  }

  destroyDomain(domid: number): void {
    this.#hypervisor.destroyDomain(this.#other(domid).domid);
  }

  pauseDomain(domid: number): void {
    this.#other(domid).pauses++;
  }

  /** Throws EINVAL for a domain that is not paused. */
  unpauseDomain(domid: number): void {
    const domain = this.#other(domid);
    if (domain.pauses === 0) throw new HypercallError('EINVAL', `domain ${domid} is not paused`, { domid });
    domain.pauses--;
  }

  shutdownDomain(domid: number, reason: ShutdownReason | number): void {
    const target = this.#other(domid);
    const name = typeof reason === 'number' ? shutdownName(reason) : reason;
    if (!Object.hasOwn(SHUTDOWN, name)) throw new HypercallError('EINVAL', `there is no reason "${name}" to shut down`, { reason });
    this.#hypervisor.shutdownDomain(target.domid, name);
  }

  info(domid: number): DomainInfo {
    this.#control();
    return infoOf(this.#hypervisor, this.#target(domid));
  }

  list(): DomainInfo[] {
    this.#control();
    return this.#hypervisor.domains.map((domain) => infoOf(this.#hypervisor, domain));
  }

  physinfo(): PhysInfo {
    this.#control();
    const { engine, freePages, domains, iommu } = this.#hypervisor;
    return { directio: iommu !== undefined, totalPages: engine.frames, freePages, domains: domains.length };
  }
}

function shutdownName(number: number): ShutdownReason {
  const found = Object.entries(SHUTDOWN).find(([, value]) => value === number);
  if (found === undefined) throw new HypercallError('EINVAL', `there is no reason ${number} to shut down`, { reason: number });
  return found[0] as ShutdownReason;
}

function infoOf(hypervisor: Hypervisor, domain: Domain): DomainInfo {
  const { domid, name, kind, p2m, iommu, pauses, dying, shutdown, assigned } = domain;
  return {
    domid, name, kind, pages: hypervisor.pagesOf(domid), maxPages: p2m.length, vcpus: hypervisor.events.vcpus(domain), iommu,
    paused: pauses > 0, dying, shutdown, devices: [...assigned],
  };
}

/** Throws EINVAL for frames that wrap, or lie beyond what the machine's addresses have. */
function frames(first: number, count: number): void {
  if (Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 1 && first + count <= Machine.MFN_LIMIT) return;
  throw new HypercallError('EINVAL', `frames ${first} and ${count - 1} more are not within 0 to ${Machine.MFN_LIMIT - 1}`, { first, count });
}

function ports(first: number, count: number): void {
  if (Number.isInteger(first) && Number.isInteger(count) && first >= 0 && count >= 1 && first + count <= 0x10000) return;
  throw new HypercallError('EINVAL', `ports ${first} and ${count - 1} more are not within 0 to 65535`, { first, count });
}
