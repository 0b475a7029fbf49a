import { PortcullisError } from '../errors';
import type { Domain } from '../xen/hypervisor/domain';
import type { KernelParts } from '../xen/kernel/kernel';
import type { PcifrontKind } from '../xen/pcifront/pcifront';
import type { DomainProgram, Programs } from '../xen/toolstack/types';
import type { DomainGuest } from './guest';
import { type GuestDriverName, GuestKernel } from './guest-kernel';

/** Kernels that come with this, and the drivers that each has. */
const BUILTIN: Readonly<Record<string, readonly GuestDriverName[]>> = {
  e1000: ['e1000'], e1000e: ['e1000e'], edu: ['edu'], all: ['e1000', 'e1000e', 'edu'], idle: [],
};

const FRONT_ENDS: readonly PcifrontKind[] = ['linux', 'none', 'wrong-magic', 'no-timeout'];

export interface ProgramsParts extends KernelParts {
  /** The domain as its drivers see it. */
  guest(domain: Domain): DomainGuest;
  /** A domain's drivers are no more. */
  forget(domid: number): void;
}

/** What runs in the domains. */
export class DomainPrograms implements Programs {
  readonly #parts: ProgramsParts;
  readonly #kernels = new Map<number, GuestKernel>();

  constructor(parts: ProgramsParts) {
    this.#parts = parts;
  }

  get kernels(): ReadonlyMap<number, GuestKernel> {
    return this.#kernels;
  }

  check({ kernel, name, pcifront }: DomainProgram): void {
    driversOf(kernel, name);
    frontEnd(pcifront, name);
  }

  start(domain: Domain, { kernel, name, pcifront }: DomainProgram): void {
    const { hypervisor, scheduler, store, guest } = this.#parts;
    this.#kernels.set(domain.domid, new GuestKernel({
      hypervisor, scheduler, store, domain, guest: guest(domain), drivers: driversOf(kernel, name),
      pcifront: frontEnd(pcifront, name),
    }));
  }

  stop(domid: number): void {
    this.#kernels.get(domid)?.kill();
    this.#kernels.delete(domid);
    this.#parts.forget(domid);
  }

  console(domid: number): readonly string[] {
    return this.#kernels.get(domid)?.kernel.log ?? [];
  }
}

function driversOf(kernel: string, domain: string): readonly GuestDriverName[] {
  const drivers = /^builtin:/.test(kernel) && Object.hasOwn(BUILTIN, kernel.slice(8)) ? BUILTIN[kernel.slice(8)] : undefined;
  if (drivers !== undefined) return drivers;
  throw new PortcullisError('NO_KERNEL', `domain "${domain}" is to run "${kernel}"; there are `
    + `${Object.keys(BUILTIN).map((name) => `builtin:${name}`).join(', ')}`, { kernel });
}

function frontEnd(kind: string, domain: string): PcifrontKind {
  const known = FRONT_ENDS.find((one) => one === kind);
  if (known !== undefined) return known;
  throw new PortcullisError('NO_PCIFRONT', `domain "${domain}" is to have the front end "${kind}"; there are ${FRONT_ENDS.join(', ')}`,
    { kind });
}
