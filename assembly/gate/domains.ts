// Domains as the data plane sees them: a guest map, a port bitmap, and what was refused.
import { DomId, Machine, MapEntry } from '../spec/machine';
import { Status } from '../spec/status';
import { Counter } from '../spec/counters';
import { DomainFlag, DomainRecord, State, StateSize } from '../spec/state';
import { radixClear, radixGet, radixPageGive, radixPageTake, radixRemove, radixRoot, radixSet } from '../memory/radix';
import { lookasideDrop } from '../memory/lookaside';
import { count } from '../memory/state';

/** Radix pages that guest maps leave for the decode of BARs. */
const KEPT_FOR_BARS: u32 = 96;

@inline
export function domainRecord(b: usize, slot: u32): usize {
  return b + State.DOMAIN_TABLE + slot * StateSize.DOMAIN_RECORD;
}

@inline
export function domainPresent(b: usize, slot: u32): bool {
  return slot < <u32>Machine.DOMAINS && load<u32>(domainRecord(b, slot), DomainRecord.PRESENT) != 0;
}

/** A hypercall of a domain that is there. The machine's one OS plays the hypervisor itself: it makes none. */
@inline
export function hypercallCount(b: usize, slot: u32): void {
  const record = domainRecord(b, slot);
  if (load<u32>(record, DomainRecord.FLAGS) & DomainFlag.NATIVE) return;
  store<u64>(record, load<u64>(record, DomainRecord.HYPERCALLS) + 1, DomainRecord.HYPERCALLS);
  count(b, Counter.HYPERCALLS);
}

@inline
export function portBitmap(b: usize, slot: u32): usize {
  return b + load<u32>(b, State.POOL_PORT_BITMAPS) + slot * StateSize.PORT_BITMAP;
}

/** Makes a domain in an empty slot. It has no memory and no rights. */
export function domainCreate(b: usize, slot: u32, domid: u32, flags: u32): Status {
  if (slot >= load<u32>(b, State.DOMAIN_LIMIT) || domid >= <u32>DomId.IO) return Status.RANGE;
  const record = domainRecord(b, slot);
  if (load<u32>(record, DomainRecord.PRESENT) != 0) return Status.IN_USE;
  const root = radixPageTake(b);
  if (root == 0) return Status.FULL;
  memory.fill(record, 0, StateSize.DOMAIN_RECORD);
  memory.fill(portBitmap(b, slot), 0, StateSize.PORT_BITMAP);
  store<u32>(record, 1, DomainRecord.PRESENT);
  store<u32>(record, domid, DomainRecord.DOMID);
  store<u32>(record, flags, DomainRecord.FLAGS);
  store<u32>(record, root, DomainRecord.MAP_ROOT);
  return Status.OK;
}

export function domainDestroy(b: usize, slot: u32): Status {
  if (!domainPresent(b, slot)) return Status.ABSENT;
  lookasideDrop(b);
  const record = domainRecord(b, slot);
  const root = load<u32>(record, DomainRecord.MAP_ROOT);
  radixClear(b, radixRoot(b, root));
  radixPageGive(b, root);
  memory.fill(record, 0, StateSize.DOMAIN_RECORD);
  memory.fill(portBitmap(b, slot), 0, StateSize.PORT_BITMAP);
  return Status.OK;
}

/** Entry of the guest map for a guest page number (gfn of an HVM domain, va page of a PV one). */
@inline
export function guestMapGet(b: usize, slot: u32, page: u32): u32 {
  const root = load<u32>(domainRecord(b, slot), DomainRecord.MAP_ROOT);
  return root == 0 ? 0 : radixGet(b, radixRoot(b, root), page);
}

/** Writes an entry of the guest map; whoever calls has checked the right to it. */
export function guestMapSet(b: usize, slot: u32, page: u32, entry: u32): Status {
  if (!domainPresent(b, slot)) return Status.ABSENT;
  lookasideDrop(b);
  return radixSet(b, radixRoot(b, load<u32>(domainRecord(b, slot), DomainRecord.MAP_ROOT)), page, entry, KEPT_FOR_BARS);
}

/** Takes a frame of RAM out of the guest's map, wherever it is: it is about to change hands. */
export function guestMapForget(b: usize, slot: u32, mfn: u32): void {
  if (!domainPresent(b, slot)) return;
  lookasideDrop(b);
  const root = radixRoot(b, load<u32>(domainRecord(b, slot), DomainRecord.MAP_ROOT));
  radixRemove(b, root, ~(<u32>1 << MapEntry.WRITABLE_BIT), <u32>MapEntry.RAM << MapEntry.KIND_SHIFT | mfn);
}

/** Machine frame of a page of RAM of the guest, or MapEntry.MFN_MASK + 1 when there is none. */
@inline
export function guestRamMfn(b: usize, slot: u32, page: u32): u32 {
  const entry = guestMapGet(b, slot, page);
  return entry >> MapEntry.KIND_SHIFT == MapEntry.RAM ? entry & MapEntry.MFN_MASK : Machine.MFN_LIMIT;
}

/** Whether all of `width` ports from `port` on are the domain's. Bits may cross a byte. */
@inline
export function portsAllowed(b: usize, slot: u32, port: u32, width: u32): bool {
  if (port > 0x10000 - width) return false;
  const bitmap = portBitmap(b, slot);
  const wanted = ((<u32>1 << width) - 1) << (port & 7);
  const first = port >> 3;
  const have: u32 = first < <u32>StateSize.PORT_BITMAP - 1 ? load<u16>(bitmap + first) : load<u8>(bitmap + first);
  return (have & wanted) == wanted;
}

/** Gives or takes ports `first` to `first + number - 1`. */
export function portsSet(b: usize, slot: u32, first: u32, number: u32, allow: bool): Status {
  if (!domainPresent(b, slot)) return Status.ABSENT;
  if (<u64>first + number > 0x10000) return Status.RANGE;
  const bitmap = portBitmap(b, slot);
  for (let port = first; port < first + number; port++) {
    const ptr = bitmap + (port >> 3);
    const bit = <u8>1 << <u8>(port & 7);
    store<u8>(ptr, allow ? load<u8>(ptr) | bit : load<u8>(ptr) & ~bit);
  }
  return Status.OK;
}

/** Counts and records an access that the gate refused. */
export function accessRefused(b: usize, slot: u32, kind: u32, lo: u32, hi: u32): void {
  count(b, Counter.GUEST_REFUSED);
  if (slot >= <u32>Machine.DOMAINS) return;
  const record = domainRecord(b, slot);
  store<u64>(record, load<u64>(record, DomainRecord.REFUSED) + 1, DomainRecord.REFUSED);
  store<u32>(record, lo, DomainRecord.LAST_REFUSED_LO);
  store<u32>(record, hi, DomainRecord.LAST_REFUSED_HI);
  store<u32>(record, kind, DomainRecord.LAST_REFUSED_KIND);
}
