/** Making a device assignable and undoing that: `xl pci-assignable-add`, `-remove` and `-list`. */

import { DomId } from '../../../assembly/spec/machine';
import { PortcullisError } from '../../errors';
import type { Bdf } from '../../pci/bdf';
import { RC, strerror } from './errors';
import { isAssignable, isSeized, pcibackLoaded, seizedDevices } from './host-device';
import { devicePath, PCIBACK, sysfsDevice } from './paths';
import { nameOf, routingOf, type Run, Undo } from './toolstack';

/** Takes a device from its driver and keeps it for guests: all of it or, when a step fails, nothing. */
export function assignableAdd(run: Run, bdf: Bdf, name?: string): void {
  const undo = new Undo(run.out);
  let done = false;
  try {
    take(run, bdf, undo);
    if (name !== undefined) run.write(devicePath(bdf, 'name'), name, undo);
    quarantine(run, bdf);
    if (name === undefined) run.rmIfThere(devicePath(bdf, 'name'));
    done = true;
  } finally {
    if (!done) undo.run();
  }
}

function take(run: Run, bdf: Bdf, undo: Undo): void {
  const { sysfs } = run.parts;
  const [name, device] = [nameOf(bdf), sysfsDevice(bdf)];
  if (!pcibackLoaded(run)) run.fail(RC.FAIL, 'Looks like pciback driver not loaded');
  if (!sysfs.exists(device)) run.fail(RC.FAIL, `Couldn't lstat ${device}: No such file or directory`);
  if (isSeized(run, bdf)) {
    run.out.warn(`${name} already assigned to pciback`);
    return;
  }
  const driver = sysfs.exists(`${device}/driver`) ? sysfs.readlink(`${device}/driver`) : undefined;
  const record = devicePath(bdf, 'driver_path');
  const recorded = run.store.readIfThere(record);
  if (driver !== undefined) {
    attemptOn(run, `Couldn't unbind ${name} from driver`, () => sysfs.write(`${driver}/unbind`, name));
    undo.add(`${name} could not be given back to ${driver}`, () => sysfs.write(`${driver}/bind`, name));
  }
  const listed = sysfs.read(`${PCIBACK}/slots`).split('\n').includes(name);
  if (!listed) {
    attemptOn(run, `Couldn't bind device to pciback!`, () => sysfs.write(`${PCIBACK}/new_slot`, name));
    undo.add(`${name} could not be taken off pciback's list`, () => sysfs.write(`${PCIBACK}/remove_slot`, name));
  }
  attemptOn(run, `Couldn't bind device to pciback!`, () => sysfs.write(`${PCIBACK}/bind`, name));
  undo.add(`${name} could not be taken from pciback`, () => sysfs.write(`${PCIBACK}/unbind`, name));
  if (driver !== undefined) run.write(record, driver, undo);
  else if (recorded !== undefined) run.out.info(`${name} not bound to a driver, will be rebound to ${recorded}`);
  else run.out.warn(`${name} not bound to a driver, will not be rebound.`);
}

/** Its DMA reaches nothing until a guest has it; on a machine without an IOMMU that is refused, or no more than a word. */
function quarantine(run: Run, bdf: Bdf): void {
  const { domctl } = run.tools;
  attemptOn(run, `failed to quarantine ${nameOf(bdf)}`,
    () => domctl.assignDevice(DomId.IO, routingOf(bdf), { relaxed: true }), false);
  if (!domctl.physinfo().directio) run.out.warn(`no IOMMU: ${nameOf(bdf)} can reach all memory of the machine`);
}

function attemptOn(run: Run, message: string, step: () => void, withReason = true): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    run.fail(RC.FAIL, withReason ? `${message}: ${strerror(error)}` : message);
  }
}

/** Gives a device back to domain 0, and with `rebind` to the driver that had it. */
export function assignableRemove(run: Run, bdf: Bdf, rebind: boolean): void {
  const { domctl, parts } = run.tools;
  const name = nameOf(bdf);
  if (!parts.sysfs.exists(sysfsDevice(bdf))) {
    run.fail(RC.FAIL, `Couldn't lstat ${sysfsDevice(bdf)}: No such file or directory`);
  }
  attemptOn(run, `failed to de-quarantine ${name}`, () => domctl.deassignDevice(DomId.IO, routingOf(bdf)), false);
  if (isSeized(run, bdf)) {
    attemptOn(run, `Couldn't unbind ${name} from pciback`, () => parts.sysfs.write(`${PCIBACK}/unbind`, name));
    if (parts.sysfs.read(`${PCIBACK}/slots`).split('\n').includes(name)) parts.sysfs.write(`${PCIBACK}/remove_slot`, name);
  } else run.out.warn('Not bound to pciback');
  const driver = run.store.readIfThere(devicePath(bdf, 'driver_path'));
  if (rebind && driver === undefined) run.out.warn(`Couldn't find path for original driver; not rebinding`);
  else if (rebind && driver !== undefined) {
    run.out.info(`Rebinding to driver at ${driver}`);
    attemptOn(run, `Couldn't bind ${name} to ${driver}`, () => parts.sysfs.write(`${driver}/bind`, name));
    run.rmIfThere(devicePath(bdf, 'driver_path'));
  }
  run.rmIfThere(devicePath(bdf, 'name'));
}

/** Devices that a guest could have. */
export function assignableList(run: Run): Array<{ bdf: Bdf; name: string | undefined }> {
  if (!pcibackLoaded(run)) {
    run.out.error('Looks like pciback driver not loaded');
    return [];
  }
  return seizedDevices(run).filter((bdf) => isAssignable(run, bdf))
    .map((bdf) => ({ bdf, name: run.store.readIfThere(devicePath(bdf, 'name')) }));
}
