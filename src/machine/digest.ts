// Everything that somebody could forget to give back, as plain data with a hash for each section. Two digests of one
// machine, before and after something that ought to leave nothing behind, are equal; `difference` names what is not.
import { DomId, Machine as Fixed, MapEntry } from '../../assembly/spec/machine';
import {
  BarRecord, DecodeEntry, DevicePage, DomainRecord, FrameKind, FrameRecord, FunctionRecord, IoDomainRecord, Message,
  Messages, Model, PortEntry, State, StateSize,
} from '../../assembly/spec/state';
import { VtdPte } from '../../assembly/spec/vtd';
import { type Engine, hashText } from '../engine/index';
import { bdfOf, formatBdf } from '../pci/bdf';
import type { PciCore } from '../xen/dom0/pci-core';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import type { Scheduler } from '../xen/schedule/scheduler';
import type { Xenstored } from '../xen/xenstore/daemon';
import { countStore, dumpStore } from '../xen/xenstore/dump';

export const DIGEST_SECTIONS = [
  'domains', 'frames', 'holds', 'rights', 'ports', 'decode', 'guestMaps', 'mappings', 'contexts', 'config',
  'interrupts', 'events', 'grants', 'pools', 'store', 'kernels',
] as const;

export type DigestSectionName = (typeof DIGEST_SECTIONS)[number];

export interface DigestSection {
  hash: string;
  /** What there is, by name. What is free, empty or zero is left out. */
  entries: Record<string, string>;
}

export type Digest = Record<DigestSectionName, DigestSection>;

type Entries = Map<string, string>;

const PAGE_BITS = 12;
const hex = (value: number): string => `0x${value.toString(16)}`;

/** Numbers as ranges: 1-3, 7. */
function ranges(numbers: Iterable<number>): string {
  const runs: Array<[number, number]> = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return rangeText(runs);
}

function rangeText(runs: ReadonlyArray<readonly [number, number]>): string {
  return runs.map(([first, last]) => (first === last ? hex(first) : `${hex(first)}-${hex(last)}`)).join(' ');
}

function recordOf(fn: number): number {
  return State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD;
}

class Reader {
  readonly engine: Engine;
  readonly #pages: number;

  constructor(engine: Engine) {
    this.engine = engine;
    this.#pages = engine.word(State.POOL_PAGES);
  }

  word(off: number): number {
    return this.engine.word(off);
  }

  half(off: number): number {
    return this.engine.view.getUint16(this.engine.base + off, true);
  }

  /** Every entry of a radix tree whose root table is at `root`. */
  * radix(root: number): Generator<[key: number, entry: number]> {
    const page = (index: number): number => this.#pages + (index - 1) * StateSize.RADIX_PAGE;
    for (let i = 0; i < 256; i++) {
      const mid = this.word(root + 4 * i);
      if (mid === 0) continue;
      for (let j = 0; j < 1024; j++) {
        const leaf = this.word(page(mid) + 4 * j);
        if (leaf === 0) continue;
        for (let k = 0; k < 1024; k++) {
          const entry = this.word(page(leaf) + 4 * k);
          if (entry !== 0) yield [(i * 1024 + j) * 1024 + k, entry];
        }
      }
    }
  }

  radixPage(index: number): number {
    return this.#pages + (index - 1) * StateSize.RADIX_PAGE;
  }

  function(fn: number): string {
    const routing = this.word(recordOf(fn) + FunctionRecord.BDF);
    return fn === 0 ? 'IOMMU' : formatBdf(bdfOf(routing));
  }

  /** Slots of the functions that there are. */
  functions(): number[] {
    return Array.from({ length: Fixed.FUNCTIONS }, (_, fn) => fn)
      .filter((fn) => this.word(recordOf(fn) + FunctionRecord.MODEL) !== Model.NONE);
  }
}

function owner(domid: number): string {
  return domid === DomId.NONE ? 'nobody' : domid === DomId.XEN ? 'the hypervisor' : `domain ${domid}`;
}

const KIND_NAMES: Record<number, string> = {
  [FrameKind.XEN_TABLE]: ', table', [FrameKind.XEN_SHARED]: ', grant table', [FrameKind.XEN_STATUS]: ', status of grants',
};

function frames(reader: Reader, owners: Entries, holds: Entries): void {
  const pool = reader.word(State.POOL_FRAMES);
  for (let mfn = 0; mfn < reader.engine.frames; mfn++) {
    const record = pool + mfn * StateSize.FRAME_RECORD;
    const word = reader.word(record);
    const [domid, kind] = [word & 0xffff, word >>> 16];
    if (domid !== DomId.NONE || kind !== FrameKind.RAM) {
      owners.set(`frame ${hex(mfn)}`, `${owner(domid)}${KIND_NAMES[kind] ?? ''}`);
    }
    const refs = reader.word(record + FrameRecord.REFS);
    if (refs !== 0) holds.set(`frame ${hex(mfn)}`, `${refs} mapping${refs === 1 ? '' : 's'}`);
  }
}

function rights(hypervisor: Hypervisor, entries: Entries): void {
  for (const { domid, iomem, ioport, irq } of hypervisor.domains) {
    for (const [name, set] of [['I/O memory', iomem], ['ports', ioport], ['interrupts', irq]] as const) {
      for (const run of set.ranges) entries.set(`domain ${domid} ${name} ${rangeText([run])}`, 'allowed');
    }
  }
}

/** What the engine lets through, which is to follow the rights. */
function ports(reader: Reader, hypervisor: Hypervisor, entries: Entries): void {
  const pool = reader.word(State.POOL_PORT_BITMAPS);
  const domids = new Map(hypervisor.domains.map(({ slot, domid }) => [slot, domid]));
  for (let slot = 0; slot < reader.word(State.DOMAIN_LIMIT); slot++) {
    const bitmap = reader.engine.stateBytes(pool + slot * StateSize.PORT_BITMAP, StateSize.PORT_BITMAP);
    const open: number[] = [];
    bitmap.forEach((byte, at) => {
      if (byte === 0) return;
      for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) open.push(at * 8 + bit);
    });
    const domid = domids.get(slot);
    const name = domid === undefined ? `slot ${slot}, which no domain has` : `domain ${domid}`;
    if (open.length > 0) entries.set(name, ranges(open));
  }
}

function decode(reader: Reader, entries: Entries): void {
  const barName = (id: number): string => `BAR ${id % Fixed.BARS} of ${reader.function(Math.floor(id / Fixed.BARS))}`;
  for (const [mfn, entry] of reader.radix(State.MMIO_ROOT)) {
    const index = entry & DecodeEntry.INDEX_MASK;
    if (entry >>> DecodeEntry.KIND_SHIFT === DecodeEntry.SHARED) {
      entries.set(`frame ${hex(mfn)}`, `shared, first ${barName(index)}`);
      continue;
    }
    const fn = reader.half(index * 16 + DevicePage.FUNCTION);
    const bar = reader.half(index * 16 + DevicePage.BAR) & 0xff;
    const first = reader.word(recordOf(fn) + FunctionRecord.BARS + bar * BarRecord.SIZE_OF + BarRecord.PAGES);
    entries.set(`frame ${hex(mfn)}`, `page ${index - first / 16} of BAR ${bar} of ${reader.function(fn)}`);
  }
  const pool = reader.word(State.POOL_PORTS);
  for (let i = 0; i < 16384; i++) {
    const holder = reader.half(pool + 2 * i);
    if (holder === PortEntry.NONE) continue;
    const text = holder === PortEntry.CONFIG_ADDRESS ? 'config address'
      : holder === PortEntry.CONFIG_DATA ? 'config data' : barName(holder - 1);
    entries.set(`ports ${hex(4 * i)}`, text);
  }
}

function guestMaps(reader: Reader, hypervisor: Hypervisor, entries: Entries): void {
  for (const { slot, domid } of hypervisor.domains) {
    const root = reader.word(State.DOMAIN_TABLE + slot * StateSize.DOMAIN_RECORD + DomainRecord.MAP_ROOT);
    for (const [page, entry] of reader.radix(reader.radixPage(root))) {
      const kind = entry >>> MapEntry.KIND_SHIFT === MapEntry.RAM ? 'frame' : 'I/O frame';
      const writable = (entry >>> MapEntry.WRITABLE_BIT) & 1;
      const text = `${kind} ${hex(entry & MapEntry.MFN_MASK)}${writable ? '' : ', read-only'}`;
      entries.set(`domain ${domid} page ${hex(page)}`, text);
    }
  }
}

/** Leaves of every IO domain's tables. */
function mappings(reader: Reader, entries: Entries): void {
  const { engine } = reader;
  const frameOf = (low: number, high: number): number => (high & 0xff) * 2 ** 20 + (low >>> PAGE_BITS);
  const walk = (name: string, table: number, level: number, page: number): void => {
    if (engine.exports.framePtr(table) === 0) {
      entries.set(`${name} table at page ${hex(page)}`, `frame ${hex(table)}, which is not RAM`);
      return;
    }
    const bytes = engine.frame(table);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const span = 512 ** (level - 1);
    for (let i = 0; i < 512; i++) {
      const [low, high] = [view.getUint32(8 * i, true), view.getUint32(8 * i + 4, true)];
      if ((low & 3) === 0) continue;
      if (level > 1 && (low & VtdPte.SP) === 0) {
        walk(name, frameOf(low, high), level - 1, page + i * span);
        continue;
      }
      const right = ['', 'read', 'write', 'read and write'][low & 3] as string;
      const text = `frame ${hex(frameOf(low, high))}, ${right}${span > 1 ? `, ${span} pages` : ''}`;
      entries.set(`${name} page ${hex(page + i * span)}`, text);
    }
  };
  for (let slot = 0; slot < Fixed.IO_DOMAINS; slot++) {
    const record = State.IO_DOMAIN_TABLE + slot * StateSize.IO_DOMAIN_RECORD;
    if (reader.word(record + IoDomainRecord.PRESENT) === 0) continue;
    const [did, domid] = [reader.word(record + IoDomainRecord.DID), reader.word(record + IoDomainRecord.OWNER)];
    const name = `IO domain ${did} of domain ${domid}`;
    entries.set(name, 'present');
    walk(name, reader.word(record + IoDomainRecord.ROOT_MFN), reader.word(record + IoDomainRecord.LEVELS), 0);
  }
}

/** Context entries that are present, and entries of the interrupt-remap table. */
function contexts(reader: Reader, hypervisor: Hypervisor, entries: Entries, interrupts: Entries): void {
  const iommu = hypervisor.iommu?.save();
  if (iommu === undefined) return;
  const words = (mfn: number, index: number): string | undefined => {
    const bytes = reader.engine.frame(mfn);
    const view = new DataView(bytes.buffer, bytes.byteOffset + index * 16, 16);
    const all = [12, 8, 4, 0].map((off) => view.getUint32(off, true));
    if (all.every((word) => word === 0)) return undefined;
    return all.map((word) => word.toString(16).padStart(8, '0')).join(' ');
  };
  for (const [bus, mfn] of iommu.contexts) {
    for (let devfn = 0; devfn < 256; devfn++) {
      const text = words(mfn, devfn);
      if (text !== undefined) entries.set(formatBdf(bdfOf(bus << 8 | devfn)), text);
    }
  }
  for (let index = 0; index < 256; index++) {
    const text = words(iommu.interrupts, index);
    // an entry that is not present is free, whatever is left in it
    const present = text !== undefined && (Number.parseInt(text.slice(-8), 16) & 1) !== 0;
    if (present) interrupts.set(`remap entry ${index}`, text);
  }
  for (const [index, requester] of iommu.interruptOwners) {
    interrupts.set(`remap entry ${index} is`, formatBdf(bdfOf(requester)));
  }
}

function config(reader: Reader, entries: Entries): void {
  for (const fn of reader.functions()) {
    const record = recordOf(fn);
    const at = reader.word(record + FunctionRecord.CONFIG);
    for (let off = 0; off < reader.word(record + FunctionRecord.CONFIG_SIZE); off += 4) {
      const value = reader.word(at + off);
      if (value !== 0) entries.set(`${reader.function(fn)} ${hex(off)}`, value.toString(16).padStart(8, '0'));
    }
  }
}

function interrupts(reader: Reader, hypervisor: Hypervisor, entries: Entries): void {
  for (let line = 0; line < Fixed.INTX_LINES; line++) {
    const [low, high] = [reader.word(State.INTX + 8 * line), reader.word(State.INTX + 8 * line + 4)];
    for (let fn = 0; fn < Fixed.FUNCTIONS; fn++) {
      if (((fn < 32 ? low : high) >>> (fn & 31) & 1) === 0) continue;
      entries.set(`line ${line} asserted by ${reader.function(fn)}`, 'asserted');
    }
  }
  const tail = reader.word(State.MESSAGES + Messages.TAIL);
  for (let at = reader.word(State.MESSAGES + Messages.HEAD), i = 0; at !== tail; at = (at + 1) >>> 0, i++) {
    const record = State.MESSAGES + Messages.ENTRIES + (at & (StateSize.MESSAGES - 1)) * StateSize.MESSAGE;
    const vector = reader.word(record + Message.VECTOR) & 0xff;
    const source = reader.word(record + Message.SOURCE) & 0xffff;
    entries.set(`message ${i}`, `vector ${hex(vector)} from ${hex(source)}`);
  }
  for (const fn of reader.functions()) {
    const pending = recordOf(fn) + FunctionRecord.PENDING;
    const [low, high] = [reader.word(pending), reader.word(pending + 4)];
    if (low === 0 && high === 0) continue;
    entries.set(`${reader.function(fn)} vectors pending`, `${high.toString(16)} ${low.toString(16)}`);
  }
  for (const { vector, domid, port, routing } of hypervisor.vectors) {
    entries.set(`vector ${hex(vector)}`, `domain ${domid}, event ${port}, from ${formatBdf(bdfOf(routing))}`);
  }
  numbers(hypervisor, entries);
}

/** Which interrupt each domain's numbers are, and whose MSI-X tables are kept from being written. */
function numbers(hypervisor: Hypervisor, entries: Entries): void {
  for (const { domid, pirqs } of hypervisor.domains) {
    for (const [pirq, line] of pirqs) entries.set(`domain ${domid} interrupt ${pirq}`, `host interrupt ${line}`);
  }
  for (const { vector, domid, pirq, irq, message } of hypervisor.messages.list()) {
    const entry = message?.entry === undefined ? '' : `, entry ${message.entry}`;
    entries.set(`domain ${domid} interrupt ${pirq}`, `host interrupt ${irq}, vector ${hex(vector)}${entry}`);
  }
  for (const [routing, { frames: mfns }] of hypervisor.messages.prepared()) {
    entries.set(`vector table of ${formatBdf(bdfOf(routing))}`, `prepared, frames ${ranges(mfns)}`);
  }
}

/** Ports that are open, and INTx lines that are bound. */
function events(hypervisor: Hypervisor, entries: Entries): void {
  for (const domain of hypervisor.domains) {
    for (const [port, text] of hypervisor.events.open(domain)) entries.set(`domain ${domain.domid} port ${port}`, text);
  }
}

/** Tables, grants in use, and mappings of others' grants. */
function grants(hypervisor: Hypervisor, entries: Entries): void {
  for (const domain of hypervisor.domains) {
    if (domain.kind === 'native') continue;
    const name = `domain ${domain.domid}`;
    const table = [hypervisor.grants.frames(domain), hypervisor.grants.frames(domain, true)];
    entries.set(`${name} table`, table.map((mfns) => ranges(mfns)).join(', status '));
    for (const { handle, ref, mfn } of hypervisor.grants.mapped(domain)) {
      entries.set(`${name} handle ${handle}`, `reference ${ref}, frame ${hex(mfn)}`);
    }
    for (const ref of hypervisor.grants.refsInUse(domain)) entries.set(`${name} reference ${ref}`, 'in use');
  }
}

/** What is left in each pool. */
function pools(reader: Reader, hypervisor: Hypervisor, entries: Entries): void {
  const { engine } = reader;
  entries.set('radix pages free', String(reader.word(State.PAGES_FREE)));
  entries.set('frames for IOMMU tables free', String(reader.word(State.TABLE_FRAMES_FREE)));
  entries.set('frames free', String(hypervisor.freePages));
  entries.set('frames held of domains that are no more', String(hypervisor.heldPages));
  entries.set('heap bytes free', String(engine.heap.free.reduce((sum, { size }) => sum + size, 0)));
  entries.set('functions', String(reader.functions().length));
}

function domains(hypervisor: Hypervisor, entries: Entries): void {
  for (const { domid, name, kind, p2m, io, assigned, slot, pauses, shutdown } of hypervisor.domains) {
    entries.set(`domain ${domid}`, `"${name}", ${kind}, slot ${slot}, ${p2m.length} pages`);
    if (io !== undefined) entries.set(`domain ${domid} DMA`, `${io.translation}, id ${io.did}`);
    for (const routing of assigned) entries.set(`domain ${domid} has ${formatBdf(bdfOf(routing))}`, 'assigned');
    if (pauses > 0) entries.set(`domain ${domid} pauses`, String(pauses));
    if (shutdown !== undefined) entries.set(`domain ${domid} shutdown`, shutdown);
  }
  for (const routing of hypervisor.devices.all) {
    if (hypervisor.ownerOf(routing) === DomId.IO) entries.set(`quarantine has ${formatBdf(bdfOf(routing))}`, 'assigned');
    if (hypervisor.devices.isMarked(routing)) entries.set(`${formatBdf(bdfOf(routing))} goes to quarantine`, 'yes');
  }
}

/** Nodes of the store, and what its clients have there. */
function store({ state }: Xenstored, entries: Entries): void {
  for (const line of dumpStore(state).split('\n')) {
    const at = line.indexOf(' ');
    if (at > 0) entries.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  for (const [name, count] of Object.entries(countStore(state))) entries.set(`number of ${name}`, String(count));
}

/** Who waits for what in the first domain and the others. */
function kernels({ store: { state }, scheduler, core }: ControlPlane, entries: Entries): void {
  const watches = new Map<string, number>();
  for (const { domid, watches: own } of state.connections) {
    for (const { path } of own) {
      const name = `domain ${domid} watches ${path}`;
      watches.set(name, (watches.get(name) ?? 0) + 1);
    }
  }
  for (const [name, count] of watches) entries.set(name, String(count));
  for (const { name, domid } of scheduler.jobs()) entries.set(`job ${name} of domain ${domid}`, 'waits');
  for (const { name, driver, override } of core.devices) {
    entries.set(`driver of ${name}`, driver ?? 'none');
    if (override !== undefined) entries.set(`driver_override of ${name}`, override);
  }
}

/** What of the control plane is looked at, when it runs. */
export interface ControlPlane {
  readonly store: Xenstored;
  readonly scheduler: Pick<Scheduler, 'jobs'>;
  readonly core: Pick<PciCore, 'devices'>;
}

/** One pass over everything. */
export function machineDigest(engine: Engine, hypervisor: Hypervisor, plane?: ControlPlane): Digest {
  const reader = new Reader(engine);
  const empty = DIGEST_SECTIONS.map((name) => [name, new Map()] as const);
  const sections = Object.fromEntries(empty) as Record<DigestSectionName, Entries>;
  domains(hypervisor, sections.domains);
  frames(reader, sections.frames, sections.holds);
  rights(hypervisor, sections.rights);
  ports(reader, hypervisor, sections.ports);
  decode(reader, sections.decode);
  guestMaps(reader, hypervisor, sections.guestMaps);
  mappings(reader, sections.mappings);
  contexts(reader, hypervisor, sections.contexts, sections.interrupts);
  config(reader, sections.config);
  interrupts(reader, hypervisor, sections.interrupts);
  events(hypervisor, sections.events);
  grants(hypervisor, sections.grants);
  pools(reader, hypervisor, sections.pools);
  if (plane !== undefined) {
    store(plane.store, sections.store);
    kernels(plane, sections.kernels);
  }
  return Object.fromEntries(DIGEST_SECTIONS.map((name) => {
    const sorted = [...sections[name]].sort(([a], [b]) => (a < b ? -1 : 1));
    const hash = hashText(sorted.map(([key, value]) => `${key}\t${value}\n`).join(''));
    return [name, { hash, entries: Object.fromEntries(sorted) }];
  })) as Digest;
}

/** What differs between two digests of one machine, a line for each thing, in the order of the sections. */
export function difference(before: Digest, after: Digest): string[] {
  return DIGEST_SECTIONS.flatMap((name) => {
    if (before[name].hash === after[name].hash) return [];
    const [a, b] = [before[name].entries, after[name].entries];
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return keys.filter((key) => a[key] !== b[key])
      .map((key) => `${name}: ${key}: ${a[key] ?? 'nothing'} -> ${b[key] ?? 'nothing'}`);
  });
}
