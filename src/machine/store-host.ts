import { Evtchn } from '../../assembly/spec/xen';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import { HypercallError } from '../xen/hypervisor/errors';
import { GrantMapping } from '../xen/kernel/grant-mapping';
import type { Kernel } from '../xen/kernel/kernel';
import type { Xenstored } from '../xen/xenstore/daemon';
import type { Link } from '../xen/xenstore/ring';
import type { DomainHost } from '../xen/xenstore/state';

/** The grant that a domain's page for the store is found by (public/grant_table.h, GNTTAB_RESERVED_XENSTORE). */
const PAGE_REF = 1;

/**
 * What the store needs of the hypervisor: which domains there are, and their pages. The store's daemon lives in the
 * first domain: its end of each channel is a port there, and the page is mapped there by its grant.
 */
export class StoreHost implements DomainHost {
  readonly #hypervisor: Hypervisor;
  readonly #connected = new Map<number, { port: number; page: GrantMapping }>();
  #daemon: { kernel: Kernel; store: Xenstored } | undefined;

  constructor(hypervisor: Hypervisor) {
    this.#hypervisor = hypervisor;
  }

  /** From now on, pages can be connected: whoever signals is served. */
  start(kernel: Kernel, store: Xenstored): void {
    this.#daemon = { kernel, store };
  }

  exists(domid: number): boolean {
    return this.#hypervisor.domains.some((domain) => domain.domid === domid);
  }

  /** Undefined for a domain that has not granted its page, or whose port is not for the first domain. */
  connect(domid: number, _gfn: number, port: number): Link | undefined {
    this.disconnect(domid);
    if (this.#daemon === undefined || port <= 0 || port >= Evtchn.PORTS) return undefined;
    const { kernel, store } = this.#daemon;
    const { events } = this.#hypervisor;
    const page = GrantMapping.map(kernel, domid, PAGE_REF);
    if (!(page instanceof GrantMapping)) return undefined;
    try {
      const own = events.bindInterdomain(kernel.domid, domid, port);
      this.#connected.set(domid, { port: own, page });
      kernel.onEvent(own, () => store.signal(domid));
      return {
        page: () => page.bytes(),
        notify: () => this.#notify(own),
      };
    } catch (error) {
      page.unmap();
      if (error instanceof HypercallError) return undefined;
      throw error;
    }
  }

  /** The domain may have closed its end, or be gone. */
  #notify(port: number): void {
    try {
      this.#hypervisor.events.send(this.#daemon?.kernel.domid ?? 0, port);
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
    }
  }

  disconnect(domid: number): void {
    const connected = this.#connected.get(domid);
    if (connected === undefined || this.#daemon === undefined) return;
    this.#connected.delete(domid);
    const { kernel } = this.#daemon;
    kernel.offEvent(connected.port);
    this.#hypervisor.events.close(kernel.domid, connected.port);
    connected.page.unmap();
  }
}
