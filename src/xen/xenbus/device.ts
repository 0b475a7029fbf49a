/** One end of a split driver: its directory in the store, its state, and the other end. */

import type { Kernel } from '../kernel/kernel';
import type { StoreAccess } from '../xenstore/client';
import { domainPath } from '../xenstore/paths';
import { errnoOf } from './errors';
import { parseState, XENBUS, type XenbusState } from './states';

export type XenbusSide = 'front' | 'back';

export interface XenbusAddress {
  readonly side: XenbusSide;
  /** `pci`, `vbd`, `vif`. */
  readonly type: string;
  /** Below the domain's own path: `device/pci/0`, `backend/pci/5/0`. */
  readonly node: string;
  /** Directory of the other end, absolute, and the domain that it is in. */
  readonly otherEnd: string;
  readonly otherDomid: number;
}

export class XenbusDevice {
  readonly kernel: Kernel;
  readonly side: XenbusSide;
  readonly type: string;
  readonly node: string;
  /** Its directory, absolute. */
  readonly path: string;
  readonly otherEnd: string;
  readonly otherDomid: number;
  readonly #watches: Array<() => void> = [];
  /** The state that this end wrote last, or was found in. */
  #state: XenbusState;
  #ended = false;
  readonly #leave: (device: XenbusDevice) => void;

  /** `leave` takes the device from its driver, for `leave()`. */
  constructor(kernel: Kernel, { side, type, node, otherEnd, otherDomid }: XenbusAddress,
    leave: (device: XenbusDevice) => void = () => undefined) {
    this.kernel = kernel;
    this.side = side;
    this.type = type;
    this.node = node;
    this.path = `${domainPath(kernel.domid)}/${node}`;
    this.otherEnd = otherEnd;
    this.otherDomid = otherDomid;
    this.#leave = leave;
    this.#state = this.ownState();
  }

  get state(): XenbusState {
    return this.#state;
  }

  /** Its driver has left it: nothing that was under way may touch it any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What stands in its own node, which a toolstack may have changed. */
  ownState(): XenbusState {
    return parseState(this.read('state'));
  }

  /** UNKNOWN when the node is gone, or may not be read. */
  otherState(): XenbusState {
    return parseState(this.#readAt(`${this.otherEnd}/state`));
  }

  /** A key of its own directory, undefined when there is none. */
  read(key: string): string | undefined {
    return this.#readAt(`${this.path}/${key}`);
  }

  /** A key of the other end's. */
  readOther(key: string): string | undefined {
    return this.#readAt(`${this.otherEnd}/${key}`);
  }

  #readAt(path: string): string | undefined {
    try {
      return this.kernel.store.read(path);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
  }

  write(key: string, value: string): void {
    this.kernel.store.write(`${this.path}/${key}`, value);
  }

  /** All that `work` writes through `at` appears at once. `at` gives the path of a key of this end. */
  transaction(work: (store: StoreAccess, at: (key: string) => string) => void): void {
    this.kernel.store.transaction((store) => work(store, (key) => `${this.path}/${key}`));
  }

  /**
   * Writes its own state, unless it is the one written last. A node that is gone is not made again; nor is a state
   * written anew that stands there already. What the store refuses is logged: there is nobody else to tell.
   */
  switchState(state: XenbusState): void {
    if (state === this.#state) return;
    this.#state = state;
    const path = `${this.path}/state`;
    try {
      this.kernel.store.transaction((store) => {
        const text = store.readIfThere(path);
        if (text !== undefined && text !== String(state)) store.write(path, String(state));
      });
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      this.kernel.print(`${this.type} ${this.node}: state ${state} cannot be written: ${errno}`);
    }
  }

  /** The error node, for people: below `error` of the own domain. */
  error(errno: number, message: string): void {
    const text = `${errno} ${message}`;
    this.kernel.print(`${this.type} ${this.node}: ${text}`);
    try {
      this.kernel.store.write(`${domainPath(this.kernel.domid)}/error/${this.node}/error`, text);
    } catch (error) {
      // a domain may be without a place for it, and goes on all the same
      if (errnoOf(error) === undefined) throw error;
    }
  }

  /** An error that this end does not get over. */
  fatal(errno: number, message: string): void {
    this.error(errno, message);
    this.switchState(XENBUS.CLOSING);
  }

  /** Watches for as long as a driver has the device; told once at first, and may be told for no reason. */
  watch(path: string, told: (path: string) => void): void {
    this.#watches.push(this.kernel.watch(path, (changed) => {
      if (!this.#ended) told(changed);
    }));
  }

  /** Its driver gives it up of its own accord; the driver's `remove` is called. */
  leave(): void {
    this.#leave(this);
  }

  /** Its driver has left it. */
  end(): void {
    this.#ended = true;
    for (const stop of this.#watches.splice(0)) stop();
  }
}
