/** `xl`: a command line, and what it prints and ends with. */

import { PortcullisError } from '../../errors';
import type { Task } from '../schedule/scheduler';
import { type Command, Exit, invoke } from './command';
import { configFile, DOMAIN_COMMANDS, kernelFile } from './domain-commands';
import { LibxlError, UsageError } from './errors';
import { HOST_COMMANDS } from './host-commands';
import { parseOptions } from './options';
import { PCI_COMMANDS } from './pci-commands';
import { Run, Toolstack } from './toolstack';
import type { ToolstackParts, XlResult } from './types';

const COMMANDS: readonly Command[] = [...DOMAIN_COMMANDS, ...PCI_COMMANDS, ...HOST_COMMANDS];

const commandNamed = (name: string): Command | undefined => COMMANDS.find((one) => one.name === name);

/** Options of xl itself, in front of the command; they change nothing here. */
const OWN = /^-[vftTN]+$/;

function splitArgs(args: readonly string[]): { name: string | undefined; rest: string[] } {
  let at = 0;
  while (OWN.test(args[at] ?? '')) at++;
  return { name: args[at], rest: args.slice(at + 1) };
}

/**
 * Files that a command line names, for the caller to read; [] for one that cannot be taken, which `run` then says. With the
 * texts of those read so far, those that they name too: ask until nothing new comes.
 */
export function xlFiles(args: readonly string[], texts: ReadonlyMap<string, string> = new Map()): string[] {
  const { name, rest } = splitArgs(args);
  const command = commandNamed(name ?? '');
  if (name !== 'create' || command === undefined) return [];
  try {
    const options = parseOptions(name, rest, command.options ?? { letters: '' });
    return [configFile(options), kernelFile(options, texts)].filter((file) => file !== undefined);
  } catch (error) {
    if (error instanceof UsageError) return [];
    throw error;
  }
}

export class Xl {
  readonly #tools: Toolstack;

  constructor(parts: ToolstackParts) {
    this.#tools = new Toolstack(parts);
  }

  /** What the daemons of the domains have written, the latest last. */
  get log(): readonly string[] {
    return this.#tools.daemonLog;
  }

  /** Never throws for what somebody has typed. `files`: texts of those that `xlFiles` names. */
  *run(args: readonly string[], files: ReadonlyMap<string, string> = new Map()): Task<XlResult> {
    const run = new Run(this.#tools);
    try {
      const code = yield* execute(run, args, files);
      return { code, stdout: run.out.stdout, stderr: run.out.stderr };
    } finally {
      run.close();
    }
  }
}

function* execute(run: Run, args: readonly string[], files: ReadonlyMap<string, string>): Task<number> {
  const { name, rest } = splitArgs(args);
  if (name === undefined || name === 'help' || name === '-h' || name === '--help') return help(run, rest[0], name === undefined);
  const command = commandNamed(name);
  if (command === undefined) {
    run.out.complain(`xl: there is no command "${name}"; "xl help" lists them`);
    return 2;
  }
  if (rest[0] === '-h' || rest[0] === '--help') return help(run, name, false);
  try {
    return yield* command.execute(invoke(command, rest, run, files));
  } catch (error) {
    if (error instanceof Exit) return error.code;
    if (error instanceof UsageError) {
      run.out.complain(error.message);
      for (const line of usage(commandNamed(error.command ?? '') ?? command)) run.out.complain(line);
      return 2;
    }
    if (!(error instanceof PortcullisError)) throw error;
    if (!(error instanceof LibxlError)) run.out.error(error.message);
    return 1;
  }
}

function usage({ name, synopsis, summary, details = [] }: Command): string[] {
  const options = details.length === 0 ? [] : ['', 'Options:', '', ...details];
  return [`Usage: xl ${name} ${synopsis}`.trimEnd(), '', `${summary}.`, ...options];
}

function help(run: Run, name: string | undefined, missing: boolean): number {
  const command = commandNamed(name ?? '');
  if (name !== undefined && command === undefined) {
    run.out.complain(`xl: there is no command "${name}"; "xl help" lists them`);
    return 2;
  }
  const lines = command !== undefined ? usage(command)
    : ['Usage xl <subcommand> [args]', '', 'xl full list of subcommands:', '',
      ...COMMANDS.map((one) => ` ${one.name.padEnd(22)}${one.summary}`)];
  for (const line of lines) {
    if (missing) run.out.complain(line);
    else run.out.print(line);
  }
  return missing ? 2 : 0;
}
