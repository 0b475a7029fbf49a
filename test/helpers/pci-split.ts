// A front end and a back end for PCI on a real machine, with made-up devices behind the stub, and a toolstack's writes.
import type { Machine } from '../../src/machine/machine';
import type { ConfigAccess } from '../../src/pci/access';
import { GrantRefs } from '../../src/xen/kernel/grant-refs';
import { Kernel } from '../../src/xen/kernel/kernel';
import type { Domain } from '../../src/xen/hypervisor/domain';
import { type PcibackKind, pcibackDriver, PcibackBackend } from '../../src/xen/pciback/backend';
import {
  ExportError, type OpResult, type SeizedDevice, type Stub, type Topology, type VirtualAddress,
} from '../../src/xen/pciback/types';
import { Pcifront, type PcifrontKind } from '../../src/xen/pcifront/pcifront';
import { Scheduler, type Time } from '../../src/xen/schedule/scheduler';
import { XenbusBus } from '../../src/xen/xenbus/bus';
import { XenstoreClient, type StoreAccess } from '../../src/xen/xenstore/client';
import { Xenstored } from '../../src/xen/xenstore/daemon';
import { xenDomains } from './xen-domains';

/** Time of a machine: devices and interrupts, nothing else. */
export function machineTime(machine: Machine): Time {
  const { engine, hypervisor } = machine;
  const nextDeadline = (): number => {
    const next = engine.exports.nextDeadline();
    return next < 0 ? Infinity : next;
  };
  return {
    now: () => engine.now,
    settle: () => {
      let moved = false;
      while (engine.service(engine.now, 1) === 1) moved = true;
      return hypervisor.deliverInterrupts().delivered > 0 || moved;
    },
    nextDeadline,
    advance: (to) => { engine.service(Math.max(to, engine.now), 0); },
  };
}

export interface FakeSpec {
  /** Bus and devfn. */
  routing: number;
  identity: number;
  classCode: number;
  /** Value and size mask by index; a missing one is none. 6 is the ROM. */
  bars: Record<number, { value: number; mask: number }>;
  /** Id and offset; a chain in this order. */
  capabilities?: Array<[id: number, offset: number]>;
  multi?: boolean;
  irq: number;
}

/** The e1000 and the edu of xen-observed.md: BARs fe640000/128K, d2c0/64, ROM 256K; edu with one MSI capability. */
export const E1000: FakeSpec = {
  routing: 0x20, identity: 0x100e8086, classCode: 0x020000, irq: 0x15,
  bars: {
    0: { value: 0xfe640000, mask: 0xfffe0000 }, 1: { value: 0xd2c1, mask: 0xffffffc1 },
    6: { value: 0xfe540000, mask: 0xfffc0000 },
  },
};
export const EDU: FakeSpec = {
  routing: 0x30, identity: 0x11e81234, classCode: 0x00ff00, irq: 0x16,
  bars: { 0: { value: 0xfe400000, mask: 0xfff00000 } }, capabilities: [[5, 0x40]],
};
export const RTL: FakeSpec = {
  routing: 0x38, identity: 0x813910ec, classCode: 0x020000, irq: 0x17,
  bars: { 0: { value: 0xd101, mask: 0xffffff01 }, 1: { value: 0xfe6ca000, mask: 0xffffff00 } },
};

/** Bytes as config space. */
function access(bytes: DataView): ConfigAccess {
  return {
    read: (off, width) => {
      if (width === 4) return bytes.getUint32(off, true);
      return width === 1 ? bytes.getUint8(off) : bytes.getUint16(off, true);
    },
    write: (off, width, value) => {
      if (width === 4) bytes.setUint32(off, value, true);
      else if (width === 2) bytes.setUint16(off, value, true);
      else bytes.setUint8(off, value);
    },
  };
}

/** A function with a header, as pciback would show it. Records what reaches it. */
export class FakeDevice implements SeizedDevice {
  readonly name: string;
  readonly routing: number;
  owner: number | undefined;
  readonly config = new DataView(new ArrayBuffer(4096));
  readonly ops: string[] = [];
  /** Called at each access, before it is done. */
  onAccess: (() => void) | undefined;
  onWrite: ((off: number, size: number, value: number) => OpResult) | undefined;
  msi: OpResult = { err: 0, value: 55 };
  msix: OpResult & { pirqs: readonly number[] } = { err: 0, value: 0, pirqs: [] };
  intxUpdates = 0;
  gaveBack = 0;
  readonly #bars = new Map<number, { value: number; mask: number }>();

  constructor({ routing, identity, classCode, bars, capabilities = [], multi = false, irq }: FakeSpec) {
    const hex = (value: number): string => value.toString(16).padStart(2, '0');
    this.routing = routing;
    this.name = `0000:${hex(routing >> 8)}:${hex((routing >> 3) & 31)}.${routing & 7}`;
    const set32 = (off: number, value: number): void => this.config.setUint32(off, value, true);
    set32(0, identity);
    set32(4, 0x0103 | (capabilities.length > 0 ? 0x00100000 : 0));
    set32(8, classCode * 256);
    this.config.setUint8(0x0e, multi ? 0x80 : 0);
    for (let index = 0; index < 6; index++) this.#bars.set(0x10 + 4 * index, bars[index] ?? { value: 0, mask: 0 });
    this.#bars.set(0x30, bars[6] ?? { value: 0, mask: 0 });
    for (const [off, { value }] of this.#bars) set32(off, value);
    capabilities.forEach(([id, off], index) => {
      if (index === 0) this.config.setUint8(0x34, off);
      this.config.setUint8(off, id);
      this.config.setUint8(off + 1, capabilities[index + 1]?.[1] ?? 0);
    });
    this.config.setUint8(0x3c, irq);
    this.config.setUint8(0x3d, 1);
  }

  #valid(off: number, size: number): boolean {
    return [1, 2, 4].includes(size) && off >= 0 && off % size === 0 && off + size <= 4096;
  }

  configRead(off: number, size: number): OpResult {
    this.onAccess?.();
    this.ops.push(`r ${off.toString(16)}/${size}`);
    if (!this.#valid(off, size)) return { err: -2, value: 0 };
    return { err: 0, value: access(this.config).read(off, size as 1 | 2 | 4) };
  }

  configWrite(off: number, size: number, value: number): OpResult {
    this.onAccess?.();
    this.ops.push(`w ${off.toString(16)}/${size} ${(value >>> 0).toString(16)}`);
    if (!this.#valid(off, size)) return { err: -2, value: 0 };
    if (this.onWrite) return this.onWrite(off, size, value);
    const bar = this.#bars.get(off);
    const ones = off === 0x30 ? 0xfffff800 : 0xffffffff;
    if (bar !== undefined) this.config.setUint32(off, value >>> 0 === ones ? bar.mask : bar.value, true);
    else if (off === 4) this.config.setUint16(4, value, true);
    return { err: 0, value: 0 };
  }

  enableMsi(): OpResult {
    this.ops.push('enable msi');
    return this.msi;
  }

  disableMsi(): OpResult {
    this.ops.push('disable msi');
    return { err: 0, value: 21 };
  }

  enableMsix(entries: readonly number[]): OpResult & { pirqs: readonly number[] } {
    this.ops.push(`enable msix ${entries.join(',')}`);
    return this.msix;
  }

  disableMsix(): OpResult {
    this.ops.push('disable msix');
    return { err: 0, value: 21 };
  }

  updateIntx(): void {
    this.intxUpdates++;
  }
}

/** vpci, as far as single functions and functions of one slot go. */
class FakeTopology implements Topology {
  readonly #slots = new Map<number, SeizedDevice>();

  add(device: SeizedDevice): VirtualAddress {
    const fn = device.routing & 7;
    for (let slot = 0; slot < 32; slot++) {
      const there = [...this.#slots].filter(([devfn]) => devfn >> 3 === slot).map(([, one]) => one);
      const joins = there.length > 0 && there.every((one) => one.routing >> 3 === device.routing >> 3);
      if (there.length > 0 && !joins) continue;
      this.#slots.set(slot << 3 | fn, device);
      return { segment: 0, bus: 0, devfn: slot << 3 | fn };
    }
    throw new ExportError(12, 'No more space on root virtual PCI bus');
  }

  remove(device: SeizedDevice): void {
    for (const [devfn, one] of this.#slots) if (one === device) this.#slots.delete(devfn);
  }

  find(segment: number, bus: number, devfn: number): SeizedDevice | undefined {
    return segment === 0 && bus === 0 ? this.#slots.get(devfn) : undefined;
  }

  addressOf(device: SeizedDevice): VirtualAddress | undefined {
    const found = [...this.#slots].find(([, one]) => one === device);
    return found && { segment: 0, bus: 0, devfn: found[0] };
  }

  roots(): Array<{ segment: number; bus: number }> {
    return [{ segment: 0, bus: 0 }];
  }

  devices(): SeizedDevice[] {
    return [...this.#slots.values()];
  }
}

/** The guest sees host addresses: module parameter passthrough=1. */
class HostTopology implements Topology {
  readonly #devices: SeizedDevice[] = [];

  add(device: SeizedDevice): VirtualAddress {
    this.#devices.push(device);
    return { segment: 0, bus: device.routing >> 8, devfn: device.routing & 0xff };
  }

  remove(device: SeizedDevice): void {
    this.#devices.splice(this.#devices.indexOf(device), 1);
  }

  find(segment: number, bus: number, devfn: number): SeizedDevice | undefined {
    return segment === 0 ? this.#devices.find(({ routing }) => routing === bus * 256 + devfn) : undefined;
  }

  addressOf(device: SeizedDevice): VirtualAddress | undefined {
    return this.#devices.includes(device) ? { segment: 0, bus: device.routing >> 8, devfn: device.routing & 0xff } : undefined;
  }

  roots(): Array<{ segment: number; bus: number }> {
    return [...new Set(this.#devices.map(({ routing }) => routing >> 8))].map((bus) => ({ segment: 0, bus }));
  }

  devices(): SeizedDevice[] {
    return [...this.#devices];
  }
}

export class FakeStub implements Stub {
  readonly seized: FakeDevice[];
  onTaken: ((device: SeizedDevice) => void) | undefined;
  readonly #host: boolean;

  constructor(specs: readonly FakeSpec[], host = false) {
    this.seized = specs.map((spec) => new FakeDevice(spec));
    this.#host = host;
  }

  take(routing: number, domid: number): FakeDevice | undefined {
    const device = this.seized.find((one) => one.routing === routing && one.owner === undefined);
    if (device !== undefined) device.owner = domid;
    return device;
  }

  give(device: SeizedDevice): void {
    const one = device as FakeDevice;
    if (one.owner === undefined) throw new Error(`${one.name} was given back twice`);
    one.owner = undefined;
    one.gaveBack++;
  }

  topology(): Topology {
    return this.#host ? new HostTopology() : new FakeTopology();
  }
}

export interface SplitOptions {
  back?: PcibackKind;
  front?: PcifrontKind;
  devices?: readonly FakeSpec[];
  hostAddresses?: boolean;
  /** In place of the made-up one, which then has nothing to do. */
  stub?: Stub;
}

export class PciSplit {
  readonly machine: Machine;
  readonly domain: Domain;
  readonly store = new Xenstored();
  readonly scheduler: Scheduler;
  readonly dom0: Kernel;
  readonly stub: FakeStub;
  readonly backBus: XenbusBus;
  readonly backend: PcibackBackend | undefined;
  readonly tool: XenstoreClient;
  readonly #front: PcifrontKind;
  domU!: Kernel;
  frontBus!: XenbusBus;
  pcifront: Pcifront | undefined;
  grants!: GrantRefs;
  /** `path=value` in the order of events, below the two directories, which are B and F. */
  readonly trace: string[] = [];
  readonly pages: number[] = [];
  #nextPage = 16;

  private constructor(machine: Machine, domain: Domain, options: SplitOptions) {
    const { back = 'linux', front = 'linux', devices = [E1000, EDU, RTL], hostAddresses = false, stub } = options;
    this.machine = machine;
    this.domain = domain;
    this.#front = front;
    this.scheduler = new Scheduler(machineTime(machine));
    const { hypervisor } = machine;
    this.dom0 = new Kernel(machine.dom0, { hypervisor, scheduler: this.scheduler, store: this.store });
    this.stub = new FakeStub(devices, hostAddresses);
    this.backBus = new XenbusBus(this.dom0, 'back');
    const config = (routing: number): ConfigAccess =>
      access((this.stub.seized.find((one) => one.routing === routing) as FakeDevice).config);
    const driver = pcibackDriver(back, { kernel: this.dom0, stub: stub ?? this.stub, config });
    if (driver !== undefined) this.backBus.register(driver);
    this.backend = driver instanceof PcibackBackend ? driver : undefined;
    this.tool = new XenstoreClient(this.store);
    this.prepareHome();
  }

  static async create(options: SplitOptions = {}): Promise<PciSplit> {
    const { machine, a } = await xenDomains();
    return new PciSplit(machine, a, options);
  }

  /** With a new domain on a machine that is there. */
  static on(machine: Machine, options: SplitOptions = {}): PciSplit {
    return new PciSplit(machine, machine.createDomain({ name: 'a', memory: '256KiB' }), options);
  }

  get domid(): number {
    return this.domain.domid;
  }

  get back(): string {
    return `/local/domain/0/backend/pci/${this.domid}/0`;
  }

  get front(): string {
    return `/local/domain/${this.domid}/device/pci/0`;
  }

  /** What every domain has in the store before it has devices. */
  prepareHome(): void {
    const home = `/local/domain/${this.domid}`;
    this.tool.mkdir(home);
    this.tool.setPermissions(home, 'n0', `r${this.domid}`);
    for (const name of ['device', 'error']) {
      this.tool.mkdir(`${home}/${name}`);
      this.tool.setPermissions(`${home}/${name}`, name === 'error' ? `n${this.domid}` : 'n0', `r${this.domid}`);
    }
  }

  /** The guest's kernel starts. */
  boot(): void {
    const { hypervisor } = this.machine;
    this.domU = new Kernel(this.domain, { hypervisor, scheduler: this.scheduler, store: this.store });
    this.frontBus = new XenbusBus(this.domU, 'front');
    this.grants = new GrantRefs(this.domU);
    const memory = {
      allocPage: () => {
        const pfn = this.#nextPage++;
        this.pages.push(pfn);
        return pfn;
      },
      freePage: (pfn: number) => {
        if (!this.pages.includes(pfn)) throw new Error(`page ${pfn} was freed twice`);
        this.pages.splice(this.pages.indexOf(pfn), 1);
      },
    };
    this.pcifront = Pcifront.create({ kernel: this.domU, grants: this.grants, memory, kind: this.#front });
    if (this.pcifront !== undefined) this.frontBus.register(this.pcifront);
  }

  /** Records every change below the two directories from now on. */
  record(): void {
    const watcher = new XenstoreClient(this.store);
    watcher.onEvent = ({ path }) => {
      const value = watcher.readIfThere(path);
      const short = path.replace(this.back, 'B').replace(this.front, 'F');
      this.trace.push(`${short}${value === undefined ? ' gone' : value === '' ? '' : `=${value}`}`);
    };
    watcher.watch(this.back, 'b');
    watcher.watch(this.front, 'f');
    this.trace.length = 0;
  }

  /** States alone, as the sheet writes them: `B1 F1 B2`. */
  get states(): string {
    return this.trace.filter((line) => /^[BF]\/state=/.test(line)).map((line) => line.replace('/state=', '')).join(' ');
  }

  /** A device as libxl lists it. */
  entry(store: StoreAccess, index: number, name: string): void {
    store.write(`${this.back}/key-${index}`, name);
    store.write(`${this.back}/dev-${index}`, name);
    store.write(`${this.back}/opts-${index}`, 'msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict');
    store.write(`${this.back}/state-${index}`, '1');
    store.write(`${this.back}/num_devs`, String(index + 1));
  }

  /** The first device: both directories. */
  addFirst(name: string): void {
    this.tool.transaction((store) => {
      store.mkdir(this.back);
      store.setPermissions(this.back, 'n0', `r${this.domid}`);
      store.write(`${this.back}/frontend`, this.front);
      store.write(`${this.back}/frontend-id`, String(this.domid));
      store.write(`${this.back}/online`, '1');
      store.write(`${this.back}/state`, '1');
      store.write(`${this.back}/domain`, 'guest');
      const parent = this.front.slice(0, this.front.lastIndexOf('/'));
      store.mkdir(parent);
      store.setPermissions(parent, 'n0', `r${this.domid}`);
      store.mkdir(this.front);
      store.setPermissions(this.front, `n${this.domid}`, 'r0');
      store.write(`${this.front}/backend`, this.back);
      store.write(`${this.front}/backend-id`, '0');
      store.write(`${this.front}/state`, '1');
      this.entry(store, 0, name);
    });
  }

  addBeforeStart(index: number, name: string): void {
    this.tool.transaction((store) => this.entry(store, index, name));
  }

  plug(index: number, name: string): void {
    this.tool.transaction((store) => {
      this.entry(store, index, name);
      store.write(`${this.back}/state`, '7');
    });
  }

  unplug(index: number): void {
    this.tool.transaction((store) => {
      store.write(`${this.back}/state-${index}`, '5');
      store.write(`${this.back}/state`, '7');
    });
  }

  /** The toolstack's end of everything: directories and all. */
  removeDirectories(): void {
    this.tool.transaction((store) => {
      store.rm(this.front);
      store.rm(this.back);
    });
  }

  /** With the observed two devices, up to state 4 at both ends. */
  connect(): void {
    this.record();
    this.addFirst('0000:00:04.0');
    this.scheduler.settle();
    this.addBeforeStart(1, '0000:00:06.0');
    this.scheduler.settle();
    this.boot();
    this.scheduler.settle();
  }

  read(path: string): string | undefined {
    return this.tool.readIfThere(path);
  }

  state(end: 'B' | 'F'): string {
    return this.read(`${end === 'B' ? this.back : this.front}/state`) ?? '0';
  }

  /** What the domain's end brings: kernel, store, frames. */
  destroy(): void {
    this.domU?.stop();
    this.store.release(this.domid);
    this.machine.hypervisor.destroyDomain(this.domid);
  }
}
