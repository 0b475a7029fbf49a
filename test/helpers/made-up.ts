// Devices that exist only in tests, and a machine around them: the ways of a host that brings its own models.
import type { Model } from '../../assembly/spec/state';
import type { DeviceDefinition } from '../../src/devices/definition';
import { register } from '../../src/devices/register-table';
import { Machine, type MachineDescription } from '../../src/index';
import { aerCapability } from '../../src/pci/capabilities/aer';
import { expressCapability } from '../../src/pci/capabilities/express';
import { msiCapability } from '../../src/pci/capabilities/msi';
import { msixCapability } from '../../src/pci/capabilities/msix';
import { pmCapability } from '../../src/pci/capabilities/pm';
import { serialNumberCapability } from '../../src/pci/capabilities/serial-number';

/** No handler behind the registers. */
const PASSIVE: Model = 16;

/**
 * A PCI Express endpoint with everything: BAR 0 (16 KiB) with a scratch register and 5 MSI-X vectors, BAR 1 (32 ports),
 * BAR 2 (64 bits, prefetchable, 1 MiB), MSI with 8 maskable vectors, power management, function-level reset.
 */
export const probe: DeviceDefinition = {
  model: 'probe',
  title: 'Unassigned class: probe',
  engineModel: PASSIVE,
  config: {
    vendorId: 0x1af4, deviceId: 0x7777, classCode: 0xff0000, revision: 1, subsystemVendorId: 0x1af4,
    subsystemId: 0x0001, interruptPin: 1,
    bars: [
      { kind: 'memory32', size: 0x4000 }, { kind: 'io', size: 32 },
      { kind: 'memory64', size: 0x100000, prefetchable: true },
    ],
    capabilities: [
      pmCapability({ off: 0x40 }),
      msiCapability({ off: 0x50, vectors: 8, wide: true, masking: true }),
      msixCapability({ off: 0x70, vectors: 5, table: { bar: 0, off: 0x1000 }, pending: { bar: 0, off: 0x2008 } }),
      expressCapability({ off: 0x80, type: 'endpoint', speed: 8, width: 4 }),
      aerCapability({ off: 0x100 }),
      serialNumberCapability({ off: 0x140, number: { low: 0x12345678, high: 0x9abcdef0 } }),
    ],
  },
  registers: [
    { bar: 0, size: 0x4000, constant: 0,
      rows: [register('SCRATCH', 0x10, 'keeps what is written', { writeMask: 0xffffffff, reset: 7 })] },
    { bar: 1, size: 32, constant: 0, rows: [register('PORT', 0x04, '', { writeMask: 0xffffffff })] },
  ],
  stateSize: 0,
};

/** A conventional PCI-to-PCI bridge: any number of devices behind it, more bridges too. */
export const plainBridge: DeviceDefinition = {
  model: 'plain-bridge',
  title: 'PCI bridge: made up',
  engineModel: PASSIVE,
  config: {
    bridge: true, vendorId: 0x1af4, deviceId: 0x7778, classCode: 0x060400, revision: 0, interruptPin: 0, bars: [],
    capabilities: [pmCapability({ off: 0x40 })],
  },
  registers: [],
  stateSize: 0,
};

export async function machineWith(devices: MachineDescription['devices'] = [],
  more: Partial<MachineDescription> = {}): Promise<Machine> {
  return Machine.create({ memory: '16MiB', dom0: { memory: '4MiB' }, owner: 'native', devices, ...more },
    { models: [probe, plainBridge] });
}

/** Config space and registers of one function, and DMA by it, past all gates. */
export class Probe {
  readonly fn: number;
  readonly bdf: string;
  readonly machine: Machine;
  readonly #buffer: number;

  constructor(machine: Machine, bdf: string) {
    this.machine = machine;
    this.bdf = bdf;
    this.fn = machine.functionOf(bdf);
    this.#buffer = machine.engine.heap.take(64, 'a buffer');
  }

  get exports(): Machine['engine']['exports'] {
    return this.machine.engine.exports;
  }

  config(off: number, width: 1 | 2 | 4 = 4): number {
    return this.exports.configRead(this.fn, off, width) >>> 0;
  }

  setConfig(off: number, width: 1 | 2 | 4, value: number): void {
    this.exports.configWrite(this.fn, off, width, value);
  }

  register(off: number, bar = 0): number {
    return this.exports.registerRead(this.fn, bar, off, 4) >>> 0;
  }

  setRegister(off: number, value: number, bar = 0): void {
    this.exports.registerWrite(this.fn, bar, off, 4, value, 0);
  }

  /** Status of a DMA write of four bytes: 0 done, 1 refused. */
  dma(address = 0x1000): number {
    return this.exports.functionDmaWrite(this.fn, address, 0, 4, this.#buffer);
  }

  /** Asks for an interrupt message and lets it go out; whether messages were on at all. */
  message(vector: number): boolean {
    const on = this.exports.functionMessage(this.fn, vector) !== 0;
    this.service();
    return on;
  }

  service(): void {
    while (this.exports.service(0, 1000) === 1) { /* more */ }
  }

  /** Vectors of the messages that have come. */
  vectors(): number[] {
    const found: number[] = [];
    for (;;) {
      const message = this.machine.engine.pollMessage();
      if (message === undefined) return found;
      found.push(message.vector);
    }
  }
}

/** What a config cycle from the root sees: through ports 0xCF8 and 0xCFC. */
export function portConfig(machine: Machine, bus: number, device: number, fn: number, off: number,
  width: 1 | 2 | 4 = 4): number {
  machine.engine.exports.portWrite(0xcf8, 4, 0x80000000 | bus << 16 | device << 11 | fn << 8 | (off & 0xfc));
  return machine.engine.exports.portRead(0xcfc + (off & 3), width) >>> 0;
}
