/**
 * Taking a device from a domain: both ends are asked first, then rights, live mappings and the assignment go, whatever
 * they answered. Xen does it the other way round, and leaves mappings; `xenRevoke` shows that.
 */

import type { Bdf } from '../../pci/bdf';
import type { Task } from '../schedule/scheduler';
import { isPermissive, resetDevice, seizeAnew } from './host-device';
import type { AttachedDevice, KnownDomain } from './known-domain';
import { devicePath, pciBackend, pciFrontend } from './paths';
import { askRemoval, placeOf, removeDevice, removeFolders, STATE } from './pci-nodes';
import { revokeRights } from './rights';
import { attempt, nameOf, routingOf, type Run } from './toolstack';

export interface Detached {
  /** Whether both ends let go of it by themselves. */
  readonly handed: boolean;
  /** Whether every step went well. */
  readonly clean: boolean;
}

/** Takes one device. `wait`: whether ends that have not found each other yet are waited for. */
export function* detachFunction(run: Run, known: KnownDomain, device: AttachedDevice, wait: boolean): Task<Detached> {
  const { domid } = known.domain;
  const { bdf } = device;
  let clean = true;
  let handed = false;
  const taken = run.parts.xenRevoke;
  let over = false;
  try {
    if (taken) clean = takeAway(run, known, device);
    handed = yield* handOver(run, known, bdf, wait);
    const place = placeOf(run.store, domid, bdf);
    if (place !== undefined) yield* run.transaction((inside) => removeDevice(inside, domid, place));
    if (place?.count === 1) yield* run.transaction((inside) => removeFolders(inside, domid));
    // the back end of a device whose keys are gone has its turn before the device goes
    if (!handed) yield* run.rest();
    over = true;
  } finally {
    // left in the middle, the end is the same
    if (!over) clean = attempt(run.out, 'removing the keys', () => removeKeys(run, domid, bdf)) && clean;
    if (!taken) clean = takeAway(run, known, device) && clean;
    if (!handed) {
      const seized = attempt(run.out, `taking ${nameOf(bdf)} from a back end that does not let go of it`,
        () => seizeAnew(run, bdf));
      clean = seized && clean;
    }
    release(run, known, bdf);
  }
  return { handed, clean };
}

function removeKeys(run: Run, domid: number, bdf: Bdf): void {
  const place = placeOf(run.store, domid, bdf);
  if (place === undefined) return;
  run.store.transaction((inside) => {
    removeDevice(inside, domid, place);
    if (place.count === 1) removeFolders(inside, domid);
  });
}

/** Asks both ends to let go of a device, and waits until they have. */
function* handOver(run: Run, known: KnownDomain, bdf: Bdf, wait: boolean): Task<boolean> {
  const { domid } = known.domain;
  const state = (): string | undefined => run.store.readIfThere(`${pciBackend(domid)}/state`);
  const connected = (): boolean => state() === STATE.CONNECTED;
  const notReady = (): boolean => {
    if (!run.lives(domid)) return false;
    const front = run.store.readIfThere(`${pciFrontend(domid)}/state`);
    const why = front === STATE.INITIALISING ? `domain ${domid} has no front end`
      : `its state is ${state()}, the front end's ${front}`;
    run.out.warn(`Backend ${pciBackend(domid)} not ready: ${why}; ${nameOf(bdf)} is taken from it`);
    return false;
  };
  if (wait) yield* run.poll(() => connected() || !run.lives(domid));
  if (!connected() || !run.lives(domid)) return notReady();
  const place = placeOf(run.store, domid, bdf);
  if (place === undefined) return false;
  yield* run.transaction((inside) => askRemoval(inside, domid, place.index));
  yield* run.poll(() => connected() || !run.lives(domid));
  return connected() || notReady();
}

/** Rights, mappings, reset, assignment. Every step is tried; whether all went well. */
export function takeAway(run: Run, known: KnownDomain, device: AttachedDevice): boolean {
  const { domid } = known.domain;
  const { bdf } = device;
  let clean = revokeRights(run, domid, device);
  resetDevice(run, bdf);
  clean = attempt(run.out, 'xc_deassign_device failed', () => run.tools.domctl.deassignDevice(domid, routingOf(bdf))) && clean;
  return clean;
}

/** The toolstack's book: from now on the device can be given to another. */
export function release(run: Run, known: KnownDomain, bdf: Bdf): void {
  run.rmIfThere(devicePath(bdf, 'domid'));
  // pciback forgets it with the guest; a guest that ended before pciback looked at its keys never had the device
  attempt(run.out, `taking ${nameOf(bdf)} out of permissive mode`, () => {
    if (isPermissive(run, bdf)) seizeAnew(run, bdf);
  });
  const at = known.devices.findIndex((one) => routingOf(one.bdf) === routingOf(bdf));
  if (at >= 0) known.devices.splice(at, 1);
}
