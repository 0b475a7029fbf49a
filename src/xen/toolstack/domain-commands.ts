/** xl's commands about domains. */

import type { Task } from '../schedule/scheduler';
import { type Command, Exit, findDomain, findKnown, type Invocation } from './command';
import { ConfigSyntaxError, type ConfigValue, parseConfigText } from './config-text';
import { checkConfig, createDomain, nameOfDomain, start } from './create';
import { watchOver } from './daemon';
import { destroyDomain } from './destroy';
import { type DomainConfig, DomainConfigError, readDomainConfig } from './domain-config';
import { describeDomain } from './domain-json';
import { LibxlError, RC, UsageError } from './errors';
import { domainPath } from './paths';
import { DOM0, type Run } from './toolstack';

/** Nanoseconds that `shutdown -w` waits for a domain to stop. */
const SHUTDOWN_PATIENCE = 300e9;

/** Files that a command line of `create` names: none is the same as /dev/null. */
export function configFile(options: Pick<Invocation, 'given' | 'operands'>): string | undefined {
  const named = options.given.get('f') ?? (options.operands[0]?.includes('=') === true ? undefined : options.operands[0]);
  return named === '/dev/null' ? undefined : named;
}

function settingsOf({ operands }: Pick<Invocation, 'operands'>, text: string, file: string | undefined): Map<string, ConfigValue> {
  const extra = operands.filter((one, index) => index > 0 || one.includes('='));
  const settings = new Map(parseConfigText(text, file ?? 'command line'));
  for (const [name, value] of parseConfigText(extra.join('\n'), 'command line')) settings.set(name, value);
  return settings;
}

/** The file that a config has as its kernel; undefined for a built-in one, and for a config that cannot be read. */
export function kernelFile(options: Pick<Invocation, 'given' | 'operands'>, files: ReadonlyMap<string, string>): string | undefined {
  const file = configFile(options);
  const text = file === undefined ? '' : files.get(file);
  if (text === undefined) return undefined;
  try {
    const kernel = settingsOf(options, text, file).get('kernel');
    return kernel?.kind === 'string' && kernel.text !== '' && !kernel.text.startsWith('builtin:') ? kernel.text : undefined;
  } catch (error) {
    if (error instanceof ConfigSyntaxError) return undefined;
    throw error;
  }
}

/** File and settings of the command line, which come behind it. */
function readConfig({ run, given, operands, files }: Invocation): DomainConfig {
  const file = configFile({ given, operands });
  const text = file === undefined ? '' : files.get(file);
  if (text === undefined) {
    run.out.complain(`Failed to read config file: ${file}: No such file or directory`);
    throw new Exit(1);
  }
  try {
    const settings = settingsOf({ operands }, text, file);
    return readDomainConfig(settings, (message) => run.out.complain(`${file ?? 'command line'}: warning: ${message}`), files);
  } catch (error) {
    if (!(error instanceof ConfigSyntaxError) && !(error instanceof DomainConfigError)) throw error;
    run.out.complain(error.message);
    if (error instanceof ConfigSyntaxError) run.out.complain('Failed to parse config: Invalid argument');
    throw new Exit(1);
  }
}

function* create(invocation: Invocation): Task<number> {
  const { run, given, operands } = invocation;
  if (operands.length === 0 && !given.has('f')) throw new UsageError('xl create needs a config file, or settings', 'create');
  const file = configFile(invocation);
  if (!given.has('q') && file !== undefined) run.out.print(`Parsing config from ${file}`);
  const config = readConfig(invocation);
  try {
    if (given.has('n')) {
      checkConfig(run, config);
      run.out.print(JSON.stringify(describeDomain(undefined, config), null, 4));
      return 0;
    }
    const known = yield* createDomain(run, config, given.has('p'));
    watchOver(run.tools, known);
    if (given.has('c')) for (const line of run.parts.programs.console(known.domain.domid)) run.out.print(line);
    return 0;
  } catch (error) {
    // xl create alone ends with libxl's own result
    if (error instanceof LibxlError) return -error.rc;
    throw error;
  }
}

function* list({ run, given, operands }: Invocation): Task<number> {
  const only = operands.map((text) => findDomain(run, text));
  const infos = run.tools.domctl.list().filter(({ domid }) => only.length === 0 || only.includes(domid));
  if (given.has('l')) {
    const known = infos.flatMap(({ domid }) => run.tools.domains.get(domid) ?? []);
    run.out.print(JSON.stringify(known.map((one) => describeDomain(one.domain.domid, one.config)), null, 4));
    return 0;
  }
  const verbose = given.has('v');
  run.out.print(`Name                                        ID   Mem VCPUs\tState\tTime(s)${verbose ? '   UUID' : ''}`);
  for (const info of infos) {
    const state = [
      !info.paused && info.shutdown === undefined ? 'r' : '-', '-', info.paused ? 'p' : '-',
      info.shutdown !== undefined ? 's' : '-', info.shutdown === 'crash' ? 'c' : '-', info.dying ? 'd' : '-',
    ].join('');
    const uuid = run.tools.domains.get(info.domid)?.uuid ?? '00000000-0000-0000-0000-000000000000';
    run.out.print(nameOfDomain(run, info.domid).padEnd(40) + ` ${String(info.domid).padStart(5)} `
      + `${String(Math.floor(info.pages / 256)).padStart(5)} ${String(info.vcpus).padStart(5)}     ${state}  `
      + `${(run.parts.scheduler.now / 1e9).toFixed(1).padStart(8)}${verbose ? ` ${uuid}` : ''}`);
  }
  return 0;
}

function* destroy({ run, operands }: Invocation): Task<number> {
  const domid = findDomain(run, operands[0] as string);
  if (domid === DOM0) {
    run.out.complain('Cannot destroy privileged domain 0.');
    return 1;
  }
  return yield* run.locked(domid, function* () {
    return (yield* destroyDomain(run, run.known(domid))) ? 0 : 1;
  });
}

/** Asks a domain to stop by the store; what becomes of it then is the daemon's business. */
function ask(word: 'poweroff' | 'reboot') {
  return function* ({ run, given, operands }: Invocation): Task<number> {
    const command = word === 'poweroff' ? 'shutdown' : 'reboot';
    const all = given.has('a');
    if (all === operands.length > 0) throw new UsageError(`xl ${command} needs a domain, or -a`, command);
    const domids = all ? [...run.tools.domains.keys()] : operands.map((text) => findDomain(run, text));
    if (!all && domids.includes(DOM0)) {
      run.out.complain(`Domain 0 is the one that xl runs in; xl ${command} is for the others`);
      return 1;
    }
    const pending = new Map(domids.filter((domid) => domid !== DOM0).map((domid) => [domid, run.known(domid)]));
    for (const domid of pending.keys()) {
      run.out.complain(`${word === 'poweroff' ? 'Shutting down' : 'Rebooting'} domain ${domid}`);
      run.store.write(`${domainPath(domid)}/control/shutdown`, word);
    }
    if (!given.has('w')) return 0;
    run.out.complain(`Waiting for ${pending.size} domain${pending.size === 1 ? '' : 's'}`);
    const isOver = (domid: number): boolean => {
      const known = pending.get(domid);
      if (run.tools.domains.get(domid) !== known) return true;
      return known?.config.onPoweroff === 'preserve' && !run.lives(domid);
    };
    yield* run.poll(() => [...pending.keys()].every(isOver), SHUTDOWN_PATIENCE);
    const left = [...pending.keys()].filter((domid) => !isOver(domid));
    for (const domid of left) {
      run.out.complain(`domain ${domid} has not stopped within ${SHUTDOWN_PATIENCE / 1e9} s; "xl destroy ${domid}" ends it`);
    }
    return left.length === 0 ? 0 : 1;
  };
}

function* pause({ run, operands }: Invocation): Task<number> {
  run.tools.domctl.pauseDomain(findDomain(run, operands[0] as string));
  return 0;
}

function* unpause({ run, operands }: Invocation): Task<number> {
  const domid = findDomain(run, operands[0] as string);
  const known = run.tools.domains.get(domid);
  if (known === undefined) run.tools.domctl.unpauseDomain(domid);
  else start(run, known);
  return 0;
}

function* domid({ run, operands }: Invocation): Task<number> {
  run.out.print(String(findDomain(run, operands[0] as string)));
  return 0;
}

function* domname({ run, operands }: Invocation): Task<number> {
  const text = operands[0] as string;
  if (!/^\d+$/.test(text)) {
    run.out.complain(`invalid domain id: ${text}`);
    return 1;
  }
  run.out.print(nameOfDomain(run, findDomain(run, text)));
  return 0;
}

function* console({ run, operands }: Invocation): Task<number> {
  const { domain } = findKnown(run, operands[0] as string);
  for (const line of run.parts.programs.console(domain.domid)) run.out.print(line);
  return 0;
}

/** Neither is there; a domain with a device could not be saved on a real machine either. */
function carry(command: 'save' | 'migrate') {
  return function* ({ run, operands }: Invocation): Task<number> {
    const known = findKnown(run, operands[0] as string);
    if (known.devices.length > 0) {
      run.fail(RC.INVAL, `domain ${known.domain.domid} has PCI devices, whose state nobody can read: it cannot be `
        + `${command === 'save' ? 'saved' : 'migrated'}; take them from it first, by xl pci-detach`);
    }
    return run.fail(RC.NI, `xl ${command} is not modelled`);
  };
}

export const DOMAIN_COMMANDS: readonly Command[] = [
  {
    name: 'create', summary: 'Make a domain from a config file', synopsis: '[-pqnc] [<ConfigFile>] [<key>=<value> …]',
    options: {
      letters: 'f:pqnceFVA', long: { defconfig: 'f', quiet: 'q', dryrun: 'n', paused: 'p' },
    },
    details: ['-p  leave it paused', '-q  quiet', '-n  only show what would be made', '-c  show its console'], execute: create,
  },
  {
    name: 'list', summary: 'List the domains', synopsis: '[-lv] [<Domain>]',
    options: { letters: 'lv', long: { long: 'l', verbose: 'v' } }, details: ['-l  as JSON', '-v  with UUIDs'], execute: list,
  },
  {
    name: 'destroy', summary: 'End a domain at once', synopsis: '<Domain>', operands: 1, options: { letters: 'f' },
    execute: destroy,
  },
  {
    name: 'shutdown', summary: 'Ask a domain to stop', synopsis: '[-w] -a|<Domain>',
    options: { letters: 'awF', long: { all: 'a', wait: 'w' } }, details: ['-a  all of them', '-w  wait until it has'],
    execute: ask('poweroff'),
  },
  {
    name: 'reboot', summary: 'Ask a domain to start anew', synopsis: '[-w] -a|<Domain>',
    options: { letters: 'awF', long: { all: 'a', wait: 'w' } }, details: ['-a  all of them', '-w  wait until it has stopped'],
    execute: ask('reboot'),
  },
  { name: 'pause', summary: 'Hold a domain', synopsis: '<Domain>', operands: 1, execute: pause },
  { name: 'unpause', summary: 'Let a held domain go on', synopsis: '<Domain>', operands: 1, execute: unpause },
  { name: 'domid', summary: 'Number of a domain', synopsis: '<DomainName>', operands: 1, execute: domid },
  { name: 'domname', summary: 'Name of a domain', synopsis: '<DomainId>', operands: 1, execute: domname },
  {
    name: 'console', summary: 'Show what a domain has written on its console', synopsis: '<Domain>', operands: 1,
    execute: console,
  },
  { name: 'save', summary: 'Refused: not modelled', synopsis: '<Domain> <File>', operands: 1, execute: carry('save') },
  { name: 'migrate', summary: 'Refused: not modelled', synopsis: '<Domain> <Host>', operands: 1, execute: carry('migrate') },
];
