/** The command line of portcullis, as commander reads it. */

import { Command, CommanderError } from 'commander';
import { version } from '../../package.json';
import { MODELLED_POLICIES, PROFILE_NAMES } from '../index';
import { OWNER_NAMES } from '../report/wording';
import { runCompare } from './commands/compare';
import type { CompareContext, CompareFlags } from './commands/compare';
import { readMode, runXenstored } from './commands/xenstored';
import type { XenstoredFlags } from './commands/xenstored';
import { EXIT, endingOf, usage } from './exit';
import { addMachineCommands } from './machine-commands';
import type { MachineSurroundings } from './machine-commands';
import {
  ALLOCATORS, FRAME_BYTES, INJECTIONS, oneOf, RANGES, readDevice, readOwners, readPolicies, readProfile, readSetting,
  readWorkloads, wholeNumber,
} from './options';

export interface Surroundings extends Omit<CompareContext, 'warn'>, MachineSurroundings {
  /** Text for standard error. */
  readonly err: (text: string) => void;
  readonly debug: boolean;
  /** Resolves when the user wants a server to end. Called by a command that has one. */
  readonly stop: () => Promise<void>;
}

const COMPARE_EXAMPLES = `
Examples:
  Everything that can be compared, with recorded and made traffic:
    portcullis compare
  What one policy costs on bare metal:
    portcullis compare --owners native --policies none,strict
  Two frame sizes, modelled on another machine:
    portcullis compare --workloads 64,1500 --profile icx2023
  Your own traffic:
    portcullis compare --workloads pcap --pcap mine.pcap
  What if a hypercall were cheaper?
    portcullis compare --set cHypercall=500
  The tables here, and everything in a file:
    portcullis compare --json result.json
  See that one flipped byte is found (exit code 1):
    portcullis compare --workloads 1500 --inject corrupt

Exit codes: 0 done; 1 a run failed, or a packet was not right; 2 usage;
3 a file, a permission or memory is missing; 4 a bug of portcullis.
`;

const XENSTORED_EXAMPLES = `
Examples:
  A store for the tools of Debian's package xenstore-utils, until Ctrl-C:
    portcullis xenstored --socket /tmp/xenstored &
    XENSTORED_PATH=/tmp/xenstored xenstore-write /hello world
    XENSTORED_PATH=/tmp/xenstored xenstore-ls -fp /

Whoever may open the socket may change everything. The store begins empty and ends with the command.
`;

function range(option: keyof typeof RANGES): string {
  return `${RANGES[option].least} to ${RANGES[option].most}`;
}

/** The program; what a command came to goes to `ended`. */
function build(around: Surroundings, ended: (code: number) => void): Command {
  const program = new Command('portcullis')
    .description('PCI devices, their DMA and the IOMMU in front of them: what does it cost, and what does it stop?')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    // Options of a command of xl are xl's.
    .enablePositionalOptions();
  configure(program, around);

  const compare = program.command('compare')
    .description('run a NIC under each IOMMU policy: the cost, what was done, and what was stopped')
    .option('--policies <LIST>', `policies, of ${MODELLED_POLICIES.join(', ')} (default: all)`, readPolicies)
    .option('--owners <LIST>', `whose tables the IOMMU walks, of ${OWNER_NAMES.join(', ')} (default: all)`, readOwners)
    .option('--workloads <LIST>', 'pcap, imix, or sizes of a frame in bytes without FCS, '
      + `${FRAME_BYTES.least} to ${FRAME_BYTES.most}`, readWorkloads)
    .option('--device <NAME>', 'the NIC; there is only e1000', readDevice)
    .option('--pcap <FILE>', 'the capture for the workload pcap, gzip or not (default: one in the package)')
    .option('--packets <N>', `packets of each made stream that are measured, ${range('--packets')} (default: 8192)`,
      wholeNumber('--packets'))
    .option('--profile <NAME>', `the machine to model, of ${PROFILE_NAMES.join(', ')}`, readProfile)
    .option('--set <NAME=VALUE>', 'a parameter of the profile set otherwise; may be given again', readSetting)
    .option('--allocator <NAME>', `of I/O addresses: ${ALLOCATORS.join(' or ')}`, oneOf('--allocator', ALLOCATORS))
    .option('--batch <N>', `packets of one poll, ${range('--batch')} (default: 64)`, wholeNumber('--batch'))
    .option('--rounds <N>', `timed rounds for the emulator's own speed, ${range('--rounds')} (default: 5)`,
      wholeNumber('--rounds'))
    .option('--seed <N>', `for all that is random, ${range('--seed')}`, wholeNumber('--seed'))
    .option('--inject <FAULT>', 'corrupt: flip one byte of one packet, which must be found',
      oneOf('--inject', INJECTIONS))
    .option('--json [FILE]', 'one JSON document into FILE, or alone on standard output')
    .option('--quiet', 'no progress bar')
    .addHelpText('after', COMPARE_EXAMPLES)
    .action(async (flags: CompareFlags) => {
      const warn = (sentence: string): void => around.err(`portcullis: ${sentence}\n`);
      ended(await runCompare(flags, { ...around, warn }));
    });
  const xenstored = program.command('xenstored')
    .description('serve an empty XenStore on a UNIX socket, as the stock tools expect it')
    .requiredOption('--socket <PATH>', 'the socket to make; tools find it by XENSTORED_PATH')
    .option('--perm <MODE>', 'who may connect, as an octal mode (default: 0600)', readMode)
    .addHelpText('after', XENSTORED_EXAMPLES)
    .action(async (flags: XenstoredFlags) => ended(await runXenstored(flags, around.out, around.stop())));
  const machine = addMachineCommands(program, around, ended);
  for (const command of [compare, xenstored, ...machine]) {
    configure(command.helpOption('-h, --help', 'print this help'), around);
  }
  return program;
}

/** Commander neither ends the process nor writes errors: `run` does. */
function configure(command: Command, { err }: Surroundings): void {
  let help = '';
  command.exitOverride().configureOutput({
    outputError: () => undefined,
    writeOut: (text) => { help += text; },
    writeErr: err,
  });
  printed.set(command, () => help);
}

/** What commander printed on standard output, until it can be waited for. */
const printed = new WeakMap<Command, () => string>();

/** Runs a command line (without node and script); resolves with the exit code. Never throws. */
export async function run(args: readonly string[], around: Surroundings): Promise<number> {
  let code: number = EXIT.done;
  try {
    const program = build(around, (ended) => { code = ended; });
    try {
      await program.parseAsync([...args], { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode === 0) {
        const all = [program, ...program.commands, ...program.commands.flatMap((command) => [...command.commands])];
        const texts = all.map((command) => printed.get(command)?.() ?? '');
        await around.out(texts.join(''));
      } else if (error.code === 'commander.help') {
        // Called without a command: the help has gone to standard error.
        return EXIT.usage;
      } else {
        throw usage(sentenceOf(error, args, program.commands.map((command) => command.name())));
      }
    }
    return code;
  } catch (error) {
    const { exitCode, text } = endingOf(error, around.debug);
    around.err(text);
    return exitCode;
  }
}

/** Commander's message in our style: one sentence that ends with where to read on. */
function sentenceOf({ message }: CommanderError, args: readonly string[], names: readonly string[]): string {
  const [what = '', guess] = message.replace(/^error: /, '').split(/\n\(Did you mean (?:one of )?([^?]*)\?\)/);
  const meant = guess === undefined ? '' : ` (did you mean ${guess}?)`;
  const command = names.includes(args[0] ?? '') ? ` ${args[0]}` : '';
  return `${what.replace(/\.$/, '').replace('. Expected', ': expected')}${meant}; see portcullis${command} --help`;
}
