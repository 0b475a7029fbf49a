/** `portcullis serve`: a machine that runs until it is stopped, its store and its control socket. */

import fs from 'node:fs';
import path from 'node:path';
import { controlMachine, Machine } from '../../index';
import type { ControlOptions, MachineControl, MachineDescription, Pace, Xenstored } from '../../index';
import { type Environment, type Location, type LocationFlags, locate, DEFAULT_NAME, prepareFolder } from '../control/location';
import { ControlSocket } from '../control/server';
import { EXIT } from '../exit';
import type { ExitCode } from '../exit';
import { threadHost } from '../modules/thread-host';
import { XenstoreSocket } from '../xenstore-socket';
import { fromFile } from './machine';
import type { ReadNamed } from './machine';

/** A machine with its control plane. */
export interface ServedMachine {
  readonly control: MachineControl;
  readonly store: Xenstored;
}

/** `readNamed` reads a file that the description names. */
export type StartMachine = (description: MachineDescription, options: ServeOptions, readNamed?: ReadNamed) => Promise<ServedMachine>;

export interface ServeOptions extends ControlOptions {
  readonly allowUnsafePassthrough: boolean;
  readonly xenRevoke: boolean;
}

/** The machine of `serve` without a file: two network cards on one wire, one behind a root port, and a device to try DMA with. */
export const BUILT_IN: MachineDescription = {
  memory: '256MiB', dom0: { memory: '32MiB' }, iommu: 'vtd',
  devices: [
    { model: 'e1000', bdf: '0000:00:04.0', link: { wire: '0000:00:05.0' } },
    { model: 'e1000e', bdf: '0000:00:05.0' },
    { model: 'edu', bdf: '0000:00:06.0' },
    { model: 'root-port', bdf: '0000:00:0b.0' },
    { model: 'e1000e', bdf: '0000:01:00.0', link: 'loopback' },
  ],
};

export const startMachine: StartMachine = async (description, options, readNamed) => {
  const { allowUnsafePassthrough, xenRevoke, ...control } = options;
  const asked = { ...description, ...(allowUnsafePassthrough && { allowUnsafePassthrough }), ...(xenRevoke && { xenRevoke }) };
  const machine = await Machine.create(asked, { modules: threadHost(), ...(readNamed !== undefined && { readFile: readNamed }) });
  return { control: controlMachine(machine, control), store: machine.xenstore };
};

export interface ServeFlags extends LocationFlags {
  readonly time?: Pace;
  readonly allowUnsafePassthrough?: boolean;
  readonly xenRevoke?: boolean;
}

export interface ServeContext {
  readonly env: Environment;
  readonly out: (text: string) => Promise<void>;
  readonly warn: (sentence: string) => void;
  readonly stop: () => Promise<void>;
  readonly start: StartMachine;
  readonly builtIn: MachineDescription;
}

/** The event loop and the wall's clock. */
const AROUND: ControlOptions['around'] = {
  wall: () => performance.now(),
  later: (ms, told) => {
    if (ms > 0) {
      const timer = setTimeout(told, ms);
      return () => clearTimeout(timer);
    }
    const turn = setImmediate(told);
    return () => clearImmediate(turn);
  },
};

export async function runServe(file: string | undefined, flags: ServeFlags, context: ServeContext): Promise<ExitCode> {
  const where = locate(flags, context.env);
  // Asked for first: a signal while the machine is being made ends it in the same way.
  const stopped = context.stop();
  const options: ServeOptions = {
    time: flags.time ?? 'fast', around: AROUND,
    onError: (error) => context.warn(`the machine met an error (${error instanceof Error ? error.message : String(error)})`),
    allowUnsafePassthrough: flags.allowUnsafePassthrough ?? false, xenRevoke: flags.xenRevoke ?? false,
  };
  const start = (description: MachineDescription, readNamed?: ReadNamed): Promise<ServedMachine> =>
    context.start(description, options, readNamed);
  const { control, store } = file === undefined ? await start(context.builtIn) : await fromFile(file, start);
  const sockets: Array<{ close(): Promise<void> }> = [];
  try {
    const standard = [where.control, where.xenstored].some((one) => path.dirname(one) === where.folder);
    if (standard) prepareFolder(where);
    const next = 'stop the one who does, give the machine another name with --machine, or other paths with --control and --xenstored';
    sockets.push(await ControlSocket.listen(control, where.control, next));
    sockets.push(await XenstoreSocket.listen(store, where.xenstored, { onServed: () => control.poke(), next }));
    await context.out(greeting(where));
    await stopped;
  } finally {
    for (const socket of sockets) await socket.close();
    await control.close();
    removeFolder(where);
  }
  return EXIT.done;
}

/** What to type next. */
function greeting({ name, folder, control, xenstored }: Location): string {
  const chosen = control === path.join(folder, 'control') ? '' : ` --control ${quoted(control)}`;
  const lines = [`export XENSTORED_PATH=${quoted(xenstored)}`];
  if (name !== DEFAULT_NAME && chosen === '') lines.push(`export PORTCULLIS_MACHINE=${name}`);
  lines.push('', `The machine ${name} runs until Ctrl-C. With the line${lines.length > 1 ? 's' : ''} above in another terminal, try`,
    `  portcullis lspci${chosen}`, `  portcullis xl${chosen} list`, '  xenstore-ls -fp');
  return `${lines.join('\n')}\n`;
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w/.:@%+-]+$/.test(text) ? text : `'${text.replace(/'/g, '\'\\\'\'')}'`;
}

/** A folder with something else in it stays. */
function removeFolder({ folder }: Location): void {
  try {
    fs.rmdirSync(folder);
  } catch {
    // Not there, or in use.
  }
}
