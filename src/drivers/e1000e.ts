import { E1000Format } from '../../assembly/spec/driver';
import { E1000, E1000Icr, E1000Phy } from '../../assembly/spec/e1000';
import {
  E1000e, E1000eCtrl, E1000eCtrlExt, E1000eEecd, E1000eEemngctl, E1000eEerd, E1000eExtcnf, E1000eIcr, E1000eIvar,
  E1000eRfctl, E1000eStatus, E1000eSwsm, E1000eTarc,
} from '../../assembly/spec/e1000e';
import { PortcullisError } from '../errors';
import { type E1000Document, E1000FamilyDriver, type E1000Options } from './e1000-family';
import type { Guest } from './guest';

const PART = { name: '82574L', id: 0x10d38086, mask: 2 ** 32 - 1 };
/** How often a bit is looked at before the driver gives up. */
const PATIENCE = 10;
const POLL_NS = 1_000_000;
/** Vectors, as Linux hands them out: receive, transmit, and everything else. */
const [RECEIVE, TRANSMIT, OTHER] = [0, 1, 2] as const;

export interface E1000eOptions extends E1000Options {
  /** Least distance of two receive interrupts, and of two transmit interrupts, in 256 ns (default 0: none). */
  throttle?: number;
}

export interface E1000eDocument extends E1000Document {
  events: Array<{ vector: number; port: number }>;
}

/**
 * Driver of the 82574L, in a guest: brings the device up as Linux's e1000e does, in this order: config space, Master
 * Disable, reset under the PHY's semaphore, NVM by word with its checksum, PHY, link, addresses, transmit, receive with
 * extended descriptors, MSI-X with three vectors. The per-packet part is assembly/drivers/e1000.ts, on the data at
 * `off`.
 */
export class E1000eDriver extends E1000FamilyDriver {
  /** Offset of the driver's data in the engine's state. */
  readonly off: number;
  readonly mac: Uint8Array;
  /** Guest addresses of the descriptor rings. */
  readonly rxRing: number;
  readonly txRing: number;
  /** Events of the vectors: receive, transmit, everything else. */
  readonly events: ReadonlyArray<{ vector: number; port: number }>;

  /** With `resume`, goes on where the driver of a snapshot was; the device is not touched. */
  constructor(guest: Guest, routing: number, options: E1000eOptions | { resume: E1000eDocument }) {
    super(guest, routing, options, PART);
    if ('resume' in options) {
      const { resume } = options;
      this.off = resume.off;
      this.mac = Uint8Array.from(resume.mac);
      this.rxRing = resume.rxRing;
      this.txRing = resume.txRing;
      this.events = resume.events.map((event) => ({ ...event }));
      return;
    }
    let [off, rxRing, txRing] = [0, 0, 0];
    let mac: Uint8Array = new Uint8Array();
    let events: Array<{ vector: number; port: number }> = [];
    this.orGiveBack(() => {
      this.#stopMaster();
      this.#withPhy(() => this.reset());
      this.#waitFor('NVM was not loaded', E1000.EECD, E1000eEecd.AUTO_RD, E1000eEecd.AUTO_RD);
      this.#waitFor('configuration is not done', E1000e.EEMNGCTL, E1000eEemngctl.CFG_DONE, E1000eEemngctl.CFG_DONE);
      // whoever had the machine before may have left the semaphore taken
      this.write(E1000e.SWSM, this.read(E1000e.SWSM) & ~E1000eSwsm.SMBI);
      this.write(E1000.CTRL_EXT, (this.read(E1000.CTRL_EXT) | E1000eCtrlExt.DRV_LOAD) >>> 0);
      mac = this.readMac((address) => this.#nvmWord(address));
      this.#checkPhy();
      this.linkUp();
      rxRing = this.takePage();
      txRing = this.takePage();
      off = this.makeBlock(options, { rx: rxRing, tx: txRing }, E1000Format.EXTENDED, mac);
      this.setAddresses(mac);
      for (let vfta = E1000.VFTA as number; vfta < E1000.VFTA_END; vfta += 4) this.write(vfta, 0);
      this.write(E1000e.TARC0, this.read(E1000e.TARC0) | E1000eTarc.ENABLE);
      this.startTransmit(txRing);
      this.write(E1000e.RFCTL, this.read(E1000e.RFCTL) | E1000eRfctl.EXSTEN | E1000eRfctl.ACK_DIS);
      this.startReceive(rxRing, options);
      events = guest.enableMsix(routing, 3);
      this.#startInterrupts(options.throttle ?? 0);
    });
    this.off = off;
    this.mac = mac;
    this.rxRing = rxRing;
    this.txRing = txRing;
    this.events = events;
  }

  override save(): E1000eDocument {
    return { ...super.save(), events: this.events.map((event) => ({ ...event })) };
  }

  /** Looks at a register until the bits have the value, and lets time pass between two looks. */
  #waitFor(problem: string, off: number, bits: number, value: number): void {
    for (let i = 0; i < PATIENCE; i++) {
      if ((this.read(off) & bits) === value) return;
      this.guest.wait(POLL_NS);
    }
    throw new PortcullisError('DRIVER_PROBE', `82574L: ${problem}`, { off, value: this.read(off) });
  }

  /** No request of the device is under way when it is reset. */
  #stopMaster(): void {
    this.write(E1000.CTRL, this.read(E1000.CTRL) | E1000eCtrl.GIO_MASTER_DISABLE);
    this.#waitFor('it is still a bus master', E1000.STATUS, E1000eStatus.GIO_MASTER_ENABLE, 0);
  }

  /** Does something while software owns the PHY. */
  #withPhy(action: () => void): void {
    const owned = E1000eExtcnf.MDIO_SW_OWNERSHIP;
    this.write(E1000e.EXTCNF_CTRL, this.read(E1000e.EXTCNF_CTRL) | owned);
    this.#waitFor('the PHY is not granted', E1000e.EXTCNF_CTRL, owned, owned);
    action();
    this.write(E1000e.EXTCNF_CTRL, this.read(E1000e.EXTCNF_CTRL) & ~owned);
  }

  #nvmWord(address: number): number {
    this.write(E1000.EERD, address << E1000eEerd.ADDRESS_SHIFT | E1000eEerd.START);
    this.#waitFor('the NVM does not answer', E1000.EERD, E1000eEerd.DONE, E1000eEerd.DONE);
    return this.read(E1000.EERD) >>> E1000eEerd.DATA_SHIFT;
  }

  #checkPhy(): void {
    this.#withPhy(() => {
      const id = this.phyRead(E1000Phy.ID1) * 0x10000 + this.phyRead(E1000Phy.ID2);
      // the BME1000 in revision 1, which is the only one that was built into it
      if (id !== 0x01410cb1) throw new PortcullisError('DRIVER_PROBE', `unknown PHY 0x${id.toString(16)}`, { id });
      this.phyWrite(E1000Phy.CONTROL, this.phyRead(E1000Phy.CONTROL) | E1000Phy.CONTROL_RESTART_AUTONEG);
    });
  }

  /** A vector each for both rings, cleared and masked by the device itself, and one for the rest. */
  #startInterrupts(throttle: number): void {
    const entry = (vector: number, place: number): number =>
      (E1000eIvar.VALID | vector) << (place << E1000eIvar.ENTRY_SHIFT);
    // RXQ0, TXQ0 and OTHER are the places 0, 2 and 4
    const places = entry(RECEIVE, 0) | entry(TRANSMIT, 2) | entry(OTHER, 4);
    this.write(E1000e.IVAR, (places | 1 << E1000eIvar.INT_ON_ALL_WB_BIT) >>> 0);
    for (const vector of [RECEIVE, TRANSMIT]) this.write(E1000e.EITR + 4 * vector, throttle);
    this.write(E1000e.IAM, 0xffffffff);
    const control = this.read(E1000.CTRL_EXT) & ~E1000eCtrlExt.IAME;
    this.write(E1000.CTRL_EXT, (control | E1000eCtrlExt.EIAME | 1 << E1000eCtrlExt.PBA_CLR_BIT) >>> 0);
    const queues = E1000eIcr.RXQ0 | E1000eIcr.TXQ0;
    this.write(E1000e.EIAC, queues);
    this.write(E1000.IMS, queues | E1000eIcr.OTHER | E1000Icr.LSC);
  }
}
