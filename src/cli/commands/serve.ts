/** `portcullis serve`: a machine that runs until it is stopped, its store and its control socket. */

import fs from 'node:fs';
import path from 'node:path';
import type { ControlOptions, MachineControl, MachineDescription, Pace, Xenstored } from '../../index';
import { type Environment, type Location, type LocationFlags, locate, DEFAULT_NAME, prepareFolder } from '../control/location';
import { ControlSocket } from '../control/server';
import { EXIT } from '../exit';
import type { ExitCode } from '../exit';
import { XenstoreSocket } from '../xenstore-socket';
import { fromFile } from './machine';

/** A machine with its control plane. */
export interface ServedMachine {
  readonly control: MachineControl;
  readonly store: Xenstored;
}

export type StartMachine = (description: MachineDescription, options: ServeOptions) => Promise<ServedMachine>;

export interface ServeOptions extends ControlOptions {
  readonly allowUnsafePassthrough: boolean;
  readonly xenRevoke: boolean;
}

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
  const start = (description: MachineDescription): Promise<ServedMachine> => context.start(description, options);
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
  lines.push('', `The machine ${name} runs until Ctrl-C. With the line${lines.length > 2 ? 's' : ''} above in another terminal, try`,
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
