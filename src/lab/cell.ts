import { ForwardRun } from '../../assembly/spec/driver';
import { type Counters, type EngineHost, Random, countersBetween } from '../engine/index';
import { PortcullisError } from '../errors';
import { type E1000Document, E1000Driver } from '../drivers/e1000';
import { type EduDocument, EduDriver } from '../drivers/edu';
import type { DmaOptions } from '../drivers/guest';
import { Machine, type MachineHost } from '../machine/machine';
import type { DomainGuest } from '../machine/guest';
import type { MachineDocument } from '../machine/snapshot';
import type { Domain } from '../xen/hypervisor/domain';
import type { PolicyName } from './cost/index';
import { BYSTANDER, NIC, type Setup, machineFor, setupOf } from './matrix';
import type { Owner } from './result';
import type { Workload } from './workload';

/** Packets of one call into the engine: long enough to be cheap, short enough for the compiler to change gear. */
const SLICE = 1024;
/** Warm-up: the magazines fill, and the flush queue comes round several times. */
const WARM_UP = 4096;

export interface CellOptions extends MachineHost {
  seed: number;
  batch: number;
  allocator: 'magazine' | 'tree';
  /** Another way to bus addresses than the policy's: for a driver that is broken. */
  mode?: DmaOptions['mode'];
  /** Budget of each `service` in a run (default unlimited); what comes of it is the same. */
  budget?: number;
}

/** What a cell knows beside its machine. */
export interface CellDocument {
  owner: Owner;
  policy: PolicyName;
  /** Domain id of the guest. */
  guest: number;
  driver: E1000Document;
  bystander: EduDocument;
  /** Where in the engine's state the forwarding run lies. */
  run: number;
  forwarded: number;
}

export interface CellSnapshot {
  state: Uint8Array;
  ram: Uint8Array;
  document: { machine: MachineDocument; cell: CellDocument };
}

function hostOf({ memory, state, ram }: MachineHost): MachineHost {
  return { ...(memory && { memory }), ...(state !== undefined && { state }), ...(ram !== undefined && { ram }) };
}

/** A machine with a guest that has the NIC and forwards, and a bystander device that is not the guest's. */
export class Cell {
  readonly machine: Machine;
  readonly setup: Setup;
  readonly guest: DomainGuest;
  /** Whose memory an attacker is after: dom0. In a native machine the OS itself. */
  readonly victim: Domain;
  readonly driver: E1000Driver;
  readonly bystander: EduDriver;
  readonly workload: Workload;
  readonly #run: number;
  #forwarded = 0;

  private constructor(machine: Machine, setup: Setup, workload: Workload, options: CellOptions | CellDocument) {
    this.machine = machine;
    this.setup = setup;
    this.workload = workload;
    this.victim = machine.dom0;
    if ('run' in options) {
      this.guest = machine.guest(machine.hypervisor.domain(options.guest));
      const { bystander, driver } = options;
      this.bystander = new EduDriver(machine.guest(machine.dom0), machine.routingOf(BYSTANDER), { resume: bystander });
      this.driver = new E1000Driver(this.guest, machine.routingOf(NIC), { resume: driver });
      this.#run = options.run;
      this.#forwarded = options.forwarded;
      return;
    }
    const native = setup.owner === 'native';
    const domain = native ? machine.dom0 : machine.createDomain({ name: 'guest', memory: '16MiB' });
    machine.assign(NIC, domain, setup.translation);
    // a native OS maps for all of its devices alike; under Xen, dom0's device has dom0's tables
    machine.assign(BYSTANDER, machine.dom0, native ? setup.translation : setup.dom0Translation);
    this.guest = machine.guest(domain);
    this.bystander = new EduDriver(machine.guest(machine.dom0), machine.routingOf(BYSTANDER), { mode: 'direct' });
    const link = machine.link(NIC);
    link.plugStore(workload.store, true);
    link.rateMbps = 1000;
    this.driver = new E1000Driver(this.guest, machine.routingOf(NIC), {
      dma: { mode: options.mode ?? setup.mode, allocator: options.allocator, age: options.seed },
    });

    const { engine } = machine;
    this.#run = engine.heap.take(ForwardRun.SIZE, 'a forwarding run');
    engine.stateBytes(this.#run, ForwardRun.SIZE).fill(0);
    engine.setWord(this.#run + ForwardRun.DRIVER, this.driver.off);
    engine.setWord(this.#run + ForwardRun.FUNCTION, machine.functionOf(NIC));
    engine.setWord(this.#run + ForwardRun.LINK, link.off);
    engine.setWord(this.#run + ForwardRun.BATCH, options.batch);
    engine.setWord(this.#run + ForwardRun.BUDGET, options.budget ?? 0);
    // any seed but 0 will do for the arrivals
    engine.setWord(this.#run + ForwardRun.ARRIVALS, new Random(options.seed).next() | 1);
    engine.exports.forwardStart(this.#run);
  }

  static async create(setup: Setup, workload: Workload, options: CellOptions): Promise<Cell> {
    const heap = workload.store.image.length + (2 << 20);
    const machine = await Machine.create(machineFor(setup, options.seed, heap), hostOf(options));
    return new Cell(machine, setup, workload, options);
  }

  save(): CellSnapshot {
    const { state, ram, document } = this.machine.save();
    const { owner, policy } = this.setup;
    return { state, ram, document: { machine: document, cell: {
      owner, policy, guest: this.guest.domain.domid, driver: this.driver.save(), bystander: this.bystander.save(),
      run: this.#run, forwarded: this.#forwarded,
    } } };
  }

  /** `workload` is the one that the cell was made with; its frames are in the snapshot. */
  static async restore(snapshot: CellSnapshot, workload: Workload, host: EngineHost = {}): Promise<Cell> {
    const { state, ram, document: { machine, cell } } = snapshot;
    const restored = await Machine.restore({ state, ram, document: machine }, host);
    return new Cell(restored, setupOf(cell.owner, cell.policy), workload, cell);
  }

  /** Forwards `packets` packets. Throws RUN_STALLED when the ring stands still before that. */
  forward(packets: number): void {
    for (let left = packets; left > 0;) {
      const slice = Math.min(left, SLICE);
      const done = this.forwardSome(slice);
      left -= done;
      if (done < slice) {
        throw new PortcullisError('RUN_STALLED', `${this.setup.owner}/${this.setup.policy}, workload ${this.workload.name}: the `
          + `NIC stood still after ${this.#forwarded} packets`, { forwarded: this.#forwarded });
      }
    }
  }

  /** At most `packets` in one call; how many it were. Fewer when the ring stands still or a lossless trace is full. */
  forwardSome(packets: number): number {
    const done = this.machine.engine.exports.forwardRun(this.#run, packets);
    this.#forwarded += done;
    return done;
  }

  warmUp(): void {
    this.forward(WARM_UP);
  }

  /** One measured run: what it counted. */
  measure(): { counters: Counters; bytes: number } {
    const { engine } = this.machine;
    const before = engine.counters();
    this.forward(this.workload.packets);
    const counters = countersBetween(before, engine.counters());
    return { counters, bytes: counters.txBytes };
  }

  /** What is wrong with the bytes of all packets so far, undefined when nothing is. */
  problem(): string | undefined {
    const { engine } = this.machine;
    const received = engine.word64(this.#run + ForwardRun.RECEIVED);
    const wrong = engine.word64(this.#run + ForwardRun.RECEIVED_MISMATCHES);
    const sink = this.machine.link(NIC).status();
    if (wrong > 0 || sink.mismatches > 0) {
      const first = sink.firstMismatch === undefined ? '' : `, first at packet ${sink.firstMismatch}`;
      return `${wrong} packets differed in the guest and ${sink.mismatches} at the sink${first}`;
    }
    if (received !== this.#forwarded || sink.checked !== this.#forwarded) {
      return `of ${this.#forwarded} packets, ${received} reached the guest and ${sink.checked} the sink`;
    }
    return undefined;
  }
}
