// Event channels, 2-level ABI (public/event_channel.h, public/xen.h): the send, the pending bits in the shared info
// page, and the interrupts of devices that arrive as events. Ports are records of a fixed pool; the control plane
// binds and closes them, nothing here does.
//
//   pending[port] was clear → set it; not masked and selector bit of its vCPU was clear → set that, and the upcall
//
// The page is the guest's to scribble on: whatever stands in it, a bit is set or found set, and nothing else happens.
import { Machine } from '../spec/machine';
import { Counter } from '../spec/counters';
import {
  DomainRecord, EventBlock, LineRecord, Message, PortRecord, State, StateSize, VectorRecord,
} from '../spec/state';
import { Evtchn, PortState, SharedInfo, XenErrno } from '../spec/xen';
import { count } from '../memory/state';
import { frameDirty, framePtr } from '../memory/windows';
import { domainPresent, domainRecord, hypercallCount } from '../gate/domains';
import { intxAsserted } from '../irq/intx';
import { messagePop } from '../irq/messages';

@inline
function eventBlock(b: usize, slot: u32): usize {
  return b + load<u32>(b, State.POOL_EVENTS) + <usize>slot * StateSize.EVENT_BLOCK;
}

/** Record of a port, which is within 0 to 4095. */
@inline
function portRecord(b: usize, slot: u32, port: u32): usize {
  return eventBlock(b, slot) + port * StateSize.PORT_RECORD;
}

@inline
function portState(record: usize): u32 {
  return load<u8>(record, PortRecord.STATE) & PortRecord.STATE_MASK;
}

/** A port that the domain may name: 1 up to its bound. */
@inline
function portValid(b: usize, slot: u32, port: u32): bool {
  return port != 0 && port < <u32>Evtchn.PORTS && port <= load<u32>(domainRecord(b, slot), DomainRecord.MAX_PORT);
}

/** Linear address of the shared info page, 0 when the domain has none. */
@inline
function sharedInfo(b: usize, slot: u32): usize {
  const mfn = load<u32>(domainRecord(b, slot), DomainRecord.SHARED_INFO);
  return mfn == 0 ? 0 : framePtr(b, mfn);
}

/** Whether the bit was set before. Atomic where the place allows it: a guest may run on another thread. */
@inline
function testAndSet(ptr: usize, bit: u64): bool {
  if ((ptr & 7) == 0) return (atomic.or<u64>(ptr, bit) & bit) != 0;
  const before = load<u64>(ptr);
  store<u64>(ptr, before | bit);
  return (before & bit) != 0;
}

@inline
function testAndClear(ptr: usize, bit: u64): bool {
  if ((ptr & 7) == 0) return (atomic.and<u64>(ptr, ~bit) & bit) != 0;
  const before = load<u64>(ptr);
  store<u64>(ptr, before & ~bit);
  return (before & bit) != 0;
}

/** Selector bit and upcall of the vCPU that the port notifies. */
function mark(b: usize, slot: u32, page: usize, port: u32, vcpu: u32): void {
  const info = page + SharedInfo.VCPU_INFO + (vcpu & (SharedInfo.VCPUS - 1)) * SharedInfo.VCPU_INFO_SIZE;
  if (testAndSet(info + SharedInfo.PENDING_SEL, <u64>1 << (port >> 6))) return;
  const before = atomic.or<u8>(info + SharedInfo.UPCALL_PENDING, 1);
  if (before & 1) return;
  const record = domainRecord(b, slot);
  store<u32>(record, load<u32>(record, DomainRecord.UPCALLS) | <u32>1 << (vcpu & 31), DomainRecord.UPCALLS);
  count(b, Counter.EVENT_UPCALLS);
}

/** evtchn_2l_set_pending. Answers whether the bit was clear. */
export function eventSetPending(b: usize, slot: u32, port: u32): bool {
  const page = sharedInfo(b, slot);
  if (page == 0) return false;
  const word = <usize>(port >> 6) << 3;
  const bit = <u64>1 << (port & 63);
  if (testAndSet(page + SharedInfo.EVTCHN_PENDING + word, bit)) return false;
  count(b, Counter.EVENTS_SET);
  const record = domainRecord(b, slot);
  store<u64>(record, load<u64>(record, DomainRecord.EVENTS) + 1, DomainRecord.EVENTS);
  frameDirty(b, load<u32>(record, DomainRecord.SHARED_INFO));
  if ((load<u64>(page + SharedInfo.EVTCHN_MASK + word) & bit) == 0) {
    mark(b, slot, page, port, load<u8>(portRecord(b, slot, port), PortRecord.VCPU));
  }
  return true;
}

/** An event for one end of an interdomain channel: a port of the hypervisor's own takes it without a guest. */
function arrive(b: usize, slot: u32, port: u32): void {
  const record = portRecord(b, slot, port);
  const state = load<u8>(record, PortRecord.STATE);
  if (state & PortRecord.XEN) store<u8>(record, state | PortRecord.NOTIFIED, PortRecord.STATE);
  else eventSetPending(b, slot, port);
}

function refused(b: usize): i32 {
  count(b, Counter.EVENTS_REFUSED);
  return -XenErrno.EINVAL;
}

/** EVTCHNOP_send: 0, or -EINVAL for a port that cannot be sent on. On an unbound one the event is lost. */
export function evtchnSend(b: usize, dom: u32, port: u32): i32 {
  if (!domainPresent(b, dom)) return -XenErrno.ESRCH;
  hypercallCount(b, dom);
  count(b, Counter.EVENTS_SENT);
  if (!portValid(b, dom, port)) return refused(b);
  const record = portRecord(b, dom, port);
  if (load<u8>(record, PortRecord.STATE) & PortRecord.XEN) return refused(b);
  const state = portState(record);
  if (state == PortState.INTERDOMAIN) {
    const other = load<u32>(record, PortRecord.DATA);
    arrive(b, (other >> 16) & (Machine.DOMAINS - 1), other & (Evtchn.PORTS - 1));
  } else if (state == PortState.IPI) eventSetPending(b, dom, port);
  else if (state != PortState.UNBOUND) return refused(b);
  return 0;
}

/** The hypervisor's own side sends on a port that is its own: an ioreq server's say. */
export function eventFromXen(b: usize, slot: u32, port: u32): i32 {
  if (!domainPresent(b, slot) || !portValid(b, slot, port)) return -XenErrno.EINVAL;
  const record = portRecord(b, slot, port);
  if ((load<u8>(record, PortRecord.STATE) & PortRecord.XEN) == 0) return -XenErrno.EINVAL;
  if (portState(record) != PortState.INTERDOMAIN) return 0;
  const other = load<u32>(record, PortRecord.DATA);
  arrive(b, (other >> 16) & (Machine.DOMAINS - 1), other & (Evtchn.PORTS - 1));
  return 0;
}

/** EVTCHNOP_unmask: an event that came while the port was masked is announced now. */
export function evtchnUnmask(b: usize, dom: u32, port: u32): i32 {
  if (!domainPresent(b, dom)) return -XenErrno.ESRCH;
  hypercallCount(b, dom);
  if (!portValid(b, dom, port) || portState(portRecord(b, dom, port)) == PortState.CLOSED) return refused(b);
  const page = sharedInfo(b, dom);
  if (page == 0) return 0;
  const word = <usize>(port >> 6) << 3;
  const bit = <u64>1 << (port & 63);
  frameDirty(b, load<u32>(domainRecord(b, dom), DomainRecord.SHARED_INFO));
  if (testAndClear(page + SharedInfo.EVTCHN_MASK + word, bit)
    && (load<u64>(page + SharedInfo.EVTCHN_PENDING + word) & bit) != 0) {
    mark(b, dom, page, port, load<u8>(portRecord(b, dom, port), PortRecord.VCPU));
  }
  return 0;
}

/** Takes a pending bit, as a guest's handler does; answers whether it was set. */
export function eventTake(b: usize, dom: u32, port: u32): bool {
  if (!domainPresent(b, dom) || port >= <u32>Evtchn.PORTS) return false;
  const page = sharedInfo(b, dom);
  if (page == 0) return false;
  frameDirty(b, load<u32>(domainRecord(b, dom), DomainRecord.SHARED_INFO));
  return testAndClear(page + SharedInfo.EVTCHN_PENDING + (<usize>(port >> 6) << 3), <u64>1 << (port & 63));
}

/** A virtual interrupt for one vCPU (0 for those of a domain): dropped when nothing is bound. */
export function eventVirq(b: usize, slot: u32, virq: u32, vcpu: u32): bool {
  if (!domainPresent(b, slot) || virq >= <u32>Evtchn.VIRQS || vcpu >= <u32>SharedInfo.VCPUS) return false;
  const port = <u32>load<u16>(eventBlock(b, slot) + EventBlock.VIRQS + ((vcpu * <u32>Evtchn.VIRQS + virq) << 1));
  return port != 0 && eventSetPending(b, slot, port);
}

// ---- interrupts of devices

@inline
function linePtr(b: usize, line: u32): usize {
  return b + State.LINES + (line & (Machine.INTX_LINES - 1)) * StateSize.LINE_RECORD;
}

/** Raises an asserted line for all that have bound it, unless one of them has not ended the last time. */
function lineRaise(b: usize, line: u32): u32 {
  const record = linePtr(b, line);
  let bound = load<u64>(record, LineRecord.BOUND);
  if (bound == 0 || load<u64>(record, LineRecord.IN_FLIGHT) != 0 || !intxAsserted(b, line)) return 0;
  store<u64>(record, bound, LineRecord.IN_FLIGHT);
  let raised: u32 = 0;
  while (bound != 0) {
    const slot = <u32>ctz(bound);
    bound &= bound - 1;
    eventSetPending(b, slot, load<u16>(eventBlock(b, slot) + EventBlock.LINES + (line << 1)));
    raised++;
  }
  return raised;
}

/** PHYSDEVOP_eoi of an INTx line: still asserted, it is raised anew. 0, or -EINVAL when the domain has it not bound. */
export function lineEnd(b: usize, dom: u32, line: u32): i32 {
  if (!domainPresent(b, dom)) return -XenErrno.ESRCH;
  hypercallCount(b, dom);
  if (line >= <u32>Machine.INTX_LINES) return -XenErrno.EINVAL;
  const record = linePtr(b, line);
  const bit = <u64>1 << dom;
  if ((load<u64>(record, LineRecord.BOUND) & bit) == 0) return -XenErrno.EINVAL;
  store<u64>(record, load<u64>(record, LineRecord.IN_FLIGHT) & ~bit, LineRecord.IN_FLIGHT);
  lineRaise(b, line);
  return 0;
}

/** Turns what devices have sent and assert into events. 15:0 how many, 31:16 messages whose vector nobody has. */
export function interruptsDeliver(b: usize): u32 {
  let delivered: u32 = 0;
  let spurious: u32 = 0;
  for (let at = messagePop(b); at != 0; at = messagePop(b)) {
    const vector = load<u32>(b + at, Message.VECTOR) & 0xff;
    const record = b + State.VECTORS + vector * StateSize.VECTOR_RECORD;
    const slot = <u32>load<u16>(record, VectorRecord.SLOT);
    const port = <u32>load<u16>(record, VectorRecord.PORT);
    if (slot == 0 || port == 0) {
      spurious++;
      continue;
    }
    eventSetPending(b, slot - 1, port);
    delivered++;
  }
  for (let line: u32 = 0; line < <u32>Machine.INTX_LINES; line++) delivered += lineRaise(b, line);
  return delivered | spurious << 16;
}
