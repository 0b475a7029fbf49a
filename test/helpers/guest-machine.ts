// A whole machine with an edu device assigned to a PV domain, for tests of drivers and hypervisor.
import { DmaMapper, type DmaOptions } from '../../src/drivers/guest';
import { type Counters, countersBetween } from '../../src/engine/index';
import { Machine, type DomainConfig } from '../../src/machine/machine';
import type { DomainGuest } from '../../src/machine/guest';
import type { Domain, Translation } from '../../src/xen/hypervisor/domain';

export const EDU = '0000:00:06.0';
export const OTHER_EDU = '0000:00:07.0';

export interface GuestMachine {
  machine: Machine;
  domain: Domain;
  guest: DomainGuest;
  fn: number;
  /** DMA of the device at a bus address: status, and the bytes of a read. */
  read(bus: number, length: number): { status: number; bytes: number[] };
  write(bus: number, bytes: readonly number[]): number;
  counted(): Counters;
}

export async function guestMachine(translation: Translation, domain: Partial<DomainConfig> = {}, iommu: 'vtd' | 'none' = 'vtd'):
Promise<GuestMachine> {
  const machine = await Machine.create({
    memory: '32MiB', dom0: { memory: '2MiB' }, iommu, devices: [{ model: 'edu', bdf: EDU }, { model: 'edu', bdf: OTHER_EDU }],
  });
  const made = machine.createDomain({ name: 'guest', memory: '8MiB', ...domain });
  machine.assign(EDU, made, translation);
  const { engine } = machine;
  const fn = machine.functionOf(EDU);
  // as its driver would: decode and Bus Master on
  engine.exports.configWrite(fn, 0x04, 2, 0x0006);
  const scratch = engine.heap.take(0x4000, 'the test');
  let mark = engine.counters();
  return {
    machine, domain: made, guest: machine.guest(made), fn,
    read: (bus, length) => {
      engine.stateBytes(scratch, length).fill(0x5a);
      const status = engine.exports.functionDmaRead(fn, bus >>> 0, Math.floor(bus / 2 ** 32), length, scratch);
      return { status, bytes: [...engine.stateBytes(scratch, length)] };
    },
    write: (bus, bytes) => {
      engine.stateBytes(scratch, bytes.length).set(bytes);
      return engine.exports.functionDmaWrite(fn, bus >>> 0, Math.floor(bus / 2 ** 32), bytes.length, scratch);
    },
    counted: () => {
      const now = engine.counters();
      const difference = countersBetween(mark, now);
      mark = now;
      return difference;
    },
  };
}

export function mapper(one: GuestMachine, mode: DmaOptions['mode'], options: Partial<DmaOptions> = {}): DmaMapper {
  return new DmaMapper(one.guest, { mode, mask: 0xffffffff, ...options });
}

/** Code of the error that a call throws. */
export function codeOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
