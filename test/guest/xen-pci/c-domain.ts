// A domain whose kernel is a module in C, compiled to wasm32: it lives in the machine's own memory, below the engine,
// and has what domain.h declares. Waiting lets everyone else go on.
import fs from 'node:fs';
import { configByEcam } from '../../../src/pci/access';
import type { Machine } from '../../../src/machine/machine';
import type { Domain } from '../../../src/xen/hypervisor/domain';
import { HypercallError, resultOf } from '../../../src/xen/hypervisor/errors';
import { XenstoreClient } from '../../../src/xen/xenstore/client';
import { XenstoreError } from '../../../src/xen/xenstore/errors';

export interface CDomainOptions {
  machine: Machine;
  domain: Domain;
  /** Its compiled module. */
  file: string;
  /** Pages of the domain's own memory that nobody else uses. */
  pages: number[];
}

type Exports = Record<string, (...args: number[]) => number>;

/** Loads the module; gives its exports. */
export async function loadCDomain({ machine, domain, file, pages }: CDomainOptions): Promise<Exports> {
  const { engine, hypervisor } = machine;
  const { scheduler, store: daemon } = machine.xen;
  const store = new XenstoreClient(daemon, domain.domid);
  const { domid } = domain;
  const linear = (mfn: number): number => engine.frame(mfn).byteOffset;
  const view = (): DataView => new DataView(engine.memory.buffer);
  const text = (ptr: number): string => {
    const bytes = new Uint8Array(engine.memory.buffer);
    return Buffer.from(bytes.slice(ptr, bytes.indexOf(0, ptr))).toString('latin1');
  };
  const asked = (work: () => number): number => {
    try {
      return work();
    } catch (error) {
      if (error instanceof XenstoreError) return error.code === 'EAGAIN' ? -11 : -2;
      if (error instanceof HypercallError) return -error.errno;
      throw error;
    }
  };
  const inside = (tx: number): Pick<XenstoreClient, 'read' | 'write'> => (tx === 0 ? store : store.within(tx));
  const imports = {
    page_alloc: (frame: number): number => {
      const pfn = pages.shift() as number;
      const mfn = domain.p2m[pfn] as number;
      engine.frame(mfn).fill(0);
      view().setUint32(frame, mfn, true);
      return linear(mfn);
    },
    grant_table: () => linear(hypervisor.grants.setupTable(domid, 0x7ff0, 1).frames[0] as number),
    evtchn_alloc_unbound: (remote: number) => asked(() => hypervisor.events.allocUnbound(domid, { remoteDom: remote })),
    evtchn_bind_interdomain: (remote: number, port: number) => asked(() => hypervisor.events.bindInterdomain(domid, remote, port)),
    evtchn_send: (port: number) => resultOf(() => hypervisor.events.send(domid, port)),
    evtchn_poll: (port: number, milliseconds: number) =>
      (scheduler.wait(() => engine.exports.eventTake(domain.slot, port) === 1, milliseconds * 1e6) ? 1 : 0),
    grant_map: (dom: number, ref: number): number => {
      const page = pages.shift() as number;
      const { status, mfn } = hypervisor.grants.map(domid, { address: page * 4096, ref, dom });
      return status === 'okay' ? linear(mfn) : 0;
    },
    xs_read: (tx: number, path: number, value: number, size: number) => asked(() => {
      const found = Buffer.from(inside(tx).read(text(path)), 'latin1');
      if (found.length >= size) return -7;
      new Uint8Array(engine.memory.buffer).set([...found, 0], value);
      return found.length;
    }),
    xs_write: (tx: number, path: number, value: number) => asked(() => {
      inside(tx).write(text(path), text(value));
      return 0;
    }),
    xs_begin: () => store.begin(),
    xs_end: (tx: number, abort: number) => asked(() => {
      store.end(tx, abort === 0);
      return 0;
    }),
    pci_read: (routing: number, off: number, size: number) => configByEcam(engine, routing).read(off, size as 1 | 2 | 4),
    pci_write: (routing: number, off: number, size: number, value: number) => {
      configByEcam(engine, routing).write(off, size as 1 | 2 | 4, value >>> 0);
    },
  };
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(file), { env: { memory: engine.memory }, domain: imports });
  return instance.exports as unknown as Exports;
}

/** Calls `told` when the node changes, as long as the machine runs. */
export function watchFor(machine: Machine, domid: number, path: string, told: () => void): void {
  const client = new XenstoreClient(machine.xen.store, domid);
  client.watch(path, 'c');
  machine.xen.scheduler.addWorker({
    domid, work: told, ready: () => client.takeEvents().length > 0,
  });
}

/** Calls `told` when an event has come at the port. */
export function listen(machine: Machine, domain: Domain, port: number, told: () => void): void {
  machine.xen.scheduler.addWorker({
    domid: domain.domid, work: told, ready: () => machine.engine.exports.eventTake(domain.slot, port) === 1,
  });
}

