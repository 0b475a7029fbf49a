import { Evtchn } from '../../assembly/spec/xen';
import type { DriverTimer, Guest, Width } from '../drivers/guest';
import type { Engine } from '../engine/index';
import { PortcullisError } from '../errors';
import type { ConfigAccess } from '../pci/access';
import { type Domain, NO_FRAME, SHARED_INFO_PFN, guestPage } from '../xen/hypervisor/domain';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import type { GuestPci } from './direct-pci';

const PAGE = 4096;

/** Which pages of its memory a domain's drivers have been given. */
export interface GuestDocument {
  domid: number;
  next: number;
  taken: number[];
  /** Single pages that came back. */
  free: number[];
  /** Runs of guest pages where I/O memory is mapped no more. */
  unmapped: Array<{ page: number; pages: number }>;
}

export interface GuestParts {
  readonly pci: GuestPci;
  /** Lets everyone go on while so many nanoseconds pass. */
  wait(ns: number): void;
  /** Pages at the top of its memory that are not to be handed out (default 0). */
  shared?: number;
}

/** A domain as its drivers see it. */
export class DomainGuest implements Guest {
  readonly engine: Engine;
  readonly domain: Domain;
  readonly #hypervisor: Hypervisor;
  /** Lets everyone go on while so many nanoseconds pass. */
  pass: (ns: number) => void;
  /** How config space and messages of its devices are reached. */
  pci: GuestPci;
  /** Highest page that is handed out, plus one: those above are shared with the first domain. */
  readonly #end: number;
  readonly timers: DriverTimer[] = [];
  /** Pages handed out; the first is the shared page. */
  #next = SHARED_INFO_PFN + 1;
  readonly #taken = new Set<number>();
  /** Single pages that came back. */
  readonly #free: number[];
  /** Runs of guest pages that I/O memory was mapped at, and is no more; ascending, the lowest is taken first. */
  #unmapped: Array<{ page: number; pages: number }>;

  constructor(hypervisor: Hypervisor, domain: Domain, { pci, wait, shared = 0 }: GuestParts, saved?: GuestDocument) {
    if (saved !== undefined) {
      this.#next = saved.next;
      for (const pfn of saved.taken) this.#taken.add(pfn);
    }
    this.#free = [...saved?.free ?? []];
    this.#unmapped = (saved?.unmapped ?? []).map((run) => ({ ...run }));
    this.engine = hypervisor.engine;
    this.domain = domain;
    this.#hypervisor = hypervisor;
    this.pci = pci;
    this.pass = wait;
    this.#end = domain.p2m.length - shared;
  }

  save(): GuestDocument {
    return {
      domid: this.domain.domid, next: this.#next, taken: [...this.#taken], free: [...this.#free],
      unmapped: this.#unmapped.map((run) => ({ ...run })),
    };
  }

  get slot(): number {
    return this.domain.slot;
  }

  load(va: number, width: Width): number {
    return this.engine.exports.guestLoad(this.slot, va, 0, width) >>> 0;
  }

  store(va: number, width: Width, value: number): void {
    this.engine.exports.guestStore(this.slot, va, 0, width, value, 0);
  }

  allocPages(count: number): number {
    const again = count === 1 ? this.#free.pop() : undefined;
    if (again !== undefined) return guestPage(this.domain, again) * PAGE;
    while (this.#taken.has(this.#next)) this.#next++;
    const first = this.#next;
    for (let pfn = first; pfn < first + count; pfn++) {
      if (pfn >= this.#end || this.#taken.has(pfn) || this.domain.p2m[pfn] === NO_FRAME) {
        throw new PortcullisError('GUEST_MEMORY', `domain ${this.domain.domid} has ${this.domain.p2m.length} pages, and no `
          + `${count} of them are free together; create it with more memory`, { domid: this.domain.domid, count });
      }
    }
    this.#next += count;
    return guestPage(this.domain, first) * PAGE;
  }

  freePages(va: number, count: number): void {
    const first = this.#pfnOf(va);
    for (let pfn = first; pfn < first + count; pfn++) {
      // one that was taken from the top may be taken from there again
      if (!this.#taken.delete(pfn)) this.#free.push(pfn);
    }
  }

  allocPageBelow(mask: number): number {
    for (let pfn = this.#end - 1; pfn >= this.#next; pfn--) {
      if (this.#taken.has(pfn) || (this.domain.p2m[pfn] as number) * PAGE + PAGE - 1 > mask) continue;
      this.#taken.add(pfn);
      return guestPage(this.domain, pfn) * PAGE;
    }
    throw new PortcullisError('GUEST_MEMORY', `domain ${this.domain.domid} has no free page at or below machine address `
      + `0x${mask.toString(16)}`, { domid: this.domain.domid, mask });
  }

  #pfnOf(va: number): number {
    const page = Math.floor(va / PAGE);
    return this.domain.kind === 'native' ? page - (this.domain.p2m[0] as number) : page;
  }

  allocContiguous(count: number, mask: number): number | undefined {
    const { domain } = this;
    const before = this.#next;
    const pages = 2 ** Math.ceil(Math.log2(count));
    let va: number;
    try {
      va = this.allocPages(domain.kind === 'pv' ? pages : count);
    } catch (error) {
      if (!(error instanceof PortcullisError) || error.code !== 'GUEST_MEMORY') throw error;
      this.#next = before;
      return undefined;
    }
    const address = (i: number): number => this.machineAddress(va + i * PAGE);
    const together = (): boolean => address(count - 1) + PAGE - 1 <= mask
      && Array.from({ length: count }, (_, i) => address(i) === address(0) + i * PAGE).every(Boolean);
    if (together()) return va;
    if (domain.kind === 'pv') {
      const frames = Array.from({ length: pages }, (_, i) => address(i) / PAGE);
      const { error } = this.#hypervisor.exchange(domain.domid, {
        frames, order: 0, pages: [va / PAGE], newOrder: Math.log2(pages), addressBits: Math.floor(Math.log2(mask + 1)),
      });
      if (error === undefined) return va;
    }
    this.#next = before;
    return undefined;
  }

  /** Guest page number of each page is known: the domain's own P2M. */
  machineAddress(va: number): number {
    const mfn = this.domain.p2m[this.#pfnOf(va)];
    if (mfn === undefined || mfn === NO_FRAME) {
      throw new PortcullisError('GUEST_MEMORY', `0x${va.toString(16)} is not memory of domain ${this.domain.domid}`, { va });
    }
    return mfn * PAGE + (va % PAGE);
  }

  ioremap(machineAddress: number, size: number): number {
    const first = Math.floor(machineAddress / PAGE);
    const pages = Math.ceil((machineAddress % PAGE + size) / PAGE);
    const again = this.#unmapped.find((run) => run.pages === pages);
    const page = again?.page ?? this.domain.nextMapPage;
    for (let i = 0; i < pages; i++) {
      if (this.domain.kind === 'hvm') this.#hypervisor.memoryMapping(this.domain.domid, page + i, first + i, 1, true);
      else this.#hypervisor.updateVaMapping(this.domain.domid, page + i, first + i, true);
    }
    if (again === undefined) this.domain.nextMapPage += pages;
    else this.#unmapped = this.#unmapped.filter((run) => run !== again);
    return page * PAGE + (machineAddress % PAGE);
  }

  iounmap(va: number, size: number): void {
    if (!this.isThere) return;
    const page = Math.floor(va / PAGE);
    const pages = Math.ceil((va % PAGE + size) / PAGE);
    for (let i = 0; i < pages; i++) this.#hypervisor.unmapVa(this.domain.domid, page + i);
    this.#unmapped.push({ page, pages });
    this.#unmapped.sort((a, b) => a.page - b.page);
  }

  config(routing: number): ConfigAccess {
    return this.pci.config(routing);
  }

  enableMsi(routing: number): { vector: number; port: number } {
    return this.pci.enableMsi(routing);
  }

  enableMsix(routing: number, vectors: number): Array<{ vector: number; port: number }> {
    return this.pci.enableMsix(routing, vectors);
  }

  takeEvent(port: number): boolean {
    return this.engine.exports.eventTake(this.slot, port) === 1;
  }

  /** Binds the line that the function's INTx pin leads to; `endIntx` after each event, or it does not come again. */
  enableIntx(routing: number): { pirq: number; port: number } {
    const pirq = this.pci.line(routing);
    return { pirq, port: this.#hypervisor.events.bindPirq(this.domain.domid, pirq, Evtchn.WILL_SHARE) };
  }

  endIntx(pirq: number): void {
    this.#hypervisor.endInterrupt(this.domain.domid, pirq);
  }

  disableInterrupts(routing: number): void {
    this.pci.disableInterrupts(routing);
  }

  /** Whether the domain exists. */
  get isThere(): boolean {
    return this.#hypervisor.domains.includes(this.domain);
  }

  /** Throws DOMAIN_GONE when the domain has been destroyed meanwhile: its slot may be another's by then. */
  wait(ns = 0): void {
    this.pass(ns);
    if (this.isThere) return;
    throw new PortcullisError('DOMAIN_GONE', `domain ${this.domain.domid} is gone`, { domid: this.domain.domid });
  }

  addTimer(timer: DriverTimer): void {
    this.timers.push(timer);
  }
}
