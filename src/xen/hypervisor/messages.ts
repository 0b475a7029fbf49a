// MSI and MSI-X as the hypervisor has them: a host interrupt for each, address and data written by it and by nobody
// else, entries masked until their interrupt is bound. Where a table lies is recorded while the first domain or the
// quarantine has the device, and not asked of the device after that (XSA-337).
import { Msi, Msix, Pci, PciCap, PciCommand } from '../../../assembly/spec/pci';
import { BarRecord, FunctionRecord, HeldMessage, State, StateSize } from '../../../assembly/spec/state';
import type { Engine } from '../../engine/index';
import { bdfOf, formatBdf } from '../../pci/bdf';
import type { Message, MessagesDocument, MsixRecord } from './document';
import type { Domain } from './domain';
import { HypercallError } from './errors';
import type { IommuDriver } from './iommu';
import { type Pirqs, type VectorTarget } from './pirqs';

interface Parts {
  readonly engine: Engine;
  readonly pirqs: Pirqs;
  readonly iommu: () => IommuDriver | undefined;
  /** Slot of a function in the engine; throws ENODEV. */
  functionOf(routing: number): number;
  /** Told when other pages than before are to be mapped for reading only. */
  readOnlyChanged(): void;
}

export class Messages {
  readonly #parts: Parts;
  readonly #messages = new Map<number, Message>();
  readonly #msix = new Map<number, MsixRecord>();

  constructor(parts: Parts, saved?: MessagesDocument) {
    this.#parts = parts;
    for (const message of saved?.messages ?? []) this.#messages.set(message.vector, { ...message });
    for (const { routing, ...record } of saved?.msix ?? []) this.#msix.set(routing, { ...record, frames: [...record.frames] });
    parts.pirqs.onBound = (vector, bound) => this.#mask(vector, !bound);
  }

  save(): MessagesDocument {
    return {
      messages: [...this.#messages.values()].map((one) => ({ ...one })),
      msix: [...this.#msix].map(([routing, record]) => ({ ...record, frames: [...record.frames], routing })),
    };
  }

  // ---- the function

  #config(routing: number): { read: (off: number, width: 1 | 2 | 4) => number; write: (off: number, width: 1 | 2 | 4, value: number) => void } {
    const { engine } = this.#parts;
    const fn = this.#parts.functionOf(routing);
    return {
      read: (off, width) => engine.exports.configRead(fn, off, width) >>> 0,
      write: (off, width, value) => { engine.exports.configWrite(fn, off, width, value); },
    };
  }

  /** Config offset of a capability; throws ENODEV for a function without it. */
  #capability(routing: number, word: FunctionRecord, name: string): number {
    const record = State.FUNCTION_TABLE + this.#parts.functionOf(routing) * StateSize.FUNCTION_RECORD;
    const cap = this.#parts.engine.word(record + word);
    if (cap === 0) throw new HypercallError('ENODEV', `${formatBdf(bdfOf(routing))} has no ${name} capability`, { routing });
    return cap;
  }

  #requireDecode(routing: number): void {
    if ((this.#config(routing).read(Pci.COMMAND, 2) & PciCommand.MEMORY) !== 0) return;
    throw new HypercallError('ENXIO', `${formatBdf(bdfOf(routing))} does not decode its memory, and its vector table lies `
      + 'there; turn memory decode on', { routing });
  }

  /** Reads where table and pending bits lie out of capability and BARs. */
  #readTables(routing: number): MsixRecord {
    const cap = this.#capability(routing, FunctionRecord.MSIX_CAP, 'MSI-X');
    const config = this.#config(routing);
    const { engine } = this.#parts;
    const record = State.FUNCTION_TABLE + this.#parts.functionOf(routing) * StateSize.FUNCTION_RECORD;
    const size = (config.read(cap + Msix.CONTROL, 2) & Msix.CONTROL_SIZE_MASK) + 1;
    const frames = new Set<number>();
    const place = (pointer: number, bytes: number): { bar: number; off: number } => {
      const [bar, off] = [pointer & Msix.BIR_MASK, (pointer & ~Msix.BIR_MASK) >>> 0];
      const mapped = record + FunctionRecord.BARS + bar * BarRecord.SIZE_OF;
      const base = engine.word(mapped + BarRecord.MAPPED_HI) * 2 ** 32 + engine.word(mapped + BarRecord.MAPPED_LO);
      if (bar > 5 || off + bytes > engine.word(mapped + BarRecord.SIZE)) {
        throw new HypercallError('EIO', `${formatBdf(bdfOf(routing))} has its vector table beyond BAR ${bar}`, { routing, bar });
      }
      const last = Math.floor((base + off + bytes - 1) / 4096);
      for (let mfn = Math.floor((base + off) / 4096); mfn <= last; mfn++) frames.add(mfn);
      return { bar, off };
    };
    const table = place(config.read(cap + Msix.TABLE, 4), size * Msix.ENTRY_SIZE);
    place(config.read(cap + Msix.PBA, 4), Math.ceil(size / 64) * 8);
    return { prepared: false, size, ...table, frames: [...frames] };
  }

  /** Frames that hold somebody's MSI-X table or pending bits: no domain maps them for writing. */
  readOnlyFrames(): Set<number> {
    return new Set([...this.#msix].flatMap(([routing, { prepared, frames }]) =>
      (prepared || this.#entries(routing).length > 0 ? frames : [])));
  }

  #entries(routing: number): Message[] {
    const vectors = new Set(this.#parts.pirqs.vectors.filter((one) => one.routing === routing).map(({ vector }) => vector));
    return [...this.#messages.values()].filter(({ vector, entry }) => vectors.has(vector) && entry !== undefined);
  }

  prepared(): Array<[routing: number, record: MsixRecord]> {
    return [...this.#msix].filter(([, { prepared }]) => prepared);
  }

  /** PHYSDEVOP_prepare_msix: records the tables and makes their pages read-only. `trusted`: no guest has the device. */
  prepare(routing: number, trusted: boolean): void {
    this.#capability(routing, FunctionRecord.MSIX_CAP, 'MSI-X');
    if (this.#entries(routing).length > 0) throw inUse(routing);
    this.#requireDecode(routing);
    this.#msix.set(routing, { ...this.#recorded(routing, trusted), prepared: true });
    this.#parts.readOnlyChanged();
  }

  /** PHYSDEVOP_release_msix. The place stays recorded. */
  release(routing: number): void {
    this.#capability(routing, FunctionRecord.MSIX_CAP, 'MSI-X');
    if (this.#entries(routing).length > 0) throw inUse(routing);
    const record = this.#msix.get(routing);
    if (record !== undefined) record.prepared = false;
    this.#parts.readOnlyChanged();
  }

  #recorded(routing: number, trusted: boolean): MsixRecord {
    if (trusted) return { ...this.#readTables(routing), prepared: this.#msix.get(routing)?.prepared ?? false };
    const record = this.#msix.get(routing);
    if (record === undefined) {
      throw new HypercallError('ENODATA', `where ${formatBdf(bdfOf(routing))} has its vector table was never recorded; `
        + 'prepare it before it is given to a domain', { routing });
    }
    return record;
  }

  /** Whether all of its vectors are masked at once: then it cannot be given away. */
  allMasked(routing: number): boolean {
    const record = State.FUNCTION_TABLE + this.#parts.functionOf(routing) * StateSize.FUNCTION_RECORD;
    const cap = this.#parts.engine.word(record + FunctionRecord.MSIX_CAP);
    return cap !== 0 && (this.#config(routing).read(cap + Msix.CONTROL, 2) & Msix.CONTROL_FUNCTION_MASK) !== 0;
  }

  forget(routing: number): void {
    if (this.#msix.delete(routing)) this.#parts.readOnlyChanged();
  }

  // ---- messages

  /**
   * PHYSDEVOP_map_pirq of MSI (`entry` undefined) or of an entry of the MSI-X table, masked; answers the domain's number.
   * The enable bits of the function are the first domain's to set.
   */
  map(domain: Domain, routing: number, { entry, pirq, trusted }: { entry: number | undefined; pirq: number; trusted: boolean }): number {
    const name = formatBdf(bdfOf(routing));
    const { pirqs } = this.#parts;
    const iommu = this.#parts.iommu();
    const own = this.ofDevice(routing);
    const cap = entry === undefined ? this.#capability(routing, FunctionRecord.MSI_CAP, 'MSI')
      : this.#capability(routing, FunctionRecord.MSIX_CAP, 'MSI-X');
    let record: MsixRecord | undefined;
    if (entry !== undefined) {
      const size = (this.#config(routing).read(cap + Msix.CONTROL, 2) & Msix.CONTROL_SIZE_MASK) + 1;
      if (!Number.isInteger(entry) || entry < 0 || entry >= size) {
        throw new HypercallError('EINVAL', `${name} has ${size} vectors; there is no entry ${entry}`, { routing, entry });
      }
    }
    if (own.some((one) => one.entry === entry)) {
      throw new HypercallError('EEXIST', `${name} has ${entry === undefined ? 'its message' : `entry ${entry}`} mapped already`,
        { routing, entry });
    }
    if (own.some((one) => (one.entry === undefined) !== (entry === undefined))) {
      throw new HypercallError('EBUSY', `${name} has ${entry === undefined ? 'MSI-X' : 'MSI'} in use; unmap that first`, { routing });
    }
    if (entry !== undefined) {
      this.#requireDecode(routing);
      record = this.#recorded(routing, trusted);
    }
    const mapped = pirqs.mapMessage(domain, routing, pirq);
    let message: Message = { vector: mapped.vector, address: 0xfee00000, data: mapped.vector, ...(entry !== undefined && { entry }) };
    if (iommu !== undefined) {
      try {
        message = { ...message, ...iommu.remapInterrupt(routing, mapped.vector, 0) };
      } catch (error) {
        pirqs.unmapMessage(mapped.vector);
        throw error;
      }
    }
    if (record !== undefined) this.#msix.set(routing, record);
    this.#messages.set(message.vector, message);
    this.#program(routing, message);
    if (entry !== undefined) this.#parts.readOnlyChanged();
    return mapped.pirq;
  }

  /** PHYSDEVOP_restore_msi: writes them again, after a reset. */
  restore(routing: number): void {
    const targets = this.#parts.pirqs.vectors.filter((one) => one.routing === routing);
    for (const { vector, port } of targets) {
      const message = this.#messages.get(vector);
      if (message === undefined) continue;
      if (message.entry !== undefined) this.#requireDecode(routing);
      this.#program(routing, message);
      if (port !== 0) this.#mask(vector, false);
    }
  }

  #program(routing: number, { vector, entry, address, data }: Message): void {
    if (entry !== undefined) {
      this.#mask(vector, true);
      this.#writeEntry(routing, entry, Msix.ENTRY_ADDRESS, address);
      this.#writeEntry(routing, entry, Msix.ENTRY_ADDRESS_HI, 0);
      this.#writeEntry(routing, entry, Msix.ENTRY_DATA, data);
      return;
    }
    const cap = this.#capability(routing, FunctionRecord.MSI_CAP, 'MSI');
    const config = this.#config(routing);
    const wide = (config.read(cap + Msi.CONTROL, 2) & Msi.CONTROL_64BIT) !== 0;
    this.#mask(vector, true);
    config.write(cap + Msi.ADDRESS, 4, address);
    if (wide) config.write(cap + Msi.ADDRESS_HI, 4, 0);
    config.write(cap + (wide ? Msi.DATA_64 : Msi.DATA_32), 2, data);
  }

  #writeEntry(routing: number, entry: number, off: number, value: number): void {
    const record = this.#msix.get(routing);
    if (record === undefined) return;
    this.#parts.engine.exports.registerWrite(this.#parts.functionOf(routing), record.bar,
      record.off + entry * Msix.ENTRY_SIZE + off, 4, value, 0);
  }

  #mask(vector: number, masked: boolean): void {
    const message = this.#messages.get(vector);
    const target = this.#parts.pirqs.vectors.find((one) => one.vector === vector);
    if (message === undefined || target === undefined) return;
    if (message.entry !== undefined) {
      this.#writeEntry(target.routing, message.entry, Msix.ENTRY_CONTROL, masked ? Msix.ENTRY_MASKED : 0);
      return;
    }
    const cap = this.#capability(target.routing, FunctionRecord.MSI_CAP, 'MSI');
    const config = this.#config(target.routing);
    const control = config.read(cap + Msi.CONTROL, 2);
    if ((control & Msi.CONTROL_PER_VECTOR_MASKING) === 0) return;
    config.write(cap + ((control & Msi.CONTROL_64BIT) !== 0 ? Msi.MASK_64 : Msi.MASK_32), 4, masked ? 0xffffffff : 0);
    this.#hold(target.routing, HeldMessage.MASKABLE | (masked ? HeldMessage.MASKED : 0));
  }

  /** What the first domain's config writes must leave alone. */
  #hold(routing: number, held: number): void {
    const record = State.FUNCTION_TABLE + this.#parts.functionOf(routing) * StateSize.FUNCTION_RECORD;
    this.#parts.engine.setWord(record + FunctionRecord.HELD_MESSAGE, held);
  }

  /** Takes a message back: masked, its remap-table entry and its vector free. */
  unmap(vector: number): void {
    const message = this.#messages.get(vector);
    if (message !== undefined) {
      this.#mask(vector, true);
      const target = this.#parts.pirqs.vectors.find((one) => one.vector === vector);
      if (message.entry === undefined && target !== undefined) this.#hold(target.routing, 0);
      if (message.index !== undefined) this.#parts.iommu()?.releaseInterrupt(message.index);
      this.#messages.delete(vector);
    }
    this.#parts.pirqs.unmapMessage(vector);
    if (message?.entry !== undefined) this.#parts.readOnlyChanged();
  }

  message(vector: number): Message | undefined {
    return this.#messages.get(vector);
  }

  /** The messages that a function has. */
  ofDevice(routing: number): Message[] {
    return this.#parts.pirqs.vectors.filter((one) => one.routing === routing)
      .flatMap(({ vector }) => this.#messages.get(vector) ?? []);
  }

  /** All vectors, with what is known of their messages. */
  list(): Array<VectorTarget & { irq: number; message: Message | undefined }> {
    return this.#parts.pirqs.vectors.map((target) => ({
      ...target, irq: this.#parts.pirqs.irqOfVector(target.vector), message: this.#messages.get(target.vector),
    }));
  }
}

function inUse(routing: number): HypercallError {
  return new HypercallError('EBUSY', `vectors of ${formatBdf(bdfOf(routing))} are in use; unmap them first`, { routing });
}
