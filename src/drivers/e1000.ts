import { DmaDirection, E1000Driver as Block } from '../../assembly/spec/driver';
import {
  E1000, E1000Ctrl, E1000Eecd, E1000Icr, E1000Mdic, E1000Phy, E1000Ra, E1000Rctl, E1000Status, E1000Tctl,
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
  dma: DmaDocument;
}

const DMA_MASK = 2 ** 32 - 1;
const EEPROM_WORDS = 64;
/** Sum of all words of a valid EEPROM (82540EM manual §5.6.35). */
const EEPROM_SUM = 0xbaba;
const BUFFER_SIZE_BITS = { 2048: 0, 1024: 1, 512: 2, 256: 3 };

/**
 * Driver of the 82540EM, in a guest: brings the device up as Linux's does, in this order: config space, reset,
 * EEPROM by Microwire with its checksum, PHY, link, addresses, transmit, receive. The per-packet part is
 * assembly/drivers/e1000.ts, on the data at `off`.
 */
export class E1000Driver {
  readonly dma: DmaMapper;
  /** Offset of the driver's data in the engine's state, and guest address of the registers. */
  readonly off: number;
  readonly bar: number;
  readonly mac: Uint8Array;
  readonly ring: number;
  /** Guest addresses of the descriptor rings. */
  readonly rxRing: number;
  readonly txRing: number;
  readonly #guest: Guest;

  /** With `resume`, goes on where the driver of a snapshot was; the device is not touched. */
  constructor(guest: Guest, routing: number, options: E1000Options | { resume: E1000Document }) {
    this.#guest = guest;
    if ('resume' in options) {
      const { resume } = options;
      this.dma = new DmaMapper(guest, resume.dma);
      this.off = resume.off;
      this.bar = resume.bar;
      this.mac = Uint8Array.from(resume.mac);
      this.ring = resume.ring;
      this.rxRing = resume.rxRing;
      this.txRing = resume.txRing;
      return;
    }
    this.ring = options.ring ?? 256;
    if (this.ring % 8 !== 0 || this.ring < 8 || this.ring > Block.RING_MAX) {
      throw new PortcullisError('BAD_RING', `a ring of ${this.ring} descriptors; it must be a multiple of 8 from 8 to 256`);
    }
    const config = guest.config(routing);
    const id = config.read(Pci.VENDOR_ID, 4) >>> 0;
    if (id !== 0x100e8086) {
      throw new PortcullisError('DRIVER_PROBE', `this is no 82540EM: vendor and device id are ${id.toString(16)}`, { id });
    }
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | PciCommand.MEMORY | PciCommand.MASTER);
    this.bar = guest.ioremap((config.read(Pci.BAR0, 4) & ~0xf) >>> 0, E1000.BAR0_SIZE);
    this.dma = new DmaMapper(guest, { ...options.dma, mask: DMA_MASK });
    this.#reset();
    this.mac = this.#readMac();
    this.#checkPhy();
    this.#linkUp();
    this.rxRing = guest.allocPages(1);
    this.txRing = guest.allocPages(1);
    this.off = this.#makeBlock(options);
    this.#setAddresses();
    this.#startTransmit();
    this.#startReceive(options);
    this.write(E1000.IMS, E1000Icr.RXT0 | E1000Icr.TXDW | E1000Icr.LSC);
  }

  /** What `resume` takes, in a machine restored from a snapshot of this one. */
  save(): E1000Document {
    const { off, bar, ring, rxRing, txRing } = this;
    return { off, bar, mac: [...this.mac], ring, rxRing, txRing, dma: this.dma.save() };
  }

  /** Gives the driver's part of the engine's state back; the device must be the domain's no more. */
  release(): void {
    this.#guest.engine.heap.give(this.off, Block.SIZE);
    this.dma.release();
  }

  read(off: number): number {
    return this.#guest.load(this.bar + off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.#guest.store(this.bar + off, 4, value);
  }

  #reset(): void {
    this.write(E1000.IMC, 0xffffffff);
    this.write(E1000.RCTL, 0);
    this.write(E1000.TCTL, E1000Tctl.PSP);
    this.read(E1000.STATUS);
    this.write(E1000.CTRL, this.read(E1000.CTRL) | E1000Ctrl.RST);
    this.#guest.wait(5_000_000);
    this.write(E1000.IMC, 0xffffffff);
    this.read(E1000.ICR);
  }

  /** One word by bit-banging the Microwire bus: opcode 110, six address bits, sixteen data bits. */
  #eepromWord(address: number): number {
    let control = this.read(E1000.EECD) & ~(E1000Eecd.SK | E1000Eecd.DI | E1000Eecd.CS);
    const put = (bits: number): void => {
      control = (control & ~(E1000Eecd.SK | E1000Eecd.DI)) | bits;
      this.write(E1000.EECD, control);
      this.write(E1000.EECD, control | E1000Eecd.SK);
      this.write(E1000.EECD, control);
    };
    control |= E1000Eecd.CS;
    this.write(E1000.EECD, control);
    const command = 0b110 << 6 | address;
    for (let bit = 8; bit >= 0; bit--) put((command >> bit) & 1 ? E1000Eecd.DI : 0);
    let word = 0;
    for (let bit = 0; bit < 16; bit++) {
      control &= ~(E1000Eecd.SK | E1000Eecd.DI);
      this.write(E1000.EECD, control | E1000Eecd.SK);
      word = word << 1 | (this.read(E1000.EECD) & E1000Eecd.DO ? 1 : 0);
      this.write(E1000.EECD, control);
    }
    this.write(E1000.EECD, control & ~E1000Eecd.CS);
    return word;
  }

  #readMac(): Uint8Array {
    this.write(E1000.EECD, this.read(E1000.EECD) | E1000Eecd.REQ);
    if ((this.read(E1000.EECD) & E1000Eecd.GNT) === 0) throw new PortcullisError('DRIVER_PROBE', 'the EEPROM was not granted');
    const words = Array.from({ length: EEPROM_WORDS }, (_, address) => this.#eepromWord(address));
    this.write(E1000.EECD, this.read(E1000.EECD) & ~E1000Eecd.REQ);
    const sum = words.reduce((total, word) => (total + word) & 0xffff, 0);
    if (sum !== EEPROM_SUM) {
      throw new PortcullisError('DRIVER_PROBE', `the EEPROM's words sum to 0x${sum.toString(16)}, not to 0xbaba`, { sum });
    }
    return Uint8Array.from(words.slice(0, 3).flatMap((word) => [word & 0xff, word >> 8]));
  }

  phyRead(register: number): number {
    this.write(E1000.MDIC, E1000Mdic.OP_READ | E1000Mdic.PHY << E1000Mdic.PHY_SHIFT | register << E1000Mdic.REGISTER_SHIFT);
    const answer = this.read(E1000.MDIC);
    if ((answer & E1000Mdic.READY) === 0 || (answer & E1000Mdic.ERROR) !== 0) {
      throw new PortcullisError('DRIVER_PROBE', `PHY register ${register} could not be read`, { answer });
    }
    return answer & E1000Mdic.DATA_MASK;
  }

  #checkPhy(): void {
    const id = this.phyRead(E1000Phy.ID1) * 0x10000 + this.phyRead(E1000Phy.ID2);
    // the low four bits are the revision
    if (id - (id % 16) !== 0x01410c20) throw new PortcullisError('DRIVER_PROBE', `unknown PHY 0x${id.toString(16)}`, { id });
  }

  #linkUp(): void {
    this.write(E1000.CTRL, this.read(E1000.CTRL) | E1000Ctrl.SLU | E1000Ctrl.ASDE);
    if ((this.read(E1000.STATUS) & E1000Status.LU) === 0) throw new PortcullisError('DRIVER_PROBE', 'the link is down');
  }

  #setAddresses(): void {
    const view = new DataView(this.mac.buffer);
    this.write(E1000.RA, view.getUint32(0, true));
    this.write(E1000.RA + 4, (view.getUint16(4, true) | 1 << E1000Ra.AV_BIT) >>> 0);
    for (let off = E1000.RA + 8; off < E1000.RA_END; off += 4) this.write(off, 0);
    for (let off = E1000.MTA as number; off < E1000.MTA_END; off += 4) this.write(off, 0);
  }

  #makeBlock(options: E1000Options): number {
    const { engine } = this.#guest;
    const off = engine.heap.take(Block.SIZE, 'the e1000 driver');
    engine.stateBytes(off, Block.SIZE).fill(0);
    const bufferSize = options.bufferSize ?? 2048;
    const words: Array<[Block, number]> = [
      [Block.DOMAIN, this.#guest.slot], [Block.MAP, this.dma.off], [Block.BAR_VA, this.bar],
      [Block.RX_RING_VA, this.rxRing], [Block.TX_RING_VA, this.txRing],
      [Block.RX_COUNT, this.ring], [Block.TX_COUNT, this.ring], [Block.BUFFER_SIZE, bufferSize],
    ];
    for (const [word, value] of words) engine.setWord(off + word, value);
    const buffers = Math.min(options.buffers ?? 2 * this.ring + 64, Block.POOL_MAX);
    for (let i = 0; i < buffers; i += 2) {
      const page = this.#guest.allocPages(1);
      engine.exports.driverBufferGive(off, page);
      if (i + 1 < buffers) engine.exports.driverBufferGive(off, page + 2048);
    }
    return off;
  }

  #ringRegisters(base: E1000, va: number): void {
    const bus = this.dma.map(va, this.ring * 16, DmaDirection.BOTH);
    this.write(base, bus >>> 0);
    this.write(base + 4, Math.floor(bus / 2 ** 32));
    this.write(base + (E1000.RDLEN - E1000.RDBAL), this.ring * 16);
    this.write(base + (E1000.RDH - E1000.RDBAL), 0);
    this.write(base + (E1000.RDT - E1000.RDBAL), 0);
  }

  #startTransmit(): void {
    this.#ringRegisters(E1000.TDBAL, this.txRing);
    // gaps for copper at 1000 Mb/s (§13.4.34)
    this.write(E1000.TIPG, 10 | 10 << 10 | 10 << 20);
    this.write(E1000.TIDV, 0);
    this.write(E1000.TCTL, E1000Tctl.EN | E1000Tctl.PSP | 15 << E1000Tctl.CT_SHIFT | 64 << E1000Tctl.COLD_SHIFT);
  }

  #startReceive(options: E1000Options): void {
    this.write(E1000.RCTL, 0);
    this.write(E1000.RDTR, 0);
    this.#ringRegisters(E1000.RDBAL, this.rxRing);
    const size = BUFFER_SIZE_BITS[options.bufferSize ?? 2048] << E1000Rctl.BSIZE_SHIFT;
    // promiscuous: a forwarding guest takes what is not addressed to it
    this.write(E1000.RCTL, E1000Rctl.EN | E1000Rctl.BAM | E1000Rctl.UPE | E1000Rctl.MPE | size
      | (options.stripFcs ? E1000Rctl.SECRC : 0));
  }
}
