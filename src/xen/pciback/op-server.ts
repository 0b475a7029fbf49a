/**
 * Serves a front end's operations on the shared page, one at a time. What the front end has written is copied once, and
 * only the copy is looked at; of the page nothing is written but the answer.
 */

import { MSIX_MAX, PCI_FLAG, PCI_OP, type ReadOp } from '../pciif';
import { errnoOf } from '../xenbus/errors';
import type { FrontLink } from './front-link';
import { type OpResult, PCI_ERR, type SeizedDevice, type Topology } from './types';

/** Operations for one event. A front end that asks for more has to send another. */
const OPS_PER_EVENT = 8;
const EINVAL = 22;
const DEVFN_LIMIT = 256;

interface Answer extends OpResult {
  /** Of MSI-X. */
  readonly vectors?: readonly number[];
}

export class OpServer {
  readonly #link: FrontLink;
  readonly #topology: Pick<Topology, 'find'>;
  /** Operations that were served, and events that brought none. */
  served = 0;
  spurious = 0;

  constructor(link: FrontLink, topology: Pick<Topology, 'find'>) {
    this.#link = link;
    this.#topology = topology;
  }

  /** After an event. Whether there was anything to do. */
  handle(): boolean {
    let served = 0;
    while (served < OPS_PER_EVENT && this.#link.open && this.#link.page.has(PCI_FLAG.OP_ACTIVE)) {
      this.#serve();
      served++;
    }
    this.served += served;
    if (served === 0) this.spurious++;
    return served > 0;
  }

  #serve(): void {
    const { page } = this.#link;
    const op = page.readOp();
    const device = op.devfn < DEVFN_LIMIT ? this.#topology.find(op.segment, op.bus, op.devfn) : undefined;
    const answer = device === undefined ? { err: PCI_ERR.DEV_NOT_FOUND, value: op.value } : this.#try(op, device);
    // the front end may have gone meanwhile
    if (!this.#link.open) return;
    page.answer(answer.err, answer.value);
    if (answer.vectors !== undefined) page.answerVectors(answer.vectors);
    page.clear(PCI_FLAG.OP_ACTIVE);
    this.#link.notify();
  }

  #try(op: ReadOp, device: SeizedDevice): Answer {
    try {
      const answer = dispatch(op, device);
      if (answer.err === PCI_ERR.SUCCESS) device.updateIntx();
      return answer;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      return { err: PCI_ERR.OP_FAILED, value: op.value };
    }
  }
}

function dispatch(op: ReadOp, device: SeizedDevice): Answer {
  switch (op.cmd) {
    case PCI_OP.CONF_READ: return device.configRead(op.offset, op.size);
    case PCI_OP.CONF_WRITE: return { err: device.configWrite(op.offset, op.size, op.value).err, value: op.value };
    case PCI_OP.ENABLE_MSI: return device.enableMsi();
    case PCI_OP.DISABLE_MSI: return device.disableMsi();
    case PCI_OP.ENABLE_MSIX: return enableMsix(op, device);
    case PCI_OP.DISABLE_MSIX: return device.disableMsix();
    default: return { err: PCI_ERR.NOT_IMPLEMENTED, value: op.value };
  }
}

function enableMsix(op: ReadOp, device: SeizedDevice): Answer {
  if (op.value > MSIX_MAX) return { err: -EINVAL, value: op.value };
  const { err, value, pirqs } = device.enableMsix(op.msix(op.value).map(({ entry }) => entry));
  // none is given when fewer are to be had: then `value` tells how many
  return err === PCI_ERR.SUCCESS && value === 0 ? { err, value, vectors: pirqs.slice(0, op.value) } : { err, value };
}
