import { FunctionRecord, State, StateSize } from '../../assembly/spec/state';
import { Msi, Msix, Pci, PciBar, PciCap, PciCommand } from '../../assembly/spec/pci';
import { type ConfigAccess, configByPorts, machinePorts } from '../pci/access';
import { findCapability } from '../pci/find-capability';
import type { Domain } from '../xen/hypervisor/domain';
import { HypercallError } from '../xen/hypervisor/errors';
import type { Hypervisor } from '../xen/hypervisor/hypervisor';

const PAGE = 4096;

/** How the drivers of a domain reach the config space and the interrupts of its devices. */
export interface GuestPci {
  /** Throws ENODEV for what the domain does not have. */
  config(routing: number): ConfigAccess;
  enableMsi(routing: number): { vector: number; port: number };
  enableMsix(routing: number, vectors: number): Array<{ vector: number; port: number }>;
  /** The domain's number for the interrupt that the function's INTx pin leads to. */
  line(routing: number): number;
  /** Ends what was enabled: no message of the function comes any more. */
  disableInterrupts(routing: number): void;
}

/**
 * By the machine's own hand, without pciback and pcifront: for a device that was given away by `Machine.assign`, as the
 * laboratory does it.
 */
export class DirectPci implements GuestPci {
  readonly #hypervisor: Hypervisor;
  readonly #domain: Domain;
  readonly #lineOf: (routing: number) => number;

  /** `lineOf` tells the interrupt that a function's INTx pin leads to. */
  constructor(hypervisor: Hypervisor, domain: Domain, lineOf: (routing: number) => number) {
    this.#hypervisor = hypervisor;
    this.#domain = domain;
    this.#lineOf = lineOf;
  }

  #config(routing: number): ConfigAccess {
    if (!this.#domain.assigned.has(routing)) {
      throw new HypercallError('ENODEV', `the device is not assigned to domain ${this.#domain.domid}`, { routing });
    }
    return configByPorts(machinePorts(this.#hypervisor.engine), routing);
  }

  /**
   * Reads go through; of writes, only the Command register's decode, Bus Master and INTx bits do: BARs and capabilities
   * are set by whoever owns the machine.
   */
  config(routing: number): ConfigAccess {
    const access = this.#config(routing);
    return {
      read: access.read,
      write: (off, width, value) => {
        if (off !== Pci.COMMAND || width === 1) return;
        const own = PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER | PciCommand.INTX_DISABLE;
        access.write(off, 2, (access.read(off, 2) & ~own) | (value & own));
      },
    };
  }

  enableMsi(routing: number): { vector: number; port: number } {
    const access = this.#config(routing);
    const cap = findCapability(access, PciCap.MSI);
    if (cap === 0) throw new HypercallError('ENODEV', 'the device has no MSI capability', { routing });
    const binding = this.#hypervisor.bindMsi(this.#domain.domid, routing);
    const control = access.read(cap + Msi.CONTROL, 2);
    const wide = (control & Msi.CONTROL_64BIT) !== 0;
    access.write(cap + Msi.ADDRESS, 4, binding.address);
    if (wide) access.write(cap + Msi.ADDRESS_HI, 4, 0);
    access.write(cap + (wide ? Msi.DATA_64 : Msi.DATA_32), 2, binding.data);
    access.write(cap + Msi.CONTROL, 2, control | Msi.CONTROL_ENABLE);
    return { vector: binding.vector, port: binding.port };
  }

  /** The machine's owner writes the table, in the order that Linux has: all masked, the entries, the mask off. */
  enableMsix(routing: number, vectors: number): Array<{ vector: number; port: number }> {
    const access = this.#config(routing);
    const cap = findCapability(access, PciCap.MSIX);
    if (cap === 0) throw new HypercallError('ENODEV', 'the device has no MSI-X capability', { routing });
    const control = access.read(cap + Msix.CONTROL, 2);
    const size = (control & Msix.CONTROL_SIZE_MASK) + 1;
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > size) {
      throw new HypercallError('EINVAL', `${vectors} vectors; the device has ${size}`, { routing, vectors });
    }
    if ((access.read(Pci.COMMAND, 2) & PciCommand.MEMORY) === 0) {
      throw new HypercallError('EINVAL',
        'the device does not decode its memory, and its vector table lies there', { routing });
    }
    const table = access.read(cap + Msix.TABLE, 4);
    const bar = (access.read(Pci.BAR0 + 4 * (table & Msix.BIR_MASK), 4) & ~PciBar.MEMORY_FLAGS) >>> 0;
    const bindings = Array.from({ length: vectors }, () => this.#hypervisor.bindMsi(this.#domain.domid, routing));
    access.write(cap + Msix.CONTROL, 2, control | Msix.CONTROL_ENABLE | Msix.CONTROL_FUNCTION_MASK);
    bindings.forEach(({ address, data }, index) => {
      const entry = bar + (table & ~Msix.BIR_MASK) + index * Msix.ENTRY_SIZE;
      this.#ownerStore(entry + Msix.ENTRY_ADDRESS, address);
      this.#ownerStore(entry + Msix.ENTRY_ADDRESS_HI, 0);
      this.#ownerStore(entry + Msix.ENTRY_DATA, data);
      this.#ownerStore(entry + Msix.ENTRY_CONTROL, 0);
    });
    access.write(cap + Msix.CONTROL, 2, (control | Msix.CONTROL_ENABLE) & ~Msix.CONTROL_FUNCTION_MASK);
    return bindings.map(({ vector, port }) => ({ vector, port }));
  }

  /** A store to I/O memory by the first domain, which has the rights to all of it, through a mapping for this once. */
  #ownerStore(machineAddress: number, value: number): void {
    const { domid, slot, nextMapPage } = this.#hypervisor.domain(0);
    this.#hypervisor.updateVaMapping(domid, nextMapPage, Math.floor(machineAddress / PAGE), true);
    this.#hypervisor.engine.exports.guestStore(slot, nextMapPage * PAGE + machineAddress % PAGE, 0, 4, value, 0);
    this.#hypervisor.unmapVa(domid, nextMapPage);
  }

  line(routing: number): number {
    this.#config(routing);
    return this.#lineOf(routing);
  }

  /** Messages stay mapped until the device is taken back; they are not sent any more. */
  disableInterrupts(routing: number): void {
    const access = this.#config(routing);
    const msi = findCapability(access, PciCap.MSI);
    if (msi !== 0) access.write(msi + Msi.CONTROL, 2, access.read(msi + Msi.CONTROL, 2) & ~Msi.CONTROL_ENABLE);
    const msix = findCapability(access, PciCap.MSIX);
    if (msix !== 0) access.write(msix + Msix.CONTROL, 2, access.read(msix + Msix.CONTROL, 2) & ~Msix.CONTROL_ENABLE);
  }
}

/** The interrupt line that a function's INTx pin leads to: slot `fn` of the engine. */
export function intxLineOf({ engine }: Hypervisor, fn: number): number {
  return engine.word(State.FUNCTION_TABLE + fn * StateSize.FUNCTION_RECORD + FunctionRecord.INTX_LINE);
}
