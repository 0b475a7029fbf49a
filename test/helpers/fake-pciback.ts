// PCI hardware for tests of pciback, without an engine: config images with their write masks, set as firmware leaves
// them. Addresses and interrupt numbers are those of xen-observed.md.
import { aerCapability } from '../../src/pci/capabilities/aer';
import type { Capability } from '../../src/pci/capabilities/capability';
import { expressCapability } from '../../src/pci/capabilities/express';
import { msiCapability } from '../../src/pci/capabilities/msi';
import { msixCapability } from '../../src/pci/capabilities/msix';
import { pmCapability } from '../../src/pci/capabilities/pm';
import { formatBdf, bdfOf } from '../../src/pci/bdf';
import type { ConfigAccess } from '../../src/pci/access';
import { buildConfig, type ConfigDefinition, type ConfigImage } from '../../src/pci/config-space';
import { field } from '../../src/pci/fields';
import type { HostFunction, HostPci, PciDevice, Resource } from '../../src/xen/dom0/types';
import { HypercallError } from '../../src/xen/hypervisor/errors';
import { IrqPool } from '../../src/xen/pciback/irq-pool';
import type { InterruptLines, PcibackParameters, PcibackPhysdev } from '../../src/xen/pciback/parts';
import type { PcibackDevice } from '../../src/xen/pciback/seized-device';
import { PcibackStub } from '../../src/xen/pciback/stub';

const MEM = 0x200;
const IO = 0x100;
const NONE: Resource = { start: 0, end: 0, flags: 0 };
/** Bytes that reset leaves as firmware had set them, beside the BARs. */
const CACHE_LINE = 0x0c;
const LINE = 0x3c;

export interface FakeDefinition {
  readonly config: ConfigDefinition;
  readonly routing: number;
  readonly gsi?: number;
  readonly irq?: number;
  readonly parent?: number;
  readonly resettable?: boolean;
  /** Of each BAR, and the ROM's as the seventh. */
  readonly addresses: ReadonlyArray<number | undefined>;
  readonly romSize?: number;
  readonly multiFunction?: boolean;
}

/** One function: its registers keep what their masks let them keep. */
export class FakeFunction implements ConfigAccess {
  readonly host: HostFunction;
  readonly bytes: Uint8Array;
  resets = 0;
  /** Every write, as `off:width=value`. */
  readonly writes: string[] = [];
  /** Called when a write has brought it from D3hot to D0. */
  onD0: (() => void) | undefined;
  readonly #image: ConfigImage;

  constructor(definition: FakeDefinition) {
    const { config, routing, addresses, romSize = 0 } = definition;
    const rom = romSize === 0 ? [] : [field('ROM', config.bridge ? 0x38 : 0x30, 4, '', { writable: -romSize | 1 })];
    this.#image = buildConfig({ ...config, own: [...(config.own ?? []), ...rom] },
      { rootBus: routing < 0x100, multiFunction: definition.multiFunction ?? false });
    this.bytes = Uint8Array.from(this.#image.value);
    const resources = [0, 1, 2, 3, 4, 5].map((index): Resource => {
      const [bar, start] = [config.bars[index], addresses[index]];
      if (bar === undefined || start === undefined) return NONE;
      const end = start + bar.size - 1;
      if (bar.kind === 'io') return { start, end, flags: IO | 0x40001 };
      const bits = (bar.kind === 'memory64' ? 4 : 0) | (bar.prefetchable ? 8 : 0);
      return { start, end, flags: MEM | 0x40000 | bits | (bits & 4 ? 0x100000 : 0) | (bits & 8 ? 0x2000 : 0) };
    });
    const romStart = addresses[6];
    resources.push(romStart === undefined ? NONE : { start: romStart, end: romStart + romSize - 1, flags: MEM | 0x46000 });
    const { gsi = 0, irq = 0, parent, resettable = true } = definition;
    this.host = { routing, gsi, irq, resources, parent, resettable };
    resources.forEach(({ start, flags }, index) => {
      if (flags === 0) return;
      const off = index === 6 ? (config.bridge ? 0x38 : 0x30) : 0x10 + 4 * index;
      this.write(off, 4, start % 2 ** 32);
      if ((flags & 4) !== 0) this.write(off + 4, 4, Math.floor(start / 2 ** 32));
    });
    this.write(LINE, 1, 0x0a);
    this.write(0x04, 2, 0x0103);
    this.writes.length = 0;
  }

  /** What is kept of a write to each byte. */
  get writable(): Uint8Array {
    return this.#image.writable;
  }

  read(off: number, width: 1 | 2 | 4): number {
    let value = 0;
    for (let i = 0; i < width; i++) value += (this.bytes[off + i] ?? 0xff) * 2 ** (8 * i);
    return value;
  }

  write(off: number, width: 1 | 2 | 4, value: number): void {
    this.writes.push(`${off.toString(16)}:${width}=${(value >>> 0).toString(16)}`);
    const pmcsr = this.#image.pmCap === 0 ? -1 : this.#image.pmCap + 4;
    const asleep = ((this.bytes[pmcsr] ?? 0) & 3) === 3;
    for (let i = 0; i < width; i++) {
      const [byte, at] = [(value >>> (8 * i)) & 0xff, off + i];
      const [mask, clear] = [this.#image.writable[at] ?? 0, this.#image.clearable[at] ?? 0];
      this.bytes[at] = (((this.bytes[at] ?? 0) & ~mask) | (byte & mask)) & ~(byte & clear);
    }
    if (asleep && ((this.bytes[pmcsr] ?? 0) & 3) === 0) this.onD0?.();
  }

  /** As HostPci promises it. */
  reset(): void {
    this.resets++;
    const kept = Uint8Array.from(this.bytes);
    this.bytes.set(this.#image.value);
    for (const at of [CACHE_LINE, LINE, ...Array.from({ length: 24 }, (_, index) => 0x10 + index)]) {
      this.bytes[at] = kept[at] as number;
    }
  }
}

/** VPD by hand: no device of the project has one. */
export function vpdCapability(off: number): Capability {
  return {
    name: 'VPD', id: 0x03, off, size: 8,
    fields: () => [
      field('VPD Address', 2, 2, '', { writable: 0xffff }), field('VPD Data', 4, 4, '', { value: 0x12345678, writable: -1 }),
    ],
  };
}

export const EDU = 0x0030;
export const E1000E = 0x0028;
export const E1000 = 0x0020;
/** A 64-bit BAR of 16 KiB above 4 GiB. */
export const WIDE = 0x0040;
/** Two functions. */
export const PAIR_0 = 0x0050;
export const PAIR_1 = 0x0051;
export const ROOT_PORT = 0x00e0;
export const BEHIND = 0x0100;

const endpoint = (vendorId: number, deviceId: number): Omit<ConfigDefinition, 'bars'> =>
  ({ vendorId, deviceId, classCode: 0x020000, revision: 3, interruptPin: 1, subsystemVendorId: 0x1af4, subsystemId: 0x1100 });

export const OBSERVED: readonly FakeDefinition[] = [
  {
    routing: E1000, gsi: 20, irq: 0x14, resettable: false, romSize: 0x40000,
    config: {
      ...endpoint(0x8086, 0x100e), bars: [{ kind: 'memory32', size: 0x20000 }, { kind: 'io', size: 64 }],
      own: [field('scratch', 0x40, 4, '', { writable: -1 }), field('scratch', 0xfc, 4, '', { writable: -1 })],
    },
    addresses: [0xfe640000, 0xd2c0, undefined, undefined, undefined, undefined, 0xfe4c0000],
  },
  {
    routing: E1000E, gsi: 21, irq: 0x15, romSize: 0x40000,
    config: {
      ...endpoint(0x8086, 0x10d3),
      bars: [{ kind: 'memory32', size: 0x20000 }, { kind: 'memory32', size: 0x20000 }, { kind: 'io', size: 32 },
        { kind: 'memory32', size: 0x4000 }],
      capabilities: [
        pmCapability({ off: 0xc8, noSoftReset: true }), msiCapability({ off: 0xd0, vectors: 1, wide: true }),
        expressCapability({ off: 0xe0, type: 'endpoint', version: 1 }),
        msixCapability({ off: 0xa0, vectors: 5, table: { bar: 3, off: 0 }, pending: { bar: 3, off: 0x2000 } }),
        aerCapability({ off: 0x100 }),
      ],
      own: [field('scratch', 0x40, 4, '', { writable: -1 }), field('scratch', 0xfc, 4, '', { writable: -1 })],
    },
    addresses: [0xfe660000, 0xfe680000, 0xd300, 0xfe6c0000, undefined, undefined, 0xfe540000],
  },
  {
    routing: EDU, gsi: 22, irq: 0x15,
    config: {
      ...endpoint(0x1234, 0x11e8), classCode: 0x00ff00, revision: 0x10, bars: [{ kind: 'memory32', size: 0x100000 }],
      capabilities: [msiCapability({ off: 0x40, vectors: 1, wide: true })],
    },
    addresses: [0xfe400000],
  },
  {
    routing: WIDE, gsi: 16, irq: 0x10,
    config: {
      ...endpoint(0x1b36, 0x0010), classCode: 0x010802, bars: [{ kind: 'memory64', size: 0x4000, prefetchable: false }],
      capabilities: [vpdCapability(0x60)],
    },
    addresses: [0x3800000000],
  },
  ...[PAIR_0, PAIR_1].map((routing): FakeDefinition => ({
    routing, gsi: 17, irq: 0x11, multiFunction: true,
    config: { ...endpoint(0x1234, 0x11e8), bars: [{ kind: 'memory32', size: 0x1000 }] },
    addresses: [0xfe6c8000 + routing * 0x1000],
  })),
  {
    routing: ROOT_PORT, gsi: 16, irq: 0x10,
    config: {
      vendorId: 0x1b36, deviceId: 0x000c, classCode: 0x060400, revision: 0, interruptPin: 1, bridge: true, bars: [],
      capabilities: [expressCapability({ off: 0x54, type: 'root-port' })],
    },
    addresses: [],
  },
  {
    routing: BEHIND, gsi: 18, irq: 0x12, parent: ROOT_PORT,
    config: { ...endpoint(0x1af4, 0x1044), bars: [{ kind: 'memory32', size: 0x1000 }] }, addresses: [0xfe200000],
  },
];

export class FakeHost implements HostPci {
  readonly all = new Map<number, FakeFunction>();

  constructor(definitions: readonly FakeDefinition[] = OBSERVED) {
    for (const one of definitions) this.all.set(one.routing, new FakeFunction(one));
  }

  at(routing: number): FakeFunction {
    const found = this.all.get(routing);
    if (found === undefined) throw new Error(`no function ${routing.toString(16)}`);
    return found;
  }

  functions(): readonly HostFunction[] {
    return [...this.all.values()].map(({ host }) => host);
  }

  config(routing: number): ConfigAccess {
    return this.at(routing);
  }

  configSize(routing: number): number {
    return this.at(routing).bytes.length;
  }

  reset(routing: number): void {
    this.at(routing).reset();
  }

  intx(): boolean {
    return false;
  }

  /** The device as the PCI core of the first domain's kernel has it. */
  device(routing: number, more: Partial<PciDevice> = {}): PciDevice {
    const name = formatBdf(bdfOf(routing));
    return { routing, name, host: this.at(routing).host, driver: undefined, override: undefined, ...more };
  }
}

/** Messages as the hypervisor gives them out: the number from 55 down, address and data written into the device. */
export class FakePhysdev implements PcibackPhysdev {
  readonly calls: string[] = [];
  /** Answers the next calls with this error. */
  refuse: 'ENODEV' | 'EBUSY' | undefined;
  /** Maps so many messages, and then no more. */
  left = Infinity;
  readonly #used = new Set<number>();
  readonly #host: FakeHost;

  constructor(host: FakeHost) {
    this.#host = host;
  }

  #call(text: string): void {
    this.calls.push(text);
    if (this.refuse !== undefined) throw new HypercallError(this.refuse, 'refused by the test');
  }

  prepareMsix(routing: number): void {
    this.#call(`prepare ${routing.toString(16)}`);
  }

  releaseMsix(routing: number): void {
    this.#call(`release ${routing.toString(16)}`);
  }

  restoreMsi(routing: number): void {
    this.#call(`restore ${routing.toString(16)}`);
  }

  mapPirq({ domid, routing, entry, tableBase }: Parameters<PcibackPhysdev['mapPirq']>[0]): number {
    const table = entry === undefined ? '' : ` entry ${entry} of ${(tableBase ?? 0).toString(16)}`;
    this.#call(`map ${routing.toString(16)} for ${domid}${table}`);
    if (this.left-- <= 0) throw new HypercallError('ENOSPC', 'used up by the test');
    const config = this.#host.at(routing);
    if (entry === undefined) {
      const at = routing === EDU ? 0x40 : 0xd0;
      config.write(at + 4, 4, 0xfee004b8);
      config.write(at + 12, 2, 0);
    }
    let pirq = 55;
    while (this.#used.has(pirq)) pirq--;
    this.#used.add(pirq);
    return pirq;
  }

  unmapPirq(domid: number, pirq: number): void {
    this.#call(`unmap ${pirq} of ${domid}`);
    this.#used.delete(pirq);
  }
}

/** Who holds which line, as `irq name`; interrupts by `fire`. */
export class FakeLines implements InterruptLines {
  readonly held = new Map<string, () => boolean | void>();
  sharedWithOther = true;

  /** A guest has bound the line for itself alone. */
  taken = false;

  request(irq: number, name: string, handler: () => boolean | void): void {
    if (this.taken) throw new HypercallError('EBUSY', 'taken by the test');
    if (this.held.has(`${irq} ${name}`)) throw new Error(`${name} has line ${irq} already`);
    this.held.set(`${irq} ${name}`, handler);
  }

  free(irq: number, name: string): void {
    if (!this.held.delete(`${irq} ${name}`)) throw new Error(`${name} has no line ${irq}`);
  }

  shared(): boolean {
    return this.sharedWithOther;
  }

  fire(irq: number, times = 1): void {
    for (let i = 0; i < times; i++) for (const [key, handler] of this.held) if (key.startsWith(`${irq} `)) handler();
  }
}

export interface FakePciback {
  readonly host: FakeHost;
  readonly physdev: FakePhysdev;
  readonly lines: FakeLines;
  readonly log: string[];
  readonly stub: PcibackStub;
  /** Lists and seizes it. */
  seize(routing: number): PcibackDevice;
  /** The same, and gives it to a guest. */
  take(routing: number, domid?: number): PcibackDevice;
}

export function fakePciback(parameters: PcibackParameters = {}, definitions: readonly FakeDefinition[] = OBSERVED): FakePciback {
  const host = new FakeHost(definitions);
  const [physdev, lines, log] = [new FakePhysdev(host), new FakeLines(), [] as string[]];
  const kernel = { print: (line: string) => log.push(line) };
  const stub = new PcibackStub({ host, physdev, lines, irqs: new IrqPool(), kernel }, parameters);
  const seize = (routing: number): PcibackDevice => {
    stub.probe(host.device(routing, { override: 'pciback' }));
    return stub.find(routing) as PcibackDevice;
  };
  const take = (routing: number, domid = 1): PcibackDevice => {
    const device = stub.find(routing) ?? seize(routing);
    if (stub.take(routing, domid) !== device) throw new Error(`${routing.toString(16)} cannot be taken`);
    return device;
  };
  return { host, physdev, lines, log, stub, seize, take };
}
