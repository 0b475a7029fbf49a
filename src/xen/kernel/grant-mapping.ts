/** A page of another domain, mapped by its grant into the own one's address space. */

import { MapEntry } from '../../../assembly/spec/machine';
import { type GrantStatusName } from '../hypervisor/grant-table';
import type { Kernel } from './kernel';

/** Where such pages are put, by page number: above all memory and all I/O memory of a domain. */
const FIRST_PAGE = 0x400000;
const PAGES = 0x10000;
const PAGE = 4096;

export class GrantMapping {
  readonly #kernel: Kernel;
  readonly #page: number;
  readonly #handle: number;
  #mapped = true;

  private constructor(kernel: Kernel, page: number, handle: number) {
    this.#kernel = kernel;
    this.#page = page;
    this.#handle = handle;
  }

  /** Maps it for reading and writing; the status when that is refused. */
  static map(kernel: Kernel, domid: number, ref: number): GrantMapping | GrantStatusName {
    const { engine, grants } = kernel.hypervisor;
    const entry = (page: number): number => engine.exports.guestMapGet(kernel.domain.slot, page);
    for (let page = FIRST_PAGE; page < FIRST_PAGE + PAGES; page++) {
      if (entry(page) !== 0) continue;
      const { status, handle } = grants.map(kernel.domid, { address: page * PAGE, ref, dom: domid });
      if (status !== 'okay') return status;
      const mapping = new GrantMapping(kernel, page, handle);
      if (mapping.#frame() !== undefined) return mapping;
      // I/O memory, or RAM that lies elsewhere: not for data that two share
      mapping.unmap();
      return 'bad_page';
    }
    return 'no_space';
  }

  /** Where the domain has it. */
  get va(): number {
    return this.#page * PAGE;
  }

  get mapped(): boolean {
    return this.#mapped;
  }

  /**
   * The page, found through the own domain's map: what is no longer mapped there cannot be reached. A view to be used
   * at once. Throws when it is gone.
   */
  bytes(): Uint8Array {
    const mfn = this.#frame();
    if (mfn === undefined) throw new Error(`nothing is mapped at page 0x${this.#page.toString(16)}`);
    return this.#kernel.hypervisor.engine.frame(mfn);
  }

  #frame(): number | undefined {
    const { exports } = this.#kernel.hypervisor.engine;
    const entry = this.#mapped ? exports.guestMapGet(this.#kernel.domain.slot, this.#page) >>> 0 : 0;
    const mfn = entry & MapEntry.MFN_MASK;
    return entry >>> MapEntry.KIND_SHIFT === MapEntry.RAM && exports.framePtr(mfn) !== 0 ? mfn : undefined;
  }

  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#kernel.hypervisor.grants.unmap(this.#kernel.domid, { address: this.#page * PAGE, handle: this.#handle });
  }
}
