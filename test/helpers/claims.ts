// A whole machine with a guest that xl has given a device, and what counts who does what on it.
import * as assert from 'uvu/assert';
import { createHash } from 'node:crypto';
import { Machine, type MachineHost } from '../../src/machine/machine';
import type { MachineDescription } from '../../src/machine/description';
import type { GuestKernel } from '../../src/machine/guest-kernel';
import { PcibackBackend } from '../../src/xen/pciback/backend';
import type { Domain } from '../../src/xen/hypervisor/domain';
import type { Pcifront } from '../../src/xen/pcifront/pcifront';
import type { XlResult } from '../../src/xen/toolstack/types';
import { XenstoreClient } from '../../src/xen/xenstore/client';

export const NIC = '0000:00:04.0';
export const EXPRESS = '0000:00:05.0';
export const EDU = '0000:00:06.0';

export const DEVICES: NonNullable<MachineDescription['devices']> = [
  { model: 'e1000', bdf: NIC }, { model: 'e1000e', bdf: EXPRESS }, { model: 'edu', bdf: EDU },
];

export async function machineOf(extra: Partial<MachineDescription> = {}, host: MachineHost = {}): Promise<Machine> {
  return Machine.create({ memory: '64MiB', dom0: { memory: '8MiB' }, iommu: 'vtd', devices: DEVICES, ...extra }, host);
}

export function xl(machine: Machine, line: string): XlResult {
  return machine.xl(line.split(' '));
}

/** A command that must go well; what it has printed. */
export function done(machine: Machine, line: string): string {
  const { code, stdout, stderr } = xl(machine, line);
  assert.is(code, 0, `xl ${line}: ${stderr}`);
  return stdout + stderr;
}

export function create(machine: Machine, name: string, kernel: string, pci: readonly string[], more = ''): XlResult {
  const text = `name = "${name}"\nmemory = 8\nkernel = "builtin:${kernel}"\npci = [${pci.map((one) => `"${one}"`).join(', ')}]\n${more}`;
  return machine.xl(['create', '-q', 'file'], new Map([['file', text]]));
}

export interface Given {
  readonly machine: Machine;
  readonly domain: Domain;
  readonly kernel: GuestKernel;
  readonly front: Pcifront;
}

/** A guest "g" with these devices, up and running: its driver has greeted. */
export async function given(kernel: string, pci: readonly string[], extra: Partial<MachineDescription> = {}): Promise<Given> {
  const machine = await machineOf(extra);
  for (const bdf of pci) done(machine, `pci-assignable-add ${bdf}`);
  const made = create(machine, 'g', kernel, pci);
  assert.is(made.code, 0, made.stderr);
  machine.run(1e9);
  const domain = domainOf(machine, 'g');
  const guest = machine.xen.guestKernel(domain.domid);
  assert.ok(guest?.front, 'its kernel has a front end');
  return { machine, domain, kernel: guest as GuestKernel, front: guest?.front as Pcifront };
}

export function domainOf(machine: Machine, name: string): Domain {
  const found = machine.hypervisor.domains.find((one) => one.name === name);
  assert.ok(found, `there is a domain ${name}`);
  return found as Domain;
}

/** A node of the store as the first domain sees it. */
export function node(machine: Machine, path: string): string | undefined {
  return new XenstoreClient(machine.xenstore).readIfThere(path);
}

/** State of back end and front end of a domain: `4 4`. */
export function states(machine: Machine, domid: number): string {
  const back = node(machine, `/local/domain/0/backend/pci/${domid}/0/state`);
  return `${back ?? '-'} ${node(machine, `/local/domain/${domid}/device/pci/0/state`) ?? '-'}`;
}

export function backendOf(machine: Machine): PcibackBackend {
  const { pciback } = machine.xen;
  assert.ok(pciback instanceof PcibackBackend);
  return pciback as PcibackBackend;
}

/** Code of the error that something throws; `none` when it does not. */
export function codeOf(action: () => unknown): string {
  try {
    action();
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** All memory of a domain. */
export function hashOf(machine: Machine, domain: Domain): string {
  const hash = createHash('sha256');
  for (const mfn of domain.p2m) hash.update(machine.engine.frame(mfn));
  return hash.digest('hex');
}

/** Machine frame of the page that both ends of PCI share: its grant's, version 1, whose frame is an entry's second word. */
export function sharedFrame(machine: Machine, domain: Domain): number {
  const ref = Number(node(machine, `/local/domain/${domain.domid}/device/pci/0/pci-op-ref`));
  const table = machine.engine.frame(machine.hypervisor.grants.frames(domain)[0] as number);
  return new DataView(table.buffer, table.byteOffset).getUint32(ref * 8 + 4, true);
}

/** Calls of the engine that a domain's code makes: loads, stores, ports, copies. */
const ACCESSES = ['guestLoad', 'guestStore', 'guestIn', 'guestOut'] as const;

/** Counts a domain's accesses from now on, by standing in front of the engine. Answers how many there were. */
export function countAccesses({ engine }: Machine, { slot }: Domain): () => number {
  let count = 0;
  const { exports } = engine;
  const watched: Record<string, unknown> = { ...exports };
  for (const name of ACCESSES) {
    const original = exports[name] as (dom: number, ...rest: number[]) => number;
    watched[name] = (dom: number, ...rest: number[]): number => {
      if (dom === slot) count++;
      return original(dom, ...rest);
    };
  }
  Object.defineProperty(engine, 'exports', { value: watched, configurable: true });
  return () => count;
}
