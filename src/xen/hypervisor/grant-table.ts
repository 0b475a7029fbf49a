// Grant tables (public/grant_table.h): the control plane. It owns the tables' frames, their size and version; entries
// are the guest's, and mapping and copying are the data plane's (assembly/ring/grant-*.ts).
import { DomId, MapEntry } from '../../../assembly/spec/machine';
import { ActiveGrant, FrameKind, GrantBlock, Maptrack, State, StateSize } from '../../../assembly/spec/state';
import { GntMap, GrantEntry, GrantOp, GrantStatus, Gtf } from '../../../assembly/spec/xen';
import { type Engine, grantBlockSize } from '../../engine/index';
import { CONTROL_DOMAIN, type Domain, type DomainTable } from './domain';
import { HypercallError } from './errors';
import type { FrameStock } from './frame-stock';

/** Statuses of one element, by the names of the header without GNTST_. */
export type GrantStatusName = 'okay' | 'general_error' | 'bad_domain' | 'bad_gntref' | 'bad_handle' | 'bad_virt_addr'
  | 'bad_dev_addr' | 'no_device_space' | 'permission_denied' | 'bad_page' | 'bad_copy_arg' | 'address_too_big' | 'eagain'
  | 'no_space';

export interface MapOptions {
  /** Guest address that the frame is to appear at; none for a device alone. */
  address?: number;
  ref: number;
  dom: number;
  readonly?: boolean;
  device?: boolean;
}

/** What a domain may lose or get by transfer and version changes: the hypervisor's memory side. */
export interface GrantMemory {
  /** Takes a page out of a PV domain, by its machine frame; false when it is none of its own, in use, or not to be given. */
  steal(domain: Domain, mfn: number): boolean;
  /** Puts a frame that is nobody's into a hole of the domain's P2M; false when there is none. */
  insert(domain: Domain, slot: number, mfn: number): boolean;
  hasHole(domain: Domain): boolean;
  /** Frees a frame that was stolen. */
  free(mfn: number): void;
}

const DEFAULT_FRAMES = 64;

export class GrantTables {
  readonly #engine: Engine;
  readonly #table: DomainTable;
  readonly #stock: FrameStock;
  readonly #memory: GrantMemory;

  constructor(engine: Engine, table: DomainTable, stock: FrameStock, memory: GrantMemory) {
    this.#engine = engine;
    this.#table = table;
    this.#stock = stock;
    this.#memory = memory;
  }

  // ---- a domain's block in the engine's state

  #block(domain: Domain): number {
    return this.#engine.word(State.POOL_GRANTS) + domain.slot * grantBlockSize(this.#limit);
  }

  get #limit(): number {
    return this.#engine.word(State.GRANT_FRAMES_LIMIT);
  }

  #word(domain: Domain, off: number): number {
    return this.#engine.word(this.#block(domain) + off);
  }

  #setWord(domain: Domain, off: number, value: number): void {
    this.#engine.setWord(this.#block(domain) + off, value);
  }

  #frameWord(index: number, status: boolean): number {
    return GrantBlock.FRAME_LIST + ((status ? this.#limit : 0) + index) * 4;
  }

  /** Machine frames of the table, or of its status frames. */
  frames(domain: Domain, status = false): number[] {
    const count = this.#word(domain, status ? GrantBlock.STATUS_FRAMES : GrantBlock.FRAMES);
    return Array.from({ length: count }, (_, index) => this.#word(domain, this.#frameWord(index, status)));
  }

  #view(mfn: number, off: number, length: number): DataView {
    const bytes = this.#engine.frame(mfn);
    return new DataView(bytes.buffer, bytes.byteOffset + off, length);
  }

  /** An entry of the table, which is within it. */
  #entry(domain: Domain, ref: number): DataView {
    const [size, count] = this.#word(domain, GrantBlock.VERSION) === 2
      ? [GrantEntry.V2_SIZE as number, GrantEntry.V2_PER_PAGE as number]
      : [GrantEntry.V1_SIZE as number, GrantEntry.V1_PER_PAGE as number];
    return this.#view(this.#word(domain, this.#frameWord(Math.floor(ref / count), false)), (ref % count) * size, size);
  }

  #status(domain: Domain, ref: number): DataView {
    const mfn = this.#word(domain, this.#frameWord(Math.floor(ref / GrantEntry.STATUS_PER_PAGE), true));
    return this.#view(mfn, (ref % GrantEntry.STATUS_PER_PAGE) * 2, 2);
  }

  /** References of the table as it is. */
  entries(domain: Domain): number {
    const perPage = this.#word(domain, GrantBlock.VERSION) === 2 ? GrantEntry.V2_PER_PAGE : GrantEntry.V1_PER_PAGE;
    return this.#word(domain, GrantBlock.FRAMES) * perPage;
  }

  /** A domain begins with one frame of grant table, as in Xen; the machine's one OS has none. */
  create(domain: Domain, maxFrames: number | undefined, maxMappings: number | undefined): void {
    const limit = this.#engine.word(State.MAPTRACK_LIMIT);
    const frames = maxFrames ?? Math.min(DEFAULT_FRAMES, this.#limit);
    if (this.#engine.exports.grantsCreate(domain.slot, frames, maxMappings ?? limit) !== 0) {
      throw new HypercallError('EINVAL', `a grant table of ${frames} frames and ${maxMappings} mappings is more than the `
        + `engine was created for (${this.#limit}, ${limit})`, { maxFrames, maxMappings });
    }
    if (frames > 0) this.#grow(domain, 1);
  }

  /** A domain ends: its mappings are released, its table's frames given back. */
  destroy(domain: Domain): void {
    const frames = [...this.frames(domain), ...this.frames(domain, true)];
    this.#engine.exports.grantsDestroy(domain.slot);
    for (const mfn of frames) this.#stock.giveFromXen(mfn);
  }

  #take(domain: Domain, kind: FrameKind): number | undefined {
    const mfn = this.#stock.takeForXen();
    if (mfn === undefined) return undefined;
    this.#engine.exports.frameAssign(mfn, domain.domid, kind);
    this.#engine.frame(mfn).fill(0);
    return mfn;
  }

  /** Grows the table, and in version 2 its status frames; false when frames run out, with what there was kept. */
  #grow(domain: Domain, frames: number): boolean {
    for (let index = this.#word(domain, GrantBlock.FRAMES); index < frames; index++) {
      if (this.#word(domain, GrantBlock.VERSION) === 2 && !this.#growStatus(domain, index + 1)) return false;
      const mfn = this.#take(domain, FrameKind.XEN_SHARED);
      if (mfn === undefined) return false;
      this.#setWord(domain, this.#frameWord(index, false), mfn);
      this.#setWord(domain, GrantBlock.FRAMES, index + 1);
    }
    return true;
  }

  #growStatus(domain: Domain, frames: number): boolean {
    const wanted = Math.ceil(frames * GrantEntry.V2_PER_PAGE / GrantEntry.STATUS_PER_PAGE);
    for (let index = this.#word(domain, GrantBlock.STATUS_FRAMES); index < wanted; index++) {
      const mfn = this.#take(domain, FrameKind.XEN_STATUS);
      if (mfn === undefined) return false;
      this.#setWord(domain, this.#frameWord(index, true), mfn);
      this.#setWord(domain, GrantBlock.STATUS_FRAMES, index + 1);
    }
    return true;
  }

  /** DOMID_SELF or an id, undefined for nobody; another's is the control domain's to ask about. */
  #target(caller: Domain, dom: number): Domain | undefined {
    return dom === DomId.SELF ? caller : this.#table.domains.find(({ domid }) => domid === dom);
  }

  #refusal(caller: Domain, target: Domain | undefined): GrantStatus | undefined {
    if (target === undefined) return GrantStatus.BAD_DOMAIN;
    return target !== caller && caller.domid !== CONTROL_DOMAIN ? GrantStatus.PERMISSION_DENIED : undefined;
  }

  // ---- grant_table_op

  /** GNTTABOP_setup_table: the table has so many frames now; PV guests map them by these numbers. */
  setupTable(domid: number, dom: number, frames: number): { status: GrantStatusName; frames: number[] } {
    const caller = this.#table.domain(domid);
    const target = this.#target(caller, dom);
    const refusal = this.#refusal(caller, target);
    if (refusal !== undefined) return { status: grantStatusName(-refusal), frames: [] };
    const owner = target as Domain;
    if (frames > this.#word(owner, GrantBlock.MAX_FRAMES) || !this.#grow(owner, frames)) {
      return { status: 'general_error', frames: [] };
    }
    return { status: 'okay', frames: this.frames(owner).slice(0, frames) };
  }

  querySize(domid: number, dom: number): { status: GrantStatusName; frames: number; maxFrames: number } {
    const caller = this.#table.domain(domid);
    const target = this.#target(caller, dom);
    const refusal = this.#refusal(caller, target);
    if (refusal !== undefined) return { status: grantStatusName(-refusal), frames: 0, maxFrames: 0 };
    const owner = target as Domain;
    return { status: 'okay', frames: this.#word(owner, GrantBlock.FRAMES), maxFrames: this.#word(owner, GrantBlock.MAX_FRAMES) };
  }

  /** GNTTABOP_get_status_frames: version 2 only. */
  statusFrames(domid: number, dom: number, count: number): { status: GrantStatusName; frames: number[] } {
    const caller = this.#table.domain(domid);
    const target = this.#target(caller, dom);
    const refusal = this.#refusal(caller, target);
    if (refusal !== undefined) return { status: grantStatusName(-refusal), frames: [] };
    const frames = this.frames(target as Domain, true);
    return count > frames.length ? { status: 'general_error', frames: [] } : { status: 'okay', frames: frames.slice(0, count) };
  }

  /** GNTTABOP_get_version. */
  version(domid: number, dom: number = DomId.SELF): number {
    const caller = this.#table.domain(domid);
    const target = dom === DomId.SELF ? caller : this.#table.domain(dom);
    if (target !== caller && domid !== CONTROL_DOMAIN) {
      throw new HypercallError('EPERM', `domain ${domid} may not ask about domain ${dom}`, { domid, dom });
    }
    return this.#word(target, GrantBlock.VERSION);
  }

  /**
   * GNTTABOP_set_version. EINVAL for another than 1 and 2, EBUSY while a grant from 8 on is in use. References 0 to 7
   * are kept: from 2 to 1 only if version 1 can say them (ERANGE, EINVAL else).
   */
  setVersion(domid: number, version: number): void {
    const domain = this.#table.domain(domid);
    const old = this.#word(domain, GrantBlock.VERSION);
    if ((version !== 1 && version !== 2) || old === 0) {
      throw new HypercallError('EINVAL', `there is no version ${version} of grant tables`, { version });
    }
    if (old === version) return;
    if (this.#engine.exports.grantsPinned(domain.slot, GrantEntry.RESERVED) !== 0) {
      throw new HypercallError('EBUSY', `grants of domain ${domid} are in use`, { domid });
    }
    const frames = this.#word(domain, GrantBlock.FRAMES);
    const reserved = frames === 0 ? [] : this.#reserved(domain, old);
    if (version === 2) {
      this.#setWord(domain, GrantBlock.STATUS_FRAMES, 0);
      if (!this.#growStatus(domain, frames)) {
        this.#dropStatus(domain);
        throw new HypercallError('ENOMEM', 'no frame is left for the status of grants', { domid });
      }
    }
    for (const mfn of this.frames(domain)) this.#engine.frame(mfn).fill(0);
    this.#setWord(domain, GrantBlock.VERSION, version);
    reserved.forEach(({ flags, dom, frame }, ref) => {
      const entry = this.#entry(domain, ref);
      const marks = flags & (Gtf.READING | Gtf.WRITING);
      entry.setUint16(GrantEntry.DOMID, dom, true);
      if (version === 2) {
        entry.setUint32(GrantEntry.V2_FRAME, frame, true);
        entry.setUint16(GrantEntry.FLAGS, flags & ~marks, true);
        this.#status(domain, ref).setUint16(0, marks, true);
      } else {
        entry.setUint32(GrantEntry.V1_FRAME, frame, true);
        entry.setUint16(GrantEntry.FLAGS, flags, true);
      }
    });
    if (version === 1) this.#dropStatus(domain);
  }

  /** Entries 0 to 7, read once. */
  #reserved(domain: Domain, version: number): Array<{ flags: number; dom: number; frame: number }> {
    return Array.from({ length: GrantEntry.RESERVED }, (_, ref) => {
      const entry = this.#entry(domain, ref);
      const [flags, dom] = [entry.getUint16(GrantEntry.FLAGS, true), entry.getUint16(GrantEntry.DOMID, true)];
      if (version === 1) return { flags, dom, frame: entry.getUint32(GrantEntry.V1_FRAME, true) };
      const type = flags & Gtf.TYPE_MASK;
      const [frame, high] = [entry.getUint32(GrantEntry.V2_FRAME, true), entry.getUint32(GrantEntry.V2_FRAME + 4, true)];
      if (type === Gtf.TRANSITIVE || type === Gtf.ACCEPT_TRANSFER) {
        throw new HypercallError('EINVAL', `reference ${ref} is of a type that version 1 has not`, { ref, flags });
      }
      if (type === Gtf.PERMIT_ACCESS && (high !== 0 || (flags & Gtf.SUB_PAGE) !== 0)) {
        throw new HypercallError('ERANGE', `reference ${ref} is part of a page, or of a frame beyond 32 bits`, { ref, flags });
      }
      const marks = this.#status(domain, ref).getUint16(0, true);
      return { flags: type === Gtf.INVALID ? 0 : flags | marks, dom, frame };
    });
  }

  #dropStatus(domain: Domain): void {
    for (const mfn of this.frames(domain, true)) {
      // a guest that had them mapped has them no more
      this.#engine.exports.guestMapForget(domain.slot, mfn);
      this.#stock.giveFromXen(mfn);
    }
    this.#setWord(domain, GrantBlock.STATUS_FRAMES, 0);
  }

  /** GNTTABOP_swap_grant_ref: eagain while either is in use. */
  swap(domid: number, a: number, b: number): GrantStatusName {
    const domain = this.#table.domain(domid);
    if (a >= this.entries(domain) || b >= this.entries(domain)) return 'bad_gntref';
    if (a === b) return 'okay';
    if (this.inUse(domain, a) || this.inUse(domain, b)) return 'eagain';
    const [one, other] = [this.#entry(domain, a), this.#entry(domain, b)];
    for (let off = 0; off < one.byteLength; off += 4) {
      const word = one.getUint32(off, true);
      one.setUint32(off, other.getUint32(off, true), true);
      other.setUint32(off, word, true);
    }
    return 'okay';
  }

  /** Whether a grant is mapped by somebody. */
  inUse(domain: Domain, ref: number): boolean {
    const limit = this.#limit;
    const off = GrantBlock.FRAME_LIST + (limit + Math.ceil(limit / 8) + ref) * 4;
    return ref < this.entries(domain) && this.#word(domain, off) !== 0;
  }

  /**
   * XENMEM_add_to_physmap, space grant_table: a frame of the table (bit 31 of `index`: a status frame) at a page of an
   * HVM guest. A frame beyond the table makes it grow.
   */
  addToPhysmap(domid: number, index: number, page: number): void {
    const domain = this.#table.domain(domid);
    const status = index >>> 31 === 1;
    const number = index & 0x7fffffff;
    if (!status && number < this.#word(domain, GrantBlock.MAX_FRAMES)) this.#grow(domain, number + 1);
    const mfn = this.frames(domain, status)[number];
    if (mfn === undefined) throw new HypercallError('EINVAL', `domain ${domid} has no ${status ? 'status' : 'grant'} frame ${number}`, { index });
    const entry = (MapEntry.RAM << MapEntry.KIND_SHIFT | (status ? 0 : 1) << MapEntry.WRITABLE_BIT | mfn) >>> 0;
    if (this.#engine.exports.guestMapSet(domain.slot, page, entry) !== 0) {
      throw new HypercallError('ENOMEM', `page 0x${page.toString(16)} cannot be mapped`, { page });
    }
  }

  /** GNTTABOP_map_grant_ref, one element. */
  map(domid: number, { address, ref, dom, readonly = false, device = false }: MapOptions):
  { status: GrantStatusName; handle: number; mfn: number } {
    const flags = (address === undefined ? 0 : GntMap.HOST_MAP) | (device ? GntMap.DEVICE_MAP : 0) | (readonly ? GntMap.READONLY : 0);
    const [lo, hi] = halves(address ?? 0);
    const status = this.#engine.exports.grantMap(this.#table.domain(domid).slot, lo, hi, flags, ref, dom);
    const [handle, mfn] = [this.#engine.word(State.GRANT_HANDLE), this.#engine.word(State.GRANT_MFN)];
    return { status: grantStatusName(status), handle: status === 0 ? handle : 0, mfn: status === 0 ? mfn : 0 };
  }

  /** GNTTABOP_unmap_grant_ref, one element. `bus` is the machine address, for a mapping with a device part. */
  unmap(domid: number, { address = 0, bus = 0, handle }: { address?: number; bus?: number; handle: number }): GrantStatusName {
    const [slot, host, device] = [this.#table.domain(domid).slot, halves(address), halves(bus)];
    const status = this.#engine.exports.grantUnmap(slot, ...host, ...device, handle);
    this.#stock.reap();
    return grantStatusName(status);
  }

  /** A batch of map, unmap, unmap_and_replace or copy at a guest address: 0 or a negative errno. */
  batch(domid: number, cmd: number, address: number, count: number): number {
    const result = this.#engine.exports.grantTableOp(this.#table.domain(domid).slot, cmd, ...halves(address), count);
    if (cmd === GrantOp.UNMAP_GRANT_REF || cmd === GrantOp.UNMAP_AND_REPLACE) this.#stock.reap();
    return result;
  }

  /**
   * GNTTABOP_transfer: gives a page away for good. It leaves the caller whatever becomes of it, but for bad_page. The
   * receiver has an accept_transfer entry that names the caller, and a hole in its P2M.
   */
  transfer(domid: number, mfn: number, dom: number, ref: number): GrantStatusName {
    const caller = this.#table.domain(domid);
    if (!this.#memory.steal(caller, mfn)) return 'bad_page';
    const target = this.#table.domains.find((domain) => domain.domid === dom);
    const entry = target && this.#memory.hasHole(target) ? this.#commit(target, ref, domid) : undefined;
    if (target === undefined || entry === undefined) {
      this.#memory.free(mfn);
      return target === undefined ? 'bad_domain' : 'general_error';
    }
    const second = entry.byteLength === GrantEntry.V2_SIZE;
    const off = second ? GrantEntry.V2_FRAME : GrantEntry.V1_FRAME;
    const wanted = second && entry.getUint32(off + 4, true) !== 0 ? -1 : entry.getUint32(off, true);
    if (!this.#memory.insert(target, wanted, mfn)) {
      this.#memory.free(mfn);
      return 'general_error';
    }
    entry.setUint32(off, mfn, true);
    if (second) entry.setUint32(off + 4, 0, true);
    entry.setUint16(GrantEntry.FLAGS, entry.getUint16(GrantEntry.FLAGS, true) | Gtf.TRANSFER_COMPLETED, true);
    return 'okay';
  }

  /** Marks an accept_transfer entry as committed; undefined when it is none for this giver. */
  #commit(target: Domain, ref: number, giver: number): DataView | undefined {
    if (!(ref >= 0 && ref < this.entries(target))) return undefined;
    const entry = this.#entry(target, ref);
    const head = entry.getUint32(GrantEntry.FLAGS, true);
    // the whole of the flags: one that is committed or completed is not taken twice
    if ((head & 0xffff) !== Gtf.ACCEPT_TRANSFER || head >>> 16 !== giver) return undefined;
    entry.setUint16(GrantEntry.FLAGS, Gtf.ACCEPT_TRANSFER | Gtf.TRANSFER_COMMITTED, true);
    return entry;
  }

  /** A PV domain's IO tables have come (slot) or gone (undefined): its mappings of others follow. */
  setIoDomain(domain: Domain, slot: number | undefined): void {
    if (this.#word(domain, GrantBlock.VERSION) === 0) return;
    this.#setWord(domain, GrantBlock.IO_DOMAIN, slot === undefined ? 0 : slot + 1);
    if (slot === undefined || this.#engine.exports.grantsIoFill(domain.slot) === 0) return;
    throw new HypercallError('ENOMEM', `the frames for IOMMU tables ran out at domain ${domain.domid}'s grants`, { domid: domain.domid });
  }

  /** Mappings of others' grants that a domain has. */
  mapped(domain: Domain): Array<{ handle: number; ref: number; mfn: number }> {
    const limit = this.#engine.word(State.MAPTRACK_LIMIT);
    const first = this.#engine.word(State.POOL_MAPTRACK) + domain.slot * limit * StateSize.MAPTRACK_ENTRY;
    const found: Array<{ handle: number; ref: number; mfn: number }> = [];
    for (let handle = 0; handle < this.#word(domain, GrantBlock.MAX_HANDLES); handle++) {
      const track = first + handle * StateSize.MAPTRACK_ENTRY;
      const index = this.#engine.word(track + Maptrack.ACTIVE);
      if (index === 0) continue;
      const active = this.#engine.word(State.POOL_ACTIVE) + (index - 1) * StateSize.ACTIVE_GRANT;
      found.push({ handle, ref: this.#engine.word(track + Maptrack.REF), mfn: this.#engine.word(active + ActiveGrant.MFN) });
    }
    return found;
  }

  refsInUse(domain: Domain): number[] {
    return Array.from({ length: this.entries(domain) }, (_, ref) => ref).filter((ref) => this.inUse(domain, ref));
  }
}

const STATUS_NAMES: readonly GrantStatusName[] = [
  'okay', 'general_error', 'bad_domain', 'bad_gntref', 'bad_handle', 'bad_virt_addr', 'bad_dev_addr', 'no_device_space',
  'permission_denied', 'bad_page', 'bad_copy_arg', 'address_too_big', 'eagain', 'no_space',
];

/** Name of a status as it stands in an element: 0 or negative. */
export function grantStatusName(status: number): GrantStatusName {
  return STATUS_NAMES[-status] ?? 'general_error';
}

/** A status as it stands in an element. */
export function grantStatusNumber(name: GrantStatusName): number {
  return -STATUS_NAMES.indexOf(name);
}

function halves(address: number): [lo: number, hi: number] {
  return [address >>> 0, Math.floor(address / 2 ** 32)];
}
