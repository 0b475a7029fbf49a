/**
 * What the code of a domain's kernel has: its domain, the store, watches, event channels, deferred work, its log. It is
 * a worker of the scheduler; handlers never run inside whoever caused them.
 */

import { PortcullisError } from '../../errors';
import type { Domain } from '../hypervisor/domain';
import type { Hypervisor } from '../hypervisor/hypervisor';
import type { Scheduler, Worker } from '../schedule/scheduler';
import { XenstoreClient } from '../xenstore/client';
import type { Xenstored } from '../xenstore/daemon';

export interface KernelParts {
  readonly hypervisor: Hypervisor;
  readonly scheduler: Scheduler;
  readonly store: Xenstored;
}

/**
 * Unwinds what a kernel was doing when it ended while it was blocked: no PortcullisError, so that no code of the kernel takes
 * it for a failure and goes on. The kernel's own `work` takes it.
 */
export class KernelEnded extends Error {
  constructor(domid: number) {
    super(`the kernel of domain ${domid} has ended`);
  }
}

/** Lines that a kernel keeps of its log; the oldest go first. */
const LOG_LINES = 4096;

export class Kernel implements Worker {
  readonly domain: Domain;
  readonly hypervisor: Hypervisor;
  readonly scheduler: Scheduler;
  /** The domain's own connection, with its rights. */
  readonly store: XenstoreClient;
  /** `dmesg`. */
  readonly log: string[] = [];
  /** What becomes of it when a hypercall or the store refuses what a handler needs; without, that is thrown on. */
  onOops: ((error: PortcullisError) => void) | undefined;
  readonly #ports = new Map<number, () => void>();
  readonly #watches = new Map<string, { path: string; told: (path: string) => void }>();
  readonly #work: Array<() => void> = [];
  #nextToken = 1;
  #stopped = false;

  constructor(domain: Domain, { hypervisor, scheduler, store }: KernelParts) {
    this.domain = domain;
    this.hypervisor = hypervisor;
    this.scheduler = scheduler;
    this.store = new XenstoreClient(store, domain.domid);
    scheduler.addWorker(this);
  }

  get domid(): number {
    return this.domain.domid;
  }

  /** It has been stopped, or its domain has shut down or is gone: it runs no more. */
  get ended(): boolean {
    return this.#stopped || this.domain.shutdown !== undefined || this.domain.dying;
  }

  print(line: string): void {
    this.log.push(line);
    if (this.log.length > LOG_LINES) this.log.shift();
  }

  /** Runs later, in the order of the calls. */
  schedule(work: () => void): void {
    this.#work.push(work);
  }

  /** Calls `told` with the path that changed, and once at first, as xenbus watches do. The result ends the watch. */
  watch(path: string, told: (path: string) => void): () => void {
    const token = `k${this.#nextToken++}`;
    this.store.watch(path, token);
    // its first event waits until this kernel has its turn
    this.#watches.set(token, { path, told });
    return () => {
      if (!this.#watches.delete(token) || this.#stopped) return;
      this.store.unwatch(path, token);
    };
  }

  /** `handler` runs when an event has come at the port. The port stays the caller's to close. */
  onEvent(port: number, handler: () => void): void {
    this.#ports.set(port, handler);
  }

  /** An event that has come already is not told any more (XSA-331). */
  offEvent(port: number): void {
    this.#ports.delete(port);
    this.#pending.delete(port);
  }

  /** A page of the domain's own memory. */
  page(pfn: number): DataView {
    const bytes = this.hypervisor.engine.frame(this.domain.p2m[pfn] as number);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Blocks in a hypercall: everyone else goes on. Throws KernelEnded when it ends meanwhile. */
  wait(until: () => boolean, timeout?: number): boolean {
    const came = this.scheduler.wait(() => this.ended || until(), timeout);
    if (this.ended) throw new KernelEnded(this.domid);
    return came;
  }

  ready(): boolean {
    return !this.ended && this.domain.pauses === 0 && (this.#work.length > 0 || this.#events.length > 0 || this.#takePorts());
  }

  work(): void {
    for (const { path, token } of this.#events.splice(0)) this.#do(() => this.#watches.get(token)?.told(path));
    for (const port of [...this.#pending]) if (this.#pending.delete(port)) this.#do(() => this.#ports.get(port)?.());
    for (const work of this.#work.splice(0)) this.#do(work);
  }

  #do(handler: () => void): void {
    if (this.ended) return;
    try {
      handler();
    } catch (error) {
      if (error instanceof KernelEnded) return;
      if (!(error instanceof PortcullisError) || this.onOops === undefined) throw error;
      if (!this.#stopped) this.onOops(error);
    }
  }

  /** Ports whose event has been taken and not yet told. */
  readonly #pending = new Set<number>();
  readonly #events: Array<{ path: string; token: string }> = [];

  #takePorts(): boolean {
    this.#events.push(...this.store.takeEvents());
    for (const port of this.#ports.keys()) {
      if (this.hypervisor.engine.exports.eventTake(this.domain.slot, port) === 1) this.#pending.add(port);
    }
    return this.#pending.size + this.#events.length > 0;
  }

  /** The domain is gone, or its kernel has died: nothing of it runs any more, its watches and transactions go. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.scheduler.removeWorker(this);
    this.#ports.clear();
    this.#watches.clear();
    this.#work.length = 0;
    this.store.close();
  }
}
