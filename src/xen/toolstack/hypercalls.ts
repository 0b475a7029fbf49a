import { DomId } from '../../../assembly/spec/machine';
import { PortcullisError } from '../../errors';
import type { Domain, DomainKind } from '../hypervisor/domain';
import type { Hypervisor } from '../hypervisor/hypervisor';

export type ShutdownReason = 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft_reset';

export interface DomainInfo {
  readonly domid: number;
  readonly name: string;
  readonly paused: boolean;
  readonly dying: boolean;
  readonly shutdown: ShutdownReason | undefined;
  readonly pages: number;
  readonly vcpus: number;
}

export class Domctl {
  readonly #hypervisor: Hypervisor;
  readonly #states = new Map<number, { pauses: number; shutdown: ShutdownReason | undefined; vcpus: number }>();
  readonly #quarantined = new Set<number>();
  constructor(hypervisor: Hypervisor, _caller: number) {
    this.#hypervisor = hypervisor;
  }
  isQuarantined(routing: number): boolean { return this.#quarantined.has(routing); }
  physinfo(): { directio: boolean } {
    return { directio: this.#hypervisor.iommu !== undefined };
  }
  createDomain(options: { name: string; kind: DomainKind; pages: number; vcpus?: number; iommu: boolean }): Domain {
    const domain = this.#hypervisor.createDomain(options);
    this.#states.set(domain.domid, { pauses: 1, shutdown: undefined, vcpus: options.vcpus ?? 1 });
    return domain;
  }
  destroyDomain(domid: number): void { this.#hypervisor.destroyDomain(domid); }
  #state(domid: number): { pauses: number; shutdown: ShutdownReason | undefined; vcpus: number } {
    this.#hypervisor.domain(domid);
    return this.#states.get(domid) ?? { pauses: 0, shutdown: undefined, vcpus: 1 };
  }
  pauseDomain(domid: number): void { this.#state(domid).pauses++; }
  unpauseDomain(domid: number): void { this.#state(domid).pauses--; }
  shutdownDomain(domid: number, reason: ShutdownReason): void { this.#state(domid).shutdown = reason; }
  info(domid: number): DomainInfo {
    const domain = this.#hypervisor.domain(domid);
    const { pauses, shutdown, vcpus } = this.#state(domid);
    return { domid, name: domain.name, paused: pauses > 0, dying: false, shutdown, pages: domain.p2m.length, vcpus };
  }
  list(): DomainInfo[] { return this.#hypervisor.domains.map(({ domid }) => this.info(domid)); }
  ioportPermission(domid: number, first: number, count: number, allow: boolean): void {
    this.#hypervisor.ioportPermission(domid, first, count, allow);
  }
  iomemPermission(domid: number, first: number, count: number, allow: boolean): void {
    this.#hypervisor.iomemPermission(domid, first, count, allow);
  }
  irqPermission(domid: number, pirq: number, allow: boolean): void { this.#hypervisor.irqPermission(domid, pirq, allow); }
  testAssignDevice(routing: number, _domid?: number): void {
    if (this.#hypervisor.iommu === undefined) throw new PortcullisError('EOPNOTSUPP', 'no IOMMU');
    this.#hypervisor.testAssignDevice(routing);
  }
  assignDevice(domid: number, routing: number, _options: { relaxed?: boolean } = {}): void {
    if (this.#hypervisor.iommu === undefined) throw new PortcullisError('EOPNOTSUPP', 'no IOMMU');
    if (domid === DomId.IO) this.#quarantined.add(routing);
    else this.#hypervisor.assignDevice(domid, routing, 'own-frames');
  }
  deassignDevice(domid: number, routing: number): void {
    if (domid === DomId.IO && !this.#quarantined.delete(routing)) throw new PortcullisError('ENODEV', 'not quarantined');
    else if (domid !== DomId.IO) this.#hypervisor.deassignDevice(domid, routing);
  }
}

export class Physdev {
  constructor(_hypervisor: Hypervisor, _caller: number) { /* stands in */ }
  mapPirq({ pirq }: { domid: number; type: 'gsi' | 'msi'; index: number; pirq: number }): number { return pirq; }
  unmapPirq(_domid: number, _pirq: number): void { /* stands in */ }
}

const consoles = new WeakMap<Hypervisor, string[]>();

export function pending(hypervisor: Hypervisor, domctl?: Domctl): {
  console: string[]; ownerOf(routing: number): number; debugKeys(key: string): void; unmapIoMemory(domid: number, first: number, count: number): number;
} {
  const console = consoles.get(hypervisor) ?? [];
  consoles.set(hypervisor, console);
  return {
    console,
    ownerOf: (routing) => hypervisor.deviceOwner(routing)?.domid ?? (domctl?.isQuarantined(routing) === true ? DomId.IO : 0),
    debugKeys: (key) => { console.push(`'${key}' pressed`); },
    unmapIoMemory: (domid, first, count) => {
      const before = hypervisor.domain(domid).ioMapped.size;
      hypervisor.unmapIoMemory(domid, first, count);
      return before - hypervisor.domain(domid).ioMapped.size;
    },
  };
}
