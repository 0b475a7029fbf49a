/** A PCI function as a guest finds it behind its front end. */

import type { Resource } from '../dom0/types';

export interface FrontDevice {
  readonly segment: number;
  readonly bus: number;
  /** Device in bits 7:3, function in bits 2:0. */
  readonly devfn: number;
  /** Bus and devfn as on a bus. */
  readonly routing: number;
  /** `0000:00:00.0` */
  readonly name: string;
  readonly vendor: number;
  readonly device: number;
  /** 24 bits: class, subclass, programming interface. */
  readonly classCode: number;
  readonly revision: number;
  readonly headerType: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  /** INTA# is 1; 0: none. */
  readonly pin: number;
  /** Its interrupt line, which is the pirq to bind; 0 when it has no pin. */
  readonly irq: number;
  /** BAR 0 to 5 and the ROM, at machine addresses. */
  readonly resources: readonly Resource[];
  /** Offsets of the capabilities that were looked for and found, by id. */
  readonly capabilities: ReadonlyMap<number, number>;
}
