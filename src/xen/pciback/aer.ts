/** Errors of a device, told to the front end that has it: requests on the shared page, one at a time. */

import type { Kernel } from '../kernel/kernel';
import { ERS_RESULT, PCI_CHANNEL, PCI_FLAG, PCI_OP } from '../pciif';
import type { Task } from '../schedule/scheduler';
import type { XenbusDevice } from '../xenbus/device';
import { errnoOf } from '../xenbus/errors';
import type { FrontLink } from './front-link';
import type { SeizedDevice, Topology } from './types';

/** How long a front end may take. */
const ANSWER_NS = 300e9;

export type AerEvent = 'error_detected' | 'mmio_enabled' | 'slot_reset' | 'resume';

interface Kind {
  readonly cmd: number;
  /** What is answered in the front end's place. */
  readonly otherwise: number;
  /** Whether a front end that cannot be asked is marked. */
  readonly marks: boolean;
}

const KINDS: Readonly<Record<AerEvent, Kind>> = {
  error_detected: { cmd: PCI_OP.AER_DETECTED, otherwise: ERS_RESULT.CAN_RECOVER, marks: true },
  mmio_enabled: { cmd: PCI_OP.AER_MMIO, otherwise: ERS_RESULT.RECOVERED, marks: false },
  slot_reset: { cmd: PCI_OP.AER_SLOT_RESET, otherwise: ERS_RESULT.RECOVERED, marks: false },
  resume: { cmd: PCI_OP.AER_RESUME, otherwise: ERS_RESULT.NONE, marks: true },
};

/** What a front end's exports look like from here. */
export interface AerTarget {
  readonly xenbus: XenbusDevice;
  readonly topology: Topology;
  readonly link: FrontLink | undefined;
}

export class AerReports {
  readonly #kernel: Kernel;
  readonly #target: AerTarget;
  #busy = false;

  constructor(kernel: Kernel, target: AerTarget) {
    this.#kernel = kernel;
    this.#target = target;
  }

  /**
   * One of the calls that the kernel's error recovery makes for a device, as a task: it may take 300 s. The result is
   * one of ERS_RESULT.
   */
  *report(device: SeizedDevice, event: AerEvent, channel: number = PCI_CHANNEL.NORMAL): Task<number> {
    const kind = KINDS[event];
    const started = this.#target.link;
    while (this.#busy) yield { until: () => !this.#busy };
    const { link, topology, xenbus } = this.#target;
    const address = topology.addressOf(device);
    if (address === undefined) {
      this.#kernel.print(`pciback ${device.name}: ${event}: no front end has the device`);
      return kind.otherwise;
    }
    if (link === undefined || !link.open || link !== started) {
      this.#kernel.print(`pciback ${device.name}: ${event}: its front end is not connected`);
      this.#mark();
      return kind.otherwise;
    }
    if (!link.page.has(PCI_FLAG.AER_HANDLER)) {
      this.#kernel.print(`pciback ${device.name}: ${event}: the front end of domain ${xenbus.otherDomid} has no handler`);
      if (kind.marks) this.#mark();
      return kind.otherwise;
    }
    this.#busy = true;
    try {
      link.page.writeAer({ cmd: kind.cmd, err: channel, ...address });
      link.page.set(PCI_FLAG.AER_ACTIVE);
      link.notify();
      const gone = (): boolean => !link.open || topology.addressOf(device) === undefined;
      const answered = yield { until: () => gone() || !link.page.has(PCI_FLAG.AER_ACTIVE), timeout: ANSWER_NS };
      if (!link.open) return kind.otherwise;
      if (!answered || link.page.has(PCI_FLAG.AER_ACTIVE)) {
        this.#kernel.print(`pciback ${device.name}: ${event}: domain ${xenbus.otherDomid} does not answer`);
        link.page.clear(PCI_FLAG.AER_ACTIVE);
        return kind.otherwise;
      }
      const result = link.page.readAer().err;
      const known = result >= ERS_RESULT.NONE && result <= ERS_RESULT.RECOVERED ? result : ERS_RESULT.NONE;
      // resume has no result: its answer is none, and that is no failure
      if (event !== 'resume' && (known === ERS_RESULT.NONE || known === ERS_RESULT.DISCONNECT)) this.#mark();
      return known;
    } finally {
      this.#busy = false;
    }
  }

  /** For the toolstack: the domain has not got over an error. */
  #mark(): void {
    if (this.#target.xenbus.ended) return;
    try {
      this.#target.xenbus.transaction((store, at) => store.write(at('aerState'), 'aerfail'));
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }
}
