import { KernelError } from '../../src/xen/dom0/errors';
import type { HostFunction, HostPci, PciDevice, PciDriver } from '../../src/xen/dom0/types';
import type { ConfigAccess } from '../../src/pci/access';

export interface FakeFunction extends Partial<HostFunction> {
  routing: number;
  /** Bytes of config space that are not 0. */
  config?: Record<number, number>;
  size?: number;
}

/** Hardware of bytes: config space that takes every write, and a count of resets. */
export class FakeHostPci implements HostPci {
  readonly list: FakeFunction[];
  readonly bytes = new Map<number, Uint8Array>();
  readonly resets: number[] = [];

  constructor(list: FakeFunction[]) {
    this.list = list;
  }

  functions(): readonly HostFunction[] {
    return this.list.map((one) => ({
      gsi: 0, irq: 0, resources: [], parent: undefined, resettable: true, ...one,
    }));
  }

  #space(routing: number): Uint8Array {
    const known = this.bytes.get(routing);
    if (known !== undefined) return known;
    const one = this.list.find((fn) => fn.routing === routing);
    if (one === undefined) throw new Error(`nothing at ${routing}`);
    const space = new Uint8Array(one.size ?? 256);
    for (const [off, value] of Object.entries(one.config ?? {})) space[Number(off)] = value;
    this.bytes.set(routing, space);
    return space;
  }

  config(routing: number): ConfigAccess {
    const space = this.#space(routing);
    return {
      read: (off, width) => {
        let value = 0;
        for (let i = width - 1; i >= 0; i--) value = value * 256 + (space[off + i] ?? 0xff);
        return value;
      },
      write: (off, width, value) => {
        for (let i = 0; i < width; i++) space[off + i] = (value >>> (8 * i)) & 0xff;
      },
    };
  }

  configSize(routing: number): number {
    return this.#space(routing).length;
  }

  reset(routing: number): void {
    this.resets.push(routing);
    this.#space(routing).fill(0, 4, 6);
  }

  intx(): boolean {
    return false;
  }
}

/** A driver that keeps a diary. */
export class DiaryDriver implements PciDriver {
  readonly name: string;
  readonly diary: string[];
  readonly #takes: (device: PciDevice) => boolean;
  refuse: KernelError | undefined;

  constructor(name: string, diary: string[], takes: (device: PciDevice) => boolean = () => true) {
    this.name = name;
    this.diary = diary;
    this.#takes = takes;
  }

  matches(device: PciDevice): boolean {
    return this.#takes(device);
  }

  probe(device: PciDevice): void {
    if (this.refuse !== undefined) throw this.refuse;
    this.diary.push(`${this.name} probes ${device.name}`);
  }

  remove(device: PciDevice): void {
    this.diary.push(`${this.name} removes ${device.name}`);
  }
}
