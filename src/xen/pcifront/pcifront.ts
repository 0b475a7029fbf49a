/**
 * The front end for PCI in a guest: publishes its page, finds the functions that the back end shows, and follows the
 * back end through hot-plug and the end. Drivers are bound and removed before the state that says so is written.
 */

import type { ConfigAccess } from '../../pci/access';
import { PortcullisError } from '../../errors';
import type { GrantRefs } from '../kernel/grant-refs';
import type { Kernel } from '../kernel/kernel';
import { type AerOp, ERS_RESULT, MSIX_MAX, PCI_MAGIC, PCI_OP } from '../pciif';
import { formatDev, formatRoot, parseKeyAddress, parseRoot } from '../pciback/addresses';
import type { Task } from '../schedule/scheduler';
import type { XenbusDriver } from '../xenbus/bus';
import type { XenbusDevice } from '../xenbus/device';
import { orFail, XenbusFailure } from '../xenbus/errors';
import { XENBUS, type XenbusState } from '../xenbus/states';
import { type PageAllocator, type PciAnswer, PciChannel, type PciRequest } from './channel';
import { PCIBIOS, pcibiosCode } from './codes';
import type { FrontDevice } from './device';
import { FunctionScan, type PciRoot } from './scan';

/** Which front end a domain has. */
export type PcifrontKind =
  | 'linux'
  /** Publishes a version that there is not. */
  | 'wrong-magic'
  /** Waits for an answer as if one had to come. */
  | 'no-timeout'
  | 'none';

export interface PcifrontParts {
  readonly kernel: Kernel;
  readonly grants: GrantRefs;
  readonly memory: PageAllocator;
  readonly kind?: PcifrontKind;
}

/** What a config access gives: a PCIBIOS code (or a negative errno of the back end's), and the value. */
export interface ConfigResult {
  readonly code: number;
  /** Of a read that failed, all ones. Not cut to the size of the access. */
  readonly value: number;
}

const OP_NS = 2e9;
/** After so long, a front end that waits for ever is called hung: nothing of it goes on. */
const HUNG_NS = 60e9;
const SHUTDOWN_NS = 5e9;
const EINVAL = 22;
const ENOENT = 2;
/** Roots and devices that a back end may name. */
const LIST_LIMIT = 1024;

type Width = 1 | 2 | 4;

const BUSES = 256;

export class Pcifront implements XenbusDriver {
  readonly type = 'pci';
  /** A function was found; its driver may begin, and use `config`. */
  onDevice: ((device: FrontDevice) => void) | undefined;
  /** A function goes; its driver is to be done with it when this returns. */
  onDeviceGone: ((device: FrontDevice) => void) | undefined;
  /** Answers an error of a device by one of ERS_RESULT; `cmd` is one of PCI_OP.AER_*. */
  onError: ((device: FrontDevice, cmd: number, channel: number) => number) | undefined;
  /** Config operations made. */
  reads = 0;
  writes = 0;
  /** Operations of every kind that were put on the shared page. */
  operations = 0;
  readonly #parts: PcifrontParts;
  readonly #kernel: Kernel;
  #xenbus: XenbusDevice | undefined;
  #channel: PciChannel | undefined;
  readonly #scan: FunctionScan;
  /** Functions whose driver has been told of them. */
  readonly #bound = new Set<FrontDevice>();
  #hung = false;
  #shuttingDown = false;

  constructor(parts: PcifrontParts) {
    this.#parts = parts;
    this.#kernel = parts.kernel;
    this.#scan = new FunctionScan({
      config: (routing) => this.config(routing), stopped: () => this.#hung, log: (line) => this.#print(line),
      busLog: (line) => this.#kernel.print(line),
    });
  }

  /** Undefined for a kernel without one. */
  static create(parts: PcifrontParts): Pcifront | undefined {
    return parts.kind === 'none' ? undefined : new Pcifront(parts);
  }

  get devices(): readonly FrontDevice[] {
    return this.#scan.devices;
  }

  /** State of its own end; UNKNOWN when it has none. */
  get state(): XenbusState {
    return this.#xenbus?.state ?? XENBUS.UNKNOWN;
  }

  /** It waits for an answer that does not come, and does nothing any more. */
  get hung(): boolean {
    return this.#hung;
  }

  #print(line: string): void {
    this.#kernel.print(`pcifront pci-0: ${line}`);
  }

  // ---- xenbus

  probe(xenbus: XenbusDevice): void {
    if (this.#xenbus !== undefined) {
      this.#print(`${xenbus.node} is one too many: there is one front end for PCI in a kernel`);
      return;
    }
    this.#xenbus = xenbus;
    this.#shuttingDown = false;
    const channel = orFail('Error setting up PCI Frontend', () => this.#openChannel(xenbus.otherDomid));
    this.#channel = channel;
    this.#print('Allocated pdev, sh_info');
    const magic = this.#parts.kind === 'wrong-magic' ? String(Number(PCI_MAGIC) - 1) : PCI_MAGIC;
    try {
      orFail('Error writing configuration for backend', () => xenbus.transaction((store, at) => {
        store.write(at('pci-op-ref'), String(channel.ref));
        store.write(at('event-channel'), String(channel.port));
        store.write(at('magic'), magic);
      }));
    } catch (error) {
      this.#closeChannel();
      throw error;
    }
    xenbus.switchState(XENBUS.INITIALISED);
    this.#print('publishing successful!');
  }

  #openChannel(backDomid: number): PciChannel {
    const { kernel, grants, memory, kind } = this.#parts;
    return new PciChannel({
      kernel, grants, memory, backDomid,
      timeout: kind === 'no-timeout' ? HUNG_NS : OP_NS,
      onTimeout: () => this.#timedOut(),
      onAer: (op) => this.#answerError(op),
    });
  }

  #closeChannel(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #timedOut(): void {
    if (this.#parts.kind === 'no-timeout') this.#hung = true;
    else this.#print('pciback not responding!!!');
  }

  otherEndChanged(xenbus: XenbusDevice, state: XenbusState): void {
    if (xenbus !== this.#xenbus || this.#hung) return;
    switch (state) {
      case XENBUS.CONNECTED:
        if (xenbus.state === XENBUS.INITIALISED) this.#settled(xenbus, XENBUS.CONNECTED, () => this.#scanAll());
        break;
      case XENBUS.RECONFIGURING:
        // the moment of being connected was missed
        if (xenbus.state === XENBUS.INITIALISED) this.#settled(xenbus, XENBUS.CONNECTED, () => this.#scanAll());
        if (xenbus.state === XENBUS.CONNECTED) this.#settled(xenbus, XENBUS.RECONFIGURING, () => this.#detach(xenbus));
        break;
      case XENBUS.RECONFIGURED:
        if (xenbus.state === XENBUS.RECONFIGURING) this.#settled(xenbus, XENBUS.CONNECTED, () => this.#scanAll());
        break;
      case XENBUS.CLOSING: this.#disconnect(xenbus, !this.#shuttingDown); break;
      case XENBUS.CLOSED: case XENBUS.UNKNOWN: this.#disconnect(xenbus, false); break;
      default: break;
    }
  }

  /** Does `work`, then says so; unless it has come to a standstill meanwhile. */
  #settled(xenbus: XenbusDevice, state: XenbusState, work: () => void): void {
    work();
    if (!this.#hung && !xenbus.ended && xenbus.state !== XENBUS.CLOSING) xenbus.switchState(state);
  }

  /** `reachable`: drivers can still use config space while they go. */
  #disconnect(xenbus: XenbusDevice, reachable: boolean): void {
    if (xenbus.state === XENBUS.CLOSED) return;
    if (!reachable) this.#closeChannel();
    this.#removeAll();
    this.#closeChannel();
    xenbus.switchState(XENBUS.CLOSED);
  }

  remove(xenbus: XenbusDevice): void {
    if (xenbus !== this.#xenbus) return;
    this.#closeChannel();
    this.#removeAll();
    this.#xenbus = undefined;
    this.#hung = false;
  }

  /** At the end of the kernel: lets go in good order, for as long as the back end takes part, at most 5 s. */
  *shutdown(): Task {
    const xenbus = this.#xenbus;
    if (xenbus === undefined || this.#hung || xenbus.state === XENBUS.CLOSED) return;
    this.#shuttingDown = true;
    xenbus.switchState(XENBUS.CLOSING);
    const closed = yield { until: () => xenbus.ended || xenbus.state === XENBUS.CLOSED, timeout: SHUTDOWN_NS };
    if (!closed) this.#print('timeout closing device');
  }

  // ---- functions that come

  #scanAll(): void {
    for (const root of this.#readRoots()) {
      if (root.segment !== 0) {
        this.#print('PCI Root in non-zero PCI Domain!');
        throw new XenbusFailure(EINVAL, `Error scanning PCI root ${formatRoot(root)}`);
      }
      this.#scan.bus(root);
      if (this.#hung) return;
    }
    for (const device of this.devices) this.#bind(device);
  }

  #bind(device: FrontDevice): void {
    if (this.#bound.has(device) || this.#scan.find(device.routing) !== device) return;
    this.#bound.add(device);
    this.onDevice?.(device);
  }

  #readRoots(): PciRoot[] {
    const xenbus = this.#xenbus as XenbusDevice;
    const text = xenbus.readOther('root_num');
    if (text === undefined) {
      xenbus.error(ENOENT, 'No PCI Roots found, trying 0000:00');
      return [{ segment: 0, bus: 0 }];
    }
    const count = readCount(text, 'Error reading number of PCI roots');
    // a bus is scanned once, and there are so many
    if (count > BUSES) throw new XenbusFailure(EINVAL, 'Error reading number of PCI roots');
    const roots = Array.from({ length: count }, (_, index) => {
      const root = parseRoot(xenbus.readOther(`root-${index}`) ?? '');
      if (root === undefined) throw new XenbusFailure(EINVAL, `Error reading PCI root ${index}`);
      return root;
    });
    return roots.filter(({ segment, bus }, index) => roots.findIndex((one) => one.segment === segment && one.bus === bus) === index);
  }

  // ---- functions that go

  #detach(xenbus: XenbusDevice): void {
    const message = 'Error reading number of PCI devices';
    const count = readCount(xenbus.readOther('num_devs') ?? '', message);
    for (let index = 0; index < count; index++) {
      if (xenbus.readOther(`state-${index}`) !== String(XENBUS.CLOSING)) continue;
      const address = parseKeyAddress(xenbus.readOther(`vdev-${index}`) ?? '');
      if (address === undefined) throw new XenbusFailure(EINVAL, `Error reading PCI device ${index}`);
      const device = address.segment === 0 ? this.#scan.find(address.bus << 8 | address.devfn) : undefined;
      if (device === undefined) continue;
      this.#removeDevice(device);
      this.#print(`PCI device ${formatDev(address)} removed.`);
    }
  }

  #removeDevice(device: FrontDevice): void {
    if (this.#bound.delete(device)) this.onDeviceGone?.(device);
    this.#scan.forget(device);
  }

  #removeAll(): void {
    for (const device of this.devices) this.#removeDevice(device);
    this.#scan.forgetRoots();
  }

  // ---- operations

  #request(cmd: number, routing: number, rest: Partial<PciRequest> = {}): { code: number; answer: PciAnswer | undefined } {
    if (this.#channel === undefined || this.#hung) return { code: PCIBIOS.DEVICE_NOT_FOUND, answer: undefined };
    this.operations++;
    const { offset = 0, size = 0, value = 0, msix = [] } = rest;
    // all by name: a spread costs more than the operation
    const answer = this.#channel.request({ cmd, segment: 0, bus: routing >> 8, devfn: routing & 0xff, offset, size, value, msix });
    return { code: pcibiosCode(answer.err), answer };
  }

  /** Reads with what came of it. Anything may be asked for: the back end says what is no access. */
  readConfig(routing: number, offset: number, size: number): ConfigResult {
    this.reads++;
    const { code, answer } = this.#request(PCI_OP.CONF_READ, routing, { offset, size });
    return { code, value: code === PCIBIOS.SUCCESSFUL && answer !== undefined ? answer.value : ones(size) };
  }

  writeConfig(routing: number, offset: number, size: number, value: number): ConfigResult {
    this.writes++;
    return { code: this.#request(PCI_OP.CONF_WRITE, routing, { offset, size, value: value >>> 0 }).code, value: value >>> 0 };
  }

  /** Config space of a function at its virtual address (bus 15:8, devfn 7:0), as the guest's PCI core has it. */
  config(routing: number): ConfigAccess {
    return {
      read: (off: number, width: Width) => (this.readConfig(routing, off, width).value & ones(width)) >>> 0,
      write: (off: number, width: Width, value: number) => { this.writeConfig(routing, off, width, value & ones(width)); },
    };
  }

  /** The pirq of the function's message. Throws PCI_OP with the back end's `err`. */
  enableMsi(routing: number): number {
    const answer = this.#interruptOp(PCI_OP.ENABLE_MSI, routing);
    return pirqOf(answer.value | 0, routing);
  }

  /** What goes wrong is logged only: there is nothing that a driver could do. */
  disableMsi(routing: number): void {
    this.#disable(PCI_OP.DISABLE_MSI, routing);
  }

  /** The pirq of each entry. Throws PCI_OP: with `available` when the back end has fewer. */
  enableMsix(routing: number, entries: readonly number[]): number[] {
    if (entries.length > MSIX_MAX) throw opError(routing, -EINVAL, `${entries.length} vectors are more than ${MSIX_MAX}`);
    const msix = entries.map((entry) => ({ vector: 0xffff, entry }));
    const answer = this.#interruptOp(PCI_OP.ENABLE_MSIX, routing, { value: entries.length, msix });
    if (answer.value !== 0) {
      throw new PortcullisError('PCI_OP', `the back end has ${answer.value | 0} vectors of the ${entries.length} that `
        + `${nameOf(routing)} wants`, { routing, available: answer.value | 0 });
    }
    // signed, as Linux takes it: what is no interrupt is no interrupt
    return answer.msix(entries.length).map(({ vector }) => pirqOf(vector << 16 >> 16, routing));
  }

  disableMsix(routing: number): void {
    this.#disable(PCI_OP.DISABLE_MSIX, routing);
  }

  #interruptOp(cmd: number, routing: number, rest: Partial<PciRequest> = {}): PciAnswer {
    const { answer } = this.#request(cmd, routing, rest);
    if (answer?.err === 0) return answer;
    const err = answer?.err ?? -ENOENT;
    throw opError(routing, err, `the back end refuses operation ${cmd} for ${nameOf(routing)}: ${err}`);
  }

  #disable(cmd: number, routing: number): void {
    const { answer } = this.#request(cmd, routing);
    if (answer !== undefined && answer.err !== 0) this.#print(`operation ${cmd} for ${nameOf(routing)} failed: ${answer.err}`);
  }

  #answerError({ cmd, err, segment, bus, devfn }: AerOp): number {
    const device = segment === 0 && bus <= 0xff && devfn <= 0xff ? this.#scan.find(bus << 8 | devfn) : undefined;
    if (device === undefined || this.onError === undefined) return ERS_RESULT.NONE;
    const result = this.onError(device, cmd, err);
    return cmd === PCI_OP.AER_RESUME ? ERS_RESULT.NONE : result;
  }
}

function ones(size: number): number {
  return size === 1 ? 0xff : size === 2 ? 0xffff : 0xffffffff;
}

function readCount(text: string, message: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) <= LIST_LIMIT) return Number(text);
  throw new XenbusFailure(EINVAL, message);
}

function nameOf(routing: number): string {
  return formatDev({ segment: 0, bus: routing >> 8, devfn: routing & 0xff });
}

function opError(routing: number, err: number, message: string): PortcullisError {
  return new PortcullisError('PCI_OP', message, { routing, err });
}

function pirqOf(pirq: number, routing: number): number {
  if (pirq > 0) return pirq;
  throw opError(routing, -EINVAL, `the back end names ${pirq} as the interrupt of ${nameOf(routing)}`);
}
