/** What the steps of the toolstack share: the machine, the domains that it has made, one command's connection and output. */

import { Random } from '../../engine/index';
import { type Bdf, formatBdf, routingId } from '../../pci/bdf';
import { Domctl } from '../hypervisor/domctl';
import { Physdev } from '../hypervisor/physdev';
import type { Task } from '../schedule/scheduler';
import { XenstoreClient, type StoreAccess } from '../xenstore/client';
import { XenstoreError } from '../xenstore/errors';
import { LibxlError, RC } from './errors';
import type { KnownDomain } from './known-domain';
import { Output } from './output';
import type { ToolstackParts } from './types';

/** Nanoseconds between two looks, and all that is waited (libxl: 100 times 100 ms). */
const POLL = 100e6;
export const PATIENCE = 10e9;

/** Attempts at a transaction that others keep getting in the way of. */
const ATTEMPTS = 100;

/** Lines that are kept of the daemons. */
const LOG_LINES = 1024;

/** Domain 0, whose toolstack this is. */
export const DOM0 = 0;

export class Toolstack {
  readonly parts: ToolstackParts;
  readonly domctl: Domctl;
  readonly physdev: Physdev;
  readonly random: Random;
  readonly domains = new Map<number, KnownDomain>();
  /** Domains that a command is working on. */
  readonly busy = new Set<number>();
  /** What the daemons have written: lines, the latest last. */
  readonly daemonLog: string[] = [];

  constructor(parts: ToolstackParts) {
    this.parts = parts;
    this.domctl = new Domctl(parts.hypervisor, DOM0);
    this.physdev = new Physdev(parts.hypervisor, DOM0);
    this.random = new Random(parts.seed);
  }

  /** Takes over what a daemon has written. */
  log(name: string, { stdout, stderr }: Output): void {
    for (const line of `${stdout}${stderr}`.split('\n')) if (line !== '') this.daemonLog.push(`${name}: ${line}`);
    this.daemonLog.splice(0, this.daemonLog.length - LOG_LINES);
  }
}

/** One command under way: a process of domain 0 with its own connection to the store. */
export class Run {
  readonly tools: Toolstack;
  readonly out: Output;
  readonly store: XenstoreClient;

  constructor(tools: Toolstack, out = new Output()) {
    this.tools = tools;
    this.out = out;
    this.store = new XenstoreClient(tools.parts.store, DOM0);
  }

  get parts(): ToolstackParts {
    return this.tools.parts;
  }

  /** Ends its connection, and with it what it left open. */
  close(): void {
    this.store.close();
  }

  /** Says what is wrong, and gives up. */
  fail(rc: number, ...lines: readonly string[]): never {
    for (const line of lines) this.out.error(line);
    throw new LibxlError(rc, lines.join('; '));
  }

  /** Looks each 100 ms; tells whether it came within `patience` nanoseconds. */
  *poll(until: () => boolean, patience = PATIENCE): Task<boolean> {
    const end = this.parts.scheduler.now + patience;
    for (;;) {
      if (until()) return true;
      if (this.parts.scheduler.now >= end) return false;
      yield { timeout: POLL };
    }
  }

  /** Until everyone else has come to rest. */
  *rest(): Task {
    yield { timeout: 1 };
  }

  /**
   * All of `work` at once. Between its requests and the end others have a turn, as they do while a process talks over
   * a socket; if they were in the way, it is done again.
   */
  *transaction<T>(work: (inside: StoreAccess) => T): Task<T> {
    for (let attempt = 1; ; attempt++) {
      const id = this.store.begin();
      let open = true;
      try {
        const result = work(this.store.within(id));
        yield { timeout: 0 };
        open = false;
        this.store.end(id, true);
        return result;
      } catch (error) {
        if (!(error instanceof XenstoreError) || error.code !== 'EAGAIN' || attempt === ATTEMPTS) throw error;
      } finally {
        if (open) this.store.end(id, false);
      }
    }
  }

  /** One command at a time for each domain; whoever is late waits for its turn. */
  *locked<T>(domid: number, work: () => Task<T>): Task<T> {
    const { busy } = this.tools;
    while (busy.has(domid)) yield { until: () => !busy.has(domid) };
    busy.add(domid);
    try {
      return yield* work();
    } finally {
      busy.delete(domid);
    }
  }

  /** The domain is there and has not stopped: it can answer. */
  lives(domid: number): boolean {
    const info = this.tools.domctl.list().find((one) => one.domid === domid);
    return info !== undefined && info.shutdown === undefined && !info.dying;
  }

  rmIfThere(path: string): void {
    try {
      this.store.rm(path);
    } catch (error) {
      if (!(error instanceof XenstoreError) || error.code !== 'ENOENT') throw error;
    }
  }

  /** Writes a node; `undo` puts back what was there, and takes away the folders that came with it, if nothing else is in them. */
  write(path: string, value: string, undo: Undo): void {
    const before = this.store.readIfThere(path);
    const made: string[] = [];
    for (let folder = parentOf(path); folder !== '' && this.store.readIfThere(folder) === undefined; folder = parentOf(folder)) {
      made.push(folder);
    }
    this.store.write(path, value);
    undo.add(`putting ${path} back`, () => {
      if (before !== undefined) {
        this.store.write(path, before);
        return;
      }
      this.rmIfThere(path);
      for (const folder of made) if (this.store.directory(folder).length === 0) this.store.rm(folder);
    });
  }

  /** A domain that the toolstack has made; throws INVAL for any other, and for one that has ended meanwhile. */
  known(domid: number): KnownDomain {
    const known = this.tools.domains.get(domid);
    if (known === undefined) {
      const there = this.parts.hypervisor.domains.some((one) => one.domid === domid);
      this.fail(RC.INVAL, there ? `domain ${domid} was not made by xl, which knows nothing of it`
        : `there is no domain ${domid} any more`);
    }
    return known;
  }
}

/** Undoes what has been done, last first; what cannot be undone is told. */
export class Undo {
  readonly #steps: Array<[name: string, step: () => void]> = [];
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  add(name: string, step: () => void): void {
    this.#steps.push([name, step]);
  }

  run(): void {
    for (const [name, step] of this.#steps.splice(0).reverse()) attempt(this.#out, name, step);
  }
}

/** Does a step of an end, which goes on whatever happens; whether it went well. */
export function attempt(out: Output, name: string, step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    out.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

export const routingOf = (bdf: Bdf): number => routingId(bdf);
export const nameOf = (bdf: Bdf): string => formatBdf(bdf);
