/** What connects a back end for PCI with a front end: the mapped page, and the event channel. */

import { GrantMapping } from '../kernel/grant-mapping';
import type { Kernel } from '../kernel/kernel';
import { PciPage } from '../pciif';
import { errnoOf, orFail, XenbusFailure } from '../xenbus/errors';

export interface FrontEnd {
  readonly domid: number;
  /** Grant reference of the page, and the port that it has for us. */
  readonly ref: number;
  readonly port: number;
}

const EINVAL = 22;

export class FrontLink {
  readonly page: PciPage;
  readonly port: number;
  readonly #kernel: Kernel;
  readonly #mapping: GrantMapping;
  #open = true;

  private constructor(kernel: Kernel, mapping: GrantMapping, port: number) {
    this.#kernel = kernel;
    this.#mapping = mapping;
    this.port = port;
    this.page = new PciPage(() => mapping.bytes());
  }

  /** Throws a XenbusFailure, with nothing mapped or bound, when the front end's page or port is not to be had. */
  static connect(kernel: Kernel, { domid, ref, port }: FrontEnd): FrontLink {
    const mapping = GrantMapping.map(kernel, domid, ref);
    if (typeof mapping === 'string') throw new XenbusFailure(EINVAL, 'Error mapping other domain page in ours.');
    try {
      const local = orFail('Error binding event channel to IRQ',
        () => kernel.hypervisor.events.bindInterdomain(kernel.domid, domid, port));
      return new FrontLink(kernel, mapping, local);
    } catch (error) {
      mapping.unmap();
      throw error;
    }
  }

  /** The page may be used: it is mapped, and someone may answer. */
  get open(): boolean {
    return this.#open;
  }

  onEvent(handler: () => void): void {
    this.#kernel.onEvent(this.port, () => {
      // one that was on its way when the channel closed
      if (this.#open) handler();
    });
  }

  notify(): void {
    try {
      this.#kernel.hypervisor.events.send(this.#kernel.domid, this.port);
    } catch (error) {
      // the channel may be gone with the other end
      if (errnoOf(error) === undefined) throw error;
    }
  }

  /** First no more events, then no more page. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#kernel.offEvent(this.port);
    try {
      this.#kernel.hypervisor.events.close(this.#kernel.domid, this.port);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
    this.#mapping.unmap();
  }
}
