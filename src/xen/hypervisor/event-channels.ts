// Event channels (public/event_channel.h): who may send to whom. Ports are records in the engine's state, where the
// send finds them; this is what allocates, binds and closes them.
import { DomId } from '../../../assembly/spec/machine';
import { DomainRecord, EventBlock, PortRecord, State, StateSize } from '../../../assembly/spec/state';
import { Evtchn, EvtchnOp, PortState, SharedInfo } from '../../../assembly/spec/xen';
import type { Engine } from '../../engine/index';
import { CONTROL_DOMAIN, type Domain, type DomainTable, SHARED_INFO_PFN } from './domain';
import { HypercallError, resultOf } from './errors';
import { type Pirqs, sharesPirq } from './pirqs';

export type PortStatus =
  | { status: 'closed' }
  | { status: 'unbound'; vcpu: number; dom: number }
  | { status: 'interdomain'; vcpu: number; dom: number; port: number }
  | { status: 'pirq'; vcpu: number; pirq: number }
  | { status: 'virq'; vcpu: number; virq: number }
  | { status: 'ipi'; vcpu: number };

/** In the order of EVTCHNSTAT_*. */
const STATE_NAMES = ['closed', 'unbound', 'interdomain', 'pirq', 'virq', 'ipi'] as const;

/** Virtual interrupts that each vCPU has its own of (public/xen.h): TIMER, DEBUG, XENOPROF, XENPMU. */
const PER_VCPU = [0, 1, 7, 13];
/** ARGO: one a domain, and of every domain; all others are the control domain's. */
const PER_DOMAIN = [11];

/** Highest port of a guest unless its creator says otherwise (libxl). */
const GUEST_MAX_PORT = 1023;

export interface PortDump {
  port: number;
  pending: boolean;
  masked: boolean;
  /** 2 unbound, 3 interdomain, 4 pirq, 5 virq, 6 ipi. */
  state: number;
  xen: boolean;
  vcpu: number;
  /** Domain at the other end, or that may bind it; its port. */
  remote: number;
  far: number | undefined;
  /** Of a pirq or virq. */
  number: number | undefined;
}

interface Port {
  state: number;
  xen: boolean;
  vcpu: number;
  remote: number;
  data: number;
}

const CLOSED: Port = { state: PortState.CLOSED, xen: false, vcpu: 0, remote: 0, data: 0 };

export class EventChannels {
  readonly #engine: Engine;
  readonly #table: DomainTable;
  readonly #pirqs: Pirqs;

  constructor(engine: Engine, table: DomainTable, pirqs: Pirqs) {
    this.#engine = engine;
    this.#table = table;
    this.#pirqs = pirqs;
  }

  // ---- records

  #block(slot: number): number {
    return this.#engine.word(State.POOL_EVENTS) + slot * StateSize.EVENT_BLOCK;
  }

  #read(slot: number, port: number): Port {
    const off = this.#block(slot) + port * StateSize.PORT_RECORD;
    const word = this.#engine.word(off);
    return {
      state: word & PortRecord.STATE_MASK, xen: (word & PortRecord.XEN) !== 0, vcpu: (word >>> 8) & 0xff,
      remote: word >>> 16, data: this.#engine.word(off + PortRecord.DATA),
    };
  }

  #write(slot: number, port: number, { state, xen, vcpu, remote, data }: Port): void {
    const off = this.#block(slot) + port * StateSize.PORT_RECORD;
    this.#engine.setWord(off, state | (xen ? PortRecord.XEN : 0) | vcpu << 8 | remote << 16);
    this.#engine.setWord(off + PortRecord.DATA, data);
  }

  #word(domain: Domain, off: number): number {
    return this.#engine.word(State.DOMAIN_TABLE + domain.slot * StateSize.DOMAIN_RECORD + off);
  }

  #setWord(domain: Domain, off: number, value: number): void {
    this.#engine.setWord(State.DOMAIN_TABLE + domain.slot * StateSize.DOMAIN_RECORD + off, value);
  }

  /** An open port that a guest may name; EINVAL for what is none. */
  #open(domain: Domain, port: number): Port {
    const record = this.#valid(domain, port) ? this.#read(domain.slot, port) : CLOSED;
    if (record.state === PortState.CLOSED) {
      throw new HypercallError('EINVAL', `domain ${domain.domid} has no port ${port}`, { domid: domain.domid, port });
    }
    return record;
  }

  #valid(domain: Domain, port: number): boolean {
    return Number.isInteger(port) && port > 0 && port < Evtchn.PORTS && port <= this.#word(domain, DomainRecord.MAX_PORT);
  }

  /** The lowest free port, with nothing pending from the last time. */
  #allocate(domain: Domain, record: Partial<Port>): number {
    for (let port = 1; this.#valid(domain, port); port++) {
      if (this.#read(domain.slot, port).state !== PortState.CLOSED) continue;
      this.#write(domain.slot, port, { ...CLOSED, ...record });
      return port;
    }
    throw new HypercallError('ENOSPC', `all ports of domain ${domain.domid} are in use `
      + `(1 to ${this.#word(domain, DomainRecord.MAX_PORT)})`, { domid: domain.domid });
  }

  #bit(domain: Domain, array: number, port: number): [bytes: Uint8Array, at: number, bit: number] {
    const page = this.#engine.frame(this.#word(domain, DomainRecord.SHARED_INFO));
    return [page, array + (port >> 3), 1 << (port & 7)];
  }

  #clear(domain: Domain, port: number): void {
    for (const array of [SharedInfo.EVTCHN_PENDING, SharedInfo.EVTCHN_MASK]) {
      const [bytes, at, bit] = this.#bit(domain, array, port);
      bytes[at] = (bytes[at] as number) & ~bit;
    }
    this.#write(domain.slot, port, CLOSED);
  }

  // ---- domains

  /** A domain begins: its shared info page is known to the engine, every port is closed. */
  create(domain: Domain, vcpus: number, maxPort: number | undefined): void {
    this.#engine.stateBytes(this.#block(domain.slot), StateSize.EVENT_BLOCK).fill(0);
    this.#setWord(domain, DomainRecord.SHARED_INFO, domain.p2m[SHARED_INFO_PFN] as number);
    this.#setWord(domain, DomainRecord.VCPUS, vcpus);
    const most = maxPort ?? (domain.domid === CONTROL_DOMAIN ? Evtchn.PORTS - 1 : GUEST_MAX_PORT);
    this.#setWord(domain, DomainRecord.MAX_PORT, most);
  }

  /** A domain ends: its ports are closed, the other ends of them unbound. */
  destroy(domain: Domain): void {
    this.#closeAll(domain, true);
    this.#setWord(domain, DomainRecord.SHARED_INFO, 0);
  }

  #closeAll(domain: Domain, withXen: boolean): void {
    for (let port = 1; this.#valid(domain, port); port++) {
      const record = this.#read(domain.slot, port);
      if (record.state !== PortState.CLOSED && (withXen || !record.xen)) this.#close(domain, port, record);
    }
  }

  /** DOMID_SELF, or an id; another's needs the control domain. */
  #target(caller: Domain, dom: number): Domain {
    const target = dom === DomId.SELF ? caller : this.#table.domain(dom);
    if (target !== caller && caller.domid !== CONTROL_DOMAIN) {
      throw new HypercallError('EPERM', `domain ${caller.domid} may not do that to domain ${dom}`, { caller: caller.domid, dom });
    }
    return target;
  }

  #vcpu(domain: Domain, vcpu: number): void {
    if (Number.isInteger(vcpu) && vcpu >= 0 && vcpu < this.#word(domain, DomainRecord.VCPUS)) return;
    throw new HypercallError('ENOENT', `domain ${domain.domid} has no vCPU ${vcpu}`, { domid: domain.domid, vcpu });
  }

  // ---- event_channel_op

  /** EVTCHNOP_alloc_unbound: a port of `dom` that `remoteDom` alone may bind; whether that exists is not asked. */
  allocUnbound(domid: number, { dom = DomId.SELF as number, remoteDom }: { dom?: number; remoteDom: number }): number {
    const caller = this.#table.domain(domid);
    const target = this.#target(caller, dom);
    const remote = remoteDom === DomId.SELF ? domid : remoteDom;
    return this.#allocate(target, { state: PortState.UNBOUND, remote });
  }

  /** A port of the hypervisor's own in a domain (an ioreq server's): the guest can neither send on it nor close it. */
  allocForXen(domid: number, remoteDom: number): number {
    return this.#allocate(this.#table.domain(domid), { state: PortState.UNBOUND, xen: true, remote: remoteDom });
  }

  /** EVTCHNOP_bind_interdomain. The new port is pending at once: events that were sent before have been lost. */
  bindInterdomain(domid: number, remoteDom: number, remotePort: number): number {
    const caller = this.#table.domain(domid);
    const remote = remoteDom === DomId.SELF ? caller : this.#table.domain(remoteDom);
    const record = this.#valid(remote, remotePort) ? this.#read(remote.slot, remotePort) : CLOSED;
    if (record.state !== PortState.UNBOUND || record.remote !== domid) {
      throw new HypercallError('EINVAL', `port ${remotePort} of domain ${remote.domid} is not one that domain ${domid} may bind`,
        { remoteDom: remote.domid, remotePort });
    }
    const port = this.#allocate(caller, {
      state: PortState.INTERDOMAIN, remote: remote.domid, data: remotePort | remote.slot << 16,
    });
    this.#write(remote.slot, remotePort, {
      ...record, state: PortState.INTERDOMAIN, remote: domid, data: port | caller.slot << 16,
    });
    this.#engine.exports.eventSet(caller.slot, port);
    return port;
  }

  /** EVTCHNOP_bind_virq. */
  bindVirq(domid: number, virq: number, vcpu: number): number {
    const caller = this.#table.domain(domid);
    const perVcpu = PER_VCPU.includes(virq);
    if (!(virq >= 0 && virq < Evtchn.VIRQS) || (!perVcpu && vcpu !== 0)) {
      throw new HypercallError('EINVAL', `virtual interrupt ${virq} cannot be bound to vCPU ${vcpu}`, { virq, vcpu });
    }
    this.#vcpu(caller, vcpu);
    if (!perVcpu && !PER_DOMAIN.includes(virq) && domid !== CONTROL_DOMAIN) {
      throw new HypercallError('EBUSY', `virtual interrupt ${virq} is handled by domain ${CONTROL_DOMAIN}`, { virq });
    }
    const off = this.#virqOff(caller, virq, vcpu);
    if (this.#half(off) !== 0) {
      throw new HypercallError('EEXIST', `virtual interrupt ${virq} of vCPU ${vcpu} is bound to port ${this.#half(off)}`, { virq, vcpu });
    }
    const port = this.#allocate(caller, { state: PortState.VIRQ, vcpu, data: virq });
    this.#setHalf(off, port);
    return port;
  }

  #virqOff(domain: Domain, virq: number, vcpu: number): number {
    return this.#block(domain.slot) + EventBlock.VIRQS + (vcpu * Evtchn.VIRQS + virq) * 2;
  }

  #half(off: number): number {
    return this.#engine.view.getUint16(this.#engine.base + off, true);
  }

  #setHalf(off: number, value: number): void {
    this.#engine.view.setUint16(this.#engine.base + off, value, true);
  }

  /** EVTCHNOP_bind_pirq. With `forGuest` the hypervisor binds, and the port goes when the interrupt does. */
  bindPirq(domid: number, pirq: number, flags: number, forGuest = false): number {
    const caller = this.#table.domain(domid);
    if (!Number.isInteger(pirq) || pirq < 0 || pirq >= caller.nrPirqs) {
      throw new HypercallError('EINVAL', `interrupt ${pirq} is not within 0 to ${caller.nrPirqs - 1}`, { pirq });
    }
    this.#pirqs.requireRight(caller, pirq);
    if (this.portOfPirq(caller, pirq) !== 0) {
      throw new HypercallError('EEXIST', `interrupt ${pirq} is bound to port ${this.portOfPirq(caller, pirq)}`, { pirq });
    }
    const shares = (flags & Evtchn.WILL_SHARE) !== 0;
    const data = (pirq | (shares ? 1 : 0) << PortRecord.WILL_SHARE_BIT | (forGuest ? 1 : 0) << PortRecord.FOR_GUEST_BIT) >>> 0;
    const port = this.#allocate(caller, { state: PortState.PIRQ, data });
    try {
      this.#pirqs.bind(caller, pirq, port, flags, (line) => this.#pirqs.sharers(line)
        .every((slot) => sharesPirq(this.#read(slot, this.#pirqs.linePort(slot, line)).data)));
    } catch (error) {
      this.#write(caller.slot, port, CLOSED);
      throw error;
    }
    return port;
  }

  /** Port that a pirq of the domain is bound to, 0 when there is none. */
  portOfPirq(domain: Domain, pirq: number): number {
    for (let port = 1; this.#valid(domain, port); port++) {
      const { state, data } = this.#read(domain.slot, port);
      if (state === PortState.PIRQ && (data & PortRecord.NUMBER_MASK) === pirq) return port;
    }
    return 0;
  }

  /**
   * The interrupt behind a pirq is taken from the domain: nothing arrives any more. The guest's own port stays until it
   * closes it, as in Xen; one that was bound for it goes.
   */
  releasePirq(domain: Domain, pirq: number): void {
    this.#pirqs.unbind(domain, pirq);
    const port = this.portOfPirq(domain, pirq);
    if (port === 0) return;
    const record = this.#read(domain.slot, port);
    if ((record.data >>> PortRecord.FOR_GUEST_BIT & 1) === 1) this.#clear(domain, port);
  }

  /** EVTCHNOP_bind_ipi. */
  bindIpi(domid: number, vcpu: number): number {
    const caller = this.#table.domain(domid);
    this.#vcpu(caller, vcpu);
    return this.#allocate(caller, { state: PortState.IPI, vcpu });
  }

  /** EVTCHNOP_bind_vcpu: which vCPU a port notifies. IPIs and virtual interrupts of a vCPU stay where they are. */
  bindVcpu(domid: number, port: number, vcpu: number): void {
    const caller = this.#table.domain(domid);
    this.#vcpu(caller, vcpu);
    const record = this.#open(caller, port);
    if (record.xen || record.state === PortState.IPI || (record.state === PortState.VIRQ && PER_VCPU.includes(record.data))) {
      throw new HypercallError('EINVAL', `port ${port} cannot be moved to another vCPU`, { domid, port });
    }
    this.#write(caller.slot, port, { ...record, vcpu });
  }

  /** EVTCHNOP_close. The other end becomes unbound, for this domain to bind again; it gets no event. */
  close(domid: number, port: number): void {
    const caller = this.#table.domain(domid);
    const record = this.#open(caller, port);
    if (record.xen) throw new HypercallError('EINVAL', `port ${port} is the hypervisor's`, { domid, port });
    this.#close(caller, port, record);
  }

  closeForXen(domid: number, port: number): void {
    const domain = this.#table.domain(domid);
    const record = this.#open(domain, port);
    if (record.xen) this.#close(domain, port, record);
  }

  #close(domain: Domain, port: number, record: Port): void {
    if (record.state === PortState.INTERDOMAIN) {
      const [slot, other] = [record.data >>> 16, record.data & 0xffff];
      const end = this.#read(slot, other);
      this.#write(slot, other, { ...end, state: PortState.UNBOUND, remote: domain.domid, data: 0 });
    } else if (record.state === PortState.VIRQ) {
      // one that is the domain's may notify another vCPU than the one it was bound for, which was 0
      this.#setHalf(this.#virqOff(domain, record.data, PER_VCPU.includes(record.data) ? record.vcpu : 0), 0);
    } else if (record.state === PortState.PIRQ) this.#pirqs.unbind(domain, record.data & PortRecord.NUMBER_MASK);
    this.#clear(domain, port);
  }

  /** EVTCHNOP_send. */
  send(domid: number, port: number): void {
    this.#result(this.#engine.exports.evtchnSend(this.#table.domain(domid).slot, port), 'send on', domid, port);
  }

  /** EVTCHNOP_unmask. */
  unmask(domid: number, port: number): void {
    this.#result(this.#engine.exports.evtchnUnmask(this.#table.domain(domid).slot, port), 'unmask', domid, port);
  }

  #result(result: number, what: string, domid: number, port: number): void {
    if (result !== 0) throw new HypercallError('EINVAL', `domain ${domid} cannot ${what} port ${port}`, { domid, port });
  }

  /** EVTCHNOP_status. */
  status(domid: number, dom: number, port: number): PortStatus {
    const target = this.#target(this.#table.domain(domid), dom);
    if (!this.#valid(target, port)) {
      throw new HypercallError('EINVAL', `domain ${target.domid} has no port ${port}`, { dom, port });
    }
    const { state, xen, vcpu, remote, data } = this.#read(target.slot, port);
    if (xen) throw new HypercallError('EACCES', `port ${port} is the hypervisor's`, { dom, port });
    switch (state) {
      case PortState.UNBOUND: return { status: 'unbound', vcpu, dom: remote };
      case PortState.INTERDOMAIN: return { status: 'interdomain', vcpu, dom: remote, port: data & 0xffff };
      case PortState.PIRQ: return { status: 'pirq', vcpu, pirq: data & PortRecord.NUMBER_MASK };
      case PortState.VIRQ: return { status: 'virq', vcpu, virq: data };
      case PortState.IPI: return { status: 'ipi', vcpu };
      default: return { status: 'closed' };
    }
  }

  /** EVTCHNOP_reset: closes every port of the caller that is its own, or of another domain, which must be paused. */
  reset(domid: number, dom: number): void {
    const caller = this.#table.domain(domid);
    const target = this.#target(caller, dom);
    if (target !== caller && target.pauses === 0) throw new HypercallError('EINVAL', `domain ${dom} is not paused`, { dom });
    this.#closeAll(target, false);
  }

  // ---- the hypervisor's side

  vcpus(domain: Domain): number {
    return this.#word(domain, DomainRecord.VCPUS);
  }

  /** Ports of a domain that are open, with the states' numbers of Xen's own dump, where 1 is a reserved port. */
  ports(domain: Domain): PortDump[] {
    const open: PortDump[] = [];
    const on = (array: number, port: number): boolean => {
      const [bytes, at, bit] = this.#bit(domain, array, port);
      return ((bytes[at] as number) & bit) !== 0;
    };
    for (let port = 1; this.#valid(domain, port); port++) {
      const { state, xen, vcpu, remote, data } = this.#read(domain.slot, port);
      if (state === PortState.CLOSED) continue;
      const far = state === PortState.INTERDOMAIN;
      open.push({
        port, pending: on(SharedInfo.EVTCHN_PENDING, port), masked: on(SharedInfo.EVTCHN_MASK, port), state: state + 1, xen, vcpu,
        remote, far: far ? data & 0xffff : undefined,
        number: state === PortState.PIRQ || state === PortState.VIRQ ? data & PortRecord.NUMBER_MASK : undefined,
      });
    }
    return open;
  }

  /** Ports of a domain that are open, and what they are, as text. */
  open(domain: Domain): Array<[port: number, text: string]> {
    const open: Array<[number, string]> = [];
    for (let port = 1; this.#valid(domain, port); port++) {
      const { state, xen, vcpu, remote, data } = this.#read(domain.slot, port);
      if (state === PortState.CLOSED) continue;
      const far = state === PortState.UNBOUND || state === PortState.INTERDOMAIN ? `, of domain ${remote}` : '';
      const number = state === PortState.IPI || state === PortState.UNBOUND ? '' : ` ${data & PortRecord.NUMBER_MASK}`;
      open.push([port, `${STATE_NAMES[state]}${number}${far}, vCPU ${vcpu}${xen ? ', the hypervisor\'s' : ''}`]);
    }
    return open;
  }

  /** Whether an event has come on a port of the hypervisor's own since it was asked last. */
  takeForXen(domid: number, port: number): boolean {
    const off = this.#block(this.#table.domain(domid).slot) + port * StateSize.PORT_RECORD;
    const word = this.#engine.word(off);
    this.#engine.setWord(off, word & ~PortRecord.NOTIFIED);
    return (word & PortRecord.NOTIFIED) !== 0;
  }

  sendFromXen(domid: number, port: number): void {
    this.#result(this.#engine.exports.eventFromXen(this.#table.domain(domid).slot, port), 'have an event on', domid, port);
  }

  /** A virtual interrupt for a domain (its vCPU 0 unless said otherwise): dropped when it is not bound. */
  raiseVirq(domid: number, virq: number, vcpu = 0): boolean {
    return this.#engine.exports.eventVirq(this.#table.domain(domid).slot, virq, vcpu) === 1;
  }

  /** vCPUs of a domain for which an upcall has become due since this was asked last. */
  takeUpcalls(domid: number): number[] {
    const domain = this.#table.domain(domid);
    const bits = this.#word(domain, DomainRecord.UPCALLS);
    this.#setWord(domain, DomainRecord.UPCALLS, 0);
    return Array.from({ length: SharedInfo.VCPUS }, (_, vcpu) => vcpu).filter((vcpu) => (bits >>> vcpu) & 1);
  }

  /**
   * Hypercall 32: `arg` is the argument's structure, read and written in place. 0 or a negative errno; ENOSYS for what
   * the 2-level ABI does not have.
   */
  op(domid: number, cmd: number, arg: Uint8Array): number {
    return resultOf(() => this.#operation(domid, cmd, new DataView(arg.buffer, arg.byteOffset, arg.byteLength)));
  }

  #operation(domid: number, cmd: number, view: DataView): void {
    const u16 = (off: number): number => view.getUint16(off, true);
    const u32 = (off: number): number => view.getUint32(off, true);
    const out = (off: number, value: number): void => { view.setUint32(off, value, true); };
    switch (cmd) {
      case EvtchnOp.BIND_INTERDOMAIN: out(8, this.bindInterdomain(domid, u16(0), u32(4))); break;
      case EvtchnOp.BIND_VIRQ: out(8, this.bindVirq(domid, u32(0), u32(4))); break;
      case EvtchnOp.BIND_PIRQ: out(8, this.bindPirq(domid, u32(0), u32(4))); break;
      case EvtchnOp.CLOSE: this.close(domid, u32(0)); break;
      case EvtchnOp.SEND: this.send(domid, u32(0)); break;
      case EvtchnOp.STATUS: this.#writeStatus(view, this.status(domid, u16(0), u32(4))); break;
      case EvtchnOp.ALLOC_UNBOUND: out(4, this.allocUnbound(domid, { dom: u16(0), remoteDom: u16(2) })); break;
      case EvtchnOp.BIND_IPI: out(4, this.bindIpi(domid, u32(0))); break;
      case EvtchnOp.BIND_VCPU: this.bindVcpu(domid, u32(0), u32(4)); break;
      case EvtchnOp.UNMASK: this.unmask(domid, u32(0)); break;
      case EvtchnOp.RESET: this.reset(domid, u16(0)); break;
      default: throw new HypercallError('ENOSYS', `there is no event channel operation ${cmd}`, { cmd });
    }
  }

  #writeStatus(view: DataView, status: PortStatus): void {
    view.setUint32(8, STATE_NAMES.indexOf(status.status), true);
    if (status.status === 'closed') return;
    view.setUint32(12, status.vcpu, true);
    if (status.status === 'unbound' || status.status === 'interdomain') view.setUint16(16, status.dom, true);
    if (status.status === 'interdomain') view.setUint32(20, status.port, true);
    if (status.status === 'pirq') view.setUint32(16, status.pirq, true);
    if (status.status === 'virq') view.setUint32(16, status.virq, true);
  }
}
