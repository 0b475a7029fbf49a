import { Evtchn } from '../../assembly/spec/xen';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';
import type { Kernel } from '../xen/kernel/kernel';
import type { Xenstored } from '../xen/xenstore/daemon';
import type { Link } from '../xen/xenstore/ring';
import type { DomainHost } from '../xen/xenstore/state';

/**
 * What the store needs of the hypervisor: which domains there are, and their pages. The store's daemon lives in the
 * first domain: its end of each channel is a port there.
 */
export class StoreHost implements DomainHost {
  readonly #hypervisor: Hypervisor;
  /** Ports of the first domain, by domain. */
  readonly #ports = new Map<number, number>();
  #signal: { kernel: Kernel; store: Xenstored } | undefined;

  constructor(hypervisor: Hypervisor) {
    this.#hypervisor = hypervisor;
  }

  /** From now on, pages can be connected: whoever signals is served. */
  start(kernel: Kernel, store: Xenstored): void {
    this.#signal = { kernel, store };
  }

  exists(domid: number): boolean {
    return this.#hypervisor.domains.some((domain) => domain.domid === domid);
  }

  /** A domain whose kernel speaks to the store from within this process has port 0 and no page. */
  connect(domid: number, gfn: number, port: number): Link | undefined {
    this.disconnect(domid);
    const { events, engine } = this.#hypervisor;
    const domain = this.#hypervisor.domain(domid);
    if (port <= 0 || port >= Evtchn.PORTS || domain.p2m[gfn] === undefined || this.#signal === undefined) return undefined;
    const { kernel, store } = this.#signal;
    const own = events.bindInterdomain(kernel.domid, domid, port);
    this.#ports.set(domid, own);
    kernel.onEvent(own, () => store.signal(domid));
    return {
      page: () => engine.frame(domain.p2m[gfn] as number),
      notify: () => events.send(kernel.domid, own),
    };
  }

  disconnect(domid: number): void {
    const own = this.#ports.get(domid);
    if (own === undefined || this.#signal === undefined) return;
    this.#ports.delete(domid);
    this.#signal.kernel.offEvent(own);
    this.#hypervisor.events.close(this.#signal.kernel.domid, own);
  }
}
