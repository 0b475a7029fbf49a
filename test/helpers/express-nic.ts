// One 82574L on the bare engine, attached as a machine does it, without domain and IOMMU: a bus address is a machine
// address. Registers by (BAR, offset), capabilities by config offset.
import { Engine } from '../../src/engine/engine';
import { attach } from '../../src/devices/attach';
import { e1000e } from '../../src/devices/e1000e/index';
import { LinkHandle } from '../../src/devices/links/link';
import { buildStore } from '../../src/devices/links/store';

const ROUTING = 0x20;
/** Where its interrupts go: pin A of device 4. */
const LINE = 16 + 4;
/** The station address that its NVM has. */
export const MAC = [0x02, 0x00, 0x5e, 0x10, 0x00, ROUTING];
const [MSIX, MSI] = [0xa0, 0xd0];
const MSIX_BAR = 3;

export class ExpressNic {
  now = 0;
  readonly fn: number;
  readonly link: LinkHandle;

  private constructor(readonly engine: Engine) {
    this.fn = attach(engine, e1000e, ROUTING).fn;
    this.link = new LinkHandle(engine, this.fn);
    engine.exports.functionPowerOn(this.fn);
    // memory, I/O and Bus Master
    engine.exports.configWrite(this.fn, 4, 2, 0x0007);
  }

  static async create(): Promise<ExpressNic> {
    return new ExpressNic(await Engine.create({ frames: 1024, tableFrames: 0 }));
  }

  read(off: number, bar = 0): number {
    return this.engine.exports.registerRead(this.fn, bar, off, 4) >>> 0;
  }

  write(off: number, value: number, bar = 0): void {
    this.engine.exports.registerWrite(this.fn, bar, off, 4, value, 0);
  }

  config(off: number, width: number): number {
    return this.engine.exports.configRead(this.fn, off, width) >>> 0;
  }

  configWrite(off: number, width: number, value: number): void {
    this.engine.exports.configWrite(this.fn, off, width, value);
  }

  service(budget = 100000): number {
    return this.engine.exports.service(this.now, budget);
  }

  /** Lets time pass up to `now`, and does what is to be done then. */
  at(now: number): this {
    this.now = now;
    while (this.service() === 1) { /* more */ }
    return this;
  }

  deadline(): number {
    return this.engine.exports.nextDeadline();
  }

  /** Level of the pin's line. */
  interrupt(): boolean {
    return this.engine.exports.intxLine(LINE) !== 0;
  }

  /** Data of the messages that have come, which are taken. */
  messages(): number[] {
    this.at(this.now);
    const data: number[] = [];
    for (let one = this.engine.pollMessage(); one !== undefined; one = this.engine.pollMessage()) data.push(one.data);
    return data;
  }

  /** MSI with this data. */
  msi(data: number): void {
    this.configWrite(MSI + 4, 4, 0xfee00000);
    this.configWrite(MSI + 12, 2, data);
    this.configWrite(MSI + 2, 2, this.config(MSI + 2, 2) | 1);
  }

  /** MSI-X with data from `data` on; all vectors are unmasked. */
  msix(data: number): void {
    for (let vector = 0; vector < 5; vector++) {
      this.write(16 * vector, 0xfee00000, MSIX_BAR);
      this.write(16 * vector + 8, data + vector, MSIX_BAR);
      this.mask(vector, false);
    }
    this.configWrite(MSIX + 2, 2, 0x8000);
  }

  mask(vector: number, on: boolean): void {
    this.write(16 * vector + 12, on ? 1 : 0, MSIX_BAR);
  }

  pending(): number {
    return this.read(0x2000, MSIX_BAR);
  }

  phy(register: number): number {
    this.write(0x20, 0x08000000 | 1 << 21 | register << 16);
    return this.read(0x20) & 0xffff;
  }

  phyWrite(register: number, value: number): void {
    this.write(0x20, 0x04000000 | 1 << 21 | register << 16 | value);
  }

  /** RAM at a bus address. */
  ram(at: number, len: number): Uint8Array {
    const first = this.engine.exports.framePtr(0) >>> 0;
    return this.engine.bytes.subarray(first + at, first + at + len);
  }

  ramView(at: number): DataView {
    const { buffer, byteOffset } = this.ram(at, 16);
    return new DataView(buffer, byteOffset);
  }

  /** These frames wait for the NIC; its own are dropped. */
  offer(frames: readonly Uint8Array[]): void {
    this.link.plugStore(buildStore('frames', frames), false);
    this.link.offer(frames.length);
  }

  /** A receive descriptor as the device has written it: four dwords. */
  descriptor(ring: number, index: number): number[] {
    return [0, 4, 8, 12].map((off) => this.ramView(ring + 16 * index).getUint32(off, true));
  }
}
