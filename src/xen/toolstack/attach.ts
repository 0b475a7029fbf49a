/** Giving a device to a domain: `pci=` of a new one, and `xl pci-attach`. */

import { PortcullisError } from '../../errors';
import { type Bdf, bdfOf } from '../../pci/bdf';
import type { Task } from '../schedule/scheduler';
import { assignableAdd } from './assignable';
import { RC, strerror } from './errors';
import { findByName, functionsOfSlot, isAssignable, isSeized, resetDevice, resourcesOf, seizeAnew } from './host-device';
import type { AttachedDevice, KnownDomain } from './known-domain';
import { devicePath, PCIBACK, pciBackend } from './paths';
import { addDevice, STATE, targetOf } from './pci-nodes';
import { type PciSpec, shortAddress } from './pci-spec';
import { grantRights } from './rights';
import { nameOf, routingOf, type Run, Undo } from './toolstack';

/** The function that a spec means, or those of a slot from the last to the first, and where the guest should see them. */
export function functionsOf(run: Run, spec: PciSpec): Array<{ bdf: Bdf; vdevfn: number }> {
  if (spec.name !== undefined) {
    const bdf = findByName(run, spec.name);
    if (bdf === undefined) run.fail(RC.FAIL, `no assignable device is named "${spec.name}"`);
    return [{ bdf: bdf as Bdf, vdevfn: (spec.vslot ?? 0) << 3 }];
  }
  const { allFunctions, ...bdf } = spec.address as NonNullable<PciSpec['address']>;
  if (!allFunctions) return [{ bdf, vdevfn: (spec.vslot ?? 0) << 3 }];
  const { vslot } = spec;
  if (vslot === undefined) run.fail(RC.INVAL, 'Must specify a v-slot for multi-function devices');
  return functionsOfSlot(run, bdf).reverse().map((one) => ({ bdf: one, vdevfn: (vslot as number) << 3 | one.function }));
}

/** Gives all that a spec means; a function that is refused takes nothing back of those before it. */
export function* attachSpec(run: Run, known: KnownDomain, spec: PciSpec, starting: boolean): Task {
  const functions = functionsOf(run, spec);
  if (functions.length === 0) run.fail(RC.FAIL, `PCI device ${shortAddress(spec.address as Bdf)} is not assignable`);
  if (spec.address?.allFunctions === true && !spec.seize) {
    const missing = functions.find(({ bdf }) => !isSeized(run, bdf));
    if (missing !== undefined) run.fail(RC.FAIL, `${nameOf(missing.bdf)} is not assigned to pciback driver`);
  }
  for (const { bdf, vdevfn } of functions) yield* attachFunction(run, known, { bdf, vdevfn, spec }, starting);
}

interface Wanted {
  readonly bdf: Bdf;
  readonly vdevfn: number;
  readonly spec: PciSpec;
}

/**
 * Gives one function. What would refuse it is asked before anything is changed; what is refused later, or left in the
 * middle, is undone.
 */
function* attachFunction(run: Run, known: KnownDomain, { bdf, vdevfn, spec }: Wanted, starting: boolean): Task {
  const { domctl, parts } = run.tools;
  const { domid } = known.domain;
  if (spec.seize && !isSeized(run, bdf)) assignableAdd(run, bdf);
  if (!isAssignable(run, bdf)) run.fail(RC.FAIL, `PCI device ${shortAddress(bdf)} is not assignable`);
  const refused = (error: unknown): never => run.fail(RC.FAIL, `xc_assign_device failed: ${strerror(error)}`);
  const unprotected = parts.allowUnsafePassthrough && !domctl.physinfo().directio;
  if (unprotected) run.out.warn(`no IOMMU: ${nameOf(bdf)} in the hands of domain ${domid} can reach all memory of the machine`);
  try {
    domctl.testAssignDevice(routingOf(bdf), domid);
  } catch (error) {
    refused(error);
  }
  const undo = new Undo(run.out);
  let done = false;
  try {
    run.write(devicePath(bdf, 'domid'), String(domid), undo);
    resetDevice(run, bdf);
    const device: AttachedDevice = { bdf, resources: resourcesOf(run, bdf) };
    grantRights(run, domid, device.resources, undo);
    if (spec.permissive) {
      undo.add(`taking ${nameOf(bdf)} out of permissive mode`, () => seizeAnew(run, bdf));
      parts.sysfs.write(`${PCIBACK}/permissive`, nameOf(bdf));
    }
    try {
      domctl.assignDevice(domid, routingOf(bdf), { relaxed: spec.rdmPolicy === 'relaxed' });
    } catch (error) {
      refused(error);
    }
    undo.add(`xc_deassign_device of ${nameOf(bdf)}`, () => domctl.deassignDevice(domid, routingOf(bdf)));
    warnOfNeighbours(run, known, device);
    yield* publish(run, known, { bdf, vdevfn, spec }, starting);
    known.devices.push(device);
    done = true;
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    if (error.code !== 'LIBXL') run.out.error(error.message);
    run.fail(RC.FAIL, `libxl__device_pci_add failed for PCI device ${shortAddress(bdf)} (rc ${RC.FAIL})`);
  } finally {
    if (!done) undo.run();
  }
}

/** Rights are for whole pages: what of other devices lies in them is within reach, too. */
function warnOfNeighbours(run: Run, { domain }: KnownDomain, { bdf, resources }: AttachedDevice): void {
  // a BAR lies at a multiple of its size: only one below a page shares its page
  for (const { first } of resources.frames.filter(({ count }) => count === 1)) {
    const others = run.parts.hypervisor.neighbours(domain.domid, first).map(({ routing }) => nameOf(bdfOf(routing)));
    if (others.length === 0) continue;
    run.out.warn(`page ${first.toString(16)} of ${nameOf(bdf)} has registers of ${[...new Set(others)].join(', ')} too: domain `
      + `${domain.domid} can reach them`);
  }
}

/** Tells both ends. A running guest's must have found each other before. */
function* publish(run: Run, known: KnownDomain, { bdf, vdevfn, spec }: Wanted, starting: boolean): Task {
  const { domid } = known.domain;
  const state = `${pciBackend(domid)}/state`;
  if (!starting && run.store.readIfThere(state) !== undefined) {
    const ready = (): boolean => run.store.readIfThere(state) === STATE.CONNECTED;
    yield* run.poll(() => ready() || !run.lives(domid));
    if (!ready()) run.fail(RC.FAIL, `Backend ${pciBackend(domid)} not ready`);
  }
  if (!run.lives(domid)) run.fail(RC.FAIL, `domain ${domid} has stopped`);
  const target = targetOf(run.store, domid, known.name);
  yield* run.transaction((inside) => {
    addDevice(inside, target, bdf, { ...spec, vdevfn, name: spec.name }, !starting);
  });
}
