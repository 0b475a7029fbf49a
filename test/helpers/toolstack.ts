// xl on a small machine: the real hypervisor, store and scheduler; sysfs, pciback and pcifront as the sheets describe
// them, no larger than the toolstack needs them to be.
import { Machine } from '../../src/machine/machine';
import { bdfOf, formatBdf, parseBdf, routingId } from '../../src/pci/bdf';
import { KernelError } from '../../src/xen/dom0/errors';
import type { KernelErrno, Sysfs } from '../../src/xen/dom0/types';
import type { Domain } from '../../src/xen/hypervisor/domain';
import { Kernel } from '../../src/xen/kernel/kernel';
import { Scheduler } from '../../src/xen/schedule/scheduler';
import type { DomainProgram, Programs, ToolstackParts, XlResult } from '../../src/xen/toolstack/types';
import { Xl } from '../../src/xen/toolstack/xl';
import { XenstoreClient } from '../../src/xen/xenstore/client';
import { Xenstored } from '../../src/xen/xenstore/daemon';
import { dumpStore } from '../../src/xen/xenstore/dump';

const routingOf = (name: string): number => routingId(parseBdf(name));

const PCIBACK = '/sys/bus/pci/drivers/pciback';
const DEVICES = '/sys/bus/pci/devices';

interface FakeDevice {
  driver: string | undefined;
  readonly resource: string;
  readonly irq: number;
  readonly reset: boolean;
  /** The front end's domain. */
  user: number | undefined;
  permissive: boolean;
  resets: number;
}

/** `first-last flags`, hexadecimal, of those that are there; the rest of the 13 lines is empty. */
function resourceFile(...lines: string[]): string {
  const none = '0x0000000000000000 0x0000000000000000 0x0000000000000000';
  return Array.from({ length: 13 }, (_, i) => {
    const [, start = '', end = '', flags = ''] = /^(\w+)-(\w+) (\w+)$/.exec(lines[i] ?? '') ?? [];
    return start === '' ? none : [start, end, flags].map((one) => `0x${one.padStart(16, '0')}`).join(' ');
  }).join('\n') + '\n';
}

/** The observed machine's: an e1000 with ports and a ROM, two that share a page and a line, one behind a root port. */
function observedDevices(): Map<string, FakeDevice> {
  const device = (driver: string | undefined, irq: number, resource: string, reset = true): FakeDevice =>
    ({ driver, irq, resource, reset, user: undefined, permissive: false, resets: 0 });
  return new Map([
    ['0000:00:04.0', device('e1000', 20, resourceFile('fe640000-fe65ffff 40200', 'd2c0-d2ff 40101', '', '', '', '', 'fe500000-fe53ffff 46200'))],
    ['0000:00:06.0', device(undefined, 22, resourceFile('fe400000-fe4fffff 40200'))],
    ['0000:00:07.0', device('8139too', 20, resourceFile('d000-d0ff 40101', 'fe6ca000-fe6ca0ff 40200'), false)],
    ['0000:00:08.0', device('nvme', 0, resourceFile('fe6ca800-fe6ca8ff 40200'))],
    ['0000:00:0a.0', device(undefined, 21, resourceFile('fe6c0000-fe6c0fff 40200'))],
    ['0000:00:0a.1', device(undefined, 21, resourceFile('fe6c1000-fe6c1fff 40200'))],
  ]);
}

export class FakeSysfs implements Sysfs {
  readonly devices = observedDevices();
  readonly slots: string[] = [];
  pciback = true;
  /** Paths whose write is refused. */
  readonly refuse = new Map<string, KernelErrno>();
  readonly writes: string[] = [];
  onTaken: (name: string) => void = () => undefined;

  #drivers(): string[] {
    return ['e1000', '8139too', 'nvme', ...(this.pciback ? ['pciback'] : [])];
  }

  #device(name: string): FakeDevice {
    const device = this.devices.get(name);
    if (device === undefined) throw new KernelError('ENODEV', `there is no ${name}`);
    return device;
  }

  #has(path: string): boolean {
    const [, name = '', file] = /^\/sys\/bus\/pci\/devices\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
    const device = this.devices.get(name);
    if (device !== undefined) {
      return file === undefined || ['resource', 'irq'].includes(file) || (file === 'reset' && device.reset)
        || (file === 'driver' && device.driver !== undefined);
    }
    const [, driver = '', entry] = /^\/sys\/bus\/pci\/drivers\/(\w+)(?:\/(.+))?$/.exec(path) ?? [];
    if (!this.#drivers().includes(driver)) return false;
    return entry === undefined || ['bind', 'unbind'].includes(entry) || this.devices.get(entry)?.driver === driver
      || (driver === 'pciback' && ['slots', 'new_slot', 'remove_slot', 'permissive'].includes(entry));
  }

  exists(path: string): boolean {
    return this.#has(path);
  }

  read(path: string): string {
    if (!this.#has(path)) throw new KernelError('ENOENT', path);
    if (path === `${PCIBACK}/slots`) return this.slots.map((slot) => `${slot}\n`).join('');
    if (path === `${PCIBACK}/permissive`) {
      return [...this.devices].flatMap(([name, { permissive }]) => (permissive ? [`${name}\n`] : [])).join('');
    }
    const [, name = '', file] = /devices\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    const device = this.#device(name);
    return file === 'irq' ? `${device.irq}\n` : device.resource;
  }

  list(path: string): string[] {
    if (path === DEVICES) return [...this.devices.keys()];
    const [, driver] = /drivers\/(\w+)$/.exec(path) ?? [];
    const bound = [...this.devices].filter(([, device]) => device.driver === driver).map(([name]) => name);
    return [...bound, 'bind', 'unbind', 'slots'].sort();
  }

  readlink(path: string): string {
    const [, name = ''] = /devices\/([^/]+)\/driver$/.exec(path) ?? [];
    const { driver } = this.#device(name);
    if (driver === undefined) throw new KernelError('ENOENT', path);
    return `/sys/bus/pci/drivers/${driver}`;
  }

  write(path: string, text: string): void {
    if (!this.#has(path)) throw new KernelError('ENOENT', path);
    const errno = this.refuse.get(path);
    if (errno !== undefined) throw new KernelError(errno, path);
    this.writes.push(`${path.replace('/sys/bus/pci/', '')} ${text}`);
    const [, driver = '', file = ''] = /drivers\/(\w+)\/(\w+)$/.exec(path) ?? [];
    if (file === 'unbind') this.#unbind(driver, text);
    else if (file === 'bind') this.#bind(driver, text);
    else if (file === 'new_slot') this.slots.push(text);
    else if (file === 'remove_slot') this.slots.splice(this.slots.indexOf(text), 1);
    else if (file === 'permissive') this.#device(text).permissive = true;
    else this.#device(path.split('/')[5] as string).resets++;
  }

  #unbind(driver: string, name: string): void {
    const device = this.#device(name);
    if (device.driver !== driver) throw new KernelError('ENODEV', name);
    if (device.user !== undefined) this.onTaken(name);
    Object.assign(device, { driver: undefined, user: undefined, permissive: false });
  }

  #bind(driver: string, name: string): void {
    const device = this.#device(name);
    if (device.driver !== undefined || (driver === 'pciback' && !this.slots.includes(name))) throw new KernelError('ENODEV', name);
    device.driver = driver;
  }
}

/** One back end: a domain's. */
interface Exported {
  readonly domid: number;
  readonly devices: Map<string, string>;
  readonly unwatch: Array<() => void>;
}

/** pciback's side of xenbus, xen-passthrough.md 2.4 and 2.5. */
export class FakePciback {
  readonly kernel: Kernel;
  readonly #sysfs: FakeSysfs;
  readonly #exported = new Map<number, Exported>();
  /** It takes no notice of anything any more. */
  deaf = false;

  constructor(kernel: Kernel, sysfs: FakeSysfs) {
    this.kernel = kernel;
    this.#sysfs = sysfs;
    kernel.watch('/local/domain/0/backend/pci', (path) => this.#changed(path));
    sysfs.onTaken = (name) => {
      for (const one of this.#exported.values()) for (const [virtual, device] of one.devices) if (device === name) one.devices.delete(virtual);
    };
  }

  #get(path: string): string | undefined {
    return this.kernel.store.readIfThere(path);
  }

  #changed(path: string): void {
    const [, digits] = /backend\/pci\/(\d+)\//.exec(`${path}/`) ?? [];
    if (digits === undefined || this.deaf) return;
    const domid = Number(digits);
    const backend = `/local/domain/0/backend/pci/${domid}/0`;
    const known = this.#exported.get(domid);
    const state = this.#get(`${backend}/state`);
    if (state === undefined) {
      for (const stop of known?.unwatch ?? []) stop();
      for (const name of known?.devices.values() ?? []) this.#free(name);
      this.#exported.delete(domid);
    } else if (known === undefined && state === '1') this.#probe(domid, backend);
    else if (known !== undefined && state === '3') this.#exportNew(known, backend);
  }

  #free(name: string): void {
    const device = this.#sysfs.devices.get(name);
    if (device !== undefined) Object.assign(device, { user: undefined, permissive: false });
  }

  #switch(backend: string, state: string): void {
    this.kernel.store.transaction((inside) => {
      const now = inside.readIfThere(`${backend}/state`);
      if (now !== undefined && now !== state) inside.write(`${backend}/state`, state);
    });
  }

  #probe(domid: number, backend: string): void {
    const one: Exported = { domid, devices: new Map(), unwatch: [] };
    this.#exported.set(domid, one);
    this.#switch(backend, '2');
    this.#exportNew(one, backend);
    this.kernel.store.write(`${backend}/root-0`, '0000:00');
    this.kernel.store.write(`${backend}/root_num`, '1');
    this.#switch(backend, '3');
    one.unwatch.push(this.kernel.watch(`/local/domain/${domid}/device/pci/0/state`, () => this.#front(one, backend)));
  }

  #exportNew(one: Exported, backend: string): void {
    const count = Number(this.#get(`${backend}/num_devs`));
    for (let i = 0; i < count; i++) {
      if (this.#get(`${backend}/state-${i}`) !== '1') continue;
      const name = this.#get(`${backend}/dev-${i}`) as string;
      const device = this.#sysfs.devices.get(name);
      if (device?.driver !== 'pciback' || device.user !== undefined) throw new Error(`${name} is not to be had`);
      device.user = one.domid;
      let slot = 0;
      const virtual = (): string => `0000:00:${slot.toString(16).padStart(2, '0')}.00`;
      while (one.devices.has(virtual())) slot++;
      one.devices.set(virtual(), name);
      this.kernel.store.write(`${backend}/vdev-${i}`, virtual());
      this.kernel.store.write(`${backend}/state-${i}`, '3');
    }
  }

  #front(one: Exported, backend: string): void {
    if (this.deaf) return;
    const front = this.#get(`/local/domain/${one.domid}/device/pci/0/state`);
    const back = this.#get(`${backend}/state`);
    if (front === '3' && back === '3') this.#switch(backend, '4');
    else if (front === '4' && back === '8') this.#switch(backend, '4');
    else if (front === '5' || front === '6') this.#switch(backend, front);
    else if (front === '7' && back === '7') {
      const count = Number(this.#get(`${backend}/num_devs`));
      for (let i = 0; i < count; i++) {
        if (this.#get(`${backend}/state-${i}`) !== '5') continue;
        const virtual = this.#get(`${backend}/vdev-${i}`) as string;
        this.#free(one.devices.get(virtual) as string);
        one.devices.delete(virtual);
      }
      this.#exportNew(one, backend);
      this.#switch(backend, '8');
    }
  }
}

/** pcifront's side. */
export class FakePcifront {
  readonly kernel: Kernel;
  readonly #home: string;
  #own = '0';
  deaf = false;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.#home = `/local/domain/${kernel.domid}/device/pci/0`;
    kernel.watch('device', () => this.#probe());
    kernel.watch(`/local/domain/0/backend/pci/${kernel.domid}/0/state`, () => this.#back());
  }

  #set(state: string): void {
    this.#own = state;
    this.kernel.store.write(`${this.#home}/state`, state);
  }

  #probe(): void {
    const state = this.kernel.store.readIfThere(`${this.#home}/state`);
    if (state === undefined) this.#own = '0';
    if (state !== '1' || this.#own !== '0') return;
    this.kernel.store.transaction((inside) => {
      for (const [key, value] of [['pci-op-ref', '8'], ['event-channel', '8'], ['magic', '7']] as const) inside.write(`${this.#home}/${key}`, value);
    });
    this.#set('3');
  }

  #back(): void {
    if (this.deaf) return;
    let back: string | undefined;
    try {
      back = this.kernel.store.readIfThere(`/local/domain/0/backend/pci/${this.kernel.domid}/0/state`);
    } catch {
      return;
    }
    if (back === '4' && this.#own === '3') this.#set('4');
    else if (back === '7' && (this.#own === '4' || this.#own === '3')) this.#set('7');
    else if (back === '8' && this.#own === '7') this.#set('4');
    else if (back === '5' && this.#own === '5') this.#set('6');
  }

  close(): void {
    this.#set('5');
  }
}

/** Changes of the store as a client of domain 0 hears of them, with what is there by then. */
export class Trace {
  readonly #client: XenstoreClient;
  #lines: string[] = [];

  constructor(store: Xenstored) {
    this.#client = new XenstoreClient(store);
    this.#client.onEvent = ({ path }) => {
      const value = path.startsWith('@') ? undefined : this.#client.readIfThere(path);
      this.#lines.push(path.startsWith('@') ? path : value === undefined ? `rm ${path}` : `${path} = ${value}`);
    };
    for (const path of ['/', '@introduceDomain', '@releaseDomain']) this.#client.watch(path, 'all');
    this.#lines = [];
  }

  /** What has been since the last time; with a pattern only lines that match. */
  take(pattern = /./): string[] {
    return this.#lines.splice(0).filter((line) => pattern.test(line));
  }

  /** The states of both ends since the last time. */
  states(): string {
    return statesOf(this.take());
  }
}

/** The states of both ends in lines of a trace: `B1 F1 B2`, and no state twice. */
export function statesOf(lines: readonly string[]): string {
  const seen: string[] = [];
  for (const line of lines) {
    const [, side, state] = /\/(backend|device)\/pci\/(?:\d+\/)?0\/state = (\d)$/.exec(line) ?? [];
    const text = `${side === 'backend' ? 'B' : 'F'}${state}`;
    if (side !== undefined && seen.at(-1) !== text) seen.push(text);
  }
  return seen.join(' ');
}

export interface Rig {
  readonly machine: Machine;
  readonly store: Xenstored;
  readonly client: XenstoreClient;
  readonly scheduler: Scheduler;
  readonly sysfs: FakeSysfs;
  readonly pciback: FakePciback;
  readonly fronts: Map<number, FakePcifront>;
  readonly trace: Trace;
  readonly xl: Xl;
  /** Domains whose program has been started and not stopped. */
  readonly running: Map<number, DomainProgram>;
  run(...args: string[]): XlResult;
  /** `xl create` of a config text. */
  create(config: string, ...args: string[]): XlResult;
  /** The whole store, as text. */
  dump(): string;
  /** Store, rights and devices: what a refused command must leave as it was. */
  state(): string;
  /** What each domain has the right to, and its devices. */
  rights(domid: number): { iomem: string; ioport: string; irq: string; devices: string[] };
  pass(ms: number): void;
}

export interface RigOptions {
  readonly iommu?: boolean;
  readonly allowUnsafePassthrough?: boolean;
  readonly xenRevoke?: boolean;
}

export async function toolstackRig({ iommu = true, allowUnsafePassthrough = false, xenRevoke = false }: RigOptions = {}): Promise<Rig> {
  const machine = await Machine.create({
    memory: '64MiB', dom0: { memory: '2MiB' }, iommu: iommu ? 'vtd' : 'none',
    devices: ['04.0', '06.0', '07.0', '08.0', '0a.0', '0a.1'].map((bdf) => ({ model: 'edu', bdf: `0000:00:${bdf}` })),
  });
  const { hypervisor } = machine;
  hypervisor.bootDom0Devices({ unsafePassthrough: allowUnsafePassthrough });
  // the first domain has what the observed devices occupy
  hypervisor.iomemPermission(0, 0xfe400, 0x400, true);
  hypervisor.ioportPermission(0, 0xd000, 0x1000, true);
  for (const line of [20, 21, 22]) hypervisor.irqPermission(0, line, true);
  let now = 0;
  const scheduler = new Scheduler({ now: () => now, settle: () => false, nextDeadline: () => Infinity, advance: (to) => { now = to; } });
  const store = new Xenstored({ host: { exists: (domid) => hypervisor.domains.some((one) => one.domid === domid), connect: () => undefined } });
  const client = new XenstoreClient(store);
  client.write('/local/domain/0/name', 'Domain-0');
  const sysfs = new FakeSysfs();
  const parts = { hypervisor, scheduler, store };
  const pciback = new FakePciback(new Kernel(machine.dom0, parts), sysfs);
  const fronts = new Map<number, FakePcifront>();
  const running = new Map<number, DomainProgram>();
  const programs: Programs = {
    check: ({ kernel }) => {
      if (kernel !== 'builtin:e1000') throw new KernelError('ENOENT', `there is no kernel "${kernel}"`);
    },
    start: (domain: Domain, program) => {
      running.set(domain.domid, program);
      if (program.pcifront !== 'none') fronts.set(domain.domid, new FakePcifront(new Kernel(domain, parts)));
    },
    stop: (domid) => {
      running.delete(domid);
      fronts.get(domid)?.kernel.stop();
      fronts.delete(domid);
    },
    console: (domid) => [`hello from ${domid}`],
  };
  const toolstack: ToolstackParts = { ...parts, sysfs, programs, seed: 7, allowUnsafePassthrough, xenRevoke };
  const xl = new Xl(toolstack);
  const rights: Rig['rights'] = (domid) => {
    const { iomem, ioport, irq, assigned } = hypervisor.domain(domid);
    const text = (ranges: ReadonlyArray<readonly [number, number]>, radix: number): string =>
      ranges.map(([low, high]) => (low === high ? low.toString(radix) : `${low.toString(radix)}-${high.toString(radix)}`)).join(', ');
    return {
      iomem: text(iomem.ranges, 16), ioport: text(ioport.ranges, 16), irq: text(irq.ranges, 10),
      devices: [...assigned].map((routing) => formatBdf(bdfOf(routing))).sort(),
    };
  };
  const run = (args: string[], files = new Map<string, string>()): XlResult => scheduler.run(`xl ${args.join(' ')}`, 0, xl.run(args, files));
  return {
    machine, store, client, scheduler, sysfs, pciback, fronts, running, xl, trace: new Trace(store),
    run: (...args) => run(args),
    create: (config, ...args) => run(['create', ...args, 'guest.cfg'], new Map([['guest.cfg', config]])),
    dump: () => dumpStore(store.state),
    state: () => JSON.stringify({
      store: dumpStore(store.state), rights: hypervisor.domains.map(({ domid }) => rights(domid)),
      owners: [...sysfs.devices.keys()].map((name) => hypervisor.ownerOf(routingOf(name))),
      // a reset leaves no trace
      sysfs: [...sysfs.devices].map(([name, { resets: _, ...device }]) => ({ name, ...device })), slots: sysfs.slots,
    }, null, 1),
    rights,
    pass: (ms) => scheduler.pass(ms * 1e6),
  };
}

export const guestConfig = (pci: readonly string[], more = ''): string =>
  `name = "guest"\nkernel = "builtin:e1000"\nmemory = 4\npci = [${pci.map((spec) => `'${spec}'`).join(', ')}]\n${more}`;
