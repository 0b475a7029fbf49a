// PHYSDEVOP_* that have to do with devices: numbers for interrupts, MSI-X, a device that comes and goes.
import { DomId } from '../../../assembly/spec/machine';
import { bdfOf, formatBdf } from '../../pci/bdf';
import { controlCaller, targetOf } from './caller';
import { CONTROL_DOMAIN, type Domain } from './domain';
import { HypercallError } from './errors';
import type { Hypervisor } from './hypervisor';
import { GSIS } from './pirqs';

export interface MapPirq {
  domid: number;
  type: 'gsi' | 'msi';
  /** GSI: the caller's number for it; the first domain for itself names the GSI. MSI: -1. */
  index: number;
  /** Number in the domain; -1 for one that is free. */
  pirq: number;
  /** MSI: the function. */
  routing?: number;
  /** MSI-X: entry of the table. */
  entry?: number;
  /** MSI-X: machine address of the table; 0 or left out for MSI. It is not gone by: where the table lies is recorded. */
  tableBase?: number;
}

export class Physdev {
  readonly #hypervisor: Hypervisor;
  readonly #caller: number;

  constructor(hypervisor: Hypervisor, callerDomid: number) {
    this.#hypervisor = hypervisor;
    this.#caller = callerDomid;
  }

  #control(): Domain {
    return controlCaller(this.#hypervisor, this.#caller);
  }

  #target(domid: number): Domain {
    return targetOf(this.#hypervisor, this.#caller, domid);
  }

  // ---- interrupts

  /** PHYSDEVOP_map_pirq; answers the domain's number. The domain has the right to the interrupt by it. */
  mapPirq({ domid, type, index, pirq, routing, entry, tableBase = 0 }: MapPirq): number {
    const caller = this.#control();
    const target = this.#target(domid);
    if (type === 'gsi') return this.#mapGsi(caller, target, index, pirq);
    if (type !== 'msi') throw new HypercallError('EINVAL', `there are no interrupts of type "${type as string}"`, { type });
    const { messages, devices } = this.#hypervisor;
    const owner = routing === undefined || devices.slotOf(routing) === undefined ? undefined : this.#hypervisor.ownerOf(routing);
    if (owner !== target.domid) {
      const name = routing === undefined ? 'no device' : formatBdf(bdfOf(routing));
      this.#hypervisor.printRefusal(`map_pirq: ${name} is not dom${target.domid}'s`);
      throw new HypercallError('ENODEV', `${name} is not assigned to domain ${target.domid}`, { domid: target.domid, routing });
    }
    return messages.map(target, routing as number, {
      entry: tableBase === 0 ? undefined : entry ?? 0, pirq, trusted: owner === CONTROL_DOMAIN,
    });
  }

  #mapGsi(caller: Domain, target: Domain, index: number, pirq: number): number {
    const { pirqs } = this.#hypervisor;
    if (!Number.isInteger(index) || index < 0 || index >= GSIS) {
      throw new HypercallError('EINVAL', `${index} is not within 0 to ${GSIS - 1}, the interrupts of the I/O APIC`, { index });
    }
    // for itself it names the GSI; for others the number that it has for it
    const line = target === caller ? index : caller.pirqs.get(index) ?? index;
    if (!caller.irq.has(line, line)) {
      throw new HypercallError('EPERM', `domain ${caller.domid} has no right to host interrupt ${line} itself`, { index, line });
    }
    const number = pirqs.mapLine(target, line, pirq);
    this.#hypervisor.rights.irq(target, line, true);
    return number;
  }

  /** PHYSDEVOP_unmap_pirq: the right goes, and nothing arrives at the port that it is bound to any more. */
  unmapPirq(domid: number, pirq: number): void {
    this.#control();
    const target = this.#target(domid);
    const { pirqs, messages, events, rights } = this.#hypervisor;
    const message = this.#hypervisor.vectors.find((one) => one.domid === target.domid && one.pirq === pirq);
    if (message !== undefined) {
      events.releasePirq(target, pirq);
      messages.unmap(message.vector);
      return;
    }
    const line = target.pirqs.get(pirq);
    if (line === undefined) {
      throw new HypercallError('EINVAL', `domain ${target.domid} has no interrupt ${pirq} mapped`, { domid: target.domid, pirq });
    }
    rights.irq(target, line, false);
    pirqs.unmapLine(target, pirq);
  }

  /** PHYSDEVOP_eoi, by any domain for itself. */
  eoi(pirq: number): void {
    this.#hypervisor.endInterrupt(this.#caller, pirq);
  }

  /** PHYSDEVOP_irq_status_query, by any domain: XENIRQSTAT_needs_eoi (1), XENIRQSTAT_shared (2). Throws EINVAL. */
  irqStatusQuery(pirq: number): { needsEoi: boolean; shared: boolean } {
    const caller = this.#hypervisor.domain(this.#caller);
    const { pirqs } = this.#hypervisor;
    if (!Number.isInteger(pirq) || pirq < 0 || pirq >= caller.nrPirqs) {
      throw new HypercallError('EINVAL', `interrupt ${pirq} is not within 0 to ${caller.nrPirqs - 1}`, { pirq });
    }
    const line = pirqs.lineOf(caller, pirq);
    return { needsEoi: line !== undefined, shared: line !== undefined && pirqs.sharers(line).length > 1 };
  }

  // ---- MSI-X

  /** PHYSDEVOP_prepare_msix: the table's place is recorded, and its pages can no more be mapped for writing. */
  prepareMsix(routing: number): void {
    this.#control();
    this.#hypervisor.devices.functionOf(routing);
    const owner = this.#hypervisor.ownerOf(routing);
    this.#hypervisor.messages.prepare(routing, owner === CONTROL_DOMAIN || owner === DomId.IO);
  }

  releaseMsix(routing: number): void {
    this.#control();
    this.#hypervisor.devices.functionOf(routing);
    this.#hypervisor.messages.release(routing);
  }

  /** PHYSDEVOP_restore_msi: writes addresses, data and masks again, after a reset. */
  restoreMsi(routing: number): void {
    this.#control();
    this.#hypervisor.devices.functionOf(routing);
    this.#hypervisor.messages.restore(routing);
  }

  // ---- devices

  /** PHYSDEVOP_pci_device_add: a function that has come, and its slot in the engine. It is the first domain's. */
  deviceAdd(routing: number, fn: number): void {
    this.#control();
    this.#hypervisor.deviceAdd(routing, fn);
  }

  /** PHYSDEVOP_pci_device_remove: whoever has it loses it. Throws ENODEV. */
  deviceRemove(routing: number): void {
    this.#control();
    this.#hypervisor.devices.functionOf(routing);
    this.#hypervisor.deviceRemove(routing);
  }

  /** PHYSDEVOP_pci_device_reset: a function has been reset, and what messages it has are written again. */
  deviceReset(routing: number): void {
    this.restoreMsi(routing);
  }
}
