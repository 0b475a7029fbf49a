/** What runs in a module's thread: the module, and the API that it has, each call of which waits for its answer. */

import type { GuestApi, GuestStore, ModuleAbout } from '../../index';

export interface ThreadData {
  /** Two words, whose turn it is and the bytes of what was said last, and then that. */
  readonly shared: SharedArrayBuffer;
  /** URL of the module. */
  readonly url: string;
  readonly about: ModuleAbout;
}

/** Whose turn it is: the first of the shared words. */
export const TURN = { module: 0, machine: 1 } as const;

/** It goes to the thread as its own text: nothing from outside of it is there, and its types only. */
export async function moduleMain({ shared, url, about }: ThreadData): Promise<void> {
  const [MODULE, MACHINE, HEADER, TRIES] = [0, 1, 8, 64];
  const words = new Int32Array(shared, 0, 2);
  const bytes = new Uint8Array(shared, HEADER);
  const say = (message: readonly unknown[]): void => {
    const text = new TextEncoder().encode(JSON.stringify(message));
    if (text.length > bytes.length) throw new RangeError(`a call has at most ${bytes.length} bytes`);
    bytes.set(text);
    words[1] = text.length;
    Atomics.store(words, 0, MACHINE);
    Atomics.notify(words, 0);
  };
  const call = (...message: readonly unknown[]): any => {
    say(message);
    while (Atomics.load(words, 0) !== MODULE) Atomics.wait(words, 0, MACHINE);
    const answer = JSON.parse(new TextDecoder().decode(bytes.slice(0, words[1])));
    if (answer.error !== undefined) throw Object.assign(new Error(answer.error.message), { code: answer.error.code });
    return answer.value;
  };
  const storeIn = (id: number): GuestStore => ({
    read: (path) => call('xenstore.read', id, path),
    write: (path, value) => call('xenstore.write', id, path, String(value)),
    mkdir: (path) => call('xenstore.mkdir', id, path),
    remove: (path) => call('xenstore.remove', id, path),
    list: (path) => call('xenstore.list', id, path),
  });
  const guest: GuestApi = {
    ...about,
    log: (text) => call('log', String(text)),
    now: () => call('now'),
    wait: (ns, ports = []) => call('wait', ns, [...ports]),
    load: (va, width) => call('load', va, width),
    store: (va, width, value) => call('store', va, width, value),
    read: (va, count) => Uint8Array.from(call('read', va, count)),
    write: (va, data) => call('write', va, Array.from(data)),
    in: (port, width) => call('in', port, width),
    out: (port, width, value) => call('out', port, width, value),
    allocPages: (count) => call('allocPages', count),
    allocPageBelow: (mask) => call('allocPageBelow', mask),
    freePage: (va) => call('freePage', va),
    machineAddress: (va) => call('machineAddress', va),
    ioremap: (machineAddress, size) => call('ioremap', machineAddress, size),
    iounmap: (va) => call('iounmap', va),
    xenstore: {
      ...storeIn(0),
      watch: (path) => call('xenstore.watch', path),
      unwatch: (path) => call('xenstore.unwatch', path),
      transaction: (work) => {
        for (let attempt = 1; ; attempt++) {
          const id = call('xenstore.begin');
          let result;
          try {
            result = work(storeIn(id));
          } catch (error) {
            call('xenstore.end', id, false);
            throw error;
          }
          try {
            call('xenstore.end', id, true);
            return result;
          } catch (error) {
            if ((error as { code?: string }).code !== 'EAGAIN' || attempt === TRIES) throw error;
          }
        }
      },
    },
    events: {
      allocUnbound: (domid) => call('events.allocUnbound', domid),
      bind: (domid, port) => call('events.bind', domid, port),
      send: (port) => call('events.send', port),
      close: (port) => call('events.close', port),
    },
    grants: {
      grant: (va, domid) => call('grants.grant', va, domid),
      end: (ref) => call('grants.end', ref),
      map: (domid, ref) => call('grants.map', domid, ref),
      unmap: (va) => call('grants.unmap', va),
    },
    pci: {
      devices: () => call('pci.devices'),
      read: (routing, off, width) => call('pci.read', routing, off, width),
      write: (routing, off, width, value) => call('pci.write', routing, off, width, value),
      enableMsi: (routing) => call('pci.enableMsi', routing),
      enableMsix: (routing, vectors) => call('pci.enableMsix', routing, vectors),
      disableMessages: (routing) => call('pci.disableMessages', routing),
      enableIntx: (routing) => call('pci.enableIntx', routing),
      endIntx: (pirq) => call('pci.endIntx', pirq),
    },
  };
  const why = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 500);
  try {
    // from here on its time counts
    call('now');
    const { default: main } = await import(url);
    if (typeof main !== 'function') throw new TypeError('the module has no function as its default export');
    const result = await main(guest);
    // a generator: a step at a time
    if (typeof result?.next === 'function') while (!(await result.next()).done);
    say(['returned']);
  } catch (error) {
    say(['threw', why(error)]);
  }
}
