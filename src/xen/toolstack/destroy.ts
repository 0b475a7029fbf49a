/** The end of a domain: its devices first, then what the store has of it, then the domain. */

import type { Task } from '../schedule/scheduler';
import { detachFunction, release, takeAway } from './detach';
import { removeDomain } from './domain-nodes';
import type { KnownDomain } from './known-domain';
import { pciBackend } from './paths';
import { removeFolders, STATE } from './pci-nodes';
import { attempt, type Run } from './toolstack';

/**
 * Ends a domain. While it lives, its front end is asked to let go of one device after the other; when it does not
 * answer, or cannot, all is taken at once. Every step is tried; whether all went well.
 */
export function* destroyDomain(run: Run, known: KnownDomain): Task<boolean> {
  let clean = true;
  let over = false;
  try {
    clean = yield* unplug(run, known);
    halt(run, known);
    clean = (yield* takeRest(run, known)) && clean;
    over = true;
  } finally {
    // left in the middle, it comes to the same end without waiting for anyone
    if (!over) {
      halt(run, known);
      for (const task = takeRest(run, known); task.next(false).done !== true;);
    }
    clean = remove(run, known) && clean;
  }
  return clean;
}

/** Asks for the devices, index 0 each time, until one is not given. */
function* unplug(run: Run, known: KnownDomain): Task<boolean> {
  const { domid } = known.domain;
  for (;;) {
    const [device] = known.devices;
    if (device === undefined) return true;
    if (!answers(run, domid)) return true;
    const { handed, clean } = yield* detachFunction(run, known, device, false);
    if (!handed) return clean;
  }
}

/** Whether there is a front end, connected and not stopped. */
function answers(run: Run, domid: number): boolean {
  return run.lives(domid) && !run.tools.domctl.info(domid).paused
    && run.store.readIfThere(`${pciBackend(domid)}/state`) === STATE.CONNECTED;
}

/** Nothing of the domain runs any more. */
function halt(run: Run, known: KnownDomain): void {
  const { domid } = known.domain;
  attempt(run.out, `pausing domain ${domid}`, () => run.tools.domctl.pauseDomain(domid));
  if (known.started) attempt(run.out, `ending what runs in domain ${domid}`, () => run.parts.programs.stop(domid));
  known.started = false;
  known.ending = true;
}

/** Takes what devices are left, with all their keys at once. */
function* takeRest(run: Run, known: KnownDomain): Task<boolean> {
  const { domid } = known.domain;
  const devices = [...known.devices];
  // also without devices: a domain may have been left with empty folders
  let clean = attempt(run.out, 'removing the keys of the devices',
    () => run.store.transaction((inside) => removeFolders(inside, domid)));
  if (devices.length === 0) return clean;
  if (run.parts.xenRevoke) for (const device of devices) clean = takeAway(run, known, device) && clean;
  // the back end gives the devices back
  yield* run.rest();
  for (const device of devices) {
    if (!run.parts.xenRevoke) clean = takeAway(run, known, device) && clean;
    release(run, known, device.bdf);
  }
  return clean;
}

/** The domain has nothing of others any more. */
function remove(run: Run, known: KnownDomain): boolean {
  const { domid } = known.domain;
  const { domctl, domains, parts } = run.tools;
  let clean = attempt(run.out, `removing what the store has of domain ${domid}`,
    () => removeDomain(run.store, domid, known.uuid));
  clean = attempt(run.out, 'xc_domain_destroy failed', () => domctl.destroyDomain(domid)) && clean;
  clean = attempt(run.out, `releasing domain ${domid}`, () => parts.store.release(domid)) && clean;
  domains.delete(domid);
  return clean;
}
