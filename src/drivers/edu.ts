import { DmaDirection } from '../../assembly/spec/driver';
import { Edu } from '../../assembly/spec/edu';
import { Pci, PciCommand } from '../../assembly/spec/pci';
import { PortcullisError } from '../errors';
import { type DmaDocument, DmaMapper, type DmaOptions, type Guest } from './guest';

const DMA_MASK = 2 ** Edu.DMA_BITS - 1;

export interface EduDocument {
  bar: number;
  port: number;
  dma: DmaDocument;
}

/** Driver of the educational device, in a guest. */
export class EduDriver {
  readonly dma: DmaMapper;
  readonly #guest: Guest;
  readonly #routing: number;
  readonly #bar: number;
  readonly #port: number;

  /** Finds the device, maps its registers, checks identification and liveness, turns on Bus Master and MSI. */
  constructor(guest: Guest, routing: number, options: Omit<DmaOptions, 'mask'> | { resume: EduDocument }) {
    this.#guest = guest;
    this.#routing = routing;
    if ('resume' in options) {
      this.#bar = options.resume.bar;
      this.#port = options.resume.port;
      this.dma = new DmaMapper(guest, options.resume.dma);
      return;
    }
    const config = guest.config(routing);
    const id = config.read(Pci.VENDOR_ID, 4) >>> 0;
    if (id !== 0x11e81234) {
      throw new PortcullisError('DRIVER_PROBE', `this is no edu device: vendor and device id are ${id.toString(16)}`, { id });
    }
    config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) | PciCommand.MEMORY | PciCommand.MASTER);
    this.#bar = guest.ioremap((config.read(Pci.BAR0, 4) & ~0xf) >>> 0, Edu.BAR_SIZE);
    let dma: DmaMapper | undefined;
    try {
      dma = new DmaMapper(guest, { ...options, mask: DMA_MASK });
      if (this.read(Edu.ID) !== Edu.ID_VALUE) throw new PortcullisError('DRIVER_PROBE', 'edu does not identify itself');
      this.write(Edu.LIVENESS, 0x12345678);
      if (this.read(Edu.LIVENESS) !== (~0x12345678 >>> 0)) throw new PortcullisError('DRIVER_PROBE', 'edu is not alive');
      this.#port = guest.enableMsi(routing).port;
    } catch (error) {
      // first what lies in the engine's state: the domain may be gone
      dma?.release();
      guest.iounmap(this.#bar, Edu.BAR_SIZE);
      throw error;
    }
    this.dma = dma;
  }

  /** What `resume` takes, in a machine restored from a snapshot of this one. */
  save(): EduDocument {
    return { bar: this.#bar, port: this.#port, dma: this.dma.save() };
  }

  /** Stops a device that is still the domain's: no DMA, no interrupt, no mapping of its registers. */
  stop(): void {
    try {
      this.#guest.disableInterrupts(this.#routing);
      const config = this.#guest.config(this.#routing);
      config.write(Pci.COMMAND, 2, config.read(Pci.COMMAND, 2) & ~PciCommand.MASTER);
    } finally {
      this.#guest.iounmap(this.#bar, Edu.BAR_SIZE);
      this.release();
    }
  }

  /** Gives the driver's part of the engine's state back; the device must be the domain's no more. */
  release(): void {
    this.dma.release();
  }

  read(off: number): number {
    return this.#guest.load(this.#bar + off, 4) >>> 0;
  }

  write(off: number, value: number): void {
    this.#guest.store(this.#bar + off, 4, value);
  }

  /** Event channel of its message. */
  get port(): number {
    return this.#port;
  }

  /** Begins with n! modulo 2^32; a message tells when it is in FACTORIAL. */
  startFactorial(n: number): void {
    this.write(Edu.STATUS, Edu.STATUS_RAISE);
    this.write(Edu.FACTORIAL, n);
  }

  /** n! modulo 2^32, with the interrupt that tells when it is ready. */
  factorial(n: number): number {
    this.startFactorial(n);
    this.#waitFor(Edu.INTERRUPT_FACTORIAL);
    return this.read(Edu.FACTORIAL);
  }

  /** Copies `size` bytes (at most 4096) between guest memory and the device's buffer. */
  transfer(va: number, bufferOff: number, size: number, toDevice: boolean): void {
    const direction = toDevice ? DmaDirection.TO_DEVICE : DmaDirection.FROM_DEVICE;
    const bus = this.dma.map(va, size, direction);
    this.transferBus(bus, bufferOff, size, toDevice);
    this.dma.unmap(bus, va, size, direction);
  }

  /** Begins to copy between a bus address and the device's buffer; a message tells when that is done. */
  startTransfer(bus: number, bufferOff: number, size: number, toDevice: boolean): void {
    const buffer = Edu.BUFFER + bufferOff;
    this.#write64(Edu.DMA_SOURCE, toDevice ? bus : buffer);
    this.#write64(Edu.DMA_DESTINATION, toDevice ? buffer : bus);
    this.#write64(Edu.DMA_COUNT, size);
    this.write(Edu.DMA_COMMAND, Edu.DMA_START | Edu.DMA_RAISE | (toDevice ? 0 : Edu.DMA_TO_RAM));
  }

  /** The same at a bus address that the caller names: what a hostile driver does. */
  transferBus(bus: number, bufferOff: number, size: number, toDevice: boolean): void {
    this.startTransfer(bus, bufferOff, size, toDevice);
    this.#waitFor(Edu.INTERRUPT_DMA);
  }

  /** Takes what the device interrupts for: bits of INTERRUPT_*. */
  acknowledge(): number {
    const status = this.read(Edu.INTERRUPT_STATUS);
    this.write(Edu.INTERRUPT_ACKNOWLEDGE, status);
    return status;
  }

  #write64(off: number, value: number): void {
    this.write(off, value >>> 0);
    this.write(off + 4, Math.floor(value / 2 ** 32));
  }

  #waitFor(cause: number): void {
    this.#guest.wait(Edu.DMA_TIME_MS * 1e6);
    if (!this.#guest.takeEvent(this.#port)) throw new PortcullisError('DRIVER_TIMEOUT', 'edu sent no interrupt', { cause });
    const status = this.acknowledge();
    if ((status & cause) === 0) throw new PortcullisError('DRIVER_TIMEOUT', `edu interrupted for ${status}, not ${cause}`, { status });
  }
}
