import { E1000Driver as Block } from '../../assembly/spec/driver';
import { E1000, E1000Icr } from '../../assembly/spec/e1000';
import { E1000eIcr } from '../../assembly/spec/e1000e';
import { LinkLimit } from '../../assembly/spec/link';
import { E1000Driver } from '../drivers/e1000';
import { E1000eDriver } from '../drivers/e1000e';
import type { Kernel } from '../xen/kernel/kernel';
import type { InterruptLines } from '../xen/pciback/parts';
import type { Task } from '../xen/schedule/scheduler';
import type { DomainGuest } from './guest';

export type NicModel = 'e1000' | 'e1000e';

export interface ServiceParts {
  readonly kernel: Kernel;
  /** INTx lines of that kernel, which devices share. */
  readonly lines: InterruptLines;
  readonly guest: DomainGuest;
  readonly routing: number;
  /** The device in the kernel's log, such as `0000:00:04.0`. */
  readonly name: string;
}

/** What a network card has done in a kernel. */
export interface NicCounts {
  readonly interrupts: number;
  readonly received: number;
  readonly receivedBytes: number;
  readonly sent: number;
  /** Frames of its own that came back. */
  readonly returned: number;
}

/** Descriptors of each ring: a few megabytes of memory are enough for a domain. */
const RING = 64;
/** Frames of one poll, as Linux's NAPI has it. */
const BUDGET = 64;
/** Preamble, FCS and gap beside the frame, and a byte's time at 1 Gb/s. */
const OVERHEAD = 24;
const BYTE_NS = 8;
/** Frames that it sends of its own when it comes up. */
const GREETING = 4;
const GREETING_BYTES = LinkLimit.FRAME_MIN;

/** A task of a driver; what it meets ends it, and is told in the kernel's log. */
export function* orPrint(kernel: Kernel, name: string, task: Task): Task {
  try {
    yield* task;
  } catch (error) {
    kernel.print(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * A network card in a kernel: its driver, its interrupts, and a task that polls. What comes in goes out again, as in the
 * laboratory's workload, at the pace of the wire; what it has sent itself goes out no second time.
 */
export class NicService {
  readonly model: NicModel;
  readonly #parts: ServiceParts;
  readonly #driver: E1000Driver | E1000eDriver;
  readonly #ports: number[] = [];
  #due = true;
  #interrupts = 0;
  #stopped = false;
  #last: NicCounts | undefined;
  #answered = false;

  /** Brings the device up. Throws what the driver does; then nothing is left of it. */
  constructor(model: NicModel, parts: ServiceParts) {
    this.model = model;
    this.#parts = parts;
    const { kernel, lines, guest, routing, name } = parts;
    const options = { dma: { mode: 'direct' as const }, ring: RING };
    const driver = model === 'e1000' ? new E1000Driver(guest, routing, options) : new E1000eDriver(guest, routing, options);
    this.#driver = driver;
    try {
      if (driver instanceof E1000Driver) lines.request(guest.pci.line(routing), name, () => this.#onLine());
      else this.#listen(driver.events);
    } catch (error) {
      driver.stop();
      throw error;
    }
    const mac = [...this.#driver.mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    kernel.print(`${model} ${name}: ${mac}, link is up`);
    kernel.scheduler.spawn(`${model} ${name}`, kernel.domid, orPrint(kernel, name, this.#run()));
  }

  get counts(): NicCounts {
    if (this.#last !== undefined) return this.#last;
    const { engine } = this.#parts.guest;
    const word = (off: number): number => engine.word64(this.#driver.off + off);
    return {
      interrupts: this.#interrupts, received: word(Block.RECEIVED), receivedBytes: word(Block.RECEIVED_BYTES),
      sent: word(Block.SENT), returned: word(Block.RETURNED),
    };
  }

  #listen(events: E1000eDriver['events']): void {
    for (const { port } of events) {
      this.#ports.push(port);
      this.#parts.kernel.onEvent(port, () => this.#onMessage());
    }
  }

  /** Another device on the line may have interrupted: reading the cause clears it. */
  #onLine(): void {
    if (this.#driver.read(E1000.ICR) === 0) return;
    this.#driver.write(E1000.IMC, E1000Icr.ALL);
    this.#interrupts++;
    this.#due = true;
  }

  /** The device has masked what it told of. */
  #onMessage(): void {
    this.#interrupts++;
    this.#due = true;
  }

  #unmask(): void {
    this.#driver.write(E1000.IMS, this.model === 'e1000e' ? E1000eIcr.RXQ0 | E1000eIcr.TXQ0
      : E1000Icr.RXT0 | E1000Icr.TXDW | E1000Icr.LSC);
  }

  *#run(): Task {
    const { guest } = this.#parts;
    const { exports } = guest.engine;
    const { off } = this.#driver;
    // receive buffers are on the ring before anything is sent
    exports.driverPoll(off, 0);
    this.#greet();
    while (!this.#stopped) {
      const before = this.counts.receivedBytes;
      this.#due = false;
      const taken = exports.driverPoll(off, BUDGET);
      this.#noteAnswer();
      if (taken < BUDGET) this.#unmask();
      else this.#due = true;
      if (taken > 0) yield { timeout: (this.counts.receivedBytes - before + OVERHEAD * taken) * BYTE_NS };
      else yield { until: () => this.#due || this.#stopped };
    }
  }

  /** A few frames to everyone, so that something is to be seen on the wire. */
  #greet(): void {
    const { engine } = this.#parts.guest;
    const off = engine.heap.take(GREETING_BYTES, 'a frame');
    for (let i = 0; i < GREETING; i++) {
      const frame = engine.stateBytes(off, GREETING_BYTES).fill(0);
      frame.fill(0xff, 0, 6);
      frame.set(this.#driver.mac, 6);
      // for local experiments (IEEE 802 §9.2.4)
      frame.set([0x88, 0xb5, i], 12);
      engine.exports.driverSend(this.#driver.off, off, GREETING_BYTES);
    }
    engine.heap.give(off, GREETING_BYTES);
  }

  /** Whoever is at the other end has sent the greeting back: said once. */
  #noteAnswer(): void {
    if (this.#answered || this.counts.returned < GREETING) return;
    this.#answered = true;
    const { kernel, name } = this.#parts;
    kernel.print(`${this.model} ${name}: ${GREETING} frames sent, and received again from the other end`);
  }

  /** The driver lets go of the device, which may be there no more. */
  stop(): void {
    if (this.#stopped) return;
    this.#last = this.counts;
    this.#stopped = true;
    const { kernel, lines, guest, routing, name } = this.#parts;
    for (const port of this.#ports) kernel.offEvent(port);
    try {
      if (this.model === 'e1000') lines.free(guest.pci.line(routing), name);
      this.#driver.stop();
    } catch (error) {
      this.#driver.release();
      throw error;
    }
  }

  /** Its domain is gone: only what lies in the engine's state is given back. */
  abandon(): void {
    if (this.#stopped) return;
    this.#last = this.counts;
    this.#stopped = true;
    this.#driver.release();
  }
}
