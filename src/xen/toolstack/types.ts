/** What the toolstack needs of the machine, and what a command gives. */

import type { Sysfs } from '../dom0/types';
import type { Domain } from '../hypervisor/domain';
import type { Hypervisor } from '../hypervisor/hypervisor';
import type { Scheduler } from '../schedule/scheduler';
import type { Xenstored } from '../xenstore/daemon';

export interface XlResult {
  /** xl's own exit code. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A domain config, read: see xl.cfg(5). */
export interface DomainProgram {
  /** `builtin:NAME`, or the path of a module of the user's. */
  readonly kernel: string;
  /** Text of the module; undefined for a kernel that is none, or whose file did not come. */
  readonly module: string | undefined;
  readonly name: string;
  /** `extra` / `cmdline`. */
  readonly commandLine: string;
  /** Which front end for PCI it has: `linux` (default), `none`, `wrong-magic`, `no-timeout`. */
  readonly pcifront: string;
}

/** Starts and ends what runs in domains. */
export interface Programs {
  /** Throws a PortcullisError for a kernel that there is not; nothing has been started. */
  check(program: DomainProgram): void;
  /** The domain is complete and unpaused. */
  start(domain: Domain, program: DomainProgram): void;
  /** Ends what runs there at once: its kernel and its tasks. */
  stop(domid: number): void;
  /** Lines that the domain has written on its console, for `xl console`. */
  console(domid: number): readonly string[];
}

export interface ToolstackParts {
  readonly hypervisor: Hypervisor;
  readonly store: Xenstored;
  readonly scheduler: Scheduler;
  readonly sysfs: Sysfs;
  readonly programs: Programs;
  /** For uuids and MAC addresses. */
  readonly seed: number;
  /** Whether devices may be given away on a machine without an IOMMU. */
  readonly allowUnsafePassthrough: boolean;
  /** Xen's order at detach and destroy, with its stale mappings, in place of ours. */
  readonly xenRevoke: boolean;
}
