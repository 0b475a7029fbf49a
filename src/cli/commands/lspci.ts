/** `portcullis lspci`: the devices of a machine that is described, or of one that is being served. */

import { listFunctions, Machine, parseSlotFilter } from '../../index';
import type { ListingOptions, MachineDescription } from '../../index';
import { ask, NoServerError } from '../control/client';
import type { Location } from '../control/location';
import { EXIT, usage } from '../exit';
import type { ExitCode } from '../exit';
import { fromFile } from './machine';

const DEFAULT_MACHINE: MachineDescription = {
  devices: [{ model: 'e1000', bdf: '0000:00:04.0' }, { model: 'edu', bdf: '0000:00:06.0' }],
};

export interface LspciFlags {
  readonly domain?: string;
  readonly verbose?: number;
  readonly hex?: number;
  readonly slot?: string;
}

export interface LspciSource {
  readonly file: string | undefined;
  readonly where: Location;
  /** Whether the machine was chosen, by an option or by the environment: then it must be there. */
  readonly chosen: boolean;
}

/**
 * With a file it is that machine's devices; else those of the machine that is being served; else those of the default
 * machine. A machine that is only described is dumped, for `lspci -F`, unless an option says what is wanted of it.
 */
export async function runLspci({ file, where, chosen }: LspciSource, flags: LspciFlags,
  out: (text: string) => Promise<void>): Promise<ExitCode> {
  const { domain, slot } = flags;
  const { verbose, hex } = levels(flags);
  if (file !== undefined && domain !== undefined) throw usage('--domain asks the machine that is being served; leave the file out');
  if (file === undefined) {
    try {
      const { text } = await ask(where, 'lspci', { domain, slot, verbose, hex }) as { text: string };
      await out(text);
      return EXIT.done;
    } catch (error) {
      if (!(error instanceof NoServerError) || chosen || domain !== undefined) throw error;
    }
  }
  const takes = slot === undefined ? undefined : parseSlotFilter(slot);
  const machine = file === undefined ? await Machine.create(DEFAULT_MACHINE) : await fromFile(file, (description, readNamed) => Machine.create(description, { readFile: readNamed }));
  if (verbose === 0 && hex === 0 && takes === undefined) await out(machine.lspci());
  else await out(listFunctions(machine.listed().filter(({ routing }) => takes?.(routing) ?? true), { verbose, hex }));
  return EXIT.done;
}

/** More letters than mean something mean the most that there is; -xx is -x, as pciutils has it. */
function levels({ verbose = 0, hex = 0 }: LspciFlags): ListingOptions {
  return { verbose: Math.min(verbose, 3), hex: Math.min(hex, 4) } as ListingOptions;
}
