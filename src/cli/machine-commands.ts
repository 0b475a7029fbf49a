/** The commands about a machine that is being served: `serve`, and those that ask it. */

import type { Command } from 'commander';
import { xlFiles } from '../index';
import type { MachineDescription } from '../index';
import { runDmesg } from './commands/dmesg';
import { runExplain } from './commands/explain';
import { runLspci } from './commands/lspci';
import type { LspciFlags } from './commands/lspci';
import { BUILT_IN, runServe, startMachine } from './commands/serve';
import type { ServeFlags, StartMachine } from './commands/serve';
import { registerTable, runSetpci } from './commands/setpci';
import type { SetpciFlags } from './commands/setpci';
import { runSysfsCat, runSysfsLs, runSysfsReadlink, runSysfsWrite } from './commands/sysfs';
import { runXl } from './commands/xl';
import { type Environment, type Location, locate } from './control/location';
import { usage } from './exit';
import { oneOf } from './options';

/** What these commands have from outside. */
export interface MachineSurroundings {
  readonly env: Environment;
  readonly out: (text: string) => Promise<void>;
  /** Standard output, as it is. */
  readonly outBytes: (bytes: Uint8Array) => Promise<void>;
  readonly err: (text: string) => void;
  /** All of standard input. */
  readonly input: () => Promise<string>;
  readonly stop: () => Promise<void>;
  /** Those of the library unless told. */
  readonly machines?: Machines;
}

/** What the library has for machines with a control plane. */
export interface Machines {
  readonly start: StartMachine;
  /** The machine of `serve` without a file. */
  readonly builtIn: MachineDescription;
  /** The files that a command line of xl names. */
  readonly xlFiles: (args: readonly string[], texts: ReadonlyMap<string, string>) => readonly string[];
}

const WHICH = `
Which machine: --control PATH, else --machine NAME, else PORTCULLIS_MACHINE, else the machine "default".
Without a server the exit code is 3.
`;

const SERVE_EXAMPLES = `
Examples:
  A machine to play with, until Ctrl-C:
    portcullis serve &
    portcullis xl list
  Your own, its clock tied to the wall's:
    portcullis serve machine.json --time real
  Two at once:
    portcullis serve --machine one & portcullis serve --machine two &
    PORTCULLIS_MACHINE=two portcullis lspci
  What happens to a machine without an IOMMU when a guest has a device:
    portcullis serve no-iommu.json --allow-unsafe-passthrough

The sockets are in $XDG_RUNTIME_DIR/portcullis/NAME/, else in a folder of yours for temporary files, mode 0600: whoever may
open them may do everything. SIGINT and SIGTERM stop the machine and remove them. Nothing is kept.
`;

const XL_EXAMPLES = `
Examples:
  portcullis xl list
  portcullis xl pci-assignable-add 00:04.0
  portcullis xl create guest.cfg
  portcullis xl pci-attach guest 00:06.0
  portcullis xl --machine two dmesg

Everything behind xl goes to xl as it is; options of portcullis come first. The exit code is xl's own.
${WHICH}`;

const SYSFS_EXAMPLES = `
Examples:
  portcullis sysfs ls /sys/bus/pci/devices
  portcullis sysfs cat /sys/bus/pci/devices/0000:00:04.0/resource
  portcullis sysfs write /sys/bus/pci/drivers/e1000/unbind 0000:00:04.0
  echo 0000:00:04.0 | portcullis sysfs write /sys/bus/pci/drivers/pciback/bind -
${WHICH}`;

const LSPCI_EXAMPLES = `
Examples:
  The devices of the machine that is being served, and those of a guest:
    portcullis lspci
    portcullis lspci --domain guest -vv
  One device, decoded, and its bytes:
    portcullis lspci -s 00:04.0 -vv
    portcullis lspci -s 00:04.0 -xxxx
  A machine that is only described, for the stock tool:
    portcullis lspci machine.json -xxxx > dump.txt && lspci -F dump.txt -vv

With a file it is that machine's devices; else those of the machine that is being served; else, if none was chosen, those of
a default machine (e1000 at 00:04.0, edu at 00:06.0). One that is only described is dumped as by -xxxx unless -s, -v or -x
is given.

A machine: {"memory": "64MiB", "devices": [{"model": "e1000", "bdf": "0000:00:04.0"}]}
${WHICH}`;

const SETPCI_EXAMPLES = `
Examples:
  portcullis setpci -s 00:04.0 COMMAND
  portcullis setpci -s 00:04.0 COMMAND=4:4 LATENCY_TIMER=40
  portcullis setpci -s 00:05.0 CAP_EXP+8.w ECAP_AER+4.l
  What a guest gets, and whether pciback lets it:
    portcullis setpci --domain guest -s 00:00.0 40.l=deadbeef

All numbers are hexadecimal; VALUE:MASK changes the bits of the mask alone. --dumpregs lists the names. What is not done is told
on standard error with its PCIBIOS code, exit code 1.
${WHICH}`;

const EXPLAIN_EXAMPLES = `
Examples:
  portcullis explain 00:04.0
  portcullis explain 00:04.0 --domain guest --access dma:1000
  portcullis explain 00:04.0 --json

The exit code is 1 when something is refused.
${WHICH}`;

const DMESG_HELP = `
Examples:
  portcullis dmesg
  portcullis dmesg | grep pciback
  portcullis dmesg --machine two

The log of Xen is portcullis xl dmesg, that of a guest's kernel portcullis xl console NAME.
${WHICH}`;

interface WhereFlags {
  readonly machine?: string;
  readonly control?: string;
}

const count = (_: string, before = 0): number => before + 1;

/** Adds the commands; what one came to goes to `ended`. Gives all that were added, for what all commands share. */
export function addMachineCommands(program: Command, around: MachineSurroundings, ended: (code: number) => void): Command[] {
  const { env, out, err, machines = { start: startMachine, builtIn: BUILT_IN, xlFiles } } = around;
  const where = (flags: WhereFlags): Location => locate(flags, env);
  const addressed = (command: Command): Command => command
    .option('--machine <NAME>', 'the machine to ask (default: PORTCULLIS_MACHINE, else default)')
    .option('--control <PATH>', 'its control socket');

  const serve = program.command('serve')
    .description('keep a machine running: its XenStore and its control socket, for the commands below')
    .argument('[MACHINE.json]', 'a machine description (default: a built-in machine)')
    .option('--machine <NAME>', 'its name, which tells servers apart (default: PORTCULLIS_MACHINE, else default)')
    .option('--control <PATH>', 'the control socket to make')
    .option('--xenstored <PATH>', 'the XenStore socket to make; stock tools find it by XENSTORED_PATH')
    .option('--time <PACE>', 'fast: waits take no time; real: the machine\'s clock goes with the wall (default: fast)',
      oneOf('--time', ['fast', 'real'] as const))
    .option('--allow-unsafe-passthrough', 'let guests have devices on a machine without an IOMMU')
    .option('--xen-revoke', 'take devices back in Xen\'s own order, with the stale mappings that it leaves')
    .addHelpText('after', SERVE_EXAMPLES)
    .action(async (file: string | undefined, flags: ServeFlags) => {
      ended(await runServe(file, flags, { ...around, ...machines, warn: (sentence) => err(`portcullis: ${sentence}\n`) }));
    });

  const xl = addressed(program.command('xl'))
    .description('Xen\'s toolstack, in the first domain of the machine')
    .argument('[ARGS...]', 'what xl takes')
    .allowUnknownOption().passThroughOptions()
    .addHelpText('after', XL_EXAMPLES)
    .action(async (args: string[], flags: WhereFlags) => ended(await runXl(where(flags), args, { out, err, ...machines })));

  const lspci = addressed(program.command('lspci'))
    .description('list the devices of a machine, or of a guest in it')
    .argument('[MACHINE.json]', 'a machine description, in place of the machine that is being served')
    .option('--domain <NAME>', 'what this guest sees through its front end')
    .option('-s <SLOT>', 'only these: [[DOMAIN:]BUS:][DEVICE][.FUNCTION], * for any')
    .option('-v', 'decode; -vv and -vvv tell more', count)
    .option('-x', 'the header\'s bytes; -xxx 256, -xxxx all', count)
    .addHelpText('after', LSPCI_EXAMPLES)
    .action(async (file: string | undefined, flags: WhereFlags & { domain?: string; s?: string; v?: number; x?: number }) => {
      const chosen = flags.machine !== undefined || flags.control !== undefined || Boolean(env['PORTCULLIS_MACHINE']);
      const wanted: LspciFlags = {
        ...(flags.domain === undefined ? {} : { domain: flags.domain }), ...(flags.s === undefined ? {} : { slot: flags.s }),
        verbose: flags.v ?? 0, hex: flags.x ?? 0,
      };
      ended(await runLspci({ file, where: where(flags), chosen }, wanted, out));
    });

  const setpci = addressed(program.command('setpci'))
    .description('read and write config registers, with the names and the syntax of pciutils')
    .argument('[OPERATIONS...]', 'REGISTER[.B|.W|.L][=VALUE[:MASK]], one or more')
    .option('--domain <NAME>', 'as this guest, through its front end')
    .option('-s <SLOT>', 'the function: [[DOMAIN:]BUS:][DEVICE][.FUNCTION], * for any')
    .option('--dumpregs', 'list the names of registers and capabilities')
    .addHelpText('after', SETPCI_EXAMPLES)
    .action(async (operations: string[], flags: WhereFlags & { domain?: string; s?: string; dumpregs?: boolean }) => {
      if (flags.dumpregs === true) {
        await out(registerTable());
        return;
      }
      if (flags.s === undefined) throw usage('setpci: which device? give -s SLOT, as in -s 00:04.0');
      if (operations.length === 0) throw usage('setpci: which register? give one, as in COMMAND or 40.w');
      const wanted: SetpciFlags = { slot: flags.s, ...(flags.domain === undefined ? {} : { domain: flags.domain }) };
      ended(await runSetpci(where(flags), operations, wanted, around));
    });

  const explain = addressed(program.command('explain'))
    .description('the chain of checks that lets or refuses an assignment or an access, and the remedy')
    .argument('[ARGS...]', 'BDF [--domain NAME] [--access mmio|port|dma|config:…] [--json]')
    .allowUnknownOption().passThroughOptions()
    .addHelpText('after', EXPLAIN_EXAMPLES)
    .action(async (args: string[], flags: WhereFlags) => ended(await runExplain(where(flags), args, out)));

  const dmesg = addressed(program.command('dmesg'))
    .description('the log of the first domain\'s kernel: what pciback and the drivers say')
    .addHelpText('after', DMESG_HELP)
    .action(async (flags: WhereFlags) => ended(await runDmesg(where(flags), out)));

  const sysfs = program.command('sysfs').description('files of the first domain\'s kernel under /sys')
    .addHelpText('after', SYSFS_EXAMPLES);
  const files = [
    addressed(sysfs.command('ls')).description('names in a folder').argument('<PATH>')
      .action(async (path: string, flags: WhereFlags) => ended(await runSysfsLs(where(flags), path, out))),
    addressed(sysfs.command('cat')).description('what a file says').argument('<PATH>')
      .action(async (path: string, flags: WhereFlags) => ended(await runSysfsCat(where(flags), path, around.outBytes))),
    addressed(sysfs.command('readlink')).description('where a link leads to').argument('<PATH>')
      .action(async (path: string, flags: WhereFlags) => ended(await runSysfsReadlink(where(flags), path, out))),
    addressed(sysfs.command('write')).description('write into a file').argument('<PATH>')
      .argument('[TEXT]', 'what to write; - or nothing: standard input')
      .action(async (path: string, text: string | undefined, flags: WhereFlags) => {
        const what = text === undefined || text === '-' ? await around.input() : text;
        ended(await runSysfsWrite(where(flags), path, what));
      }),
  ];
  return [serve, xl, lspci, setpci, explain, dmesg, sysfs, ...files];
}
