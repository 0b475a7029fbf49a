// A guest that does anything at all: loads and stores anywhere, ports, config space, hypercalls, rings full of garbage,
// memory that changes between two reads, devices reset in mid-flight. Whatever it does, the engine must not trap, no
// byte of another domain may change, and no call may do more work than its budget and one step.
import { createHash } from 'node:crypto';
import { Counter } from '../../assembly/spec/counters';
import { State } from '../../assembly/spec/state';
import { Random } from '../../src/engine/random';
import { generateStore } from '../../src/devices/links/store';
import { type MachineDescription } from '../../src/machine/description';
import { Machine } from '../../src/machine/machine';
import type { Domain, Translation } from '../../src/xen/hypervisor/domain';

export type FuzzPolicy = 'none' | 'own-frames' | 'guest-mapped';

export interface FuzzReport {
  seed: number;
  policy: FuzzPolicy;
  operations: number;
  /** Units of the longest call of `service`, and its budget. */
  worst: { units: number; budget: number };
  faults: number;
  refused: number;
  dma: number;
}

/** More units than one step of any device may take: 64 descriptors of 256 bytes make the longest frame, twice over. */
const STEP_MAX = 2048;

/** One guest with both devices, and a domain whose every byte is watched. */
export class RandomGuest {
  readonly #random: Random;
  readonly #machine: Machine;
  readonly #domain: Domain;
  readonly #victims: Domain[];
  readonly #bars: number[];
  readonly #fns: number[];
  readonly #before: string;
  readonly report: FuzzReport;
  #now = 0;

  private constructor(machine: Machine, domain: Domain, victims: Domain[], seed: number, policy: FuzzPolicy) {
    this.#random = new Random(seed);
    this.#machine = machine;
    this.#domain = domain;
    this.#victims = victims;
    const guest = machine.guest(domain);
    this.#bars = [guest.ioremap(machine.barAddress('00:04.0', 0), 0x20000), guest.ioremap(machine.barAddress('00:06.0', 0), 0x100000)];
    this.#fns = [machine.functionOf('00:04.0'), machine.functionOf('00:06.0')];
    for (const victim of victims) for (const mfn of victim.p2m) this.#random.fill(machine.engine.frame(mfn));
    // two real ways in, so that garbage is not always turned away at the door
    guest.config(0x20).write(4, 2, 7);
    guest.config(0x30).write(4, 2, 7);
    this.#before = this.#digest();
    this.report = { seed, policy, operations: 0, worst: { units: 0, budget: 0 }, faults: 0, refused: 0, dma: 0 };
  }

  static async create(seed: number, policy: FuzzPolicy): Promise<RandomGuest> {
    const description: MachineDescription = {
      memory: '16MiB', dom0: { memory: '1MiB' }, iommu: policy === 'none' ? 'none' : 'vtd', iommuFrames: 256, seed,
      devices: [{ model: 'e1000', bdf: '00:04.0' }, { model: 'edu', bdf: '00:06.0' }],
    };
    const machine = await Machine.create(description);
    const domain = machine.createDomain({ name: 'random', memory: '2MiB' });
    const other = machine.createDomain({ name: 'victim', memory: '1MiB' });
    const translation: Translation = policy;
    machine.assign('00:04.0', domain, translation);
    machine.assign('00:06.0', domain, translation);
    machine.link('00:04.0').plugStore(generateStore('frames', 'imix', 64, seed), false);
    return new RandomGuest(machine, domain, [machine.dom0, other], seed, policy);
  }

  #digest(): string {
    const hash = createHash('sha256');
    for (const victim of this.#victims) for (const mfn of victim.p2m) hash.update(this.#machine.engine.frame(mfn));
    return hash.digest('hex');
  }

  /** A number that is interesting more often than chance would have it. */
  #number(): number {
    const random = this.#random;
    switch (random.below(8)) {
      case 0: return 0;
      case 1: return 0xffffffff;
      case 2: return 1 << random.below(32) >>> 0;
      case 3: return (random.below(16) * 4096) >>> 0;
      case 4: return random.below(65536);
      case 5: return (this.#domain.p2m[random.below(this.#domain.p2m.length)] as number) * 4096 + random.below(4096);
      default: return random.next();
    }
  }

  /** Machine address, as a device would be given: mostly the guest's own, sometimes a victim's, the unit's, a BAR's. */
  #busAddress(): number {
    const random = this.#random;
    const victim = this.#victims[random.below(this.#victims.length)] as Domain;
    switch (random.below(10)) {
      case 0: return (victim.p2m[random.below(victim.p2m.length)] as number) * 4096;
      case 1: return 0xfed90000 + random.below(4096);
      case 2: return 0xfee00000 + random.below(0x100000);
      case 3: return this.#machine.barAddress('00:06.0', 0) + random.below(256);
      case 4: return this.#number();
      default: return (this.#domain.p2m[random.below(this.#domain.p2m.length)] as number) * 4096 + random.below(4096);
    }
  }

  #guestAddress(): number {
    const random = this.#random;
    switch (random.below(6)) {
      case 0: return this.#number();
      case 1: case 2: return (this.#bars[0] as number) + random.below(0x5900);
      case 3: return (this.#bars[1] as number) + random.below(0xa0);
      default: return random.below(this.#domain.p2m.length * 4096);
    }
  }

  /** Rings that look like rings, at guest pages 1 (receive) and 2 (transmit), with garbage in them. */
  #rings(): void {
    const { engine } = this.#machine;
    const { slot, p2m } = this.#domain;
    const random = this.#random;
    const store = (va: number, value: number): void => engine.exports.guestStore(slot, va, 0, 4, value, 0);
    for (const [page, register] of [[1, 0x2800], [2, 0x3800]] as const) {
      for (let i = 0; i < 16; i++) {
        const va = page * 4096 + random.below(64) * 16;
        store(va, this.#busAddress());
        store(va + 4, random.below(8) === 0 ? this.#number() : 0);
        store(va + 8, random.next());
        store(va + 12, random.below(2) === 0 ? 0 : random.next());
      }
      const bar = this.#bars[0] as number;
      store(bar + register, (p2m[page] as number) * 4096);
      store(bar + register + 4, 0);
      store(bar + register + 8, 128 * (1 + random.below(8)));
      store(bar + register + 0x18, random.below(64));
    }
    store((this.#bars[0] as number) + 0x100, random.next() | 2);
    store((this.#bars[0] as number) + 0x400, random.next() | 2);
    this.#machine.link('00:04.0').offer(random.below(4));
  }

  #dmaByEdu(): void {
    const { engine } = this.#machine;
    const bar = this.#bars[1] as number;
    const random = this.#random;
    const store = (off: number, value: number): void => engine.exports.guestStore(this.#domain.slot, bar + off, 0, 4, value, 0);
    const inside = 0x40000 + random.below(4096);
    const toRam = random.below(2) === 1;
    store(0x80, toRam ? inside : this.#busAddress());
    store(0x88, toRam ? this.#busAddress() : inside);
    store(0x90, random.below(4) === 0 ? this.#number() : random.below(4096));
    store(0x98, random.below(8) | 1);
  }

  #serve(): void {
    const { engine } = this.#machine;
    const budget = [1, 7, 64, 1000, 0, 0x7fffffff][this.#random.below(6)] as number;
    this.#now += this.#random.below(3) === 0 ? 200_000_000 : this.#random.below(10_000);
    const units = (): number => engine.word64(State.COUNTERS + Counter.SERVICE_UNITS * 8);
    const before = units();
    engine.exports.service(this.#now, budget);
    const spent = units() - before;
    if (spent > budget + STEP_MAX) throw new Error(`service did ${spent} units of work with a budget of ${budget}`);
    if (spent - budget > this.report.worst.units - this.report.worst.budget || this.report.operations === 0) {
      this.report.worst = { units: spent, budget };
    }
  }

  #operation(): void {
    const { engine } = this.#machine;
    const { exports } = engine;
    const { slot } = this.#domain;
    const random = this.#random;
    const width = [1, 2, 4, 8][random.below(4)] as number;
    switch (random.below(16)) {
      case 0: case 1: exports.guestLoad(slot, this.#guestAddress(), random.below(16) === 0 ? this.#number() : 0, width); break;
      case 2: case 3: exports.guestStore(slot, this.#guestAddress(), random.below(16) === 0 ? this.#number() : 0, width, this.#number(), this.#number()); break;
      case 4: exports.guestIn(slot, random.below(0x10000), [1, 2, 4][random.below(3)] as number); break;
      case 5: exports.guestOut(slot, [0xcf8, 0xcfc, 0xc000, random.below(0x10000)][random.below(4)] as number, 4, this.#number()); break;
      // its own I/O window, which it has the right to
      case 6: {
        const port = this.#machine.barAddress('00:04.0', 1);
        exports.guestOut(slot, port, 4, random.below(0x6000));
        exports.guestOut(slot, port + 4, 4, this.#number());
        exports.guestIn(slot, port + 4, 4);
        break;
      }
      case 7: exports.configWrite(this.#fns[random.below(2)] as number, random.below(260), [1, 2, 4][random.below(3)] as number, this.#number()); break;
      case 8: {
        // mostly its own frames where its drivers look for them, sometimes anything anywhere
        const own = this.#domain.p2m[random.below(this.#domain.p2m.length)] as number;
        if (random.below(4) !== 0) exports.iommuOpMap(slot, own, own, 1, 3);
        else exports.iommuOpMap(slot, this.#number() >>> 12, random.below(2) === 0 ? this.#number() >>> 12 : own,
          random.below(4) === 0 ? this.#number() : random.below(4), random.below(4));
        break;
      }
      case 9: exports.iommuOpUnmap(slot, random.below(4) === 0 ? this.#number() >>> 12 : random.below(4096),
        random.below(512) === 0 ? this.#number() : random.below(4)); break;
      case 10: exports.iommuOpFlush(slot, this.#number() >>> 12, random.below(4) === 0 ? this.#number() : random.below(64)); break;
      case 11: this.#rings(); break;
      case 12: this.#dmaByEdu(); break;
      case 13: if (random.below(32) === 0) exports.functionReset(this.#fns[random.below(2)] as number); break;
      default: this.#serve();
    }
    // Bus Master comes back on its own now and then, or a random Command ends all DMA for good
    if (random.below(64) === 0) for (const fn of this.#fns) exports.configWrite(fn, 4, 2, 7);
    // and so do the BARs come back to where the guest has them mapped
    if (random.below(256) === 0) {
      exports.configWrite(this.#fns[0] as number, 0x10, 4, this.#machine.barAddress('00:04.0', 0));
      exports.configWrite(this.#fns[1] as number, 0x10, 4, this.#machine.barAddress('00:06.0', 0));
    }
    while (engine.pollMessage() !== undefined) { /* nobody listens */ }
  }

  /** Runs `operations` operations. Throws, naming the seed, at the first that breaks a promise. */
  run(operations: number): FuzzReport {
    for (let i = 0; i < operations; i++) {
      try {
        this.#operation();
      } catch (error) {
        throw new Error(`operation ${this.report.operations} of seed ${this.report.seed}, policy ${this.report.policy}: ${String(error)}`, { cause: error });
      }
      this.report.operations++;
    }
    const counters = this.#machine.engine.counters();
    this.report.faults = counters.faults;
    this.report.refused = counters.guestRefused;
    this.report.dma = counters.dmaReads + counters.dmaWrites;
    // without an IOMMU a device reaches all memory: that is what the policy is for
    if (this.report.policy !== 'none' && this.#digest() !== this.#before) {
      throw new Error(`seed ${this.report.seed}, policy ${this.report.policy}: a byte of another domain has changed`);
    }
    return this.report;
  }
}
