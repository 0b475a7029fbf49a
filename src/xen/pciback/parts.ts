/** What pciback needs of the first domain's kernel and of the hypervisor. */

import type { HostPci } from '../dom0/types';

/** Hypercalls of the first domain; each throws a HypercallError. */
export interface PcibackPhysdev {
  /** Before MSI-X is first used by a guest: the pages of its table become read-only to everyone but the hypervisor. */
  prepareMsix(routing: number): void;
  releaseMsix(routing: number): void;
  /**
   * A message for a domain, which must own the device: the result is the domain's number for it. `index` and `pirq` are -1.
   * The hypervisor writes address and data; `entry` and `tableBase` (machine address of the BAR) are of MSI-X.
   */
  mapPirq(request: {
    domid: number; type: 'msi'; index: number; pirq: number; routing: number; entry?: number; tableBase?: number;
  }): number;
  unmapPirq(domid: number, pirq: number): void;
  /** Writes addresses, data and masks of a function's messages again, after the function has lost them. */
  restoreMsi(routing: number): void;
}

/** INTx lines in the first domain, by its own numbers for them; pciback shares one with the guest that has a device. */
export interface InterruptLines {
  /**
   * Calls `handler` for each interrupt on the line; false is one that it does not claim. `name` tells the handlers of one
   * line apart. Throws a HypercallError.
   */
  request(irq: number, name: string, handler: () => boolean | void): void;
  free(irq: number, name: string): void;
  /** Whether another domain has the line, too. */
  shared(irq: number): boolean;
}

/** Numbers that the first domain's kernel gives to interrupts which have none of their own: messages. */
export interface IrqNumbers {
  allocate(): number;
  release(irq: number): void;
}

export interface PcibackParts {
  readonly host: HostPci;
  /** The first domain's kernel, for its log. */
  readonly kernel: { print(line: string): void };
  readonly physdev: PcibackPhysdev;
  readonly lines: InterruptLines;
  readonly irqs: IrqNumbers;
}

/** Parameters of the module. */
export interface PcibackParameters {
  /** Slots to take from the start: `(0000:00:04.0)(01:00.*)`. */
  readonly hide?: string;
  /** Guests see devices at their own addresses (default: on one virtual bus). */
  readonly passthrough?: boolean;
  /** Guests may write every register that has no field of its own, of all devices. */
  readonly permissive?: boolean;
}
