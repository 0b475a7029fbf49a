// A host of one NVMe controller on the bare engine, with its queues and buffers in plain RAM or in a RAM window. Polls; the
// numbers are the specification's, not the code's.
import * as assert from 'uvu/assert';
import { attach } from '../../src/devices/attach';
import { type DiskBackend, NvmeDisks } from '../../src/devices/nvme/disks';
import { type NvmeOptions, nvme } from '../../src/devices/nvme/index';
import { Engine } from '../../src/engine/engine';

export const CC = 0x14;
export const CSTS = 0x1c;
/** Enable, queue entries of 64 and 16 bytes. */
export const ENABLE = 0x00460001;
export const ADMIN_SQ = 0x10000;
export const ADMIN_CQ = 0x11000;
export const DATA = 0x40000;
export const ADMIN_ENTRIES = 32;

export interface Completion {
  result: number;
  sqHead: number;
  sqId: number;
  cid: number;
  phase: number;
  /** Code and type, without More and Do Not Retry. */
  status: number;
  dnr: boolean;
}

export interface Command {
  op: number;
  nsid?: number;
  prp1?: number;
  prp2?: number;
  /** Dwords 10 to 15. */
  dw?: readonly number[];
  cid?: number;
  flags?: number;
}

interface Queue {
  sq: number;
  cq: number;
  entries: number;
  tail: number;
  head: number;
  phase: number;
}

export class NvmeHost {
  now = 0;
  /** Where the I/O queues lie, 0x4000 bytes for each pair. */
  queuesAt = 0x200000;
  readonly queues = new Map<number, Queue>();
  #cid = 0;

  constructor(readonly engine: Engine, readonly fn: number, readonly base = 0,
    readonly ram: () => Uint8Array = () => engine.bytes.subarray(engine.ram),
    readonly service: (host: NvmeHost) => void = (host) => host.settle()) {
    engine.exports.configWrite(fn, 4, 2, 6);
  }

  static async create(options: Partial<NvmeOptions> = {}, backends: ReadonlyMap<number, DiskBackend> = new Map()): Promise<NvmeHost> {
    const all = { namespaces: [{ size: 1 << 20 }], ...options };
    const engine = await Engine.create({ frames: 1024, tableFrames: 0, heapBytes: 6 << 20 });
    const { fn } = attach(engine, nvme(all), 0x20);
    if (backends.size > 0) new NvmeDisks(engine, fn, backends);
    return new NvmeHost(engine, fn);
  }

  /** A controller that is ready, with I/O queue pair 1 of 16 entries unless told. */
  static async ready(options: Partial<NvmeOptions> = {}, backends?: ReadonlyMap<number, DiskBackend>, queue = 16): Promise<NvmeHost> {
    const host = await NvmeHost.create(options, backends);
    host.enable();
    if (queue > 0) host.createQueue(1, queue);
    return host;
  }

  settle(): void {
    for (let i = 0; i < 100_000; i++) if (this.engine.service(this.now, 1000) !== 1) return;
    throw new Error('the controller does not come to rest');
  }

  pass(ns: number): void {
    this.now += ns;
    this.settle();
  }

  read(off: number): number {
    return this.engine.exports.registerRead(this.fn, 0, off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.engine.exports.registerWrite(this.fn, 0, off, 4, value, 0);
  }

  view(): DataView {
    const bytes = this.ram();
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  bytes(at: number, length: number): Uint8Array {
    return this.ram().slice(at, at + length);
  }

  put(at: number, bytes: Uint8Array): void {
    this.ram().set(bytes, at);
  }

  enable(entries = ADMIN_ENTRIES): void {
    this.write(0x24, (entries - 1) | (entries - 1) << 16);
    this.write(0x28, this.base + ADMIN_SQ);
    this.write(0x2c, 0);
    this.write(0x30, this.base + ADMIN_CQ);
    this.write(0x34, 0);
    this.ram().fill(0, ADMIN_CQ, ADMIN_CQ + entries * 16);
    this.queues.clear();
    this.queues.set(0, { sq: ADMIN_SQ, cq: ADMIN_CQ, entries, tail: 0, head: 0, phase: 1 });
    this.write(CC, ENABLE);
    assert.is(this.read(CSTS), 1);
  }

  /** Puts a command into a queue, without the doorbell. Gives its id. */
  queue(id: number, { op, nsid = 0, prp1 = this.base + DATA, prp2 = 0, dw = [], cid = this.#cid++ & 0x7fff, flags = 0 }: Command): number {
    const queue = this.queues.get(id) as Queue;
    const view = this.view();
    const at = queue.sq + queue.tail * 64;
    for (let i = 0; i < 64; i += 4) view.setUint32(at + i, 0, true);
    view.setUint32(at, (op | flags << 8 | cid << 16) >>> 0, true);
    view.setUint32(at + 4, nsid, true);
    view.setUint32(at + 24, prp1, true);
    view.setUint32(at + 32, prp2, true);
    dw.forEach((value, i) => view.setUint32(at + 40 + 4 * i, value, true));
    queue.tail = (queue.tail + 1) % queue.entries;
    return cid;
  }

  ring(id: number): void {
    this.write(0x1000 + 8 * id, (this.queues.get(id) as Queue).tail);
  }

  /** The entry that waits in a completion queue, left there. */
  peek(id: number): Completion | undefined {
    const { cq, head, phase } = this.queues.get(id) as Queue;
    const view = this.view();
    const at = cq + head * 16;
    const last = view.getUint32(at + 12, true);
    if ((last >>> 16 & 1) !== phase) return undefined;
    const dw2 = view.getUint32(at + 8, true);
    return {
      result: view.getUint32(at, true), sqHead: dw2 & 0xffff, sqId: dw2 >>> 16, cid: last & 0xffff, phase,
      status: last >>> 17 & 0x7ff, dnr: last >>> 31 === 1,
    };
  }

  /** Takes an entry; `tell` rings the head doorbell. */
  take(id: number, tell = true): Completion | undefined {
    const found = this.peek(id);
    if (found === undefined) return undefined;
    const queue = this.queues.get(id) as Queue;
    queue.head = (queue.head + 1) % queue.entries;
    if (queue.head === 0) queue.phase ^= 1;
    if (tell) this.write(0x1004 + 8 * id, queue.head);
    return found;
  }

  /** One command from the queue to its completion. */
  run(id: number, command: Command): Completion {
    const cid = this.queue(id, command);
    this.ring(id);
    this.service(this);
    const done = this.take(id);
    assert.ok(done, 'there is a completion');
    assert.is((done as Completion).cid, cid);
    return done as Completion;
  }

  admin(op: number, dw: readonly number[] = [], more: Partial<Command> = {}): Completion {
    return this.run(0, { op, dw, ...more });
  }

  io(op: number, lba: number, blocks: number, more: Partial<Command> = {}): Completion {
    return this.run(1, { op, nsid: 1, dw: [lba, 0, blocks - 1], ...more });
  }

  /** A pair of queues, at fixed places by its number. `vector` undefined: no interrupts. */
  createQueue(id: number, entries = 16, vector?: number): void {
    const sq = this.queuesAt + id * 0x4000;
    const cq = sq + 0x2000;
    this.ram().fill(0, cq, cq + entries * 16);
    const flags = vector === undefined ? 1 : 3 | vector << 16;
    assert.is(this.admin(0x05, [id | (entries - 1) << 16, flags], { prp1: this.base + cq }).status, 0);
    assert.is(this.admin(0x01, [id | (entries - 1) << 16, 1 | id << 16], { prp1: this.base + sq }).status, 0);
    this.queues.set(id, { sq, cq, entries, tail: 0, head: 0, phase: 1 });
  }
}
