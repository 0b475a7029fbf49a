// One 82540EM on the bare engine: state laid out by hand, no domain, no IOMMU, registers by (function, BAR, offset).
// A bus address is a machine address.
import { readFileSync } from 'node:fs';
import { E1000 } from '../../assembly/spec/e1000';
import { E1000State } from '../../assembly/spec/e1000-state';
import { Link, LinkSink, LinkSource } from '../../assembly/spec/link';
import { Pci, PciCommand } from '../../assembly/spec/pci';
import {
  Abi, BarKind, BarRecord, Cell, DevicePage, FunctionRecord, Model, PageKind, State, StateSize,
} from '../../assembly/spec/state';
import { E1000_IO_REGISTERS, E1000_REGISTERS } from '../../src/devices/e1000/registers';
import { pageCells, type RegisterTable } from '../../src/devices/register-table';
import { artefactFile, newMemory } from './artefact';

const MEMORY_PAGES = 160;
const BASE = 0x100000;
const STATE_SIZE = 0x200000;
const RAM = 0x400000;
export const RAM_FRAMES = 256;
const HEAP = 0x40000;
export const FN = 1;
export const LINE = 3;
export const MAC = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

type Calls = Record<string, (...args: number[]) => number>;

export class BareNic {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Virtual time in ns at which `service` works. */
  now = 0;
  private readonly calls: Calls;
  private heap = HEAP;
  readonly link: number;
  readonly device: number;
  private readonly config: number;

  constructor() {
    const memory = newMemory(MEMORY_PAGES * 65536);
    const module = new WebAssembly.Module(readFileSync(artefactFile()));
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    const env = { memory, windowRead: () => 1, windowWrite: () => 1, hostAccess: () => -1 };
    this.calls = new WebAssembly.Instance(module, { env }).exports as unknown as Calls;
    this.header();
    if (this.call('init', BASE) !== 0) throw new Error('init refused the state');
    this.call('setup', 1, 1, 1, 1, 1, 1);
    if (this.call('windowMap', 0, RAM_FRAMES, RAM, 1, 0) !== 0) throw new Error('windowMap refused the window');

    this.config = this.take(3 * Pci.CONFIG_SIZE);
    this.device = this.take(E1000State.SIZE);
    this.link = this.take(Link.SIZE_OF);
    this.set(this.link + Link.STAGING, this.take(0x4100));
    this.set(this.link + Link.UP, 1);
    const record = State.FUNCTION_TABLE + FN * StateSize.FUNCTION_RECORD;
    this.set(record + FunctionRecord.CONFIG, this.config);
    this.set(record + FunctionRecord.CONFIG_SIZE, Pci.CONFIG_SIZE);
    this.set(record + FunctionRecord.DEVICE, this.device);
    this.set(record + FunctionRecord.LINK, this.link);
    this.set(record + FunctionRecord.INTX_PIN, 1);
    this.set(record + FunctionRecord.INTX_LINE, LINE);
    this.bar(record, BarKind.MEMORY_32, E1000_REGISTERS);
    this.bar(record, BarKind.IO, E1000_IO_REGISTERS);
    for (let word = 0; word < 64; word++) this.view.setUint16(BASE + this.device + 2 * word, 0x1100 + word, true);
    MAC.forEach((byte, i) => this.view.setUint8(BASE + this.device + i, byte));
    this.set(record + FunctionRecord.MODEL, Model.E1000);
    this.busMaster(true);
    this.call('functionPowerOn', FN);
  }

  call(name: string, ...args: number[]): number {
    const call = this.calls[name];
    if (call === undefined) throw new Error(`the engine exports no ${name}`);
    return call(...args) >>> 0;
  }

  get(off: number): number {
    return this.view.getUint32(BASE + off, true);
  }

  set(off: number, value: number): void {
    this.view.setUint32(BASE + off, value, true);
  }

  read(off: number, bar = 0): number {
    return this.call('registerRead', FN, bar, off, 4);
  }

  write(off: number, value: number, bar = 0): void {
    this.call('registerWrite', FN, bar, off, 4, value, 0);
  }

  service(budget = 100000): number {
    return this.call('service', this.now, budget);
  }

  busMaster(on: boolean): void {
    this.view.setUint16(BASE + this.config + Pci.COMMAND, PciCommand.MEMORY | (on ? PciCommand.MASTER : 0), true);
    this.call('functionApply', FN);
  }

  /** Lets time pass up to `now`, and does what is to be done then. */
  at(now: number): this {
    this.now = now;
    this.service();
    return this;
  }

  /** When the NIC wants to be looked at again, -1 when it does not. */
  deadline(): number {
    return this.calls.nextDeadline!();
  }

  interrupt(): boolean {
    return this.call('intxLine', LINE) !== 0;
  }

  counter(counter: number): number {
    return this.get(State.COUNTERS + 8 * counter);
  }

  /** RAM at a bus address. */
  ram(at: number, len: number): Uint8Array {
    return this.bytes.subarray(RAM + at, RAM + at + len);
  }

  ramView(at: number): DataView {
    return new DataView(this.view.buffer, RAM + at);
  }

  state(off: number, len: number): Uint8Array {
    return this.bytes.subarray(BASE + off, BASE + off + len);
  }

  /** These frames, padded to 60 bytes as on a wire, wait for the NIC. Its own are dropped. */
  offer(frames: readonly Uint8Array[], sink: LinkSink = LinkSink.DROP): void {
    const padded = frames.map((frame) => {
      const whole = new Uint8Array(Math.max(frame.length, 60));
      whole.set(frame);
      return whole;
    });
    const size = padded.reduce((sum, frame) => sum + 8 + frame.length + 8, 0);
    const store = this.take(size);
    let at = 8 * padded.length;
    padded.forEach((frame, i) => {
      this.set(store + 8 * i, at);
      this.set(store + 8 * i + 4, frame.length);
      this.bytes.set(frame, BASE + store + at);
      // any four bytes do for an FCS that nobody checks
      this.bytes.set([0xf1, 0xf2, 0xf3, 0xf4], BASE + store + at + frame.length);
      at += (frame.length + 4 + 7) & ~7;
    });
    this.set(this.link + Link.SOURCE, LinkSource.STORE);
    this.set(this.link + Link.SINK, sink);
    this.set(this.link + Link.STORE, store);
    this.set(this.link + Link.STORE_FRAMES, padded.length);
    this.set(this.link + Link.NEXT, 0);
    this.set(this.link + Link.LIMIT, padded.length);
    this.work();
  }

  /** What the NIC sends goes into a ring of this size, and comes back to it with `loopback`. */
  capture(size: number, loopback = false): void {
    this.set(this.link + Link.SINK, LinkSink.RING);
    if (loopback) this.set(this.link + Link.SOURCE, LinkSource.LOOPBACK);
    this.set(this.link + Link.RING, this.take(size));
    this.set(this.link + Link.RING_SIZE, size);
  }

  /** Frames in the ring, which is emptied. */
  captured(): Uint8Array[] {
    const ring = this.get(this.link + Link.RING);
    const size = this.get(this.link + Link.RING_SIZE);
    const tail = this.get(this.link + Link.RING_TAIL);
    const byte = (at: number): number => this.view.getUint8(BASE + ring + (at % size));
    const frames: Uint8Array[] = [];
    let head = this.get(this.link + Link.RING_HEAD);
    while (head < tail) {
      const word = this.get(ring + (head % size));
      if (word === 0x7fffffff) {
        head += size - (head % size);
        continue;
      }
      const len = word & 0x7fffffff;
      const from = head + 12;
      frames.push(Uint8Array.from({ length: len }, (_, i) => byte(from + i)));
      head += (12 + len + 4 + 3) & ~3;
    }
    this.set(this.link + Link.RING_HEAD, head);
    return frames;
  }

  /** Another function's memory BAR of 64 KiB at this address, so that DMA there is peer to peer. */
  peer(address: number): void {
    const record = State.FUNCTION_TABLE + 2 * StateSize.FUNCTION_RECORD;
    this.set(record + FunctionRecord.MODEL, Model.EDU);
    this.set(record + FunctionRecord.DEADLINE, 0xffffffff);
    this.set(record + FunctionRecord.DEADLINE + 4, 0xffffffff);
    this.bar(record, BarKind.MEMORY_32, { bar: 0, size: 0x10000, constant: 0, rows: [] });
    this.call('barPlace', 2, 0, 1, address, 0);
  }

  work(): void {
    this.set(State.WORK, this.get(State.WORK) | 1 << FN);
  }

  private header(): void {
    this.set(State.MAGIC, Abi.MAGIC);
    this.set(State.ABI_VERSION, Abi.VERSION);
    this.set(State.SIZE, STATE_SIZE);
    this.set(State.FRAMES, RAM_FRAMES);
    this.set(State.MPS_SHIFT, 7);
    this.set(State.MRRS_SHIFT, 9);
    this.set(State.POOL_FRAMES, 0x20000);
    this.set(State.POOL_DIRTY, 0x21000);
    this.set(State.POOL_PAGES, 0x22000);
    this.set(State.PAGES_COUNT, 4);
    this.set(State.POOL_PAGE_USE, 0x26000);
    this.set(State.POOL_PORTS, 0x28000);
    [State.POOL_IOTLB, State.POOL_PWC_2M, State.POOL_PWC_1G, State.POOL_PWC_512G, State.POOL_CONTEXT_CACHE]
      .forEach((pool, i) => this.set(pool, 0x30000 + 0x1000 * i));
    this.set(State.POOL_HEAP, HEAP);
    this.set(State.HEAP_SIZE, STATE_SIZE - HEAP);
  }

  private take(size: number): number {
    const at = this.heap;
    this.heap += (size + 15) & ~15;
    if (this.heap > STATE_SIZE) throw new Error('the heap of the test is too small');
    return at;
  }

  private bar(record: number, kind: number, table: RegisterTable): void {
    const bar = record + FunctionRecord.BARS + table.bar * BarRecord.SIZE_OF;
    const number = Math.max(table.size >> 12, 1);
    const pages = this.take(number * StateSize.DEVICE_PAGE);
    this.set(bar + BarRecord.KIND, kind);
    this.set(bar + BarRecord.SIZE, table.size);
    this.set(bar + BarRecord.PAGES, pages);
    for (let i = 0; i < number; i++) {
      const page = pages + i * StateSize.DEVICE_PAGE;
      this.view.setUint16(BASE + page + DevicePage.FUNCTION, FN, true);
      this.view.setUint8(BASE + page + DevicePage.BAR, table.bar);
      this.set(page + DevicePage.CONSTANT, table.constant);
      const cells = pageCells(table, i);
      if (cells === undefined) continue;
      const count = cells.cells.length;
      const at = this.take(count * (StateSize.CELL + 4));
      this.view.setUint8(BASE + page + DevicePage.KIND, PageKind.CELLS);
      this.set(page + DevicePage.CELLS, at);
      this.view.setUint16(BASE + page + DevicePage.FIRST, cells.first, true);
      this.view.setUint16(BASE + page + DevicePage.COUNT, count, true);
      cells.cells.forEach((cell, index) => {
        this.set(at + index * StateSize.CELL + Cell.WRITE_MASK, cell.writeMask);
        this.set(at + index * StateSize.CELL + Cell.W1C, cell.w1c);
        this.set(at + index * StateSize.CELL + Cell.FLAGS, cell.flags);
        this.set(at + count * StateSize.CELL + 4 * index, cell.reset);
      });
    }
  }
}

/** A frame of `len` bytes from 02:..:01, with bytes that follow from their place. */
export function frameTo(destination: readonly number[], len: number): Uint8Array {
  const frame = Uint8Array.from({ length: len }, (_, i) => (i * 7 + 3) & 0xff);
  frame.set([...destination, 0x02, 0, 0, 0, 0, 0x01, 0x88, 0xb5]);
  return frame;
}

/** What the helpers below need of a NIC, of either model. */
export interface Nic {
  write(off: number, value: number): void;
  ramView(at: number): DataView;
}

/** A transmit descriptor of two quadwords as the manual draws them, given as four dwords. */
export function descriptorPut(nic: Nic, index: number, words: readonly number[]): void {
  words.forEach((word, i) => nic.ramView(TX_RING + 16 * index + 4 * i).setUint32(0, word >>> 0, true));
}

export const RX_RING = 0x1000;
export const TX_RING = 0x2000;
export const BUFFERS = 0x10000;

/** A receive ring of `number` descriptors whose buffers lie `spacing` apart; all but one belong to the NIC. */
export function receiveStart(nic: Nic, rctl: number, number = 8, spacing = 2048): void {
  for (let i = 0; i < number; i++) {
    nic.ramView(RX_RING + 16 * i).setUint32(0, BUFFERS + spacing * i, true);
    nic.ramView(RX_RING + 16 * i).setUint32(4, 0, true);
  }
  nic.write(E1000.RDBAL, RX_RING);
  nic.write(E1000.RDLEN, 16 * number);
  nic.write(E1000.RDH, 0);
  nic.write(E1000.RDT, number - 1);
  nic.write(E1000.RCTL, rctl);
}

export function transmitStart(nic: Nic, tctl: number, number = 8): void {
  nic.write(E1000.TDBAL, TX_RING);
  nic.write(E1000.TDLEN, 16 * number);
  nic.write(E1000.TDH, 0);
  nic.write(E1000.TDT, 0);
  nic.write(E1000.TCTL, tctl);
}

/** A legacy transmit descriptor. */
export function transmitPut(
  nic: Nic, index: number, at: number, len: number, command: number, cso = 0, css = 0,
): void {
  const descriptor = nic.ramView(TX_RING + 16 * index);
  descriptor.setUint32(0, at, true);
  descriptor.setUint32(4, 0, true);
  descriptor.setUint32(8, (len | cso << 16 | command << 24) >>> 0, true);
  descriptor.setUint32(12, css << 8, true);
}
