/** xl pci-*: see xl(1), PCI PASS-THROUGH. */

import type { Task } from '../schedule/scheduler';
import { assignableAdd, assignableList, assignableRemove } from './assignable';
import { attachSpec, functionsOf } from './attach';
import { type Command, Exit, findDomain, findKnown, type Invocation } from './command';
import { detachFunction } from './detach';
import { LibxlError, RC } from './errors';
import { findByName } from './host-device';
import type { KnownDomain } from './known-domain';
import { listDevices } from './pci-nodes';
import { checkDeviceName, type DeviceAddress, parseAddress, parsePciSpec, type PciSpec, PciSpecError } from './pci-spec';
import { nameOf, routingOf, type Run } from './toolstack';

/** A device of the host; `*` is none. Ends the command with 2 for what is no address. */
function addressOf(run: Run, command: string, text: string): DeviceAddress {
  try {
    const address = parseAddress(text);
    if (!address.allFunctions) return address;
    run.out.complain(`${command}: "${text}": one function at a time`);
  } catch (error) {
    if (!(error instanceof PciSpecError)) throw error;
    run.out.complain(`${command}: malformed BDF "${text}"`);
  }
  throw new Exit(2);
}

function specOf(run: Run, command: string, text: string): PciSpec {
  try {
    return parsePciSpec(text);
  } catch (error) {
    if (!(error instanceof PciSpecError)) throw error;
    run.out.complain(`${command}: ${error.message}`);
    run.out.complain(`${command}: malformed PCI_SPEC_STRING "${text}"`);
    throw new Exit(2);
  }
}

function* add({ run, given, operands }: Invocation): Task<number> {
  const command = 'pci-assignable-add';
  const address = addressOf(run, command, operands[0] as string);
  // xl takes no notice of the others, and says nothing
  if (operands.length > 1) run.out.complain(`${command}: only ${operands[0]} is taken; one device at a time`);
  const name = given.get('n');
  if (name !== undefined) checkName(run, command, name);
  assignableAdd(run, address, name);
  return 0;
}

function checkName(run: Run, command: string, name: string): void {
  try {
    checkDeviceName(name);
  } catch (error) {
    if (!(error instanceof PciSpecError)) throw error;
    run.out.complain(`${command}: ${error.message}`);
    throw new Exit(1);
  }
}

function* remove({ run, given, operands }: Invocation): Task<number> {
  const text = operands[0] as string;
  assignableRemove(run, findByName(run, text) ?? addressOf(run, 'pci-assignable-remove', text), given.has('r'));
  return 0;
}

function* listAssignable({ run, given }: Invocation): Task<number> {
  for (const { bdf, name } of assignableList(run)) run.out.print(`${nameOf(bdf)} ${given.has('n') ? name ?? '' : ''}`);
  return 0;
}

function* attach({ run, operands }: Invocation): Task<number> {
  const domid = findDomain(run, operands[0] as string);
  const spec = specOf(run, 'pci-attach', operands[1] as string);
  return yield* run.locked(domid, function* () {
    const known = run.known(domid);
    const { type } = known.config;
    if (type !== 'pv') run.fail(RC.NI, `domain ${domid} is ${type}; devices can be given to pv domains only`);
    const before = known.devices.length;
    try {
      yield* attachSpec(run, known, spec, !known.started);
    } catch (error) {
      if (!(error instanceof LibxlError)) throw error;
      // of several functions, those that went well are taken back
      for (const device of known.devices.slice(before).reverse()) yield* detachFunction(run, known, device, false);
      run.fail(error.rc, 'unable to add device');
    }
    return 0;
  });
}

function* detach({ run, given, operands }: Invocation): Task<number> {
  const domid = findDomain(run, operands[0] as string);
  const spec = specOf(run, 'pci-detach', operands[1] as string);
  return yield* run.locked(domid, () => detachSpec(run, run.known(domid), spec, given.has('f')));
}

function* detachSpec(run: Run, known: KnownDomain, spec: PciSpec, force: boolean): Task<number> {
  const wanted = functionsOf(run, spec.address?.allFunctions === true ? { ...spec, vslot: spec.vslot ?? 0 } : spec)
    .map(({ bdf }) => routingOf(bdf));
  const devices = known.devices.filter(({ bdf }) => wanted.includes(routingOf(bdf)));
  if (devices.length === 0) run.fail(RC.INVAL, 'PCI device not attached to this domain');
  let clean = true;
  for (const device of devices.reverse()) {
    clean = (yield* detachFunction(run, known, device, !force && known.started)).clean && clean;
  }
  return clean ? 0 : 1;
}

function* list({ run, operands }: Invocation): Task<number> {
  const { domid } = findKnown(run, operands[0] as string).domain;
  const devices = listDevices(run.store, domid);
  if (devices.length === 0) return 0;
  run.out.print('Vdev Device');
  for (const { bdf, vdevfn } of devices) {
    run.out.print(`${(vdevfn >> 3).toString(16).padStart(2, '0')}.${vdevfn & 7} ${nameOf(bdf)}`);
  }
  return 0;
}

export const PCI_COMMANDS: readonly Command[] = [
  {
    name: 'pci-attach', summary: 'Give a PCI device to a running domain', synopsis: '<Domain> <PCI_SPEC_STRING>',
    operands: 2, execute: attach,
  },
  {
    name: 'pci-detach', summary: 'Take a PCI device from a domain', synopsis: '[-f] <Domain> <PCI_SPEC_STRING>', operands: 2,
    options: { letters: 'f' }, details: ['-f  do not wait for a front end that is not connected'], execute: detach,
  },
  { name: 'pci-list', summary: 'List the PCI devices of a domain', synopsis: '<Domain>', operands: 1, execute: list },
  {
    name: 'pci-assignable-add', summary: 'Make a device assignable to guests', synopsis: '[-n NAME] <BDF>', operands: 1,
    options: { letters: 'n:', long: { name: 'n' } }, details: ['-n NAME  a name for it, which configs can use'], execute: add,
  },
  {
    name: 'pci-assignable-remove', summary: 'Give an assignable device back to domain 0', synopsis: '[-r] <BDF>|<NAME>',
    operands: 1, options: { letters: 'r' }, details: ['-r  bind it to the driver that had it'], execute: remove,
  },
  {
    name: 'pci-assignable-list', summary: 'List the assignable devices', synopsis: '[-n]',
    options: { letters: 'n', long: { 'show-names': 'n' } }, details: ['-n  with their names'], execute: listAssignable,
  },
];
