// What is measured: machines with many register pages or ports, one with a device that does DMA, one with a receive
// ring. Every twin is given the same devices, registers, addresses and frames.
import { DmaDirection, E1000Driver } from '../assembly/spec/driver';
import { Edu } from '../assembly/spec/edu';
import { MapEntry } from '../assembly/spec/machine';
import { Pci, PciCommand } from '../assembly/spec/pci';
import { CellFlag, Model } from '../assembly/spec/state';
import { attach } from '../src/devices/attach';
import { ALL_BITS, register, type RegisterTable } from '../src/devices/register-table';
import { DmaMapper } from '../src/drivers/guest';
import { type Counters, Engine, Random } from '../src/engine/index';
import { setupOf } from '../src/lab/matrix';
import type { PolicyName } from '../src/lab/cost/index';
import { Machine } from '../src/machine/machine';

const PAGE = 4096;
/** Machine frame of the first card's registers, and the guest page that they are mapped at. */
const FIRST_MFN = 0xf0000;
const FIRST_GUEST_PAGE = 0xc0000;
export const FIRST_PORT = 0x2000;
export const CARDS = 64;
export const DOMAIN = 0;

export interface Cards {
  engine: Engine;
  /** Guest address, or port, of every register: card by card, page by page. */
  addresses: number[];
  /** What each of them holds at the start. */
  values: number[];
}

/** A heap list of u32: what the batch entries cycle over. */
export function heapList(engine: Engine, items: readonly number[]): number {
  const off = engine.heap.take(4 * items.length, 'a list');
  items.forEach((item, i) => engine.setWord(off + 4 * i, item));
  return off;
}

function valueOf(address: number): number {
  return Math.imul(address, 0x9e3779b1) >>> 0;
}

/** Registers of four bytes, all bits writable, `number` in each page from the page's start on. */
function table(pages: number, number: number, start: number, size = pages * PAGE): RegisterTable {
  const rows = Array.from({ length: pages }, (_, page) => Array.from({ length: number }, (__, i) => {
    const off = page * PAGE + 4 * i;
    return register(`R${page}.${i}`, off, 'scratch', {
      reset: valueOf(start + off), writeMask: ALL_BITS, flags: CellFlag.WIDTH_4,
    });
  })).flat();
  return { bar: 0, size, constant: 0, rows };
}

async function cards(
  io: boolean, registers: RegisterTable[], place: (engine: Engine, card: number) => void,
): Promise<Engine> {
  const engine = await Engine.create({ frames: 1024, tableFrames: 0, heapBytes: 8 << 20 });
  engine.exports.domainCreate(DOMAIN, 0, 0);
  registers.forEach((one, card) => {
    attach(engine, {
      model: 'card', title: 'card', engineModel: Model.EDU, stateSize: Edu.STATE_SIZE, registers: [one],
      config: {
        vendorId: 0x1234, deviceId: card, classCode: 0x00ff00, revision: 0, subsystemVendorId: 0, subsystemId: 0,
        interruptPin: 0, bars: [{ kind: io ? 'io' : 'memory32', size: one.size }],
      },
    }, card << 3, { slot: card });
    place(engine, card);
  });
  return engine;
}

/** 64 cards with a BAR of so many pages, and so many registers in each page; a guest that may reach them all. */
export async function memoryCards(pages: number, number: number): Promise<Cards> {
  const start = (card: number): number => (FIRST_GUEST_PAGE + card * pages) * PAGE;
  const registers = Array.from({ length: CARDS }, (_, card) => table(pages, number, start(card)));
  const engine = await cards(false, registers, (one, card) => {
    const mfn = FIRST_MFN + card * pages;
    one.exports.barPlace(card, 0, 1, mfn * PAGE, 0);
    for (let page = 0; page < pages; page++) {
      const entry = (MapEntry.MMIO << MapEntry.KIND_SHIFT | 1 << MapEntry.WRITABLE_BIT | (mfn + page)) >>> 0;
      one.exports.guestMapSet(DOMAIN, FIRST_GUEST_PAGE + card * pages + page, entry);
    }
  });
  const addresses = registers.flatMap((one, card) => one.rows.map(({ off }) => start(card) + off));
  return { engine, addresses, values: addresses.map(valueOf) };
}

/** 64 cards with an I/O BAR of 16 ports' worth of registers, all in the guest's bitmap. */
export async function portCards(): Promise<Cards> {
  const registers = Array.from({ length: CARDS }, (_, card) => table(1, 16, FIRST_PORT + 64 * card, 64));
  const engine = await cards(true, registers, (one, card) => {
    one.exports.barPlace(card, 0, 1, FIRST_PORT + 64 * card, 0);
    one.exports.portsSet(DOMAIN, FIRST_PORT + 64 * card, 64, 1);
  });
  const addresses = registers.flatMap((one, card) => one.rows.map(({ off }) => FIRST_PORT + 64 * card + off));
  return { engine, addresses, values: addresses.map(valueOf) };
}

/** `number` of these at random, with repeats. */
export function pick(items: readonly number[], number: number, seed = 1): number[] {
  const random = new Random(seed);
  return Array.from({ length: number }, () => items[random.below(items.length)] as number);
}

export interface DmaMachine {
  engine: Engine;
  fn: number;
  /** Bus address of the first of `pages` pages that the device reaches. */
  bus: number;
  pages: number;
  /** 64 KiB in the heap that it writes from. */
  source: number;
}

const EDU_BDF = '0000:00:06.0';

/** One OS and one device that writes into 256 pages of it: at machine addresses, or through 4 KiB leaves. */
export async function dmaMachine(iommu: boolean): Promise<DmaMachine> {
  const machine = await Machine.create({
    memory: '16MiB', owner: 'native', iommu: iommu ? 'vtd' : 'none', devices: [{ model: 'edu', bdf: EDU_BDF }],
  });
  const { engine, dom0 } = machine;
  const pages = 256;
  machine.assign(EDU_BDF, dom0, iommu ? 'guest-mapped' : 'none');
  const fn = machine.functionOf(EDU_BDF);
  engine.exports.configWrite(fn, Pci.COMMAND, 2, PciCommand.MEMORY | PciCommand.MASTER);
  const first = dom0.p2m[1024] as number;
  for (let i = 0; iommu && i < pages; i++) {
    engine.exports.iommuOpMap(dom0.slot, first + i, first + i, 1, DmaDirection.BOTH);
  }
  const source = engine.heap.take(65536, 'what is written');
  new Random(1).fill(engine.stateBytes(source, 65536));
  return { engine, fn, bus: first * PAGE, pages, source };
}

/** Few enough that ring and buffers (48 pages) stay in an IOTLB of 64 entries where nothing is unmapped. */
export const RING = 64;
export const BUFFERS = RING + 32;
export const BUFFER_SIZE = 1536;
export const FRAMES = 256;

export interface ReceiveMachine {
  engine: Engine;
  /** Arguments of `receiveRun` but the number of packets. */
  args: [driver: number, fn: number, ring: number, store: number, frames: number, len: number];
  frames: Uint8Array[];
  /** Counters from before the ring was mapped. */
  before: Counters;
  /** Sum over all buffers of what they hold, as `bufferSum` counts it. */
  sum(): number;
}

/** Bytes of one buffer, by their place: equal contents in another order of the buffers give the same total. */
export function bufferSum(buffer: Uint8Array, len: number): number {
  let sum = 0;
  for (let i = 0; i < len; i++) sum = (sum + Math.imul(buffer[i] as number, i + 1)) >>> 0;
  return sum;
}

/** Where buffer i lies in its half page: staggered, as by headroom, so that not all fall into the same cache sets. */
export function bufferOffset(i: number): number {
  return (i % 2) * 2048 + (i % 8) * 64;
}

/** A guest with a receive ring of 64 descriptors under a mapping policy, as the comparison sets it up. */
export async function receiveMachine(policy: PolicyName, len: number): Promise<ReceiveMachine> {
  const setup = setupOf(policy === 'strict' || policy === 'lazy' ? 'pv-iommu' : 'xen', policy);
  const machine = await Machine.create({
    memory: '16MiB', dom0: { memory: '4MiB' }, iommu: setup.iommu ? 'vtd' : 'none',
    devices: [{ model: 'edu', bdf: EDU_BDF }],
  });
  const { engine } = machine;
  const domain = machine.createDomain({ name: 'guest', memory: '4MiB' });
  machine.assign(EDU_BDF, domain, setup.translation);
  const guest = machine.guest(domain);
  const fn = machine.functionOf(EDU_BDF);
  engine.exports.configWrite(fn, Pci.COMMAND, 2, PciCommand.MEMORY | PciCommand.MASTER);
  const map = new DmaMapper(guest, { mode: setup.mode, mask: 2 ** 40 - 1 });
  const ringVa = guest.allocPages(1);
  const driver = engine.heap.take(E1000Driver.SIZE, 'the driver');
  const words: Array<[E1000Driver, number]> = [
    [E1000Driver.DOMAIN, domain.slot], [E1000Driver.MAP, map.off], [E1000Driver.RX_RING_VA, ringVa],
    [E1000Driver.RX_COUNT, RING], [E1000Driver.BUFFER_SIZE, BUFFER_SIZE],
  ];
  engine.stateBytes(driver, E1000Driver.SIZE).fill(0);
  for (const [word, value] of words) engine.setWord(driver + word, value);
  const buffers: number[] = [];
  for (let i = 0; i < BUFFERS; i++) {
    const page = i % 2 === 0 ? guest.allocPages(1) : (buffers[i - 1] as number) & ~(PAGE - 1);
    buffers.push((page + bufferOffset(i)) >>> 0);
    engine.exports.driverBufferGive(driver, buffers[i] as number);
  }
  const stride = (len + 63) & ~63;
  const store = engine.heap.take(FRAMES * stride, 'the frames');
  const random = new Random(len);
  const frames = Array.from({ length: FRAMES }, (_, i) => {
    const frame = random.fill(new Uint8Array(len));
    engine.stateBytes(store + i * stride, len).set(frame);
    return frame;
  });
  const before = engine.counters();
  const ring = map.map(ringVa, RING * 16, DmaDirection.BOTH);
  return {
    engine, frames, before, args: [driver, fn, ring, store, FRAMES, len],
    sum: () => buffers.reduce((total, va) => {
      const address = guest.machineAddress(va);
      return (total + bufferSum(engine.frame(Math.floor(address / PAGE)).subarray(address % PAGE), len)) >>> 0;
    }, 0),
  };
}
