import { DmaDirection, E1000Driver as Block, type E1000Format } from '../../assembly/spec/driver';
import {
  E1000, E1000Ctrl, E1000Mdic, E1000Ra, E1000Rctl, E1000Status, E1000Tctl,
} from '../../assembly/spec/e1000';
import { Pci, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type DmaDocument, DmaMapper, type DmaOptions, type Guest } from './guest';

export interface E1000Options {
  dma: Omit<DmaOptions, 'mask'>;
  /** Descriptors of each ring, a multiple of 8 from 8 to 256 (default 256). */
  ring?: number;
  /** Buffers in the pool (default: both rings full, and a batch in hand). Two lie in one page. */
  buffers?: number;
  /** Receive buffer size (default 2048). 256 lets long frames spill into the next descriptor. */
  bufferSize?: 256 | 512 | 1024 | 2048;
  /** Leaves the FCS off received frames. */
  stripFcs?: boolean;
}

export interface E1000Document {
  off: number;
  bar: number;
  mac: number[];
  ring: number;
  rxRing: number;
  txRing: number;
  /** Guest addresses of the pages that rings and buffers are in. */
  pages: number[];
  dma: DmaDocument;
}

/** Number and sum of the words that a valid EEPROM has (82540EM manual §5.6.35). */
const EEPROM_WORDS = 64;
const EEPROM_SUM = 0xbaba;
const BUFFER_SIZE_BITS = { 2048: 0, 1024: 1, 512: 2, 256: 3 };

/** What the drivers of the family have in common: registers, EEPROM, PHY, rings, buffers. */
export abstract class E1000FamilyDriver {
  readonly dma: DmaMapper;
  /** Guest address of the registers. */
  readonly bar: number;
  readonly ring: number;
  /** Offset of the driver's data in the engine's state. */
  abstract readonly off: number;
  abstract readonly mac: Uint8Array;
  /** Guest addresses of the descriptor rings. */
  abstract readonly rxRing: number;
  abstract readonly txRing: number;
  protected readonly guest: Guest;
  readonly #routing: number;
  readonly #pages: number[] = [];
  /** Offset of the per-packet part's data once there is one. */
  #block = 0;

  /**
   * Finds the device by vendor and device id, turns on decode and Bus Master, maps the registers; with `resume` goes
   * on with what there was.
   */
  protected constructor(guest: Guest, routing: number, options: E1000Options | { resume: E1000Document },
    part: { name: string; id: number; mask: number }) {
    this.guest = guest;
    this.#routing = routing;
    if ('resume' in options) {
      const { dma, bar, ring, pages } = options.resume;
      this.#pages = [...pages];
      this.dma = new DmaMapper(guest, dma);
      this.bar = bar;
      this.ring = ring;
      return;
    }
    this.ring = options.ring ?? 256;
    if (this.ring % 8 !== 0 || this.ring < 8 || this.ring > Block.RING_MAX) {
      throw new PortcullisError('BAD_RING',
        `a ring of ${this.ring} descriptors; it must be a multiple of 8 from 8 to 256`);
    }
    const config = guest.config(routing);
    const id = config.read(Pci.VENDOR_ID, 4) >>> 0;
    if (id !== part.id) {
      throw new PortcullisError('DRIVER_PROBE',
        `this is no ${part.name}: vendor and device id are ${id.toString(16)}`, { id });
    }
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | PciCommand.MEMORY | PciCommand.MASTER);
    this.bar = guest.ioremap((config.read(Pci.BAR0, 4) & ~0xf) >>> 0, E1000.BAR0_SIZE);
    try {
      this.dma = new DmaMapper(guest, { ...options.dma, mask: part.mask });
    } catch (error) {
      guest.iounmap(this.bar, E1000.BAR0_SIZE);
      throw error;
    }
  }

  /** What `resume` takes, in a machine restored from a snapshot of this one. */
  save(): E1000Document {
    const { off, bar, ring, rxRing, txRing } = this;
    return { off, bar, mac: [...this.mac], ring, rxRing, txRing, pages: [...this.#pages], dma: this.dma.save() };
  }

  /**
   * Stops a device that is still the domain's, and gives everything back that was taken for it: nothing of it is under
   * way any more, its interrupts are off, its registers are mapped no more. For buffers that are mapped as they are
   * (mode `direct`). Nothing is waited for, so that it ends when the device does not answer.
   */
  stop(): void {
    try {
      this.write(E1000.IMC, 0xffffffff);
      this.write(E1000.RCTL, 0);
      this.write(E1000.TCTL, 0);
      this.write(E1000.CTRL, this.read(E1000.CTRL) | E1000Ctrl.RST);
      this.guest.disableInterrupts(this.#routing);
      const config = this.guest.config(this.#routing);
      config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) & ~PciCommand.MASTER);
    } finally {
      this.#giveBack();
      this.release();
    }
  }

  #giveBack(): void {
    this.guest.iounmap(this.bar, E1000.BAR0_SIZE);
    for (const page of this.#pages.splice(0)) this.guest.freePages(page, 1);
  }

  /** Does the rest of the bring-up; when that fails, what was taken so far is given back. */
  protected orGiveBack(bringUp: () => void): void {
    try {
      bringUp();
    } catch (error) {
      // first what lies in the engine's state: the domain may be gone
      if (this.#block !== 0) this.guest.engine.heap.give(this.#block, Block.SIZE);
      this.dma.release();
      this.#giveBack();
      throw error;
    }
  }

  /** Guest address of a page for as long as the driver has the device. */
  protected takePage(): number {
    const page = this.guest.allocPages(1);
    this.#pages.push(page);
    return page;
  }

  /** Gives the driver's part of the engine's state back; the device must be the domain's no more. */
  release(): void {
    this.guest.engine.heap.give(this.off, Block.SIZE);
    this.dma.release();
  }

  read(off: number): number {
    return this.guest.load(this.bar + off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.guest.store(this.bar + off, 4, value);
  }

  /** Stops both directions and resets the chip; nothing interrupts afterwards. */
  protected reset(): void {
    this.write(E1000.IMC, 0xffffffff);
    this.write(E1000.RCTL, 0);
    this.write(E1000.TCTL, E1000Tctl.PSP);
    this.read(E1000.STATUS);
    this.write(E1000.CTRL, this.read(E1000.CTRL) | E1000Ctrl.RST);
    this.guest.wait(5_000_000);
    this.write(E1000.IMC, 0xffffffff);
    this.read(E1000.ICR);
  }

  /** The station address, out of an EEPROM whose sum is right. */
  protected readMac(word: (address: number) => number): Uint8Array {
    const words = Array.from({ length: EEPROM_WORDS }, (_, address) => word(address));
    const sum = words.reduce((total, one) => (total + one) & 0xffff, 0);
    if (sum !== EEPROM_SUM) {
      throw new PortcullisError('DRIVER_PROBE',
        `the EEPROM's words sum to 0x${sum.toString(16)}, not to 0xbaba`, { sum });
    }
    return Uint8Array.from(words.slice(0, 3).flatMap((one) => [one & 0xff, one >> 8]));
  }

  phyRead(register: number): number {
    this.write(E1000.MDIC,
      E1000Mdic.OP_READ | E1000Mdic.PHY << E1000Mdic.PHY_SHIFT | register << E1000Mdic.REGISTER_SHIFT);
    const answer = this.read(E1000.MDIC);
    if ((answer & E1000Mdic.READY) === 0 || (answer & E1000Mdic.ERROR) !== 0) {
      throw new PortcullisError('DRIVER_PROBE', `PHY register ${register} could not be read`, { answer });
    }
    return answer & E1000Mdic.DATA_MASK;
  }

  phyWrite(register: number, value: number): void {
    this.write(E1000.MDIC,
      E1000Mdic.OP_WRITE | E1000Mdic.PHY << E1000Mdic.PHY_SHIFT | register << E1000Mdic.REGISTER_SHIFT | value);
  }

  protected linkUp(): void {
    this.write(E1000.CTRL, this.read(E1000.CTRL) | E1000Ctrl.SLU | E1000Ctrl.ASDE);
    if ((this.read(E1000.STATUS) & E1000Status.LU) === 0) throw new PortcullisError('DRIVER_PROBE', 'the link is down');
  }

  protected setAddresses(mac: Uint8Array): void {
    const view = new DataView(mac.buffer, mac.byteOffset);
    this.write(E1000.RA, view.getUint32(0, true));
    this.write(E1000.RA + 4, (view.getUint16(4, true) | 1 << E1000Ra.AV_BIT) >>> 0);
    for (let off = E1000.RA + 8; off < E1000.RA_END; off += 4) this.write(off, 0);
    for (let off = E1000.MTA as number; off < E1000.MTA_END; off += 4) this.write(off, 0);
  }

  /** The data of the per-packet part, with its buffers. Gives its offset in the engine's state. */
  protected makeBlock(options: E1000Options, rings: { rx: number; tx: number }, format: E1000Format, mac: Uint8Array): number {
    const { engine } = this.guest;
    const off = engine.heap.take(Block.SIZE, 'a network driver');
    this.#block = off;
    engine.stateBytes(off, Block.SIZE).fill(0);
    const bufferSize = options.bufferSize ?? 2048;
    const words: Array<[Block, number]> = [
      [Block.DOMAIN, this.guest.slot], [Block.MAP, this.dma.off], [Block.BAR_VA, this.bar],
      [Block.RX_RING_VA, rings.rx], [Block.TX_RING_VA, rings.tx],
      [Block.RX_COUNT, this.ring], [Block.TX_COUNT, this.ring], [Block.BUFFER_SIZE, bufferSize],
      [Block.FORMAT, format],
    ];
    for (const [word, value] of words) engine.setWord(off + word, value);
    engine.stateBytes(off + Block.MAC, mac.length).set(mac);
    const buffers = Math.min(options.buffers ?? 2 * this.ring + 64, Block.POOL_MAX);
    for (let i = 0; i < buffers; i += 2) {
      const page = this.takePage();
      engine.exports.driverBufferGive(off, page);
      if (i + 1 < buffers) engine.exports.driverBufferGive(off, page + 2048);
    }
    return off;
  }

  protected ringRegisters(base: E1000, va: number): void {
    const bus = this.dma.map(va, this.ring * 16, DmaDirection.BOTH);
    this.write(base, bus >>> 0);
    this.write(base + 4, Math.floor(bus / 2 ** 32));
    this.write(base + (E1000.RDLEN - E1000.RDBAL), this.ring * 16);
    this.write(base + (E1000.RDH - E1000.RDBAL), 0);
    this.write(base + (E1000.RDT - E1000.RDBAL), 0);
  }

  protected startTransmit(ring: number): void {
    this.ringRegisters(E1000.TDBAL, ring);
    // gaps for copper at 1000 Mb/s (§13.4.34)
    this.write(E1000.TIPG, 10 | 10 << 10 | 10 << 20);
    this.write(E1000.TIDV, 0);
    this.write(E1000.TCTL, E1000Tctl.EN | E1000Tctl.PSP | 15 << E1000Tctl.CT_SHIFT | 64 << E1000Tctl.COLD_SHIFT);
  }

  protected startReceive(ring: number, options: E1000Options): void {
    this.write(E1000.RCTL, 0);
    this.write(E1000.RDTR, 0);
    this.ringRegisters(E1000.RDBAL, ring);
    const size = BUFFER_SIZE_BITS[options.bufferSize ?? 2048] << E1000Rctl.BSIZE_SHIFT;
    // promiscuous: a forwarding guest takes what is not addressed to it
    this.write(E1000.RCTL, E1000Rctl.EN | E1000Rctl.BAM | E1000Rctl.UPE | E1000Rctl.MPE | size
      | (options.stripFcs ? E1000Rctl.SECRC : 0));
  }
}
