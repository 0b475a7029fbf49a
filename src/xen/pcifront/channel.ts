/** A front end's side of the shared page: operations, one at a time, with a time-out; errors of devices. */

import type { GrantRefs } from '../kernel/grant-refs';
import type { Kernel } from '../kernel/kernel';
import { type AerOp, type MsixEntry, PCI_FLAG, type PciOp, PciPage } from '../pciif';
import { PCI_ERR } from '../pciback/types';
import { errnoOf, XenbusFailure } from '../xenbus/errors';

/** Pages of the domain's own memory for the front end. */
export interface PageAllocator {
  /** Page number. */
  allocPage(): number;
  freePage(pfn: number): void;
}

export interface ChannelOptions {
  readonly kernel: Kernel;
  readonly grants: GrantRefs;
  readonly memory: PageAllocator;
  readonly backDomid: number;
  /** How long an operation may take, in ns. */
  readonly timeout: number;
  /** Called when an operation was not answered. */
  readonly onTimeout: () => void;
  /** Answers a report of an error, by one of ERS_RESULT. */
  readonly onAer: (op: AerOp) => number;
}

export type PciRequest = Partial<PciOp> & { readonly cmd: number; readonly msix?: readonly MsixEntry[] };

/** What came of an operation: -1 in `err` also when nobody has answered. */
export interface PciAnswer {
  readonly err: number;
  readonly value: number;
  /** Of the first entries. */
  msix(count: number): MsixEntry[];
}

const UNANSWERED: PciAnswer = { err: PCI_ERR.DEV_NOT_FOUND, value: 0, msix: () => [] };

const ESRCH = 3;

/** An operation under way: whoever comes later takes the answer for who waits further down on the stack. */
interface Flight {
  answer: PciAnswer | undefined;
}

export class PciChannel {
  readonly #options: ChannelOptions;
  readonly page: PciPage;
  readonly port: number;
  readonly ref: number;
  readonly #pfn: number;
  #open = true;
  #flight: Flight | undefined;
  #aerWaits = false;

  /** Takes a page, an event channel and a grant; throws, with none of them taken, when one is not to be had. */
  constructor(options: ChannelOptions) {
    this.#options = options;
    const { kernel, grants, memory, backDomid } = options;
    const { events } = kernel.hypervisor;
    const undo: Array<() => void> = [];
    try {
      this.#pfn = memory.allocPage();
      undo.push(() => memory.freePage(this.#pfn));
      this.page = new PciPage(() => {
        const view = kernel.page(this.#pfn);
        return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
      });
      this.page.wipe();
      this.page.set(PCI_FLAG.AER_HANDLER);
      this.port = events.allocUnbound(kernel.domid, { remoteDom: backDomid });
      undo.push(() => events.close(kernel.domid, this.port));
      this.ref = grants.grant(this.#pfn, backDomid);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
    kernel.onEvent(this.port, () => this.#lookForAer());
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether the domain is still there: its kernel may have been waiting while it was destroyed. */
  #alive(): boolean {
    const { kernel } = this.#options;
    return kernel.hypervisor.domains.includes(kernel.domain);
  }

  #requireAlive(): void {
    if (!this.#alive()) throw new XenbusFailure(ESRCH, 'the domain is gone');
  }

  /** Blocks until the operation is answered, or its time is up. */
  request({ cmd, segment = 0, bus = 0, devfn = 0, offset = 0, size = 0, value = 0, msix = [] }: PciRequest): PciAnswer {
    if (this.#flight !== undefined) this.#waitFor(this.#flight);
    if (!this.#open) return UNANSWERED;
    const flight: Flight = { answer: undefined };
    this.#flight = flight;
    this.page.writeOp({ cmd, err: 0, segment, bus, devfn, offset, size, value }, msix);
    this.page.set(PCI_FLAG.OP_ACTIVE);
    this.#notify();
    return this.#waitFor(flight);
  }

  /** Ends a flight: with its answer, or without when the time is up. */
  #waitFor(flight: Flight): PciAnswer {
    const { kernel, timeout, onTimeout } = this.#options;
    const over = (): boolean => flight.answer !== undefined || !this.#open || !this.#alive()
      || !this.page.has(PCI_FLAG.OP_ACTIVE);
    kernel.wait(over, timeout);
    this.#requireAlive();
    if (flight.answer !== undefined) return flight.answer;
    if (this.#flight === flight) this.#flight = undefined;
    if (!this.#open) {
      flight.answer = UNANSWERED;
    } else if (this.page.has(PCI_FLAG.OP_ACTIVE)) {
      this.page.clear(PCI_FLAG.OP_ACTIVE);
      flight.answer = UNANSWERED;
      onTimeout();
    } else {
      flight.answer = this.page.readOp();
      // its event may have been taken for the answer's
      this.#lookForAer();
    }
    return flight.answer;
  }

  #notify(): void {
    const { kernel } = this.#options;
    try {
      kernel.hypervisor.events.send(kernel.domid, this.port);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }

  #lookForAer(): void {
    if (!this.#open || this.#aerWaits || !this.page.has(PCI_FLAG.AER_ACTIVE)) return;
    this.#aerWaits = true;
    this.#options.kernel.schedule(() => {
      this.#aerWaits = false;
      if (!this.#open || !this.page.has(PCI_FLAG.AER_ACTIVE)) return;
      const result = this.#options.onAer(this.page.readAer());
      if (!this.#open) return;
      this.page.answerAer(result);
      this.page.clear(PCI_FLAG.AER_ACTIVE);
      this.#notify();
    });
  }

  /** The page is free again when the back end has let it go. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    const { kernel, grants, memory } = this.#options;
    kernel.offEvent(this.port);
    if (!this.#alive()) return;
    kernel.hypervisor.events.close(kernel.domid, this.port);
    grants.end(this.ref, () => memory.freePage(this.#pfn));
  }
}
