/** A device as the toolstack sees it: in sysfs, and under /libxl/pci. */

import type { Bdf } from '../../pci/bdf';
import type { Range } from './domain-config';
import { strerror } from './errors';
import type { DeviceResources } from './known-domain';
import { devicePath, PCIBACK, sysfsDevice } from './paths';
import { parseAddress } from './pci-spec';
import { nameOf, type Run } from './toolstack';

const PORTS = 0x100;
/** BARs and ROM: the first lines of sysfs `resource`. */
const RESOURCES = 7;
const PAGE = 4096;

export const pcibackLoaded = (run: Run): boolean => run.parts.sysfs.exists(PCIBACK);
export const isSeized = (run: Run, bdf: Bdf): boolean => run.parts.sysfs.exists(`${PCIBACK}/${nameOf(bdf)}`);

/** Devices that pciback has, in the order of their addresses. */
export function seizedDevices(run: Run): Bdf[] {
  const names = run.parts.sysfs.list(PCIBACK);
  return names.filter((name) => /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name)).map(parseAddress);
}

/** Functions of the same slot that there are. */
export function functionsOfSlot(run: Run, bdf: Bdf): Bdf[] {
  const functions = Array.from({ length: 8 }, (_, fn) => ({ ...bdf, function: fn }));
  return functions.filter((one) => run.parts.sysfs.exists(sysfsDevice(one)));
}

/** The domain that has it, by the toolstack's book. */
export function holderOf(run: Run, bdf: Bdf): number | undefined {
  const text = run.store.readIfThere(devicePath(bdf, 'domid'));
  return text === undefined ? undefined : Number(text);
}

export const isAssignable = (run: Run, bdf: Bdf): boolean => isSeized(run, bdf) && holderOf(run, bdf) === undefined;

/** The device of that name; undefined when there is none. */
export function findByName(run: Run, name: string): Bdf | undefined {
  return seizedDevices(run).find((bdf) => run.store.readIfThere(devicePath(bdf, 'name')) === name);
}

/** What the device occupies: lines of start, end and flags. Throws what sysfs does. */
export function resourcesOf(run: Run, bdf: Bdf): DeviceResources {
  const { sysfs } = run.parts;
  const ports: Range[] = [];
  const frames: Range[] = [];
  for (const line of sysfs.read(`${sysfsDevice(bdf)}/resource`).split('\n').slice(0, RESOURCES)) {
    const [start = 0, end = 0, flags = 0] = line.trim().split(/\s+/).map(Number);
    if (start === 0) continue;
    const size = end - start + 1;
    if ((flags & PORTS) !== 0) ports.push({ first: start, count: size });
    else frames.push({ first: Math.floor(start / PAGE), count: Math.ceil(size / PAGE) });
  }
  const irq = Number(sysfs.read(`${sysfsDevice(bdf)}/irq`).trim());
  return { ports, frames, irq: irq > 0 && irq < 255 ? irq : undefined };
}

/** As sysfs has it; a device that cannot be reset is told of, and nothing else. */
export function resetDevice(run: Run, bdf: Bdf): void {
  const { sysfs } = run.parts;
  try {
    if (sysfs.exists(`${PCIBACK}/do_flr`)) sysfs.write(`${PCIBACK}/do_flr`, nameOf(bdf));
    else if (sysfs.exists(`${sysfsDevice(bdf)}/reset`)) sysfs.write(`${sysfsDevice(bdf)}/reset`, '1');
    else run.out.warn(`The kernel doesn't support reset from sysfs for PCI device ${nameOf(bdf)}`);
  } catch (error) {
    run.out.warn(`the reset of PCI device ${nameOf(bdf)} failed: ${strerror(error)}`);
  }
}

/** Whether a guest that has it may write all of its config space; never for a pciback that has no such setting. */
export function isPermissive(run: Run, bdf: Bdf): boolean {
  const { sysfs } = run.parts;
  const file = `${PCIBACK}/permissive`;
  return sysfs.exists(file) && sysfs.read(file).split('\n').includes(nameOf(bdf));
}

/**
 * Takes the device from pciback and gives it back at once: a back end that did not let go of it has lost it, and what
 * was set for the last guest is gone.
 */
export function seizeAnew(run: Run, bdf: Bdf): void {
  run.parts.sysfs.write(`${PCIBACK}/unbind`, nameOf(bdf));
  run.parts.sysfs.write(`${PCIBACK}/bind`, nameOf(bdf));
}
