/** What the store holds of a domain, from its creation to its end. */

import type { StoreAccess } from '../xenstore/client';
import { XenstoreError } from '../xenstore/errors';
import { domainPath, libxlPath } from './paths';

/** A page of the domain that it shares with domain 0, and the event channel that goes with it. */
export interface SharedRing {
  /** Its place in the domain's memory. */
  readonly pfn: number;
  /** What the other side maps: a machine frame of a PV guest, a guest frame of any other. */
  readonly gfn: number;
  /** Port in the domain. */
  readonly port: number;
}

export interface DomainNodes {
  readonly domid: number;
  readonly name: string;
  readonly uuid: string;
  readonly type: 'pv' | 'hvm' | 'pvh';
  readonly kernel: string;
  readonly memoryKb: number;
  readonly vcpus: number;
  /** Seconds of the machine's clock. */
  readonly startTime: string;
  readonly store: SharedRing;
  readonly console: SharedRing;
}

/** Folders that the domain may read, and those that are its own. */
const READ_ONLY = ['cpu', 'memory', 'device', 'control'] as const;
const GUEST_OWNED = [
  'device/suspend/event-channel', 'control/shutdown', 'control/feature-poweroff', 'control/feature-reboot',
  'control/feature-suspend', 'control/sysrq', 'data', 'drivers', 'feature', 'attr', 'error',
] as const;

/** Bytes of console output that a domain may have waiting. */
const CONSOLE_LIMIT = 1048576;

/** Writes the domain's own tree, /vm and /libxl; within one transaction. */
export function writeDomain(store: StoreAccess, nodes: DomainNodes): void {
  const { domid } = nodes;
  const home = domainPath(domid);
  const vm = `/vm/${nodes.uuid}`;
  const make = (path: string, ...permissions: string[]): void => {
    store.mkdir(path);
    store.setPermissions(path, ...permissions);
  };
  const write = (path: string, value: string | number): void => store.write(path, String(value));
  make(home, 'n0', `r${domid}`);
  make(vm, 'n0', `r${domid}`);
  make(libxlPath(domid), 'n0');
  write(`${home}/vm`, vm);
  write(`${home}/name`, nodes.name);
  for (const folder of READ_ONLY) make(`${home}/${folder}`, 'n0', `r${domid}`);
  for (const folder of GUEST_OWNED) make(`${home}/${folder}`, `n${domid}`);
  write(`${vm}/uuid`, nodes.uuid);
  write(`${vm}/name`, nodes.name);
  write(`${home}/domid`, domid);
  write(`${home}/control/platform-feature-multiprocessor-suspend`, 1);
  write(`${home}/control/platform-feature-xs_reset_watches`, 1);
  write(`${vm}/image/ostype`, nodes.type === 'hvm' ? 'hvm' : 'linux');
  write(`${vm}/image/kernel`, nodes.kernel);
  write(`${vm}/start_time`, nodes.startTime);
  write(`${libxlPath(domid)}/type`, nodes.type);
  write(`${home}/memory/static-max`, nodes.memoryKb);
  write(`${home}/memory/target`, nodes.memoryKb);
  write(`${home}/memory/videoram`, 0);
  write(`${home}/store/port`, nodes.store.port);
  write(`${home}/store/ring-ref`, nodes.store.gfn);
  for (let cpu = 0; cpu < nodes.vcpus; cpu++) write(`${home}/cpu/${cpu}/availability`, 'online');
}

const consoleBackend = (domid: number): string => `/local/domain/0/backend/console/${domid}/0`;

/** The console, whose front end is not below `device`; within one transaction. */
export function writeConsole(store: StoreAccess, { domid, console }: DomainNodes): void {
  const [frontend, backend] = [`${domainPath(domid)}/console`, consoleBackend(domid)];
  const write = (folder: string, values: Record<string, string | number>): void => {
    for (const [name, value] of Object.entries(values)) store.write(`${folder}/${name}`, String(value));
  };
  write(`${libxlPath(domid)}/device/console/0`, { frontend, backend });
  store.mkdir(frontend);
  store.setPermissions(frontend, 'n0', `r${domid}`);
  write(frontend, {
    backend, 'backend-id': 0, limit: CONSOLE_LIMIT, type: 'xenconsoled', output: 'pty', tty: '',
    port: console.port, 'ring-ref': console.gfn,
  });
  store.mkdir(backend);
  store.setPermissions(backend, 'n0', `r${domid}`);
  write(backend, { frontend, 'frontend-id': domid, online: 1, state: 1, protocol: 'vt100' });
}

export function rename(store: StoreAccess, domid: number, uuid: string, name: string): void {
  store.write(`${domainPath(domid)}/name`, name);
  store.write(`/vm/${uuid}/name`, name);
}

function rmIfThere(store: StoreAccess, path: string): void {
  try {
    store.rm(path);
  } catch (error) {
    if (!(error instanceof XenstoreError) || error.code !== 'ENOENT') throw error;
  }
}

/** Removes all of it, the console first. What back ends have complained of goes as well, which Xen leaves there. */
export function removeDomain(store: StoreAccess, domid: number, uuid: string): void {
  const paths = [
    `${domainPath(domid)}/console`, consoleBackend(domid), `/local/domain/0/backend/console/${domid}`,
    `/vm/${uuid}`, domainPath(domid), libxlPath(domid),
  ];
  for (const path of paths) rmIfThere(store, path);
  const errors = '/local/domain/0/error';
  if (store.readIfThere(`${errors}/backend/pci/${domid}`) === undefined) return;
  store.rm(`${errors}/backend/pci/${domid}`);
  for (const folder of [`${errors}/backend/pci`, `${errors}/backend`, errors]) {
    if (store.directory(folder).length > 0) return;
    store.rm(folder);
  }
}
