import { PortcullisError } from '../errors';
import type { Domain } from '../xen/hypervisor/domain';
import type { KernelParts } from '../xen/kernel/kernel';
import type { PcifrontKind } from '../xen/pcifront/pcifront';
import type { DomainProgram, Programs } from '../xen/toolstack/types';
import type { DomainGuest } from './guest';
import { type GuestDriverName, GuestKernel, type GuestKernelParts } from './guest-kernel';
import type { ModuleHost } from './module-host';

/** Kernels that come with this, and the drivers that each has. */
const BUILTIN: Readonly<Record<string, readonly GuestDriverName[]>> = {
  e1000: ['e1000'], e1000e: ['e1000e'], edu: ['edu'], all: ['e1000', 'e1000e', 'edu'], idle: [],
};

const FRONT_ENDS: readonly PcifrontKind[] = ['linux', 'none', 'wrong-magic', 'no-timeout'];

/** Characters of a module at most. */
const MODULE_MAX = 1 << 20;

export interface ProgramsParts extends KernelParts {
  /** The domain as its drivers see it. */
  guest(domain: Domain): DomainGuest;
  /** A domain's drivers are no more. */
  forget(domid: number): void;
  /** Runs modules of the user's; undefined where that cannot be. */
  readonly modules: ModuleHost | undefined;
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

  check(program: DomainProgram): void {
    if (isModule(program.kernel)) this.#module(program);
    else driversOf(program);
    frontEnd(program);
  }

  start(domain: Domain, program: DomainProgram): void {
    const { hypervisor, scheduler, store, guest } = this.#parts;
    const module = isModule(program.kernel) ? this.#module(program) : undefined;
    this.#kernels.set(domain.domid, new GuestKernel({
      hypervisor, scheduler, store, domain, guest: guest(domain), drivers: module === undefined ? driversOf(program) : [],
      pcifront: frontEnd(program), module,
    }));
  }

  #module({ kernel, name, commandLine, module: text }: DomainProgram): NonNullable<GuestKernelParts['module']> {
    const { modules: host } = this.#parts;
    if (host === undefined) {
      throw new PortcullisError('NO_MODULES', `domain "${name}" is to run the module "${kernel}", and whoever made this machine `
        + 'gave it nothing to run modules with: give Machine.create a host with `modules`, or use portcullis serve', { kernel });
    }
    if (text === undefined) {
      throw new PortcullisError('NO_KERNEL', `the text of the module "${kernel}" did not come with the command; give it among `
        + 'the files, under that name', { kernel });
    }
    if (text.length > MODULE_MAX) {
      throw new PortcullisError('NO_KERNEL', `the module "${kernel}" has ${text.length} characters; ${MODULE_MAX} are taken`, { kernel });
    }
    return { host, text, name, commandLine };
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

function isModule(kernel: string): boolean {
  return /\.m?js$/.test(kernel) && !kernel.startsWith('builtin:');
}

function driversOf({ kernel, name }: DomainProgram): readonly GuestDriverName[] {
  const drivers = /^builtin:/.test(kernel) && Object.hasOwn(BUILTIN, kernel.slice(8)) ? BUILTIN[kernel.slice(8)] : undefined;
  if (drivers !== undefined) return drivers;
  throw new PortcullisError('NO_KERNEL', `domain "${name}" is to run "${kernel}"; there are `
    + `${Object.keys(BUILTIN).map((one) => `builtin:${one}`).join(', ')}, and modules of yours, in files that end in .mjs or .js`, { kernel });
}

function frontEnd({ pcifront: kind, name }: DomainProgram): PcifrontKind {
  const known = FRONT_ENDS.find((one) => one === kind);
  if (known !== undefined) return known;
  throw new PortcullisError('NO_PCIFRONT', `domain "${name}" is to have the front end "${kind}"; there are ${FRONT_ENDS.join(', ')}`,
    { kind });
}
