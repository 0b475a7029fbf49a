import { E1000Format } from '../../assembly/spec/driver';
import { E1000, E1000Eecd, E1000Icr, E1000Phy } from '../../assembly/spec/e1000';
import { PortcullisError } from '../errors';
import { type E1000Document, E1000FamilyDriver, type E1000Options } from './e1000-family';
import type { Guest } from './guest';

export type { E1000Document, E1000Options } from './e1000-family';

const PART = { name: '82540EM', id: 0x100e8086, mask: 2 ** 32 - 1 };

/**
 * Driver of the 82540EM, in a guest: brings the device up as Linux's does, in this order: config space, reset,
 * EEPROM by Microwire with its checksum, PHY, link, addresses, transmit, receive. The per-packet part is
 * assembly/drivers/e1000.ts, on the data at `off`.
 */
export class E1000Driver extends E1000FamilyDriver {
  /** Offset of the driver's data in the engine's state. */
  readonly off: number;
  readonly mac: Uint8Array;
  /** Guest addresses of the descriptor rings. */
  readonly rxRing: number;
  readonly txRing: number;

  /** With `resume`, goes on where the driver of a snapshot was; the device is not touched. */
  constructor(guest: Guest, routing: number, options: E1000Options | { resume: E1000Document }) {
    super(guest, routing, options, PART);
    if ('resume' in options) {
      const { resume } = options;
      this.off = resume.off;
      this.mac = Uint8Array.from(resume.mac);
      this.rxRing = resume.rxRing;
      this.txRing = resume.txRing;
      return;
    }
    let [off, rxRing, txRing] = [0, 0, 0];
    let mac: Uint8Array = new Uint8Array();
    this.orGiveBack(() => {
      this.reset();
      mac = this.#readMac();
      this.#checkPhy();
      this.linkUp();
      rxRing = this.takePage();
      txRing = this.takePage();
      off = this.makeBlock(options, { rx: rxRing, tx: txRing }, E1000Format.LEGACY, mac);
      this.setAddresses(mac);
      this.startTransmit(txRing);
      this.startReceive(rxRing, options);
      this.write(E1000.IMS, E1000Icr.RXT0 | E1000Icr.TXDW | E1000Icr.LSC);
    });
    this.off = off;
    this.mac = mac;
    this.rxRing = rxRing;
    this.txRing = txRing;
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
    if ((this.read(E1000.EECD) & E1000Eecd.GNT) === 0) {
      throw new PortcullisError('DRIVER_PROBE', 'the EEPROM was not granted');
    }
    const mac = this.readMac((address) => this.#eepromWord(address));
    this.write(E1000.EECD, this.read(E1000.EECD) & ~E1000Eecd.REQ);
    return mac;
  }

  #checkPhy(): void {
    const id = this.phyRead(E1000Phy.ID1) * 0x10000 + this.phyRead(E1000Phy.ID2);
    // the low four bits are the revision
    if (id - (id % 16) !== 0x01410c20) {
      throw new PortcullisError('DRIVER_PROBE', `unknown PHY 0x${id.toString(16)}`, { id });
    }
  }
}
