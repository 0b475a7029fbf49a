// The story of a device on the observed machine, examples/observed-q35.json: what xl and sysfs do there, and what every
// room shows of it.
import fs from 'node:fs';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { root } from '../../scripts/files.mjs';
import type { MachineDescription } from '../../src/machine/description';
import type { GuestKernel } from '../../src/machine/guest-kernel';
import { Machine } from '../../src/machine/machine';
import type { XlResult } from '../../src/xen/toolstack/types';
import { XenstoreClient } from '../../src/xen/xenstore/client';
import { Trace } from './toolstack';

export const PCIBACK = '/sys/bus/pci/drivers/pciback';
export const DEVICES = '/sys/bus/pci/devices';
export const DRIVERS = '/sys/bus/pci/drivers';

/** The config of `xl create`. */
export function guestFile(pci: readonly string[], ...lines: string[]): ReadonlyMap<string, string> {
  const devices = pci.map((spec) => `'${spec}'`).join(', ');
  return new Map([['guest.cfg', ['name = "guest"', 'type = "pv"', 'memory = 16', 'kernel = "builtin:all"', `pci = [${devices}]`, ...lines, ''].join('\n')]]);
}

export class Story {
  readonly machine: Machine;
  readonly trace: Trace;
  readonly #client: XenstoreClient;

  constructor(machine: Machine) {
    this.machine = machine;
    this.trace = new Trace(machine.xen.store);
    this.#client = new XenstoreClient(machine.xen.store);
  }

  xl(...args: string[]): XlResult {
    return this.machine.xl(args);
  }

  /** A command that goes well and has nothing to say. */
  ok(...args: string[]): string {
    const { code, stdout, stderr } = this.xl(...args);
    assert.equal([code, stderr], [0, ''], args.join(' '));
    return stdout;
  }

  create(pci: readonly string[], ...lines: string[]): XlResult {
    return this.machine.xl(['create', '-q', 'guest.cfg'], guestFile(pci, ...lines));
  }

  started(pci: readonly string[], ...lines: string[]): void {
    const { code, stderr } = this.create(pci, ...lines);
    assert.is(code, 0, stderr);
  }

  assignable(...bdfs: string[]): void {
    for (const bdf of bdfs) {
      const { code, stderr } = this.xl('pci-assignable-add', bdf);
      assert.is(code, 0, stderr);
    }
  }

  /** Lets time pass. */
  pass(ms = 50): void {
    this.machine.run(ms * 1e6);
  }

  kernel(domid = 1): GuestKernel {
    const kernel = this.machine.xen.guestKernel(domid);
    assert.ok(kernel, `domain ${domid} has no kernel`);
    return kernel as GuestKernel;
  }

  read(node: string): string | undefined {
    return this.#client.readIfThere(node);
  }

  /** `xenstore-ls -fp` of a folder: each node with its value and permissions, in the order of their names. */
  tree(folder: string): string[] {
    const lines = [`${folder} = "${this.#client.read(folder)}" (${this.#client.getPermissions(folder).join(',')})`];
    for (const name of this.#client.directory(folder)) lines.push(...this.tree(`${folder}/${name}`));
    return lines;
  }

  there(node: string): boolean {
    return this.read(node) !== undefined;
  }

  sysfs(file: string): string {
    return this.machine.sysfs.read(file);
  }

  /** Name of the driver that has a device of dom0. */
  driver(bdf: string): string | undefined {
    const link = `${DEVICES}/0000:${bdf}/driver`;
    return this.machine.sysfs.exists(link) ? this.machine.sysfs.readlink(link).split('/').at(-1) : undefined;
  }

  /** Of the hardware, as dom0 sees it. */
  hardware(bdf: string, off: number, width: 1 | 2 | 4): number {
    return this.machine.xen.pci.config(this.machine.routingOf(bdf)).read(off, width);
  }

  rights(domid: number): { irq: string; iomem: string; ioport: string } {
    const domain = this.machine.hypervisor.domain(domid);
    const text = (ranges: ReadonlyArray<readonly [number, number]>, base: number): string =>
      ranges.map(([first, last]) => (first === last ? first.toString(base) : `${first.toString(base)}-${last.toString(base)}`)).join(', ');
    return { irq: text(domain.irq.ranges, 10), iomem: text(domain.iomem.ranges, 16), ioport: text(domain.ioport.ranges, 16) };
  }

  /** What Xen prints at a debug key. */
  key(key: string): string[] {
    this.machine.xl(['dmesg', '-c']);
    this.ok('debug-keys', key);
    return this.machine.xl(['dmesg']).stdout.split('\n');
  }
}

/** The observed machine; `change` makes it another one. */
export async function story(change: (description: MachineDescription) => void = () => undefined): Promise<Story> {
  const read = (name: string): string => fs.readFileSync(path.join(root, 'examples', name), 'utf8');
  const description = JSON.parse(read('observed-q35.json')) as MachineDescription;
  change(description);
  return new Story(await Machine.create(description, { readFile: read }));
}
