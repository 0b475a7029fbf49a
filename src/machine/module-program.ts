/**
 * A user's module as a domain's program: its calls are served one at a time, as a task of the machine's scheduler, so that
 * what it does to the machine depends on its calls alone and not on how fast its thread is. Each call takes the guest some
 * time; a module that does nothing but call keeps nobody from anything.
 */

import { PortcullisError } from '../errors';
import type { Task } from '../xen/schedule/scheduler';
import { type CallParts, ModuleCalls, portOf, whole } from './module-calls';
import type { ModuleHost, ModuleThread } from './module-host';

export interface ModuleProgramParts extends CallParts {
  readonly host: ModuleHost;
  readonly text: string;
  readonly name: string;
  readonly commandLine: string;
  /** It has done what a guest's kernel dies of. */
  crashed(why: string): void;
}

/** What a call takes of the machine's time, and after how many of them others have a turn. */
const CALL_NS = 10_000;
const CALLS_AT_ONCE = 32;
/** A wait at most: a year. */
const WAIT_MAX = 365 * 86400e9;
const PORTS_MAX = 64;
const WHY_MAX = 500;

export class ModuleProgram {
  readonly #parts: ModuleProgramParts;
  readonly #thread: ModuleThread;
  readonly #calls: ModuleCalls;
  #stopped = false;

  constructor(parts: ModuleProgramParts) {
    this.#parts = parts;
    const { host, text, name, commandLine, kernel } = parts;
    this.#calls = new ModuleCalls(parts);
    this.#thread = host.start(text, { domid: kernel.domid, name, commandLine });
    kernel.scheduler.spawn(`the module of domain ${kernel.domid}`, kernel.domid, this.#run());
  }

  /** Ends it where it stands. */
  stop(): void {
    this.#stopped = true;
    this.#thread.end();
  }

  *#run(): Task {
    const { scheduler } = this.#parts.kernel;
    try {
      for (let calls = 1; !this.#stopped; calls++) {
        const next = this.#thread.next();
        const call = 'dead' in next ? undefined : readCall(next.call);
        if (call === undefined) return this.#crash('dead' in next ? next.dead : 'what it sends is no call');
        const [method, ...args] = call;
        if (method === 'returned') {
          this.#parts.kernel.print('module: done');
          return;
        }
        if (method === 'threw') return this.#crash(`it threw ${typeof args[0] === 'string' ? args[0].slice(0, WHY_MAX) : 'what is no text'}`);
        const before = scheduler.now;
        const answer = method === 'wait' ? yield* this.#wait(args) : this.#answer(method, args);
        if (this.#stopped) return;
        this.#thread.answer(answer);
        if (calls % CALLS_AT_ONCE === 0) yield { timeout: CALLS_AT_ONCE * CALL_NS };
        // it has waited for a back end: those further down on the stack have waited too
        else if (scheduler.now > before) yield { timeout: 0 };
      }
    } finally {
      this.#thread.end();
    }
  }

  #crash(why: string): void {
    if (!this.#stopped) this.#parts.crashed(why);
  }

  #answer(method: string, args: readonly unknown[]): string {
    try {
      const call = this.#calls.table.get(method);
      if (call === undefined) throw new PortcullisError('BAD_CALL', `there is no call "${method.slice(0, 64)}"`);
      const text = JSON.stringify({ value: call(args) });
      // two bytes a character is what JSON of names and numbers stays below
      if (text.length * 3 > this.#parts.host.messageMax) throw new PortcullisError('BAD_CALL', 'the answer is too long');
      return text;
    } catch (error) {
      return refusal(error);
    }
  }

  *#wait([ns, ports = []]: readonly unknown[]): Task<string> {
    const { pending, fired } = this.#calls;
    let wanted: number[];
    let timeout: number;
    try {
      timeout = whole(ns, 0, WAIT_MAX, 'the time');
      if (!Array.isArray(ports) || ports.length > PORTS_MAX) throw new PortcullisError('BAD_CALL', `at most ${PORTS_MAX} ports are waited for`);
      wanted = ports.map(portOf);
    } catch (error) {
      return refusal(error);
    }
    for (const port of wanted) this.#calls.listen(port);
    yield { until: () => this.#stopped || fired.size > 0 || wanted.some((port) => pending.has(port)), timeout: Math.max(timeout, CALL_NS) };
    const port = wanted.find((one) => pending.delete(one));
    if (port !== undefined) return JSON.stringify({ value: { port } });
    const [path] = fired;
    if (path === undefined) return JSON.stringify({ value: {} });
    fired.delete(path);
    return JSON.stringify({ value: { path } });
  }
}

/** Name and arguments; undefined for what is none. */
function readCall(text: string): [string, ...unknown[]] | undefined {
  try {
    const call: unknown = JSON.parse(text);
    return Array.isArray(call) && typeof call[0] === 'string' && call.length <= 8 ? call as [string, ...unknown[]] : undefined;
  } catch {
    return undefined;
  }
}

function refusal(error: unknown): string {
  if (!(error instanceof PortcullisError)) throw error;
  return JSON.stringify({ error: { code: error.code, message: error.message.slice(0, WHY_MAX) } });
}
