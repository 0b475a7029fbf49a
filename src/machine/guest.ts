import { Msi, Msix, Pci, PciBar, PciCap, PciCommand } from '../../assembly/spec/pci';
import { Evtchn } from '../../assembly/spec/xen';
import type { DriverTimer, Guest, Width } from '../drivers/guest';
import type { Engine } from '../engine/index';
import { PortcullisError } from '../errors';
import { type ConfigAccess, configByPorts, machinePorts } from '../pci/access';
import { type Domain, NO_FRAME, SHARED_INFO_PFN, guestPage } from '../xen/hypervisor/domain';
import { HypercallError } from '../xen/hypervisor/errors';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';

const PAGE = 4096;

/** Which pages of its memory a domain's drivers have been given. */
export interface GuestDocument {
  domid: number;
  next: number;
  taken: number[];
}

/** A domain as its drivers see it. */
export class DomainGuest implements Guest {
  readonly engine: Engine;
  readonly domain: Domain;
  readonly #hypervisor: Hypervisor;
  readonly #service: (ns: number) => void;
  readonly timers: DriverTimer[] = [];
  /** Pages handed out; the first is the shared page. */
  #next = SHARED_INFO_PFN + 1;
  readonly #taken = new Set<number>();

  constructor(hypervisor: Hypervisor, domain: Domain, service: (ns: number) => void, saved?: GuestDocument) {
    if (saved !== undefined) {
      this.#next = saved.next;
      for (const pfn of saved.taken) this.#taken.add(pfn);
    }
    this.engine = hypervisor.engine;
    this.domain = domain;
    this.#hypervisor = hypervisor;
    this.#service = service;
  }

  save(): GuestDocument {
    return { domid: this.domain.domid, next: this.#next, taken: [...this.#taken] };
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
    while (this.#taken.has(this.#next)) this.#next++;
    const first = this.#next;
    for (let pfn = first; pfn < first + count; pfn++) {
      if (pfn >= this.domain.p2m.length || this.#taken.has(pfn) || this.domain.p2m[pfn] === NO_FRAME) {
        throw new PortcullisError('GUEST_MEMORY', `domain ${this.domain.domid} has ${this.domain.p2m.length} pages, and no `
          + `${count} of them are free together; create it with more memory`, { domid: this.domain.domid, count });
      }
    }
    this.#next += count;
    return guestPage(this.domain, first) * PAGE;
  }

  allocPageBelow(mask: number): number {
    for (let pfn = this.domain.p2m.length - 1; pfn >= this.#next; pfn--) {
      if (this.#taken.has(pfn) || (this.domain.p2m[pfn] as number) * PAGE + PAGE - 1 > mask) continue;
      this.#taken.add(pfn);
      return guestPage(this.domain, pfn) * PAGE;
    }
    throw new PortcullisError('GUEST_MEMORY', `domain ${this.domain.domid} has no free page at or below machine address `
      + `0x${mask.toString(16)}`, { domid: this.domain.domid, mask });
  }

  /** Guest page number of each page is known: the domain's own P2M. */
  machineAddress(va: number): number {
    const page = Math.floor(va / PAGE);
    const pfn = this.domain.kind === 'native' ? page - (this.domain.p2m[0] as number) : page;
    const mfn = this.domain.p2m[pfn];
    if (mfn === undefined || mfn === NO_FRAME) {
      throw new PortcullisError('GUEST_MEMORY', `0x${va.toString(16)} is not memory of domain ${this.domain.domid}`, { va });
    }
    return mfn * PAGE + (va % PAGE);
  }

  ioremap(machineAddress: number, size: number): number {
    const first = Math.floor(machineAddress / PAGE);
    const pages = Math.ceil((machineAddress % PAGE + size) / PAGE);
    const page = this.domain.nextMapPage;
    for (let i = 0; i < pages; i++) {
      if (this.domain.kind === 'hvm') this.#hypervisor.memoryMapping(this.domain.domid, page + i, first + i, 1, true);
      else this.#hypervisor.updateVaMapping(this.domain.domid, page + i, first + i, true);
    }
    this.domain.nextMapPage += pages;
    return page * PAGE + (machineAddress % PAGE);
  }

  /**
   * Config space of a function that is assigned here. Reads go through; of writes, only the Command register's
   * decode, Bus Master and INTx bits do: BARs and capabilities are set by whoever owns the machine.
   */
  config(routing: number): ConfigAccess {
    if (!this.domain.assigned.has(routing)) {
      throw new HypercallError('ENODEV', `the device is not assigned to domain ${this.domain.domid}`, { routing });
    }
    const access = configByPorts(machinePorts(this.engine), routing);
    return {
      read: access.read,
      write: (off, width, value) => {
        if (off !== Pci.COMMAND || width === 1) return;
        const own = PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER | PciCommand.INTX_DISABLE;
        access.write(off, 2, (access.read(off, 2) & ~own) | (value & own));
      },
    };
  }

  enableMsi(routing: number): { vector: number; port: number } {
    const access = configByPorts(machinePorts(this.engine), routing);
    this.config(routing);
    const cap = findCapability(access, 0x05);
    if (cap === 0) throw new HypercallError('ENODEV', 'the device has no MSI capability', { routing });
    const binding = this.#hypervisor.bindMsi(this.domain.domid, routing);
    const control = access.read(cap + Msi.CONTROL, 2);
    const wide = (control & Msi.CONTROL_64BIT) !== 0;
    access.write(cap + Msi.ADDRESS, 4, binding.address);
    if (wide) access.write(cap + Msi.ADDRESS_HI, 4, 0);
    access.write(cap + (wide ? Msi.DATA_64 : Msi.DATA_32), 2, binding.data);
    access.write(cap + Msi.CONTROL, 2, control | Msi.CONTROL_ENABLE);
    return { vector: binding.vector, port: binding.port };
  }

  /** The machine's owner writes the table, in the order that Linux has: all masked, the entries, the mask off. */
  enableMsix(routing: number, vectors: number): Array<{ vector: number; port: number }> {
    const access = configByPorts(machinePorts(this.engine), routing);
    this.config(routing);
    const cap = findCapability(access, PciCap.MSIX);
    if (cap === 0) throw new HypercallError('ENODEV', 'the device has no MSI-X capability', { routing });
    const control = access.read(cap + Msix.CONTROL, 2);
    const size = (control & Msix.CONTROL_SIZE_MASK) + 1;
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > size) {
      throw new HypercallError('EINVAL', `${vectors} vectors; the device has ${size}`, { routing, vectors });
    }
    if ((access.read(Pci.COMMAND, 2) & PciCommand.MEMORY) === 0) {
      throw new HypercallError('EINVAL',
        'the device does not decode its memory, and its vector table lies there', { routing });
    }
    const table = access.read(cap + Msix.TABLE, 4);
    const bar = (access.read(Pci.BAR0 + 4 * (table & Msix.BIR_MASK), 4) & ~PciBar.MEMORY_FLAGS) >>> 0;
    const bindings = Array.from({ length: vectors }, () => this.#hypervisor.bindMsi(this.domain.domid, routing));
    access.write(cap + Msix.CONTROL, 2, control | Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK);
    bindings.forEach(({ address, data }, index) => {
      const entry = bar + (table & ~Msix.BIR_MASK) + index * Msix.ENTRY_SIZE;
      this.#ownerStore(entry + Msix.ENTRY_ADDRESS, address);
      this.#ownerStore(entry + Msix.ENTRY_ADDRESS_HI, 0);
      this.#ownerStore(entry + Msix.ENTRY_DATA, data);
      this.#ownerStore(entry + Msix.ENTRY_CONTROL, 0);
    });
    access.write(cap + Msix.CONTROL, 2, (control | Msix.CONTROL_ENABLE) & ~Msix.CONTROL_FUNCTION_MASK);
    return bindings.map(({ vector, port }) => ({ vector, port }));
  }

  /** A store to I/O memory by the first domain, which has the rights to all of it, through a mapping for this once. */
  #ownerStore(machineAddress: number, value: number): void {
    const { domid, slot, nextMapPage } = this.#hypervisor.domain(0);
    this.#hypervisor.updateVaMapping(domid, nextMapPage, Math.floor(machineAddress / PAGE), true);
    this.engine.exports.guestStore(slot, nextMapPage * PAGE + machineAddress % PAGE, 0, 4, value, 0);
    this.#hypervisor.unmapVa(domid, nextMapPage);
  }

  takeEvent(port: number): boolean {
    return this.engine.exports.eventTake(this.slot, port) === 1;
  }

  /** Binds the line that the function's INTx pin leads to; `endIntx` after each event, or it does not come again. */
  enableIntx(routing: number): { pirq: number; port: number } {
    const pirq = this.config(routing).read(Pci.INTERRUPT_LINE, 1);
    return { pirq, port: this.#hypervisor.events.bindPirq(this.domain.domid, pirq, Evtchn.WILL_SHARE) };
  }

  endIntx(pirq: number): void {
    this.#hypervisor.endInterrupt(this.domain.domid, pirq);
  }

  wait(ns = 0): void {
    this.#service(ns);
  }

  addTimer(timer: DriverTimer): void {
    this.timers.push(timer);
  }
}

/** Config offset of a capability, 0 when the function has none. Bounded: a list has at most 48 entries. */
export function findCapability(config: ConfigAccess, id: number): number {
  if ((config.read(Pci.STATUS, 2) & 0x10) === 0) return 0;
  let off = config.read(Pci.CAPABILITY_POINTER, 1) & ~3;
  for (let i = 0; i < 48 && off !== 0; i++) {
    if (config.read(off, 1) === id) return off;
    off = config.read(off + 1, 1) & ~3;
  }
  return 0;
}
