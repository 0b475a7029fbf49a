import { DmaDirection } from '../../assembly/spec/driver';
import { Edu } from '../../assembly/spec/edu';
import { EduDriver } from '../drivers/edu';
import type { Task } from '../xen/schedule/scheduler';
import { type ServiceParts, orPrint } from './nic-service';

/** Rounds that it does when it comes up. */
const ROUNDS = 4;
const PAGE = 4096;
/** The device reaches 256 MiB; a page beyond goes through one below. */
const BOUNCE = 1;
/** The device takes 100 ms for DMA; what has not come by then does not come. */
const PATIENCE_NS = 1e9;

/** The educational device in a kernel: factorials, and pages that go to the device and come back. */
export class EduService {
  readonly #parts: ServiceParts;
  readonly #driver: EduDriver;
  #due = false;
  #stopped = false;
  /** Rounds that came out right, and that did not. */
  right = 0;
  wrong = 0;

  /** Brings the device up. Throws what the driver does; then nothing is left of it. */
  constructor(parts: ServiceParts) {
    this.#parts = parts;
    const { kernel, guest, routing, name } = parts;
    this.#driver = new EduDriver(guest, routing, { mode: 'direct', bouncePages: BOUNCE });
    kernel.onEvent(this.#driver.port, () => { this.#due = true; });
    kernel.scheduler.spawn(`edu ${name}`, kernel.domid, orPrint(kernel, name, this.#run()));
  }

  /** What the device has interrupted for, 0 when it has not. */
  *#interrupt(): Task<number> {
    yield { until: () => this.#due || this.#stopped, timeout: PATIENCE_NS };
    const came = this.#due && !this.#stopped;
    this.#due = false;
    return came ? this.#driver.acknowledge() : 0;
  }

  *#run(): Task {
    const { guest, kernel, name } = this.#parts;
    const pages = [guest.allocPages(1), guest.allocPages(1)] as const;
    for (let round = 1; round <= ROUNDS && !this.#stopped; round++) {
      const n = 2 * round + 2;
      this.#driver.startFactorial(n);
      const ready = ((yield* this.#interrupt()) & Edu.INTERRUPT_FACTORIAL) !== 0;
      if (this.#stopped) break;
      const product = ready ? this.#driver.read(Edu.FACTORIAL) : undefined;
      const copied = yield* this.#roundTrip(pages, round);
      if (this.#stopped) break;
      const good = product === factorial(n) && copied;
      if (good) this.right++;
      else this.wrong++;
      kernel.print(`edu ${name}: ${n}! = ${product ?? 'no answer'}, a page to the device and back: ${copied ? 'the same' : 'not the same'}`);
    }
    if (!this.#parts.guest.isThere) return;
    for (const page of pages) guest.freePages(page, 1);
  }

  /** A page of numbers goes to the device's buffer, and from there into another page. */
  *#roundTrip([from, to]: readonly [number, number], seed: number): Task<boolean> {
    const { guest } = this.#parts;
    for (let off = 0; off < PAGE; off += 4) {
      guest.store(from + off, 4, Math.imul(off + 1, seed * 0x9e3779b1) >>> 0);
      guest.store(to + off, 4, 0);
    }
    for (const [va, toDevice] of [[from, true], [to, false]] as const) {
      const direction = toDevice ? DmaDirection.TO_DEVICE : DmaDirection.FROM_DEVICE;
      const bus = this.#driver.dma.map(va, PAGE, direction);
      this.#driver.startTransfer(bus, 0, PAGE, toDevice);
      const done = ((yield* this.#interrupt()) & Edu.INTERRUPT_DMA) !== 0;
      if (this.#stopped || !done) return false;
      this.#driver.dma.unmap(bus, va, PAGE, direction);
    }
    for (let off = 0; off < PAGE; off += 4) if (guest.load(from + off, 4) !== guest.load(to + off, 4)) return false;
    return true;
  }

  /** The driver lets go of the device, which may be there no more. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#parts.kernel.offEvent(this.#driver.port);
    try {
      this.#driver.stop();
    } catch (error) {
      this.#driver.release();
      throw error;
    }
  }

  /** Its domain is gone: only what lies in the engine's state is given back. */
  abandon(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#driver.release();
  }
}

/** Modulo 2^32, as the device has it. */
function factorial(n: number): number {
  let product = 1;
  for (let i = 2; i <= n; i++) product = Math.imul(product, i) >>> 0;
  return product;
}
