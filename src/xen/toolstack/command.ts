/** What a command of xl is, and what the commands share. */

import type { Task } from '../schedule/scheduler';
import { nameOfDomain } from './create';
import { UsageError } from './errors';
import type { KnownDomain } from './known-domain';
import { type Options, type OptionTable, parseOptions } from './options';
import type { Run } from './toolstack';

export interface Invocation extends Options {
  readonly run: Run;
  /** Texts of the files that the command line names. */
  readonly files: ReadonlyMap<string, string>;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** What follows the name. */
  readonly synopsis: string;
  /** Options and what each does. */
  readonly details?: readonly string[];
  readonly options?: OptionTable;
  /** Operands at least. */
  readonly operands?: number;
  /** Its exit code. */
  readonly execute: (invocation: Invocation) => Task<number>;
}

/** Reads the options and checks the number of operands. Throws a UsageError. */
export function invoke(command: Command, args: readonly string[], run: Run, files: ReadonlyMap<string, string>): Invocation {
  const options = parseOptions(command.name, args, command.options ?? { letters: '' });
  const least = command.operands ?? 0;
  if (options.operands.length < least) {
    throw new UsageError(`'xl ${command.name}' requires at least ${least} argument${least === 1 ? '' : 's'}.`, command.name);
  }
  return { ...options, run, files };
}

/** A command that ends with an exit code of its own. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** Number of a domain, by number or name. Ends the command for what is neither. */
export function findDomain(run: Run, text: string): number {
  const there = run.parts.hypervisor.domains.map(({ domid }) => domid);
  const domid = /^\d+$/.test(text) ? there.find((one) => one === Number(text))
    : there.find((one) => nameOfDomain(run, one) === text);
  if (domid === undefined) {
    run.out.complain(`${text} is an invalid domain identifier (rc=-6)`);
    throw new Exit(1);
  }
  return domid;
}

/** A domain that xl has made. */
export function findKnown(run: Run, text: string): KnownDomain {
  return run.known(findDomain(run, text));
}

