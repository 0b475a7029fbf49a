import { DmaDirection } from '../../assembly/spec/driver';
import { E1000, E1000Ctrl, E1000Rctl, E1000Rxd, E1000Tctl, E1000Txd } from '../../assembly/spec/e1000';
import { Edu } from '../../assembly/spec/edu';
import { Random } from '../engine/index';
import { PortcullisError } from '../errors';
import { buildStore } from '../devices/links/store';
import { bdfOf, formatBdf } from '../pci/bdf';
import { EVTCHN_PENDING, SHARED_INFO_PFN } from '../xen/hypervisor/domain';
import type { FaultRecord } from '../xen/hypervisor/iommu';
import type { Cell } from './cell';
import { BYSTANDER, NIC } from './matrix';
import type { Attack, Isolation } from './result';

const FRAME = 60;
const SPILL = 256;
/** An entry of the remap table that nobody uses. */
const FORGED_ENTRY = 128;

/**
 * A hostile driver in the guest: it has the NIC and everything that a guest has, and names any bus address it likes.
 * It writes by letting a frame come in over a descriptor of its own making, and reads by sending from one.
 */
class HostileNic {
  readonly #cell: Cell;
  readonly #rings: { rx: number; tx: number };

  constructor(cell: Cell) {
    this.#cell = cell;
    const { driver } = cell;
    this.#rings = {
      rx: driver.read(E1000.RDBAL) + driver.read(E1000.RDBAH) * 2 ** 32,
      tx: driver.read(E1000.TDBAL) + driver.read(E1000.TDBAH) * 2 ** 32,
    };
  }

  #restart(receive: number): void {
    const { driver, guest } = this.#cell;
    driver.write(E1000.CTRL, driver.read(E1000.CTRL) | E1000Ctrl.RST);
    // a hostile driver does not wait for long: what has just been unmapped may still be in reach
    guest.wait(1000);
    for (const [base, bus] of [[E1000.RDBAL, this.#rings.rx], [E1000.TDBAL, this.#rings.tx]] as const) {
      driver.write(base, bus >>> 0);
      driver.write(base + 4, Math.floor(bus / 2 ** 32));
      driver.write(base + 8, driver.ring * 16);
    }
    driver.write(E1000.RCTL, receive);
    driver.write(E1000.TCTL, E1000Tctl.EN | E1000Tctl.PSP);
  }

  #descriptor(ring: number, index: number, bus: number, lengthAndCommand: number): void {
    const { guest } = this.#cell;
    const va = ring + index * 16;
    guest.store(va + E1000Rxd.BUFFER, 4, bus >>> 0);
    guest.store(va + E1000Rxd.BUFFER + 4, 4, Math.floor(bus / 2 ** 32));
    guest.store(va + E1000Rxd.LENGTH, 4, lengthAndCommand);
    guest.store(va + E1000Rxd.STATUS, 4, 0);
  }

  /** Has the NIC write `bytes` (60 to 256) at a bus address. */
  write(bus: number, bytes: Uint8Array): void {
    this.#receive([bus], bytes, 0);
  }

  /**
   * Has the NIC write exactly four bytes: the frame fills a first buffer of 256 bytes and its last four spill into
   * the next descriptor, which points where a device should not write.
   */
  writeDword(bus: number, value: number, decoy: number): void {
    const frame = new Uint8Array(SPILL + 4);
    new DataView(frame.buffer).setUint32(SPILL, value, true);
    this.#receive([decoy, bus], frame, 3 << E1000Rctl.BSIZE_SHIFT);
  }

  #receive(buffers: number[], frame: Uint8Array, size: number): void {
    const { machine, driver, guest } = this.#cell;
    this.#restart(0);
    buffers.forEach((bus, index) => this.#descriptor(driver.rxRing, index, bus, 0));
    const link = machine.link(NIC);
    link.plugStore(buildStore('an attack', [frame]), false);
    link.offer(1);
    driver.write(E1000.RDT, buffers.length);
    driver.write(E1000.RCTL, E1000Rctl.EN | E1000Rctl.UPE | E1000Rctl.MPE | E1000Rctl.BAM | E1000Rctl.SECRC | size);
    guest.wait();
  }

  /** Has the NIC send `length` bytes from a bus address; what came out, or undefined when nothing did. */
  read(bus: number, length: number): Uint8Array | undefined {
    const { machine, driver, guest } = this.#cell;
    this.#restart(0);
    const link = machine.link(NIC);
    link.plugCapture(65536);
    const command = (E1000Txd.COMMAND_EOP | E1000Txd.COMMAND_IFCS | E1000Txd.COMMAND_RS) << 24;
    this.#descriptor(driver.txRing, 0, bus, (length | command) >>> 0);
    driver.write(E1000.TDT, 1);
    guest.wait();
    return link.capture()[0]?.bytes;
  }
}

/** Bytes of a victim, as a function that looks at them now. */
type Victim = () => Uint8Array;

/** One try at a target: by reading, by writing, or by an interrupt. */
interface Attempt {
  reached: boolean;
  faults: FaultRecord[];
}

/** The judge. It knows the victim's bytes before and after, and what the attacker got hold of: no policy, no intent. */
function judge(before: Uint8Array, after: Uint8Array, loot: Uint8Array | undefined): boolean {
  if (before.some((byte, index) => after[index] !== byte)) return true;
  return loot !== undefined && loot.length > 0 && loot.every((byte, index) => before[index] === byte);
}

function describeFault(fault: FaultRecord): NonNullable<Isolation['fault']> {
  return {
    requester: formatBdf(bdfOf(fault.requester)),
    iova: fault.iova === undefined ? 'none' : `0x${fault.iova.toString(16)}`,
    ...(fault.index === undefined ? {} : { index: fault.index }),
    access: fault.access, reason: `0x${fault.reason.toString(16).padStart(2, '0')} ${fault.text}`,
  };
}

function absent(reason: string): Isolation {
  return { verdict: 'n/a', reason };
}

/** An attack that neither reached its target nor met a fault there: then something else was wrong, and nothing is shown. */
function inconclusive(cell: Cell, attack: string): PortcullisError {
  return new PortcullisError('ATTACK_INCONCLUSIVE', `${cell.setup.owner}/${cell.setup.policy}: the attack "${attack}" did not `
    + 'reach its target, and no fault was recorded for it: this is a bug of ours', { attack });
}

/** Runs every attack on a cell's machine, which is of no use for anything else afterwards. */
export function attackAll(cell: Cell, seed: number): Record<Attack, Isolation> {
  const { machine, guest, driver } = cell;
  const { engine, hypervisor } = machine;
  const nic = new HostileNic(cell);
  const requester = machine.routingOf(NIC);
  const random = new Random(seed ^ 0x5ec2e7);
  const attackFrame = random.fill(new Uint8Array(FRAME));
  const pageBytes = (mfn: number, off: number, length: number): Victim => () => engine.frame(mfn).slice(off, off + length);

  const attempt = (victim: Victim, act: () => Uint8Array | undefined): Attempt => {
    hypervisor.iommu?.takeFaults();
    const before = victim();
    const loot = act();
    const reached = judge(before, victim(), loot);
    return { reached, faults: hypervisor.iommu?.takeFaults() ?? [] };
  };
  /**
   * Sums up the tries at one target. Where none reached it, each must have met a fault of this NIC that fits: at the
   * target's page, or of an interrupt. Otherwise the attack has not shown anything.
   */
  const sumUp = (name: string, attempts: Attempt[], fits: (fault: FaultRecord) => boolean): Isolation => {
    const faults = attempts.flatMap((one) => one.faults.filter((fault) => fault.requester === requester && fits(fault)));
    if (attempts.some(({ reached }) => reached)) return { verdict: 'reached' };
    if (attempts.some((one) => !one.faults.some((fault) => fault.requester === requester && fits(fault)))) {
      throw inconclusive(cell, name);
    }
    const described = faults.map(describeFault);
    return { verdict: 'blocked', ...(described[0] === undefined ? {} : { fault: described[0] }), faults: described };
  };
  /** Fills a place with random bytes, and says how to read and how to write it by DMA at a bus address. */
  const readAt = (mfn: number, off: number, bus: number): Attempt => {
    random.fill(engine.frame(mfn).subarray(off, off + FRAME));
    return attempt(pageBytes(mfn, off, FRAME), () => nic.read(bus, FRAME));
  };
  const writeAt = (mfn: number, off: number, bus: number): Attempt => {
    random.fill(engine.frame(mfn).subarray(off, off + FRAME));
    return attempt(pageBytes(mfn, off, FRAME), () => {
      nic.write(bus, attackFrame);
      return undefined;
    });
  };
  const atPage = (bus: number) => (fault: FaultRecord): boolean => fault.iova === bus - (bus % 4096);
  /** Both directions at one place; the isolation says each apart. */
  const both = (name: string, place: () => { mfn: number; off: number; bus: number }): Isolation => {
    const first = place();
    const read = readAt(first.mfn, first.off, first.bus);
    // a second place for the write: what is in reach for a while only, a read may have used up
    const second = place();
    const write = writeAt(second.mfn, second.off, second.bus);
    const either = (fault: FaultRecord): boolean => atPage(first.bus)(fault) || atPage(second.bus)(fault);
    const word = ({ reached }: Attempt): 'reached' | 'blocked' => (reached ? 'reached' : 'blocked');
    return { ...sumUp(name, [read, write], either), read: word(read), write: word(write) };
  };
  const ownPage = (): { va: number; mfn: number } => {
    const va = guest.allocPages(1);
    return { va, mfn: guest.machineAddress(va) / 4096 };
  };
  /** A buffer that was mapped, used by the device, and unmapped, with nothing left over from before. */
  const usedBuffer = (): { mfn: number; bus: number } => {
    const { va, mfn } = ownPage();
    driver.dma.flush();
    const bus = driver.dma.map(va, SPILL, DmaDirection.BOTH);
    nic.write(bus, attackFrame);
    nic.read(bus, FRAME);
    driver.dma.unmap(bus, va, SPILL, DmaDirection.BOTH);
    return { mfn, bus };
  };

  /** The means themselves must work, or a verdict of "blocked" would say nothing: a buffer that the device may use. */
  const control = (): void => {
    const { va, mfn } = ownPage();
    const bus = driver.dma.map(va, SPILL, DmaDirection.BOTH);
    if (!readAt(mfn, 0, bus).reached || !writeAt(mfn, 0, bus).reached) throw inconclusive(cell, 'control');
    nic.writeDword(bus + 128, 0x5a5a5a5a, bus);
    if (new DataView(engine.frame(mfn).slice(128, 132).buffer).getUint32(0) !== 0x5a5a5a5a) throw inconclusive(cell, 'control');
  };
  const otherDomain = (): Isolation => {
    if (cell.victim === guest.domain) return absent('one OS owns the machine: there is no other domain');
    const mfn = cell.victim.p2m[cell.victim.p2m.length - 1] as number;
    return both('otherDomain', () => ({ mfn, off: 0, bus: mfn * 4096 }));
  };
  const neverMapped = (): Isolation => both('neverMapped', () => {
    const { mfn } = ownPage();
    return { mfn, off: 0, bus: mfn * 4096 };
  });
  const pageNeighbour = (): Isolation => both('pageNeighbour', () => {
    const { va, mfn } = ownPage();
    return { mfn, off: 2048, bus: driver.dma.map(va, SPILL, DmaDirection.BOTH) + 2048 };
  });
  const afterUnmap = (): Isolation => both('afterUnmap', () => ({ ...usedBuffer(), off: 0 }));
  const afterFlush = (): Isolation => both('afterFlush', () => {
    const used = usedBuffer();
    driver.dma.flush();
    return { ...used, off: 0 };
  });
  /**
   * The bystander's interrupt, forged: as a plain message; with the handle that the bystander's own uses; and with a
   * remap entry of the attacker's own making, written into the table by DMA.
   */
  const forgedMsi = (): Isolation => {
    const { port, vector, address, data } = hypervisor.bindMsi(cell.victim.domid, machine.routingOf(BYSTANDER));
    const pending = pageBytes(cell.victim.p2m[SHARED_INFO_PFN] as number, EVTCHN_PENDING + (port >> 3), 1);
    const decoy = driver.dma.map(ownPage().va, SPILL, DmaDirection.BOTH);
    const attempts = [attempt(pending, () => {
      nic.writeDword(0xfee00000, vector, decoy);
      return undefined;
    }), attempt(pending, () => {
      nic.writeDword(address, data, decoy);
      return undefined;
    })];
    const table = (hypervisor.iommu?.tables.interrupts ?? 0) * 4096;
    if (table !== 0) {
      attempts.push(attempt(pending, () => {
        const entries = new Uint8Array(FRAME);
        for (let at = 0; at + 16 <= FRAME; at += 16) new DataView(entries.buffer).setUint32(at, vector << 16 | 1, true);
        nic.write(table + FORGED_ENTRY * 16, entries);
        nic.writeDword((0xfee00010 | FORGED_ENTRY << 5) >>> 0, 0, decoy);
        return undefined;
      }));
    }
    return sumUp('forgedMsi', attempts, (fault) => fault.access === 'interrupt');
  };
  /** A register of the bystander: LIVENESS, which shows the inverse of what was written to it last. */
  const peer = (): Isolation => {
    const bus = machine.barAddress(BYSTANDER, 0);
    const fn = machine.functionOf(BYSTANDER);
    const liveness: Victim = () => {
      const value = engine.exports.registerRead(fn, 0, Edu.LIVENESS, 4) >>> 0;
      return Uint8Array.from([value, value >>> 8, value >>> 16, value >>> 24]);
    };
    return sumUp('peer', [attempt(liveness, () => {
      nic.write(bus, attackFrame);
      return undefined;
    })], atPage(bus));
  };
  control();
  return {
    otherDomain: otherDomain(), neverMapped: neverMapped(), pageNeighbour: pageNeighbour(), afterUnmap: afterUnmap(),
    afterFlush: afterFlush(), forgedMsi: forgedMsi(), peer: peer(),
  };
}
