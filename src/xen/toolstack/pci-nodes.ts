/** The xenbus device `pci` in the store: its two folders, and the keys of each of its devices. */

import type { Bdf } from '../../pci/bdf';
import type { StoreAccess } from '../xenstore/client';
import { XenstoreError } from '../xenstore/errors';
import { domainPath, pciBackend, pciFrontend } from './paths';
import { parseAddress } from './pci-spec';
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

function there(store: StoreAccess, path: string): boolean {
  return store.readIfThere(path) !== undefined;
}

function rmIfThere(store: StoreAccess, path: string): void {
  try {
    store.rm(path);
  } catch (error) {
    if (!(error instanceof XenstoreError) || error.code !== 'ENOENT') throw error;
  }
}

/** Devices that the store has for a domain; what does not parse is nobody's device. */
export function listDevices(store: StoreAccess, domid: number): ListedDevice[] {
  const backend = pciBackend(domid);
  const count = Number(store.readIfThere(`${backend}/num_devs`) ?? 0);
  const found: ListedDevice[] = [];
  for (let index = 0; index < count; index++) {
    const dev = store.readIfThere(`${backend}/dev-${index}`);
    if (dev === undefined) continue;
    const vdevfn = parseInt(store.readIfThere(`${backend}/vdevfn-${index}`) ?? '0', 16);
    found.push({ index, bdf: parseAddress(dev), vdevfn });
  }
  return found;
}

function writeAll(store: StoreAccess, folder: string, values: ReadonlyArray<readonly [name: string, value: string | number]>): void {
  for (const [name, value] of values) store.write(`${folder}/${name}`, String(value));
}

function makeFolders(store: StoreAccess, domid: number): void {
  const [backend, frontend] = [pciBackend(domid), pciFrontend(domid)];
  // what a domain that is no more has left is no part of this one
  if (there(store, frontend)) store.rm(frontend);
  if (there(store, backend)) store.rm(backend);
  store.mkdir(backend);
  store.setPermissions(backend, 'n0', `r${domid}`);
  writeAll(store, backend, [
    ['frontend', frontend], ['frontend-id', domid], ['online', 1], ['state', STATE.INITIALISING],
    ['domain', store.read(`${domainPath(domid)}/name`)],
  ]);
  store.mkdir(frontend);
  store.setPermissions(frontend, `n${domid}`, 'r0');
  writeAll(store, frontend, [['backend', backend], ['backend-id', 0], ['state', STATE.INITIALISING]]);
}

/** Adds a device behind those that are there; `reconfigure` asks both ends to take notice of it. */
export function addDevice(store: StoreAccess, domid: number, bdf: Bdf, options: PciOptions, reconfigure: boolean): void {
  const backend = pciBackend(domid);
  const before = store.readIfThere(`${backend}/num_devs`);
  if (before === undefined) makeFolders(store, domid);
  const index = Number(before ?? 0);
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

/** Index of a device; undefined when the domain does not have it. */
export function indexOf(store: StoreAccess, domid: number, bdf: Bdf): number | undefined {
  return listDevices(store, domid).find((one) => routingOf(one.bdf) === routingOf(bdf))?.index;
}

/** Asks both ends to let go of a device; false when it is not there. */
export function askRemoval(store: StoreAccess, domid: number, bdf: Bdf): boolean {
  const index = indexOf(store, domid, bdf);
  if (index === undefined) return false;
  store.write(`${pciBackend(domid)}/state-${index}`, STATE.CLOSING);
  store.write(`${pciBackend(domid)}/state`, STATE.RECONFIGURING);
  return true;
}

/** The keys of a device, in the order in which libxl removes them and moves those behind. */
const REMOVED = ['state', 'key', 'dev', 'vdev', 'opts', 'vdevfn', 'name'] as const;
const MOVED = ['state', 'dev', 'key', 'vdev', 'opts', 'vdevfn', 'name'] as const;

/** Removes the keys of a device and closes the gap; answers how many devices are left, undefined when it is not there. */
export function removeDevice(store: StoreAccess, domid: number, bdf: Bdf): number | undefined {
  const backend = pciBackend(domid);
  const index = indexOf(store, domid, bdf);
  if (index === undefined) return undefined;
  const left = Number(store.read(`${backend}/num_devs`)) - 1;
  for (const key of REMOVED) rmIfThere(store, `${backend}/${key}-${index}`);
  store.write(`${backend}/num_devs`, String(left));
  for (let from = index + 1; from <= left; from++) {
    const moved = MOVED.flatMap((key) => {
      const value = store.readIfThere(`${backend}/${key}-${from}`);
      return value === undefined ? [] : [{ key, value }];
    });
    for (const { key, value } of moved) store.write(`${backend}/${key}-${from - 1}`, value);
    for (const { key } of moved) store.rm(`${backend}/${key}-${from}`);
  }
  return left;
}

/** Removes both folders, and the ones above that were theirs alone. */
export function removeFolders(store: StoreAccess, domid: number): void {
  const [backend, frontend] = [pciBackend(domid), pciFrontend(domid)];
  for (const path of [frontend, parent(frontend), backend, parent(backend)]) rmIfThere(store, path);
}

const parent = (path: string): string => path.slice(0, path.lastIndexOf('/'));
