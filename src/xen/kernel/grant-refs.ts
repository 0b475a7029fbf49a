/** The grant table of a domain as its kernel uses it: version 1, references from 8 on. */

import { DomId } from '../../../assembly/spec/machine';
import { GrantEntry, Gtf } from '../../../assembly/spec/xen';
import { PortcullisError } from '../../errors';
import type { Task } from '../schedule/scheduler';
import type { Kernel } from './kernel';

export class GrantRefs {
  readonly #kernel: Kernel;
  readonly #used = new Set<number>();
  /** Grants that are over for this end while the other still has the page. */
  #ending: Array<{ ref: number; over: () => void }> = [];
  #waits = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** References that are given, or not yet free again. */
  get used(): readonly number[] {
    return [...this.#used].sort((a, b) => a - b);
  }

  /** The lowest free reference, for a page of the own memory. Throws NO_GRANT when the table is full. */
  grant(pfn: number, domid: number): number {
    const ref = this.#free();
    const { domain } = this.#kernel;
    const entry = this.#entry(ref);
    entry.setUint32(GrantEntry.V1_FRAME, domain.kind === 'hvm' ? pfn : domain.p2m[pfn] as number, true);
    entry.setUint16(GrantEntry.DOMID, domid, true);
    // last: from here on it counts
    entry.setUint16(GrantEntry.FLAGS, Gtf.PERMIT_ACCESS, true);
    this.#used.add(ref);
    return ref;
  }

  /** Ends a grant; `over` is called when nobody has the page any more, at once or later, and the page may be used again. */
  end(ref: number, over: () => void): void {
    this.#ending.push({ ref, over });
    this.#retry();
    if (this.#ending.length === 0 || this.#waits) return;
    this.#waits = true;
    this.#kernel.scheduler.spawn(`grants of domain ${this.#kernel.domid}`, this.#kernel.domid, this.#endLater());
  }

  *#endLater(): Task {
    try {
      while (this.#alive() && this.#ending.length > 0) {
        yield { until: () => !this.#alive() || this.#ending.some(({ ref }) => !this.#inUse(ref)) };
        if (this.#alive()) this.#retry();
      }
    } finally {
      this.#waits = false;
    }
  }

  #alive(): boolean {
    return this.#kernel.hypervisor.domains.includes(this.#kernel.domain);
  }

  #retry(): void {
    const left = this.#ending.splice(0);
    for (const one of left) {
      if (!this.#endNow(one.ref)) {
        this.#ending.push(one);
        continue;
      }
      this.#used.delete(one.ref);
      one.over();
    }
  }

  /** Flags and domain: the first of an entry's two words. */
  #head(ref: number): Int32Array {
    const entry = this.#entry(ref);
    return new Int32Array(entry.buffer, entry.byteOffset, 1);
  }

  #inUse(ref: number): boolean {
    return (Atomics.load(this.#head(ref), 0) & (Gtf.READING | Gtf.WRITING)) !== 0;
  }

  #endNow(ref: number): boolean {
    const word = this.#head(ref);
    const before = Atomics.load(word, 0);
    return (before & (Gtf.READING | Gtf.WRITING)) === 0 && Atomics.compareExchange(word, 0, before, 0) === before;
  }

  #free(): number {
    const { maxFrames } = this.#kernel.hypervisor.grants.querySize(this.#kernel.domid, DomId.SELF);
    for (let ref = GrantEntry.RESERVED as number; ref < maxFrames * GrantEntry.V1_PER_PAGE; ref++) {
      if (!this.#used.has(ref)) return ref;
    }
    const { domid } = this.#kernel;
    throw new PortcullisError('NO_GRANT', `domain ${domid} has no grant reference left`, { domid });
  }

  #entry(ref: number): DataView {
    const { hypervisor, domid } = this.#kernel;
    const index = Math.floor(ref / GrantEntry.V1_PER_PAGE);
    const { frames } = hypervisor.grants.setupTable(domid, DomId.SELF, index + 1);
    const mfn = frames[index];
    if (mfn === undefined) {
      throw new PortcullisError('NO_GRANT', `the grant table of domain ${domid} cannot grow to reference ${ref}`, { domid, ref });
    }
    const bytes = hypervisor.engine.frame(mfn);
    const off = (ref % GrantEntry.V1_PER_PAGE) * GrantEntry.V1_SIZE;
    return new DataView(bytes.buffer, bytes.byteOffset + off, GrantEntry.V1_SIZE);
  }
}
