/** What a running machine offers to those who control it from outside. The machine implements it; tests make their own. */

import type { ConfigResult, SetpciTarget } from '../../pci/setpci/apply';
import type { Sysfs } from '../../xen/dom0/types';
import type { Scheduler, Task } from '../../xen/schedule/scheduler';
import type { XlResult } from '../../xen/toolstack/types';

/** Config accesses of one function on the way that its user has; what the way refuses, it says by a PCIBIOS code. */
export interface ControlConfig {
  /** Bytes of config space. */
  readonly size: number;
  read(off: number, width: 1 | 2 | 4): ConfigResult;
  /** The PCIBIOS code, 0 when it was done. */
  write(off: number, width: 1 | 2 | 4, value: number): number;
}

/** A function as the one who looks sees it: the first domain all of them, a guest those that its front end has. */
export interface ControlFunction extends SetpciTarget {
  readonly config: ControlConfig;
  /** Vendor and device in words. */
  readonly name?: string | undefined;
  /** Driver that has it. */
  readonly driver?: string | undefined;
  /** Number that its kernel has for the interrupt. */
  readonly irq?: number | undefined;
  /** Bytes of BAR 0 to 5 and of the ROM, 0 where there is none. */
  readonly sizes?: readonly number[] | undefined;
}

export interface ControlParts {
  readonly scheduler: Scheduler;
  readonly sysfs: Sysfs;
  /** The command `xl`. `files` are those that the command line names, by the names that it uses. */
  xl(args: readonly string[], files: ReadonlyMap<string, string>): Task<XlResult>;
  /** Functions that a domain can see, by address; of the first domain when none is named. Throws for no such domain. */
  functions(domain: string | undefined): readonly ControlFunction[];
  /** Config accesses of a domain at an address, whether something is there or not. */
  config(domain: string, routing: number): ControlConfig;
  /** Arguments as on the command line; throws for what it cannot take. */
  explain(args: readonly string[]): ControlAnswer;
  /** Lines of the log of the first domain's kernel. */
  dmesg(): readonly string[];
  /** Everything that can leak: see digest.ts. */
  digest(): unknown;
  /** What it is: name, domains, devices. */
  status(): Readonly<Record<string, unknown>>;
}

/** An answer in words, and as a document. */
export interface ControlAnswer {
  readonly text: string;
  readonly document: unknown;
  /** Whether everything asked about is allowed. */
  readonly ok: boolean;
}
