/** The calls of a user's module, by the names that travel, each with its checks. `guest-api.ts` says what they do. */

import { Pci } from '../../assembly/spec/pci';
import { Evtchn } from '../../assembly/spec/xen';
import { PortcullisError } from '../errors';
import type { GrantRefs } from '../xen/kernel/grant-refs';
import { GrantMapping } from '../xen/kernel/grant-mapping';
import type { Kernel } from '../xen/kernel/kernel';
import type { Pcifront } from '../xen/pcifront/pcifront';
import type { DomainGuest } from './guest';

export interface CallParts {
  readonly kernel: Kernel;
  readonly guest: DomainGuest;
  readonly grants: GrantRefs;
  readonly front: Pcifront | undefined;
}

export type Call = (args: readonly unknown[]) => unknown;

const PAGE = 4096;
const GIB_TIB = 2 ** 40;
const BULK_MAX = 4096;
const PAGES_MAX = 512;
const IOREMAP_MAX = 16 << 20;
const TEXT_MAX = 4096;
/** Paths whose watch has fired and that were not taken; more of them are lost, as the module does not look. */
const FIRED_MAX = 1024;

function bad(what: string): PortcullisError {
  return new PortcullisError('BAD_CALL', what);
}

export function whole(value: unknown, low: number, high: number, what: string): number {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return value as number;
  throw bad(`${what} must be a whole number from ${low} to ${high}`);
}

function width(value: unknown): 1 | 2 | 4 {
  if (value === 1 || value === 2 || value === 4) return value;
  throw bad('the width must be 1, 2 or 4');
}

function text(value: unknown, what: string): string {
  if (typeof value === 'string' && value.length <= TEXT_MAX && !value.includes('\0')) return value;
  throw bad(`${what} must be a string of at most ${TEXT_MAX} characters, none of them NUL`);
}

const address = (value: unknown): number => whole(value, 0, GIB_TIB - 1, 'the address');
const dword = (value: unknown): number => whole(value, -0x80000000, 0xffffffff, 'the value') >>> 0;
const domain = (value: unknown): number => whole(value, 0, 0x7ff0, 'the domain');
export const portOf = (value: unknown): number => whole(value, 1, Evtchn.PORTS - 1, 'the port');
const function_ = (value: unknown): number => whole(value, 0, 0xffff, 'the function');

export class ModuleCalls {
  readonly table: ReadonlyMap<string, Call>;
  /** Ports whose event has come and was not taken, and paths whose watch has fired. */
  readonly pending = new Set<number>();
  readonly fired = new Set<string>();
  readonly #parts: CallParts;
  /** What the module may give back: pages that it was given, and mappings. */
  readonly #pages = new Set<number>();
  readonly #mapped = new Map<number, number>();
  readonly #grants = new Map<number, GrantMapping>();
  readonly #given = new Set<number>();
  readonly #watches = new Map<string, () => void>();
  readonly #transactions = new Set<number>();

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.table = new Map(Object.entries({ ...this.#memory(), ...this.#xenstore(), ...this.#channels(), ...this.#pci() }));
  }

  /** From here on an event at the port shows in `pending`. */
  listen(port: number): void {
    this.#parts.kernel.onEvent(port, () => { this.pending.add(port); });
  }

  #memory(): Record<string, Call> {
    const { kernel, guest } = this.#parts;
    const { exports } = guest.engine;
    const high = (va: number): number => Math.floor(va / 2 ** 32);
    const load = (va: number, size: 1 | 2 | 4): number => exports.guestLoad(guest.slot, va >>> 0, high(va), size) >>> 0;
    const store = (va: number, size: 1 | 2 | 4, value: number): void =>
      exports.guestStore(guest.slot, va >>> 0, high(va), size, value, 0);
    const keep = (va: number, count: number): number => {
      for (let i = 0; i < count; i++) this.#pages.add(va + i * PAGE);
      return va;
    };
    return {
      log: ([line]) => {
        if (typeof line !== 'string') throw bad('a line must be a string');
        kernel.print(line.slice(0, TEXT_MAX));
      },
      now: () => kernel.scheduler.now,
      load: ([va, size]) => load(address(va), width(size)),
      store: ([va, size, value]) => store(address(va), width(size), dword(value)),
      read: ([va, count]) => {
        const from = address(va);
        return Array.from({ length: whole(count, 0, BULK_MAX, 'the number of bytes') }, (_, i) => load(from + i, 1) & 0xff);
      },
      write: ([va, bytes]) => {
        const to = address(va);
        if (!Array.isArray(bytes) || bytes.length > BULK_MAX) throw bad(`at most ${BULK_MAX} bytes are written at once`);
        const values = bytes.map((byte) => whole(byte, 0, 255, 'a byte'));
        values.forEach((byte, i) => store(to + i, 1, byte));
      },
      in: ([port, size]) => exports.guestIn(guest.slot, whole(port, 0, 0xffff, 'the port'), width(size)) >>> 0,
      out: ([port, size, value]) => exports.guestOut(guest.slot, whole(port, 0, 0xffff, 'the port'), width(size), dword(value)),
      allocPages: ([count]) => {
        const pages = whole(count, 1, PAGES_MAX, 'the number of pages');
        return keep(guest.allocPages(pages), pages);
      },
      allocPageBelow: ([mask]) => keep(guest.allocPageBelow(address(mask)), 1),
      freePage: ([va]) => {
        if (!this.#pages.delete(address(va))) throw bad('no page that was allocated begins there');
        guest.freePages(va as number, 1);
      },
      machineAddress: ([va]) => guest.machineAddress(address(va)),
      ioremap: ([at, size]) => {
        const bytes = whole(size, 1, IOREMAP_MAX, 'the size');
        const va = guest.ioremap(address(at), bytes);
        this.#mapped.set(va, bytes);
        return va;
      },
      iounmap: ([va]) => {
        const size = this.#mapped.get(address(va));
        if (size === undefined) throw bad('no mapping of I/O memory begins there');
        this.#mapped.delete(va as number);
        guest.iounmap(va as number, size);
      },
    };
  }

  #xenstore(): Record<string, Call> {
    const { kernel } = this.#parts;
    /** Each call has the transaction first, 0 for none. */
    const inside = (id: unknown): typeof kernel.store | ReturnType<typeof kernel.store.within> => {
      if (id === 0) return kernel.store;
      if (!this.#transactions.has(id as number)) throw bad('there is no such transaction');
      return kernel.store.within(id as number);
    };
    return {
      'xenstore.read': ([id, path]) => inside(id).read(text(path, 'the path')),
      'xenstore.write': ([id, path, value]) => inside(id).write(text(path, 'the path'), text(value, 'the value')),
      'xenstore.mkdir': ([id, path]) => inside(id).mkdir(text(path, 'the path')),
      'xenstore.remove': ([id, path]) => inside(id).rm(text(path, 'the path')),
      'xenstore.list': ([id, path]) => inside(id).directory(text(path, 'the path')),
      'xenstore.begin': () => {
        const id = kernel.store.begin();
        this.#transactions.add(id);
        return id;
      },
      'xenstore.end': ([id, commit]) => {
        if (!this.#transactions.delete(id as number)) throw bad('there is no such transaction');
        kernel.store.end(id as number, commit === true);
      },
      'xenstore.watch': ([path]) => {
        const on = text(path, 'the path');
        if (this.#watches.has(on)) throw bad('there is a watch on this path already');
        this.#watches.set(on, kernel.watch(on, (changed) => { if (this.fired.size < FIRED_MAX) this.fired.add(changed); }));
      },
      'xenstore.unwatch': ([path]) => {
        const end = this.#watches.get(text(path, 'the path'));
        if (end === undefined) throw bad('there is no watch on this path');
        this.#watches.delete(path as string);
        end();
      },
    };
  }

  #channels(): Record<string, Call> {
    const { kernel, grants } = this.#parts;
    const { hypervisor, domid } = kernel;
    const listened = (port: number): number => {
      this.listen(port);
      return port;
    };
    return {
      'events.allocUnbound': ([remote]) => listened(hypervisor.events.allocUnbound(domid, { remoteDom: domain(remote) })),
      'events.bind': ([remote, port]) => listened(hypervisor.events.bindInterdomain(domid, domain(remote), portOf(port))),
      'events.send': ([port]) => hypervisor.events.send(domid, portOf(port)),
      'events.close': ([port]) => {
        hypervisor.events.close(domid, portOf(port));
        kernel.offEvent(port as number);
        this.pending.delete(port as number);
      },
      'grants.grant': ([va, remote]) => {
        const at = address(va);
        if (!this.#pages.has(at)) throw bad('no page that was allocated begins there');
        const ref = grants.grant(at / PAGE, domain(remote));
        this.#given.add(ref);
        return ref;
      },
      'grants.end': ([ref]) => {
        if (!this.#given.delete(ref as number)) throw bad('no such reference was given');
        grants.end(ref as number, () => undefined);
      },
      'grants.map': ([remote, ref]) => {
        const mapping = GrantMapping.map(kernel, domain(remote), whole(ref, 0, 0xffffffff, 'the reference'));
        if (typeof mapping === 'string') throw new PortcullisError('GRANT', `the grant cannot be mapped: ${mapping}`, { status: mapping });
        this.#grants.set(mapping.va, mapping);
        return mapping.va;
      },
      'grants.unmap': ([va]) => {
        const mapping = this.#grants.get(va as number);
        if (mapping === undefined) throw bad('no page of another domain is mapped there');
        this.#grants.delete(va as number);
        mapping.unmap();
      },
    };
  }

  #pci(): Record<string, Call> {
    const { guest, front } = this.#parts;
    const listened = ({ port }: { port: number }): number => {
      this.listen(port);
      return port;
    };
    const isThere = (routing: unknown): number => {
      const found = front?.devices.find((one) => one.routing === function_(routing));
      if (found === undefined) throw new PortcullisError('ENODEV', 'the domain has no such function');
      return found.routing;
    };
    const register = (off: unknown): number => whole(off, 0, Pci.EXTENDED_CONFIG_SIZE - 1, 'the register');
    return {
      'pci.devices': () => (front?.devices ?? []).map(({ routing, name, vendor, device, resources }) => ({
        routing, name, vendor, device,
        resources: resources.map(({ start, end }) => ({ start, size: end === 0 ? 0 : end - start + 1 })),
      })),
      'pci.read': ([routing, off, size]) => guest.config(isThere(routing)).read(register(off), width(size)),
      'pci.write': ([routing, off, size, value]) => guest.config(isThere(routing)).write(register(off), width(size), dword(value)),
      'pci.enableMsi': ([routing]) => listened(guest.enableMsi(isThere(routing))),
      'pci.enableMsix': ([routing, vectors]) =>
        guest.enableMsix(isThere(routing), whole(vectors, 1, 128, 'the number of vectors')).map(listened),
      'pci.disableMessages': ([routing]) => guest.disableInterrupts(isThere(routing)),
      'pci.enableIntx': ([routing]) => {
        const line = guest.enableIntx(isThere(routing));
        this.listen(line.port);
        return line;
      },
      'pci.endIntx': ([pirq]) => guest.endIntx(whole(pirq, 0, 0xffff, 'the interrupt')),
    };
  }
}
