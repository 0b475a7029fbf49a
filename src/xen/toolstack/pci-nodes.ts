/** The xenbus device `pci` in the store: its two folders, and the keys of each of its devices. */

import { PortcullisError } from '../../errors';
import type { Bdf } from '../../pci/bdf';
import type { StoreAccess } from '../xenstore/client';
import { XenstoreError } from '../xenstore/errors';
import { pciBackend, pciFrontend } from './paths';
import { parseAddress, PciSpecError } from './pci-spec';
import { nameOf, routingOf } from './toolstack';

/** XenbusState, where the toolstack meets it. */
export const STATE = { INITIALISING: '1', CONNECTED: '4', CLOSING: '5', CLOSED: '6', RECONFIGURING: '7' } as const;

export interface PciOptions {
  /** Device and function in the guest's eyes; 0 is not written. */
  readonly vdevfn: number;
  readonly name: string | undefined;
  readonly msitranslate: boolean;
  readonly powerMgmt: boolean;
  readonly permissive: boolean;
  readonly rdmPolicy: 'strict' | 'relaxed';
}

export interface ListedDevice {
  readonly index: number;
  readonly bdf: Bdf;
  readonly vdevfn: number;
}

function rmIfThere(store: StoreAccess, path: string): void {
  try {
    store.rm(path);
  } catch (error) {
    if (!(error instanceof XenstoreError) || error.code !== 'ENOENT') throw error;
  }
}

/** Entries that are looked for at most; the back end takes no more. */
const DEVICES_MAX = 1024;

/** How many entries the store says that there are: undefined without the key, NaN for what is no such number. */
function countOf(store: StoreAccess, domid: number): number | undefined {
  const text = store.readIfThere(`${pciBackend(domid)}/num_devs`);
  if (text === undefined) return undefined;
  return /^\d{1,4}$/.test(text) && Number(text) <= DEVICES_MAX ? Number(text) : NaN;
}

/** Devices that the store has for a domain; what does not parse is nobody's device. */
export function listDevices(store: StoreAccess, domid: number): ListedDevice[] {
  const backend = pciBackend(domid);
  const count = countOf(store, domid) ?? 0;
  const found: ListedDevice[] = [];
  for (let index = 0; index < count; index++) {
    const dev = store.readIfThere(`${backend}/dev-${index}`);
    if (dev === undefined) continue;
    const vdevfn = parseInt(store.readIfThere(`${backend}/vdevfn-${index}`) ?? '0', 16);
    const bdf = addressOf(dev);
    if (bdf !== undefined) found.push({ index, bdf, vdevfn });
  }
  return found;
}

function addressOf(text: string): Bdf | undefined {
  try {
    return parseAddress(text);
  } catch (error) {
    if (!(error instanceof PciSpecError)) throw error;
    return undefined;
  }
}

type Values = ReadonlyArray<readonly [name: string, value: string | number]>;

function writeAll(store: StoreAccess, folder: string, values: Values): void {
  for (const [name, value] of values) store.write(`${folder}/${name}`, String(value));
}

function makeFolders(store: StoreAccess, { domid, name, stale }: Target): void {
  const [backend, frontend] = [pciBackend(domid), pciFrontend(domid)];
  // what a domain that is no more has left is no part of this one
  for (const path of stale) store.rm(path);
  store.mkdir(backend);
  store.setPermissions(backend, 'n0', `r${domid}`);
  writeAll(store, backend, [
    ['frontend', frontend], ['frontend-id', domid], ['online', 1], ['state', STATE.INITIALISING], ['domain', name],
  ]);
  store.mkdir(frontend);
  store.setPermissions(frontend, `n${domid}`, 'r0');
  writeAll(store, frontend, [['backend', backend], ['backend-id', 0], ['state', STATE.INITIALISING]]);
}

/** Where a device is added. */
export interface Target {
  readonly domid: number;
  readonly name: string;
  /** Devices that are there; undefined: no folders yet. */
  readonly count: number | undefined;
  /** Folders that are in the way of new ones. */
  readonly stale: readonly string[];
}

/**
 * Looks where a device is to be added. Not within the transaction: watches tell of its nodes in the order in which it
 * first touches them, and that is the order of the writes.
 */
export function targetOf(store: StoreAccess, domid: number, name: string): Target {
  const count = countOf(store, domid);
  if (Number.isNaN(count)) {
    throw new PortcullisError('BAD_NODE', `${pciBackend(domid)}/num_devs is no number from 0 to ${DEVICES_MAX}: somebody has `
      + `written there; "xl destroy ${domid}" ends the domain all the same`, { domid });
  }
  const stale = count !== undefined ? []
    : [pciFrontend(domid), pciBackend(domid)].filter((path) => store.readIfThere(path) !== undefined);
  return { domid, name, count, stale };
}

/** Adds a device behind those that are there; `reconfigure` asks both ends to take notice of it. */
export function addDevice(store: StoreAccess, target: Target, bdf: Bdf, options: PciOptions, reconfigure: boolean): void {
  const backend = pciBackend(target.domid);
  if (target.count === undefined) makeFolders(store, target);
  const index = target.count ?? 0;
  const flag = (value: boolean): number => (value ? 1 : 0);
  writeAll(store, backend, [
    [`key-${index}`, nameOf(bdf)], [`dev-${index}`, nameOf(bdf)],
    ...(options.vdevfn === 0 ? [] : [[`vdevfn-${index}`, options.vdevfn.toString(16)] as const]),
    ...(options.name === undefined ? [] : [[`name-${index}`, options.name] as const]),
    [`opts-${index}`, `msitranslate=${flag(options.msitranslate)},power_mgmt=${flag(options.powerMgmt)},`
      + `permissive=${flag(options.permissive)},rdm_policy=${options.rdmPolicy}`],
    [`state-${index}`, STATE.INITIALISING],
    ['num_devs', index + 1],
    ...(reconfigure && index > 0 ? [['state', STATE.RECONFIGURING] as const] : []),
  ]);
}

/** Place of a device among those that are listed; undefined when the domain does not have it. */
export function placeOf(store: StoreAccess, domid: number, bdf: Bdf): { index: number; count: number } | undefined {
  const index = listDevices(store, domid).find((one) => routingOf(one.bdf) === routingOf(bdf))?.index;
  const count = countOf(store, domid);
  return index === undefined || count === undefined ? undefined : { index, count };
}

/** Asks both ends to let go of a device. */
export function askRemoval(store: StoreAccess, domid: number, index: number): void {
  store.write(`${pciBackend(domid)}/state-${index}`, STATE.CLOSING);
  store.write(`${pciBackend(domid)}/state`, STATE.RECONFIGURING);
}

/** The keys of a device, in the order in which libxl removes them and moves those behind. */
const REMOVED = ['state', 'key', 'dev', 'vdev', 'opts', 'vdevfn', 'name'] as const;
const MOVED = ['state', 'dev', 'key', 'vdev', 'opts', 'vdevfn', 'name'] as const;

/** Removes the keys of a device, and closes the gap: whose index changes keeps its place in the guest's eyes. */
export function removeDevice(store: StoreAccess, domid: number, { index, count }: { index: number; count: number }): void {
  const backend = pciBackend(domid);
  for (const key of REMOVED) rmIfThere(store, `${backend}/${key}-${index}`);
  store.write(`${backend}/num_devs`, String(count - 1));
  for (let from = index + 1; from < count; from++) {
    for (const key of MOVED) {
      const value = store.readIfThere(`${backend}/${key}-${from}`);
      if (value === undefined) continue;
      store.write(`${backend}/${key}-${from - 1}`, value);
      store.rm(`${backend}/${key}-${from}`);
    }
  }
}

/** Removes both folders, and the ones above that were theirs alone. */
export function removeFolders(store: StoreAccess, domid: number): void {
  const [backend, frontend] = [pciBackend(domid), pciFrontend(domid)];
  for (const path of [frontend, parent(frontend), backend, parent(backend)]) rmIfThere(store, path);
}

const parent = (path: string): string => path.slice(0, path.lastIndexOf('/'));
